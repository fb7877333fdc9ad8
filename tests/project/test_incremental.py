"""Incremental staging equals a full refresh, however the raw rows are split into loads and builds."""

import random
import re
from pathlib import Path

import duckdb
import jinja2
import pytest

MACROS = Path(__file__).parents[2] / "macros"
TEXT = "".join((MACROS / name).read_text() for name in ("kinds.sql", "incremental.sql"))
MODEL = """
    select id, _row_hash, _row_count as raw_row_count, _observed_at
    from ({{ current_state(undecided_rows('raw_rows', 'id')) }})
"""
FORGET = "{{ forget_outdated_rows('raw_rows', 'id') }}"


def render(text, incremental):
    return jinja2.Environment().from_string(TEXT + text).render(is_incremental=lambda: incremental, this="model")


def some_rows(chance):
    """(id, key, version, content, mark, observed_at) as a state stream might get them, late and repeated ones too."""
    rows = []
    for key in range(40):
        for observed_at in sorted(chance.sample(range(60), chance.randint(1, 5))):
            mark = chance.choice([None, None, None, "gone", "back"])
            version = None if mark else chance.randint(0, observed_at)
            rows.append((str(key), str(key), version, version and f"{key}-{version}", mark, observed_at))
    rows += chance.sample(rows, 20)
    chance.shuffle(rows)
    return rows


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        connection.execute(
            "create table raw_rows (id text, _key text, _version int, _row_hash text, _mark text, _observed_at int)"
        )
        yield connection


def load(connection, rows):
    places = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
    connection.execute(f"insert into raw_rows values {places}", [value for row in rows for value in row])


def build(connection):
    """What dbt does on the second and later builds; returns how many rows it decided."""
    connection.execute(render(FORGET, incremental=True))
    return connection.execute("insert into model " + render(MODEL, incremental=True)).fetchone()[0]


@pytest.mark.parametrize("seed", range(8))
def test_incremental_equals_full_refresh_after_every_build(connection, seed):
    chance = random.Random(seed)
    rows = some_rows(chance)
    # Cut without regard to keys and loads: a build may see half a load.
    cuts = sorted(chance.sample(range(1, len(rows)), 4))
    full = render(MODEL, incremental=False)
    connection.execute(f"create table model as {full}")
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        load(connection, rows[start:end])
        build(connection)
        found = connection.execute("from model order by all").fetchall()
        assert found == connection.execute(f"from ({full}) order by all").fetchall()
    assert found


def test_incremental_decides_the_changed_keys_only(connection):
    load(connection, [(key, key, 1, "a", None, 1) for key in "abc"])
    connection.execute(f"create table model as {render(MODEL, incremental=False)}")
    assert build(connection) == 0
    load(connection, [("b", "b", 2, "b", None, 2), ("d", "d", 1, "d", None, 2)])
    assert build(connection) == 2


def test_incremental_models_are_wired_so(manifest):
    incremental = [node for node in manifest["nodes"].values() if node["config"]["materialized"] == "incremental"]
    assert {node["name"] for node in incremental} >= {"stg_shop__orders", "stg_mailchimp__email_activity"}
    for node in incremental:
        ((system, table),) = {tuple(source) for source in node["sources"]}
        hook = node["config"]["pre-hook"][0]["sql"]
        (key,) = re.fullmatch(
            rf"{{{{ forget_outdated_rows\(source\('{system}', '{table}'\), '(\w+)'\) }}}}", hook
        ).groups()
        assert node["config"]["incremental_strategy"] == "append", node["name"]  # on Spark: merge
        assert node["config"]["unique_key"] == key, node["name"]
        text = "".join(node["raw_code"].split())
        assert f'undecided_rows(source("{system}","{table}"),"{key}")' in text, node["name"]
        assert "_row_countasraw_row_count" in text, node["name"]
