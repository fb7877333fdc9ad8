"""Workbooks of Excel 2 to 2003, .xls: read by xlrd, which keeps the errors in cells."""

import io
from collections.abc import Iterator

import xlrd

from ingestion.parsers import Unreadable
from ingestion.parsers.cells import ERRORS, Error, Row, Sheets, date_formats, moment, whole

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What a compound file begins with, in which Excel writes since version 5, and other programs too."""

OLD = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00", b"\x09\x08\x08\x00", b"\x09\x08\x10\x00")
"""What files of before are: their first record, by its type and size ([MS-XLS] 2.4.21 BOF)."""


def sheets(data: bytes) -> Sheets:
    """The worksheets of a workbook; they are taken apart one at a time."""
    if data.startswith(OLE) and "EncryptedPackage".encode("utf-16-le") in data:
        raise Unreadable("encrypted", "it is protected by a password")
    options = {"formatting_info": True, "on_demand": True, "ragged_rows": True, "ignore_workbook_corruption": True}
    try:
        workbook = xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), **options)
    except Exception as error:  # it has its own, asserts, and fails in other ways
        if "encrypted" in str(error):
            raise Unreadable("encrypted", "it is protected by a password") from error
        if "Can't find workbook" in str(error):
            raise Unreadable("unsupported", "it is a file of an older Office program, but no workbook") from error
        raise Unreadable("broken", f"it is no complete workbook: {type(error).__name__}: {error}") from error
    for name in workbook.sheet_names():
        yield name, _rows(workbook, name)
        workbook.unload_sheet(name)


def _rows(workbook: xlrd.Book, name: str) -> Iterator[Row]:
    codes = {key: known.format_str for key, known in workbook.format_map.items()}
    kinds = date_formats(codes, [style.format_key for style in workbook.xf_list])
    sheet, is_1904 = workbook.sheet_by_name(name), bool(workbook.datemode)
    for row in range(sheet.nrows):
        cells = {}
        for column, (kind, value) in enumerate(zip(sheet.row_types(row), sheet.row_values(row), strict=True)):
            if kind in (xlrd.XL_CELL_NUMBER, xlrd.XL_CELL_DATE):
                style = sheet.cell_xf_index(row, column)
                is_moment = style in kinds
                cells[column] = moment(value, kinds[style], is_1904) if is_moment else whole(value)
            elif kind == xlrd.XL_CELL_BOOLEAN:
                cells[column] = bool(value)
            elif kind == xlrd.XL_CELL_ERROR:
                cells[column] = Error(ERRORS.get(value, f"error {value}"))
            elif value != "":
                cells[column] = value
        if cells:
            yield row + 1, cells
