"""What the loaders' tests share: a real warehouse, a real PostgreSQL with a database per test, and a made-up system.

Nothing is mocked. `ingest` does what `python -m ingestion run` does, in this process, and holds the ledger's identity
after every run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import dlt
import duckdb
import psycopg
import pytest

from ingestion import errors, http, pipeline
from ingestion.__main__ import main
from ingestion.reading import resources
from ingestion.stream import Run
from ingestion.systems import System, all_systems
from sandbox.shop import READER, Database

ROOT = Path(__file__).parents[2]
PASSWORD = "Pä55 w@rd/50%:x"  # every character that has to be percent-encoded


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """A warehouse and a sandbox folder of the test's own, target local, no option set, no secret known yet."""
    for name in [name for name in os.environ if name.startswith("SOURCES__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DBT_TARGET", "local")
    monkeypatch.setenv("WAREHOUSE_DIR", str(tmp_path / "a warehouse"))
    monkeypatch.delenv("LAKE_URL", raising=False)
    monkeypatch.setenv("SANDBOX_ROOT", str(tmp_path / "sandbox"))
    monkeypatch.setattr(errors, "_secrets", set())
    monkeypatch.chdir(ROOT)


class Warehouse:
    """The test's warehouse between runs, and runs into it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.packages = folder, folder / "local.duckdb", folder / "local.dlt"
        self.errors: dict[str, str] = {}

    def query(self, sql: str, *parameters) -> list[tuple]:
        """The rows of a query."""
        with duckdb.connect(str(self.file)) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql, list(parameters)).fetchall()

    def run(self, *systems: System | str, streams: tuple[str, ...] = (), **options) -> dict[str, dict]:
        """Runs systems (streams: only these) with the options of a Run; returns the ledger's rows by stream.

        Every row of the ledger accounts for the rows read; what kept a whole system from loading is in `errors`.
        """
        chosen = [all_systems()[system] if isinstance(system, str) else system for system in systems]
        run_id = Run().run_id
        with pipeline.opened(chosen) as warehouse:
            self.errors = pipeline.run(
                warehouse,
                chosen,
                lambda system: Run(run_id=run_id, **options),
                lambda found: [stream for stream in found if not streams or stream.name in streams],
            )
            ledger = warehouse.query("select * from raw_operations.load_ledger where run_id = ?", [run_id])
        for row in ledger:
            accounted = row["rows_loaded"] + row["rows_unchanged"] + row["rows_rejected"]
            assert row["rows_read"] == accounted, row
            assert (row["status"] == "failed") == bool(row["error"]), row
        by_stream = {row["stream"]: row for row in ledger}
        assert len(by_stream) == len(ledger)
        return by_stream

    def current(self, table: str, columns: str, key: str = "_key") -> list[tuple]:
        """Rows of a state stream as staging sees them: the newest sighting of every key that is not gone."""
        return self.query(current_query(table, columns, key))


class Lake(Warehouse):
    """The same for the target spark: its files, seen as the loaders see them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file, self.packages = folder / "lake", folder / "spark.dlt"

    def query(self, sql: str, *parameters) -> list[tuple]:
        """The rows of a query."""
        with pipeline.opened([]) as lake:
            return lake.connection.execute(sql, list(parameters)).fetchall()


def current_query(table: str, columns: str, key: str = "_key") -> str:
    """SQL for `Warehouse.current`."""
    return f"""
        select {columns} from (
            select *, max(_observed_at) filter (where _mark = 'gone') over (partition by {key}) as gone_at,
                max(_observed_at) filter (where _mark is distinct from 'gone') over (partition by {key}) as seen_at
            from {table}
        )
        where _mark is null and (gone_at is null or seen_at >= gone_at)
        qualify row_number() over (partition by {key} order by _version desc, _observed_at desc, _row_hash desc) = 1
        order by {key}
    """


BOTH = pytest.mark.parametrize("warehouse", ["local", "spark"], indirect=True)
"""For a test that is to hold for a lake, too."""


@pytest.fixture
def warehouse(tmp_path, monkeypatch, request):
    """An empty warehouse in DuckDB, or the one that the test asks for."""
    monkeypatch.setenv("DBT_TARGET", getattr(request, "param", "local"))
    return {"local": Warehouse, "spark": Lake}[os.environ["DBT_TARGET"]](tmp_path / "a warehouse")


def counts(row: dict) -> tuple[int, int, int, int, int]:
    """(read, loaded, unchanged, rejected, marked gone) of a ledger row."""
    return tuple(row[f"rows_{name}"] for name in ("read", "loaded", "unchanged", "rejected", "marked_gone"))


class Readings:
    """A reader whose next readings the test lays out: lists of pages and key sweeps, or an error to raise."""

    def __init__(self) -> None:
        self.next, self.windows = [], []

    def read(self, stream, window):
        self.windows.append(window)
        for item in self.next:
            if isinstance(item, Exception):
                raise item
            yield item

    def check(self, stream) -> str:
        return "ok"

    def close(self) -> None:
        pass


def made_up(*streams, reader=None, name="made_up", is_concurrent=False) -> System:
    """A system of these streams, read by `reader`."""

    @dlt.source(name=name)
    def source(run=None):
        return resources(streams, reader, run, is_concurrent=is_concurrent)

    return System(name, "A system that only the tests know.", list(streams), source, lambda: reader, {})


@pytest.fixture
def readings():
    return Readings()


@pytest.fixture(scope="session")
def postgres():
    """A real PostgreSQL with the sandbox's empty shop, which the tests' databases are copied from.

    Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as.
    """
    folder = Path(tempfile.mkdtemp(prefix="catchment-postgres-"))
    server = Database(folder / "postgres")
    server.start()
    server.create(PASSWORD)
    access = (server.folder / "pg_hba.conf").read_text().replace("host shop", "host all")
    (server.folder / "pg_hba.conf").write_text(access)
    with server.connect("postgres") as connection:
        connection.execute("select pg_reload_conf()")
    yield server
    server.stop()
    shutil.rmtree(folder)


DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ShopDatabase:
    """One test's own copy of the shop's database."""

    def __init__(self, server: Database, name: str) -> None:
        self.server, self.name = server, name

    @property
    def credentials(self) -> str:
        return f"postgresql://{READER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.server.port}/{self.name}"

    def connect(self) -> psycopg.Connection:
        """A superuser's connection."""
        connection = self.server.connect(self.name)
        connection.autocommit = True
        return connection

    def execute(self, sql: str, *parameters) -> list[tuple]:
        """Runs one statement (or several without parameters) as superuser."""
        with self.connect() as connection:
            cursor = connection.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def customer(self, number: int, updated_at: datetime | str = DAY, **values) -> None:
        """Inserts a customer, or changes the one with this number."""
        row = {
            "customer_id": number,
            "is_business": False,
            "has_marketing_consent": True,
            "created_at": DAY,
            "updated_at": updated_at,
            **values,
        }
        updates = ", ".join(f'"{name}" = excluded."{name}"' for name in ("updated_at", *values))
        names = ", ".join(f'"{name}"' for name in row)
        self.execute(
            f"insert into customers ({names}) values ({', '.join(['%s'] * len(row))}) "
            f"on conflict (customer_id) do update set {updates}",
            *row.values(),
        )

    def product(self, number: int, list_price: object = "1.5", **values) -> None:
        """Inserts a product."""
        row = {
            "product_id": number,
            "sku": f"sku-{number}",
            "product_name": "Coffee",
            "currency": "EUR",
            "list_price": list_price,
            "is_active": True,
            "created_at": DAY,
            "updated_at": DAY,
            **values,
        }
        self.execute(f"insert into products ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})", *row.values())


@pytest.fixture
def shop(postgres, monkeypatch, request):
    """An empty shop of the test's own, whose credentials are set."""
    name = f"shop_{abs(hash(request.node.nodeid))}"
    with postgres.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f"create database {name} template shop")
    database = ShopDatabase(postgres, name)
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", database.credentials)
    yield database
    with postgres.connect("postgres") as connection:
        connection.autocommit = True
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def short_waits(monkeypatch):
    """Back-off in thousandths of what it is, for tests in which all attempts fail."""
    back_off = http._back_off
    monkeypatch.setattr(http, "_back_off", lambda attempt: back_off(attempt) / 1000)


@pytest.fixture
def run(capfd):
    """Runs a command of the command line in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        try:
            code = main(list(arguments))
        except SystemExit as error:  # argparse
            code = error.code
        return code, *capfd.readouterr()

    return run


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs the command line as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ingestion", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
