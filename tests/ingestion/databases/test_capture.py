"""Change capture from a real PostgreSQL: what is current, and what was, equals the source."""

import json
import threading
import time

import pytest
from conftest import BOTH, counts, current_query

from ingestion import live
from ingestion import slot as slots
from ingestion import spool as spools
from ingestion.systems import all_systems
from sandbox.shop import READER
from tests.captured import assert_equal, current_log


class Source:
    """A database of which every change is captured as `erp`; as `twin` it is read in full, to compare with."""

    def __init__(self, database, warehouse) -> None:
        self.database, self.warehouse, self.execute = database, warehouse, database.execute
        self.slot = f"slot_{database.name}"
        database.execute(f"alter role {READER} replication")
        database.configure(mode="cdc", slot=self.slot)
        database.configure("twin")

    def create(self, statements: str, publication: str = "for all tables") -> None:
        """Makes tables, and then the publication."""
        self.execute(f"{statements}; create publication catchment {publication}")

    def run(self, **options) -> dict[str, dict]:
        """Loads what is new."""
        ledger = self.warehouse.run("erp", **options)
        assert self.warehouse.errors == {}
        assert not [row["error"] for row in ledger.values() if row["error"]]
        return ledger

    def current(self, table: str, columns: str = "*") -> list[tuple]:
        """The rows that are current."""
        return self.warehouse.query(current_log(f"raw_erp.{table}", columns))

    def is_equal(self, *tables: str) -> None:
        """Asserts that tables of numbers, texts and dates are what they are now."""
        for table in tables:
            with self.database.connect() as connection:
                names = [column.name for column in connection.execute(f'select * from "{table}" limit 0').description]
            theirs = ", ".join(f'"{name}"::text' for name in names)
            ours = ", ".join(f'cast("{name}" as varchar)' for name in names)
            expected = self.execute(f'select {theirs} from "{table}"')
            assert sorted(self.current(table, ours), key=repr) == sorted(expected, key=repr), table

    def is_equal_to_a_full_read(self, *tables: str) -> None:
        """Asserts that tables of any types are, to the hash of every row, what a full read finds them to be now."""
        twin = self.warehouse.run("twin", full=True, accept_deletes=True)
        for table in tables:
            assert_equal(self.warehouse.query, table, current_query(f"raw_twin.{table}", "{}"))
            assert len(self.current(table)) == twin[table]["rows_read"]

    def rows_of(self, table: str) -> int:
        """How many rows raw has, gone marks too."""
        return self.warehouse.query(f"select count(*) from raw_erp.{table}")[0][0]


@pytest.fixture
def source(postgres_database, warehouse):
    found = Source(postgres_database, warehouse)
    yield found
    found.execute("""
        select pg_terminate_backend(active_pid) from pg_replication_slots
        where database = current_database() and active_pid is not null
    """)
    found.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()"
    )


def test_begins_with_a_snapshot_and_goes_on_with_changes(source):
    source.create(
        "create table t (id int primary key, name text); insert into t select n, 'n' || n from generate_series(1, 5) n"
    )
    assert source.run()["t"]["rows_loaded"] == 5
    source.is_equal("t")
    source.execute(
        "insert into t values (6, 'six'); update t set name = 'changed' where id = 2; delete from t where id = 3"
    )
    row = source.run()["t"]
    assert (row["rows_loaded"], row["rows_marked_gone"]) == (2, 1)
    assert source.run()["t"]["rows_read"] == 0
    source.is_equal("t")


