"""One HTTP client for all API sources: retries, waits, limits, and errors that a person can act on."""

import collections
import dataclasses
import email.utils
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import tenacity

from ingestion.errors import SourceError

if TYPE_CHECKING:  # it takes a while to import, and databases do without
    import requests

ATTEMPTS = 6
LONGEST_WAIT = 600.0
"""Seconds. A source that asks for a longer wait has failed for this run."""
LEEWAY = 0.1
"""Seconds by which requests that were sent apart may arrive closer together."""
TIMEOUT = (10, 120)
"""Seconds to connect, and between two pieces of an answer."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclasses.dataclass
class Answer:
    """A JSON answer; numbers with a fraction are Decimal, so that no digit is lost.

    `observed_at` is when the request began by our clock, `served_at` when it was answered by the server's (UTC).
    `next_query` has the parameters of the page that the Link header (RFC 8288) calls the next one, if it does.
    """

    json: Any
    path: str
    observed_at: datetime
    served_at: datetime
    next_query: dict[str, str] = dataclasses.field(default_factory=dict)


class Refused(SourceError):
    """The server answered `status`, as a rule of the 400s, and would do so again."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotFound(Refused):
    """The server answered 404."""


class _Transient(Exception):
    """Worth another try. `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None, *, is_limit: bool = False) -> None:
        super().__init__(message)
        self.wait, self.is_limit = wait, is_limit


class _NoConnection(_Transient):
    """There is no such host, or nobody there who listens."""


class Limit:
    """At most `requests` within any `seconds` (and LEEWAY), over all threads; `pause` holds all of them up."""

    def __init__(self, requests: int, seconds: float) -> None:
        self.requests, self.seconds = requests, seconds + LEEWAY
        self._sent: collections.deque[float] = collections.deque()
        self._lock, self._resume_at = threading.Lock(), 0.0

    def wait(self) -> None:
        """Returns when the next request may be sent."""
        while True:
            with self._lock:
                now = time.monotonic()
                while self._sent and self._sent[0] <= now - self.seconds:
                    self._sent.popleft()
                free_at = self._sent[-self.requests] + self.seconds if len(self._sent) >= self.requests else now
                delay = max(free_at, self._resume_at) - now
                if delay <= 0:
                    self._sent.append(now)
                    return
            time.sleep(delay)

    def pause(self, seconds: float) -> None:
        """The server has had enough for the time being."""
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)


class Client:
    """GETs and POSTs JSON below one base URL; threads may share it.

    429, 5xx, broken connections, cut bodies, and a 200 that is not the expected JSON are tried again with exponential
    back-off and jitter, or after the time in Retry-After; any other refusal is a `Refused` at once. `is_busy` tells
    the answers with which a vendor asks for fewer requests in a way of its own. `headers` and `auth` go with every
    request, `connections` may be open at once. `limit_header` names the header that says what `limit` really is, and
    `reset_header` the one that says, where there is no Retry-After, until when it lasts: a time, or seconds since 1970.
    `is_refusal` tells the answers with which a vendor refuses for good, although their status is 429 or of the 500s.
    `patience` are the seconds after which a server that has had enough is asked again, where it does not say when.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        limit: Limit | None = None,
        limit_header: str = "",
        reset_header: str = "",
        connections: int = 10,
        is_busy: Callable[["requests.Response"], bool] = lambda response: False,
        is_refusal: Callable[["requests.Response"], bool] = lambda response: False,
        patience: float | None = None,
    ) -> None:
        import requests
        import urllib3

        self.base_url, self.is_busy, self.is_refusal = base_url.rstrip("/"), is_busy, is_refusal
        self.limit, self.limit_header, self.reset_header = limit, limit_header, reset_header
        self.patience = patience
        self.session, self.exceptions = requests.Session(), requests.exceptions
        self._no_connection = urllib3.exceptions.MaxRetryError
        # A copied key may end with a line break.
        self.session.headers.update({name: value.strip() for name, value in (headers or {}).items()})
        self.session.auth = auth and (auth[0].strip(), auth[1].strip())
        self.session.mount("http", requests.adapters.HTTPAdapter(pool_maxsize=connections))
        self._open = threading.BoundedSemaphore(connections)
        self._is_unreachable = False

    def get(self, path: str, expect: str | None = None, **parameters: Any) -> Answer:
        """The answer to GET base_url/path, an object with the member `expect`; raises SourceError if it can't be
        had."""
        return self._ask("GET", path, expect, self.limit, params=parameters)

    def post(self, path: str, body: Any, expect: str | None = None, limit: Limit | None = None) -> Answer:
        """The answer to POST base_url/path with a JSON body; `limit` is that of the path, where it has its own."""
        return self._ask("POST", path, expect, limit or self.limit, json=body)

    def close(self) -> None:
        """Closes the connections."""
        self.session.close()

    def _ask(self, method: str, path: str, expect: str | None, limit: Limit | None, **request: Any) -> Answer:
        url = f"{self.base_url}/{path}"

        def hold_others_up(attempt: tenacity.RetryCallState) -> None:
            if limit and attempt.outcome.exception().is_limit:
                limit.pause(attempt.next_action.sleep)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            # A server that once could not be reached is not waited for again by every stream that comes after.
            stop=tenacity.stop_after_attempt(1 if self._is_unreachable else ATTEMPTS),
            wait=_wait,
            before_sleep=hold_others_up,
        )
        try:
            answer = retrying(self._ask_once, method, url, expect, limit, request)
        except tenacity.RetryError as error:
            failure = error.last_attempt.exception()
            self._is_unreachable = isinstance(failure, _NoConnection)
            attempts = error.last_attempt.attempt_number
            hint = "Check the network and the option base_url" if self._is_unreachable else "Try again later"
            raise SourceError(
                f"{url}: {failure}, in {attempts} attempt{'s' if attempts > 1 else ''}. {hint}"
            ) from failure
        self._is_unreachable = False
        return answer

    def _ask_once(self, method: str, url: str, expect: str | None, limit: Limit | None, request: dict) -> Answer:
        exceptions = self.exceptions
        if limit:
            limit.wait()
        with self._open:
            observed_at = datetime.now(UTC)
            try:
                response = self.session.request(method, url, timeout=TIMEOUT, **request)
            except (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema) as error:
                raise SourceError(f"{url} is not a URL: correct the option base_url") from error
            except (UnicodeEncodeError, exceptions.InvalidHeader) as error:
                raise SourceError(f"{url}: the key has a character that no key has: copy it once more") from error
            except exceptions.SSLError as error:
                raise SourceError(f"{url}: the server's certificate is not accepted: {str(error)[:300]}") from error
            except exceptions.RequestException as error:
                if error.args and isinstance(error.args[0], self._no_connection):
                    raise _NoConnection(f"can't be reached ({type(error).__name__})") from error
                raise _Transient(f"no complete answer ({type(error).__name__})") from error
        if limit and response.headers.get(self.limit_header, "").isdigit():
            limit.requests = max(1, int(response.headers[self.limit_header]))
        is_transient = response.status_code == 429 or response.status_code >= 500 or self.is_busy(response)
        if is_transient and not self.is_refusal(response):
            asked, is_limit = _retry_after(response, self.reset_header), response.status_code < 500
            raise _Transient(
                f"the server answered {response.status_code} {response.reason}",
                self.patience if asked is None and is_limit else asked,
                is_limit=is_limit,
            )
        if response.status_code >= 400:
            refusal = NotFound if response.status_code == 404 else Refused
            told = f"{response.url}: {response.status_code} {response.reason}: {response.text[:1000]}"
            raise refusal(told, response.status_code)
        return Answer(
            _json(response, expect),
            response.request.path_url,
            observed_at,
            _moment(response.headers.get("Date", "")) or observed_at,
            dict(parse_qsl(urlsplit(response.links.get("next", {}).get("url", "")).query)),
        )


