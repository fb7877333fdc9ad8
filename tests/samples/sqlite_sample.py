"""A SQLite file of the samples: as postgres_sample.py, by Python's sqlite3."""

import contextlib
import hashlib
import math
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

from measuring import SHOWN_CHARACTERS, Column, Measures, Table, quoted, share


class SQLite:
    """A SQLite file, asked by Python's sqlite3; its values are added up here, each as its column's type has it."""

    def __init__(self, url: str) -> None:
        """`url` of a file."""
        self.url, self.file = url, Path(unquote(url.partition(":///")[2]))
        self._held: dict[Table, list[tuple]] = {}

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.file)
        connection.text_factory = lambda data: data.decode(errors="replace")
        with contextlib.closing(connection), connection:
            yield connection

    def copy(self) -> "SQLite":
        """A copy of the file, beside it."""
        copied = SQLite(f"sqlite:///{self.file.with_suffix('.copy')}")
        copied.file.unlink(missing_ok=True)
        with self._connected() as source, copied._connected() as target:
            source.backup(target)
        return copied

    def drop(self) -> None:
        """Removes the (copied) file."""
        self.file.unlink()

    def tables(self) -> list[Table]:
        """Its tables, without the virtual ones."""
        found = []
        with self._connected() as connection:
            for (name,) in connection.execute(
                r"select name from pragma_table_list where type = 'table' and name not like 'sqlite\_%' escape '\'"
            ).fetchall():
                columns, key = [], {}
                for _, column, declared, _, _, position, hidden in connection.execute(
                    f"pragma table_xinfo({quoted(name)})"
                ).fetchall():
                    if hidden != 1:
                        kind = _sqlite_kind(declared)
                        if kind in ("date", "time"):  # which are often numbers there
                            kinds = f"select distinct typeof({quoted(column)}) from {quoted(name)}"
                            stored = {row[0] for row in connection.execute(kinds)} - {"null"}
                            kind = {("integer",): "int", ("real",): "float"}.get(tuple(stored), kind)
                        columns.append(Column(column, declared, kind, is_generated=hidden > 1))
                        if position:
                            key[position] = column
                unique = set(key.values())
                for _, index, is_unique, *_ in connection.execute(f"pragma index_list({quoted(name)})").fetchall():
                    if is_unique:
                        unique |= {row[2] for row in connection.execute(f"pragma index_info({quoted(index)})")}
                ordered = tuple(column for _, column in sorted(key.items()))
                found.append(Table("main", name, tuple(columns), ordered, frozenset(unique)))
        return found

    def measure(self, table: Table) -> Measures:
        """What the table's columns add up to."""
        names = ", ".join(quoted(column.name) for column in table.columns)
        with self._connected() as connection:
            rows = connection.execute(f"select {names} from {quoted(table.name)}").fetchall()
        found: Measures = {"rows": len(rows)}
        texts: list[list[str | None]] = []
        for column, values in zip(table.columns, zip(*rows, strict=True) if rows else [()] * 99, strict=False):
            measured, row = _added_up(column, list(values))
            found |= {f"{column.name}: {name}": value for name, value in measured.items()}
            if row is not None:
                texts.append(row)
        if texts:
            lines = (
                "".join("null," if text is None else f"={text}," for text in row) for row in zip(*texts, strict=True)
            )
            found["digest of rows"] = sum(map(_digest, lines))
        return found

    def hold_back(self, table: Table) -> int:
        """Takes some rows out, which `change` puts in again; returns how many."""
        name, columns = quoted(table.name), self._written(table)
        with self._connected() as connection:
            count = share(connection.execute(f"select count(*) from {name}").fetchone()[0])
            first = f"from {name} order by {self._order(table)} limit {count}"
            self._held[table] = connection.execute(f"select {columns} {first}").fetchall()
            self._delete(connection, table, first)
        return count

    def change(self, table: Table, count: int) -> int:
        """Inserts what was held back, updates and deletes as many; returns how many were updated."""
        name, columns, updated = quoted(table.name), self._written(table), 0
        with self._connected() as connection:
            self._delete(connection, table, f"from {name} order by {self._order(table, ' desc')} limit {count}")
            for column in table.changeable:
                c = quoted(column.name)
                low, high = connection.execute(f"select min({c}), max({c}) from {name}").fetchone()
                if low == high:
                    continue
                some = f"from {name} order by {self._order(table)} limit {count}"
                with contextlib.suppress(sqlite3.IntegrityError):
                    updated = connection.execute(
                        f"update {name} set {c} = iif({c} is ?, ?, ?) where {self._among(table, some)}",
                        (high, low, high),
                    ).rowcount
                    break
            marks = ", ".join("?" for column in table.columns if not column.is_generated)
            connection.executemany(f"insert into {name} ({columns}) values ({marks})", self._held[table])
        return updated

    def _delete(self, connection: sqlite3.Connection, table: Table, some: str) -> None:
        connection.execute(f"delete from {quoted(table.name)} where {self._among(table, some)}")

    @staticmethod
    def _among(table: Table, some: str) -> str:
        """By the key, since a table may be without rowid."""
        names = ", ".join(map(quoted, table.key)) or "rowid"
        return f"({names}) in (select {names} {some})"

    @staticmethod
    def _written(table: Table) -> str:
        return ", ".join(quoted(column.name) for column in table.columns if not column.is_generated)

    @staticmethod
    def _order(table: Table, direction: str = "") -> str:
        return ", ".join(f"{quoted(name)}{direction}" for name in table.key) or f"rowid{direction}"


