"""The only place that knows the warehouse: destination, dataset names, state, raw tables, the load lock."""

import contextlib
import dataclasses
import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dlt
import duckdb

from ingestion import enrichments, evolution
from ingestion.contract import Contract, Field
from ingestion.errors import ConfigurationError, SourceError, explain
from ingestion.ledger import LEDGER_TABLES
from ingestion.stream import SYSTEM_COLUMNS, Run, State, Stream
from ingestion.systems import System

TARGETS = ("sandbox", "local")

MEMORY = "1GB"
"""Of the warehouse's DuckDB while it loads; more is put on disk."""

STORAGE_VERSION = "v1.3.0"
"""The oldest DuckDB that can open the warehouse. Its compression of texts is the first that is fast to load."""

KEY_COMPRESSION = " using compression zstd"
"""Of texts that differ in every row: half the time to load, and the warehouse 4 % larger."""

Columns = list[tuple[str, str, str]]
"""Of a table: name, DuckDB type, description."""


def target() -> str:
    """The one switch for both halves, DBT_TARGET; raises ConfigurationError if it is none of TARGETS."""
    name = os.environ.get("DBT_TARGET") or "sandbox"
    if name not in TARGETS:
        raise ConfigurationError(f"DBT_TARGET is {name!r}: set it to {' or '.join(TARGETS)}")
    return name


def warehouse_path() -> Path:
    """The DuckDB file of the target, in WAREHOUSE_DIR (default: warehouse/); profiles.yml says the same."""
    return Path(os.environ.get("WAREHOUSE_DIR") or "warehouse").absolute() / f"{target()}.duckdb"


