"""The workbooks say what the truth says, read back by other libraries than those that wrote them, where there are."""

import csv
import io
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise

import openpyxl
import pytest
import python_calamine
import xlrd
from odf.opendocument import load
from odf.table import TableCell, TableRow
from odf.teletype import extractText

from ingestion.parsers import Unreadable, archive
from sandbox.company import CLOCK, Company
from sandbox.stock import RESELLERS, TABLES
from sandbox.workbooks import NAMESPACES

ERRORS = {0x17: "#REF!", 0x2A: "#N/A"}


def read_xlsx(path):
    sheet = openpyxl.load_workbook(path).worksheets[0]
    return [[cell.date() if isinstance(cell, datetime) else cell for cell in row] for row in sheet.values]


def read_xls(path):
    book = xlrd.open_workbook(path)
    sheet = book.sheet_by_index(0)

    def value(cell):
        match cell.ctype:
            case xlrd.XL_CELL_ERROR:
                return ERRORS[cell.value]
            case xlrd.XL_CELL_DATE:
                return xlrd.xldate_as_datetime(cell.value, book.datemode).date()
            case xlrd.XL_CELL_NUMBER:
                return int(cell.value)
        return cell.value

    return [[value(cell) for cell in row] for row in sheet.get_rows()]


def read_ods(path):
    def value(cell):
        if cell.getAttrNS(NAMESPACES["calcext"], "value-type") == "error":
            return extractText(cell)
        match cell.getAttribute("valuetype"):
            case "float":
                return int(cell.getAttribute("value"))
            case "date":
                return date.fromisoformat(cell.getAttribute("datevalue"))
        return extractText(cell)

    rows = load(str(path)).spreadsheet.getElementsByType(TableRow)
    return [[value(cell) for cell in row.getElementsByType(TableCell)] for row in rows]


def read_tsv(path):
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8")), delimiter="\t"))
    return [rows[0], *([*row[:2], date.fromisoformat(row[2]), *map(int, row[3:5]), row[5]] for row in rows[1:])]


READERS = {"xlsx": read_xlsx, "xls": read_xls, "ods": read_ods, "tsv": read_tsv}


def places(cells, is_wanted):
    return {f"{'ABCDEFGHI'[n]}{r}" for r, row in enumerate(cells, 1) for n, v in enumerate(row) if is_wanted(v)}


@pytest.mark.parametrize("reseller", RESELLERS)
def test_a_stock_file_says_what_is_true_but_for_cells_that_are_told(bigger, written, reseller):
    ending = RESELLERS[reseller][0]
    truth = bigger.stock.truth()
    rows = [row for row in truth["stock_levels.csv"] if row["reseller"] == reseller]
    names = list(TABLES["stock_levels"][reseller]["columns"])
    seen = Counter()
    for path in {row["file_path"]: None for row in rows}:
        cells, about = READERS[ending](written / "spreadsheets" / path), truth["spreadsheets.json"][path]
        of_file = [row for row in rows if row["file_path"] == path]
        header = of_file[0]["row_number"] - 2
        assert cells[header] == list(TABLES["stock_levels"][reseller]["columns"].values())
        assert len(cells) == of_file[-1]["row_number"]
        instead = {place for places in about["cells"].values() for place in places}
        for row in of_file:
            for letter, name, cell in zip("ABCDEF", names, cells[row["row_number"] - 1], strict=True):
                if f"{letter}{row['row_number']}" not in instead:
                    assert cell == row[name], (path, row["row_number"], name)
        failing = {*about["cells"]["null"], *about["cells"]["rejected"]}
        assert places(cells, lambda value: value in ("#REF!", "#N/A")) == failing
        assert places(cells, lambda value: isinstance(value, str) and value.isdigit()) == {*about["cells"]["text"]}
        assert about["rows"] == sum(not row["is_rejected"] for row in of_file)
        seen.update({kind: len(found) for kind, found in about["cells"].items()})
    assert all(seen[kind] for kind in ("null", "rejected", "text")) or reseller == "kissa_trading"


def test_the_title_rows_of_one_reseller_are_merged(written):
    sheet = openpyxl.load_workbook(next((written / "spreadsheets/stock/roast_and_co").iterdir())).active
    assert [str(cells) for cells in sheet.merged_cells.ranges] == ["A1:F1"]
    assert sheet["A4"].value == "SKU" and sheet["C5"].is_date


def test_every_month_and_reseller_has_a_file_and_stock_is_what_was_left(bigger):
    files = bigger.stock.files
    assert len(files) == 12 * len(RESELLERS)
    months = sorted(path.partition("_20")[2].partition(".")[0] for path in files)
    assert (months[0], months[-1]) == ("25-10", "26-09")
    counts = {}
    for path, lines in files.items():
        for values, _ in lines:
            assert 0 <= values["reserved"] <= values["on_hand"] and values["counted_on"].strftime("%Y-%m") in path
            counts.setdefault((path.split("/")[1], values["sku"], values["warehouse"]), []).append(values["on_hand"])
    assert all(len(history) == 12 for history in counts.values())
    assert sum(later < earlier for history in counts.values() for earlier, later in pairwise(history)) > 100


