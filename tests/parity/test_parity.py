"""Both engines build the same marts: one extraction, two builds with days in between, every row with its exact type.

`make parity` runs it. The first build of the second round on Spark is killed half-way, and a worker dies during the one
that follows, which has to end well all the same. What the data must be like is tested on DuckDB, where it is the same.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from rich.table import Table

import sandbox
from ingestion.systems import all_systems
from ingestion.warehouse import Warehouse
from sandbox.cluster import Cluster, free_port, session

ROOT = Path(__file__).parents[2]
SCALE = float(os.environ.get("SCALE") or 0.1)
DAYS = 7
DBT = str(Path(sys.executable).parent / "dbt")
HALF_WAY = 0.5


class Engines:
    """A sandbox, the lake that it is extracted to, and the two engines that build from it."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder, self.cluster = folder, cluster
        self.lake, self.warehouse = folder / "lake", folder / "local.duckdb"
        self.environment = {
            **os.environ,
            "WAREHOUSE_DIR": str(folder),
            "LAKE_URL": self.lake.as_uri(),
            "SPARK_PORT": str(cluster.state.port),
            "DBT_LOG_PATH": str(folder / "logs"),
        }

    def ingest(self) -> None:
        """One extraction, for both: into the lake, whose files are then put into the DuckDB warehouse."""
        with sandbox.running(root=self.folder / "sandbox", scale=SCALE, seed=1) as options:
            command = [sys.executable, "-m", "ingestion", "run"]
            environment = {**self.environment, **options, "DBT_TARGET": "spark"}
            subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        warehouse = Warehouse(all_systems().values(), self.warehouse)
        for schema in self.lake.glob("raw_*/*/schema.parquet"):
            dataset, table = schema.parts[-3:-1]
            warehouse.connection.execute(f"delete from {dataset}.{table}")
            files = f"read_parquet('{schema.parent}/*.parquet', union_by_name = true)"
            warehouse.connection.execute(f"insert into {dataset}.{table} by name from {files}")
        warehouse.close()

    def dbt(self, target: str, *arguments: str, at_half: Callable[[subprocess.Popen], None] | None = None) -> None:
        """Runs dbt on an engine; `at_half` is called with the process once half of the models are built."""
        environment = {**self.environment, "DBT_TARGET": target, "DBT_TARGET_PATH": str(self.folder / target)}
        command = [DBT, "--no-use-colors", *arguments]
        lines, began = [], time.monotonic()
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout:
                lines.append(line)
                done = re.search(r"(\d+) of (\d+) (?!START|.*hook)", line)
                if at_half and done and int(done[1]) > HALF_WAY * int(done[2]):
                    at_half(process)
                    at_half = None
        assert at_half is None, "it ended before it was half done"
        assert process.returncode in (0, -signal.SIGKILL), "".join(lines)
        end = "killed" if process.returncode else lines[-1].strip()
        print(f"parity: {target}: dbt {' '.join(arguments)}: {time.monotonic() - began:.0f} s; {end}", flush=True)

    def lose_a_worker(self, _: subprocess.Popen) -> None:
        """The machine of a worker fails: the worker and its executor are gone at once."""
        os.killpg(self.cluster.state.pids["worker2"], signal.SIGKILL)
        print("parity: a worker is killed", flush=True)

    def compare(self) -> list[str]:
        """Prints a line per mart; returns the marts that differ."""
        out = self.folder / "marts"
        table, differing = Table("mart", "rows", "both engines", box=None), []
        with session(self.cluster.state.port) as spark, duckdb.connect() as connection:
            connection.execute(f"set timezone = 'UTC'; attach '{self.warehouse}' as duckdb (read_only)")
            marts = connection.execute("""
                select table_schema, table_name from information_schema.tables
                where table_catalog = 'duckdb' and table_schema in ('marts', 'operations') order by all
            """).fetchall()
            for schema, mart in marts:
                folder = out / mart
                spark.execute(f"insert overwrite directory '{folder}' using parquet select * from {schema}.{mart}")
                told = compare(connection, f"duckdb.{schema}.{mart}", f"read_parquet('{folder}/*.parquet')")
                rows = connection.table(f"duckdb.{schema}.{mart}").shape[0]
                table.add_row(f"{schema}.{mart}", f"{rows:,}", told or "equal")
                differing += [mart] if told else []
        Console(width=200).print(table)
        assert marts
        return differing


def compare(connection: duckdb.DuckDBPyConnection, one: str, other: str) -> str:
    """What is different: columns and types, or the first row that only one of them has; nothing if they are equal."""
    columns = [
        connection.execute(f"select column_name, column_type from (describe from {relation})").fetchall()
        for relation in (one, other)
    ]
    if columns[0] != columns[1]:
        return f"columns: DuckDB {set(columns[0]) - set(columns[1])}, Spark {set(columns[1]) - set(columns[0])}"
    for engine, here, there in (("DuckDB", one, other), ("Spark", other, one)):
        only = connection.sql(f"(from {here}) except all (from {there})")
        if rows := only.order(", ".join(f"{number}" for number in range(1, len(columns[0]) + 1))).limit(1).fetchall():
            return f"{len(only)} rows only in {engine}, the first: {rows[0]}"
    return ""


@pytest.fixture(scope="module")
def engines():
    """Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="catchment-parity-"))
    cluster = Cluster(folder / "cluster")
    cluster.up(free_port())
    yield Engines(folder, cluster)
    cluster.down()
    sandbox.reset(folder / "sandbox")
    shutil.rmtree(folder)


@pytest.mark.timeout(1400)
def test_marts_are_equal(engines):
    print()
    engines.ingest()
    engines.dbt("local", "build")
    engines.dbt("spark", "seed")
    engines.dbt("spark", "run")
    assert engines.compare() == []


@pytest.mark.timeout(1400)
def test_a_build_a_week_later_is_killed(engines):
    sandbox.advance(DAYS, engines.folder / "sandbox")
    engines.ingest()
    engines.dbt("local", "build")
    engines.dbt("spark", "run", at_half=lambda process: process.kill())


@pytest.mark.timeout(1400)
def test_marts_are_equal_after_another_build_in_which_a_worker_dies(engines):
    engines.dbt("spark", "run", at_half=engines.lose_a_worker)
    assert engines.compare() == []


@pytest.mark.timeout(1400)
def test_what_tests_the_sql_passes_on_spark(engines):
    """Unit tests, and those of the data that are written out; the others are of a few forms."""
    engines.dbt("spark", "test", "--select", "test_type:unit", "test_type:singular")
