"""Reading CSV files in a declared dialect, with the lines that can't be parsed kept aside."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ingestion.errors import SourceError


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How a CSV file is written: `decimal` is the decimal separator, `date_format` is as in strptime."""

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    date_format: str = "%Y-%m-%d"


def fingerprint(path: Path) -> list[int]:
    """Size and time of change (ns): a file with both unchanged need not be read again."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def read_csv(path: Path, name: str, dialect: Dialect) -> tuple[pa.Table, pa.Table]:
    """(rows, rejected): cells as text, null where empty, with `_position` name:line; and the broken lines.

    A line with another number of cells than the header, with bytes that are not of the encoding, or with a
    quote left open is rejected alone, as it stands in the file. Raises SourceError if the header is so.
    """
    encoding = "utf-8-sig" if dialect.encoding.lower() in ("utf-8", "utf8") else dialect.encoding
    text = path.read_bytes().decode(encoding, "surrogateescape")
    lines = list(io.StringIO(text, newline=""))
    records = _records(lines, dialect.delimiter)
    header, _, _ = next(records, ([], 0, 0))
    header = [cell.strip() for cell in header or []]
    if twice := {name for name in header if header.count(name) > 1}:
        raise SourceError(f"the header has more than one column {', '.join(sorted(twice))}")
    if _is_broken("".join(header)):
        raise SourceError(f"the header has bytes that are not {dialect.encoding}")
    rows: list[list[str | None]] = []
    positions, rejected = [], []
    for cells, first, end in records:
        raw = "".join(lines[first:end]).rstrip("\r\n")
        if not raw.strip():
            continue
        if cells is None:
            reason = "a quote is left open or misplaced"
        elif len(cells) != len(header):
            reason = f"{len(cells)} cells where the header has {len(header)}"
        elif _is_broken(raw):
            reason = f"bytes that are not {dialect.encoding}"
        else:
            rows.append([cell if cell != "" else None for cell in cells])
            positions.append(f"{name}:{first + 1}")
            continue
        original = json.dumps(raw.encode("utf-8", "backslashreplace").decode())
        rejected.append({"position": f"{name}:{first + 1}", "reason": reason, "original": original})
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    arrays = [pa.array(column, pa.string()) for column in (*columns, positions)]
    return pa.table(arrays, names=[*header, "_position"]), pa.Table.from_pylist(rejected, _REJECTED)


def _is_broken(text: str) -> bool:
    """Whether some bytes of it could not be decoded."""
    return any("\udc80" <= character <= "\udcff" for character in text)


_REJECTED = pa.schema([("position", pa.string()), ("reason", pa.string()), ("original", pa.string())])


def _records(lines: list[str], delimiter: str) -> Iterator[tuple[list[str] | None, int, int]]:
    """(cells, index of first line, index after the last) of each record; cells are None for a broken line.

    An open quote would swallow the lines that follow: then only the line where it opens counts as broken.
    """
    start, width = 0, None
    while start < len(lines):
        reader = csv.reader(lines[start:], delimiter=delimiter, strict=True)
        first = start
        try:
            for cells in reader:
                end = start + reader.line_num
                if width is not None and len(cells) != width and end - first > 1:
                    break
                width = width or len(cells)
                yield cells, first, end
                first = end
            else:
                return
        except csv.Error:
            pass
        yield None, first, first + 1
        start = first + 1
