"""Comparing the business marts of two warehouses: the same rows as often, in every column but the load times."""

from pathlib import Path

import duckdb

LOAD_TIMES = ("load_id", "observed_at")


def differences(reference: Path, other: Path, changes: dict[str, str] | None = None) -> dict[str, int]:
    """Mart -> how many rows only one of the warehouses has; empty if all marts are identical.

    Raises AssertionError if the warehouses have other marts or columns, or none. `changes`: `mart.column` -> SQL that
    replaces the column where it is a load time by another name.
    """
    with duckdb.connect() as connection:
        for name, path in {"reference": reference, "other": other}.items():
            connection.execute(f"attach '{path}' as {name} (read_only)")
        columns, others = (_columns(connection, name) for name in ("reference", "other"))
        assert columns and columns == others
        found = {}
        for mart, names in columns.items():
            selected = ", ".join((changes or {}).get(f"{mart}.{name}", f'"{name}"') for name in names)
            one, two = (f"select {selected} from {name}.marts.{mart}" for name in ("reference", "other"))
            (rows,) = connection.execute(
                f"select count(*) from (({one} except all {two}) union all ({two} except all {one}))"
            ).fetchone()
            if rows:
                found[mart] = rows
        return found


def _columns(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, list[str]]:
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() where database_name = ? and schema_name = 'marts'"
        " order by table_name, column_index",
        [database],
    ).fetchall()
    columns: dict[str, list[str]] = {}
    for table, column in rows:
        columns.setdefault(table, [])
        if column not in LOAD_TIMES:
            columns[table].append(column)
    return columns
