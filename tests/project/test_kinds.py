"""The kind macros: what is current depends on the set of raw rows, not on their order or repetition."""

import itertools
import random
from pathlib import Path

import duckdb
import jinja2
import pyarrow
import pytest

from ingestion.reading import _KNOWN_ROWS

MACROS = Path(__file__).parents[2] / "macros"
COLUMNS = (
    "_key varchar, _version int, _row_hash varchar, _mark varchar, _scope varchar, _scope_rows int, _observed_at int"
)
KINDS = ["current_state", "current_event", "current_snapshot", "current_log", "state_versions", "log_versions"]


def sighting(key, version, observed_at, content="a"):
    return (key, version, content, None, None, None, observed_at)


def mark(key, mark, observed_at):
    return (key, None, None, mark, None, None, observed_at)


def read(scope, observed_at, keys, scope_rows=None):
    """A complete read of a scope, or a torn one if it has fewer keys than scope_rows."""
    if not keys:
        return [(None, None, None, "empty", scope, 0, observed_at)]
    return [(key, None, f"{key}{observed_at}", None, scope, scope_rows or len(keys), observed_at) for key in keys]


def run(macro, rows, columns, *arguments):
    """The columns of what a kind macro makes of raw rows, sorted."""
    text = "".join((MACROS / name).read_text() for name in ("kinds.sql", "state_versions.sql", "log_versions.sql"))
    # The times here are small integers, for which the macros' timestamp logic is the same.
    query = (
        jinja2.Environment()
        .from_string(text + "{{ " + macro + "(" + ", ".join(["'raw_rows'", *arguments]) + ") }}")
        .render()
    )
    return query_rows(query, rows, columns)


def query_rows(query, rows, columns):
    """The columns of a query over raw rows, sorted."""
    with duckdb.connect() as connection:
        connection.execute(f"create table raw_rows ({COLUMNS})")
        if rows:
            connection.register("new_rows", pyarrow.table([*zip(*rows, strict=True)], names=list("abcdefg")))
            connection.execute("insert into raw_rows from new_rows")
        return sorted(connection.execute(f"select {columns} from ({query})").fetchall(), key=str)


def test_state_takes_the_highest_version_whenever_it_came():
    rows = [sighting("k", 2, 20, "new"), sighting("k", 1, 30, "old"), sighting("j", 1, 5)]
    assert run("current_state", rows, "_key, _row_hash") == [("j", "a"), ("k", "new")]


def test_state_decides_equal_versions_by_observation_then_content():
    assert run("current_state", [sighting("k", 1, 1, "z"), sighting("k", 1, 2, "b")], "_row_hash") == [("b",)]
    assert run("current_state", [sighting("k", 1, 1, "a"), sighting("k", 1, 1, "b")], "_row_hash") == [("b",)]


@pytest.mark.parametrize(
    ("later", "is_current"),
    [
        ([mark("k", "gone", 20)], False),
        ([mark("k", "gone", 20), sighting("k", 1, 30)], True),
        ([mark("k", "gone", 20), mark("k", "back", 30)], True),
        ([mark("k", "gone", 20), mark("k", "back", 30), mark("k", "gone", 40)], False),
        ([mark("k", "gone", 10)], True),
        ([mark("other", "gone", 20)], True),
    ],
)
def test_state_is_gone_when_the_last_gone_mark_is_later_than_the_last_sighting(later, is_current):
    assert bool(run("current_state", [sighting("k", 1, 10), *later], "_key")) is is_current


@pytest.mark.parametrize(
    ("later", "content"),
    [
        ([sighting("k", 1, 30, "old")], "old"),
        ([sighting("k", 1, 30, "old"), sighting("k", 2, 40, "older than once")], "older than once"),
        ([mark("k", "back", 30)], "new"),
        ([mark("k", "back", 30), sighting("k", 1, 40, "old")], "new"),
        ([sighting("k", 1, 30, "old"), mark("k", "back", 40)], "new"),
    ],
)
def test_state_that_comes_back_with_an_older_version_is_what_was_seen_since_unless_marked_back(later, content):
    rows = [sighting("k", 5, 10, "new"), mark("k", "gone", 20), *later]
    assert run("current_state", rows, "_row_hash") == [(content,)]
    assert last_contents(run("state_versions", rows, HISTORY)) == {("k", content)}


