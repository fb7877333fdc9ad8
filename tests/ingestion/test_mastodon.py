"""The Mastodon loader against the sandbox's server, over a network that the tests make."""

import functools
import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import dlt
import pytest
from conftest import counts

from ingestion import mastodon_api
from ingestion.errors import SourceError
from ingestion.mastodon import STREAMS, mastodon
from ingestion.mastodon_api import Reader
from ingestion.systems import all_systems
from sandbox import mastodon as sandbox_mastodon
from sandbox.company import CLOCK, Company
from sandbox.mastodon_view import View
from sandbox.misbehave import Response
from sandbox.server import Server
from tests.specification import specification

TOKEN = "Tk-5b1e0d9c-7733"
OWN, ELSE = "1", "2"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))


def text(moment: datetime) -> str:
    """A time as Mastodon writes it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Network:
    """The company's account and another one behind the sandbox's server; `clock` is what time it is there."""

    def __init__(self) -> None:
        self.clock, self.numbers = NOON, itertools.count(1)
        self.tables = {"accounts": [], "posts": []}
        self.account(OWN, "catchment@social.example", is_own=True)
        self.account(ELSE, "mia@cafe.example")
        self.server = sandbox_mastodon.serve(lambda: View(self.tables), lambda: self.clock.date(), TOKEN)
        self.server.now = lambda: self.clock.timestamp()
        self.misbehave = self.server.misbehave

    def account(self, key: str, handle: str, **values) -> dict:
        """A new account."""
        row = {"key": key, "handle": handle, "name": handle.title(), "about": "", "created_at": text(NOON - 900 * DAY)}
        row |= {"followers": 10, "following": 2, "posts": 0, "is_own": False, "is_bot": False, **values}
        self.tables["accounts"].append(row)
        return row

    def post(self, written: str, at: datetime | None = None, author: str = OWN, **values) -> dict:
        """A new post, with an id that tells when it was written; written just now if it does not say when."""
        at = at or self.clock
        row = {
            "key": str((int(at.timestamp() * 1000) << 16) + next(self.numbers)),
            "author": author,
            "created_at": text(at),
        }
        row |= {"edited_at": None, "text": written, "languages": ["en"], "kind": "own", "reply_to": None}
        row |= {"tags": [word[1:] for word in written.split() if word[0] == "#"], "mentions": [], "links": []}
        if "@catchment@social.example" in written:
            row |= {"mentions": [OWN]}
        row |= {"likes": 0, "reposts": 0, "quotes": 0, "replies": 0, **values}
        self.tables["posts"].append(row)
        self.tables["posts"].sort(key=lambda post: int(post["key"]))
        return row

    def mention(self, written: str, at: datetime | None = None, **values) -> dict:
        """A post of somebody's with the company's handle."""
        return self.post(f"@catchment@social.example {written}", at, ELSE, **values)

    def crowd(self) -> None:
        """So many mentions of 50 minutes ago that the older ones are on no first page."""
        for _ in range(mastodon_api.NOTIFICATIONS_PAGE):
            self.mention("me too", NOON - 50 * MINUTE)

    def delete(self, post: dict) -> None:
        """It is there no longer."""
        self.tables["posts"].remove(post)

    def asked(self) -> Counter:
        """Requests since the last call, by path."""
        requests = Counter(request.path.removeprefix("/api/v1/") for request in self.misbehave.requests)
        self.misbehave.requests.clear()
        return requests


@pytest.fixture
def network(monkeypatch, short_waits):
    network = Network()
    monkeypatch.setenv("SOURCES__MASTODON__TOKEN", TOKEN)
    monkeypatch.setenv("SOURCES__MASTODON__BASE_URL", network.server.url)
    yield network
    network.server.stop()


@pytest.fixture
def searches(monkeypatch):
    def searches(*terms: str) -> None:
        monkeypatch.setenv("SOURCES__MASTODON__SEARCHES", json.dumps(terms))

    return searches


@pytest.fixture
def run(network, warehouse):
    """Runs streams; returns the ledger's row of the only one, or all by stream."""

    def run(*streams, **options):
        ledger = warehouse.run("mastodon", streams=streams, **options)
        return ledger[streams[0]] if len(streams) == 1 else ledger

    return run


@pytest.fixture
def ids(warehouse):
    """Ids of the current statuses."""
    return lambda: [key for (key,) in warehouse.current("raw_mastodon.statuses", "status_id")]


@pytest.fixture
def snapshots(warehouse):
    """(status, milestone, favourites) of every engagement row."""
    query = "select status_id, milestone, favourites_count from raw_mastodon.engagement order by all"
    return lambda: warehouse.query(query)


