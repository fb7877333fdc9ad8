"""The five-step pages of the docs run as they stand."""

import socket
import tempfile
from pathlib import Path

import pytest

from tests.copies import Copy
from tests.pages import page, script


@pytest.fixture
def project():
    """Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="catchment-docs-") as folder:
        yield Copy(Path(folder))


def test_the_first_model_works_as_written(project):
    project.run("python -m ingestion run && dbt build -q --select +fct_orders --exclude-resource-type test")
    output = project.run(script(page("first_model.md")))
    assert "web_shop" in output and "reseller" in output
    assert (project.root / "target" / "index.html").exists()
    sales = project.query("sandbox", "select sum(order_count), sum(order_amount_base) from marts.fct_sales_daily")
    orders = project.query("sandbox", "select count(*), sum(order_amount_base) from marts.fct_orders where is_sale")
    assert sales == orders
    assert sales[0][0] > 0
    (compiled,) = project.root.glob("target/compiled/**/fct_sales_daily.sql")
    assert "BLOCKWISE_NL_JOIN" not in project.query("sandbox", f"explain {compiled.read_text()}")[0][1]


def test_the_new_source_works_as_written(project):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project.run(script(page("new_source.md").replace("8765", str(port))))
    staged = project.query("local", "select count(*), count(country_code) from staging.stg_branches__branches")
    assert staged == [(9, 9)]
    rejected = project.query("local", "select reason from raw_branches.rejected_rows")
    assert rejected == [("seats: 'a few' is not an integer",)]
    assert project.query("local", "select unknown_fields from raw_branches.load_ledger") == [('["wifi"]',)]


def test_what_the_pages_add_keeps_the_house_rules(project):
    for name in ("first_model.md", "new_source.md"):
        project.run(script(page(name), languages=("sql", "yaml", "python")))
    project.run("python -m ingestion scaffold branches")
    python, sql = "ingestion/branches.py tests/ingestion/test_branches.py", "models/marts/sales models/staging/branches"
    project.run(f"ruff check {python} && ruff format --check {python} && sqlfmt --check {sql}")
    project.run("python -m pytest -n 0 tests/project/test_house_rules.py")
