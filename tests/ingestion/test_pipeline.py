"""The warehouse: who may open it, what it makes, and what survives a kill, a full disk and lost or corrupt folders."""

import dataclasses
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import dlt
import duckdb
import pytest
from conftest import BOTH, counts, made_up

from ingestion import pipeline
from ingestion.contract import Contract, contract, field, items
from ingestion.errors import ConfigurationError
from ingestion.ledger import LEDGER, REJECTED_ROWS
from ingestion.stream import Page, State, Stream
from ingestion.systems import all_systems

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@contract
class Things:
    """One thing."""

    thing_id: int = field("It's a number.", key=True)
    label: str | None = field("Its label.")


THINGS = Stream("things", Things, State())


class Numbers:
    """Reads the numbers from the bound on; the next bound is after the last."""

    def __init__(self, count, text="a") -> None:
        self.count, self.text, self.windows = count, text, []

    def read(self, stream, window):
        self.windows.append(window.since)
        first = (window.since - DAY).days if window.since else 0
        rows = [{"thing_id": number, "label": self.text} for number in range(first, self.count)]
        yield Page(items(rows, "page"), datetime.now(UTC))
        window.reached = DAY + timedelta(days=self.count)

    def check(self, stream):
        return "ok"

    def close(self):
        pass


@pytest.fixture
def numbers(warehouse):
    """Runs the stream over the first `count` numbers; returns (read, loaded, unchanged, rejected, gone)."""

    def run(count, text="a"):
        run.reader = Numbers(count, text)
        ledger = warehouse.run(made_up(THINGS, reader=run.reader))
        return counts(ledger["things"]) if "things" in ledger else warehouse.errors

    return run


def landed(warehouse):
    return warehouse.query("select count(*) from raw_made_up.things")[0][0]


def test_every_raw_table_exists_before_anything_is_loaded(warehouse):
    """With the contract's types and descriptions; so do the views over all ledgers."""
    systems = all_systems()
    with pipeline.opened(systems.values()) as opened:
        assert opened.query("select * from raw_operations.load_ledger") == []
        assert opened.query("select * from raw_operations.rejected_rows") == []
    found = warehouse.query("select schema_name, table_name, column_name, data_type, comment from duckdb_columns()")
    expected = [
        (f"raw_{system.name}", table, *column)
        for system in systems.values()
        for table, columns in (
            *((stream.name, stream.columns) for stream in system.streams),
            ("load_ledger", LEDGER),
            ("rejected_rows", REJECTED_ROWS),
        )
        for column in columns
    ]
    assert len(expected) > 200 and set(expected) <= set(found)
    with pipeline.opened(systems.values()):
        pass  # again, over what is there


@BOTH
def test_changed_contract(numbers, warehouse):
    """A new field becomes a column; another type of an old one is refused before anything is read."""

    def with_fields(*fields):
        return made_up(dataclasses.replace(THINGS, contract=Contract("One thing.", fields)), reader=Numbers(3))

    numbers(2)
    number, label = Things.fields
    warehouse.run(with_fields(number, label, dataclasses.replace(label, name="size", type="BIGINT", source="size")))
    assert warehouse.query("select thing_id, size from raw_made_up.things order by 1") == [(n, None) for n in range(3)]
    with pytest.raises(
        ConfigurationError, match=r"raw_made_up\.things\.label is VARCHAR in .*the contract says BIGINT"
    ):
        warehouse.run(with_fields(number, dataclasses.replace(label, type="BIGINT")))
    assert landed(warehouse) == 3


def test_not_a_warehouse(warehouse):
    warehouse.folder.mkdir()
    warehouse.file.write_text("something else " * 1000)
    with pytest.raises(ConfigurationError, match=r"can't open .*not a valid DuckDB database file"), pipeline.opened([]):
        pass


def test_a_place_that_dlt_can_not_write_to(warehouse, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_DIR", "/tmp/a team's")
    with pytest.raises(ConfigurationError, match=r"WAREHOUSE_DIR is /tmp/a team's: .* without '"), pipeline.opened([]):
        pass


@pytest.fixture
def mounted(tmp_path):
    """Mounts a small file system at the warehouse's folder."""
    folder = tmp_path / "a warehouse"

    def mount(*options):
        folder.mkdir(exist_ok=True)
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder], capture_output=True)
        if result.returncode:
            pytest.skip(f"can't mount a small file system (needs root): {result.stderr.decode().strip()}")

    yield mount
    subprocess.run(["umount", "--lazy", folder], capture_output=True)


def test_read_only_disk(mounted, warehouse):
    mounted("size=1m", "ro")
    with pytest.raises(ConfigurationError, match=r"can't open .*Read-only file system"), pipeline.opened([]):
        pass


def test_full_disk_from_the_start(mounted, warehouse):
    mounted("size=64k")
    with (
        pytest.raises(ConfigurationError, match=r"can't (open|write) .*[Nn]o space left"),
        pipeline.opened(all_systems().values()),
    ):
        pass


