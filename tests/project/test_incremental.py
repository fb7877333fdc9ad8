"""Incremental staging equals a full refresh, however the raw rows are split into loads and builds."""

import functools
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import jinja2
import pyarrow
import pytest

MACROS = Path(__file__).parents[2] / "macros"
TEXT = "".join((MACROS / name).read_text() for name in ("kinds.sql", "incremental.sql", "batches.sql"))
MODEL = """
    select id, _row_hash, _row_count as raw_row_count, _observed_at
    from ({{ current_state(undecided_rows('raw_rows', 'id')) }})
"""
FORGET = "{{ forget_outdated_rows('raw_rows', 'id') }}"
EVENTS = """
    select id, _row_hash, cast(_observed_at as timestamp) as observed_at
    from ({{ current_event(unsighted_rows(unmarked('raw_rows'), 'id')) }})
"""
TAKE_STOCK = "{{ take_stock('raw_rows', '_dlt_load_id') }}"
FORGET_LATER = "{{ forget_later_sightings(unmarked('raw_rows'), 'id') }}"
TAKE_IN = "{{ take_in() }}"


class This(str):
    """The model, as dbt's `this`."""

    identifier, schema = "model", "staging"

    def incorporate(self, path):
        return path["identifier"]


template = functools.cache(jinja2.Environment().from_string)


def render(text, incremental):
    return template(TEXT + text).render(is_incremental=lambda: incremental, this=This("model"))


def insert(connection, rows):
    """Puts rows into raw_rows: as a table of Arrow, since parameters are slow to bind."""
    connection.register("new_rows", pyarrow.table([*zip(*rows, strict=True)], names=list("abcdef")[: len(rows[0])]))
    connection.execute("insert into raw_rows from new_rows")


def some_rows(chance):
    """(id, key, version, content, mark, observed_at) as a state stream might get them, late and repeated ones too."""
    rows = []
    for key in range(40):
        for observed_at in sorted(chance.sample(range(60), chance.randint(1, 5))):
            mark = chance.choice([None, None, None, "gone", "back"])
            version = None if mark else chance.randint(0, observed_at)
            content = None if mark else f"{key}-{version}"
            rows.append((str(key), str(key), version, content, mark, observed_at))
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
        insert(connection, rows[start:end])
        build(connection)
        found = connection.execute("from model order by all").fetchall()
        assert found == connection.execute(f"from ({full}) order by all").fetchall()
    assert found


def test_incremental_decides_the_changed_keys_only(connection):
    insert(connection, [(key, key, 1, "a", None, 1) for key in "abc"])
    connection.execute(f"create table model as {render(MODEL, incremental=False)}")
    assert build(connection) == 0
    insert(connection, [("b", "b", 2, "b", None, 2), ("d", "d", 1, "d", None, 2)])
    assert build(connection) == 2


def some_events(chance):
    """(id, key, content, observed_at, load, mark), in any order: some keys several times, in one load or in several,
    some with marks beside them, which are no sightings."""
    rows, moment = [], datetime(2026, 1, 1)
    for key in range(60):
        for minute in chance.sample(range(1000), chance.choice([1, 1, 1, 2, 4])):
            at = moment + timedelta(minutes=minute)
            rows.append((str(key), str(key), f"{key} {minute}", at, f"load {chance.randrange(6)}", None))
        for minute in chance.sample(range(1000), chance.choice([0, 0, 1, 2])):
            at = moment + timedelta(minutes=minute)
            rows.append((str(key), str(key), None, at, f"load {chance.randrange(6)}", "gone"))
    chance.shuffle(rows)
    return rows


@pytest.fixture
def events(connection):
    connection.execute("drop table raw_rows")
    connection.execute(
        "create table raw_rows "
        "(id text, _key text, _row_hash text, _observed_at timestamp, _dlt_load_id text, _mark text)"
    )

    return functools.partial(insert, connection)


def build_events(connection, dies_after=99):
    """What dbt does on the second and later builds, or the first steps of it; returns how many rows it decided."""
    steps = [TAKE_STOCK, FORGET_LATER, f"insert into model {EVENTS}", TAKE_IN]
    results = [connection.execute(render(step, incremental=True)).fetchone() for step in steps[:dies_after]]
    return results[2][0] if len(results) == 4 else None


def begin_events(connection):
    for step in (TAKE_STOCK, f"create table model as {EVENTS}", TAKE_IN):
        connection.execute(render(step, incremental=False))


@pytest.mark.parametrize("seed", range(8))
def test_events_by_load_equal_a_full_refresh_after_every_build(connection, events, seed):
    """Also where a load came in two halves, where an earlier sighting comes late, and where a build dies half-way."""
    chance = random.Random(seed)
    rows = some_events(chance)
    cuts = sorted(chance.sample(range(1, len(rows)), 5))
    full = render(EVENTS, incremental=False)
    begin_events(connection)
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        events(rows[start:end])
        if chance.random() < 0.5:
            build_events(connection, dies_after=chance.randrange(4))
        build_events(connection)
        found = connection.execute("from model order by all").fetchall()
        assert found == connection.execute(f"from ({full}) order by all").fetchall()
    assert len(found) == 60