def of(*posts: dict) -> list[str]:
    return sorted(post["key"] for post in posts)


def statuses(ledger: dict[str, dict]) -> dict[str, str]:
    return {name: row["status"] for name, row in ledger.items()}


# What lands


def test_own_statuses_mentions_replies_and_what_searches_find_land(network, run, ids, searches):
    searches("#coffee", "Catchment Coffee")
    own = network.post("We are open", replies=2, likes=3)
    mention = network.mention("well done")
    reply = network.post("when?", author=ELSE, reply_to=own["key"])
    below = network.post("at nine", author=ELSE, reply_to=reply["key"])
    tagged = network.post("I like #Coffee", author=ELSE)
    named = network.post("At Catchment Coffee today", author=ELSE)
    network.post("Nothing of ours", author=ELSE)
    ledger = run()
    assert statuses(ledger) == dict.fromkeys(["accounts", "statuses", "engagement"], "complete")
    assert ids() == of(own, mention, reply, below, tagged, named)
    assert not any(row["unknown_fields"] or row["rows_rejected"] or row["notes"] for row in ledger.values())


def test_a_status_lands_as_it_is(network, run, warehouse):
    post = network.mention("1 < 2 & #more\n\nhttps://x.example/?a=1&b=2")
    run("statuses")
    ((*texts, tags, mentions),) = warehouse.query(
        """select account_handle, account_name, language, visibility, content, created_at, updated_at, edited_at,
        json_extract_string(tags, '$[0].name'), mentions from raw_mastodon.statuses"""
    )
    home = "https://social.example"
    content = (
        f'<p><span class="h-card" translate="no"><a href="{home}/@catchment" class="u-url mention">@<span>catchment'
        f'</span></a></span> 1 &lt; 2 &amp; <a href="{home}/tags/more" class="mention hashtag" rel="tag">#<span>more'
        "</span></a>"
        '</p><p><a href="https://x.example/?a=1&amp;b=2" rel="nofollow noopener"><span class="invisible">https://</span>'
        "x.example/?a=1&amp;b=2</a></p>"
    )
    name = "Mia@Cafe.Example"
    assert texts == ["mia@cafe.example", name, "en", "public", content, NOON, NOON, None]
    assert tags == "more" and json.loads(mentions)[0]["acct"] == "catchment"
    assert warehouse.query("select status_id from raw_mastodon.statuses") == [(post["key"],)]


def test_our_accounts_have_their_figures(network, run, warehouse):
    run("accounts")
    network.tables["accounts"][0]["followers"] = 11
    run("accounts")
    query = "select handle, followers_count, following_count from raw_mastodon.accounts order by _observed_at"
    assert warehouse.query(query) == [("catchment", 10, 2), ("catchment", 11, 2)]


def test_boosts_are_told_apart(network, run, warehouse, snapshots):
    while int(network.mention("nice", NOON - 3 * HOUR, kind="mention")["key"]) % 7:
        pass
    network.post("later")
    run()
    boosts = warehouse.query(
        "select account_id, reblog_of_id in (select status_id from raw_mastodon.statuses) "
        "from raw_mastodon.statuses where reblog_of_id is not null"
    )
    assert set(boosts) == {(OWN, True)}
    boosted = "select count(*) from raw_mastodon.engagement where status_id in "
    boosted += "(select status_id from raw_mastodon.statuses where reblog_of_id is not null)"
    assert warehouse.query(boosted) == [(0,)] and snapshots()


def test_a_private_letter_is_not_read(network, run, ids, monkeypatch):
    post = network.mention("for your eyes only")
    status = View._status
    monkeypatch.setattr(View, "_status", lambda view, row: status(view, row) | {"visibility": "direct"})
    run()
    assert ids() == []
    monkeypatch.setattr(View, "_status", lambda view, row: status(view, row) | {"visibility": "private"})
    run()
    assert ids() == of(post)


def test_a_very_long_post_lands_whole(network, run, warehouse):
    network.mention("word " * 200_000)
    assert run("statuses")["status"] == "complete"
    assert warehouse.query("select length(content) > 1000000 from raw_mastodon.statuses") == [(True,)]


