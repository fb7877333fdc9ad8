"""XML that is too long for a tree: told piece by piece, without any document type."""

from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

from ingestion.parsers import Unreadable, no_doctype

Attributes = dict[str, str]

TAG = 2**20
"""Bytes that a tag may have: a longer one would be looked at anew for each block."""


def steps(
    xml: Iterator[bytes],
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Has expat tell of elements, by their names without the prefix that the first one has, and of text; stops after
    each block.

    Raises Unreadable where the XML is damaged or declares a document type, so that no entity is ever expanded.
    """
    parser, size = expat.ParserCreate(), 0
    parser.buffer_text = True

    def first(tag: str, attributes: Attributes) -> None:
        parser.StartElementHandler, parser.EndElementHandler = start, end
        if ":" in tag:
            parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(":")[2], attributes)
            parser.EndElementHandler = end and (lambda tag: end(tag.rpartition(":")[2]))
        parser.StartElementHandler(tag, attributes)

    parser.StartElementHandler, parser.CharacterDataHandler = first, text
    parser.StartDoctypeDeclHandler = no_doctype
    try:
        for block in xml:
            parser.Parse(block, False)
            size += len(block)
            if size - parser.CurrentByteIndex > TAG:
                raise Unreadable("refused", f"its XML has a tag of more than {TAG:,} bytes")
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable("broken", f"its XML is damaged: {error}") from error


def walk(*arguments: Any) -> None:
    """As `steps`, to the end."""
    for _ in steps(*arguments):
        pass
