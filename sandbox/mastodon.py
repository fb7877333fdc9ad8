"""Mastodon's API over the posts that the company's social life wrote there: lists from the newest on, threads, search.

Where the specification is silent, as Mastodon's own code has it: a timeline always names a next page, an account's
statuses and the notifications only after a full one; at most 20 statuses are given by id; limits reset at a time in ISO
form, without Retry-After.
"""

import shlex
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from sandbox.mastodon_view import HOST, View
from sandbox.misbehave import Response
from sandbox.server import Call, Server
from sandbox.simulation import Row


def _refusal(status: int, message: str) -> Response:
    return Response.json(status, {"error": message})


class Mastodon(Server):
    """`limit` requests within `period` seconds get an answer."""

    limit, period = 10_000, 300.0

    def __init__(self, view: Callable[[], View], clock: Callable[[], date], token: str) -> None:
        self.view, self.token, self._sent = view, token, deque[float]()
        routes = {
            "/v1/accounts/verify_credentials": lambda call: Response.json(200, _credentials(self.view().own)),
            "/v1/accounts/lookup": self._lookup,
            r"/v1/accounts/(\d+)/statuses": self._written_by,
            "/v1/notifications": self._notifications,
            "/v1/statuses": self._by_ids,
            r"/v1/statuses/(\d+)": lambda call, key: _found(self.view().statuses.get(key)),
            r"/v1/statuses/(\d+)/context": self._context,
            "/v1/timelines/tag/([^/]+)": self._tagged,
            "/v2/search": self._search,
        }
        routes = {f"GET /api{path}": function for path, function in routes.items()}
        super().__init__(routes, _refusal(404, "Record not found"), self._guard)
        self.now = lambda: datetime.combine(clock(), datetime.min.time(), UTC).timestamp()
        self.misbehave.faults |= {
            "401": lambda response: _refusal(401, "The access token is invalid"),
            "403": lambda response: _refusal(403, "This action is outside the authorized scopes"),
            "422": lambda response: _refusal(422, "This method requires an authenticated user"),
            "410": lambda response: Response(410, b""),
            "limit": lambda response, seconds=300: self._limited(seconds),
            "error": lambda response: Response.json(200, {"error": "This is not what was asked for"}),
        }

    def respond(self, call: Call) -> Response:
        """The right answer, with what is left of the limit."""
        response = super().respond(call)
        left = max(0, self.limit - len(self._sent))
        reset = self.period - (time.monotonic() - self._sent[0]) if self._sent else self.period
        return self._with_limits(response, left, reset)

    def _guard(self, call: Call) -> Response | None:
        if call.headers.get("Authorization") != f"Bearer {self.token}":
            return _refusal(401, "The access token is invalid")
        while self._sent and self._sent[0] <= time.monotonic() - self.period:
            self._sent.popleft()
        if len(self._sent) >= self.limit:
            return _refusal(429, "Too many requests")
        self._sent.append(time.monotonic())
        return None

    def _limited(self, seconds: float) -> Response:
        return self._with_limits(_refusal(429, "Too many requests"), 0, float(seconds))

    def _with_limits(self, response: Response, left: int, reset: float) -> Response:
        at = datetime.fromtimestamp(self.now() + reset, UTC).isoformat().replace("+00:00", "Z")
        figures = {"Limit": str(self.limit), "Remaining": str(left), "Reset": at}
        response.headers |= {f"X-RateLimit-{name}": figure for name, figure in figures.items()}
        return response

    def _lookup(self, call: Call) -> Response:
        accounts = self.view().accounts.values()
        handle = call.query.get("acct", "").removesuffix(f"@{HOST}").lower()
        return _found(next((account for account in accounts if account["acct"].lower() == handle), None))

    def _written_by(self, call: Call, key: str) -> Response:
        view = self.view()
        if key not in view.accounts:
            return _found(None)
        return _page(call, [row for row in view.statuses.values() if row["account"]["id"] == key], 20, 40)

    def _notifications(self, call: Call) -> Response:
        view = self.view()
        mentions = [
            {"id": str(number), "type": "mention", "created_at": row["created_at"], "account": row["account"],
             "group_key": f"ungrouped-{number}", "status": row}
            for number, row in enumerate(view.statuses.values())
            if not row["reblog"] and any(one["id"] == view.own["id"] for one in row["mentions"])
        ]  # fmt: skip
        return _page(call, mentions if call.query.get("types[]", "mention") == "mention" else [], 40, 80)

    def _by_ids(self, call: Call) -> Response:
        if len(keys := call.all("id[]")) > 20:
            return _refusal(422, "Validation failed: too many statuses")
        return Response.json(200, [row for key in keys if (row := self.view().statuses.get(key))])

    def _context(self, call: Call, key: str) -> Response:
        statuses = self.view().statuses
        if key not in statuses:
            return _found(None)
        ancestors, at = [], statuses[key]
        while at := statuses.get(at["in_reply_to_id"]):
            ancestors.insert(0, at)
        descendants: dict[str, Row] = {}
        for row in statuses.values():  # an answer comes after what it answers
            if row["in_reply_to_id"] == key or row["in_reply_to_id"] in descendants:
                descendants[row["id"]] = row
        return Response.json(200, {"ancestors": ancestors, "descendants": list(descendants.values())})

    def _tagged(self, call: Call, tag: str) -> Response:
        tag = unquote(tag).lower()
        rows = [row for row in self.view().statuses.values() if not row["reblog"] and _has_tag(row, tag)]
        return _page(call, rows, 20, 40, is_timeline=True)

    def _search(self, call: Call) -> Response:
        view, words = self.view(), shlex.split(call.query.get("q", "").lower())  # "in quotes" is one
        found = [view.statuses[key] for key, text in view.texts.items()
                 if key in view.statuses and all(word in text for word in words)]  # fmt: skip
        start, count = int(call.query.get("offset", 0)), min(int(call.query.get("limit", 20)), 40)
        statuses = found[::-1][start : start + count] if call.query.get("type", "statuses") == "statuses" else []
        return Response.json(200, {"accounts": [], "statuses": statuses, "hashtags": []})


