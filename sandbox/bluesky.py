"""Bluesky's API (XRPC) over the posts that the company's social life wrote there: sessions, feeds, threads, search.

Where the lexicons are silent, as Bluesky's own servers have it: an expired token is a 400, limits reset at a number of
seconds since 1970, a search takes phrases in quotation marks, and its cursor ends before many results do.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.bluesky_view import View, basic
from sandbox.misbehave import Response
from sandbox.server import Call, Server
from sandbox.simulation import Row

DEFS = "app.bsky.feed.defs#"


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, error: str, message: str) -> None:
        self.response = Response.json(status, {"error": error, "message": message})


EXPIRED = 400, "ExpiredToken", "Token has expired"
LIMITED = 429, "RateLimitExceeded", "Rate Limit Exceeded"


class Bluesky(Server):
    """`limit` requests within `period` seconds get an answer; searches find nothing of the last `lag` hours, and at
    most `most_hits` posts. `sessions` counts those that were opened, and `status` is their account's."""

    limit, period, lag, most_hits = 10_000, 300.0, 0.0, 5_000

    def __init__(self, view: Callable[[], View], clock: Callable[[], date], password: str) -> None:
        self.view, self.password, self.status = view, password, "active"
        self.sessions, self._issued, self._expired, self._sent = 0, 0, 0, deque[float]()
        queries = {
            "app.bsky.actor.getProfiles": self._profiles, "app.bsky.feed.getAuthorFeed": self._feed,
            "app.bsky.feed.getPosts": self._posts, "app.bsky.feed.getPostThread": self._thread,
            "app.bsky.feed.searchPosts": self._search, "app.bsky.notification.listNotifications": self._notifications,
        }  # fmt: skip
        routes: dict[str, Callable] = {f"GET /xrpc/{method}": function for method, function in queries.items()}
        routes["POST /xrpc/com.atproto.server.createSession"] = self._create_session
        routes["POST /xrpc/com.atproto.server.refreshSession"] = self._refresh_session
        super().__init__(routes, Refusal(404, "XRPCNotSupported", "XRPCNotSupported").response)
        self.now = lambda: datetime.combine(clock(), datetime.min.time(), UTC).timestamp()
        self.misbehave.faults |= {
            "429": lambda response, seconds=0.0: self._with_limits(Refusal(*LIMITED).response, 0, float(seconds)),
            "502": lambda response: Refusal(502, "UpstreamFailure", "Upstream Failure").response,
        }

    def respond(self, call: Call) -> Response:
        """The right answer or refusal, with what is left of the limit."""
        while self._sent and self._sent[0] <= time.monotonic() - self.period:
            self._sent.popleft()
        try:
            if len(self._sent) >= self.limit:
                raise Refusal(*LIMITED)
            self._sent.append(time.monotonic())
            if call.method == "GET":
                self._authorize(call, "access")
            response = super().respond(call)
        except Refusal as refusal:
            response = refusal.response
        reset = self.period - (time.monotonic() - self._sent[0]) if self._sent else self.period
        return self._with_limits(response, self.limit - len(self._sent), reset)

    def expire(self) -> None:
        """Ends the access tokens that were given so far; they can be refreshed."""
        self._expired = self._issued

    def _with_limits(self, response: Response, left: int, reset: float) -> Response:
        figures = {"Limit": self.limit, "Remaining": left, "Reset": int(self.now() + reset),
                   "Policy": f"{self.limit};w={self.period:.0f}"}  # fmt: skip
        response.headers |= {f"RateLimit-{name}": str(figure) for name, figure in figures.items()}
        return response

    # Sessions

    def _create_session(self, call: Call) -> Response:
        handle = self.view().accounts[self.view().own]["handle"]
        if (call.json.get("identifier"), call.json.get("password")) != (handle, self.password):
            raise Refusal(401, "AuthenticationRequired", "Invalid identifier or password")
        self.sessions += 1
        return self._session()

    def _refresh_session(self, call: Call) -> Response:
        if call.body:
            raise Refusal(400, "InvalidRequest", "A request body was provided when none was expected")
        self._authorize(call, "refresh")
        return self._session()

    def _session(self) -> Response:
        self._issued += 1
        own = self.view().accounts[self.view().own]
        state = {"active": True} if self.status == "active" else {"active": False, "status": self.status}
        return Response.json(200, {
            "did": own["did"], "handle": own["handle"], **state,
            "accessJwt": f"access.{self._issued}.{id(self)}", "refreshJwt": f"refresh.{self._issued}.{id(self)}",
        })  # fmt: skip

    def _authorize(self, call: Call, kind: str) -> None:
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        name, _, rest = token.partition(".")
        if scheme != "Bearer" or name != kind:
            raise Refusal(401, "AuthMissing", "Authentication Required")
        if kind == "access" and int(rest.partition(".")[0]) <= self._expired:
            raise Refusal(*EXPIRED)

    # Queries

    def _profiles(self, call: Call) -> Response:
        asked = {name.lower() for name in _several(call, "actors")}
        profiles = [one for one in self.view().accounts.values() if {one["did"], one["handle"].lower()} & asked]
        return Response.json(200, {"profiles": profiles})

    def _feed(self, call: Call) -> Response:
        view, actor = self.view(), call.query.get("actor")
        if not any(actor in (one["did"], one["handle"]) for one in view.accounts.values()):
            raise Refusal(400, "InvalidRequest", "Profile not found")
        posts = [post for post in view.posts.values() if actor in (post["author"]["did"], post["author"]["handle"])]
        page, cursor = _page(call, posts, "indexedAt")
        return Response.json(200, {"feed": [{"post": post} for post in page], **cursor})

    def _notifications(self, call: Call) -> Response:
        view = self.view()
        rows = [
            {**{name: post[name] for name in ("uri", "cid", "record", "indexedAt", "labels")},
             "reason": view.kinds[key], "author": basic(view.accounts[post["author"]["did"]]), "isRead": False,
             **({"reasonSubject": post["record"]["reply"]["parent"]["uri"]} if "reply" in post["record"] else {})}
            for key, post in view.posts.items() if view.kinds[key] in (call.all("reasons") or ["mention", "reply"])
        ]  # fmt: skip
        page, cursor = _page(call, rows, "indexedAt")
        return Response.json(200, {"notifications": page, **cursor})

    def _posts(self, call: Call) -> Response:
        posts = self.view().posts
        return Response.json(200, {"posts": [posts[uri] for uri in _several(call, "uris") if uri in posts]})

    def _thread(self, call: Call) -> Response:
        view, uri, depth = self.view(), call.query.get("uri", ""), int(call.query.get("depth", 6))
        if uri not in view.posts:
            raise Refusal(400, "NotFound", f"Post not found: {uri}")

        def below(uri: str, levels: int) -> Row:
            replies = [below(child, levels - 1) for child in view.children.get(uri, ())] if levels else []
            return {"$type": f"{DEFS}threadViewPost", "post": view.posts[uri], "replies": replies, "threadContext": {}}

        return Response.json(200, {"thread": below(uri, depth)})

    def _search(self, call: Call) -> Response:
        phrase, query = call.query.get("q", "").lower(), call.query
        words = [phrase.strip('"')] if phrase.startswith('"') else phrase.split()
        if not words:
            raise Refusal(400, "InvalidRequest", "Error: Params must have the property q")
        lagging = datetime.fromtimestamp(self.now(), UTC) - timedelta(hours=self.lag)
        bounds = query.get("since", ""), min(query.get("until", "9"), lagging.isoformat())
        posts = [
            post for post in self.view().posts.values()
            if bounds[0] <= post["record"]["createdAt"] < bounds[1]
            and all(word in post["record"]["text"].lower() for word in words)
        ][::-1][: self.most_hits]  # fmt: skip
        start, count = int(query.get("cursor", 0)), _limit(call, 25)
        cursor = {"cursor": str(start + count)} if start + count < len(posts) else {}
        return Response.json(200, {"posts": posts[start : start + count], "hitsTotal": len(posts), **cursor})


def _limit(call: Call, default: int) -> int:
    limit = int(call.query.get("limit", default))
    if not 1 <= limit <= 100:
        raise Refusal(400, "InvalidRequest", "Error: limit can not be greater than 100")
    return limit


def _several(call: Call, name: str) -> list[str]:
    values = call.all(name)
    if not 1 <= len(values) <= 25:
        raise Refusal(400, "InvalidRequest", f"Error: {name} must not have more than 25 elements")
    return values


def _page(call: Call, rows: list[Row], time_of: str) -> tuple[list[Row], dict[str, Any]]:
    """The newest rows before the cursor, newest first."""
    rows = [row for row in rows if row[time_of] < call.query.get("cursor", "9")]
    page = rows[-_limit(call, 50) :][::-1]
    return page, {"cursor": page[-1][time_of]} if len(page) < len(rows) else {}


def serve(view: Callable[[], View], clock: Callable[[], date], password: str) -> Bluesky:
    """Starts the API over what `view` gives at each request; `password` is the company's app password."""
    return Bluesky(view, clock, password)
