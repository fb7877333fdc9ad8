"""The workload against a real PostgreSQL, as a role that owns its database and is no superuser."""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sandbox import workload
from sandbox.shop import Database
from sandbox.workload import DDL, ROWS, SHAPES, TRUNCATE, Workload

NUMBERS = iter(range(1000))


@pytest.fixture(scope="module")
def server():
    with TemporaryDirectory(prefix="sandbox-") as folder:
        database = Database(Path(folder) / "postgres")
        database.start()
        (database.folder / "pg_hba.conf").write_text("local all all trust\n")
        with database.connect("postgres") as connection:
            connection.execute("create role owner login")
            connection.execute("alter role owner with replication")
            connection.execute("select pg_reload_conf()")
        yield database
        database.stop()


@pytest.fixture
def new_database(server):
    """Makes a database, and returns its owner's conninfo."""

    def new_database():
        name = f"workload_{next(NUMBERS)}"
        with server.connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(f"create database {name} owner owner")
            return make_conninfo(connection.info.dsn, dbname=name, user="owner")

    return new_database


@pytest.fixture
def conninfo(new_database):
    return new_database()


@pytest.fixture
def opened():
    """Opens workloads, and closes them in the end."""
    found = []

    def opened(*arguments, **options):
        found.append(Workload(*arguments, **options))
        return found[-1]

    yield opened
    for one in found:
        one.close()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Big transactions are of a few hundred rows."""
    monkeypatch.setattr(workload, "BIG", 100)


@pytest.fixture
def only(monkeypatch):
    """Leaves only transactions of these shapes."""
    return lambda *shapes: monkeypatch.setattr(workload, "SHAPES", dict.fromkeys(shapes, 1))


def query(conninfo, statement, *parameters):
    with psycopg.connect(conninfo) as connection:
        connection.execute("set timezone to 'UTC'")
        return connection.execute(statement, parameters or None).fetchall()


def content(conninfo, tables):
    """All rows, as JSON, by table."""
    texts = {table: f"select to_jsonb(here)::text from {table} as here order by 1" for table in tables}
    return {table: query(conninfo, text) for table, text in texts.items()}


# What the audit says is there: of each key the newest image, unless the table was truncated after it.
REPLAYED = """
    select row::text from (
        select distinct on (key) row from workload_audit
        where table_name = %s and key is not null and n > coalesce(
            (select max(n) from workload_audit where table_name = %s and kind = 'truncate'), 0
        )
        order by key, n desc
    ) as newest
    where row is not null order by 1
