import json
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from sandbox import bluesky
from sandbox.bluesky_view import View
from sandbox.company import CLOCK
from tests.lexicon import lexicons

HANDLE, PASSWORD = "coffee.example", "app-pass-word-0000"
FEED, SEARCH = "app.bsky.feed.getAuthorFeed", "app.bsky.feed.searchPosts"
POSTS, THREAD = "app.bsky.feed.getPosts", "app.bsky.feed.getPostThread"
TOLD, PROFILES = "app.bsky.notification.listNotifications", "app.bsky.actor.getProfiles"
CREATE, REFRESH = "com.atproto.server.createSession", "com.atproto.server.refreshSession"
LOGIN = {"identifier": HANDLE, "password": PASSWORD}


@pytest.fixture(scope="module")
def tables(bigger):
    return bigger.social.tables("bluesky")


@pytest.fixture(scope="module")
def view(tables):
    return View(tables)


@pytest.fixture
def server(view):
    server = bluesky.serve(lambda: view, lambda: CLOCK, PASSWORD)
    yield server
    server.stop()


def ask(server, method, token=None, body=None, is_post=False, **query):
    """Status, headers and JSON of an answer."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    url = f"{server.url}/xrpc/{method}?{urlencode(query, doseq=True)}"
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urlopen(Request(url, data, headers, method="POST" if is_post or body else "GET")) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


@pytest.fixture
def token(server):
    return ask(server, CREATE, body=LOGIN)[2]["accessJwt"]


def pages(server, token, method, member, **query):
    """All rows of a list, page by page."""
    rows, cursor = [], {}
    while True:
        status, _, body = ask(server, method, token, **query, **cursor)
        assert status == 200, body
        rows += body[member]
        if "cursor" not in body:
            return rows
        cursor = {"cursor": body["cursor"]}


def keys(tables, *kinds):
    return {post["key"] for post in tables["posts"] if post["kind"] in kinds}


def test_requests_and_answers_hold_against_the_lexicons(server, tables, token):
    spec, checked = lexicons(), 0
    own = [post["key"] for post in tables["posts"] if post["kind"] == "own"]
    uris = [post["key"] for post in tables["posts"]]
    batches = [(POSTS, [("uris", uri) for uri in uris[start : start + 25]]) for start in range(0, len(uris), 25)]
    for method, query in [
        *((FEED, [("actor", account["handle"]), ("limit", "100")]) for account in tables["accounts"][:8]),
        (TOLD, [("limit", "100"), ("reasons", "mention"), ("reasons", "reply")]),
        (
            SEARCH,
            [("q", '"catchment coffee"'), ("sort", "latest"), ("limit", "100"), ("until", "2026-09-30T00:00:00Z")],
        ),
        (PROFILES, [("actors", account["key"]) for account in tables["accounts"][:25]]),
        *((THREAD, [("uri", uri), ("depth", "6")]) for uri in own[:20]),
        *batches,
    ]:
        names = {name for name, _ in query}
        several = {name: [value for key, value in query if key == name] for name in names}
        status, headers, answer = ask(server, method, token, **several)
        assert status == 200 and headers["Content-Type"].startswith("application/json")
        assert spec.request(method, query) == []
        assert spec.answer(method, answer) == []
        checked += len(answer.get("feed") or answer.get("posts") or [])
    for method, body in ((CREATE, LOGIN), (REFRESH, None)):
        refresh = ask(server, CREATE, body=LOGIN)[2]["refreshJwt"]
        assert spec.input(method, body) == []
        assert spec.answer(method, ask(server, method, refresh, body, is_post=True)[2]) == []
    assert checked > 300


def test_what_the_lexicons_do_not_allow_is_found(view):
    spec = lexicons()
    uri, post = next(iter(view.posts.items()))
    assert spec.answer(POSTS, {"posts": [post]}) == []
    for change in ({"uri": "x"}, {"likeCount": "1"}, {"cid": None}, {"likes": 1}, {"indexedAt": "today"}):
        assert len(spec.answer(POSTS, {"posts": [post | change]})) == 1
    assert spec.answer(POSTS, {"posts": [{name: post[name] for name in post if name != "record"}]})
    assert spec.answer(POSTS, {"posts": [post | {"record": post["record"] | {"text": "x" * 3001}}]})
    assert spec.answer(THREAD, {"thread": {"post": post}}), "no $type"
    assert spec.request(POSTS, [("uris", uri)] * 26) and spec.request(SEARCH, []) and spec.request(FEED, [("who", "x")])
    assert spec.request(SEARCH, [("q", "x"), ("limit", "101")])
    assert spec.input(REFRESH, {}) and spec.input(CREATE, None) and spec.input(CREATE, {"identifier": "x"})


def test_lists_are_paged_from_the_newest_on(server, tables, token):
    feed = [item["post"] for item in pages(server, token, FEED, "feed", actor=HANDLE, limit=7)]
    assert {post["uri"] for post in feed} == keys(tables, "own") and len(feed) > 50
    assert [post["indexedAt"] for post in feed] == sorted((post["indexedAt"] for post in feed), reverse=True)
    told = pages(server, token, TOLD, "notifications", limit=9)
    assert {row["uri"] for row in told} == keys(tables, "mention", "reply")
    assert {row["reason"] for row in told} == {"mention", "reply"}
    found = pages(server, token, SEARCH, "posts", q='"Catchment Coffee"', limit=11)
    assert {post["uri"] for post in found} == keys(tables, "search")
    loose = pages(server, token, SEARCH, "posts", q="catchment coffee", limit=100)
    assert {post["uri"] for post in loose} >= keys(tables, "search", "other")


def test_a_search_has_bounds_a_lag_and_an_end(server, token):
    every = pages(server, token, SEARCH, "posts", q='"catchment coffee"', limit=100)
    times = [post["record"]["createdAt"] for post in every]
    middle = times[len(times) // 2]
    older = pages(server, token, SEARCH, "posts", q='"catchment coffee"', until=middle)
    newer = pages(server, token, SEARCH, "posts", q='"catchment coffee"', since=middle)
    assert [len(older), len(newer)] == [sum(at < middle for at in times), sum(at >= middle for at in times)]
    server.most_hits = 30
    assert pages(server, token, SEARCH, "posts", q='"catchment coffee"', limit=20) == every[:30]
    server.most_hits, server.lag = 5000, 24 * 100
    lagging = pages(server, token, SEARCH, "posts", q='"catchment coffee"')
    assert lagging == every[-len(lagging) :] != every


def test_threads_have_the_answers_that_are_there(server, tables, token):
    posts = {post["key"]: post for post in tables["posts"]}
    answered = next(p for p in tables["posts"] if p["reply_to"] in posts and posts[p["reply_to"]]["reply_to"] in posts)
    parent = posts[answered["reply_to"]]
    root = ask(server, THREAD, token, uri=parent["reply_to"])[2]["thread"]
    below = {reply["post"]["uri"]: reply for reply in root["replies"]}
    assert root["post"]["replyCount"] == len(below)
    assert answered["key"] in {reply["post"]["uri"] for reply in below[parent["key"]]["replies"]}
    assert answered["key"] in str(ask(server, THREAD, token, uri=parent["key"])[2])
    assert ask(server, THREAD, token, uri=parent["reply_to"], depth=0)[2]["thread"]["replies"] == []
    status, _, body = ask(server, THREAD, token, uri=f"{parent['key']}x")
    assert (status, body["error"]) == (400, "NotFound")


def test_what_is_not_there_is_left_out(server, tables, token):
    uri = tables["posts"][0]["key"]
    assert [post["uri"] for post in ask(server, POSTS, token, uris=[f"{uri}x", uri])[2]["posts"]] == [uri]
    assert ask(server, PROFILES, token, actors=["nobody.example", HANDLE])[2]["profiles"][0]["handle"] == HANDLE
    assert ask(server, FEED, token, actor="nobody.example")[0] == 400
    assert ask(server, POSTS, token, uris=["at://x"] * 26)[0] == 400
    assert ask(server, FEED, token, actor=HANDLE, limit=101)[0] == 400


def test_facets_count_bytes(view):
    seen = set()
    for post in view.posts.values():
        text = post["record"]["text"].encode()
        for facet in post["record"].get("facets", []):
            words = text[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
            feature = facet["features"][0]
            kind = feature["$type"].partition("#")[2]
            assert (
                words
                == {"mention": "@coffee.example", "tag": f"#{feature.get('tag')}", "link": feature.get("uri")}[kind]
            )
            seen.add(kind)
    assert seen == {"mention", "tag", "link"}


def test_a_session_is_opened_with_the_password_and_refreshed(server):
    for wrong in (LOGIN | {"password": "x"}, LOGIN | {"identifier": "x.example"}):
        status, _, body = ask(server, CREATE, body=wrong)
        assert (status, body["error"]) == (401, "AuthenticationRequired")
    assert ask(server, FEED, actor=HANDLE)[0] == 401
    session = ask(server, CREATE, body=LOGIN)[2]
    assert ask(server, FEED, session["refreshJwt"], actor=HANDLE)[0] == 401
    server.expire()
    status, _, body = ask(server, FEED, session["accessJwt"], actor=HANDLE)
    assert (status, body["error"]) == (400, "ExpiredToken")
    assert ask(server, REFRESH, session["refreshJwt"], {}, is_post=True)[0] == 400
    renewed = ask(server, REFRESH, session["refreshJwt"], is_post=True)[2]
    assert ask(server, FEED, renewed["accessJwt"], actor=HANDLE)[0] == 200
    assert server.sessions == 1


def test_limits_are_told_and_held(server, token):
    headers = ask(server, FEED, token, actor=HANDLE)[1]
    assert headers["RateLimit-Limit"] == "10000" and headers["Date"] == "Thu, 01 Oct 2026 00:00:00 GMT"
    assert int(headers["RateLimit-Reset"]) > 1790812800 and headers["RateLimit-Policy"] == "10000;w=300"
    server.limit = 0
    status, headers, body = ask(server, FEED, token, actor=HANDLE)
    assert (status, body["error"], headers["Retry-After"]) == (429, "RateLimitExceeded", None)
