"""The business marts depend on the set of rows delivered: not on their order, on repetition, or on loads."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

import sandbox
from tests.comparison import differences

ROOT = Path(__file__).parents[2]
SCALE, DAYS = 0.05, 7
MARTS = "+path:models/marts"

# Every raw row twice, in random order, in loads of which none is an original one; the newer batch comes first.
REWRITTEN = """
    select * replace ('load ' || cast(cast(random() * 5 as int) as varchar) as _dlt_load_id),
        _dlt_load_id = max(_dlt_load_id) over () or random() < 0.3 as is_first
    from (from {table} union all from {table}) order by random()
"""


@pytest.fixture(scope="module")
def run():
    """Runs commands on a sandbox and a warehouse of their own (why not in pytest's folder: tests/sandbox/conftest)."""
    with tempfile.TemporaryDirectory(prefix="catchment-order-") as folder:
        yield _runner(Path(folder))


def _runner(folder: Path):
    environment = {
        **os.environ,
        "SANDBOX_ROOT": str(folder / "sandbox"),
        "SANDBOX_SCALE": str(SCALE),
        "WAREHOUSE_DIR": str(folder),
        "DBT_TARGET": "sandbox",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }

    def run(*command: str | Path) -> None:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run.folder, run.warehouse = folder, folder / "sandbox.duckdb"
    return run


def build(run, *select: str) -> None:
    """Builds models without tests."""
    exclude = ["path:models/marts/operations", "resource_type:test", "resource_type:unit_test"]
    run(Path(sys.executable).parent / "dbt", "build", "--quiet", "--select", *select, "--exclude", *exclude)


@pytest.fixture(scope="module")
def reference(run):
    """The raw rows of two ingests, and the marts made of them as they came."""
    run(sys.executable, "-m", "ingestion", "run")
    sandbox.advance(DAYS, run.folder / "sandbox")
    run(sys.executable, "-m", "ingestion", "run")
    raw, reference = run.folder / "raw.duckdb", run.folder / "reference.duckdb"
    shutil.copy(run.warehouse, raw)
    build(run, MARTS)
    run.warehouse.rename(reference)
    raw.rename(run.warehouse)
    return reference


@pytest.mark.timeout(600)
def test_marts_do_not_depend_on_order_repetition_and_loads(run, reference):
    """What is incremental is built of the newer batch and some older rows, and then once more of all rows."""
    with duckdb.connect(str(run.warehouse), config={"threads": 1}) as connection:
        connection.execute("select setseed(0.5)")
        connection.execute("attach ':memory:' as aside")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables()"
            " where database_name = 'sandbox' and schema_name like 'raw%' and table_name not like '\\_dlt%' escape '\\'"
        ).fetchall()
        rest = run.folder / "rest"
        rest.mkdir()
        for schema, name in tables:
            table, file = f"{schema}.{name}", rest / f"{schema}.{name}.parquet"
            connection.execute(f"create table aside.rows as {REWRITTEN.format(table=table)}")
            connection.execute(f"copy (from aside.rows where not is_first) to '{file}'")
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} select * exclude (is_first) from aside.rows where is_first")
            connection.execute("drop table aside.rows")
    build(run, "+config.materialized:incremental")
    with duckdb.connect(str(run.warehouse)) as connection:
        for schema, name in tables:
            file = rest / f"{schema}.{name}.parquet"
            connection.execute(f"insert into {schema}.{name} select * exclude (is_first) from '{file}'")
    build(run, MARTS)
    assert differences(reference, run.warehouse) == {}
