"""Raw as Parquet files on a shared file system or object storage, for the models to be built by a cluster.

    <LAKE_URL>/raw_<system>/<stream>/schema.parquet      no row, but every column: the table, as long as nothing landed
                                    <load>.<file>.parquet    rows; a load that is repeated overwrites its own files

A DuckDB in memory shows all of it as views, so that the rest of the loaders sees the tables that it knows.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.schema import Schema
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from fsspec.implementations.local import LocalFileSystem

from ingestion import evolution
from ingestion.contract import literal, quote
from ingestion.errors import ConfigurationError, explain, keep_secret
from ingestion.ledger import arrow_schema
from ingestion.spool import sync
from ingestion.stream import Stream
from ingestion.systems import System
from ingestion.warehouse import MEMORY, OFFLINE, Columns, Present, Warehouse, comment_on, refuse_special

LAYOUT = "{table_name}/{load_id}.{file_id}.{ext}"
SCHEMA = "schema.parquet"
AS_TEXT = ("UUID", "TIME")
"""Types that Spark does not have."""


def lake_url(working_folder: Path) -> str:
    """Where raw lands: LAKE_URL, or a folder beside dlt's working folder; the macro lake_url says the same. Raises
    ConfigurationError if that is a path, which cluster and loader might read differently."""
    url = (os.environ.get("LAKE_URL") or f"file://{working_folder.parent}/lake").rstrip("/")
    if "://" not in url:
        raise ConfigurationError(f"LAKE_URL is {url}: give a URL, as file:///data/lake or s3://bucket/lake")
    refuse_special("LAKE_URL", url)
    return url


class Lake(Warehouse):
    """The open lake, held by one loader at a time."""

    def __init__(self, systems: list[System], path: Path) -> None:
        """Opens or makes it; raises ConfigurationError if another process loads it or it can't be written."""
        self.url = lake_url(path)
        keep_secret([self.url] if "@" in self.url else [])
        try:
            with contextlib.ExitStack() as opened:
                self.files = _Files(self.url)
                opened.enter_context(self.files.held())
                super().__init__(systems, path)
                self.cleanup = opened.pop_all()
        except ConfigurationError:
            raise
        except Exception as error:  # each file system has exceptions of its own
            raise ConfigurationError(self._cannot_open(error)) from error

    @property
    def name(self) -> str:
        """What people call it."""
        return self.url

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config=OFFLINE)
        spill = literal(f"{self.path}.tmp")  # as the DuckDB of a file has it
        connection.execute(f"set timezone = 'UTC'; set memory_limit = '{MEMORY}'; set temp_directory = {spill}")
        if not self.files.is_local:
            connection.register_filesystem(self.files.system)
        for path in self.files.tables():
            self._show(connection, *path.split("/"))
        return connection

    def _destination(self) -> Any:
        destination = _Destination(self.url, layout=LAYOUT, destination_name="filesystem")
        destination.files, destination.connection = self.files, self.connection
        return destination

    def _load(self, pipeline: dlt.Pipeline) -> None:
        for file in Path(pipeline.working_dir).glob("load/normalized/*/new_jobs/*.parquet"):
            # A file that is broken here would break every reader there.
            self.connection.cursor().execute(f"from parquet_file_metadata({literal(str(file))})")
        super()._load(pipeline)

    def _has_loads(self, dataset: str) -> bool:
        return self.files.has(f"{dataset}/_dlt_loads")

    def _cannot_open(self, error: Exception) -> str:
        reason = explain(error)
        if isinstance(error, ConfigFieldMissingException):
            missing = dict.fromkeys(re.findall(r"DESTINATION__FILESYSTEM__\w+", str(error)))
            reason = f"its credentials are missing. Set {', '.join(missing)}"
        return f"can't open or write the lake {self.name}: {reason}"

    def _create_raw(self, system: str, tables: dict[str, Columns], *, may_differ: bool = False) -> None:
        tables = {
            table: [(name, _portable(sql_type), description) for name, sql_type, description in columns]
            for table, columns in tables.items()
        }
        super()._create_raw(system, tables, may_differ=may_differ)

    def _fit(self, system: System, asked: list[Stream]) -> list[Stream]:
        streams = []
        for stream in asked:
            fields = tuple(dataclasses.replace(f, type=_portable(f.type)) for f in stream.contract.fields)
            contract = dataclasses.replace(stream.contract, fields=fields)
            streams.append(dataclasses.replace(stream, contract=contract))
        return super()._fit(system, streams)

    def _declare(
        self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str, present: Present, new: Columns
    ) -> None:
        self._write(connection, dataset, table, [*((name, *column) for name, column in present.items()), *new])

    def _change(
        self, dataset: str, table: str, present: Present, widened: list[tuple[str, str]], gone: list[str]
    ) -> None:
        if widened:  # files that are there too: Spark does not widen while it reads
            casts = ", ".join(f"cast({quote(name)} as {sql_type}) as {quote(name)}" for name, sql_type in widened)
            for path in self.files.of(f"{dataset}/{table}"):
                rows = self.connection.cursor().sql(f"select * replace ({casts}) from read_parquet({literal(path)})")
                self.files.write(path, rows.to_arrow_table())
        if widened or gone:
            types = dict(widened)
            columns = [
                (name, types.get(name, sql_type), evolution.GONE + comment if name in gone else comment)
                for name, (sql_type, comment) in present.items()
            ]
            self._write(self.connection.cursor(), dataset, table, columns)

    def _write(self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str, columns: Columns) -> None:
        """Makes the file that says which columns a table has."""
        comments = json.dumps({name: description for name, _, description in columns}, ensure_ascii=False)
        empty = arrow_schema(tuple(columns)).empty_table().replace_schema_metadata({"comments": comments})
        self.files.write(self.files.path(f"{dataset}/{table}/{SCHEMA}"), empty)
        self._show(connection, dataset, table)

    def _show(self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str) -> None:
        """Makes the view of a table, of all its files."""
        schema = literal(self.files.path(f"{dataset}/{table}/{SCHEMA}"))
        ((comments,),) = connection.execute(
            f"select decode(value) from parquet_kv_metadata({schema}) where decode(key) = 'comments'"
        ).fetchall()
        # With the types of the schema: of files that are being widened, some are and others are not.
        declared = connection.execute(f"describe from read_parquet({schema})").fetchall()
        columns = ", ".join(f"cast({quote(name)} as {sql_type}) as {quote(name)}" for name, sql_type, *_ in declared)
        files = literal(self.files.path(f"{dataset}/{table}/*.parquet"))
        connection.execute(f"create schema if not exists {dataset}")
        connection.execute(
            f"create or replace view {dataset}.{table} as "
            f"select {columns} from read_parquet({files}, union_by_name = true)"
        )
        described = [comment_on(dataset, table, name, comment) for name, comment in json.loads(comments).items()]
        connection.execute("; ".join(described))

    def close(self) -> None:
        """Lets go of the lake."""
        super().close()
        self.cleanup.close()


