"""E-mails (eml): their headers, their text, and what is attached to them."""

import base64
import contextlib
import email.utils
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32, Policy, default
from typing import Any

from ingestion.parsers import Unreadable, html
from ingestion.parsers.content import Attachment, Content, line
from ingestion.parsers.text import decode

DEPTH = 20
"""Parts and mails that may be within each other."""

PARTS, HEADERS, LINES = 1_000, 20_000, 1_000_000
"""Parts that a mail may have, their headers, and its lines, those of the mails in it among them."""

LINE, HEAD = 2**23, 2**22
"""Bytes that a line may have, and the headers before the text: Python's parser takes ten times as many."""

LONG, LONG_FOR_PARTS = 100_000, 4_000
"""Characters that a header may have; one that says what a part is, is taken apart, and that takes their square."""

_HEADERS = re.compile(
    rb"(?:(?:from|to|cc|bcc|subject|date|received|return-path|message-id|mime-version|reply-to|sender|"
    rb"delivered-to|content-[a-z-]+|dkim-signature|authentication-results|list-[a-z-]+|x-[a-z0-9-]+)"
    rb":[^\n]*\n(?:[ \t][^\n]*\n)*+){3}",
    re.I,
)


_TEXT = re.compile(rb"\r?\n\r?\n")


def is_mail(data: bytes) -> bool:
    """Whether bytes begin as a mail does, with at least three headers, whatever their name is."""
    return bool(_HEADERS.match(data[:65536].replace(b"\r\n", b"\n")))


def read(data: bytes) -> Content:
    """A mail as one page: its text, or what its HTML says if it has none. Raises Unreadable."""
    if data.count(b"\n") > LINES:
        raise Unreadable("refused", f"it has more than {LINES:,} lines")
    begin = 0
    while len(data) - begin > LINE:
        if not (begin := data.rfind(b"\n", begin, begin + LINE) + 1):
            raise Unreadable("refused", f"it has a line of more than {LINE:,} bytes")
    if len(data) > HEAD and not _TEXT.search(data, 0, HEAD):
        raise Unreadable("refused", f"its headers have more than {HEAD:,} bytes")
    mail = BytesParser(policy=_Bounded(message_factory=_part_class())).parsebytes(data)
    if not mail.keys():
        raise Unreadable("broken", "it has no headers, as a mail has")
    texts: list[str] = []
    # As a file has them, so that a mail which is attached is the one that lies beside.
    written = default.clone(refold_source="none", linesep="\r\n" if b"\r\n" in data[:65536] else "\n")
    attachments = list(_attachments(mail, texts, written))
    headers = _Headers(mail)
    subject, senders, sent_at = headers.text("subject"), headers.addresses("from"), headers.time("date")
    return Content(
        "eml",
        ["\n\n".join(texts)],
        title=subject,
        author=senders[0][0] if senders else None,
        attachments=attachments,
        mail={
            "message_id": next(iter(headers.ids("message-id")), None),
            "in_reply_to": next(iter(headers.ids("in-reply-to")), None),
            "reference_ids": headers.ids("references"),
            "from_address": senders[0][1] if senders else None,
            "to_addresses": [address for _, address in headers.addresses("to")],
            "cc_addresses": [address for _, address in headers.addresses("cc")],
            "subject": subject,
            "sent_at": sent_at and sent_at.isoformat(),
        },
    )


