"""Change capture from PostgreSQL: tables as Logs, of which every change comes through a replication slot.

A table begins with a snapshot that lies between two transactions of the log. Changes wait in the spool until a run
loads them, up to the last transaction that is there as a whole. A table whose columns are others than before, or of
which a part of the log was lost, is read as a whole once more: what is unchanged is not loaded again.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingestion import contract as contracts
from ingestion import live
from ingestion.contract import MARK, MOVED, OBSERVED_AT, TEXTS, UNCHANGED, UNFIT, VERSION, literal, quote, registered
from ingestion.errors import PartFailed, SourceError, explain
from ingestion.pgoutput import SCHEMA
from ingestion.reading import resources
from ingestion.slot import Slot, Snapshot
from ingestion.spool import InUse, Spool, write_whole
from ingestion.sql import Column, Table, Tables, fingerprint, sources
from ingestion.stream import TIME, Changes, KeySweep, Log, Page, Query, Run, Stream, Window

MEMORY = "512MB"
"""Of DuckDB, while it types what is in the spool; more is put on disk."""
FORGOTTEN = "forgotten"
"""In the spool: the newest version that was in a file which is removed."""
ASKED_AT_ONCE = 5_000
"""Values that PostgreSQL is asked to convert."""


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """What the spool had when the run began: its files, each with its newest version; the version of the last commit;
    the log's epoch and why it began; what failed while the slot was drained."""

    files: dict[Path, str]
    reached: str
    epoch: str
    because: str
    failure: str


