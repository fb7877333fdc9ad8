"""Spreadsheets in a folder: order files in their dialects, workbooks, declared and not, and what is read again."""

import io
import json
import os
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import dlt
import openpyxl
import pytest
from conftest import Warehouse, counts

from ingestion import blocks, files, grids, spreadsheets, untrusted
from ingestion import contract as contracts
from ingestion.errors import ConfigurationError, SourceError
from ingestion.stream import Window
from ingestion.systems import all_systems
from sandbox.files import zipped
from sandbox.workbooks import Error, ods, xls, xlsx

HEADER = (
    "order_number,line_number,ordered_on,customer_email,customer_name,country,sku,product_name,"
    "quantity,unit_price,currency,tax_amount,shipping_amount"
)
LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
"""How an encrypted workbook begins, a compound file ([MS-OFFCRYPTO] 2.3.2), and what is in it."""
KONTOR = {"delimiter": ";", "encoding": "cp1252", "decimal": ",", "date_format": "%d.%m.%Y"}


def orders(reseller, columns=None, **options):
    """The declaration of a reseller's order files, which have no phone numbers."""
    columns = {"customer_phone": ""} | (columns or {})
    return {"files": f"orders/{reseller}/*.csv", "values": {"reseller": reseller}, "columns": columns, **options}


def line(number, name="Zoë", price="1.50", day="2026-03-01"):
    return f"A-{number},1,{day},z@example.com,{name},DE,sku-1,Coffee,2,{price},EUR,0.57,0"


class Folder:
    """A folder of spreadsheets, what is declared of them, and runs over it."""

    def __init__(self, path, warehouse, monkeypatch) -> None:
        self.path, self.warehouse, self.monkeypatch = path, warehouse, monkeypatch
        self.state = {}
        path.mkdir()
        monkeypatch.setenv("SOURCES__SPREADSHEETS__FOLDER", str(path))
        self.declare(order_lines={"acme": orders("acme", encoding="utf-8"), "kontor": orders("kontor", **KONTOR)})

    def declare(self, **tables):
        self.monkeypatch.setenv("SOURCES__SPREADSHEETS__TABLES", json.dumps(tables))

    def put(self, name, content):
        """Writes a file, of bytes or of text."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def write(self, *lines, name="acme/orders_2026-03.csv", encoding="utf-8", header=HEADER):
        """Writes a file of orders, of these lines (text, or bytes as they are)."""
        bom = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
        encoding = encoding.removesuffix("-sig")
        encoded = [text if isinstance(text, bytes) else text.encode(encoding) for text in (header, *lines)]
        return self.put(f"orders/{name}", bom + b"\n".join(encoded) + b"\n")

    def run(self, stream="order_lines", **options):
        self.ledger = self.warehouse.run("spreadsheets", streams=(stream,), **options)[stream]
        return counts(self.ledger)

    def read(self, stream="order_lines"):
        """What a reader gives: the rows that fit, and the error at its end; `unfit` are those that do not, and why."""
        system, rows, self.unfit, self.scopes = all_systems()["spreadsheets"], [], [], []
        (chosen,) = [each for each in system.streams if each.name == stream]
        reader, window = system.connect(), Window(None, None, False, self.state.setdefault(stream, {}))
        try:
            for page in reader.read(chosen, window):
                self.scopes += page.scopes or []
                typed = contracts.apply(reader.db, chosen.contract, page.rows)
                rows += typed.accepted.to_pylist()
                for table in filter(None, (typed.rejected, page.rejected)):
                    self.unfit += [(row["position"], row["reason"]) for row in table.to_pylist()]
            return rows, None
        except SourceError as error:
            return rows, str(error)
        finally:
            reader.close()
            self.notes = window.notes

    def current(self, stream, columns="file_path, sheet, row_number, block"):
        """The rows of a snapshot as staging sees them."""
        table = f"raw_spreadsheets.{stream}"
        return self.warehouse.query(f"""
            select {columns} from {table} where _mark is null and (_scope, _observed_at) in (
                select _scope, max(_observed_at) from {table} group by _scope
            ) order by file_path, sheet, row_number
        """)

    def rows(self, columns):
        return self.warehouse.query(
            f"select {columns} from raw_spreadsheets.order_lines order by reseller, order_number"
        )

    def rejected(self):
        query = "select position, reason, original from raw_operations.rejected_rows order by observed_at, position"
        return [(position, reason, json.loads(text)) for position, reason, text in self.warehouse.query(query)]


@pytest.fixture
def folder(tmp_path, warehouse, monkeypatch):
    return Folder(tmp_path / "partners", warehouse, monkeypatch)


def test_dialects(folder):
    folder.write(line(1), line(2, name='"Zoë, ""Z"""'))
    folder.write(line(3), name="acme/orders_2026-04.csv", encoding="utf-8-sig")
    german = "K-1;1;28.02.2026;;Müller €;DE;sku-1;;2;1.234,50;EUR;0,57;0"
    folder.write(german, name="kontor/orders_2026-02.csv", encoding="cp1252", header=HEADER.replace(",", ";"))
    assert folder.run() == (4, 4, 0, 0, 0)
    columns = "reseller, customer_name, ordered_on, unit_price, customer_email, _position, _key"
    day, price, email = date(2026, 3, 1), Decimal("1.5"), "z@example.com"
    march, april, german = (
        "orders/acme/orders_2026-03.csv:2",
        "orders/acme/orders_2026-04.csv:2",
        "orders/kontor/orders_2026-02.csv:2",
    )
    assert folder.rows(columns) == [
        ("acme", "Zoë", day, price, email, march, '["acme","A-1","1"]'),
        ("acme", 'Zoë, "Z"', day, price, email, march.replace(":2", ":3"), '["acme","A-2","1"]'),
        ("acme", "Zoë", day, price, email, april, '["acme","A-3","1"]'),
        ("kontor", "Müller €", date(2026, 2, 28), Decimal("1234.5"), None, german, '["kontor","K-1","1"]'),
    ]
    assert folder.ledger["unknown_fields"] is None


