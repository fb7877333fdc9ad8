"""Files of lines that grow, are renamed, compressed, replaced, cut off: every line is read once."""

import gzip
import json
import os
import random
import re
import zlib

import pyarrow as pa
import pytest

from ingestion import lines
from ingestion.errors import PartFailed, SourceError
from ingestion.folder import Folder
from ingestion.lines import Follower

SERIES = re.compile(r"(\.\d+)?(\.gz)?$")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def read(folder):
    """Reads what is new: [(file, number, start, line)], and says which files failed."""
    progress: dict[str, list] = {}

    def read(is_whole=lambda line: False):
        source = Folder(str(folder), "SOURCES__LOGS__FOLDER")
        follower = Follower(source, progress, lambda name: SERIES.sub("", name), is_whole)
        found, read.failure = [], None
        try:
            for stream in follower.lines(source.files()):
                rows = stream.read_all().select(["file", "number", "start", "line"]).to_pylist()
                found += [tuple(row.values()) for row in rows]
        except PartFailed as error:
            read.failure = str(error)
        return found

    return read


def texts(found):
    return [line for *_, line in found]


def compressed(text, codec):
    if codec == "gzip":
        return gzip.compress(text)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(text)
    return sink.getvalue().to_pybytes()


def test_a_growing_file(folder, read):
    log = folder / "access.log"
    log.write_bytes(b"one\ntwo\nthr")
    assert read() == [("access.log", 1, 0, "one"), ("access.log", 2, 4, "two")], "not the line that is being written"
    assert read() == []
    log.write_bytes(b"one\ntwo\nthree\n")
    assert read() == [("access.log", 3, 8, "three")]
    assert read(is_whole=lambda line: True) == []


def test_a_last_line_without_line_break(folder, read):
    (folder / "a.json").write_bytes(b'{"a": 1}\n{"a": 2}')
    assert texts(read(is_whole=lambda line: line.endswith(b"}"))) == ['{"a": 1}', '{"a": 2}']


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_rotation(folder, read, codec):
    """access.log becomes access.log.1, which is compressed later; a new access.log begins."""
    (folder / "access.log").write_bytes(b"one\ntwo\n")
    assert texts(read()) == ["one", "two"]
    with (folder / "access.log").open("ab") as log:
        log.write(b"three\n")
    (folder / "access.log").rename(folder / "access.log.1")
    (folder / "access.log").write_bytes(b"four\n")
    assert sorted(texts(read())) == ["four", "three"]
    (folder / "access.log.1").unlink()
    (folder / "access.log").rename(folder / "access.log.1")
    (folder / "access.log").write_bytes(b"six\n")
    (folder / "access.log.2.gz").write_bytes(compressed(b"one\ntwo\nthree\n", codec))
    with (folder / "access.log.1").open("ab") as log:
        log.write(b"five\n")
    assert sorted(texts(read())) == ["five", "six"]


