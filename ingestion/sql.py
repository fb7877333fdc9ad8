"""Reading the tables of a database, whatever its engine, through DuckDB's scanners, all in one snapshot.

An engine (postgres.py, mysql.py, sqlite.py) knows its catalog, its types and its dialect. A table without a cursor is
read as a whole. With one, the rows at or after the last bound are read; then the source's count of rows and sum of
cursors are compared with what this gives, and where they differ, key by key: what is missing is gone, and what
has another cursor than raw is fetched, however old it is. So no row is lost to a late commit or a wrong clock.
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.resources
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import UNFIT, Field, literal, quote
from ingestion.errors import SourceError, keep_secret, scrub
from ingestion.stream import Buckets, KeySweep, Log, Page, Query, Stream, Window

CHUNK_KEYS = 5_000
OVERLAP = timedelta(minutes=10)
BUCKET_KEYS = 65_536
COMPARE_AFTER = timedelta(hours=24)
"""So often at least keys are compared one by one, should two wrong cursors have cancelled out in the sum."""
COUNTED_ROWS = 1_000_000
"""Up to this many rows a table is counted at every run."""
ATTEMPTS = 3
MEMORY = "256MB"
"""Of DuckDB, while rows pass through it."""
TRANSACTION = "xmin"
"""As a stream's cursor: PostgreSQL's own mark of the transaction that wrote a row."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: how it is read and in which type it lands.

    `reads` is the engine's SQL for it, `converts` DuckDB's SQL over that, and `arrives` its type in DuckDB; `{}` stands
    for the column. `unfit` is the engine's SQL that finds values which `type` can't hold, where they arrive as
    something else. `is_scanned`: DuckDB's scanner hands the column over as it is, without loss.
    """

    name: str
    declared: str
    type: str
    arrives: str = "VARCHAR"
    reads: str = "{}"
    converts: str = "{}"
    unfit: str = ""
    is_scanned: bool = False
    printed: str = ""
    """PostgreSQL: DuckDB's SQL that makes what `reads` gives of what it prints; empty where only itself can."""
    is_generated: bool = False
    is_nullable: bool = True
    comment: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or view as the catalog has it. `identity` changes when another table takes its name."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    is_view: bool = False
    comment: str = ""
    references: tuple[tuple[str, str, str, str], ...] = ()
    """Foreign keys of one column: column, and the schema, table and column that it refers to."""
    cursor: str | None = None
    """The column that the database itself keeps up to date, or TRANSACTION."""
    identity: str = ""
    is_plain: bool = False
    """PostgreSQL: an ordinary table, which DuckDB's scanner reads in parallel."""
    replica_identity: tuple[str, ...] = ()
    """PostgreSQL: the columns of a row's old version that its log has."""
    form: str = ""
    """PostgreSQL: changes when its rows may have changed without a word in the log."""
    partitions: dict[str, str] = dataclasses.field(default_factory=dict, hash=False)
    """PostgreSQL: the same of each partition."""
    problem: str = ""
    """Why it can't be read."""
    note: str = ""

    def aliases(self, declared: set[str] = frozenset()) -> dict[str, Column]:
        """The columns by names that are unique in DuckDB, whose names ignore case: later ones get a number, and those
        that a contract declares come first."""
        found: dict[str, Column] = {}
        taken = dict.fromkeys(contracts.OWN_COLUMNS, 1)
        for column in sorted(self.columns, key=lambda column: column.name not in declared):
            number = taken[column.name.lower()] = taken.get(column.name.lower(), 0) + 1
            found[column.name if number == 1 else f"{column.name} ({number})"] = column
        return found


@dataclasses.dataclass(frozen=True)
class Census:
    """How many rows a table has, and the sum of its `Numbers`; None if the engine can't make them as DuckDB does."""

    row_count: int
    checksum: int | None

    @property
    def as_state(self) -> dict[str, Any]:
        """For a stream's state, whose JSON holds integers of 64 bits only."""
        return {"row_count": self.row_count, "checksum": None if self.checksum is None else str(self.checksum)}


@dataclasses.dataclass(frozen=True)
class Numbers:
    """SQL that makes numbers of a row, in the engine's dialect and in DuckDB's over the contract's columns: the bucket
    that its key falls into, a hash of the key, and the cursor."""

    their_bucket: str
    their_hash: str
    their_cursor: str
    our_bucket: str
    our_hash: str
    our_cursor: str

    @property
    def their_checksum(self) -> str:
        """An aggregate."""
        return f"sum({self.their_hash}) + sum({self.their_cursor})"

    def in_bucket(self, key_hash: str, cursor: str) -> str:
        """An aggregate in which a key and its cursor do not just add up, so that no two wrong ones cancel out."""
        return f"sum({key_hash}) + sum(({key_hash} % 65536) * ({cursor} % 65537))"


