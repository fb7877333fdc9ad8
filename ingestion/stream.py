"""Streams and their kinds: what a loader reads, what becomes of each row, and the ledger that accounts for it.

`resources` turns a loader's table of streams into dlt resources. Each one types its pages against the
contract, leaves out rows that raw already has, marks what is gone, and ends with one ledger row, in the same
load package as the rows themselves, so that the two cannot disagree.
"""

import dataclasses
import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import dlt
import duckdb
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import Contract
from ingestion.errors import SourceError, explain

log = logging.getLogger("ingestion")


@dataclasses.dataclass(frozen=True)
class State:
    """Rows that change. Current is the highest (version, observed_at, row hash) per key, unless gone."""


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
            ("_version", version.type if version else _TIME, "The source's version of the row, if it has one."),
            ("_row_hash", "VARCHAR", "md5 of the row's declared and unknown fields."),
            ("_mark", "VARCHAR", "Null for a row as read; gone or back (key only), or empty (a snapshot)."),
            ("_position", "VARCHAR", "Where the source had it: file and line, page and item."),
            ("_unknown_fields", "VARCHAR", "JSON object of fields that the contract does not know."),
            ("_observed_at", _TIME, "When the request that read it began (UTC)."),
        ]
        if isinstance(self.kind, Snapshot):
            system += [
                ("_scope", "VARCHAR", "What was read completely: the scope of the snapshot."),
                ("_scope_rows", "BIGINT", "How many rows that complete read of the scope had."),
            ]
        declared = [(f.name, f.type, f.description) for f in self.contract.fields]
        return [*declared, *system, ("_dlt_load_id", "VARCHAR", "The load that delivered the row.")]


_TIME = "TIMESTAMP WITH TIME ZONE"

LEDGER = [
    ("run_id", "VARCHAR", "The run of the command line that read the stream."),
    ("stream", "VARCHAR", "The stream."),
    ("kind", "VARCHAR", "state, event or snapshot."),
    ("status", "VARCHAR", "complete, failed, or replayed (rejected rows validated again)."),
    ("error", "VARCHAR", "What failed and what to do about it."),
    ("rows_read", "BIGINT", "Rows that the source gave: loaded + unchanged + rejected."),
    ("rows_loaded", "BIGINT", "Rows appended to raw."),
    ("rows_unchanged", "BIGINT", "Rows that raw already had, not appended again."),
    ("rows_rejected", "BIGINT", "Rows that did not fit the contract, kept in rejected_rows."),
    ("rows_marked_gone", "BIGINT", "Keys that the source no longer has."),
    ("unknown_fields", "VARCHAR", "JSON array of fields seen that the contract does not know."),
    ("cursor_from", _TIME, "Lower bound of what was read; null = from the beginning."),
    ("cursor_to", _TIME, "Upper bound of what was read."),
    ("started_at", _TIME, "When reading began (UTC)."),
    ("finished_at", _TIME, "When reading ended (UTC)."),
    ("_dlt_load_id", "VARCHAR", "The load that delivered the row."),
]

