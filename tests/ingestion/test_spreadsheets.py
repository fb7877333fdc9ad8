"""The resellers' CSV files: dialects, broken lines and files, and what is read again."""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from conftest import counts

from ingestion.errors import SourceError
from ingestion.files import Dialect, read_csv
from ingestion.stream import Window
from ingestion.systems import all_systems

HEADER = (
    "order_number,line_number,ordered_on,customer_email,customer_name,country,sku,product_name,"
    "quantity,unit_price,currency,tax_amount,shipping_amount"
)
TOML = """
[acme]
[kontor]
delimiter = ";"
encoding = "cp1252"
decimal = ","
date_format = "%d.%m.%Y"
"""


def line(number, name="Zoë", price="1.50", day="2026-03-01"):
    return f"A-{number},1,{day},z@example.com,{name},DE,sku-1,Coffee,2,{price},EUR,0.57,0"


class Folder:
    """The resellers' folder, and runs over it."""

    def __init__(self, path, warehouse) -> None:
        self.path, self.warehouse = path, warehouse
        path.mkdir()
        self.declare(TOML)

    def declare(self, text):
        (self.path / "resellers.toml").write_text(text)

    def write(self, *lines, name="acme/orders_2026-03.csv", encoding="utf-8", header=HEADER):
        """Writes a file of these lines (text, or bytes as they are)."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        bom = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
        encoding = encoding.removesuffix("-sig")
        encoded = [text if isinstance(text, bytes) else text.encode(encoding) for text in (header, *lines)]
        path.write_bytes(bom + b"\n".join(encoded) + b"\n")
        return path

    def run(self, **options):
        self.ledger = self.warehouse.run("partner_files", **options)["order_lines"]
        return counts(self.ledger)

    def rows(self, columns):
        return self.warehouse.query(
            f"select {columns} from raw_partner_files.order_lines order by reseller, order_number"
        )

    def rejected(self):
        query = "select position, reason, original from raw_operations.rejected_rows order by observed_at, position"
        return [(position, reason, json.loads(text)) for position, reason, text in self.warehouse.query(query)]


@pytest.fixture
def folder(tmp_path, warehouse, monkeypatch):
    monkeypatch.setenv("SOURCES__PARTNER_FILES__FOLDER", str(tmp_path / "partners"))
    return Folder(tmp_path / "partners", warehouse)


def test_dialects(folder):
    folder.write(line(1), line(2, name='"Zoë, ""Z"""'))
    folder.write(line(3), name="acme/orders_2026-04.csv", encoding="utf-8-sig")
    german = "K-1;1;28.02.2026;;Müller €;DE;sku-1;;2;1.234,50;EUR;0,57;0"
    folder.write(german, name="kontor/orders_2026-02.csv", encoding="cp1252", header=HEADER.replace(",", ";"))
    assert folder.run() == (4, 4, 0, 0, 0)
    columns = "reseller, customer_name, ordered_on, unit_price, customer_email, _position, _key"
    day, price, email = date(2026, 3, 1), Decimal("1.5"), "z@example.com"
    march, april, german = "acme/orders_2026-03.csv:2", "acme/orders_2026-04.csv:2", "kontor/orders_2026-02.csv:2"
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
        ("A-1", "two\nlines", "acme/orders_2026-03.csv:2"),
        ("A-7", "Zoë", "acme/orders_2026-03.csv:10"),
    ]
    rejected = {position[-1]: (reason, original) for position, reason, original in folder.rejected()}
    assert rejected.pop("2")[0] == "bytes that are not cp1252"
    assert rejected["4"] == ("4 cells where the header has 13", "A-2,1,2026-03-01,too few")
    assert rejected["5"] == ("15 cells where the header has 13", line(3) + ",too,many")
    assert rejected["6"] == ("a quote is left open or misplaced", line(4, name='"never closed'))
    assert rejected["7"] == ("bytes that are not utf-8", line(5, name="caf\\udce9"))
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
        select unit_price from raw_partner_files.order_lines
        qualify row_number() over (partition by _key order by _observed_at, _row_hash) = 1
    """)
    assert first == [(Decimal("1.5"),)]


def test_bad_files_do_not_stop_the_others(folder):
    """Each is named with what is wrong with it; twelve ways to be bad."""
    dialects = {"klingon": 'encoding = "klingon"', "long": 'delimiter = "||"', "wide": 'encoding = "utf-16"'}
    dialects |= {"dates": 'date_format = "%Q"'}
    folder.declare(TOML + "".join(f"[{name}]\n{option}\n" for name, option in dialects.items()))
    folder.write(line(1), header=HEADER.replace("sku", "SKU "), name="acme/orders_renamed.csv")
    folder.write(line(1), header=HEADER.replace(",", ";"), name="acme/orders_semicolons.csv")
    folder.write(line(1), header=HEADER + ",sku", name="acme/orders_twice.csv")
    folder.write(line(1), header=b"order\xff", name="acme/orders_bytes.csv")
    folder.write(line(1), name="other/orders_0.csv")
    for reseller in dialects:
        folder.write(line(1), name=f"{reseller}/orders_0.csv")
    (folder.path / "acme" / "orders_empty.csv").touch()
    (folder.path / "acme" / "orders_folder.csv").mkdir()
    (folder.path / "acme" / "orders_link.csv").symlink_to("nowhere")
    folder.write(line(2), name="acme/orders_zz_good.csv")
    assert folder.run() == (1, 1, 0, 0, 0)
    assert folder.ledger["status"] == "failed"
    for message in (
        "12 files could not be read: ",
        "acme/orders_renamed.csv: there is no column sku among: SKU",
        "acme/orders_semicolons.csv: there is no column order_number, line_number",
        "acme/orders_twice.csv: the header has more than one column sku",
        "acme/orders_bytes.csv: the header has bytes that are not utf-8",
        r"other/orders_0.csv: add a section \[other\] to resellers.toml",
        "klingon/orders_0.csv: .*unknown encoding: klingon",
        "long/orders_0.csv: .*delimiter",
        "wide/orders_0.csv: there is no column",
        "dates/orders_0.csv: .*format",
        "acme/orders_empty.csv: there is no column",
        "acme/orders_folder.csv: .*Is a directory",
        "acme/orders_link.csv: .*No such file",
    ):
        assert re.search(message, folder.ledger["error"]), (message, folder.ledger["error"])


def test_bad_file_that_is_mended(folder):
    folder.write(line(1))
    bad = folder.write(line(2), name="other/orders_0.csv")
    folder.run()
    folder.declare(TOML + "[other]")
    assert folder.run() == (2, 1, 1, 0, 0)
    assert folder.ledger["status"] == "complete" and bad.exists()


def test_empty_files_and_folders(folder):
    folder.write()
    (folder.path / "kontor").mkdir()
    assert folder.run() == (0, 0, 0, 0, 0)
    assert folder.ledger["status"] == "complete"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f.path / "resellers.toml").unlink(), "resellers.toml is missing: it declares each reseller's"),
        (lambda f: f.declare("[acme"), "partners/resellers.toml: "),
        (lambda f: f.declare("[acme]\nseparator = ';'"), "resellers.toml: .*unexpected keyword argument 'separator'"),
        (lambda f: f.declare("acme = 1"), "resellers.toml: "),
        (lambda f: f.path.rename(f"{f.path}_moved"), "no folder .*partners: correct SOURCES__PARTNER_FILES__FOLDER"),
    ],
    ids=["missing", "not toml", "unknown option", "no table", "no folder"],
)  # fmt: skip
def test_wrong_declaration(folder, spoil, message):
    folder.write(line(1))
    spoil(folder)
    system = all_systems()["partner_files"]
    with pytest.raises(SourceError, match=message):
        list(system.connect().read(system.streams[0], Window(None, None, False, {})))


def test_check(folder):
    folder.write(line(1))
    system = all_systems()["partner_files"]
    assert system.connect().check(system.streams[0]) == "1 files of 2 resellers"


def test_quotes(tmp_path):
    """Lines after an open quote are still read; a quote inside a cell without quotes is text."""
    path = tmp_path / "f.csv"
    path.write_bytes(b'a,b\r\n1,5" pipe\r\n2,"open\r\n3,"x"y\r\n4,"fine\r\nover two"\r\n5,last')
    rows, rejected = read_csv(path, "f", Dialect())
    assert rows.select(["a", "b"]).to_pylist() == [
        {"a": "1", "b": '5" pipe'},
        {"a": "4", "b": "fine\r\nover two"},
        {"a": "5", "b": "last"},
    ]
    assert [row["position"] for row in rejected.to_pylist()] == ["f:3", "f:4"]
    assert rows["_position"].to_pylist() == ["f:2", "f:5", "f:7"]
