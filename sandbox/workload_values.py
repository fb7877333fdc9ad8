"""Values for columns of any type that workload.py's tables have, as text that PostgreSQL reads."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from sandbox.workload_tables import Column

ODD_TEXTS = (
    *(
        "",
        " ",
        "'",
        '"',
        "''",
        "\\",
        "\\\\",
        "\\N",
        "\t",
        "a\nb",
        "\r\n",
        "\x01",
        "NULL",
        "null",
        "{}",
        "{,}",
        "(,)",
        ";--",
    ),
    *("%s", "naïve", "e\u0301", "日本語", "☕", "𐍈", "\u200b", "\ufeff", "\u2028"),
)
FIRST_DAY = date(2026, 1, 1)  # of the shop; of its partitions

_ODD: dict[str, tuple[str, ...]] = {
    "smallint": ("0", "-32768", "32767"),
    "integer": ("0", "-2147483648", "2147483647"),
    "bigint": ("0", "-9223372036854775808", "9223372036854775807"),
    "numeric": ("0", "-0.01", "9999999999.99"),  # no NaN: no decimal of the warehouse holds it
    "real": ("NaN", "Infinity", "-Infinity", "-0", "3.4028235e38", "1e-45"),
    "double precision": ("NaN", "Infinity", "-Infinity", "-0", "1.7976931348623157e308", "5e-324", "0.1"),
    "text": ODD_TEXTS,
    "character varying": ODD_TEXTS,
    "jsonb": ("null", "{}", "[]", '""', "12345678901234567890.123456789", '{"": {"": [null, 1e40]}}', '"\\u00e9\\\\"'),
    "bytea": ("", "\\x00", "\\xff00fe5c27"),
    "date": ("infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "9999-12-31"),
    "time without time zone": ("00:00", "24:00", "23:59:59.999999"),
    "timestamp without time zone": ("infinity", "-infinity", "0044-03-15 12:00 BC", "9999-12-31 23:59:59.999999"),
    "timestamp with time zone": ("infinity", "-infinity", "0044-03-15 12:00+00 BC", "9999-12-31 23:59:59.999999+00"),
    "interval": ("0", "-1 year 2 days -03:04:05.000006", "1 mon -1 day"),
    "inet": ("::1", "10.0.0.0/8", "2001:db8::/32"),
    "money": ("0", "-0.01", "92233720368547758.07"),
    "integer[]": ("{}", "{NULL}", "{{1,2},{3,NULL}}", "[5:6]={7,8}"),
    "address": ("(,)", '("","")', '("a ""b"" \\\\ \'c\'","x,y)")'),
}


def _time(rng: Random) -> str:
    return str(datetime(2026, 1, 1) + timedelta(microseconds=rng.randrange(10**13)))


_ORDINARY: dict[str, Callable[[Random], str]] = {
    "boolean": lambda rng: rng.choice(("true", "false")),
    "smallint": lambda rng: str(rng.randrange(100)),
    "integer": lambda rng: str(rng.randrange(100_000)),
    "bigint": lambda rng: str(rng.randrange(10**12)),
    "real": lambda rng: repr(rng.random()),
    "double precision": lambda rng: repr(rng.gauss(0, 1000)),
    "text": lambda rng: f"{rng.choice(ODD_TEXTS)} {rng.randrange(10**6)}",
    "character varying": lambda rng: f"{rng.choice(ODD_TEXTS)} {rng.randrange(10**6)}",
    "email_address": lambda rng: f"{rng.choice(('Ann', 'ANN', 'ann', 'Zoë'))}.{rng.randrange(1000)}@Example.org",
    "jsonb": lambda rng: json.dumps({"n": rng.random(), rng.choice(ODD_TEXTS): [rng.choice(ODD_TEXTS), None, True]}),
    "bytea": lambda rng: f"\\x{rng.randbytes(12).hex()}",
    "uuid": lambda rng: rng.randbytes(16).hex(),
    "date": lambda rng: str(FIRST_DAY + timedelta(days=rng.randrange(365))),
    "time without time zone": lambda rng: _time(rng).split()[1],
    "timestamp without time zone": _time,
    "timestamp with time zone": lambda rng: _time(rng) + rng.choice(("+00", "+02", "-09:30")),
    "interval": lambda rng: f"{rng.randrange(60)} days {rng.randrange(86_400)} seconds",
    "inet": lambda rng: f"10.0.{rng.randrange(256)}.{rng.randrange(256)}",
    "money": lambda rng: str(Decimal(rng.randrange(10**6)).scaleb(-2)),
    "integer[]": lambda rng: "{" + ",".join(str(rng.randrange(100)) for _ in range(rng.randrange(4))) + "}",
    "address": lambda rng: f'("{rng.randrange(200)} High Street","Zürich, ""old"" town")',
}


def value(rng: Random, column: Column) -> str | None:
    """A value for a column, now and then an odd one; null is one of a dozen where it may be."""
    if column.is_nullable and rng.random() < 0.08:
        return None
    base, modifiers = re.fullmatch(r"([^(]+)(?:\((.*)\))?", column.declared).groups()
    if column.is_large:  # hexadecimal digits of noise; text, or JSON
        noise = rng.randbytes(rng.randrange(1500, 3000)).hex()
        return noise if base == "text" else f'{{"noise": "{noise}"}}'
    if column.labels:
        return rng.choice(column.labels)
    if base in _ODD and rng.random() < 0.08:
        return rng.choice(_ODD[base])
    if base == "numeric":
        precision, scale = map(int, modifiers.split(","))
        return str(Decimal(rng.randrange(-1000, 10 ** min(precision, 9))).scaleb(-scale))
    return _ORDINARY[base](rng)
