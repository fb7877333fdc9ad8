"""The spool: what `append` returned from is there, whatever dies; the rest is not there, or whole."""

import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion import spool as spools
from ingestion.spool import Spool

SCHEMA = pa.schema([("number", pa.int64()), ("payload", pa.binary())])


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", SCHEMA)


def records(start, stop):
    return [(number, b"\xff" * number) for number in range(start, stop)]


def kept(spool):
    """The numbers in all files, in order; after a writer has looked at what another left."""
    with spool.writing():
        pass
    assert not list(spool.folder.glob("*.journal")) and not list(spool.folder.glob("*.part"))
    rows = [row for file in spool.files() for row in pq.read_table(file).to_pylist()]
    assert all(row["payload"] == b"\xff" * row["number"] for row in rows)
    return [row["number"] for row in rows]


def test_files_have_what_was_appended(spool):
    with spool.writing() as writer:
        writer.append(records(0, 3))
        writer.append(records(3, 5))
        writer.close()
        assert len(spool.files()) == 1
        writer.append(records(5, 6))
    assert len(spool.files()) == 2
    assert kept(spool) == list(range(6))


@pytest.mark.parametrize("limit, value", [("AGE", 0), ("ROWS", 3), ("BYTES", 4)])
def test_a_file_is_made_when_it_is_due(spool, monkeypatch, limit, value):
    with spool.writing() as writer:
        writer.append(records(0, 3))
        writer.close_due()
        assert spool.files() == []
        monkeypatch.setattr(spools, limit, value)
        writer.close_due()
        assert len(spool.files()) == 1


def test_a_journal_that_is_cut_off_has_all_that_was_told(spool):
    """At every byte of the last write."""
    with spool.writing() as writer:
        writer.append(records(0, 3))
        (journal,) = spool.folder.glob("*.journal")
        first = journal.stat().st_size
        writer.append(records(3, 5))
        whole = journal.read_bytes()
    (file,) = spool.files()
    for length in range(len(whole) + 1):
        file.unlink(missing_ok=True)
        journal.write_bytes(whole[:length])
        assert kept(spool) == list(range(0 if length < first else 3 if length < len(whole) else 5))


def test_bytes_that_the_disk_has_lost(spool):
    with spool.writing() as writer:
        writer.append(records(0, 3))
        (journal,) = spool.folder.glob("*.journal")
        first = journal.stat().st_size
        writer.append(records(3, 5))
        whole = bytearray(journal.read_bytes())
    spool.files()[0].unlink()
    whole[first + 12] ^= 1
    journal.write_bytes(whole)
    assert kept(spool) == [0, 1, 2]


def test_a_full_disk_keeps_none_of_a_write(spool, monkeypatch):
    with spool.writing() as writer:
        writer.append(records(0, 3))
        write = os.write

        def write_some(file, data):
            if len(data) < 20:
                raise OSError(28, "No space left on device")
            return write(file, data[:10])

        monkeypatch.setattr(os, "write", write_some)
        with pytest.raises(OSError, match="No space left"):
            writer.append(records(100, 103))
        monkeypatch.undo()
        writer.append(records(3, 5))
    assert kept(spool) == list(range(5))


def test_a_file_that_was_made_before_its_journal_went_is_made_again(spool):
    with spool.writing() as writer:
        writer.append(records(0, 3))
        (journal,) = spool.folder.glob("*.journal")
        content = journal.read_bytes()
    journal.write_bytes(content)
    assert kept(spool) == [0, 1, 2]


def test_a_writer_that_is_killed(spool):
    """It tells the number of what it has appended; all of that is there afterwards."""
    program = f"""
from tests.ingestion.test_spool import *
with Spool({str(spool.folder)!r} and __import__("pathlib").Path({str(spool.folder)!r}), SCHEMA).writing() as writer:
    for number in range(10**6):
        writer.append([(number % 50, b"\\xff" * (number % 50))])
        print(number, flush=True)
        if number % 7 == 0:
            writer.close()
"""
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        told = [process.stdout.readline() for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
        process.wait()
        last = int(told[-1] if told[-1].endswith("\n") else told[-2])
        found = kept(spool)
        assert len(found) in (last + 1, last + 2)
        assert found == [number % 50 for number in range(len(found))]
        for file in spool.files():
            file.unlink()