class Warehouse:
    """The open warehouse, with a raw table for every stream of every system, and views over all ledgers.

    It is held open, and so closed to other processes, until the run ends.
    """

    def __init__(self, systems: Iterable[System]) -> None:
        """Opens or makes it; raises ConfigurationError if another process has it open or it can't be written."""
        from ingestion import scaffold  # which itself looks into warehouses

        self.path = warehouse_path()
        self.load_lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
            config = {**offline, "storage_compatibility_version": STORAGE_VERSION}
            self.connection = duckdb.connect(str(self.path), config=config)
            self.connection.execute(f"set timezone = 'UTC'; set memory_limit = '{MEMORY}'")
            self.systems = list(systems)
            for system in self.systems:
                if not system.has_catalog:
                    self._create_raw(system.name, _columns_of(system.streams))
            for name, tables in scaffold.declared_tables().items():  # databases that the models read
                self._create_raw(name, tables, may_differ=True)
            self._create_raw(enrichments.NAME, _columns_of([enrichments.STREAM]))
            self._create_operations()
        except (duckdb.Error, OSError) as error:
            raise ConfigurationError(self._cannot_open(error)) from error

    def _cannot_open(self, error: Exception) -> str:
        text = " ".join(str(error).split())
        if "Conflicting lock" in text:
            holder = text.split("Conflicting lock is held in ")[1].split(". ")[0]
            return f"{self.path} is open in another process: {holder}. Close it there and run again"
        return f"can't open or write {self.path}: {text}"

    def _create_raw(self, system: str, tables: dict[str, Columns], *, may_differ: bool = False) -> None:
        """Makes what is missing of a system's raw tables, so that all models build whatever has been loaded."""
        dataset = raw_dataset(system)
        existing = self._columns(dataset)
        connection = self.connection.cursor()
        connection.begin()  # hundreds of statements
        connection.execute(f"create schema if not exists {dataset}")
        for table, columns in {**tables, **LEDGER_TABLES}.items():
            if table not in existing:
                declarations = ", ".join(
                    f'"{name}" {sql_type}{KEY_COMPRESSION if name == "_key" else ""}' for name, sql_type, _ in columns
                )
                connection.execute(f"create table {dataset}.{table} ({declarations})")
            for name, sql_type, description in columns:
                if table in existing and name not in existing[table]:
                    connection.execute(f'alter table {dataset}.{table} add column "{name}" {sql_type}')
                elif table in existing and existing[table][name][0] != sql_type and not may_differ:
                    raise ConfigurationError(
                        f"{dataset}.{table}.{name} is {existing[table][name][0]} in {self.path}, but the contract says "
                        f"{sql_type}: give the field another name, or remove the warehouse and load again"
                    )
                if table not in existing or name not in existing[table]:
                    text = description.replace("'", "''")
                    connection.execute(f"""comment on column {dataset}.{table}."{name}" is '{text}'""")
        connection.commit()

    def prepare(self, system: System) -> list[Stream]:
        """Makes or changes a database's raw tables as its catalog now says; returns the streams that fit them.

        Tables that the source no longer has are among them, as long as rows of theirs are current.
        """
        asked = list(system.streams)  # before the lock: a database may take its time to answer
        with self.load_lock:
            return self._fit(system, asked)

    def _fit(self, system: System, asked: list[Stream]) -> list[Stream]:
        dataset = raw_dataset(system.name)
        existing, connection, streams = self._columns(dataset), self.connection.cursor(), []
        for stream in asked:
            if stream.name in existing:
                stream, widened, dropped = evolution.adapt(stream, existing[stream.name])
                for name, sql_type in widened:
                    connection.execute(f'alter table {dataset}.{stream.name} alter "{name}" set data type {sql_type}')
                for name in dropped:
                    text = (evolution.GONE + existing[stream.name][name][1]).replace("'", "''")
                    connection.execute(f"""comment on column {dataset}.{stream.name}."{name}" is '{text}'""")
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
            streams.append(Stream(name, Contract("", declared), State(), is_dropped=True))
        return streams

    def _has_current_rows(self, table: str) -> bool:
        newest = """select _key from {} group by _key
            having coalesce(max(_observed_at) filter (where _mark = 'gone') < max(_observed_at), true)"""
        return bool(self.query(f"from ({newest.format(table)}) limit 1"))

    def _columns(self, dataset: str) -> dict[str, dict[str, tuple[str, str]]]:
        """Table -> column -> (type, comment)."""
        # A cursor of its own: the threads of several systems ask at once, and a connection has one result.
        query = "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = ?"
        rows = self.connection.cursor().execute(query, [dataset]).fetchall()
        tables: dict[str, dict[str, tuple[str, str]]] = {}
        for table, column, data_type, comment in rows:
            tables.setdefault(table, {})[column] = (data_type, comment or "")
        return tables

    def _create_operations(self) -> None:
        """Views over the ledgers and rejected rows of every system that has landed here, as one source."""
        connection = self.connection.cursor()
        datasets = connection.execute(
            "select schema_name from duckdb_tables() where table_name = 'load_ledger' order by 1"
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
        if not packages or "_dlt_loads" not in self._columns(raw_dataset(system)):
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

    @property
    def _working_folder(self) -> Path:
        return self.path.with_suffix(".dlt")

    def _pipeline(self, system: str) -> dlt.Pipeline:
        destination = dlt.destinations.duckdb(self.connection)
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
        with self.load_lock:
            pipeline.load()

    def close(self) -> None:
        """Lets go of the file."""
        self.connection.close()


def _columns_of(streams: Iterable[Stream]) -> dict[str, Columns]:
    return {stream.name: stream.columns for stream in streams}


def raw_dataset(system: str) -> str:
    """The schema of a system's raw tables."""
    return f"raw_{system}"


@contextlib.contextmanager
def opened(systems: Iterable[System]) -> Iterator[Warehouse]:
    """The warehouse, open for the length of a with block."""
    warehouse = Warehouse(systems)
    try:
        yield warehouse
    finally:
        warehouse.close()


def run(
    warehouse: Warehouse,
    systems: list[System],
    run_for: Callable[[System], Run],
    streams_for: Callable[[Sequence[Stream]], list[Stream]],
) -> dict[str, str]:
    """Extracts the systems side by side and loads them one after the other; returns system -> error.

    What became of each stream is in the ledger; an error here means that a system's load did not end.
    """

    def load(system: System) -> str | None:
        run = run_for(system)
        try:
            with run.cleanup:
                if system.has_catalog:
                    run.cleanup.callback(system.connect().close)
                    streams = streams_for(warehouse.prepare(system))
                    if streams:
                        warehouse.load(system.name, lambda: system.source(run=run, streams=streams))
                else:
                    names = [stream.name for stream in streams_for(system.chosen)]
                    warehouse.load(system.name, lambda: system.source(run=run).with_resources(*names))
        except Exception as error:  # one system's failure must not stop the others
            return explain(error)
        return None

    with ThreadPoolExecutor(max_workers=max(len(systems), 1)) as pool:
        outcomes = zip(systems, pool.map(load, systems), strict=True)
        return {system.name: error for system, error in outcomes if error}


def enrich(warehouse: Warehouse, run: Run) -> dict[str, str]:
    """Runs the methods of `enrichments` over inputs that are new; returns the error, as `run` does."""
    query = enrichments.new_inputs_query(warehouse.systems)
    inputs = warehouse.query(query) if query else []
    try:
        if inputs:
            warehouse.load(enrichments.NAME, lambda: enrichments.enrichments(inputs, run=run))
    except Exception as error:
        return {enrichments.NAME: explain(error)}
    return {}
