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
from ingestion.postgres import Postgres
from ingestion.reading import resources
from ingestion.slot import Slot, Snapshot
from ingestion.spool import InUse, Spool, write_whole
from ingestion.sql import Column, Table, Tables, fingerprint, sources
from ingestion.stream import TIME, Changes, KeySweep, Log, Page, Query, Run, Stream, Window

MEMORY = "1GB"
"""Of DuckDB, while it types what is in the spool; more is put on disk."""
FORGOTTEN = "forgotten"
"""In the spool: the newest version that was in a file which is removed."""
ASKED_AT_ONCE = 5_000
"""Values that PostgreSQL is asked to convert."""


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """What the spool had when the run began: its files, each with its newest version, and which of them have changes of
    a table; the version of the last commit; the log's epoch and why it began; what failed while the slot was drained.
    """

    files: dict[Path, str]
    tables: dict[tuple[str, str], list[Path]]
    reached: str
    epoch: str
    because: str
    failure: str


class Capture(Tables):
    """Reads streams that are Logs from the slot's spool, and others as tables are read."""

    def __init__(self, engine: Postgres, publication: str, slot: str, folder: Path) -> None:
        super().__init__(engine)
        self.spool = Spool(folder, SCHEMA)
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
            yield from super().read(stream, window)
            return
        arrivals, kept = self._arrivals, window.state
        window.notes += self._notes
        self._notes.clear()
        loaded = kept.get("loaded", "")
        self._forget(stream, loaded, is_new=not kept)
        table = self._table(stream)
        if not table.replica_identity:
            raise SourceError(
                f"the log does not tell the rows of {_name(table)} apart any more, since it has no primary key and no "
                f"other replica identity. Give it one, or drop the raw table {stream.name}, which is then read in full"
            )
        self._prove_published(stream, table)
        if not arrivals.epoch:
            raise SourceError(arrivals.failure)
        state = {
            "contract": fingerprint(stream),
            "identity": table.identity,
            "form": table.form,
            "published": self._entries.get(table.identity.partition("/")[2], ""),
            "epoch": arrivals.epoch,
        }
        forgotten = self._forgotten
        is_followed = loaded < forgotten or any(kept.get(name) != value for name, value in state.items())
        # A partition that is truncated or detached takes its rows along without a word in the log.
        is_followed |= bool(kept.get("partitions", {}).items() - table.partitions.items())
        state["partitions"] = table.partitions
        window.state = {**kept, "loaded": max(loaded, arrivals.reached, forgotten)}
        window.is_complete = False
        if files := [file for file in arrivals.tables.get((table.schema, table.name), ()) if file in arrivals.files]:
            records = f"""(
                from {_spooled(files)} where table_schema = {literal(table.schema)}
                    and table_name = {literal(table.name)} and version > {literal(loaded)}
                    and version <= {literal(arrivals.reached)}
            )"""
            covered = arrivals.reached if is_followed else kept.get("snapshot", "")
            yield self._changes(stream, table, records, covered)
            if window.rejected:
                window.state.pop("epoch", None)  # the next run reads it as a whole
        if is_followed:
            if "loaded" in kept:
                because = _why(kept, state, arrivals, forgotten)
                if not any(because in note for note in window.notes):
                    window.notes.append(f"read as a whole once more: {because}")
            if isinstance(snapshot := self._snapshot, SourceError):
                raise snapshot
            window.is_complete = True
            yield Page(self.query(stream, table, None), snapshot.made_at, version=snapshot.version)
            window.state |= {**state, "snapshot": snapshot.version}
        if arrivals.failure:
            raise PartFailed(arrivals.failure)

    def check(self, stream: Stream) -> str:
        """How many rows a table has; raises SourceError if it can't be read, or its changes do not come."""
        told = super().check(stream)
        if not isinstance(stream.kind, Log):
            return told
        self._prove_published(stream, self._table(stream))
        return f"{told}; {self.source.health()}"

    def close(self) -> None:
        """Lets go of all connections."""
        self.source.close()
        self.engine.begin_in(None)
        for answer in ("_arrivals", "_snapshot", "_published", "_entries"):
            self.__dict__.pop(answer, None)

    @functools.cached_property
    def _db(self) -> duckdb.DuckDBPyConnection:
        """Types what is in the spool."""
        folder = str(self.spool.folder / "tmp")
        return contracts.engine(memory_limit=MEMORY, temp_directory=folder, preserve_insertion_order=False)

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
            self._notes += [] if failure or self.source.is_read() else [f"{error}, but is not connected: nothing comes"]
        except (SourceError, OSError) as error:
            failure = explain(error)
        memory, files = self.source.memory, self.spool.files()
        if memory.get("confirmed") is None:
            return Arrivals({}, {}, "", "", "", failure)
        newest: dict[Path, str] = {}
        tables: dict[tuple[str, str], list[Path]] = {}
        reached = ""
        for name, schema, table, version, commit in self._rows(_FILES.format(_spooled(files))) if files else ():
            file = Path(name)
            newest[file] = max(newest.get(file, ""), version)
            tables.setdefault((schema, table), []).append(file)
            reached = max(reached, commit or "")
        return Arrivals(newest, tables, reached, memory["epoch"], memory["because"], failure)

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
            tables = ", ".join(_name(table) for table in self.catalog if table.replica_identity)
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

    @functools.cached_property
    def _entries(self) -> dict[str, str]:
        """By the oid of a table that entry of the publication by which its changes have come: another one, if it left
        the publication in between."""
        entries = """
            select json_build_array(prrelid::text, concat(p.oid, '/', r.oid))
            from pg_publication_rel r join pg_publication p on p.oid = prpubid where pubname = %s
        """
        return dict(self.source.query(entries, self.source.publication))

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
        table = self.find(stream)
        return dataclasses.replace(table, columns=tuple(c for c in table.columns if not c.is_generated))

    def _columns(self, stream: Stream, table: Table) -> dict[str, Column]:
        declared = sources(stream)
        return {alias: column for alias, column in table.aliases(declared).items() if alias in declared}

    def _changes(self, stream: Stream, table: Table, records: str, covered: str) -> Changes:
        """The changes in `records` (SQL in parentheses, of the spool's columns), typed as the table's columns are."""
        columns, once = self._columns(stream, table), ""
        twice = f"select version from {records} group by version having count(*) > 1 limit 1"
        if self._rows(twice):  # a part of a transaction may have come again, as a part of the whole
            once = "qualify row_number() over (partition by version) = 1"
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
            with records as not materialized (from {records} where kind in ('insert', 'update', 'delete') {once}),
            changes as not materialized (
                select version as {VERSION}, committed_at as {OBSERVED_AT},
                    json_extract_string(row, [{members}]) as {TEXTS}, {unchanged} as {UNCHANGED},
                    {is_moved} as {MOVED}, cast(null as varchar) as {MARK}
                from records where row is not null
                union all
                select version, committed_at, json_extract_string(before, [{members}]), [], false, 'gone'
                from records where before is not null and (row is null or {is_moved})
            ),
            typed as not materialized (select changes.*, {named} from changes{joins})
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
        value = column.reads.format(f"text::{column.declared}")
        query = f"select json_build_array(text, {value}) from unnest(%s::text[]) as text"
        self._db.execute(f"create or replace temp table {table} (text varchar, value varchar)")
        asked = self._db.cursor().execute(f"from ({texts}) as asked (text) where text is not null")
        while chunk := [text for (text,) in asked.fetchmany(ASKED_AT_ONCE)]:
            try:
                found = self.source.query(query, chunk)
            except SourceError:
                found = []
                for text in chunk:
                    with contextlib.suppress(SourceError):
                        found += self.source.query(query, [text])
            columns = [pa.array([pair[place] for pair in found], pa.string()) for place in (0, 1)]
            with registered(self._db, answers=pa.table(columns, ["text", "value"])):
                self._db.execute(f"insert into {table} from answers")


_FILES = """
    select filename, table_schema, table_name, max(version), max(version) filter (kind = 'commit')
    from {} group by filename, table_schema, table_name order by filename
"""


def _why(kept: dict[str, Any], state: dict[str, Any], arrivals: Arrivals, forgotten: str) -> str:
    """Why a table is read as a whole once more."""
    if "epoch" not in kept:
        return "a change could not be completed (see its rejected rows)"
    if kept["epoch"] != arrivals.epoch:
        return arrivals.because
    if kept["loaded"] < forgotten:
        return "changes that it has not loaded, since it was left out or the warehouse is from a backup, are removed"
    if kept.get("published") != state["published"]:
        return "it had left the publication"
    return "its columns, its key or its partitions are others than before, or all rows were written anew"


def _name(table: Table) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"


def _spooled(files: Iterable[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(file)) for file in files)}], filename = true)"


def _escaped(name: str) -> str:
    """A name in a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
