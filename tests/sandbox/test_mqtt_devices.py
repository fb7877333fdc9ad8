"""The sandbox's devices: what they publish is what the truth says, and its broker keeps messages as a real one does."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

import sandbox
from ingestion import mqtt
from ingestion.devices import _Topic
from ingestion.mqtt import Disconnected, Refused, Subscriber
from sandbox import devices
from sandbox.company import CLOCK, Company
from sandbox.devices import RATES, UNREADABLE, Devices
from sandbox.mqtt_broker import Broker as StandIn
from sandbox.shop import tables as shop_tables
from sandbox.simulation import Simulation
from tests.broker import MOSQUITTO, NEEDED
from tests.broker import Broker as Mosquitto

ROOT = Path(__file__).parents[2]
SCALE, SHORT = 0.02, 0.3


def lived(until=CLOCK, seed=1, scale=1.0, steps=()):
    """The devices alone, at a clock."""
    company = Simulation(seed, scale)
    company.shop["customers"] = {number: {} for number in range(1, 100)}
    company.today, found = devices.FIRST_DAY, Devices(company)
    for clock in (*steps, until):
        while company.today < clock:
            found.day()
            company.today += timedelta(days=1)
    return found


def told(found):
    return {name: list(rows) if name.endswith(".csv") else rows for name, rows in found.truth().items()}


@pytest.fixture(scope="module")
def now():
    return lived()


@pytest.fixture(scope="module")
def truth(now):
    return told(now)


def samples(found, device_id):
    """(metric, time by the device, value) of what a machine sent, as it was sent."""
    for topic, payload, _ in found.messages:
        if topic.split("/")[1] == device_id and payload not in UNREADABLE.values():
            parts = json.loads(payload)
            for part in parts if isinstance(parts, list) else [parts]:
                for metric, value in part.get("metrics", {topic.split("/")[-1]: part.get("v")}).items():
                    at = part["ts"]
                    yield metric, datetime.fromisoformat(at).timestamp() if isinstance(at, str) else at, value


# ---- what they publish


def test_same_seed_same_messages_and_other_seed_others():
    first, again, other = (lived(date(2026, 8, 20), seed, 0.1) for seed in (1, 1, 2))
    assert (first.messages, told(first)) == (again.messages, told(again))
    assert first.messages != other.messages


def test_a_later_clock_only_adds(now):
    later = lived(CLOCK + timedelta(days=3))
    assert later.messages[: len(now.messages)] == now.messages
    assert len(later.messages) > len(now.messages)
    in_steps = lived(CLOCK + timedelta(days=3), steps=[date(2026, 8, 2), date(2026, 9, 9)])
    assert (in_steps.messages, told(in_steps)) == (later.messages, told(later))


def test_the_shop_does_not_depend_on_them(company):
    alone = Company(1, SCALE)
    alone.devices.day = lambda: None
    assert shop_tables(alone.run(CLOCK)) == shop_tables(company)
    assert company.devices.messages and not alone.devices.messages


def test_every_defect_occurs_at_its_rate(truth):
    for name, counts in truth["devices.json"]["defects"].items():
        chances, rate = counts["chances"], RATES[name]
        deviation = (chances * rate * (1 - rate)) ** 0.5
        assert abs(counts["hits"] - chances * rate) < 4 * deviation + 1, f"{name}: {counts}"
        assert counts["hits"]
    assert {row["kind"] for row in truth["device_events.csv"]} >= RATES.keys() - {"duplicate", "unreadable"}


def test_they_are_small(now, truth):
    assert 15_000 < len(now.messages) < 30_000
    assert 100_000 < sum(row["rows"] for row in truth["device_metrics.csv"]) < 200_000
    assert {row["kind"] for row in told(lived(scale=0.001))["devices.csv"]} == {
        "machine", "old machine", "roaster", "packer",
    }  # fmt: skip


def test_the_events_of_the_truth_are_in_the_messages(now, truth):
    readings = {row["device_id"]: list(samples(now, row["device_id"])) for row in truth["devices.csv"]}
    seen = Counter()
    for event in truth["device_events.csv"]:
        begin, end = event["begins_at"].timestamp(), event["ends_at"].timestamp()
        metric = event["metric"] or "boiler_temperature"
        values = {at: v for m, at, v in readings[event["device_id"]] if m == metric and begin <= at < end}
        if event["kind"] == "gap":
            assert not values
        elif event["kind"] == "stuck":
            assert len(values) >= 8 and len(set(values.values())) == 1
        elif event["kind"] == "overheating":
            assert values and min(values.values()) > 105
        elif event["kind"] == "pressure_loss":
            assert values and max(values.values()) < 6
        elif event["kind"] == "firmware":
            versions = {at: v for m, at, v in readings[event["device_id"]] if m == "firmware"}
            assert begin not in versions or versions.get(begin - 86_400) != versions[begin]
        seen[event["kind"]] += 1
    assert seen["gap"] > 50 and seen["stuck"] > 50 and seen["late_burst"] > 50 and seen["firmware"] > 50


def test_late_bursts_come_as_a_list_after_what_was_measured_later(now, truth):
    bursts = [row for row in truth["device_events.csv"] if row["kind"] == "late_burst" and row["device_id"] == "m0002"]
    order = [at for metric, at, _ in samples(now, "m0002") if metric == "boiler_temperature"]
    assert bursts and order != sorted(order)


def test_clocks_are_wrong_in_one_machine_of_twenty_each(now, truth):
    skews = Counter(row["skew_seconds"] for row in truth["devices.csv"])
    assert skews == {0: 38, devices.AHEAD: 2, devices.BEHIND: 2}
    assert min(at for _, at, _ in samples(now, "m0003")) > datetime(2036, 1, 1, tzinfo=UTC).timestamp()
    assert {at % 1800 for _, at, _ in samples(now, "m0005")} == {900}


def test_counters_fall_where_the_truth_says(now, truth):
    for row in truth["devices.csv"][:10]:
        values = {at: value for metric, at, value in samples(now, row["device_id"]) if metric == "brew_count"}
        times = sorted(values)
        falls = [at for before, at in pairwise(times) if values[at] < values[before]]
        resets = [e for e in truth["device_events.csv"] if e["kind"] == "counter_reset"]
        assert falls == [e["begins_at"].timestamp() for e in resets if e["device_id"] == row["device_id"]]


def test_the_line_makes_what_the_truth_says(now, truth):
    days = truth["line_days.csv"]
    assert sum(row["is_complete"] for row in days) > 0.8 * len(days) and not all(row["is_complete"] for row in days)
    states_of = defaultdict(dict)
    for topic, payload, _ in now.messages:
        if topic.startswith("line/"):
            parts = json.loads(payload)
            for part in parts if isinstance(parts, list) else [parts]:
                day = datetime.fromtimestamp(part["ts"] / 1000, tz=UTC).date()
                states_of[topic.removeprefix("line/"), day][part["ts"] // 1000] = part["metrics"]
    for row in days:
        states = states_of[row["device_id"], row["day"]]
        times, spent = sorted(states), Counter()
        for begin, end in pairwise(times):
            spent[states[begin]["state"]] += end - begin
        figures = [states[at]["total_count"] for at in times], [states[at]["good_count"] for at in times]
        if row["is_complete"]:
            assert spent["running"] == row["run_seconds"]
            assert spent["running"] + spent["stopped"] == row["planned_seconds"]
            assert [values[-1] - values[0] for values in figures] == [row["total"], row["good"]]
            assert not row["planned_seconds"] or 0.6 < row["oee"] < 1
        else:
            assert sum(spent.values()) < 16 * 3600 or len(states) < 30


# ---- from the broker to the warehouse


@pytest.fixture
def home(made_root):
    """A sandbox that is made, and a way to load from it: (exit code, what was printed)."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOURCES__")},
        "SANDBOX_ROOT": str(made_root),
        "SANDBOX_SCALE": str(SCALE),
        "WAREHOUSE_DIR": str(made_root / "warehouse"),
        "DBT_TARGET": "sandbox",
    }

    class Home:
        root = made_root

        def start(self):
            command = [sys.executable, "-m", "ingestion", "run", "devices"]
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

        def load(self):
            process = self.start()
            output = process.communicate()[0]
            assert process.returncode == 0, output

        def query(self, sql):
            with duckdb.connect(str(made_root / "warehouse/sandbox.duckdb"), read_only=True) as connection:
                return connection.execute(sql).fetchall()

        def taken(self):
            (memory,) = self.memories()
            return json.loads(memory.read_text())

        def memories(self):
            return [*made_root.glob("warehouse/sandbox.spool/taken-*.json")]

        def truth(self, name):
            with (made_root / "truth" / name).open() as file:
                return json.load(file) if name.endswith(".json") else list(csv.DictReader(file))

        def agrees(self, *, exactly=True):
            """Every reading of the truth is there; `exactly`: and every message was read once, also what a device sent
            twice and we received at one moment, which is one row."""
            found = self.query("""
                select device_id, metric, count(distinct measured_at), count(distinct _key)
                from raw_devices.readings group by all order by all
            """)
            names = ("device_id", "metric", "readings", "reading_ids")
            rows = self.truth("device_metrics.csv")
            assert found == sorted(
                tuple(row[name] if name in names[:2] else int(row[name]) for name in names) for row in rows
            )
            ((in_raw, rejected),) = self.query("""
                select (select count(*) from raw_devices.readings), (select count(*) from raw_devices.rejected_rows)
            """)
            unreadable = sum(self.truth("devices.json")["unreadable"].values())
            if exactly:
                told = "sum(rows_loaded + rows_unchanged), sum(rows_loaded), sum(rows_rejected)"
                ledger = self.query(f"select {told} from raw_devices.load_ledger where stream = 'readings'")
                assert ledger == [(sum(int(row["rows"]) for row in rows), in_raw, rejected)]
                assert rejected == unreadable
            assert rejected >= unreadable

    return Home()


