"""The Bluesky loader against the sandbox's server, over posts that the tests write."""

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import parse_qs, parse_qsl

import dlt
import pytest
from conftest import counts

from ingestion.bluesky import STREAMS, bluesky
from ingestion.errors import SourceError
from ingestion.systems import all_systems
from sandbox import bluesky as sandbox_bluesky
from sandbox.bluesky_view import View
from sandbox.company import CLOCK, Company
from sandbox.misbehave import Response
from tests.lexicon import lexicons

PASSWORD = "abcd-efgh-ijkl-mnop"
OWN, ANN, BOB = (f"did:plc:{name:2<24}" for name in ("coffee", "ann", "bob"))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FEED, SEARCH, TOLD, POSTS, THREAD, PROFILES = (
    f"app.bsky.{name}"
    for name in (
        *("feed.getAuthorFeed", "feed.searchPosts", "notification.listNotifications", "feed.getPosts"),
        *("feed.getPostThread", "actor.getProfiles"),
    )
)


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Network:
    """Accounts (ours is coffee.example) and their posts, behind the sandbox's server; `clock` is what time it is."""

    def __init__(self) -> None:
        self.clock, self.numbers, self.tables = NOON, count(), {"accounts": [], "posts": []}
        self.change = lambda view: None
        self.account(OWN, "coffee.example", is_own=True)
        self.account(ANN, "ann.example")
        self.account(BOB, "bob.example")
        self.server = sandbox_bluesky.serve(self.view, lambda: self.clock.date(), PASSWORD)
        self.server.now = lambda: self.clock.timestamp()
        self.misbehave = self.server.misbehave

    def view(self) -> View:
        """The network as it is now, and as the test changed it."""
        view = View(self.tables)
        self.change(view)
        return view

    def account(self, did: str, handle: str, **values) -> dict:
        row = {"key": did, "handle": handle, "name": handle, "about": "", "created_at": text(NOON - 900 * DAY)}
        row |= {"followers": 10, "following": 5, "posts": 3, "is_own": False, **values}
        self.tables["accounts"].append(row)
        return row

    def post(self, author: str = OWN, words: str = "Coffee!", at: datetime | None = None, **values) -> dict:
        """A new post; its kind is own, or reply if it answers, or mention."""
        key = f"at://{author}/app.bsky.feed.post/{next(self.numbers):a>13}"
        kind = "own" if author == OWN else "reply" if values.get("reply_to") else "mention"
        row = {"key": key, "author": author, "created_at": text(at or self.clock - HOUR), "text": words, "kind": kind}
        row |= {"languages": ["en"], "reply_to": None, "mentions": [], "tags": [], "links": []}
        row |= {"likes": 1, "reposts": 0, "quotes": 0, "replies": 0, **values}
        self.tables["posts"].append(row)
        self.tables["posts"].sort(key=lambda post: post["created_at"])
        for post in self.tables["posts"]:
            post["replies"] += post["key"] == row["reply_to"]
        return row

    def delete(self, *posts: dict) -> None:
        for post in posts:
            self.tables["posts"].remove(post)

    def asked(self) -> Counter:
        """Requests since the last call, by method."""
        asked = Counter(request.path.removeprefix("/xrpc/") for request in self.misbehave.requests)
        self.misbehave.requests.clear()
        return asked


@pytest.fixture
def network(monkeypatch, short_waits):
    network = Network()
    options = {"IDENTIFIER": "@coffee.example", "PASSWORD": f"{PASSWORD}\n", "BASE_URL": network.server.url}
    for name, value in options.items():
        monkeypatch.setenv(f"SOURCES__BLUESKY__{name}", value)
    yield network
    network.server.stop()


@pytest.fixture
def searches(monkeypatch):
    """Sets the searches."""
    return lambda *queries: monkeypatch.setenv("SOURCES__BLUESKY__SEARCHES", json.dumps(queries))


@pytest.fixture
def run(network, warehouse):
    """Runs all streams; returns the ledger's rows by stream."""
    return lambda **options: warehouse.run("bluesky", **options)


@pytest.fixture
def uris(warehouse):
    """The posts that are there."""
    return lambda: {uri for (uri,) in warehouse.current("raw_bluesky.posts", "uri")}


