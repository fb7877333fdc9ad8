"""A PostgreSQL that is only configured: every type, every change of rows, of tables and of the configuration.

What can happen to a table is told as a story. All stories are lived through side by side, run by run, since a run
over many tables costs little more than over one; each test then looks at one of them.
"""

import contextlib
import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import duckdb
import pytest
from conftest import PASSWORD, Warehouse, counts, current_query
from databases.conftest import PostgresDatabase

from ingestion import pipeline, sql
from ingestion.stream import Run
from ingestion.systems import all_systems
from sandbox.shop import READER


@contextlib.contextmanager
def configured(server, name: str, folder, monkeypatch) -> Iterator[tuple[PostgresDatabase, Warehouse]]:
    """An empty database, configured as the system `erp`, and an empty warehouse."""
    with server.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute("alter system set autovacuum = off")  # its transactions would make some rows be read twice
        connection.execute("select pg_reload_conf()")
        connection.execute(f"create database {name}")
    monkeypatch.setenv("DBT_TARGET", "local")
    monkeypatch.setenv("WAREHOUSE_DIR", str(folder))
    database = PostgresDatabase(server, name, monkeypatch)
    database.execute(f"""
        alter default privileges grant usage on schemas to {READER};
        alter default privileges grant select on tables to {READER};
    """)
    database.configure()
    yield database, Warehouse(folder)
    with server.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def erp(postgres, tmp_path, monkeypatch, request):
    """An empty database of the test's own, configured as `erp`."""
    name = f"erp_{abs(hash(request.node.nodeid))}"
    with configured(postgres, name, tmp_path / "a warehouse", monkeypatch) as (database, _):
        yield database


# Types.