def test_decimal_comma(folder):
    """A point is not taken for a thousands separator where it can't be one: 12.50 is never 1250, and 0.500 not 500."""
    good = {"1.234,50": "1234.5", "1.234.567": "1234567", "0,1234": "0.1234", "-5.000": "-5000", ",5": "0.5"}
    day = "28.02.2026"
    lines = [f"K-{n};1;{day};;;DE;s;;2;{price};EUR;0,57;0" for n, price in enumerate(good)]
    bad = [(day, "3", price) for price in ("12.50", "0.500", "1234.567,89", "1.23.456")]
    bad += [("2026-02-28 x", "3", "1"), ("30.02.2026", "3", "1"), ("01.02.26", "3", "1"), (day, "3,5", "1")]
    lines += [f"L-{n};1;{on};;;DE;s;;{many};{price};EUR;0;0" for n, (on, many, price) in enumerate(bad)]
    folder.write(*lines, name="kontor/orders_1.csv", header=HEADER.replace(",", ";"))
    assert folder.run() == (13, 5, 0, 8, 0)
    assert folder.rows("unit_price") == [(Decimal(price),) for price in good.values()]
    assert {reason for _, reason, _ in folder.rejected()} == {
        "unit_price: '12,50' is not a decimal(18,4)",
        "unit_price: '0,500' is not a decimal(18,4)",
        "unit_price: '1234,567.89' is not a decimal(18,4)",
        "unit_price: '1,23,456' is not a decimal(18,4)",
        "ordered_on: '2026-02-28 x' is not a date",
        "ordered_on: '30.02.2026' is not a date",
        "ordered_on: '01.02.26' is not a date",
        "quantity: '3,5' is not an integer",
    }


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b", "\ufeff "])
def test_what_nobody_sees_is_nothing(folder, blank):
    text = f"sku,counted_on,on_hand,reserved\n{blank},2026-03-01,5,1\nA,2026-03-01,5,{blank}\n{blank},{blank},,\n"
    folder.put("stock.csv", text)
    folder.declare(stock_levels=stock("*", columns={"product_name": "", "warehouse": ""}))
    rows, _ = folder.read("stock_levels")
    assert [(row["sku"], row["reserved"]) for row in rows] == [("A", None)]
    assert folder.unfit == [("stock.csv:2", "sku: is missing")]


def test_the_case_of_a_name_is_no_matter(folder):
    folder.write(line(1), name="acme/ORDERS.CSV")
    folder.write(line(2), name="acme/a.csv")
    assert len(folder.read()[0]) == 2


def test_broken_lines_are_rejected_alone(folder):
    folder.write(
        line(1, name='"two\nlines"'),
        "A-2,1,2026-03-01,too few",
        line(3) + ",too,many",
        line(4, name='"never closed'),
        line(5, name="caf\xe9").encode("latin-1"),
        "",
        line(6, price="x"),
        line(7),
    )
    other = b"K-1;1;28.02.2026;;M\x81ller;DE;s;;2;1,5;EUR;0;0"
    folder.write(other, name="kontor/orders_1.csv", header=HEADER.replace(",", ";"))
    assert folder.run() == (8, 2, 0, 6, 0)
    assert folder.ledger["status"] == "complete"
    assert folder.rows("order_number, customer_name, _position") == [
        ("A-1", "two\nlines", "orders/acme/orders_2026-03.csv:2"),
        ("A-7", "Zoë", "orders/acme/orders_2026-03.csv:10"),
    ]
    rejected = {position[-1]: (reason, original) for position, reason, original in folder.rejected()}
    assert rejected.pop("2")[0] == "bytes that are not cp1252"
    assert rejected["4"] == ("4 cells where the header has 13", "A-2,1,2026-03-01,too few")
    assert rejected["5"] == ("15 cells where the header has 13", line(3) + ",too,many")
    assert rejected["6"] == ("a quote is left open or misplaced", line(4, name='"never closed'))
    assert rejected["7"] == ("bytes that are not utf-8", line(5, name="caf\\xe9"))
    assert rejected["9"][0] == "unit_price: 'x' is not a decimal(18,4)"
    assert rejected["9"][1]["unit_price"] == "x" and rejected["9"][1]["reseller"] == "acme"


def test_new_column_and_another_order_of_columns(folder):
    names, cells = [*HEADER.split(","), "Tier"], [*line(1).split(","), "gold"]
    folder.write(",".join(reversed(cells)), header=",".join(reversed(names)))
    assert folder.run() == (1, 1, 0, 0, 0)
    assert folder.ledger["unknown_fields"] == '["Tier"]'
    assert folder.rows("order_number, quantity, _unknown_fields") == [("A-1", 2, '{"Tier":"gold"}')]


def test_unchanged_files_are_not_read_and_a_grown_one_is(folder):
    path = folder.write(line(1), line(2, price="x"))
    folder.write(line(3), name="acme/orders_2026-04.csv")
    assert folder.run() == (3, 2, 0, 1, 0)
    assert folder.run() == (0, 0, 0, 0, 0), "neither has changed"
    with path.open("a") as file:
        file.write(line(4) + "\n")
    assert folder.run() == (3, 1, 1, 1, 0), "the other file is left alone"
    path.unlink()
    assert folder.run(full=True) == (1, 0, 1, 0, 0), "a file that is gone takes nothing back"


def test_same_lines_in_another_file(folder):
    folder.write(line(1), line(2))
    folder.write(line(1), line(2), name="acme/orders_2026-03_resend.csv")
    assert folder.run() == (4, 2, 2, 0, 0)


def test_changed_line_keeps_its_first_sighting(folder):
    folder.write(line(1))
    folder.run()
    folder.write(line(1, price="9.99"))
    assert folder.run() == (1, 1, 0, 0, 0)
    first = folder.warehouse.query("""
        select unit_price from raw_spreadsheets.order_lines
        qualify row_number() over (partition by _key order by _observed_at, _row_hash) = 1
    """)
    assert first == [(Decimal("1.5"),)]


