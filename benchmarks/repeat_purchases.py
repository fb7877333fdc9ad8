"""The repeat-purchase summary of fct_customer_value beside a published one of the same transactions.

    make bench-purchases TRANSACTIONS=CDNOW_sample.txt SUMMARY=cdnow_customers_summary.csv

Both files are Fader and Hardie's of the CDNOW sample, as the PyPI package `lifetimes` has them in lifetimes/datasets: a
line of the first is an id in the whole set, the customer's id, the day (19970118), how many, and for how much; of the
second, the customer's id, frequency, recency and T in weeks with two decimals, up to 30 September 1997.

Asserts nothing.
"""

import csv
import os
import sys
from datetime import date, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/project"))

from building import Project

LAST_DAY = date(1997, 9, 30)
ITEMS = ", ".join(f"{name}_amount_base decimal(18, 4)" for name in ("net", "refunded", "net_margin"))
FIGURES = {"frequency": "repeat_purchase_days", "recency": "repeat_recency_days / 7", "T": "observed_days / 7"}


def purchases(path: Path) -> list[tuple[str, str, date, str]]:
    """Number, customer, day and amount of the transactions up to the last day."""
    lines = [line.split() for line in path.read_text().splitlines()]
    days = [datetime.strptime(line[2], "%Y%m%d").date() for line in lines]
    return [
        (str(number), str(int(line[1])), day, line[4])
        for number, (line, day) in enumerate(zip(lines, days, strict=True))
        if day <= LAST_DAY
    ]


def summary(transactions: list[tuple[str, str, date, str]]) -> dict[str, tuple[float, ...]]:
    """What the model makes of them: frequency in days, recency and T in weeks, by customer."""
    orders = "order_id text, person_id text, order_date date, is_sale boolean"
    project = Project(["marts/customers/fct_customer_value"], "fct_orders", orders, [])
    db = project.db
    db.execute(f"create table int_operations__as_of as select timestamp '{LAST_DAY} 12:00' as as_of_at")
    db.execute(
        f"create table fct_order_items (order_id text, {ITEMS}, is_rate_missing boolean, is_cost_missing boolean)"
    )
    for number, customer, day, amount in transactions:
        db.execute("insert into fct_orders values (?, ?, ?, true, '')", [number, customer, day])
        db.execute("insert into fct_order_items values (?, ?, 0, ?, false, false)", [number, amount, amount])
    project.build("run 1")
    rows = db.execute(f"select person_id, {', '.join(FIGURES.values())} from fct_customer_value").fetchall()
    return {customer: figures for customer, *figures in rows}


def main() -> None:
    """Prints how many customers differ in each figure by more than the published decimals can tell."""
    transactions = purchases(Path(os.environ["TRANSACTIONS"]))
    made = summary(transactions)
    with Path(os.environ["SUMMARY"]).open() as file:
        published = {row["ID"]: [float(row[name]) for name in FIGURES] for row in csv.DictReader(file)}
    print(f"{len(transactions)} transactions of {len(made)} customers, {len(published)} published")
    print(f"{len(made.keys() ^ published.keys())} customers are in one of the two only")
    for place, name in enumerate(FIGURES):
        differing = [id for id in made.keys() & published if abs(made[id][place] - published[id][place]) > 0.00501]
        print(f"{name}: {len(differing)} differ {differing[:5] or ''}")


if __name__ == "__main__":
    main()
