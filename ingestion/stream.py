"""What a stream is: its name, its contract, its kind, and what passes between a loader and the reading of it."""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from ingestion.contract import Contract, Field, Items

TIME = "TIMESTAMP WITH TIME ZONE"

SYSTEM_COLUMNS = (
    *("_key", "_version", "_row_hash", "_mark", "_position", "_unknown_fields", "_observed_at"),
    *("_scope", "_scope_rows", "_dlt_id", "_dlt_load_id"),
)


@dataclasses.dataclass(frozen=True)
class State:
    """Rows that change. Current is the highest (version, observed_at, row hash) per key, unless gone.

    A source whose readings may lag (a search index) needs a version field in its contract; a database, whose
    snapshot is the present even where a clock went back, has none, and the newest observation decides.
    """


@dataclasses.dataclass(frozen=True)
class Log:
    """Rows that change, and every change of theirs: the highest version per key, a text that grows with each change,
    unless that is a gone mark. `_observed_at` of a change is when it was committed."""


@dataclasses.dataclass(frozen=True)
class Event:
    """Rows that never change, one per key."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """Complete reads of a scope (named by these key fields; none = one scope); the newest one counts."""

    scope: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Stream:
    """One stream of a system: `name` is its raw table; `contract` says what a row is; `kind` what current means.

    `cursor` names the source's column by which reading can be bounded (incremental, --since, --until).
    `source` is what the system calls the stream (a table, a path), where that is not `name`.
    `notes` say what a person should know about how it lands, in the ledger and on the screen.
    """

    name: str
    contract: Contract
    kind: State | Log | Event | Snapshot
    cursor: str | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    is_dropped: bool = False
    """The source has it no longer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.source or self.name)

    @property
    def cursor_field(self) -> Field | None:
        """The field that `cursor` names; None where there is none, or where it is no column of the stream."""
        return next((f for f in self.contract.fields if f.name == self.cursor), None)

    @property
    def has_times(self) -> bool:
        """Whether reading can be bounded by --since and --until."""
        return self.cursor_field is not None and self.cursor_field.type.startswith(("TIMESTAMP", "DATE"))

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """(name, DuckDB type, description) of every column of the raw table, system columns last."""
        version = self.contract.version
        system = [
            ("_key", "VARCHAR", "The key as text; of several key columns, a JSON array."),
            (
                "_version",
                version.type if version else "VARCHAR" if isinstance(self.kind, Log) else TIME,
                "The source's version of the row, if it has one.",
            ),
            ("_row_hash", "BIGINT", "Hash of the row's declared and unknown fields."),
            ("_mark", "VARCHAR", "Null for a row as read; gone or back (key only), or empty (a snapshot)."),
            ("_position", "VARCHAR", "Where the source had it: file and line, page and item."),
            (
                "_unknown_fields",
                "VARCHAR",
                "JSON object of fields that have no column, and of values that their column can't hold.",
            ),
            ("_observed_at", TIME, "When the request that read it began (UTC)."),
        ]
        if isinstance(self.kind, Snapshot):
            system += [
                ("_scope", "VARCHAR", "What was read completely: the scope of the snapshot."),
                ("_scope_rows", "BIGINT", "How many rows that complete read of the scope had."),
            ]
        declared = [(f.name, f.type, f.description) for f in self.contract.fields]
        return [*declared, *system, ("_dlt_load_id", "VARCHAR", "The load that delivered the row.")]


@dataclasses.dataclass
class Query:
    """Rows that are not read yet, too many for one table in memory: a query of the reader's own DuckDB.

    `types`: column -> DuckDB type. `copy(sql, path)` writes the result of `sql`, which contains `sql` of this object,
    to a Parquet file and returns the number of rows; what fails on the way it tries again, or raises SourceError.
    `instead(rows)`, if there is one, is asked after that: what to read in its place, should `rows` (SQL that gives them
    in the contract's columns) have lost values on the way.
    """

    sql: str
    types: dict[str, str]
    copy: Callable[[str, Path], int]
    instead: Callable[[str], "Query | None"] | None = None


@dataclasses.dataclass
class Page:
    """Rows as a reader got them, in one request.

    `rows`: see `contract.apply`. `rejected` holds what could not even be parsed into fields
    (position, reason, original). For a snapshot each page holds whole scopes; `scopes` names those read
    completely, so that one without any row is known to be empty.
    """

    rows: pa.Table | Items | Query
    observed_at: datetime
    rejected: pa.Table | None = None
    scopes: list[str] | None = None
    version: str | None = None
    """Of all the rows, where the stream is a Log: a page is then the whole table as it was at that version."""


