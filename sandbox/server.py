"""A small HTTP server over a route table, on a free loopback port, in a thread of its own."""

import gc
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.misbehave import Misbehave, Response


@dataclass
class Call:
    """One request: its query (of a parameter given twice the last one; `pairs` has all), headers, and body."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message = field(default_factory=Message)
    body: bytes = b""
    pairs: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Every value of a parameter."""
        return [value for key, value in self.pairs if key == name]

    @cached_property
    def json(self) -> Any:
        """The body; raises ValueError if it is not JSON."""
        return json.loads(self.body)


# "GET /v1/(\d+)" -> function(call, *groups); the whole path must match
Routes = dict[str, Callable[..., Response]]


class Server(ThreadingHTTPServer):
    """Serves `routes` until `stop`; `misbehave` programs faults and knows the requests.

    `guard(call)` is asked first: an answer of its own (no key, too many requests) ends the matter. `now` gives the
    seconds since 1970 of the Date header.
    """

    server_bind = TCPServer.server_bind  # HTTPServer's asks the name service for our name, which can take seconds
    request_queue_size = 64

    def __init__(
        self, routes: Routes, not_found: Response, guard: Callable[[Call], Response | None] = lambda call: None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.now: Callable[[], float] = time.time
        self.routes = {re.compile(route): function for route, function in routes.items()}
        self.not_found, self.guard = not_found, guard
        self.misbehave = Misbehave()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def respond(self, call: Call) -> Response:
        """The right answer to a request."""
        if refusal := self.guard(call):
            return refusal
        for route, function in self.routes.items():
            if match := route.fullmatch(f"{call.method} {call.path}"):
                return function(call, *match.groups())
        return self.not_found

    def stop(self) -> None:
        """Stops serving and frees the port."""
        self.shutdown()
        self.server_close()


def latest(path: Path, make: Callable[[Any], Any] = lambda content: content) -> Callable[[], Any]:
    """Gives what `make` makes of the JSON in `path`: made at the first call, anew once the file has been replaced."""
    lock, known = Lock(), {}

    def get() -> Any:
        with lock:
            seen = path.stat()
            if known.get("file") != (seen.st_ino, seen.st_mtime_ns):
                known.update(file=(seen.st_ino, seen.st_mtime_ns), value=make(json.loads(path.read_text())))
                gc.freeze()  # it stays: the collector need not walk through millions of rows again and again
            return known["value"]

    return get


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # headers and body in one packet

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pairs = parse_qsl(url.query, keep_blank_values=True)
        call = Call(self.command, url.path, dict(pairs), self.headers, body, pairs)
        response = self.server.misbehave.answer(self.command, url.path, url.query, lambda: self.server.respond(call))
        self.send_response(response.status)
        for name, value in (response.headers | {"Content-Length": str(len(response.body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[: response.sent])
        if response.sent is not None:
            self.close_connection = True

    do_POST = do_GET

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.now())

    def log_message(self, *_) -> None:
        """Silent: `misbehave.requests` is the log."""
