"""A PostgreSQL that is only configured: every type, every change of rows, of tables and of the configuration.

What can happen to a table is told as a story. All stories are lived through side by side, run by run, since a run
over many tables costs little more than over one; each test then looks at one of them.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator

import duckdb
import pytest
from conftest import Warehouse, counts, current_query
from databases.conftest import PostgresDatabase

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
    with configured(postgres, name, tmp_path / "warehouse", monkeypatch) as (database, _):
        yield database


# Types.

# How DuckDB's scanner and, where it would lose something, a query hand it over: the declared type, the type in raw, and
# values as they are written and as raw has them; None = not in its column but, as text, in `_unknown_fields`.
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
    "numeric(5,2)": ("DECIMAL(5,2)", {"999.99": "999.99", "-0.01": "-0.01", "NaN": None}),
    "numeric(38,0)": ("DECIMAL(38,0)", {"9" * 38: "9" * 38}),
    "numeric(38,38)": ("DECIMAL(38,38)", {"0." + "1" * 38: "." + "1" * 38, "NaN": None}),
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
    "uuid": ("VARCHAR", {"A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}),
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
            "294276-12-31 23:59:59.999999": None,
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
            "294276-12-31 23:59:59+00": None,
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
    "price": ("DECIMAL(12,2)", {"1.5": "1.50", "NaN": None}),
    "short": (TEXT, {"abc": "abc"}),
    "positive": ("BIGINT", {"7": "7"}),
    "dearer": (TEXT, {"1.5": "1.50"}),
    "mood": (TEXT, {"it's": "it's"}),
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
FIRST, LATER = 0, 1000
"""What ids are counted from, by the run that first reads them."""


@pytest.fixture(scope="module")
def types(postgres, tmp_path_factory):
    """The types' tables after a first read, an increment, a full read, and one with other settings of the session.

    Returns the ledgers of the four, raw's values, as (table, column, id) -> {(value, unknown fields)}, and its types.
    """
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        configured(postgres, "types", tmp_path_factory.mktemp("types"), monkeypatch) as (database, warehouse),
    ):
        database.execute(OUR_TYPES)
        tables = {"scanned": SCANNED, "queried": QUERIED}
        for table, columns in tables.items():
            declared = "".join(f", v{number} {name}" for number, name in enumerate(columns))
            database.execute(f"create table {table} (id int primary key{declared})")
        ledgers = []
        for start in (FIRST, LATER):
            for table, columns in tables.items():
                # At first without what fits no column of ours, so that the scanner is used, and later is not.
                is_left_out = start == FIRST and table == "scanned"
                values = [
                    [text for text, raw in v.items() if raw is not None or not is_left_out] for _, v in columns.values()
                ]
                rows = [(start + offset, *row) for offset, row in enumerate(itertools.zip_longest(*values))]
                with database.connect() as connection:
                    places = ", ".join(["%s"] * len(rows[0]))
                    connection.cursor().executemany(f"insert into {table} values ({places})", rows)
            ledgers.append(warehouse.run("erp"))
        ledgers.append(warehouse.run("erp", full=True))
        landed = {}
        for table, columns in tables.items():
            for number in range(len(columns)):
                rows = f"select id, cast(v{number} as varchar), _unknown_fields from raw_erp.{table}"
                for key, value, unknown in warehouse.query(rows):
                    landed.setdefault((table, number, key), set()).add((value, unknown))
        declared = (
            "select table_name || '.' || column_name, data_type from duckdb_columns() where schema_name = 'raw_erp'"
        )
        declared = dict(warehouse.query(declared))
        for name, value in IN_OTHER_WORDS.items():
            database.execute(f"alter database {database.name} set {name} = {value}")
        ledgers.append(warehouse.run("erp", full=True))
        yield ledgers, landed, declared


@pytest.mark.parametrize(
    ("table", "number", "name"),
    [
        *(pytest.param("scanned", number, name, id=name) for number, name in enumerate(SCANNED)),
        *(pytest.param("queried", number, name, id=name) for number, name in enumerate(QUERIED)),
    ],
)
def test_type(types, table, number, name):
    """It lands in its type with its values, whichever way they were read; what is no value of it is kept as text."""
    ledgers, landed, declared = types
    raw_type, values = (SCANNED if table == "scanned" else QUERIED)[name]
    assert declared[f"{table}.v{number}"] == raw_type
    for start in (FIRST, LATER):
        found = values.items()
        if start == FIRST and table == "scanned":
            found = [(text, expected) for text, expected in found if expected is not None]
        for offset, (text, expected) in enumerate(found):
            rows = landed[table, number, start + offset]
            assert {value for value, _ in rows} == {expected}
            assert expected is not None or {json.loads(unknown)[f"v{number}"] for _, unknown in rows} == {text}
    notes = [note for note in json.loads(ledgers[0][table]["notes"] or "[]") if note.startswith(f"v{number} ")]
    assert [note[: len(NOTED[name]) + len(f"v{number} ")] for note in notes] == (
        [f"v{number} {NOTED[name]}"] if name in NOTED else []
    )


@pytest.mark.parametrize("table", ["scanned", "queried"])
def test_types_are_the_same_on_every_way(types, table):
    """What a full read brings after increments is not appended again."""
    first, increment, full, _ = (counts(ledger[table]) for ledger in types[0])
    assert first[0] == first[1] > 3 and increment[0] == increment[1] > 3
    assert full == (first[1] + increment[1], 0, first[1] + increment[1], 0, 0)


@pytest.mark.xfail(strict=True, reason="what the role or database has set changes how values are written")
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


def tell(database: PostgresDatabase, warehouse: Warehouse, stories: dict[str, Story], runs: list[dict]):
    """Lives through all stories, and reads everything again in a last run; returns what each run made of them."""
    database.configure(streams={table: story.stream for table, story in stories.items() if story.stream})
    told = {table: Told() for table in stories}
    for number, options in enumerate([*runs, {"full": True}]):
        for table, story in stories.items():
            if number < min(len(story.chapters), len(runs)) and story.chapters[number][0]:
                database.execute(story.chapters[number][0].replace("{t}", table))
        ledger = warehouse.run("erp", **options)
        assert not warehouse.errors
        with database.connect() as source, duckdb.connect(str(warehouse.file)) as raw:
            raw.execute("set timezone = 'UTC'")
            for table in stories:
                told[table].ledger.append(ledger.get(table))
                told[table].rows.append(_rows(table, stories[table].columns, source, raw))
    return told


def _rows(table: str, columns: tuple[str, ...], source, raw) -> tuple[list[tuple], list[tuple]]:
    """The current rows of raw, and those of the source."""
    declared = "select attname from pg_attribute where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped"
    columns = [name for (name,) in source.execute(declared, [table]) if name in columns or not columns]
    theirs = source.execute(f"select {', '.join(f'{name}::text' for name in columns)} from {table}") if columns else []
    as_text = ", ".join(f"cast({name} as varchar)" for name in columns) or "_key"
    ours = raw.execute(current_query(f"raw_erp.{table}", as_text)).fetchall()
    return sorted(ours, key=repr), sorted(theirs, key=repr)


def check(story: Story, told: Told) -> None:
    """Each run counted what the story says; raw was the source's table after each that was complete, and a full read
    at last brought nothing new."""
    for number, (row, (ours, theirs)) in enumerate(zip(told.ledger, told.rows, strict=True), start=1):
        expected = story.chapters[number - 1][1] if number <= len(story.chapters) else ()
        if expected is None:
            assert row is None, f"run {number}"
        elif isinstance(expected, str):
            assert row["error"] and row["error"].startswith(expected), f"run {number}"
            continue
        elif expected:
            assert row["error"] is None, f"run {number}"
            for column, wanted in zip(("read", "loaded", "marked_gone"), expected, strict=False):
                assert wanted in (row[f"rows_{column}"], ANY), f"run {number}: {column}"
            assert not expected[3:] or expected[3] in (row["notes"] or ""), f"run {number}"
        assert ours == theirs, f"run {number}"
    if last := told.ledger[-1]:
        assert (last["error"], last["rows_loaded"], last["rows_marked_gone"]) == (None, 0, 0), "the full read"


BUGS = {
    "by_cursor_bytea": "keys are fetched by a literal that PostgreSQL does not have",
    "by_cursor_array": "keys are fetched by a literal that PostgreSQL does not have",
    "bigint_cursor": "bigint out of range",
    "text_cursor": "Cannot mix values of type VARCHAR and INTEGER_LITERAL in COALESCE",
    "numeric_divided": "the row hash knows no types: lost",
    "column_renamed": "the row hash knows no names: lost",
    "columns_swapped": "the row hash knows no names: lost",
    "key_renamed": "the row hash knows no names: lost",
    "column_without_a_type_of_ours": "evolution.adapt drops the stream's notes",
    "key_from_text": "buckets of an integer over a key that raw has as text",
    "key_added": "a gone key does not fit the new key's type",
    "became_a_view": "left out in silence",
}


def cases(stories: dict[str, Story]) -> list:
    """Their names as parameters of a test."""
    marks = {name: pytest.mark.xfail(strict=True, reason=reason) for name, reason in BUGS.items()}
    return [pytest.param(name, marks=marks[name]) if name in marks else name for name in stories]


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
        yield tell(database, warehouse, KEYED, [{}, {}])


@pytest.mark.parametrize("name", cases(KEYED))
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
            (THREE + "create table {t}_child () inherits ({t}); insert into {t}_child values (4, 'd')", (4, 4, 0)),
            ("insert into {t}_child values (5, 'e'); delete from only {t} where id = 1", (1, 1, 1)),
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
                "table_dropped is no longer in the source; its rows stay as they were last read. If that",
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
    "table_renamed_and_replaced": Story(
        [
            (THREE, (3, 3, 0)),
            (
                """alter table {t} rename to {t}_old; create table {t} (id int primary key, v text);
                insert into {t} values (1, 'a'), (2, 'b'), (4, 'd')""",
                (3, 1, 1),
            ),
        ]
    ),
    "became_a_view": Story(
        [
            (THREE, (3, 3, 0)),
            ("alter table {t} rename to {t}_table; create view {t} as select * from {t}_table", "became_a_view is"),
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
        database.execute(OUR_TYPES)
        yield tell(database, warehouse, STORIES, [{}, {}, {"accept_deletes": True}])


@pytest.mark.parametrize("name", cases(TRANSACTIONS))
def test_changes_of_rows(told, name):
    check(STORIES[name], told[name])


@pytest.mark.parametrize("name", cases(CURSORS))
def test_cursors(told, name):
    check(STORIES[name], told[name])


@pytest.mark.parametrize("name", cases(SCHEMA_CHANGES))
def test_changes_of_the_schema(told, name):
    check(STORIES[name], told[name])
