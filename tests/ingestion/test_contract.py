"""The contract: every type, strict and loose forms, unknown fields, JSON and columns."""

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from ingestion import contract as contracts
from ingestion.contract import EpochTime, Money, Rate, contract, field, items
from ingestion.errors import SourceError


@contract
class Everything:
    """One row
    of every type."""

    number: int = field("An integer.", key=True)
    share: float | None = field("A float.")
    name: str | None = field("A text.")
    is_new: bool | None = field("A boolean.")
    day: date | None = field("A date.")
    moment: datetime | None = field("A time.")
    amount: Money | None = field("Money.")
    rate: Rate | None = field("A rate.")


GOOD = {
    "number": 7,
    "share": 0.5,
    "name": "Zoë ☕ 'x'",
    "is_new": True,
    "day": date(2026, 2, 28),
    "moment": datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC),
    "amount": Decimal("12.3400"),
    "rate": Decimal("0.000000000123"),
}


@pytest.fixture(scope="module")
def db():
    return contracts.engine()


def typed(db, *rows, of=Everything):
    return contracts.apply(db, of, items(rows, "page"))


def one(db, **row):
    """The typed row, or the reason why it is rejected."""
    outcome = typed(db, {"number": 1, **row})
    return outcome.accepted.to_pylist()[0] if outcome.accepted.num_rows else outcome.rejected.to_pylist()[0]["reason"]


def test_declaration():
    assert Everything.description == "One row of every type."
    declared = {f.name: (f.type, f.nullable) for f in Everything.fields}
    assert declared == {
        "number": ("BIGINT", False),
        "share": ("DOUBLE", True),
        "name": ("VARCHAR", True),
        "is_new": ("BOOLEAN", True),
        "day": ("DATE", True),
        "moment": ("TIMESTAMP WITH TIME ZONE", True),
        "amount": ("DECIMAL(18,4)", True),
        "rate": ("DECIMAL(28,12)", True),
    }


@pytest.mark.parametrize("form", ["json", "columns", "texts"])
def test_every_type(db, form):
    if form == "json":
        page = items([GOOD], "page")
    elif form == "columns":
        page = pa.Table.from_pylist([GOOD])
    else:
        page = pa.table({name: [f"{value:f}" if name == "rate" else str(value)] for name, value in GOOD.items()})
    outcome = contracts.apply(db, Everything, page)
    (row,) = outcome.accepted.to_pylist()
    assert {name: row[name] for name in GOOD} == GOOD
    assert row["_key"] == "7" and row["_unknown_fields"] is None and row["_version"] is None
    assert outcome.rejected.num_rows == 0 and outcome.unknown == set()
    assert row["_position"] == ("page 1" if form == "json" else None)


def test_forms_have_the_same_hash(db):
    """A row that comes once as JSON and once as columns is the same row."""
    of_json = contracts.apply(db, Everything, items([GOOD], "page")).accepted["_row_hash"]
    of_columns = contracts.apply(db, Everything, pa.Table.from_pylist([GOOD])).accepted["_row_hash"]
    assert of_json == of_columns


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("number", "-12", -12),
        ("number", " 12 ", 12),
        ("number", "150.0", 150),
        ("number", "1.5E2", 150),
        ("number", 9223372036854775807, 9223372036854775807),
        ("share", "1e3", 1000.0),
        ("share", "-.5", -0.5),
        ("is_new", "no", False),
        ("is_new", 1, True),
        ("moment", "2026-02-28T23:30:00+02:00", datetime(2026, 2, 28, 21, 30, tzinfo=UTC)),
        ("moment", "2026-02-28 23:30", datetime(2026, 2, 28, 23, 30, tzinfo=UTC)),
        ("moment", "2026-02-28T23:30:00.5Z", datetime(2026, 2, 28, 23, 30, 0, 500000, tzinfo=UTC)),
        ("moment", "2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ("amount", "+1.50000000", Decimal("1.5")),
        ("amount", 12, Decimal("12")),
        ("amount", "1.2E7", Decimal("12000000")),
        ("rate", "1e-05", Decimal("0.00001")),
        ("amount", Decimal("1E+3"), Decimal("1000")),
        ("rate", Decimal("1E-7"), Decimal("0.0000001")),
        ("name", "", ""),
        ("name", 12, "12"),
        ("name", {"a": [1]}, '{"a":[1]}'),
        ("name", "a\nb\t\"'\\", "a\nb\t\"'\\"),
        ("name", "\ud83d cut", "? cut"),
    ],
)
def test_accepted(db, name, value, expected):
    row = one(db, **{name: value})
    assert not isinstance(row, str), row
    assert row[name] == expected


