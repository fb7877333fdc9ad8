"""What the parsers of documents have in common: what they give, and text as the warehouse has it."""

import dataclasses
import functools
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from ingestion.parsers import Unreadable

CHARACTERS = 10_000_000
"""That a document may have: some 5,000 pages in print."""

MARKS = 30
"""Combining marks after each other; Unicode (UAX 15) has none with more, and composing takes their number squared."""


@dataclasses.dataclass
class Attachment:
    """A file in a document: name and media type are what the document says of it."""

    name: str | None
    media_type: str
    data: bytes


@dataclasses.dataclass
class Content:
    """What is in a document: the text of its pages, what it says of itself, and what is attached to it.

    `language` is what it claims to be written in (BCP 47). `mail` has the columns that only mails have. `status` is not
    `read` if there is nothing to read in it; `reason` says why, or what is missing.
    """

    format: str | None
    pages: list[str]
    title: str | None = None
    author: str | None = None
    language: str | None = None
    created_at: datetime | None = None
    page_count: int | None = None
    mail: dict[str, Any] = dataclasses.field(default_factory=dict)
    attachments: list[Attachment] = dataclasses.field(default_factory=list)
    status: str = "read"
    reason: str | None = None


# U+200B, U+2060 and U+FEFF have no width, U+00AD is where a word may be broken; neither is to be seen.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff]")
_IMPOSSIBLE = re.compile("[\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile("\r\n|[\r\x0b\x0c\x85\u2028]")


def clean(text: str) -> str:
    """Text in NFC: lines without trailing blanks, paragraphs apart by one blank line, no other control characters than
    line break and tab, none that can't be seen. Raises Unreadable if there is too much of it."""
    if len(text) > CHARACTERS:
        raise Unreadable("refused", f"it has {len(text):,} characters of text; {CHARACTERS:,} are allowed")
    text = _BREAK.sub("\n", text).replace("\u2029", "\n\n")
    text = _INVISIBLE.sub("", text).replace("\xa0", " ").replace("\u202f", " ")
    text = _IMPOSSIBLE.sub("\ufffd", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _runs_of_marks().sub(r"\1", text))
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return re.sub("\n{3,}", "\n\n", text).strip("\n")


def line(text: str | None) -> str | None:
    """A title or name: clean, in one line; None if nothing is left."""
    return " ".join(clean(text[:10_000]).split()) or None if text else None


@functools.cache
def _runs_of_marks() -> re.Pattern:
    marks = "".join(filter(unicodedata.combining, map(chr, range(0x300, 0x1F000))))
    return re.compile(f"([{marks}]{{{MARKS}}})[{marks}]+")


def moment(text: str | None) -> datetime | None:
    """A time in ISO 8601 (UTC if it does not say); None where there is none."""
    try:
        time = datetime.fromisoformat((text or "").strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