REJECTED_ROWS = [
    ("rejected_id", "VARCHAR", "md5 of stream, position and original: the same row each time it is rejected."),
    ("run_id", "VARCHAR", "The run that rejected it."),
    ("stream", "VARCHAR", "The stream."),
    ("position", "VARCHAR", "Where the source had it: file and line, page and item."),
    ("reason", "VARCHAR", "What does not fit, field by field."),
    ("original", "VARCHAR", "The row as read, as JSON or as the raw line."),
    ("is_replayed", "BOOLEAN", "True where a replay has loaded it since."),
    ("observed_at", _TIME, "When the request that read it began (UTC)."),
    ("_dlt_load_id", "VARCHAR", "The load that delivered the row."),
]


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
    """Every key that the source holds now, with its version: a table of those columns of the contract.

    `fetch` reads the rows of keys (a table of the key columns as text) that raw has in another version.
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


def resources(streams: Iterable[Stream], reader: Reader, run: Run | None) -> Iterator[Any]:
    """One dlt resource per stream; a stream that fails writes so into the ledger and stops no other."""
    run = run or Run()
    for stream in streams:
        yield dlt.resource(_read_stream, name=stream.name)(stream, reader, run)


def _read_stream(stream: Stream, reader: Reader, run: Run) -> Iterator[Any]:
    state = dlt.current.resource_state()
    is_partial = bool(run.since or run.until)
    kept = {} if run.full else dict(state)
    since = run.since if is_partial else _time(kept.pop("reached", None))
    window = Window(since, run.until, is_partial, kept)
    reading = _Reading(stream, run, window)
    yield from reading.emit(reader)
    if reading.error is None and not is_partial:
        reached = {"reached": window.reached.isoformat()} if window.reached else {}
        state.clear()
        state.update(window.state, **reached)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class _Reading:
    """One reading of one stream: pages in, Arrow tables for dlt out, counted."""

    def __init__(self, stream: Stream, run: Run, window: Window) -> None:
        self.stream, self.run, self.window = stream, run, window
        self.db = contracts.engine()
        self.error: str | None = None
        self.unknown: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.is_snapshot = isinstance(stream.kind, Snapshot)
        self.is_full = window.since is None and not window.is_partial

    def emit(self, reader: Reader) -> Iterator[Any]:
        """Yields the stream's rows and marks, its rejected rows, and at last its ledger row."""
        started_at = datetime.now(UTC)
        yield conform(self.stream.columns, pa.table({}))  # so that the raw table exists
        try:
            self._load_known()
            for page in reader.read(self.stream, self.window):
                yield from self._sweep(page) if isinstance(page, KeySweep) else self._page(page)
            if self.is_full and isinstance(self.stream.kind, State):
                yield from self._mark_gone("seen", started_at)
        except Exception as error:  # one stream's failure must not stop the others
            self.error = explain(error)
            log.debug("%s failed", self.stream.name, exc_info=True)
        yield ledger_row(
            self.stream,
            self.run,
            self.counts,
            status="failed" if self.error else "complete",
            error=self.error,
            unknown_fields=json.dumps(sorted(self.unknown)) if self.unknown else None,
            cursor_from=self.window.since,
            cursor_to=self.window.until or self.window.reached,
            started_at=started_at,
        )

    def _load_known(self) -> None:
        """What raw holds: per key its current hash and whether it is gone; per snapshot scope its hash."""
        known = raw_query(self.stream, _KNOWN_SCOPES if self.is_snapshot else _KNOWN_ROWS)  # noqa: F841
        self.db.execute("create table known as from known")
        self.db.execute("create table seen (_key varchar)")

    def _page(self, page: Page) -> Iterator[Any]:
        typed = contracts.apply(self.db, self.stream.contract, page.rows)
        parts = [typed.rejected] if page.rejected is None else [typed.rejected, page.rejected]
        rejected = pa.concat_tables(parts, promote_options="default")
        with contracts.registered(self.db, accepted=typed.accepted, rejected=rejected):
            new = self._new_scopes() if self.is_snapshot else self._new_rows()
        self.unknown |= typed.unknown
        self.counts.update(
            read=typed.accepted.num_rows + rejected.num_rows,
            loaded=new.num_rows,
            unchanged=typed.accepted.num_rows - new.num_rows,
            rejected=rejected.num_rows,
        )
        if new.num_rows:
            yield conform(self.stream.columns, new, _observed_at=page.observed_at)
        if rejected.num_rows:
            yield rejected_rows(self.stream, self.run, rejected, page.observed_at)
        for scope in self._emptied_scopes(page, typed.accepted):
            mark = pa.table({"_scope": [scope], "_scope_rows": [0], "_mark": ["empty"]})
            yield conform(self.stream.columns, mark, _observed_at=page.observed_at)
        self.run.report(self.stream.name, self.counts["read"])

    def _new_rows(self) -> pa.Table:
        """The accepted rows that raw does not hold as they are."""
        new = self.db.sql("""
            select accepted.*
            from accepted anti join (from known where not is_gone) as known using (_key, _row_hash)
            qualify row_number() over (partition by _key, _row_hash) = 1
        """).to_arrow_table()
        self.db.execute("insert into known select _key, _row_hash, _version, false from new")
        # A rejected row was seen too: it is neither gone nor to be fetched again.
        self.db.execute("insert into seen select _key from accepted union all select _key from rejected")
        return new

    def _new_scopes(self) -> pa.Table:
        """The accepted rows of every scope that does not read as it did last time."""
        scope = " || '/' || ".join(f"cast({name} as varchar)" for name in self.stream.kind.scope) or "'all'"
        return self.db.sql(f"""
            with scoped as (select *, {scope} as _scope from accepted),
            scopes as (select _scope, {_SCOPE_HASH}, count(distinct _key) as _scope_rows from scoped group by 1)
            select scoped.*, scopes._scope_rows
            from scoped join scopes using (_scope) anti join known using (_scope, _scope_hash)
        """).to_arrow_table()

    def _emptied_scopes(self, page: Page, accepted: pa.Table) -> list[str]:
        """Scopes that were read completely, had rows before, and now have none."""
        if not self.is_snapshot or accepted.num_rows or not page.scopes:
            return []
        known = self.db.sql("select _scope from known where _scope_hash is distinct from 'empty'").fetchall()
        return [scope for (scope,) in known if scope in page.scopes]

    def _sweep(self, sweep: KeySweep) -> Iterator[Any]:
        """Compares the source's keys and versions with raw: fetches what differs, marks what is gone or back."""
        fields = tuple(f for f in self.stream.contract.fields if f.key or f.version)
        swept = contracts.apply(self.db, Contract("", fields), sweep.keys).accepted  # noqa: F841
        self.db.execute("create table held as select _key, _version from swept")
        late = self.db.sql("""
            select _key from held anti join (from known where not is_gone) as known
                on held._key = known._key and held._version is not distinct from known._version
            anti join seen on held._key = seen._key
        """)
        for page in sweep.fetch(late.project(self._key_columns("VARCHAR")).to_arrow_table()):
            yield from self._page(page)
        yield from self._mark_gone("held", sweep.observed_at)
        back = self.db.sql(f"select _key, 'back' as _mark from {_ALIVE} where is_gone and _key in (select _key from held)")
        if len(back):
            yield self._marks(back, sweep.observed_at)

    def _mark_gone(self, held: str, observed_at: datetime) -> Iterator[Any]:
        """Marks every known key that is not in the table `held`, unless that is more than half of them."""
        known = self.db.sql(f"from {_ALIVE} where not is_gone")
        gone = self.db.sql(f"select _key, 'gone' as _mark from known where _key not in (select _key from {held})")
        if 2 * len(gone) > len(known) and not self.run.accept_deletes:
            raise SourceError(
                f"{len(gone):,} of {len(known):,} known rows are no longer in the source; none was marked gone. "
                "If that is right, run again with --accept-deletes"
            )
        self.counts["marked_gone"] += len(gone)
        if len(gone):
            yield self._marks(gone, observed_at)

    def _key_columns(self, sql_type: str = "") -> str:
        """SQL that takes `_key` apart into the contract's key columns, in their types or all in one."""
        key = self.stream.contract.key
        texts = ["_key"] if len(key) == 1 else [f"_key ->> '$[{i}]'" for i in range(len(key))]
        return ", ".join(
            f"cast({text} as {sql_type or f.type}) as {contracts.quote(f.name)}"
            for text, f in zip(texts, key, strict=True)
        )

    def _marks(self, marks: duckdb.DuckDBPyRelation, observed_at: datetime) -> pa.Table:
        table = marks.project(f"*, {self._key_columns()}").to_arrow_table()
        return conform(self.stream.columns, table, _observed_at=observed_at)


