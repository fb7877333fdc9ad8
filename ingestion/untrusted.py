"""Files that nobody vouches for: found in a folder, read once, parsed in a bounded child process, and accounted for.

Every file ends as rows, or as a row of the stream `files` that says why not. `FileReader` is what the readers of
spreadsheets, documents and images have in common; what it has read is noted in the state of each stream:

    name -> [size, time of change or ETag], or null if it has to be read again
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ingestion.contract import contract, field, items
from ingestion.errors import PartFailed, SourceError, explain
from ingestion.folder import File, Folder, NotAFile
from ingestion.parsers import EXPANDED, Unreadable
from ingestion.parsers.__main__ import HEAD
from ingestion.stream import Gone, Page, Stream, Window

LARGEST = 64 * 2**20
"""Bytes that a file may have."""

SECONDS, PATIENCE = 60.0, 600.0
"""Of a processor that the parsing of a file may take, and on the clock: others may want the processor too."""

PASSES = 3
"""Over a file that changes while it is read."""

SHOWN = 5
"""Files that an error names."""

CHILDREN = min(len(os.sched_getaffinity(0)), 8)
"""Processes at once, of 150 MB and up to 1 GiB each: a container may have less memory than its machine processors."""


@contract
class Files:
    """One file in the folder."""

    path: str = field("Its name, below the folder.", key=True)
    file_id: str | None = field("SHA-256 of its bytes (hex); null if they were not read.")
    size_bytes: int = field("Its size.")
    status: str = field(
        "read; empty, encrypted, scanned (a document of pictures of text), broken, refused (a limit, a link out of the "
        "folder), unsupported, or failed (the next run tries again)."
    )
    reason: str | None = field("Why it is not read, for a person.")
    modified_at: datetime | None = field("When it was last changed, by the folder's clock (UTC).")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a file. `rows` has its rows, if it has some; one that is not settled is read again in any case."""

    file: File
    observed_at: datetime
    status: str
    reason: str | None = None
    file_id: str | None = None
    rows: Path | None = None
    is_settled: bool = True

    def batches(self) -> Iterator[list[tuple[str, dict[str, Any]]]]:
        """Its (stream, row), some at a time."""
        if self.rows:
            with self.rows.open("rb") as file:
                while head := file.read(HEAD.size):
                    yield msgspec.msgpack.decode(file.read(HEAD.unpack(head)[1]))

    def of(self, stream: str) -> list[dict[str, Any]]:
        """Its rows of a stream."""
        return [row for batch in self.batches() for name, row in batch if name == stream]


