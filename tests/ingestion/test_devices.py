"""Devices: every message is a reading or a rejected row, once, whatever breaks between the broker and the warehouse."""

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import BOTH, counts

from ingestion import devices
from ingestion import spool as spools
from ingestion.__main__ import main
from ingestion.devices import SCHEMA
from ingestion.errors import SourceError
from ingestion.mqtt import Disconnected, Refused, Subscriber
from ingestion.spool import InUse, Spool
from ingestion.systems import built_in
from tests.broker import MOSQUITTO, NEEDED, Broker

pytestmark = pytest.mark.skipif(not MOSQUITTO, reason=NEEDED)


@pytest.fixture
def broker(tmp_path, monkeypatch):
    broker = Broker(tmp_path / "broker")
    monkeypatch.setenv("SOURCES__DEVICES__URL", broker.url)
    monkeypatch.setenv("SOURCES__DEVICES__TOPICS", '["machines/{device}/{metric}", "line/{device}"]')
    monkeypatch.setattr(devices, "QUIET", 0.2)
    yield broker
    broker.stop()


@pytest.fixture
def load(warehouse):
    """Loads; returns (read, loaded, unchanged, rejected, gone)."""

    def load():
        row = warehouse.run(built_in()["devices"])["readings"]
        assert not row["error"], row["error"]
        return counts(row)

    return load


READING = {"ts": "2026-03-01T10:00:00Z", "v": 93.5, "seq": 1}


@BOTH
def test_shapes(broker, warehouse, load):
    assert load() == (0, 0, 0, 0, 0)
    broker.publish("machines/m1/temperature", READING)
    broker.publish("line/roaster", {"ts": 1772359200, "metrics": {"a.b": 1, "c d": "on", "e": True, "f/~": None}})
    broker.publish("machines/m2/pressure", [{"ts": 1772359200123, "v": 9}, {"ts": "2026-03-01T11:00:00+01:00", "v": 8}])
    broker.publish("machines/m3/total", {"ts": "2026-03-01T10:00:00Z", "v": 12345678901234567890, "unit": "g"})
    assert load() == (8, 8, 0, 0, 0)
    columns = "device_id, metric, sequence, value, value_text, strftime(measured_at, '%d %H:%M:%S.%g'), _unknown_fields"
    assert warehouse.query(f"select {columns} from raw_devices.readings order by 1, 2, measured_at") == [
        ("m1", "temperature", 1, 93.5, None, "01 10:00:00.000", None),
        ("m2", "pressure", None, 8.0, None, "01 10:00:00.000", None),
        ("m2", "pressure", None, 9.0, None, "01 10:00:00.123", None),
        ("m3", "total", None, 12345678901234567890.0, "12345678901234567890", "01 10:00:00.000", '{"unit":"g"}'),
        ("roaster", "a.b", None, 1.0, None, "01 10:00:00.000", None),
        ("roaster", "c d", None, None, "on", "01 10:00:00.000", None),
        ("roaster", "e", None, 1.0, "true", "01 10:00:00.000", None),
        ("roaster", "f/~", None, None, None, "01 10:00:00.000", None),
    ]
    assert load() == (0, 0, 0, 0, 0)


def test_what_is_sent_again_is_no_other_reading(broker, warehouse, load):
    broker.publish("machines/m1/kept", {"ts": 1772359200, "v": 1}, retain=True)
    assert load() == (1, 1, 0, 0, 0)
    broker.publish("machines/m1/kept", {"ts": 1772359200, "v": 1}, retain=True)
    with Spool(warehouse.folder / "local.spool/devices", SCHEMA).writing() as writer:
        for microsecond, payload in ((1, READING), (1, READING), (2, READING), (2, {**READING, "seq": 2})):
            text = json.dumps(payload).encode()
            writer.append([(1772359200000000 + microsecond, "machines/m1/temperature", text, len(text), False)])
    assert load() == (5, 4, 1, 0, 0)  # each with its own time of receipt; two were received at once
    assert warehouse.query("select count(*), count(distinct _key) from raw_devices.readings") == [(5, 3)]
    assert load() == (0, 0, 0, 0, 0)