def test_a_file_that_is_replaced(folder, read):
    log = folder / "access.log"
    log.write_bytes(b"one\ntwo\nthree\n")
    read()
    log.write_bytes(b"four\nfive\n")
    assert texts(read()) == ["four", "five"]
    log.write_bytes(b"four\n")
    assert texts(read()) == ["four"], "shorter than it was: not the same file"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_a_file_that_is_cut_off(folder, read, codec):
    """Its lines so far are read, and the rest once it is there; the others are read, and the failure is told."""
    whole = "".join(f"line {number} {random.Random(number).random()}\n" for number in range(50_000)).encode()
    packed = compressed(whole, codec)
    (folder / "a.log").write_bytes(packed[: len(packed) // 2])
    (folder / "b.log").write_bytes(b"other\n")
    first = [line for name, *_, line in read() if name == "a.log"]
    assert 20_000 < len(first) < 30_000
    assert re.search(r"a\.log: cut off (or damaged )?after [\d,]+ bytes of text, in line [\d,]+\.", read.failure)
    assert read() == [], "nothing new"
    assert read.failure
    (folder / "a.log").write_bytes(packed)
    rest = read()
    assert not read.failure
    assert first + texts(rest) == whole.decode().splitlines()


def test_a_damaged_gzip(folder, read):
    packed = bytearray(gzip.compress(b"".join(b"%d %d\n" % (n, n * n) for n in range(100_000))))
    packed[len(packed) // 2] ^= 255
    (folder / "a.gz").write_bytes(packed)
    assert len(read()) > 1000
    assert re.search(r"a\.gz: (damaged|cut off) after", read.failure)


def test_members_of_a_gzip(folder, read):
    """As `cat a.gz b.gz` makes them, with padding."""
    (folder / "a.gz").write_bytes(gzip.compress(b"one\nt") + gzip.compress(b"wo\n") + b"\0" * 512)
    assert texts(read()) == ["one", "two"]
    assert not read.failure


def test_a_gzip_that_expands(folder, read, monkeypatch):
    """A thousand times its size, in pieces that fit into memory, also where the last one is long in coming."""
    monkeypatch.setattr(lines, "BLOCK", 1000)
    (folder / "a.gz").write_bytes(gzip.compress(b"0" * 999_999 + b"\n" + b"end\n"))
    assert [len(line) for line in texts(read())] == [999_999, 3]


def test_bytes(folder, read):
    """No byte is lost that is no UTF-8; a byte order mark is no part of the first line."""
    (folder / "a.log").write_bytes(b'\xef\xbb\xbfone\n\xff\xfe caf\xc3\xa9 \x00\n\r\n\n{"a": "\xff"}\n')
    *others, last = texts(read())
    assert others == ["one", "\\xff\\xfe café \x00", "\r", ""]
    assert json.loads(last) == {"a": "\\xff"}


def test_a_file_without_lines(folder, read, monkeypatch):
    monkeypatch.setattr(lines, "CHUNK", 1000)
    monkeypatch.setattr(lines, "BLOCK", 100)
    (folder / "a.json").write_bytes(b"[" + b"1, " * 10_000)
    (folder / "b.json").write_bytes(b"x\n" * 10_000)
    assert len(read()) == 10_000
    assert "a.json: line 1 has more than 1,000 bytes: this is no file of lines" in read.failure


def test_what_is_left_alone(folder, read):
    for name in (".hidden", "_SUCCESS", "_tmp/part", "empty.log"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"" if name == "empty.log" else b"line\n")
    assert read() == []
    assert not read.failure


def test_no_folder(tmp_path):
    with pytest.raises(SourceError, match=r"there is no folder .*nowhere: correct SOURCES__LOGS__FOLDER"):
        Folder(f"{tmp_path}/nowhere", "SOURCES__LOGS__FOLDER").files()
    with pytest.raises(SourceError, match="SOURCES__LOGS__FOLDER is nothing://a"):
        Folder("nothing://a", "SOURCES__LOGS__FOLDER")


@pytest.mark.parametrize("seed", range(5))
def test_any_way_of_growing(folder, read, monkeypatch, seed):
    """Lines written bit by bit, with rotations and compressions in between, read at any time: each one once."""
    monkeypatch.setattr(lines, "BLOCK", 64)
    monkeypatch.setattr(lines, "CHUNK", 300)
    monkeypatch.setattr(lines, "STREAM", 1000)
    chance, written, found = random.Random(seed), [], []
    log = folder / "access.log"
    for _ in range(300):
        match chance.randrange(12):
            case 0 if log.exists() and log.read_bytes().endswith(b"\n"):
                for old in sorted(folder.glob("access.log.*"), key=lambda p: -int(p.name.split(".")[2])):
                    _, _, number, *rest = old.name.split(".")
                    old.rename(folder / ".".join(["access.log", str(int(number) + 1), *rest]))
                log.rename(folder / "access.log.1")
            case 1:
                for old in folder.glob("access.log.*"):
                    if not old.name.endswith(".gz") and chance.random() < 0.5:
                        (folder / f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
                        old.unlink()
            case 2 | 3:
                found += texts(read())
                assert not read.failure
            case _:
                line = f"{len(written)} {zlib.crc32(str(len(written)).encode())} {'x' * chance.randrange(100)}"
                written.append(line)
                with log.open("ab") as out:
                    out.write(f"{line}\n".encode())
    found += texts(read())
    assert sorted(found) == sorted(written)
    assert len(os.listdir(folder)) > 3