TYPES = """
    create type mood as enum ('sad', 'ok', 'so so');
    create type pair as (a int, b text);
    create domain positive as int check (value > 0);
    create domain short as char(5);
    create domain amounts as numeric(10,2)[];
    create table types (
        id bigint primary key, flag boolean, tiny smallint, whole integer, large bigint, wide oid, near real,
        far double precision, price numeric(12,2), exact numeric, huge numeric(50,10), money money, plain text,
        varying varchar(20), padded char(5), js json, jsb jsonb, uid uuid, bytes bytea, day date, clock time,
        zoned timetz, moment timestamp, instant timestamptz, span interval, bits bit varying(8), ip inet, net cidr,
        mac macaddr, dot point, feeling mood, two pair, counts int[], words text[], grid int[][], moods mood[],
        pairs pair[], instants timestamptz[], objects jsonb[], range int4range, pos positive, sh short, ams amounts,
        vector tsvector, "Odd ""name~/" text, "ODD ""NAME~/" int, _version text, _mark int
    );
"""
ORDINARY = """
    insert into types values (%s, true, -7, 42, 9007199254740993, 4294967295, 1.1, 0.1, 12.30, 123.4500, 1e30, 1234.5,
        E'tab\\t ''quote'' \\\\ ünïcode \U0001f600 "x"', '', 'ab', '{"a": 1}', '{"b": [1, null, "x"], "a": 1e400}',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', E'\\\\x00ff10', '2024-02-29', '23:59:59.5', '12:00+02',
        '2024-02-29 12:00:00.123456', '2024-02-29 12:00:00+05:30', '1 mon -3 days 04:05:06', B'0101', '10.0.0.1',
        '10.0.0.0/8', '08:00:2b:01:02:03', '(1.5,2)', 'so so', '(3,"a,b")', '{1,NULL,3}',
        array['a', null, 'with "quotes", and , comma', 'NULL', ''], '{{1,2},{3,4}}', '{ok,"so so"}',
        array[row(1, 'x')::pair, null], '{2024-01-01 00:00:00+00,infinity}', array['{"a": 1}'::jsonb], '[1,5)', 5,
        'abc', '{1.50,NULL}', 'a:1 b:2', 'odd', 7, 'v', 3)
"""
EXTREME = """
    insert into types (id, near, far, price, exact, day, moment, instant, clock, counts) values
        (%s, 'NaN', '-Infinity', 'NaN', 'Infinity', 'infinity', '-infinity', 'infinity', '24:00', '[0:1]={1,2}'),
        (%s + 1, 1e-45, 1e308, '-0.01', '-0.000', '0044-03-15 BC', '0044-03-15 12:00:00 BC',
            '4714-11-24 00:00:00+00 BC', '00:00', '{}'),
        (%s + 2, null, null, null, null, '5874897-12-31', '294276-12-31 23:59:59.999999', '290000-01-01 00:00+00', null,
            null)
"""


def test_every_type_lands_as_a_snapshot_has_it(source):
    source.create(TYPES)
    source.execute(ORDINARY.replace("%s", "1"))
    source.execute(EXTREME.replace("%s", "2"))
    source.run()
    source.execute(ORDINARY.replace("%s", "11"))
    source.execute(EXTREME.replace("%s", "12"))
    source.execute("update types set id = 21 where id = 1; update types set price = 1 where id = 3")
    source.run()
    source.is_equal_to_a_full_read("types")


def test_values_that_were_not_sent_again_are_those_of_before(source):
    source.create("""
        create table t (id int primary key, n int, big text, doc jsonb);
        alter table t alter big set storage external, alter doc set storage external;
    """)
    big = "(select string_agg(md5(g::text || {}), '') from generate_series(1, 300) g)"
    for number in range(1, 6):
        source.execute(
            f"insert into t values ({number}, 0, {big.format(number)}, jsonb_build_object('a', {big.format(-number)}))"
        )
    source.run()
    source.execute("update t set n = 1")  # the version before is in raw
    source.run()
    source.is_equal("t")
    source.execute(f"update t set n = 2, big = {big.format(77)} where id = 1; update t set n = 3 where id = 1")
    source.execute("update t set big = null where id = 2; update t set n = 3 where id = 2")
    source.execute(
        "update t set id = 13 where id = 3; update t set n = 4 where id = 13; update t set id = 23 where id = 13"
    )
    source.execute(
        "delete from t where id = 4; insert into t values (4, 9, 'small', null); update t set n = 10 where id = 4"
    )
    source.execute(
        "update t set id = 35 where id = 5; update t set id = 5 where id = 35; update t set n = 5 where id = 5"
    )
    source.execute(
        """
            begin;
            update t set id = 100 where id = 1;
            update t set id = 1 where id = 2;
            update t set id = 2 where id = 100;
            commit
        """
    )
    source.run()
    source.is_equal("t")
    assert source.warehouse.query("select count(*) from raw_erp.rejected_rows") == [(0,)]