@pytest.fixture
def engagement(warehouse):
    """(milestone, likes) of what was noted of all posts, in order."""
    columns = "milestone, like_count from raw_bluesky.engagement"
    return lambda: warehouse.query(f"select {columns} order by measured_at, _observed_at, uri, like_count")


def statuses(ledger) -> dict[str, str]:
    return {name: row["status"] for name, row in ledger.items()}


ALL_COMPLETE = dict.fromkeys(("accounts", "posts", "engagement"), "complete")


# What lands


def test_all_streams_and_a_second_run_with_nothing_new(network, run, warehouse, uris, searches):
    """Every post that is of us, each field found where the contract says; then few requests and no row."""
    network.tables = Company(1, 0.3).run(CLOCK).social.tables("bluesky")
    network.clock = datetime.combine(CLOCK, datetime.min.time(), UTC)
    searches('"catchment coffee"')
    ledger = run()
    assert statuses(ledger) == ALL_COMPLETE and {row["unknown_fields"] for row in ledger.values()} == {None}
    ours = {post["key"] for post in network.tables["posts"] if post["kind"] != "other"}
    assert uris() == ours and 300 < len(ours) < len(network.tables["posts"])
    absent = {"tags"}  # hashtags that are not in the text
    for stream in STREAMS:
        columns = ", ".join(f"count({field.name})" for field in stream.contract.fields)
        (found,) = warehouse.query(f"select {columns} from raw_bluesky.{stream.name}")
        empty = {f.name for f, number in zip(stream.contract.fields, found, strict=True) if not number}
        assert empty <= absent, stream.name
    answers = "count(reply_parent_uri), count(*) filter (reply_parent_uri not like 'at://%') from raw_bluesky.posts"
    answering = sum(post["reply_to"] is not None for post in network.tables["posts"] if post["key"] in ours)
    assert warehouse.query(f"select {answers}") == [(answering, 0)]
    network.asked()
    again = run()
    assert {(row["status"], row["rows_loaded"]) for row in again.values()} == {("complete", 0)}
    asked = network.asked()
    threads = asked.pop(THREAD)
    young = [p for p in network.tables["posts"] if p["created_at"] > text(network.clock - 30 * DAY)]
    assert threads == sum(post["kind"] == "own" and post["replies"] > 0 for post in young) > 0
    once = dict.fromkeys(("com.atproto.server.createSession", PROFILES, FEED, SEARCH), 1)
    batches = asked.pop(POSTS)
    assert asked == once | {TOLD: 1} and batches <= 6, "what was found newly, and what is young and was not seen"


def test_requests_hold_against_the_lexicons(network, run, searches):
    spec = lexicons()
    answered = network.post()
    network.post(ANN, "@coffee.example good", mentions=[OWN])
    network.post(BOB, "I see", reply_to=answered["key"])
    searches("coffee")
    run()
    network.clock += 8 * DAY
    run()
    run(since=NOON - DAY, until=NOON)
    methods = set()
    for request in network.misbehave.requests:
        method = request.path.removeprefix("/xrpc/")
        if request.method == "GET":
            assert spec.request(method, parse_qsl(request.query)) == []
        methods.add(method)
    assert methods == {"com.atproto.server.createSession", PROFILES, FEED, SEARCH, TOLD, POSTS, THREAD}


def test_what_is_odd_is_kept(network, run, warehouse):
    """A post as long as may be, one without text or language, an embed and a member that nobody knows."""
    long = "👩‍🌾" * 250
    network.post(ANN, long, languages=["en", "de"], mentions=[])
    network.post(BOB, "", languages=[])
    poll = {"$type": "example.poll.embed", "options": ["a", "b"]}

    def change(view):
        posts = list(view.posts.values())
        posts[0]["record"]["embed"] = poll
        posts[0]["record"]["mood"] = "<happy> & so on"
        posts[1]["embed"] = {"$type": "example.view", "likes": 7}

    network.change = change
    ledger = run()
    rows = warehouse.query(
        "select post_text, langs, embed, _unknown_fields from raw_bluesky.posts order by langs nulls last"
    )
    assert rows[0][:2] == (long, '["en","de"]') and json.loads(rows[0][2]) == poll
    assert json.loads(rows[0][3]) == {"record": {"mood": "<happy> & so on"}}
    assert rows[1] == ("", None, None, None)
    assert ledger["posts"]["unknown_fields"] == '["record"]'