# How DuckDB's scanner and, where it would lose something, a query hand it over: the declared type, the type in raw, and
# values as they are written and as raw has them; a tuple: not in the column but, as this text, in `_unknown_fields`.
SCANNED = {
    "boolean": ("BOOLEAN", {"true": "true", "false": "false"}),
    "smallint": ("BIGINT", {"-32768": "-32768"}),
    "integer": ("BIGINT", {"2147483647": "2147483647"}),
    "bigint": (
        "BIGINT",
        {"-9223372036854775808": "-9223372036854775808", "9223372036854775807": "9223372036854775807"},
    ),
    "oid": ("BIGINT", {"4294967295": "4294967295"}),
    "real": ("FLOAT", {"0.1": "0.1", "3.4028235e38": "3.4028235e+38", "NaN": "nan", "-Infinity": "-inf", "-0": "-0.0"}),
    "double precision": (
        "DOUBLE",
        {"0.1": "0.1", "1.7976931348623157e308": "1.7976931348623157e+308", "5e-324": "5e-324", "Infinity": "inf"},
    ),
    "numeric(5,2)": ("DECIMAL(5,2)", {"999.99": "999.99", "-0.01": "-0.01", "NaN": ("NaN",)}),
    "numeric(38,0)": ("DECIMAL(38,0)", {"9" * 38: "9" * 38}),
    "numeric(38,38)": ("DECIMAL(38,38)", {"0." + "1" * 38: "." + "1" * 38, "NaN": ("NaN",)}),
    "text": ("VARCHAR", {"": "", "a\nb\x01 ☕": "a\nb\x01 ☕", "\\N": "\\N", "NULL": "NULL"}),
    "varchar(5)": ("VARCHAR", {"x ": "x "}),
    "char(3)": ("VARCHAR", {"a": "a", "abc": "abc"}),
    "json": ("VARCHAR", {'{"a": 1.0,  "a": 2}': '{"a": 1.0,  "a": 2}'}),
    "jsonb": (
        "VARCHAR",
        {
            '{"n": 123456789012345678901234567890, "f": 1.10}': '{"f": 1.10, "n": 123456789012345678901234567890}',
            "null": "null",
        },
    ),
    "uuid": ("UUID", {"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
    "bytea": ("BLOB", {"\\x00ff41": "\\x00\\xFFA", "": ""}),
    "date": (
        "DATE",
        {
            "2026-03-01": "2026-03-01",
            "infinity": "infinity",
            "-infinity": "-infinity",
            "4713-01-01 BC": "4713-01-01 (BC)",
            "5874897-12-31": "5874897-12-31",
        },
    ),
    "time": (
        "VARCHAR",
        {"00:00": "00:00:00", "12:30:00.5": "12:30:00.5", "23:59:59.999999": "23:59:59.999999", "24:00:00": "24:00:00"},
    ),
    "timestamp": (
        "TIMESTAMP",
        {
            "2026-03-01 12:00:00.123456": "2026-03-01 12:00:00.123456",
            "infinity": "infinity",
            "-infinity": "-infinity",
            "4714-11-24 BC": "4714-11-24 (BC) 00:00:00",
            "287395-12-31 23:59:59.999999": "287395-12-31 23:59:59.999999",
            "287396-01-01 00:00:00.000001": ("287396-01-01T00:00:00.000001",),
            "294276-12-31 23:59:59.999999": ("294276-12-31T23:59:59.999999",),
        },
    ),
    "timestamptz": (
        "TIMESTAMP WITH TIME ZONE",
        {
            "2026-03-01 12:00:00.123456+02": "2026-03-01 10:00:00.123456+00",
            "infinity": "infinity",
            "-infinity": "-infinity",
            "0044-03-15 00:00+00 BC": "0044-03-15 (BC) 00:00:00+00",
            "287395-12-31 23:59:59.999999+00": "287395-12-31 23:59:59.999999+00",
            "294276-12-31 23:59:59+00": ("294276-12-31T23:59:59+00:00",),
        },
    ),
}
TEXT = "VARCHAR"
DIGITS = "123456789012345678901234567890123456789012345"
QUERIED = {
    "numeric": (TEXT, {DIGITS: DIGITS, "NaN": "NaN", "-Infinity": "-Infinity", "1.10": "1.10", "1e-7": "0.0000001"}),
    "numeric(39,2)": (TEXT, {"1.5": "1.50"}),
    "numeric(5,-2)": (TEXT, {"12345": "12300"}),
    "numeric(2,5)": (TEXT, {"0.00012": "0.00012"}),
    "price": ("DECIMAL(12,2)", {"1.5": "1.50", "NaN": ("NaN",)}),
    "short": (TEXT, {"abc": "abc"}),
    "positive": ("BIGINT", {"7": "7"}),
    "dearer": (TEXT, {"1.5": "1.50"}),
    "mood": (TEXT, {"it's": "it's"}),
    'public."date"': (TEXT, {"a date": "a date"}),
    "pair": (TEXT, {'(1,"x, y")': '{"a":1,"b":"x, y"}'}),
    "money": (
        "DECIMAL(22,4)",
        {
            "12.5": "12.5000",
            "-92233720368547758.08": "-92233720368547758.0800",
            "92233720368547758.07": "92233720368547758.0700",
        },
    ),
    '"char"': (TEXT, {"x": "x", "\\377": "\\377"}),
    "bpchar": (TEXT, {"ab  ": "ab"}),
    "name": (TEXT, {"n": "n"}),
    "timetz": (TEXT, {"12:30+02": "12:30:00+02", "24:00:00-15:59": "24:00:00-15:59"}),
    "interval": (TEXT, {"1 mon 25:00:00": "1 mon 25:00:00", "-1 year 2 days": "-1 years +2 days"}),
    "bit(3)": (TEXT, {"101": "101"}),
    "varbit": (TEXT, {"": "", "1010": "1010"}),
    "tsvector": (TEXT, {"a:1 b:2": "'a':1 'b':2"}),
    "tsquery": (TEXT, {"a & !b": "'a' & !'b'"}),
    "inet": (TEXT, {"::1": "::1/128", "10.0.0.1/8": "10.0.0.1/8"}),
    "cidr": (TEXT, {"10.0.0.0/8": "10.0.0.0/8"}),
    "macaddr": (TEXT, {"08:00:2b:01:02:03": "08:00:2b:01:02:03"}),
    "point": (TEXT, {"(1,0.30000000000000004)": "(1,0.30000000000000004)", "(NaN,Infinity)": "(NaN,Infinity)"}),
    "polygon": (TEXT, {"((0,0),(1,1),(1,0))": "((0,0),(1,1),(1,0))"}),
    "circle": (TEXT, {"<(0,0),1>": "<(0,0),1>"}),
    "int4range": (TEXT, {"[1,5)": "[1,5)", "empty": "empty", "(,)": "(,)"}),
    "numrange": (TEXT, {f"[1.10,{DIGITS}]": f"[1.10,{DIGITS}]"}),
    "daterange": (TEXT, {"[2026-03-01,2026-03-05]": "[2026-03-01,2026-03-06)"}),
    "tstzrange": (TEXT, {"[2026-03-01 00:00+00,infinity)": '["2026-03-01 00:00:00+00",infinity)'}),
    "int4multirange": (TEXT, {"{[1,3),[5,7)}": "{[1,3),[5,7)}"}),
    "int[]": (TEXT, {"{1,null,3}": "[1,null,3]", "{{1,2},{3,4}}": "[[1,2],[3,4]]", "{}": "[]"}),
    "text[]": (TEXT, {'{"a,b","\\"q\\"",null,"null",☕}': '["a,b","\\"q\\"",null,"null","☕"]'}),
    "numeric[]": (TEXT, {f"{{NaN,{DIGITS}.10}}": f'["NaN",{DIGITS}.10]'}),
    "float8[]": (TEXT, {"{Infinity,0.30000000000000004}": '["Infinity",0.30000000000000004]'}),
    "timestamptz[]": (TEXT, {"{2026-03-01 12:00+00,infinity}": '["2026-03-01T12:00:00+00:00","infinity"]'}),
    "bytea[]": (TEXT, {'{"\\\\x00ff"}': '["\\\\x00ff"]'}),
    "jsonb[]": (TEXT, {'{"{\\"a\\": 12345678901234567890123}"}': '[{"a": 12345678901234567890123}]'}),
    "mood[]": (TEXT, {"{good,it's}": '["good","it\'s"]'}),
    "price[]": (TEXT, {"{1.50}": "[1.50]"}),
    "citext": (TEXT, {"Abc": "Abc"}),
    "strange": (TEXT, {"Abc": "Abc"}),
    "pg_lsn": (TEXT, {"16/B374D848": "16/B374D848"}),
    "xid8": (TEXT, {"18446744073709551615": "18446744073709551615"}),
    "jsonpath": (TEXT, {"$.a": '$."a"'}),
}
NOTED = {
    "numeric": "is numeric, wider than any decimal of ours: it lands as text, so that no digit is lost",
    "numeric(39,2)": "is numeric(39,2), wider than any",
    "numeric(5,-2)": "is numeric(5,-2), wider than any",
    "numeric(2,5)": "is numeric(2,5), wider than any",
    "dearer": "is of the type dearer, which has no mapping: it lands as text",
    "pair": "is of the type pair, which has no mapping",
    "strange": "is of the type strange, which has no mapping",
}

# The extension citext is not in every PostgreSQL; its type, and one that nobody knows, are made as it makes it.
OUR_TYPES = """
    create type mood as enum ('good', 'it''s');
    create type public."date" as enum ('a date');
    create type pair as (a int, b text);
    create domain price as numeric(12,2);
    create domain short as varchar(5);
    create domain positive as integer check (value > 0);
    create domain dearer as price check (value > 1);
""" + "".join(
    f"""
    create type {name};
    create function {name}_in(cstring) returns {name} language internal immutable strict as 'textin';
    create function {name}_out({name}) returns cstring language internal immutable strict as 'textout';
    create type {name} (input = {name}_in, output = {name}_out, like = text);
    """
    for name in ("citext", "strange")
)
# What a database or role may have set, by which PostgreSQL would write values otherwise.
IN_OTHER_WORDS = {
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "iso_8601",
    "timezone": "'Asia/Kathmandu'",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "search_path": "''",
}
TABLES = {"scanned": SCANNED, "queried": QUERIED}
FIRST, LATER = 0, 1000
"""What ids are counted from, by the run that first reads them."""


def written(table: str, name: str, start: int) -> list[tuple[str, str | tuple[str]]]:
    """A column's values, as written and as expected: at first such as the scanner can read, later those too that keep
    it from being used."""
    values = TABLES[table][name][1].items()
    return [(text, raw) for text, raw in values if start == LATER or table == "queried" or isinstance(raw, str)]


@pytest.fixture(scope="module")
def types(postgres, tmp_path_factory):
    """The types' tables after a first read, an increment, a full read, and one with other settings of the session.

    Returns the ledgers of the four, raw's rows by table and id, and the types of its columns.
    """
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        configured(postgres, "types", tmp_path_factory.mktemp("types"), monkeypatch) as (database, warehouse),
    ):
        database.execute(OUR_TYPES)
        for table, columns in TABLES.items():
            declared = "".join(f", v{number} {name}" for number, name in enumerate(columns))
            database.execute(f"create table {table} (id int primary key{declared})")
        ledgers, landed = [], {}
        for start in (FIRST, LATER):
            with database.connect() as connection:
                for table, columns in TABLES.items():
                    texts = [[text for text, _ in written(table, name, start)] for name in columns]
                    rows = [(start + offset, *row) for offset, row in enumerate(itertools.zip_longest(*texts))]
                    places = ", ".join(["%s"] * len(rows[0]))
                    connection.cursor().executemany(f"insert into {table} values ({places})", rows)
            ledgers.append(warehouse.run("erp"))
        ledgers.append(warehouse.run("erp", full=True))
        for table, columns in TABLES.items():
            texts = ", ".join(f"cast(v{number} as varchar)" for number in range(len(columns)))
            for key, unknown, *values in warehouse.query(f"select id, _unknown_fields, {texts} from raw_erp.{table}"):
                landed.setdefault((table, key), []).append((values, json.loads(unknown or "{}")))
        declared = "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'raw_erp'"
        declared = {(table, column): raw_type for table, column, raw_type in warehouse.query(declared)}
        for name, value in IN_OTHER_WORDS.items():
            database.execute(f"alter database {database.name} set {name} = {value}")
        ledgers.append(warehouse.run("erp", full=True))
    return ledgers, landed, declared


@pytest.mark.parametrize(
    ("table", "name"),
    [pytest.param(table, name, id=name) for table, columns in TABLES.items() for name in columns],
)
def test_type(types, table, name):
    """It lands in its type with its values, whichever way they were read; what is no value of it is kept as text."""
    ledgers, landed, declared = types
    number = list(TABLES[table]).index(name)
    column = f"v{number}"
    assert declared[table, column] == TABLES[table][name][0]
    for start in (FIRST, LATER):
        for offset, (_, expected) in enumerate(written(table, name, start)):
            for values, unknown in landed[table, start + offset]:
                assert (values[number] if isinstance(expected, str) else (unknown[column],)) == expected
                assert isinstance(expected, str) or values[number] is None
    notes = [note for note in json.loads(ledgers[0][table]["notes"] or "[]") if note.startswith(f"{column} ")]
    assert [note.startswith(f"{column} {NOTED.get(name)}") for note in notes] == [True] * (name in NOTED)


@pytest.mark.parametrize("table", ["scanned", "queried"])
def test_types_are_the_same_on_every_way(types, table):
    """What a full read brings after increments is not appended again."""
    first, increment, full, _ = (counts(ledger[table]) for ledger in types[0])
    assert first[0] == first[1] > 3 and increment[0] == increment[1] > 3
    assert full == (first[1] + increment[1], 0, first[1] + increment[1], 0, 0)


@pytest.mark.parametrize("table", ["scanned", "queried"])
def test_types_in_other_words(types, table):
    """Nor is it where the settings of the session are not the usual ones."""
    in_other_words = types[0][3][table]
    assert counts(in_other_words)[1] == 0


# Stories.


ANY = None


@dataclasses.dataclass(frozen=True)
class Story:
    """What happens to a table, `{t}`, before each run, and what is then counted: rows read, loaded, marked gone.

    Instead of that a run may tell how its error begins, or None if it leaves the table out; a fourth item is in a note.
    `stream` is what the configuration declares, `columns` are those that are compared where not all can be as texts.
    """

    chapters: list[tuple[str, tuple | str | None]]
    stream: dict[str, str] = dataclasses.field(default_factory=dict)
    columns: tuple[str, ...] = ()


@dataclasses.dataclass
class Told:
    """What each run made of a story: its row of the ledger, and what raw and the source then hold, as texts."""

    ledger: list[dict | None] = dataclasses.field(default_factory=list)
    rows: list[tuple[list[tuple], list[tuple]]] = dataclasses.field(default_factory=list)


def tell(
    database: PostgresDatabase, warehouse: Warehouse, stories: dict[str, Story], runs: list[dict]
) -> dict[str, Told]:
    """Lives through all stories; returns what each run made of them. A run reads only what has a chapter for it."""
    database.configure(streams={table: story.stream for table, story in stories.items() if story.stream})
    told = {table: Told() for table in stories}
    for number, options in enumerate(runs):
        now = [table for table, story in stories.items() if number < len(story.chapters)]
        with database.connect() as source:
            for table in now:
                if change := stories[table].chapters[number][0]:
                    source.execute(change.replace("{t}", table))
        ledger = warehouse.run("erp", streams=tuple(now), **options)
        assert not warehouse.errors
        with database.connect() as source, duckdb.connect(str(warehouse.file)) as raw:
            raw.execute("set timezone = 'UTC'")
            for table in now:
                told[table].ledger.append(ledger.get(table))
                told[table].rows.append(_rows(table, stories[table].columns, source, raw))
    return told


def _rows(table: str, columns: tuple[str, ...], source, raw) -> tuple[list[tuple], list[tuple]]:
    """The current rows of raw, and those of the source."""
    declared = """select attname, relkind from pg_attribute join pg_class on pg_class.oid = attrelid
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped and relkind in ('r', 'p')"""
    kinds = {name: kind for name, kind in source.execute(declared, [table]) if name in columns or not columns}
    columns, theirs = list(kinds), []
    if columns:
        texts, only = ", ".join(f"{name}::text" for name in columns), "only" if "r" in kinds.values() else ""
        theirs = source.execute(f"select {texts} from {only} {table}").fetchall()
    as_text = ", ".join(f"cast({name} as varchar)" for name in columns) or "_key"
    ours = raw.execute(current_query(f"raw_erp.{table}", as_text)).fetchall()
    return sorted(ours, key=repr), sorted(theirs, key=repr)


def check(story: Story, told: Told) -> None:
    """Each run counted what the story says, and raw was the source's table after each that was complete."""
    runs = zip(story.chapters, told.ledger, told.rows, strict=True)
    for number, ((_, expected), row, (ours, theirs)) in enumerate(runs, start=1):
        if expected is None:
            assert row is None, f"run {number}"
        elif isinstance(expected, str):
            assert row["error"] and row["error"].startswith(expected), f"run {number}"
            continue
        else:
            assert row["error"] is None, f"run {number}"
            for column, wanted in zip(("read", "loaded", "marked_gone"), expected, strict=False):
                assert wanted in (row[f"rows_{column}"], ANY), f"run {number}: {column}"
            assert not expected[3:] or expected[3] in (row["notes"] or ""), f"run {number}"
        assert ours == theirs, f"run {number}"


# A table by the type of its key: a definition and eight keys.
KEYS = {
    "bigint": (
        "id bigint",
        ["-9223372036854775808", "-1", "0", "1", "65535", "65536", "70000", "9223372036854775807"],
    ),
    "uuid": ("id uuid", [f"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{number}'" for number in range(11, 19)]),
    "text": ("id text", ["''", "' '", "'ä☕'", "'a,b'", "'\"'", "E'\\n'", "'null'", "'it''s'"]),
    "char": ("id char(3)", [f"'{letter}'" for letter in "abcdefgh"]),
    "several": (
        "id int, part text, day date",
        [f"{n}, '{part}', '2026-03-0{n}'" for n in (1, 2) for part in ("", '"', "a'\u001f".replace("'", "''"), "☕")],
    ),
    "date": ("id date", [*(f"'2026-03-0{n}'" for n in range(1, 7)), "'infinity'", "'0044-03-15 BC'"]),
    "timestamptz": ("id timestamptz", [f"'2026-03-0{n} 12:00:00.00000{n}+02'" for n in range(1, 9)]),
    "numeric": ("id numeric", ["1", "1.5", "1e30", "'NaN'", "'Infinity'", "-1", "0.1", "123456789012345678901"]),
    "decimal": ("id numeric(20,2)", ["1", "1.5", "0", "-1", "-1.05", "10", "100", "1000"]),
    "enum": ("id letter", [f"'{letter}'" for letter in "abcdefgh"]),
    "bytea": ("id bytea", [f"'\\x0{n}ff'" for n in range(1, 9)]),
    "time": ("id time", [*(f"'0{n}:00'" for n in range(1, 8)), "'24:00'"]),
    "array": ("id int[]", [f"'{{{n},null}}'" for n in range(1, 9)]),
    "money": ("id money", [f"{n}::money" for n in range(1, 9)]),
}


def keyed_story(name: str, **stream) -> Story:
    """What can happen to rows of a table with such a key, unnoticed by the cursor `changed_at`."""
    definition, keys = KEYS[name]
    names = ", ".join(part.split()[0] for part in definition.split(", "))
    values = [f"({key}, 'v{number}', '2026-03-0{number}')" for number, key in enumerate(keys, start=1)]
    k = dict(enumerate(keys, start=1))
    setup = f"""
        create table {{t}} ({definition}, v text, changed_at timestamptz, primary key ({names}));
        insert into {{t}} values {", ".join(values[:6])};
    """
    changes = f"""
        insert into {{t}} values ({k[7]}, 'v7', '2026-03-01');
        update {{t}} set v = 'new', changed_at = '2026-01-01' where ({names}) = ({k[2]});
        delete from {{t}} where ({names}) = ({k[3]});
        update {{t}} set ({names}) = row({k[8]}) where ({names}) = ({k[4]});
        delete from {{t}} where ({names}) = ({k[5]});
        insert into {{t}} values ({k[5]}, 'new', '2026-02-01');
        delete from {{t}} where ({names}) = ({k[6]});
        insert into {{t}} values ({k[6]}, 'v6', '2026-03-06');
    """
    return Story([(setup, (6, 6, 0)), (changes, (5, 4, 2))], stream, columns=("v", "changed_at"))


KEYED = {f"by_cursor_{name}": keyed_story(name, cursor="changed_at") for name in KEYS} | {
    f"by_transaction_{name}": keyed_story(name) for name in ("bigint", "uuid", "text", "several", "decimal")
}


@pytest.fixture(scope="module")
def told_keyed(postgres, tmp_path_factory):
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        configured(postgres, "keyed", tmp_path_factory.mktemp("keyed"), monkeypatch) as (database, warehouse),
    ):
        database.execute("create type letter as enum ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h')")
        return tell(database, warehouse, KEYED, [{}, {}])


