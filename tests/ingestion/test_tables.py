"""Declared tables: what the configuration may say, headers that are found or not, cells as the contract takes them."""

import dataclasses
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ingestion import contract as contracts
from ingestion import grids
from ingestion.contract import Money, contract, field
from ingestion.errors import ConfigurationError, SourceError
from ingestion.grids import Texts, batches, find_header, letters
from ingestion.stream import Snapshot, Stream
from ingestion.tables import ErrorCell, declarations


class Place:
    """Where a row is."""

    sheet: str = field("Sheet.", key=True)
    row_number: int = field("Row.", key=True)
    block: int = field("Block.", key=True)


@contract
class Targets(Place):
    """One target."""

    month: date = field("Month.", source="Month")
    country: str | None = field("Country.", source="Country")
    revenue: Money = field("Revenue.", source="Revenue")
    units: int | None = field("Units.", source="Units")


TARGETS = Stream("targets", Targets, Snapshot(("sheet", "block")))
PLACE = contract(Place).fields
HEADER = ["Month", "Country", "Revenue", "Units"]
PLAN = {"range": "A1:F"}


def declare(tables):
    return declarations(
        "sources.x",
        tables,
        [TARGETS],
        reserved=["files"],
        options={"range": True, "sheet": False},
        place=PLACE,
        kind=Snapshot(("sheet", "block")),
    )


def targets(**options):
    (declaration,) = declare({"targets": {"plan": PLAN | options}})
    return declaration


def grid(*rows, start=1):
    return list(enumerate(rows, start))


def read(declaration, rows, *, is_ordered=False, first_column=0, **options):
    """(typed rows, rejected rows, notes)."""
    header, rest = find_header(declaration, rows, first_column=first_column, is_ordered=is_ordered)
    db = contracts.engine()
    texts = Texts(db, declaration, header, "f!S", {"sheet": "S"}, first_column, **options)
    tables = [table for some in batches(rest) if (table := texts.of_rows(some, block="0")).num_rows]
    typed = [contracts.apply(db, declaration.stream.contract, table) for table in tables]
    return (
        [row for each in typed for row in each.accepted.to_pylist()],
        [row for each in typed for row in each.rejected.to_pylist()],
        texts.notes,
    )


def values(declaration, *rows, columns=("month", "country", "revenue", "units"), **options):
    accepted, rejected, _ = read(declaration, grid(HEADER, *rows), **options)
    assert not rejected, rejected
    return [tuple(row[name] for name in columns) for row in accepted]


