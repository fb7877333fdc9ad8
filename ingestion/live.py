"""Live sources, which send when they like: consume, keep, and only then confirm.

Two ways: `drain` takes what is there and ends, for runs; `collect` stays connected.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol

from ingestion.errors import Disconnected
from ingestion.spool import Spool, Writer

LONGEST_DRAIN = 60.0
"""Seconds after which a run goes on, whatever still comes, as soon as it may; the rest comes to the next one."""

LONGEST_PAUSE = 30.0
"""Seconds between two tries to connect, at most."""

INTERVAL = 10.0
"""Seconds after which a person is told how much has come, if anything has."""


class Source(Protocol):
    """What sends."""

    def connect(self) -> list[str]:
        """Connects, where the last connection ended; returns what a person should know. Raises SourceError, or
        Disconnected where another try may succeed."""

    def has_all(self, quiet: float) -> bool:
        """Whether all has come that was there when we connected, as far as one can know after so many seconds without
        anything new."""

    def is_between(self) -> bool:
        """Whether a run may go on with what has come."""

    def receive(self, seconds: float) -> list[Any]:
        """What comes within so many seconds; raises Disconnected."""

    def record(self, item: Any) -> tuple:
        """A received item as the spool has it."""

    def acknowledge(self, items: list[Any]) -> None:
        """Confirms that items are kept; raises Disconnected."""

    def close(self) -> None:
        """Disconnects."""


def drain(source: Source, spool: Spool, tell: Callable[[str], None]) -> None:
    """Keeps what is there, and tells what a person should know. Raises InUse if somebody collects, SourceError, or
    OSError if the disk does."""
    with spool.writing() as writer:
        for note in source.connect():
            tell(note)
        begun = last = time.monotonic()
        while not source.has_all(time.monotonic() - last):
            if _take(source, writer, 0.2):
                last = time.monotonic()
            if time.monotonic() - begun > LONGEST_DRAIN and source.is_between():
                tell(f"more still came after {LONGEST_DRAIN:.0f} seconds: it comes to the next run, or to `collect`")
                break
        source.close()


def collect(source: Source, spool: Spool, is_over: Callable[[], bool], tell: Callable[[str], None]) -> None:
    """Keeps what comes until `is_over`. Lost connections are made again.

    Raises InUse if somebody else collects, SourceError if the source refuses us, OSError if the disk does.
    """
    pause, progress = 1.0, _Progress(spool, tell)
    with spool.writing() as writer:
        while not is_over():
            try:
                for note in source.connect():
                    tell(note)
                    spool.keep_note(note)
                tell("connected")
                while not is_over():
                    progress.count(_take(source, writer, 0.2))
                    pause = 1.0
            except Disconnected as error:
                tell(f"{error}; trying again in {pause:.0f} s")
                until = time.monotonic() + pause
                while time.monotonic() < until and not is_over():
                    time.sleep(0.1)
                    writer.close_due()
                pause = min(2 * pause, LONGEST_PAUSE)
            finally:
                source.close()
    progress.tell_total()


class _Progress:
    """Tells how much has come."""

    def __init__(self, spool: Spool, tell: Callable[[str], None]) -> None:
        self.spool, self.tell = spool, tell
        self.total = self.new = 0
        self.since = time.monotonic()

    def count(self, number: int) -> None:
        """So many came."""
        self.new += number
        if self.new and (seconds := time.monotonic() - self.since) >= INTERVAL:
            self.total += self.new
            self.tell(f"{self.total:,} came, {self.new / seconds:,.1f} a second; {self._waiting()}")
            self.new, self.since = 0, time.monotonic()

    def tell_total(self) -> None:
        """At the end."""
        self.tell(f"stopped after {self.total + self.new:,}; {self._waiting()}")

    def _waiting(self) -> str:
        return f"{len(self.spool.files()):,} files in {self.spool.folder} for the next run"


def _take(source: Source, writer: Writer, seconds: float) -> int:
    """Receives, keeps, confirms; returns how much came."""
    if items := source.receive(seconds):
        writer.append([source.record(item) for item in items])
        source.acknowledge(items)
    writer.close_due()
    return len(items)
