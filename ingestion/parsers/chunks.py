"""A page's text in pieces of about 1,000 characters, for search and for language models."""

import re
from collections.abc import Iterator

SIZE, OVERLAP = 1_000, 150

LONGEST = SIZE + OVERLAP
"""Characters that a chunk has at most: what is left of a text is not split for less than its overlap."""

_PARAGRAPH = re.compile(r"\n\n")
_SENTENCE = re.compile(r"[.!?\u2026]['\")\]\xbb\u201d\u2019]*\s+|[\u3002\uff01\uff1f]|\n")
_WORD = re.compile(r"\s+")


def borders(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the chunks of a text, which depend on nothing else. They cover it, and each begins before, or
    where, the one before it ends; a chunk ends with a paragraph if one ends in its second half, else with a sentence or
    a line, else with a word."""
    start = 0
    while len(text) - start > LONGEST:
        end = _end(text, start + SIZE // 2, start + SIZE)
        yield start, end
        start = _start(text, end - OVERLAP, end)
    if text:
        yield start, len(text)


def _end(text: str, first: int, last: int) -> int:
    for border in (_PARAGRAPH, _SENTENCE, _WORD):
        if ends := [match.end() for match in border.finditer(text, first, last)]:
            return ends[-1]
    return last


def _start(text: str, first: int, last: int) -> int:
    for border in (_SENTENCE, _WORD):
        if match := border.search(text, first, last):
            return match.end()
    return first
