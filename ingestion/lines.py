"""Lines of text files that other programs write: in a folder or bucket, compressed or not, growing, rotated, cut off.

A file is known again by its first line, so that it may be renamed and compressed, and is read from where the last run
stopped. `Follower` keeps that in the state of its stream:

    name -> [size, time of change or ETag, identity, bytes of text read, lines read]
"""

import dataclasses
import hashlib
import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.errors import PartFailed, SourceError, explain
from ingestion.folder import File, Folder

BLOCK = 2**20
"""Bytes that are read, and of text handed on, at once: what stays in the processor's cache, and in memory that need
not be asked for again."""

CHUNK = 32 * 2**20
"""More bytes than any line has."""

STREAM = 2**30
"""Bytes of lines that one statement types."""

NOT_EMPTY = r"not regexp_full_match(line, '[ \t\r]*')"
"""SQL over a table of lines: an empty one is none."""

BOM = b"\xef\xbb\xbf"

HEAD = 4096
"""Bytes of its first line by which a file is known again."""


@dataclasses.dataclass(frozen=True)
class _Piece:
    """Some lines of a file (none: it is read to its end), and where that leaves us."""

    name: str
    progress: list
    table: pa.Table | None = None


class Follower:
    """Reads what is new in files. `series` gives the name that a file shares with those it may be renamed to;
    `is_whole` tells whether a last line without a line break is complete."""

    def __init__(
        self,
        folder: Folder,
        progress: dict[str, list],
        series: Callable[[str], str] = lambda name: name,
        is_whole: Callable[[bytes], bool] = lambda line: False,
    ) -> None:
        self.folder, self.progress, self.series, self.is_whole = folder, progress, series, is_whole
        self.read = {identity: (start, number) for _, _, identity, start, number in progress.values()}
        self.failures: list[str] = []

    def lines(self, files: list[File]) -> Iterator[pa.RecordBatchReader]:
        """The new lines of the files, as streams: each is to be read to its end before the next one is asked for, and
        reads, unpacks and splits files when it is. What was read is noted as progress.

        A line has `line` (text; what is no UTF-8 as \\xff), its `number` from 1 and `start` (bytes) in the file, and
        the file's name (`file`) and `identity`. A file that can't be read, or ends too early, stops no other; when all
        are read, PartFailed says which.
        """
        batches = self._batches(files)
        for first in batches:
            yield pa.RecordBatchReader.from_batches(first.schema, _some(first, batches))
        for name in self.progress.keys() - {file.name for file in files}:
            del self.progress[name]
        if self.failures:
            raise PartFailed(
                f"{len(self.failures):,} files could not be read to the end: {'; '.join(self.failures[:5])}"
            )

    def _batches(self, files: list[File]) -> Iterator[pa.RecordBatch]:
        """Of which each of DuckDB's threads takes one; the lines of small files together."""
        pieces: list[_Piece] = []
        size = 0
        for piece in self._pieces(files):
            pieces.append(piece)
            size += piece.table.nbytes if piece.table else 0
            if size >= BLOCK:
                yield from self._together(pieces)
                pieces, size = [], 0
        yield from self._together(pieces)

    def _together(self, pieces: list[_Piece]) -> Iterator[pa.RecordBatch]:
        if tables := [piece.table for piece in pieces if piece.table]:
            yield from pa.concat_tables(tables).combine_chunks().to_batches()
        self.progress |= {piece.name: piece.progress for piece in pieces}

    def _pieces(self, files: list[File]) -> Iterator[_Piece]:
        for file in files:
            if file.is_link or self.progress.get(file.name, [])[:2] == [file.size, file.changed]:
                continue
            try:
                yield from self._pieces_of(file)
            except Exception as error:  # whatever it is, the other files are read
                self.failures.append(f"{file.name}: {explain(error)}")

    def _pieces_of(self, file: File) -> Iterator[_Piece]:
        with self.folder.open(file.name) as raw:
            is_plain, blocks = _blocks(raw)
            text = next(blocks, b"")
            head = text.partition(b"\n")[0][:HEAD]
            identity = hashlib.md5(self.series(file.name).encode() + b"\n" + head).hexdigest()
            start, number = self.read.get(identity, (0, 0))
            skipped = 0
            if is_plain and len(text) < start <= file.size:
                raw.seek(start)
                skipped, text = start, next(blocks, b"")
            while text and skipped + len(text) < start:
                skipped += len(text)
                text = next(blocks, b"")
            if skipped + len(text) < start:  # shorter than what was read of it: another file, which begins like it
                skipped = start = number = 0
                raw.seek(0)
                _, blocks = _blocks(raw)
                text = next(blocks, b"")
            waiting, damage = [text[start - skipped :]], None
            while waiting:
                try:
                    block = next(blocks, None)
                except SourceError as error:
                    block, damage = None, error
                waiting += [block] if block else []
                size = sum(map(len, waiting))
                if block and (size < BLOCK or (b"\n" not in block and size < CHUNK)):
                    continue
                text = b"".join(waiting)
                end = text.rfind(b"\n") + 1
                if not block and not damage and self.is_whole(text[end:]):
                    end = len(text)
                if end:
                    table = _table(text[:end], start, number, file.name, identity)
                    start, number = start + end, number + table.num_rows
                    self.read[identity] = start, number
                    yield _Piece(file.name, [-1, "", identity, start, number], table)
                if block and not end:
                    raise SourceError(f"line {number + 1:,} has more than {CHUNK:,} bytes: this is no file of lines")
                waiting = [text[end:]] if block else []
            if damage:
                raise SourceError(f"{damage}, in line {number + 1:,}. The lines before it are read; deliver it again")
            yield _Piece(file.name, [file.size, file.changed, identity, start, number])