class _Bounded(Compat32):
    """How headers are read: in the old way, since the new one fails on some that are broken, and takes seconds for some
    that are long; and no more of them than a mail may have."""

    def header_source_parse(self, lines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(lines)
        if len(value) > (LONG_FOR_PARTS if name.lower().startswith("content-") else LONG):
            raise Unreadable("refused", f"its header {name[:100]} has {len(value):,} characters")
        return name, value


def _part_class() -> type[Message]:
    """The class of a mail's parts, which refuse to be too many, or too deep in each other."""
    parts, headers = itertools.count(1), itertools.count(1)

    class Part(Message):
        def __init__(self, policy: Policy) -> None:
            super().__init__(policy)
            self.depth = 0
            if next(parts) > PARTS:
                raise Unreadable("refused", f"it has more than {PARTS:,} parts")

        def set_raw(self, name: str, value: str) -> None:
            if next(headers) > HEADERS:
                raise Unreadable("refused", f"it has more than {HEADERS:,} headers")
            super().set_raw(name, value)

        def attach(self, part: Any) -> None:
            part.depth = self.depth + 1
            if part.depth > DEPTH:
                raise Unreadable("refused", f"its parts and the mails in it are nested more than {DEPTH} deep")
            super().attach(part)

    return Part


def _attachments(part: Message, texts: list[str], written: Policy) -> Iterator[Attachment]:
    """What is attached to a part; `texts` gets the text in it."""
    kind = part.get_content_type()
    if kind == "message/rfc822" and part.is_multipart():
        attached = part.get_payload(0)
        data = attached.as_bytes(policy=written)
        if not attached.keys():  # some encode it, against RFC 2046
            with contextlib.suppress(ValueError):
                data = base64.b64decode(data)
        yield Attachment(_file_name(part) or _Headers(attached).text("subject"), kind, data)
    elif kind.startswith("message/") and part.is_multipart():  # of headers only, as a notice of delivery
        data = b"\n".join(inner.as_bytes(policy=written) for inner in part.get_payload())
        yield Attachment(_file_name(part), kind, data)
    elif kind == "multipart/alternative" and part.is_multipart():
        yield from _best(part, texts, written)
    elif part.is_multipart():
        for inner in part.get_payload():
            yield from _attachments(inner, texts, written)
    elif kind in ("text/plain", "text/html") and not _file_name(part) and _disposition(part) != "attachment":
        texts += filter(str.strip, [_text(part)])
    else:
        yield Attachment(_file_name(part), kind, part.get_payload(decode=True) or b"")


def _best(part: Message, texts: list[str], written: Policy) -> Iterator[Attachment]:
    """Of several forms of one text the plain one if that says something, else the last that does."""
    forms: list[list[str]] = []
    for inner in part.get_payload():
        words: list[str] = []
        yield from _attachments(inner, words, written)
        if words:
            forms.insert(len(forms) if inner.get_content_type() == "text/plain" else 0, words)
    texts += forms[-1] if forms else []


def _text(part: Message) -> str:
    text = decode(part.get_payload(decode=True) or b"", _quiet(part.get_content_charset))
    return html.read_text(text).pages[0] if part.get_content_type() == "text/html" else text


def _file_name(part: Message) -> str | None:
    name = _quiet(part.get_filename)
    return _decoded(name) if name else None


def _decoded(value: str) -> str | None:
    """A header's value in one line, with its encoded words decoded."""
    try:
        return line(str(default.header_factory("subject", " ".join(value[:LONG_FOR_PARTS].split()))))
    except Exception:  # whatever it does not foresee
        return line(value)


def _disposition(part: Message) -> str | None:
    return _quiet(part.get_content_disposition)


def _quiet(get: Callable[[], str | None]) -> str | None:
    """What a header says; None where it is broken in a way that its parser does not foresee."""
    try:
        return get()
    except (TypeError, ValueError, LookupError):
        return None


class _Headers:
    """The headers of a mail, whatever is wrong with them."""

    def __init__(self, mail: Message) -> None:
        self.values: dict[str, str] = {}
        for name, value in mail.raw_items():
            # Bytes that are no ASCII are each half a surrogate pair.
            self.values.setdefault(name.lower(), decode(str(value).encode("utf-8", "surrogateescape")))

    def text(self, name: str) -> str | None:
        """A header in one line."""
        return _decoded(self.values.get(name, ""))

    def addresses(self, name: str) -> list[tuple[str | None, str]]:
        """(name, address) of those in a header."""
        try:
            found = email.utils.getaddresses([self.values.get(name, "")])
        except RecursionError:  # comments in comments
            found = []
        return [(_decoded(shown), address) for shown, address in found if "@" in address]

    def ids(self, name: str) -> list[str]:
        """Ids of mails, without brackets."""
        value = self.values.get(name, "")
        return re.findall(r"<\s*([^<>\s]+)\s*>", value) or value.split()

    def time(self, name: str) -> datetime | None:
        """When it was, in UTC; a time that does not say where is taken to be that."""
        try:
            time = email.utils.parsedate_to_datetime(self.values.get(name, ""))
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