def test_on_the_4th_some_more_is_found_of_three_products():
    company = Company(1, 0.02).run(CLOCK)
    before = {path: [line.values["on_hand"] for line in lines] for path, lines in company.stock.files.items()}
    company.run(CLOCK + timedelta(days=4))
    found = {
        path: [line.values["on_hand"] - count for line, count in zip(company.stock.files[path], counts, strict=True)]
        for path, counts in before.items()
    }
    (more,) = [[count for count in counts if count] for counts in found.values() if any(counts)]
    assert len(more) == 3 and min(more) > 0


def test_the_list_of_claims_says_what_is_true_but_for_cells_that_are_told(bigger, written):
    path = "claims/claims_2026.xlsx"
    header, *rows = read_xlsx(written / "spreadsheets" / path)
    truth, about = bigger.claims.truth()["claims.csv"], bigger.stock.truth()["spreadsheets.json"][path]
    assert header == list(TABLES["claims"]["all"]["columns"].values()) and len(rows) == len(truth) > 6
    for number, (row, true) in enumerate(zip(rows, truth, strict=True), 2):
        claim, opened, device, email, order, description, status, amount, currency = row
        assert [claim, device, order, status, currency] == [
            true[name] for name in ("claim_number", "device_id", "order_number", "status", "currency")
        ]
        assert email is None or email.strip().lower() == true["customer_email"]
        assert description
        assert opened == true["opened_on"] or f"B{number}" in about["cells"]["rejected"]
        assert amount == true["amount"] or f"H{number}" in about["cells"]["null"] + about["cells"]["text"]
    assert all(about["cells"].values()) and about["rejected_rows"] == len(about["cells"]["rejected"])


def test_claims_are_of_devices_whose_owner_bought_from_us(bigger):
    owners = {device.device_id: device.owner for device in bigger.devices.devices}
    orders = {order["order_number"]: order["customer_id"] for order in bigger.shop["orders"].values()}
    for claim in bigger.claims.truth()["claims.csv"]:
        assert owners[claim["device_id"]] == f"customer {claim['customer_id']}"
        assert claim["order_number"] is None or orders[claim["order_number"]] in (claim["customer_id"], None)
        assert bigger.person_of[claim["customer_id"]].person_id == claim["person_id"]
    assert any(claim["order_number"] for claim in bigger.claims.truth()["claims.csv"])


def test_claims_move_on_with_the_days():
    company = Company(1, 0.1).run(CLOCK)
    before = {claim["claim_number"]: claim["status"] for claim in company.claims.truth()["claims.csv"]}
    company.run(CLOCK + timedelta(days=25))
    after = {claim["claim_number"]: claim["status"] for claim in company.claims.truth()["claims.csv"]}
    assert list(after)[: len(before)] == list(before) and len(after) > len(before)
    assert next(iter(after)) == "CLM-2026-0001"
    moves = {(status, after[number]) for number, status in before.items()}
    assert all(new in ("repaired", "replaced", "declined") for _, new in moves)
    assert {old for old, _ in moves} & {"open", "in review"}


def test_files_that_nobody_declares(bigger, written):
    folder, truth = written / "spreadsheets", bigger.stock.truth()["spreadsheets.json"]
    book = openpyxl.load_workbook(folder / "other/plan 2027.xlsx")
    about = truth["other/plan 2027.xlsx"]
    for name, count in about["rows"].items():
        assert sum(any(cell is not None for cell in row) for row in book[name].values) == count
    assert book["Plan"]["D4"].value == about["errors"]["D4"] and len(book["Plan"].merged_cells.ranges) == 2
    assert book["Costs"].sheet_state == "hidden"
    notes = (folder / "other/notes.csv").read_text().split("\n")
    assert sum(map(bool, notes)) == truth["other/notes.csv"]["rows"][""] and "" in notes[:-1]


def test_broken_workbooks_are_broken(written):
    folder = written / "spreadsheets/other"
    with pytest.raises(python_calamine.PasswordError):
        python_calamine.load_workbook(folder / "locked.xlsx")
    assert (folder / "empty.xlsx").read_bytes() == b""
    with pytest.raises(Unreadable) as cut:
        archive((folder / "cut.xlsx").read_bytes())
    with pytest.raises(Unreadable) as bomb:
        archive((folder / "bomb.xlsx").read_bytes())
    assert (cut.value.status, bomb.value.status) == ("broken", "refused")
    assert (folder / "bomb.xlsx").stat().st_size < 30_000
