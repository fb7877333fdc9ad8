"""Spreadsheets in a folder: xlsx, xlsm, xlsb, xls, ods, csv and tsv files, as partners send them.

A table that the option `tables` declares lands in a stream of its own, typed; a file of which none is declared lands in
`rows`, cell by cell.
"""

import codecs
import hashlib
import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import dlt
from fsspec.utils import glob_translate

from ingestion import contract as contracts
from ingestion.blocks import ROWS, Table, TextFile, Workbook
from ingestion.contract import Money, contract, field
from ingestion.errors import ConfigurationError, SourceError, explain
from ingestion.files import LONGEST
from ingestion.folder import File
from ingestion.grids import empty
from ingestion.parsers import Unreadable
from ingestion.reading import resources
from ingestion.stream import Event, Gone, Page, Run, Snapshot, State, Stream, Window
from ingestion.tables import Declaration, declarations
from ingestion.untrusted import LARGEST, FileReader, Files, Outcome


class Place:
    """Where a row stands."""

    file_path: str = field("The file, below the folder.", key=True)
    sheet: str = field("Name of the sheet; empty in a csv file, which has none.", key=True)
    row_number: int = field("Number of the row in the sheet, or of the line in the file, from 1.", key=True)
    block: int = field(
        f"Number of the row with which its block begins: up to {ROWS:,} rows, which are replaced as one."
    )


@contract
class Rows(Place):
    """One row, not empty, of a file that no table is declared of."""

    cells: str = field("Its cells from column A on, a JSON array: texts, numbers, booleans, dates as ISO text, null.")
    error_cells: str | None = field('Cells that show an error, a JSON object by address: {"D7": "#REF!"}.')


@contract
class OrderLines:
    """One line of an order that a reseller took."""

    reseller: str = field("Who took it.", key=True)
    order_number: str = field("The reseller's own number of the order.", key=True)
    line_number: int = field("Number of the line within the order.", key=True)
    ordered_on: date = field("Day of the order, in the reseller's time zone.")
    customer_email: str | None = field("E-mail address of the buyer.", enrich="email_domain")
    customer_name: str | None = field("Name of the buyer.")
    customer_phone: str | None = field("Phone number of the buyer.")
    country: str | None = field("Country of the buyer: a code or a name.")
    sku: str = field("Our stock keeping unit.")
    product_name: str | None = field("Product as the reseller names it.")
    quantity: int = field("Units sold.")
    unit_price: Money = field("Price of one unit, without tax.")
    currency: str = field("Currency of all amounts of the line (ISO 4217).")
    tax_amount: Money = field("Tax on the line.")
    shipping_amount: Money = field("Shipping charged with the line.")


@contract
class StockLevels(Place):
    """One count of what a reseller has in stock."""

    reseller: str = field("Who has it.")
    sku: str = field("Our stock keeping unit.")
    product_name: str | None = field("Product as the reseller names it.")
    counted_on: date = field("Day of the count.")
    on_hand: int = field("Units that are there.")
    reserved: int | None = field("Units of them that are promised to somebody.")
    warehouse: str | None = field("Where they lie.")


@contract
class Claims(Place):
    """One claim under warranty."""

    claim_number: str = field("Our number of the claim.")
    opened_on: date = field("Day on which it was made.")
    device_id: str = field("The machine.")
    customer_email: str | None = field("E-mail address of who made it.", enrich="email_domain")
    order_number: str | None = field("The order with which the machine was bought.")
    description: str | None = field("What is wrong.")
    status: str = field("How far it is.")
    amount: Money | None = field("What it costs us.")
    currency: str | None = field("Currency of the amount (ISO 4217).")


KIND = Snapshot(scope=("file_path", "sheet", "block"))
STREAMS = [
    Stream("files", Files, State()),
    Stream("rows", Rows, KIND),
    Stream("order_lines", OrderLines, Event()),
    Stream("stock_levels", StockLevels, KIND),
    Stream("claims", Claims, KIND),
]
OPTION = "SOURCES__SPREADSHEETS__FOLDER"

TEXTS = (".csv", ".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods")
"""Endings of files that are lines of cells, if they are text: many programs call those a workbook, too. A declared
file may have any name."""

TEXT = ".text"
"""Ending of a copy that is text."""

NO_TEXT = (b"<!doctype", b"<html", b"<table", b"<?xml", b"%pdf", b"{\\rtf", b"pk\x03\x04")
"""How files begin, in lower case, that may have such an ending and are no lines of cells."""

