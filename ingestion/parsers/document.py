"""Documents: which format a file has, its text by page, that text in chunks, and the same of what is attached to it."""

import hashlib
import mimetypes
import re
from collections.abc import Iterator
from typing import Any

from ingestion.parsers import Unreadable, chunks, html, mail, office, pdf, text
from ingestion.parsers.content import CHARACTERS, Attachment, Content, clean
from ingestion.parsers.language import LENGTH, language

_READERS = {
    "pdf": pdf.read,
    "zip": office.read,
    "html": html.read,
    "eml": mail.read,
    "md": text.read_markdown,
    "txt": text.read,
}

_BY_NAME = {"htm": "html", "html": "html", "xhtml": "html", "eml": "eml", "md": "md", "markdown": "md"}
"""What may look like any text."""

_OTHERS = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "ole",
}
"""Formats that are known by their first bytes, and not read."""

_OTHER_TEXTS = {b"{\\rtf": "rtf", b"%!PS": "ps"}

ATTACHED, ATTACHED_FROM = 4, 2**24
"""How many times the size of a mail the files may have that are attached to it and to the mails in it, if that is more
than ATTACHED_FROM bytes: a mail in a mail counts, and so does what is in it."""


def parse(data: bytes, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a file in the streams documents, attachments, pages and chunks; a mail's attachments are documents too.

    Returns an Unreadable where the file itself has no text, or is not as it should be.
    """
    return (yield from _document(Attachment(name, "", data), {}))


def _document(file: Attachment, known: dict[str, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`known`: id -> size of the documents so far, each of which comes once."""
    document_id = hashlib.sha256(file.data).hexdigest()
    known[document_id] = len(file.data)
    whole, *within = known.values()
    if sum(within) > (most := max(ATTACHED * whole, ATTACHED_FROM)):
        raise Unreadable("refused", f"the files that are attached in it, and in those, have more than {most:,} bytes")
    content = _content(file)
    yield "documents", _row(document_id, content)
    for number, page in enumerate(content.pages, 1):
        where = {"document_id": document_id, "page_number": number}
        yield "pages", {**where, "text": page}
        for start, end in chunks.borders(page):
            chunk_id = hashlib.md5(f"{document_id}/{number}/{start}/{end}".encode()).hexdigest()
            yield "chunks", {**where, "chunk_id": chunk_id, "start": start, "end": end, "text": page[start:end]}
    for number, attachment in enumerate(content.attachments, 1):
        attachment_id = hashlib.sha256(attachment.data).hexdigest()
        yield (
            "attachments",
            {
                "document_id": document_id,
                "number": number,
                "name": attachment.name,
                "media_type": attachment.media_type,
                "attachment_id": attachment_id,
            },
        )
        if attachment_id not in known:
            yield from _document(attachment, known)
    return Unreadable(content.status, content.reason) if content.reason else None


def _content(file: Attachment) -> Content:
    """What is in a file; if that is nothing, why."""
    kind = _format(file)
    try:
        content = _read(file.data, kind)
    except Unreadable as error:
        return Content(kind, [], status=error.status, reason=error.reason)
    except RecursionError:
        return Content(kind, [], status="refused", reason="what is in it is nested too deeply")
    except MemoryError:
        return Content(kind, [], status="refused", reason="it needs too much memory")
    except Exception as error:  # whatever a damaged file makes a library do
        return Content(kind, [], status="broken", reason=f"{type(error).__name__}: {error}"[:500])
    if not any(content.pages):
        content.pages = []
        if content.status == "read":
            content.status, content.reason = "empty", "there is no text in it"
    return content


def _read(data: bytes, kind: str | None) -> Content:
    if not data:
        raise Unreadable("empty", "it has no bytes")
    if kind == "ole":
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Unreadable("encrypted", "it is protected by a password")
        raise Unreadable("unsupported", "it is an Office file of before 2007: save it as docx or PDF")
    if kind not in _READERS:
        raise Unreadable("unsupported", f"it is no document, but {kind or 'of a format that we do not know'}")
    content = _READERS[kind](data)
    content.page_count = len(content.pages)
    content.pages = list(map(clean, content.pages))
    if (count := sum(map(len, content.pages))) > CHARACTERS:
        raise Unreadable("refused", f"it has {count:,} characters of text; {CHARACTERS:,} are allowed")
    return content


def _format(file: Attachment) -> str | None:
    """By content first, then by name; None for what is no text and not known."""
    data, is_binary = file.data, text.is_binary(file.data)
    suffix = (file.name or mimetypes.guess_extension(file.media_type) or "").rpartition(".")[2].lower()
    if data.lstrip()[:5] == b"%PDF-" or (b"%PDF-" in data[:1024] and (is_binary or suffix == "pdf")):
        return "pdf"
    if data[:4] in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    others = _OTHERS if is_binary else _OTHER_TEXTS
    if is_binary or data.startswith(tuple(others)):
        known = (kind for first, kind in others.items() if data.startswith(first))
        return next(known, "pdf" if suffix == "pdf" else None)
    if html.is_html(data):
        return "html"
    if file.media_type == "message/rfc822" or mail.is_mail(data):
        return "eml"
    return _BY_NAME.get(suffix, "txt")


def _row(document_id: str, content: Content) -> dict[str, Any]:
    claimed = (content.language or "").partition("-")[0].lower()
    told = language("\n".join(content.pages)[:LENGTH])
    return {
        "document_id": document_id,
        "format": content.format,
        "status": content.status,
        "reason": content.reason,
        "title": content.title,
        "author": content.author,
        "language": told or (claimed if re.fullmatch("[a-z]{2,3}", claimed) and content.pages else None),
        "page_count": content.page_count,
        "character_count": None if content.page_count is None else sum(map(len, content.pages)),
        "created_at": content.created_at and content.created_at.isoformat(),
        **content.mail,
    }
