"""Spreadsheets in a folder: xlsx, xlsm, xlsb, xls, ods, csv and tsv files, as partners send them.

A table that the option `tables` declares lands in a stream of its own, typed; a file of which none is declared lands in
`rows`, cell by cell.
"""

import fnmatch
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import Money, contract, field, json_text
from ingestion.errors import SourceError, explain
from ingestion.files import CsvFile
from ingestion.folder import File
from ingestion.grids import BLOCK, Header, Row, Texts, empty, find_header
from ingestion.parsers import Unreadable
from ingestion.parsers.cells import Columns
from ingestion.reading import resources
from ingestion.stream import Event, Gone, Page, Run, Snapshot, State, Stream, Window
from ingestion.tables import Declaration, ErrorCell, declarations
from ingestion.untrusted import LARGEST, FileReader, Files, Outcome


class Place:
    """Where a row stands."""

    file_path: str = field("The file, below the folder.", key=True)
    sheet: str = field("Name of the sheet; empty in a csv file, which has none.", key=True)
    row_number: int = field("Number of the row in the sheet, or of the line in the file, from 1.", key=True)
    block: int = field(f"Number of its block of {BLOCK:,} rows: rows are compared and replaced by blocks.")


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

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
"""How zip archives, OLE files and the streams of Excel before 1997 begin."""

TEXTS = (".csv", ".tsv", ".tab", ".txt", ".xls", ".xlsx", ".ods")
"""Endings of files that are lines of cells, if they are text: many programs call those a workbook, too."""


