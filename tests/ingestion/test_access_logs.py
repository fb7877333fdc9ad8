"""Access logs as web servers write them: every line is a row or a rejected row, and no address is whole."""

import gzip
import json
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from shutil import which

import pytest
from conftest import BOTH, counts

from ingestion import access_logs
from ingestion.errors import SourceError
from ingestion.systems import built_in

WHEN = "[10/Oct/2025:13:55:36 +0200]"
GET = f'203.0.113.9 - - {WHEN} "GET / HTTP/1.1" 200 1 "-" "-"'
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
NAMES = [f.name for f in access_logs.Requests.fields if f.name not in ("log_id", "line_start")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "logs"
    folder.mkdir()
    monkeypatch.setenv("SOURCES__ACCESS_LOGS__FOLDER", str(folder))
    return folder


@pytest.fixture
def load(warehouse, folder):
    """Writes lines to access.log and loads them; returns (read, loaded, unchanged, rejected, gone)."""

    def load(*lines):
        with (folder / "access.log").open("ab") as log:
            log.writelines((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
        return counts(warehouse.run(built_in()["access_logs"])["requests"])

    return load


def rows(warehouse):
    columns = ", ".join(NAMES)
    return [
        {name: value for name, value in zip(NAMES, row, strict=True) if value is not None}
        for row in warehouse.query(f"select {columns} from raw_access_logs.requests order by line_start")
    ]


FORMATS = {
    f'203.0.113.9 - - {WHEN} "GET /shop?a=1&b=?2 HTTP/1.1" 200 2326 "https://g.example/" "{AGENT}"': {
        "remote_ip": "203.0.113.0", "method": "GET", "path": "/shop", "query": "a=1&b=?2", "protocol": "HTTP/1.1",
        "byte_count": 2326, "referrer": "https://g.example/", "user_agent": AGENT,
    },
    rf'www.coffee.example:443 2001:0db8:1:2::7 - frank smith {WHEN} "GET / HTTP/2.0" 200 - "-" "a \"b\"" 0.003': {
        "host": "www.coffee.example:443", "remote_ip": "2001:db8:1::", "remote_user": "frank smith", "method": "GET",
        "path": "/", "protocol": "HTTP/2.0", "user_agent": r"a \"b\"",
    },
    '127.0.0.1 - frank [10/Oct/2025:04:55:36 -0700] "GET /pb.gif" 200 0': {
        "remote_ip": "127.0.0.0", "remote_user": "frank", "method": "GET", "path": "/pb.gif", "byte_count": 0,
    },
    rf'1::2:3:4:5:6:7 - - {WHEN} "\x16\x03\x01" 200 1 "-" "-"': {
        "remote_ip": "1:0:2::", "request": r"\x16\x03\x01", "byte_count": 1,
    },
    json.dumps({
        "time_iso8601": "2025-10-10T13:55:36+02:00", "remote_addr": "::ffff:203.0.113.9", "request": "GET /a HTTP/1.1",
        "status": "200", "body_bytes_sent": 12, "http_user_agent": AGENT, "request_time": 0.12, "upstream": {"a": 1},
    }): {
        "remote_ip": "203.0.113.0", "method": "GET", "path": "/a", "protocol": "HTTP/1.1", "byte_count": 12,
        "user_agent": AGENT, "duration_seconds": 0.12,
    },
    json.dumps({
        "ts": 1760097336, "client_ip": "203.0.113.9, 10.0.0.1", "method": "GET", "uri": "/b?c", "status": 200,
        "host": "h",
    }): {"host": "h", "remote_ip": "203.0.113.0", "method": "GET", "path": "/b", "query": "c"},
}  # fmt: skip


@BOTH
@pytest.mark.parametrize(("line", "expected"), FORMATS.items(), ids=range(len(FORMATS)))
def test_formats(warehouse, load, line, expected):
    assert load(line) == (1, 1, 0, 0, 0)
    assert rows(warehouse) == [
        {"status": 200, "requested_at": datetime(2025, 10, 10, 11, 55, 36, tzinfo=UTC), **expected}
    ]


def test_what_is_left_of_a_line_is_kept(warehouse, load):
    json_line = '{"ts": 1760097336, "request": "GET / HTTP/1.1", "status": 200, "upstream": {"a": 1}}'
    load(f"{GET} 0.003 cache=hit", json_line)
    kept = warehouse.query("select _unknown_fields from raw_access_logs.requests order by line_start")
    assert [json.loads(text) for (text,) in kept] == [{"rest": "0.003 cache=hit"}, {"upstream": {"a": 1}}]


def test_lines_that_are_none(warehouse, load):
    """Rejected with their place and what they were, without addresses; the others land."""
    assert load(
        GET,
        "garbage from 203.0.113.9 and 2001:db8:1:2:3::4",
        b'203.0.113.9 - - [10/Oct/2025:13:55:36 +0200] "GET /\xff\x00 HTTP/1.1" 200 1 "-" "-"',
        GET.replace("10/Oct", "10/Foo"),
        '{"request": "GET / HTTP/1.1", "status": 200, "ip": "203.0.113.9"}',
        '{"request": ',
        " \r",
    ) == (6, 2, 0, 4, 0)
    rejected = warehouse.query("select position, reason, original from raw_access_logs.rejected_rows order by position")
    assert [(position, reason) for position, reason, _ in rejected] == [
        ("access.log:2", "this is neither in the combined format nor a JSON object"),
        ("access.log:4", "requested_at: '10/Foo/2025:13:55:36 +0200' is not a time"),
        ("access.log:5", "requested_at: is missing"),
        ("access.log:6", "this is neither in the combined format nor a JSON object"),
    ]
    assert json.loads(rejected[0][2]) == "garbage from 203.0.113.0 and 2001:db8:1::"
    assert "203.0.113.9" not in str(rejected)
    assert rows(warehouse)[1]["path"] == "/\\xff\x00"


def test_rotation(warehouse, folder, load):
    """A line has one key, whatever its file is called by now; an unchanged file is not opened."""
    line = '203.0.113.9 - - [10/Oct/2025:13:55:{:02} +0200] "GET /{} HTTP/1.1" 200 1 "-" "-"'
    assert load(line.format(1, 1), line.format(2, 2)) == (2, 2, 0, 0, 0)
    assert load() == (0, 0, 0, 0, 0)
    packed = gzip.compress((folder / "access.log").read_bytes() + line.format(3, 3).encode() + b"\n")
    (folder / "access.log").unlink()
    (folder / "access.log-20251010.gz").write_bytes(packed)
    assert load(line.format(4, 4)) == (2, 2, 0, 0, 0)
    assert warehouse.run(built_in()["access_logs"], full=True)["requests"]["rows_unchanged"] == 4
    assert sorted(row["path"] for row in rows(warehouse)) == ["/1", "/2", "/3", "/4"]


def test_names_of_its_own(warehouse, load, monkeypatch):
    monkeypatch.setenv("SOURCES__ACCESS_LOGS__NAMES", '{"time": "when", "ip": "who"}')
    load('{"when": "2025-10-10T11:55:36Z", "who": "203.0.113.9", "request": "GET / HTTP/1.1", "status": 200}')
    assert rows(warehouse)[0]["remote_ip"] == "203.0.113.0"
    monkeypatch.setenv("SOURCES__ACCESS_LOGS__NAMES", '{"when": "time"}')
    with pytest.raises(SourceError, match="SOURCES__ACCESS_LOGS__NAMES: there is no when; there are host, ip,"):
        built_in()["access_logs"].connect()


@pytest.mark.skipif(not which("nginx"), reason="nginx is not installed")
def test_a_real_nginx(warehouse, folder, load, tmp_path):
    """Its combined format, and its JSON, for the same requests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(f"""
        daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}
        http {{
            log_format js escape=json '{{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr",'
                '"request":"$request",'
                '"status":$status,"body_bytes_sent":$body_bytes_sent,"http_referer":"$http_referer",'
                '"http_user_agent":"$http_user_agent"}}';
            access_log {folder}/access.log combined; access_log {folder}/json.log js;
            server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }}
        }}""")
    with subprocess.Popen(["nginx", "-c", tmp_path / "nginx.conf", "-p", tmp_path]) as server:
        try:
            for path in ("/a?b=c", "/caf%C3%A9", '/"quoted"', "/" + "x" * 1000):
                request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"User-Agent": 'a "b" \\ é'})
                for _ in range(50):
                    try:
                        urllib.request.urlopen(request).read()
                        break
                    except OSError:  # it is not up yet
                        time.sleep(0.1)
        finally:
            server.terminate()
    read, loaded, *_ = load()
    assert (read, loaded) == (8, 8)
    paths = warehouse.query("""
        select log_id, list(replace(path, '\\x22', '"') order by path), list(distinct requested_at), list(byte_count)
        from raw_access_logs.requests group by log_id
    """)
    (_, *combined), (_, *as_json) = paths
    assert combined == as_json
    assert sorted(combined[0]) == ['/"quoted"', "/a", "/caf%C3%A9", "/" + "x" * 1000]
