"""One HTTP client for all API sources: retries, waits, and errors that a person can act on."""

import dataclasses
import email.utils
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import tenacity

from ingestion.errors import SourceError

if TYPE_CHECKING:  # it takes a while to import, and databases do without
    import requests

ATTEMPTS = 6
LONGEST_WAIT = 600.0
"""Seconds. A source that asks for a longer wait has failed for this run."""
TIMEOUT = (10, 120)
"""Seconds to connect, and between two pieces of an answer."""


@dataclasses.dataclass
class Answer:
    """A JSON answer; numbers with a fraction are Decimal, so that no digit is lost. `observed_at` is when the
    request began (UTC)."""

    json: Any
    path: str
    observed_at: datetime


class NotFound(SourceError):
    """The server answered 404."""


class _Transient(Exception):
    """Worth another try. `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Client:
    """GETs JSON below one base URL.

    429, 5xx, broken connections, cut bodies, and a 200 that is not JSON are tried again with exponential
    back-off and jitter, or after the time in Retry-After; any other refusal is a SourceError at once.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        import requests

        self.session, self.exceptions = requests.Session(), requests.exceptions

    def get(self, path: str, **parameters: str) -> Answer:
        """The answer to GET base_url/path; raises SourceError when it can't be had."""
        url = f"{self.base_url}/{path}"
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Transient),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait,
        )
        try:
            return retrying(self._get_once, url, parameters)
        except tenacity.RetryError as error:
            failure = error.last_attempt.exception()
            raise SourceError(f"{url}: {failure}, in {ATTEMPTS} attempts. Try again later") from failure

    def _get_once(self, url: str, parameters: dict[str, str]) -> Answer:
        observed_at, exceptions = datetime.now(UTC), self.exceptions
        try:
            response = self.session.get(url, params=parameters, timeout=TIMEOUT)
        except (exceptions.InvalidURL, exceptions.MissingSchema, exceptions.InvalidSchema) as error:
            raise SourceError(f"{url} is not a URL: correct the option base_url") from error
        except exceptions.RequestException as error:
            raise _Transient(f"no complete answer ({type(error).__name__})") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise _Transient(f"the server answered {response.status_code} {response.reason}", _retry_after(response))
        if response.status_code >= 400:
            refusal = NotFound if response.status_code == 404 else SourceError
            raise refusal(f"{response.url}: {response.status_code} {response.reason}: {response.text[:200]}")
        try:
            return Answer(
                json.loads(response.content, parse_float=Decimal, parse_constant=str),
                response.request.path_url,
                observed_at,
            )
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no content type")
            start = " ".join(response.text[:80].split())
            raise _Transient(f"the answer is not JSON but {kind}: {start}. Check the option base_url") from error


def _retry_after(response: "requests.Response") -> float | None:
    """Seconds that the server asks to wait; its header has seconds or an HTTP date."""
    header = response.headers.get("Retry-After")
    if not header:
        return None
    if header.isdigit():
        seconds = float(header)
    else:
        try:
            seconds = (email.utils.parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    if seconds > LONGEST_WAIT:
        raise SourceError(
            f"{response.url}: the server asks to wait {seconds:.0f} s, longer than {LONGEST_WAIT:.0f} s. Try again then"
        )
    return max(seconds, 0.0)


_back_off = tenacity.wait_exponential_jitter(multiplier=0.5, max=60)


def _wait(attempt: tenacity.RetryCallState) -> float:
    asked = attempt.outcome.exception().wait
    return _back_off(attempt) if asked is None else asked