START = 4096
"""Bytes by which text is told from other files."""


def _declarations(tables: Any) -> list[Declaration]:
    """The option `tables`; raises ConfigurationError."""
    found = declarations(
        "sources.spreadsheets",
        tables,
        STREAMS[2:],
        reserved=["files", "rows"],
        options={"files": True, "sheet": False, "encoding": False, "delimiter": False},
        place=contract(Place).fields,
        kind=KIND,
    )
    for each in found:
        try:
            glob_translate(each.options["files"])
        except ValueError as error:
            raise ConfigurationError(f"{each.option}.files: {error}") from error
        encoding = each.options.get("encoding")
        try:
            if encoding is not None:
                "".encode(encoding)
        except (LookupError, ValueError) as error:
            raise ConfigurationError(f"{each.option}.encoding: {error}") from error
    return found


def declared(tables: Any) -> list[Stream]:
    """The streams of the user's own; raises ConfigurationError."""
    return list(
        {each.stream.name: each.stream for each in _declarations(tables) if each.stream not in STREAMS}.values()
    )


class Reader(FileReader):
    """Reads the files that are new, have changed, or are declared in another way.

    Workbooks are parsed in a bounded process; text is read in blocks, of any size, from a copy.
    """

    parser = "ingestion.parsers.spreadsheet"

    def __init__(self, folder: str, storage: dict[str, Any] | None, tables: dict[str, Any] | None) -> None:
        self.declarations = [
            (each, re.compile(glob_translate(each.options["files"]), re.IGNORECASE)) for each in _declarations(tables)
        ]
        self.db = contracts.engine(threads=1)
        super().__init__(folder, OPTION, storage)

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Gone]:
        """As all such readers do; notes which declarations are of no file."""
        window.notes += self._idle(stream)
        yield from super().read(stream, window)

    def check(self, stream: Stream) -> str:
        """How many files there are for a stream; raises SourceError if there is no such folder."""
        files = [file for file in self.files if self.mark(stream, file)]
        return "; ".join([f"{len(files):,} files", *self._idle(stream)])

    def mark(self, stream: Stream, file: File) -> list | None:
        """For a declared stream also how it is declared; `rows` takes what is not."""
        mark, found = super().mark(stream, file), self._declared(file)
        if stream.name == "files":
            return [*mark, *self._encodings(file)] if found else mark
        if stream.name == "rows":
            return None if found else mark
        fingerprints = [each.fingerprint for each in found if each.stream.name == stream.name]
        return [*mark, *fingerprints] if fingerprints else None

    def pages(self, stream: Stream, outcome: Outcome, window: Window) -> Iterator[Page]:
        """The rows of one file: a page per block, and what blocks it no longer has."""
        if stream.name == "files":
            yield from super().pages(stream, outcome, window)
            return
        found = [each for each in self._declared(outcome.file) if each.stream.name == stream.name]
        if outcome.status != "read":
            if found:
                raise SourceError(f"{outcome.reason}. What was read of it before stays as it was")
            return
        name, known = outcome.file.label, _scopes(window)
        book = (TextFile if outcome.rows.suffix == TEXT else Workbook)(outcome, self.db)
        tables = _tables(book, found)
        before = known.setdefault(name, [])
        lost = set(before)
        for sheet, begin, rows, rejected in (
            itertools.chain(*(each.blocks for each in tables)) if found else book.cells()
        ):
            scope = f"{name}/{sheet}/{begin}"
            before += [] if scope in lost else [scope]  # at once, as what follows may be broken
            lost.discard(scope)
            yield Page(rows, outcome.observed_at, rejected, [scope])
        if lost:
            yield Page(empty(stream.contract), outcome.observed_at, scopes=sorted(lost))
        known[name] = [scope for scope in before if scope not in lost]
        window.notes += [note for table in tables for note in table.texts.notes]

    def vanished(self, stream: Stream, names: list[str], window: Window) -> Iterator[Page | Gone]:
        """Blocks of files that are no longer there, or are another stream's, have no rows; an event stays."""
        yield from super().vanished(stream, names, window)
        known = _scopes(window)
        if lost := [scope for name in names for scope in known.pop(name, [])]:
            yield Page(empty(stream.contract), datetime.now(UTC), scopes=lost)

    def close(self) -> None:
        """Closes the engine that translates, too."""
        super().close()
        self.db.close()

    def _declared(self, file: File) -> list[Declaration]:
        return [each for each, names in self.declarations if names.match(file.label)]

    def _encodings(self, file: File) -> list[str]:
        """Those that a file is declared to have; empty is one that has to be found."""
        return sorted({each.options.get("encoding", "") for each in self._declared(file)})

    def _idle(self, stream: Stream) -> list[str]:
        """Says which declarations of a stream are of no file."""
        return [
            f"{each.option}: there is no file {each.options['files']}"
            for each, names in self.declarations
            if each.stream.name == stream.name and not any(names.match(file.label) for file in self.files)
        ]

    def _parsed(self, file: File) -> Outcome:
        """What became of a file; `rows` is a copy of it, if it is text."""
        known: dict[str, Any] = {"file": file, "observed_at": datetime.now(UTC)}
        encodings = self._encodings(file)
        copy = Path(self.kept.name) / f"{hashlib.md5(file.label.encode()).hexdigest()}{TEXT}"
        try:
            known["file_id"], data = self._at_once(file, lambda opened: _taken(opened, file.name, copy, encodings))
        except Unreadable as error:
            return Outcome(**known, status=error.status, reason=error.reason)
        except Exception as error:  # of the file system, whichever it is
            return Outcome(**known, status="failed", reason=explain(error), is_settled=False)
        return Outcome(**known, status="read", rows=copy) if data is None else self._given(known, data)


