"""Spreadsheets: the filled rows of every worksheet of an xlsx, xlsm, xlsb, xls or ods file."""

from collections.abc import Iterator
from typing import Any

from ingestion.parsers import Unreadable, archive, ods, xls, xlsb, xlsx
from ingestion.parsers.cells import CELLS, CHARACTERS, Error, Sheets, column_name

_OTHERS = {
    "an XML spreadsheet of 2003": b"<workbook",
    "HTML": b"<html",
    "a table in HTML": b"<table",
    "XML": b"<?xml",
    "PDF": b"%pdf",
    "RTF": b"{\\rtf",
}


def parse(data: bytes, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("rows", {sheet, row_number, cells, error_cells}) for each row that is not empty, hidden ones too.

    `cells` are the values from column A to the last filled one: texts, numbers, booleans, dates and times as ISO text
    (PT30H0M0S where they are durations), null where empty, or an error. `error_cells` has those by address, or is None.
    The format is told by the content, not by the name.
    """
    is_empty, cells, characters, seen = True, 0, 0, set()
    for sheet, rows in _sheets(data):
        if sheet in seen:
            raise Unreadable("broken", f"two of its sheets are named {sheet}")
        seen.add(sheet)
        for number, filled in rows:
            width = max(filled) + 1
            cells += width
            characters += sum(len(value) for value in filled.values() if isinstance(value, str))
            if cells > CELLS or characters > CHARACTERS:
                raise Unreadable("refused", f"more than {CELLS:,} cells or {CHARACTERS:,} characters")
            row: list[Any] = [None] * width
            errors = {}
            for column, value in filled.items():
                if isinstance(value, Error):
                    errors[f"{column_name(column)}{number}"] = str(value)
                else:
                    row[column] = value
            is_empty = False
            yield "rows", {"sheet": sheet, "row_number": number, "cells": row, "error_cells": errors or None}
    if is_empty:
        raise Unreadable("empty", "no cell of it is filled")


def _sheets(data: bytes) -> Sheets:
    if not data:
        raise Unreadable("empty", "it has no byte")
    if data.startswith(b"PK\x03\x04"):
        package = xlsx.Package(archive(data))
        if workbook := package.workbook():
            return (xlsb if workbook.endswith(".bin") else xlsx).sheets(package, workbook)
        if "content.xml" in package.names:
            return ods.sheets(package)
        raise Unreadable("unsupported", "it is a zip archive, but no workbook")
    if data.startswith((xls.OLE, *xls.OLD)):
        return xls.sheets(data)
    start = data[:1000].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for what, begin in _OTHERS.items():
        if start.startswith(begin) or (begin[:1] == b"<" and begin in start):
            raise Unreadable("unsupported", f"it is {what}, whatever its name says: save it as xlsx or csv")
    raise Unreadable("unsupported", "it begins as no spreadsheet does that we know")
