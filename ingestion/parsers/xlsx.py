"""Workbooks of Excel 2007 and later, .xlsx and .xlsm (Office Open XML, ECMA-376 part 1, chapter 18)."""

import posixpath
import re
import zipfile
from collections.abc import Iterator

from ingestion.parsers import Unreadable, blocks
from ingestion.parsers.cells import (
    COLUMNS,
    UNCALCULATED,
    Columns,
    Error,
    Row,
    Sheets,
    Value,
    date_formats,
    iso,
    moment,
    next_row,
    number,
)
from ingestion.parsers.markup import Attributes, steps, walk

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class Package:
    """The parts of an Office document by their names, for which case does not count, and how they are related."""

    def __init__(self, opened: zipfile.ZipFile) -> None:
        self.opened = opened
        self.names = {name.replace("\\", "/").lower(): name for name in opened.namelist()}

    def read(self, part: str) -> Iterator[bytes]:
        """The bytes of a part, block by block."""
        if part.lower() not in self.names:
            raise Unreadable("broken", f"{part} is missing in it")
        return blocks(self.opened, self.names[part.lower()])

    def related(self, part: str = "") -> dict[str, tuple[str, str]]:
        """What a part, or the document, refers to: id -> (last word of the type, name of the part)."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        found = {}

        def start(tag: str, attributes: Attributes) -> None:
            if tag == "Relationship" and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attributes["Target"].replace("\\", "/")))
                found[attributes["Id"]] = attributes["Type"].rpartition("/")[2], target.lstrip("/")

        if relations.lower() in self.names:
            walk(self.read(relations), start)
        return found

    def related_part(self, part: str, kind: str) -> str | None:
        """The name of the part of a type that a part refers to, if it is there."""
        parts = [target for found, target in self.related(part).values() if found == kind]
        return next((target for target in parts if target.lower() in self.names), None)

    def workbook(self) -> str | None:
        """The name of the part that is the workbook, if this is one: its type says so."""
        types = {}

        def start(tag: str, attributes: Attributes) -> None:
            if tag in ("Default", "Override"):
                name = attributes.get("Extension") or attributes.get("PartName", "")
                types[name.lstrip("/").lower()] = attributes.get("ContentType", "")

        part = self.related_part("", "officeDocument")
        if not part:
            return None
        walk(self.read("[Content_Types].xml"), start)
        kind = types.get(part.lower()) or types.get(part.lower().rpartition(".")[2], "")
        return part if "spreadsheetml" in kind or "ms-excel" in kind else None

    def worksheets(self, workbook: str, listed: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """(name, part) of the worksheets among the sheets that a workbook lists as (name, id of the relation)."""
        related, seen = self.related(workbook), set()
        for name, identity in listed:
            kind, part = related.get(identity, ("", ""))
            if kind == "worksheet":
                if part in seen:
                    raise Unreadable("broken", f"two of its sheets are {part}")
                seen.add(part)
                yield name, part


def sheets(package: Package, workbook: str) -> Sheets:
    """The worksheets of a workbook."""
    listed, is_1904 = _contents(package, workbook)
    strings = list(_strings(package, package.related_part(workbook, "sharedStrings")))
    styles = _styles(package, package.related_part(workbook, "styles"))
    kinds = {str(style): kind for style, kind in styles.items()}
    for name, part in package.worksheets(workbook, listed):
        yield name, _rows(package.read(part), strings, kinds, is_1904)


def _contents(package: Package, workbook: str) -> tuple[list[tuple[str, str]], bool]:
    """The sheets of every type, as (name, id of the relation), and whether days are counted from 1904 on."""
    listed: list[tuple[str, str]] = []
    is_1904 = False

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal is_1904
        if tag == "sheet":
            identity = next((value for name, value in attributes.items() if name.endswith(":id")), "")
            listed.append((attributes.get("name", ""), identity))
        elif tag == "workbookPr":
            is_1904 = attributes.get("date1904") in ("1", "true")

    walk(package.read(workbook), start)
    return listed, is_1904


def _styles(package: Package, part: str | None) -> dict[int, str]:
    """What the cells of the styles are: see `date_formats`."""
    codes: dict[int, str] = {}
    formats: list[int] = []
    within = ""

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal within
        if tag in ("numFmts", "cellXfs"):
            within = tag
        elif (tag, within) == ("numFmt", "numFmts"):
            codes[int(attributes.get("numFmtId", 0))] = attributes.get("formatCode", "")
        elif (tag, within) == ("xf", "cellXfs"):
            formats.append(int(attributes.get("numFmtId", 0)))

    def end(tag: str) -> None:
        nonlocal within
        within = "" if tag == within else within

    if part:
        walk(package.read(part), start, end)
    return date_formats(codes, formats)


class _Runs:
    """Collects the runs of a text, but not how it is pronounced."""

    def __init__(self) -> None:
        self.pieces: list[str] = []  # of the text since the last start of an element
        self.runs: list[str] = []
        self.pronounced, self.is_exact = 0, False

    def start(self, tag: str, attributes: Attributes) -> None:
        self.pieces.clear()
        self.is_exact = "xml:space" in attributes
        self.pronounced += tag == "rPh"

    def end(self, tag: str) -> None:
        if tag == "t" and not self.pronounced:
            text = "".join(self.pieces)
            self.runs.append(text if self.is_exact else text.strip(" \t\r\n"))
        self.pronounced -= tag == "rPh"

    def take(self) -> str:
        text = _unescaped("".join(self.runs))
        self.runs.clear()
        return text


def _strings(package: Package, part: str | None) -> Iterator[str]:
    """The texts that cells refer to by their number."""
    found, runs = [], _Runs()

    def end(tag: str) -> None:
        runs.end(tag)
        if tag == "si":
            found.append(runs.take())

    if part:
        for _ in steps(package.read(part), runs.start, end, runs.pieces.append):
            yield from found
            found.clear()


def _rows(xml: Iterator[bytes], strings: list[str], kinds: dict[str, str], is_1904: bool) -> Iterator[Row]:
    columns, found, runs = Columns(), [], _Runs()
    pieces = runs.pieces
    row, column, cells = 0, -1, {}
    cell, value, has_formula = {}, None, False

    def start(tag: str, attributes: Attributes) -> None:
        nonlocal row, column, cells, cell, value, has_formula
        if tag == "v":
            pieces.clear()
        elif tag == "c":
            column = columns[attributes["r"].rstrip("0123456789")] if "r" in attributes else column + 1
            cell, value, has_formula = attributes, None, False
        elif tag == "row":
            row, column, cells = next_row(row, int(attributes.get("r", row + 1))), -1, {}
        elif tag == "f":
            has_formula = True
        else:
            runs.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal value
        if tag == "v":
            value = _value("".join(pieces), cell.get("t", "n"), strings)
            if "s" in cell and cell["s"] in kinds and cell.get("t", "n") == "n":
                value = moment(value, kinds[cell["s"]], is_1904)
        elif tag == "c":
            if value is None and has_formula and cell.get("t") != "str":
                value = UNCALCULATED
            if value is not None and value != "":
                if column >= COLUMNS:
                    raise Unreadable("broken", f"row {row} has more cells than a sheet has columns")
                cells[column] = value
        elif tag == "row":
            if cells:
                found.append((row, cells))
        elif tag == "is":
            value = runs.take()
        else:
            runs.end(tag)

    for _ in steps(xml, start, end, pieces.append):
        yield from found
        found.clear()


def _value(text: str, kind: str, strings: list[str]) -> Value | None:
    if kind == "s":
        return shared(strings, int(text)) if text else None
    if kind == "n":
        return number(text.strip()) if text else None
    if kind == "b":
        return text.strip() in ("1", "true")
    if kind == "e":
        return Error(text or "#ERROR!")
    return iso(text) if kind == "d" else _unescaped(text)


def shared(strings: list[str], number: int) -> str:
    """A text that a cell refers to by its number."""
    if number >= len(strings):
        raise Unreadable("broken", f"a cell refers to text {number:,} of {len(strings):,}")
    return strings[number]


def _unescaped(text: str) -> str:
    """Control characters, and some others, are written as _x000D_."""
    if "_x" not in text:
        return text
    units = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
