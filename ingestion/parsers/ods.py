"""OpenDocument spreadsheets, .ods (OpenDocument 1.3 part 3, chapters 6, 9 and 19)."""

import re
from collections.abc import Iterator
from itertools import groupby

from ingestion.parsers import Unreadable
from ingestion.parsers.cells import COLUMNS, ROWS, UNCALCULATED, Error, Sheets, Value, iso, number
from ingestion.parsers.markup import Attributes, steps
from ingestion.parsers.xlsx import Package

REPEATED = 2**20
"""Cells that one row may stand for, with those of the equal rows after it."""

SPACES = 2**15
"""That one element may stand for: more characters no cell of Excel has."""

_ERROR = re.compile(r"#(NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A)|Err:\d+")
_NOT_TEXT = {"annotation", "note", "ruby-text"}
_SPACES = {"s": " ", "tab": "\t", "line-break": "\n"}
_BREAK = re.compile(r"\s*[\r\n]\s*")


def sheets(package: Package) -> Sheets:
    """The tables of a spreadsheet, but for LibreOffice's copies of tables in other files."""
    manifest = "META-INF/manifest.xml"
    if manifest.lower() in package.names and b"encryption-data" in b"".join(package.read(manifest)):
        raise Unreadable("encrypted", "it is protected by a password")
    for name, rows in groupby(_rows(package), lambda found: found[0]):
        if name and not name.startswith("'file:"):
            yield name, ((row, cells) for _, row, cells in rows)


def _rows(package: Package) -> Iterator[tuple[str, int, dict[int, Value]]]:
    """(table, number, cells) of each row."""
    found, pieces = [], []
    table, row, rows, cells, column = "", 0, 1, [], 0
    depth, cell, is_text, skipped = 0, {}, False, 0  # depth: 1 in a cell, 2 in what is in it, ...

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal table, row, rows, cells, column, depth, cell, is_text, skipped
        if depth:
            depth += 1
            is_text |= tag == "p" and depth == 2
            skipped += tag in _NOT_TEXT
            if tag in _SPACES:
                text(_SPACES[tag] * _count(attributes, "text:c"), is_literal=True)
        elif tag in ("table-cell", "covered-table-cell"):
            depth, cell = 1, attributes
            pieces.clear()
        elif tag == "table-row":
            row, rows, cells, column = row + rows, _count(attributes, "table:number-rows-repeated"), [], 0
        elif tag == "table":
            table, row, rows = attributes.get("table:name", ""), 0, 1

    def end(tag: str) -> None:
        nonlocal column, depth, is_text, skipped
        if depth:
            if depth == 2 and is_text:
                pieces.append("\n")
                is_text = False
            skipped -= tag in _NOT_TEXT
            depth -= 1
            if not depth:
                columns = _count(cell, "table:number-columns-repeated")
                if (value := _value(cell, "".join(pieces).removesuffix("\n"))) not in (None, ""):
                    if column + columns > COLUMNS:
                        raise Unreadable("broken", f"a cell is in column {column + columns}, which no sheet has")
                    cells.append((range(column, column + columns), value))
                column += columns
        elif tag == "table-row" and cells:
            if row + rows - 1 > ROWS:
                raise Unreadable("broken", f"it has a row {row + rows - 1}, which no sheet has")
            width = cells[-1][0].stop
            if rows * width > REPEATED:
                raise Unreadable("refused", f"it repeats a row of {width:,} cells {rows:,} times")
            found.append((table, row, rows, cells))

    def text(piece: str, is_literal: bool = False) -> None:
        if is_text and not skipped:
            pieces.append(piece if is_literal else _BREAK.sub(" ", piece))

    for _ in steps(package.read("content.xml"), start, end, text):
        for name, first, count, runs in found:
            filled = {place: value for places, value in runs for place in places}
            for number_of_row in range(first, first + count):
                yield name, number_of_row, filled
        found.clear()


def _count(attributes: Attributes, name: str) -> int:
    count = max(1, int(attributes.get(name, 1)))
    if name == "text:c" and count > SPACES:
        raise Unreadable("refused", f"a text in it has {count:,} spaces, one after the other")
    return count


def _value(cell: Attributes, text: str) -> Value | None:
    kind = cell.get("office:value-type")
    if cell.get("calcext:value-type") == "error" or ("table:formula" in cell and _ERROR.fullmatch(text)):
        return Error(text)
    if kind in ("float", "percentage", "currency"):
        return number(cell.get("office:value", text))
    if kind == "date":
        return iso(cell.get("office:date-value", text))
    if kind == "time":
        return _time(cell.get("office:time-value", text))
    if kind == "boolean":
        return cell.get("office:boolean-value", text) == "true"
    if kind is None and not text and "table:formula" in cell:
        return UNCALCULATED
    return cell.get("office:string-value", text)


def _time(duration: str) -> str:
    """Times of day are written as what has passed of it."""
    found = re.fullmatch(r"PT(\d+)H(\d+)M(\d+)(\.\d+)?S", duration)
    if not found or int(found[1]) > 23:
        return duration
    return ":".join(part.zfill(2) for part in found.groups()[:3]) + (found[4] or "").rstrip("0").rstrip(".")
