"""Reading streams: what becomes of each row, and the ledger row that accounts for it.

`resources` turns a loader's table of streams into dlt resources. Each one types its pages against the
contract, leaves out rows that raw already has, marks what is gone, and ends with one ledger row, in the same
load package as the rows themselves, so that the two cannot disagree.
"""

import copy
import functools
import json
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa

from ingestion import changes as log_changes
from ingestion import contract as contracts
from ingestion.contract import FAULT, MARK, VERSION, Contract, Items
from ingestion.errors import PartFailed, SourceError, explain
from ingestion.ledger import conform, ledger_row, rejected_rows
from ingestion.parallel import Ahead
from ingestion.stream import (
    Buckets,
    Changes,
    Event,
    Gone,
    KeySweep,
    Log,
    Page,
    Query,
    Reader,
    Recheck,
    Run,
    Snapshot,
    State,
    Stream,
    Window,
)

log = logging.getLogger("ingestion")

BATCH, SIZE = 10_000, 16 * 2**20
"""Rows after which those that were read are typed at once, and bytes of tables."""

Item = Page | Changes | KeySweep | Recheck | Gone
"""What readers yield."""


def resources(
    streams: Iterable[Stream], reader: Reader, run: Run | None, *, is_concurrent: bool = False
) -> Iterator[Any]:
    """One dlt resource per stream; a stream that fails writes so into the ledger and stops no other.

    `is_concurrent`: threads may share the reader, so that it reads all streams at once.
    """
    run, streams = run or Run(), list(streams)
    run.cleanup.callback(reader.close)
    destination = _Destination(len(streams), reader, is_concurrent)
    run.cleanup.callback(destination.close)
    for stream in streams:
        yield dlt.resource(_in_turn, name=stream.name)(stream, reader, run, destination)


class _Destination:
    """What the readings of a source share, one after the other: the DuckDB that holds (or, over files, shows) the
    destination of the running pipeline. Closed when the last of them is done, or with the run."""

    def __init__(self, readings: int, reader: Reader, is_concurrent: bool) -> None:
        self.turn, self.reader, self.is_concurrent = threading.Lock(), reader, is_concurrent
        self.readings_to_come = readings

    @functools.cached_property
    def pipeline(self) -> dlt.Pipeline:
        """The running pipeline."""
        return dlt.current.pipeline()

    @functools.cached_property
    def client(self) -> Any:
        """dlt's client, with an open connection of our own."""
        client = self.pipeline.sql_client()
        client.open_connection()
        client.native_connection.execute("set timezone = 'UTC'")
        return client

    def done(self) -> None:
        """One reading has ended."""
        self.readings_to_come -= 1
        if not self.readings_to_come:
            self.close()
            self.reader.close()  # what it holds is not needed while dlt loads

    def close(self) -> None:
        """Closes the connection, if it was opened."""
        if "client" in self.__dict__:
            self.__dict__.pop("client").close_connection()


def _in_turn(stream: Stream, reader: Reader, run: Run, destination: _Destination) -> Iterator[Any]:
    """dlt asks resources for an item in turns, but they share one DuckDB, and many readers have one connection: one
    stream is read at a time, unless its reader can run ahead."""
    state, is_partial = dlt.current.resource_state(), bool(run.since or run.until)
    kept = copy.deepcopy(dict(state))
    kept, forgotten = ({}, kept) if run.full else (kept, {})
    since = run.since if is_partial else _time(kept.pop("reached", None))
    window = Window(since, run.until, is_partial, kept, accept_deletes=run.accept_deletes, forgotten=forgotten)
    items: Iterable[Item] = () if stream.is_dropped else reader.read(stream, window)
    if destination.is_concurrent:
        items = Ahead([_flattened(items, stream)])
        run.cleanup.callback(items.close)
    while not destination.turn.acquire(blocking=False):
        yield None
    try:
        reading = _Reading(stream, run, window, destination)
        yield from reading.emit(items)
        if reading.is_kept and not is_partial:
            reached = {"reached": window.reached.isoformat()} if window.reached else {}
            state.clear()
            state.update(window.state, **reached)
    finally:
        destination.done()
        destination.turn.release()


