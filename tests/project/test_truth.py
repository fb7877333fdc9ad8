"""From the sandbox to the marts by the daily commands: every count and sum is the source's, whatever the dirt."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

import sandbox

ROOT = Path(__file__).parents[2]
SCALE, DAYS = 0.05, 40


@pytest.fixture(scope="module")
def run():
    """Runs commands on a sandbox and a warehouse of their own."""
    with tempfile.TemporaryDirectory(prefix="catchment-truth-") as folder:
        environment = {
            **os.environ,
            "SANDBOX_ROOT": f"{folder}/sandbox",
            "SANDBOX_SCALE": str(SCALE),
            "WAREHOUSE_DIR": folder,
            "DBT_TARGET": "sandbox",
            "DBT_TARGET_PATH": f"{folder}/target",
            "DBT_LOG_PATH": f"{folder}/logs",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

        def run(command: str) -> None:
            done = subprocess.run(command.split(), cwd=ROOT, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr

        run.folder = Path(folder)
        yield run


@pytest.fixture(scope="module", params=["first day", f"{DAYS} days later"])
def query(run, request):
    """Queries the warehouse after `ingest` and `dbt build`, of the first day and then of two reads; the CSV files of
    the truth are its views true_<name>."""
    if request.param != "first day":
        sandbox.advance(DAYS, run.folder / "sandbox")
    run("python -m ingestion run")
    run("dbt build")

    def query(sql: str) -> list[tuple]:
        with duckdb.connect(str(run.folder / "sandbox.duckdb"), read_only=True) as connection:
            for path in (run.folder / "sandbox/truth").glob("*.csv"):
                connection.execute(f"create temp view true_{path.stem} as from read_csv('{path}', all_varchar = true)")
            return connection.execute(sql).fetchall()

    return query


def truth(run, name: str) -> dict:
    return json.loads((run.folder / f"sandbox/truth/{name}.json").read_text())


def test_every_table_has_the_rows_of_the_source(run, query):
    tables = truth(run, "tables")
    assert {table: query(f"select count(*) from staging.stg_shop__{table}")[0][0] for table in tables} == tables


def test_the_money_of_every_order_is_true(query):
    differing = query("""
        select * from (select * from marts.fct_orders where source_system = 'shop') as orders
        full join true_orders on orders.source_order_id = true_orders.order_id
        where orders.order_status is distinct from true_orders.order_status
            or orders.currency_code is distinct from true_orders.currency
            or orders.items_amount is distinct from cast(true_orders.items_total as decimal(18, 4))
            or orders.discount_amount is distinct from cast(true_orders.discount_total as decimal(18, 4))
            or orders.shipping_amount is distinct from cast(true_orders.shipping_total as decimal(18, 4))
            or orders.tax_amount is distinct from cast(true_orders.tax_total as decimal(18, 4))
            or orders.order_amount is distinct from cast(true_orders.order_total as decimal(18, 4))
    """)
    assert differing == []


def test_payments_and_refunds_are_true(query):
    differing = query("""
        with settled as (
            select replace(order_id, 'shop:', '') as order_id,
                sum(payment_amount) filter (transaction_type = 'payment' and payment_status = 'captured') as captured,
                sum(payment_amount) filter (transaction_type = 'refund') as refunded
            from marts.fct_payments group by 1
        )
        select * from true_orders left join settled using (order_id)
        where coalesce(settled.captured, 0) != cast(true_orders.captured_total as decimal(18, 4))
            or coalesce(settled.refunded, 0) != cast(true_orders.refunded_total as decimal(18, 4))
    """)
    assert differing == []


def test_orders_of_resellers_are_true(query):
    differing = query("""
        select * from (select * from marts.fct_orders where source_system = 'partner_files') as orders
        full join true_partner_orders as true_orders
            on orders.reseller = true_orders.reseller and orders.order_number = true_orders.order_number
        where orders.currency_code is distinct from true_orders.currency
            or orders.items_amount is distinct from cast(true_orders.items_total as decimal(18, 4))
            or orders.tax_amount is distinct from cast(true_orders.tax_total as decimal(18, 4))
            or orders.shipping_amount is distinct from cast(true_orders.shipping_total as decimal(18, 4))
    """)
    assert differing == []


def test_every_broken_line_is_a_rejected_row(run, query):
    broken = sum(sum(file["broken"].values()) for file in truth(run, "partner_files").values())
    assert query("select count(*) from operations.fct_rejected_rows") == [(broken,)]


def test_addresses_of_customers_are_as_they_would_be_written_properly(query):
    differing = query("""
        select customers.email, people.email from marts.dim_customers as customers
        inner join true_people as people on customers.source_customer_id = people.customer_id
        where split_part(customers.email, '@', 1) != split_part(people.email, '@', 1)
            or customers.email != lower(trim(customers.email)) or customers.country_code != people.country
    """)
    assert differing == []


def test_unit_tests_of_the_models_pass(run):
    if not (run.folder / "sandbox.duckdb").exists():
        run("python -m ingestion run")
        run("dbt build")
    run("dbt test --select test_type:unit")