class FileReader:
    """Reads what is new and has changed in a folder.

    A subclass names the `parser` module, `main`, the stream that has a row for each file that was opened, if there is
    one, with the name of its key, and may say how a file's `pages` come about. `options` are the parser's.
    """

    parser: str
    main: tuple[str, str] | None = None

    def __init__(self, folder: str, option: str, storage: dict[str, Any] | None = None, **options: Any) -> None:
        self.folder, self.option = Folder(folder, option, storage), option
        self.children = [Child(self.parser, options) for _ in range(CHILDREN)]
        self.free: queue.SimpleQueue[Child] = queue.SimpleQueue()
        for child in self.children:
            self.free.put(child)
        self.pool = ThreadPoolExecutor(CHILDREN)
        self.outcomes: dict[str, Outcome] = {}

    @functools.cached_property
    def files(self) -> list[File]:
        """What there is, the same for all streams of a run; not what Office notes of files that somebody has open."""
        return [file for file in self.folder.files() if not file.name.rpartition("/")[2].startswith("~$")]

    @functools.cached_property
    def kept(self) -> tempfile.TemporaryDirectory:
        """Where rows wait for their streams, so that a file is parsed once."""
        return tempfile.TemporaryDirectory(prefix="catchment-")

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Gone]:
        """Yields the rows of files that are new or have changed, and what is gone with those that vanished.

        Raises PartFailed for files that should be read again, and if most of what was there has vanished at once.
        """
        window.is_complete, failures = False, []
        done: dict[str, list | None] = window.state.setdefault(
            "files", dict.fromkeys(window.forgotten.get("files", {}))
        )
        marks = {file.label: self.mark(stream, file) for file in self.files}
        new = [file for file in self.files if marks[file.label] not in (None, done.get(file.label))]
        for outcome in self._read(new):
            name = outcome.file.label
            done[name] = None  # at once: it may break on the way, and then go, or be what it was before
            try:
                if outcome.is_settled or stream.name == "files":
                    yield from self.pages(stream, outcome, window)
                if not outcome.is_settled:
                    raise SourceError(outcome.reason)
                done[name] = marks[name]
            except SourceError as error:
                failures.append(f"{name}: {error}")
        unlisted = tuple(f"{file.label}/" for file in self.files if file.is_unlisted)
        vanished = sorted(name for name in done if marks.get(name) is None and not name.startswith(unlisted))
        if 2 * len(self.files) < len(done) and not window.accept_deletes:
            failures.append(
                f"there are {len(self.files):,} files where {len(done):,} were; what is missing stays as it was. Is "
                f"{self.option} right? If so, run again with --accept-deletes"
            )
        else:
            yield from self.vanished(stream, vanished, window)
            for name in vanished:
                del done[name]
        if failures:
            raise PartFailed(f"{len(failures):,} files could not be read: {'; '.join(failures[:SHOWN])}")

    def mark(self, stream: Stream, file: File) -> list | None:
        """What changes when a file has to be read again for a stream; None if that takes nothing from it."""
        return [file.size, file.changed]

    def pages(self, stream: Stream, outcome: Outcome, window: Window) -> Iterator[Page]:
        """The rows of one file in a stream; those of a scope are in one page. Raises SourceError for a file that is not
        as it should be."""
        if stream.name == "files":
            rows = [_row(outcome)]
        elif self.main and stream.name == self.main[0] and outcome.file_id and not outcome.rows:
            rows = [{self.main[1]: outcome.file_id, "status": outcome.status, "reason": outcome.reason}]
        else:
            rows = outcome.of(stream.name)
        if rows:
            yield Page(items(rows, outcome.file.label), outcome.observed_at)

    def vanished(self, stream: Stream, names: list[str], window: Window) -> Iterator[Page | Gone]:
        """What files that are no longer there leave behind: their rows in `files` are gone, all others stay."""
        if stream.name == "files" and names:
            yield Gone(names, datetime.now(UTC))

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if there is no such folder."""
        return self.folder.summary()

    def close(self) -> None:
        """Ends the children, and removes what was kept."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        for child in self.children:
            child.kill()  # whoever waits for it need not wait
        self.pool.shutdown()
        for child in self.children:
            child.close()
        if "kept" in self.__dict__:
            self.__dict__.pop("kept").cleanup()

    def _read(self, files: list[File]) -> Iterator[Outcome]:
        """What became of files, in their order; several are parsed at once, a few ahead of who asks."""
        ahead: deque[Future[Outcome]] = deque()
        _ = self.kept  # made before threads ask for it
        for file in files:
            ahead.append(self.pool.submit(self._outcome, file))
            if len(ahead) > 4 * CHILDREN:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _outcome(self, file: File) -> Outcome:
        if file.label not in self.outcomes:
            self.outcomes[file.label] = self._parsed(file)
        return self.outcomes[file.label]

    def _parsed(self, file: File) -> Outcome:
        known = {"file": file, "observed_at": datetime.now(UTC)}
        try:
            data = self._bytes(file)
        except Unreadable as error:
            return Outcome(**known, status=error.status, reason=error.reason)
        except Exception as error:  # of the file system, whichever it is
            return Outcome(**known, status="failed", reason=explain(error), is_settled=False)
        return self._given(known | {"file_id": hashlib.sha256(data).hexdigest()}, data)

    def _given(self, known: dict[str, Any], data: bytes) -> Outcome:
        """What becomes of a file's bytes."""
        name = known["file"].label
        rows = Path(self.kept.name) / f"{hashlib.md5(name.encode()).hexdigest()}.rows"
        child = self.free.get()
        try:
            with rows.open("wb") as sink:
                said = child.parse(data, name, sink)
        except Unreadable as error:
            rows.unlink()
            return Outcome(**known, status=error.status, reason=error.reason)
        except SourceError as error:
            return Outcome(**known, status="failed", reason=str(error), is_settled=False)
        finally:
            self.free.put(child)
        return Outcome(**known, status=said["status"], reason=said["reason"], rows=rows)

    def _bytes(self, file: File) -> bytes:
        """A file's bytes; raises Unreadable, and what the file system raises."""
        if file.size > LARGEST:
            raise Unreadable("refused", f"it has {file.size:,} bytes; {LARGEST:,} are allowed")
        data = self._at_once(file, lambda opened: opened.read(LARGEST + 1))
        if len(data) > LARGEST:
            raise Unreadable("refused", f"it has more than {LARGEST:,} bytes")
        if not data:
            raise Unreadable("empty", "it has no bytes")
        return data

    def _at_once(self, file: File, read: Callable[[BinaryIO], Any]) -> Any:
        """What `read` makes of an open file that stays as it is meanwhile; raises as `_bytes` does."""
        if file.is_link:
            raise Unreadable("refused", "it is a link to a folder, which is not followed")
        if file.is_unlisted:
            raise SourceError("it is a folder that can't be listed; what was read of it before stays as it was")
        for _ in range(PASSES):
            try:
                with self.folder.open_own(file.name) as opened:
                    before = _status(opened)
                    found = read(opened)
                    if _status(opened) == before:
                        return found
            except NotAFile as error:
                raise Unreadable("refused", str(error)) from error
        raise SourceError("it changed while it was read, each time. The next run tries again")