def test_bad_files_do_not_stop_the_others(folder, monkeypatch):
    """Each is named with what is wrong with it; fourteen ways to be bad."""
    monkeypatch.setattr(untrusted, "SHOWN", 14)
    dialects = {"long": {"delimiter": "||"}, "wide": {"encoding": "utf-16"}}
    acme = orders("acme", files="orders/acme/*", encoding="utf-8")
    folder.declare(order_lines={"acme": acme} | {name: orders(name, **given) for name, given in dialects.items()})
    folder.write(line(1), header=HEADER.replace("sku", "SKU "), name="acme/orders_renamed.csv")
    folder.write(line(1), header=HEADER.replace(",", "^"), name="acme/orders_carets.csv")
    folder.write(line(1), header=HEADER + ",sku", name="acme/orders_twice.csv")
    folder.write(line(1), header=HEADER.encode().replace(b"sku", b"sk\xff"), name="acme/orders_bytes.csv")
    for reseller in dialects:
        folder.write(line(1), name=f"{reseller}/orders_0.csv")
    folder.put("orders/acme/orders_empty.csv", "")
    folder.put("orders/acme/orders_blank.csv", " \n\n")
    (folder.path / "orders/acme/orders_link.csv").symlink_to("nowhere")
    (folder.path / "orders/acme/orders_out.csv").symlink_to("/etc/hostname")
    book = xlsx({"Orders": [HEADER.split(","), line(1).split(",")]})
    folder.put("orders/acme/orders_cut.xlsx", book[: len(book) // 2])
    folder.put("orders/acme/orders_locked.xlsx", LOCKED)
    folder.put("orders/acme/orders_page.csv", "<!DOCTYPE html><html><table>")
    folder.put("orders/acme/orders_photo.csv", b"\xff\xd8\xff\xe0\0\x10JFIF")
    folder.write(line(2), name="acme/orders_zz_good.csv")
    rows, error = folder.read()
    assert [row["order_number"] for row in rows] == ["A-2"]
    for message in (
        "14 files could not be read: ",
        r"acme/orders_renamed.csv: there is no column 'sku': 'SKU' \(G1\) stands after 'country'. Was it renamed",
        "acme/orders_carets.csv: there is no header with the columns 'order_number'",
        "acme/orders_twice.csv: the header has 'sku' more than once, in G and N",
        r"acme/orders_bytes.csv: there is no column 'sku': 'sk\\\\xff' \(G1\)",
        "long/orders_0.csv: a delimiter is one character",
        "wide/orders_0.csv: .*utf-16",
        "acme/orders_empty.csv: there is nothing in it. What was read of it before stays as it was",
        "acme/orders_blank.csv: there is nothing in it",
        "acme/orders_link.csv: .*No such file",
        "acme/orders_out.csv: it is a link that leads out of the folder",
        "acme/orders_cut.xlsx: this is no complete zip archive",
        "acme/orders_locked.xlsx: it is protected by a password",
        "acme/orders_page.csv: it is HTML, whatever its name says",
        "acme/orders_photo.csv: it begins as no spreadsheet does",
    ):
        assert re.search(message, error), (message, error)
    assert "acme/orders_zz_good" not in error


def test_bad_file_that_is_mended(folder):
    folder.write(line(1))
    bad = folder.write(line(2), header=HEADER.replace("sku", "SKU"))
    folder.write(line(1), name="acme/orders_2026-04.csv")
    rows, error = folder.read()
    assert [row["order_number"] for row in rows] == ["A-1"] and error.startswith("1 files could not be read")
    folder.declare(order_lines={"acme": orders("acme", columns={"sku": "SKU"}), "kontor": orders("kontor")})
    rows, error = folder.read()
    assert [row["order_number"] for row in rows] == ["A-2"], "its declaration has changed"
    assert "orders/acme/orders_2026-04.csv: there is no column 'SKU'" in error
    bad.write_text(bad.read_text().replace("SKU", "sku"))
    folder.declare(order_lines={"acme": orders("acme")})
    rows, error = folder.read()
    assert sorted(row["order_number"] for row in rows) == ["A-1", "A-2"] and not error
    assert folder.read() == ([], None)


def test_empty_files_and_folders(folder):
    folder.write()
    (folder.path / "kontor").mkdir()
    assert folder.read() == ([], None)
    assert folder.notes == ["sources.spreadsheets.tables.order_lines.kontor: there is no file orders/kontor/*.csv"]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"files": "*.csv", "separator": ";"}, "kontor.separator: there is no such option, but files, sheet, encoding"),
        ({"files": "**.csv"}, "kontor.files: Invalid pattern: .*can only be an entire path component"),
        ({"files": "*.csv", "date_format": "%Q"}, "kontor.date_format: .*%Q"),
        ({"sheet": "Orders"}, "kontor.files is missing"),
        ({"files": "*.csv", "encoding": "klingon"}, "kontor.encoding: unknown encoding: klingon"),
        ({"files": "*.csv", "encoding": "rot13"}, "kontor.encoding: 'rot13' is not a text encoding"),
        ({"files": "*.csv", "encoding": ""}, "kontor.encoding: "),
    ],
)
def test_wrong_declaration(folder, declared, message):
    folder.declare(order_lines={"kontor": declared})
    with pytest.raises(ConfigurationError, match=f"sources.spreadsheets.tables.order_lines.{message}"):
        all_systems()


@pytest.mark.parametrize("name", ["orders.dat", "export"])
@pytest.mark.parametrize(
    "options",
    [{}, {"delimiter": ","}, *({"encoding": each} for each in ("utf-16-le", "utf-16-be", "utf-32", "cp500", "koi8-r"))],
    ids=str,
)
def test_declared_text_of_any_name_and_encoding(folder, name, options):
    """What is not declared of such a name is no text; a workbook stays one, whatever its declaration says."""
    text = "n,w\n1,Б\n2,ы\n".encode(options.get("encoding", "utf-8"), "replace")
    folder.put(name, text)
    folder.put("book", xlsx({"S": [["n", "w"], [3, "x"]]}))
    folder.declare()
    assert folder.read("rows")[0][0]["file_path"] == "book"
    assert [row["status"] for row in folder.read("files")[0]] == ["read", "unsupported"]
    folder.declare(n={"a": {"files": "*", "types": {"n": "integer", "w": "text"}, **options}})
    rows, error = folder.read("n")
    assert not error and [row["n"] for row in rows] == [3, 1, 2]
    assert [row["status"] for row in folder.read("files")[0]] == ["read", "read"], "what became of it is another"


def test_check(folder):
    folder.write(line(1))
    folder.put("other/a.csv", "a,b\n")
    folder.put("other/b.csv", "a,b\n")
    reader = all_systems()["spreadsheets"].connect()
    checked = [reader.check(stream) for stream in spreadsheets.STREAMS[:4]]
    none = "sources.spreadsheets.tables.order_lines.kontor: there is no file orders/kontor/*.csv"
    assert checked == ["3 files", "2 files", f"1 files; {none}", "0 files"]
    reader.close()
    folder.monkeypatch.setenv("SOURCES__SPREADSHEETS__FOLDER", str(folder.path / "moved"))
    reader = all_systems()["spreadsheets"].connect()
    with pytest.raises(SourceError, match=r"no folder .*partners/moved: correct SOURCES__SPREADSHEETS__FOLDER"):
        reader.check(spreadsheets.STREAMS[0])
    reader.close()