# Per key, gone only if it is gone in every row of `known`: rows read in this run were added as alive.
_ALIVE = "(select _key, bool_and(is_gone) as is_gone from known group by _key)"

_KNOWN_ROWS = """
    select _key,
        max({'v': _version, 'o': _observed_at, 'h': _row_hash}) filter (where _mark is null) as newest,
        newest.h as _row_hash, newest.v as _version,
        coalesce(max(_observed_at) filter (where _mark = 'gone')
            > max(_observed_at) filter (where _mark is distinct from 'gone'), false) as is_gone
    from {table} group by _key
"""

_SCOPE_HASH = "coalesce(md5(string_agg(distinct _row_hash, '' order by _row_hash)), 'empty') as _scope_hash"

_KNOWN_SCOPES = f"""
    with reads as (
        select _scope, _observed_at, {_SCOPE_HASH} from {{table}} group by _scope, _observed_at
        having count(distinct _key) = max(_scope_rows)
    )
    select _scope, max_by(_scope_hash, _observed_at) as _scope_hash from reads group by _scope
"""


def raw_query(stream: Stream, query: str) -> pa.Table:
    """Runs a query over the stream's raw table in the destination of the pipeline that is running."""
    pipeline = dlt.current.pipeline()
    with pipeline.sql_client() as client:
        table = client.make_qualified_table_name(stream.name)
        with client.execute_query(query.replace("{table}", table)) as cursor:
            return cursor.arrow()


