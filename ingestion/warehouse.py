"""The warehouse as loaders see it: raw tables, state, the load lock. This one is a DuckDB file; `lake` has another."""

import dataclasses
import functools
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dlt
import duckdb

from ingestion import enrichments, evolution
from ingestion.contract import VERSION, Contract, Field, literal, quote
from ingestion.errors import ConfigurationError, SourceError, explain
from ingestion.ledger import LEDGER_TABLES
from ingestion.stream import SYSTEM_COLUMNS, Log, State, Stream
from ingestion.systems import System

MEMORY = "1GB"
"""Of the warehouse's DuckDB while it loads; more is put on disk."""

STORAGE_VERSION = "v1.3.0"
"""The oldest DuckDB that can open the warehouse. Its compression of texts is the first that is fast to load."""

COMPRESSION = " using compression zstd"
"""Of texts that differ in every row. Of keys: half the time to load, and the warehouse 4 % larger; of long ones: both
half."""

OFFLINE = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}

Columns = list[tuple[str, str, str]]
"""Of a table: name, DuckDB type, description."""

Present = dict[str, tuple[str, str]]
"""The columns of a table that is there: name -> (DuckDB type, description)."""

SPECIAL = "'*?[]{}"
"""What DuckDB, dlt or Spark would read as something else in the name of a file."""


def refuse_special(option: str, place: str) -> None:
    """Raises ConfigurationError if files in this place can't be read by all who have to."""
    if found := sorted(set(place) & set(SPECIAL)):
        raise ConfigurationError(f"{option} is {place}: give a place without {' '.join(found)} in its name")


