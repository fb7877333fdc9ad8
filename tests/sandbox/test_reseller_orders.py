import csv
import json
from collections import Counter
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

FIELDS = [
    "order_number", "line_number", "ordered_on", "customer_email", "customer_name", "customer_phone", "country", "sku",
    "product_name", "quantity", "unit_price", "currency", "tax_amount", "shipping_amount",
]  # fmt: skip


def parse(values, dialect):
    """The line typed by its dialect; raises on a broken one."""
    if len(values) != len(FIELDS):
        raise ValueError("ragged")
    row = dict(zip(FIELDS, values, strict=True))
    row["ordered_on"] = datetime.strptime(row["ordered_on"], dialect["date_format"]).date()
    row["quantity"] = int(row["quantity"])
    for field in ("unit_price", "tax_amount", "shipping_amount"):
        whole, *fraction = row[field].split(dialect["decimal"])
        row[field] = Decimal(".".join([str(int(whole)), *fraction]))
    return row


@pytest.fixture(scope="module")
def folder(options) -> Path:
    return Path(options["SOURCES__SPREADSHEETS__FOLDER"]) / "orders"


@pytest.fixture(scope="module")
def dialects(options) -> dict[str, dict[str, str]]:
    return json.loads(options["SOURCES__SPREADSHEETS__TABLES"])["order_lines"]


def test_files_read_by_their_declared_dialects_give_the_truth(folder, root, dialects):
    truth = json.loads((root / "truth/reseller_orders.json").read_text())
    assert {str(path.relative_to(folder)) for path in folder.glob("*/*.csv")} == truth.keys()
    money = Counter()
    for path, expected in truth.items():
        dialect = dialects[path.split("/")[0]]
        with (folder / path).open(encoding=dialect["encoding"], newline="") as file:
            header, *lines = csv.reader(file, delimiter=dialect["delimiter"])
        assert header == FIELDS
        good = 0
        for line in lines:
            try:
                row = parse(line, dialect)
            except (ValueError, InvalidOperation):
                continue
            good += 1
            if "resend" not in path:
                money[path.split("/")[0], row["order_number"]] += row["quantity"] * row["unit_price"]
        assert (good, len(lines) - good) == (expected["good"], sum(expected["broken"].values())), path
    with (root / "truth/partner_orders.csv").open() as file:
        orders = {(row["reseller"], row["order_number"]): Decimal(row["items_total"]) for row in csv.DictReader(file)}
    assert money == orders
    assert sum(sum(file["broken"].values()) for file in truth.values()) > 0


def test_the_dialects_differ_as_promised(folder, dialects):
    dialects = dialects.values()
    assert {d["delimiter"] for d in dialects} == {",", ";", "\t"}
    assert {d["encoding"] for d in dialects} == {"utf-8", "utf-8-sig", "cp1252"}
    assert Counter(d["decimal"] for d in dialects)[","] == 1
    assert Counter(d["date_format"] for d in dialects)["%d.%m.%Y"] == 1
    assert (folder / "maison_du_grain/orders_2026-03.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_one_month_is_sent_twice(folder):
    first, second = (folder / f"roast_and_co/orders_2026-03{end}.csv" for end in ("", "_resend"))
    assert first.read_bytes() == second.read_bytes()
