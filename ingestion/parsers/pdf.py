"""PDF files, by pdfium. Nothing is drawn, no script is run."""

import contextlib
import ctypes
import functools
import itertools
import re
import resource
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from statistics import median_low
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

from ingestion.parsers import PAGES, Unreadable
from ingestion.parsers.content import Content, line

ROOM, ROOM_PER_BYTE = 64 * 2**20, 8
"""Bytes of memory that pdfium may take for a file, and beyond that for each byte of it: a few lines can ask for any
number of objects (streams that unpack to gigabytes, forms that draw forms). Without memory it aborts."""

SECONDS = 3.0
"""Of this process that a page may take. What takes longer can't be told to stop, so that the process ends."""

ANNOTATIONS = 2_000
"""On a page, up to which they are looked at: fields of forms and notes, each of which takes memory."""

GAP = 1.4
"""Times the usual distance of lines on a page, from which on a distance parts paragraphs."""

_UNSEEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_FIELDS = (raw.FPDF_FORMFIELD_TEXTFIELD, raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX)

_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:(Z)|([+-])(\d\d)'?(\d\d)?)?")
# Where a word is broken at the end of a line pdfium has this in place of hyphen and line break.
_BROKEN_WORD = re.compile("(?<=[^\\W\\d_])\ufffe(?=[^\\W\\d_A-Z])|\x02")


def read(data: bytes) -> Content:
    """The text of its pages. Raises Unreadable, and ends its process where pdfium asks for too much: then
    `ingestion.untrusted` says that the file is refused."""
    with _room(ROOM + ROOM_PER_BYTE * len(data)):
        try:
            document = pdfium.PdfDocument(data)
        except pdfium.PdfiumError as error:
            raise _unreadable(error) from error
        with document:
            return _content(document)


def _unreadable(error: pdfium.PdfiumError) -> Unreadable:
    if error.err_code == raw.FPDF_ERR_PASSWORD:
        return Unreadable("encrypted", "it is protected by a password")
    if error.err_code == raw.FPDF_ERR_SECURITY:
        return Unreadable("encrypted", "it is protected in a way that we can't open")
    return Unreadable("broken", f"it is no complete PDF: {error}")


def _content(document: pdfium.PdfDocument) -> Content:
    document.init_forms()  # of which no script is run
    count = len(document)
    if count > PAGES:
        raise Unreadable("refused", f"it has {count:,} pages; {PAGES:,} are allowed")
    pages, damaged, is_drawn = [], [], False
    for number in range(count):
        try:
            with _hurry():
                page = document[number]
                pages.append("\n\n".join([_text(page), *_filled_in(document, page)]))
                is_drawn = is_drawn or raw.FPDFPage_CountObjects(page) > 0
                page.close()
        except pdfium.PdfiumError:
            damaged.append(number + 1)
            pages.append("")
    if not count or len(damaged) == count:
        raise Unreadable("broken", "none of its pages can be read")
    said = document.get_metadata_dict()
    content = Content("pdf", pages, title=line(said["Title"]), author=line(said["Author"]))
    content.created_at = _moment(said["CreationDate"])
    if not any(map(str.strip, pages)) and is_drawn:
        content.status, content.reason = "scanned", "it has pictures or drawings, but no text"
    elif damaged:
        numbers = ", ".join(map(str, damaged[:20]))
        content.reason = f"{len(damaged):,} of its {count:,} pages can't be read: {numbers}"
    return content


def _filled_in(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> Iterator[str]:
    """What is filled into a page's forms, and written on it: none of its text, to which pdfium could add it only at the
    risk of losing some of that."""
    count = raw.FPDFPage_GetAnnotCount(page)
    for index in range(count if count <= ANNOTATIONS else 0):
        note = raw.FPDFPage_GetAnnot(page, index)
        if not raw.FPDFAnnot_GetFlags(note) & _UNSEEN:
            kind = raw.FPDFAnnot_GetSubtype(note)
            if kind == raw.FPDF_ANNOT_FREETEXT:
                yield _string(functools.partial(raw.FPDFAnnot_GetStringValue, note, b"Contents"))
            elif kind == raw.FPDF_ANNOT_WIDGET and _is_field(document, note):
                yield _string(functools.partial(raw.FPDFAnnot_GetFormFieldValue, document.formenv, note))
        raw.FPDFPage_CloseAnnot(note)


def _is_field(document: pdfium.PdfDocument, note: Any) -> bool:
    return bool(document.formenv) and raw.FPDFAnnot_GetFormFieldType(document.formenv, note) in _FIELDS


def _string(get: Callable[[Any, int], int]) -> str:
    """A text that pdfium writes into a buffer, of which it says first how many bytes it needs."""
    size = get(None, 0)
    buffer = (ctypes.c_ushort * (size // 2))()
    get(buffer, size)
    return bytes(buffer)[:-2].decode("utf-16-le", "replace")


def _text(page: pdfium.PdfPage) -> str:
    """Its text in the order of the file; lines that are far below the one before begin a paragraph."""
    textpage = page.get_textpage()
    lines, gaps, at, bottom = [], [], 0, 0.0
    for words in textpage.get_text_range(errors="replace").split("\r\n"):
        if words.strip():
            gaps.append(bottom - _height(textpage, at + len(words) - len(words.lstrip())))
            bottom = _height(textpage, at + len(words.rstrip()) - 1)  # a line with a broken word is two
            lines.append(_BROKEN_WORD.sub("", words).replace("\ufffe", "-"))
        at += len(words) + 2
    textpage.close()
    usual = median_low([gap for gap in gaps[1:] if gap > 0] or [0.0])
    parts = ("\n" if 0 <= gap <= GAP * usual else "\n\n" for gap in gaps)
    return "".join(itertools.chain.from_iterable(zip(parts, lines, strict=True)))


def _height(textpage: pdfium.PdfTextPage, index: int) -> float:
    """How high on the page the base line of a character is, in points."""
    x, y = ctypes.c_double(), ctypes.c_double()
    raw.FPDFText_GetCharOrigin(textpage, index, x, y)
    return y.value


def _moment(text: str) -> datetime | None:
    """A date as PDF writes it, D:20240131120000+01'00'; UTC if it does not say."""
    if not (found := _DATE.match(text.strip())):
        return None
    year, *parts = (int(part or default) for part, default in zip(found.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True))
    sign, hours, minutes = found[8], int(found[9] or 0), int(found[10] or 0)
    try:
        zone = timezone(timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1))
        return datetime(year, *parts, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@contextlib.contextmanager
def _hurry() -> Iterator[None]:
    """Ends this process (SIGVTALRM) if it works for too long."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@contextlib.contextmanager
def _room(size: int) -> Iterator[None]:
    """Allows this process so many bytes more than it has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        has = int(file.read().split()[0]) * resource.getpagesize()
    least = min(limit for limit in (soft, hard, has + size) if limit != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, (least, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
