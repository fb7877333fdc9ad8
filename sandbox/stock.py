"""The workbooks that partners send: what resellers have in stock at the end of each month, and warranty claims.

A month's stock comes on its last day, and one reseller's comes again on the 4th, with figures corrected. What is wrong
on purpose: cells whose formula fails, and numbers that were typed as text. other/ has files that nobody declares.
"""

import io
import random
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import xlwt

from sandbox.files import put, zipped
from sandbox.simulation import Row, Simulation
from sandbox.workbooks import Error, ods, tsv, xls, xlsx

STOCK_HEADER = ["SKU", "Product", "As of", "On hand", "Reserved", "Warehouse"]
GERMAN_HEADER = ["Artikel", "Bezeichnung", "Stand", "Bestand", "Reserviert", "Lager"]
STOCK_FIELDS = ["sku", "product_name", "counted_on", "on_hand", "reserved", "warehouse"]
CLAIM_HEADER = ["Claim", "Opened", "Device", "Customer e-mail", "Order", "Description", "Status", "Amount", "Currency"]
CLAIM_FIELDS = ["claim_number", "opened_on", "device_id", "customer_email", "order_number", "description", "status",
                "amount", "currency"]  # fmt: skip
RESELLERS = {  # file name's ending, name of the sheet, warehouses
    "kaffeekontor": ("xls", "Bestand", ["Hamburg", "Dresden"]),
    "roast_and_co": ("xlsx", "Stock", ["Leeds"]),
    "maison_du_grain": ("ods", "Stock", ["Lyon"]),
    "kissa_trading": ("tsv", "", ["大阪"]),
}
TITLE = [["Stock report of Roast & Co"], ["All figures in units, counted on the last day of the month"], []]
DEFECTS = {"name_error": 0.01, "count_error": 0.01, "count_text": 0.02}  # shares of rows


def _columns(fields: list[str], header: list[str]) -> dict[str, str]:
    return dict(zip(fields, header, strict=True))


TABLES = {  # as the loader has them declared
    "stock_levels": {
        reseller: {
            "files": f"stock/{reseller}/*.{ending}",
            "columns": _columns(STOCK_FIELDS, GERMAN_HEADER if reseller == "kaffeekontor" else STOCK_HEADER),
            "values": {"reseller": reseller},
        }
        for reseller, (ending, _, _) in RESELLERS.items()
    },
    "claims": {"all": {"files": "claims/*.xlsx", "columns": _columns(CLAIM_FIELDS, CLAIM_HEADER)}},
}


class Line(NamedTuple):
    """A row of a table: what is true, and by field what its cells have instead."""

    values: Row
    instead: dict[str, Any]

    @property
    def is_rejected(self) -> bool:
        """Whether a formula fails in a cell that must have a value."""
        return any(isinstance(self.instead.get(name), Error) for name in ("on_hand", "opened_on"))