def test_what_the_loader_knows_is_what_is_current():
    known = _KNOWN_ROWS.replace("{table}", "raw_rows").replace("{cursor}", "null")
    for seed in range(30):
        rows = some_rows(random.Random(seed))
        found = query_rows(f"from ({known}) where not is_gone and _row_hash is not null", rows, "_key, _row_hash")
        assert found == run("current_state", rows, "_key, _row_hash"), seed


def test_event_keeps_the_first_sighting():
    rows = [sighting("k", None, 2, "b"), sighting("k", None, 1, "z"), sighting("k", None, 1, "c")]
    assert run("current_event", rows, "_key, _row_hash") == [("k", "c")]


def test_snapshot_takes_the_newest_complete_read_of_each_scope():
    rows = read("s", 1, ["a", "b"]) + read("s", 2, ["a", "c"]) + read("s", 3, ["d"], scope_rows=2) + read("t", 1, ["e"])
    assert run("current_snapshot", rows, "_scope, _key, _observed_at") == [("s", "a", 2), ("s", "c", 2), ("t", "e", 1)]


def test_snapshot_that_is_repeated_in_part_is_not_complete():
    torn = read("s", 2, ["a"], scope_rows=2)
    assert run("current_snapshot", read("s", 1, ["a", "b"]) + torn + torn, "_observed_at") == [(1,), (1,)]


def test_snapshot_found_empty_has_no_rows():
    assert run("current_snapshot", read("s", 1, ["a"]) + read("s", 2, []), "_key") == []
    assert run("current_snapshot", read("s", 1, []) + read("s", 2, ["a"]), "_key") == [("a",)]


def test_log_takes_the_highest_sequence_unless_it_deletes():
    rows = [sighting("k", 2, 1, "new"), sighting("k", 1, 9, "old"), sighting("d", 1, 1)]
    rows.append(("d", 2, None, "gone", None, None, 2))
    assert run("current_log", rows, "_key, _row_hash") == [("k", "new")]


INTERVALS = "_key, _valid_from, _valid_to, _row_hash"


def test_versions_of_a_log_are_half_open_intervals():
    rows = [sighting("k", 1, 10, "a"), sighting("k", 2, 20, "b"), sighting("k", 3, 20, "c"), sighting("k", 4, 30, "c")]
    rows += [deletion("k", 5, 40), deletion("k", 6, 45), sighting("k", 7, 50, "c"), sighting("k", 8, 48, "d")]
    expected = [("k", 10, 20, "a"), ("k", 20, 40, "c"), ("k", 50, None, "d")]  # the clock went back: 50, not 48
    assert run("log_versions", rows, INTERVALS) == expected


def test_what_came_before_changes_were_captured_is_older():
    rows = [("k", None, "a", None, None, None, 10), ("k", None, "z", None, None, None, 12), sighting("k", 1, 11, "b")]
    assert run("log_versions", rows, INTERVALS) == [("k", 10, 12, "a"), ("k", 12, None, "b")]


def test_the_last_interval_of_a_log_is_the_current_row():
    for seed in range(30):
        chance = random.Random(seed)
        moments = [(key, version) for key in "abcd" for version in range(1, chance.randint(2, 9))]
        rows = [
            deletion(key, version, version + chance.randint(-2, 2))
            if chance.random() < 0.3
            else sighting(key, version, version + chance.randint(-2, 2), chance.choice("xyz"))
            for key, version in moments
        ]
        rows += chance.sample(rows, len(rows) // 3)
        chance.shuffle(rows)
        intervals = run("log_versions", rows, INTERVALS)
        current = {(key, content) for key, _, end, content in intervals if end is None}
        assert current == set(run("current_log", rows, "_key, _row_hash")), seed
        for key in "abcd":
            ends = sorted((begin, end) for owner, begin, end, _ in intervals if owner == key)
            assert all(end is not None and begin < end for begin, end in ends[:-1]), seed
            assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(ends)), seed


def deletion(key, version, observed_at):
    return (key, version, None, "gone", None, None, observed_at)


def history(*rows):
    return run("state_versions", rows, "_changed_at, _row_hash, _is_gone")


def test_versions_have_their_place_in_time_whenever_they_came():
    assert history(sighting("k", 7, 8, "b"), sighting("k", 3, 9, "a")) == [(3, "a", False), (7, "b", False)]


