"""Workbooks of every format: what their cells hold, what is wrong with them, and what they must not do."""

import io
import os
import struct
import zipfile
from datetime import date, datetime
from datetime import time as clock
from pathlib import Path

import openpyxl
import pytest
import xlwt
from odf import opendocument, table, text

from ingestion import untrusted
from ingestion.parsers import Unreadable, spreadsheet
from ingestion.parsers.cells import column_name
from ingestion.untrusted import Child

MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"


def rows(data):
    """[(sheet, row number, cells, error cells)]."""
    found = [row for stream, row in spreadsheet.parse(data, "f") if stream == "rows"]
    return [(row["sheet"], row["row_number"], row["cells"], row["error_cells"]) for row in found]


def cells(data):
    return [each for _, _, each, _ in rows(data)]


def refusal(data):
    """Status and reason of a file that is not read."""
    with pytest.raises(Unreadable) as error:
        rows(data)
    return error.value.status, error.value.reason


def archive(parts):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in parts.items():
            opened.writestr(name, content)
    return packed.getvalue()


def unpacked(data):
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def xlsx(*sheets, workbook="<workbookPr/>", root="", strings="", styles="", kind="xml"):
    """A workbook of these XML texts of sheet data."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(f'<sheet name="S{n}" r:id="r{n}"/>' for n in numbers)
    related = "".join(f'<Relationship Id="r{n}" Type="x/worksheet" Target="sheet{n}.{kind}"/>' for n in numbers)
    related += f'<Relationship Id="s" Type="x/sharedStrings" Target="/xl/strings.{kind}"/>'
    related += f'<Relationship Id="t" Type="x/styles" Target="styles.{kind}"/>'
    first = f'<Relationship Id="r" Type="x/officeDocument" Target="xl/workbook.{kind}"/>'
    parts = {
        "[Content_Types].xml": f'<Types><Override PartName="/xl/workbook.{kind}" ContentType="{MAIN}"/></Types>',
        "_rels/.rels": f"<Relationships>{first}</Relationships>",
        f"xl/_rels/workbook.{kind}.rels": f"<Relationships>{related}</Relationships>",
        f"xl/workbook.{kind}": workbook
        if isinstance(workbook, bytes)
        else f"<workbook>{workbook}<sheets>{listed}</sheets></workbook>",
    }
    if strings:
        parts[f"xl/strings.{kind}"] = strings
    if styles:
        parts[f"xl/styles.{kind}"] = styles
    for number, sheet in enumerate(sheets, 1):
        sheet = sheet if isinstance(sheet, bytes) else f"{root}<worksheet><sheetData>{sheet}</sheetData></worksheet>"
        parts[f"xl/sheet{number}.{kind}"] = sheet
    return archive(parts)


def ods(body, manifest="<manifest/>", doctype=""):
    return archive(
        {
            "META-INF/manifest.xml": manifest,
            "content.xml": f'<?xml version="1.0"?>{doctype}<office:document-content xmlns:office="o" xmlns:table="t" '
            f'xmlns:text="x" xmlns:calcext="c"><office:body><office:spreadsheet>{body}</office:spreadsheet>'
            "</office:body></office:document-content>",
        }
    )


def ods_table(*rows_of_it, name="S"):
    joined = "".join(f"<table:table-row>{row}</table:table-row>\n" for row in rows_of_it)
    return f'<table:table table:name="{name}">\n{joined}</table:table>'


def test_what_programs_write_is_read_in_every_format():
    """The same table as xlsx, xls and ods by three libraries."""
    moment = datetime(2026, 3, 1, 14, 5, 6)
    values = [
        ["SKU", "Größe", "sold", "on", "at", "time", "is new"],
        ["A-1", 1.5, 12, date(2026, 3, 1), moment, clock(8, 30), True],
        ["multi\nline", 0.1, -7, date(1999, 12, 31), datetime(2026, 3, 1), clock(23, 59, 59), False],
    ]
    expected = [
        ["SKU", "Größe", "sold", "on", "at", "time", "is new"],
        ["A-1", 1.5, 12, "2026-03-01", "2026-03-01T14:05:06", "08:30:00", True],
        ["multi\nline", 0.1, -7, "1999-12-31", "2026-03-01", "23:59:59", False],
    ]
    book, packed = openpyxl.Workbook(), io.BytesIO()
    for row in values:
        book.active.append(row)
    book.save(packed)
    assert cells(packed.getvalue()) == expected

    old, packed = xlwt.Workbook(), io.BytesIO()
    sheet = old.add_sheet("S")
    formats = {datetime: "YYYY-MM-DD HH:MM:SS", date: "D.M.YY", clock: "h:mm"}
    for number, row in enumerate(values):
        for column, value in enumerate(row):
            sheet.write(number, column, value, xlwt.easyxf(num_format_str=formats.get(type(value), "General")))
    old.save(packed)
    assert cells(packed.getvalue()) == expected

    document, packed = opendocument.OpenDocumentSpreadsheet(), io.BytesIO()
    document.spreadsheet.addElement(odf := table.Table(name="S"))
    attributes = {
        date: lambda value: {"valuetype": "date", "datevalue": value.isoformat()},
        datetime: lambda value: {"valuetype": "date", "datevalue": value.isoformat()},
        clock: lambda value: {"valuetype": "time", "timevalue": value.strftime("PT%HH%MM%SS")},
        bool: lambda value: {"valuetype": "boolean", "booleanvalue": str(value).lower()},
    }
    number_of = {"valuetype": "float"}
    for row in values:
        odf.addElement(odf_row := table.TableRow())
        for value in row:
            given = attributes.get(type(value), lambda value: number_of | {"value": value})
            if isinstance(value, str):
                odf_row.addElement(cell := table.TableCell(valuetype="string"))
                for line in value.split("\n"):
                    cell.addElement(text.P(text=line))
            else:
                odf_row.addElement(table.TableCell(**given(value)))
    document.save(packed)
    assert cells(packed.getvalue()) == expected


# Office Open XML


def test_every_kind_of_cell_of_xlsx():
    sheet = """
        <row r="3"><c r="A3" t="s"><v>1</v></c><c r="B3" t="inlineStr"><is><r><t>in</t></r><r><t xml:space="preserve">
 line</t></r></is></c><c r="C3" t="str"><f>A1</f><v>is &amp; was</v></c><c r="D3"><v>0.30000000000000004</v></c>
            <c r="E3"><v>9007199254740993</v></c><c r="F3"><v>12345678901234567890</v></c><c r="G3" t="b"><v>1</v></c>
            <c r="H3" t="e"><v>#REF!</v></c><c r="I3" t="d"><v>2026-03-01T00:00:00.000</v></c>
            <c r="J3"><v>1.5E+3</v></c><c r="K3"><f>SUM(A1)</f></c><c r="L3" t="str"><f>""</f><v></v></c>
            <c r="M3" s="1"/><c r="N3"><v>1E400</v></c><c r="AA3" t="s"><v>0</v></c></row>
        <row><c><v>1</v></c><c r="D4"><v>-0</v></c><c t="e"><f>1/0</f><v>#DIV/0!</v></c></row>
        <row r="9"/><row r="10"><c r="A10" s="1"/><c r="B10" t="str"><v></v></c></row>
    """
    strings = """<x:sst xmlns:x="u"><x:si><x:t> cut </x:t></x:si><x:si>
        <x:r><x:t xml:space="preserve">a _x0041_</x:t></x:r><x:r><x:t>_x000D_b_xD83D__xDE00_</x:t></x:r>
        <x:rPh><x:t>spoken</x:t></x:rPh></x:si></x:sst>"""
    (first, second) = rows(xlsx(sheet, strings=strings))
    assert first[:2] == ("S1", 3) and second[:2] == ("S1", 4)
    values = ["a A\rb😀", "in\n line", "is & was", 0.30000000000000004, 9007199254740993, "12345678901234567890"]
    values += [True, None, "2026-03-01", 1500, None, None, None, "1E400", *[None] * 12, "cut"]
    assert first[2] == values and [type(value) for value in first[2]] == [type(value) for value in values]
    assert first[3] == {"H3": "#REF!", "K3": "#UNCALCULATED!"}
    assert second[2:] == ([1, None, None, 0, None], {"E4": "#DIV/0!"})


FORMATS = {
    "General": 45000.5,
    "0.00": 45000.5,
    "0;dd": 45000.5,
    '0 "days"': 45000.5,
    "[Red]#,##0;[Blue]-0": 45000.5,
    r"0\d": 45000.5,
    "0.00E+00": 45000.5,
    "dd/mm/yyyy": "2023-03-15T12:00:00",
    "[$-409]mmm d;@": "2023-03-15T12:00:00",
    '"on" yyyy"year;"': "2023-03-15T12:00:00",
    "h:mm AM/PM": "2023-03-15T12:00:00",
    "[h]:mm": "PT1080012H0M0S",
    "[mm]:ss.0": "PT1080012H0M0S",
}


@pytest.mark.parametrize("code", FORMATS)
def test_a_number_is_a_date_if_its_format_says_so(code):
    escaped = code.replace("&", "&amp;").replace('"', "&quot;")
    styles = f"""<styleSheet><numFmts><numFmt numFmtId="170" formatCode="{escaped}"/></numFmts>
        <cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs>
        <dxfs><dxf><numFmt numFmtId="170" formatCode="yy"/></dxf></dxfs></styleSheet>"""
    sheet = '<row><c s="0"><v>45000.5</v></c><c s="1"><v>45000.5</v></c><c s="7"><v>1</v></c></row>'
    assert cells(xlsx(sheet, styles=styles)) == [[45000.5, FORMATS[code], 1]]


@pytest.mark.parametrize(
    ("serial", "by_1900", "by_1904"),
    [
        ("0", "00:00:00", "00:00:00"),
        ("0.75", "18:00:00", "18:00:00"),
        ("1", "1900-01-01", "1904-01-02"),
        ("59", "1900-02-28", "1904-02-29"),
        ("60", "1900-02-29", "1904-03-01"),  # a day of Excel's own
        ("61", "1900-03-01", "1904-03-02"),
        ("45000.000011574", "2023-03-15T00:00:01", "2027-03-16T00:00:01"),
        ("45000.00000001157", "2023-03-15T00:00:00.001", "2027-03-16T00:00:00.001"),
        ("2958465", "9999-12-31", 2958465),
        ("2958466", 2958466, 2958466),
        ("-1", -1, -1),
        ("none", "none", "none"),
    ],
)
def test_days_are_counted_from_1900_or_1904(serial, by_1900, by_1904):
    styles = '<styleSheet><cellXfs><xf numFmtId="14"/><xf numFmtId="46"/></cellXfs></styleSheet>'
    sheet = f'<row><c s="0"><v>{serial}</v></c><c s="1"><v>1.25</v></c></row>'
    assert cells(xlsx(sheet, styles=styles)) == [[by_1900, "PT30H0M0S"]]
    old = xlsx(sheet, styles=styles, workbook='<workbookPr date1904="1"/>')
    assert cells(old) == [[by_1904, "PT30H0M0S"]]


def test_merged_cells_hidden_sheets_and_sheets_that_are_charts():
    book, packed = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["total", None, 5])
    book.active.merge_cells("A1:B1")
    book.create_chartsheet("Chart")
    for state in ("hidden", "veryHidden"):
        book.create_sheet(state).append([state])
        book[state].sheet_state = state
    book.save(packed)
    assert rows(packed.getvalue()) == [
        ("Sheet", 1, ["total", None, 5], None),
        ("hidden", 1, ["hidden"], None),
        ("veryHidden", 1, ["veryHidden"], None),
    ]


def test_a_million_rows_with_holes_take_no_more_memory_than_some():
    """Rows come while the sheet is read, and a cell at the far end makes no room for all those before it."""
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    found = rows(xlsx('<row r="1"><c r="A1"><v>1</v></c></row>' + far))
    assert [(row[1], len(row[2])) for row in found] == [(1, 1), (1048576, 16384)]
    assert column_name(16383) == "XFD" and column_name(25) == "Z" and column_name(26) == "AA"


# The binary format


def record(kind, content=b""):
    """[MS-XLSB] 2.1.4: seven bits of type and length in a byte."""

    def number(value):
        parts = []
        while value > 0x7F:
            parts.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes([*parts, value])

    return number(kind) + number(len(content)) + content


def wide(value):
    return struct.pack("<I", len(value)) + value.encode("utf-16-le")


def cell(kind, column, content, style=0):
    return record(kind, struct.pack("<II", column, style) + content)


def xlsb(sheet, flags=0):
    workbook = record(153, struct.pack("<III", flags, 0, 0)) + record(156, bytes(8) + wide("r1") + wide("S1"))
    styles = record(44, struct.pack("<H", 170) + wide("yyyy")) + record(617, bytes(4))
    styles += b"".join(record(47, struct.pack("<HH", 0, number) + bytes(12)) for number in (0, 170)) + record(618)
    strings = record(159, bytes(8)) + record(19, b"\0" + wide("shared ü"))
    return xlsx(sheet, workbook=workbook, strings=strings, styles=styles, kind="bin")


def test_every_kind_of_cell_of_xlsb():
    real = struct.pack("<d", 45000.5)
    sheet = (
        record(0, struct.pack("<I", 4) + bytes(12))
        + b"".join(
            [
                cell(7, 0, struct.pack("<I", 0)),
                cell(2, 1, struct.pack("<i", 12345 << 2 | 3)),  # an integer, divided by 100
                cell(2, 2, struct.pack("<i", -7 << 2 | 2)),
                cell(2, 3, struct.pack("<d", 0.5)[4:]),
                cell(5, 4, real),
                cell(5, 5, real, style=1),
                cell(4, 6, b"\1"),
                cell(3, 7, b"\x17"),
                cell(6, 8, wide("own")),
                cell(62, 9, b"\0" + wide("rich")),
                cell(8, 10, wide("formula") + bytes(4)),
                cell(9, 11, struct.pack("<d", 3.0) + bytes(4)),
                cell(10, 12, b"\0" + bytes(4)),
                cell(11, 13, b"\x2a" + bytes(4)),
                record(16, struct.pack("<I", 0) + real),  # in the next column
                cell(1, 15, b""),
            ]
        )
    )
    sheet += record(0, struct.pack("<I", 9) + bytes(12)) + record(35, bytes(3))
    values = ["shared ü", 123.45, -7, 0.5, 45000.5, "2023-03-15T12:00:00", True, None, "own", "rich", "formula", 3]
    assert rows(xlsb(sheet)) == [("S1", 5, [*values, False, None, 45000.5], {"H5": "#REF!", "N5": "#N/A"})]
    assert rows(xlsb(sheet, flags=1))[0][2][5] == "2027-03-16T12:00:00"
    beyond = record(0, struct.pack("<I", 0) + bytes(12)) + cell(2, 2**14, bytes(4))
    assert refusal(xlsb(beyond)) == ("broken", "a cell is in column 16385, which no sheet has")
    assert refusal(xlsb(sheet[:18] + cell(6, 0, struct.pack("<I", 50)))) == ("broken", "a text in it is cut off")


# Excel before 2007


def test_errors_and_durations_of_xls():
    book, packed = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("S")
    sheet.write(1, 2, 1.25, xlwt.easyxf(num_format_str="[h]:mm"))
    sheet.row(1).set_cell_error(4, "#N/A!")
    sheet.row(1).set_cell_error(5, "#DIV/0!")
    book.dates_1904 = True
    sheet.write(2, 0, 1, xlwt.easyxf(num_format_str="yyyy"))
    book.save(packed)
    assert rows(packed.getvalue()) == [
        ("S", 2, [None, None, "PT30H0M0S", None, None, None], {"E2": "#N/A", "F2": "#DIV/0!"}),
        ("S", 3, ["1904-01-02"], None),
    ]


# OpenDocument


def test_every_kind_of_cell_of_ods():
    given = [
        '<table:table-cell office:value-type="string"><text:p>a<text:s text:c="3"/><text:span>b</text:span><text:tab/>'
        "</text:p><text:p/><text:p>c<text:note><text:p>no</text:p></text:note></text:p></table:table-cell>",
        '<table:table-cell office:value-type="string"><office:annotation><text:p>no</text:p></office:annotation>'
        "<text:p>d</text:p></table:table-cell>\n",
        '<table:table-cell office:value-type="float" office:value="9007199254740993"/>',
        '<table:table-cell office:value-type="currency" office:value="12.5" office:currency="EUR"/>',
        '<table:table-cell office:value-type="date" office:date-value="2026-03-01T08:00:00.500000000"/>',
        '<table:table-cell office:value-type="date" office:date-value="2026-03-01T00:00:00"/>',
        '<table:table-cell office:value-type="time" office:time-value="PT6H9M23S"/>',
        '<table:table-cell office:value-type="time" office:time-value="PT30H00M00S"/>',
        '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>',
        '<table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="" '
        'calcext:value-type="error"><text:p>#DIV/0!</text:p></table:table-cell>',
        '<table:table-cell table:formula="of:=X()" office:value-type="float" office:value="0"><text:p>#NAME?</text:p>'
        "</table:table-cell>",
        '<table:table-cell table:formula="of:=1+1"/>',
        '<table:table-cell table:number-columns-repeated="2" office:value-type="string"><text:p>x</text:p>'
        '</table:table-cell><table:table-cell table:number-columns-repeated="16370"/>',
    ]
    (row,) = rows(ods(ods_table("".join(given)) + ods_table("<table:table-cell/>", name="empty")))
    values = ["a   b\t\n\nc", "d", 9007199254740993, 12.5, "2026-03-01T08:00:00.5", "2026-03-01", "06:09:23"]
    assert row[2] == [*values, "PT30H00M00S", True, None, None, None, "x", "x"]
    assert row[3] == {"J1": "#DIV/0!", "K1": "#NAME?", "L1": "#UNCALCULATED!"}


def test_repeated_rows_of_ods():
    cell_of = '<table:table-cell office:value-type="float" office:value="1"/>'
    body = f"""<table:table table:name="A"><table:table-row table:number-rows-repeated="2">{cell_of}</table:table-row>
        <table:table-row table:number-rows-repeated="5"><table:table-cell table:number-columns-repeated="9"/>
        </table:table-row><table:table-header-rows><table:table-row>{cell_of}</table:table-row></table:table-header-rows>
        <table:table-row table:number-rows-repeated="1048569"><table:table-cell/></table:table-row></table:table>"""
    copied = ods_table(cell_of, name="'file:///other.ods'#S")
    assert [row[:3] for row in rows(ods(body + copied))] == [("A", 1, [1]), ("A", 2, [1]), ("A", 8, [1])]


# What is not read


def test_files_that_are_no_workbooks_say_so():
    compound = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    whole = xlsx('<row><c r="A1"><v>1</v></c></row>')
    assert refusal(b"") == ("empty", "it has no byte")
    assert refusal(xlsx("")) == ("empty", "no cell of it is filled")
    assert refusal(compound + "EncryptedPackage".encode("utf-16-le"))[0] == "encrypted"
    assert refusal(ods("", manifest="<manifest><encryption-data/></manifest>"))[0] == "encrypted"
    assert refusal(whole[:300])[0] == refusal(compound * 100)[0] == "broken"
    assert refusal(b"<html><table>")[1].startswith("it is HTML, whatever its name says")
    assert refusal(b"\xef\xbb\xbf <?xml version='1.0'?>\n<Workbook xmlns='...'>")[1].startswith("it is an XML spread")
    assert refusal(b"%PDF-1.7")[0] == refusal(b"\x89PNG")[0] == refusal(archive({"a.txt": "a"}))[0] == "unsupported"
    parts = unpacked(whole)
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"spreadsheetml", b"wordprocessingml")
    assert refusal(archive(parts)) == ("unsupported", "it is a zip archive, but no workbook")


@pytest.mark.parametrize(
    ("sheet", "reason"),
    [
        ('<row r="2"><c><v>1</v></c></row><row r="2"/>', "row 2 comes after row 2"),
        ('<row r="1048577"/>', "row 1048577 comes after row 0"),
        ('<row><c r="XFE1"><v>1</v></c></row>', "a cell is in column XFE, which no sheet has"),
        ("<row>" + "<c><v>1</v></c>" * 16385 + "</row>", "row 1 has more cells than a sheet has columns"),
        ('<row><c t="s"><v>4</v></c></row>', "a cell refers to text 4 of 0"),
        (b"<worksheet><sheetData><row>", "its XML is damaged: no element found: line 1, column 27"),
        (b"<worksheet>&more;</worksheet>", "its XML is damaged: undefined entity: line 1, column 11"),
    ],
)
def test_sheets_that_are_broken(sheet, reason):
    assert refusal(xlsx(sheet)) == ("broken", reason)


def test_a_part_that_is_missing_or_listed_twice():
    whole = xlsx("<row><c><v>1</v></c></row>", "")
    parts = {
        name: zipfile.ZipFile(io.BytesIO(whole)).read(name) for name in zipfile.ZipFile(io.BytesIO(whole)).namelist()
    }
    assert refusal(archive({name: part for name, part in parts.items() if "sheet2" not in name})) == (
        "broken",
        "xl/sheet2.xml is missing in it",
    )
    twice = {name: part.replace(b"sheet2.xml", b"sheet1.xml") for name, part in parts.items()}
    assert refusal(archive(twice)) == ("broken", "two of its sheets are xl/sheet1.xml")
    named = {name: part.replace(b'"S2"', b'"S1"') for name, part in parts.items()}
    assert refusal(archive(named)) == ("broken", "two of its sheets are named S1")


LAUGHS = '<!DOCTYPE z [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
FAR = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 1101))
ONE = '<table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1"/>'
BOMBS = {
    "zip": (lambda: xlsx(" " * 20_000_000), "would unpack to"),
    "entities": (lambda: xlsx("<row><c t='str'><v>&b;</v></c></row>", root=LAUGHS), "declares a document type"),
    "entities of ods": (lambda: ods(ods_table("&b;"), doctype=LAUGHS), "declares a document type"),
    "far cells": (lambda: xlsx(FAR), "more than 16,777,216 cells or 268,435,456 characters"),
    "one text in many cells": (
        lambda: xlsx(
            "".join(f'<row r="{n}"><c t="s"><v>0</v></c></row>' for n in range(1, 1101)),
            strings=f"<sst><si><t>{os.urandom(2**17).hex()}</t></si></sst>",
        ),
        "more than 16,777,216 cells or 268,435,456 characters",
    ),
    "long tag": (lambda: xlsx("", root=f'<a b="{os.urandom(2**21).hex()}"/>'), "a tag of more than 1,048,576 bytes"),
    "repeated rows": (
        lambda: ods(f'<table:table table:name="S"><table:table-row table:number-rows-repeated="1048576">{ONE}'
                    "</table:table-row></table:table>"),
        "it repeats a row of 16,384 cells 1,048,576 times",
    ),
    "repeated spaces": (
        lambda: ods(ods_table('<table:table-cell><text:p><text:s text:c="900000000"/></text:p></table:table-cell>')),
        "a text in it has 900,000,000 spaces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_soon_and_in_little_memory(bomb, monkeypatch):
    """Within 5 seconds of the child's processor, and 200 MiB."""
    make, reason = BOMBS[bomb]
    data, child = make(), Child("ingestion.parsers.spreadsheet", {})
    memory, seconds, receive = [], [], untrusted._receive

    def noted(process, *options):
        message = receive(process, *options)
        about = Path(f"/proc/{process.pid}")
        memory.extend(int(line.split()[1]) for line in (about / "status").open() if line.startswith("VmHWM"))
        ticks = (about / "stat").read_text().rpartition(")")[2].split()[11:13]
        seconds.append(sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))
        return message

    monkeypatch.setattr(untrusted, "_receive", noted)
    try:
        with pytest.raises(Unreadable, match=reason) as error, open(os.devnull, "wb") as sink:
            child.parse(data, bomb, sink)
    finally:
        child.close()
    assert error.value.status == "refused"
    assert max(seconds) < 5 and max(memory) < 200 * 1024


def test_rows_of_long_texts_come_in_small_messages():
    """However long the texts in the cells of a row are, they are counted."""
    row = '<row><c t="inlineStr"><is><t>' + "x" * 30_000 + "</t></is></c></row>"
    child, sizes = Child("ingestion.parsers.spreadsheet", {}), []

    class Sink:
        def write(self, message):
            sizes.append(len(message))

    try:
        child.parse(xlsx(row * 100), "f", Sink())
    finally:
        child.close()
    assert sum(sizes) > 3_000_000 and max(sizes) < 500_000