class Stock:
    """The resellers' stock by month, followed day by day, and the workbooks with it."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"stock {company.seed}")
        self.files: dict[str, list[Line]] = {}  # by path
        self._on_hand: Counter[tuple[str, str, str]] = Counter()
        self._lines_seen = 0

    def day(self) -> None:
        """Lives through the company's today."""
        today = self.company.today
        if today.day == monthrange(today.year, today.month)[1]:
            self._count(today)
        elif today.day == 4 and self.files:
            self._correct(list(self.files)[-len(RESELLERS) :][today.month % len(RESELLERS)])

    def _count(self, day: date) -> None:
        """What is left of everything after the month's sales; what runs out is delivered anew."""
        sold: Counter[tuple[str, str]] = Counter()
        for reseller, values, broken in self.company.partner_lines[self._lines_seen :]:
            if not broken:
                sold[reseller, values["sku"]] += values["quantity"]
        self._lines_seen = len(self.company.partner_lines)
        products = [p for p in self.company.shop["products"].values() if p["category"] != "spare parts"]
        for reseller, (ending, _, warehouses) in RESELLERS.items():
            self.files[f"stock/{reseller}/stock_{day:%Y-%m}.{ending}"] = [
                self._line(reseller, product, day, warehouse, sold[reseller, product["sku"]] // len(warehouses))
                for warehouse in warehouses
                for product in products
            ]

    def _line(self, reseller: str, product: Row, day: date, warehouse: str, sold: int) -> Line:
        key = reseller, product["sku"], warehouse
        left = self._on_hand[key] - sold
        self._on_hand[key] = left if left > 8 else max(left, 0) + self.rng.randint(10, 60)
        on_hand = self._on_hand[key]
        values = [key[1], product["product_name"], day, on_hand, self.rng.randint(0, min(6, on_hand)), warehouse]
        draw, instead = self.rng.random(), {}
        for defect, share in DEFECTS.items():
            draw -= share
            if draw < 0:
                match defect:
                    case "name_error":
                        instead["product_name"] = Error("#N/A")
                    case "count_error":
                        instead["on_hand"] = Error("#REF!")
                    case "count_text":
                        instead["on_hand"] = str(on_hand)
                break
        if reseller == "kissa_trading":  # a text file has no cells that fail
            instead = {}
        return Line(dict(zip(STOCK_FIELDS, values, strict=True)), instead)

    def _correct(self, path: str) -> None:
        """The newest month's file comes again: of three products, some more were found."""
        for number in self.rng.sample(range(len(self.files[path])), 3):
            line = self.files[path][number]
            line.values["on_hand"] += self.rng.randint(1, 5)
            line.instead.pop("on_hand", None)

    def _claims(self) -> dict[str, list[Line]]:
        """The lists of claims by path: some amounts are typed as text or fail, as does a date."""
        found: dict[str, list[Line]] = {}
        for number, claim in enumerate(self.company.claims.all, 1):
            values = [claim.number, claim.opened_at.date(), claim.device.device_id, claim.email, claim.order_number,
                      claim.fault, claim.status, claim.amount, claim.currency]  # fmt: skip
            instead = {
                3: {"amount": str(claim.amount)}, 5: {"amount": Error("#N/A")}, 6: {"opened_on": Error("#REF!")}
            }.get(number % 12, {})  # fmt: skip
            line = Line(dict(zip(CLAIM_FIELDS, values, strict=True)), instead)
            found.setdefault(f"claims/claims_{claim.opened_at.year}.xlsx", []).append(line)
        return found

    def write(self, folder: Path) -> None:
        """Writes all workbooks."""
        for path, lines in (self.files | self._claims()).items():
            put(folder / path, _book(path, [list((values | instead).values()) for values, instead in lines]))
        for path, content in _others().items():
            put(folder / path, content)

    def truth(self) -> dict[str, Any]:
        """Files of the truth.

        spreadsheets.json  by path: status, stream, rows that land and rows that do not, and the addresses of cells that
                           fail (null where the column may be empty, else they reject their row) or are text
        stock_levels.csv   every count, with the place where it stands; is_rejected: a cell fails that must not
        """
        files = self.files | self._claims()
        return {
            "spreadsheets.json": {path: _truth(path, lines) for path, lines in files.items()} | OTHERS,
            "stock_levels.csv": [
                {"reseller": path.split("/")[1], **line.values, "file_path": path, "row_number": number,
                 "is_rejected": line.is_rejected, "is_name_missing": "product_name" in line.instead}
                for path, lines in self.files.items()
                for number, line in enumerate(lines, _first_row(path))
            ],
        }  # fmt: skip


def _first_row(path: str) -> int:
    return 5 if path.endswith(".xlsx") and path.startswith("stock") else 2


def _book(path: str, rows: Iterable[list[Any]]) -> bytes:
    if path.startswith("claims"):
        return xlsx({"Claims": [CLAIM_HEADER, *rows]})
    ending, sheet, _ = RESELLERS[path.split("/")[1]]
    match ending:
        case "xls":
            return xls({sheet: [GERMAN_HEADER, *rows]})
        case "xlsx":
            return xlsx({sheet: [*TITLE, STOCK_HEADER, *rows]}, merged=["A1:F1"])
        case "ods":
            return ods({sheet: [STOCK_HEADER, *rows]})
    return tsv([STOCK_HEADER, *rows])


def _truth(path: str, lines: list[Line]) -> Row:
    kinds: dict[str, list[str]] = {"null": [], "rejected": [], "text": []}
    for number, line in enumerate(lines, _first_row(path)):
        for name, value in line.instead.items():
            kind = "text" if not isinstance(value, Error) else "rejected" if line.is_rejected else "null"
            kinds[kind].append(f"{'ABCDEFGHI'[list(line.values).index(name)]}{number}")
    rejected = sum(line.is_rejected for line in lines)
    stream = "claims" if path.startswith("claims") else "stock_levels"
    return {"status": "read", "stream": stream, "rows": len(lines) - rejected, "rejected_rows": rejected,
            "cells": kinds}  # fmt: skip


OTHERS = {  # files that nobody declares; `rows` by sheet, and the addresses of cells that fail
    "other/plan 2027.xlsx": {"status": "read", "stream": "rows", "rows": {"Plan": 8, "Costs": 2},
                             "errors": {"D4": "#DIV/0!"}},
    "other/notes.csv": {"status": "read", "stream": "rows", "rows": {"": 6}, "errors": {}},
    "other/locked.xlsx": {"status": "encrypted"},
    "other/empty.xlsx": {"status": "empty"},
    "other/cut.xlsx": {"status": "broken"},
    "other/bomb.xlsx": {"status": "refused"},
}  # fmt: skip


def _others() -> dict[str, bytes]:
    plan = [
        ["Trade fairs", None, "Budget", "Share"], ["Milano", date(2027, 1, 16), 12500, 0.625],
        ["Hamburg", date(2027, 9, 3), 7500.5, 0.375], ["Total", None, 20000.5, Error("#DIV/0!")], [],
        [None, None, None, None, None, "Training", "Seats"], [None, None, None, None, None, "Latte art", 12],
        [None, None, None, None, None, "Repair", 8], ["See also the other sheet"],
    ]  # fmt: skip
    book = xlsx({"Plan": plan, "Costs": [["Item", "Cost"], ["Stand", 4200]]}, ["A1:B1", "A9:D9"], hidden=["Costs"])
    notes = "Supplier,City\nBeans Ltd,Bristol\nKaffee AG,Bremen\n\nPhone,Who,When\n123,Ines,2026-02-01\n456,Tom,\n"
    large = b"<worksheet><sheetData>" + b" " * (24 * 2**20)
    return {
        "other/plan 2027.xlsx": book, "other/notes.csv": notes.encode(), "other/locked.xlsx": _locked(),
        "other/empty.xlsx": b"", "other/cut.xlsx": book[: len(book) // 2],
        "other/bomb.xlsx": zipped({"[Content_Types].xml": b"<Types/>", "xl/worksheets/sheet1.xml": large}),
    }  # fmt: skip


def _locked() -> bytes:
    """An encrypted workbook is a compound file ([MS-OFFCRYPTO] 2.3.2); its package here is nothing but noise."""
    out, names = io.BytesIO(), [name.encode("utf-16-le") + b"\0\0" for name in ("Workbook", "EncryptedPackage")]
    xlwt.CompoundDoc.XlsDoc().save(out, random.Random(0).randbytes(6000))
    old, new = (name.ljust(64, b"\0") + len(name).to_bytes(2, "little") for name in names)
    return out.getvalue().replace(old, new)