def test_a_delete_and_a_return_are_versions():
    seen = sighting("k", 3, 5, "a")
    assert history(seen, mark("k", "gone", 10)) == [(10, None, True), (3, "a", False)]
    back = [(10, None, True), (12, "a", False), (3, "a", False)]
    assert history(seen, mark("k", "gone", 10), mark("k", "back", 12)) == back
    assert history(seen, mark("k", "gone", 10), sighting("k", 3, 12, "a")) == back
    assert history(seen, mark("k", "gone", 10), mark("k", "gone", 11)) == [(10, None, True), (3, "a", False)]


def test_a_row_seen_in_the_moment_it_was_found_gone_is_there():
    rows = [sighting("k", 3, 10, "a"), mark("k", "gone", 10)]
    assert history(*rows) == [(10, "a", False)]
    assert run("current_state", rows, "_key") == [("k",)]


def test_a_changed_return_begins_with_its_version():
    rows = [sighting("k", 3, 5, "a"), mark("k", "gone", 10), sighting("k", 11, 12, "b")]
    assert history(*rows) == [(10, None, True), (11, "b", False), (3, "a", False)]


def test_without_version_the_newest_observation_is_last_even_when_its_time_went_back():
    """Times as (updated_at, observed_at); _scope_rows stands for updated_at."""
    rows = [unversioned("k", 10, 20, "a"), unversioned("k", 12, 25, "b"), unversioned("k", 5, 30, "c")]
    rows += [unversioned("k", 28, 35, "d"), unversioned("k", 40, 45, "e")]
    expected = [(10, "a"), (12, "b"), (30, "c"), (35, "d"), (45, "e")]
    for number in range(1, 6):
        versions = run("state_versions", rows[:number], "_changed_at, _row_hash", "'_scope_rows'")
        assert versions == expected[:number]
        assert run("current_state", rows[:number], "_row_hash") == [(expected[number - 1][1],)]
    again = [*rows[:2], unversioned("k", 12, 27, "b"), unversioned("k", 12, 28, "z")]
    assert run("state_versions", again, "_changed_at, _row_hash", "'_scope_rows'") == [(10, "a"), (12, "z")]


def unversioned(key, updated_at, observed_at, content):
    return (key, None, content, None, None, updated_at, observed_at)


def some_snapshots(chance):
    """Raw rows of two scopes, each read a few times, some reads torn or empty."""
    return [
        row
        for scope in "st"
        for observed_at in range(chance.randint(1, 3))
        for row in read(scope, observed_at, chance.sample("klmn", chance.randint(0, 3)), chance.choice([None, 3]))
    ]


def some_rows(chance):
    """Raw rows of a few keys as a source might give them: late versions, deletes, returns."""
    rows = []
    for key in "abcdef":
        for observed_at in sorted(chance.sample(range(1, 40), chance.randint(1, 8))):
            kind = chance.choice(["row", "row", "row", "gone", "back"])
            version = observed_at + chance.randint(-6, 4)
            rows.append(
                sighting(key, version, observed_at, f"{key}{version}")
                if kind == "row"
                else mark(key, kind, observed_at)
            )
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_repetition_change_nothing(kind):
    for seed in range(6):
        chance = random.Random(seed)
        rows = some_snapshots(chance) if kind == "current_snapshot" else some_rows(chance)
        shuffled = rows + chance.sample(rows, len(rows) // 2)
        chance.shuffle(shuffled)
        columns = "_scope, _key, _version, _row_hash, _observed_at"
        assert run(kind, rows, columns) == run(kind, shuffled, columns)


HISTORY = "_key, _changed_at, _row_hash, _is_gone"


def last_contents(versions):
    """(key, content) of every key that is there at the end; no two versions of a key begin at once."""
    assert len({version[:2] for version in versions}) == len(versions)
    last = {}
    for key, changed_at, content, is_gone in versions:
        last[key] = max(last.get(key, (-99,)), (changed_at, content, is_gone))
    return {(key, content) for key, (_, content, is_gone) in last.items() if not is_gone}


@pytest.mark.parametrize("is_versioned", [True, False])
def test_the_last_version_is_the_current_row(is_versioned):
    for seed in range(30):
        rows = some_rows(random.Random(seed))
        if not is_versioned:
            rows = [
                (key, None, content, mark, scope, version, at) for key, version, content, mark, scope, _, at in rows
            ]
        versions = run("state_versions", rows, HISTORY, *([] if is_versioned else ["'_scope_rows'"]))
        assert last_contents(versions) == set(run("current_state", rows, "_key, _row_hash")), seed
