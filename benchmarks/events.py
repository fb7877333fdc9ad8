"""Archives of events to DuckDB, beside DuckDB's own reader of JSON lines: `make bench-events`. Asserts nothing.

    make bench-events EVENTS=1000000 ROUNDS=3

Makes an archive of gzipped files of 100,000 calls each. In a round each contestant runs once, whole process, so that a
slow minute of the machine falls on both alike; the ratio is the median of the rounds' ratios. DuckDB's reader is told
the columns and their types; it keeps no account of lines, and knows no unknown members.
"""

import datetime
import gzip
import json
import os
import random
import statistics
import sys
import tempfile
from pathlib import Path

from contestants import HERE
from databases import measure

PER_FILE = 100_000
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
READER = """
import duckdb, sys
archive, file = sys.argv[1:]
columns = dict.fromkeys(["messageId", "type", "event", "name", "category", "anonymousId", "userId"], "VARCHAR")
columns |= dict.fromkeys(["properties", "traits", "context"], "JSON")
columns |= dict.fromkeys(["originalTimestamp", "sentAt", "receivedAt", "timestamp"], "TIMESTAMPTZ")
duckdb.connect(file).execute(
    f"create table events as from read_json('{archive}/*.gz', format = 'newline_delimited', columns = {columns})"
)
"""


def call(chance: random.Random, number: int) -> dict:
    """A page call of about 1 kB, as a browser's library sends it."""
    at = (datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=number / 2)).isoformat(timespec="milliseconds")
    page = {
        "url": f"https://www.coffee.example/coffee/{chance.randrange(500)}?utm_source=news&v={chance.getrandbits(32)}",
        "path": f"/coffee/{chance.randrange(500)}",
        "referrer": "https://www.google.com/",
        "title": f"Coffee {chance.randrange(500)}",
    }
    return {
        "messageId": f"ajs-{chance.getrandbits(128):032x}",
        "type": "page",
        "channel": "browser",
        "anonymousId": f"{chance.getrandbits(64):032x}",
        "userId": str(chance.randrange(10_000)) if chance.random() < 0.2 else None,
        "name": "Coffee",
        "properties": {**page, "price": round(chance.random() * 100, 2), "sku": f"C-{chance.randrange(999)}"},
        "context": {
            "page": page,
            "campaign": {"source": "news", "medium": "email", "name": f"week {chance.randrange(52)}"},
            "userAgent": AGENT,
            "locale": "de-DE",
            "ip": f"198.51.100.{chance.randrange(256)}",
            "library": {"name": "analytics.js", "version": "4.1.0"},
            "screen": {"width": chance.randrange(300, 3000), "height": 900, "density": 2},
            "timezone": "Europe/Berlin",
        },
        "integrations": {"All": True},
        **dict.fromkeys(("originalTimestamp", "sentAt", "receivedAt", "timestamp"), f"{at}Z"),
    }


def make(archive: Path, events: int) -> int:
    """Writes the archive; returns its bytes of text."""
    chance, size = random.Random(1), 0
    for start in range(0, events, PER_FILE):
        numbers = range(start, min(start + PER_FILE, events))
        text = "".join(json.dumps(call(chance, number)) + "\n" for number in numbers).encode()
        (archive / f"{start:012}.json.gz").write_bytes(gzip.compress(text, 6))
        size += len(text)
    return size


def main() -> None:
    """Runs the rounds and prints the medians; the options are in the environment."""
    events, rounds = int(os.environ.get("EVENTS") or 1_000_000), int(os.environ.get("ROUNDS") or 3)
    figures: dict[str, list[tuple[float, float, float]]] = {"DuckDB's reader": [], "catchment": []}
    with tempfile.TemporaryDirectory(prefix="catchment-events-") as folder:
        archive = Path(folder) / "archive"
        archive.mkdir()
        size = make(archive, events)
        for number in range(1, rounds + 1):
            for name, measured in figures.items():
                with tempfile.TemporaryDirectory(prefix="run-", dir=folder) as scratch:
                    options = [f"WAREHOUSE_DIR={scratch}", f"SOURCES__EVENTS__FOLDER={archive}"]
                    settings = [f"PYTHONPATH={HERE.parent}", "DBT_TARGET=local", *options]
                    command = {
                        "DuckDB's reader": [sys.executable, "-c", READER, str(archive), f"{scratch}/events.duckdb"],
                        "catchment": ["env", *settings, sys.executable, "-m", "ingestion", "run", "events"],
                    }[name]
                    os.sync()  # so that nothing of the runs before is written during this one
                    measured.append(measure(command, Path(scratch)))
                    print(f"round {number}: {name} {measured[-1][0]:.2f} s", file=sys.stderr, flush=True)
    print(f"{events:,} events, {size / 1e6:,.0f} MB of text in gzip files, {os.cpu_count()} cores")
    print(f"{'':<20}{'s':>8}{'events/s':>12}{'x DuckDB':>10}{'CPU s':>8}{'peak MB':>9}")
    for name, measured in figures.items():
        wall, cpu, peak = zip(*measured, strict=True)
        pairs = zip(measured, figures["DuckDB's reader"], strict=True)
        ratio = statistics.median(mine[0] / theirs[0] for mine, theirs in pairs)
        seconds = statistics.median(wall)
        print(
            f"{name:<20}{seconds:>8.2f}{events / seconds:>12,.0f}{ratio:>10.2f}"
            f"{statistics.median(cpu):>8.1f}{max(peak):>9.0f}"
        )


if __name__ == "__main__":
    main()