def _status(opened: BinaryIO) -> list[int]:
    """Size and time of change (ns) of an open local file; a bucket gives one version of a file, whole."""
    try:
        status = os.fstat(opened.fileno())
    except (OSError, AttributeError):
        return []
    return [status.st_size, status.st_mtime_ns]


def _row(outcome: Outcome) -> dict[str, Any]:
    """A file in the stream `files`."""
    file = outcome.file
    return {
        "path": file.label,
        "file_id": outcome.file_id,
        "size_bytes": file.size,
        "status": outcome.status,
        "reason": outcome.reason,
        "modified_at": file.modified_at.isoformat() if file.modified_at else None,
    }


class Child:
    """A process that parses one file after the other, started when first needed."""

    def __init__(self, module: str, options: dict[str, Any]) -> None:
        self.module, self.options, self.process = module, options, None

    def parse(self, data: bytes, name: str, rows: BinaryIO) -> dict[str, Any]:
        """Writes the messages with a file's rows, and returns what the child says of it; raises Unreadable."""
        process = self.process = self.process or self._start()
        is_late = _watch(process)
        request = msgspec.msgpack.encode({"name": name, "options": self.options})
        sender = threading.Thread(target=_send, args=(process, [request, data]), daemon=True)
        sender.start()
        try:
            is_last, size = False, 0
            while not is_last:
                head = _receive(process, HEAD.size, is_late)
                is_last, length = HEAD.unpack(head)
                size += length
                if size > EXPANDED:
                    raise Unreadable("refused", f"it gives more than {EXPANDED:,} bytes of rows")
                message = _receive(process, length, is_late)
                if not is_last:
                    rows.write(head + message)
        except BaseException:
            self.close()  # it may be doing anything
            raise
        sender.join()
        said = msgspec.msgpack.decode(message)
        if said["is_worn"]:
            self.close()
        if not said["has_rows"]:
            raise Unreadable(said["status"], said["reason"])
        return said

    def kill(self) -> None:
        """Ends the process; another thread may be waiting for it."""
        if process := self.process:
            process.kill()

    def close(self) -> None:
        """Ends the process, and lets go of it."""
        self.kill()
        if process := self.process:
            self.process = None
            process.communicate()

    def _start(self) -> subprocess.Popen:
        """A new process, once it has its libraries: that is no part of a file's time, and no file's fault."""
        process = subprocess.Popen(
            [sys.executable, "-m", "ingestion.parsers", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
            bufsize=0,
        )
        try:
            _receive(process, HEAD.size, _watch(process))
        except Unreadable as error:
            process.kill()
            process.communicate()
            command = f"python -m ingestion.parsers {self.module}"
            raise SourceError(
                f"the process for it does not start: see what `{command}` says. {error.reason}"
            ) from error
        return process


def _watch(process: subprocess.Popen) -> Callable[[], bool]:
    """Tells whether a process has taken too long from now on."""
    used, began = _processor_seconds(process), time.monotonic()
    return lambda: _processor_seconds(process) - used > SECONDS or time.monotonic() - began > PATIENCE


def _processor_seconds(process: subprocess.Popen) -> float:
    with open(f"/proc/{process.pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _receive(process: subprocess.Popen, length: int, is_late: Callable[[], bool]) -> bytes:
    parts, pipe = [], process.stdout.fileno()
    while length:
        ready, _, _ = select.select([pipe], [], [], 0.25)
        if is_late():
            raise Unreadable("refused", f"it was not parsed within {SECONDS:.0f} seconds")
        if ready:
            if not (part := os.read(pipe, min(length, 2**20))):
                raise _died(process.wait())
            parts.append(part)
            length -= len(part)
    return b"".join(parts)


def _send(process: subprocess.Popen, parts: list[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):  # the child has died, as who reads from it will see
        for part in parts:
            process.stdin.write(HEAD.pack(True, len(part)))
            view = memoryview(part)
            while view:
                view = view[process.stdin.write(view) :]


def _died(code: int) -> Exception:
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code in (-signal.SIGKILL, -signal.SIGTERM):  # no parser does that to itself
        return SourceError(f"something ended its parser ({cause}), maybe as memory ran out. The next run tries again")
    if code == -signal.SIGABRT:  # what libraries in C++ do that get no memory
        return Unreadable("refused", f"its parser gave up, most likely for want of memory ({cause})")
    if code == -signal.SIGVTALRM:  # what a parser sets that can't end a library's work
        return Unreadable("refused", f"a part of it takes its parser too long ({cause})")
    return Unreadable("broken", f"its parser died ({cause})")
