"""Workbooks and files of lines in blocks of rows, each of which is compared and replaced as one: so memory stays flat,
and a file that grows adds no more than its end.

A block begins with row 1, 50,001 and so on, whatever has changed in those before; and where one has become large.
"""

import bisect
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contract import json_text, quote, registered
from ingestion.errors import SourceError
from ingestion.files import CsvFile, Lines
from ingestion.grids import Row, Texts, batches, find_header
from ingestion.parsers.cells import Columns
from ingestion.tables import Declaration, ErrorCell
from ingestion.untrusted import Outcome

ROWS, SIZE = 50_000, 32 * 2**20
"""Rows of a sheet, empty ones too, that a block may have, and bytes after which it ends with fewer."""


class Block(NamedTuple):
    """Rows of a sheet (empty: of a file that has none) from the number `begin` on, and lines that are no rows."""

    sheet: str
    begin: int
    rows: pa.Table
    rejected: pa.Table | None


class Table(NamedTuple):
    """A declared table whose header was found; `texts` has notes, when its blocks were read."""

    sheet: str
    texts: Texts
    blocks: Iterator[Block]


@dataclass
class Workbook:
    """A workbook of which `outcome` has the rows."""

    outcome: Outcome
    db: duckdb.DuckDBPyConnection

    def cells(self) -> Iterator[Block]:
        """Every filled row, as the stream `rows` has it."""
        for sheet, rows in self._sheets():
            yield from _blocks(sheet, _of_rows(rows), functools.partial(self._cells, sheet))

    def table(self, declaration: Declaration) -> Table:
        """A declared table; raises SourceError if it is not as it was declared."""
        path, wanted, others = self.outcome.file.label, declaration.options.get("sheet"), []
        for sheet, found in self._sheets():
            if sheet == (wanted or sheet):
                header, rows = find_header(declaration, map(_with_errors, found))
                break
            others.append(repr(sheet))
        else:
            raise SourceError(
                f"it has no sheet {wanted!r} with cells, but {', '.join(others)}. Was it renamed or deleted? "
                f"Correct it there, or {declaration.option}.sheet"
            )
        texts = Texts(self.db, declaration, header, f"{path}!{sheet}", {"file_path": path, "sheet": sheet})

        def made(rows: list[Row], begin: int) -> tuple[pa.Table, None]:
            return texts.of_rows(rows, block=str(begin)), None

        return Table(sheet, texts, _blocks(sheet, _of_rows(rows), made))

    def _sheets(self) -> Iterator[tuple[str, Iterator[tuple[int, list[Any], dict[str, str] | None]]]]:
        """Each sheet, and the number, cells and errors of its rows."""
        rows = (row for batch in self.outcome.batches() for _, row in batch)
        for sheet, of_sheet in itertools.groupby(rows, itemgetter("sheet")):
            yield sheet, map(itemgetter("row_number", "cells", "error_cells"), of_sheet)

    def _cells(self, sheet: str, rows: list[tuple[int, list[Any], dict[str, str] | None]], begin: int) -> Any:
        numbers, cells, errors = zip(*rows, strict=True)
        return _placed(
            self.outcome.file.label,
            sheet,
            begin,
            pa.array(numbers, pa.int64()),
            pa.array(map(json_text, cells), pa.string()),
            pa.array([json_text(each) if each else None for each in errors], pa.string()),
        ), None


@dataclass
class TextFile:
    """A file of lines, of which `outcome` has a copy."""

    outcome: Outcome
    db: duckdb.DuckDBPyConnection

    def cells(self) -> Iterator[Block]:
        """As of a workbook; lines may have any number of cells, and be broken."""
        file = CsvFile(self.outcome.rows)
        lines = file.lines(1, file.width, is_strict=False)
        yield from _blocks("", _of_lines(lines, file.delimiter), functools.partial(self._cells, file))

    def table(self, declaration: Declaration) -> Table:
        """As of a workbook; broken lines are rejected."""
        file = CsvFile(self.outcome.rows, declaration.options.get("encoding"), declaration.options.get("delimiter"))
        after: dict[int, int] = {}

        def head() -> Iterator[Row]:
            for number, next_number, cells in file.head():
                after[number] = next_number
                yield number, cells

        header, _ = find_header(declaration, head())
        path = self.outcome.file.label
        texts = Texts(self.db, declaration, header, path, {"file_path": path, "sheet": ""}, None)

        def made(lines: Lines, begin: int) -> tuple[pa.Table, pa.Table | None]:
            return texts.of_lines(lines.table, block=str(begin)), _rejected(path, lines.others)

        lines = file.lines(after[header.number], header.width, is_strict=True)
        return Table("", texts, _blocks("", _of_lines(lines, file.delimiter), made))

    def _cells(self, file: CsvFile, lines: Lines, begin: int) -> tuple[pa.Table, None]:
        names = lines.table.column_names[1:]
        cells = "cells" if names == ["cells"] else f"[{', '.join(map(quote, names))}]"
        with registered(self.db, lines=lines.table):
            regular = self.db.sql(f"select number, cast(to_json({cells}) as varchar) as cells from lines")
            regular = regular.to_arrow_table()
        others = [json_text([cell or None for cell in file.cells(line)]) for _, _, line in lines.others]
        numbers = pa.array([number for number, _, _ in lines.others], pa.int64())
        odd = pa.table({"number": numbers, "cells": pa.array(others, pa.string())})
        table = pa.concat_tables([regular, odd]).sort_by("number")
        errors = pa.nulls(table.num_rows, pa.string())
        return _placed(self.outcome.file.label, "", begin, table["number"], table["cells"], errors), None


