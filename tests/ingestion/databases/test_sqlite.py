"""A SQLite file that is only configured: types that bind nothing, changes of rows, and what a file can be."""

import contextlib
import json
import random
import struct

import pytest
from conftest import Warehouse, counts, current_query

from databases.conftest import SQLiteDatabase
from ingestion.sqlite import SQLite

# Types.

TEXT, REAL = "VARCHAR", "DOUBLE"
LONG = 2**53 + 1
DIGITS = "12345678901234567890123456789012345.678"
# The declared type, the type in raw, values as they are written and as raw has them (as texts), and values that reject
# their row: as they are written, and as the reason gives them. NULL is in all of them.
TYPES = {
    "integer": (
        "BIGINT",
        {str(-(2**63)): str(-(2**63)), str(2**63 - 1): str(2**63 - 1), "'7'": "7", "' 8 '": "8", "1e3": "1000"},
        {"1.5": "'1.5' is not an integer", "'x'": "'x' is not an integer", "x'31'": "'X'31'' is not an integer"},
    ),
    "unsigned big int": ("BIGINT", {"5": "5"}, {"1e19": "is not an integer", "''": "'' is not an integer"}),
    "tinyint(1)": ("BIGINT", {"2": "2"}, {"'yes'": "'yes' is not an integer"}),
    "bigint": ("BIGINT", {"true": "1"}, {str(2**63): "is not an integer"}),
    "real": (
        REAL,
        {
            "0.1": "0.1",
            "1": "1.0",
            "'2.5'": "2.5",
            "1.7976931348623157e308": "1.7976931348623157e+308",
            "5e-324": "5e-324",
            "-0.30000000000000004": "-0.30000000000000004",
            "1e999": "inf",
            "-1e999": "-inf",
        },
        {"'x'": "'x' is not a number", "x'00'": "'X'00'' is not a number"},
    ),
    "numeric": (REAL, {"1.50": "1.5", str(2**53): "9007199254740992.0"}, {str(LONG): f"'{LONG} (an integer)'"}),
    "decimal": (REAL, {"-7": "-7.0"}, {str(-LONG): f"'{-LONG} (an integer)' is not a number"}),
    "double precision": (REAL, {"1e23": "1e+23"}, {"'1,5'": "'1,5' is not a number"}),
    "decimal(10)": ("DECIMAL(10,0)", {"1": "1", "2.0": "2"}, {"2.5": "'2.5' is not a decimal(10,0)"}),
    "decimal(10,2)": (
        "DECIMAL(10,2)",
        {"1.5": "1.50", "'99999999.99'": "99999999.99", "0.1": "0.10", "-3": "-3.00"},
        {"1.239": "'1.239' is not a decimal(10,2)", "100000000": "is not a decimal(10,2)"},
    ),
    "numeric( 38 , 3 )": ("DECIMAL(38,3)", {"7": "7.000"}, {f"'{DIGITS}9'": "is not a decimal(38,3)"}),
    "text": (
        TEXT,
        {"''": "", "'a\nb ☕\U0001f600'": "a\nb ☕\U0001f600", "1": "1", "0.1": "0.1", "x'00ff'": "X'00FF'"},
        {},
    ),
    "varchar(3)": (TEXT, {"'longer'": "longer", str(LONG): str(LONG)}, {}),
    "": (TEXT, {"1": "1", "0.1": "0.1", "1.0": "1.0", "'x'": "x"}, {}),
    "time": (TEXT, {"'12:30'": "12:30", "'25:00:00'": "25:00:00"}, {}),
    "json": (TEXT, {"'{\"a\": 1.10}'": '{"a": 1.10}'}, {}),
    "blob": ("BLOB", {"x'00ff41'": "\\x00\\xFFA", "x''": "", "'ä'": "\\xC3\\xA4", "12": "12"}, {}),
    "boolean": (
        "BOOLEAN",
        {"1": "true", "0": "false", "true": "true", "'f'": "false", "'Yes'": "true"},
        {"2": "'2' is not true or false", "'x'": "'x' is not true or false"},
    ),
    "date": (
        "DATE",
        {"'2026-03-01'": "2026-03-01", "'0001-01-01'": "0001-01-01"},
        {"'2026-02-30'": "'2026-02-30' is not a date", "'01.03.2026'": "is not a date", "20260301": "is not a date"},
    ),
    "datetime": (
        "TIMESTAMP",
        {
            "'2026-03-01 12:00:00'": "2026-03-01 12:00:00",
            "'2026-03-01T12:00:00.123456'": "2026-03-01 12:00:00.123456",
            "'2026-03-01'": "2026-03-01 00:00:00",
        },
        {"'now'": "'now' is not a time", "1772366400": "'1772366400' is not a time"},
    ),
    "timestamp": ("BIGINT", {"1772366400": "1772366400", "0": "0"}, {}),
    "date_time": (REAL, {"2461101.25": "2461101.25", "1": "1.0"}, {}),
}
NOTED = {
    "json": "is of the type json, which has no mapping: it lands as text",
    "timestamp": "is declared as timestamp but holds numbers: it lands as numbers",
    "date_time": "is declared as date_time but holds numbers: it lands as numbers",
}


