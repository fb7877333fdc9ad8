"""The HTTP client against a real server that misbehaves."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ingestion import http
from ingestion.errors import SourceError
from ingestion.http import Client, Limit, NotFound, Refused
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
    client.close()


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


@pytest.mark.parametrize("form", ["time", "seconds"])
def test_a_limit_is_waited_for_until_its_reset(server, monkeypatch, form):
    waits = []
    monkeypatch.setattr(http.time, "sleep", waits.append)
    reset = datetime.now(UTC) + timedelta(seconds=40)
    header = reset.isoformat() if form == "time" else str(int(reset.timestamp()))
    server.misbehave.faults["limit"] = lambda response: Response(429, b"", {"X-RateLimit-Reset": header})
    server.misbehave.next("limit")
    Client(f"{server.url}/v1", reset_header="X-RateLimit-Reset").get("good")
    assert len(waits) == 1 and 38 <= waits[0] <= 41


@pytest.mark.parametrize(
    ("status", "header"), [(429, "2020-01-01T00:00:00Z"), (429, "soon"), (429, "9" * 30), (503, "2999-01-01T00:00:00Z")]
)
def test_a_reset_that_says_nothing_is_not_waited_for(client, server, status, header):
    client.reset_header = "X-RateLimit-Reset"
    server.misbehave.faults["limit"] = lambda response: Response(status, b"", {"X-RateLimit-Reset": header})
    server.misbehave.next("limit")
    assert client.get("good").json


def test_patience_where_the_server_does_not_say_how_long(server, monkeypatch):
    """Of a limit alone; what the server says counts first."""
    waits = []
    monkeypatch.setattr(http.time, "sleep", waits.append)
    monkeypatch.setattr(http, "_back_off", lambda attempt: 0.25)
    for fault, options in (("429", {}), ("503", {}), ("429", {"retry_after": 3})):
        server.misbehave.next(fault, **options)
    Client(f"{server.url}/v1", patience=15.0).get("good")
    assert waits == [15.0, 0.25, 3.0]


def test_the_next_page_is_told_by_its_query(client, server):
    link = (
        '<https://elsewhere.example/v1/good?limit=40&max_id=7>; rel="next", <https://x.example/?min_id=9>; rel="prev"'
    )
    server.misbehave.faults["link"] = lambda response: Response(200, b"{}", {"Link": link})
    server.misbehave.next("link")
    assert client.get("good").next_query == {"limit": "40", "max_id": "7"}
    assert client.get("good").next_query == {}


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
        client = Client(url)
        with pytest.raises(SourceError, match=rf"{url}/good: can't be reached \(ConnectionError\), in 6 attempts\."):
            client.get("good")
        with pytest.raises(SourceError, match=r"in 1 attempt\. Check the network and the option base_url"):
            client.get("another")  # what comes after does not wait as long again


def test_patience_comes_back_with_the_server(server, short_waits):
    client = Client("http://nowhere.invalid/v1")
    with pytest.raises(SourceError, match="in 6 attempts"):
        client.get("good")
    client.base_url = f"{server.url}/v1"
    client.get("good")
    server.misbehave.next("503", times=2)
    client.get("good")
    assert statuses(server) == [200, 503, 503, 200]


def test_host_that_does_not_exist(short_waits):
    with pytest.raises(SourceError, match="can't be reached"):
        Client("http://nowhere.invalid/v1").get("good")


@pytest.mark.parametrize("url", ["api.frankfurter.dev/v1", "http://", "ftp://example.com", "http://[::1"])
def test_what_is_no_url(url):
    with pytest.raises(SourceError, match="is not a URL: correct the option base_url"):
        Client(url).get("good")


class TestPost:
    """A JSON body, and an answer that has to be an object with a member."""

    @pytest.fixture
    def echo(self, short_waits):
        server = Server({"POST /v1/echo": lambda call: Response.json(200, {"sent": call.json})}, Response(404, b""))
        yield server
        server.stop()

    def test_body_and_headers(self, echo):
        seen = []
        echo.guard = lambda call: seen.append(dict(call.headers))
        client = Client(f"{echo.url}/v1", headers={"Authorization": "Bearer abc"})
        answer = client.post("echo", {"ids": [1, 2]}, "sent")
        assert answer.json == {"sent": {"ids": [1, 2]}}
        assert seen[0]["Authorization"] == "Bearer abc" and seen[0]["Content-Type"] == "application/json"

    def test_auth(self, echo):
        """A line break at the end of a copied key is no part of it."""
        seen = []
        echo.guard = lambda call: seen.append(call.headers["Authorization"])
        for key in ("key", "key\n"):
            Client(f"{echo.url}/v1", auth=("anybody", key)).post("echo", {})
            Client(f"{echo.url}/v1", headers={"Authorization": f"Bearer {key}"}).post("echo", {})
        assert seen == ["Basic YW55Ym9keTprZXk=", "Bearer key"] * 2

    @pytest.mark.parametrize(
        "options", [{"auth": ("anybody", "key\u2013us1")}, {"headers": {"Authorization": "pat\u2013eu1"}}]
    )
    def test_a_key_that_was_pasted_badly(self, echo, options):
        with pytest.raises(SourceError, match="the key has a character that no key has"):
            Client(f"{echo.url}/v1", **options).post("echo", {})

    @pytest.mark.parametrize("fault", ["error", "503", "cut", "html"])
    def test_a_200_without_the_member_is_tried_again(self, echo, fault):
        echo.misbehave.next(fault, times=2)
        assert Client(f"{echo.url}/v1").post("echo", {}, "sent").json == {"sent": {}}
        assert len(echo.misbehave.requests) == 3
        echo.misbehave.next("error", times=6)
        with pytest.raises(SourceError, match=r"the answer has no sent: .*internal error.*in 6 attempts"):
            Client(f"{echo.url}/v1").post("echo", {}, "sent")


def test_refusal_tells_its_status(client, server):
    with pytest.raises(Refused) as refusal:
        client.get("no")
    assert refusal.value.status == 422


def test_a_vendors_own_refusal(short_waits):
    """HubSpot's 530 for a malformed token would otherwise be tried again, as any 5xx."""
    other = Server({"GET /token": lambda call: Response(530, b"malformed")}, Response(404, b""))
    with pytest.raises(Refused, match="530") as refusal:
        Client(other.url, is_refusal=lambda response: response.status_code == 530).get("token")
    assert refusal.value.status == 530
    with pytest.raises(SourceError, match="in 6 attempts"):
        Client(other.url).get("token")
    other.stop()