def test_what_is_loaded_is_the_truth_and_then_only_what_is_new(home):
    home.load()
    home.agrees()
    first = home.taken()
    assert first == home.truth("devices.json")["messages"]
    rows = home.query("select count(*) from raw_devices.readings")
    home.load()
    assert home.query("select count(*) from raw_devices.readings") == rows
    sandbox.advance(3, home.root)
    home.load()
    home.agrees()
    assert home.taken() == home.truth("devices.json")["messages"] > first


def test_what_is_received_is_what_the_broker_tells(home):
    home.load()
    messages = json.loads((home.root / "devices.json").read_text())["messages"]
    received = [at for *_, at in messages]
    assert received == sorted(received)
    found = home.query("select distinct epoch_us(received_at) from raw_devices.readings")
    assert found and {at for (at,) in found} <= {at * 1_000_000 for at in received}
    # Every six hours, nine of ten machines send what they kept; what the network kept back comes later.
    ((usual, longest),) = home.query("""
        select quantile_disc(received_at - measured_at, 0.9), max(received_at - measured_at) from raw_devices.readings
    """)
    assert timedelta(0) < usual <= timedelta(hours=6) and longest > timedelta(hours=8)


def test_a_warehouse_that_is_made_anew_gets_all_messages_again(home):
    home.load()
    shutil.rmtree(home.root / "warehouse")
    home.load()
    home.agrees()


