"""What a lake does in its own way: its files, who may load it, and what an interrupted load leaves.

That it reads as a warehouse does is tested with the warehouse: see BOTH. Object storage: tests/parity.
"""

import shutil
from datetime import UTC, datetime, timedelta

import dlt.destinations.impl.filesystem.filesystem as filesystem
import pyarrow.parquet as pq
import pytest
from conftest import command, counts, made_up

from ingestion import pipeline
from ingestion.contract import contract, field, items
from ingestion.errors import ConfigurationError
from ingestion.stream import Page, State, Stream

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def warehouse(warehouse):
    return warehouse


pytestmark = pytest.mark.parametrize("warehouse", ["spark"], indirect=True)


@contract
class Things:
    """One thing."""

    thing_id: int = field("Its number.", key=True)
    label: str | None = field("Its label.")


class Numbers:
    """Reads the numbers from the bound on; the next bound is after the last."""

    def __init__(self, count: int) -> None:
        self.count = count

    def read(self, stream, window):
        first = (window.since - DAY).days if window.since else 0
        rows = [{"thing_id": number, "label": f"n{number}"} for number in range(first, self.count)]
        yield Page(items(rows, "page"), datetime.now(UTC))
        window.reached = DAY + timedelta(days=self.count)

    def close(self) -> None:
        pass


def load(warehouse, count):
    """Loads the first `count` numbers; returns (read, loaded, unchanged, rejected, gone), or the errors."""
    ledger = warehouse.run(made_up(Stream("things", Things, State()), reader=Numbers(count)))
    return counts(ledger["things"]) if "things" in ledger else warehouse.errors


def files(warehouse, table="raw_made_up/things"):
    return sorted(path.name for path in (warehouse.file / table).iterdir())


def test_files(warehouse):
    """One per load, and one that has the columns and no row; nothing half-written."""
    load(warehouse, 2)
    load(warehouse, 5)
    *loads, schema = files(warehouse)
    assert schema == "schema.parquet" and len(loads) == 2
    tables = [pq.read_table(warehouse.file / "raw_made_up/things" / name) for name in (*loads, schema)]
    assert [table.num_rows for table in tables] == [2, 3, 0]
    for name, sql_type in {"thing_id": "int64", "_observed_at": "timestamp[us, tz=UTC]", "_key": "string"}.items():
        assert {str(table.schema.field(name).type).replace("Etc/", "") for table in tables} == {sql_type}


def test_a_load_that_is_repeated_doubles_nothing(warehouse, monkeypatch):
    """Killed after its files were there, and before dlt knew: the same names again."""

    def killed(*_):
        raise SystemError("killed")

    load(warehouse, 2)
    with monkeypatch.context() as patch:
        patch.setattr(filesystem.FilesystemClient, "complete_load", killed)
        load(warehouse, 5)
    assert "killed" in warehouse.errors["made_up"]
    assert len(files(warehouse)) == 3
    assert load(warehouse, 6) == (1, 1, 0, 0, 0)
    assert warehouse.query("select count(*), count(distinct thing_id) from raw_made_up.things") == [(6, 6)]
    assert len(files(warehouse)) == 4


def test_a_lake_that_was_deleted(warehouse):
    """dlt's folder knows a bound of the lost one, which must not count."""
    load(warehouse, 5)
    shutil.rmtree(warehouse.file)
    assert load(warehouse, 6) == (6, 6, 0, 0, 0)


def test_two_loaders_at_once(warehouse):
    with pipeline.opened([]):
        second = command("status")
    assert second.returncode == 2
    assert f"another loader is at work in the lake file://{warehouse.file} (process " in second.stderr
    assert command("status").returncode == 0


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///proc/lake", "can't open or write the lake file:///proc/lake: "),
        ("nowhere://lake", "can't open or write the lake nowhere://lake: "),
        ("file:///tmp/lakes[1]", r"LAKE_URL is file:///tmp/lakes\[1\]: give a place without \[ \] in its name"),
        ("lake/below", "LAKE_URL is lake/below: give a URL, as file:///"),
    ],
)
def test_where_it_can_not_be(warehouse, monkeypatch, url, message):
    monkeypatch.setenv("LAKE_URL", url)
    with pytest.raises(ConfigurationError, match=message):
        load(warehouse, 1)