def test_a_key_that_changes_is_a_row_less_and_a_row_more(source):
    source.create(
        "create table t (a int, b text, n int, primary key (a, b)); insert into t values (1, 'x', 1), (2, 'y', 2)"
    )
    source.run()
    source.execute("update t set b = 'z' where a = 1; update t set n = 5 where a = 2")
    row = source.run()["t"]
    assert (row["rows_loaded"], row["rows_marked_gone"]) == (2, 1)
    source.is_equal("t")


def test_truncate_takes_away_what_was_there(source):
    source.create(
        """
            create table t (id int primary key);
            create table u (id int primary key references t);
            insert into t values (1), (2)
        """
    )
    source.run()
    source.execute(
        "insert into t values (3); insert into u values (3); truncate t cascade; insert into t values (2), (4)"
    )
    ledger = source.run()
    assert ledger["t"]["rows_marked_gone"] == 3
    source.is_equal("t", "u")
    assert source.current("t", "id") == [(2,), (4,)]
    source.execute("begin; truncate t, u; insert into t values (7); truncate t, u; insert into t values (8); commit")
    source.run()
    source.is_equal("t", "u")


def test_replica_identities(source):
    source.create(
        """
        create table whole (id int primary key, n int); alter table whole replica identity full;
        create table by_index (id int primary key, code text not null unique, n int);
        alter table by_index replica identity using index by_index_code_key;
        create table nothing (id int primary key, n int); alter table nothing replica identity nothing;
        create table keyless (n int);
        insert into whole values (1, 1), (2, 2); insert into by_index values (1, 'a', 1), (2, 'b', 2);
        insert into nothing values (1, 1); insert into keyless values (1), (1);
    """,
        "for table whole, by_index",
    )
    ledger = source.run()
    assert {name: row["kind"] for name, row in ledger.items()} == {
        "whole": "log",
        "by_index": "log",
        "nothing": "state",
        "keyless": "state",
    }
    source.execute(
        "update whole set n = 5 where id = 1; update whole set id = 9 where id = 2; delete from whole where id = 9"
    )
    source.execute(
        """
            update by_index set id = 7 where id = 1;
            update by_index set code = 'c' where id = 2;
            insert into nothing values (2, 2)
        """
    )
    source.run()
    assert source.current("whole", "id, n") == [(1, 5)]
    assert source.current("by_index", "id, code, n") == [(7, "a", 1), (2, "c", 2)]
    assert source.warehouse.current("raw_erp.nothing", "id") == [(1,), (2,)]


def test_partitions_are_one_table(source):
    source.create(
        """
        create table t (id int, day date, n int, primary key (id, day)) partition by range (day);
        create table t_1 partition of t for values from ('2024-01-01') to ('2024-02-01');
        create table t_2 partition of t for values from ('2024-02-01') to ('2024-03-01');
        insert into t values (1, '2024-01-05', 1), (2, '2024-02-05', 2);
    """,
        "for table t",
    )
    message = source.warehouse.run("erp")["t"]["error"]
    assert "alter publication catchment set (publish_via_partition_root = true)" in message
    source.execute("alter publication catchment set (publish_via_partition_root = true)")
    source.run()
    source.execute(
        """
            update t set day = '2024-02-06' where id = 1;
            create table t_3 partition of t default;
            insert into t values (3, '2030-01-01', 3)
        """
    )
    source.run()
    source.is_equal("t")
    source.execute("truncate t_2")
    source.run(accept_deletes=True)
    source.is_equal("t")


