"""Tables as people send them: xlsx, xls, ods and tsv. The same cells are the same bytes, whenever they are written.

A sheet is a list of rows; a cell is a text, a number, a date, nothing or an Error.
"""

import io
from collections.abc import Iterable
from datetime import date
from html import escape
from typing import Any

import openpyxl
import xlwt

from sandbox.files import settled, zipped

Rows = list[list[Any]]
ERROR_CODES = {"#REF!": 0x17, "#N/A": 0x2A, "#DIV/0!": 0x07}  # [MS-XLS] 2.5.10 BErr
HEAD, ODF = '<?xml version="1.0" encoding="UTF-8"?>\n', "urn:oasis:names:tc:opendocument:xmlns"
NAMESPACES = {prefix: f"{ODF}:{prefix}:1.0" for prefix in ("office", "table", "text")} | {
    "of": f"{ODF}:of:1.2",
    "calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0",  # LibreOffice's own
}


class Error(str):
    """What a cell shows whose formula fails: #REF!, #N/A or #DIV/0!."""

    __slots__ = ()


def xlsx(sheets: dict[str, Rows], merged: Iterable[str] = (), hidden: Iterable[str] = ()) -> bytes:
    """A workbook; `merged` are ranges of its first sheet, `hidden` are names of sheets."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = "hidden" if name in hidden else "visible"
        for row in rows:
            sheet.append(row)
    for cells in merged:
        book.worksheets[0].merge_cells(cells)
    out = io.BytesIO()
    book.save(out)
    return settled(out.getvalue())


def xls(sheets: dict[str, Rows]) -> bytes:
    """A workbook of Excel 97."""
    book, day = xlwt.Workbook(), xlwt.easyxf(num_format_str="DD.MM.YYYY")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                match value:
                    case Error():
                        sheet.row(number).set_cell_error(column, ERROR_CODES[value])
                    case date():
                        sheet.write(number, column, value, day)
                    case _:
                        sheet.write(number, column, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ods(sheets: dict[str, Rows]) -> bytes:
    """A workbook of LibreOffice (OpenDocument 1.3, parts 2 and 3), but for its styles."""
    tables = "".join(
        f'<table:table table:name="{name}">'
        + "".join(f"<table:table-row>{''.join(map(_cell, row))}</table:table-row>" for row in rows)
        + "</table:table>"
        for name, rows in sheets.items()
    )
    names = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in NAMESPACES.items())
    body = f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
    content = f'<office:document-content{names} office:version="1.3">{body}</office:document-content>'
    media_type = "application/vnd.oasis.opendocument.spreadsheet"
    entries = {"/": media_type, "content.xml": "text/xml"}.items()
    files = (f'<m:file-entry m:full-path="{path}" m:media-type="{kind}"/>' for path, kind in entries)
    manifest = f'<m:manifest xmlns:m="{ODF}:manifest:1.0" m:version="1.3">{"".join(files)}</m:manifest>'
    parts = {"content.xml": content, "META-INF/manifest.xml": manifest}
    return zipped({"mimetype": media_type.encode(), **{name: (HEAD + part).encode() for name, part in parts.items()}})


def _cell(value: Any) -> str:
    match value:
        case None:
            return "<table:table-cell/>"
        case Error():  # LibreOffice says that its value is an empty text
            about = 'office:value-type="string" office:string-value="" calcext:value-type="error"'
        case date():
            about = f'office:value-type="date" office:date-value="{value}"'
        case int() | float():
            about = f'office:value-type="float" office:value="{value}"'
        case _:
            about = 'office:value-type="string"'
    return f"<table:table-cell {about}><text:p>{escape(str(value))}</text:p></table:table-cell>"


def tsv(rows: Rows) -> bytes:
    """Lines of cells apart by tabs, in UTF-8."""
    return "".join("\t".join("" if v is None else str(v) for v in row) + "\n" for row in rows).encode()