def test_a_bad_value_rejects_that_row_alone(network, run, warehouse):
    bad, good = network.post(at=NOON - 2 * DAY), network.post()

    def change(view):
        view.posts[bad["key"]]["record"]["createdAt"] = "yesterday"

    network.change = change
    ledger = run()
    assert statuses(ledger) == ALL_COMPLETE and counts(ledger["posts"])[1:4] == (1, 0, 1)
    (rejected,) = warehouse.query("select position, reason from raw_operations.rejected_rows where stream = 'posts'")
    assert rejected == (f"{FEED} {bad['key']}", "created_at: 'yesterday' is not a time")
    assert warehouse.query("select uri from raw_bluesky.posts") == [(good["key"],)]
    network.clock += 8 * DAY
    assert run()["posts"]["rows_marked_gone"] == 0


def test_what_we_repost_is_not_ours(network, run, uris):
    own, other = network.post(), network.post(ANN, "@bob.example hello", kind="other")

    def repost(answer):
        reason = {"$type": "app.bsky.feed.defs#reasonRepost", "indexedAt": text(NOON)}
        return {"feed": [{"post": network.view().posts[other["key"]], "reason": reason}, *answer["feed"]]}

    network.misbehave.next("drift", path=FEED, change=repost)
    run()
    assert uris() == {own["key"]}


def test_notifications_of_other_things_are_none(network, run, uris):
    post = network.post(ANN, "@coffee.example hello", mentions=[OWN])

    def like(answer):
        other = answer["notifications"][0] | {"reason": "like", "uri": f"at://{BOB}/app.bsky.feed.like/2"}
        return answer | {"notifications": [other, *answer["notifications"]]}

    network.misbehave.next("drift", path=TOLD, change=like)
    run()
    assert uris() == {post["key"]}
    assert [parse_qs(r.query)["uris"] for r in network.misbehave.requests if r.path.endswith(POSTS)] == [[post["key"]]]


def test_all_notifications_since_the_last_run_are_read(network, run, uris):
    """However many pages of them, and no more."""
    for number in range(150):
        network.post(ANN, "@coffee.example", NOON - 10 * DAY - number * HOUR, mentions=[OWN])
    assert counts(run()["posts"])[:2] == (150, 150)
    network.clock += DAY
    for number in range(110):
        network.post(ANN, "@coffee.example", NOON + number * HOUR / 5, mentions=[OWN])
    network.asked()
    run()
    assert len(uris()) == 260 and network.asked()[TOLD] == 2
    run()
    assert network.asked()[TOLD] == 2, "a day of them is read again"


# Threads


def test_answers_and_answers_to_those_are_found(network, run, uris):
    root = network.post(at=NOON - 3 * DAY)
    first = network.post(ANN, reply_to=root["key"], kind="other")
    second = network.post(BOB, reply_to=first["key"], kind="other")

    def with_deleted(answer):
        answer["thread"]["replies"].append({"$type": "app.bsky.feed.defs#notFoundPost", "uri": "x", "notFound": True})
        return answer

    network.misbehave.next("drift", path=THREAD, change=with_deleted)
    assert run()["posts"]["status"] == "complete"
    assert uris() == {root["key"], first["key"], second["key"]}


def test_a_post_that_vanishes_before_its_thread_is_read(network, run):
    root = network.post()
    network.post(ANN, reply_to=root["key"])
    gone = {"error": "NotFound", "message": "Post not found"}
    network.misbehave.faults["vanished"] = lambda response: Response.json(400, gone)
    network.misbehave.next("vanished", path=THREAD)
    assert run()["posts"]["status"] == "complete"
    network.misbehave.faults["vanished"] = lambda response: Response.json(400, gone | {"error": "InvalidRequest"})
    network.misbehave.next("vanished", path=THREAD)
    assert "threads: " in run()["posts"]["error"]


# Searches