@dataclasses.dataclass
class Changes:
    """The changes of a Log, in any order.

    `rows` has the contract's source columns, and VERSION, MARK (gone: the row has its key only), OBSERVED_AT,
    `_position`, UNFIT, and UNCHANGED: a list of the columns whose value is that of the version before. That may be
    under another key, of which there is a gone mark with the same version: then MOVED is true. `truncated`: (version,
    when) of moments at which all rows went. Up to the version `covered` a page has, or will have, the whole table, so
    that a change which can't be typed or completed need not be kept.
    """

    rows: Query
    truncated: list[tuple[str, datetime]]
    covered: str = ""


@dataclasses.dataclass
class Gone:
    """Keys, as `_key` has them, that the source says it has no longer: archived, or merged into others."""

    keys: list[str]
    observed_at: datetime


@dataclasses.dataclass
class Buckets:
    """The source's keys, counted by bucket, to find where it differs from raw without reading them all.

    `of` is SQL for a key's bucket and `checksum` an aggregate of a bucket's rows, both over the contract's columns;
    `theirs` is the source's answer: (bucket, number of rows, sum as text).
    """

    of: str
    checksum: str
    theirs: list[tuple[int, int, str]]


@dataclasses.dataclass
class KeySweep:
    """Every key that the source holds now, with its cursor if the stream has one.

    `buckets()` tells how the keys are spread, where the reader can; `keys(buckets)` reads those of some buckets, or
    all (None), as columns of the contract; `fetch` reads the rows of keys (a table of the key columns as text).
    """

    observed_at: datetime
    keys: Callable[[list[int] | None], pa.Table | Query]
    fetch: Callable[[pa.Table], Iterator[Page]]
    buckets: Callable[[], Buckets] | None = None


@dataclasses.dataclass
class Recheck:
    """Keys that raw has and this reading did not come across are looked up in the source, and are gone if they are not
    there: for sources that answer for single keys, and can't list all that we have of them.

    `due` says which: SQL over the contract's key columns and its cursor. `look_up` reads the rows of keys (a table of
    the key columns as text) that are there.
    """

    observed_at: datetime
    due: str
    look_up: Callable[[pa.Table], Iterator[Page]]


@dataclasses.dataclass
class Window:
    """What to read of a stream (UTC): from `since`, the last run's bound, or all of it where that is None.

    `is_partial`: the user bounded it to [since, until); then nothing that is missing is gone and no bound moves.
    The reader sets `reached` to the next run's bound, and `is_complete` before its first page: whether the pages
    are all that the source has, so that what is missing is gone. `state` is a small dict of the reader's own, kept in
    the destination if the reading completes. While pages are consumed, `read` counts their rows, `loaded` those that go
    to raw, `appeared` the keys among them that raw did not have, and `moved` sums up by how much cursors grew
    (microseconds, or the integer), and `key_number` (SQL over the contract's columns) of the keys that appeared.
    `rejected` counts changes of a Log that were. `forgotten` is what `state` was, if all is to be read again: for who
    knows by it what may be gone. `accept_deletes`: the user says that it is right when much is gone.
    The reader adds to `notes` what a person should know.
    """

    since: datetime | None
    until: datetime | None
    is_partial: bool
    state: dict[str, Any]
    reached: datetime | None = None
    is_complete: bool = False
    notes: list[str] = dataclasses.field(default_factory=list)
    read: int = 0
    loaded: int = 0
    appeared: int = 0
    moved: int = 0
    rejected: int = 0
    key_number: str = "0"
    accept_deletes: bool = False
    forgotten: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_complete = self.since is None and not self.is_partial


class Reader(Protocol):
    """What a loader brings beside its table of streams."""

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Changes | KeySweep | Recheck | Gone]:
        """Yields everything in the window (only of a State or Log anything but pages); raises SourceError saying what,
        where and what to do."""

    def check(self, stream: Stream) -> str:
        """Connects, and says how much is there; raises SourceError if the stream can't be read."""

    def close(self) -> None:
        """Lets go of connections."""


@dataclasses.dataclass
class Run:
    """One run of the command line over all systems, as far as streams need to know it.

    `report` is told of progress: (stream, rows read so far). `since`/`until` bound what is read (UTC).
    """

    run_id: str = dataclasses.field(default_factory=lambda: uuid.uuid4().hex)
    full: bool = False
    since: datetime | None = None
    until: datetime | None = None
    accept_deletes: bool = False
    report: Callable[[str, int], None] = lambda stream, rows: None
    cleanup: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack)
    """Closes the readers, when whoever made the run closes it."""