def test_other_servers_leave_out_what_they_do_not_know(run, warehouse, monkeypatch, short_waits):
    """As GoToSocial does: other ids, no list of statuses by id, no quotes, a reset in seconds since 1970."""
    author = {"id": "01A", "acct": "catchment"}
    status = {"id": "01HZX", "created_at": "2026-03-02T09:00:00.000Z", "account": author, "content": "<p>Hi</p>"}
    refusal = Response.json(429, {"error": "rate limit reached"})
    refusal.headers["X-RateLimit-Reset"] = str(int(NOON.timestamp()))
    answers = {
        "GET /api/v1/accounts/verify_credentials": lambda call: Response.json(200, author),
        "GET /api/v1/accounts/01A/statuses": lambda call: Response.json(
            200, [] if "max_id" in call.query else [status]
        ),
        "GET /api/v1/notifications": lambda call: Response.json(200, []),
        "GET /api/v1/statuses/01HZX": lambda call: Response.json(200, status | {"favourites_count": 4}),
        "GET /api/v1/statuses": lambda call: Response.json(405, {"error": "Method Not Allowed"}),
    }
    server = Server(answers, Response.json(404, {"error": "Not Found"}))
    server.now = lambda: (NOON + clock).timestamp()
    server.misbehave.faults["limit"] = lambda response: refusal
    server.misbehave.next("limit")
    monkeypatch.setenv("SOURCES__MASTODON__BASE_URL", server.url)
    try:
        clock = timedelta()
        assert set(statuses(run()).values()) == {"complete"}
        server.routes = {k: v for k, v in server.routes.items() if "01A" not in k.pattern}
        clock = 8 * DAY
        ledger = run("statuses", "engagement")
        assert "there is no account catchment" in ledger["statuses"]["error"]
        query = "select milestone, favourites_count from raw_mastodon.engagement order by 1"
        assert warehouse.query(query) == [("1h", None), ("7d", 4)]
    finally:
        server.stop()


def test_what_does_not_fit_is_rejected_alone(network, run, ids, warehouse):
    posts = [network.post(f"Number {number}") for number in range(5)]
    broken = {
        posts[0]["key"]: {"id": None, "replies_count": 1},
        posts[1]["key"]: {"created_at": "yesterday"},
        posts[2]["key"]: {"sensitive": "perhaps"},
        posts[3]["key"]: {"account": None},
    }

    def change(rows: list[dict]) -> list[dict]:
        return [row | broken.get(row["id"], {}) for row in rows]

    network.misbehave.next("drift", path="/statuses", change=change)
    ledger = run("statuses")
    assert (ledger["status"], ledger["rows_rejected"]) == ("complete", 4)
    assert ids() == of(posts[4])
    reasons = [reason for (reason,) in warehouse.query("select reason from raw_mastodon.rejected_rows")]
    for reason in (
        "status_id: is missing",
        "created_at: 'yesterday'",
        "is_sensitive: 'perhaps'",
        "account_id: is missing",
    ):
        assert any(reason in found for found in reasons), reasons


# Reading on


def test_every_page_is_read(network, run, ids, searches):
    searches("#coffee", "word")
    posts = [network.post(f"word {number} #coffee", NOON - number * MINUTE) for number in range(95)]
    mentions = [network.mention("and", NOON - number * MINUTE) for number in range(170)]
    assert run("statuses")["status"] == "complete"
    assert ids() == of(*posts, *mentions)
    assert network.asked() == {
        "accounts/verify_credentials": 1,
        f"accounts/{OWN}/statuses": 3,
        "notifications": 3,
        "timelines/tag/coffee": 4,  # a timeline ends where nothing more is there
        "/api/v2/search": 4,
    }


def test_a_status_that_comes_between_pages_hides_none(network, run, ids, searches):
    searches("word")
    posts = [network.post(f"word {number}", NOON - number * MINUTE, ELSE) for number in range(95)]
    late = []

    def one_more(answer):
        late.append(network.post("word in between", author=ELSE))
        return answer

    network.misbehave.next("drift", times=2, path="search", change=one_more)
    assert run("statuses")["status"] == "complete"
    assert set(of(*posts)) <= set(ids())
    run("statuses")
    assert ids() == of(*posts, *late)


def test_the_next_run_reads_what_is_new_and_the_day_before(network, run, ids):
    old = [network.post(f"old {number}", NOON - 40 * DAY - number * HOUR) for number in range(100)]
    recent = network.post("recent", NOON - HOUR)
    run()
    network.asked()
    network.clock += HOUR
    new = network.post("new")
    late = network.mention("delivered late", NOON - 20 * HOUR)
    assert counts(run()["statuses"])[:3] == (81, 2, 79)
    assert ids() == of(*old, recent, new, late)
    assert network.asked()[f"accounts/{OWN}/statuses"] == 2  # the second one is older than a day throughout


