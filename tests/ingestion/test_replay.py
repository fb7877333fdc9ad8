"""Replay: rejected rows, validated again with today's contract."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from conftest import DAY, counts, made_up

from ingestion import pipeline
from ingestion import shop as module
from ingestion.contract import Contract, contract, field, items
from ingestion.replay import replay
from ingestion.stream import Event, Page, Snapshot, State, Stream
from ingestion.systems import all_systems


@contract
class Strict:
    """One thing."""

    thing_id: int = field("Its number.", key=True)
    label: str = field("Its label.")


LOOSE = Contract(Strict.description, (Strict.fields[0], dataclasses.replace(Strict.fields[1], nullable=True)))


@pytest.fixture
def system(readings):
    def make(kind=State, contract=Strict):
        return made_up(Stream("things", contract, kind()), reader=readings)

    return make


def page(*rows, at):
    return Page(items(({"thing_id": number, "label": label} for number, label in rows), "page"), at)


def replayed(system):
    with pipeline.opened([system]) as warehouse:
        return replay(warehouse, system)


def test_looser_contract(system, readings, warehouse):
    """Loads what fits now as first observed, keeps the rest rejected; a second time there is nothing to do."""
    for at in (DAY, DAY + timedelta(days=1)):
        readings.next = [page((1, "a"), (2, None), ("x", None), at=at)]
        assert counts(warehouse.run(system())["things"])[3] == 2
    readings.next = []
    assert replayed(system(contract=LOOSE)) == {"things": (1, 1)}
    rows = "select thing_id, label, _observed_at, _position from raw_made_up.things where thing_id = 2"
    assert warehouse.query(rows) == [(2, None, DAY, "page 2")]
    rejected = """
        select original->>'thing_id', bool_or(is_replayed), count(distinct rejected_id)
        from raw_operations.rejected_rows group by 1 order by 1
    """
    assert warehouse.query(rejected) == [("2", True, 1), ("x", False, 1)]
    assert replayed(system(contract=LOOSE)) == {"things": (0, 1)}
    assert len(warehouse.query(rows)) == 1
    ledger = "select status, rows_read, rows_loaded, rows_rejected from raw_operations.load_ledger order by finished_at"
    assert warehouse.query(ledger)[2:] == [("replayed", 2, 1, 1), ("replayed", 1, 0, 1)]
    packages = """
        select _dlt_load_id from raw_made_up.rejected_rows where is_replayed
        union select _dlt_load_id from raw_made_up.things where thing_id = 2
    """
    assert len(warehouse.query(packages)) == 1, "in one package"


def test_nothing_to_replay(system, readings, warehouse):
    readings.next = [page((1, "a"), at=DAY)]
    warehouse.run(system())
    assert replayed(system()) == {}


def test_replayed_row_is_known_and_does_not_undo_a_newer_one(system, readings, warehouse):
    loose = system(contract=LOOSE)
    readings.next = [page((1, None), (2, None), at=DAY)]
    warehouse.run(system())
    readings.next = [page((1, "corrected"), (2, None), at=datetime.now(UTC))]
    warehouse.run(system())
    assert replayed(loose) == {"things": (2, 0)}
    assert warehouse.current("raw_made_up.things", "thing_id, label") == [(1, "corrected"), (2, None)]
    assert counts(warehouse.run(loose)["things"]) == (2, 0, 2, 0, 0), "both are as raw has them"


def test_lines_that_cannot_be_parsed_stay(system, readings, warehouse):
    lines = [
        {"position": f"f.csv:{n}", "reason": "no cells", "original": json.dumps(text)}
        for n, text in ((3, '2,"open'), (4, "3"))
    ]
    readings.next = [Page(items([{"thing_id": 1, "label": "a"}], "f.csv"), DAY, pa.Table.from_pylist(lines))]
    assert counts(warehouse.run(system(Event))["things"]) == (3, 1, 0, 2, 0)
    assert replayed(system(Event, LOOSE)) == {"things": (0, 2)}
    assert warehouse.query("select bool_or(is_replayed) from raw_operations.rejected_rows") == [(False,)]


def test_rows_of_a_snapshot_are_not_replayed(system, readings, warehouse):
    readings.next = [page((1, "a"), (2, None), at=DAY)]
    warehouse.run(system(Snapshot))
    assert replayed(system(Snapshot, LOOSE)) == {}
    assert warehouse.query("select count(*) from raw_made_up.things") == [(1,)]


def test_rows_of_a_database(shop, warehouse, monkeypatch):
    """A row as the database gave it fits after the contract was loosened, and equals the row when it is read again."""
    shop.execute("alter table customers alter is_business drop not null")
    shop.customer(1)
    shop.customer(2, is_business=None, email="Zoë 'x'", created_at="2026-02-01 10:00:00.123456+02")
    assert counts(warehouse.run("shop", streams=("customers",))["customers"]) == (2, 1, 0, 1, 0)
    fields = [dataclasses.replace(f, nullable=f.nullable or f.name == "is_business") for f in module.Customers.fields]
    loose = dataclasses.replace(module.STREAMS[0], contract=Contract(module.Customers.description, tuple(fields)))
    monkeypatch.setattr(module, "STREAMS", [loose, *module.STREAMS[1:]])
    assert replayed(all_systems()["shop"]) == {"customers": (1, 0)}
    assert warehouse.query("select email, created_at from raw_shop.customers where is_business is null") == [
        ("Zoë 'x'", datetime(2026, 2, 1, 8, 0, 0, 123456, tzinfo=UTC))
    ]
    row = warehouse.run("shop", streams=("customers",))["customers"]
    assert row["cursor_from"] == DAY, "the bound has not moved"
    assert counts(row) == (2, 0, 2, 0, 0)