def test_types(sqlite_database, warehouse):
    """Each lands in its type with its values; what does not look like its column's type rejects its row, alone."""
    expected, rejected, notes = {}, {}, {}
    for number, (name, (_, values, misfits)) in enumerate(TYPES.items()):
        table, without = f"t{number}", "without rowid" if number % 2 else ""
        sqlite_database.execute(f"create table {table} (id integer primary key, v {name}) {without}")
        written = [*values, "null", *misfits]
        rows = ", ".join(f"({id}, {value})" for id, value in enumerate(written))
        sqlite_database.execute(f"insert into {table} values {rows}")
        expected[table] = list(enumerate([*values.values(), None]))
        rejected[table] = [(len(values) + 1 + place, reason) for place, reason in enumerate(misfits.values())]
        notes[table] = [f"v {NOTED[name]}"] if name in NOTED else []
    ledger = warehouse.run("erp")
    types = dict(
        warehouse.query(
            "select table_name, data_type from duckdb_columns() where schema_name = 'raw_erp' and column_name = 'v'"
        )
    )
    assert types == {f"t{number}": raw_type for number, (raw_type, _, _) in enumerate(TYPES.values())}
    quarantine = "select stream, reason, original from raw_erp.rejected_rows"
    found = {}
    for table, reason, original in warehouse.query(quarantine):
        found.setdefault(table, []).append((int(json.loads(original)["id"]), reason))
    texts = " union all ".join(f"select '{table}', id, cast(v as varchar) from raw_erp.{table}" for table in expected)
    landed = {}
    for table, *row in sorted(warehouse.query(texts), key=lambda row: row[:2]):
        landed.setdefault(table, []).append(tuple(row))
    for table, rows in expected.items():
        assert ledger[table]["error"] is None
        assert landed[table] == rows, table
        ours = sorted(found.get(table, []))
        assert [key for key, _ in ours] == [key for key, _ in rejected[table]], table
        for (_, reason), (_, wanted) in zip(ours, rejected[table], strict=True):
            assert reason.startswith("v: ") and wanted in reason, table
        assert [n for n in json.loads(ledger[table]["notes"] or "[]") if n.startswith("v ")] == notes[table]
    again = warehouse.run("erp", full=True)
    assert {row["rows_loaded"] for row in again.values()} == {0}