def _sqlite_kind(declared: str) -> str:
    word = declared.upper()
    for parts, kind in (
        (("DATETIME", "TIMESTAMP"), "time"),
        (("DATE",), "date"),
        (("INT",), "int"),
        (("BLOB",), "blob"),
        (("CHAR", "CLOB", "TEXT"), "text"),
        (("BOOL",), "bool"),
    ):
        if any(part in word for part in parts):
            return kind
    if re.search(r"(DECIMAL|NUMERIC)\s*\(", word):
        return "decimal"
    return "float" if any(part in word for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")) else "text"


def _added_up(column: Column, values: list) -> tuple[Measures, list[str | None] | None]:
    """(the measures of a column, its values as they go into the digest of rows)."""
    read: Callable[[object], object] = {
        "int": int,
        "decimal": lambda value: round(Decimal(repr(value)), int([*re.findall(r"\d+", column.declared), 0][1])),
        "float": float,
        "bool": lambda value: str(value).lower() in ("1", "true", "t", "yes"),
        "date": lambda value: (date.fromisoformat(value[:10]) - date(1970, 1, 1)).days,
        "time": _micros,
        "text": _text,
        "blob": lambda value: value if isinstance(value, bytes) else str(value).encode(),
    }[column.kind]
    found = [None if value is None else read(value) for value in values]
    present = [value for value in found if value is not None]
    measured: Measures = {"count": len(present)}
    if column.kind == "bool":
        return {**measured, "true": sum(present)}, [None if v is None else str(int(v)) for v in found]
    if column.kind in ("text", "blob"):
        data = [value.encode() if isinstance(value, str) else value for value in present]
        measured |= {"bytes": sum(map(len, data)), "digest": sum(map(_digest, data))}
        if column.kind == "blob":
            return measured, [None if v is None else str(_digest(v)) for v in found]
        starts = [value[:SHOWN_CHARACTERS] for value in present]
        least, greatest = min(starts, key=str.encode, default=None), max(starts, key=str.encode, default=None)
        measured |= {"least": least, "greatest": greatest, "characters": sum(map(len, present))}
        return {**measured, "distinct": len(set(map(_digest, present)))}, found
    measured |= {"distinct": len(set(present)), "least": min(present, default=None)}
    measured |= {"greatest": max(present, default=None), "sum": sum(present) if present else None}
    if column.kind == "float":
        finite = [value for value in present if math.isfinite(value)]
        return {**measured, "finite": len(finite), "sum": sum(finite), "weight": sum(map(abs, finite))}, None
    if column.kind in ("date", "time"):
        measured["finite"] = len(present)
    return measured, [None if v is None else str(v) for v in found]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex().upper()}'"
    return value if isinstance(value, str) else repr(value)


def _micros(value: str) -> int:
    moment = datetime.fromisoformat(value)
    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds


def _digest(value: str | bytes) -> int:
    data = value.encode() if isinstance(value, str) else value
    return int(hashlib.md5(data).hexdigest()[:8], 16)
