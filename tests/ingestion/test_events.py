"""Archives of events: JSON lines and Parquet, in any compression; every line is a row or a rejected row."""

import gzip
import json
import random
from datetime import UTC, datetime

import duckdb
import pytest
from conftest import BOTH, counts

from ingestion import events
from ingestion import lines as lines_of_files
from ingestion.errors import SourceError
from ingestion.systems import built_in

AT = "2026-03-01T10:00:00.123Z"


def call(message_id, **more):
    """A page call, as Segment's library sends it."""
    return {
        "messageId": message_id, "type": "page", "anonymousId": "a1", "userId": None, "name": "Home",
        "properties": {"url": "https://coffee.example/", "path": "/"},
        "context": {"page": {"url": "https://coffee.example/"}, "userAgent": "x", "campaign": {"source": "news"}},
        "originalTimestamp": AT, "sentAt": AT, "receivedAt": AT, "timestamp": AT, **more,
    }  # fmt: skip


def lines(*calls):
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in calls)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "archive"
    (folder / "2026-03-01").mkdir(parents=True)
    monkeypatch.setenv("SOURCES__EVENTS__FOLDER", str(folder))
    return folder


@pytest.fixture
def load(warehouse, folder):
    """Loads what is new; returns (read, loaded, unchanged, rejected, gone)."""
    return lambda **options: counts(warehouse.run(built_in()["events"], **options)["events"])


def status(warehouse):
    ((status, error),) = warehouse.query(
        "select status, error from raw_events.load_ledger order by started_at desc limit 1"
    )
    return status, error


@BOTH
def test_lines(warehouse, folder, load):
    (folder / "2026-03-01" / "10.json.gz").write_bytes(gzip.compress(lines(call("m1"), call("m2", userId="7"))))
    (folder / "plain.jsonl").write_bytes(lines(call("m3", type="track", event="Bought", rudderId="r")).rstrip())
    assert load() == (3, 3, 0, 0, 0)
    assert load() == (0, 0, 0, 0, 0), "no file is new"
    assert load(full=True) == (3, 0, 3, 0, 0)
    ((row),) = warehouse.query("""
        select message_id, event_type, event, anonymous_id, user_id, name, properties, context, timestamp,
            _unknown_fields, _position
        from raw_events.events where event is not null
    """)
    assert row[:6] == ("m3", "track", "Bought", "a1", None, "Home")
    assert json.loads(row[6]) == call("")["properties"]
    assert json.loads(row[7]) == call("")["context"]
    assert row[8] == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)
    assert (json.loads(row[9]), row[10]) == ({"rudderId": "r"}, "plain.jsonl:1")


def test_events_that_come_again(warehouse, folder, load):
    """In another file it is not loaded again; sent with another time it has the same key, and staging does the rest."""
    (folder / "1.json").write_bytes(lines(call("m1"), call("m2")))
    assert load() == (2, 2, 0, 0, 0)
    (folder / "2.json").write_bytes(lines(call("m1"), call("m2", sentAt="2026-03-01T11:00:00Z")))
    assert load() == (2, 1, 1, 0, 0)


def test_events_that_come_again_within_a_run(folder, load, monkeypatch):
    """In a later stream of lines they are known, too; what is rejected is told in batches."""
    monkeypatch.setattr(lines_of_files, "BLOCK", 1000)
    monkeypatch.setattr(lines_of_files, "STREAM", 1000)
    (folder / "1.json").write_bytes(lines(call("m1"), call("m2"), call("m3")))
    (folder / "2.json").write_bytes(lines(call("m1"), call("m2"), call("m4")) + b"no event\n" * 25_000)
    assert load() == (25_006, 4, 2, 25_000, 0)


def test_lines_that_are_none(warehouse, folder, load):
    """Broken JSON within a gzip, an event without id, ten levels, times that can't be, bytes that are no text."""
    deep: dict = {"end": "1"}
    for _ in range(10):
        deep = {"deeper": deep}
    text = b"".join([
        lines(call("m1", properties=deep)), b'{"messageId": "m2", "type": "pa\n', b"[1, 2]\n", b" \r\n",
        lines(call(None)), lines(call("m3", timestamp="yesterday")), b'{"messageId": "\xff", "type": "track"}\n',
        lines(call("m4", originalTimestamp="1970-01-01T00:00:00Z", timestamp="2099-12-31T23:59:59Z")),
        lines(call("m5", context=None, properties="text", timestamp="")),
    ])  # fmt: skip
    (folder / "a.json.gz").write_bytes(gzip.compress(text))
    assert load() == (8, 4, 0, 4, 0)
    rejected = warehouse.query("select position, reason, original from raw_events.rejected_rows order by position")
    assert [(position, reason) for position, reason, _ in rejected] == [
        ("a.json.gz:2", "this is no JSON object"),
        ("a.json.gz:3", "this is no JSON object"),
        ("a.json.gz:5", "message_id: is missing"),
        ("a.json.gz:6", "timestamp: 'yesterday' is not a time"),
    ]
    assert json.loads(rejected[0][2]) == '{"messageId": "m2", "type": "pa'
    assert json.loads(rejected[3][2]) == call("m3", timestamp="yesterday")
    landed = dict(warehouse.query("select message_id, properties from raw_events.events"))
    assert landed.keys() == {"m1", "\\xff", "m4", "m5"}
    assert (json.loads(landed["m1"]), landed["m5"]) == (deep, "text")


FINE = [
    "null", "true", "1e5", "1.10", "-0", "12345678901234567890123", '""', '" x "', '"caf\\u00e9 \\n \\ud83d\\ude00"',
    '"\\"\\\\"', '{"b": [1, 2 ], "c": {"d": null}}', "[ ]", f'"{AT}"', '" 2026-03-01 10:00 "', "NaN",
]  # fmt: skip
PAGE = '"type": "page"'
ODD = [*FINE, '"soon"', "0123", "", '"tab\tin"', '"\\ud83d"']