class Engine:
    """A database of one kind. Subclasses say what is particular to it; all SQL here is in its own dialect."""

    name: ClassVar[str]
    """DuckDB's, of the scanner."""
    title: ClassVar[str]
    default_schema: str
    """Its tables go by their names alone."""
    must_name_schemas: ClassVar[bool] = False
    """Its catalog is that of named schemas, or of the default one; not of all there are."""
    is_lenient: ClassVar[bool] = True
    """Values that do not fit their column land as null (and in `_unknown_fields`), or reject their row."""
    settings: ClassVar[str] = ""
    """DuckDB's, for the scanner."""
    final: ClassVar[str] = "(?!)"
    """A pattern of errors that come again; others may be of a connection that broke."""
    session: ClassVar[str] = ""
    """The engine's own statements at the beginning of the snapshot."""

    def __init__(self, credentials: str) -> None:
        """`credentials` is a SQLAlchemy URL; a driver after a + is ignored."""
        keep_secret([credentials])
        self.credentials = credentials
        self._db: duckdb.DuckDBPyConnection | None = None

    def catalog(self, schemas: list[str]) -> list[Table]:
        """Every table and view of these schemas, or of all that are not the system's own."""
        raise NotImplementedError

    def census(self, table: Table, checksum: str | None) -> Census:
        """The table counted, in the snapshot, and the value of an aggregate that is an integer."""
        aggregate = self.text(checksum) if checksum else "null"
        ((count, checksum),) = self.rows(
            f"select count(*) as row_count, {aggregate} as checksum from {self.table(table)}"
        )
        return Census(int(count), int(checksum or 0) if aggregate != "null" else None)

    def newest(self, table: Table, cursor: Column) -> str | None:
        """The greatest cursor that is a time between the years 1 and 9999, or an integer, in the snapshot."""
        raise NotImplementedError

    def before_snapshot(self, db: duckdb.DuckDBPyConnection) -> None:
        """What has to be known of a time before the snapshot."""

    def counters(self, table: Table) -> list[Any] | None:
        """[epoch, rows inserted, updated, deleted] as the database itself counts them, if it does so reliably. The
        epoch changes when it starts to count anew."""
        return None

    def moment(self, cursor: Column, moment: datetime) -> str:
        """A literal to compare a time cursor with; columns without time zone are taken for UTC."""
        return literal(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"))

    def comparable(self, column: Column) -> str:
        """A key's column, to be compared with a literal of its value as it landed."""
        return self.quote(column.name)

    def key_literal(self, column: Column, text: str) -> str:
        """A literal of a key's value, which DuckDB writes as `text`, to compare `comparable` with: numbers as such,
        since an engine may compare them with texts as floats."""
        if column.type == "BIGINT" or column.type.startswith("DECIMAL"):
            return text
        if column.type == "BLOB":
            escaped = re.sub(r"\\x([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)
            return self.blob(escaped.encode("latin-1"))
        return self.literal(text)

    def literal(self, text: str) -> str:
        """A text literal."""
        return literal(text)

    def blob(self, value: bytes) -> str:
        """A literal of bytes."""
        return f"x'{value.hex()}'"

    def unfit(self, columns: dict[str, Column]) -> str:
        """A JSON object (as text) of those values, by alias, that their type can't hold; null where all fit."""
        raise NotImplementedError

    def oldest_write(self) -> datetime | None:
        """When the oldest transaction that has written and is still open began, if one may know."""
        return None

    def integer(self, value: str) -> str:
        """A value as an integer of 64 bits."""
        return f"cast({value} as bigint)"

    def text(self, value: str) -> str:
        """A value as text."""
        return f"cast({value} as text)"

    def number(self, cursor: Column) -> str | None:
        """A cursor as an integer: microseconds since 1970, or itself; 0 where it is none. None if that can't be said
        exactly."""
        return None

    def hash_of(self, columns: list[Column]) -> tuple[str, str] | None:
        """(bucket, hash) of a key: the first 12 and the next 32 bits of the md5 of its columns as texts, separated by
        chr(31); None if there is no md5."""
        return None

    def transaction(self) -> int:
        """The oldest transaction that the snapshot does not see as done."""
        raise NotImplementedError

    def written_since(self, transaction: int) -> str | None:
        """A condition: a row was written by this transaction or a later one; None if it is too long ago."""
        raise NotImplementedError

    def quote(self, name: str) -> str:
        """A quoted identifier."""
        return quote(name)

    def table(self, table: Table) -> str:
        """The table's full name in the engine's SQL."""
        return f"{self.quote(table.schema)}.{self.quote(table.name)}"

    def rows(self, query: str) -> list[tuple]:
        """The rows of a query that is run in the snapshot; raises SourceError."""
        with self._errors():
            return self._snapshot().execute(f"from {self.query(query)}").fetchall()

    def rows_beside(self, query: str) -> list[tuple]:
        """The rows of a query outside the snapshot, none if it fails."""
        beside = self._snapshot().cursor()
        with contextlib.closing(beside), contextlib.suppress(duckdb.Error):
            return beside.execute(f"from {self.query(query)}").fetchall()
        return []

    def query(self, query: str) -> str:
        """DuckDB's SQL for the result of one of the engine's queries."""
        return f"{self.name}_query('source', {literal(query)})"

    def scan(self, table: Table, columns: dict[str, Column]) -> str | None:
        """DuckDB's SQL for the whole table with these columns by alias, if its scanner can read them."""
        return None

    def has_lost(self, table: Table, columns: dict[str, Column], rows: str) -> bool:
        """Whether the scanner gave other values for some that do not fit their column; `rows` is DuckDB's SQL for what
        has landed, `columns` are those of it, by name, that have such values."""
        return False

    def copy(self, sql: str, path: Path) -> int:
        """Writes the result of DuckDB's SQL to a Parquet file; tries again where the connection breaks."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._errors():
                    return contracts.copy_to_parquet(self._snapshot(), sql, path)
            except SourceError as error:
                is_broken = isinstance(error.__cause__, duckdb.IOException) and not re.search(self.final, str(error))
                if attempt == ATTEMPTS or not is_broken:
                    raise
                time.sleep(attempt)
        raise AssertionError("unreachable")

    def attach(self, db: duckdb.DuckDBPyConnection) -> None:
        """Connects DuckDB to it, as `source`, to read only."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            self.close()
            raise SourceError(f"{self.where}: {first_lines(error)}") from error

    def _snapshot(self) -> duckdb.DuckDBPyConnection:
        """The connection whose open transaction is the snapshot; a new one after a failure."""
        if self._db is None:
            # Unsigned: to verify the extension's signature takes longer than many a run; its package came with a hash.
            db = contracts.engine(allow_unsigned_extensions=True)
            db.execute(f"set memory_limit = '{MEMORY}'; set preserve_insertion_order = false")
            db.execute(f"load '{_extension(self.name)}'; {self.settings}")
            try:
                self.attach(db)
                self.before_snapshot(db)
                db.execute("begin")
                if self.session:
                    db.execute(f"call {self.name}_execute('source', {literal(self.session)})")
                db.execute(f"from {self.query('select 1 as one')}")
            except duckdb.Error as error:
                db.close()
                raise SourceError(
                    f"can't connect to {self.where}: {first_lines(error)}. "
                    "Check its credentials, and that the server is up and lets this machine in"
                ) from error
            self._db = db
        return self._db

    @property
    def where(self) -> str:
        """Which database it is, without user and password."""
        return scrub(self.credentials.rpartition("@")[2].partition("?")[0] or "the database")

    def close(self) -> None:
        """Ends the snapshot; the next query begins a new one."""
        if self._db is not None:
            with contextlib.suppress(duckdb.Error):
                self._db.execute("rollback")
            self._db.close()
            self._db = None

    __del__ = close  # left to DuckDB, an open transaction on a broken connection ends the process


class Tables:
    """Reads streams whose sources are tables: named `schema.table`, or `table` of the first schema."""

    def __init__(self, engine: Engine, schemas: list[str] | None = None) -> None:
        """`schemas`: those whose tables can be read; all but the system's own where none are given."""
        self.engine = engine
        self.schemas = schemas or []

    @functools.cached_property
    def catalog(self) -> list[Table]:
        """The tables and views of the schemas, as they were when first asked for."""
        return self.engine.catalog(self.schemas)

    def read(self, stream: Stream, window: Window) -> Iterator[Page | KeySweep]:
        """Yields the stream's rows, and after an incremental read that leaves a difference the sweep of its keys."""
        if isinstance(stream.kind, Log):
            raise SourceError(
                f"the raw table {stream.name} has captured changes: set mode back to cdc, or drop it and read anew"
            )
        table, observed_at = self.find(stream), datetime.now(UTC)
        self._prove_key(stream, table)
        cursor = self._cursor(stream, table, window)
        is_incremental = cursor is not None or stream.cursor == TRANSACTION
        if window.is_partial:
            if cursor is None:
                raise SourceError(f"{stream.source} can't be bounded by its cursor {stream.cursor}: {window.notes[0]}")
            name = self.engine.quote(cursor.name)
            bounds = [f"{name} >= {self.engine.moment(cursor, window.since)}"] if window.since else []
            bounds += [f"{name} < {self.engine.moment(cursor, window.until)}"] if window.until else []
            yield Page(self.query(stream, table, " and ".join(bounds)), observed_at)
            return
        kept, state = window.state, {"contract": fingerprint(stream), "identity": table.identity}
        window.state = state
        if not is_incremental:
            window.is_complete = True
            yield Page(self.query(stream, table, None), observed_at)
            return
        state["counters"] = self.engine.counters(table)
        numbers = self._numbers(stream, table, cursor)
        # Of transactions no row escapes, so that it is enough to count.
        checksum = "0" if cursor is None else numbers and numbers.their_checksum
        window.key_number = numbers.our_hash if numbers and cursor else "0"
        where = self._advance(stream, window, kept, cursor)
        window.is_complete = where is None
        yield Page(self.query(stream, table, where), observed_at)
        if window.is_complete:
            counted = Census(window.read, 0) if cursor is None else self.engine.census(table, checksum)
            state |= {**counted.as_state, "compared_at": observed_at.isoformat()}
            return
        expected = Census(kept["row_count"] + window.appeared, int(kept["checksum"] or 0) + window.moved)
        counted = expected if _explains(window, kept, state) else self.engine.census(table, checksum)
        state |= {**counted.as_state, "compared_at": kept["compared_at"]}
        if counted != expected or observed_at - datetime.fromisoformat(kept["compared_at"]) > COMPARE_AFTER:
            yield self._sweep(stream, table, cursor, numbers, observed_at)
            state["compared_at"] = observed_at.isoformat()

    def _prove_key(self, stream: Stream, table: Table) -> None:
        """Raises SourceError if a key that the catalog does not vouch for has several rows: all but one were lost."""
        aliases = table.aliases(sources(stream))
        key = [aliases[f.source].name for f in stream.contract.key]
        if not key or set(key) >= set(table.key) != set():
            return
        names = ", ".join(map(self.engine.quote, key))
        twice = f"select {names} from {self.engine.table(table)} group by {names} having count(*) > 1"
        ((count,),) = self.engine.rows(f"select count(*) as key_count from ({twice}) as twice")
        if int(count):
            raise SourceError(
                f"{', '.join(key)} is no key of {stream.source}: {int(count):,} of its values have several rows. "
                "Declare as many columns as tell the rows apart, or none"
            )

    def _advance(self, stream: Stream, window: Window, kept: dict[str, Any], cursor: Column | None) -> str | None:
        """Notes in the window's state how far this reading gets; returns the condition for what is new since the last
        one (whose state was `kept`), None if everything has to be read."""
        state = window.state
        if cursor is None:
            state["bound"] = str(self.engine.transaction())
        else:
            state["bound"] = self.engine.newest(self.find(stream), cursor)
        if stream.has_times and state["bound"]:
            window.reached = _moment(state["bound"])
            if (oldest := self.engine.oldest_write()) and oldest < window.reached:
                window.reached = oldest  # what it commits later may have cursors from then on
            state["bound"] = window.reached.isoformat()
        if not kept.get("bound") or any(kept.get(name) != state[name] for name in ("contract", "identity")):
            return None
        if cursor is None:
            return self.engine.written_since(int(kept["bound"]))
        name = self.engine.quote(cursor.name)
        if not stream.has_times:
            return f"{name} >= {int(kept['bound'])} or {name} is null"
        window.since = _moment(kept["bound"])
        return f"{name} >= {self.engine.moment(cursor, window.since - OVERLAP)} or {name} is null"

    def _sweep(
        self, stream: Stream, table: Table, cursor: Column | None, numbers: Numbers | None, observed_at: datetime
    ) -> KeySweep:
        def count() -> Buckets:
            counts = self.engine.rows(
                f"select {numbers.their_bucket} as bucket, count(*) as row_count, "
                f"{self.engine.text(numbers.in_bucket(numbers.their_hash, numbers.their_cursor))} as checksum "
                f"from {self.engine.table(table)} group by {numbers.their_bucket}"
            )
            rows = [(int(number), int(count), str(checksum)) for number, count, checksum in counts]
            return Buckets(numbers.our_bucket, numbers.in_bucket(numbers.our_hash, numbers.our_cursor), rows)

        def keys(buckets: list[int] | None) -> Query:
            where = f"{numbers.their_bucket} in ({', '.join(map(str, buckets))})" if buckets else None
            return self.query(stream, table, where, {f.source for f in _swept(stream)})

        return KeySweep(
            observed_at,
            keys,
            fetch=lambda late: self._fetch(stream, table, late, observed_at),
            buckets=count if numbers else None,
        )

    def _numbers(self, stream: Stream, table: Table, cursor: Column | None) -> Numbers | None:
        """What makes numbers of rows on both sides; None where the two would not agree."""
        fields, aliases, engine = stream.contract.key, table.aliases(sources(stream)), self.engine
        columns = [aliases[f.source] for f in fields]
        if any(f.type != column.type for f, column in zip(fields, columns, strict=True)):
            return None  # raw has them in a wider type
        if [column.type for column in columns] == ["BIGINT"]:
            theirs, ours = (
                _of_integer(engine.integer(engine.quote(columns[0].name))),
                _of_integer(quote(fields[0].name)),
            )
        elif all(column.type in ("BIGINT", "VARCHAR", "UUID", "DATE") for column in columns):
            theirs, ours = engine.hash_of(columns), _of_texts(fields)
        else:
            return None
        our_cursor = contracts.cursor_number(quote(stream.cursor), stream.cursor_field.type) if cursor else "0"
        their_cursor = engine.number(cursor) if cursor else "0"
        return Numbers(*theirs, their_cursor, *ours, our_cursor) if theirs and their_cursor else None

    def _fetch(self, stream: Stream, table: Table, keys: pa.Table, observed_at: datetime) -> Iterator[Page]:
        """The rows with these keys (a table of the key columns as text)."""
        aliases = table.aliases(sources(stream))
        columns = [aliases[f.source] for f in stream.contract.key]
        names = ", ".join(map(self.engine.comparable, columns))
        writers = [functools.partial(self.engine.key_literal, column) for column in columns]
        for start in range(0, keys.num_rows, CHUNK_KEYS):
            chunk = keys.slice(start, CHUNK_KEYS).columns
            written = zip(*(map(write, c.to_pylist()) for write, c in zip(writers, chunk, strict=True)), strict=True)
            values = ", ".join(f"({', '.join(row)})" for row in written)
            yield Page(self.query(stream, table, f"({names}) in ({values})"), observed_at)

    def check(self, stream: Stream) -> str:
        """How many rows the table has; raises SourceError if it is missing or may not be read."""
        ((count,),) = self.engine.rows(f"select count(*) as row_count from {self.engine.table(self.find(stream))}")
        return "; ".join([f"{int(count):,} rows", *stream.notes, *(f.note for f in stream.contract.fields if f.note)])

    def find(self, stream: Stream) -> Table:
        """The stream's table; raises SourceError if it is missing, may not be read, or lacks declared columns."""
        named = {self.name(table): table for table in self.catalog}
        table = named.get(stream.source)
        if table is None:
            raise SourceError(
                f"there is no table {stream.source} in {self.engine.where}, which has: "
                f"{', '.join(sorted(named)) or 'none'}. "
                "Was it renamed or dropped, or is it in another schema?"
            )
        if table.problem:
            raise SourceError(table.problem)
        contracts.missing_columns(stream.contract, list(table.aliases(sources(stream))))
        return table

    def name(self, table: Table) -> str:
        """What streams call the table."""
        return table.name if [table.schema] == self.schemas[:1] else f"{table.schema}.{table.name}"

    def _cursor(self, stream: Stream, table: Table, window: Window) -> Column | None:
        """The cursor's column; None if there is none, or if its greatest value need not be the newest."""
        if stream.cursor_field is None:
            return None
        column = table.aliases(sources(stream))[stream.cursor_field.source]
        is_time = column.type.startswith(("TIMESTAMP", "DATE"))
        if is_time == stream.has_times and (is_time or column.type == "BIGINT"):
            return column
        window.notes.append(
            f"the cursor {column.name} is of type {column.declared}, in which what comes later need not be greater: "
            "the whole table was read. Declare a time, or an integer that grows"
        )
        return None

    def query(self, stream: Stream, table: Table, where: str | None, only: set[str] | None = None) -> Query:
        """The rows of a table that fulfil a condition in the engine's SQL; `only` these columns, or all."""
        columns = table.aliases(sources(stream))
        columns = {alias: column for alias, column in columns.items() if only is None or alias in only}
        types = {alias: column.arrives for alias, column in columns.items()}
        reads = [
            f"{column.reads.format(self.engine.quote(column.name))} as {self.engine.quote(alias)}"
            for alias, column in columns.items()
        ]
        converts = [f"{column.converts.format(quote(alias))} as {quote(alias)}" for alias, column in columns.items()]
        unfit, types_of_all = {alias: column for alias, column in columns.items() if column.unfit}, types
        if unfit:
            reads.append(f"{self.engine.unfit(unfit)} as {UNFIT}")
            converts.append(UNFIT)
            types_of_all = {**types, UNFIT: "VARCHAR"}
        query = f"select {', '.join(reads)} from {self.engine.table(table)}" + (f" where {where}" if where else "")
        query = f"select {', '.join(converts)} from {self.engine.query(query)}"
        careful = Query(query, types_of_all, self.engine.copy)
        scanned = self.engine.scan(table, columns) if where is None else None
        if not scanned or (only and unfit):
            return careful
        scan = f"select {', '.join(map(quote, columns))} from {scanned}"
        landed = {f.name: columns[f.source] for f in stream.contract.fields if f.source in unfit}

        def instead(rows: str) -> Query | None:
            return careful if self.engine.has_lost(table, landed, rows) else None

        return Query(scan, types, self.engine.copy, instead)

    def close(self) -> None:
        """Lets go of the connection."""
        self.engine.close()


def _explains(window: Window, kept: dict[str, Any], state: dict[str, Any]) -> bool:
    """Whether the rows read are all that changed in a large table, as the database's own counters tell.

    They may lag some seconds behind: then what was missed leaves a difference in the next run. Small tables are
    counted, which is exact and fast there.
    """
    if kept["row_count"] < COUNTED_ROWS or not kept.get("counters") or not state["counters"]:
        return False
    (epoch, *before), (epoch_now, *now) = kept["counters"], state["counters"]
    changes = [after - earlier for earlier, after in zip(before, now, strict=True)]
    return epoch == epoch_now and changes == [window.appeared, window.loaded - window.appeared, 0]


def sources(stream: Stream) -> set[str]:
    """What the contract's fields are called where they come from."""
    return {f.source for f in stream.contract.fields}


def _swept(stream: Stream) -> list[Field]:
    return [f for f in stream.contract.fields if f.key or f.name == stream.cursor]


def fingerprint(stream: Stream) -> str:
    """Changes when the columns or the key do: then everything has to be read again."""
    fields = [(f.name, f.source, f.type, f.key) for f in stream.contract.fields]
    return hashlib.md5(repr((fields, stream.cursor)).encode()).hexdigest()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _of_integer(key: str) -> tuple[str, str]:
    """(bucket, hash) of an integer key, in the SQL of any engine: where its range begins, and a number like a random
    one."""
    within = f"(({key} % {BUCKET_KEYS} + {BUCKET_KEYS}) % {BUCKET_KEYS})"
    return f"({key} - {within})", f"({within} * (({within} * 1103515245 + 12345) % 2147483648))"


def _of_texts(fields: list[Field]) -> tuple[str, str]:
    """What `Engine.hash_of` says, in DuckDB's SQL."""
    digest = f"md5(concat_ws(chr(31), {', '.join(f'cast({quote(f.name)} as varchar)' for f in fields)}))"
    return f"cast('0x' || {digest}[1:3] as bigint)", f"cast('0x' || {digest}[4:11] as bigint)"


def _extension(name: str) -> str:
    """Path of a DuckDB extension that its PyPI package brings: nothing is fetched from the network."""
    folder = importlib.resources.files(f"duckdb_extension_{name}_scanner") / "extensions" / f"v{duckdb.__version__}"
    return str(folder / f"{name}_scanner.duckdb_extension")


def first_lines(error: Exception) -> str:
    """The database's own words, without DuckDB's copy of our query."""
    text = scrub(str(error)).split("\nLINE ")[0]
    return " ".join(text.split()).rstrip(".")
