"""CSV files, of any size: read in blocks of lines, of which a broken one is put aside alone, as it stands there.

Clean lines are taken apart by Arrow, many at once; lines that go on in the next one, or are broken, or have many cells,
one by one by Python's csv, whose dialect is meant throughout: a quote in a quoted cell is doubled, one in any other
cell is text.
"""

import codecs
import csv
import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ingestion.errors import SourceError

BLOCK = 4 * 2**20
"""Bytes that are read at once."""

LONGEST = 16 * 2**20
"""Bytes that a line, or a record of several lines, may have."""

SAMPLE = 2**20
"""Bytes, and lines, in which the delimiter is found."""
SAMPLED = 200

DELIMITERS = ",;\t|"

WIDE = 100
"""Cells of a line, from which on a column for each would cost more than they hold."""

MISPLACED = "a quote is left open or misplaced"

csv.field_size_limit(LONGEST)


@dataclass
class Lines:
    """Some lines of a file. `table` has those with the expected number of cells: `number`, and the cells in columns
    named from 0 on, or in lists, `cells`, if they are WIDE; texts, null where empty. `others` are the rest: (number,
    why it is none of those, the line as it is). Both are in the order of the lines."""

    table: pa.Table
    others: list[tuple[int, str, str]]


class CsvFile:
    """A CSV file on a local disk; the encoding and the delimiter are found where they are not given, and `width`: how
    many cells most of its first lines have.

    Raises SourceError if there is no such encoding or delimiter.
    """

    def __init__(self, path: Path, encoding: str | None = None, delimiter: str | None = None) -> None:
        self.path = path
        self.encoding = encoding or _found_encoding(path)
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise SourceError(str(error)) from error
        if delimiter and (len(delimiter.encode()) > 1 or delimiter in '"\r\n'):
            raise SourceError(f"a delimiter is one character, as , ; or |: not {delimiter!r}")
        self.sample = self._sample()
        fits = {each: _fit(self.sample, each) for each in (delimiter or DELIMITERS)}
        self.delimiter = max(fits, key=lambda each: fits[each])
        self.width = fits[self.delimiter][1]
        cell = f'(?:"(?:[^"]|"")*"|[^"{re.escape(self.delimiter)}][^{re.escape(self.delimiter)}]*|)'
        self.clean = rf"^{cell}(?:{re.escape(self.delimiter)}{cell})*[\r\n]*$"

    def head(self) -> Iterator[tuple[int, int, list[str]]]:
        """The first records that are not broken: number of the line, number of the line after, and cells."""
        place = 0
        while place < len(self.sample):
            cells, after, _ = self._record(self.sample, place)
            if cells is not None:
                yield place + 1, after + 1, cells
            place = after

    def lines(self, first: int, width: int, *, is_strict: bool) -> Iterator[Lines]:
        """The lines from the number `first` on, with the expected `width`. If this `is_strict`, a record of several
        lines that has another width begins with a broken line; else it is one of the others.

        Raises SourceError for what is no file of lines."""
        text, number, is_last = b"", 1, False
        blocks = self._blocks()
        while not is_last:
            block = next(blocks, b"")
            text, is_last = text + block, not block
            end = len(text) if is_last else _end_of_lines(text)
            if not end and len(text) > LONGEST:
                raise SourceError(f"line {number:,} has more than {LONGEST:,} bytes: this is no file of lines")
            if number < first:
                skipped = text[:end].splitlines(keepends=True)[: first - number]
                number += len(skipped)
                text = text[(start := sum(map(len, skipped))) :]
                end -= start
            if end and number >= first:
                found, end, number = self._taken_apart(text[:end], number, width, is_strict, is_last)
                yield found
            text = text[end:]

    def cells(self, line: str) -> list[str]:
        """The cells of one of the others, whatever is wrong with its quotes."""
        try:
            return next(csv.reader([line], delimiter=self.delimiter, strict=True))
        except (csv.Error, StopIteration):
            return line.split(self.delimiter)

    def _blocks(self) -> Iterator[bytes]:
        """The text as UTF-8, without a mark at its begin; bytes that are no text stay."""
        codec = codecs.lookup(self.encoding).name
        is_utf8 = codec in ("utf-8", "utf-8-sig")
        decoder = None if is_utf8 else codecs.getincrementaldecoder(codec)("surrogateescape")
        mark = codecs.BOM_UTF8
        with self.path.open("rb") as file:
            while block := file.read(BLOCK):
                try:
                    text = decoder.decode(block).encode("utf-8", "surrogateescape") if decoder else block
                except UnicodeError as error:
                    raise SourceError(f"it has bytes that are not {self.encoding}: {error}") from error
                yield text.removeprefix(mark)
                mark = b""
            if decoder and decoder.getstate()[0]:
                raise SourceError(f"its last bytes are not {self.encoding}: it is cut off")

    def _sample(self) -> list[bytes]:
        text = next(self._blocks(), b"")
        text = text[: _end_of_lines(text[:SAMPLE]) or SAMPLE] if len(text) > SAMPLE else text
        return text.splitlines(keepends=True)

    def _taken_apart(
        self, text: bytes, number: int, width: int, is_strict: bool, is_last: bool
    ) -> tuple[Lines, int, int]:
        """What whole lines hold, the first of which has this number; how many bytes of them are done, since the last
        record may go on in the next lines; and the number of the line after those."""
        is_utf8, is_wide = _is_utf8(text), width >= WIDE
        if not is_wide and is_utf8 and b'"' not in text and text.count(b"\r") == text.count(b"\r\n"):
            after = number + text.count(b"\n") + (not text.endswith(b"\n"))
            return self._columns(text, range(number, after), width), len(text), after
        lines = text.splitlines(keepends=True)
        is_clean = [False] * len(lines) if is_wide else self._are_clean(lines, is_utf8)
        records, others, after = [], [], 0
        for index in [index for index, is_one in enumerate(is_clean) if not is_one]:
            if index < after:
                continue  # it belongs to a record that began before
            cells, after, is_cut_off = self._record(lines, index)
            if is_cut_off and not is_last and sum(map(len, lines[index:])) <= LONGEST:
                text = text[: sum(map(len, lines[:index]))]
                lines, is_clean = lines[:index], is_clean[:index]
                break
            if is_strict and cells is not None and len(cells) != width and after > index + 1:
                cells, after = None, index + 1  # an open quote has swallowed lines
            is_clean[index:after] = [False] * (after - index)
            raw = b"".join(lines[index:after])
            reason = self._reason(raw, cells, width)
            if reason and raw.strip():
                others.append((number + index, reason, _text(raw).rstrip("\r\n")))
            elif not reason and any(cells):
                records.append((number + index, [cell or None for cell in cells]))
        after = number + len(lines)
        if is_wide:
            numbers = pa.array([number for number, _ in records], pa.int64())
            cells = pa.array([cells for _, cells in records], pa.list_(pa.string()))
            return Lines(pa.table({"number": numbers, "cells": cells}), others), len(text), after
        if not all(is_clean):
            clean = [(n, line) for n, line, is_one in zip(range(number, after), lines, is_clean, strict=True) if is_one]
            joined = b"".join(line.rstrip(b"\r\n") + b"\n" for _, line in clean)
            found = self._columns(joined, [n for n, _ in clean], width)
        else:
            found = self._columns(text, range(number, after), width)
        found.others = sorted(found.others + others)
        if records:
            numbers, rows = zip(*records, strict=True)
            columns = map(pa.array, (numbers, *zip(*rows, strict=True)))
            one_by_one = pa.Table.from_arrays(list(columns), schema=found.table.schema)
            found.table = pa.concat_tables([found.table, one_by_one]).sort_by("number")
        return found, len(text), after

    def _are_clean(self, lines: list[bytes], is_utf8: bool) -> list[bool]:
        """Which lines are texts that need no second look."""
        texts = pa.array([line if is_utf8 or _is_utf8(line) else None for line in lines], pa.large_string())
        return pc.fill_null(pc.match_substring_regex(texts, self.clean), False).to_pylist()

    def _reason(self, raw: bytes, cells: list[str] | None, width: int) -> str | None:
        """Why a record has to be put aside."""
        if cells is None:
            return MISPLACED
        if len(cells) != width:
            return _other_width(len(cells), width)
        return None if _is_utf8(raw) else f"bytes that are not {self.encoding}"

    def _columns(self, text: bytes, numbers: Sequence[int], width: int) -> Lines:
        """What clean lines hold, each of which has a number."""
        put_aside: dict[int, tuple[str | None, str]] = {}

        def put(row: pa.csv.InvalidRow) -> str:
            reason = None if row.text.isspace() else _other_width(row.actual_columns, width)
            put_aside[numbers[row.number - 1]] = reason, row.text
            return "skip"

        names = [str(column) for column in range(width)]
        columns = [("number", pa.int64()), *((name, pa.string()) for name in names)]
        if not text:
            return Lines(pa.schema(columns).empty_table(), [])
        table = pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
            pa.csv.ParseOptions(delimiter=self.delimiter, ignore_empty_lines=False, invalid_row_handler=put),
            pa.csv.ConvertOptions(column_types=dict(columns[1:]), null_values=[""], strings_can_be_null=True),
        )
        if put_aside:
            numbers = [number for number in numbers if number not in put_aside]
        table = table.append_column("number", pa.array(numbers, pa.int64())).select(["number", *names])
        if all(table[name].null_count for name in names):  # there may be empty lines
            is_filled = functools.reduce(pc.or_, [table[name].is_valid() for name in names])
            table = table.filter(is_filled)
        return Lines(table, [(number, reason, line) for number, (reason, line) in put_aside.items() if reason])

    def _record(self, lines: list[bytes], first: int) -> tuple[list[str] | None, int, bool]:
        """The cells of the record that begins with a line, None if that is broken; which line comes after it; and
        whether there may only be too few lines."""
        read = 0

        def texts() -> Iterator[str]:
            nonlocal read
            for read in range(first, len(lines)):
                yield _text(lines[read])
            read = len(lines)

        reader = csv.reader(texts(), delimiter=self.delimiter, strict=True)
        try:
            return next(reader), first + reader.line_num, False
        except csv.Error:
            return None, first + 1, read == len(lines)