@pytest.mark.parametrize("name", KEYED)
def test_changes_of_rows_by_type_of_key(told_keyed, name):
    """An insert, an update, a delete, a change of the key, and two rows that were deleted and inserted again."""
    check(KEYED[name], told_keyed[name])


def when(cursor: str, *times: str) -> Story:
    """What a cursor does not show in order: ties with the bound, late rows, backward steps, NULLs; five times."""
    c = [f"'{time}'" for time in times]
    return Story(
        [
            (
                f"""create table {{t}} (id int primary key, v text, c {cursor});
                insert into {{t}} values (1, 'a', {c[1]}), (2, 'b', {c[2]}), (3, 'c', {c[3]})""",
                (3, 3, 0),
            ),
            (
                f"""insert into {{t}} values (4, 'a tie', {c[3]}), (5, 'late', {c[1]});
                update {{t}} set v = 'backwards', c = {c[0]} where id = 1; delete from {{t}} where id = 2""",
                (4, 3, 1),
            ),
            (
                f"""insert into {{t}} values (6, 'null', null), (7, 'new', {c[4]});
                update {{t}} set c = null where id = 3; update {{t}} set v = 'at the bound' where id = 4""",
                (4, 4, 0),
            ),
        ],
        {"cursor": "c"},
    )


DAYS = [f"2026-03-0{number}" for number in (1, 3, 5, 7, 9)]
CURSORS = {
    "timestamptz_cursor": when("timestamptz", *DAYS),
    "timestamp_cursor": when("timestamp", *DAYS),
    "date_cursor": when("date", *DAYS),
    "integer_cursor": when("int", "-1", "0", "1", "2", "3"),
    "bigint_cursor": when("bigint", str(-(2**63)), "0", "5", str(2**63 - 2), str(2**63 - 1)),
    "null_cursors": Story(
        [
            (
                """create table {t} (id int primary key, v text, c timestamptz);
                insert into {t} values (1, 'a', null), (2, 'b', null), (3, 'c', '2026-03-03')""",
                (3, 3, 0),
            ),
            ("update {t} set v = 'x' where id = 1; update {t} set c = '2026-03-05' where id = 2", (3, 2, 0)),
            ("delete from {t} where id = 1; update {t} set v = 'x', c = null where id = 2", (1, 1, 1)),
        ],
        {"cursor": "c"},
    ),
    "infinite_cursors": Story(
        [
            (
                """create table {t} (id int primary key, v text, c timestamptz); insert into {t} values
                (1, 'a', 'infinity'), (2, 'b', '-infinity'), (3, 'c', '2026-03-03')""",
                (3, 3, 0),
            ),
            ("update {t} set v = 'x' where id = 1; insert into {t} values (4, 'd', '2026-03-05')", (3, 2, 0)),
            ("update {t} set c = '2026-03-01' where id = 2; update {t} set c = '-infinity' where id = 1", (3, 2, 0)),
        ],
        {"cursor": "c"},
    ),
    "cursor_from_the_future": Story(
        [
            (
                """create table {t} (id int primary key, v text, c timestamptz); insert into {t} values
                (1, 'a', '2026-03-01'), (2, 'b', '9998-01-01'), (3, 'c', '2026-03-03')""",
                (3, 3, 0),
            ),
            ("insert into {t} values (4, 'd', '2026-03-05'); update {t} set c = '2026-03-06' where id = 1", (3, 2, 0)),
            ("delete from {t} where id = 4; update {t} set v = 'x', c = '2026-03-07' where id = 2", (1, 1, 1)),
        ],
        {"cursor": "c"},
    ),
    "text_cursor": Story(
        [
            (
                """create table {t} (id int primary key, c text);
                insert into {t} values (1, '9'), (2, '10'), (3, null)""",
                (3, 3, 0, "the cursor c is of type text, in which what comes later need not be greater"),
            ),
            ("update {t} set c = '11' where id = 1; delete from {t} where id = 2", (2, 1, 1, "the cursor c is")),
        ],
        {"cursor": "c"},
    ),
    "numeric_cursor": Story(
        [
            (
                "create table {t} (id int primary key, c numeric(9,2)); insert into {t} values (1, 1), (2, 2.5)",
                (2, 2, 0, "the cursor c is of type numeric(9,2)"),
            ),
            ("update {t} set c = 0.5 where id = 1", (2, 1, 0, "the cursor c is")),
        ],
        {"cursor": "c"},
    ),
    "two_key_columns_and_a_cursor": Story(
        [
            (
                """create table {t} (a int, b text, c date, primary key (b, a)); insert into {t} values
                (1, 'x', '2026-03-01'), (1, 'y', '2026-03-05'), (2, 'x', '2026-03-03')""",
                (3, 3, 0),
            ),
            ("insert into {t} values (2, 'y', '2026-03-02'); delete from {t} where (a, b) = (2, 'x')", (2, 1, 1)),
        ],
        {"cursor": "c"},
    ),
}
THREE = "create table {t} (id int primary key, v text); insert into {t} values (1, 'a'), (2, 'b'), (3, 'c');"
TRANSACTIONS = {
    "subtransactions": Story(
        [
            (THREE, (3, 3, 0)),
            (
                """begin; insert into {t} values (4, 'd'); savepoint a; insert into {t} values (5, 'e'); rollback to a;
                insert into {t} values (6, 'f'); savepoint b; update {t} set v = 'x' where id = 1; release b; commit""",
                (3, 3, 0),
            ),
            ("begin; delete from {t} where id = 4; savepoint a; delete from {t}; rollback to a; commit", (0, 0, 1)),
        ]
    ),
    "truncated": Story(
        [
            (THREE, (3, 3, 0)),
            ("truncate {t}; insert into {t} values (1, 'a')", "2 of 3 known rows are no longer in the source"),
            ("", (1, 0, 2)),
        ]
    ),
    "touched": Story(
        [(THREE, (3, 3, 0)), ("update {t} set v = v", (3, 0, 0)), ("vacuum (freeze) {t}", (0, 0, 0))],
    ),
    "rewritten": Story(
        [(THREE, (3, 3, 0)), ("vacuum full {t}", (0, 0, 0)), ("delete from {t} where id = 1", (0, 0, 1))],
    ),
    "rolled_back": Story(
        [
            (THREE, (3, 3, 0)),
            ("begin; update {t} set v = 'x'; delete from {t}; insert into {t} values (4, 'd'); rollback", (0, 0, 0)),
        ]
    ),
    "deleted_and_inserted": Story(
        [
            (THREE, (3, 3, 0)),
            ("delete from {t} where id < 3; insert into {t} values (1, 'a'), (2, 'x')", (2, 1, 0)),
            ("delete from {t} where id = 1; insert into {t} values (4, 'd')", (1, 1, 1)),
        ]
    ),
    "generated_columns": Story(
        [
            (
                """create table {t} (id int generated always as identity primary key, a int,
                b numeric(9,2) generated always as (a * 1.5) stored); insert into {t} (a) values (1), (2), (3)""",
                (3, 3, 0),
            ),
            ("update {t} set a = 10 where id = 1", (1, 1, 0)),
        ]
    ),
    "partitioned": Story(
        [
            (
                """create table {t} (id int, part text, v text, primary key (id, part)) partition by list (part);
                create table {t}_a partition of {t} for values in ('a');
                create table {t}_b partition of {t} for values in ('b');
                create table {t}_older (like {t}_a including all);
                insert into {t} values (1, 'a', 'v'), (2, 'b', 'v'), (3, 'a', 'v'), (4, 'b', 'v');
                insert into {t}_older values (9, 'c', 'v')""",
                (4, 4, 0),
            ),
            (
                """update {t} set part = 'b' where id = 1; delete from {t} where id = 2;
                insert into {t} values (5, 'a', 'v')""",
                (2, 2, 2),
            ),
            # Rows that were written before the last run.
            ("alter table {t} attach partition {t}_older for values in ('c')", (1, 1, 0)),
        ]
    ),
    "inherited": Story(
        [
            (THREE + "create table {t}_child () inherits ({t}); insert into {t}_child values (4, 'd')", (3, 3, 0)),
            ("insert into {t}_child values (5, 'e'); delete from only {t} where id = 1", (0, 0, 1)),
        ]
    ),
    "unique_index": Story(
        [
            (
                """create table {t} (id int not null, v text); create unique index on {t} (id);
                insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')""",
                (3, 3, 0),
            ),
            ("insert into {t} values (4, 'd'); delete from {t} where id = 1", (1, 1, 1)),
        ]
    ),
    "equal_rows": Story(
        [
            (
                """create table {t} (a int, b text);
                insert into {t} values (1, 'a'), (1, 'a'), (1, 'a'), (2, null), (2, null), (null, null)""",
                (6, 6, 0),
            ),
            (
                """delete from {t} where ctid = (select min(ctid) from {t} where a = 1);
                insert into {t} values (null, null)""",
                (6, 1, 1),
            ),
            ("update {t} set b = 'x' where a = 2", (6, 2, 2)),
        ]
    ),
    "unique_but_null": Story(
        [
            (
                """create table {t} (id int unique, v text);
                insert into {t} values (1, 'a'), (null, 'b'), (null, 'b')""",
                (3, 3, 0),
            ),
            ("update {t} set v = 'x' where id = 1", (3, 1, 1)),
        ]
    ),
}