def test_what_is_delivered_late_is_found_behind_what_is_known(network, run, ids, searches):
    searches("#coffee")
    for _ in range(mastodon_api.PAGE):
        network.post("#coffee", NOON - HOUR, ELSE)
    run("statuses")
    for _ in range(mastodon_api.PAGE):
        network.post("#coffee", NOON + 30 * MINUTE, ELSE)
    late = network.post("#coffee", NOON - 20 * HOUR, ELSE)
    network.clock += HOUR
    run("statuses")
    assert late["key"] in ids()


def test_a_thread_is_read_once(network, run):
    own = network.post("first", NOON - HOUR, replies=1)
    for number in range(6):
        other = network.post("and?", NOON - 50 * MINUTE + 2 * number * MINUTE, ELSE, reply_to=own["key"], replies=1)
        own = network.post("so", NOON - 49 * MINUTE + 2 * number * MINUTE, reply_to=other["key"], replies=1)
    run("statuses")
    asked = network.asked()
    assert {path: times for path, times in asked.items() if times > 1} == {}
    assert sum("context" in path for path in asked) == 7


def test_a_thread_of_old_answers_hides_no_other(network, run, ids):
    posts = [network.post(f"number {number}", NOON - 20 * DAY, replies=1) for number in range(3)]
    for post in posts:
        network.post("old", NOON - 19 * DAY, ELSE, reply_to=post["key"])
    run("statuses")
    network.post("new", NOON - HOUR, ELSE, reply_to=posts[1]["key"])
    network.clock += HOUR
    run("statuses")
    assert ids() == of(*network.tables["posts"])


def test_a_server_that_tells_of_favourites_too_is_read_on(network, run, ids, monkeypatch):
    mention = network.mention("hello", NOON - 20 * DAY)
    others = [network.mention("fine", NOON - HOUR) for _ in range(mastodon_api.NOTIFICATIONS_PAGE)]

    def change(rows: list[dict]) -> list[dict]:
        return [row | {"type": "favourite"} for row in rows]

    run("statuses")
    answer = network.misbehave.faults["drift"]
    network.misbehave.faults["favourites"] = lambda response: Response(
        200, answer(response, change).body, response.headers
    )
    network.clock += DAY
    network.misbehave.next("favourites", path="notifications")
    run("statuses")
    assert network.asked()["notifications"] == 4 and ids() == of(mention, *others)


def test_engagement_asks_for_nothing_of_its_own(network, run):
    network.post("hello", NOON - 2 * HOUR, replies=1)
    network.mention("hi")
    assert run()["engagement"]["rows_loaded"] == 1
    assert max(network.asked().values()) == 1
    assert "see the stream statuses" in run("engagement")["error"]


def test_since_and_until_bound_when_a_status_was_written(network, run, ids):
    early, early_mention = network.post("early", NOON - 10 * DAY), network.mention("early", NOON - 10 * DAY)
    inside, mention = network.post("inside", NOON - 5 * DAY), network.mention("inside", NOON - 5 * DAY)
    late = network.post("late")
    run("statuses", since=NOON - 6 * DAY, until=NOON - DAY)
    assert ids() == of(inside, mention)
    run("statuses")
    assert ids() == of(early, early_mention, inside, mention, late)


def test_a_search_goes_back_a_year_and_our_own_statuses_all_the_way(network, run, ids, searches):
    searches("#coffee")
    own = network.post("old", NOON - 800 * DAY)
    found = [network.post("#coffee", NOON - 5 * days * DAY, ELSE) for days in range(150)]
    run("statuses")
    assert set(of(own, *found[:74])) <= set(ids()) and found[130]["key"] not in ids()  # but in the page after
    searches("#coffee", "#tea")  # which is new, and so read as far back
    tea = network.post("#tea", NOON - 300 * DAY, ELSE)
    run("statuses")
    assert tea["key"] in ids()


def test_accounts_are_those_that_are_named(network, run, ids, warehouse, monkeypatch):
    network.post("ours")
    theirs = network.post("theirs", author=ELSE)
    monkeypatch.setenv("SOURCES__MASTODON__ACCOUNTS", '["@mia@cafe.example"]')
    run()
    assert ids() == of(theirs)
    assert warehouse.query("select handle from raw_mastodon.accounts") == [("mia@cafe.example",)]


# What changes


def test_an_edit_is_a_new_version(network, run, warehouse):
    post = network.post("teh coffee", NOON - HOUR)
    run("statuses")
    network.clock += HOUR
    post.update(text="the coffee", edited_at=text(network.clock - MINUTE))
    assert counts(run("statuses"))[:2] == (1, 1)
    assert run("statuses")["rows_loaded"] == 0
    content = warehouse.current("raw_mastodon.statuses", "content, edited_at, updated_at = edited_at")
    assert content == [("<p>the coffee</p>", NOON + 59 * MINUTE, True)]