def test_when_the_broker_received_a_message(broker, warehouse, load, monkeypatch):
    """What is no time, or is in the future, is not believed."""
    monkeypatch.setenv("SOURCES__DEVICES__RECEIVED_PROPERTY", "kept")
    load()
    told = {"1772359200123": 1, "4102444800000": 2, "noon": 3, "": 4}
    for text, value in told.items():
        properties = {"colour": "red", "kept": text, "other": "1"}
        broker.publish("machines/m1/temperature", {"ts": 1772359200, "v": value}, properties=properties)
    began = warehouse.query("select epoch_us(now()) - 60 * 1000000")[0][0]
    assert load()[1] == 4
    found = dict(warehouse.query("select value, epoch_us(received_at) from raw_devices.readings"))
    assert found.pop(1) == 1772359200123000
    assert len(found) == 3 and all(began < at < began + 600 * 1_000_000 for at in found.values())


BAD = {
    b"\xff\xfe": "the payload is not UTF-8",
    b"12:00 93.5": "the payload is no JSON",
    b"[]": "this is no JSON object with ts and v or metrics",
    b'{"v": 1}': "measured_at: is missing",
    b'{"ts": "yesterday", "v": 1}': "measured_at: 'yesterday' is not a time",
    b'{"ts": 1772359200}': "there is neither v nor metrics",
    b'{"ts": 1772359200, "metrics": {}}': "there is neither v nor metrics",
    b'{"ts": 1772359200, "v": 1, "seq": "x"}': "sequence: 'x' is not an integer",
    b'{"ts": 1e300, "v": 1}': "measured_at: '1e300' is not a time",
    b'{"ts": NaN, "v": 1}': "measured_at: 'NaN' is not a time",
    b'{"ts": 1772359200, "v": "\\ud800"}': "the payload is no JSON",
    b'{"ts": {"at": 1}, "v": 1}': """measured_at: '{"at":1}' is not a time""",
    b'{"ts": 1772359200, "v": 1, "metrics": {"a": 1}}': "there are both v and metrics",
    b'{"ts": 1772359200, "metrics": "broken"}': "metrics is no JSON object",
    b'{"ts": 1772359200, "metrics": {"a": 7, "a": 8}}': "a metric is there twice",
    b'{"ts": 1772359200, "v": "' + b"x" * 1_200_000 + b'"}': "the payload has 1200027 bytes, too many to be kept",
}


def test_every_message_is_a_reading_or_rejected_with_its_payload(broker, warehouse, load):
    load()
    for payload in BAD:
        broker.publish("machines/m1/temperature", payload)
    broker.publish("line/roaster", READING)
    broker.publish("machines/m1/temperature", READING)
    assert load() == (len(BAD) + 2, 1, 0, len(BAD) + 1, 0)
    rejected = warehouse.query("select reason, original from raw_devices.rejected_rows")
    assert sorted(reason for reason, _ in rejected) == sorted([*BAD.values(), "neither topic nor payload has a metric"])
    payloads = [json.loads(original)["payload"] for _, original in rejected]
    assert "//4=" in payloads and "12:00 93.5" in payloads and {"v": 1} in payloads


def test_a_topic_of_an_older_configuration(broker, warehouse, load, monkeypatch):
    load()
    monkeypatch.setenv("SOURCES__DEVICES__TOPICS", '["line/{device}"]')
    broker.publish("machines/m1/temperature", READING)
    assert load() == (1, 0, 0, 1, 0)
    (reason,) = warehouse.query("select reason from raw_devices.rejected_rows")
    assert reason == ("the topic is none of those that are configured",)


def test_the_broker_keeps_what_comes_between_runs_and_through_its_restarts(broker, load):
    load()
    broker.publish("machines/m1/temperature", READING)
    broker.stop()
    broker.start()
    broker.publish("machines/m1/temperature", {**READING, "seq": 2})
    assert load()[1] == 2


def test_a_broker_that_has_forgotten_us_is_told(broker, warehouse, load):
    assert "keeps from now on" in warehouse.run(built_in()["devices"])["readings"]["notes"]
    broker.stop()
    (broker.folder / "mosquitto.db").unlink()
    broker.start()
    notes = warehouse.run(built_in()["devices"])["readings"]["notes"]
    assert "has forgotten us: what was sent since we were connected" in notes
    assert warehouse.run(built_in()["devices"])["readings"]["notes"] is None


