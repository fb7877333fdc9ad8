"""Declared tables: which columns of a sheet or file are which fields of a stream. `grids` reads them.

    [sources.spreadsheets.tables.order_lines.kaffeekontor]    # a stream that is built in, and a name of your own
    columns = { order_number = "Bestellnummer" }              # field = the header of its column, where it is another
    values = { reseller = "kaffeekontor" }                    # fields that are no column
    decimal = ","                                             # of numbers and dates that are texts
    date_format = "%d.%m.%Y"
    [sources.spreadsheets.tables.price_list.all]              # a stream of your own
    types = { SKU = "text", "Valid from" = "date", Price = "money?" }    # header = type; ? = may be empty
    header = 3                                                # its row; else the first that has all these columns

Where the table is, the loader's own options say.
"""

import itertools
import re
import unicodedata
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from hashlib import md5
from typing import Any

import duckdb

from ingestion.contract import Contract, Field, engine, json_text
from ingestion.errors import ConfigurationError
from ingestion.ledger import LEDGER_TABLES
from ingestion.stream import Snapshot, Stream

TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "money": "DECIMAL(18,4)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP WITH TIME ZONE",
}
OPTIONS = ("columns", "values", "types", "header", "decimal", "date_format")


@dataclass(frozen=True)
class ErrorCell:
    """A cell that shows an error: #REF!, #N/A ..."""

    text: str


@dataclass(frozen=True)
class Declaration:
    """One declared table: `headers` has the header of each field that is a column, `values` the text of each that is
    none; the columns of the fields in `order` have to stand in that order, where order matters. `options` are the
    loader's own ones, `option` is what the user calls the whole."""

    option: str
    name: str
    stream: Stream
    headers: dict[str, str]
    values: dict[str, str]
    order: tuple[str, ...]
    options: dict[str, str]
    header: int | None = None
    decimal: str = "."
    date_format: str = "%Y-%m-%d"

    @property
    def fingerprint(self) -> str:
        """Another one if anything of it is other."""
        return md5(repr(self).encode()).hexdigest()


def declarations(
    section: str,
    tables: Any,
    streams: Iterable[Stream],
    *,
    reserved: Iterable[str],
    options: Mapping[str, bool],
    place: tuple[Field, ...],
    kind: Snapshot,
) -> list[Declaration]:
    """What the option `tables` of a system (`section`, as sources.spreadsheets) declares.

    `streams` are those that tables may fill, `reserved` the names of its others; a stream of the user's own is of this
    `kind` and has the fields `place` besides its columns. `options` are the loader's own: name -> must it be given.
    Raises ConfigurationError for what is not understood.
    """
    found: list[Declaration] = []
    known = {stream.name: stream for stream in streams}
    taken = {*reserved, *LEDGER_TABLES}
    for stream, named in _tables(f"{section}.tables", tables or {}).items():
        option = f"{section}.tables.{stream}"
        if stream in taken or not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stream):
            raise ConfigurationError(
                f"{option}: no table can fill {stream}; there is {', '.join(known)}, or a name of your own, of lower "
                "case letters, digits and single _"
            )
        named = {name: _options(f"{option}.{name}", given, options) for name, given in _tables(option, named).items()}
        columns: dict[str, str] = {}
        if stream in known:
            if of_own := [name for name, given in named.items() if "types" in given]:
                raise ConfigurationError(f"{option}.{of_own[0]}.types: the types of {stream} are built in")
            declared = known[stream]
        else:
            declared, columns = _own_stream(option, stream, named, place, kind)
        filled = {f.name for f in place}
        for name, given in named.items():
            found.append(_declaration(f"{option}.{name}", name, declared, columns, filled, given))
    return found


def _tables(option: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(below, dict) for below in value.values()):
        raise ConfigurationError(f"{option} is a table of tables, stream.name: {value!r}")
    return value


def _options(option: str, given: dict[str, Any], own: Mapping[str, bool]) -> dict[str, Any]:
    """The options of a declaration, each of its type."""
    if unknown := [name for name in given if name not in (*own, *OPTIONS)]:
        raise ConfigurationError(f"{option}.{unknown[0]}: there is no such option, but {', '.join((*own, *OPTIONS))}")
    if missing := [name for name, is_required in own.items() if is_required and not given.get(name)]:
        raise ConfigurationError(f"{option}.{missing[0]} is missing")
    for name in ("columns", "values", "types"):
        if not isinstance(given.get(name, {}), dict):
            raise ConfigurationError(f"{option}.{name} is a table, as {{ a = ..., b = ... }}: {given[name]!r}")
    texts = {name: given[name] for name in (*own, "decimal", "date_format") if name in given}
    for below in ("columns", "types"):
        texts |= {f"{below}.{name}": value for name, value in given.get(below, {}).items()}
    if wrong := [name for name, value in texts.items() if not isinstance(value, str)]:
        raise ConfigurationError(f"{option}.{wrong[0]} is a text: {texts[wrong[0]]!r}")
    for name, value in given.get("values", {}).items():
        if not isinstance(value, str | int | float | date):
            raise ConfigurationError(f"{option}.values.{name} is no single value: {value!r}")
    header = given.get("header", 1)
    if not isinstance(header, int) or isinstance(header, bool) or header < 1:
        raise ConfigurationError(f"{option}.header is the number of a row, from 1: {header!r}")
    if given.get("decimal", ".") not in (".", ","):
        raise ConfigurationError(f'{option}.decimal is "." or ",": {given["decimal"]!r}')
    if "date_format" in given:
        try:
            engine().execute("select try_strptime('', ?)", [given["date_format"]])
        except duckdb.Error as error:
            raise ConfigurationError(f"{option}.date_format: {error}") from error
    return given


