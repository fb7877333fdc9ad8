"""A small HTTP server over a route table, on a free loopback port, in a thread of its own."""

import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from sandbox.misbehave import Misbehave, Response

Routes = dict[str, Callable[..., Response]]  # "GET /v1/(\d+)" -> function(query, *groups); the whole path must match


class Server(ThreadingHTTPServer):
    """Serves `routes` until `stop`; `misbehave` programs faults and knows the requests."""

    server_bind = TCPServer.server_bind  # HTTPServer's asks the name service for our name, which can take seconds
    request_queue_size = 64

    def __init__(self, routes: Routes, not_found: Response) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes = {re.compile(route): function for route, function in routes.items()}
        self.not_found = not_found
        self.misbehave = Misbehave()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def respond(self, method: str, path: str, query: dict[str, str]) -> Response:
        """The right answer to a request."""
        for route, function in self.routes.items():
            if match := route.fullmatch(f"{method} {path}"):
                return function(query, *match.groups())
        return self.not_found

    def stop(self) -> None:
        """Stops serving and frees the port."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # headers and body in one packet

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        response = self.server.misbehave.answer(
            self.command, url.path, url.query,
            lambda: self.server.respond(self.command, url.path, dict(parse_qsl(url.query))),
        )  # fmt: skip
        self.send_response(response.status)
        for name, value in (response.headers | {"Content-Length": str(len(response.body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body[: response.sent])
        if response.sent is not None:
            self.close_connection = True

    def log_message(self, *_) -> None:
        """Silent: `misbehave.requests` is the log."""