@pytest.mark.parametrize("status", ["404", "410"])
def test_a_deleted_status_is_gone(network, run, ids, status):
    kept, deleted = network.mention("kept", NOON - HOUR), network.mention("deleted", NOON - HOUR)
    network.crowd()
    run("statuses")
    network.clock += 2 * DAY
    network.delete(deleted)
    if status == "410":
        network.misbehave.next("410", path=f"statuses/{deleted['key']}")
    ledger = run("statuses")
    assert (ledger["status"], ledger["rows_marked_gone"]) == ("complete", 1)
    assert kept["key"] in ids() and deleted["key"] not in ids()
    assert network.asked()["statuses"] == 1
    network.clock += HOUR
    assert run("statuses")["rows_marked_gone"] == 0
    assert f"statuses/{deleted['key']}" not in network.asked()


def test_once_a_week_all_that_is_known_is_looked_at_again(network, run, ids):
    old = [network.mention(f"old {number}", NOON - 200 * DAY) for number in range(3)]
    network.crowd()
    run("statuses")
    network.delete(old[0])
    network.clock += 6 * DAY
    assert run("statuses")["rows_marked_gone"] == 0
    network.clock += DAY
    assert run("statuses")["rows_marked_gone"] == 1
    assert old[0]["key"] not in ids() and old[1]["key"] in ids()


def test_if_most_are_gone_the_stream_asks(network, run, ids):
    posts = [network.mention(f"number {number}", NOON - 20 * DAY) for number in range(200)]
    run("statuses")
    network.tables["posts"] = []
    ledger = run("statuses", full=True)
    assert ledger["status"] == "failed" and "--accept-deletes" in ledger["error"]
    assert ids() == of(*posts)
    assert run("statuses", full=True, accept_deletes=True)["rows_marked_gone"] == 200


def test_what_fails_is_not_gone_and_is_looked_at_again(network, run, ids, monkeypatch):
    monkeypatch.setattr("ingestion.http.ATTEMPTS", 1)
    deleted, kept = network.mention("deleted", NOON - HOUR), network.mention("kept", NOON - HOUR)
    network.crowd()
    run("statuses")
    network.delete(deleted)
    network.clock += 2 * DAY
    new = network.mention("new")
    network.misbehave.next("503", path="v1/statuses/")
    ledger = run("statuses")
    assert ledger["status"] == "failed" and ledger["rows_marked_gone"] == 0
    assert "known statuses: " in ledger["error"] and "503" in ledger["error"]
    assert {deleted["key"], new["key"]} <= set(ids())
    assert run("statuses")["rows_marked_gone"] == 1
    assert kept["key"] in ids()


def test_a_weekly_look_that_failed_is_taken_again_by_the_next_run(network, run, ids, monkeypatch):
    monkeypatch.setattr("ingestion.http.ATTEMPTS", 1)
    old = network.mention("deleted", NOON - 200 * DAY)
    network.crowd()
    run("statuses")
    network.delete(old)
    network.clock += 8 * DAY
    network.misbehave.next("503", path="v1/statuses/")
    assert run("statuses")["status"] == "failed" and old["key"] in ids()
    network.clock += HOUR
    assert run("statuses")["rows_marked_gone"] == 1
    assert old["key"] not in ids()


def test_a_thread_that_cannot_be_read_stops_no_other(network, run, ids, monkeypatch):
    monkeypatch.setattr("ingestion.http.ATTEMPTS", 1)
    roots = [network.post(f"number {number}", NOON - HOUR, replies=1) for number in range(3)]
    answers = [network.post("and?", NOON - 50 * MINUTE, ELSE, reply_to=root["key"]) for root in roots]
    network.misbehave.next("500", path="context")
    ledger = run("statuses")
    assert ledger["status"] == "failed" and "threads: " in ledger["error"]
    assert len({answer["key"] for answer in answers} & set(ids())) == 2


def test_a_status_that_is_back_is_back(network, run, ids):
    posts = [network.post(f"number {number}", NOON - HOUR) for number in range(3)]
    run("statuses")
    network.delete(posts[0])
    run("statuses", full=True)
    assert ids() == of(*posts[1:])
    network.tables["posts"].insert(0, posts[0])
    run("statuses", full=True)
    assert ids() == of(*posts)


# Engagement