def test_a_generated_column_is_left_out_whole(source):
    source.create("create table t (id int primary key, twice int generated always as (id * 2) stored)")
    source.execute("insert into t values (1), (2)")
    assert "twice: the log does not have what is generated" in notes(source.run()["t"])[0]
    source.execute("insert into t values (3)")
    source.run()
    assert counts(source.run(full=True)["t"])[1:] == (0, 4, 0, 0)
    assert source.warehouse.query("select distinct _unknown_fields from raw_erp.t") == [(None,)]


def test_columns_that_come_go_and_change(source):
    source.create("create table t (id int primary key, a text, n int); insert into t values (1, 'x', 1), (2, 'y', 2)")
    source.run()
    source.execute(
        "insert into t values (3, 'z', 3); alter table t add b int default 5; update t set n = 7 where id = 1"
    )
    source.execute("alter table t alter n type text using n::text || '!'; insert into t values (4, 'q', 'text', 6)")
    assert any("read as a whole once more" in note for note in notes(source.run()["t"]))
    assert source.current("t", "id, a, n, b") == [
        (1, "x", "7!", 5),
        (2, "y", "2!", 5),
        (3, "z", "3!", 5),
        (4, "q", "text", 6),
    ]
    source.execute("alter table t rename a to c; alter table t drop b; update t set c = 'new' where id = 2")
    source.run()
    assert source.current("t", "id, c, n, b") == [
        (1, "x", "7!", None),
        (2, "new", "2!", None),
        (3, "z", "3!", None),
        (4, "q", "text", None),
    ]
    assert not notes(source.run()["t"])


def notes(row: dict) -> list[str]:
    return json.loads(row["notes"] or "[]")


SMALL = "create table t (id int primary key, n int); insert into t select g, 0 from generate_series(1, 10) g"


def lose_by_drop(source):
    source.execute("select pg_drop_replication_slot(%s)", source.slot)


def lose_by_advance(source):
    source.execute(
        "set synchronous_commit = on; select pg_logical_emit_message(true, 'somebody', 'else')"
    )  # to the disk
    source.execute("select pg_replication_slot_advance(%s, pg_current_wal_lsn())", source.slot)


def lose_the_log(source):
    source.execute("alter system set max_slot_wal_keep_size = '1MB'")
    source.execute("select pg_reload_conf()")
    try:
        for _ in range(3):
            source.execute(
                "create table filler as select repeat('x', 500) from generate_series(1, 20000); drop table filler"
            )
            source.execute("select pg_switch_wal()")
            source.execute("checkpoint")
    finally:
        source.execute("alter system reset max_slot_wal_keep_size")
        source.execute("select pg_reload_conf()")
    assert source.execute("select wal_status from pg_replication_slots where slot_name = %s", source.slot) == [
        ("lost",)
    ]


@pytest.mark.parametrize(
    ("lose", "told"),
    [(lose_by_drop, "was removed"), (lose_by_advance, "was moved on"), (lose_the_log, "has lost its log")],
)
def test_a_slot_that_is_lost_is_a_whole_reading_that_is_announced(source, lose, told):
    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1 where id = 1")
    source.run()
    source.execute("update t set n = 5 where id = 2; delete from t where id = 3; insert into t values (11, 0)")
    lose(source)
    row = source.run()["t"]
    assert any(told in note and "as a whole once more" in note for note in notes(row)), notes(row)
    assert counts(row) == (10, 2, 8, 0, 1)  # what is unchanged is not loaded again
    source.is_equal("t")
    source.execute("update t set n = 6 where id = 2")
    assert counts(source.run()["t"]) == (1, 1, 0, 0, 0)
    source.is_equal("t")


def test_a_lost_slot_does_not_bring_back_what_was_not_loaded_before(source):
    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1 where id = 1")
    drained(source)  # in the spool, as a collector leaves it
    lose_by_advance(source)
    source.execute("update t set n = 0 where id = 1")
    lose_by_advance(source)
    source.run()
    source.is_equal("t")


def drained(source) -> None:
    """What is there is in the spool, and no run has loaded it."""
    capture = all_systems()["erp"].connect()
    live.drain(capture.source, capture.spool, lambda note: None)
    capture.close()