def _declarations(tables: Any) -> list[Declaration]:
    """The option `tables`; raises ConfigurationError."""
    return declarations(
        "sources.spreadsheets",
        tables,
        STREAMS[2:],
        reserved=["files", "rows"],
        options={"files": True, "sheet": False, "encoding": False, "delimiter": False},
        place=contract(Place).fields,
        kind=KIND,
    )


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
        self.declarations, self.db = _declarations(tables), contracts.engine()
        super().__init__(folder, OPTION, storage)

    def mark(self, stream: Stream, file: File) -> list | None:
        """For a declared stream also how it is declared; `rows` takes what is not."""
        mark, found = super().mark(stream, file), self._declared(file)
        if stream.name == "files":
            return mark
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
        if found and outcome.status != "read":
            raise SourceError(f"{outcome.reason}. What was read of it before stays as it was")
        if outcome.status != "read":
            return
        known: dict[str, list[str]] = window.state.setdefault("scopes", {})
        scopes = []
        for scope, rows, rejected in self._blocks(outcome, found, window) if found else self._undeclared(outcome):
            is_event = isinstance(stream.kind, Event)
            scopes += [] if is_event else [scope]
            yield Page(rows, outcome.observed_at, rejected, None if is_event else [scope])
        if lost := sorted(set(known.get(outcome.file.label, [])) - set(scopes)):
            yield Page(empty(stream.contract), outcome.observed_at, scopes=lost)
        if scopes:
            known[outcome.file.label] = scopes

    def vanished(self, stream: Stream, names: list[str], window: Window) -> Iterator[Page | Gone]:
        """Blocks of files that are no longer there, or are another stream's, have no rows; an event stays."""
        yield from super().vanished(stream, names, window)
        known = window.state.get("scopes", {})
        if lost := [scope for name in names for scope in known.pop(name, [])]:
            yield Page(empty(stream.contract), datetime.now(UTC), scopes=lost)

    def close(self) -> None:
        """Closes the engine that translates, too."""
        super().close()
        self.db.close()

    def _declared(self, file: File) -> list[Declaration]:
        return [each for each in self.declarations if fnmatch.fnmatchcase(file.label, each.options["files"])]

    def _parsed(self, file: File) -> Outcome:
        """What became of a file; `rows` is a copy of it, if it is text."""
        known: dict[str, Any] = {"file": file, "observed_at": datetime.now(UTC)}
        copy = Path(self.kept.name) / hashlib.md5(file.label.encode()).hexdigest()
        try:
            known["file_id"] = self._at_once(file, lambda opened: _copied(opened, copy))
            if _is_text(file, copy):
                return Outcome(**known, status="read", rows=copy)
        except Unreadable as error:
            return Outcome(**known, status=error.status, reason=error.reason)
        except Exception as error:  # of the file system, whichever it is
            return Outcome(**known, status="failed", reason=explain(error), is_settled=False)
        data = copy.read_bytes()
        copy.unlink()
        return self._given(known, data)

    def _undeclared(self, outcome: Outcome) -> Iterator[tuple[str, pa.Table, None]]:
        """Scope and rows of each block, every cell as it is."""
        path = outcome.file.label
        for sheet, block, rows in self._lines(outcome) if _is_copy(outcome) else self._cells(outcome):
            place = {"file_path": path, "sheet": sheet, "block": str(block)}
            texts = {name: pa.repeat(text, rows.num_rows) for name, text in place.items()}
            positions = [f"{path}!{sheet}!A{n}" if sheet else f"{path}:{n}" for n in rows["row_number"].to_pylist()]
            columns = {name: rows[name] for name in rows.column_names}
            yield _scope(path, sheet, block), pa.table(columns | texts | {"_position": positions}), None

    def _cells(self, outcome: Outcome) -> Iterator[tuple[str, int, pa.Table]]:
        """Sheet, block and rows of a workbook."""
        rows = (row for batch in outcome.batches() for _, row in batch)
        for (sheet, block), part in itertools.groupby(rows, lambda row: (row["sheet"], _block(row["row_number"]))):
            numbers, cells, errors = [], [], []
            for row in part:
                numbers.append(str(row["row_number"]))
                cells.append(json_text(row["cells"]))
                errors.append(json_text(row["error_cells"]) if row["error_cells"] else None)
            yield sheet, block, _rows(numbers, cells, errors)

    def _lines(self, outcome: Outcome) -> Iterator[tuple[str, int, pa.Table]]:
        """The same of a text: lines with whatever number of cells."""
        file, tables = CsvFile(outcome.rows), []
        for lines in file.lines(1, file.width, is_strict=False):
            tables.append(self._as_json(lines.table, [(number, file.cells(line)) for number, _, line in lines.others]))
            yield from _named(_whole_blocks(tables))
        yield from _named(_whole_blocks(tables, is_last=True))

    def _as_json(self, table: pa.Table, others: list[tuple[int, list[str]]]) -> pa.Table:
        """Number and cells of lines, in their order."""
        names = ", ".join(contracts.quote(name) for name in table.column_names[1:])
        with contracts.registered(self.db, lines=table):
            query = f"select number, cast(to_json([{names}]) as varchar) as cells from lines"
            found = self.db.sql(query).to_arrow_table()
        odd = {
            "number": pa.array([number for number, _ in others], pa.int64()),
            "cells": pa.array([json_text([cell or None for cell in cells]) for _, cells in others], pa.string()),
        }
        return pa.concat_tables([found, pa.table(odd)]).sort_by("number")

    def _blocks(
        self, outcome: Outcome, found: list[Declaration], window: Window
    ) -> Iterator[tuple[str, pa.Table, pa.Table | None]]:
        """Scope, rows and rejected rows of each block of the declared tables of a file."""
        for declaration in found:
            read = self._text_blocks if _is_copy(outcome) else self._sheet_blocks
            yield from read(outcome, declaration, window)

    def _sheet_blocks(self, outcome: Outcome, declaration: Declaration, window: Window) -> Iterator[Any]:
        path, wanted, sheets = outcome.file.label, declaration.options.get("sheet"), []
        rows = (row for batch in outcome.batches() for _, row in batch)
        for sheet, part in itertools.groupby(rows, lambda row: row["sheet"]):
            sheets.append(sheet)
            if sheet == (wanted or sheet):
                header, grid = find_header(declaration, map(_grid_row, part))
                texts = self._texts(declaration, header, f"{path}!{sheet}", path, sheet, 0)
                for table in texts.blocks(grid):
                    yield _scope(path, sheet, table["block"][0].as_py()), table, None
                window.notes += texts.notes
                return
        raise SourceError(
            f"it has no sheet {wanted!r} with cells, but {', '.join(map(repr, sheets))}. Was it renamed or deleted? "
            f"Correct it there, or {declaration.option}.sheet"
        )

    def _text_blocks(self, outcome: Outcome, declaration: Declaration, window: Window) -> Iterator[Any]:
        path, options = outcome.file.label, declaration.options
        file = CsvFile(outcome.rows, options.get("encoding"), options.get("delimiter"))
        after: dict[int, int] = {}

        def head() -> Iterator[Row]:
            for number, next_number, cells in file.head():
                after[number] = next_number
                yield number, cells

        header, _ = find_header(declaration, head())
        texts = self._texts(declaration, header, path, path, "", None)
        tables, others = [], []
        for lines in file.lines(after[header.number], header.width, is_strict=True):
            tables.append(lines.table)
            others += lines.others
            for _, block, table in _whole_blocks(tables):
                yield self._text_block(texts, path, block, table, others)
        for _, block, table in _whole_blocks(tables, is_last=True):
            yield self._text_block(texts, path, block, table, others)
        if others:
            yield _scope(path, "", _block(others[0][0])), empty(declaration.stream.contract), _rejected(path, others)
        window.notes += texts.notes

    def _text_block(
        self, texts: Texts, path: str, block: int, table: pa.Table, others: list[tuple[int, str, str]]
    ) -> tuple[str, pa.Table, pa.Table | None]:
        """A block, and of the lines that were put aside those that are in it or before."""
        due = [other for other in others if _block(other[0]) <= block]
        del others[: len(due)]
        return _scope(path, "", block), texts.of_lines(table), _rejected(path, due) if due else None

    def _texts(
        self, declaration: Declaration, header: Header, where: str, path: str, sheet: str, first_column: int | None
    ) -> Texts:
        return Texts(self.db, declaration, header, where, {"file_path": path, "sheet": sheet}, first_column)