def _scopes(window: Window) -> dict[str, list[str]]:
    """The blocks that were read of each file."""
    return window.state.setdefault("scopes", window.forgotten.get("scopes", {}))


def _tables(book: TextFile | Workbook, found: list[Declaration]) -> list[Table]:
    """The declared tables of a file; raises SourceError if one is not there, or two are the same rows."""
    tables: dict[str, Table] = {}
    for declaration in found:
        table = book.table(declaration)
        if other := tables.get(table.sheet):
            raise SourceError(
                f"{other.texts.declaration.option} and {declaration.option} are both of "
                f"{f'its sheet {table.sheet!r}' if table.sheet else 'all of it'}: one of them has to be another stream"
            )
        tables[table.sheet] = table
    return list(tables.values())


def _is_text(start: bytes, encodings: list[str]) -> bool:
    """Whether a file that begins so is lines of cells; where it is declared to have an encoding, as that reads it."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    if start.removeprefix(codecs.BOM_UTF8).lstrip().lower().startswith(NO_TEXT):
        return False
    return any("\0" not in start.decode(each or "latin-1", "replace") for each in encodings or [""])


def _taken(opened: BinaryIO, name: str, copy: Path, encodings: list[str]) -> tuple[str, bytes | None]:
    """SHA-256 of a file's bytes, and those, if it is no text; that is copied. Raises Unreadable.

    `encodings` are declared ones, empty where one has to be found; there is none of a file that is not declared."""
    start = opened.read(START)
    if not start or (len(start) < START and not start.strip()):
        raise Unreadable("empty", "there is nothing in it")
    if not (encodings or name.lower().endswith(TEXTS)) or not _is_text(start, encodings):
        data = start + opened.read(LARGEST)
        if len(data) > LARGEST:
            raise Unreadable("refused", f"it has more than {LARGEST:,} bytes, and is no text")
        return hashlib.sha256(data).hexdigest(), data
    hashed, line = hashlib.sha256(), 0
    with copy.open("wb") as file:
        while start:
            hashed.update(start)
            file.write(start)
            end = max(start.rfind(b"\n"), start.rfind(b"\r"))
            line = line + len(start) if end < 0 else len(start) - end
            if line > LONGEST and not any(encodings):  # in others lines may end with other bytes
                raise Unreadable("unsupported", f"it has a line of more than {LONGEST:,} bytes: this is no table")
            start = opened.read(2**20)
    return hashed.hexdigest(), None


@dlt.source
def spreadsheets(
    folder: str = dlt.config.value,
    storage: dict[str, str] | None = None,
    tables: dict[str, Any] | None = None,
    run: Run | None = None,
):
    """The rows of the spreadsheets below a folder.

    `folder` is a local one or a URL, as s3://bucket/partners; `storage` are fsspec's options for it, as key and secret.
    `tables`: see `tables`; where a table is say `files` (a pattern below the folder, in any case: orders/*/*.csv),
    `sheet` (default: the first with cells), and of texts `encoding` and `delimiter` (found, if not given).
    """
    return resources([*STREAMS, *declared(tables)], Reader(folder, storage, tables), run)