def _json(response: "requests.Response", expect: str | None) -> Any:
    try:
        answer = _decoder.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:  # what msgspec refuses and some servers write: NaN, half a surrogate pair, a byte order mark
            answer = json.loads(response.content, parse_float=Decimal, parse_constant=str)
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no content type")
            start = " ".join(response.text[:80].split())
            raise _Transient(f"the answer is not JSON but {kind}: {start}. Check the option base_url") from error
    if expect and not (isinstance(answer, dict) and expect in answer):
        raise _Transient(f"the answer has no {expect}: {response.text[:200]}")
    return answer


def _moment(header: str) -> datetime | None:
    """An HTTP date (UTC)."""
    try:
        return email.utils.parsedate_to_datetime(header).astimezone(UTC)
    except (TypeError, ValueError):
        return None


def _retry_after(response: "requests.Response", reset_header: str) -> float | None:
    """Seconds that the server asks to wait; its header has seconds or an HTTP date."""
    header = response.headers.get("Retry-After", "")
    if header.isdigit():
        seconds = float(header)
    elif moment := _moment(header):
        seconds = (moment - datetime.now(UTC)).total_seconds()
    elif response.status_code == 429 and (reset := _reset(response.headers.get(reset_header, ""))):
        now = _moment(response.headers.get("Date", "")) or datetime.now(UTC)
        if (seconds := (reset - now).total_seconds()) <= 0:
            return None
    else:
        return None
    if seconds > LONGEST_WAIT:
        raise SourceError(
            f"{response.url}: the server asks to wait {seconds:.0f} s, longer than {LONGEST_WAIT:.0f} s. Try again then"
        )
    return max(seconds, 0.0)


def _reset(header: str) -> datetime | None:
    """When a limit ends (UTC)."""
    try:
        moment = datetime.fromtimestamp(int(header), UTC) if header.isdigit() else datetime.fromisoformat(header)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


_back_off = tenacity.wait_exponential_jitter(multiplier=0.5, max=60)


def _wait(attempt: tenacity.RetryCallState) -> float:
    asked = attempt.outcome.exception().wait
    return _back_off(attempt) if asked is None else asked