def test_a_search_goes_on_where_its_cursor_ends(network, run, uris, searches):
    """Be there many posts of one moment at the seam."""
    found = {
        network.post(ANN, f"coffee {number}", NOON - (1 + number // 7) * HOUR, kind="search")["key"]
        for number in range(60)
    }
    network.server.most_hits = 25
    searches("coffee")
    assert run()["posts"]["status"] == "complete"
    assert uris() == found


def test_what_the_index_shows_late_is_found(network, run, uris, searches):
    searches("coffee")
    network.server.lag = 20
    old = network.post(ANN, "coffee", NOON - DAY, kind="search")
    late = network.post(ANN, "more coffee", NOON - HOUR, kind="search")
    run()
    assert uris() == {old["key"]}
    network.clock += 20 * HOUR
    run()
    assert uris() == {old["key"], late["key"]}


def test_a_search_begins_where_it_ended(network, run, searches):
    searches("coffee")
    network.post(ANN, "coffee", NOON - 9 * DAY, kind="search")
    run()
    network.clock += DAY
    run()
    bounds = [parse_qs(request.query) for request in network.misbehave.requests if request.path.endswith(SEARCH)]
    first, again, second = bounds[0], bounds[1], bounds[-1]
    assert "since" not in first and first["until"] == [text(NOON)]
    assert again["until"] == [text(NOON - 9 * DAY + timedelta(milliseconds=1))]
    assert (second["since"], second["until"]) == ([text(NOON - DAY)], [text(NOON + DAY)])


def test_a_part_that_fails_stops_no_other_and_is_read_again(network, run, uris, searches):
    searches("coffee", "tea")
    own = network.post()
    coffee, tea = (network.post(ANN, words, NOON - 9 * DAY, kind="search") for words in ("coffee", "tea"))
    refusal = {"error": "BadQueryString", "message": "no such query"}
    network.misbehave.faults["bad"] = lambda response: Response.json(400, refusal)
    network.misbehave.next("bad", path=SEARCH)
    row = run()["posts"]
    assert row["status"] == "failed" and "search for coffee: " in row["error"] and "BadQueryString" in row["error"]
    assert uris() == {own["key"], tea["key"]}
    network.clock += 3 * DAY
    assert statuses(run()) == ALL_COMPLETE
    assert uris() == {own["key"], coffee["key"], tea["key"]}


def test_a_list_that_does_not_end_fails(network, run, monkeypatch):
    for _ in range(3):
        network.post()
    network.misbehave.next("drift", times=9, path=FEED, change=lambda answer: answer | {"cursor": "again"})
    assert "gives a cursor that it gave before" in run()["posts"]["error"]


# Engagement


def test_counters_are_noted_at_the_ages(network, run, engagement):
    """The first reading after an age; where two ages passed, only the later one was seen."""
    post = network.post(ANN, "@coffee.example hi", NOON, mentions=[OWN], likes=0)
    readings = [0.5, 2, 3, 23.9, 25, 24 * 6, 24 * 31, 24 * 32, 24 * 40, 24 * 80]
    for hours in readings:
        network.clock, post["likes"] = NOON + hours * HOUR, int(hours * 10)
        run()
    assert engagement() == [("1h", 20), ("24h", 250), ("30d", 24 * 310)]


def test_old_posts_that_are_found_for_the_first_time_have_counters(network, run, engagement, searches):
    network.post(ANN, "tea", NOON - 200 * DAY, kind="search", likes=7)
    network.post(at=NOON - 3 * DAY, likes=5)
    run()
    assert engagement() == [("24h", 5)]
    searches("tea")
    network.clock += HOUR
    run()
    assert engagement() == [("24h", 5), ("30d", 7)]


def test_counters_come_with_the_posts(network, warehouse):
    network.post()
    row = warehouse.run("bluesky", streams=("engagement",))["engagement"]
    assert row["status"] == "failed" and "which were not read" in row["error"]


# Deletes


def test_deleted_posts_are_gone(network, run, uris):
    """Young ones at once; those older than 30 days with the weekly look at all."""
    kept = [network.post(ANN, "@coffee.example", NOON - number * DAY, mentions=[OWN]) for number in range(60)]
    young, old, own = kept.pop(10), kept.pop(50), network.post(at=NOON - 2 * DAY)
    run()
    network.delete(young, old, own)
    network.clock += DAY
    assert run()["posts"]["rows_marked_gone"] == 2
    assert uris() == {post["key"] for post in [*kept, old]}
    network.clock += 7 * DAY
    assert run()["posts"]["rows_marked_gone"] == 1
    assert uris() == {post["key"] for post in kept}


def test_the_posts_of_a_deleted_account_are_gone(network, run, uris):
    kept = [network.post(at=NOON - number * DAY) for number in range(4)]
    lost = [network.post(ANN, "@coffee.example", NOON - number * DAY, mentions=[OWN]) for number in range(3)]
    run()
    network.delete(*lost)
    network.tables["accounts"] = [row for row in network.tables["accounts"] if row["key"] != ANN]
    assert run()["posts"]["rows_marked_gone"] == 3
    assert uris() == {post["key"] for post in kept}


def test_more_than_half_missing_is_asked_about(network, run, uris):
    posts = [network.post(ANN, "@coffee.example", NOON - number * DAY, mentions=[OWN]) for number in range(3)]
    run()
    network.delete(*posts[1:])
    row = run()["posts"]
    assert row["status"] == "failed" and "2 of 3 known rows are no longer in the source" in row["error"]
    assert len(uris()) == 3
    assert run(accept_deletes=True)["posts"]["rows_marked_gone"] == 2
    assert uris() == {posts[0]["key"]}


# Accounts


def test_figures_of_accounts_change(network, run, warehouse):
    run()
    network.tables["accounts"][0]["followers"] = 11
    assert counts(run()["accounts"]) == (1, 1, 0, 0, 0)
    assert warehouse.current("raw_bluesky.accounts", "handle, followers_count") == [("coffee.example", 11)]


def test_an_account_that_is_no_longer_named_stays_ours(network, run, warehouse, monkeypatch):
    network.post(ANN, kind="other")
    monkeypatch.setenv("SOURCES__BLUESKY__ACCOUNTS", '["coffee.example", "' + ANN + '"]')
    run()
    monkeypatch.setenv("SOURCES__BLUESKY__ACCOUNTS", '["coffee.example"]')
    assert run()["accounts"]["rows_marked_gone"] == 0
    assert len(warehouse.current("raw_bluesky.accounts", "did")) == 2


def test_an_account_that_is_not_there_is_named(network, run, uris, monkeypatch):
    monkeypatch.setenv("SOURCES__BLUESKY__ACCOUNTS", '["Coffee.example", "gone.example", "' + ANN + '"]')
    own, ann = network.post(), network.post(ANN, kind="other")
    ledger = run()
    assert "there is no account gone.example" in ledger["accounts"]["error"]
    assert counts(ledger["accounts"])[1] == 2 and ledger["posts"]["status"] == "complete"
    assert uris() == {own["key"], ann["key"]}


def test_more_accounts_than_may_be_asked_for_at_once(network, run, monkeypatch):
    handles = [f"shop{number}.example" for number in range(30)]
    for handle in handles:
        network.account(f"did:plc:{handle[:-8]:a<24}", handle)
    monkeypatch.setenv("SOURCES__BLUESKY__ACCOUNTS", json.dumps(handles))
    assert counts(run()["accounts"]) == (30, 30, 0, 0, 0)
    assert network.asked()[PROFILES] == 2


def test_an_answer_that_makes_no_sense_stops_no_other_part(network, run, uris):
    post = network.post()
    network.post(ANN, "@coffee.example", mentions=[OWN])
    network.misbehave.next("drift", path=TOLD, change=lambda answer: {"notifications": [{"reason": "mention"}]})
    assert "notifications: KeyError" in run()["posts"]["error"] and uris() == {post["key"]}
    assert statuses(run()) == ALL_COMPLETE and len(uris()) == 2


# Sessions and limits


def test_one_session_is_used_and_refreshed(network, run, searches):
    searches("coffee")
    for number in range(3):
        root = network.post(at=NOON - number * DAY)
        network.post(ANN, reply_to=root["key"])

    def expire(response):
        network.server.expire()
        return response

    network.misbehave.faults["expire"] = expire
    for method in (PROFILES, THREAD):
        network.misbehave.next("expire", path=method)
    assert statuses(run()) == ALL_COMPLETE
    asked = network.asked()
    assert network.server.sessions == asked["com.atproto.server.createSession"] == 1
    assert asked["com.atproto.server.refreshSession"] == 2


def test_a_session_that_cannot_be_renewed(network, run):
    def expire(response):
        network.server.expire()
        return response

    refusal = {"error": "ExpiredToken", "message": "Token has been revoked"}
    network.misbehave.faults |= {"expire": expire, "revoked": lambda response: Response.json(400, refusal)}
    network.misbehave.next("expire", path=PROFILES)
    network.misbehave.next("revoked", times=9, path="refreshSession")
    assert "could not be renewed. Try again" in run()["posts"]["error"]


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, "AuthenticationRequired", "correct SOURCES__BLUESKY__IDENTIFIER and SOURCES__BLUESKY__PASSWORD"),
        (401, "AuthFactorTokenRequired", "give an app password in SOURCES__BLUESKY__PASSWORD"),
        (400, "AccountTakedown", "check SOURCES__BLUESKY__BASE_URL and the account"),
        (404, "XRPCNotSupported", "check SOURCES__BLUESKY__BASE_URL"),
    ],
)
def test_a_login_that_is_refused(network, run, status, error, told):
    network.misbehave.faults["refused"] = lambda response: Response.json(status, {"error": error, "message": "no"})
    network.misbehave.next("refused", times=9, path="createSession")
    ledger = run()
    assert {row["status"] for row in ledger.values()} == {"failed"}
    assert all(told in row["error"] for row in ledger.values())
    assert network.asked() == {"com.atproto.server.createSession": 1}, "once for all streams"