# What the configuration may say


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (["targets"], r"sources.x.tables is a table of tables"),
        ({"targets": PLAN}, r"sources.x.tables.targets is a table of tables"),
        ({"files": {"a": PLAN}}, r"sources.x.tables.files: no table can fill files; there is targets, or a name of"),
        ({"load_ledger": {"a": PLAN}}, r"sources.x.tables.load_ledger: no table can fill"),
        ({"Targets": {"a": PLAN}}, r"sources.x.tables.Targets: no table can fill"),
        ({"targets": {"a": {"range": "A", "colums": {}}}}, r"targets.a.colums: there is no such option, but range, sh"),
        ({"targets": {"a": {}}}, r"sources.x.tables.targets.a.range is missing"),
        ({"targets": {"a": {"range": 5}}}, r"targets.a.range is a text: 5"),
        ({"targets": {"a": PLAN | {"columns": "Month"}}}, r"targets.a.columns is a table, as"),
        ({"targets": {"a": PLAN | {"columns": {"month": 1}}}}, r"targets.a.columns.month is a text: 1"),
        ({"targets": {"a": PLAN | {"columns": {"mnth": "M"}}}}, r"targets.a: targets has no field mnth, but month,"),
        ({"targets": {"a": PLAN | {"values": {"sheet": "M"}}}}, r"targets.a: targets has no field sheet, but month,"),
        (
            {"targets": {"a": PLAN | {"values": {"month": ["M"]}}}},
            r"targets.a.values.month is no single value: \['M'\]",
        ),
        ({"targets": {"a": PLAN | {"columns": {"month": ""}}}}, r"targets.a.columns.month: targets has to have it"),
        ({"targets": {"a": PLAN | {"columns": {"month": "Units"}}}}, r"targets.a: two fields are the column Units"),
        (
            {"targets": {"a": PLAN | {"columns": {"month": "M"}, "values": {"month": "M"}}}},
            r"targets.a: month is in columns and in values",
        ),
        ({"targets": {"a": PLAN | {"types": {"M": "text"}}}}, r"targets.a.types: the types of targets are built in"),
        ({"targets": {"a": PLAN | {"header": 0}}}, r"targets.a.header is the number of a row, from 1: 0"),
        ({"targets": {"a": PLAN | {"header": True}}}, r"targets.a.header is the number of a row"),
        ({"targets": {"a": PLAN | {"decimal": ";"}}}, r'targets.a.decimal is "." or ",": .;.'),
        ({"targets": {"a": PLAN | {"date_format": "%Q"}}}, r"targets.a.date_format: .*"),
        ({"prices": {"a": PLAN}}, r"sources.x.tables.prices.<name>.types is missing"),
        ({"prices": {"a": PLAN | {"types": {"P": "euro"}}}}, r"prices.a.types.P is 'euro'; there is text, integer"),
        ({"prices": {"a": PLAN | {"types": {"P": 5}}}}, r"prices.a.types.P is a text: 5"),
        ({"prices": {"a": PLAN | {"types": {"P": "text", "P ": "text"}}}}, r"prices.a: two fields are the column P"),
        (
            {"prices": {"a": PLAN | {"types": {"P": "text"}}, "b": PLAN | {"types": {"P": "date"}}}},
            r"prices.b.types are others than those of a",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(tables, message):
    with pytest.raises(ConfigurationError, match=message):
        declare(tables)


def test_a_stream_of_ones_own():
    types = {"SKU": "text", "Valid from": "date", "ValidTo": "date?", "Größe": "number", "sheet": "integer?"}
    types |= {"Größe (cm)": "money ?", "2026": "boolean", "Цена": "time", "größe": "text"}
    first, second = declare({"price_list": {"a": PLAN | {"types": types}, "b": PLAN | {"columns": {"sku": "Nr."}}}})
    assert first.stream is second.stream and first.stream.kind == Snapshot(("sheet", "block"))
    fields = {f.name: (f.type, f.nullable) for f in first.stream.contract.fields[: len(types)]}
    assert fields == {
        "sku": ("VARCHAR", False),
        "valid_from": ("DATE", False),
        "valid_to": ("DATE", True),
        "grosse": ("DOUBLE", False),
        "sheet_2": ("BIGINT", True),
        "grosse_cm": ("DECIMAL(18,4)", True),
        "column_2026": ("BOOLEAN", False),
        "column_8": ("TIMESTAMP WITH TIME ZONE", False),
        "grosse_2": ("VARCHAR", False),
    }
    assert first.stream.contract.fields[len(types) :] == PLACE and len(first.stream.contract.key) == 3
    assert first.headers["valid_to"] == "ValidTo" and second.headers["sku"] == "Nr."
    assert first.fingerprint != second.fingerprint


def test_a_row_of_ones_own_stream():
    types = {"SKU": "text", "From": "time", "Price": "number?", "Active": "boolean"}
    (declaration,) = declare({"price_list": {"all": PLAN | {"types": types}}})
    (row,), _, _ = read(declaration, grid(["Active", "Price", "SKU", "From"], [True, 0.5, 47.0, "2026-01-02T10:30"]))
    assert row["_position"] == "f!S!A2" and row["_key"] == '["S","2","0"]'
    assert (row["sku"], row["from"], row["price"], row["active"], row["sheet"], row["row_number"], row["block"]) == (
        *("47", datetime(2026, 1, 2, 10, 30, tzinfo=UTC), 0.5, True, "S", 2, 0),
    )


# Headers


def test_letters():
    assert [letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]


def test_the_header_is_the_first_row_that_has_all_columns():
    rows = grid(["Plan 2026"], [], ["Month", "Country"], [" Month", None, "Units ", "Revenue\n", "Country"])
    header, rest = find_header(targets(), [*rows, (6, ["x"])])
    assert (header.number, header.width) == (4, 5) and list(rest) == [(6, ["x"])]
    assert header.columns == {"month": 0, "country": 4, "revenue": 3, "units": 2} and header.others == {1: "B"}


def test_the_header_may_be_declared():
    rows = grid(HEADER, ["a", "b", "c", "d"], HEADER, [date(2026, 1, 1), "DE", 1, 1])
    header, rest = find_header(targets(header=3), rows)
    assert header.number == 3 and len(list(rest)) == 1
    with pytest.raises(SourceError, match=r"row 9, which sources.x.tables.targets.plan.header names, is empty"):
        find_header(targets(header=9), rows)
    with pytest.raises(SourceError, match=r"no header with the columns 'Month', .*: row 2 has 'a', 'b', 'c', 'd'"):
        find_header(targets(header=2), rows)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Month", "Country", "Turnover", "Units"], "no column 'Revenue': 'Turnover' (D3) stands after 'Country'. Was"),
        (["Period", "Country", "Revenue", "Units"], "there is no column 'Month': 'Period' (B3) stands first"),
        (["Month", "Country", "Revenue"], "there is no column 'Units': nothing stands after 'Revenue'"),
        (["Month", "Country", "Units"], "there is no column 'Revenue': 'Units' (D3) stands after 'Country'"),
        (
            ["month", "Country", "Revenue", ""],
            "no column 'Month': 'month' (B3) stands first; there is no column 'Units'",
        ),
        ([*HEADER, "Month"], "the header has 'Month' more than once, in B and F"),
        (["a", None, "b"], "no header with the columns 'Month', 'Country', 'Revenue', 'Units': row 3 has 'a', 'b'"),
        ([], "there is no header with the columns 'Month', 'Country', 'Revenue', 'Units': there is nothing"),
    ],
)
def test_a_header_that_lacks_columns(names, message):
    with pytest.raises(SourceError) as raised:
        find_header(targets(), grid(names, ["2026-01-01", "DE", "1", "2"], start=3), first_column=1)
    assert message in str(raised.value)
    assert str(raised.value).endswith("Correct it there, or sources.x.tables.targets.plan")