def test_engagement_is_measured_at_four_ages(network, run, snapshots):
    post, other = network.mention("hello", NOON - HOUR), network.mention("crowded out", NOON - HOUR)
    network.crowd()
    expected = []
    for age, likes, milestone in [
        (timedelta(), 0, None),
        (50 * MINUTE, 1, None),
        (70 * MINUTE, 2, "1h"),
        (5 * HOUR, 3, None),
        (25 * HOUR, 4, "24h"),
        (8 * DAY, 5, "7d"),
        (31 * DAY, 6, "30d"),
        (32 * DAY, 7, None),
        (90 * DAY, 8, None),
    ]:
        network.clock, post["likes"] = NOON - HOUR + age, likes
        assert run("statuses", "engagement")["engagement"]["status"] == "complete"
        expected += [(post["key"], milestone, likes)] if milestone else []
        assert sorted(row for row in snapshots() if row[0] == post["key"]) == sorted(expected), age
    assert [row[1] for row in snapshots() if row[0] == other["key"]] == ["1h", "24h", "30d", "7d"]


def test_of_several_milestones_that_passed_the_latest_is_measured(network, run, snapshots):
    week, old = network.mention("hello", NOON - 8 * DAY, likes=3), network.post("old", NOON - 90 * DAY, likes=9)
    run("statuses", "engagement")
    assert snapshots() == sorted([(week["key"], "7d", 3), (old["key"], "30d", 9)])
    network.clock += DAY
    assert run("statuses", "engagement")["engagement"]["rows_read"] == 0


def test_statuses_are_asked_for_in_batches_in_the_order_of_ids(network, run):
    posts = [network.mention(f"number {number}", NOON - HOUR) for number in range(45)]
    network.tables["posts"][0]["key"] = "9"  # another server's, shorter and so older
    network.crowd()
    run("statuses")
    network.clock += 2 * DAY
    run("statuses")
    network.misbehave.requests.clear()
    network.clock += DAY
    run("statuses")
    queries = [r.query for r in network.misbehave.requests if r.path == "/api/v1/statuses"]
    batches = [[value for name, value in parse_qsl(query) if name == "id[]"] for query in queries]
    assert [len(batch) for batch in batches] == [20, 20, 5]
    asked = [key for batch in batches for key in batch]
    assert asked[0] == "9" and asked == sorted(asked, key=int) and len(set(asked)) == len(posts)


def test_threads_of_the_last_thirty_days_are_read_in_every_run(network, run, ids):
    own = network.post("we are open", NOON - HOUR, replies=1)
    for _ in range(mastodon_api.PAGE):
        network.post("and", NOON - 50 * MINUTE)
    run("statuses")
    for days in (5, 29):
        network.clock = NOON + days * DAY
        answer = network.post("when?", network.clock - HOUR, ELSE, reply_to=own["key"])
        run("statuses")
        assert answer["key"] in ids()
    network.clock = NOON + 33 * DAY
    run("statuses")
    network.clock += 2 * DAY
    late = network.post("still?", network.clock - HOUR, ELSE, reply_to=own["key"])
    run("statuses")
    assert late["key"] not in ids()


def test_a_reading_that_failed_measures_again(network, run, snapshots, monkeypatch):
    monkeypatch.setattr("ingestion.http.ATTEMPTS", 1)
    network.post("hello", NOON - 2 * HOUR, likes=1)
    network.misbehave.next("500", times=1, path="/statuses")
    assert run("statuses", "engagement")["statuses"]["status"] == "failed"
    assert snapshots() == []
    assert run("statuses", "engagement")["statuses"]["status"] == "complete"
    assert [row[1:] for row in snapshots()] == [("1h", 1)]


# When it fails


@pytest.mark.parametrize("fault", ["500", "503", "cut", "html"])
def test_what_may_pass_is_tried_again(network, run, ids, fault):
    post = network.post("hello")
    network.misbehave.next(fault, times=2, path="/statuses")
    assert run("statuses")["status"] == "complete"
    assert ids() == of(post)


@pytest.fixture
def waits(monkeypatch):
    """Seconds that are waited for a limit, or would be."""
    waits = []
    monkeypatch.setattr("ingestion.http.Limit.pause", lambda limit, seconds: waits.append(seconds))
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return waits


def test_a_limit_is_waited_for(network, run, ids, waits):
    post = network.post("hello")
    network.misbehave.next("limit", path="notifications", seconds=123)
    assert run("statuses")["status"] == "complete"
    assert ids() == of(post)
    assert waits == [pytest.approx(123, abs=1)]