def _own_stream(
    option: str, stream: str, named: dict[str, dict[str, Any]], place: tuple[Field, ...], kind: Snapshot
) -> tuple[Stream, dict[str, str]]:
    """A stream whose contract the option `types` is, and the headers of its columns by field."""
    with_types = [name for name, given in named.items() if given.get("types")]
    if not with_types:
        raise ConfigurationError(f"{option}.<name>.types is missing: the columns of {stream}, as {{ SKU = 'text' }}")
    types = named[with_types[0]]["types"]
    for name in with_types:
        if list(named[name]["types"].items()) != list(types.items()):
            raise ConfigurationError(f"{option}.{name}.types are others than those of {with_types[0]}: give them once")
    fields, names = [], [f.name for f in place]
    headers: dict[str, str] = {}
    for header, written in types.items():
        sql_type, is_nullable = TYPES.get(written.removesuffix("?").strip()), written.endswith("?")
        if sql_type is None:
            raise ConfigurationError(
                f"{option}.{with_types[0]}.types.{header} is {written!r}; there is {', '.join(TYPES)}, with a ? at the "
                "end where cells may be empty"
            )
        name = unique(_column_name(header, len(fields) + 1), [*names, *headers], "{}_{}")
        headers[name] = header.strip()
        description = f"The column {header.strip()}."
        fields.append(Field(description, name=name, type=sql_type, nullable=is_nullable, source=name))
    contract = Contract(f"One row of the declared tables {stream}.", (*fields, *place))
    return Stream(stream, contract, kind), headers


def _declaration(
    option: str, name: str, stream: Stream, headers: dict[str, str], filled: set[str], given: dict[str, Any]
) -> Declaration:
    columns = {field_name: header.strip() for field_name, header in given.get("columns", {}).items()}
    values = {field_name: as_text(value) for field_name, value in given.get("values", {}).items()}
    fields = {f.name: f for f in stream.contract.fields if f.name not in filled}
    if unknown := [each for each in (*columns, *values) if each not in fields]:
        raise ConfigurationError(f"{option}: {stream.name} has no field {unknown[0]}, but {', '.join(fields)}")
    if both := columns.keys() & values.keys():
        raise ConfigurationError(f"{option}: {min(both)} is in columns and in values")
    if absent := [each for each, header in columns.items() if not header and not fields[each].nullable]:
        raise ConfigurationError(f"{option}.columns.{absent[0]}: {stream.name} has to have it, as a column or a value")
    of = {f.name: columns.get(f.name, headers.get(f.name, f.source)) for f in fields.values() if f.name not in values}
    of = {field_name: header for field_name, header in of.items() if header}
    if not of:
        raise ConfigurationError(f"{option}: none of its fields is a column")
    if twice := [header for header in of.values() if list(of.values()).count(header) > 1]:
        raise ConfigurationError(f"{option}: two fields are the column {twice[0]}")
    own = given.keys() - OPTIONS
    return Declaration(
        option,
        name,
        stream,
        of,
        values,
        tuple(each for each in columns or of if each in of),
        {each: given[each] for each in given if each in own},
        **{each: given[each] for each in ("header", "decimal", "date_format") if each in given},
    )


def _column_name(header: str, number: int) -> str:
    """The header in lower case letters without accents, digits and _."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header).casefold()
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    name = re.sub("[^a-z0-9]+", "_", plain).strip("_")
    return name if name[:1].isalpha() else f"column_{name or number}"


def unique(name: str, taken: Container[str], form: str = "{} ({})", first: int = 2) -> str:
    """`name`, with a number, from `first` on, if it is taken."""
    names = itertools.chain([name], (form.format(name, number) for number in itertools.count(first)))
    return next(each for each in names if each not in taken)


def as_text(value: Any) -> str:
    """A cell's value in the form that the contract reads."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half a surrogate pair is a ?
    if isinstance(value, ErrorCell):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        whole = float(value)
        # 15 digits are what spreadsheets show: 0.1 + 0.2 is 0.3 there.
        return str(int(whole)) if whole.is_integer() else f"{Decimal(f'{whole:.15g}'):f}"
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, int | timedelta) else json_text(value)