def test_nothing_at_all():
    with pytest.raises(SourceError, match="there is nothing"):
        find_header(targets(), [])


def test_a_header_below_the_rows_that_are_searched():
    with pytest.raises(SourceError, match="there is no header"):
        find_header(targets(), grid(*[["x"]] * grids.SEARCHED, HEADER))


def test_a_column_that_moved():
    moved = grid(["Units", "Note", "Month", "Country", "Revenue"])
    find_header(targets(), moved)
    with pytest.raises(
        SourceError, match=r"^'Units' \(A1\) has moved: from after 'Revenue' to the first place. Correct"
    ):
        find_header(targets(), moved, is_ordered=True)
    find_header(targets(), grid(["", *HEADER, "more"]), is_ordered=True)
    names = {"units": "Units", "month": "Month"}
    find_header(targets(columns=names), grid(["Units", "Revenue", "Month", "Country"]), is_ordered=True)
    with pytest.raises(SourceError, match=r"^'Month' \(A1\) has moved: from after 'Units' to the first place"):
        find_header(targets(columns=names), grid(["Month", "Country", "Revenue", "Units"]), is_ordered=True)


# Cells


def test_values_that_are_no_column():
    declaration = targets(values={"month": date(2026, 1, 1), "units": 5}, columns={"country": ""})
    accepted, _, _ = read(declaration, grid(["Revenue"], ["1"], ["2"]))
    assert [(row["month"], row["country"], row["revenue"], row["units"]) for row in accepted] == [
        (date(2026, 1, 1), None, 1, 5),
        (date(2026, 1, 1), None, 2, 5),
    ]


def test_numbers():
    """As numbers and as texts; whole floats are integers, and digits that a double can't tell apart are none."""
    rows = [[date(2026, 1, 1), 4711.0, cell, units] for cell, units in [
        (12.5, 3.0), ("12.5", "3"), (0.1 + 0.2, 3), (Decimal("36.900000000000006"), " 3 "), (1e9, None), ("7", ""),
    ]]  # fmt: skip
    assert values(targets(), *rows, columns=("country", "revenue", "units")) == [
        ("4711", Decimal("12.5"), 3),
        ("4711", Decimal("12.5"), 3),
        ("4711", Decimal("0.3"), 3),
        ("4711", Decimal("36.9"), 3),
        ("4711", Decimal("1000000000"), None),
        ("4711", Decimal("7"), None),
    ]


