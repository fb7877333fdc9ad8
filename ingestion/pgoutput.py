"""PostgreSQL's logical replication messages, version 1, as records of the spool
(https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html).

A transaction comes when it is committed, as a whole, and transactions in the order of their commits: (commit LSN,
number within the transaction) orders all changes.
"""

import struct
from typing import NamedTuple

import msgspec
import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("version", pa.string()),
        ("committed_at", pa.timestamp("us", "UTC")),
        ("table_schema", pa.string()),
        ("table_name", pa.string()),
        ("before", pa.string()),
        ("row", pa.string()),
        ("unchanged", pa.list_(pa.string())),
    ]
)
"""Of the spool's files, a row per change. `kind`: insert, update, delete, truncate, and commit after the last change of
a transaction. `row` and `before` are JSON objects of PostgreSQL's texts, or null, by column; of a row's old version
there is what its replica identity has. `unchanged` names columns whose value was too large to be sent again."""


class Relation(NamedTuple):
    """A table as it was when the changes that follow were made."""

    schema: str
    name: str
    columns: list[str]


class Decoder:
    """Takes messages in the order in which they come. `epoch`: the first part of versions."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.in_transaction = False
        self.position = 0
        """The LSN before which every transaction has come as a whole."""
        self.heard = ""
        """The newest of our own messages in the log."""
        self._relations: dict[int, Relation] = {}
        self._commit, self._number, self._at = 0, 0, 0

    def decode(self, message: bytes) -> list[tuple]:
        """The records of one message."""
        return _READERS.get(message[:1], _nothing)(self, message)

    def _record(self, kind: str, relation: Relation | None, before, row, unchanged=()) -> tuple:
        self._number += 1
        schema, name = (relation.schema, relation.name) if relation else (None, None)
        version = version_of(self.epoch, self._commit, self._number)
        return (kind, version, self._at, schema, name, before, row, list(unchanged))

    def _begin(self, message: bytes) -> list[tuple]:
        self._commit, at = struct.unpack_from(">QQ", message, 1)
        self._at = _microseconds(at)
        self._number, self.in_transaction = 0, True
        return []

    def _end(self, message: bytes) -> list[tuple]:
        (self.position,) = struct.unpack_from(">Q", message, 10)
        self.in_transaction = False
        return [self._record("commit", None, None, None)] if self._number else []

    def _relation(self, message: bytes) -> list[tuple]:
        (oid,) = struct.unpack_from(">I", message, 1)
        schema, at = _text(message, 5)
        name, at = _text(message, at)
        (count,) = struct.unpack_from(">H", message, at + 1)
        at, columns = at + 3, []
        for _ in range(count):
            column, at = _text(message, at + 1)
            columns.append(column)
            at += 8
        # An empty one is pg_catalog, by the specification.
        self._relations[oid] = Relation(schema or "pg_catalog", name, columns)
        return []

    def _insert(self, message: bytes) -> list[tuple]:
        relation = self._of(message)
        row, _, _ = _tuple(relation, message, 6)
        return [self._record("insert", relation, None, _json(row))]

    def _update(self, message: bytes) -> list[tuple]:
        relation, before, at = self._of(message), None, 5
        if message[5:6] in (b"K", b"O"):
            before, at = _old(relation, message)
        row, unchanged, _ = _tuple(relation, message, at + 1)
        row |= {name: before[name] for name in unchanged if before and name in before}
        unchanged = [name for name in unchanged if name not in row]
        return [self._record("update", relation, _json(before), _json(row), unchanged)]

    def _delete(self, message: bytes) -> list[tuple]:
        relation = self._of(message)
        before, _ = _old(relation, message)
        return [self._record("delete", relation, _json(before), None)]

    def _truncate(self, message: bytes) -> list[tuple]:
        (count,) = struct.unpack_from(">I", message, 1)
        oids = struct.unpack_from(f">{count}I", message, 6)
        return [self._record("truncate", self._relations[oid], None, None) for oid in oids]

    def _message(self, message: bytes) -> list[tuple]:
        prefix, at = _text(message, 10)
        (length,) = struct.unpack_from(">I", message, at)
        if prefix == PREFIX:
            self.heard = message[at + 4 : at + 4 + length].decode()
        return []

    def _of(self, message: bytes) -> Relation:
        return self._relations[struct.unpack_from(">I", message, 1)[0]]


PREFIX = "catchment"
"""Of our own messages in the log."""


def version_of(epoch: str, commit: int, number: int) -> str:
    """A text that grows with every change. `epoch` is of the log, whose LSNs grow; `commit` the LSN of the commit."""
    return f"{epoch}-{commit:016X}-{number:08X}"


def commit_of(version: str) -> int:
    """The LSN in a version."""
    return int(version.split("-")[1], 16)


def _nothing(decoder: Decoder, message: bytes) -> list[tuple]:
    return []  # a type, or the origin of what was replicated to there


_READERS = {
    **{b"B": Decoder._begin, b"C": Decoder._end, b"R": Decoder._relation, b"M": Decoder._message},
    **{b"I": Decoder._insert, b"U": Decoder._update, b"D": Decoder._delete, b"T": Decoder._truncate},
}


def _tuple(relation: Relation, message: bytes, at: int) -> tuple[dict[str, str | None], list[str], int]:
    """A row's values as texts, the columns that were not sent again, and where the message goes on."""
    (count,) = struct.unpack_from(">H", message, at)
    at += 2
    values: dict[str, str | None] = {}
    unchanged = []
    for name in relation.columns[:count]:
        kind = message[at]
        at += 1
        if kind == _TEXT:
            end = at + 4 + int.from_bytes(message[at : at + 4], "big")
            values[name] = message[at + 4 : end].decode()
            at = end
        elif kind == _NULL:
            values[name] = None
        else:
            unchanged.append(name)
    return values, unchanged, at


def _old(relation: Relation, message: bytes) -> tuple[dict[str, str | None], int]:
    """A row's old version, or the key of it, whose columns are never null; and where the message goes on."""
    before, _, at = _tuple(relation, message, 6)
    if message[5:6] == b"K":
        before = {name: value for name, value in before.items() if value is not None}
    return before, at


_TEXT, _NULL = b"tn"
_encode = msgspec.json.Encoder().encode


def _json(values: dict[str, str | None] | None) -> str | None:
    return None if values is None else _encode(values).decode()


def _text(message: bytes, at: int) -> tuple[str, int]:
    """A text that ends with a zero byte, and where the message goes on."""
    end = message.index(0, at)
    return message[at:end].decode(), end + 1


def _microseconds(at: int) -> int:
    """PostgreSQL's time, from 1970 on."""
    return at + 946_684_800_000_000