@pytest.mark.parametrize("seed", range(5))
def test_any_line(warehouse, folder, load, seed):
    """Whatever is in it (members twice, numbers of any size, escapes, no JSON at all): a row, whose members are those
    that DuckDB takes out of this line alone, or a rejected row."""
    chance = random.Random(seed)
    names = [f.source for f in events.Events.fields if not f.type.startswith("TIME")]
    names += ["timestamp", "", "x", "a.b", 'q"', "messageid"]
    text = []
    for number in range(1000):
        kinds = chance.choice((FINE, FINE, ODD))
        members = [f"{json.dumps(chance.choice(names))}: {chance.choice(kinds)}" for _ in range(chance.randrange(6))]
        line = f'{{"messageId": "m{number}", {", ".join([PAGE, *members])}}}'
        text.append(line[: chance.randrange(len(line))] if chance.random() < 0.01 else line)
    (folder / "a.json").write_text("\n".join(text) + "\n")
    load()
    landed = warehouse.query("""
        select _position, message_id, event_type, properties, context, user_id, _unknown_fields from raw_events.events
    """)
    paths = ["$.messageId", "$.type", "$.properties", "$.context", "$.userId"]
    patch = json.dumps(dict.fromkeys(f.source for f in events.Events.fields))
    numbers = []
    for position, *members, unknown in landed:
        numbers.append(int(position.split(":")[1]))
        line = text[numbers[-1] - 1]
        expected, rest = duckdb.execute(
            "select json_extract_string($1, $2), json_merge_patch($1, $3)", [line, paths, patch]
        ).fetchone()
        assert (members, unknown) == (expected, None if rest == "{}" else rest), line
    reasons = []
    for position, reason, original in warehouse.query(
        "select position, reason, original from raw_events.rejected_rows"
    ):
        numbers.append(int(position.split(":")[1]))
        line = text[numbers[-1] - 1]
        is_json = duckdb.execute("select json_valid(?)", [line]).fetchone()[0]
        assert reason != "this is no JSON object" if is_json else reason == "this is no JSON object", line
        assert (original if is_json else json.loads(original)) == line
        reasons.append(reason)
    assert sorted(numbers) == [number for number, line in enumerate(text, 1) if line], "every line, once"
    assert len(landed) > 500 and len(reasons) > 100
    assert {reason.split(":")[0] for reason in reasons} == {"this is no JSON object", "timestamp"}


def test_an_archive_that_is_cut_off(warehouse, folder, load):
    """What can be read of it is loaded, the others too; the run fails and says so, until the rest is there."""
    whole = gzip.compress(lines(*(call(f"m{number}") for number in range(20_000))))
    (folder / "a.json.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "b.json.gz").write_bytes(gzip.compress(lines(call("other"))))
    read, loaded, *_ = load()
    assert 8_000 < read == loaded < 12_000
    kept, error = status(warehouse)
    assert kept == "failed"
    assert "a.json.gz: cut off after" in error
    assert load() == (0, 0, 0, 0, 0)
    assert status(warehouse)[0] == "failed", "as long as it is cut off"
    (folder / "a.json.gz").write_bytes(whole)
    assert load() == (20_001 - read, 20_001 - read, 0, 0, 0)
    assert status(warehouse) == ("complete", None)


NESTED = """
    select 'm' || i as "messageId", 'page' as type, 'a1' as "anonymousId",
        timestamptz '2026-03-01 10:00:00Z' as timestamp,
        {'page': {'url': 'https://coffee.example/'}, 'userAgent': 'x'} as context, {'url': 'u'} as properties
    from range(3) as numbers(i)
"""
FLAT = """
    select 'm' || i as id, 'page' as type, 'a1' as anonymous_id, timestamp '2026-03-01 10:00:00' as timestamp,
        'https://coffee.example/' as context_page_url, 'x' as context_user_agent, 'u' as url
    from range(3) as numbers(i)
"""


@pytest.mark.parametrize("table", [NESTED, FLAT], ids=["nested", "flat"])
def test_parquet(warehouse, folder, load, table):
    duckdb.sql(table).write_parquet(str(folder / "2026-03-01" / "a.parquet"))
    (folder / "broken.parquet").write_bytes(b"PAR1 and nothing")
    (folder / "b.json").write_bytes(lines(call("other")))
    assert load() == (4, 4, 0, 0, 0)
    assert "broken.parquet: " in status(warehouse)[1]
    (folder / "broken.parquet").unlink()
    assert load() == (0, 0, 0, 0, 0)
    row = warehouse.query("""
        select anonymous_id, timestamp, context, properties, _position from raw_events.events where message_id = 'm2'
    """)[0]
    assert row[:2] == ("a1", datetime(2026, 3, 1, 10, tzinfo=UTC))
    assert json.loads(row[2]) == {"page": {"url": "https://coffee.example/"}, "userAgent": "x"}
    assert (json.loads(row[3]), row[4]) == ({"url": "u"}, "2026-03-01/a.parquet:3")


def test_check(folder, monkeypatch):
    (folder / "a.json").write_bytes(lines(call("m1")) * 5000)
    reader = built_in()["events"].connect()
    assert reader.check(built_in()["events"].streams[0]) == "1 files, 2 MB"
    monkeypatch.setenv("SOURCES__EVENTS__FOLDER", f"{folder}/nowhere")
    with pytest.raises(SourceError, match="correct SOURCES__EVENTS__FOLDER"):
        built_in()["events"].connect().check(built_in()["events"].streams[0])