def retyped(before: str, after: str, values: list[str], now: str, using: str = "v", counted=(4, ANY, 0)) -> Story:
    """A column of three values and a null becomes one of another type (`now`: raw's); then the fourth value comes, and
    an old row changes."""
    v = [f"'{value}'" for value in values]
    return Story(
        [
            (
                f"""create table {{t}} (id int primary key, v {before});
                insert into {{t}} values (1, {v[0]}), (2, {v[1]}), (3, {v[2]}), (5, null)""",
                (4, 4, 0),
            ),
            (f"alter table {{t}} alter v type {after} using {using}", (*counted, now and f"raw has it as {now}")),
            (f"insert into {{t}} values (4, {v[3]}); update {{t}} set v = null where id = 1", (2, 2, 0)),
        ]
    )


SCHEMA_CHANGES = {
    "int_to_text": retyped("int", "text", ["1", "-2", "3", "x"], "VARCHAR"),
    "bigint_to_varchar": retyped("bigint", "varchar(30)", ["1", "-2", str(2**63 - 1), "x"], "VARCHAR"),
    "text_to_int": retyped("text", "int", ["1", "-2", "3", "4"], "", "v::int"),
    "numeric_grown": retyped(
        "numeric(8,2)", "numeric(12,4)", ["1.5", "-2.25", "999999.99", "99999999.9999"], "DECIMAL(12,4)"
    ),
    "numeric_divided": retyped("numeric(12,2)", "numeric(12,4)", ["1.5", "-2", "3", "4"], "DECIMAL(14,4)", "v / 100"),
    "numeric_unbounded": retyped("numeric(8,2)", "numeric", ["1.5", "-2.25", "9", "1e50"], "VARCHAR"),
    "int_to_numeric": retyped("int", "numeric(5,2)", ["1", "-2", "3", "4.25"], "DECIMAL(21,2)"),
    "date_to_timestamp": retyped("date", "timestamp", [*DAYS[:3], "2026-03-04 12:34:56.789"], "TIMESTAMP"),
    "timestamp_to_timestamptz": retyped("timestamp", "timestamptz", DAYS, "VARCHAR"),
    "real_to_double": retyped("real", "double precision", ["0.1", "1.5", "-2.5", "0.1"], "DOUBLE"),
    "boolean_to_int": retyped("boolean", "int", ["t", "f", "t", "4"], "VARCHAR", "v::int"),
    "int_to_bigint": retyped("int", "bigint", ["1", "-2", "3", str(2**40)], "", counted=(4, 0, 0)),
    "varchar_longer": retyped("varchar(3)", "varchar(9)", ["a", "b", "c", "longer"], "", counted=(0, 0, 0)),
    "enum_grown": Story(
        [
            (
                """create type {t}_type as enum ('a', 'b'); create table {t} (id int primary key, v {t}_type);
                insert into {t} values (1, 'a'), (2, 'b'), (3, 'b')""",
                (3, 3, 0),
            ),
            ("alter type {t}_type add value 'c'", (0, 0, 0)),
            ("update {t} set v = 'c' where id = 1", (1, 1, 0)),
        ]
    ),
    "column_added": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} add w text", (3, 3, 0, "new column w (VARCHAR)")),
            ("update {t} set w = 'x' where id = 1", (1, 1, 0)),
        ]
    ),
    "column_added_with_default": Story(
        [(THREE, (3, 3, 0)), ("alter table {t} add w int default 7", (3, 3, 0, "new column w (BIGINT)"))]
    ),
    "column_dropped": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} drop v", (3, 3, 0, "column v is no longer in the source: null from now on")),
            ("alter table {t} add v text default 'again'", (3, 3, 0, "column v is in the source again")),
        ]
    ),
    "column_renamed": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} rename v to w", (3, 3, 0, "new column w (VARCHAR)")),
            ("delete from {t} where id = 1", (0, 0, 1)),
        ]
    ),
    "column_without_a_type_of_ours": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} add w strange default 'x'", (3, 3, 0, "w is of the type strange, which has no mapping")),
        ]
    ),
    "columns_swapped": Story(
        [
            (
                """create table {t} (id int primary key, v text, w text);
                insert into {t} values (1, 'a', 'x'), (2, 'b', 'y')""",
                (2, 2, 0),
            ),
            ("alter table {t} rename v to u; alter table {t} rename w to v; alter table {t} rename u to w", (2, 2, 0)),
        ]
    ),
    "cursor_dropped": Story(
        [
            (
                """create table {t} (id int primary key, c timestamptz);
                insert into {t} values (1, '2026-03-01'), (2, '2026-03-02')""",
                (2, 2, 0),
            ),
            ("alter table {t} drop c", "public.cursor_dropped has no column c, which the configuration declares"),
            ("alter table {t} add c timestamptz; delete from {t} where id = 1", (1, 1, 1)),
        ],
        {"cursor": "c"},
    ),
    "key_renamed": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} rename id to number", (3, 3, 0, "column id is no longer in the source")),
            ("delete from {t} where number = 1; insert into {t} values (4, 'd')", (1, 1, 1)),
        ]
    ),
    "key_to_text": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} alter id type text", (3, 3, 0, "column id was BIGINT and is VARCHAR now")),
            ("delete from {t} where id = '1'; insert into {t} values ('x', 'd')", (1, 1, 1)),
        ]
    ),
    "key_from_text": Story(
        [
            (THREE.replace("id int", "id text"), (3, 3, 0)),
            ("alter table {t} alter id type int using id::int", (3, ANY, 0)),
            ("delete from {t} where id = 1; insert into {t} values (4, 'd')", (1, 1, 1)),
        ]
    ),
    "key_changed": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} drop constraint {t}_pkey, add primary key (id, v)", (3, 3, 3)),
            ("delete from {t} where id = 1", (0, 0, 1)),
        ]
    ),
    "key_dropped": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} drop constraint {t}_pkey", (3, 3, 3)),
            ("delete from {t} where id = 1; insert into {t} values (2, 'b')", (3, 1, 1)),
        ]
    ),
    "key_added": Story(
        [
            (THREE.replace(" primary key", ""), (3, 3, 0)),
            ("alter table {t} add primary key (id)", (3, 3, 3)),
            ("delete from {t} where id = 1; insert into {t} values (4, 'd')", (1, 1, 1)),
        ]
    ),
    "may_not_be_read": Story(
        [
            (THREE, (3, 3, 0)),
            (f"revoke select on {{t}} from {READER}", f'role {READER} may not read "public"."may_not_be_read": grant'),
            (f"grant select on {{t}} to {READER}; delete from {{t}} where id = 1", (0, 0, 1)),
        ]
    ),
    "table_dropped": Story(
        [
            (THREE, (3, 3, 0)),
            (
                "drop table {t}",
                "the source has no table table_dropped any more; its rows stay as they were last read. If",
            ),
            ("", (0, 0, 3)),
            ("", None),
        ]
    ),
    "empty_table_dropped": Story(
        [("create table {t} (id int primary key)", (0, 0, 0)), ("drop table {t}", None), ("", None)]
    ),
    "table_recreated": Story(
        [
            (THREE, (3, 3, 0)),
            (
                """drop table {t}; create table {t} (id int primary key, v text);
                insert into {t} values (1, 'a'), (4, 'd')""",
                (2, 1, 2),
            ),
            ("delete from {t} where id = 1", (0, 0, 1)),
        ]
    ),
    "table_recreated_otherwise": Story(
        [
            (THREE, (3, 3, 0)),
            (
                """drop table {t}; create table {t} (code uuid primary key, v numeric(9,2));
                insert into {t} select gen_random_uuid(), n from generate_series(1, 3) as n""",
                (3, 3, 3, "column id is no longer in the source"),
            ),
        ]
    ),
    "table_replaced_by_an_older_one": Story(
        [
            (
                THREE
                + """create table {t}_new (id int primary key, v text);
                insert into {t}_new values (1, 'a'), (2, 'x'), (4, 'd')""",
                (3, 3, 0),
            ),
            ("alter table {t} rename to {t}_old; alter table {t}_new rename to {t}", (3, 2, 1)),
        ]
    ),
    "became_a_view": Story(
        [
            (THREE, (3, 3, 0)),
            (
                "alter table {t} rename to {t}_table; create view {t} as select * from {t}_table",
                "the source has no table became_a_view any more",
            ),
            ("", (0, 0, 3)),
            ("", None),
        ]
    ),
}
STORIES = {**TRANSACTIONS, **CURSORS, **SCHEMA_CHANGES}