# Workbooks


STOCK = {"sku": "SKU", "counted_on": "As of", "on_hand": "On hand", "product_name": "Product", "warehouse": ""}


def stock(files, **options):
    """The declaration of a reseller's stock."""
    return {"acme": {"files": files, "columns": STOCK, "values": {"reseller": "acme"}, **options}}


def with_rows(*rows, header=("SKU", "Product", "As of", "On hand", "reserved")):
    return [["Stock of ACME"], [], list(header), *map(list, rows)]


@pytest.mark.parametrize("make", [xlsx, xls, ods])
def test_a_declared_workbook(folder, make):
    """The header is below a title; cells have an error, numbers are text, rows are short."""
    folder.declare(stock_levels=stock("stock/*"))
    day, rows = date(2026, 1, 31), []
    rows += [["A", "Mill", day, 5, 1], ["B", Error("#N/A"), day, "7", None], ["C", "Cup", "2026-01-31", Error("#REF!")]]
    rows += [[], ["D", None, 46053, 2, "few"], [4711, "x", day, 1.5, 0], ["E", "y", day, 3.0, 0]]
    folder.put("stock/january", make({"Stock": with_rows(*rows), "Notes": [["never mind"]]}))
    found, error = folder.read("stock_levels")
    names = ("sku", "product_name", "counted_on", "on_hand", "reserved", "warehouse", "reseller", "sheet", "row_number")
    assert not error and [tuple(row[name] for name in names) for row in found] == [
        ("A", "Mill", day, 5, 1, None, "acme", "Stock", 4),
        ("B", None, day, 7, None, None, "acme", "Stock", 5),
        ("E", "y", day, 3, 0, None, "acme", "Stock", 10),
    ]
    assert found[1]["_unknown_fields"] == '{"Product":"#N/A"}' and found[0]["_position"] == "stock/january!Stock!A4"
    assert folder.unfit == [
        ("stock/january!Stock!A6", "on_hand: the cell D6 shows #REF!"),
        ("stock/january!Stock!A8", "reserved: 'few' is not an integer"),
        ("stock/january!Stock!A9", "on_hand: '1.5' is not an integer"),
    ]
    assert folder.notes == ["stock/january!Stock: cells with an error are null: B5 (#N/A)"]