@BOTH
def test_disk_that_fills_up(mounted, numbers, warehouse):
    """What does not fit is said, what was loaded stays, and with space again the next run has everything."""
    mounted("size=64m")
    assert numbers(2) == (2, 2, 0, 0, 0)
    with (warehouse.folder / "ballast").open("wb") as ballast:
        free = shutil.disk_usage(warehouse.folder).free
        ballast.write(b"x" * (free - 2 * 2**20))
    failed = numbers(100_000, text="x" * 100)
    assert set(failed) == {"made_up"} and "No space left" in failed["made_up"], failed
    (warehouse.folder / "ballast").unlink()
    assert landed(warehouse) == 2
    assert numbers(50) == (48, 48, 0, 0, 0)
    assert landed(warehouse) == 50


def test_older_or_deleted_warehouse(numbers, warehouse):
    """dlt's folder remains and knows a cursor and packages of the lost one: they must not count."""
    numbers(5)
    backup = warehouse.file.read_bytes()
    numbers(8)
    warehouse.file.write_bytes(backup)
    assert numbers(9) == (4, 4, 0, 0, 0)
    assert landed(warehouse) == 9
    warehouse.file.unlink()
    assert (warehouse.packages).is_dir()
    assert numbers(10) == (10, 10, 0, 0, 0)
    assert numbers.reader.windows == [None]


@BOTH
def test_lost_or_corrupt_folder_of_dlt(numbers, warehouse):
    """The bound is kept in the warehouse."""
    numbers(5)
    shutil.rmtree(warehouse.packages)
    assert numbers(7) == (2, 2, 0, 0, 0)
    spoiled = [path for path in (warehouse.packages / "made_up").rglob("*") if path.is_file()]
    assert "state.json" in {path.name for path in spoiled}
    for path in spoiled:
        path.write_bytes(b"\x00{not json")
    assert numbers(8) == (1, 1, 0, 0, 0)
    assert landed(warehouse) == 8


@BOTH
def test_package_of_a_killed_run_is_loaded_first(numbers, warehouse, monkeypatch):
    """As it was read then; after it the run goes on from its bound."""

    def killed(*_, **__):
        raise SystemError("killed")

    numbers(3)
    with monkeypatch.context() as patch:
        patch.setattr(dlt.Pipeline, "load", killed)
        assert "killed" in numbers(5, "old")["made_up"]
    assert landed(warehouse) == 3
    between = datetime.now(UTC)
    assert numbers(6, "new") == (1, 1, 0, 0, 0)
    query = "select thing_id, label, _observed_at < ? from raw_made_up.things where thing_id > 2 order by 1"
    assert warehouse.query(query, between) == [(3, "old", True), (4, "old", True), (5, "new", False)]
    ledger = "select rows_loaded, status from raw_operations.load_ledger order by finished_at"
    assert warehouse.query(ledger) == [(3, "complete"), (2, "complete"), (1, "complete")]


@BOTH
def test_corrupt_package_of_a_killed_run(numbers, warehouse, monkeypatch):
    """The message says what to remove; then all is read again, since the bound has not moved."""

    def killed(*_, **__):
        raise SystemError("killed")

    numbers(3)
    with monkeypatch.context() as patch:
        patch.setattr(dlt.Pipeline, "load", killed)
        numbers(5)
    (package,) = (warehouse.packages).rglob("new_jobs/things.*.parquet")
    package.write_bytes(b"PAR1 not")
    message = numbers(6)["made_up"]
    folder = warehouse.packages / "made_up"
    assert f"what an interrupted run left in {folder} can't be loaded. If that goes on, remove it" in message
    assert "too small to be a Parquet file" in message
    shutil.rmtree(folder)
    assert numbers(6) == (3, 3, 0, 0, 0)
    assert landed(warehouse) == 6


@BOTH
def test_systems_side_by_side(warehouse):
    systems = [made_up(THINGS, reader=Numbers(10 + n), name=f"made_up_{n}") for n in range(3)]
    with pipeline.opened(systems) as opened:
        errors = pipeline.run(opened, systems, lambda system: pipeline.Run(), list)
        assert errors == {}
        ledger = opened.query("select system, rows_loaded from raw_operations.load_ledger order by 1")
    assert [tuple(row.values()) for row in ledger] == [(f"made_up_{n}", 10 + n) for n in range(3)]


def test_a_system_that_cannot_start_stops_no_other(warehouse):
    def broken(run=None):
        raise ValueError("no such option")

    good = made_up(THINGS, reader=Numbers(2))
    bad = dataclasses.replace(good, name="bad", source=broken)
    assert set(warehouse.run(bad, good)) == {"things"}
    assert warehouse.errors == {"bad": "ValueError: no such option"}
    with duckdb.connect(str(warehouse.file), read_only=True) as connection:  # as dbt would
        assert connection.sql("from raw_made_up.things").fetchall()


def test_target(monkeypatch):
    for value, name in (("", "sandbox"), ("local", "local")):
        monkeypatch.setenv("DBT_TARGET", value)
        assert pipeline.target() == name and pipeline.warehouse_path().name == f"{name}.duckdb"
    monkeypatch.setenv("DBT_TARGET", "prod")
    with pytest.raises(ConfigurationError, match="DBT_TARGET is 'prod': set it to sandbox or local"):
        pipeline.target()