def test_a_broker_that_does_not_answer_fails_after_the_spool_is_loaded(broker, warehouse):
    spool = Spool(warehouse.folder / "local.spool/devices", SCHEMA)
    with spool.writing() as writer:
        writer.append([(1772359200000000, "machines/m1/t", b'{"ts": 1772359200, "v": 1}', 26, False)])
    broker.stop()
    row = warehouse.run(built_in()["devices"])["readings"]
    assert counts(row) == (1, 1, 0, 0, 0)
    assert f"can't reach the broker 127.0.0.1:{broker.port}: Connection refused" in row["error"]


def test_a_broker_that_refuses(broker, warehouse):
    broker.stop()
    (broker.folder / "passwords").write_text("")
    broker.settings = f"password_file {broker.folder}/passwords\n"
    broker.start()
    row = warehouse.run(built_in()["devices"])["readings"]
    assert row["status"] == "failed"
    assert "refuses the connection: this user may not do that" in row["error"]


def test_loaded_files_go_with_the_next_run(broker, warehouse, load):
    load()
    broker.publish("machines/m1/temperature", READING)
    spool = Spool(warehouse.folder / "local.spool/devices", SCHEMA)
    load()
    assert len(spool.files()) == 1
    load()
    assert spool.files() == []


def test_a_run_beside_a_collector_loads_its_files(broker, warehouse, load):
    load()
    spool = Spool(warehouse.folder / "local.spool/devices", SCHEMA)
    with spool.writing() as writer:
        writer.append([(1772359200000000, "machines/m1/t", b'{"ts": 1772359200, "v": 1}', 26, False)])
        assert load() == (0, 0, 0, 0, 0)
        writer.close()
        assert load() == (1, 1, 0, 0, 0)
        with pytest.raises(InUse), spool.writing():
            pass


def test_what_is_odd_but_a_reading(broker, warehouse, load):
    load()
    deep = b'{"ts": 1772359200, "v": 1, "z": ' + b"[" * 150_000 + b"]" * 150_000 + b"}"
    values = [b"1e999", b"-Infinity", b'{"a": [1]}', b"1772359200123456789"]
    broker.publish("machines/m1/a", deep, *(b'{"ts": 1772359200, "seq": "", "v": ' + value + b"}" for value in values))
    broker.publish("line/many", {"ts": 1772359200123456789, "metrics": {f"m{n}": n for n in range(20_000)}})
    assert load() == (20_005, 20_005, 0, 0, 0)
    assert warehouse.query("select count(distinct _key), count(sequence) from raw_devices.readings") == [(20_005, 0)]
    found = "select value, value_text from raw_devices.readings where metric = 'a' order by 1 nulls last, 2 nulls first"
    assert warehouse.query(found) == [
        (1.0, None),
        (1772359200123456789.0, "1772359200123456789"),
        (None, "-Infinity"),
        (None, "1e999"),
        (None, '{"a":[1]}'),
    ]


def test_devices_that_are_named_alike(broker, warehouse, load, monkeypatch):
    monkeypatch.setenv("SOURCES__DEVICES__TOPICS", '["{plant}/{device}/{metric}"]')
    load()
    broker.publish("berlin/m1/t", READING)
    broker.publish("munich/m1/t", READING)
    assert load() == (2, 2, 0, 0, 0)
    found = warehouse.query("select device_id, metric, count(distinct _key) from raw_devices.readings group by 1, 2")
    assert sorted(found) == [("berlin/m1", "t", 1), ("munich/m1", "t", 1)]


def test_a_full_disk_keeps_no_loaded_file(broker, warehouse, load, monkeypatch):
    load()
    broker.publish("machines/m1/temperature", READING)
    load()
    (file,) = (warehouse.folder / "local.spool/devices").glob("*.parquet")
    broker.publish("machines/m1/temperature", {**READING, "seq": 2})

    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spools, "_write", full)
    row = warehouse.run(built_in()["devices"])["readings"]
    assert "No space left on device" in row["error"]
    assert not file.exists()
    monkeypatch.undo()