_columns = Columns()


def _grid_row(row: dict[str, Any]) -> Row:
    cells = row["cells"]
    for address, text in (row["error_cells"] or {}).items():
        cells[_columns[address.rstrip("0123456789")]] = ErrorCell(text)
    return row["row_number"], cells


def _block(number: int) -> int:
    return (int(number) - 1) // BLOCK


def _scope(path: str, sheet: str, block: int) -> str:
    return f"{path}/{sheet}/{block}"


def _named(blocks: Iterable[tuple[str, int, pa.Table]]) -> Iterator[tuple[str, int, pa.Table]]:
    for sheet, block, table in blocks:
        numbers = table["number"].cast(pa.string())
        nothing = pa.nulls(table.num_rows, pa.string())
        columns = {"row_number": numbers, "cells": table["cells"], "error_cells": nothing}
        yield sheet, block, pa.table(columns)


def _rows(numbers: list[str], cells: list[str], errors: list[str | None]) -> pa.Table:
    columns = {"row_number": numbers, "cells": cells, "error_cells": errors}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _whole_blocks(tables: list[pa.Table], *, is_last: bool = False) -> Iterator[tuple[str, int, pa.Table]]:
    """Takes from tables of lines, in the order of their numbers, those blocks that are complete."""
    while tables and any(table.num_rows for table in tables):
        whole = pa.concat_tables(tables).combine_chunks()
        blocks = pa.compute.floor(pa.compute.divide(pa.compute.subtract(whole["number"], 1), BLOCK))
        first, last = blocks[0].as_py(), blocks[-1].as_py()
        if first == last and not is_last:
            tables[:] = [whole]
            return
        count = pa.compute.sum(pa.compute.equal(blocks, first)).as_py()
        yield "", int(first), whole.slice(0, count)
        tables[:] = [whole.slice(count)]


def _rejected(path: str, others: Iterable[tuple[int, str, str]]) -> pa.Table:
    rows = [{"position": f"{path}:{n}", "reason": why, "original": json.dumps(line)} for n, why, line in others]
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in ("position", "reason", "original")]))


def _copied(opened: BinaryIO, copy: Path) -> str:
    """Copies a file; returns the SHA-256 of its bytes."""
    hashed = hashlib.sha256()
    with copy.open("wb") as file:
        while block := opened.read(2**20):
            hashed.update(block)
            file.write(block)
    return hashed.hexdigest()


def _is_text(file: File, copy: Path) -> bool:
    """Whether a file is lines of cells; it is a workbook otherwise. Raises Unreadable for what is neither."""
    with copy.open("rb") as opened:
        start = opened.read(4096)
    size = copy.stat().st_size
    if not start.strip():
        raise Unreadable("empty", "there is nothing in it")
    if start.startswith(WORKBOOKS):
        if size > LARGEST:
            raise Unreadable("refused", f"it has {size:,} bytes; {LARGEST:,} are allowed for a workbook")
        return False
    if not file.name.lower().endswith(TEXTS):
        raise Unreadable("unsupported", f"neither a workbook nor a file of lines ({', '.join(TEXTS[:4])})")
    if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("unsupported", "it is neither a workbook nor text")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise Unreadable("unsupported", "it is HTML or XML: save it as a workbook or as csv")
    return True


def _is_copy(outcome: Outcome) -> bool:
    return not outcome.rows.name.endswith(".rows")


@dlt.source
def spreadsheets(
    folder: str = dlt.config.value,
    storage: dict[str, str] | None = None,
    tables: dict[str, Any] | None = None,
    run: Run | None = None,
):
    """The rows of the spreadsheets below a folder.

    `folder` is a local one or a URL, as s3://bucket/partners; `storage` are fsspec's options for it, as key and secret.
    `tables`: see `tables`; where a table is say `files` (a pattern below the folder: orders/*/*.csv), `sheet` (default:
    the first with cells), and of texts `encoding` and `delimiter` (found, if not given).
    """
    return resources([*STREAMS, *declared(tables)], Reader(folder, storage, tables), run)
