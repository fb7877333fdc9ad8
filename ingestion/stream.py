"""What a stream is: its name, its contract, its kind, and what passes between a loader and the reading of it."""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from ingestion.contract import Contract

TIME = "TIMESTAMP WITH TIME ZONE"


@dataclasses.dataclass(frozen=True)
class State:
    """Rows that change. Current is the highest (version, observed_at, row hash) per key, unless gone.

    A source whose readings may lag (a search index) needs a version field in its contract; a database, whose
    snapshot is the present even where a clock went back, has none, and the newest observation decides.
    """


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

    `cursor` names the source's column by which reading can be bounded in time (incremental, --since, --until).
    `source` is what the system calls the stream (a table, a path), where that is not `name`.
    """

    name: str
    contract: Contract
    kind: State | Event | Snapshot
    cursor: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", self.source or self.name)

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """(name, DuckDB type, description) of every column of the raw table, system columns last."""
        version = self.contract.version
        system = [
            ("_key", "VARCHAR", "The key as text; of several key columns, a JSON array."),
            (
                "_version",
                version.type if version else TIME,
                "The source's version of the row, if it has one.",
            ),
            ("_row_hash", "VARCHAR", "md5 of the row's declared and unknown fields."),
            ("_mark", "VARCHAR", "Null for a row as read; gone or back (key only), or empty (a snapshot)."),
            ("_position", "VARCHAR", "Where the source had it: file and line, page and item."),
            ("_unknown_fields", "VARCHAR", "JSON object of fields that the contract does not know."),
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
class Page:
    """Rows as a reader got them, in one request.

    `rows`: see `contract.apply`. `rejected` holds what could not even be parsed into fields
    (position, reason, original). For a snapshot each page holds whole scopes; `scopes` names those read
    completely, so that one without any row is known to be empty.
    """

    rows: pa.Table
    observed_at: datetime
    rejected: pa.Table | None = None
    scopes: list[str] | None = None


@dataclasses.dataclass
class KeySweep:
    """Every key that the source holds now, with its cursor: a table of those columns of the contract.

    `fetch` reads the rows of keys (a table of the key columns as text) that raw has with another cursor.
    """

    keys: pa.Table
    observed_at: datetime
    fetch: Callable[[pa.Table], Iterator[Page]]


@dataclasses.dataclass
class Window:
    """What to read of a stream (UTC): from `since`, the last run's bound, or all of it where that is None.

    `is_partial`: the user bounded it to [since, until); then nothing that is missing is gone and no bound moves.
    The reader sets `reached` to the next run's bound. `state` is a small dict of the reader's own. Both are
    kept in the destination, if the reading completes.
    """

    since: datetime | None
    until: datetime | None
    is_partial: bool
    state: dict[str, Any]
    reached: datetime | None = None


class Reader(Protocol):
    """What a loader brings beside its table of streams."""

    def read(self, stream: Stream, window: Window) -> Iterator[Page | KeySweep]:
        """Yields everything in the window; raises SourceError saying what, where and what to do."""

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