def _blocks(
    sheet: str,
    pieces: Iterable[tuple[int, Any]],
    made: Callable[[Any, int], tuple[pa.Table, pa.Table | None]],
) -> Iterator[Block]:
    """The blocks of a sheet's pieces, each with the number of its first row. `made` gives the rows of a piece, and what
    of it is rejected, if it is in the block that begins so."""
    begin = size = 0
    held: list[tuple[pa.Table, pa.Table | None]] = []
    for number, piece in pieces:
        first = number - (number - 1) % ROWS
        if first > begin or size > SIZE:
            if held:
                yield _joined(sheet, begin, held)
            held, size, begin = [], 0, first if first > begin else number
        rows, rejected = made(piece, begin)
        if rows.num_rows or rejected:
            held.append((rows, rejected))
            size += rows.nbytes
    if held:
        yield _joined(sheet, begin, held)


def _joined(sheet: str, begin: int, held: list[tuple[pa.Table, pa.Table | None]]) -> Block:
    rejected = [each for _, each in held if each]
    rows = pa.concat_tables([each for each, _ in held])
    return Block(sheet, begin, rows, pa.concat_tables(rejected) if rejected else None)


def _of_rows(rows: Iterable[Any]) -> Iterator[tuple[int, list[Any]]]:
    """Pieces that are in one block each, with the number of the first row."""
    for _, together in itertools.groupby(rows, lambda row: (row[0] - 1) // ROWS):
        for piece in batches(together):
            yield piece[0][0], piece


def _of_lines(lines: Iterable[Lines], delimiter: str) -> Iterator[tuple[int, Lines]]:
    """The same of lines; those in which there is nothing are left out."""
    for each in lines:
        table = each.table
        others = [other for other in each.others if other[2].strip(f"{delimiter} \t\r\n")]
        while table.num_rows or others:
            first = min(table["number"][:1].to_pylist() + [number for number, _, _ in others[:1]])
            end = first - (first - 1) % ROWS + ROWS
            rows = pc.sum(pc.less(table["number"], end)).as_py() or 0
            odd = bisect.bisect_left(others, end, key=itemgetter(0))
            yield first, Lines(table.slice(0, rows), others[:odd])
            table, others = table.slice(rows), others[odd:]


def _placed(path: str, sheet: str, begin: int, numbers: Any, cells: Any, errors: Any) -> pa.Table:
    """Rows as the stream `rows` has them."""
    numbers = numbers.cast(pa.string())
    same = {"file_path": path, "sheet": sheet, "block": str(begin)}
    return pa.table(
        {
            "row_number": numbers,
            "cells": cells,
            "error_cells": errors,
            "_position": pc.binary_join_element_wise(f"{path}!{sheet}!A" if sheet else f"{path}:", numbers, ""),
            **{name: pa.repeat(text, len(numbers)) for name, text in same.items()},
        }
    )


def _rejected(path: str, others: list[tuple[int, str, str]]) -> pa.Table | None:
    rows = [{"position": f"{path}:{n}", "reason": why, "original": json.dumps(line)} for n, why, line in others]
    schema = pa.schema([(name, pa.string()) for name in ("position", "reason", "original")])
    return pa.Table.from_pylist(rows, schema) if rows else None


_columns = Columns()


def _with_errors(row: tuple[int, list[Any], dict[str, str] | None]) -> Row:
    number, cells, errors = row
    for address, text in (errors or {}).items():
        cells[_columns[address.rstrip("0123456789")]] = ErrorCell(text)
    return number, cells