def arrow_schema(columns: list[tuple[str, str, str]]) -> pa.Schema:
    """The Arrow schema of raw columns given as (name, DuckDB type, description)."""
    nulls = ", ".join(f'cast(null as {sql_type}) as "{name}"' for name, sql_type, _ in columns)
    return contracts.engine().sql(f"select {nulls}").to_arrow_table().schema


def conform(columns: list[tuple[str, str, str]], table: pa.Table, **constants: Any) -> pa.Table:
    """`table` with exactly these columns but dlt's own, in order and type; missing ones constant or null."""
    schema = arrow_schema([column for column in columns if not column[0].startswith("_dlt")])
    arrays = []
    for column in schema:
        if column.name in table.column_names:
            arrays.append(table[column.name].cast(column.type))
        else:
            constant = pa.scalar(constants.get(column.name), column.type)
            arrays.append(pa.repeat(constant, table.num_rows))
    return pa.table(arrays, schema=schema)


def _beside(table_name: str, table: pa.Table) -> Any:
    """An item that dlt lands in a table beside the stream's own, in the same load package."""
    return dlt.mark.with_hints(table, dlt.mark.make_hints(table_name=table_name), create_table_variant=True)


def ledger_row(stream: Stream, run: Run, counts: Mapping[str, int], **values: Any) -> Any:
    """The ledger's row for one reading of a stream; `values` as in LEDGER."""
    row = {
        "run_id": run.run_id,
        "stream": stream.name,
        "kind": type(stream.kind).__name__.lower(),
        "finished_at": datetime.now(UTC),
        **{f"rows_{name}": counts.get(name, 0) for name in ("read", "loaded", "unchanged", "rejected", "marked_gone")},
        **values,
    }
    return _beside("load_ledger", conform(LEDGER, pa.Table.from_pylist([row])))


def rejected_rows(
    stream: Stream, run: Run, rejected: pa.Table, observed_at: datetime | None = None, *, is_replayed: bool = False
) -> Any:
    """Rows for rejected_rows from (position, reason, original), with the id by which each is known again."""
    with contracts.registered(contracts.engine(), rejected=rejected) as db:
        identified = db.execute(
            "select *, md5(concat_ws(chr(31), ?, coalesce(position, ''), original)) as rejected_id from rejected",
            [stream.name],
        ).to_arrow_table()
    constants = {"run_id": run.run_id, "stream": stream.name, "is_replayed": is_replayed, "observed_at": observed_at}
    return _beside("rejected_rows", conform(REJECTED_ROWS, identified, **constants))