@pytest.mark.parametrize("declared", ["real", ""])
def test_doubles_to_the_last_bit(sqlite_database, warehouse, declared):
    """In a column of reals, and in one of no type, where they are texts."""
    random.seed(1)
    doubles = [value for value in (struct.unpack("d", random.randbytes(8))[0] for _ in range(5000)) if value == value]
    doubles += [random.choice((1, -1)) * 10 ** random.uniform(-16, 16) for _ in range(5000)]
    doubles += [0.1 + 0.2, 1 / 3, 2.0**53, 2.0**63, 5e-324, 1e22, 123456789.123456789]
    sqlite_database.execute(f"create table t (id integer primary key, v {declared})")
    with contextlib.closing(sqlite_database.connect()) as connection:
        connection.execute("begin")
        connection.executemany("insert into t (v) values (?)", [(value,) for value in doubles])
        connection.execute("commit")
    assert counts(warehouse.run("erp")["t"]) == (len(doubles), len(doubles), 0, 0, 0)
    assert [float(value) for (value,) in warehouse.query("select v from raw_erp.t order by id")] == doubles


def test_doubles_in_no_more_digits_than_they_need(sqlite_database, warehouse):
    """So that a decimal which was written as one is one."""
    decimals = ["0.1", "12345678901.2345", "123456789012.3456", "987654321098.7654", "-0.0001"]
    sqlite_database.execute("create table t (id integer primary key, v decimal(18,4), w)")
    for decimal in decimals:
        sqlite_database.execute("insert into t (v, w) values (?, ?)", float(decimal), float(decimal))
    assert counts(warehouse.run("erp")["t"]) == (5, 5, 0, 0, 0)
    landed = warehouse.query("select cast(v as varchar), w from raw_erp.t order by id")
    assert [float(value) for value, _ in landed] == [float(decimal) for decimal in decimals]
    assert [text for _, text in landed] == decimals


def test_texts_that_begin_with_the_mark_of_reals(sqlite_database, warehouse):
    texts = ["\x01", "\x0112.50", "\x01\x01", "\x01abc", "", "x\x01"]
    sqlite_database.execute("create table t (id integer primary key, v text, w real)")
    for text in texts:
        sqlite_database.execute("insert into t (v) values (?)", text)
    sqlite_database.execute("insert into t (v, w) values ('a', ?)", "\x0112.50")
    assert counts(warehouse.run("erp")["t"]) == (7, 6, 0, 1, 0)
    assert [text for (text,) in warehouse.query("select v from raw_erp.t order by id")] == texts
    assert warehouse.query("select original ->> 'w' from raw_erp.rejected_rows") == [("\x0112.50",)]


def test_null_and_empty_blob(sqlite_database, warehouse):
    sqlite_database.execute("create table t (id integer primary key, v blob)")
    sqlite_database.execute("insert into t values (1, null), (2, x''), (3, x'00')")
    warehouse.run("erp")
    assert warehouse.query("select v from raw_erp.t order by id") == [(None,), (b"",), (b"\0",)]


# Rows.