def _portable(sql_type: str) -> str:
    return "VARCHAR" if sql_type in AS_TEXT else sql_type


class _WholeFiles(LocalFileSystem):
    """Local files that are there as a whole or not at all, whenever the process is killed."""

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        """Makes a folder; dlt means to be the first to make a dataset's, but the tables were here before."""
        super().makedirs(path, exist_ok=True)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        """Copies a file."""
        with _in_one_stroke(self._strip_protocol(rpath)) as part:
            shutil.copyfile(lpath, part)

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        """Writes a file."""
        with _in_one_stroke(self._strip_protocol(path)) as part:
            part.write_bytes(value)

    def write_text(self, path: str, value: str, **_: Any) -> None:
        """Writes a file."""
        self.pipe_file(path, value.encode())


@contextlib.contextmanager
def _in_one_stroke(path: str) -> Iterator[Path]:
    """A path to write to, which becomes `path`. Its name begins with a dot, so that no reader takes it for a file.

    It is on the disk when this ends: dlt then deletes what it came from, and a power cut must not lose it.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    yield part
    sync(part)
    part.replace(target)
    sync(target.parent)


class _Files:
    """The lake's files: `system` is fsspec's file system, which dlt configures as it does for its own destination."""

    def __init__(self, url: str) -> None:
        self.url = url
        destination = dlt.destinations.filesystem(url, layout=LAYOUT)
        client = destination.client(Schema("lake"), destination.spec()._bind_dataset_name("lake"))
        self.is_local, self.root = client.is_local_filesystem, client.bucket_path
        self.system = _WholeFiles(auto_mkdir=True) if self.is_local else client.fs_client

    def path(self, name: str) -> str:
        """What DuckDB calls a file."""
        return f"{self.root}/{name}" if self.is_local else f"{self.url}/{name}"

    def tables(self) -> list[str]:
        """The tables that are there: dataset/table."""
        if self.is_local:  # a bucket is made by who pays for it
            self.system.makedirs(self.root)
        found = self.system.glob(f"{self.root}/raw_*/*/{SCHEMA}")
        return sorted("/".join(path.split("/")[-3:-1]) for path in found)

    def has(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        return self.system.exists(f"{self.root}/{name}")

    def of(self, table: str) -> list[str]:
        """The files of a table with rows, as DuckDB calls them."""
        names = (path.rsplit("/", 1)[1] for path in self.system.glob(f"{self.root}/{table}/*.parquet"))
        return [self.path(f"{table}/{name}") for name in sorted(names) if name != SCHEMA]

    def write(self, path: str, table: pa.Table) -> None:
        """Writes a Parquet file as a whole."""
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        self.system.pipe_file(path, buffer.getvalue().to_pybytes())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the lake to one loader, on one file system; the lock dies with the process, however it ends."""
        folder = Path(self.root) if self.is_local else Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        name = ".lock" if self.is_local else "catchment-" + "".join(c if c.isalnum() else "-" for c in self.url)
        with (folder / name).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read()
                raise ConfigurationError(
                    f"another loader is at work in the lake {self.url} ({holder}). Wait until it has ended"
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()} of {os.uname().nodename}")
            lock.flush()
            yield


class _Destination(dlt.destinations.filesystem):
    """dlt's destination for files, seen by loaders through the DuckDB that shows them."""

    files: _Files
    connection: duckdb.DuckDBPyConnection

    def client(self, schema: Schema, initial_config: Any = None) -> Any:
        """dlt's client for files; its files are whole, and its SQL client is the DuckDB's."""
        client = super().client(schema, initial_config)
        client.fs_client = self.files.system
        shown = dlt.destinations.duckdb(self.connection)
        credentials = DuckDbCredentials(self.connection)
        credentials.resolve()
        client.sql_client = DuckDbSqlClient(client.dataset_name, "", credentials, shown.capabilities())
        return client
