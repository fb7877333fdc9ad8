"""Connected components in SQL: the fixpoint, today and at every moment before."""

import itertools
import random
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pyarrow
import pytest

MACRO = Path(__file__).parents[2] / "macros/components.sql"


class Stop(Exception):
    """What exceptions.raise_compiler_error of dbt is here."""


def stop(message):
    raise Stop(message)


def find(nodes, links):
    """Rows (node, root, since) by macro find_components, of nodes {name: known_at} and links [(one, other, known_at)].

    Nodes are numbered by age, as the models do. Times are whole numbers here, for which the SQL is the same.
    """
    with duckdb.connect() as connection:
        connection.execute("create table nodes (node_number bigint, node_id varchar, known_at bigint)")
        connection.execute("create table links (left_node_id varchar, right_node_id varchar, known_at bigint)")
        numbers = {name: number for number, (_, name) in enumerate(sorted((at, name) for name, at in nodes.items()), 1)}
        if nodes:
            rows = [(numbers[name], name, known_at) for name, known_at in nodes.items()]
            connection.register("new_nodes", pyarrow.table([*zip(*rows, strict=True)], names=list("abc")))
            connection.execute("insert into nodes from new_nodes")
        if links:
            connection.register("new_links", pyarrow.table([*zip(*links, strict=True)], names=list("abc")))
            connection.execute("insert into links from new_links")

        def run_query(sql):
            rows = connection.execute(sql).fetchall()
            return SimpleNamespace(columns=[SimpleNamespace(values=lambda: [row[0] for row in rows])])

        jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(
            MACRO.read_text() + "{{ find_components('nodes', 'links') }}"
        ).render(
            execute=True, companion=str, run_query=run_query, exceptions=SimpleNamespace(raise_compiler_error=stop)
        )
        names = {number: name for name, number in numbers.items()}
        rows = connection.execute("from components").fetchall()
        assert {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()} == {
            *("nodes", "links", "components")
        }
    return [(names[node], names[root], since) for node, root, since in rows]


def at(rows, moment):
    """Whose each node was at a moment."""
    newest = {}
    for node, root, since in rows:
        if since <= moment and (node not in newest or since > newest[node][0]):
            newest[node] = since, root
    return {node: root for node, (_, root) in newest.items()}


def expected(nodes, links, moment):
    """The same by union-find over what was known then: the oldest node of each component."""
    alive = {node: node for node, known_at in nodes.items() if known_at <= moment}

    def top(node):
        while alive[node] != node:
            node = alive[node]
        return node

    for one, other, known_at in links:
        if (known_at or 0) > moment or one not in alive or other not in alive:
            continue
        younger, older = sorted((top(one), top(other)), key=lambda node: (nodes[node], node), reverse=True)
        alive[younger] = older
    return {node: top(node) for node in alive}


@pytest.mark.parametrize("seed", range(12))
def test_components_of_every_moment_are_those_of_the_links_known_by_then(seed):
    rng = random.Random(seed)
    nodes = {f"n{number}": rng.randrange(20) for number in range(60)}
    names = list(nodes)
    links = [
        (rng.choice(names), rng.choice(names), rng.choice([None, rng.randrange(25)]))
        for _ in range(rng.choice([20, 45, 90]))
    ]
    rows = find(nodes, links)
    assert len(rows) == len(set(rows))
    for moment in range(26):
        assert at(rows, moment) == expected(nodes, links, moment), moment


@pytest.mark.parametrize("order", ["rising", "falling", "random"])
def test_a_long_chain_is_one_component(order):
    """5,000 links long: were a round to go one link further only, it would not end."""
    names = [f"n{number:04}" for number in range(5000)]
    ages = {"rising": range(5000), "falling": range(5000, 0, -1), "random": random.Random(0).sample(range(5000), 5000)}
    nodes = dict(zip(names, ages[order], strict=True))
    rows = find(nodes, [(one, other, None) for one, other in itertools.pairwise(names)])
    oldest = min(nodes, key=nodes.get)
    assert set(at(rows, 10_000).values()) == {oldest}


def test_nodes_without_links_are_components_and_no_nodes_are_none():
    assert find({"a": 1, "b": 2}, [("a", "a", 5)]) == [("a", "a", 1), ("b", "b", 2)]
    assert find({}, []) == []


def test_a_node_becomes_an_older_ones_when_they_meet():
    rows = find({"a": 1, "b": 2, "c": 3}, [("b", "c", 4), ("a", "b", 9)])
    assert sorted(rows) == [("a", "a", 1), ("b", "a", 9), ("b", "b", 2), ("c", "a", 9), ("c", "b", 4), ("c", "c", 3)]


def test_a_link_taken_away_parts_them_again():
    nodes, links = {"a": 1, "b": 2, "c": 3}, [("a", "b", None), ("b", "c", None)]
    assert set(at(find(nodes, links), 9).values()) == {"a"}
    assert at(find(nodes, links[:1]), 9) == {"a": "a", "b": "a", "c": "c"}
