"""Every table of real databases against what lands of them: `make samples`, with SAMPLE_DATABASES set.

SAMPLE_DATABASES is JSON, name -> SQLAlchemy URL, of roles that may make databases: all reading and changing is of
copies. Each database is read, changed (rows inserted, updated and deleted in every table) and read again, and after
each reading every column of every table is compared with the source: counts, distinct values, sums, least and greatest
values, lengths and checksums, and a checksum over whole rows. A third reading, after no change, must load nothing.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import jinja2
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from measuring import DUCKDB, Measures, Table, differences, measures
from mysql_sample import MySQL
from postgres_sample import Postgres
from sqlite_sample import SQLite

from ingestion.stream import SYSTEM_COLUMNS

ROOT = Path(__file__).parents[2]
DATABASES: dict[str, str] = json.loads(os.environ.get("SAMPLE_DATABASES", "{}"))
SHOWN = 3
"""So many differences of a table are shown."""
snake_case = NamingConvention().normalize_identifier


class Warehouse:
    """Runs of the command line into a warehouse of the test's own."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        self.folder, self.name = folder, name
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SOURCES__")},
            **{"DBT_TARGET": "local", "WAREHOUSE_DIR": str(folder), "SANDBOX_ROOT": str(folder / "sandbox")},
            f"SOURCES__DATABASES__{name.upper()}__CREDENTIALS": url,
        }

    def run(self) -> tuple[float, dict[str, dict]]:
        """Runs the loader; returns the seconds it took, and its ledger by stream."""
        started = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-m", "ingestion", "run", self.name],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        seconds = time.monotonic() - started
        assert run.returncode in (0, 1), f"{run.stdout}\n{run.stderr}"
        rows = self.query(
            "select stream, status, error, rows_read, rows_loaded, rows_rejected, rows_marked_gone "
            "from raw_operations.load_ledger where system = ? "
            "and run_id = (select arg_max(run_id, started_at) from raw_operations.load_ledger where system = ?)",
            self.name,
            self.name,
        )
        if not rows:
            print(run.stdout, run.stderr)
        return seconds, {row["stream"]: row for row in rows}

    def query(self, sql: str, *parameters) -> list[dict]:
        """The rows of a query."""
        with duckdb.connect(str(self.folder / "local.duckdb"), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            cursor = connection.execute(sql, list(parameters))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def measure(self, table: Table, raw_table: str) -> Measures:
        """What the current rows of a raw table add up to, under the names of the source's columns."""
        relation = f"raw_{self.name}.{raw_table}"
        present = {row["column_name"] for row in self.query(f"describe {relation}")}
        columns, taken = [], set(SYSTEM_COLUMNS)
        by_right = sorted(table.columns, key=lambda column: snake_case(column.name) != column.name)
        names = {column: free(snake_case(column.name), taken) for column in by_right}
        for column in table.columns:
            name = names[column]
            if name not in present:
                continue  # every difference says so
            unfit = f"json_exists(_unknown_fields, '/{column.name}')"
            value = f'"{name}"'
            columns.append((column, value, f"count({value}) + count(*) filter ({value} is null and {unfit})"))
        asked = measures(DUCKDB, columns)
        current = jinja2.Template((ROOT / "macros/kinds.sql").read_text()).module.current_state(relation)
        questions = ", ".join(f"{question} as _{number}" for number, question in enumerate(asked.values()))
        (row,) = self.query(f"select {questions} from ({current})")
        return dict(zip(asked, row.values(), strict=True))


def free(name: str, taken: set[str]) -> str:
    """The name, or the first of name_2, name_3... that is not taken; now it is."""
    number = next(n for n in itertools.count(1) if (name if n == 1 else f"{name}_{n}") not in taken)
    taken.add(name if number == 1 else f"{name}_{number}")
    return name if number == 1 else f"{name}_{number}"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DATABASES)
def test_all_tables_are_the_sources(name, tmp_path):
    engines = {"postgresql": Postgres, "postgres": Postgres, "sqlite": SQLite, "mysql": MySQL, "mariadb": MySQL}
    database = engines[re.match(r"\w+", DATABASES[name])[0]](DATABASES[name]).copy()
    try:
        tables = database.tables()
        held = {table: database.hold_back(table) for table in tables}
        warehouse, failures = Warehouse(tmp_path, name, database.url), []
        for reading in ("first", "changed", "unchanged"):
            if reading == "changed":
                for table in tables:
                    updated = database.change(table, held[table])
                    print(f"{name}.{_raw_table(database, table)}: {held[table]} inserted, deleted; {updated} updated")
            seconds, ledger = warehouse.run()
            found = _compare(database, tables, warehouse, ledger, reading)
            failures += found
            rows = sum(row["rows_read"] for row in ledger.values())
            print(
                f"{name}: {reading} reading, {len(tables)} tables, {rows:,} rows read in {seconds:.1f} s, "
                f"{len(found)} tables differ",
                flush=True,
            )
        if failures:
            pytest.fail("\n".join(failures), pytrace=False)
    finally:
        database.drop()


def _raw_table(database, table: Table) -> str:
    is_default = table.schema in ("public", "main", getattr(database, "name", ""))
    return snake_case(table.name) if is_default else f"{snake_case(table.schema)}__{snake_case(table.name)}"


def _compare(database, tables: list[Table], warehouse: Warehouse, ledger: dict, reading: str) -> list[str]:
    failures = []
    for table in tables:
        raw_table = _raw_table(database, table)
        where = f"{warehouse.name}.{raw_table} ({reading})"
        row = ledger.get(raw_table)
        if row is None:
            found = ["it was not read"]
        elif row["status"] == "failed":
            found = [row["error"]]
        else:
            source = database.measure(table)
            try:
                found = differences(source, warehouse.measure(table, raw_table))
            except duckdb.BinderException as error:
                found = [f"a column landed in a type of another kind: {error}"]
            found += [f"{row['rows_rejected']} rows are rejected"] if row["rows_rejected"] else []
            if reading == "unchanged" and (row["rows_loaded"] or row["rows_marked_gone"]):
                found.append(f"nothing changed, and {row['rows_loaded']} rows were loaded")
            where += f": {source['rows']:,} rows, {len(source):,} figures, {row['rows_read']:,} rows read"
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        line = f"{where}: {'; '.join([*found[:SHOWN], *more]) or 'equal'}"
        print(line, flush=True)
        failures += [line] if found else []
    unexpected = sorted(ledger.keys() - {_raw_table(database, table) for table in tables})
    return failures + [f"{warehouse.name}.{stream} ({reading}): no table of the source" for stream in unexpected]