@pytest.mark.parametrize("status", ["deactivated", "takendown"])
def test_an_account_that_is_not_active(network, run, status):
    network.server.status = status
    assert {row["error"] for row in run().values()} == {
        f"the account coffee.example is {status}: log in with one that is active"
    }


def test_a_limit_from_the_first_request_on_is_told_clearly(network, run):
    network.misbehave.next("429", times=3, seconds=5400)
    ledger = run()
    assert all("the server asks to wait 5400 s, longer than 600 s" in row["error"] for row in ledger.values())
    assert network.asked() == {"com.atproto.server.createSession": 1}


def test_a_limit_is_waited_for_until_it_ends(network, run):
    network.misbehave.next("429", path=FEED, seconds=2)
    network.misbehave.next("502", path=FEED)
    began = time.monotonic()
    assert statuses(run()) == ALL_COMPLETE
    assert time.monotonic() - began >= 1.5 and network.asked()[FEED] == 3


def test_no_secret_is_shown_or_kept(network, run, warehouse, caplog):
    network.post()
    network.misbehave.faults["told"] = lambda response: Response.json(
        400, {"error": "Bad", "message": f"access.1.{id(network.server)} {PASSWORD}"}
    )
    network.misbehave.next("told", path=FEED)
    error = run()["posts"]["error"]
    assert "Bad" in error and "***" in error
    kept = str(warehouse.query("select * from raw_operations.load_ledger")) + error + caplog.text
    kept += str([path.read_bytes() for path in warehouse.packages.rglob("*") if path.is_file()])
    for secret in (PASSWORD, f"access.1.{id(network.server)}", f"refresh.1.{id(network.server)}"):
        assert secret not in kept


