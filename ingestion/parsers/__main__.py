"""The child process in which files are parsed: `python -m ingestion.parsers MODULE`, started by `ingestion.untrusted`.

It reads files from standard input and writes messages to standard output, each with a HEAD before it: an empty
one once it has begun; then lists of (stream, row), and for each file one object at last, {status, reason, has_rows,
is_worn}. It has no network, starts no process, changes no file, holds no more than MEMORY, and does not outlive who
started it.
"""

import ctypes
import importlib
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from ingestion.parsers import Unreadable

MEMORY = 2**30
"""Bytes of address space."""

WORN = MEMORY // 2
"""A child that has grown so far makes room for a new one."""

BATCH = 2**18
"""Characters of rows, roughly, that one message holds."""

FORBIDDEN = (
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen"),
    *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn"),
    *("os.remove", "os.rename", "os.truncate", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown"),
)

TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that a process gets when the one that started it has ended."""

HEAD = struct.Struct(">?Q")
"""Whether a message is a file's last, and how many bytes it has."""

_encode = msgspec.msgpack.Encoder().encode


def _forbid(event: str, arguments: Any) -> None:
    if event in FORBIDDEN or (event == "open" and arguments[2] & TO_WRITE):
        raise PermissionError(f"a parser may not do this: {event}")


def _bound() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_forbid)


def _messages(parse: Any, data: bytes, name: str, options: dict[str, Any]) -> Iterator[tuple[bool, Any]]:
    """What became of one file, each with whether it is the last of it."""
    said: dict[str, Any] = {"status": "read", "reason": None, "has_rows": True}
    try:
        batch, size, rows = [], 0, _Returning(parse(data, name, **options))
        for stream, row in rows:
            batch.append((stream, row))
            size += sum(map(_size, row.values()))
            if size >= BATCH:
                yield False, batch
                batch, size = [], 0
        yield False, batch
        if rows.value:
            said |= {"status": rows.value.status, "reason": rows.value.reason}
    except Unreadable as error:
        said = {"status": error.status, "reason": error.reason, "has_rows": False}
    except MemoryError:
        reason = f"it needs more than {MEMORY // 2**20:,} MiB of memory"
        said = {"status": "refused", "reason": reason, "has_rows": False}
    except Exception as error:  # whatever a damaged file makes a library do
        said = {"status": "broken", "reason": f"{type(error).__name__}: {error}"[:500], "has_rows": False}
    yield True, said | {"is_worn": _address_space() > WORN}


def _size(value: Any) -> int:
    if isinstance(value, list):
        return len(value) + sum(len(each) for each in value if isinstance(each, str))
    return len(value) if isinstance(value, str) else 8


class _Returning:
    """A generator whose returned value is kept."""

    def __init__(self, rows: Any) -> None:
        self.rows, self.value = rows, None

    def __iter__(self) -> Iterator[Any]:
        self.value = yield from self.rows


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def _read(source: BinaryIO) -> bytes | None:
    """The next message; None at the end."""
    head = source.read(HEAD.size)
    return source.read(HEAD.unpack(head)[1]) if len(head) == HEAD.size else None


def main(module: str) -> None:
    """Parses files until there is none left."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no message
    parse = importlib.import_module(module).parse
    _bound()
    sink.write(HEAD.pack(True, 0))
    sink.flush()
    while (request := _read(source)) is not None:
        asked = msgspec.msgpack.decode(request)
        for is_last, message in _messages(parse, _read(source), asked["name"], asked["options"]):
            packed = _encode(message)
            sink.write(HEAD.pack(is_last, len(packed)) + packed)
        sink.flush()


if __name__ == "__main__":
    main(sys.argv[1])