@pytest.mark.parametrize(
    ("name", "value", "spoken"),
    [
        ("number", 1.7, "an integer"),
        ("number", "1.5e0", "an integer"),
        ("number", "12.5", "an integer"),
        ("number", "9223372036854775808", "an integer"),
        ("number", 10**40, "an integer"),
        ("number", "0x10", "an integer"),
        ("number", True, "an integer"),
        ("number", "1 2", "an integer"),
        ("share", "1,5", "a number"),
        ("is_new", "2", "true or false"),
        ("day", "2024-01-01 junk", "a date"),
        ("day", "2026-02-30", "a date"),
        ("day", "01.02.2026", "a date"),
        ("day", "2026-02-28T10:00:00Z", "a date"),
        ("moment", "2024-01-01 junk", "a time"),
        ("moment", "2026-02-28T25:00:00Z", "a time"),
        ("moment", "infinity", "a time"),
        ("moment", 1772236800, "a time"),
        ("amount", "1.23456", "a decimal(18,4)"),
        ("amount", "1e-5", "a decimal(18,4)"),
        ("amount", "1.23456e0", "a decimal(18,4)"),
        ("amount", "12345678901234567e1", "a decimal(18,4)"),
        ("amount", "NaN", "a decimal(18,4)"),
        ("amount", "Infinity", "a decimal(18,4)"),
        ("amount", "1,50", "a decimal(18,4)"),
        ("amount", "EUR 5", "a decimal(18,4)"),
        ("amount", "123456789012345.00", "a decimal(18,4)"),
        ("rate", "0.0000000000001", "a decimal(28,12)"),
    ],
)
def test_rejected(db, name, value, spoken):
    text = value if isinstance(value, str) else json.dumps(value)
    assert one(db, **{name: value}) == f"{name}: '{text}' is not {spoken}"


def test_an_empty_text_is_no_value_in_json(db):
    """But in a text, where it may mean something, and in a table, whose source has nulls."""
    empty = dict.fromkeys(["share", "is_new", "day", "moment", "amount"], "")
    row = one(db, name="", **empty)
    assert {name: row[name] for name in ("name", *empty)} == {"name": "", **dict.fromkeys(empty)}
    assert one(db, number="") == "number: is missing"
    page = {f.name: pa.array([None], pa.string()) for f in Everything.fields} | {"number": pa.array([""])}
    outcome = contracts.apply(db, Everything, pa.table(page))
    assert outcome.rejected["reason"].to_pylist() == ["number: '' is not an integer"]


@pytest.mark.parametrize(
    ("column", "name", "reason"),
    [
        (pa.array([1.7]), "number", "number: '1.7' is not an integer"),
        (pa.array([1.23456]), "amount", "amount: '1.23456' is not a decimal(18,4)"),
        (pa.array([Decimal("1.23456")]), "amount", "amount: '1.23456' is not a decimal(18,4)"),
        (pa.array([float("nan")]), "amount", "amount: 'nan' is not a decimal(18,4)"),
        (pa.array([float("inf")]), "amount", "amount: 'inf' is not a decimal(18,4)"),
        (pa.array([2**64 - 1], pa.uint64()), "number", f"number: '{2**64 - 1}' is not an integer"),
        (pa.array([5]), "moment", "moment: '5' is not a time"),
        (pa.array([5]), "day", "day: '5' is not a date"),
        (pa.array([2]), "is_new", "is_new: '2' is not true or false"),
        (pa.array([True]), "number", "number: 'true' is not an integer"),
        (pa.array([date(2026, 1, 1)]), "amount", "amount: '2026-01-01' is not a decimal(18,4)"),
        (pa.array([datetime(2026, 1, 1, 5)]), "day", "day: '2026-01-01 05:00:00' is not a date"),
        (pa.array([2**63 - 1], pa.timestamp("us", "UTC")), "moment", "moment: 'infinity' is not a time"),
    ],
)
def test_columns_of_another_type_are_not_bent(db, column, name, reason):
    """A retyped column rejects its rows; it neither rounds nor stops the page."""
    page = {f.name: pa.array([None], pa.string()) for f in Everything.fields} | {"number": pa.array([1]), name: column}
    outcome = contracts.apply(db, Everything, pa.table(page))
    assert [row["reason"] for row in outcome.rejected.to_pylist()] == [reason]