# The command line, and dlt's


def test_a_window_of_time(network, run, uris, searches):
    searches("coffee")
    for number in range(5):
        network.post(at=NOON - number * DAY - HOUR)
        network.post(ANN, "coffee", NOON - number * DAY - HOUR, kind="search")
    inside = {
        post["key"] for post in network.tables["posts"] if text(NOON - 3 * DAY) <= post["created_at"] < text(NOON - DAY)
    }
    run(since=NOON - 3 * DAY, until=NOON - DAY)
    assert uris() == inside and len(inside) == 4
    assert statuses(run()) == ALL_COMPLETE
    assert len(uris()) == 10, "a window moves no bound"


def test_check_says_what_is_there(network, monkeypatch):
    monkeypatch.setenv("SOURCES__BLUESKY__ACCOUNTS", '["coffee.example", "ann.example"]')
    reader = all_systems()["bluesky"].connect()
    assert [reader.check(stream) for stream in STREAMS] == [
        "2 accounts",
        *["6 posts of coffee.example, ann.example"] * 2,
    ]
    reader.close()
    monkeypatch.setenv("SOURCES__BLUESKY__PASSWORD", "wrong-pass")
    with pytest.raises(SourceError, match="does not know the account"):
        all_systems()["bluesky"].connect().check(STREAMS[0])


def test_as_a_source_of_dlt(network, tmp_path):
    network.post()
    pipeline = dlt.pipeline("b", destination=dlt.destinations.duckdb(str(tmp_path / "x.duckdb")), dataset_name="b",
                            pipelines_dir=str(tmp_path / "p"))  # fmt: skip
    pipeline.run(bluesky())
    with pipeline.sql_client() as client:
        assert client.execute_sql("select count(*) from posts") == [(1,)]
