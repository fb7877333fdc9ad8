"""What a vendor's server does on a bad day, on request: one middleware for every server of the sandbox.

From a test: `server.misbehave.next("429", times=2, retry_after=1)`. From outside, for the servers of `running`:
SANDBOX_MISBEHAVE="exchange_rates:503:2,exchange_rates:429:1:retry_after=1" (system:fault[:times[:option=value...]]).
"""

import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from threading import Lock
from typing import Any, NamedTuple


class Request(NamedTuple):
    """One request that a server saw, and the status it answered."""

    method: str
    path: str
    query: str
    status: int


@dataclass
class Response:
    """An answer before it is sent. `sent`: how many bytes of the body go out before the connection closes."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None

    @classmethod
    def json(cls, status: int, value: Any) -> "Response":
        """A JSON answer."""
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8"})


def _refuse(response: Response, status: int, retry_after: float | None = None, as_date: bool = False) -> Response:
    answer = Response.json(status, {"message": {429: "too many requests"}.get(status, "server error")})
    if retry_after is not None:
        seconds = int(retry_after)
        answer.headers["Retry-After"] = formatdate(time.time() + seconds, usegmt=True) if as_date else str(seconds)
    return answer


def _cut(response: Response) -> Response:
    return replace(response, sent=len(response.body) // 2)


def _html(response: Response) -> Response:
    return Response(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})


def _slow(response: Response, seconds: float = 1.0) -> Response:
    time.sleep(float(seconds))
    return response


def _drift(response: Response, change: Callable[[Any], Any]) -> Response:
    """Rows move between pages: `change` turns the right answer's JSON into the one that is sent."""
    return Response.json(response.status, change(json.loads(response.body)))


FAULTS: dict[str, Callable[..., Response]] = {
    "429": lambda response, **options: _refuse(response, 429, **options),
    "500": lambda response, **options: _refuse(response, 500, **options),
    "502": lambda response, **options: _refuse(response, 502, **options),
    "503": lambda response, **options: _refuse(response, 503, **options),
    "401": lambda response: Response.json(401, {"message": "token expired"}),
    "403": lambda response, scope="read": Response.json(403, {"message": "missing scope", "scope": scope}),
    "cut": _cut,  # Content-Length promises more than comes
    "html": _html,  # 200, but a page for people
    "error": lambda response: Response.json(200, {"error": {"code": 1, "message": "internal error"}}),
    "slow": _slow,
    "drift": _drift,
    "repeat": lambda response, previous: previous,  # the answer before this one on the same path
}


class Misbehave:
    """The faults that are still to come, in order, and the requests seen so far."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults = dict(FAULTS)  # a vendor's server replaces those that it words in a way of its own
        self._previous: dict[str, Response] = {}  # by path
        self._faults: deque[tuple[str, str, dict]] = deque()
        self._lock = Lock()

    def next(self, fault: str, times: int = 1, path: str = "", **options: Any) -> None:
        """The next `times` requests whose path contains `path` get `fault`, a name of `faults`, with its options.

        Options: retry_after (seconds) and as_date of 429 and 5xx; scope of 403; seconds of slow; change of drift.
        """
        if fault not in self.faults:
            raise ValueError(f"unknown fault {fault!r}, known: {', '.join(self.faults)}")
        self._faults.extend([(fault, path, options)] * times)

    def configure(self, system: str, text: str) -> None:
        """Takes this system's faults from a SANDBOX_MISBEHAVE text."""
        for entry in filter(None, text.split(",")):
            name, fault, *rest = entry.strip().split(":")
            if name == system:
                options = dict(option.split("=", 1) for option in rest[1:])
                self.next(fault, int(rest[0]) if rest else 1, **options)

    def answer(self, method: str, path: str, query: str, respond: Callable[[], Response]) -> Response:
        """The right response, or what the next fault for this path makes of it. Logs the request."""
        with self._lock:
            due = next((fault for fault in self._faults if fault[1] in path), None)
            if due:
                self._faults.remove(due)
        response = respond()
        if due:
            fault, _, options = due
            if fault == "repeat":
                options = {"previous": self._previous.get(path, response)}
            response = self.faults[fault](response, **options)
        self._previous[path] = response
        self.requests.append(Request(method, path, query, response.status))
        return response