@pytest.fixture(scope="module")
def told(postgres, tmp_path_factory):
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        configured(postgres, "stories", tmp_path_factory.mktemp("stories"), monkeypatch) as (database, warehouse),
    ):
        # As if all tables were large, which the database's own counters spare from being counted.
        monkeypatch.setattr(sql, "COUNTED_ROWS", 0)
        database.execute(OUR_TYPES)
        told = tell(database, warehouse, STORIES, [{}, {}, {"accept_deletes": True}, {}])
        again = warehouse.run("erp", full=True)
    return told, again


def check_all(told, name: str) -> None:
    """The story, and that reading everything again brings nothing new."""
    stories, again = told
    check(STORIES[name], stories[name])
    if row := again.get(name):
        assert (row["error"], row["rows_loaded"], row["rows_marked_gone"]) == (None, 0, 0), "the full read"


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_changes_of_rows(told, name):
    check_all(told, name)


@pytest.mark.parametrize("name", CURSORS)
def test_cursors(told, name):
    check_all(told, name)


@pytest.mark.parametrize("name", SCHEMA_CHANGES)
def test_changes_of_the_schema(told, name):
    check_all(told, name)


# What a story can't tell.


def statuses(ledger: dict[str, dict]) -> dict[str, str]:
    """The streams with their counts, or how their errors begin."""
    return {name: row["error"] or counts(row) for name, row in ledger.items()}


@pytest.mark.parametrize("may_see_others", [True, False])
def test_transaction_that_is_open_for_two_runs(erp, warehouse, may_see_others):
    """It holds the bound back, by its number for everybody, by its time where the role may see it; if not, its rows
    are found by comparison."""
    if may_see_others:
        erp.execute(f"grant pg_read_all_stats to {READER}")
    erp.execute("""
        create table followed (id int primary key, v text); insert into followed values (1, 'a'), (3, 'c');
        create table timed (id int primary key, c timestamptz); insert into timed values (1, now() - interval '1 day');
    """)
    erp.configure(streams={"timed": {"cursor": "c"}})
    with erp.server.connect(erp.name) as open_transaction:
        open_transaction.execute("update followed set v = 'x' where id = 1")  # in its first, which is the bound
        open_transaction.execute("insert into followed values (10)")
        open_transaction.execute("insert into timed values (10, now() + interval '30 minutes')")
        with open_transaction.transaction():
            open_transaction.execute("insert into followed values (11)")
        assert statuses(warehouse.run("erp")) == {"followed": (2, 2, 0, 0, 0), "timed": (1, 1, 0, 0, 0)}
        erp.execute("insert into followed values (2); insert into timed values (2, now() + interval '1 hour')")
        assert statuses(warehouse.run("erp")) == {"followed": (1, 1, 0, 0, 0), "timed": (2, 1, 1, 0, 0)}
    ledger = warehouse.run("erp")
    assert statuses(ledger) == {"followed": (4, 3, 1, 0, 0), "timed": (2, 1, 1, 0, 0)}
    (began,) = warehouse.query("select max(c) - interval 1 hour from raw_erp.timed")[0]
    assert (ledger["timed"]["cursor_from"] < began) == may_see_others
    erp.execute(f"revoke pg_read_all_stats from {READER}")


def test_deletes_are_found_by_buckets(erp, warehouse, monkeypatch):
    """Of a large table only the keys near those that are gone are read."""
    large = {"bigint": 200_000, "uuid": 20_000, "text": 20_000, "several": 20_000}
    keys = {
        "bigint": ("id bigint", "n"),
        "uuid": ("id uuid", "md5(n::text)::uuid"),
        "text": ("id text", "'ä ' || n"),
        "several": ("a int, b text", "n % 7, n::text"),
    }
    for table, (columns, values) in keys.items():
        names = ", ".join(column.split()[0] for column in columns.split(", "))
        erp.execute(f"""
            create table "{table}" ({columns}, v text, primary key ({names}));
            insert into "{table}" select {values}, 'v' from generate_series(1, {large[table]}) as n;
        """)
    assert statuses(warehouse.run("erp")) == {table: (size, size, 0, 0, 0) for table, size in large.items()}
    for table, (_, values) in keys.items():
        names = ", ".join(column.split()[0] for column in keys[table][0].split(", "))
        erp.execute(f"""
            delete from "{table}" where ({names}) in (select {values} from unnest(array[5, 6, 60000 % 20000]) as n);
            update "{table}" set v = 'w' where ({names}) in (select {values} from unnest(array[7]) as n);
        """)
    copied, copy = [], sql.Engine.copy
    monkeypatch.setattr(sql.Engine, "copy", lambda *arguments: copied.append(copy(*arguments)) or copied[-1])
    erp.execute('delete from "bigint" where id = 60000')
    gone = {"bigint": 3, "uuid": 2, "text": 2, "several": 2}
    assert statuses(warehouse.run("erp")) == {table: (1, 1, 0, 0, gone[table]) for table in large}
    assert sorted(copied)[:4] == [1, 1, 1, 1]
    assert sorted(copied)[-1] <= sql.BUCKET_KEYS and sum(sorted(copied)[:-1]) < 1000


