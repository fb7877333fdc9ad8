"""Tables as people send them: xlsx, xls, ods and tsv. The same cells are the same bytes, whenever they are written.

A sheet is a list of rows; a cell is a text, a number, a date, nothing or an Error.
"""

import io
from collections.abc import Iterable
from datetime import date
from typing import Any

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P

from sandbox.files import settled

Rows = list[list[Any]]
ERROR_CODES = {"#REF!": 0x17, "#N/A": 0x2A, "#DIV/0!": 0x07}  # [MS-XLS] 2.5.10 BErr
CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"  # by which LibreOffice marks errors


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
    """A workbook of LibreOffice."""
    book = OpenDocumentSpreadsheet()
    for name, rows in sheets.items():
        table = Table(name=name)
        book.spreadsheet.addElement(table)
        for row in rows:
            line = TableRow()
            table.addElement(line)
            for value in row:
                line.addElement(_cell(value))
    out = io.BytesIO()
    book.write(out)
    return settled(out.getvalue())


def _cell(value: Any) -> TableCell:
    match value:
        case None:
            return TableCell()
        case Error():
            cell = TableCell(valuetype="string", stringvalue="", formula="of:=NA()")
            cell.setAttrNS(CALCEXT, "value-type", "error")
        case date():
            cell = TableCell(valuetype="date", datevalue=value.isoformat())
        case int() | float():
            cell = TableCell(valuetype="float", value=value)
        case _:
            cell = TableCell(valuetype="string")
    cell.addElement(P(text=str(value)))
    return cell


def tsv(rows: Rows) -> bytes:
    """Lines of cells apart by tabs, in UTF-8."""
    return "".join("\t".join("" if v is None else str(v) for v in row) + "\n" for row in rows).encode()
