"""Reading streams: what becomes of each row, and the ledger row that accounts for it.

`resources` turns a loader's table of streams into dlt resources. Each one types its pages against the
contract, leaves out rows that raw already has, marks what is gone, and ends with one ledger row, in the same
load package as the rows themselves, so that the two cannot disagree.
"""

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ingestion import contract as contracts
from ingestion.contract import Contract
from ingestion.errors import SourceError, explain
from ingestion.ledger import conform, ledger_row, rejected_rows
from ingestion.stream import KeySweep, Page, Reader, Run, Snapshot, State, Stream, Window

log = logging.getLogger("ingestion")


def resources(streams: Iterable[Stream], reader: Reader, run: Run | None) -> Iterator[Any]:
    """One dlt resource per stream; a stream that fails writes so into the ledger and stops no other."""
    run, turn = run or Run(), threading.Lock()
    run.cleanup.callback(reader.close)
    for stream in streams:
        yield dlt.resource(_in_turn, name=stream.name)(stream, reader, run, turn)


def _in_turn(stream: Stream, reader: Reader, run: Run, turn: threading.Lock) -> Iterator[Any]:
    """dlt asks resources for an item in turns, but a reader has one connection: it reads one stream at a time."""
    while not turn.acquire(blocking=False):
        yield None
    try:
        yield from _read_stream(stream, reader, run)
    finally:
        turn.release()


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
        if self.is_snapshot:
            self._scope = " || '/' || ".join(f"cast({name} as varchar)" for name in stream.kind.scope) or "'all'"
        self.cursor = contracts.quote(stream.cursor) if stream.cursor else "null"
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
        query = _KNOWN_SCOPES if self.is_snapshot else _KNOWN_ROWS
        query = query.replace("{cursor}", self.cursor)
        try:
            known = raw_query(self.stream, query)
        except DatabaseUndefinedRelation:  # before the first load of a pipeline that is not our command line's
            with contracts.registered(self.db, nothing=conform(self.stream.columns, pa.table({}))):
                known = self.db.sql(query.replace("{table}", "nothing")).to_arrow_table()
        with contracts.registered(self.db, known_rows=known):
            self.db.execute("create table known as from known_rows")
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
        for scope in self._emptied_scopes(page, typed.accepted, rejected):
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
        self.db.execute(f"insert into known select _key, _row_hash, cast({self.cursor} as varchar), false from new")
        # A rejected row was seen too: it is neither gone nor to be fetched again.
        self.db.execute("insert into seen select _key from accepted union all select _key from rejected")
        return new

    def _new_scopes(self) -> pa.Table:
        """The accepted rows of every scope that does not read as it did last time."""
        return self.db.sql(f"""
            with scoped as (select *, {self._scope} as _scope from accepted),
            scopes as (select _scope, {_SCOPE_HASH}, count(distinct _key) as _scope_rows from scoped group by 1)
            select scoped.*, scopes._scope_rows
            from scoped join scopes using (_scope) anti join known using (_scope, _scope_hash)
        """).to_arrow_table()

    def _emptied_scopes(self, page: Page, accepted: pa.Table, rejected: pa.Table) -> list[str]:
        """Scopes that were read completely, had rows before, and now have none; a rejected row may be of any."""
        if not self.is_snapshot or rejected.num_rows or not page.scopes:
            return []
        with contracts.registered(self.db, accepted=accepted):
            emptied = self.db.sql(f"""
                select _scope from known where _scope_hash is distinct from 'empty'
                except select {self._scope} from accepted
            """).fetchall()
        return [scope for (scope,) in emptied if scope in page.scopes]

    def _sweep(self, sweep: KeySweep) -> Iterator[Any]:
        """Compares the source's keys and cursors with raw: fetches what differs, marks what is gone or back."""
        fields = tuple(f for f in self.stream.contract.fields if f.key or f.name == self.stream.cursor)
        swept = contracts.apply(self.db, Contract("", fields), sweep.keys)
        with contracts.registered(self.db, swept=swept.accepted, unfit=swept.rejected):
            self.db.execute(f"""
                create table held as select _key, cast({self.cursor} as varchar) as _cursor from swept
                union all select _key, null from unfit where _key is not null
            """)
        late = self.db.sql("""
            select _key from held anti join (from known where not is_gone) as known
                on held._key = known._key and held._cursor is not distinct from known._cursor
            anti join seen on held._key = seen._key
        """)
        for page in sweep.fetch(late.project(self._key_columns("VARCHAR")).to_arrow_table()):
            yield from self._page(page)
        yield from self._mark_gone("held", sweep.observed_at)
        back = self.db.sql(
            f"select _key, 'back' as _mark from {_ALIVE} where is_gone and _key in (select _key from held)"
        )
        if len(back):
            yield self._marks(back, sweep.observed_at)

    def _mark_gone(self, held: str, observed_at: datetime) -> Iterator[Any]:
        """Marks every known key that is not in the table `held`, unless that is more than half of them."""
        alive = self.db.sql(f"from {_ALIVE} where not is_gone")
        gone = self.db.sql(f"select _key, 'gone' as _mark from alive where _key not in (select _key from {held})")
        if 2 * len(gone) > len(alive) and not self.run.accept_deletes:
            raise SourceError(
                f"{len(gone):,} of {len(alive):,} known rows are no longer in the source; none was marked gone. "
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

# As the macro current_state says it.
_KNOWN_ROWS = """
    with marks as (
        select _key, max(_observed_at) filter (where _mark = 'gone') as gone_at,
            max(_observed_at) filter (where _mark = 'back') as back_at
        from {table} where _mark is not null group by _key
    )
    select _key, newest.h as _row_hash, newest.c as _cursor, is_gone
    from (
        select _key,
            max({'v': _version, 'o': _observed_at, 'h': _row_hash, 'c': cast({cursor} as varchar)}) filter (
                where _mark is null and (gone_at is null or _observed_at >= gone_at or back_at >= gone_at)
            ) as newest,
            coalesce(max(gone_at) > max(_observed_at) filter (where _mark is distinct from 'gone'), false) as is_gone
        from {table} left join marks using (_key) group by _key
    )
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
