"""Plain text and Markdown."""

import codecs
import re

from ingestion.parsers import PAGES, Unreadable
from ingestion.parsers.content import Content, line

_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}

_MEANT = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "shift_jis": "cp932",
}
"""Encodings, and the larger ones that are meant by their names, as browsers take them (WHATWG Encoding, 4.2): who
writes iso-8859-1 writes 5 \u20ac all the same."""

_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+)|^(\S.*)\n=+[ \t]*$", re.M)


def decode(data: bytes, encoding: str | None = None) -> str:
    """The text of bytes: in the encoding of their byte order mark, else in the one they are said to have, else in UTF-8
    if they are that, but for a damaged place here and there, else in Windows-1252, in which every byte but five is a
    character."""
    for mark, marked in _BOMS.items():
        if data.startswith(mark):
            return data[len(mark) :].decode(marked, "replace")
    for name in filter(None, (_codec(encoding), "utf-8")):
        try:
            return data.decode(name)
        except (ValueError, LookupError):
            pass
    text = data.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    others = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return text if damaged < others else data.decode("cp1252", "replace")


def _codec(name: str | None) -> str | None:
    """The codec of an encoding, None if there is none that gives text, in time: those of domain names take the square
    of their input."""
    try:
        found = codecs.lookup((name or "").strip()).name
    except (LookupError, ValueError):
        return _MEANT.get((name or "").strip().lower())
    return None if found in ("punycode", "idna") else _MEANT.get(found, found)


def is_binary(data: bytes) -> bool:
    """Whether these bytes are no text: zeros in them, or many control characters, and no mark of UTF-16."""
    if data.startswith(tuple(_BOMS)):
        return False
    head = data[:65536]
    controls = len(head) - len(head.translate(None, _CONTROLS))
    return b"\0" in data or controls > max(2, len(head) // 50)


def read(data: bytes) -> Content:
    """A text; a form feed begins a page. Raises Unreadable."""
    if is_binary(data):
        raise Unreadable("unsupported", "it is no text, and of no format that we read")
    pages = decode(data).split("\f")
    if len(pages) > PAGES:
        raise Unreadable("refused", f"it has {len(pages):,} pages; {PAGES:,} are allowed")
    return Content("txt", pages)


def read_markdown(data: bytes) -> Content:
    """Markdown, as it is written; its title is the first heading. Raises Unreadable."""
    content = read(data)
    heading = _HEADING.search(content.pages[0])
    content.format, content.title = "md", line((heading[1] or heading[2]).rstrip("# \t\r")) if heading else None
    return content