def test_what_cancels_out_is_found_within_a_day(erp, warehouse, monkeypatch):
    """Two old rows that swap their cursors, or an old row that comes and one that goes, leave count and sum alike."""
    erp.execute("""
        create table swapped (id int primary key, v text, c date);
        insert into swapped values (1, 'a', '2026-01-01'), (2, 'b', '2026-01-02'), (3, 'c', '2026-03-01');
        create table attached (id int, part int, primary key (id, part)) partition by list (part);
        create table attached_1 partition of attached for values in (1);
        create table attached_2 partition of attached for values in (2);
        alter table attached detach partition attached_2;
        insert into attached values (1, 1), (2, 1), (3, 1);
        insert into attached_2 values (4, 2);
    """)
    erp.configure(streams={"swapped": {"cursor": "c"}}, tables=["swapped", "attached"])
    warehouse.run("erp")
    erp.execute("""
        update swapped set v = 'x', c = date '2026-01-03' - id where id < 3;
        alter table attached attach partition attached_2 for values in (2);
        delete from attached where id = 1;
    """)
    assert statuses(warehouse.run("erp")) == {"swapped": (1, 0, 1, 0, 0), "attached": (0, 0, 0, 0, 0)}
    monkeypatch.setattr(sql, "COMPARE_AFTER", timedelta(0))
    assert statuses(warehouse.run("erp")) == {"swapped": (3, 2, 1, 0, 0), "attached": (1, 1, 0, 0, 1)}
    assert warehouse.current("raw_erp.swapped", "id, v") == [(1, "x"), (2, "x"), (3, "c")]
    assert warehouse.current("raw_erp.attached", "id") == [(2,), (3,), (4,)]


def test_our_clock_was_set_back(erp, warehouse):
    """What is read now counts more than what was read earlier, at a later time."""
    tables = ("followed", "read_in_full")
    erp.configure(streams={"read_in_full": {"mode": "full"}})
    for table in tables:
        erp.execute(f"create table {table} (id int primary key, v text)")
        erp.execute(f"insert into {table} values (1, 'a'), (2, 'b'), (3, 'c')")
    warehouse.run("erp")
    for table in tables:
        warehouse.query(f"update raw_erp.{table} set _observed_at = _observed_at + interval 2 day")
        erp.execute(f"update {table} set v = 'x' where id = 1; delete from {table} where id = 2")
    assert {row["rows_marked_gone"] for row in warehouse.run("erp").values()} == {1}
    for table in tables:
        assert warehouse.current(f"raw_erp.{table}", "id, v") == [(1, "x"), (3, "c")]
        erp.execute(f"update {table} set v = 'a' where id = 1; insert into {table} values (2, 'b')")
    assert {row["rows_loaded"] for row in warehouse.run("erp").values()} == {2}
    for table in tables:
        assert warehouse.current(f"raw_erp.{table}", "id, v") == [(1, "a"), (2, "b"), (3, "c")]


def test_all_tables_in_one_snapshot(erp, warehouse):
    """What happens while the first is read is in none of the others; a table that is dropped then fails alone."""
    erp.execute("".join(f"create table t{n} (id int primary key); insert into t{n} values (1);" for n in range(3)))
    happened = []

    def insert(stream: str, rows: int) -> None:
        if not happened:
            happened.append(stream)
            erp.execute("insert into t0 values (2); insert into t1 values (2); insert into t2 values (2)")

    def drop(stream: str, rows: int) -> None:
        if len(happened) == 1:
            happened.append(next(name for name in ("t0", "t1") if name != stream))
            erp.execute(f"drop table {happened[1]}")

    assert set(statuses(warehouse.run("erp", report=insert)).values()) == {(1, 1, 0, 0, 0)}
    found = statuses(warehouse.run("erp", report=drop, full=True))
    assert f'relation "public.{happened[1]}" does not exist' in found.pop(happened[1])
    assert set(found.values()) == {(2, 1, 1, 0, 0)}


def test_change_between_snapshot_and_counters(erp, warehouse, monkeypatch):
    """What the counters of a large table know already, but not its snapshot, is found by the next run."""
    monkeypatch.setattr(sql, "COUNTED_ROWS", 0)
    erp.execute("create table t (id int primary key); insert into t values (1), (2), (3), (4)")
    warehouse.run("erp")

    def streams(found):
        erp.execute("delete from t where id = 1")
        return list(found)

    system = all_systems()["erp"]
    with pipeline.opened([system]) as opened:
        assert pipeline.run(opened, [system], lambda _: Run(), streams) == {}
    assert statuses(warehouse.run("erp")) == {"t": (0, 0, 0, 0, 1)}


def test_what_may_not_be_read_fails_alone(erp, run, monkeypatch):
    """Nor is it tried again: what the server says it will say again."""
    monkeypatch.setattr("ingestion.sql.ATTEMPTS", 1_000_000)
    erp.execute(f"""
        create table open (id int primary key); insert into open values (1), (2);
        create table secret (id int primary key); revoke select on secret from {READER};
        create table partly (id int primary key, v text); revoke select on partly from {READER};
        grant select (id) on partly to {READER};
        create schema closed; create table closed.orders (id int primary key);
        revoke usage on schema closed from {READER};
        create table filtered (id int primary key, owner text); insert into filtered values (1, '{READER}'), (2, 'x');
        alter table filtered enable row level security;
        create policy own on filtered using (owner = current_user);
        create foreign data wrapper nothing; create server elsewhere foreign data wrapper nothing;
        create foreign table far_away (id int) server elsewhere;
        create view failing as select 1 / (id - 1) as n from open;
        grant select on failing, far_away to {READER};
    """)
    erp.configure(tables=["*"])
    code, out, _ = run("run", "erp")
    assert code == 1
    assert re.search(r"^erp\.open +2 +2 +0 +0 +0 +ok", out, re.MULTILINE)
    assert re.search(r"^erp\.filtered +1 +1 +0 +0 +0 +ok", out, re.MULTILINE)
    noted = f"filtered: row-level security decides which rows role {READER} sees"
    errors = [
        f'role {READER} may not read "public"."secret": grant select on "public"."secret" to {READER}',
        f'role {READER} may not read "public"."partly": grant select on "public"."partly" to {READER}',
        f'role {READER} may not use schema "closed": grant usage on schema "closed" to {READER}',
        'foreign-data wrapper "nothing" has no handler',
        "division by zero",
    ]
    for error in errors:
        assert error in out
    code, out, _ = run("check", "erp")
    assert code == 1 and "erp.open: ok, 2 rows\n" in out and f"erp.{noted.replace(': ', ': ok, 1 rows; ')}\n" in out
    for error in errors[:4]:
        assert error in out
    code, out, _ = run("status")
    assert code == 0 and re.search(r"^erp\.secret +never .* failed: role", out, re.MULTILINE)


NAMES = {
    "orders": "orders",
    "Orders": "orders_2",
    "select": "select",
    "load_ledger": "load_ledger_2",
    "2nd": "_2nd",
    "☕": "x",
    "a\"b'; drop table x; -- $1 {y} %s\n\\": "a_b_drop_table_x_1_y_sx",
}
COLUMNS = {
    "id": "id",
    "Id": "id_2",
    "a b": "a_b",
    "a-b": "a_b_2",
    "_key": "_key_2",
    "_dlt_id": "dlt_id",
    "select": "select",
    "☕": "x",
    "a\"b' {y} %s\n\\": "a_b_y_sx",
}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_names(erp, warehouse):
    """Names that need quoting, and such as are the same in snake case or taken already: of tables, columns, schemas."""
    columns = ", ".join(f"{quoted(name)} {'int primary key' if name == 'id' else 'text'}" for name in COLUMNS)
    values = ", ".join(f"'v{number}'" for number in range(1, len(COLUMNS)))
    create = f"create table {{0}} ({columns}); insert into {{0}} values (1, {values}), (2, {values}), (3, {values});"
    change = 'update {0} set "a b" = \'x\', "Id" = null where id = 1; delete from {0} where id = 2;'
    tables = {quoted(name): stream for name, stream in NAMES.items()}
    tables |= {'"My Schema".orders': "my_schema__orders", "sales.orders": "sales__orders", "a.b": "a__b", "a__b": "a_b"}
    erp.execute('create schema "My Schema"; create schema sales; create schema a')
    erp.execute("".join(create.replace("{0}", table) for table in tables))
    assert statuses(warehouse.run("erp")) == dict.fromkeys(tables.values(), (3, 3, 0, 0, 0))
    erp.execute("".join(change.replace("{0}", table) for table in tables))
    assert statuses(warehouse.run("erp")) == dict.fromkeys(tables.values(), (1, 1, 0, 0, 1))
    names = ", ".join(f'"{name}"' for name in COLUMNS.values())
    v = [f"v{number}" for number in range(1, len(COLUMNS))]
    for stream in tables.values():
        rows = warehouse.current(f'raw_erp."{stream}"', names)
        assert rows == [(1, None, "x", *v[2:]), (3, *v)], stream