def _has_tag(row: Row, tag: str) -> bool:
    return any(one["name"] == tag for one in row["tags"])


def _credentials(account: Row) -> Row:
    source = {"privacy": "public", "sensitive": False, "language": "en", "note": "", "fields": [], "indexable": True,
              "discoverable": True, "hide_collections": False, "attribution_domains": [], "quote_policy": "public",
              "follow_requests_count": 0}  # fmt: skip
    role = {"id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": False}
    return account | {"source": source, "role": role}


def _found(entity: Any) -> Response:
    return Response.json(200, entity) if entity else _refusal(404, "Record not found")


def _page(call: Call, rows: list[Row], default: int, most: int, is_timeline: bool = False) -> Response:
    """The newest rows between since_id or min_id and max_id (with min_id the oldest of those), newest first."""
    query, number = call.query, lambda name: int(call.query[name])
    if "max_id" in query:
        rows = [row for row in rows if int(row["id"]) < number("max_id")]
    for name in ("since_id", "min_id"):
        if name in query:
            rows = [row for row in rows if int(row["id"]) > number(name)]
    count = min(int(query.get("limit", default)), most)
    rows = (rows[:count] if "min_id" in query else rows[-count:])[::-1]
    response = Response.json(200, rows)
    if rows:
        kept = {name: query[name] for name in ("limit", "types[]") if name in query}
        links = [("prev", {"min_id": rows[0]["id"]})]
        if is_timeline or len(rows) == count:
            links.insert(0, ("next", {"max_id": rows[-1]["id"]}))
        url = f"https://{HOST}{call.path}"
        response.headers["Link"] = ", ".join(
            f'<{url}?{urlencode(kept | cursor)}>; rel="{rel}"' for rel, cursor in links
        )
    return response


def serve(view: Callable[[], View], clock: Callable[[], date], token: str) -> Mastodon:
    """Starts the API over what `view` gives at each request; `token` is the company's."""
    return Mastodon(view, clock, token)
