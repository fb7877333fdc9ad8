"""A MariaDB that is only configured: every type, every change of rows, by the database's own cursor or a declared one.

What can happen to a table is told as a story; all stories are lived through side by side, since a run over many tables
costs little more than over one. Each test then looks at one of them.
"""

import contextlib
import dataclasses
import itertools
import json
import threading
from urllib.parse import quote

import pytest
from conftest import Warehouse, counts, current_query

from databases.conftest import MYSQL_PASSWORD, MySQLDatabase
from ingestion import sql
from sandbox.shop import READER

# Types.

TEXT, TIME = "VARCHAR", "TIMESTAMP WITH TIME ZONE"
DIGITS = "9" * 65
# The declared type, the type in raw, and values as they are written and as raw has them; a tuple: not in the column
# but, as this text, in `_unknown_fields`. NULL is in all of them.
TYPES = {
    "tinyint(1)": ("BIGINT", {"2": "2", "true": "1", "-128": "-128"}),
    "tinyint unsigned": ("BIGINT", {"255": "255"}),
    "smallint": ("BIGINT", {"-32768": "-32768"}),
    "mediumint unsigned": ("BIGINT", {"16777215": "16777215"}),
    "int unsigned": ("BIGINT", {"4294967295": "4294967295"}),
    "int(5) unsigned zerofill": ("BIGINT", {"42": "42"}),
    "bigint": ("BIGINT", {str(-(2**63)): str(-(2**63)), str(2**63 - 1): str(2**63 - 1)}),
    "bigint unsigned": ("DECIMAL(20,0)", {str(2**64 - 1): str(2**64 - 1), "0": "0"}),
    "decimal(5,2)": ("DECIMAL(5,2)", {"999.99": "999.99", "-0.01": "-0.01"}),
    "decimal(10,2) unsigned zerofill": ("DECIMAL(10,2)", {"1.5": "1.50"}),
    "decimal(38,0)": ("DECIMAL(38,0)", {"9" * 38: "9" * 38, "-" + "9" * 38: "-" + "9" * 38}),
    "decimal(38,38)": ("DECIMAL(38,38)", {"0." + "1" * 38: "." + "1" * 38}),
    "decimal(39,1)": (TEXT, {"1.5": "1.5"}),
    "decimal(65,0)": (TEXT, {DIGITS: DIGITS, "-" + DIGITS: "-" + DIGITS}),
    "decimal(65,38)": (TEXT, {f"{DIGITS[:27]}.{DIGITS[:38]}": f"{DIGITS[:27]}.{DIGITS[:38]}"}),
    "float": (
        "FLOAT",
        {"0.1": "0.1", "3.4028234663852886e38": "3.4028235e+38", "-1.1754943508222875e-38": "-1.1754944e-38"},
    ),
    "double": (
        "DOUBLE",
        {
            "0.1": "0.1",
            "1.7976931348623157e308": "1.7976931348623157e+308",
            "2.2250738585072014e-308": "2.2250738585072014e-308",
            "-0.30000000000000004": "-0.30000000000000004",
        },
    ),
    "bit(1)": (TEXT, {"b'1'": "1", "b'0'": "0"}),
    "bit(12)": (TEXT, {"b'101'": "000000000101"}),
    "bit(64)": (TEXT, {f"b'{'1' * 64}'": "1" * 64, f"b'1{'0' * 63}'": "1" + "0" * 63}),
    "year": ("BIGINT", {"1901": "1901", "2155": "2155", "0": "0"}),
    "date": (
        "DATE",
        {
            "'1000-01-01'": "1000-01-01",
            "'9999-12-31'": "9999-12-31",
            "'0000-00-00'": ("0000-00-00",),
            "'2026-00-00'": ("2026-00-00",),
            "'2026-03-00'": ("2026-03-00",),
        },
    ),
    "datetime": ("TIMESTAMP", {"'2026-03-29 02:30:00'": "2026-03-29 02:30:00"}),
    "datetime(6)": (
        "TIMESTAMP",
        {
            "'2026-03-01 12:00:00.123456'": "2026-03-01 12:00:00.123456",
            "'9999-12-31 23:59:59.999999'": "9999-12-31 23:59:59.999999",
            "'0000-00-00'": ("0000-00-00 00:00:00.000000",),
            "'2026-00-01 10:00:00'": ("2026-00-01 10:00:00.000000",),
        },
    ),
    # Written in the server's time zone, +05:30.
    "timestamp(3) null": (
        TIME,
        {
            "'2026-03-01 05:30:00.125'": "2026-03-01 00:00:00.125+00",
            "'1970-01-01 05:30:01'": "1970-01-01 00:00:01+00",
            "'2038-01-19 08:44:07.999'": "2038-01-19 03:14:07.999+00",
            "'0000-00-00'": ("0000-00-00 00:00:00.000",),
        },
    ),
    "time": (TEXT, {"'838:59:59'": "838:59:59", "'-838:59:59'": "-838:59:59", "'-0:00:01'": "-00:00:01"}),
    "time(6)": (TEXT, {"'25:00:00.000001'": "25:00:00.000001", "'1:02'": "01:02:00.000000"}),
    "char(3)": (TEXT, {"'a'": "a", "''": "", "'äöü'": "äöü"}),
    "varchar(9)": (TEXT, {"'x '": "x ", "'\U0001f600'": "\U0001f600", "'\\N'": "N", "'NULL'": "NULL"}),
    "varchar(10) character set latin1": (TEXT, {"'Zoë ß €'": "Zoë ß €"}),
    "varchar(11) character set latin1 collate latin1_bin": (TEXT, {"'Zoë'": "Zoë"}),
    "varchar(12) collate utf8mb4_bin": (TEXT, {"'Ä\U0001f600'": "Ä\U0001f600", "'a\\\\b'": "a\\b"}),
    "varchar(13) character set ucs2": (TEXT, {"'Zoë'": "Zoë"}),
    "tinytext": (TEXT, {"'a\\nb\\t\\'\\\"'": "a\nb\t'\""}),
    "longtext": (TEXT, {"repeat('ä', 100000)": "ä" * 100000}),
    "json": (
        TEXT,
        {
            """'{"ä": "q\\\\"\\\\\\\\ \U0001f600",  "n": 12345678901234567890.10}'""": (
                '{"ä": "q\\"\\\\ \U0001f600",  "n": 12345678901234567890.10}'
            ),
            "'null'": "null",
        },
    ),
    "enum('good', 'it''s', 'ä')": (TEXT, {"'it''s'": "it's", "3": "ä"}),
    "set('a', 'b', 'c d')": (TEXT, {"'c d,a'": "a,c d", "''": ""}),
    "uuid": (TEXT, {"'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
    "inet4": (TEXT, {"'10.0.0.1'": "10.0.0.1"}),
    "inet6": (TEXT, {"'::ffff:10.0.0.1'": "::ffff:10.0.0.1", "'2001:DB8::1'": "2001:db8::1"}),
    "binary(4)": ("BLOB", {"x'00ff'": "\\x00\\xFF\\x00\\x00"}),
    "varbinary(9)": ("BLOB", {"x'00ff41'": "\\x00\\xFFA", "''": ""}),
    "mediumblob": ("BLOB", {"x'5c27c3a4'": "\\x5C\\x27\\xC3\\xA4", "''": ""}),
    "point": (TEXT, {"point(1, 0.30000000000000004)": "POINT(1 0.30000000000000004)"}),
    "geometrycollection": (
        TEXT,
        {"st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 2))')": "GEOMETRYCOLLECTION(POINT(1 2))"},
    ),
}
WIDE = [name for name in TYPES if name.startswith(("decimal(39", "decimal(65"))]


@contextlib.contextmanager
def configured(server, name: str, folder):
    """An empty database, configured as the system `erp`, and an empty warehouse."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DBT_TARGET", "local")
        monkeypatch.setenv("WAREHOUSE_DIR", str(folder))
        database = MySQLDatabase(server, name, monkeypatch)
        server.execute(f"create database {name}; grant select on {name}.* to {READER}@'127.0.0.1'")
        database.configure()
        yield database, Warehouse(folder)
        server.execute(f"revoke select on {name}.* from {READER}@'127.0.0.1'; drop database {name}")


@pytest.fixture(scope="module")
def types(mariadb, tmp_path_factory):
    """The ledgers of a first and a full second read, raw's rows in order, and the types of its columns."""
    with configured(mariadb, "types", tmp_path_factory.mktemp("types")) as (database, warehouse):
        columns = ", ".join(f"v{number} {name}" for number, name in enumerate(TYPES))
        rows = itertools.zip_longest(*(values for _, values in TYPES.values()), fillvalue="null")
        rows = [*rows, ["null"] * len(TYPES)]
        values = ", ".join(f"({number}, {', '.join(row)})" for number, row in enumerate(rows))
        database.execute(f"create table t (id int primary key, {columns}); insert into t values {values}")
        ledgers = [warehouse.run("erp")["t"], warehouse.run("erp", full=True)["t"]]
        texts = ", ".join(f"cast(v{number} as varchar)" for number in range(len(TYPES)))
        landed = warehouse.query(f"select _unknown_fields, {texts} from raw_erp.t order by id")
        declared = "select column_name, data_type from duckdb_columns() where schema_name = 'raw_erp'"
        yield ledgers, landed, dict(warehouse.query(declared))


@pytest.mark.parametrize("name", TYPES)
def test_type(types, name):
    """It lands in its type with its values; what is no value of it is kept as text."""
    ledgers, landed, declared = types
    number = list(TYPES).index(name)
    raw_type, values = TYPES[name]
    assert declared[f"v{number}"] == raw_type
    for (unknown, *row), expected in itertools.zip_longest(landed, values.values()):
        kept = json.loads(unknown or "{}").get(f"v{number}")
        assert (row[number], kept) == ((None, *expected) if isinstance(expected, tuple) else (expected, None))
    notes = [note for note in json.loads(ledgers[0]["notes"] or "[]") if note.startswith(f"v{number} ")]
    assert [note.startswith(f"v{number} is {name}, wider than any decimal") for note in notes] == [True] * (
        name in WIDE
    )


def test_second_full_read_loads_nothing(types):
    first, second = (counts(ledger) for ledger in types[0])
    assert first == (6, 6, 0, 0, 0)
    assert second == (6, 0, 6, 0, 0)


# Stories.


@dataclasses.dataclass(frozen=True)
class Story:
    """What happens to a table, `{t}`, before each run, and the rows that are then read, loaded, marked gone.

    `stream` is what the configuration declares; `columns` are compared, as texts, with what raw holds.
    """

    chapters: list[tuple[str, tuple[int, int, int]]]
    stream: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: str = "v"


# A key's definition and eight keys.
KEYS = {
    "int": ("id int", ["-2147483648", "-1", "0", "1", "65535", "65536", "70000", "2147483647"]),
    "bigint_unsigned": ("id bigint unsigned", ["0", "1", "2", "3", "4", "9", str(2**63), str(2**64 - 1)]),
    "uuid": ("id uuid", [f"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{n}'" for n in range(11, 19)]),
    "text": ("id varchar(20)", ["''", "'ä\U0001f600'", "'a,b'", "'\"'", "'\\n'", "'null'", "'it''s'", "'a\\\\b'"]),
    "cased": ("id varchar(20) collate utf8mb4_bin", [f"'{word}'" for word in ("a", "A", "ä", "Ä", "b", "B", "c", "C")]),
    "latin1": ("id varchar(20) character set latin1", [f"'{letter}ß'" for letter in "abcdefgh"]),
    "enum": ("id enum('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')", [f"'{letter}'" for letter in "abcdefgh"]),
    "several": (
        "id int, part varchar(9)",
        [f"{n}, '{part}'" for n in (1, 2) for part in ("", '"', "a''", "\U0001f600")],
    ),
    "several_with_date": ("id date, part int", [f"'2026-03-0{n}', {n}" for n in range(1, 9)]),
    "datetime": ("id datetime(6)", [f"'2026-03-01 00:00:00.00000{n}'" for n in range(1, 9)]),
    "decimal": ("id decimal(38,0)", [f"{DIGITS[:37]}{n}" for n in range(1, 9)]),
    "wide_decimal": ("id decimal(65,0)", [f"{DIGITS[:-1]}{n}" for n in range(1, 9)]),
    "binary": ("id varbinary(9)", ["x'00'", "x'ff'", "x'5c'", "x'27'", "x'41'", "x'c3a4'", "x'0a'", "x'22'"]),
}


def keyed(name: str) -> Story:
    """Rows come, change, go and come again, with cursors long past."""
    definition, keys = KEYS[name]
    names = ", ".join(part.split()[0] for part in definition.split(", ")) if name != "enum" else "id"
    k = dict(enumerate(keys, start=1))
    first = ", ".join(f"({key}, 'v{n}', '2026-03-0{n}')" for n, key in list(k.items())[:6])
    return Story(
        [
            (f"create table {{t}} ({definition}, v text, c datetime, primary key ({names}));"
             f"insert into {{t}} values {first}", (6, 6, 0)),
            (f"""insert into {{t}} values ({k[7]}, 'v7', '2026-03-01');
                update {{t}} set v = 'new', c = '2026-01-01' where ({names}) = ({k[2]});
                delete from {{t}} where ({names}) in (({k[3]}), ({k[4]}), ({k[5]}));
                insert into {{t}} values ({k[8]}, 'v4', '2026-03-04'), ({k[5]}, 'new', '2026-02-01')""", (5, 4, 2)),
        ],
        {"cursor": "c"},
    )  # fmt: skip


def when(definition: str, values: list[str], stream: dict[str, str], reads=(4, 4)) -> Story:
    """A tie with the bound, a late row, a step backwards, a NULL; `reads` are the later runs'."""
    c = dict(enumerate(values))
    return Story(
        [
            (f"""create table {{t}} (id int primary key, v text, c {definition});
                insert into {{t}} values (1, 'a', {c[1]}), (2, 'b', {c[2]}), (3, 'c', {c[3]})""", (3, 3, 0)),
            (f"""insert into {{t}} values (4, 'a tie', {c[3]}), (5, 'late', {c[1]});
                update {{t}} set v = 'back', c = {c[0]} where id = 1; delete from {{t}} where id = 2""",
             (reads[0], 3, 1)),
            (f"""insert into {{t}} values (6, 'null', null), (7, 'new', {c[4]});
                update {{t}} set v = 'tied' where id = 4""", (reads[1], 3, 0)),
        ],
        stream,
    )  # fmt: skip


DAYS = [f"'2026-03-0{number}'" for number in (1, 3, 5, 7, 9)]
FIFTY = "select concat('x', seq), 'v', '2026-03-07' from seq_1_to_50"
STORIES = {f"key_{name}": keyed(name) for name in KEYS} | {
    "timestamp_found": when("timestamp(6) null on update current_timestamp(6)", DAYS, {}),
    "datetime_found": when("datetime null default now() on update current_timestamp()", DAYS, {}),
    "datetime_declared": when("datetime(6)", DAYS, {"cursor": "c"}),
    "date_declared": when("date", DAYS, {"cursor": "c"}),
    "integer_declared": when("int", ["-2", "-1", "0", "1", "2"], {"cursor": "c"}),
    "text_declared": when("varchar(20)", DAYS, {"cursor": "c"}, (4, 6)),
    "zero_dates": when("datetime", ["'0000-00-00'", *DAYS[1:]], {"cursor": "c"}),
    "full": when("datetime on update current_timestamp", DAYS, {"mode": "full"}, (4, 6)),
    "equal_cursors": Story(
        [
            ("create table {t} (id varchar(9) primary key, v text, c date);"
             f"insert into {{t}} {FIFTY}; insert into {{t}} values ('last', 'v', '2026-03-08')", (51, 51, 0)),
            (f"delete from {{t}} where id like 'x%'; insert into {{t}} {FIFTY.replace('seq)', '-seq)')}", (51, 50, 50)),
        ],
        {"cursor": "c"},
    ),
    "keyless": Story(
        [
            ("create table {t} (a int, v text, b blob); insert into {t} values (1, 'x', null), (1, 'x', null), "
             "(2, null, ''), (null, null, null)", (4, 4, 0)),
            ("delete from {t} where a = 1 limit 1; insert into {t} values (null, null, null)", (4, 1, 1)),
        ],
        columns="concat(coalesce(a, 0), coalesce(v, '-'))",
    ),
    "null_in_unique": Story(
        [("create table {t} (a int unique, v text); insert into {t} values (null, 'x'), (null, 'x')", (2, 2, 0))]
    ),
    "unique_never_null": Story(
        [
            ("create table {t} (a int not null unique, v text); insert into {t} values (1, 'x'), (2, 'y')", (2, 2, 0)),
            ("update {t} set v = 'z' where a = 1", (2, 1, 0)),
        ]
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(mariadb, tmp_path_factory):
    """What each run made of the stories: the ledger, and raw's and the source's rows by table."""
    with configured(mariadb, "stories", tmp_path_factory.mktemp("stories")) as (database, warehouse):
        database.configure(streams={name: story.stream for name, story in STORIES.items() if story.stream})
        told = []
        for number in range(3):
            now = {name: story for name, story in STORIES.items() if number < len(story.chapters)}
            database.execute(";".join(story.chapters[number][0].replace("{t}", name) for name, story in now.items()))
            ledger, rows = warehouse.run("erp", streams=tuple(now)), {}
            assert not warehouse.errors
            ours = {name: current_query(f"raw_erp.{name}", story.columns) for name, story in now.items()}
            theirs = {name: f"select {story.columns} from {name}" for name, story in now.items()}
            for side, queries, query in ((0, ours, warehouse.query), (1, theirs, database.execute)):
                found = " union all ".join(f"select '{name}', x.* from ({sql}) as x" for name, sql in queries.items())
                for name, text in query(found):
                    rows.setdefault(name, ([], []))[side].append(text or "")
            told.append((ledger, rows))
        yield told


@pytest.mark.parametrize("name", STORIES)
def test_story(told, name):
    """Each run counted what the story says, and raw was the source's table after it."""
    for number, ((_, expected), (ledger, rows)) in enumerate(zip(STORIES[name].chapters, told, strict=False), start=1):
        assert ledger[name]["error"] is None, f"run {number}"
        ours, theirs = rows[name]
        assert sorted(ours) == sorted(theirs), f"run {number}"
        assert tuple(counts(ledger[name])[index] for index in (0, 1, 4)) == expected, f"run {number}"


# What does not fit a story.


def test_views_and_other_schemas(mysql_database, mariadb, warehouse):
    """A view is read only where it is named; another database of the server is another schema."""
    other = f"{mysql_database.name}_2"
    mysql_database.execute(f"""
        create table orders (id int primary key, v text); insert into orders values (1, 'a'), (2, 'b');
        create view big_orders as select * from orders where id > 1;
        create database {other}; grant select on {other}.* to {READER}@'127.0.0.1';
        create table {other}.`Order;s``2` (`select` int primary key); insert into {other}.`Order;s``2` values (7);
    """)
    try:
        assert {name: counts(row)[:2] for name, row in warehouse.run("erp").items()} == {"orders": (2, 2)}
        mysql_database.configure(schemas=[mysql_database.name, other], tables=["big*", f"{other}.*"])
        there = f"{other}__order_s_2"
        ledger = warehouse.run("erp")
        assert {name: counts(row)[:2] for name, row in ledger.items()} == {"big_orders": (1, 1), there: (1, 1)}
        assert warehouse.query(f'select "select" from raw_erp.{there}') == [(7,)]
    finally:
        mariadb.execute(f"revoke select on {other}.* from {READER}@'127.0.0.1'; drop database {other}")


def test_what_may_not_be_read(mysql_database, mariadb, run):
    """A role without a table says so, and one that may read a single table reads that."""
    name = mysql_database.name
    mysql_database.execute("create table open (id int primary key); create table shut (id int primary key)")
    mariadb.execute(f"revoke select on {name}.* from {READER}@'127.0.0.1'; grant select on {name}.open to "
                    f"{READER}@'127.0.0.1'")  # fmt: skip
    try:
        code, out, err = run("run", "erp")
        assert code == 0 and "open" in out and "shut" not in out + err
        mariadb.execute(f"revoke select on {name}.open from {READER}@'127.0.0.1'")
        mariadb.execute(f"grant create on {name}.* to {READER}@'127.0.0.1'")
        code, out, err = run("run", "erp")
        assert code == 1 and "has no table that may be seen" in out + err
    finally:
        mariadb.execute(f"revoke create on {name}.* from {READER}@'127.0.0.1'")
        mariadb.execute(f"grant select on {name}.* to {READER}@'127.0.0.1'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.rpartition("/")[0], "the URL names no database; write mysql://user:password@host/database"),
        (lambda url: url.replace("Zo", "").replace("P%C3%A4", "x"), "Access denied for user"),
        (lambda url: url.replace(url[url.rindex(":") :], ":1/erp"), "Check its credentials, and that the server is up"),
    ],
    ids=["no_database", "wrong_password", "no_server"],
)
def test_no_connection(mysql_database, run, change, message):
    """The reason in one line, and never the password."""
    mysql_database.url = change(mysql_database.url)
    mysql_database.configure()
    code, out, err = run("run", "erp")
    assert code == 1 and message in out + err
    assert quote(MYSQL_PASSWORD, safe="") not in out + err and MYSQL_PASSWORD not in out + err


@pytest.mark.parametrize("kills", [1, 99])
def test_killed_in_the_middle_of_a_read(mysql_database, mariadb, warehouse, monkeypatch, kills):
    """The read is repeated, and all rows are there once; or the table fails, and nothing of it has landed."""
    mysql_database.execute("""
        create table large (id int primary key, v varchar(50));
        insert into large select seq, repeat('x', 50) from seq_1_to_300000
    """)
    monkeypatch.setattr(sql.time, "sleep", lambda seconds: None)
    killed, done = [], threading.Event()

    def kill() -> None:
        while not done.is_set() and len(killed) < kills:
            reading = "select id from information_schema.processlist where info like '%`v`%large%' and user = '%s'"
            for (number,) in mariadb.execute(reading.replace("%s", READER)):
                with contextlib.suppress(RuntimeError):  # done already
                    mariadb.execute(f"kill {number}")
                    killed.append(number)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        row = warehouse.run("erp")["large"]
    finally:
        done.set()
        killer.join()
    assert killed
    if kills == 1:
        assert counts(row) == (300000, 300000, 0, 0, 0)
        assert warehouse.query("select count(*), count(distinct id), sum(length(v)) from raw_erp.large") == [
            (300000, 300000, 15000000)
        ]
    else:
        assert row["error"] and row["rows_loaded"] == 0
        assert warehouse.query("select count(*) from raw_erp.large") == [(0,)]