"""


def assert_audit_is_complete(conninfo, one):
    rows = content(conninfo, set(one.tables) - {"search_terms"})
    assert sum(map(len, rows.values())) > 500
    for table, there in rows.items():
        assert query(conninfo, REPLAYED, table, table) == there, table


def test_the_same_seed_makes_the_same_tables_and_rows(new_database, opened):
    found = []
    for seed in (3, 3, 4):
        one = opened(new := new_database(), seed)
        one.create(100)
        assert 2000 <= one.run(2000) < 3000
        assert one.counts["refused"] == 0
        found.append((one.counts, content(new, one.tables)))
    assert found[0] == found[1] != found[2]


def test_everything_occurs_and_the_operations_go_on_with_the_new_shape(conninfo, opened, monkeypatch):
    for name in ("SHAPES", "ROWS"):  # with a tenth of the cards, all of a deck are dealt soon
        monkeypatch.setattr(
            workload, name, {kind: max(1, count // 10) for kind, count in getattr(workload, name).items()}
        )
    one = opened(conninfo, 2)
    one.create(100)
    one.audit()
    one.run(5000)
    assert set(SHAPES) | set(ROWS) | set(TRUNCATE) | set(DDL) <= set(one.counts)
    assert one.counts["refused"] < one.counts["commit"] / 50
    kinds = dict(query(conninfo, "select kind, count(*) from workload_audit group by 1"))
    assert kinds.pop("ddl") >= len(DDL)
    assert kinds.keys() == {"present", "insert", "update", "delete", "key change", "truncate"}
    statements = " ".join(
        query(conninfo, "select string_agg(row #>> '{}', '; ') from workload_audit where kind = 'ddl'")[0]
    )
    for part in (" add ", " default ", " generated ", " drop ", " rename ", " type text", "create table", "drop table"):
        assert part in statements
    assert re.search(r"type (bigint|double precision|numeric\(\d+,4\))", statements)
    used = (
        "select count(*) from workload_audit, jsonb_object_keys(row) as name where kind = 'update' and name ~ '^extra_'"
    )
    assert query(conninfo, used) > [(100,)]
    assert (
        "promotions"
        in query(conninfo, "select string_agg(table_name, ' ') from workload_audit where kind = 'insert'")[0][0]
    )


def test_the_newest_images_of_the_audit_are_the_rows(conninfo, opened):
    one = opened(conninfo)
    one.create(200)
    one.audit()
    one.run(5000, has_ddl=False)
    assert_audit_is_complete(conninfo, one)
    moved = """
        select count(*) from workload_audit old join workload_audit new using (txid, table_name)
        where table_name = 'events_by_day' and old.kind = 'delete' and new.kind = 'insert'
            and old.key -> 'event_id' = new.key -> 'event_id' and old.key <> new.key
    """
    assert query(conninfo, moved) > [(0,)]


def test_per_key_the_audit_is_in_order_also_of_transactions_that_race(conninfo, opened):
    one = opened(conninfo, 5)
    one.create(200)
    one.audit()
    another = opened(conninfo, 6)
    with ThreadPoolExecutor() as threads:
        assert all(threads.map(lambda racing: racing.run(2000, has_ddl=False) >= 2000, (one, another)))
    assert_audit_is_complete(conninfo, one)


def test_what_is_rolled_back_leaves_no_trace(conninfo, opened, only):
    only("roll_back")
    one = opened(conninfo)
    one.create(100)
    one.audit()
    tables, before = one.tables, content(conninfo, one.tables)
    end = time.monotonic() + 0.5
    assert one.run(1, is_over=lambda: time.monotonic() > end) == 0
    assert one.counts["roll_back"] > 10
    assert (one.tables, content(conninfo, tables)) == (tables, before)
    assert query(conninfo, "select distinct kind from workload_audit") == [("present",)]


def test_what_is_rolled_back_to_a_savepoint_is_neither_there_nor_counted(conninfo, opened, only, monkeypatch):
    only("savepoint")
    monkeypatch.setattr(workload, "ROWS", {"insert": 1})
    monkeypatch.setattr(workload, "TRUNCATE", {})
    one = opened(conninfo)
    one.create(100)
    one.audit()
    done = one.run(500, has_ddl=False)
    assert query(conninfo, "select count(*) from workload_audit where kind = 'insert'") == [(done,)]


def test_transactions_overlap_and_commit_in_another_order_than_they_began(conninfo, opened, only):
    only("overlap")
    one = opened(conninfo)
    one.create(100)
    one.audit()
    one.run(200, has_ddl=False)
    later = """
        select count(*) from workload_audit first join workload_audit second using (table_name, key)
        where first.txid < second.txid and first.n > second.n and second.kind = 'update'
    """
    assert query(conninfo, later) > [(10,)]


def test_change_capture_finds_all_kinds_of_messages(conninfo, opened):
    one = opened(conninfo)
    one.create(100)
    query(conninfo, "select pg_create_logical_replication_slot('workload', 'pgoutput')")
    one.run(3000)
    options = "'proto_version', '1', 'publication_names', 'catchment'"
    changes = f"pg_logical_slot_get_binary_changes('workload', null, null, {options})"
    messages = [data for (data,) in query(conninfo, f"select data from {changes}")]
    query(conninfo, "select pg_drop_replication_slot('workload')")
    assert {message[:1] for message in messages} >= set(map(bytes, (b"B", b"C", b"R", b"I", b"U", b"D", b"T")))
    assert {message[5:6] for message in messages if message[:1] == b"U"} == {
        b"K",
        b"O",
        b"N",
    }  # old key, old row, neither
    names = {message[1:5]: message[5:].split(b"\0")[1] for message in messages if message[:1] == b"R"}
    changed = {names[message[1:5]] for message in messages if message[:1] in (b"I", b"U", b"D")}
    assert changed >= {b"events_by_day", b"suppliers", b"price_lists"}
    assert not changed & {b"events_by_day_1", b"search_terms"}
    toasted = "select relname from pg_class where reltoastrelid <> 0 and pg_relation_size(reltoastrelid) > 100000"
    assert {name for (name,) in query(conninfo, toasted)} >= {"customers", "price_lists"}


def test_the_rate_is_kept(conninfo, opened):
    one = opened(conninfo)
    one.create(100)
    begun = time.monotonic()
    done = one.run(500, rate=500)
    assert done / 500 <= time.monotonic() - begun < done / 500 + 1


def test_tables_of_others_stay_as_they_are(conninfo, opened):
    with psycopg.connect(conninfo) as connection:
        connection.execute("create table customers as select 1 as customer_id")
    one = opened(conninfo)
    assert one.tables == []
    with pytest.raises(ValueError, match=r"schema public has no tables of the workload: create\(\) makes them"):
        one.run(10)
    with pytest.raises(psycopg.errors.DuplicateTable):
        one.create()
    assert content(conninfo, ["customers"]) == {"customers": [('{"customer_id": 1}',)]}


def test_the_command_goes_on_where_it_was(conninfo, capsys):
    workload.show(conninfo, 300, None, 1, False)
    command = [sys.executable, "-m", "sandbox", "workload", conninfo, "--operations", "300", "--seed", "2", "--no-ddl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for said in (done.stderr, capsys.readouterr().err):
        assert re.fullmatch(r"\d{3,} of 300 operations, [\d,]+ a second\n", said)
    with closing(Workload(conninfo)) as one:
        assert len(one.tables) == 10


@pytest.mark.parametrize("text", ["postgresql:/owner:secret@nowhere", "host=127.0.0.1 port=1 password=secret user=x"])
def test_the_command_says_what_is_wrong_and_no_password(text):
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "workload", text], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "neither a URL" in done.stderr or "Connection refused" in done.stderr
    assert "secret" not in done.stderr and "Traceback" not in done.stderr
