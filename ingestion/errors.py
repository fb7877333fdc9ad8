"""Errors that a person can act on, and the scrubbing of secrets from everything that is shown or stored."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

_secrets: set[str] = set()

SHORTEST = 4
"""A secret of fewer characters is none, and taking it out would garble every message."""


class SourceError(Exception):
    """A source can't be read; the message says what, where and what to do. It contains no secret."""


class PartFailed(SourceError):
    """Parts of a stream can't be read; of the others all was, and what the reader has noted of them holds."""


class Disconnected(SourceError):
    """A connection is lost, or was never made; another try may succeed."""


class ConfigurationError(Exception):
    """Nothing could be tried: the message says which option is missing or wrong."""


def keep_secret(values: Iterable[str]) -> None:
    """Remembers values (and the passwords inside URLs among them) that `scrub` takes out of any text."""
    for value in values:
        _secrets.add(value)
        if match := re.match(r"[a-z0-9+.-]+://[^/\s]*?:(.+)@[^@/]+(/|$)", value):
            # A password that is not percent-encoded is taken apart, and shown in pieces, by who reads the URL.
            _secrets.update({match[1], unquote(match[1]), *(p for p in re.split("[/@:?#]", match[1]) if len(p) > 3)})


def scrub(text: str) -> str:
    """`text` without any known secret."""
    for secret in sorted((s for s in _secrets if len(s) >= SHORTEST), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def explain(error: BaseException) -> str:
    """One line for a person: our own errors as they are, others with their type; never a secret."""
    text = " ".join(str(error).split())
    if not isinstance(error, SourceError | ConfigurationError):
        text = f"{type(error).__name__}: {text}"
    return scrub(text)[:2000]