def test_a_workbook_as_excel_saves_it(folder):
    """Dates by their format, results of formulas, hidden rows and sheets, columns that are not declared."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Stock"
    for row in with_rows(["A", "Mill", datetime(2026, 1, 31), 5, 1], header=("SKU", "Product", "As of", "On hand", "")):
        sheet.append(row)
    sheet["C4"].number_format, sheet["F3"], sheet["F4"], sheet["G4"] = "dd/mm/yy", "Tier", "gold", True
    sheet.row_dimensions[4].hidden = True
    book.create_sheet("Hidden").append([datetime(2026, 1, 31, 10, 30), time(7, 5), timedelta(hours=30)])
    book["Hidden"].sheet_state = "hidden"
    book.save(data := io.BytesIO())
    folder.put("stock/a.xlsx", data.getvalue())
    folder.declare(stock_levels=stock("stock/*", columns=STOCK | {"reserved": ""}))
    (row,), _ = folder.read("stock_levels")
    assert (row["sku"], row["counted_on"], row["on_hand"]) == ("A", date(2026, 1, 31), 5)
    assert json.loads(row["_unknown_fields"]) == {"E": "1", "Tier": "gold", "G": "true"}
    folder.declare()
    found, _ = folder.read("rows")
    assert {(row["sheet"], row["row_number"]): json.loads(row["cells"]) for row in found} == {
        ("Stock", 1): ["Stock of ACME"],
        ("Stock", 3): ["SKU", "Product", "As of", "On hand", None, "Tier"],
        ("Stock", 4): ["A", "Mill", "2026-01-31", 5, 1, "gold", True],
        ("Hidden", 1): ["2026-01-31T10:30:00", "07:05:00", "PT30H0M0S"],
    }


def test_which_sheet(folder):
    """The one that is named, or the first with cells; several of one workbook may be one stream."""
    book = {"Empty": [], "January": with_rows(["A", "", "2026-01-31", 1]), "May": with_rows(["B", "", "2026-05-31", 2])}
    folder.put("stock.xlsx", xlsx(book))
    for sheet, skus in ((None, ["A"]), ("January", ["A"]), ("May", ["B"])):
        folder.declare(stock_levels=stock("*.xlsx", **({"sheet": sheet} if sheet else {})))
        assert [row["sku"] for row in folder.read("stock_levels")[0]] == skus
    both = stock("*.xlsx", sheet="January") | {"may": stock("*", sheet="May")["acme"]}
    folder.declare(stock_levels=both)
    assert [row["sku"] for row in folder.read("stock_levels")[0]] == ["A", "B"]
    folder.declare(stock_levels=both | {"twice": stock("*.xlsx")["acme"]})
    found, error = folder.read("stock_levels")
    option = "sources.spreadsheets.tables.stock_levels"
    assert not found and f"{option}.acme and {option}.twice are both of its sheet 'January'" in error
    folder.declare(stock_levels=stock("*.xlsx", sheet="June"))
    _, error = folder.read("stock_levels")
    assert "stock.xlsx: it has no sheet 'June' with cells, but 'January', 'May'. Was it renamed or deleted?" in error
    assert f"{option}.acme.sheet" in error


def test_a_stream_of_ones_own(folder):
    """Its table is made of the declared types; what is declared later fills it, too."""
    types = {"SKU": "text", "Valid from": "date", "Price": "money?", "Active": "boolean"}
    prices = {"files": "prices/*.xlsx", "sheet": "Prices", "header": 2, "types": types}
    header = ["Price", "SKU", "Active", "Valid from"]
    rows = [
        ["SKU", "Valid from", "Price", "Active"],
        header,
        [1.5, "A", True, date(2026, 1, 1)],
        [None, "B", "no", "x"],
    ]
    folder.put("prices/a.xlsx", xlsx({"Notes": [["x"]], "Prices": rows}))
    folder.put("old/a.csv", 'SKU,Valid from,Price,Active\nC,01.02.2026,"1,25",yes\n')
    folder.declare(price_list={"all": prices})
    assert folder.run("price_list") == (2, 1, 0, 1, 0)
    assert folder.current("price_list", "sku, valid_from, price, active, file_path, row_number") == [
        ("A", date(2026, 1, 1), Decimal("1.5"), True, "prices/a.xlsx", 3)
    ]
    assert folder.rejected()[0][:2] == ("prices/a.xlsx!Prices!A4", "valid_from: 'x' is not a date")
    old = {"files": "old/*", "types": types, "decimal": ",", "date_format": "%d.%m.%Y"}
    folder.declare(price_list={"all": prices, "old": old})
    assert folder.run("price_list") == (1, 1, 0, 0, 0), "the workbook is not read again"
    assert folder.current("price_list", "sku, valid_from, price")[0] == ("C", date(2026, 2, 1), Decimal("1.25"))


# What is not declared


def test_rows_and_statuses_of_what_is_not_declared(folder, monkeypatch):
    """Every file ends as rows, or says why not; several sheets, lines of any width, two tables in one file."""
    monkeypatch.setattr(spreadsheets, "LARGEST", 9_000)
    monkeypatch.setattr(spreadsheets, "LONGEST", 100_000)
    folder.declare()
    plan = [["Fairs", None, "Share"], [], ["Milano", date(2027, 1, 16), Error("#DIV/0!")], [None, None, 0.25, True]]
    folder.put("plan.xlsx", xlsx({"Plan": plan, "Costs": [["Stand", 4200]]}, hidden=["Costs"]))
    folder.put("two\ntables.csv", 'Supplier,City\nBeans Ltd,Bristol\n,\n\nPhone,Who,When\n1,"I\nnes",\n,,\n2,"open\n')
    folder.put("many.csv", "a;b\n" * 2_500)
    folder.put("really.xls", "a\tb\n")
    folder.put("locked.xlsx", LOCKED)
    folder.put("empty.xlsx", b"")
    folder.put("blank.ods", ods({"A": [[None, ""]]}))
    folder.put("cut.xlsx", xlsx({"A": plan})[:3_000])
    folder.put("large.xlsx", b"PK\x03\x04" + bytes(9_000))
    parts = {"[Content_Types].xml": b"<Types/>", "xl/worksheets/sheet1.xml": b" " * 17 * 2**20}
    monkeypatch.setattr(spreadsheets, "LARGEST", 20_000)
    folder.put("bomb.xlsx", zipped(parts))
    folder.put("film.mp4", bytes(20_001))
    folder.put("line.txt", "x" * 100_001)
    folder.put("page.xls", "<html><body><table>")
    folder.put("~$plan.xlsx", b"Ada")
    (folder.path / "out.csv").symlink_to("/etc/hostname")
    files, _ = folder.read("files")
    said = {row["path"]: (row["status"], row["reason"], bool(row["file_id"])) for row in files}
    for name in ("plan.xlsx", "two\ntables.csv", "many.csv", "really.xls"):
        assert said.pop(name) == ("read", None, True), name
    assert said == {
        "locked.xlsx": ("encrypted", "it is protected by a password", True),
        "empty.xlsx": ("empty", "there is nothing in it", False),
        "blank.ods": ("empty", "no cell of it is filled", True),
        "cut.xlsx": ("broken", said["cut.xlsx"][1], True),
        "large.xlsx": ("broken", said["large.xlsx"][1], True),
        "bomb.xlsx": ("refused", said["bomb.xlsx"][1], True),
        "film.mp4": ("refused", "it has more than 20,000 bytes, and is no text", False),
        "line.txt": ("unsupported", "it has a line of more than 100,000 bytes: this is no table", False),
        "page.xls": ("unsupported", "it is HTML, whatever its name says: save it as xlsx or csv", True),
        "out.csv": ("refused", "it is a link that leads out of the folder", False),
    }
    assert "would unpack to 17," in said["bomb.xlsx"][1] and "zip archive" in said["cut.xlsx"][1]
    found, error = folder.read("rows")
    assert not error and not folder.unfit
    found = {(row["_position"], row["cells"], row["error_cells"]) for row in found if row["file_path"] != "many.csv"}
    assert found == {
        ("plan.xlsx!Plan!A1", '["Fairs",null,"Share"]', None),
        ("plan.xlsx!Plan!A3", '["Milano","2027-01-16",null]', '{"C3":"#DIV/0!"}'),
        ("plan.xlsx!Plan!A4", "[null,null,0.25,true]", None),
        ("plan.xlsx!Costs!A1", '["Stand",4200]', None),
        ("two\ntables.csv:1", '["Supplier","City"]', None),
        ("two\ntables.csv:2", '["Beans Ltd","Bristol"]', None),
        ("two\ntables.csv:5", '["Phone","Who","When"]', None),
        ("two\ntables.csv:6", '["1","I\\nnes",null]', None),
        ("two\ntables.csv:9", '["2","\\"open"]', None),
        ("really.xls:1", '["a","b"]', None),
    }


def test_two_tables_in_one_file(folder):
    """Each is a stream of its own; what is below the first one's end is rejected from it."""
    folder.put("both.csv", "Supplier,City\nBeans,Bristol\n\nPhone,Who,When\n123,Ines,2026-02-01\n456,Tom,\n")
    folder.declare(
        suppliers={"a": {"files": "both.csv", "types": {"Supplier": "text", "City": "text"}}},
        calls={"a": {"files": "both.csv", "types": {"Phone": "integer", "Who": "text", "When": "date?"}}},
    )
    assert [row["supplier"] for row in folder.read("suppliers")[0]] == ["Beans"]
    assert folder.unfit == [(f"both.csv:{n}", "3 cells where the header has 2") for n in (4, 5, 6)]
    assert [(row["phone"], row["when"]) for row in folder.read("calls")[0]] == [(123, date(2026, 2, 1)), (456, None)]
    assert not folder.unfit and folder.read("rows") == ([], None)
    folder.declare(calls={name: {"files": "*", "types": {"Phone": "integer"}} for name in "ab"})
    option = "sources.spreadsheets.tables.calls"
    assert f"{option}.a and {option}.b are both of all of it" in folder.read("calls")[1]


