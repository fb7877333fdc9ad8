"""Grids, as sheets and files are: the header of a declared table is found, and its rows become texts for the contract.

    header, rows = find_header(declaration, grid)
    texts = Texts(engine(threads=1), declaration, header, "file.xlsx!Sheet", place)
    tables = map(texts.of_rows, batches(rows))

A row that has no cells at all need not be in a grid.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from ingestion.contract import FAULT, ORIGINAL, UNKNOWN, Contract, Field, json_text, literal, quote, registered
from ingestion.errors import SourceError
from ingestion.tables import Declaration, ErrorCell, as_text, unique

SEARCHED = 20
"""Rows among which the header is, where its row is not declared."""

BATCH, CELLS = 10_000, 500_000
"""Rows, and cells, that are held as Python's objects at once."""

SHOWN = 10
"""Cells that a note names."""

ORIGIN = date(1899, 12, 30)
"""Day 0 of the numbers that spreadsheets have for dates."""

_ISO = r"\s*\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*"
"""A time without zone."""

_THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?\s*"
"""A number in which dots divide the thousands."""

Row = tuple[int, list[Any]]
"""Its number, from 1, and its cells: text, number, bool, date, datetime (without zone), None or ErrorCell."""


def letters(column: int) -> str:
    """What spreadsheets call a column, counted from 0."""
    return (letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


@dataclass(frozen=True)
class Header:
    """A header that was found: in the row `number`, with so many cells; `columns` are the places of fields, from 0,
    and `others` the names of the columns that no field names."""

    number: int
    width: int
    columns: dict[str, int]
    others: dict[int, str]


def find_header(
    declaration: Declaration, grid: Iterable[Row], *, first_column: int = 0, is_ordered: bool = False
) -> tuple[Header, Iterator[Row]]:
    """The header of a table, and the rows after it. `first_column` is where the cells of the grid begin.

    Raises SourceError if a declared column is missing, is there twice or, if `is_ordered`, has moved.
    """
    rows, seen = iter(grid), []
    wanted = set(declaration.headers.values())
    for number, cells in rows:
        seen.append((number, [as_text(cell).strip() for cell in cells]))
        if declaration.header:
            if number >= declaration.header:
                break
        elif wanted <= set(seen[-1][1]) or len(seen) == SEARCHED:
            break
    if declaration.header:
        if not seen or seen[-1][0] != declaration.header:
            raise SourceError(f"row {declaration.header}, which {declaration.option}.header names, is empty")
        number, names = seen[-1]
    else:
        number, names = max(seen, key=lambda row: len(wanted & set(row[1])), default=(0, []))
    _check(declaration, number, names, first_column, is_ordered=is_ordered)
    columns = {field_name: names.index(header) for field_name, header in declaration.headers.items()}
    others: dict[int, str] = {}
    same: Counter[str] = Counter()
    taken = {*(f.source for f in declaration.stream.contract.fields), *wanted}
    for index, name in enumerate(names):
        if index not in columns.values():
            name = name or letters(first_column + index)
            same[name] += 1
            others[index] = unique(name, taken, first=max(2, same[name]))
            taken.add(others[index])
    return Header(number, len(names), columns, others), rows


def _check(declaration: Declaration, number: int, names: list[str], first_column: int, *, is_ordered: bool) -> None:
    wanted = list(declaration.headers.values())
    correct = f"Correct it there, or {declaration.option}"
    if not set(wanted) & set(names):
        there = f"row {number} has {_listed(filter(None, names))}" if any(names) else "there is nothing"
        raise SourceError(f"there is no header with the columns {_listed(wanted)}: {there}. {correct}")

    def at(name: str) -> str:
        return f"{name!r} ({letters(first_column + names.index(name))}{number})"

    missing = [name for name in wanted if name not in names]
    if missing:
        told = []
        for name in missing:
            before = next((n for n in reversed(wanted[: wanted.index(name)]) if n in names), None)
            index = names.index(before) + 1 if before else 0
            instead = names[index] if index < len(names) else ""
            stands = f"{at(instead)} stands" if instead else "nothing stands"
            told.append(f"there is no column {name!r}: {stands} {f'after {before!r}' if before else 'first'}")
        raise SourceError(f"{'; '.join(told)}. Was it renamed or deleted? {correct}")
    if twice := [name for name in wanted if names.count(name) > 1]:
        places = [letters(first_column + index) for index, name in enumerate(names) if name == twice[0]]
        raise SourceError(f"the header has {twice[0]!r} more than once, in {' and '.join(places)}. {correct}")
    declared = [declaration.headers[each] for each in declaration.order]
    actual = sorted(declared, key=names.index)
    if is_ordered and actual != declared:
        blocks = difflib.SequenceMatcher(None, declared, actual, autojunk=False).get_matching_blocks()
        in_place = {name for block in blocks for name in declared[block.a : block.a + block.size]}
        told = [
            f"{at(name)} has moved: from {_after(name, declared)} to {_after(name, actual)}"
            for name in declared
            if name not in in_place
        ]
        raise SourceError(f"{'; '.join(told)}. {correct}")


def _after(name: str, order: list[str]) -> str:
    index = order.index(name)
    return f"after {order[index - 1]!r}" if index else "the first place"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows, so many at a time as may be held at once."""
    held, cells = [], 0
    for row in rows:
        held.append(row)
        cells += len(row[1])
        if len(held) >= BATCH or cells >= CELLS:
            yield held
            held, cells = [], 0
    if held:
        yield held


def empty(contract: Contract) -> pa.Table:
    """A table of `Texts` without rows."""
    names = [*(f.source for f in contract.fields), "_position", UNKNOWN, FAULT, ORIGINAL]
    return pa.schema([(name, pa.string()) for name in names]).empty_table()


@dataclass
class Texts:
    """Makes the rows of one table tables of texts, as `contract.apply` takes them.

    `db` should be an engine(threads=1): memory that several threads take by turns grows with each block.
    `where` begins every position: file!Sheet, or a file alone where `first_column`, at which the cells of a row begin,
    is None and the row's number the number of a line. `place` has the texts of the contract's other fields, but for
    row_number. Times without zone are of `time_zone`; numbers that are dates count from `origin`.
    """

    db: duckdb.DuckDBPyConnection
    declaration: Declaration
    header: Header
    where: str
    place: dict[str, str]
    first_column: int | None = 0
    time_zone: str = "UTC"
    origin: date = ORIGIN
    shown: list[str] = field(default_factory=list)
    errors: int = 0

    def __post_init__(self) -> None:
        contract = self.declaration.stream.contract
        by_name = {f.name: f for f in contract.fields}
        self.fields = {index: by_name[name] for name, index in self.header.columns.items()}
        self.indexes = {f.name: index for index, f in self.fields.items()}
        self.names = [self.header.others.get(index) for index in range(self.header.width)]
        self.taken = {*(f.source for f in contract.fields), *self.declaration.headers.values(), *self.names}

    @property
    def notes(self) -> list[str]:
        """What a person should know of the rows that were read."""
        if not self.errors:
            return []
        more = f" and {self.errors - len(self.shown)} more" if self.errors > len(self.shown) else ""
        return [f"{self.where}: cells with an error are null: {', '.join(self.shown)}{more}"]

    def of_lines(self, lines: pa.Table, **place: str) -> pa.Table:
        """The rows of a table that has the number of each, and its cells as `files.Lines` has them."""
        if lines.column_names == ["number", "cells"]:
            return self.of_rows(list(zip(*(column.to_pylist() for column in lines.columns), strict=True)), **place)
        names = ["number", *(f"text{name}" for name in lines.column_names[1:])]
        rest = _without_nulls(f"{literal(name)}, text{index}" for index, name in self.header.others.items())
        return self._made(lines.rename_columns(names), rest, place)

    def of_rows(self, rows: list[Row], **place: str) -> pa.Table:
        """Those of the rows that are not blank; `place` is that of these alone."""
        rows = [row for row in rows if any(as_text(cell).strip(" ") for cell in row[1])]
        numbers = [number for number, _ in rows]
        others = pa.array([self._others(cells) for _, cells in rows], pa.string())
        table = {"number": pa.array(numbers, pa.int64()), "others": others}
        for index in self.fields:
            column = [cells[index] if index < len(cells) else None for _, cells in rows]
            table |= self._columns(index, numbers, column)
        return self._made(pa.table(table), "others", place)

    def _others(self, cells: list[Any]) -> str | None:
        """A row's cells that no field names, as a JSON object: a column for each would cost more than they hold."""
        for index in range(len(self.names), len(cells)):
            self.names.append(unique(self._letters(index), self.taken))
        others = {
            name: cell if isinstance(cell, str) else as_text(cell)
            for name, cell in zip(self.names, cells, strict=False)
            if name is not None and cell is not None and cell != ""
        }
        return json_text(others) if others else None

    def _made(self, cells: pa.Table, rest: str, place: dict[str, str]) -> pa.Table:
        """`rest` is SQL for the JSON object of the cells that no field names."""
        with registered(self.db, cells=cells):
            query = self._query(set(cells.column_names), rest, self.place | self.declaration.values | place)
            return self.db.sql(query).to_arrow_table()

    def _columns(self, index: int, numbers: list[int], column: list[Any]) -> dict[str, pa.Array]:
        """A column's texts, which have to be read in the declared dialect; its values, of which we know what they are;
        and its errors."""
        try:
            return {f"text{index}": pa.array(column, pa.string())}
        except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
            pass
        f = self.fields[index]
        texts, values, errors = [], [], []
        for number, cell in zip(numbers, column, strict=True):
            is_text, is_error = isinstance(cell, str), isinstance(cell, ErrorCell)
            texts.append(as_text(cell) if is_text else None)
            values.append(None if is_text or is_error or cell is None else self._value(f, cell))
            errors.append(cell.text if is_error else None)
            if is_error and f.nullable:
                self.errors += 1
                if len(self.shown) < SHOWN:
                    self.shown.append(f"{self._letters(index)}{number} ({cell.text})")
        arrays = {"text": texts, "value": values, "error": errors}
        return {f"{name}{index}": pa.array(array, pa.string()) for name, array in arrays.items()}

    def _letters(self, index: int) -> str:
        return letters((self.first_column or 0) + index)

    def _value(self, f: Field, cell: Any) -> str:
        """A value that is no text; of a date or time also if it comes as a number."""
        is_date, is_time = (f.type.startswith(kind) for kind in ("DATE", "TIMESTAMP"))
        if (is_date or is_time) and isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
            try:
                milliseconds = round(float(cell) * 86_400_000)
                cell = datetime.combine(self.origin, time()) + timedelta(milliseconds=milliseconds)
            except OverflowError:
                return as_text(cell)
        if isinstance(cell, datetime):
            if is_date and cell.time() == time():
                return cell.date().isoformat()
            return self._in_utc(cell) if is_time else cell.isoformat()
        if isinstance(cell, date) and is_time:
            return self._in_utc(datetime.combine(cell, time()))
        return as_text(cell)

    def _in_utc(self, moment: datetime) -> str:
        return moment.replace(tzinfo=moment.tzinfo or ZoneInfo(self.time_zone)).astimezone(UTC).isoformat()

    def _query(self, columns: set[str], rest: str, given: dict[str, str]) -> str:
        """SQL for the contract's columns of a batch's cells."""

        def one_of(index: int, *names: str) -> str:
            parts = [f"{name}{index}" for name in names if f"{name}{index}" in columns]
            parts = [_visible(part) if part.startswith("text") else part for part in parts]
            return f"coalesce({', '.join(parts)})" if parts else "cast(null as varchar)"

        fields: dict[str, str] = {}
        original, unknown, faults = [], [], []
        for f in self.declaration.stream.contract.fields:
            index = self.indexes.get(f.name)
            if index is None:
                constant = "number" if f.name == "row_number" else literal(given[f.name]) if f.name in given else "null"
                fields[f.source] = f"cast({constant} as varchar)"
                original.append(f"{literal(f.source)}, {fields[f.source]}")
                continue
            text = self._translated(f, one_of(index, "text"))
            fields[f.source] = f"coalesce({one_of(index, 'value')}, {text})"
            error = one_of(index, "error")
            original.append(f"{literal(f.source)}, coalesce({fields[f.source]}, {error})")
            if f"error{index}" in columns and f.nullable:
                unknown.append(f"{literal(self.declaration.headers[f.name])}, {error}")
            elif f"error{index}" in columns:
                shown = f"{literal(f'{f.name}: the cell {self._letters(index)}')} || number || ' shows ' || {error}"
                faults.append(f"case when {error} is not null then {shown} end")
        letter = "" if self.first_column is None else f"!{letters(self.first_column)}"
        position = literal(f"{self.where}{letter or ':'}")
        whole = f"cast(json_object({', '.join(original)}) as varchar)"
        own = {
            "_position": f"{position} || number",
            UNKNOWN: _without_nulls(unknown, "coalesce(rest, '{}')") if unknown else "rest",
            FAULT: f"nullif(concat_ws('; ', {', '.join(faults)}), '')" if faults else "null",
            ORIGINAL: f"{whole}[:-2] || coalesce(',' || rest[2:], '}}')",
        }
        select = [f"cast({sql} as varchar) as {quote(name)}" for name, sql in (fields | own).items()]
        filled = [_visible(name) for name in sorted(columns - {"number"})]
        is_filled = f"coalesce({', '.join(filled) or 'null'}) is not null"
        return f"select {', '.join(select)} from (select *, {rest} as rest from cells where {is_filled})"

    def _translated(self, f: Field, text: str) -> str:
        """SQL for a text in the contract's form; one that does not fit the dialect stays as it is, and the contract
        rejects it."""
        if f.type == "DATE":
            parsed = self._parsed(text)
            day = f"case when {parsed} = date_trunc('day', {parsed}) then strftime({parsed}, '%Y-%m-%d') end"
            return f"coalesce({day}, {text})"
        if f.type.startswith("TIMESTAMP"):
            iso = f"case when regexp_full_match({text}, {literal(_ISO)}) then try_cast({text} as timestamp) end"
            local = f"timezone({literal(self.time_zone)}, coalesce({self._parsed(text)}, {iso}))"
            return f"coalesce(cast({local} as varchar), {text})"
        if f.type.startswith(("DECIMAL", "DOUBLE")) and self.declaration.decimal == ",":
            # Any other dot becomes a comma, which the contract rejects: what 12.50 or 0.500 is to say is not known.
            plain = f"if(regexp_full_match({text}, {literal(_THOUSANDS)}), replace({text}, '.', ''), {text})"
            return f"translate({plain}, '.,', ',.')"
        return text

    def _parsed(self, text: str) -> str:
        """SQL for the moment that a text is in the declared format, without a zone. DuckDB takes 26 for a year, too."""
        parsed = f"try_strptime({text}, {literal(self.declaration.date_format)})"
        return f"if(year({parsed}) >= 1000, {parsed}, null)"


def _visible(text: str) -> str:
    """SQL for a text that is null if nobody sees anything of it."""
    return rf"case when regexp_matches({text}, '[^\s\p{{Z}}\p{{C}}]') then {text} end"


def _without_nulls(members: Iterable[str], *more: str) -> str:
    """SQL for a JSON object of the members that are not null, and of those of `more` objects; null if there is none."""
    objects = ["'{}'", f"json_object({', '.join(members)})", *more]
    return f"nullif(cast(json_merge_patch({', '.join(objects)}) as varchar), '{{}}')"