def test_a_broker_that_would_lose_what_comes_while_we_are_away(broker, warehouse):
    broker.stop()
    broker.settings += "max_qos 0\n"
    broker.start()
    row = warehouse.run(built_in()["devices"])["readings"]
    assert "grants no QoS 1 for machines/+/+: what comes while we are away would be lost" in row["error"]


def test_a_quiet_connection_that_the_broker_wants_to_hear_of(broker, monkeypatch):
    broker.stop()
    broker.settings += "max_keepalive 10\n"
    broker.start()
    subscriber = Subscriber(broker.url, "test", ["t/#"])
    subscriber.connect()
    assert subscriber.keep_alive == 10
    subscriber.close()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_was_kept_is_received_before_the_subscription_is_granted(protocol):
    """And bit by bit, however long that takes."""
    connack = {"5": b"\x20\x03\x01\x00\x00", "3.1.1": b"\x20\x02\x01\x00"}[protocol]
    message = {"5": b"\x32\x07\x00\x01t\x00\x07\x00a", "3.1.1": b"\x32\x06\x00\x01t\x00\x07a"}[protocol]
    with socket.create_server(("127.0.0.1", 0)) as server:
        subscriber = Subscriber(f"mqtt://127.0.0.1:{server.getsockname()[1]}", "test", ["t/#"], protocol)

        def answer():
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(connack + message)
                for byte in message * 3:
                    client.sendall(bytes([byte]))
                    time.sleep(0.005)
                time.sleep(0.5)

        with ThreadPoolExecutor() as pool:
            pool.submit(answer)
            assert subscriber.connect()
            messages = received(subscriber, 4)
            assert {(m.topic, m.payload, m.packet_id) for m in messages} == {("t", b"a", 7)}
            assert not subscriber.is_subscribed
            subscriber.close()


ODD_TOPICS = ["machines/+/{metric}", "{device}/{device}", "#/{device}", "a/{device}/b#", "{plant-1}/{device}/{metric}"]


@pytest.mark.parametrize("topic", [*ODD_TOPICS, "x/{}/{device}", "$share/g/{device}"])
def test_topics_that_name_no_device(topic):
    with pytest.raises(SourceError, match="one level is"):
        devices._Topic(topic)


@pytest.mark.parametrize("url", ["http://host", "mqtt://", "mqtt://host:x", "host", "mqtt://me:12#3secret@host"])
def test_urls_that_are_none(url):
    with pytest.raises(SourceError, match="URL"):
        Subscriber(url, "test", ["#"])


def test_properties_are_of_version_5():
    with pytest.raises(SourceError, match="leave received_property out"):
        Subscriber("mqtt://host", "test", ["#"], "3.1.1", "kept")


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_what_is_not_acknowledged_comes_again(broker, protocol):
    subscriber = Subscriber(broker.url, "test", ["t/#"], protocol)
    assert not subscriber.connect()
    broker.publish("t/1", "a", "b", "")
    first = received(subscriber, 3)
    assert [message.payload for message in first] == [b"a", b"b", b""]
    subscriber.acknowledge(first[:1])
    subscriber.close()
    assert subscriber.connect()
    assert [message.payload for message in received(subscriber, 2)] == [b"b", b""]
    subscriber.close()


def received(subscriber, number):
    messages, until = [], time.monotonic() + 10
    while len(messages) < number and time.monotonic() < until:
        messages += subscriber.receive(0.5)
    assert len(messages) == number
    return messages


CONNACK, SUBACK = b"\x20\x03\x00\x00\x00", b"\x90\x04\x00\x01\x00\x01"
ENDINGS = {
    b"\xe0\x02\x8e\x00": (Refused, "another client came with the same client id"),
    b"\xe0\x00": (Disconnected, "ended the connection"),
    b"": (Disconnected, "it closed the connection"),
    b"\x30\xff\xff\xff\xff\x01": (Disconnected, "no MQTT"),
}


@pytest.mark.parametrize("sent", ENDINGS)
def test_a_broker_that_ends_the_connection(sent):
    with socket.create_server(("127.0.0.1", 0)) as server:
        subscriber = Subscriber(f"mqtt://127.0.0.1:{server.getsockname()[1]}", "test", ["t/#"])

        def answer():
            client, _ = server.accept()
            with client:
                for answer in (CONNACK, SUBACK + b"\x30\x05\x00\x01t\x00a" + sent):
                    client.recv(1000)
                    client.sendall(answer)

        with ThreadPoolExecutor() as pool:
            pool.submit(answer)
            error, text = ENDINGS[sent]
            with pytest.raises(error, match=text):
                subscriber.connect()
                for _ in range(10):
                    subscriber.receive(0.5)