def _flattened(items: Iterable[Item], stream: Stream) -> Iterator[Item]:
    """In the thread that reads ahead, while DuckDB types what was read before."""
    for item in items:
        if isinstance(item, Page) and isinstance(item.rows, Items):
            item.rows.flatten(stream.contract)
        yield item


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class _Reading:
    """One reading of one stream: pages in, Arrow tables and Parquet files for dlt out, counted.

    It works in the destination's own DuckDB, beside the raw table: `known` is what raw holds, per key its current hash
    and cursor and whether it is gone (per snapshot scope its hash); `added` what this reading appended; `seen` the keys
    that it came across. Millions of keys are kept for as long as a stream is read, so as hashes where those will do:
    only of what can be gone their text is. `changed` are a Log's changes of this reading.
    """

    def __init__(self, stream: Stream, run: Run, window: Window, destination: _Destination) -> None:
        self.stream, self.run, self.window = stream, run, window
        self.db = destination.client.native_connection
        self.raw = destination.client.make_qualified_table_name(stream.name)
        self.folder = Path(destination.pipeline.working_dir) / "staged"
        self.error: str | None = None
        self.is_kept = True  # what the reader noted in the window
        self.unknown: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.is_snapshot = isinstance(stream.kind, Snapshot)
        self.can_be_gone = isinstance(stream.kind, State | Log)
        self.version: str | None = None
        if self.is_snapshot:
            self._scope = " || '/' || ".join(f"cast({name} as varchar)" for name in stream.kind.scope) or "'all'"
        cursor = stream.cursor_field
        self.cursor = contracts.quote(cursor.name) if cursor else "null"
        self.is_known_whole = False

    def emit(self, items: Iterable[Item]) -> Iterator[Any]:
        """Yields the stream's rows and marks, its rejected rows, and at last its ledger row."""
        started_at, stream = datetime.now(UTC), self.stream
        try:
            self._look_at_raw()
            if not self.has_rows and self.stream.contract.fields:
                yield conform(self.stream.columns, pa.table({}))  # so that dlt knows the raw table
            if stream.is_dropped and not self.run.accept_deletes:
                raise SourceError(
                    f"the source has no table {stream.source} any more; its rows stay as they were last read. "
                    "If that is right, run again with --accept-deletes"
                )
            self.window.is_complete |= stream.is_dropped
            yield from self._items(items)
            if self.window.is_complete and self.can_be_gone:
                self._load_known()
                is_missing = "hash(_key) not in (select _key_hash from seen)"
                yield from self._mark_gone("known", is_missing, self._observed(started_at))
        except Exception as error:  # one stream's failure must not stop the others
            self.error, self.is_kept = explain(error), isinstance(error, PartFailed)
            log.debug("%s failed", self.stream.name, exc_info=True)
        yield ledger_row(
            self.stream,
            self.run,
            self.counts,
            status="failed" if self.error else "complete",
            error=self.error,
            unknown_fields=json.dumps(sorted(self.unknown)) if self.unknown else None,
            notes=json.dumps(notes, ensure_ascii=False)
            if (notes := [*self.stream.notes, *self.window.notes])
            else None,
            cursor_from=self.window.since,
            cursor_to=self.window.until or self.window.reached,
            started_at=started_at,
        )

    @property
    def _load_id(self) -> str:
        return dlt.current.load_package_state()["load_id"]

    def _look_at_raw(self) -> None:
        """Finds out whether there is a raw table, and how far its observations go."""
        newest = "select max(_observed_at), count(*) > 0 from {}"
        try:
            (self.newest, self.has_rows), *_ = self.db.execute(newest.format(self.raw)).fetchall()
        except duckdb.CatalogException:  # before the first load of a pipeline that is not our command line's
            self.db.register("nothing", conform(self.stream.columns, pa.table({})))
            self.raw, self.newest, self.has_rows = "nothing", None, False
        row = "_key varchar, _key_hash ubigint, _row_hash bigint, _cursor varchar"
        self.db.execute(f"create or replace temp table known ({row}, is_gone boolean)")
        self.db.execute(f"create or replace temp table added ({row})")
        self.db.execute("create or replace temp table seen (_key_hash ubigint)")
        if isinstance(self.stream.kind, Log):
            self.db.execute("""
                create or replace temp table changed
                (_key varchar, _version varchar, _observed_at timestamptz, _row_hash bigint, _mark varchar)
            """)

    def _observed(self, moment: datetime) -> datetime:
        """`moment`, but after all that raw has: should our clock have been set back, the newest still counts."""
        return max(moment, self.newest + timedelta(microseconds=1)) if self.newest else moment

    def _load_known(self, keys: str | None = None) -> None:
        """Fills `known`, for all keys of raw or for those in the relation `keys`."""
        if self.is_known_whole:
            return
        raw = self.raw
        if keys:
            # The typed key, where it is one column, lets DuckDB skip most of the raw table.
            (name, *more) = [f.name for f in self.stream.contract.key] or ["_key"]
            name = contracts.quote("_key" if more else name)
            raw = f"(select * from {self.raw} where {name} in (select {name} from {keys}))"
        kind = type(self.stream.kind)
        query = {Snapshot: _KNOWN_SCOPES, Event: _KNOWN_EVENTS, State: _KNOWN_ROWS, Log: _KNOWN_CHANGES}[kind]
        query = query.replace("{cursor}", self.cursor).replace("{table}", raw)
        self.db.execute(f"create or replace temp table known as {query}")
        self.is_known_whole = keys is None

    def _items(self, items: Iterable[Item]) -> Iterator[Any]:
        """Pages are typed many at a time, since planning the statement costs as much as typing thousands of rows."""
        batch: list[Page] = []

        def flush() -> Iterator[Any]:
            due = batch.copy()
            batch.clear()
            if due:
                yield from self._pages(due)

        try:
            for item in items:
                is_page = isinstance(item, Page) and not isinstance(item.rows, Query)
                if not is_page or (batch and not _are_alike(batch[0], item)):
                    yield from flush()
                if is_page:
                    batch.append(item)
                    if sum(len(page.rows) for page in batch) >= BATCH or sum(map(_size, batch)) >= SIZE:
                        yield from flush()
                elif isinstance(item, KeySweep):
                    yield from self._sweep(item)
                elif isinstance(item, Recheck):
                    yield from self._recheck(item)
                elif isinstance(item, Gone):
                    yield from self._gone(item)
                elif isinstance(item, Changes):
                    yield from self._changes(item)
                else:
                    self.version = item.version
                    yield from self._query(item.rows, item.observed_at)
        except Exception:
            yield from flush()  # what was read before the failure is kept
            raise
        yield from flush()

    def _pages(self, pages: list[Page]) -> Iterator[Any]:
        self._load_known()
        observed = [pa.scalar(self._observed(page.observed_at), pa.timestamp("us", "UTC")) for page in pages]
        moments = pa.chunked_array(
            [pa.repeat(at, len(page.rows)) for at, page in zip(observed, pages, strict=True)], pa.timestamp("us", "UTC")
        )
        typed = contracts.apply(self.db, self.stream.contract, contracts.joined([page.rows for page in pages]), moments)
        unreadable = [
            page.rejected.append_column("observed_at", pa.repeat(at, page.rejected.num_rows))
            for at, page in zip(observed, pages, strict=True)
            if page.rejected is not None
        ]
        rejected = pa.concat_tables([typed.rejected, *unreadable], promote_options="default")
        with contracts.registered(self.db, accepted=typed.accepted, rejected=rejected):
            if self.is_snapshot:
                new = self._new_scopes()
            else:
                new = self.db.sql(f"{_NEW_ROWS} qualify {_FIRST_OF_EQUALS}").to_arrow_table()
                with contracts.registered(self.db, new=new):
                    self._remember()
        self.unknown |= typed.unknown
        self._count(typed.accepted.num_rows, new.num_rows, rejected.num_rows)
        if new.num_rows:
            yield conform(self.stream.columns, new)
        if rejected.num_rows:
            yield rejected_rows(self.stream, self.run, rejected)
        if marks := self._emptied_scopes(pages, typed.accepted, rejected):
            yield conform(self.stream.columns, pa.Table.from_pylist(marks))

    def _query(self, query: Query, observed_at: datetime) -> Iterator[Any]:
        """Rows by the million: typed on their way into a Parquet file, which dlt imports as it is."""
        observed_at, contract = self._observed(observed_at), self.stream.contract
        typed = contracts.typing_query(contract, f"({query.sql})", query.types)
        may_reject = contracts.may_reject(contract, query.types)
        read = query.copy(f"select {self._raw_columns(observed_at)} from ({typed})", staged := self._file())
        if query.instead and (instead := query.instead(_parquet(staged))):
            staged.unlink()
            yield from self._query(instead, observed_at)
            return
        if not read:
            staged.unlink()
            self._count(0, 0, 0)
            return
        has_repeats = self._accept(staged)
        self.db.execute(f"create or replace temp view rejected as {_parquet(staged)} where _mark is not null")
        ((rejected,),) = self.db.execute("select count(*) from rejected").fetchall()
        self.unknown |= contracts.unknown_names(self.db, "accepted")
        file, loaded = staged, read
        if may_reject or has_repeats or self.has_rows or not self.window.is_complete:
            self._load_known(None if self.window.is_complete else "accepted")
            if not self.window.is_complete:
                self._count_changes()
            ((loaded,),) = self.db.execute(f"select count(*) from ({_NEW_ROWS})").fetchall()
            if loaded < read:
                contracts.copy_to_parquet(self.db, _NEW_ROWS, file := self._file())
            self.db.execute(f"create or replace temp view new as {_parquet(file)}")
            self._remember()
        self._count(read - rejected, loaded, rejected)
        self.window.read += read
        self.window.loaded += loaded
        if loaded:
            yield dlt.mark.with_file_import(str(file), "parquet", loaded)
        if rejected:
            told = "_position as position, _mark as reason, _unknown_fields as original, _key"
            for batch in self.db.sql(f"select {told} from rejected").to_arrow_reader(BATCH):
                yield rejected_rows(self.stream, self.run, pa.Table.from_batches([batch]), observed_at)
        if file != staged:
            staged.unlink()

    def _accept(self, staged: Path) -> bool:
        """Makes the view `accepted` of typed rows; of equal events it has the first. Returns whether there are such."""
        self.db.execute(f"create or replace temp view accepted as {_parquet(staged)} where _mark is null")
        if not isinstance(self.stream.kind, Event):
            return False
        numbered = _parquet(staged, "file_row_number = true")
        self.db.execute(f"""
            create or replace temp table repeats as select file_row_number {numbered} where _mark is null
            qualify row_number() over (partition by hash(_key), _row_hash order by file_row_number) > 1
        """)
        if not len(self.db.table("repeats")):
            return False
        self.db.execute(f"""
            create or replace temp view accepted as select * exclude (file_row_number) {numbered}
            where _mark is null and file_row_number not in (from repeats)
        """)
        return True

    def _changes(self, changes: Changes) -> Iterator[Any]:
        """A Log's changes, completed and then typed as a page's rows are; a gone mark is typed for its key."""
        contract, types, read = self.stream.contract, changes.rows.types, self._file()
        changes.rows.copy(changes.rows.sql, read)
        whole = log_changes.complete(self.db, self.raw, contract, f"({_parquet(read)})", types)
        typed = contracts.typing_query(contract, whole, {**types, FAULT: "VARCHAR"})
        contracts.copy_to_parquet(self.db, typed, staged := self._file())
        self.db.execute(f"create or replace temp view accepted as {_parquet(staged)} where _reason is null")
        if changes.truncated:
            self._load_known()
        marks = log_changes.truncated_keys(
            self.db,
            f"(select _key, '' as {VERSION} from known where not is_gone)",
            f"(select _key, {VERSION} from accepted where {MARK} is null)",
            changes.truncated,
        )
        self.db.execute(
            f"create or replace temp table truncated_rows as select *, {self._key_columns()} from ({marks})"
        )
        own = ", ".join(f"if({MARK} is null, {name}, null) as {name}" for name in ("_row_hash", "_unknown_fields"))
        self.db.execute(f"""
            create or replace temp view new as
            select * replace ({own}), '{self._load_id}' as _dlt_load_id
            from (from accepted union all by name from truncated_rows) as changes
            anti join (  -- what a run that failed later, or --full, comes across once more
                select _key, {VERSION}, {MARK} from {self.raw}
                where {VERSION} >= (select min({VERSION}) from accepted)
            ) as there on changes._key = there._key and changes.{VERSION} = there.{VERSION}
                and changes.{MARK} is not distinct from there.{MARK}
        """)
        self.unknown |= contracts.unknown_names(self.db, "new")
        columns = ", ".join(
            f"cast({contracts.quote(name)} as {sql_type}) as {contracts.quote(name)}"
            for name, sql_type, _ in self.stream.columns
        )
        loaded = contracts.copy_to_parquet(self.db, f"select {columns} from new", file := self._file())
        ((gone,),) = self.db.execute(f"select count(*) from new where {MARK} is not null").fetchall()
        told = "_position as position, _reason as reason, _original as original, _key, _observed_at as observed_at"
        unfit = f"{_parquet(staged)} where _reason is not null and {VERSION} > {contracts.literal(changes.covered)}"
        rejected = self.db.sql(unfit).project(told).to_arrow_table()
        self.db.execute(f"insert into changed by name select _key, {VERSION}, _observed_at, _row_hash, {MARK} from new")
        self.is_known_whole = False  # of before these changes
        self.has_rows |= loaded > 0
        self.counts["marked_gone"] += gone
        ((accepted,),) = self.db.execute(f"select count(*) from accepted where {MARK} is null").fetchall()
        self._count(accepted, loaded - gone, rejected.num_rows)
        if loaded:
            yield dlt.mark.with_file_import(str(file), "parquet", loaded)
        if rejected.num_rows:
            self.window.rejected += rejected.num_rows
            yield rejected_rows(self.stream, self.run, rejected)
        for done in (read, staged, *(() if loaded else (file,))):
            done.unlink()

    def _file(self) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder / f"{self.stream.name}-{uuid.uuid4().hex}.parquet"

    def _raw_columns(self, observed_at: datetime) -> str:
        """The select list that makes raw's columns of typed ones; of a row to be rejected, `_mark` is the reason and
        `_unknown_fields` the original."""
        constants = {
            **({VERSION: contracts.literal(self.version)} if self.version else {}),
            "_mark": "_reason",
            "_unknown_fields": "case when _reason is null then _unknown_fields else _original end",
            "_observed_at": f"'{observed_at.isoformat()}'",
            "_dlt_load_id": f"'{self._load_id}'",
        }
        return ", ".join(
            f"cast({constants.get(name, contracts.quote(name))} as {sql_type}) as {contracts.quote(name)}"
            for name, sql_type, _ in self.stream.columns
        )

    def _count(self, accepted: int, loaded: int, rejected: int) -> None:
        counts = {"read": accepted + rejected, "loaded": loaded, "unchanged": accepted - loaded, "rejected": rejected}
        self.counts.update(counts)
        self.run.report(self.stream.name, self.counts["read"])

    def _count_changes(self) -> None:
        """Tells the reader how many of the accepted keys raw did not have, and by how much their cursors grew."""
        cursor = self.stream.cursor_field
        before, now = (
            (
                contracts.cursor_number(f"cast(alive._cursor as {cursor.type})", cursor.type),
                contracts.cursor_number(f"accepted.{self.cursor}", cursor.type),
            )
            if cursor
            else ("0", "0")
        )
        ((appeared, moved),) = self.db.execute(f"""
            select count(*) filter (alive._key is null),
                sum({now}) - sum({before}) + coalesce(sum(_number) filter (alive._key is null), 0)
            from (select *, {self.window.key_number} as _number from accepted) as accepted
            left join (from known where not is_gone) as alive on accepted._key = alive._key
        """).fetchall()
        self.window.appeared += appeared
        self.window.moved += moved or 0

    def _remember(self) -> None:
        texts = ("_key", f"cast({self.cursor} as varchar)") if self.can_be_gone else ("null", "null")
        self.db.execute("insert into added select {}, hash(_key), _row_hash, {} from new".format(*texts))
        if self.can_be_gone:
            # A rejected row was seen too: it is neither gone nor to be fetched again. Without a key it may be any one,
            # and nothing is gone: so null stays null.
            keys = "select _key from accepted union all select _key from rejected"
            self.db.execute(f"insert into seen select case when _key is not null then hash(_key) end from ({keys})")

    def _new_scopes(self) -> pa.Table:
        """The accepted rows of every scope that does not read as it did last time."""
        return self.db.sql(f"""
            with scoped as (select *, {self._scope} as _scope from accepted),
            scopes as (select _scope, {_SCOPE_HASH}, count(distinct _key) as _scope_rows from scoped group by 1)
            select scoped.*, scopes._scope_rows
            from scoped join scopes using (_scope) anti join known using (_scope, _scope_hash)
        """).to_arrow_table()

    def _emptied_scopes(self, pages: list[Page], accepted: pa.Table, rejected: pa.Table) -> list[dict[str, Any]]:
        """Marks for scopes that were read completely, had rows before, and now have none; a rejected row may be of
        any of the pages with rows."""
        read = {
            scope: self._observed(page.observed_at)
            for page in pages
            if not rejected.num_rows or not (len(page.rows) or page.rejected)
            for scope in page.scopes or ()
        }
        if not self.is_snapshot or not read:
            return []
        with contracts.registered(self.db, accepted=accepted):
            emptied = self.db.sql(f"""
                select _scope from known where _scope_hash is distinct from 'empty'
                except select {self._scope} from accepted
            """).fetchall()
        return [
            {"_scope": scope, "_scope_rows": 0, "_mark": "empty", "_observed_at": read[scope]}
            for (scope,) in emptied
            if scope in read
        ]

    def _sweep(self, sweep: KeySweep) -> Iterator[Any]:
        """Compares the source's keys and cursors with raw: fetches what differs, marks what is gone or back."""
        self._load_known()
        observed_at = self._observed(sweep.observed_at)
        alive, numbers = f"(from {_ALIVE} where not is_gone)", None
        if sweep.buckets:
            buckets = sweep.buckets()
            numbers = self._differing(buckets, alive)
            if not numbers:
                return
            within = f"select _key from {self._keyed(alive)} where {buckets.of} in ({', '.join(map(str, numbers))})"
            alive = f"(from {alive} where _key in ({within}))"
        self._hold(sweep.keys(numbers))
        late = self.db.sql(f"""
            select _key from held anti join {alive} as alive
                on held._key = alive._key and held._cursor is not distinct from alive._cursor
            anti join seen on hash(held._key) = seen._key_hash
        """)
        yield from self._items(sweep.fetch(late.project(self._key_columns("VARCHAR")).to_arrow_table()))
        yield from self._mark_gone(alive, "_key not in (select _key from held)", observed_at)
        back = self.db.sql(
            f"select _key, 'back' as _mark from {_ALIVE} where is_gone and _key in (select _key from held)"
        )
        if len(back):
            yield self._marks(back, observed_at)

    def _recheck(self, recheck: Recheck) -> Iterator[Any]:
        """Asks the source for the keys of raw that are due and were not seen; marks those that it does not have."""
        self._load_known()
        observed_at = self._observed(recheck.observed_at)
        self.db.execute(f"""
            create or replace temp table due as
            select _key, false as is_gone from {self._keyed(f"(from {_ALIVE} where not is_gone)")}
            anti join seen on hash(_key) = seen._key_hash
            where {recheck.due}
        """)
        due = self.db.table("due").order("_key").project(self._key_columns("VARCHAR")).to_arrow_table()
        if due.num_rows:
            yield from self._items(recheck.look_up(due))
            yield from self._mark_gone("due", "hash(_key) not in (select _key_hash from seen)", observed_at)

    def _keyed(self, alive: str) -> str:
        """The relation `alive` with its keys and cursor as the contract's columns."""
        cursor = self.stream.cursor_field
        columns = [self._key_columns(), *([f"cast(_cursor as {cursor.type}) as {self.cursor}"] if cursor else [])]
        return f"(select _key, {', '.join(columns)} from {alive})"

    def _differing(self, buckets: Buckets, alive: str) -> list[int]:
        """The buckets whose count or checksum is not raw's."""
        ours = self.db.execute(f"""
            select {buckets.of} as bucket, count(*), cast({buckets.checksum} as varchar)
            from {self._keyed(alive)} group by bucket
        """).fetchall()
        return sorted({bucket for bucket, _, _ in set(ours) ^ set(buckets.theirs)})

    def _hold(self, keys: pa.Table | Query) -> None:
        """Makes the table `held` of the source's keys and cursors."""
        contract = Contract("", tuple(f for f in self.stream.contract.fields if f.key or f.name == self.stream.cursor))
        if isinstance(keys, Query):
            file = self._file()
            keys.copy(contracts.typing_query(contract, f"({keys.sql})", keys.types), file)
            typed = f"({_parquet(file)})"
        else:
            self.db.register("key_page", keys)
            types = {name: str(keys.schema.field(name).type) for name in keys.column_names}
            typed = f"({contracts.typing_query(contract, 'key_page', types)})"
        self.db.execute(f"""
            create or replace temp table held as
            select _key, case when _reason is null then cast({self.cursor} as varchar) end as _cursor
            from {typed} where _key is not null
        """)

    def _gone(self, gone: Gone) -> Iterator[Any]:
        """Marks the keys that the source itself calls gone; whatever their number, it is no mistake."""
        self._load_known()
        with contracts.registered(self.db, told=pa.table({"_key": pa.array(gone.keys, pa.string())})):
            marks = self.db.sql(f"""
                select distinct _key, 'gone' as _mark from {_ALIVE}
                where not is_gone and _key in (select _key from told)
            """)
            self.counts["marked_gone"] += len(marks)
            if len(marks):
                yield self._marks(marks, self._observed(gone.observed_at))
            self.db.execute("insert into seen select hash(_key) from told")  # accounted for

    def _mark_gone(self, known: str, is_missing: str, observed_at: datetime) -> Iterator[Any]:
        """Marks every known key that is missing, unless that is more than half of raw's."""
        self.db.execute(f"""
            create or replace temp table gone as
            select distinct _key, 'gone' as _mark from {known}
            where not is_gone and {is_missing}
        """)
        gone, ((alive,),) = (
            self.db.table("gone"),
            self.db.execute(f"select count(*) from {_ALIVE} where not is_gone").fetchall(),
        )
        if 2 * len(gone) > alive and not self.run.accept_deletes:
            raise SourceError(
                f"{len(gone):,} of {alive:,} known rows are no longer in the source; none was marked gone. "
                "If that is right, run again with --accept-deletes"
            )
        self.counts["marked_gone"] += len(gone)
        if len(gone):
            yield self._marks(gone, observed_at)

    def _key_columns(self, sql_type: str = "") -> str:
        """SQL that takes `_key` apart into the contract's key columns, in their types or all in one."""
        key = self.stream.contract.key
        # Keys of before the source had another one are no such array, or of another type.
        members = [f"case when json_valid(_key) then _key ->> '$[{i}]' end" for i in range(len(key))]
        texts = ["_key"] if len(key) == 1 else members
        return ", ".join(
            f"try_cast({text} as {sql_type or f.type}) as {contracts.quote(f.name)}"
            for text, f in zip(texts, key, strict=True)
        )

    def _marks(self, marks: duckdb.DuckDBPyRelation, observed_at: datetime) -> pa.Table:
        columns = ", ".join(filter(None, ["*", self._key_columns()]))
        told = {"_observed_at": observed_at, VERSION: self.version or self._after_all_versions()}
        return conform(self.stream.columns, marks.project(columns).to_arrow_table(), **told)

    def _after_all_versions(self) -> str | None:
        """For gone marks of a Log that is read no more."""
        if not isinstance(self.stream.kind, Log):
            return None
        ((newest,),) = self.db.execute(f"select max({VERSION}) from {self.raw}").fetchall()
        return f"{newest or ''}+"


