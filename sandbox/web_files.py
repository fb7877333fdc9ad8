"""The files that the site and the app leave behind: an archive of events, and the web server's logs.

events/YYYY/MM/DD.json.gz has the calls that arrived on a day. logs/access.log has the newest day; older ones are
rotated, all but the one before it compressed. What is wrong with them on purpose is here, and counted.
"""

import gzip
import random
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from sandbox.files import put

TWICE, BROKEN, MISDATED, DEEP = 0.02, 0.004, 0.002, 0.002
"""Shares of calls: sent again, followed by a line that is none, dated by a clock that was never set, nested deep."""
BAD_LINES = {
    "cut": b'{"messageId":"cut-%d","type":"page","properties":{"url":"https://',
    "no_id": b'{"type":"track","event":"Product Added","number":%d}',
    "no_object": b'"lost %d"',
}
BAD_REQUESTS = {
    "cut": b'198.51.100.7 - - [01/Jan/2026:00:00:%02d +0000] "GET /cof',
    "garbage": b"\x16\x03\x01\x02\x00 %d",
}


class Archive:
    """Calls of the analytics libraries, by the day that they arrived."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.broken = rng, Counter[str]()
        self._lines: dict[date, list[bytes]] = defaultdict(list)
        self._files: dict[str, bytes] = {}
        self._encode = msgspec.json.Encoder().encode

    def add(self, call: dict[str, Any], at: datetime, waits: timedelta, skew: timedelta) -> date:
        """Takes in a call made `at` (UTC) by a clock that is `skew` off, sent after it `waits`; returns the day when
        it arrives."""
        rng, sent = self.rng, at + waits + timedelta(milliseconds=300)
        received = sent + timedelta(milliseconds=100)
        original = _text(at + skew)
        if not waits and not skew and rng.random() < MISDATED:
            original = rng.choice(["1970-01-01T00:00:12.000Z", "2099-12-31T23:59:59.000Z"])
        if rng.random() < DEEP:
            call["properties"] = call.get("properties", {}) | {"nested": _nested(10)}
        times = {"originalTimestamp": original, "sentAt": _text(sent + skew), "receivedAt": _text(received)}
        lines = self._lines[received.date()]
        lines.append(self._encode(call | times))
        if original == _text(at + skew) and rng.random() < TWICE:  # the answer was lost: it is sent again
            again = timedelta(seconds=40)
            times |= {"sentAt": _text(sent + skew + again), "receivedAt": _text(received + again)}
            lines.append(self._encode(call | times))
        if rng.random() < BROKEN:
            kind = list(BAD_LINES)[self.broken.total() % len(BAD_LINES)]
            self.broken[kind] += 1
            line = BAD_LINES[kind]
            lines.append(line % self.broken.total() if b"%d" in line else line)
        return received.date()

    def end(self, day: date) -> None:
        """Nothing more arrives on this day."""
        if lines := self._lines.pop(day, None):
            self._files[f"{day:%Y/%m/%d}.json.gz"] = _packed(lines)

    def write(self, folder: Path) -> None:
        """Writes a file for every day that has ended and has calls."""
        for name, content in self._files.items():
            put(folder / name, content)


class Log:
    """Requests in the combined format, by the day that they were answered."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[date, str]] = Counter()
        self.broken: Counter[str] = Counter()
        self._lines: dict[date, list[tuple[datetime, bytes]]] = defaultdict(list)
        self._days: dict[date, bytes] = {}

    def add(self, at: datetime, ip: str, request: str, status: int, referrer: str, agent: str, kind: str) -> None:
        """Takes in a request answered `at` (UTC); `kind` is counted for the truth: page, asset, bot, ..."""
        answer = f"{status} {512 + len(request) * 37}"
        line = f'{ip} - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "{request} HTTP/2.0" {answer} "{referrer or "-"}" "{agent}"'
        self._lines[at.date()].append((at, line.encode()))
        self.counts[at.date(), kind] += 1

    def add_broken(self, at: datetime) -> None:
        """Takes in a line that is none."""
        kind = list(BAD_REQUESTS)[self.broken.total() % len(BAD_REQUESTS)]
        self.broken[kind] += 1
        self._lines[at.date()].append((at, BAD_REQUESTS[kind] % (self.broken.total() % 60)))

    def end(self, day: date) -> None:
        """Nothing more is answered on this day."""
        self._days[day] = _packed([line for _, line in sorted(self._lines.pop(day, []))])

    def write(self, folder: Path) -> None:
        """Writes the newest day that has ended, and the older ones as rotated files."""
        for age, day in enumerate(sorted(self._days, reverse=True)):
            rotated = folder / f"access.log-{day + timedelta(days=1):%Y%m%d}"
            if age < 2:
                put(rotated if age else folder / "access.log", gzip.decompress(self._days[day]))
            else:
                put(rotated.with_name(f"{rotated.name}.gz"), self._days[day])
                rotated.unlink(missing_ok=True)


def _packed(lines: list[bytes]) -> bytes:
    return gzip.compress(b"".join(line + b"\n" for line in lines), compresslevel=1, mtime=0)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _nested(depth: int) -> dict[str, Any]:
    return {"level": depth} | ({"below": _nested(depth - 1)} if depth > 1 else {})