def test_nothing_is_cut_off():
    rows = [["2026-01-01", "a", 1.23456, 1], ["2026-01-01", "b", 1, 1.5], [46000.5, "c", 1, 1], ["x", "d", True, 1]]
    rows += [[datetime(2026, 1, 1, 1), "e", 1, 1], [1e300, "f", 1, 1], [True, "g", 1, 1]]
    accepted, rejected, _ = read(targets(), grid(HEADER, *rows))
    assert not accepted
    assert [(row["position"], row["reason"]) for row in rejected] == [
        ("f!S!A2", "revenue: '1.23456' is not a decimal(18,4)"),
        ("f!S!A3", "units: '1.5' is not an integer"),
        ("f!S!A4", "month: '2025-12-09T12:00:00' is not a date"),
        ("f!S!A5", "month: 'x' is not a date; revenue: 'true' is not a decimal(18,4)"),
        ("f!S!A6", "month: '2026-01-01T01:00:00' is not a date"),
        ("f!S!A7", f"month: '{str(int(1e300))[:100]}' is not a date"),
        ("f!S!A8", "month: 'true' is not a date"),
    ]


def test_dates():
    days = [date(2026, 2, 28), datetime(2026, 2, 28), 46081, 46081.0, "2026-02-28", "28.02.2026"]
    found = values(targets(date_format="%d.%m.%Y"), *([day, "DE", 1, 1] for day in days), columns=("month",))
    assert found == [(date(2026, 2, 28),)] * len(days)
    assert values(targets(), [44619, "DE", 1, 1], columns=("month",), origin=date(1904, 1, 1)) == [(date(2026, 2, 28),)]


def test_times_are_of_the_time_zone():
    (declaration,) = declare({"visits": {"all": PLAN | {"types": {"At": "time"}, "date_format": "%d.%m.%Y %H:%M"}}})
    cells = [datetime(2026, 7, 1, 10), date(2026, 7, 1), 46204.5, "2026-07-01 10:00", "2026-07-01T10:00:00Z"]
    cells += ["01.07.2026 10:00", "2026-07-01", 46204 + 1 / 3]
    accepted, rejected, _ = read(declaration, grid(["At"], *([cell] for cell in cells)), time_zone="Europe/Berlin")
    hours = [8, -2, 10, 8, 10, 8, -2, 6]
    day = datetime(2026, 7, 1, tzinfo=UTC)
    assert [(row["at"] - day).total_seconds() / 3600 for row in accepted] == hours and not rejected
    _, rejected, _ = read(declaration, grid(["At"], ["2026-13-01 10:00"], ["2026-07-01 10:00 junk"]))
    assert [row["reason"] for row in rejected] == [
        "at: '2026-13-01 10:00' is not a time",
        "at: '2026-07-01 10:00 junk' is not a time",
    ]


def test_decimal_comma():
    """Of texts alone; a point is not taken for a thousands separator where it can't be one: 12.50 is never 1250."""
    good = {"1.234,50": "1234.5", "1.234.567": "1234567", "0,1234": "0.1234", "-5": "-5", ",5": "0.5"}
    typed = {12.5: "12.5", 1.234: "1.234"}
    rows = [["2026-01-01", "DE", cell, 1] for cell in (good | typed)]
    expected = [(Decimal(number),) for number in (good | typed).values()]
    assert values(targets(decimal=","), *rows, columns=("revenue",)) == expected
    _, rejected, _ = read(targets(decimal=","), grid(HEADER, ["2026-01-01", "DE", "12.50", "3,5"]))
    assert rejected[0]["reason"] == "revenue: '12,50' is not a decimal(18,4); units: '3,5' is not an integer"


def test_an_error_is_null_where_that_may_be_and_else_rejects_its_row():
    error = ErrorCell("#REF!")
    rows = [["2026-01-01", error, 1, ErrorCell("#N/A")], [error, "DE", ErrorCell("#DIV/0!"), 1]]
    rows += [["2026-01-01", "DE", 1, 1, error]]
    accepted, rejected, notes = read(targets(), grid([*HEADER, "Growth"], *rows), first_column=2)
    assert [(row["country"], row["units"], row["_unknown_fields"]) for row in accepted] == [
        (None, None, '{"Country":"#REF!","Units":"#N/A"}'),
        ("DE", 1, '{"Growth":"#REF!"}'),
    ]
    assert rejected[0]["reason"] == "month: the cell C3 shows #REF!; revenue: the cell E3 shows #DIV/0!"
    assert json.loads(rejected[0]["original"])["Revenue"] == "#DIV/0!"
    assert notes == ["f!S: cells with an error are null: D2 (#REF!), F2 (#N/A)"]
    _, _, (note,) = read(targets(), grid(HEADER, *[["2026-01-01", error, 1, 1]] * 15))
    assert note.endswith("B11 (#REF!) and 5 more")