# Blocks, and what becomes of rows when files change


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "ROWS", 3)


def numbers(count):
    return xlsx({"S": [["n"], *([n] for n in range(2, count + 1))]})


def test_a_file_grows_and_shrinks_and_vanishes(folder, small_blocks):
    """What has not changed is not loaded again, and what is no longer there has no rows."""
    folder.declare(n={"a": {"files": "declared/*", "types": {"n": "integer"}}})
    for name in ("declared/a.xlsx", "a.xlsx"):
        folder.put(name, numbers(7))
    folder.put("a.csv", "n\n" * 7)

    def run(**options):
        ledgers = folder.warehouse.run("spreadsheets", streams=("n", "rows"), **options)
        return counts(ledgers["n"])[:3], counts(ledgers["rows"])[:3]

    def current():
        found = folder.current("n") + folder.current("rows")
        return {(path, block): [n for p, _, n, b in found if (p, b) == (path, block)] for path, _, _, block in found}

    assert run() == ((6, 6, 0), (14, 14, 0))
    blocks_of_seven = {1: [1, 2, 3], 4: [4, 5, 6], 7: [7]}
    assert current() == {
        ("declared/a.xlsx", 1): [2, 3], ("declared/a.xlsx", 4): [4, 5, 6], ("declared/a.xlsx", 7): [7],
        **{(name, begin): rows for name in ("a.csv", "a.xlsx") for begin, rows in blocks_of_seven.items()},
    }  # fmt: skip
    folder.put("declared/a.xlsx", numbers(8))
    folder.put("a.csv", "n\n" * 8)
    assert run() == ((7, 2, 5), (8, 2, 6)), "the last block alone"
    folder.put("declared/a.xlsx", numbers(4))
    folder.put("a.csv", "n\n" * 3)
    folder.put("a.xlsx", xlsx({"Other": [["n"]]}))
    run()
    assert current() == {
        ("declared/a.xlsx", 1): [2, 3], ("declared/a.xlsx", 4): [4], ("a.csv", 1): [1, 2, 3], ("a.xlsx", 1): [1]
    }  # fmt: skip
    (folder.path / "a.xlsx").unlink()
    folder.put("b.csv", "x")
    run(full=True)
    assert current().keys() == {("declared/a.xlsx", 1), ("declared/a.xlsx", 4), ("a.csv", 1), ("b.csv", 1)}
    assert run() == ((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize("rows, size", [(6, 2**20), (50, 1)], ids=["by rows", "by size"])
def test_a_block_is_called_by_its_first_row(folder, monkeypatch, name, is_declared, rows, size):
    """Whatever is above the header, and whatever is blank; of a file that has grown the end alone is new."""
    monkeypatch.setattr(blocks, "ROWS", rows)
    monkeypatch.setattr(blocks, "SIZE", size)
    monkeypatch.setattr(files, "BLOCK", 16)
    monkeypatch.setattr(grids, "BATCH", 2)
    stream = "n" if is_declared else "rows"
    folder.declare(**({"n": {"a": {"files": "*", "types": {"n": "text", "m": "text?"}}}} if is_declared else {}))

    def put(count):
        cells = [["Title", ""], ["", ""], ["n", "m"], *([" ", ""] for _ in range(4))]
        cells += [[f"r{n}", "x"] for n in range(8, count + 1)]
        folder.put(name, xlsx({"S": cells}) if name == "a.xlsx" else "".join(f"{a},{b}\n" for a, b in cells))

    def current():
        found = {}
        for _, _, number, block in folder.current(stream):
            found.setdefault(block, []).append(number)
        return found

    put(30)
    folder.run(stream)
    before = current()
    assert sorted(n for numbers in before.values() for n in numbers)[-23:] == list(range(8, 31))
    for block, numbers in before.items():
        fixed = numbers[0] - (numbers[0] - 1) % rows
        assert block in (fixed, numbers[0]) and numbers[-1] < fixed + rows
    if size > 1:
        assert all((block - 1) % rows == 0 for block in before), "also where its first rows are blank"
    put(33)
    read, loaded, unchanged, *_ = folder.run(stream)
    after = current()
    kept = [block for block in before if after.get(block) == before[block]]
    assert kept == list(before)[: len(kept)] and len(kept) >= len(before) - 1
    assert unchanged == sum(len(before[block]) for block in kept) and loaded == read - unchanged


def test_what_vanishes_is_gone_beside_a_row_that_is_rejected(folder, small_blocks):
    """In one batch with a file of which a row does not fit; a block without any row that fits stays."""
    folder.declare(n={"a": {"files": "*", "types": {"n": "integer"}}})
    folder.put("a.csv", "n\n1\n2\n3\n4\n")
    folder.put("b.csv", "n\n1\n")
    folder.run("n")
    (folder.path / "b.csv").unlink()
    folder.put("a.csv", "n\nx\n2\n")
    assert folder.run("n") == (2, 1, 0, 1, 0)
    assert folder.current("n", "file_path, row_number, n") == [("a.csv", 3, 2)]
    folder.put("a.csv", "n\nx\n")
    assert folder.run("n") == (1, 0, 0, 1, 0)
    assert folder.current("n", "file_path, row_number, n") == [("a.csv", 3, 2)]


def test_a_file_that_is_declared_later_leaves_the_rows(folder):
    """And comes back when it no longer is; its claims go with the declaration."""
    folder.put("claims.csv", "claim_number,opened_on,device_id,status\nC-1,2026-01-01,d,open\n")
    folder.put("other.csv", "a,b\n")
    absent = dict.fromkeys(["customer_email", "order_number", "description", "amount", "currency"], "")
    paths = []
    for tables in ({}, {"claims": {"all": {"files": "claims*", "columns": absent}}}, {}):
        folder.declare(**tables)
        folder.warehouse.run("spreadsheets", streams=("rows", "claims"))
        paths.append([[path for path, *_ in folder.current(stream)] for stream in ("rows", "claims")])
    undeclared = [["claims.csv", "claims.csv", "other.csv"], []]
    assert paths == [undeclared, [["other.csv"], ["claims.csv"]], undeclared]


def _two_sheets(*names):
    return {"stock_levels": {name: stock("a.xlsx", sheet=name)["acme"] for name in names}}


@pytest.mark.parametrize("runs", [(False,), (True,), (False, True), (True, False)], ids=str)
@pytest.mark.parametrize(
    "after",
    [
        {},
        {"stock_levels": stock("b.xlsx")},
        _two_sheets("May"),
        {"counts": {"all": {"files": "*.xlsx", "types": {"SKU": "text", "On hand": "integer"}}}},
        {"stock_levels": stock("b.xlsx"), "counts": {"all": {"files": "a.xlsx", "types": {"SKU": "text"}}}},
    ],
    ids=["no table", "fewer files", "fewer sheets", "another stream", "some of each"],
)
def test_a_declaration_that_goes(folder, tmp_path, after, runs):
    """Leaves what a warehouse has that never knew it, read anew or not."""
    book = {"January": with_rows(["A", "", "2026-01-31", 1, 0]), "May": with_rows(["B", "", "2026-05-31", 2, 0])}
    folder.put("a.xlsx", xlsx(book))
    folder.put("b.xlsx", xlsx({"January": with_rows(["C", "", "2026-01-31", 3, 0])}))
    folder.put("c.csv", "x\n")
    both = _two_sheets("January", "May")["stock_levels"] | {"b": stock("b.xlsx")["acme"]}
    folder.declare(stock_levels=both)
    folder.warehouse.run("spreadsheets", streams=("rows", "stock_levels"))
    assert len(folder.current("stock_levels")) == 3
    folder.declare(**after)
    streams = ("rows", "stock_levels", *({"counts"} & after.keys()))

    def current():
        return {stream: folder.current(stream) for stream in streams}

    for full in runs:
        ledgers = folder.warehouse.run("spreadsheets", streams=streams, full=full)
        assert {row["status"] for row in ledgers.values()} == {"complete"}
    found = current()
    fresh = tmp_path / "fresh"
    folder.monkeypatch.setenv("WAREHOUSE_DIR", str(fresh))
    folder.warehouse = Warehouse(fresh)
    folder.warehouse.run("spreadsheets", streams=streams)
    assert found == current() and found["rows"]


def test_a_column_that_is_renamed(folder):
    """Its file is named, its rows stay, the other files are read; the next run tries again."""
    folder.declare(stock_levels=stock("*.xlsx", columns=STOCK | {"reserved": ""}))
    header = ["SKU", "Product", "As of", "On hand"]
    for name in "ab":
        folder.put(f"{name}.xlsx", xlsx({"S": [header, ["A", "Mill", "2026-01-31", 1]]}))
    folder.run("stock_levels")
    folder.put("a.xlsx", xlsx({"S": [["SKU", "Product", "As of", "Stock"], ["A", "Mill", "2026-02-28", 2]]}))
    folder.put("b.xlsx", xlsx({"S": [header, ["A", "Mill", "2026-02-28", 2]]}))
    assert folder.run("stock_levels")[:2] == (1, 1) and folder.ledger["status"] == "failed"
    assert folder.ledger["error"].startswith(
        "1 files could not be read: a.xlsx: there is no column 'On hand': 'Stock' (D1) stands after 'As of'. Was "
        "it renamed or deleted? Correct it there, or sources.spreadsheets.tables.stock_levels.acme"
    )
    assert folder.current("stock_levels", "file_path, on_hand") == [("a.xlsx", 1), ("b.xlsx", 2)]
    folder.put("a.xlsx", xlsx({"S": [header, ["A", "Mill", "2026-02-28", 2]]}))
    assert folder.run("stock_levels")[:2] == (1, 1) and folder.ledger["status"] == "complete"


def test_a_file_that_can_no_longer_be_read_keeps_its_rows(folder):
    """Nothing is said of them, though it is known for later what they were."""
    folder.put("a.xlsx", numbers(2))
    assert len(folder.read("rows")[0]) == 2
    folder.put("a.xlsx", LOCKED)
    assert folder.read("rows") == ([], None) and not folder.scopes
    (folder.path / "a.xlsx").unlink()
    folder.put("b.xlsx", numbers(1))
    folder.read("rows")
    assert folder.scopes == ["b.xlsx/S/1", "a.xlsx/S/1"]


@pytest.mark.parametrize("full", [False, True])
def test_a_file_that_broke_on_the_way_is_gone_with_all_that_was_read_of_it(folder, small_blocks, monkeypatch, full):
    monkeypatch.setattr(files, "BLOCK", 16)
    folder.declare(n={"a": {"files": "a.csv", "types": {"n": "integer"}}})
    folder.put("a.csv", "n\n1\n2\n3\n4\n5\n6\n7\n".encode("utf-16") + b"8")
    folder.put("b.csv", "n\n1\n")
    folder.run("n")
    assert "it is cut off" in folder.ledger["error"] and len(folder.current("n")) > 1
    (folder.path / "a.csv").unlink()
    folder.run("n", full=full)
    assert folder.ledger["status"] == "complete" and folder.current("n") == []


def test_a_file_that_broke_on_the_way_and_is_what_it_was_before(folder, small_blocks, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 16)
    folder.declare(n={"a": {"files": "a.csv", "types": {"n": "integer"}}})
    rows = [("a.csv", "", n, 1 if n < 4 else 4) for n in range(2, 7)]
    for text in ("n\n1\n2\n3\n4\n5\n", "n\n1\n9\n9\n9\n9\n9", "n\n1\n2\n3\n4\n5\n"):
        path = folder.put("a.csv", text.encode("utf-16") + (b"x" if "9" in text else b""))
        os.utime(path, (0, 0))
        folder.run("n")
    assert folder.ledger["status"] == "complete" and folder.current("n") == rows
    assert [n for (n,) in folder.current("n", "n")] == [1, 2, 3, 4, 5]


def test_a_file_that_could_not_be_read_is_gone_with_it(folder):
    path = folder.put("a.csv", "n\n")
    folder.put("b.csv", "n\n")
    path.unlink()
    path.symlink_to("nowhere")
    folder.run("files")
    rows = folder.warehouse.current("raw_spreadsheets.files", "path, status")
    assert dict(rows) == {"a.csv": "failed", "b.csv": "read"}
    path.unlink()
    folder.run("files")
    assert folder.warehouse.current("raw_spreadsheets.files", "path, status") == [("b.csv", "read")]


@pytest.mark.parametrize("full", [False, True])
def test_rows_go_with_their_declaration(folder, full):
    declared = {"a": {"files": "a.csv", "types": {"n": "integer"}}, "b": {"files": "b.csv", "types": {"n": "integer"}}}
    folder.put("a.csv", "n\n1\n")
    folder.put("b.csv", "n\n2\n")
    folder.declare(n=declared)
    assert folder.run("n")[1] == 2
    folder.declare(n={"a": declared["a"]})
    folder.run("n", full=full)
    assert folder.current("n", "file_path, row_number, n") == [("a.csv", 2, 1)]


@pytest.mark.parametrize("rows, size", [(50_000, 1), (7, 2**20)], ids=["by size", "by rows"])
def test_lines_in_blocks(folder, monkeypatch, rows, size):
    """In order, none twice, each broken line with the rows around it; also those after the last row."""
    monkeypatch.setattr(blocks, "ROWS", rows)
    monkeypatch.setattr(blocks, "SIZE", size)
    monkeypatch.setattr(files, "BLOCK", 16)
    lines = [str(n) if n % 5 else f"{n},odd" for n in range(1, 31)]
    folder.put("a.csv", "\n".join(["n", *lines, "x,y", "", ",", "z,", ""]))
    folder.declare(n={"a": {"files": "*", "types": {"n": "integer"}, "delimiter": ","}})
    reader = all_systems()["spreadsheets"].connect()
    stream = spreadsheets.declared({"n": {"a": {"files": "*", "types": {"n": "integer"}, "delimiter": ","}}})[0]
    pages = list(reader.read(stream, Window(None, None, False, {})))
    reader.close()
    begins = [int(page.scopes[0].rpartition("/")[2]) for page in pages]
    assert len(begins) > 3 and begins == sorted(set(begins)) and begins[0] == 1
    for page, begin, end in zip(pages, begins, [*begins[1:], 100], strict=True):
        odd = [int(text.partition(":")[2]) for text in page.rejected["position"].to_pylist()] if page.rejected else []
        assert all(begin <= int(n) < end for n in [*page.rows["row_number"].to_pylist(), *odd])
        assert {*page.rows["block"].to_pylist()} <= {str(begin)} and page.rows.num_rows <= rows
    assert [n for page in pages for n in page.rows["n"].to_pylist()] == [str(n) for n in range(1, 31) if n % 5]
    odd = [text for page in pages if page.rejected for text in page.rejected["original"].to_pylist()]
    assert [json.loads(text) for text in odd] == [f"{n},odd" for n in range(5, 31, 5)] + ["x,y", "z,"]


# Files of thousands of columns


WIDE = {"n": "integer", "c 5": "text?"}


def wide(columns, rows):
    """Lines of so many columns, and rows, some of them odd; two columns have the same name."""
    names = ["n", "same", "same", *(f"c {n}" for n in range(3, columns))]
    lines = [[str(row), *(f"{row}-{n}" if n % 3 else "" for n in range(1, columns))] for row in range(rows)]
    lines[1][5] = '"5,""\n5"'
    lines[2][0] = "x"
    lines[3].pop()
    return "\n".join([",".join(names), *map(",".join, lines), "", "," * (columns - 1), '"open', ""])


def test_a_wide_file_is_read_as_any_other(folder, monkeypatch):
    """Declared and not, by columns and by lists of cells."""
    folder.put("wide.csv", wide(8, 6))
    for tables in ({}, {"wide": {"all": {"files": "*", "types": WIDE}}}):
        folder.declare(**tables)
        (stream,) = tables or ["rows"]
        found = []
        for limit in (files.WIDE, 8):
            monkeypatch.setattr(files, "WIDE", limit)
            folder.state.clear()
            rows, error = folder.read(stream)
            assert not error and len(rows) == (4 if tables else 8)
            found.append(([{**row, "_observed_at": None} for row in rows], folder.unfit))
        assert found[0] == found[1]


def test_a_file_of_thousands_of_columns(folder):
    """What is not declared of it is one text a row, which lands whole."""
    count = 16_384
    folder.put("wide.csv", wide(count, 40))
    cells = [[name] * count for name in ("n", *"abc")]
    cells[0][1:] = ["same"] * (count - 1)
    folder.put("wide.xlsx", xlsx({"W": [cells[0], [1, *cells[1][1:]], [2, *cells[2][1:]]]}))
    folder.declare(
        wide={"csv": {"files": "*.csv", "types": WIDE}}, book={"a": {"files": "*.xlsx", "types": {"n": "integer"}}}
    )
    assert folder.run("wide") == (41, 38, 0, 3, 0)
    rows = folder.current("wide", "n, c_5, _unknown_fields")
    assert [row[0] for row in rows] == [0, 1, *range(4, 40)] and rows[1][1] == '5,"\n5' and rows[2][1] == "4-5"
    expected = {"same": "4-1", "same (2)": "4-2"} | {f"c {n}": f"4-{n}" for n in range(4, count) if n % 3 and n != 5}
    assert json.loads(rows[2][2]) == expected
    originals = {position: original for position, _, original in folder.rejected()}
    assert originals["wide.csv:5"]["n"] == "x" and len(originals["wide.csv:5"]) == len(expected) + 6
    assert folder.run("book") == (2, 2, 0, 0, 0)
    (one, two) = folder.current("book", "n, _unknown_fields")
    assert one[0] == 1 and json.loads(two[1])[f"same ({count - 1})"] == "b"


def test_without_our_command_line(folder, tmp_path):
    """A plain dlt pipeline loads the source, and reads what is new the next time."""

    def run():
        pipeline = dlt.pipeline(
            "mine",
            destination=dlt.destinations.duckdb(str(tmp_path / "mine.duckdb")),
            dataset_name="landed",
            pipelines_dir=str(tmp_path / "pipelines"),
        )
        tables = {"order_lines": {"acme": orders("acme")}}
        pipeline.run(spreadsheets.spreadsheets(str(folder.path), tables=tables).with_resources("order_lines", "rows"))
        with pipeline.sql_client() as client:
            lines = client.execute_sql("select order_number, quantity from order_lines order by 1")
            return lines, client.execute_sql("select cells from rows order by 1")

    folder.write(line(1))
    folder.put("other.csv", "a,b\n")
    assert run() == ([("A-1", 2)], [('["a","b"]',)])
    folder.write(line(2), name="acme/orders_2026-04.csv")
    assert run() == ([("A-1", 2), ("A-2", 2)], [('["a","b"]',)])