def collecting(folder):
    """`collect` in a process of its own, and the lines that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "ingestion", "collect", "devices"], stdout=subprocess.PIPE, text=True
    )
    return process, iter(process.stdout.readline, "")


def test_collect_stays_through_restarts_of_the_broker_until_it_is_told_to_stop(broker, warehouse, load):
    process, lines = collecting(warehouse.folder)
    assert "keeps from now on" in next(lines)
    assert next(lines).endswith("devices: connected\n")
    broker.publish("machines/m1/temperature", READING)
    broker.stop()
    assert f"the connection to the broker 127.0.0.1:{broker.port} is lost" in next(lines)
    broker.start()
    line = next(lines)
    while "can't reach" in line:  # as often as it tried before the broker was there
        line = next(lines)
    assert line.endswith("devices: connected\n")
    assert load() == (1, 1, 0, 0, 0)
    broker.publish("machines/m1/temperature", {**READING, "seq": 2})
    process.send_signal(signal.SIGTERM)
    assert "devices: stopped after 2; " in next(lines)
    assert process.wait(10) == 0
    assert load() == (1, 1, 0, 0, 0)


def test_what_collect_was_told_is_in_the_ledger_of_the_next_run(broker, warehouse, load):
    load()
    broker.stop()
    (broker.folder / "mosquitto.db").unlink()
    broker.start()
    process, lines = collecting(warehouse.folder)
    assert "has forgotten us" in next(lines) and "connected" in next(lines)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert "has forgotten us" in warehouse.run(built_in()["devices"])["readings"]["notes"]
    assert warehouse.run(built_in()["devices"])["readings"]["notes"] is None


def test_collect_fails_where_it_is_refused(broker, warehouse):
    broker.stop()
    (broker.folder / "passwords").write_text("")
    broker.settings = f"password_file {broker.folder}/passwords\n"
    broker.start()
    process, lines = collecting(warehouse.folder)
    assert next(lines).endswith("refuses the connection: this user may not do that\n")
    assert process.wait(10) == 1


def test_the_check_takes_no_messages(broker, load, capsys):
    load()
    broker.publish("machines/m1/temperature", READING)
    assert main(["check", "devices"]) == 0
    assert "devices.readings: ok, 0 files in" in capsys.readouterr().out
    assert load() == (1, 1, 0, 0, 0)
    broker.stop()
    assert main(["check", "devices"]) == 1
    assert "can't reach the broker" in capsys.readouterr().out


def test_an_encrypted_connection_to_a_broker_whose_certificate_is_trusted(tmp_path, warehouse, monkeypatch):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    name = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *name, *files]
    subprocess.run(openssl, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    encrypted = f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
    broker = Broker(tmp_path / "broker", f"allow_anonymous true\n{encrypted}")
    monkeypatch.setenv("SOURCES__DEVICES__URL", f"mqtts://127.0.0.1:{port}")
    monkeypatch.setenv("SOURCES__DEVICES__TOPICS", '["machines/{device}/{metric}"]')
    try:
        error = warehouse.run(built_in()["devices"])["readings"]["error"]
        assert "certificate" in error and "SSL_CERT_FILE" in error
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert warehouse.run(built_in()["devices"])["readings"]["error"] is None
        broker.publish("machines/m1/temperature", *([READING, {**READING, "seq": 2, "pad": "x" * 500_000}] * 20))
        assert counts(warehouse.run(built_in()["devices"])["readings"])[0] == 40
    finally:
        broker.stop()


def test_the_password_is_told_to_nobody(broker, warehouse, monkeypatch):
    monkeypatch.setenv("SOURCES__DEVICES__URL", broker.url.replace("//", "//someone:ze%40cret@"))
    broker.stop()
    error = warehouse.run(built_in()["devices"])["readings"]["error"]
    assert "can't reach the broker 127.0.0.1" in error
    assert "cret" not in error
