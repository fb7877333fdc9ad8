import json
import re
from html import unescape
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest

from sandbox import mastodon
from sandbox.company import CLOCK
from sandbox.mastodon_view import View
from tests.specification import specification

TOKEN = "a token of the company"


@pytest.fixture(scope="module")
def tables(bigger):
    return bigger.social.tables("mastodon")


@pytest.fixture(scope="module")
def running(tables):
    view = View(tables)
    server = mastodon.serve(lambda: view, lambda: CLOCK, TOKEN)
    yield server
    server.stop()


@pytest.fixture
def server(running):
    running.limit, running.period = 10_000, 300.0
    return running


@pytest.fixture(scope="module")
def spec():
    return specification("mastodon_4.7.0.openapi.json.gz")


def ask(server, path, token=TOKEN, **query):
    """Status, headers and JSON of an answer."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with urlopen(Request(f"{server.url}{path}?{urlencode(query, doseq=True)}", headers=headers)) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except HTTPError as error:
        body = error.read()
        return error.code, error.headers, json.loads(body) if body else None


def get(server, path, **query):
    status, _, body = ask(server, path, **query)
    assert status == 200, body
    return body


def following(headers, rel="next"):
    """The parameters of the page that the Link header names."""
    links = dict(re.findall(r'<([^>]*)>; rel="(\w+)"', headers.get("Link", "")))
    links = {name: url for url, name in links.items()}
    return dict(parse_qsl(urlsplit(links[rel]).query)) if rel in links else {}


def pages(server, path, **query):
    """All rows of a list, page by page."""
    rows, more = [], query
    while more:
        status, headers, body = ask(server, path, **more)
        assert status == 200 and len(body) <= int(query["limit"])
        rows += body
        more = following(headers)
    return rows


def own(tables, kinds=("own",)):
    return [post["key"] for post in tables["posts"] if post["kind"] in kinds]


def test_every_answer_holds_against_the_specification(server, tables, spec):
    (account,) = [row for row in tables["accounts"] if row["is_own"]]
    answered = next(post["key"] for post in tables["posts"] if post["kind"] == "own" and post["replies"])
    calls = [
        ("/api/v1/accounts/verify_credentials", {}),
        ("/api/v1/accounts/lookup", {"acct": "catchment"}),
        (f"/api/v1/accounts/{account['key']}/statuses", {"limit": "40"}),
        (f"/api/v1/accounts/{account['key']}/statuses", {"limit": "40", "max_id": own(tables)[-1]}),
        ("/api/v1/notifications", {"limit": "80"}),
        ("/api/v1/statuses", {}),
        (f"/api/v1/statuses/{answered}", {}),
        (f"/api/v1/statuses/{answered}/context", {}),
        ("/api/v1/timelines/tag/CatchmentCoffee", {"limit": "40"}),
        ("/api/v2/search", {"q": "catchment coffee", "type": "statuses", "limit": "40", "offset": "0"}),
    ]
    for path, query in calls:
        status, headers, body = ask(server, path, **query)
        assert status == 200
        assert spec.request("GET", path, query) == []
        assert spec.answer("GET", path, status, headers["Content-Type"], body) == []
        for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
            assert headers[name]
        assert body or path == "/api/v1/statuses"


def test_refusals_are_errors(server, spec):
    refusals = [
        ("/api/v1/statuses/1", TOKEN, {}, 404, "Record not found"),
        ("/api/v1/statuses/1/context", TOKEN, {}, 404, "Record not found"),
        ("/api/v1/accounts/lookup", TOKEN, {"acct": "nobody"}, 404, "Record not found"),
        ("/api/v1/accounts/1/statuses", TOKEN, {}, 404, "Record not found"),
        ("/api/v1/notifications", "another", {}, 401, "The access token is invalid"),
    ]
    for path, token, query, expected, message in refusals:
        status, headers, body = ask(server, path, token, **query)
        assert (status, body["error"]) == (expected, message)
        assert spec.answer("GET", path, status, headers["Content-Type"], body) == []
    assert ask(server, "/api/v1/statuses", **{"id[]": range(21)})[0] == 422


def test_lists_go_from_the_newest_to_the_oldest(server, tables):
    (account,) = [row["key"] for row in tables["accounts"] if row["is_own"]]
    rows = pages(server, f"/api/v1/accounts/{account}/statuses", limit=7)
    assert [row["id"] for row in rows if not row["reblog"]] == own(tables)[::-1]
    boosts = [row for row in rows if row["reblog"]]
    assert boosts and all(row["content"] == row["reblog"]["content"] for row in boosts)
    assert all(row["reblog"]["account"]["id"] != account for row in boosts)
    assert [int(row["id"]) for row in rows] == sorted((int(row["id"]) for row in rows), reverse=True)


def test_mentions_tags_and_searches_find_what_they_should(server, tables):
    (account,) = [row["key"] for row in tables["accounts"] if row["is_own"]]
    mentions = pages(server, "/api/v1/notifications", **{"limit": 9, "types[]": "mention"})
    expected = [post["key"] for post in tables["posts"] if account in post["mentions"]]
    assert [row["status"]["id"] for row in mentions] == expected[::-1]
    tagged = pages(server, f"/api/v1/timelines/tag/{quote('coffee')}", limit=9)
    expected = [post["key"] for post in tables["posts"] if "coffee" in [tag.lower() for tag in post["tags"]]]
    assert [row["id"] for row in tagged] == expected[::-1]
    searches = [('"catchment coffee"', "catchment coffee"), ("annoyed espresso", "espresso machine leaks again")]
    for words, phrase in searches:
        expected = [post["key"] for post in tables["posts"] if phrase in post["text"].lower()]
        query = {"q": words, "type": "statuses", "limit": 5}
        found = [get(server, "/api/v2/search", offset=5 * page, **query)["statuses"] for page in range(40)]
        assert [row["id"] for page in found for row in page] == expected[::-1] != []


def test_min_id_and_since_id_bound_from_below(server, tables):
    (account,) = [row["key"] for row in tables["accounts"] if row["is_own"]]
    path, keys = f"/api/v1/accounts/{account}/statuses", own(tables)
    first = keys[0]
    newest = get(server, path, limit=3, since_id=first)
    assert newest[0]["id"] == get(server, path, limit=1)[0]["id"]
    oldest = [row["id"] for row in get(server, path, limit=40, min_id=first) if not row["reblog"]]
    assert keys[1] in oldest and first not in oldest


def test_threads_have_what_was_answered_and_to_what(server, tables):
    replies = {post["key"]: post["reply_to"] for post in tables["posts"] if post["reply_to"]}
    for key, parent in list(replies.items())[:20]:
        if parent in {post["key"] for post in tables["posts"]}:
            context = get(server, f"/api/v1/statuses/{parent}/context")
            assert key in [row["id"] for row in context["descendants"]]
            assert parent in [row["id"] for row in get(server, f"/api/v1/statuses/{key}/context")["ancestors"]]


def test_content_is_the_text_in_html(server, tables):
    texts = {post["key"]: post["text"] for post in tables["posts"]}
    rows = get(server, "/api/v1/statuses", **{"id[]": list(texts)[:20]})
    assert len(rows) == 20
    for row in rows:
        assert row["content"].startswith("<p>") and row["content"].endswith("</p>")
        plain = unescape(re.sub(r"<[^>]*>", "", row["content"]))
        assert plain == re.sub(r"(@\w+)@[\w.-]+\w", r"\1", texts[row["id"]].replace("\n", ""))


def test_too_many_requests_are_refused_until_the_reset(server):
    server.limit, server.period = len(server._sent) + 1, 300.0
    assert ask(server, "/api/v1/notifications")[0] == 200
    status, headers, body = ask(server, "/api/v1/notifications")
    assert (status, body) == (429, {"error": "Too many requests"})
    assert headers["X-RateLimit-Remaining"] == "0" and "Retry-After" not in headers
    assert headers["X-RateLimit-Reset"].startswith(f"{CLOCK}T00:0")