def test_a_vendors_own_way_to_ask_for_patience(server, short_waits):
    server.misbehave.next("403", times=2)
    client = Client(f"{server.url}/v1", is_busy=lambda response: response.status_code == 403)
    assert client.get("good").json["price"] == Decimal("1.10")
    assert statuses(server) == [403, 403, 200]


def test_what_time_it_is_for_the_server(client, server, monkeypatch):
    monkeypatch.setattr(server, "now", lambda: 1_700_000_000)
    assert client.get("good").served_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


class TestLimit:
    """Requests of all threads within a sliding window."""

    def test_no_window_has_more_requests_than_allowed(self):
        limit, sent = Limit(5, 0.3), []

        def work():
            for _ in range(4):
                limit.wait()
                sent.append(time.monotonic())

        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(work) for _ in range(4)]:
                future.result()
        sent.sort()
        assert len(sent) == 16
        # Between a request and the fifth after it lies the window, less what passed between wait() and the clock.
        assert min(later - earlier for earlier, later in zip(sent, sent[5:], strict=False)) > 0.35

    def test_pause_holds_all_up(self):
        limit, started = Limit(100, 1), time.monotonic()
        limit.pause(0.3)
        limit.wait()
        assert time.monotonic() - started >= 0.3

    def test_429_holds_the_other_threads_up(self, server, short_waits):
        limit = Limit(100, 1)
        server.misbehave.next("429", retry_after=1)
        Client(f"{server.url}/v1", limit=limit).get("good")
        assert limit._resume_at > 0

    def test_the_header_wins(self, server):
        answers = {"GET /good": lambda call: Response(200, b"{}", {"X-Limit": "190"})}
        other = Server(answers, Response(404, b""))
        limit = Limit(100, 10)
        Client(other.url, limit=limit, limit_header="X-Limit").get("good")
        other.stop()
        assert limit.requests == 190


def test_connections_at_once(server):
    open_now, most, lock = 0, 0, threading.Lock()

    def slow(call):
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        time.sleep(0.05)
        with lock:
            open_now -= 1
        return Response(200, b"{}")

    other = Server({"GET /slow": slow}, Response(404, b""))
    client = Client(other.url, connections=3)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.get("slow"), range(12)))
    other.stop()
    assert most == 3