def test_a_run_that_is_killed_loses_nothing(home):
    process = home.start()
    while not home.memories():
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert home.taken() > 0
    home.load()
    home.agrees(exactly=False)


def drained(subscriber):
    """What comes until nothing does."""
    found, last = [], time.monotonic()
    while time.monotonic() - last < SHORT:
        if messages := subscriber.receive(SHORT / 3):
            found += messages
            last = time.monotonic()
    return found


def texts(messages):
    return [[message.topic, message.payload.decode("latin-1")] for message in messages]


def test_what_was_acknowledged_is_not_sent_again_and_the_rest_is(home):
    def published():
        return [[topic, text] for topic, text, _ in json.loads((home.root / "devices.json").read_text())["messages"]]

    expected = published()
    filters = [_Topic(topic).filter for topic in devices.TOPICS]
    assert filters == devices.FILTERS

    def connect(options):
        subscriber = Subscriber(options["SOURCES__DEVICES__URL"], "catchment", filters)
        assert subscriber.connect(), "the broker does not know us"
        return subscriber

    def receive(subscriber, number):
        found = []
        while len(found) < number:
            found += subscriber.receive(5)
        return found

    with sandbox.running(["devices"], root=home.root, scale=SCALE) as options:
        subscriber = connect(options)
        messages = receive(subscriber, 100)
        assert texts(messages) == expected[: len(messages)]
        subscriber.acknowledge(messages[:50] + messages[60:70])  # the order is not always that of the messages
    with sandbox.running(["devices"], root=home.root, scale=SCALE) as options:
        subscriber = connect(options)
        messages = receive(subscriber, 10)
        assert texts(messages) == expected[50 : 50 + len(messages)]
        taken = len(messages)
        subscriber.acknowledge(messages)
        while taken < len(expected) - 50:
            messages = subscriber.receive(5)
            taken += len(messages)
            subscriber.acknowledge(messages)
        assert drained(subscriber) == []
        sandbox.advance(1, home.root)
        subscriber.close()
        subscriber = connect(options)
        new = published()[len(expected) :]
        assert new and texts(drained(subscriber)) == new