def test_name_is_kept(erp, warehouse):
    """A table that comes later and has the same name in snake case does not take it from the one that has it."""
    erp.execute('create table orders (id int primary key, "total" int); insert into orders values (1, 5)')
    warehouse.run("erp")
    erp.execute('create table "Orders" (x int); insert into "Orders" values (7); alter table orders add "Total" int')
    assert statuses(warehouse.run("erp")) == {"orders": (1, 1, 0, 0, 0), "orders_2": (1, 1, 0, 0, 0)}
    assert warehouse.current("raw_erp.orders", "id, total, total_2") == [(1, 5, None)]


def test_tables_of_dlt(erp, warehouse):
    """A database that dlt has loaded into has tables of the names that it uses here too."""
    names = ("_dlt_loads", "_dlt_version", "_dlt_pipeline_state")
    for name in names:
        erp.execute(f"create table {name} (load_id text primary key, v int); insert into {name} values ('a', 1)")
    for counted in ((1, 1, 0, 0, 0), (0, 0, 0, 0, 0)):
        assert statuses(warehouse.run("erp")) == {name[1:]: counted for name in names}, warehouse.errors


@pytest.mark.parametrize("name", ["_item", "_unfit", "_position"])
def test_columns_named_like_ours(erp, warehouse, name):
    erp.execute(f"create table t (id int primary key, {name} text); insert into t values (1, 'a')")
    assert statuses(warehouse.run("erp")) == {"t": (1, 1, 0, 0, 0)}
    assert "a" in warehouse.query("select * exclude (_observed_at) from raw_erp.t")[0]


def test_views(erp, warehouse):
    """They are read where they are named, as a whole; a declared key or cursor counts for them too."""
    erp.execute("""
        create table orders (id int primary key, v text, c timestamptz);
        insert into orders values (1, 'a', '2026-03-01'), (2, 'b', '2026-03-02'), (3, 'c', '2026-03-03');
        create view open_orders as select * from orders;
        create view recent_orders as select * from orders;
        create materialized view order_counts as select v, count(*) as n from orders group by v;
        create view other as select 1 as n;
    """)
    assert set(warehouse.run("erp")) == {"orders"}
    streams = {"open_orders": {"key": ["id"]}, "recent_orders": {"key": "id", "cursor": "c"}}
    erp.configure(tables=["orders", "*_orders", "public.order_counts"], streams=streams)
    assert set(statuses(warehouse.run("erp")).values()) == {(0, 0, 0, 0, 0), (3, 3, 0, 0, 0)}
    erp.execute("""
        update orders set v = 'x', c = '2026-03-05' where id = 1; delete from orders where id = 2;
        refresh materialized view order_counts
    """)
    assert statuses(warehouse.run("erp")) == {
        "orders": (1, 1, 0, 0, 1),
        "open_orders": (2, 1, 1, 0, 1),
        "recent_orders": (2, 1, 1, 0, 1),
        "order_counts": (2, 1, 1, 0, 2),
    }
    for view in ("open_orders", "recent_orders"):
        assert warehouse.current(f"raw_erp.{view}", "id, v") == [(1, "x"), (3, "c")]


def test_declared(erp, warehouse):
    """What the configuration says counts before what the catalog says; what it says wrongly fails one stream."""
    erp.execute("""
        create table pairs (a int, b text, v text);
        insert into pairs values (1, 'x', 'a'), (1, 'y', 'b'), (2, null, 'c');
        create table doubles (id int, v text); insert into doubles values (1, 'a'), (1, 'b'), (2, 'c');
        create table always_in_full (id int primary key); insert into always_in_full values (1), (2), (3);
        create table "Camel" ("orderId" int, "changedAt" timestamp); insert into "Camel" values (1, '2026-03-01');
        create table no_key (id int); create table no_cursor (id int); create table incremental (id int);
        create schema sales; create table sales.orders (id int primary key); insert into sales.orders values (1);
        create schema hr; create table hr.salaries (id int primary key);
    """)
    erp.configure(
        schemas=["public", "sales"],
        tables=["pairs", "doubles", "*full", "Camel", "no_*", "incremental", "sales.*"],
        streams={
            "pairs": {"key": ["a", "b"]},
            "doubles": {"key": "id"},
            "always_in_full": {"mode": "full", "cursor": "id"},
            "camel": {"key": "orderId", "cursor": "changed_at"},
            "no_key": {"key": ["id", "number"]},
            "no_cursor": {"cursor": "changed_at"},
            "incremental": {"mode": "incremental"},
            "nowhere": {"key": "id"},
        },
    )
    ledger = warehouse.run("erp")
    assert statuses(ledger) == {
        "pairs": (3, 2, 0, 1, 0),
        "doubles": "id is no key of public.doubles: 1 of its values have several rows. "
        "Declare as many columns as tell the rows apart, or none",
        "always_in_full": (3, 3, 0, 0, 0),
        "camel": (1, 1, 0, 0, 0),
        "no_key": "public.no_key has no column number, which the configuration declares for no_key",
        "no_cursor": "public.no_cursor has no column changed_at, which the configuration declares for no_cursor",
        "incremental": "public.incremental has no cursor, or no key: it can only be read in full",
        "nowhere": ledger["nowhere"]["error"],
        "sales__orders": (1, 1, 0, 0, 0),
    }
    assert ledger["nowhere"]["error"].startswith(f"there is no table nowhere in 127.0.0.1:{erp.server.port}/{erp.name}")
    assert ledger["camel"]["cursor_to"] == datetime(2026, 3, 1, tzinfo=UTC)
    assert warehouse.query("select _key from raw_erp.pairs order by 1") == [('["1","x"]',), ('["1","y"]',)]
    assert warehouse.query("select reason from raw_erp.rejected_rows") == [("b: is missing",)]
    erp.execute("delete from always_in_full where id = 1; insert into \"Camel\" values (2, '2026-03-05')")
    ledger = warehouse.run("erp", streams=("always_in_full", "camel", "pairs"))
    assert statuses(ledger) == {"always_in_full": (2, 0, 2, 0, 1), "camel": (2, 1, 1, 0, 0), "pairs": (3, 0, 2, 1, 0)}


def test_dropped_table_with_a_declaration(erp, warehouse):
    erp.execute("create table t (id int primary key); insert into t values (1); create table other (id int)")
    erp.configure(streams={"t": {"mode": "full"}})
    warehouse.run("erp")
    erp.execute("drop table t")
    assert statuses(warehouse.run("erp"))["other"] == (0, 0, 0, 0, 0)
    assert "t" in statuses(warehouse.run("erp", accept_deletes=True))
    assert warehouse.current("raw_erp.t", "id") == []


def test_fewer_schemas_or_tables(erp, warehouse):
    """What is not to be read any more is left as it is: it is not gone."""
    erp.execute("create table a (id int primary key); create schema sales; create table sales.b (id int primary key)")
    erp.execute("insert into a values (1); insert into sales.b values (1)")
    assert set(warehouse.run("erp")) == {"a", "sales__b"}
    for options in ({"tables": '"a"'}, {"tables": ["*"], "schemas": ["public"]}):
        erp.configure(**options)
        assert statuses(warehouse.run("erp", accept_deletes=True)) == {"a": (0, 0, 0, 0, 0)}
    assert warehouse.current("raw_erp.sales__b", "id") == [(1,)]


@pytest.mark.parametrize("options", [{"tables": ["order*", "t"]}, {"schemas": ["public", "salse"]}], ids=str)
def test_patterns_that_match_nothing(erp, run, options):
    erp.execute("create table t (id int primary key)")
    erp.configure(**options)
    code, out, err = run("run", "erp")
    assert code == 1 and re.search(r"order\*|salse", out + err)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("TABLE", "[]", "SOURCES__DATABASES__ERP__TABLE: a database has the options credentials, schemas, tables"),
        ("TABLES", "[orders]", "sources.databases.erp.tables is no JSON"),
        ("TABLES", "[5]", "sources.databases.erp.tables is a list of texts: [5]"),
        ("SCHEMAS", '{"sales": true}', "sources.databases.erp.schemas"),
        ("STREAMS", '["t"]', "sources.databases.erp.streams is a table of tables: ['t']"),
        ("STREAMS", '{"t": "full"}', "sources.databases.erp.streams is a table of tables: {'t': 'full'}"),
        ("STREAMS", '{"t": {"keys": ["id"]}}', "sources.databases.erp.streams.t: there is key = a column"),
        ("STREAMS", '{"t": {"mode": "fast"}}', "sources.databases.erp.streams.t: there is key = a column"),
        ("STREAMS", '{"t": {"key": 5}}', "sources.databases.erp.streams.t"),
        ("STREAMS", '{"t": {"cursor": ["a"]}}', "sources.databases.erp.streams.t"),
        ("CREDENTIALS", "oracle://u:hunter2@db/erp", "credentials begins with oracle://; there is postgresql"),
        ("CREDENTIALS", "host=db password=hunter2+more", "sources.databases.erp.credentials is no URL"),
        ("CREDENTIALS", "hunter2", "sources.databases.erp.credentials is no URL"),
    ],
)
def test_wrong_configuration(run, monkeypatch, option, value, message):
    """It is said before anything is tried, whichever system is to be run, and shows no secret."""
    monkeypatch.setenv("SOURCES__DATABASES__ERP__CREDENTIALS", "postgresql://u:hunter2@127.0.0.1:1/erp")
    monkeypatch.setenv(f"SOURCES__DATABASES__ERP__{option}", value)
    code, out, err = run("run")
    assert code == 2
    assert err.startswith("ingestion: ") and message in err
    assert "hunter2" not in out + err