class Warehouse:
    """The open warehouse, with a raw table for every stream of every system, and views over all ledgers.

    It is held open, and so closed to other processes, until the run ends.
    """

    def __init__(self, systems: Iterable[System], path: Path) -> None:
        """Opens or makes it; raises ConfigurationError if another process has it open or it can't be written."""
        from ingestion import scaffold  # which itself looks into warehouses

        refuse_special("WAREHOUSE_DIR", str(path.parent))
        self.path, self.load_lock, self.systems = path, threading.Lock(), list(systems)
        self.long = {
            (raw_dataset(system.name), stream.name, field.name)
            for system in self.systems
            if not system.has_catalog
            for stream in system.streams
            for field in stream.contract.fields
            if field.is_long
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = self._connect()
            for system in self.systems:
                if not system.has_catalog:
                    self._create_raw(system.name, _columns_of(system.streams))
            for name, tables in scaffold.declared_tables().items():  # databases that the models read
                self._create_raw(name, tables, may_differ=True)
            self._create_raw(enrichments.NAME, _columns_of([enrichments.STREAM]))
            self._create_operations()
        except (duckdb.Error, OSError) as error:
            raise ConfigurationError(self._cannot_open(error)) from error

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        config = {**OFFLINE, "storage_compatibility_version": STORAGE_VERSION}
        connection = duckdb.connect(str(self.path), config=config)
        connection.execute(f"set timezone = 'UTC'; set memory_limit = '{MEMORY}'")
        connection.execute("set preserve_insertion_order = false")  # else one thread alone compresses what is loaded
        return connection

    def _destination(self) -> Any:
        """dlt's destination that loads here."""
        return dlt.destinations.duckdb(self.connection)

    def _cannot_open(self, error: Exception) -> str:
        text = " ".join(str(error).split())
        if "Conflicting lock" in text:
            holder = text.split("Conflicting lock is held in ")[1].split(". ")[0]
            return f"{self.name} is open in another process: {holder}. Close it there and run again"
        return f"can't open or write {self.name}: {text}"

    def _create_raw(self, system: str, tables: dict[str, Columns], *, may_differ: bool = False) -> None:
        """Makes what is missing of a system's raw tables, so that all models build whatever has been loaded."""
        dataset = raw_dataset(system)
        existing = self._columns(dataset)
        connection = self.connection.cursor()
        connection.begin()  # hundreds of statements
        connection.execute(f"create schema if not exists {dataset}")
        for table, columns in {**tables, **LEDGER_TABLES}.items():
            present = existing.get(table, {})
            for name, sql_type, _ in columns:
                if name in present and present[name][0] != sql_type and not may_differ:
                    raise ConfigurationError(
                        f"{dataset}.{table}.{name} is {present[name][0]} in {self.name}, but the contract says "
                        f"{sql_type}: give the field another name, or remove the warehouse and load again"
                    )
            if new := [column for column in columns if column[0] not in present]:
                self._declare(connection, dataset, table, present, new)
        connection.commit()

    def _declare(
        self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str, present: Present, new: Columns
    ) -> None:
        """Makes a raw table with the columns `new`, or adds them to those that are `present`."""
        if present:
            statements = [
                f"alter table {dataset}.{table} add column {quote(name)} {sql_type}" for name, sql_type, _ in new
            ]
        else:
            declarations = [
                f"{quote(name)} {sql_type}"
                + (COMPRESSION if name == "_key" or (dataset, table, name) in self.long else "")
                for name, sql_type, _ in new
            ]
            statements = [f"create table {dataset}.{table} ({', '.join(declarations)})"]
        statements += [comment_on(dataset, table, name, description) for name, _, description in new]
        connection.execute("; ".join(statements))  # at once: twice as fast

    def _change(
        self, dataset: str, table: str, present: Present, widened: list[tuple[str, str]], gone: list[str]
    ) -> None:
        """Gives columns wider types, and notes of others in their comments that the source has them no longer."""
        connection = self.connection.cursor()
        for name, sql_type in widened:
            connection.execute(f"alter table {dataset}.{table} alter {quote(name)} set data type {sql_type}")
        for name in gone:
            connection.execute(comment_on(dataset, table, name, evolution.GONE + present[name][1]))

    def prepare(self, system: System) -> list[Stream]:
        """Makes or changes a database's raw tables as its catalog now says; returns the streams that fit them.

        Tables that the source no longer has are among them, as long as rows of theirs are current.
        """
        asked = list(system.streams)  # before the lock: a database may take its time to answer
        with self.load_lock:
            return self._fit(system, asked)

    def _fit(self, system: System, asked: list[Stream]) -> list[Stream]:
        dataset = raw_dataset(system.name)
        existing, streams = self._columns(dataset), []
        for stream in asked:
            if stream.name in existing:
                if _is_log(existing[stream.name]):  # it stays one, and fails alone if it can't be read as such
                    stream = dataclasses.replace(stream, kind=Log())
                stream, widened, gone = evolution.adapt(stream, existing[stream.name])
                self._change(dataset, stream.name, existing[stream.name], widened, gone)
            else:
                notes = (*stream.notes, *(f.note for f in stream.contract.fields if f.note))
                stream = dataclasses.replace(stream, notes=notes)
            streams.append(stream)
        self._create_raw(system.name, _columns_of(stream for stream in streams if stream.contract.fields))
        self._create_operations()
        for name in sorted(existing.keys() - system.streams.known - LEDGER_TABLES.keys()):
            if name.startswith("_dlt") or not self._has_current_rows(f"{dataset}.{name}"):
                continue
            fields = [Field("", name=column, type=existing[name][column][0]) for column in existing[name]]
            declared = tuple(field for field in fields if field.name not in SYSTEM_COLUMNS)
            streams = [stream for stream in streams if stream.name != name]  # declared, but not there
            kind = Log() if _is_log(existing[name]) else State()
            streams.append(Stream(name, Contract("", declared), kind, is_dropped=True))
        return streams

    def _has_current_rows(self, table: str) -> bool:
        newest = """select _key from {} group by _key
            having coalesce(max(_observed_at) filter (where _mark = 'gone') < max(_observed_at), true)"""
        return bool(self.query(f"from ({newest.format(table)}) limit 1"))

    def _columns(self, dataset: str) -> dict[str, Present]:
        """Table -> column -> (type, comment)."""
        # A cursor of its own: the threads of several systems ask at once, and a connection has one result.
        query = "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = ?"
        rows = self.connection.cursor().execute(query, [dataset]).fetchall()
        tables: dict[str, Present] = {}
        for table, column, data_type, comment in rows:
            tables.setdefault(table, {})[column] = (data_type, comment or "")
        return tables

    def _create_operations(self) -> None:
        """Views over the ledgers and rejected rows of every system that has landed here, as one source."""
        connection = self.connection.cursor()
        datasets = connection.execute(
            "select distinct schema_name from duckdb_columns() where table_name = 'load_ledger' "
            "and schema_name <> 'raw_operations' order by 1"
        ).fetchall()
        connection.execute("create schema if not exists raw_operations")
        for table, columns in LEDGER_TABLES.items():
            names = ", ".join(name for name, _, _ in columns)
            parts = [
                f"select '{dataset.removeprefix('raw_')}' as system, * from {dataset}.{table}"
                for (dataset,) in datasets
            ]
            # By name: a database that is no longer configured may have a ledger of an earlier form.
            query = f"select system, {names} from ({' union all by name '.join(parts)})"
            connection.execute(f"create or replace view raw_operations.{table} as {query}")

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of a query, as dicts."""
        return self.connection.cursor().execute(sql, parameters).to_arrow_table().to_pylist()

    def load(self, system: str, make_source: Callable[[], Any]) -> None:
        """Extracts a dlt source and loads it; what an interrupted run left is loaded first, as it was read."""
        folder = self._working_folder / system
        if folder.exists():
            self._load_interrupted(system, folder)
            # The warehouse alone knows how far it is: the cursors that dlt keeps beside it may be those of another one,
            # or of this one before a backup came back, and would leave rows out.
            shutil.rmtree(folder)
        pipeline = self._pipeline(system)
        pipeline.sync_destination()
        pipeline.extract(make_source(), loader_file_format="parquet")
        self._load_pending(pipeline)

    def _load_interrupted(self, system: str, folder: Path) -> None:
        packages = [*folder.glob("load/normalized/*"), *folder.glob("normalize/extracted/*")]
        if not packages or not self._has_loads(raw_dataset(system)):
            return
        try:
            pipeline = self._pipeline(system)
        except ValueError:  # dlt's folder is corrupt; what it knows is in the warehouse too
            return
        if pipeline.has_pending_data:
            try:
                self._load_pending(pipeline)
            except Exception as error:
                raise SourceError(
                    f"what an interrupted run left in {folder} can't be loaded. If that goes on, remove it: what is in "
                    f"there will be read again. {explain(error)}"
                ) from error

    def _has_loads(self, dataset: str) -> bool:
        """Whether dlt has loaded here; if not, what it left belongs to a warehouse that is gone."""
        return "_dlt_loads" in self._columns(dataset)

    @property
    def _working_folder(self) -> Path:
        return self.path.with_suffix(".dlt")

    def _pipeline(self, system: str) -> dlt.Pipeline:
        destination = self._destination()
        # dlt asks two dozen times a run, and would read all of the configuration for each answer.
        ask, answer = destination.capabilities, functools.cache(destination.capabilities)
        destination.capabilities = lambda config=None, naming=None: ask(config, naming) if config else answer()
        return dlt.pipeline(
            pipeline_name=system,
            destination=destination,
            dataset_name=raw_dataset(system),
            pipelines_dir=str(self._working_folder),
        )

    def _load_pending(self, pipeline: dlt.Pipeline) -> None:
        # dlt renames a normalized package and then deletes what it came from; killed in between it never gets on.
        folder = Path(pipeline.working_dir)
        for extracted in folder.glob("normalize/extracted/*"):
            if (folder / "load/normalized" / extracted.name).exists():
                shutil.rmtree(extracted)
        pipeline.normalize()
        self._load(pipeline)

    def _load(self, pipeline: dlt.Pipeline) -> None:
        with self.load_lock:
            pipeline.load()

    def close(self) -> None:
        """Lets go of the file."""
        self.connection.close()


def _is_log(present: Present) -> bool:
    return present[VERSION][0] == "VARCHAR"


def comment_on(dataset: str, table: str, column: str, description: str) -> str:
    """SQL that describes a column."""
    return f"comment on column {dataset}.{table}.{quote(column)} is {literal(description)}"


def _columns_of(streams: Iterable[Stream]) -> dict[str, Columns]:
    return {stream.name: stream.columns for stream in streams}


def raw_dataset(system: str) -> str:
    """The schema of a system's raw tables."""
    return f"raw_{system}"
