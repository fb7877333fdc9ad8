"""Messages of devices, kept before they are acknowledged, beside the broker's own client: `make bench-devices`.

Needs mosquitto and mosquitto_sub. Per round the broker queues MESSAGES for two absent clients, whose sessions it keeps:
one is mosquitto_sub, which acknowledges at once and writes to nowhere, the other ours. Then RATE messages a second are
sent for SECONDS, and it is measured when each can be queried in the spool. Asserts nothing.
"""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import duckdb

from ingestion import devices, live
from ingestion.devices import SCHEMA, Broker
from ingestion.mqtt import Subscriber
from ingestion.spool import Spool
from tests import broker as brokers
from tests.broker import Publisher

MESSAGES = int(os.environ.get("MESSAGES") or 200_000)
ROUNDS = int(os.environ.get("ROUNDS") or 3)
RATE, SECONDS = int(os.environ.get("RATE") or 2_000), 20
SETTINGS = "allow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 0\n"


def reading(number: int) -> tuple[str, str]:
    """A message of now."""
    return (
        f"machines/m{number % 50}/temperature",
        f'{{"ts": {time.time():.6f}, "v": {number % 997 / 10}, "seq": {number}}}',
    )


def theirs(port: int, count: int) -> float:
    """Seconds in which the broker's own client receives what is queued for it."""
    command = ["mosquitto_sub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", str(port), "-i", "theirs", "-c", "-x", "3600"]
    command += ["-q", "1", "-t", "machines/#", *(["-C", str(count)] if count else ["-E"])]
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=300)
    return time.perf_counter() - started


def ours(port: int, spool: Spool) -> float:
    """Seconds in which we have kept, acknowledged and made files of what is queued for us."""
    started = time.perf_counter()
    live.drain(Broker(Subscriber(f"mqtt://127.0.0.1:{port}", "ours", ["machines/#"]), spool.folder), spool, print)
    return time.perf_counter() - started - devices.QUIET


def latencies(port: int, spool: Spool) -> list[float]:
    """Seconds from when messages were published, RATE a second, to when they were found in a Parquet file."""
    over, seen, found = threading.Event(), set(spool.files()), []
    broker = Broker(Subscriber(f"mqtt://127.0.0.1:{port}", "ours", ["machines/#"]), spool.folder)
    collector = threading.Thread(target=live.collect, args=(broker, spool, over.is_set, lambda text: None))
    collector.start()
    time.sleep(1)

    def publish() -> None:
        publisher, begun = Publisher(port), time.monotonic()
        for number in range(RATE * SECONDS // 20):
            publisher.send([reading(20 * number + n) for n in range(20)])
            time.sleep(max(0, begun + 20 * number / RATE - time.monotonic()))
        publisher.finish()

    sender = threading.Thread(target=publish)
    sender.start()
    while len(found) < RATE * SECONDS:
        for file in set(spool.files()) - seen:
            seen.add(file)
            texts = duckdb.execute(f"select (decode(payload) ->> 'ts')::double from '{file}'").fetchall()
            found += [time.time() - at for (at,) in texts]
        time.sleep(0.02)
    sender.join()
    over.set()
    collector.join()
    return found


def main() -> None:
    """Measures, and prints."""
    with tempfile.TemporaryDirectory(prefix="catchment-devices-") as name:
        folder = Path(name)
        spool = Spool(folder / "spool", SCHEMA)
        broker = brokers.Broker(folder / "broker", SETTINGS)
        port = broker.port
        try:
            theirs(port, 0)
            ours(port, spool)
            ratios = []
            for _ in range(ROUNDS):
                publisher = Publisher(port)
                for start_ in range(0, MESSAGES, 100):
                    publisher.send([reading(number) for number in range(start_, start_ + 100)])
                publisher.finish()
                before = len(spool.files())
                they, we = theirs(port, MESSAGES), ours(port, spool)
                ratios.append(they / we)
                kept = duckdb.execute(f"select count(*) from read_parquet({[str(f) for f in spool.files()[before:]]})")
                print(
                    f"mosquitto_sub {MESSAGES / they:>9,.0f} a second   ours {MESSAGES / we:>9,.0f} a second   "
                    f"{they / we:.0%}   {kept.fetchone()[0]:,} kept",
                    flush=True,
                )
            print(f"median: {statistics.median(ratios):.0%}")
            theirs(port, 0)
            found = sorted(latencies(port, spool))
            print(
                f"{RATE:,} a second: from publishing to a file that can be queried "
                f"p50 {found[len(found) // 2]:.2f} s, p95 {found[int(len(found) * 0.95)]:.2f} s, max {found[-1]:.2f} s"
            )
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
