"""Enrichments: each distinct input once per method and version, whatever the run; the ledger counts them."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import jinja2
import pyarrow as pa
import pytest

from ingestion import enrichments, pipeline, sentiment
from ingestion.contract import contract, engine, field, registered
from ingestion.stream import Event, Run, Stream
from ingestion.systems import System

MACROS = Path(__file__).parents[2] / "macros"


@contract
class People:
    """One person."""

    person_id: int = field("Number.", key=True)
    email: str | None = field("E-mail address.", enrich="email_domain")


@contract
class Posts:
    """One post."""

    post_id: int = field("Number.", key=True)
    text: str | None = field("What was written.", enrich="text_sentiment", language="langs")
    langs: str | None = field("Its languages, as a JSON array.")


@contract
class Statuses:
    """One status."""

    status_id: int = field("Number.", key=True)
    content: str | None = field("What was written, in HTML.", enrich="html_sentiment", language="language")
    language: str | None = field("Its language.")


SYSTEM = System("people", "People.", [Stream("people", People, Event())], None, None, {})
SOCIAL = System(
    "social", "Posts.", [Stream("posts", Posts, Event()), Stream("statuses", Statuses, Event())], None, None, {}
)


@pytest.fixture
def opened():
    with pipeline.opened([SYSTEM, SOCIAL]) as warehouse:
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


def post(warehouse, table: str, *rows: tuple[str | None, str | None]) -> dict[str, str | None]:
    """Lands (text, language) in a table of posts, enriches, and returns the score of every text that has one."""
    for number, row in enumerate(rows):
        columns = "status_id, content, language" if table == "statuses" else "post_id, text, langs"
        warehouse.connection.execute(f"insert into raw_social.{table} ({columns}) values (?, ?, ?)", [number, *row])
    assert pipeline.enrich(warehouse, Run()) == {}
    scores = warehouse.query("select input, output from raw_enrichments.enrichments")
    return {row["input"]: row["output"] for row in scores}


IN_ENGLISH = ['["en"]', '["en-GB","en"]', '["en", "en-001"]', "en", "EN-us"]
IN_OTHERS = ['["de"]', '["en","de"]', '["de", "en"]', '["enm"]', "sen", "fr-en", "[]", "", None]


def test_only_texts_in_english_are_scored(opened):
    posts = [(f"Great {number}", language) for number, language in enumerate([*IN_ENGLISH, *IN_OTHERS])]
    assert sorted(post(opened, "posts", *posts)) == [f"Great {number}" for number in range(len(IN_ENGLISH))]


def test_models_have_the_same_texts_for_english():
    macros = "".join((MACROS / name).read_text() for name in ("matches.sql", "is_english.sql"))
    macros = macros.replace('adapter.dispatch("matches", "catchment")', "duckdb__matches")
    is_english = jinja2.Environment().from_string(macros + "{{ is_english('languages') }}").render()
    posts = pa.table({"languages": [*IN_ENGLISH, *IN_OTHERS]})
    with registered(engine(), posts=posts) as connection:
        found = connection.execute(f"select languages from posts where {is_english}").fetchall()
    assert [languages for (languages,) in found] == IN_ENGLISH


def test_a_text_is_scored_once_and_says_by_which_model(opened):
    first = post(opened, "posts", ("I love it.", '["en"]'), ("I hate it.", '["en"]'), ("I love it.", '["en"]'))
    assert first == {"I love it.": "0.6369", "I hate it.": "-0.5719"}
    assert post(opened, "posts", ("I hate it.", '["en-US"]'), ("Ich liebe es.", '["de"]')) == first
    rows = "select method, method_version, input_hash = md5(input) as is_hash from raw_enrichments.enrichments"
    model = {"method": "text_sentiment", "method_version": "vaderSentiment 3.3.2, revision 1", "is_hash": True}
    assert opened.query(rows) == [model, model]


def test_html_is_scored_as_it_is_read_and_found_by_what_landed(opened):
    content = '<p>I don&#39;t like<br />it &lt;3 <a href="https://happy.example/love">happy.example</a></p>'
    assert post(opened, "statuses", (content, "en")) == {
        content: sentiment.text_score("I don't like\nit <3 happy.example")
    }


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>One</p><p>two<br>three<br/>four</p>", "\nOne\n\ntwo\nthree\nfour\n"),
        ('<p><a href="https://x.example/" title="bad">#<span>Fine</span></a></p>', "\n#Fine\n"),
        ("a &lt;b&gt; &amp;amp; &#128512;", "a <b> &amp; \N{GRINNING FACE}"),
        ("<ul><li>One</li><li>two</li></ul>", "\nOne\n\ntwo\n"),
        ("1 < 2 <", "1 < 2 <"),
        ("pre<b>vi</b>ew", "preview"),
    ],
)
def test_html_becomes_text(content, text):
    assert sentiment.plain_text(content) == text


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("@united Where is my bag", "Where is my bag"),
        ("Ask @love@good.example, https://happy.example/great", "Ask"),
        ("I don\N{RIGHT SINGLE QUOTATION MARK}t like it", "I don't like it"),
    ],
)
def test_names_and_addresses_are_no_opinion(text, same_as):
    assert sentiment.text_score(text) == sentiment.text_score(same_as)


@pytest.mark.parametrize("text", ["", " \n", "@love https://happy.example/"])
def test_what_has_no_words_has_no_score(text):
    assert sentiment.text_score(text) is None


def test_a_mail_address_is_no_name():
    assert sentiment.text_score("hate@love.example") == "0.0"


@pytest.mark.parametrize(
    "text",
    ["but good bad " * 100_000, "\N{GRINNING FACE}" * 1_000_000, "<" * 1_000_000, "@" * 1_000_000, "a@" * 500_000],
)
def test_a_very_long_text_is_read_in_part_and_soon(text):
    began = time.monotonic()
    assert sentiment.html_score(text) is not None
    assert time.monotonic() - began < 20  # or hours


def test_a_text_is_read_up_to_its_bound():
    filler = "word " * (sentiment.MAX_LENGTH // 5)
    assert sentiment.text_score(filler[5:] + "good") == sentiment.text_score("good")
    assert sentiment.text_score(filler + "good") == "0.0"


def test_the_lexicon_is_only_read_where_there_is_something_to_score():
    script = "import ingestion.__main__, sys; sys.exit('vaderSentiment.vaderSentiment' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