def _size(page: Page) -> int:
    """Bytes of a page, if it is a table: answers of an API are small."""
    return page.rows.nbytes if isinstance(page.rows, pa.Table) else 0


def _are_alike(one: Page, other: Page) -> bool:
    """Whether the rows of two pages can be typed by one statement."""
    if isinstance(one.rows, pa.Table) and isinstance(other.rows, pa.Table):
        return one.rows.schema == other.rows.schema
    return type(one.rows) is type(other.rows)


def _parquet(file: Path, *options: str) -> str:
    return f"from read_parquet({', '.join([contracts.literal(str(file)), *options])})"


# The accepted rows that raw does not hold as they are.
_NEW_ROWS = """
    select accepted.* from accepted
    anti join (from known where not is_gone) as known
        on hash(accepted._key) = known._key_hash and accepted._row_hash = known._row_hash
    anti join added on hash(accepted._key) = added._key_hash and accepted._row_hash = added._row_hash
"""
_FIRST_OF_EQUALS = "row_number() over (partition by _key, _row_hash) = 1"

# Per key, gone only if it is gone in raw and was not read in this run.
_ALIVE = """(
    select _key, is_gone, _cursor from known anti join added using (_key)
    union all select _key, false, max(_cursor) from added group by _key
)"""

# As the macro current_state says it.
_KNOWN_ROWS = """
    with marks as (
        select _key, max(_observed_at) filter (where _mark = 'gone') as gone_at,
            max(_observed_at) filter (where _mark = 'back') as back_at
        from {table} where _mark is not null group by _key
    )
    select _key, hash(_key) as _key_hash, newest.h as _row_hash, newest.c as _cursor, is_gone
    from (
        select _key,
            max({'v': _version, 'o': _observed_at, 'h': _row_hash, 'c': cast({cursor} as varchar)}) filter (
                where _mark is null and (gone_at is null or _observed_at >= gone_at or back_at >= gone_at)
            ) as newest,
            coalesce(max(gone_at) > max(_observed_at) filter (where _mark is distinct from 'gone'), false) as is_gone
        from {table} left join marks using (_key) group by _key
    )
"""

# As the macro current_log says it, with this reading's changes.
_KNOWN_CHANGES = """
    select _key, hash(_key) as _key_hash, newest.h as _row_hash, cast(null as varchar) as _cursor,
        newest.m is not null as is_gone
    from (
        select _key, max_by({'h': _row_hash, 'm': _mark}, {'v': coalesce(_version, ''), 'o': _observed_at}) as newest
        from (
            select _key, _version, _observed_at, _row_hash, _mark from {table} union all by name from changed
        ) group by _key
    )
"""

_KNOWN_EVENTS = """
    select distinct null as _key, hash(_key) as _key_hash, _row_hash, null as _cursor, false as is_gone from {table}
"""

_SCOPE_HASH = """
    coalesce(md5(string_agg(distinct cast(_row_hash as varchar), ' ' order by cast(_row_hash as varchar))), 'empty')
        as _scope_hash
"""

_KNOWN_SCOPES = f"""
    with reads as (
        select _scope, _observed_at, {_SCOPE_HASH} from {{table}} group by _scope, _observed_at
        having count(distinct _key) = max(_scope_rows)
    )
    select _scope, max_by(_scope_hash, _observed_at) as _scope_hash from reads group by _scope
"""