def test_events_of_one_moment_in_a_load_that_came_in_two_halves(connection, events):
    moment = datetime(2026, 1, 1)
    events([("k", "k", "b", moment, "load 1", None)])
    begin_events(connection)
    events([("k", "k", "a", moment, "load 1", None)])
    build_events(connection)
    assert connection.execute("select _row_hash from model").fetchall() == [("a",)]


def test_events_of_loads_that_are_known_are_not_read_again(connection, events):
    moment = datetime(2026, 1, 1)
    events([(key, key, "x", moment, "load 1", None) for key in "abc"])
    begin_events(connection)
    assert build_events(connection) == 0
    events([("b", "b", "y", moment + timedelta(1), "load 2", None), ("d", "d", "x", moment, "load 2", None)])
    assert build_events(connection) == 1
    (batches,) = connection.execute("select list(batch order by batch) from model__taken").fetchone()
    assert batches == ["load 1", "load 2"]


SIGHTINGS = {
    "stg_shop__customer_sightings",
    "stg_shop__order_sightings",
    "stg_shop__refund_sightings",
    "stg_exchange_rates__rate_sightings",
}
BY_LOAD = {"stg_events__events", "stg_access_logs__requests", "stg_devices__readings", *SIGHTINGS}


def test_models_by_load_are_wired_so(manifest):
    for name in BY_LOAD:
        node = manifest["nodes"][f"model.catchment.{name}"]
        ((system, table),) = {tuple(source) for source in node["sources"]}
        key, raw = node["config"]["unique_key"], f"source('{system}', '{table}')"
        told = f"unmarked({raw})" if name in SIGHTINGS else raw
        assert [hook["sql"] for hook in node["config"]["pre-hook"]] == [
            f"{{{{ take_stock({raw}, '_dlt_load_id') }}}}",
            f"{{{{ forget_later_sightings({told}, '{key}') }}}}",
        ]
        assert "{{ take_in() }}" in [hook["sql"] for hook in node["config"]["post-hook"]]
        assert node["config"]["incremental_strategy"] == "append", name  # on Spark: merge
        text = "".join(node["raw_code"].split())
        told = "".join(told.replace("'", '"').split())
        assert f'current_event(unsighted_rows({told},"{key}"))' in text, name


def test_models_by_dbt_run_are_wired_so(manifest):
    """Those behind staging: what is new is told by the run that wrote it, and replaces what a hook has deleted."""
    behind = {node["name"]: node for node in incremental(manifest) if node["schema"] != "staging"}
    assert behind.keys() >= {
        "int_web_events__sessionized",
        "fct_page_views",
        "fct_traffic_daily",
        "fct_device_readings_hourly",
        "int_device_days__summarised",
        "int_device_baselines__weekly",
        "int_device_incidents__daily",
        "int_line_states__changed",
        "fct_device_day_versions",
        "fct_customer_days",
        "ftr_customers_daily",
    }
    for name, node in behind.items():
        stock, *doubts, forgets = [hook["sql"].strip("{ }") for hook in node["config"]["pre-hook"]]
        assert "{{ take_in() }}" in [hook["sql"] for hook in node["config"]["post-hook"]], name
        assert node["config"]["unique_key"], name
        deletes = name == "int_web_events__sessionized"
        assert node["config"]["incremental_strategy"] == ("delete+insert" if deletes else "append"), (
            name
        )  # Spark: merge
        if doubts:
            assert doubts == ["doubt_changed_days()"], name
            if of_moments := re.fullmatch(r"forget_after_changed_days\('(\w+_at)'\)", forgets):  # on all days before
                assert of_moments[1] in node["config"]["unique_key"] or name == "fct_customer_labels"
                assert stock == f"take_same_stock(ref('{node['refs'][0]['name']}'))", name
                continue
            (day,) = re.fullmatch(r"forget_changed_days\('(\w+)'\)", forgets).groups()
            assert day in node["config"]["unique_key"], name
            assert "{{ changed_days() }}" in node["raw_code"], name
            around = r"\[day_before\('(\w+)'\), '\3', day_after\('\3'\)\]"
            days = rf"('\w+'|\['(\w+)', day_after\('\2'\)\]|week_of\('\w+'\)|{around})"
            assert re.fullmatch(rf"take_stock_of_days\(\[ref\(.+\)\], {days}\)", stock), name
            continue
        (above,) = re.findall(r"new_rows\(ref\(\"(\w+)\"\), \"built_in\"\)", node["raw_code"])
        assert stock in (
            f"take_stock(ref('{above}'), 'built_in')",
            "take_same_stock(ref('int_web_sessions__aggregated'))",
        ), name
        what = f"note_cuts(ref('{above}'))" if deletes else f"forget_changed(ref('{above}'), 'built_in', "
        assert forgets.startswith(what), name


def incremental(manifest):
    """The nodes of the incremental models."""
    return [node for node in manifest["nodes"].values() if node["config"]["materialized"] == "incremental"]


def test_incremental_models_are_wired_so(manifest):
    staging = [node for node in incremental(manifest) if node["schema"] == "staging"]
    assert {node["name"] for node in staging} >= {"stg_shop__orders", "stg_mailchimp__email_activity"}
    for node in [node for node in staging if node["name"] not in BY_LOAD]:
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
