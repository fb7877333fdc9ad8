"""Binary workbooks of Excel 2007 and later, .xlsb ([MS-XLSB]): records, in the parts of a package like that of xlsx."""

import struct
from collections.abc import Iterator

from ingestion.parsers import Unreadable
from ingestion.parsers.cells import COLUMNS, ERRORS, Error, Row, Sheets, Value, date_formats, moment, next_row, whole
from ingestion.parsers.xlsx import Package, shared

# Types of records ([MS-XLSB] 2.3.2).
ROW, BLANK, RK, ERROR, BOOL, REAL, TEXT, SHARED_TEXT = range(8)
FORMULA_TEXT, FORMULA_REAL, FORMULA_BOOL, FORMULA_ERROR = range(8, 12)
SHORT_BLANK, SHORT_SHARED_TEXT = 12, 18
RICH_TEXT, STRING, FORMAT, STYLE, WORKBOOK, SHEET, STYLES, STYLES_END = 62, 19, 44, 47, 153, 156, 617, 618


def sheets(package: Package, workbook: str) -> Sheets:
    """The worksheets of a workbook."""
    listed, is_1904 = [], False
    for kind, record in _records(package, workbook):
        if kind == WORKBOOK:
            is_1904 = bool(record[0] & 1)
        elif kind == SHEET:
            identity, end = _text(record, 8)
            listed.append((_text(record, end)[0], identity))
    strings = [_text(record, 1)[0] for kind, record in _related(package, workbook, "sharedStrings") if kind == STRING]
    kinds = _styles(package, workbook)
    for name, part in package.worksheets(workbook, listed):
        yield name, _rows(_records(package, part), strings, kinds, is_1904)


def _styles(package: Package, workbook: str) -> dict[int, str]:
    """What the cells of the styles are: see `date_formats`."""
    codes, formats, is_within = {}, [], False
    for kind, record in _related(package, workbook, "styles"):
        if kind == FORMAT:
            codes[int.from_bytes(record[:2], "little")] = _text(record, 2)[0]
        elif kind in (STYLES, STYLES_END):
            is_within = kind == STYLES
        elif kind == STYLE and is_within:
            formats.append(int.from_bytes(record[2:4], "little"))
    return date_formats(codes, formats)


def _rows(
    records: Iterator[tuple[int, bytes]], strings: list[str], kinds: dict[int, str], is_1904: bool
) -> Iterator[Row]:
    row, cells, column = 0, {}, -1
    for kind, record in records:
        if kind == ROW:
            if cells:
                yield row, cells
            row, cells, column = next_row(row, int.from_bytes(record[:4], "little") + 1), {}, -1
        elif kind <= SHORT_SHARED_TEXT or kind == RICH_TEXT:
            is_short = SHORT_BLANK <= kind <= SHORT_SHARED_TEXT
            column = column + 1 if is_short else int.from_bytes(record[:4], "little")
            if not 0 <= column < COLUMNS:
                raise Unreadable("broken", f"a cell is in column {column + 1}, which no sheet has")
            style = int.from_bytes(record[:3] if is_short else record[4:7], "little")
            value = _value(kind - SHORT_BLANK + BLANK if is_short else kind, record[4 if is_short else 8 :], strings)
            if isinstance(value, float):
                value = moment(value, kinds[style], is_1904) if style in kinds else whole(value)
            if value is not None and value != "":
                cells[column] = value
    if cells:
        yield row, cells


def _value(kind: int, content: bytes, strings: list[str]) -> Value | None:
    """Numbers are floats."""
    if kind == RK:  # 30 bits of a float or of an integer, maybe divided by 100 (2.5.122)
        bits = int.from_bytes(content[:4], "little", signed=True)
        number = float(bits >> 2) if bits & 2 else struct.unpack("<d", struct.pack("<q", (bits & ~3) << 32))[0]
        return number / 100 if bits & 1 else number
    if kind in (REAL, FORMULA_REAL):
        return struct.unpack("<d", content[:8])[0]
    if kind in (BOOL, FORMULA_BOOL):
        return bool(content[0])
    if kind in (ERROR, FORMULA_ERROR):
        return Error(ERRORS.get(content[0], f"error {content[0]}"))
    if kind == SHARED_TEXT:
        return shared(strings, int.from_bytes(content[:4], "little"))
    if kind in (TEXT, FORMULA_TEXT):
        return _text(content, 0)[0]
    return _text(content, 1)[0] if kind == RICH_TEXT else None


def _text(record: bytes, start: int) -> tuple[str, int]:
    """A text that begins there, and where it ends (2.5.168 XLWideString)."""
    length = int.from_bytes(record[start : start + 4], "little")
    end = start + 4 + 2 * length
    if end > len(record) and length != 0xFFFFFFFF:
        raise Unreadable("broken", "a text in it is cut off")
    return (record[start + 4 : end].decode("utf-16-le", "replace"), end) if length != 0xFFFFFFFF else ("", start + 4)


def _related(package: Package, workbook: str, kind: str) -> Iterator[tuple[int, bytes]]:
    part = package.related_part(workbook, kind)
    return _records(package, part) if part else iter(())


def _records(package: Package, part: str) -> Iterator[tuple[int, bytes]]:
    """The type and the content of each record of a part (2.1.4)."""
    data, place = b"".join(package.read(part)), 0

    def number(most: int) -> int:
        """Seven bits of each byte, up to one whose eighth bit is not set."""
        nonlocal place
        value = 0
        for shift in range(0, 7 * most, 7):
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        return value

    while place < len(data):
        kind, length = number(2), number(4)
        yield kind, data[place : place + length]
        place += length