@pytest.mark.parametrize(
    ("column", "name", "expected"),
    [
        (pa.array([1.25]), "amount", Decimal("1.25")),
        (pa.array([7.0]), "number", 7),
        (pa.array([Decimal("7.00")]), "number", 7),
        (pa.array([1.1], pa.float32()), "amount", Decimal("1.1")),
        (pa.array([datetime(2026, 1, 1)]), "day", date(2026, 1, 1)),
        (pa.array([datetime(2026, 1, 1)]), "moment", datetime(2026, 1, 1, tzinfo=UTC)),
        (pa.array([1]), "is_new", True),
        (pa.array([None]), "amount", None),
        (pa.array([5]), "name", "5"),
    ],
)
def test_columns_of_another_type_that_lose_nothing(db, column, name, expected):
    page = {f.name: pa.array([None], pa.string()) for f in Everything.fields} | {"number": pa.array([1]), name: column}
    (row,) = contracts.apply(db, Everything, pa.table(page)).accepted.to_pylist()
    assert row[name] == expected


def test_bad_rows_alone_are_rejected(db):
    """With reason for each field, position, original and, where it can be read, key."""
    outcome = typed(db, GOOD, {"name": "no key"}, {"number": 3, "amount": "x", "day": "y", "extra": 1}, {"number": 4})
    assert outcome.accepted["number"].to_pylist() == [7, 4]
    assert outcome.rejected.to_pylist() == [
        {"position": "page 2", "reason": "number: is missing", "original": '{"name":"no key"}', "_key": None},
        {
            "position": "page 3",
            "reason": "day: 'y' is not a date; amount: 'x' is not a decimal(18,4)",
            "original": '{"number":3,"amount":"x","day":"y","extra":1}',
            "_key": "3",
        },
    ]


def test_original_of_columns_is_the_whole_row(db):
    page = pa.table({"id": ["x"], "Extra": [1.5], "note": [None]})
    outcome = contracts.apply(db, Small, page)
    assert json.loads(outcome.rejected["original"][0].as_py()) == {"id": "x", "Extra": 1.5, "note": None}


@contract
class Small:
    """One thing."""

    thing_id: int = field("Its number.", key=True, source="id")


def test_unknown_fields_are_kept_and_reported(db):
    outcome = typed(
        db, {"id": 1, "new": {"deep": [1, None]}, "ärger": 1.10}, {"id": 2}, {"id": 3, "other": None}, of=Small
    )
    kept = [row and json.loads(row) for row in outcome.accepted["_unknown_fields"].to_pylist()]
    assert kept[:2] == [{"new": {"deep": [1, None]}, "ärger": 1.1}, None]
    assert outcome.unknown >= {"new", "ärger"}


def test_unknown_columns_are_kept_and_reported(db):
    outcome = contracts.apply(db, Small, pa.table({"id": [1], 'we"ird': ["a"], "null": [None]}))
    assert json.loads(outcome.accepted["_unknown_fields"][0].as_py()) == {'we"ird': "a", "null": None}
    assert outcome.unknown == {'we"ird', "null"}


def test_unknown_fields_are_part_of_the_hash(db):
    first, second, third = typed(db, {"id": 1}, {"id": 1, "new": 1}, {"id": 1, "new": 2}, of=Small).accepted[
        "_row_hash"
    ]
    assert len({first, second, third}) == 3


def test_missing_column_of_a_table(db):
    with pytest.raises(SourceError, match=r"there is no column id among: ID2, other\. Was one renamed"):
        contracts.apply(db, Small, pa.table({"ID2": [1], "other": [2]}))


@contract
class Nested:
    """One contact."""

    contact_id: int = field("Number.", key=True, source="id")
    email: str = field("Address.", source="properties.email")
    city: str | None = field("City.", source="properties.place.city")
    odd: str | None = field("A name with a space.", source="odd name")