def test_a_server_that_limits_from_the_first_request_is_asked_so_often_and_no_more(network, run, waits):
    network.misbehave.next("limit", times=99)
    ledger = run()
    assert set(statuses(ledger).values()) == {"failed"}
    for row in ledger.values():
        assert "429 Too Many Requests, in 6 attempts. Try again later" in row["error"]
    assert len(network.misbehave.requests) == 6 and len(waits) == 5


def test_a_limit_that_lasts_too_long_is_not_waited_for(network, run):
    network.misbehave.next("limit", path="notifications", seconds=900)
    ledger = run("statuses")
    assert ledger["status"] == "failed" and "mentions: " in ledger["error"] and "900 s" in ledger["error"]


def test_pages_beyond_the_first_have_a_limit_of_their_own(network, run, monkeypatch):
    monkeypatch.setattr(mastodon_api, "PAGING_LIMIT", (2, 0.5))
    paging = []
    monkeypatch.setattr("ingestion.http.Limit.wait", lambda limit: paging.append((limit.requests, limit.seconds)))
    for number in range(170):
        network.post("word", NOON - number * MINUTE)
    run("statuses")
    assert [limit for limit, seconds in paging].count(2) == 4  # pages two to five


def test_a_list_that_repeats_its_cursor_fails_and_the_others_are_read(network, run, ids):
    posts = [network.post("word", NOON - number * MINUTE) for number in range(90)]
    mention = network.mention("hello")
    answered = {}

    def repeat(response):
        return answered.setdefault("first", response)

    network.misbehave.faults["stuck"] = repeat
    network.misbehave.next("stuck", times=9, path=f"{OWN}/statuses")
    ledger = run("statuses")
    assert ledger["status"] == "failed" and "the list does not end" in ledger["error"]
    assert mention["key"] in ids() and set(of(*posts[:40])) <= set(ids())
    assert network.asked()[f"accounts/{OWN}/statuses"] == 2


def test_a_search_that_repeats_its_page_fails(network, run, searches):
    searches("word")
    for number in range(90):
        network.post("word", NOON - number * MINUTE, ELSE)
    answered = {}
    network.misbehave.faults["stuck"] = lambda response: answered.setdefault("first", response)
    network.misbehave.next("stuck", times=9, path="search")
    ledger = run("statuses")
    assert ledger["status"] == "failed" and "repeats the page before it" in ledger["error"]


@pytest.mark.parametrize(("fault", "path"), [("401", "tag"), ("403", "notifications"), ("422", "search")])
def test_what_the_server_does_not_show_is_noted_and_the_others_are_read(network, run, ids, searches, fault, path):
    searches("#coffee", "catchment coffee")
    posts = {
        "notifications": network.mention("hello"),
        "tag": network.post("#coffee", author=ELSE),
        "search": network.post("Catchment Coffee", author=ELSE),
        "own": network.post("ours"),
    }
    network.misbehave.next(fault, times=9, path=path)
    ledger = run()
    assert set(statuses(ledger).values()) == {"complete"}
    (note,) = json.loads(ledger["statuses"]["notes"])
    name = {"notifications": "mentions", "tag": "search for #coffee", "search": "search for catchment coffee"}[path]
    assert note.startswith(f"nothing of {name}: not entitled") and fault in note
    posts.pop(path)
    assert ids() == of(*posts.values())


def test_where_nothing_is_shown_the_stream_fails(network, run):
    network.misbehave.next("403", times=9, path="/statuses")
    network.misbehave.next("403", times=9, path="/notifications")
    ledger = run()
    assert statuses(ledger) == {"accounts": "complete", "statuses": "failed", "engagement": "complete"}
    assert "not entitled" in ledger["statuses"]["error"]


def test_an_unknown_token_is_said(network, run, monkeypatch):
    monkeypatch.setenv("SOURCES__MASTODON__TOKEN", "wrong token")
    ledger = run()
    assert all("correct SOURCES__MASTODON__TOKEN" in row["error"] for row in ledger.values())
    assert len(network.misbehave.requests) == 1


def test_a_token_of_an_app_needs_the_accounts_named(network, run, ids, monkeypatch):
    post = network.post("ours")
    network.misbehave.next("422", times=2, path="verify_credentials")
    assert "set SOURCES__MASTODON__ACCOUNTS" in run("statuses")["error"]
    monkeypatch.setenv("SOURCES__MASTODON__ACCOUNTS", '["catchment"]')
    network.misbehave.next("422", path="notifications")
    assert run("statuses")["status"] == "complete"
    assert ids() == of(post)


def test_a_server_without_the_api_is_said(network, run, monkeypatch):
    monkeypatch.setenv("SOURCES__MASTODON__BASE_URL", f"{network.server.url}/elsewhere")
    assert all("base_url" in row["error"] for row in run().values())


