"""Kills with -9 of what takes messages of devices, at named steps and at any moment: nothing is lost or doubled.

`make chaos-live KILLS=200 SEED=1` says how many and which. Meanwhile a publisher numbers its messages, and the broker
is restarted now and then.
"""

import contextlib
import time

import duckdb
import pytest

from ingestion import devices, mqtt
from tests.broker import MOSQUITTO, NEEDED, Broker, Publisher
from tests.chaos.killing import FORK, KILLS, SEED, Killer

STEPS = {"receive": (mqtt.Subscriber, "receive"), "acknowledge": (mqtt.Subscriber, "acknowledge")}


def be_quick() -> None:
    devices.QUIET = 0.3


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
    broker, killer = Broker(tmp_path / "broker"), Killer("devices", STEPS, be_quick)
    for name, value in {
        **{"DBT_TARGET": "local", "WAREHOUSE_DIR": str(tmp_path / "warehouse"), "SOURCES__DEVICES__URL": broker.url},
        **{"SOURCES__DEVICES__TOPICS": '["machines/{device}/{metric}"]'},
    }.items():
        monkeypatch.setenv(name, value)
    acknowledged, is_over = FORK.Value("q", 0), FORK.Value("b", False)
    killer.finish("run", "devices")  # from now on the broker keeps what comes
    publisher = FORK.Process(target=publish, args=(broker.port, acknowledged, is_over))
    publisher.start()
    try:
        while killer.kills < KILLS:
            killer.kill_one()
            if killer.chance.random() < 0.1:
                broker.stop()
                broker.start()
            if killer.kills % 20 == 0:
                print(f"devices: {killer.kills} of {KILLS} kills, {acknowledged.value:,} messages", flush=True)
    finally:
        is_over.value = True
        publisher.join()
    for _ in range(2):  # the first may have found what a killed run had left, and no time for more
        killer.finish("run", "devices")
    broker.stop()
    print(f"devices: seed {SEED}, {acknowledged.value:,} messages, deaths {dict(killer.deaths)}", flush=True)
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