def test_another_password_is_refused(home):
    with sandbox.running(["devices"], root=home.root, scale=SCALE) as options:
        url = options["SOURCES__DEVICES__URL"]
        password = url.split("@")[0].split(":")[-1]
        for wrong in (url.replace(password, "wrong"), url.replace(f"catchment:{password}@", "")):
            with pytest.raises(Refused, match="the user name or password is wrong"):
                Subscriber(wrong, "catchment", ["#"]).connect()


def test_twenty_thousand_messages_are_queued_at_once():
    broker = StandIn("user", "secret")
    try:
        session = broker.know("test", ["machines/+/+", "machines/+"])
        began = time.monotonic()
        for number in range(20_000):
            session.add("machines/m1", b"\0" + b"x" * 100, 1, False, number)
        assert time.monotonic() - began < 1 and len(session.queue) == 20_000
    finally:
        broker.stop()


# ---- the broker, beside a real one


class Mine:
    """The stand-in as the tests of a broker see it."""

    def __init__(self, folder):
        self.broker = StandIn("user", "secret")
        self.url, self.port = self.broker.url, self.broker.port

    def stop(self):
        self.broker.stop()


@pytest.fixture(params=[Mine, Mosquitto])
def broker(request, tmp_path):
    if not MOSQUITTO:  # its clients are used for both
        pytest.skip(NEEDED)
    broker = request.param(tmp_path / "broker")
    yield broker
    broker.stop()


def client(broker, name, *options):
    return [name, "-V", "5", "-h", "127.0.0.1", "-p", str(broker.port), "-u", "user", "-P", "secret", *options]


def publish(broker, topic, *payloads, qos=1, retain=False):
    for payload in payloads:
        command = client(broker, "mosquitto_pub", "-q", str(qos), "-t", topic, *["-r"] * retain)
        subprocess.run([*command, "-s" if payload else "-n"], input=payload, check=True, timeout=10)


def payloads(messages):
    return [message.payload for message in messages]


def test_what_is_not_acknowledged_comes_again(broker):
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    assert not subscriber.connect()
    publish(broker, "t/1", b"a", b"b", b"", b"c")
    publish(broker, "u/1", b"not wanted")
    first = drained(subscriber)
    assert payloads(first) == [b"a", b"b", b"", b"c"]
    subscriber.acknowledge(first[:1])
    subscriber.close()
    publish(broker, "t", b"d")
    publish(broker, "t/2", b"nobody is there", qos=0)
    assert subscriber.connect()
    again = drained(subscriber)
    assert payloads(again) == [b"b", b"", b"c", b"d"]
    assert [message.packet_id for message in again[:3]] == [message.packet_id for message in first[1:]]
    subscriber.acknowledge(again)
    if isinstance(broker, Mosquitto):
        time.sleep(SHORT)  # it may accept the next connection before it reads the last of the one before
    subscriber.close()
    assert subscriber.connect() and drained(subscriber) == []
    subscriber.close()


def test_what_is_retained_comes_with_a_new_subscription_alone(broker):
    publish(broker, "t/1", b"old", b"kept", retain=True)
    publish(broker, "t/2", b"gone", b"", retain=True)
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    subscriber.connect()
    messages = drained(subscriber)
    assert [(message.payload, message.is_retained) for message in messages] == [(b"kept", True)]
    subscriber.acknowledge(messages)
    publish(broker, "t/1", b"new", retain=True)
    messages = drained(subscriber)
    assert [(message.payload, message.is_retained) for message in messages] == [(b"new", False)]
    subscriber.acknowledge(messages)
    subscriber.close()
    assert subscriber.connect() and drained(subscriber) == []
    subscriber.close()


