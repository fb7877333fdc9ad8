"""The docs are true: what they point to exists."""

import re

import pytest
from test_portable_sql import RULES, finds, portable_text

from ingestion.__main__ import _parser
from ingestion.systems import built_in
from tests.pages import BLOCK, ROOT, page

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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
