"""docs/systems/databases.md says what lands as what: its tables are those of the code."""

import re
from pathlib import Path

from ingestion import databases, mysql, postgres

PAGE = (Path(__file__).parents[3] / "docs/systems/databases.md").read_text()


def mapping(heading: str) -> dict[str, str]:
    """Declared type -> type in raw, of the table below a heading."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.M)
    return {
        name: re.match(r"[A-Z]+(?: WITH TIME ZONE|\([^)]*\))?", lands).group()
        for declared, lands in rows
        if "`" in declared
        for name in re.findall(r"`([^`]+)`", declared)
    }


def test_postgres_types():
    said = mapping("PostgreSQL")
    expected = {name: lands for name, (_, lands) in postgres._EXACT.items()} | dict.fromkeys(postgres._TEXTS, "VARCHAR")
    assert said == {**expected, "numeric(p,s)": "DECIMAL(p,s)", "numeric": "VARCHAR", "money": "DECIMAL(22,4)"}


def test_mysql_types():
    said = mapping("MySQL and MariaDB")
    expected = {name: lands for name, (_, _, lands) in mysql._TYPES.items()}
    decimals = {"decimal(p,s)": "DECIMAL(p,s)", "decimal": "VARCHAR", "bigint unsigned": "DECIMAL(20,0)"}
    assert said == {**expected, **decimals}


def test_sqlite_types(sqlite_database):
    said = mapping("SQLite")
    columns = {name: name.replace("p,s", "9,2") for name in said} | {"none": ""}
    names = ", ".join(f'"{name}" {declared}' for name, declared in columns.items())
    sqlite_database.execute(f"create table t ({names})")
    (table,) = databases.SQLite(sqlite_database.url).catalog([])
    assert {c.name: c.type.replace("9,2", "p,s") for c in table.columns} == {**said, "none": "VARCHAR"}


def test_options_are_all_there():
    for option in (*databases.OPTIONS, *databases.STREAM_OPTIONS):
        assert f"`{option}`" in PAGE or f"`streams.<name>.{option}`" in PAGE or option == "streams"
