"""The docs are true: their five-step pages run as they stand, and what they point to exists."""

import re
import socket
import tempfile
from pathlib import Path

import pytest
from test_portable_sql import RULES, finds, portable_text

from ingestion.__main__ import _parser
from ingestion.systems import built_in
from tests.copies import Copy

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
PATH_LINE = re.compile(r"(?:#|--) ([\w./]+\.\w+)( \(at the end\))?\n")


def script(page: str, languages: tuple[str, ...] = ("sh", "sql", "yaml", "toml", "python")) -> str:
    """A page's code blocks as one bash script: a block whose first line names a file writes it, `sh` blocks run."""
    lines = ["set -euo pipefail", "trap 'jobs -p | xargs -r kill' EXIT"]
    for language, text in BLOCK.findall(page):
        if language not in languages:
            continue
        if language == "sh":
            lines.append(text)
        elif named := PATH_LINE.match(text):
            path, at_the_end = named.groups()
            arrow = ">>" if at_the_end else ">"
            lines.append(f"mkdir -p {Path(path).parent}\ncat {arrow} {path} <<'END_OF_FILE'")
            lines.append(text[named.end() :] + "END_OF_FILE")
    return "\n".join(lines)


@pytest.fixture
def project():
    """Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="catchment-docs-") as folder:
        yield Copy(Path(folder))


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


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


def test_the_sql_of_the_pages_is_portable():
    for name in ("first_model.md", "new_source.md"):
        for language, text in BLOCK.findall(page(name)):
            sql = portable_text(text) if language == "sql" else ""
            assert not [rule for rule in RULES if finds(rule, sql)], name


def code(text: str) -> str:
    """What is set as code on a page: blocks and spans."""
    return "\n".join([*(block for _, block in BLOCK.findall(text)), *re.findall(r"`([^`\n]+)`", text)])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_commands_exist(path):
    text = path.read_text()
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)|(?:src|href)=\"([^\"#]+)", text):
        target = "".join(link)
        assert target.startswith("https://") or (path.parent / target).exists(), f"{target} does not exist"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", code(text))) <= targets
    commands = set(_parser()._subparsers._group_actions[0].choices)
    assert set(re.findall(r"python -m ingestion ([a-z]+)", code(text))) <= commands


def stream_table(system: str) -> str:
    """A system's streams as a Markdown table."""
    rows = [
        f"| `{stream.name}` | {stream.contract.description} | {type(stream.kind).__name__.lower()} "
        f"| {', '.join(f'`{field.name}`' for field in stream.contract.key)} "
        f"| {f'`{stream.cursor}`' if stream.cursor else ''} |"
        for stream in built_in()[system].streams
    ]
    return "\n".join(["| stream | a row is | kind | key | cursor |", "|---|---|---|---|---|", *rows])


@pytest.mark.parametrize("system", built_in())
def test_a_systems_page_has_its_streams_and_options(system):
    text = (ROOT / "docs/systems" / f"{system}.md").read_text()
    assert stream_table(system) in text, f"docs/systems/{system}.md should have:\n{stream_table(system)}"
    for option in built_in()[system].options:
        assert f"`{option}`" in text, f"docs/systems/{system}.md does not have the option {option}"
