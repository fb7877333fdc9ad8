"""Enrichments: each distinct input once per method and version, whatever the run; the ledger counts them."""

import dataclasses

import pytest

from ingestion import enrichments, pipeline
from ingestion.contract import contract, field
from ingestion.stream import Event, Run, Stream
from ingestion.systems import System


@contract
class People:
    """One person."""

    person_id: int = field("Number.", key=True)
    email: str | None = field("E-mail address.", enrich="email_domain")


SYSTEM = System("people", "People.", [Stream("people", People, Event())], None, None, {})


@pytest.fixture
def opened():
    with pipeline.opened([SYSTEM]) as warehouse:
        yield warehouse


def enrich(warehouse, *emails: str) -> list[tuple]:
    """Lands these addresses, enriches, and returns (input, output, version) of everything enriched so far."""
    for number, email in enumerate(emails):
        warehouse.connection.execute("insert into raw_people.people (person_id, email) values (?, ?)", [number, email])
    assert pipeline.enrich(warehouse, Run()) == {}
    rows = warehouse.query("select input, output, method_version from raw_enrichments.enrichments order by all")
    return [tuple(row.values()) for row in rows]


def test_only_international_domains_are_inputs_and_each_once(opened):
    first = enrich(opened, "a@bücher.example", "B@BÜCHER.example", "c@plain.example", "no address", None)
    assert first == [("bücher.example", "xn--bcher-kva.example", "1")]
    assert enrich(opened, "d@bücher.example") == first
    loads = opened.query("select rows_read, rows_loaded from raw_operations.load_ledger where system = 'enrichments'")
    assert loads == [{"rows_read": 1, "rows_loaded": 1}]


def test_what_can_not_be_computed_is_kept_without_output(opened):
    assert enrich(opened, "a@-ü-.example") == [("-ü-.example", None, "1")]


def test_a_new_version_runs_over_all_inputs_again(opened, monkeypatch):
    enrich(opened, "a@bücher.example")
    newer = dataclasses.replace(enrichments.METHODS["email_domain"], version="2", compute=str.upper)
    monkeypatch.setitem(enrichments.METHODS, "email_domain", newer)
    assert enrich(opened) == [
        ("bücher.example", "BÜCHER.EXAMPLE", "2"),
        ("bücher.example", "xn--bcher-kva.example", "1"),
    ]