def test_other_columns_are_kept():
    """Those with an equal name get a number, those without one their letter; also what is right of the header."""
    names = [*HEADER, "Tier", "tier", "Tier", "", None, "units"]
    row = ["2026-01-01", "DE", 1, 1, "gold", "silver", 3.0, "x", None, "", "beyond"]
    accepted, _, _ = read(targets(), grid(names, row, ["2026-01-01", "DE", 1]))
    assert json.loads(accepted[0]["_unknown_fields"]) == {
        "Tier": "gold", "tier": "silver", "Tier (2)": "3", "H": "x", "K": "beyond"
    }  # fmt: skip
    assert accepted[1]["_unknown_fields"] is None and accepted[1]["units"] is None


def test_another_column_may_be_called_as_a_field():
    names = {"country": "Land", "revenue": "Umsatz"}
    header = ["Month", "Land", "Umsatz", "Units", "Revenue", "_position"]
    accepted, _, _ = read(targets(columns=names), grid(header, ["2026-01-01", "DE", 1, 1, 2, 3]))
    assert (accepted[0]["revenue"], accepted[0]["country"], accepted[0]["_position"]) == (1, "DE", "f!S!A2")
    assert json.loads(accepted[0]["_unknown_fields"]) == {"Revenue (2)": "2", "_position": "3"}


def test_blank_rows_are_none():
    rows = [["2026-01-01", "DE", "1", "1"], [], [None, "", " "], ["2026-01-02", "DE", 1], ["", ""], []]
    accepted, rejected, _ = read(targets(), grid(HEADER, *rows))
    assert [row["row_number"] for row in accepted] == [2, 5] and not rejected
    assert read(targets(), grid(HEADER, [], [""])) == ([], [], [])


def test_a_rejected_row_is_kept_as_the_contract_reads_it():
    """So that it can be replayed: by the names that the contract has for its members."""
    declaration = targets(columns={"revenue": "Umsatz"}, decimal=",", values={"month": "2026-01-01"})
    header = ["Country", "Umsatz", "Units", "Note"]
    _, (row,), _ = read(declaration, grid(header, ["DE", "1,5", "many", "odd"]))
    assert json.loads(row["original"]) == {
        "Month": "2026-01-01", "Country": "DE", "Revenue": "1.5", "Units": "many", "Note": "odd",
        "sheet": "S", "row_number": "2", "block": "0",
    }  # fmt: skip


def test_rows_of_lines():
    """As CSV files have them: the number of a line is the place."""
    declaration = targets()
    header, rest = find_header(declaration, grid(HEADER, ["2026-01-01", "DE", "1", "1"]))
    texts = Texts(contracts.engine(), declaration, header, "f.csv", {"sheet": ""}, None)
    table = texts.of_rows(list(rest))
    assert table["_position"].to_pylist() == ["f.csv:2"]


def test_half_a_surrogate_pair():
    (row,), _, _ = read(targets(), grid(HEADER, ["2026-01-01", "caf\udce9", "1", "1"]))
    assert row["country"] == "caf?"


def test_so_many_rows_are_held_at_once(monkeypatch):
    monkeypatch.setattr(grids, "BATCH", 30)
    monkeypatch.setattr(grids, "CELLS", 100)
    taken = []

    def rows():
        for number in range(1, 100):
            taken.append(number)
            yield number, ["x"] * (20 if number > 90 else 1)

    held = batches(rows())
    assert len(next(held)) == 30 and len(taken) == 30
    assert [len(some) for some in held] == [30, 30, 5, 4]


def test_declarations_can_be_compared():
    assert targets() == targets() != targets(header=2)
    assert targets().fingerprint == dataclasses.replace(targets()).fingerprint != targets(header=2).fingerprint