@pytest.mark.parametrize("name", ["SHOP", "SPREADSHEETS", "OPERATIONS", "ENRICHMENTS", "DATABASES", "MY__ERP", "2ND"])
def test_names_that_a_database_cannot_have(run, monkeypatch, name):
    monkeypatch.setenv(f"SOURCES__DATABASES__{name}__CREDENTIALS", "postgresql://u:hunter2@127.0.0.1:1/erp")
    code, _, err = run("run")
    assert code == 2 and err.startswith(f"ingestion: sources.databases.{name.lower()}: ")


def test_two_databases(erp, run, warehouse, monkeypatch):
    """One that can't be reached stops no other; neither password is shown or stored, right or wrong."""
    erp.execute("create table t (id int primary key); insert into t values (1)")
    erp.configure("crm", tables=["nothing", "t"])
    wrong = "wr0ng pä55@/word:#1"
    url = erp.url.replace(quote(PASSWORD, safe=""), quote(wrong, safe=""))
    monkeypatch.setenv("SOURCES__DATABASES__BROKEN__CREDENTIALS", url)
    code, *shown = run("run")
    assert code == 1
    for system in ("erp", "crm"):
        assert re.search(rf"^{system}\.t +1 +1 +0 +0 +0 +ok", shown[0], re.MULTILINE)
        assert warehouse.query(f"select id from raw_{system}.t") == [(1,)]
    where = f"127.0.0.1:{erp.server.port}/{erp.name}"
    assert f"failed: broken: not loaded, nothing is lost, run again: can't connect to {where}" in shown[0]
    assert f'password authentication failed for user "{READER}"' in shown[0]
    for arguments in (("list",), ("check",), ("status", "--json")):
        shown += run(*arguments)[1:]
    assert f"erp: The PostgreSQL database {where}." in "".join(shown)
    monkeypatch.setenv("SOURCES__DATABASES__BROKEN__CREDENTIALS", erp.url)
    assert run("run", "broken")[0] == 0
    with duckdb.connect(str(warehouse.file)) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        rows = [connection.execute(f'from {schema}."{table}"').fetchall() for schema, table in tables]
    files = [path.read_bytes() for path in warehouse.folder.rglob("*") if path.is_file()]
    everything = [text.encode() for text in (*shown, str(rows))] + files
    for secret in (PASSWORD, quote(PASSWORD, safe=""), wrong, quote(wrong, safe="")):
        assert not any(secret.encode() in text for text in everything)


def test_since(erp, run, warehouse):
    """By a declared time; what has none is left out, and where nothing has one, that is said."""
    erp.execute("""
        create table timed (id int primary key, c date); create table followed (id int primary key);
        insert into timed values (1, '2026-03-01'), (2, '2026-03-02'), (3, '2026-03-03'), (4, null);
    """)
    code, _, err = run("run", "erp", "--since", "2026-03-02")
    assert code == 2 and "none of these streams can be bounded by --since or --until" in err
    erp.configure(streams={"timed": {"cursor": "c"}})
    code, out, _ = run("run", "erp", "--since", "2026-03-02", "--until", "2026-03-03")
    assert code == 0 and re.search(r"^erp\.timed +1 +1 +0 +0 +0 +ok", out, re.MULTILINE) and "followed" not in out
    assert warehouse.query("select id from raw_erp.timed") == [(2,)]
    assert statuses(warehouse.run("erp")) == {"timed": (4, 3, 1, 0, 0), "followed": (0, 0, 0, 0, 0)}


def test_what_the_scanner_makes_of_values_that_do_not_fit(erp, warehouse):
    """Each alone in its table, beside values that look like it."""
    odd = {
        "nan": ("numeric(9,2)", "'NaN'", "'0'", "NaN", "0.00"),
        "late": ("timestamp", "'294276-12-31 00:00'", "'infinity'", "294276-12-31T00:00:00", "infinity"),
        "latest": ("timestamptz", "'294247-01-10 04:00:54.775807+00'", "'4714-11-24 BC'", None, None),
    }
    for name, (declared, unfit, fit, *_) in odd.items():
        erp.execute(f"create table {name} (id int primary key, v {declared})")
        erp.execute(f"insert into {name} values (1, {unfit}), (2, {fit}), (3, null)")
    assert set(statuses(warehouse.run("erp")).values()) == {(3, 3, 0, 0, 0)}
    for name, (*_, kept, landed) in odd.items():
        (unfit, fit, null) = warehouse.query(
            f"select cast(v as varchar), _unknown_fields ->> 'v' from raw_erp.{name} order by id"
        )
        assert unfit[0] is None and unfit[1] and (kept is None or unfit[1] == kept)
        assert fit[0] and fit[1] is None and (landed is None or fit[0] == landed)
        assert null == (None, None)


def test_which_tables_the_scanner_reads(erp):
    """Those where it loses nothing, in parallel; others are read by a query. Keys are what the catalog vouches for."""
    erp.execute(OUR_TYPES)
    erp.execute("""
        create table plain (id int primary key, n numeric(9,2), at timestamptz); insert into plain values (1, 1, now());
        create table unfit (id int primary key, n numeric(9,2)); insert into unfit values (1, 'NaN');
        create table text_of (id int primary key, n numeric);
        create table domains (id int primary key, n price);
        create table "Twice" (id int unique); create table twice (id int not null unique, part int not null unique);
        create table parts (id int, part int, primary key (part, id)) partition by list (id);
        create table deferred (id int not null unique deferrable);
        create table partial (id int not null); create unique index on partial (id) where id > 0;
        create table by_expression (id int not null); create unique index on by_expression (abs(id));
        create table including (id int, v text, primary key (id) include (v));
    """)
    tables = all_systems()["erp"].reader()
    found = {t.name: (bool(tables.engine.scan(t, t.aliases())), t.key) for t in tables.catalog}
    tables.close()
    assert found == {
        "plain": (True, ("id",)),
        "unfit": (True, ("id",)),
        "text_of": (False, ("id",)),
        "domains": (False, ("id",)),
        "Twice": (False, ()),
        "twice": (False, ("id",)),
        "parts": (False, ("part", "id")),
        "deferred": (True, ()),
        "partial": (True, ()),
        "by_expression": (True, ()),
        "including": (True, ("id",)),
    }


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_encodings(erp, warehouse, monkeypatch, encoding):
    """Texts land as UTF-8; where the database does not know what its bytes mean, those that are none fail alone."""
    with erp.server.connect("postgres") as connection:
        connection.autocommit = True
        name = f"{erp.name}_{encoding.lower()}"
        connection.execute(f"create database {name} encoding '{encoding}' template template0 locale 'C'")
    other = PostgresDatabase(erp.server, name, monkeypatch)
    other.configure(streams={"texts": {"cursor": "c"}})
    with erp.server.connect(name) as connection:
        connection.execute("set client_encoding = 'LATIN1'")
        connection.execute("create table texts (v text primary key, c date); create table other (id int, v text)")
        connection.execute("insert into texts values ('Zoë', '2026-03-01'), ('a', '2026-03-09')")
        connection.execute(f"insert into other values (1, 'a'); grant select on texts, other to {READER}")
    assert statuses(warehouse.run("erp"))["other"] == (1, 1, 0, 0, 0)
    other.execute("insert into other values (2, 'b')")
    found = statuses(warehouse.run("erp"))
    assert found["other"] == (2, 1, 1, 0, 0)
    if encoding == "SQL_ASCII":
        assert 'invalid byte sequence for encoding "UTF8"' in found["texts"]
    else:
        assert warehouse.current("raw_erp.texts", "v") == [("Zoë",), ("a",)]
        other.execute("insert into texts values (U&'\\00ff', '2026-02-01')")
        assert statuses(warehouse.run("erp"))["texts"] == (2, 1, 1, 0, 0)
        assert warehouse.current("raw_erp.texts", "v") == [("Zoë",), ("a",), ("ÿ",)]


def test_role_that_may_do_little(erp, warehouse):
    erp.execute("create table t (id int primary key); revoke execute on function pg_control_system() from public")
    assert statuses(warehouse.run("erp")) == {"t": (0, 0, 0, 0, 0)}
