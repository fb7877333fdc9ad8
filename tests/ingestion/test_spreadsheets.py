"""Spreadsheets in a folder: order files in their dialects, workbooks, declared and not, and what is read again."""

import json
import re
from datetime import date
from decimal import Decimal

import dlt
import pytest
from conftest import counts

from ingestion import contract as contracts
from ingestion import spreadsheets, untrusted
from ingestion.errors import ConfigurationError, SourceError
from ingestion.stream import Window
from ingestion.systems import all_systems
from sandbox.workbooks import xlsx

HEADER = (
    "order_number,line_number,ordered_on,customer_email,customer_name,country,sku,product_name,"
    "quantity,unit_price,currency,tax_amount,shipping_amount"
)
LOCKED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le")
"""How an encrypted workbook begins, a compound file ([MS-OFFCRYPTO] 2.3.2), and what is in it."""
KONTOR = {"delimiter": ";", "encoding": "cp1252", "decimal": ",", "date_format": "%d.%m.%Y"}


def orders(reseller, **options):
    """The declaration of a reseller's order files."""
    return {"files": f"orders/{reseller}/*.csv", "values": {"reseller": reseller}, **options}


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
        """What a reader gives: the rows that fit, and the error at its end."""
        system, rows = all_systems()["spreadsheets"], []
        (chosen,) = [each for each in system.streams if each.name == stream]
        reader, window = system.connect(), Window(None, None, False, self.state.setdefault(stream, {}))
        try:
            for page in reader.read(chosen, window):
                rows += contracts.apply(reader.db, chosen.contract, page.rows).accepted.to_pylist()
            return rows, None
        except SourceError as error:
            return rows, str(error)
        finally:
            reader.close()
            self.notes = window.notes

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
    """A point is not taken for a thousands separator where it can't be one: 12.50 is never 1250."""
    good = {"1.234,50": "1234.5", "1.234.567": "1234567", "0,1234": "0.1234", "-5": "-5", ",5": "0.5"}
    day = "28.02.2026"
    lines = [f"K-{n};1;{day};;;DE;s;;2;{price};EUR;0,57;0" for n, price in enumerate(good)]
    bad = [(day, "3", "12.50"), ("2026-02-28 x", "3", "1"), ("30.02.2026", "3", "1"), (day, "3,5", "1")]
    lines += [f"L-{n};1;{on};;;DE;s;;{many};{price};EUR;0;0" for n, (on, many, price) in enumerate(bad)]
    folder.write(*lines, name="kontor/orders_1.csv", header=HEADER.replace(",", ";"))
    assert folder.run() == (9, 5, 0, 4, 0)
    assert folder.rows("unit_price") == [(Decimal(price),) for price in good.values()]
    assert {reason for _, reason, _ in folder.rejected()} == {
        "unit_price: '12,50' is not a decimal(18,4)",
        "ordered_on: '2026-02-28 x' is not a date",
        "ordered_on: '30.02.2026' is not a date",
        "quantity: '3,5' is not an integer",
    }


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
    """Each is named with what is wrong with it; fifteen ways to be bad."""
    monkeypatch.setattr(untrusted, "SHOWN", 15)
    dialects = {"klingon": {"encoding": "klingon"}, "long": {"delimiter": "||"}, "wide": {"encoding": "utf-16"}}
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
        "15 files could not be read: ",
        r"acme/orders_renamed.csv: there is no column 'sku': 'SKU' \(G1\) stands after 'country'. Was it renamed",
        "acme/orders_carets.csv: there is no header with the columns 'order_number'",
        "acme/orders_twice.csv: the header has 'sku' more than once, in G and N",
        r"acme/orders_bytes.csv: there is no column 'sku': 'sk\\\\xff' \(G1\)",
        "klingon/orders_0.csv: .*unknown encoding: klingon",
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
    assert folder.run() == (1, 1, 0, 0, 0) and folder.ledger["status"] == "failed"
    folder.declare(order_lines={"acme": orders("acme", columns={"sku": "SKU"}), "kontor": orders("kontor")})
    assert folder.run() == (1, 1, 0, 0, 0)
    assert "orders/acme/orders_2026-04.csv: there is no column 'SKU'" in folder.ledger["error"], "as now declared"
    bad.write_text(bad.read_text().replace("SKU", "sku"))
    folder.declare(order_lines={"acme": orders("acme")})
    assert folder.run() == (2, 0, 2, 0, 0)
    assert folder.ledger["status"] == "complete"


def test_empty_files_and_folders(folder):
    folder.write()
    (folder.path / "kontor").mkdir()
    assert folder.run() == (0, 0, 0, 0, 0)
    assert folder.ledger["status"] == "complete"
    note = "sources.spreadsheets.tables.order_lines.kontor: there is no file orders/kontor/*.csv"
    assert json.loads(folder.ledger["notes"]) == [note]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"files": "*.csv", "separator": ";"}, "kontor.separator: there is no such option, but files, sheet, encoding"),
        ({"files": "**.csv"}, "kontor.files: Invalid pattern: .*can only be an entire path component"),
        ({"files": "*.csv", "date_format": "%Q"}, "kontor.date_format: .*%Q"),
        ({"sheet": "Orders"}, "kontor.files is missing"),
    ],
)
def test_wrong_declaration(folder, declared, message):
    folder.declare(order_lines={"kontor": declared})
    with pytest.raises(ConfigurationError, match=f"sources.spreadsheets.tables.order_lines.{message}"):
        all_systems()


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
