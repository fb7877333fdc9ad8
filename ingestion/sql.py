"""Reading PostgreSQL tables through DuckDB's scanner, all of them in one repeatable-read snapshot.

An incremental read takes the rows whose cursor is at or after the last bound (less an overlap, and those whose
cursor is null), then lists every key with its cursor: what is missing is gone, and what has another cursor
than raw has is fetched by key, however old it is. So no row is lost to a late commit or a wrong clock.
"""

import contextlib
import importlib.resources
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import quote
from ingestion.errors import SourceError, keep_secret, scrub
from ingestion.stream import KeySweep, Page, Stream, Window

CHUNK_ROWS = 100_000
CHUNK_KEYS = 5_000
OVERLAP = timedelta(minutes=10)

# PostgreSQL types that the scanner hands over without loss; every other one is read as text (of a numeric, it makes
# NaN a zero).
_EXACT_TYPES = {
    *("boolean", "smallint", "integer", "bigint", "real", "double precision", "text", "character varying"),
    *("date", "timestamp without time zone", "timestamp with time zone", "uuid", "json", "jsonb"),
}


class Tables:
    """Reads the tables of one PostgreSQL schema. Raises SourceError for what a person has to mend."""

    def __init__(self, credentials: str, schema: str) -> None:
        """`credentials` is a libpq URL: postgresql://user:password@host:port/database."""
        keep_secret([credentials])
        self.credentials, self.schema = credentials, schema
        self._db: duckdb.DuckDBPyConnection | None = None

    def read(self, stream: Stream, window: Window) -> Iterator[Page | KeySweep]:
        """Yields the stream's rows in chunks, and after an incremental read the sweep of all keys."""
        observed_at = datetime.now(UTC)
        columns, cursor = self._select_list(stream), quote(stream.cursor)
        if window.is_partial:
            bounds = [f"{cursor} >= '{window.since}'"] if window.since else []
            bounds += [f"{cursor} < '{window.until}'"] if window.until else []
            where = " and ".join(bounds)
        else:
            # The next bound is the source's own newest cursor: its clock may be behind ours.
            finite = f"select {cursor}::timestamptz as moment from {self._table(stream)}"
            query = f"select max(moment) filter (where isfinite(moment)) from ({finite}) as moments"
            ((window.reached,),) = self._rows(query)
            where = f"{cursor} >= '{window.since - OVERLAP}' or {cursor} is null" if window.since else "true"
        for rows in self._tables(f"select {columns} from {self._table(stream)} where {where}"):
            yield Page(rows, observed_at)
        if window.since and not window.is_partial:
            keys = ", ".join([*(quote(f.source) for f in stream.contract.key), cursor])
            for rows in self._tables(f"select {keys} from {self._table(stream)}", whole=True):
                yield KeySweep(rows, observed_at, lambda late: self._fetch(stream, columns, late, observed_at))

    def check(self, stream: Stream) -> str:
        """How many rows the table has, about; raises SourceError if it is missing or may not be read."""
        self._select_list(stream)
        estimate = f"select reltuples::bigint from pg_class where oid = {_literal(self._table(stream))}::regclass"
        ((count,),) = self._rows(estimate)
        if count < 1_000_000:
            ((count,),) = self._rows(f"select count(*) from {self._table(stream)}")
            return f"{count:,} rows"
        return f"about {count:,} rows"

    def _fetch(self, stream: Stream, columns: str, keys: pa.Table, observed_at: datetime) -> Iterator[Page]:
        """The rows with these keys (a table of the key columns as text)."""
        names = ", ".join(quote(f.source) for f in stream.contract.key)
        for start in range(0, keys.num_rows, CHUNK_KEYS):
            rows = zip(*(column.to_pylist() for column in keys.slice(start, CHUNK_KEYS).columns), strict=True)
            values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows)
            query = f"select {columns} from {self._table(stream)} where ({names}) in ({values})"
            for table in self._tables(query):
                yield Page(table, observed_at)

    def _select_list(self, stream: Stream) -> str:
        """Every column, as text where the scanner would lose something. Names that collide in lower case
        (DuckDB's names ignore case) get a number, those of the contract last."""
        found = self._rows(f"""
            select attname, format_type(atttypid, null)
            from pg_attribute join pg_class on pg_class.oid = attrelid
            join pg_namespace on pg_namespace.oid = relnamespace
            where nspname = {_literal(self.schema)} and relname = {_literal(stream.source)}
                and attnum > 0 and not attisdropped order by attnum
        """)
        if not found:
            raise SourceError(
                f"there is no table {self._table(stream)}; the schema has: {self._table_names()}. "
                "Was it renamed or dropped? Check the option schema"
            )
        ((may_read, role),) = self._rows(
            f"select has_table_privilege({_literal(self._table(stream))}, 'select'), current_user"
        )
        if not may_read:
            raise SourceError(
                f"role {role} may not read {self._table(stream)}: grant select on {self._table(stream)} to {role}"
            )
        contracts.missing_columns(stream.contract, [name for name, _ in found])
        declared = {f.source for f in stream.contract.fields}
        taken: dict[str, int] = {}
        select = []
        for name, data_type in sorted(found, key=lambda column: column[0] not in declared):
            number = taken[name.lower()] = taken.get(name.lower(), 0) + 1
            alias = name if number == 1 else f"{name} ({number})"
            select.append(f"{quote(name)}{'' if data_type in _EXACT_TYPES else '::text'} as {quote(alias)}")
        return ", ".join(select)

    def _table(self, stream: Stream) -> str:
        return f"{quote(self.schema)}.{quote(stream.source)}"

    def _table_names(self) -> str:
        query = f"""
            select relname from pg_class
            where relkind in ('r', 'p', 'v', 'm') and relnamespace = to_regnamespace({_literal(quote(self.schema))})
            order by 1
        """
        return ", ".join(name for (name,) in self._rows(query)) or "no table"

    def _rows(self, query: str) -> list[tuple]:
        return [tuple(row.values()) for table in self._tables(query) for row in table.to_pylist()]

    def _tables(self, query: str, *, whole: bool = False) -> Iterator[pa.Table]:
        """The result of a PostgreSQL query as Arrow tables of CHUNK_ROWS rows, or as a whole."""
        db = self._snapshot()
        try:
            result = db.execute("from postgres_query('source', ?)", [query])
            if whole:
                yield result.to_arrow_table()
                return
            for batch in result.to_arrow_reader(CHUNK_ROWS):
                yield pa.Table.from_batches([batch])
        except duckdb.Error as error:
            self.close()
            raise SourceError(f"{self._where()}: {_first_lines(error)}") from error
        except OSError as error:  # Arrow's, between two batches
            self.close()
            text = f"the connection broke while the table was read ({_first_lines(error)}). Run again"
            raise SourceError(f"{self._where()}: {text}") from error

    def _snapshot(self) -> duckdb.DuckDBPyConnection:
        """The connection whose open transaction is the snapshot; a new one after a failure."""
        if self._db is None:
            db = contracts.engine()
            db.execute(f"load '{_extension('postgres_scanner')}'")
            try:
                db.execute(f"attach {_literal(self.credentials)} as source (type postgres, read_only)")
            except duckdb.Error as error:
                raise SourceError(
                    f"can't connect to {self._where()}: {_first_lines(error)}. "
                    "Check SOURCES__<SYSTEM>__CREDENTIALS, and that the server is up and lets this machine in"
                ) from error
            db.execute("begin")
            self._db = db
        return self._db

    def _where(self) -> str:
        return scrub(self.credentials.rpartition("@")[2].partition("?")[0] or "the database")

    def close(self) -> None:
        """Ends the snapshot; the next query begins a new one."""
        if self._db is not None:
            with contextlib.suppress(duckdb.Error):
                self._db.execute("rollback")
            self._db.close()
            self._db = None

    __del__ = close  # left to DuckDB, an open transaction on a broken connection ends the process


def _extension(name: str) -> str:
    """Path of a DuckDB extension that its PyPI package brings: nothing is fetched from the network."""
    folder = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
    return str(folder / f"{name}.duckdb_extension")


def _first_lines(error: Exception) -> str:
    """The database's own words, without DuckDB's copy of our query."""
    text = scrub(str(error)).split("\nLINE ")[0]
    return " ".join(text.split()).rstrip(".")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
