"""Reading: what is appended, marked, rejected and counted, for each kind of stream, in a system that tests lay out."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from conftest import counts, made_up

from ingestion.contract import Money, contract, field, items
from ingestion.errors import SourceError
from ingestion.stream import Event, KeySweep, Page, Snapshot, State, Stream

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


def test_unchanged_rows_are_not_appended_again(things, warehouse):
    assert things(page(thing(1), thing(2)), page(thing(3))) == (3, 3, 0, 0, 0)
    assert things(page(thing(3)), page(thing(2), thing(1))) == (3, 0, 3, 0, 0)
    assert things(page(thing(1), thing(2, "b"), thing(3))) == (3, 1, 2, 0, 0)
    assert current(warehouse) == [(1, "a"), (2, "b"), (3, "a")]
    assert things(page(thing(1), thing(2, "a"), thing(3))) == (3, 1, 2, 0, 0), "back to what it was is a change"
    assert current(warehouse) == [(1, "a"), (2, "a"), (3, "a")]


def test_the_same_row_twice_in_a_reading(things):
    assert things(page(thing(1), thing(1)), page(thing(1))) == (3, 1, 2, 0, 0)


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


def test_more_than_half_gone_stops(things, warehouse):
    things(page(*map(thing, range(4))))
    assert things(page(thing(0))) == (1, 0, 1, 0, 0)
    assert things.row["status"] == "failed"
    assert "3 of 4 known rows are no longer in the source; none was marked gone" in things.row["error"]
    assert "--accept-deletes" in things.row["error"]
    assert len(current(warehouse)) == 4
    assert things(page(thing(0)), accept_deletes=True) == (1, 0, 1, 0, 3)
    assert current(warehouse) == [(0, "a")]


def test_half_gone_is_not_more_than_half(things):
    things(page(thing(1), thing(2)))
    assert things(page(thing(1))) == (1, 0, 1, 0, 1)


def test_everything_gone_stops(things, warehouse):
    things(page(thing(1)))
    assert things() == (0, 0, 0, 0, 0) and things.row["status"] == "failed"
    assert current(warehouse) == [(1, "a")]


def test_failed_reading_marks_nothing_gone(things, warehouse):
    things(page(*map(thing, range(4))))
    assert things(page(thing(0, "b"), thing(9)), SourceError("cut")) == (2, 2, 0, 0, 0)
    assert (things.row["status"], things.row["error"]) == ("failed", "cut")
    assert len(current(warehouse)) == 5, "what was read before the failure is kept"


def test_unexpected_error_names_its_type(things):
    things(page(thing(1)), ZeroDivisionError("division\nby zero"))
    assert things.row["error"] == "ZeroDivisionError: division by zero"


def test_rejected_row_is_kept_and_not_gone(things, warehouse):
    things(page(thing(1), thing(2), thing(3)))
    assert things(page(thing(1), thing(2, amount="x"), thing(3, label=None))) == (3, 0, 1, 2, 0)
    assert len(current(warehouse)) == 3
    rejected = warehouse.query(
        "select system, stream, position, reason, original, is_replayed from raw_operations.rejected_rows order by 3"
    )
    assert rejected == [
        ("made_up", "things", "page 2", "amount: 'x' is not a decimal(18,4)",
         '{"thing_id": 2, "label": "a", "amount": "x"}', False),
        ("made_up", "things", "page 3", "label: is missing", '{"thing_id": 3, "label": null}', False),
    ]  # fmt: skip


def test_rejected_row_with_unreadable_key_marks_nothing_gone(things, warehouse):
    """It may be any of those that are missing."""
    things(page(thing(1), thing(2), thing(3)))
    assert things(page(thing(1), thing(2), thing("3!"))) == (3, 0, 2, 1, 0)
    assert len(current(warehouse)) == 3


def test_the_same_rejected_row_has_the_same_id(things, warehouse):
    for _ in range(2):
        things(page(thing(1), thing(2, amount="x")))
    assert warehouse.query("select count(*), count(distinct rejected_id) from raw_operations.rejected_rows") == [(2, 1)]


def test_unparsed_rows_count_as_read_and_rejected(things):
    broken = pa.table({"position": ["f:2"], "reason": ["3 cells"], "original": ['"a;b"']})
    assert things(page(thing(1), rejected=broken)) == (2, 1, 0, 1, 0)


def test_unknown_fields_are_reported(things, warehouse):
    things(page(thing(1, colour="red"), thing(2, size=3)))
    assert json.loads(things.row["unknown_fields"]) == ["colour", "size"]
    assert warehouse.query("select _unknown_fields from raw_made_up.things where _key = '1'") == [('{"colour":"red"}',)]


def test_ledger_of_a_run(things):
    before = datetime.now(UTC)
    things(page(thing(1)))
    row = things.row
    assert (row["system"], row["stream"], row["kind"], row["status"]) == ("made_up", "things", "state", "complete")
    assert before <= row["started_at"] <= row["finished_at"] <= datetime.now(UTC)
    assert row["_dlt_load_id"] and row["cursor_from"] is None


def test_rows_and_ledger_are_in_one_package(things, warehouse):
    things(page(thing(1), thing(2, amount="x")))
    loads = "select _dlt_load_id from raw_made_up.things union all from (select _dlt_load_id from raw_made_up.{})"
    for table in ("load_ledger", "rejected_rows"):
        assert len(set(warehouse.query(loads.format(table)))) == 1


def test_observed_at_is_when_the_request_began(things, warehouse):
    things(page(thing(1), at=DAY))
    assert warehouse.query("select _observed_at from raw_made_up.things") == [(DAY,)]


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


class TestIncremental:
    """Key sweeps after an incremental read, as the database reader does them."""

    @contract
    class Rows:
        """One row."""

        row_id: int = field("Number.", key=True)
        part: str = field("Part.", key=True)
        changed_at: datetime = field("Cursor.")

    STREAM = Stream("rows", Rows, State(), cursor="changed_at")

    class Source:
        """A table in memory; `late` has the keys that the sweep fetched."""

        def __init__(self):
            self.rows, self.late, self.windows = {}, [], []

        def read(self, stream, window):
            self.windows.append(window)
            window.reached = max((at for at in self.rows.values() if at), default=None)
            fresh = {key: at for key, at in self.rows.items() if not window.since or (at or DAY) >= window.since}
            yield self._page(fresh)
            if window.since and not window.is_partial:
                yield KeySweep(self._page(self.rows).rows, datetime.now(UTC), self._fetch)

        def _fetch(self, keys):
            self.late = sorted(tuple(row.values()) for row in keys.to_pylist())
            if self.late:
                yield self._page({key: at for key, at in self.rows.items() if (str(key[0]), key[1]) in self.late})

        def _page(self, rows):
            return page(*({"row_id": n, "part": part, "changed_at": at} for (n, part), at in rows.items()))

        def check(self, stream):
            return "ok"

        def close(self):
            pass

    @pytest.fixture
    def source(self):
        source = self.Source()
        source.rows = {(number, "x"): DAY + timedelta(days=number) for number in range(4)}
        return source

    @pytest.fixture
    def run(self, source, warehouse):
        system = made_up(self.STREAM, reader=source)

        def run(**options):
            return counts(warehouse.run(system, **options)["rows"])

        assert run() == (4, 4, 0, 0, 0)
        return run

    def test_bound_is_kept(self, source, run):
        assert run() == (1, 0, 1, 0, 0)
        assert [window.since for window in source.windows] == [None, DAY + timedelta(days=3)]

    def test_late_row_with_an_old_cursor(self, source, run):
        source.rows[9, "late"] = DAY
        assert run() == (2, 1, 1, 0, 0)
        assert source.late == [("9", "late")]
        assert run() == (1, 0, 1, 0, 0)

    def test_cursor_that_goes_backwards(self, source, run):
        source.rows[3, "x"] = DAY - timedelta(days=30)
        assert run() == (1, 1, 0, 0, 0)
        assert source.late == [("3", "x")]

    def test_gone_and_back_are_marked_by_the_sweep(self, source, run, warehouse):
        when = source.rows.pop((0, "x"))
        assert run() == (1, 0, 1, 0, 1)
        mark = "select row_id, part, changed_at from raw_made_up.rows where _mark = '{}'"
        assert warehouse.query(mark.format("gone")) == [(0, "x", None)]
        source.rows[0, "x"] = when
        assert run() == (2, 1, 1, 0, 0)
        assert len(warehouse.current("raw_made_up.rows", "_key")) == 4

    def test_more_than_half_gone_stops(self, source, run, warehouse):
        for number in range(3):
            del source.rows[number, "x"]
        assert run() == (1, 0, 1, 0, 0)
        assert len(warehouse.current("raw_made_up.rows", "_key")) == 4
        assert run(accept_deletes=True) == (1, 0, 1, 0, 3)

    def test_known_row_that_is_rejected_now_is_not_gone(self, source, run, warehouse):
        """Its cursor became null, which the contract does not allow."""
        source.rows[1, "x"] = None
        assert run()[3:] == (1, 0)
        assert len(warehouse.current("raw_made_up.rows", "_key")) == 4

    def test_partial_run_moves_no_bound_and_marks_nothing(self, source, run):
        del source.rows[0, "x"]
        assert run(since=DAY + timedelta(days=2)) == (2, 0, 2, 0, 0)
        assert run() == (1, 0, 1, 0, 1)
        assert source.windows[-1].since == DAY + timedelta(days=3)

    def test_failure_moves_no_bound(self, source, run, monkeypatch):
        source.rows[7, "x"] = DAY + timedelta(days=7)
        with monkeypatch.context() as patch:
            patch.setattr(source, "_fetch", lambda keys: 1 / 0)
            run()
        assert run() == (2, 0, 2, 0, 0)
        assert source.windows[-1].since == DAY + timedelta(days=3)

    def test_full_reads_from_the_beginning(self, source, run):
        assert run(full=True) == (4, 0, 4, 0, 0)
        assert source.windows[-1].since is None


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

    def test_a_row_less(self, run, warehouse):
        run(page(*self.prices("a", 1, 2)))
        assert run(page(*self.prices("a", 1))) == (1, 1, 0, 0, 0)
        assert self.current(warehouse) == [("a", "p0", 1)]

    def test_back_to_what_it_was(self, run, warehouse):
        run(page(*self.prices("a", 1)))
        run(page(*self.prices("a", 2)))
        assert run(page(*self.prices("a", 1))) == (1, 1, 0, 0, 0)
        assert self.current(warehouse) == [("a", "p0", 1)]

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

    def test_scope_that_was_not_read_completely_is_not_empty(self, run, warehouse):
        run(page(*self.prices("a", 1)))
        run(page())
        assert self.current(warehouse) == [("a", "p0", 1)]

    def test_scope_whose_rows_are_all_rejected_is_not_empty(self, run, warehouse):
        run(page(*self.prices("a", 1)))
        assert run(page(*self.prices("a", "x"), scopes=["a"])) == (1, 0, 0, 1, 0)
        assert self.current(warehouse) == [("a", "p0", 1)]

    def test_incomplete_read_in_raw_is_not_what_is_known(self, run, warehouse):
        """A read whose rows did not all arrive: the same reading must be appended, not taken as unchanged."""
        rows = self.prices("a", 1, 2)
        run(page(*rows))
        warehouse.query("delete from raw_made_up.prices where product = 'p1'")
        assert run(page(*rows)) == (2, 2, 0, 0, 0)


def test_events_are_appended_once(warehouse, readings):
    system = made_up(Stream("events", Things, Event()), reader=readings)
    for pages, expected in (
        ((page(thing(1), thing(2), thing(1)),), (3, 2, 1, 0, 0)),
        ((page(thing(2)), page(thing(3))), (2, 1, 1, 0, 0)),
        ((page(thing(3)),), (1, 0, 1, 0, 0)),
    ):
        readings.next = pages
        assert counts(warehouse.run(system)["events"]) == expected, "and what is not seen again is not gone"
    assert warehouse.query("select count(*), count(distinct _key) from raw_made_up.events") == [(3, 3)]
