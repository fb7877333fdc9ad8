"""The orders that resellers report: a CSV file per reseller and month, each reseller with a dialect of its own."""

import csv
import io
import unicodedata
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.company import Company, PartnerLine
from sandbox.files import put


class Dialect(NamedTuple):
    """How a reseller writes CSV; `date_format` as strptime has it."""

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    date_format: str = "%Y-%m-%d"


DIALECTS = {
    "kaffeekontor": Dialect(";", "cp1252", ",", "%d.%m.%Y"),
    "roast_and_co": Dialect(),
    "maison_du_grain": Dialect(encoding="utf-8-sig"),
    "kissa_trading": Dialect("\t"),
}
TABLES = {  # as the loader has them declared
    "order_lines": {
        reseller: {"files": f"orders/{reseller}/*.csv", "values": {"reseller": reseller}, **dialect._asdict()}
        for reseller, dialect in DIALECTS.items()
    }
}
SENT_TWICE = "roast_and_co/orders_2026-03.csv"  # comes again as orders_2026-03_resend.csv, line by line the same


def files(company: Company) -> dict[str, list[PartnerLine]]:
    """The lines of every file by its path in the folder; what is reported later comes after what was there."""
    found: dict[str, list[PartnerLine]] = defaultdict(list)
    for line in company.partner_lines:
        found[f"{line.reseller}/orders_{line.values['ordered_on']:%Y-%m}.csv"].append(line)
    if company.today >= date(2026, 5, 1) and SENT_TWICE in found:
        found[SENT_TWICE.replace(".csv", "_resend.csv")] = found[SENT_TWICE]
    return dict(found)


def write(company: Company, folder: Path) -> None:
    """Writes all files."""
    for path, lines in files(company).items():
        dialect = DIALECTS[lines[0].reseller]
        text = _csv(lines, dialect)
        if dialect.encoding == "cp1252":  # knows no combining characters
            text = unicodedata.normalize("NFC", text)
        put(folder / path, text.encode(dialect.encoding))


def _csv(lines: list[PartnerLine], dialect: Dialect) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=dialect.delimiter, lineterminator="\n")
    writer.writerow(lines[0].values)
    for line in lines:
        values = {name: _text(value, dialect) for name, value in line.values.items()}
        match line.broken:
            case "text_in_quantity":
                values["quantity"] = "two"
            case "impossible_date":
                values["ordered_on"] = date(2026, 1, 30).strftime(dialect.date_format).replace("01", "02")
        writer.writerow(list(values.values())[: -3 if line.broken == "ragged" else None])
    return out.getvalue()


def _text(value: Any, dialect: Dialect) -> str:
    match value:
        case None:
            return ""
        case date():
            return value.strftime(dialect.date_format)
        case Decimal():
            return str(value).replace(".", dialect.decimal)
    return str(value)