def test_a_session_that_was_not_to_stay_is_forgotten(broker):
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    assert not subscriber.connect(is_to_stay=False)
    subscriber.close()
    publish(broker, "t/1", b"a")
    assert not subscriber.connect()
    assert drained(subscriber) == []
    subscriber.close()
    assert not subscriber.connect(is_to_stay=False), "a clean start has no past"
    subscriber.close()
    assert not subscriber.connect()
    subscriber.close()


def test_a_session_expires(broker, monkeypatch):
    monkeypatch.setattr(mqtt, "EXPIRY", 1)
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    subscriber.connect()
    subscriber.close()
    assert subscriber.connect(), "a second is not over"
    subscriber.close()
    time.sleep(2.5)
    assert not subscriber.connect()
    subscriber.close()


def test_the_same_client_id_takes_over(broker):
    first, second = (Subscriber(broker.url, "test", ["t/#"]) for _ in range(2))
    first.connect()
    publish(broker, "t/1", b"a")
    assert payloads(drained(first)) == [b"a"]
    assert second.connect()
    with pytest.raises((Refused, Disconnected)) as ended:  # Mosquitto 2.0.11 does not say why
        drained(first)
    assert isinstance(broker, Mosquitto) or "another client came with the same client id" in str(ended.value)
    assert payloads(drained(second)) == [b"a"]
    second.close()


def test_filters_with_wildcards(broker):
    subscriber = Subscriber(broker.url, "test", ["a/+", "+/b/#", "c"])
    subscriber.connect()
    for topic in ("a/1", "a/1/2", "a", "x/b", "x/b/1/2", "x/c", "c", "c/1", "$x/b", "a/"):
        publish(broker, topic, topic.encode())
    assert payloads(drained(subscriber)) == [b"a/1", b"x/b", b"x/b/1/2", b"c", b"a/"]
    subscriber.close()


def test_filters_that_overlap_bring_a_message_once():
    """So does the specification allow it; Mosquitto 2.0 sends it once for every filter, which it allows, too."""
    broker = StandIn("user", "secret")
    try:
        subscriber = Subscriber(broker.url, "test", ["#", "t/+", "+/1"])
        subscriber.connect()
        assert drained(subscriber) == [] and subscriber.is_subscribed
        broker.publish("t/1", b"\0a")
        assert payloads(drained(subscriber)) == [b"a"]
        subscriber.close()
    finally:
        broker.stop()


def test_no_more_than_asked_for_is_on_its_way(broker, monkeypatch):
    monkeypatch.setattr(mqtt, "RECEIVE_MAXIMUM", 3)
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    subscriber.connect()
    publish(broker, "t/1", b"a", b"b", b"c", b"d", b"e")
    first = drained(subscriber)
    assert payloads(first) == [b"a", b"b", b"c"]
    subscriber.acknowledge(first)
    assert payloads(drained(subscriber)) == [b"d", b"e"]
    subscriber.close()


def test_a_large_message_comes_whole_to_us_and_to_another_client(broker):
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    subscriber.connect()
    other = client(broker, "mosquitto_sub", "-q", "1", "-t", "t/+", "-W", "20", "-N", "-c", "-i", "other", "-x", "60")
    subprocess.run([*other, "-E"], check=True, timeout=20)  # ends when it has subscribed
    publish(broker, "t/1", b"x" * 300_000, b"y")
    assert payloads(drained(subscriber)) == [b"x" * 300_000, b"y"]
    assert (
        subprocess.run([*other, "-C", "2"], check=True, timeout=20, capture_output=True).stdout == b"x" * 300_000 + b"y"
    )
    subscriber.close()


def test_a_client_that_speaks_no_mqtt_or_an_older_one_is_refused():
    broker = StandIn("user", "secret")
    try:
        with pytest.raises(Refused, match="it does not speak this version"):
            Subscriber(broker.url, "test", ["#"], "3.1.1").connect()
        with pytest.raises(Refused, match="a topic is not valid"):
            subscriber = Subscriber(broker.url, "test", ["a/b#"])
            subscriber.connect()
            drained(subscriber)
    finally:
        broker.stop()