def _some(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of up to STREAM bytes in all."""
    size = 0
    for batch in itertools.chain([first], rest):
        yield batch
        size += batch.nbytes
        if size >= STREAM:
            return


def _blocks(raw: BinaryIO) -> tuple[bool, Iterator[bytes]]:
    """Whether a file is not compressed, and its text; that raises SourceError where a compressed file is damaged."""
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return False, _gunzipped(raw)
    if magic == b"\x28\xb5\x2f\xfd":
        return False, _unpacked(raw)
    return True, iter(lambda: raw.read(BLOCK), b"")


def _gunzipped(raw: BinaryIO) -> Iterator[bytes]:
    """Of one gzip member after the other; zlib itself, since Python's gzip forgets what came before a damage."""
    inflate, size = zlib.decompressobj(31), 0
    packed = raw.read(BLOCK)
    while packed or not inflate.eof:
        try:
            text = inflate.decompress(packed, BLOCK)
        except zlib.error as error:
            raise SourceError(f"damaged after {size:,} bytes of text ({error})") from error
        size += len(text)
        if text:
            yield text
        if inflate.eof:
            packed = (inflate.unused_data or raw.read(BLOCK)).lstrip(b"\0")  # a member may be padded
            if packed:
                inflate = zlib.decompressobj(31)
        else:
            packed = inflate.unconsumed_tail or raw.read(BLOCK)
            if not packed and not text:
                raise SourceError(f"cut off after {size:,} bytes of text")


def _unpacked(raw: BinaryIO) -> Iterator[bytes]:
    size, stream = 0, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    while True:
        try:
            text = stream.read(BLOCK // 16)
        except OSError as error:
            raise SourceError(f"cut off or damaged after {size:,} bytes of text") from error
        if not text:
            return
        size += len(text)
        yield text


def _decode(line: bytes) -> str:
    """A line as text; within an object, the escape of what is no UTF-8 must not be one of JSON."""
    text = line.decode("utf-8", "surrogateescape")
    escape = "\\\\x" if line.startswith(b"{") else "\\x"
    return "".join(f"{escape}{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in text)


def _table(text: bytes, start: int, number: int, name: str, identity: str) -> pa.Table:
    text = text.removesuffix(b"\n")
    bounds = pa.array([0, len(text)], pa.int64()).buffers()[1]
    whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, bounds, pa.py_buffer(text)])
    lines = pc.split_pattern(whole, b"\n").flatten()
    ends = pc.cumulative_sum(pc.add(pc.binary_length(lines), 1), start)
    if not start and text.startswith(BOM):
        lines = pa.concat_arrays([pa.array([lines[0].as_py().removeprefix(BOM)], lines.type), lines[1:]])
    try:
        texts = lines.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = pa.array(map(_decode, lines.to_pylist()), pa.large_string())
    return pa.table(
        {
            "line": texts,
            "number": pa.array(range(number + 1, number + 1 + len(lines)), pa.int64()),
            "start": pa.concat_arrays([pa.array([start], pa.int64()), ends[:-1]]),
            "file": pa.repeat(name, len(lines)),
            "identity": pa.repeat(identity, len(lines)),
        }
    )
