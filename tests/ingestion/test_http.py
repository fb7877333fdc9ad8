"""The HTTP client against a real server that misbehaves."""

import socket
import time
from decimal import Decimal

import pytest

from ingestion import http
from ingestion.errors import SourceError
from ingestion.http import Client, NotFound
from sandbox.misbehave import Response
from sandbox.server import Server

ROUTES = {
    "GET /v1/good": lambda query: Response(200, b'{"price": 1.10, "many": 12345678901234567890, "odd": NaN}'),
    "GET /v1/no": lambda query: Response.json(422, {"message": "invalid date"}),
    "GET /v1/empty": lambda query: Response(200, b""),
}


@pytest.fixture(scope="module")
def running():
    server = Server(ROUTES, Response.json(404, {"message": "not found"}))
    yield server
    server.stop()


@pytest.fixture
def server(running):
    running.misbehave.requests.clear()
    return running


@pytest.fixture
def client(server, short_waits):
    client = Client(f"{server.url}/v1/")
    yield client
    client.session.close()


def statuses(server):
    return [request.status for request in server.misbehave.requests]


def test_answer(client, server):
    answer = client.get("good", base="EUR")
    assert answer.json == {"price": Decimal("1.10"), "many": 12345678901234567890, "odd": "NaN"}
    assert answer.path == "/v1/good?base=EUR" == f"{server.misbehave.requests[0].path}?base=EUR"


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "cut", "html"])
def test_tried_again(client, server, fault):
    server.misbehave.next(fault, times=2)
    assert client.get("good").json["price"] == Decimal("1.10")
    assert len(server.misbehave.requests) == 3


def test_back_off_grows(server, monkeypatch):
    """Half a second at first, then the double each time, and at most a second of jitter."""
    waits = []
    back_off = http._back_off
    monkeypatch.setattr(http, "_back_off", lambda attempt: waits.append(back_off(attempt)) or 0)
    server.misbehave.next("503", times=5)
    Client(f"{server.url}/v1").get("good")
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number <= wait <= 0.5 * 2**number + 1
    assert len(waits) == 5


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(client, server, as_date):
    server.misbehave.next("429", retry_after=2, as_date=as_date)
    started = time.monotonic()
    client.get("good")
    assert 0.9 < time.monotonic() - started < 5, "the header asks for 2 s, of which a date may round one away"


def test_retry_after_that_is_too_long(client, server):
    server.misbehave.next("429", retry_after=601)
    with pytest.raises(SourceError, match="/v1/good: the server asks to wait 601 s, longer than 600 s"):
        client.get("good")
    assert statuses(server) == [429]


def test_retry_after_that_is_nonsense(short_waits):
    answers = iter([Response(503, b"", {"Retry-After": "soon"}), Response(200, b"[]")])
    server = Server({"GET /odd": lambda call: next(answers)}, Response(404, b""))
    assert Client(server.url).get("odd").json == []
    server.stop()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("503", "the server answered 503 Service Unavailable, in 6 attempts. Try again later"),
        ("html", "the answer is not JSON but text/html: <html><body>Please log in.*Check the option base_url"),
        ("cut", "no complete answer"),
    ],
)
def test_gives_up(client, server, fault, message):
    server.misbehave.next(fault, times=6)
    with pytest.raises(SourceError, match=rf"{server.url}/v1/good: {message}"):
        client.get("good")
    assert len(server.misbehave.requests) == 6


def test_empty_answer_is_no_answer(client, server):
    with pytest.raises(SourceError, match="not JSON"):
        client.get("empty")


@pytest.mark.parametrize("fault", ["401", "403"])
def test_refusal_is_not_tried_again(client, server, fault):
    server.misbehave.next(fault)
    with pytest.raises(SourceError, match=f"/v1/good: {fault} .*"):
        client.get("good")
    assert statuses(server) == [int(fault)]


def test_bad_request_is_not_tried_again(client, server):
    with pytest.raises(SourceError, match=r"/v1/no: 422 Unprocessable Entity: .*invalid date"):
        client.get("no")
    assert statuses(server) == [422]


def test_not_found(client, server):
    with pytest.raises(NotFound, match="/v1/nothing: 404 Not Found"):
        client.get("nothing")
    assert statuses(server) == [404]


def test_connection_refused(short_waits):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SourceError, match=rf"{url}/good: no complete answer \(ConnectionError\), in 6 attempts"):
            Client(url).get("good")


def test_host_that_does_not_exist(short_waits):
    with pytest.raises(SourceError, match="no complete answer"):
        Client("http://nowhere.invalid/v1").get("good")


@pytest.mark.parametrize("url", ["api.frankfurter.dev/v1", "http://", "ftp://example.com", "http://[::1"])
def test_what_is_no_url(url):
    with pytest.raises(SourceError, match="is not a URL: correct the option base_url"):
        Client(url).get("good")