def _found_encoding(path: Path) -> str:
    """By its mark, or whether it is UTF-8, but for damaged places here and there."""
    damaged = others = 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        while block := file.read(BLOCK):
            text = decoder.decode(block)
            if not text.isascii():
                damaged += (marks := text.count("\ufffd") - block.count("\ufffd".encode()))
                others += len(text) - len(text.encode("ascii", "ignore")) - marks
    damaged += len(decoder.decode(b"", final=True))
    return "utf-8" if damaged < max(others, 1) else "cp1252"


def _fit(lines: list[bytes], delimiter: str) -> tuple[int, int]:
    """How many of the first lines have the same number of cells, more than one, and that number."""
    rows = csv.reader(map(_text, lines[:SAMPLED]), delimiter=delimiter)
    widths = Counter(len(row) for row in rows)
    del widths[1]
    return max(((count, width) for width, count in widths.items() if width), default=(0, 1))


def _end_of_lines(text: bytes) -> int:
    """Where the last line that is whole ends; one that ends with a carriage return may go on with a line feed."""
    return (text.rfind(b"\n") + 1) or (text.rfind(b"\r", 0, -1) + 1)


def _other_width(actual: int, expected: int) -> str:
    return f"{actual} cells where the header has {expected}"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(line: bytes) -> str:
    """A line as text; what is none as \\xff."""
    return line.decode("utf-8", "backslashreplace")
