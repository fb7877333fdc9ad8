"""What is true, written aside for tests and never loaded: who is who, how many rows, how much money, what is wrong."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from sandbox import reseller_orders
from sandbox.company import Company
from sandbox.dirt import DEFECTS
from sandbox.vocabulary import COUNTRIES


def write(company: Company, folder: Path) -> None:
    """Writes the truth about the company as it is now.

    tables.json         rows per table of the shop
    deleted.json        keys deleted so far, by table
    defects.json        per defect how many values could have had it and how many got it, over all time
    people.csv          every account ever opened, with its true person and how its values are written properly
    orders.csv          the money of every order of the shop, recomputed from its items, payments and refunds
    late_orders.csv     orders that arrived with old timestamps
    reseller_orders.json  data lines per file: good, and broken by kind; resent files repeat another one's
    partner_orders.csv  every reseller's order with its true person and the money of its good lines

    And what the method `truth` of Shared, Crm, Newsletters, Visits, Social, Handles, Devices, Claims, Stock, Planning,
    Papers and Photos lists.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shop = company.shop
    _json(folder / "tables.json", {table: len(rows) for table, rows in shop.items()})
    _json(folder / "deleted.json", company.deleted)
    dirt = company.dirt
    _json(folder / "defects.json", {d: {"chances": dirt.chances[d], "hits": dirt.hits[d]} for d in DEFECTS})
    people = company.person_of.items()
    _csv(
        folder / "people.csv",
        ({"customer_id": key, **_person(person), **_email(company, key)} for key, person in people),
    )
    _csv(folder / "late_orders.csv", ({"order_id": key} for key in company.late_orders))
    _csv(folder / "orders.csv", _orders(company))
    _json(folder / "reseller_orders.json", {
        path: {"good": sum(not line.broken for line in lines),
               "broken": Counter(line.broken for line in lines if line.broken)}
        for path, lines in reseller_orders.files(company).items()
    })  # fmt: skip
    _csv(folder / "partner_orders.csv", _partner_orders(company))
    systems = (
        company.shared, company.crm, company.newsletters, company.visits, company.social, company.handles,
        company.devices, company.claims, company.stock, company.planning, company.papers, company.photos,
    )  # fmt: skip
    for name, content in (item for system in systems for item in system.truth().items()):
        (_json if name.endswith(".json") else _csv)(folder / name, content)


def _person(person) -> dict[str, Any]:
    dial_code = COUNTRIES[person.country].dial_code
    return {**person._asdict(), "phone": f"+{dial_code}{person.phone}"}


def _email(company: Company, customer_id: int) -> dict[str, str]:
    """The account's, if it is not its owner's own."""
    return {"email": company.shared.emails[customer_id]} if customer_id in company.shared.emails else {}


def _orders(company: Company) -> Iterable[dict]:
    shop = company.shop
    money = {key: Counter() for key in shop["orders"]}
    for item in shop["order_items"].values():
        money[item["order_id"]]["items"] += item["quantity"] * item["unit_price"]
        money[item["order_id"]]["discount"] += item["quantity"] * item["unit_discount"]
    for payment in shop["payments"].values():
        if payment["payment_status"] == "captured":
            money[payment["order_id"]]["captured"] += payment["amount"]
    for refund in shop["refunds"].values():
        money[refund["order_id"]]["refunded"] += refund["amount"]
    for key, order in shop["orders"].items():
        sums = money[key]
        yield {
            "order_id": key, "order_status": order["order_status"], "currency": order["currency"].strip().upper(),
            "items_total": sums["items"], "discount_total": sums["discount"],
            "shipping_total": order["shipping_total"], "tax_total": order["tax_total"],
            "order_total": sums["items"] + order["tax_total"] + order["shipping_total"] - sums["discount"],
            "captured_total": sums["captured"], "refunded_total": sums["refunded"],
        }  # fmt: skip


def _partner_orders(company: Company) -> Iterable[dict]:
    orders: dict[tuple[str, str], dict] = {}
    for reseller, values, broken in company.partner_lines:
        if broken:
            continue
        key = reseller, values["order_number"]
        order = orders.setdefault(key, {
            "reseller": reseller, "order_number": values["order_number"],
            "person_id": company.partner_person_of[key].person_id, "ordered_on": values["ordered_on"],
            "currency": values["currency"].strip().upper(), "lines": 0, "items_total": Decimal(0),
            "tax_total": Decimal(0), "shipping_total": Decimal(0),
        })  # fmt: skip
        order["lines"] += 1
        order["items_total"] += values["quantity"] * values["unit_price"]
        order["tax_total"] += values["tax_amount"]
        order["shipping_total"] += values["shipping_amount"]
    return orders.values()


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


def _csv(path: Path, rows: Iterable[dict]) -> None:
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