def test_an_account_that_is_closed_is_gone_and_the_others_are_read(network, run, ids, warehouse, monkeypatch):
    monkeypatch.setenv("SOURCES__MASTODON__ACCOUNTS", '["mia@cafe.example", "catchment"]')
    theirs, ours = network.post("theirs", author=ELSE), network.post("ours")
    run()
    network.tables["accounts"].pop()
    network.delete(theirs)
    new = network.post("new")
    ledger = run()
    assert statuses(ledger) == {"accounts": "failed", "statuses": "failed", "engagement": "complete"}
    for name in ("accounts", "statuses"):
        assert "there is no account mia@cafe.example: it was closed or suspended" in ledger[name]["error"]
    assert warehouse.current("raw_mastodon.accounts", "handle") == [("catchment",)]
    assert {ours["key"], new["key"]} <= set(ids())
    network.clock += 2 * DAY
    run()
    assert ids() == of(ours, new)  # the statuses of the account went with it


def test_an_answer_that_is_an_error_is_a_failure(network, run):
    network.misbehave.next("error", path="notifications")
    ledger = run("statuses")
    assert ledger["status"] == "failed" and "mentions: /api/v1/notifications" in ledger["error"]
    assert "the answer is no list" in ledger["error"]


@pytest.mark.parametrize("odd", [["no status"], [None], [7]])
def test_an_odd_answer_fails_its_own_part_only(network, run, ids, odd):
    post = network.post("ours")
    network.misbehave.next("drift", path="notifications", change=lambda rows: odd)
    ledger = run("statuses")
    assert ledger["status"] == "failed" and ledger["error"].startswith("mentions: AttributeError")
    assert ids() == of(post)


def test_the_token_is_told_to_nobody(network, run, warehouse, caplog):
    network.misbehave.faults["tells"] = lambda response: Response.json(403, {"error": f"{TOKEN} may not"})
    network.misbehave.next("tells", times=9, path="notifications")
    network.misbehave.next("tells", times=9, path="/statuses")
    ledger = run()
    assert "*** may not" in ledger["statuses"]["error"]
    for path in warehouse.folder.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in caplog.text and all(TOKEN not in request.query for request in network.misbehave.requests)


# Beside a run


def test_check_says_whose_statuses_are_read(network, searches):
    searches("#coffee")
    reader = all_systems()["mastodon"].connect()
    assert {reader.check(stream) for stream in STREAMS} == {"0 statuses of catchment"}
    reader.close()
    network.misbehave.next("401", path="verify")
    with pytest.raises(SourceError, match="does not know the token"):
        all_systems()["mastodon"].connect().check(STREAMS[0])


def test_requests_hold_against_the_specification(network, run, searches):
    spec = specification("mastodon_4.7.0.openapi.json.gz")
    searches("#coffee", "word")
    for number in range(50):
        network.mention("word #coffee", NOON - HOUR - number * MINUTE, replies=1)
    network.post("word", replies=1)
    run()
    network.clock += 2 * DAY
    run()
    for request in network.misbehave.requests:
        query = {name.removesuffix("[]"): value for name, value in parse_qsl(request.query)}
        assert spec.request(request.method, request.path, query) == []


@functools.cache
def company() -> Company:
    return Company(1, 0.1).run(CLOCK)


def test_the_company_lands_whole(network, run, ids, searches):
    """Everything that names the company, as the sandbox knows; other posts only where a tag has them."""
    network.clock = datetime(CLOCK.year, CLOCK.month, CLOCK.day, tzinfo=UTC)
    network.tables = company().social.tables("mastodon")
    searches("#CatchmentCoffee", "Catchment Coffee")
    assert set(statuses(run()).values()) == {"complete"}
    posts = {post["key"]: post for post in network.tables["posts"]}
    assert {key for key, post in posts.items() if post["kind"] != "other"} <= set(ids())


def test_it_runs_as_any_source_of_dlt(network, tmp_path):
    network.post("hello")
    pipeline = dlt.pipeline(
        "plain", pipelines_dir=str(tmp_path), destination=dlt.destinations.duckdb(str(tmp_path / "d"))
    )
    pipeline.run(mastodon(base_url=network.server.url, token=TOKEN))
    with pipeline.sql_client() as client:
        assert client.execute_sql("select count(*) from statuses") == [(1,)]


def test_a_reader_needs_no_more_than_the_server_and_the_token(network):
    reader = Reader(f"{network.server.url}/", f" {TOKEN}\n", None, None)
    assert reader.check(STREAMS[0]) == "0 statuses of catchment"
