"""Kills with -9 of what takes from live sources, at named steps and at any moment: nothing is lost, nothing doubled.

`make chaos KILLS=200 SEED=1` says how many and which. Meanwhile a publisher numbers its messages, and the broker is
restarted now and then.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest

from ingestion import __main__ as command_line
from ingestion import devices, mqtt, spool
from ingestion.warehouse import Warehouse
from tests.broker import MOSQUITTO, NEEDED, Broker, Publisher

KILLS = int(os.environ.get("KILLS") or 200)
SEED = int(os.environ.get("SEED") or random.randrange(10**6))
FORK = multiprocessing.get_context("fork")
STEPS = {
    "receive": (mqtt.Subscriber, "receive"),
    "write to the journal": (spool, "_write"),
    "journal to disk": (os, "fdatasync"),
    "acknowledge": (mqtt.Subscriber, "acknowledge"),
    "write the file": (pyarrow.parquet, "write_table"),
    "file to disk": (os, "fsync"),
    "rename the file": (Path, "rename"),
    "remove the journal": (Path, "unlink"),
    "extract": (Warehouse, "_load_pending"),
    "load": (Warehouse, "_load"),
}
MOMENT = "any moment"


def die_at(step: str, is_after: bool, call: int) -> None:
    """Lets this process die before or after a step's so-manieth call."""
    owner, name = STEPS[step]
    original, calls = getattr(owner, name), Counter()

    def counted(*arguments, **options):
        calls[step] += 1
        if calls[step] == call and not is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **options)
        if calls[step] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counted)


def start(command: str, *death) -> multiprocessing.Process:
    """A process that collects or runs."""

    def work() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        devices.QUIET = 0.3
        if death:
            die_at(*death)
        os._exit(command_line.main([command, "devices"]))

    process = FORK.Process(target=work)
    process.start()
    return process


def publish(port: int, acknowledged, is_over) -> None:
    """Numbers messages until it is over; what a broker that went has not acknowledged it sends again."""
    while not is_over.value:
        with contextlib.suppress(OSError):
            publisher, begun = Publisher(port), acknowledged.value
            while True:
                numbers = range(begun + publisher.sent, begun + publisher.sent + 20)
                publisher.send(
                    [(f"machines/m{n % 7}/t", f'{{"ts": {10**9 + n}, "v": {n}, "seq": {n}}}') for n in numbers]
                )
                publisher.finish()
                acknowledged.value = begun + publisher.acknowledged
                if is_over.value:
                    return
                time.sleep(0.02)
        time.sleep(0.1)


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not MOSQUITTO, reason=NEEDED)
def test_kills_lose_and_double_nothing_of_devices(tmp_path, monkeypatch):
    broker, chance, deaths = Broker(tmp_path / "broker"), random.Random(SEED), Counter()
    for name, value in {
        **{"DBT_TARGET": "local", "WAREHOUSE_DIR": str(tmp_path / "warehouse"), "SOURCES__DEVICES__URL": broker.url},
        **{"SOURCES__DEVICES__TOPICS": '["machines/{device}/{metric}"]'},
    }.items():
        monkeypatch.setenv(name, value)
    acknowledged, is_over = FORK.Value("q", 0), FORK.Value("b", False)
    first = start("run")  # from now on the broker keeps what comes
    first.join()
    assert first.exitcode == 0
    publisher = FORK.Process(target=publish, args=(broker.port, acknowledged, is_over))
    publisher.start()
    try:
        while sum(deaths.values()) < KILLS:
            command = chance.choice(["collect", "collect", "run"])
            step = chance.choice([MOMENT, *STEPS])
            if step == MOMENT:
                process = start(command)
                time.sleep(chance.random() * 3)
                process.kill()
            else:
                process = start(command, step, chance.random() < 0.5, chance.randint(1, 4))
                process.join(3)
                process.kill()  # the step was not on its way
            process.join()
            deaths[step] += process.exitcode == -signal.SIGKILL
            if chance.random() < 0.1:
                broker.stop()
                broker.start()
            if sum(deaths.values()) % 20 == 0:
                print(f"live: {sum(deaths.values())} of {KILLS} kills, {acknowledged.value:,} messages", flush=True)
    finally:
        is_over.value = True
        publisher.join()
    for _ in range(2):  # the first may have found what a killed run had left, and no time for more
        last = start("run")
        last.join()
        assert last.exitcode == 0
    broker.stop()
    print(f"live: seed {SEED}, {acknowledged.value:,} messages, deaths {dict(deaths)}", flush=True)
    with duckdb.connect(str(tmp_path / "warehouse/local.duckdb"), read_only=True) as connection:
        keys, numbers, contents, odd = connection.execute("""
            select count(distinct _key), count(distinct sequence), count(distinct (_key, sequence, value)),
                count(*) filter (sequence <> value)
            from raw_devices.readings
        """).fetchone()
        rejected = connection.execute("select count(*) from raw_devices.rejected_rows").fetchone()
        kept = connection.execute(
            "select count(distinct sequence) from raw_devices.readings where sequence < ?", [acknowledged.value]
        ).fetchone()
    assert kept == (acknowledged.value,), f"lost, seed {SEED}"
    assert keys == numbers == contents, f"doubled, seed {SEED}"
    assert odd == 0
    assert rejected == (0,)