ABC = "insert into {t} values (1, 'a'), (2, 'b'), (3, 'c')"
A, B = "'a'", "'b'"
FIFTY = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) select {} || i, 'v', 7 from n"
# How a table begins, what then happens, what is declared, its columns; rows read, loaded, gone by the run after.
CHANGES = {
    "full": (
        f"create table {{t}} (id integer primary key, v text); {ABC}",
        "update {t} set v = 'x' where id = 1; delete from {t} where id = 2; insert into {t} values (4, 'd')",
        {}, "id, v", (3, 2, 1),
    ),
    "without_rowid": (
        f"create table {{t}} (id int primary key, v text) without rowid; {ABC}",
        "update {t} set v = 'x' where id = 1; delete from {t} where id = 2",
        {}, "id, v", (2, 1, 1),
    ),
    "composite_key": (
        "create table {t} (b text, v text, a int, primary key (a, b));"
        "insert into {t} values ('x', 'v', 1), ('y', 'v', 1), ('x', 'v', 2)",
        "update {t} set v = 'w' where a = 1 and b = 'y'; delete from {t} where a = 2",
        {}, "a, b, v", (2, 1, 1),
    ),
    "no_key": (
        "create table {t} (a, v text); insert into {t} values (1, 'a'), (1, 'a'), (1, 'a'), (null, null), (null, null)",
        "delete from {t} where rowid in (1, 4); insert into {t} values (2, 'a')",
        {}, "a, v", (4, 1, 2),
    ),
    "cursor_of_iso_texts": (
        "create table {t} (id integer primary key, v text, c datetime); insert into {t} values (1, 'a', "
        "'2026-03-01 10:00:00'), (2, 'b', '2026-03-02T10:00:00.5'), (3, 'c', '2026-03-03 10:00:00'), (5, 'e', null)",
        "insert into {t} values (4, 'tie', '2026-03-03 10:00:00'), (6, 'late', '2026-03-01 09:00:00');"
        "update {t} set v = 'x', c = '2026-03-04T00:00:00' where id = 1; delete from {t} where id = 2",
        {"cursor": "c"}, "id, v", (5, 3, 1),
    ),
    "cursor_of_dates": (
        "create table {t} (id text primary key, v text, c date);"
        "insert into {t} values ('ä''', 'a', '2026-03-01'), ('b', 'b', '2026-03-02'), ('c', 'c', '2026-03-03')",
        "update {t} set v = 'x', c = '2026-02-01' where id = 'ä'''; delete from {t} where id = 'b';"
        "insert into {t} values ('d', 'd', '2026-03-03')",
        {"cursor": "c"}, "id, v, c", (3, 2, 1),
    ),
    "cursor_of_integers": (
        "create table {t} (id integer primary key, v text, c integer);"
        "insert into {t} values (1, 'a', -1), (2, 'b', 1), (3, 'c', 2)",
        "update {t} set v = 'x', c = -5 where id = 1; delete from {t} where id = 2; insert into {t} values (4, 'd', 2)",
        {"cursor": "c"}, "id, v, c", (3, 2, 1),
    ),
    "cursor_of_epochs": (
        "create table {t} (id integer primary key, v text, c timestamp);"
        "insert into {t} values (1, 'a', 1772366400), (2, 'b', 1772366401), (3, 'c', 1772366402)",
        "update {t} set v = 'x', c = 1772366403 where id = 1; delete from {t} where id = 2",
        {"cursor": "c"}, "id, v, c", (2, 1, 1),
    ),
    "fifty_for_fifty": (
        f"create table {{t}} (id text primary key, v text, c integer); insert into {{t}} values ('last', 'v', 9);"
        f"insert into {{t}} {FIFTY.format(A)}",
        f"delete from {{t}} where c = 7; insert into {{t}} {FIFTY.format(B)}",
        {"cursor": "c"}, "id, v, c", (51, 50, 50),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """What two runs made of all changes: the ledger, and raw's and the source's rows, as texts, by table."""
    folder, runs = tmp_path_factory.mktemp("changes"), []
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("DBT_TARGET", "local")
        monkeypatch.setenv("WAREHOUSE_DIR", str(folder / "warehouse"))
        database, warehouse = SQLiteDatabase(folder / "erp.sqlite", monkeypatch), Warehouse(folder / "warehouse")
        database.configure(streams={name: stream for name, (_, _, stream, _, _) in CHANGES.items()})
        for chapter in (0, 1):
            for name, story in CHANGES.items():
                database.execute(story[chapter].replace("{t}", name))
            ledger, rows = warehouse.run("erp"), {}
            for name, (_, _, _, columns, _) in CHANGES.items():
                texts = ", ".join(f"cast({column} as text)" for column in columns.split(", "))
                ours = warehouse.query(current_query(f"raw_erp.{name}", texts)) if not ledger[name]["error"] else []
                rows[name] = ours, database.execute(f"select {texts} from {name}")
            runs.append((ledger, rows))
    return runs


@pytest.mark.parametrize("name", CHANGES)
def test_changes(changed, name):
    """Raw is the source's table after each run, and nothing is appended for what did not change."""
    for ledger, rows in changed:
        assert ledger[name]["error"] is None
        assert sorted(rows[name][0], key=repr) == sorted(rows[name][1], key=repr)
    assert tuple(counts(changed[1][0][name])[place] for place in (0, 1, 4)) == CHANGES[name][4]


# Tables.


def test_what_is_a_table(sqlite_database, warehouse):
    """Tables whatever they are called, generated columns too; no view that is not named, nor a search index' tables."""
    sqlite_database.execute("""
        create table "Order; Items's" ("select" integer primary key, [a "b"] text, "Ä%s" text, "A B" text, a_b text);
        insert into "Order; Items's" values (1, 'q', 'u', 'x', 'y');
        create table made (id integer primary key, price int, twice int as (price * 2), kept int as (price) stored);
        insert into made values (1, 5);
        create virtual table documents using fts5(body); insert into documents values ('text');
        create virtual table boxes using rtree(id, x0, x1); insert into boxes values (1, 0, 1);
        create view cheap as select id, price from made where price < 9;
        create table parent (id integer primary key); create table child (p references Parent, q references gone);
        insert into child values (null, 1);
        create table lost (id int); create view orphan as select * from lost; drop table lost
    """)
    tables = {"child", "made", "order_items_s", "parent"}
    assert {name: row["error"] for name, row in warehouse.run("erp").items()} == dict.fromkeys(tables)
    assert warehouse.query("from raw_erp.order_items_s")[0][:5] == (1, "q", "u", "x", "y")
    assert warehouse.query("select id, price, twice, kept from raw_erp.made") == [(1, 5, 10, 5)]
    sqlite_database.configure(tables=["cheap", "orphan", "made"])
    ledger = warehouse.run("erp")
    assert sorted(ledger) == ["cheap", "made", "orphan"]
    assert counts(ledger["cheap"]) == (1, 1, 0, 0, 0) and ledger["made"]["error"] is None
    assert "no such table: main.lost" in ledger["orphan"]["error"]


def test_foreign_keys(sqlite_database):
    """Without a column it is the parent's key; a parent that is not there, and a key of several columns, are none."""
    sqlite_database.execute("""
        create table parent (Id integer primary key); create table pair (a int, b int, primary key (a, b));
        create table child (p references Parent, q references gone, r references parent (ID), a, b,
            foreign key (a, b) references pair)
    """)
    (child,) = [table for table in SQLite(sqlite_database.url).catalog([]) if table.name == "child"]
    assert sorted(child.references) == [("p", "main", "parent", "Id"), ("r", "main", "parent", "Id")]


# Files.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't open {file}: No such file or directory"),
        (b"PK\x03\x04 is no database", "{file} is no SQLite database: check the path"),
        (b"", "{file} has no table that may be seen"),
        (b"SQLite format 3\0" + b"\0" * 100, "not a database"),
    ],
    ids=["missing", "no_database", "empty", "cut_off"],
)
def test_wrong_file(sqlite_database, run, content, message):
    """It is said in one line, and no file is made."""
    sqlite_database.file.unlink()
    if content is not None:
        sqlite_database.file.write_bytes(content)
    code, out, err = run("run", "erp")
    assert code == 1 and message.format(file=sqlite_database.file) in out + err
    assert "Traceback" not in out + err
    assert sqlite_database.file.exists() == (content is not None)


def test_written_to_meanwhile(sqlite_database, warehouse):
    """In WAL mode, with a transaction of another connection open: what is committed is read, and nothing else."""
    sqlite_database.execute("pragma journal_mode = wal")
    with contextlib.closing(sqlite_database.connect()) as writer:
        writer.execute("create table t (id integer primary key, v text)")
        writer.execute("insert into t values (1, 'in the log')")
        writer.execute("begin immediate")
        writer.execute("insert into t values (2, 'open')")
        writer.execute("update t set v = 'open' where id = 1")
        assert counts(warehouse.run("erp")["t"]) == (1, 1, 0, 0, 0)
        assert warehouse.query("select id, v from raw_erp.t") == [(1, "in the log")]
        writer.execute("commit")
    assert counts(warehouse.run("erp")["t"]) == (2, 2, 0, 0, 0)
    assert warehouse.current("raw_erp.t", "id, v") == [(1, "open"), (2, "open")]