def test_json_paths(db):
    outcome = typed(
        db,
        {"id": 1, "properties": {"email": "a@b", "place": {"city": "Wien"}}, "odd name": "o"},
        {"id": 2, "properties": {"email": "c@d", "place": {"city": "Graz", "zip": "8010"}, "age": 3}, "x": 0},
        {"id": 3, "properties": {"place": None}},
        {"id": 4, "properties": {"email": "e@f", "place": None}},
        of=Nested,
    )
    first, second, without_place = outcome.accepted.to_pylist()
    assert without_place["city"] is None
    assert (first["email"], first["city"], first["odd"], first["_unknown_fields"]) == ("a@b", "Wien", "o", None)
    unknown = {"x": 0, "properties": {"age": 3, "place": {"zip": "8010"}}}
    assert json.loads(second["_unknown_fields"]) == unknown
    assert outcome.unknown == {"x", "properties"}
    assert [row["reason"] for row in outcome.rejected.to_pylist()] == ["email: is missing"]


@contract
class Pair:
    """One rate."""

    a: str = field("First.", key=True)
    b: date = field("Second.", key=True)
    changed: int = field("Sequence.", version=True)


def test_key_of_several_columns_and_version(db):
    outcome = typed(db, {"a": 'x","y', "b": "2026-01-01", "changed": 5}, of=Pair)
    (row,) = outcome.accepted.to_pylist()
    assert row["_key"] == '["x\\",\\"y","2026-01-01"]' and row["_version"] == 5


def test_empty_page(db):
    outcome = contracts.apply(db, Small, items([], "page"))
    assert outcome.accepted.num_rows == outcome.rejected.num_rows == 0
    assert "thing_id" in outcome.accepted.column_names


def test_null_and_empty_text_differ_in_the_hash(db):
    hashes = typed(db, {"number": 1, "name": ""}, {"number": 1, "name": None}).accepted["_row_hash"].to_pylist()
    assert hashes[0] != hashes[1]


@contract
class Record:
    """One record, whose properties the source's users add to."""

    record_id: str = field("Number.", key=True, source="id")
    email: str | None = field("Address.", source="properties.email")
    closed_at: EpochTime | None = field("When it was closed.", source="properties.closed")
    custom: str | None = field("The other properties.", source="properties.*")


RECORD = dataclasses.replace(Record, dropped=("properties.hs_id", "links"))


def test_the_rest_of_an_object_is_a_field_and_what_is_dropped_is_not_unknown(db):
    properties = {"email": "a@b", "hs_id": "1", "z": "9", "a": {"deep": 1.50}, "none": None}
    outcome = typed(
        db,
        {"id": "1", "links": ["x"], "properties": properties},
        {"id": "2", "properties": {"email": None}},
        {"id": "3", "properties": "odd", "more": 1},
        of=RECORD,
    )
    assert outcome.accepted["custom"].to_pylist() == ['{"a":{"deep":1.5},"z":"9"}', None, None]
    assert outcome.accepted["_unknown_fields"].to_pylist() == [None, None, '{"more":1,"properties":"odd"}']


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1709251200123, datetime(2024, 3, 1, 0, 0, 0, 123000, UTC)),
        ("1709251200123", datetime(2024, 3, 1, 0, 0, 0, 123000, UTC)),
        ("2024-03-01T01:00:00.5+01:00", datetime(2024, 3, 1, 0, 0, 0, 500000, UTC)),
        ("2024-03-01", datetime(2024, 3, 1, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_time_in_several_forms(db, value, expected):
    (row,) = typed(db, {"id": "1", "properties": {"closed": value}}, of=RECORD).accepted.to_pylist()
    assert row["closed_at"] == expected


def test_a_number_that_is_no_time(db):
    outcome = typed(db, {"id": "1", "properties": {"closed": "20240301"}}, of=RECORD)
    assert outcome.rejected["reason"].to_pylist() == ["closed_at: '20240301' is not a time"]


def test_rows_of_several_requests_keep_when_they_were_observed(db):
    page = items([{"id": 1}, {"id": "x"}], "page")
    moments = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]
    outcome = contracts.apply(db, Small, page, pa.array(moments, pa.timestamp("us", "UTC")))
    assert outcome.accepted["_observed_at"].to_pylist() == moments[:1]
    assert outcome.rejected["observed_at"].to_pylist() == moments[1:]


class _Dated:
    """What several streams have."""

    changed_at: datetime = field("When it changed.", version=True)


@contract
class Dated(_Dated):
    """One dated thing."""

    thing_id: int = field("Its number.", key=True)


def test_inherited_fields_come_last():
    assert [f.name for f in Dated.fields] == ["thing_id", "changed_at"]
    assert Dated.version.name == "changed_at"