class Capture:
    """Reads streams that are Logs from the slot's spool, and others as `tables` does."""

    def __init__(self, tables: Tables, publication: str, slot: str, folder: Path) -> None:
        self.tables, self.engine, self.spool = tables, tables.engine, Spool(folder, SCHEMA)
        self.source = Slot(self.engine.credentials, self.engine.where, slot, publication, self.spool)
        self._notes: list[str] = []
        self._is_awaited: set[str] = set()
        self._loaded: list[str] = []

    def resources(self, streams: Sequence[Stream], run: Run | None) -> Iterator[Any]:
        """dlt resources of all streams of the database; what all of them have loaded leaves the spool."""
        self._is_awaited = {s.name for s in streams if isinstance(s.kind, Log) and not s.is_dropped}
        return resources(streams, self, run)

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Changes | KeySweep]:
        """Yields a Log's changes since the last run, and after them the whole table where that is needed."""
        if not isinstance(stream.kind, Log):
            yield from self.tables.read(stream, window)
            return
        arrivals, kept = self._arrivals, window.state
        window.notes += self._notes
        self._notes.clear()
        loaded = kept.get("loaded", "")
        self._forget(stream, loaded, is_new=not kept)
        if not arrivals.epoch:
            raise SourceError(arrivals.failure)
        table = self._table(stream)
        self._prove_published(stream, table)
        state = {
            "contract": fingerprint(stream),
            "identity": table.identity,
            "form": table.form,
            "epoch": arrivals.epoch,
        }
        forgotten = self._forgotten
        is_followed = loaded < forgotten or any(kept.get(name) != value for name, value in state.items())
        window.state = {**kept, "loaded": max(loaded, arrivals.reached, forgotten)}
        window.is_complete = False
        records = f"""(
            from {_spooled(arrivals.files)} where table_schema = {literal(table.schema)}
                and table_name = {literal(table.name)} and version > {literal(loaded)}
                and version <= {literal(arrivals.reached)}
        )"""
        if arrivals.files and self._rows(f"select 1 from {records} limit 1"):
            yield self._changes(stream, table, records, arrivals.reached if is_followed else kept.get("snapshot", ""))
        if is_followed:
            if "loaded" in kept:
                because = _why(kept, arrivals, forgotten)
                if not any(because in note for note in window.notes):
                    window.notes.append(f"read as a whole once more: {because}")
            if isinstance(snapshot := self._snapshot, SourceError):
                raise snapshot
            window.is_complete = True
            yield Page(self.tables.query(stream, table, None), snapshot.made_at, version=snapshot.version)
            window.state |= {**state, "snapshot": snapshot.version}
        if arrivals.failure:
            raise PartFailed(arrivals.failure)

    def check(self, stream: Stream) -> str:
        """How many rows a table has; raises SourceError if it can't be read, or its changes do not come."""
        told = self.tables.check(stream)
        if not isinstance(stream.kind, Log):
            return told
        self._prove_published(stream, self._table(stream))
        return f"{told}; {self.source.health()}"

    def close(self) -> None:
        """Lets go of all connections."""
        self.source.close()
        self.tables.close()
        self.__dict__.pop("_arrivals", None)
        self.__dict__.pop("_snapshot", None)

    @functools.cached_property
    def _db(self) -> duckdb.DuckDBPyConnection:
        """Types what is in the spool."""
        return contracts.engine(memory_limit=MEMORY, temp_directory=str(self.spool.folder / "tmp"))

    def _rows(self, query: str) -> list[tuple]:
        return self._db.execute(query).fetchall()

    @functools.cached_property
    def _arrivals(self) -> Arrivals:
        failure = ""
        try:
            self._notes += self.spool.notes()
            live.drain(self.source, self.spool, self._notes.append)
        except InUse as error:
            failure = "" if self.source.memory.get("confirmed") else f"{error}, which is only beginning"
        except (SourceError, OSError) as error:
            failure = explain(error)
        memory, files = self.source.memory, self.spool.files()
        if memory.get("confirmed") is None:
            return Arrivals({}, "", "", "", failure)
        found = (
            self._rows(
                "select filename, max(version), coalesce(max(version) filter (kind = 'commit'), '') "
                f"from {_spooled(files)} group by filename"
            )
            if files
            else []
        )
        newest = {Path(name): version for name, version, _ in found}
        reached = max((commit for *_, commit in found), default="")
        return Arrivals(newest, reached, memory["epoch"], memory["because"], failure)

    @functools.cached_property
    def _snapshot(self) -> Snapshot | SourceError:
        """One for all streams that need one in this run, or why there is none, which is not tried again for each;
        streams that are no Logs are read in it too from then on."""
        try:
            snapshot = self.source.snapshot()
        except SourceError as error:
            return error
        self.engine.begin_in(snapshot.name)
        return snapshot

    @property
    def _forgotten(self) -> str:
        """The newest version that was in a file which is removed."""
        try:
            return (self.spool.folder / FORGOTTEN).read_text()
        except FileNotFoundError:
            return ""

    def _forget(self, stream: Stream, loaded: str, is_new: bool) -> None:
        """Removes files of which every stream of this run had loaded all when it began. One that was left out, or that
        comes from a backup of the warehouse, knows by what is noted here that it has to be read as a whole."""
        self._is_awaited.discard(stream.name)
        if not is_new:
            self._loaded.append(loaded)
        if not self._is_awaited and self._loaded:
            files = self._arrivals.files
            if done := {file: version for file, version in files.items() if version <= min(self._loaded)}:
                write_whole(self.spool.folder / FORGOTTEN, max(self._forgotten, *done.values()))
            for file in done:
                file.unlink(missing_ok=True)
                del files[file]

    @functools.cached_property
    def _published(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The publication's tables; raises SourceError if there is none, or if it does not publish everything."""
        name = self.source.publication
        found = self.source.query("select to_json(p) from pg_publication p where pubname = %s", name)
        if not found:
            tables = ", ".join(_name(table) for table in self.tables.catalog if table.replica_identity)
            raise SourceError(
                f"there is no publication {name} in {self.engine.where}. As the tables' owner: create publication "
                f"{name} for table {tables or '...'} with (publish_via_partition_root = true)"
            )
        if lacking := [kind for kind in ("insert", "update", "delete", "truncate") if not found[0][f"pub{kind}"]]:
            raise SourceError(
                f"the publication {name} leaves out every {' and '.join(lacking)}: alter publication {name} "
                "set (publish = 'insert, update, delete, truncate')"
            )
        rows = self.source.query("select to_json(t) from pg_publication_tables t where pubname = %s", name)
        return {(row["schemaname"], row["tablename"]): row for row in rows}

    def _prove_published(self, stream: Stream, table: Table) -> None:
        """Raises SourceError if not every change of all columns comes."""
        name, full_name = self.source.publication, _name(table)
        published = self._published.get((table.schema, table.name))
        if published is None:
            hint = f"alter publication {name} add table {full_name}"
            if not table.is_plain:
                hint += f". If its partitions are: alter publication {name} set (publish_via_partition_root = true)"
            raise SourceError(f"the publication {name} does not have {full_name}: {hint}")
        if published.get("rowfilter"):
            raise SourceError(
                f"the publication {name} has but some rows of {full_name}, {published['rowfilter']}: take it into the "
                "publication without where"
            )
        columns = {column.name for alias, column in self._columns(stream, table).items()}
        if lacking := sorted(columns - set(published.get("attnames") or columns)):
            raise SourceError(
                f"the publication {name} has {full_name} without {', '.join(lacking)}: take it into the publication "
                "without a list of columns"
            )

    def _table(self, stream: Stream) -> Table:
        """The stream's table, without columns that the log does not have."""
        table = self.tables.find(stream)
        return dataclasses.replace(table, columns=tuple(c for c in table.columns if not c.is_generated))

    def _columns(self, stream: Stream, table: Table) -> dict[str, Column]:
        declared = sources(stream)
        return {alias: column for alias, column in table.aliases(declared).items() if alias in declared}

    def _changes(self, stream: Stream, table: Table, records: str, covered: str) -> Changes:
        """The changes in `records` (SQL in parentheses, of the spool's columns), typed as the table's columns are."""
        columns = self._columns(stream, table)
        keys = {f.source for f in stream.contract.key}
        members = ", ".join(literal("/" + _escaped(column.name)) for column in columns.values())
        key_members = ", ".join(literal("/" + _escaped(columns[alias].name)) for alias in keys)
        is_moved = (
            f"before is not null and json_extract_string(before, [{key_members}]) "
            f"is distinct from json_extract_string(row, [{key_members}])"
        )
        joins, selected, types, unfit = "", [], {}, []
        for number, (alias, column) in enumerate(columns.items(), 1):
            text, pointer = f"{TEXTS}[{number}]", "/" + _escaped(column.name)
            value, types[alias] = self.engine.printed(column, text), column.arrives
            if not column.printed:
                texts = ", ".join(f"json_extract_string({image}, {literal(pointer)})" for image in ("row", "before"))
                self._ask_for(column, f"select distinct unnest([{texts}]) from {records}", f"printed_{number}")
                joins += f" left join printed_{number} on {text} = printed_{number}.text"
                value = f"printed_{number}.value"
            form = (
                f"regexp_replace(replace({text}, ' ', 'T'), '[+]00$', '+00:00')" if "TIME" in column.arrives else text
            )
            if column.arrives != "VARCHAR" or not column.printed:
                unfit.append(
                    f"case when {text} is not null and {quote(alias)} is null then "
                    f"cast(to_json({literal(alias)}) as varchar) || ':' || cast(to_json({form}) as varchar) end"
                )
            selected.append(value if alias in keys else f"case when {MARK} is null then {value} end")
        named = ", ".join(f"{value} as {quote(alias)}" for value, alias in zip(selected, columns, strict=True))
        odd = f"nullif('{{' || concat_ws(',', {', '.join(unfit)}) || '}}', '{{}}')" if unfit else "null"
        renamed = {c.name: alias for alias, c in columns.items() if c.name != alias}
        cases = " ".join(f"when {literal(name)} then {literal(alias)}" for name, alias in renamed.items())
        unchanged = f"list_transform(unchanged, lambda name: case name {cases} else name end)" if cases else "unchanged"
        sql = f"""
            with records as (
                from {records} where kind in ('insert', 'update', 'delete')
                qualify row_number() over (partition by version) = 1  -- a part of a transaction may have come twice
            ),
            changes as (
                select version as {VERSION}, committed_at as {OBSERVED_AT},
                    json_extract_string(row, [{members}]) as {TEXTS}, {unchanged} as {UNCHANGED},
                    {is_moved} as {MOVED}, cast(null as varchar) as {MARK}
                from records where row is not null
                union all
                select version, committed_at, json_extract_string(before, [{members}]), [], false, 'gone'
                from records where before is not null and (row is null or {is_moved})
            ),
            typed as (select changes.*, {named} from changes{joins})
            select {", ".join(map(quote, columns))}, case when {MARK} is null then {odd} end as {UNFIT},
                {VERSION}, {VERSION} as _position, {MARK}, {UNCHANGED}, {MOVED}, {OBSERVED_AT}
            from typed
        """
        types |= {UNFIT: "VARCHAR", VERSION: "VARCHAR", "_position": "VARCHAR", MARK: "VARCHAR"}
        types |= {UNCHANGED: "VARCHAR[]", MOVED: "BOOLEAN", OBSERVED_AT: TIME}
        truncated = self._rows(f"select distinct version, committed_at from {records} where kind = 'truncate'")
        rows = Query(sql, types, lambda sql, path: contracts.copy_to_parquet(self._db, sql, path))
        return Changes(rows, truncated, covered)

    def _ask_for(self, column: Column, texts: str, table: str) -> None:
        """Makes a table of what PostgreSQL prints, in `texts` (SQL), and of what a column is read as: its own arrays,
        say, as JSON. Texts that are no values of the column's type any more are left out."""
        asked = [text for (text,) in self._rows(texts) if text is not None]
        value = column.reads.format(f"text::{column.declared}")
        query = f"select json_build_array(text, {value}) from unnest(%s::text[]) as text"
        found: list[list[str]] = []
        for start in range(0, len(asked), ASKED_AT_ONCE):
            chunk = asked[start : start + ASKED_AT_ONCE]
            try:
                found += self.source.query(query, chunk)
            except SourceError:
                for text in chunk:
                    with contextlib.suppress(SourceError):
                        found += self.source.query(query, [text])
        texts, values = zip(*found, strict=True) if found else ((), ())
        answers = pa.table({"text": pa.array(texts, pa.string()), "value": pa.array(values, pa.string())})
        with registered(self._db, answers=answers):
            self._db.execute(f"create or replace temp table {table} as from answers")


def _why(kept: dict[str, Any], arrivals: Arrivals, forgotten: str) -> str:
    """Why a table is read as a whole once more."""
    if "epoch" not in kept:
        return "a change could not be completed (see its rejected rows)"
    if kept["epoch"] != arrivals.epoch:
        return arrivals.because
    if kept["loaded"] < forgotten:
        return "changes that it has not loaded, since it was left out or the warehouse is from a backup, are removed"
    return "its columns or its key are others than before, or all rows were written anew"


def _name(table: Table) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"


def _spooled(files: Iterable[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}], filename = true)"


def _escaped(name: str) -> str:
    """A name in a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