def test_a_slot_of_another_warehouse_is_left_alone(source):
    source.create(SMALL)
    source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", source.slot)
    message = source.warehouse.run("erp")["t"]["error"]
    assert "give this one a slot of its own" in message and "pg_drop_replication_slot" in message


@pytest.mark.parametrize(
    ("publication", "told"),
    [
        ("", "there is no publication catchment"),
        ("create publication catchment", "alter publication catchment add table"),
        ("create publication catchment for table t with (publish = 'insert, update')", "delete and truncate"),
        ("create publication catchment for table t where (n > 5)", "without where"),
        ("create publication catchment for table t (id)", "without n"),
    ],
)
def test_a_publication_that_lacks_something_says_what_to_do(source, run, publication, told):
    source.execute(SMALL)
    if publication:
        source.execute(publication)
    message = source.warehouse.run("erp")["t"]["error"]
    assert told in message
    code, out, _ = run("check", "erp")
    assert code == 1 and told in out
    source.execute("drop publication if exists catchment; create publication catchment for all tables")
    source.run()
    source.is_equal("t")


def test_one_table_without_publication_stops_no_other(source):
    source.create(
        "create table t (id int primary key); create table u (id int primary key); insert into t values (1)",
        "for table t",
    )
    ledger = source.warehouse.run("erp")
    assert "add table" in ledger["u"]["error"] and ledger["t"]["error"] is None
    source.execute("insert into t values (2); insert into u values (1)")
    source.warehouse.run("erp")
    assert source.current("t", "id") == [(1,), (2,)]


def test_a_role_that_may_not_replicate_is_told_how(source):
    source.create(SMALL)
    source.execute(f"alter role {READER} noreplication")
    assert "alter role ... replication" in source.warehouse.run("erp")["t"]["error"]


def test_a_transaction_of_which_a_part_has_come_waits(source, monkeypatch):
    source.create(SMALL)
    source.run()
    source.execute("insert into t select g, 0 from generate_series(100, 199) g")
    monkeypatch.setattr(slots, "AT_ONCE", 10)
    monkeypatch.setattr(spools, "ROWS", 10)
    acknowledge, calls = slots.Slot.acknowledge, []

    def die(self, items):
        calls.append(len(items))
        if sum(calls) > 50:
            raise OSError("No space left on device")
        acknowledge(self, items)

    monkeypatch.setattr(slots.Slot, "acknowledge", die)
    row = source.warehouse.run("erp")["t"]
    assert "No space left" in row["error"] and row["rows_loaded"] == 0
    assert len(list((source.warehouse.folder / "local.spool/erp").glob("*.parquet"))) > 2
    monkeypatch.setattr(slots.Slot, "acknowledge", acknowledge)
    assert source.run()["t"]["rows_loaded"] == 100
    source.is_equal("t")
    assert source.rows_of("t") == 110
    source.run()
    assert not list((source.warehouse.folder / "local.spool/erp").glob("*.parquet"))


def test_files_that_all_tables_have_loaded_leave_the_spool(source):
    source.create("create table t (id int primary key); create table u (id int primary key)")
    source.run()
    source.execute("insert into t values (1)")
    source.run()
    spool = source.warehouse.folder / "local.spool/erp"
    assert len(list(spool.glob("*.parquet"))) == 1
    source.execute("alter publication catchment set (publish = 'insert')")
    source.warehouse.run("erp")
    assert len(list(spool.glob("*.parquet"))) == 0  # both had loaded it
    source.execute("insert into t values (2)")
    source.warehouse.run("erp")
    source.warehouse.run("erp")
    assert len(list(spool.glob("*.parquet"))) >= 1  # neither has


def test_what_was_read_before_changes_were_captured_goes_on(source, monkeypatch):
    source.create(SMALL)
    monkeypatch.delenv("SOURCES__DATABASES__ERP__MODE")
    monkeypatch.delenv("SOURCES__DATABASES__ERP__SLOT")
    source.run()
    source.execute("delete from t where id = 4")
    source.run()
    source.database.configure(mode="cdc", slot=source.slot)
    source.execute("update t set n = 3 where id = 5; delete from t where id = 6")
    row = source.run()["t"]
    assert counts(row) == (8, 1, 7, 0, 1)
    source.is_equal("t")
    source.execute("insert into t values (4, 4); delete from t where id = 7")
    source.run()
    source.is_equal("t")
    monkeypatch.delenv("SOURCES__DATABASES__ERP__MODE")
    monkeypatch.delenv("SOURCES__DATABASES__ERP__SLOT")
    assert "set mode back to cdc" in source.warehouse.run("erp")["t"]["error"]


