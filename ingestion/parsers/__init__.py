"""Parsers of files that nobody vouches for. They run in a child process that `ingestion.untrusted` bounds.

A parser is a module with

    def parse(data: bytes, name: str, **options) -> Iterator[tuple[str, dict]]

which yields (stream, row), a row's values being what JSON has, and raises Unreadable for a file of which no row counts;
it may return one for a file that is not as it should be, but has rows. It imports the standard library,
this module and the libraries of its formats, so that the child starts fast and holds little.
"""

import io
import zipfile
import zlib
from collections.abc import Container, Iterator
from typing import Any
from xml.etree import ElementTree

EXPANDED = 2**30
"""Bytes that an archive may unpack to."""

RATIO, RATIO_FROM = 100, 16 * 2**20
"""How many times its packed size an archive may unpack to, if that is more than RATIO_FROM bytes."""

MEMBERS = 10_000
"""Files that an archive may hold."""

PIXELS = 50_000_000
"""Width by height that a picture may have."""

BLOCK = 2**16
"""Bytes that are unpacked at once."""

PAGES = 2_000
"""Pages that a document may have."""


ELEMENTS, ATTRIBUTES = 700_000, 1_000_000
"""That an XML document may have."""

DEPTH = 200
"""Elements that may be within each other."""


class Unreadable(Exception):
    """A file that gives nothing; `status` is empty, encrypted, broken, refused or unsupported, `reason` a sentence."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


def archive(data: bytes) -> zipfile.ZipFile:
    """A zip archive that keeps within the limits, by what its directory says; `member` holds it to that."""
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise Unreadable("broken", f"this is no complete zip archive: {error}") from error
    members = opened.infolist()
    if len(members) > MEMBERS:
        raise Unreadable("refused", f"{len(members):,} files in it; {MEMBERS:,} are allowed")
    expanded = sum(member.file_size for member in members)
    if expanded > EXPANDED or (expanded > RATIO_FROM and expanded > RATIO * len(data)):
        raise Unreadable(
            "refused",
            f"{len(data):,} bytes would unpack to {expanded:,}; {EXPANDED:,} and {RATIO} times as many are allowed",
        )
    if any(member.flag_bits & 1 for member in members):
        raise Unreadable("encrypted", "it is protected by a password")
    return opened


def member(opened: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of a file in an archive, no more of them than its directory says; KeyError if there is none."""
    return b"".join(blocks(opened, name))


def blocks(opened: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The same block by block."""
    info = opened.getinfo(name)
    left = info.file_size
    try:
        with opened.open(info) as file:
            while block := file.read(BLOCK):
                left -= len(block)
                if left < 0:
                    raise Unreadable("refused", f"{name} in it is larger than the archive says")
                yield block
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError) as error:
        raise Unreadable("broken", f"{name} in it is damaged: {error}") from error


def no_doctype(*_: Any) -> None:
    """What XML parsers call where a document type is declared."""
    raise Unreadable("refused", "its XML declares a document type, which may name entities and other files")


class _Bounded(ElementTree.TreeBuilder):
    """Builds a tree of the attributes in `kept` alone, since those that nobody asks for take most of its memory."""

    doctype = staticmethod(no_doctype)

    def __init__(self, kept: Container[str]) -> None:
        super().__init__()
        self.kept, self.count, self.depth = kept, 0, 0

    def start(self, tag: str, attributes: dict[str, str]) -> Any:
        self.count, self.depth = self.count + 1, self.depth + 1
        if self.count > ELEMENTS:
            raise Unreadable("refused", f"its XML has more than {ELEMENTS:,} elements")
        if self.depth > DEPTH:
            raise Unreadable("refused", f"elements of its XML are nested more than {DEPTH} deep")
        if attributes:
            attributes = {name: value for name, value in attributes.items() if name.rpartition("}")[2] in self.kept}
        return super().start(tag, attributes)

    def end(self, tag: str) -> Any:
        self.depth -= 1
        return super().end(tag)


def untangle(xml: bytes, kept: Container[str]) -> ElementTree.Element:
    """The root of an XML document without a document type: no entity is expanded, no other file is read. Its elements
    have the attributes `kept`, whatever their namespace."""
    if xml.count(b"=") > ATTRIBUTES:  # before they are counted, since one element may have them all
        raise Unreadable("refused", f"its XML has more than {ATTRIBUTES:,} attributes")
    parser = ElementTree.XMLParser(target=_Bounded(kept))
    try:
        for start in range(0, len(xml), BLOCK):  # so that it ends soon after what is too much
            parser.feed(xml[start : start + BLOCK])
        return parser.close()
    except ElementTree.ParseError as error:
        raise Unreadable("broken", f"its XML is damaged: {error}") from error
