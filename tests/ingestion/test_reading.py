"""Reading: what is appended, marked, rejected and counted, for each kind of stream, in a system that tests lay out."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from conftest import BOTH, counts, made_up

from ingestion import reading
from ingestion.contract import Money, contract, field, items
from ingestion.errors import SourceError
from ingestion.stream import Event, Gone, Page, Recheck, Snapshot, State, Stream

DAY = datetime(2026, 3, 1, tzinfo=UTC)


@contract
class Things:
    """One thing."""

    thing_id: int = field("Its number.", key=True)
    label: str = field("Its label.")
    amount: Money | None = field("What it costs.")


@contract
class Prices:
    """The price of one product in one shop."""

    shop: str = field("Shop.", key=True)
    product: str = field("Product.", key=True)
    price: Money = field("Price.")


THINGS = Stream("things", Things, State())


def page(*rows, scopes=None, rejected=None, at=None):
    return Page(items(rows, "page"), at or datetime.now(UTC), rejected, scopes)


def thing(number, label="a", **values):
    return {"thing_id": number, "label": label, **values}


@pytest.fixture
def things(warehouse, readings):
    """Runs the state stream over these pages; returns (read, loaded, unchanged, rejected, gone)."""
    system = made_up(THINGS, reader=readings)

    def run(*pages, **options):
        readings.next = pages
        row = warehouse.run(system, **options)["things"]
        run.row = row
        return counts(row)

    return run


def current(warehouse):
    return warehouse.current("raw_made_up.things", "thing_id, label")


@BOTH
def test_unchanged_rows_are_not_appended_again(things, warehouse):
    assert things(page(thing(1), thing(2), thing(1)), page(thing(3), thing(1))) == (5, 3, 2, 0, 0)
    assert things(page(thing(3)), page(thing(2), thing(1))) == (3, 0, 3, 0, 0)
    assert things(page(thing(1), thing(2, "b"), thing(3))) == (3, 1, 2, 0, 0)
    assert current(warehouse) == [(1, "a"), (2, "b"), (3, "a")]
    assert things(page(thing(1), thing(2, "a"), thing(3))) == (3, 1, 2, 0, 0), "back to what it was is a change"
    assert current(warehouse) == [(1, "a"), (2, "a"), (3, "a")]


@BOTH
def test_deleted_and_back(things, warehouse):
    things(page(thing(1), thing(2), thing(3)))
    assert things(page(thing(1), thing(2))) == (2, 0, 2, 0, 1)
    assert warehouse.query("select thing_id, label, _key from raw_made_up.things where _mark = 'gone'") == [
        (3, None, "3")
    ]
    assert current(warehouse) == [(1, "a"), (2, "a")]
    assert things(page(thing(1), thing(2))) == (2, 0, 2, 0, 0), "a gone row is marked once"
    assert things(page(thing(1), thing(2), thing(3))) == (3, 1, 2, 0, 0), "back as it was: appended, since it was gone"
    assert current(warehouse) == [(1, "a"), (2, "a"), (3, "a")]
    assert things(page(thing(1), thing(2))) == (2, 0, 2, 0, 1), "and gone again"
    assert current(warehouse) == [(1, "a"), (2, "a")]


@BOTH
def test_more_than_half_gone_stops(things, warehouse):
    things(page(*map(thing, range(6))))
    assert things(page(*map(thing, range(3)))) == (3, 0, 3, 0, 3), "half is not more than half"
    assert things(page(thing(0))) == (1, 0, 1, 0, 0)
    assert things.row["status"] == "failed"
    assert "2 of 3 known rows are no longer in the source; none was marked gone" in things.row["error"]
    assert "--accept-deletes" in things.row["error"]
    assert len(current(warehouse)) == 3
    assert things(page(thing(0)), accept_deletes=True) == (1, 0, 1, 0, 2)
    assert things() == (0, 0, 0, 0, 0) and things.row["status"] == "failed", "everything gone"
    assert current(warehouse) == [(0, "a")]


@BOTH
def test_failed_reading_marks_nothing_gone(things, warehouse):
    things(page(*map(thing, range(4))))
    assert things(page(thing(0, "b"), thing(9)), SourceError("cut")) == (2, 2, 0, 0, 0)
    assert (things.row["status"], things.row["error"]) == ("failed", "cut")
    assert len(current(warehouse)) == 5, "what was read before the failure is kept"


def test_rejected_row_is_kept_and_not_gone(things, warehouse):
    things(page(thing(1), thing(2), thing(3)))
    for _ in range(2):
        assert things(page(thing(1), thing(2, amount="x"), thing(3, label=None))) == (3, 0, 1, 2, 0)
    assert things(page(thing(1), thing(2), thing("3!"))) == (3, 0, 2, 1, 0), "its key can't be read: it may be 3"
    assert len(current(warehouse)) == 3
    warehouse.query("delete from raw_made_up.rejected_rows where reason like 'thing_id%'")
    columns = "system, stream, position, reason, original, is_replayed"
    rejected = warehouse.query(f"select distinct {columns} from raw_operations.rejected_rows order by 3")
    ids = warehouse.query("select count(*), count(distinct rejected_id) from raw_operations.rejected_rows")
    assert ids == [(4, 2)], "the same rejected row has the same id"
    assert rejected == [
        ("made_up", "things", "page 2", "amount: 'x' is not a decimal(18,4)",
         '{"thing_id":2,"label":"a","amount":"x"}', False),
        ("made_up", "things", "page 3", "label: is missing", '{"thing_id":3,"label":null}', False),
    ]  # fmt: skip


@BOTH
def test_what_a_run_writes(things, warehouse):
    """Unknown fields, rows that could not even be parsed, an error, times: all in one package."""
    before = datetime.now(UTC)
    broken = pa.table({"position": ["f:2"], "reason": ["3 cells"], "original": ['"a;b"']})
    pages = page(thing(1, colour="red"), thing(2, size=3), at=DAY), page(rejected=broken)
    assert things(*pages, ZeroDivisionError("division\nby zero")) == (3, 2, 0, 1, 0)
    row = things.row
    assert (row["system"], row["stream"], row["kind"], row["status"]) == ("made_up", "things", "state", "failed")
    assert row["error"] == "ZeroDivisionError: division by zero"
    assert before <= row["started_at"] <= row["finished_at"] <= datetime.now(UTC)
    assert row["cursor_from"] is None and json.loads(row["unknown_fields"]) == ["colour", "size"]
    rows = "select _unknown_fields, _observed_at, _position, _dlt_load_id from raw_made_up.things order by thing_id"
    load = row["_dlt_load_id"]
    assert warehouse.query(rows) == [
        (f'{{"{name}":{value}}}', DAY, f"page {n}", load)
        for n, (name, value) in enumerate([("colour", '"red"'), ("size", 3)], start=1)
    ]
    assert warehouse.query("select reason, _dlt_load_id from raw_made_up.rejected_rows") == [("3 cells", load)]


@BOTH
def test_a_failed_stream_stops_no_other(warehouse, readings):
    class OneFails(type(readings)):
        def read(self, stream, window):
            if stream.name == "bad":
                raise SourceError("bad is down")
            yield page(thing(1))

    streams = [Stream(name, Things, State()) for name in ("bad", "good")]
    ledger = warehouse.run(made_up(*streams, reader=OneFails()))
    assert (ledger["bad"]["status"], ledger["good"]["status"]) == ("failed", "complete")
    assert warehouse.query("select count(*) from raw_made_up.good") == [(1,)]


@BOTH
def test_streams_are_read_one_after_the_other(warehouse, readings):
    """A reader has one connection; two readings at once would cut each other short."""
    order = []

    class Ordered(type(readings)):
        def read(self, stream, window):
            for number in range(3):
                order.append(stream.name)
                yield page(thing(number))

    streams = [Stream(name, Things, State()) for name in ("first", "second")]
    ledger = warehouse.run(made_up(*streams, reader=Ordered()))
    assert {row["rows_loaded"] for row in ledger.values()} == {3}
    assert order in (["first"] * 3 + ["second"] * 3, ["second"] * 3 + ["first"] * 3)


@BOTH
def test_what_a_reader_noted_before_it_failed_is_forgotten(warehouse, readings):
    """Nested too: the next reading begins where the last complete one ended."""
    seen = []

    class Noting(type(readings)):
        def read(self, stream, window):
            done = window.state.setdefault("done", {})
            seen.append(dict(done))
            done[f"run {len(seen)}"] = True
            yield page(thing(1))
            if len(seen) == 2:
                raise SourceError("down")

    system = made_up(THINGS, reader=Noting())
    for _ in range(3):
        warehouse.run(system)
    assert seen == [{}, {"run 1": True}, {"run 1": True}]


@BOTH
def test_streams_of_a_concurrent_reader_are_read_at_once(warehouse, readings):
    """Each waits for the others: one after the other, none would get on. What was read is accounted for alike."""
    barrier = threading.Barrier(3)

    class Concurrent(type(readings)):
        def read(self, stream, window):
            barrier.wait(timeout=20)
            yield page(thing(1))
            if stream.name == "second":
                raise SourceError("second is down")
            yield page(thing(2))

    streams = [Stream(name, Things, State()) for name in ("first", "second", "third")]
    ledger = warehouse.run(made_up(*streams, reader=Concurrent(), is_concurrent=True))
    loaded = {name: (row["status"], row["rows_loaded"]) for name, row in ledger.items()}
    assert loaded == {"first": ("complete", 2), "second": ("failed", 1), "third": ("complete", 2)}


@BOTH
def test_pages_that_are_typed_together_keep_their_times(things, warehouse, monkeypatch):
    """Of each row when it was observed, of the same key twice the later one, and of a rejected row too."""
    later = DAY + timedelta(hours=1)
    things(page(thing(1), thing(2), at=DAY), page(thing(2, "b"), thing(3, None), at=later))
    rows = warehouse.query("select thing_id, label, _observed_at from raw_made_up.things order by all")
    assert rows == [(1, "a", DAY), (2, "a", DAY), (2, "b", later)]
    assert warehouse.query("select observed_at from raw_made_up.rejected_rows") == [(later,)]
    assert current(warehouse) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("batch", [1, 3, 1000])
@BOTH
def test_batches_of_any_size_give_the_same(things, warehouse, monkeypatch, batch):
    monkeypatch.setattr(reading, "BATCH", batch)
    pages = [page(thing(1), thing(2)), page(thing(2), thing(3, amount="x")), page(), page(thing(4), thing(1, "b"))]
    assert things(*pages) == (6, 4, 1, 1, 0)
    assert current(warehouse) == [(1, "b"), (2, "a"), (4, "a")]


class TestGone:
    """Keys that the source itself calls gone."""

    def test_they_are_marked_once_and_their_number_does_not_matter(self, things, warehouse):
        pages = page(thing(1), thing(2), thing(3))
        things(pages)
        assert things(pages, Gone(["1", "2", "9"], datetime.now(UTC))) == (3, 0, 3, 0, 2)
        assert current(warehouse) == [(3, "a")]
        assert things(page(thing(3)), Gone(["1", "2"], datetime.now(UTC))) == (1, 0, 1, 0, 0)
        assert things(page(thing(2), thing(3))) == (2, 1, 1, 0, 0), "seen again: back"
        assert current(warehouse) == [(2, "a"), (3, "a")]

    def test_a_row_read_before_in_the_same_run_goes_too(self, things, warehouse):
        assert things(page(thing(1), thing(2)), Gone(["2"], datetime.now(UTC))) == (2, 2, 0, 0, 1)
        assert current(warehouse) == [(1, "a")]


class TestSnapshot:
    """Complete reads of scopes."""

    STREAM = Stream("prices", Prices, Snapshot(scope=("shop",)))

    @pytest.fixture
    def run(self, warehouse, readings):
        system = made_up(self.STREAM, reader=readings)

        def run(*pages):
            readings.next = pages
            return counts(warehouse.run(system)["prices"])

        return run

    @staticmethod
    def prices(shop, *prices):
        return [{"shop": shop, "product": f"p{i}", "price": price} for i, price in enumerate(prices) if price]

    def current(self, warehouse):
        """What staging takes: per scope the rows of its newest complete read."""
        return warehouse.query("""
            with reads as (
                select _scope, _observed_at from raw_made_up.prices group by _scope, _observed_at
                having count(distinct _key) = max(_scope_rows)
                qualify row_number() over (partition by _scope order by _observed_at desc) = 1
            )
            select distinct _scope, product, price::double from raw_made_up.prices
            join reads using (_scope, _observed_at) where _mark is null order by all
        """)

    def test_unchanged_scope_is_not_appended_and_a_changed_one_is_whole(self, run, warehouse):
        a, b = self.prices("a", 1, 2), self.prices("b", 3)
        assert run(page(*a, *b)) == (3, 3, 0, 0, 0)
        assert run(page(*b), page(*reversed(a))) == (3, 0, 3, 0, 0)
        assert run(page(*self.prices("a", 1, 5), *b)) == (3, 2, 1, 0, 0)
        assert warehouse.query("select distinct _scope_rows from raw_made_up.prices where _scope = 'a'") == [(2,)]
        assert self.current(warehouse) == [("a", "p0", 1), ("a", "p1", 5), ("b", "p0", 3)]
        assert run(page(*a, *b)) == (3, 2, 1, 0, 0), "back to what it was"
        assert run(page(*self.prices("a", 1), *b)) == (2, 1, 1, 0, 0), "a row less"
        assert self.current(warehouse) == [("a", "p0", 1), ("b", "p0", 3)]

    def test_emptied_scope_is_marked_once(self, run, warehouse):
        run(page(*self.prices("a", 1), *self.prices("b", 2)))
        assert run(page(*self.prices("b", 2), scopes=["a", "b"])) == (1, 0, 1, 0, 0)
        marks = "select _scope, _scope_rows, _key from raw_made_up.prices where _mark = 'empty'"
        assert warehouse.query(marks) == [("a", 0, None)]
        assert self.current(warehouse) == [("b", "p0", 2)]
        run(page(*self.prices("b", 2), scopes=["a", "b"]))
        assert len(warehouse.query(marks)) == 1
        assert run(page(*self.prices("a", 1), scopes=["a"])) == (1, 1, 0, 0, 0), "and filled again"
        assert self.current(warehouse) == [("a", "p0", 1), ("b", "p0", 2)]

    def test_scope_not_read_completely_or_all_rejected_is_not_empty(self, run, warehouse):
        run(page(*self.prices("a", 1)))
        run(page())
        assert self.current(warehouse) == [("a", "p0", 1)]
        assert run(page(*self.prices("a", "x"), scopes=["a"])) == (1, 0, 0, 1, 0)
        assert self.current(warehouse) == [("a", "p0", 1)]

    def test_incomplete_read_in_raw_is_not_what_is_known(self, run, warehouse):
        """A read whose rows did not all arrive does not count, even if the next has the rows that did."""
        run(page(*self.prices("a", 1, 2)))
        warehouse.query("delete from raw_made_up.prices where product = 'p1'")
        assert self.current(warehouse) == []
        assert run(page(*self.prices("a", 1))) == (1, 1, 0, 0, 0)
        assert self.current(warehouse) == [("a", "p0", 1)]


class Lookups:
    """Reads `pages`, and then looks the other known keys up among `there`, by the rule `due`; notes what was asked."""

    def __init__(self) -> None:
        self.pages, self.there, self.due, self.asked = [], {}, "true", []

    def read(self, stream, window):
        window.is_complete = False
        yield from self.pages
        yield Recheck(datetime.now(UTC), self.due, self.look_up)

    def look_up(self, keys):
        self.asked += keys["thing_id"].to_pylist()
        yield page(*(self.there[key] for key in keys["thing_id"].to_pylist() if key in self.there))

    def close(self) -> None:
        pass


@BOTH
def test_known_keys_are_looked_up_and_gone_if_they_are_not_there(warehouse):
    """Only those that are due, that were not read, and that are not gone already."""
    reader = Lookups()
    system = made_up(THINGS, reader=reader)

    def run(**options):
        reader.asked.clear()
        run.row = warehouse.run(system, **options)["things"]
        return counts(run.row)

    reader.pages = [page(*map(thing, range(6)))]
    assert run() == (6, 6, 0, 0, 0) and reader.asked == []
    reader.pages, reader.there = [page(thing(0))], {"1": thing(1), "2": thing(2, "b"), "4": thing(4)}
    reader.due = "thing_id <> 5"
    assert run() == (4, 1, 3, 0, 1) and reader.asked == ["1", "2", "3", "4"]
    assert current(warehouse) == [(0, "a"), (1, "a"), (2, "b"), (4, "a"), (5, "a")]
    reader.due = "true"
    assert run() == (4, 0, 4, 0, 1) and reader.asked == ["1", "2", "4", "5"]
    reader.there = {"4": {"thing_id": 4}}
    assert run() == (2, 0, 1, 1, 2) and reader.asked == ["1", "2", "4"], "what is rejected is there"
    reader.pages, reader.there = [], {}
    assert run() == (0, 0, 0, 0, 0) and "2 of 2 known rows" in run.row["error"]
    assert run(accept_deletes=True) == (0, 0, 0, 0, 2)
    reader.pages = [page(thing(4))]
    assert run() == (1, 1, 0, 0, 0), "back, if it is read"


@BOTH
def test_events_are_appended_once(warehouse, readings):
    system = made_up(Stream("events", Things, Event()), reader=readings)
    for pages, expected in (
        ((page(thing(1), thing(2), thing(1)),), (3, 2, 1, 0, 0)),
        ((page(thing(2)), page(thing(3))), (2, 1, 1, 0, 0)),
    ):
        readings.next = pages
        assert counts(warehouse.run(system)["events"]) == expected, "and what is not seen again is not gone"
    assert warehouse.query("select count(*), count(distinct _key) from raw_made_up.events") == [(3, 3)]


@BOTH
def test_large_tables_are_typed_one_by_one(things, warehouse, monkeypatch):
    """By their bytes, however few rows they have; small ones together."""
    monkeypatch.setattr(reading, "SIZE", 10_000)

    def table(first, size):
        rows = {"thing_id": [str(first), str(first + 1)], "label": ["x" * size] * 2, "amount": ["1.5"] * 2}
        return Page(pa.table(rows), datetime.now(UTC))

    def typed(size):
        read = []
        assert things(*(table(n, size) for n in (1, 3, 5)), report=lambda stream, rows: read.append(rows))[1] == 6
        return read

    assert typed(5) == [6] and typed(20_000) == [2, 4, 6]
    assert current(warehouse) == [(n, "x" * 20_000) for n in range(1, 7)]