def test_a_dropped_table_is_gone_when_that_is_accepted(source):
    source.create(SMALL)
    source.run()
    source.execute("drop table t; create table u (id int primary key)")
    assert "accept-deletes" in source.warehouse.run("erp")["t"]["error"]
    source.run(accept_deletes=True)
    assert source.current("t", "id") == []
    source.execute("drop table u; " + SMALL)
    source.run()
    source.is_equal("t")


def test_a_full_run_reads_all_again_and_loads_nothing(source):
    source.create(SMALL)
    source.run()
    source.execute("update t set n = 1")
    source.run()
    assert counts(source.run(full=True)["t"]) == (20, 0, 20, 0, 0)  # ten changes, ten rows
    source.is_equal("t")


def test_a_collector_and_runs_side_by_side(source):
    source.create(SMALL)
    over = threading.Event()
    told = []
    capture = all_systems()["erp"].connect()
    collector = threading.Thread(target=live.collect, args=(capture.source, capture.spool, over.is_set, told.append))
    collector.start()
    try:
        wait_for(lambda: "connected" in told)
        source.run()
        for number in range(5):
            source.execute("update t set n = %s", number)
            wait_for(lambda: len(capture.spool.files()) > 0)
            source.run()
    finally:
        over.set()
        collector.join()
    source.run()
    source.is_equal("t")
    assert source.warehouse.query("select count(*), count(distinct (_key, _version)) from raw_erp.t") == [(60, 60)]


def test_an_idle_database_holds_back_no_log(source, monkeypatch):
    source.create(SMALL)
    monkeypatch.setattr(slots, "HEARTBEAT", 0.2)
    monkeypatch.setattr(slots, "CONFIRM_AFTER", 0.1)
    over, capture = threading.Event(), all_systems()["erp"].connect()
    collector = threading.Thread(
        target=live.collect, args=(capture.source, capture.spool, over.is_set, lambda text: None)
    )
    collector.start()
    try:
        wait_for(lambda: confirmed(source) is not None)
        with source.database.server.connect("postgres") as other:
            other.execute("create table if not exists elsewhere (n int)")
            other.execute("insert into elsewhere select generate_series(1, 10000)")
            other.commit()
        ((there,),) = source.execute("select pg_current_wal_lsn()::text")
        wait_for(
            lambda: (
                source.execute(
                    "select %s::pg_lsn <= confirmed_flush_lsn from pg_replication_slots where slot_name = %s",
                    there,
                    source.slot,
                )
                == [(True,)]
            )
        )
    finally:
        over.set()
        collector.join()


def confirmed(source):
    rows = source.execute(
        "select confirmed_flush_lsn::text from pg_replication_slots where slot_name = %s and active", source.slot
    )
    return rows[0][0] if rows else None


def wait_for(condition, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@BOTH
def test_a_lake_has_changes_too(postgres_database, warehouse):
    source = Source(postgres_database, warehouse)
    try:
        source.create(
            """
                create table t (id int primary key, big text);
                alter table t alter big set storage external;
                create table u (id int primary key)
            """
        )
        source.execute(
            """
                insert into t select g, (select string_agg(md5((g * h)::text), '') from generate_series(1, 200) h)
                from generate_series(1, 5) g;
                insert into u values (1)
            """
        )
        source.run()
        source.execute("update t set id = id + 10 where id < 3; delete from t where id = 4; truncate u")
        source.run()
        source.execute("update t set id = id + 10 where id < 13; insert into u values (2)")
        source.run()
        source.is_equal("t", "u")
    finally:
        lose_by_drop(source)
