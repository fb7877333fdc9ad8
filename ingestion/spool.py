"""What live sources sent, safe on this machine's disk before they are told so: a folder that readers and writers of
the warehouse never wait for.

    warehouse/local.spool/devices/2026-11-27T08-43-00.123456Z-5f3c2a1e.journal   what came last, record by record
    warehouse/local.spool/devices/2026-11-27T08-42-58.987654Z-0b7d9e44.parquet   what came before; `run` loads these

A record counts as kept when its journal is on the disk. A journal becomes a Parquet file of the same name, so that
whatever dies in between is done again with the same result. Parquet files may be queried at any time.
"""

import contextlib
import fcntl
import os
import struct
import time
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import SourceError

FRAME = struct.Struct("<II")
"""Before every write to a journal: its length in bytes, and its CRC-32."""

NOTES = "notes.txt"
"""What collectors were told, for the ledger."""

AGE, ROWS, BYTES = 1.0, 100_000, 64 * 2**20
"""A journal becomes a Parquet file when it is so many seconds old, has so many records, or so many bytes."""

GROUP, FEWEST = 8 * 2**20, 64
"""Bytes of a journal that become a row group, which whoever reads it holds at once; but at least so many rows, since
DuckDB waits for two thousand if there are fewer."""


class InUse(SourceError):
    """Another process writes into the spool."""


class Spool:
    """A folder of records, each with the columns of `schema`."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder, self.schema = folder, schema

    def files(self) -> list[Path]:
        """The Parquet files, oldest first."""
        return sorted(self.folder.glob("*.parquet"))

    def keep_note(self, text: str) -> None:
        """Keeps what a person should know for the ledger of the next run."""
        with (self.folder / NOTES).open("a") as file:
            file.write(f"{text}\n")

    def notes(self) -> list[str]:
        """The notes that were kept, which then go."""
        try:
            found = (self.folder / NOTES).read_text().splitlines()
        except FileNotFoundError:
            return []
        (self.folder / NOTES).unlink()
        return list(dict.fromkeys(found))

    @contextlib.contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Writes into it, for the length of a with block; what a process that died had kept becomes a file first.

        Raises InUse while another process does.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InUse(f"another process collects into {self.folder}") from None
            for left in self.folder.glob("*.part"):
                left.unlink()
            for journal in sorted(self.folder.glob("*.journal")):
                self._close(journal, _records(journal.read_bytes()))
            writer = Writer(self)
            try:
                yield writer
            finally:
                writer.close()
        finally:
            os.close(lock)

    def _close(self, journal: Path, records: list[tuple]) -> None:
        """Makes a Parquet file of a journal, which then goes."""
        if records:
            columns = zip(zip(*records, strict=True), self.schema.types, strict=True)
            table = pa.table([pa.array(column, kind) for column, kind in columns], self.schema)
            file = journal.with_suffix(".parquet")
            with open(part := journal.with_suffix(".part"), "wb") as output:
                rows = len(records) * GROUP // journal.stat().st_size
                pq.write_table(table, output, row_group_size=max(rows, FEWEST))
                output.flush()
                os.fsync(output.fileno())
            part.rename(file)
            sync(self.folder)
        journal.unlink()


class Writer:
    """Appends records to a spool. After an error it appends no more; what it kept is there for the next one."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self._journal, self._file = spool, Path(), -1
        self._records: list[tuple] = []
        self._bytes, self._since = 0, 0.0

    def append(self, records: list[tuple]) -> None:
        """Keeps records: they are on the disk when this returns. Raises OSError, and keeps none, if the disk is full
        or fails."""
        if self._file < 0:
            name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}Z-{uuid.uuid4().hex[:8]}.journal"
            self._journal, self._bytes, self._since = self._spool.folder / name, 0, time.monotonic()
            self._file = os.open(self._journal, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o644)
            sync(self._spool.folder)
        data = msgspec.msgpack.encode(records)
        frame = FRAME.pack(len(data), zlib.crc32(data)) + data
        try:
            _write(self._file, frame)
            os.fdatasync(self._file)
        except OSError:
            with contextlib.suppress(OSError):  # a frame cut off is told by its length or sum
                os.ftruncate(self._file, self._bytes)
            raise
        self._records += records
        self._bytes += len(frame)

    def close_due(self) -> None:
        """Makes a Parquet file of what was appended, if that is long enough ago or much."""
        age = time.monotonic() - self._since
        if self._records and (age >= AGE or len(self._records) >= ROWS or self._bytes >= BYTES):
            self.close()

    def close(self) -> None:
        """Makes a Parquet file of what was appended."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            records, self._records = self._records, []
            self._spool._close(self._journal, records)


def _write(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync(path: Path) -> None:
    """Puts a file, or what was created or renamed in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Writes a text to the disk: the file has the old one or the new one, whenever we are killed."""
    with open(new := path.with_name(f"{path.name}.new"), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync(path.parent)


def _records(journal: bytes) -> list[tuple]:
    """The records of a journal, but for a last write that was cut off, of which nobody was told."""
    records: list[tuple] = []
    start = 0
    while start + FRAME.size <= len(journal):
        length, checksum = FRAME.unpack_from(journal, start)
        data = journal[start + FRAME.size : start + FRAME.size + length]
        if len(data) < length or zlib.crc32(data) != checksum:
            break
        records += msgspec.msgpack.decode(data, type=list[tuple])
        start += FRAME.size + length
    return records
