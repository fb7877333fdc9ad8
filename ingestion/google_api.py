"""Google's APIs: signing in with the key of a service account, and what a refusal means."""

import copy
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.errors import SourceError, keep_secret
from ingestion.http import Answer, Client, Limit, Refused

if TYPE_CHECKING:  # takes a while to import, as all of google-auth
    from google.oauth2.service_account import Credentials


class NotSignedIn(SourceError):
    """No request will get an answer."""


class GoogleClient:
    """GETs and POSTs JSON of one of Google's APIs in the name of a service account; threads may share it.

    `key`: the account's JSON key, or the path of its file; `option` is what the user calls it. Neither the key nor a
    token shows in any message. Of `limit` and `patience` see `http.Client`.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        scopes: list[str],
        option: str,
        *,
        limit: Limit | None = None,
        patience: float | None = None,
    ) -> None:
        self.option, self.credentials, self.lock = option, _credentials(key, scopes, option), threading.Lock()
        self._connect(base_url, limit, patience)

    def also(self, base_url: str, *, limit: Limit | None = None, patience: float | None = None) -> "GoogleClient":
        """A client of another API, which shares what signs in."""
        other = copy.copy(self)
        other._connect(base_url, limit, patience)
        return other

    def _connect(self, base_url: str, limit: Limit | None, patience: float | None) -> None:
        self.client = Client(base_url, limit=limit, patience=patience, is_busy=_is_busy, is_refusal=_is_exhausted)
        self.client.session.auth = self._carry_token

    def _carry_token(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self.credentials.token}"
        return request

    @property
    def account(self) -> str:
        """The address of the service account."""
        return self.credentials.service_account_email

    def get(self, path: str, expect: str, **parameters: Any) -> Answer:
        """The answer to a GET; otherwise as `post`."""
        return self._signed_in(lambda: self.client.get(path, expect, **parameters))

    def post(self, path: str, body: Any, expect: str) -> Answer:
        """The answer, an object with the member `expect`; a token that is refused is replaced once.

        Raises NotSignedIn, SourceError if a quota is used up for the hour or the day, and Refused otherwise.
        """
        return self._signed_in(lambda: self.client.post(path, body, expect))

    def _signed_in(self, ask: Callable[[], Answer]) -> Answer:
        token = self._sign_in()
        try:
            try:
                return ask()
            except Refused as error:
                if error.status != 401:
                    raise
                self._sign_in(refused=token)
                return ask()
        except Refused as error:
            if error.status == 401:
                raise NotSignedIn(f"Google does not accept its own token. Try again later. {error}") from error
            if error.status == 429:
                raise SourceError(f"quota exhausted, the next run goes on: {message(str(error))}") from error
            raise

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _sign_in(self, refused: str | None = None) -> str:
        """The token that requests carry: a new one if it ran out, or was refused."""
        from google.auth.exceptions import GoogleAuthError, TransportError
        from google.auth.transport.requests import Request

        with self.lock:
            if not self.credentials.valid or self.credentials.token == refused:
                try:
                    self.credentials.refresh(Request())
                except TransportError as error:
                    raise SourceError(f"Google's sign-in can't be reached: {error}. Check the network") from error
                except GoogleAuthError as error:
                    raise NotSignedIn(
                        f"Google does not accept the key ({error.args[0]}): correct {self.option}"
                    ) from error
                keep_secret([self.credentials.token])
            return self.credentials.token


def _is_exhausted(response: Any) -> bool:
    """Whether a quota of the hour or the day is used up; too many requests at once, or in a minute, pass."""
    return response.status_code == 429 and bool(
        re.search(r"tokens|hour|day|thresholded|server errors", message(response.text))
    )


def _is_busy(response: Any) -> bool:
    """Whether a 403 is no more than too many requests at once, which is how Drive says it."""
    return response.status_code == 403 and bool(re.search(r'"reason": ?"(userR|r)ateLimitExceeded"', response.text))


def message(text: str) -> str:
    """What Google says, of an error."""
    found = re.search(r'"message": ?"(.*?)"', text)
    return found[1] if found else ""


def _credentials(text: str, scopes: list[str], option: str) -> "Credentials":
    """The service account of a key, given as JSON or as the path of its file. No message shows any of it."""
    from google.oauth2.service_account import Credentials

    wrong = f"correct {option}: the JSON key of a service account, or the path of the file"
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text.strip()).expanduser().read_text()
        except (OSError, ValueError) as error:
            raise SourceError(f"the file of the key can't be read ({type(error).__name__}): {wrong}") from None
    try:
        key = json.loads(text)
        secret = key["private_key"]
        keep_secret([secret, *secret.splitlines()[1:-1]])  # messages may show it on one line
        return Credentials.from_service_account_info(key, scopes=scopes)
    except (ValueError, KeyError, TypeError, AttributeError):  # whose messages may quote the key
        raise SourceError(f"the key is not complete, or not the key of a service account: {wrong}") from None
