"""Files that nobody vouches for: what is read of a folder, what a parser may do, and what is said of each file."""

import os
import select
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime

import dlt
import pytest

from ingestion import untrusted
from ingestion.contract import contract, field
from ingestion.errors import SourceError, explain
from ingestion.folder import Folder
from ingestion.reading import resources
from ingestion.stream import Run, Snapshot, State, Stream, Window
from ingestion.systems import System


@contract
class Words:
    """One word of a file."""

    file: str = field("The file.", key=True)
    number: int = field("Its number in the file.", key=True)
    word: str | None = field("The word.")
    rest: str | None = field("What follows it.")


@contract
class Things:
    """One content."""

    thing_id: str = field("SHA-256.", key=True)
    status: str = field("What became of it.")
    reason: str | None = field("Why.")


STREAMS = [
    Stream("files", untrusted.Files, State()),
    Stream("things", Things, State()),
    Stream("words", Words, Snapshot(scope=("file",))),
]


class Reader(untrusted.FileReader):
    parser, main = "odd_parser", ("things", "thing_id")

    def pages(self, stream, outcome, window):
        for page in super().pages(stream, outcome, window):
            for row in page.rows.objects if stream.name == "words" else ():
                row["file"] = outcome.file.label
            yield page


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


@pytest.fixture
def system(folder):
    @dlt.source(name="odd")
    def odd(run: Run | None = None):
        return resources(STREAMS, Reader(str(folder), "SOURCES__ODD__FOLDER"), run)

    return System("odd", "", STREAMS, odd, Reader, {})


@pytest.fixture
def outcomes(folder):
    """Writes files, reads all that is there, and tells what became of each."""
    readers = []

    def outcomes(files=None, **options):
        for name, data in (files or {}).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        readers.append(reader := Reader(str(folder), "SOURCES__ODD__FOLDER", **options))
        return {outcome.file.name: outcome for outcome in reader._read(reader.files)}

    yield outcomes
    for reader in readers:
        reader.close()


def test_rows_of_files_land_once_and_what_vanishes_is_gone(folder, system, warehouse):
    (folder / "a.txt").write_text("many 3")
    (folder / "b").mkdir()
    (folder / "b" / "b.txt").write_text("locked")
    (folder / ".hidden").write_text("many 3")
    ledger = warehouse.run(system)
    assert {name: row["rows_loaded"] for name, row in ledger.items()} == {"files": 2, "things": 1, "words": 3}
    files = "select path, status, reason, size_bytes, length(file_id), modified_at from raw_odd.files order by path"
    (a, b) = warehouse.query(files)
    assert a[:5] == ("a.txt", "read", None, 6, 64) and b[:5] == ("b/b.txt", "encrypted", "it has a password", 6, 64)
    assert a[5] == datetime.fromtimestamp((folder / "a.txt").stat().st_mtime, UTC)
    assert warehouse.query("select status, reason from raw_odd.things") == [("encrypted", "it has a password")]
    assert {row["rows_read"] for row in warehouse.run(system).values()} == {0}
    (folder / "a.txt").write_text("many 4")
    (folder / "b" / "b.txt").rename(folder / "c.txt")
    warehouse.run(system)
    marks = warehouse.query("select path, _mark from raw_odd.files order by _observed_at, path")
    assert marks[2:] == [("a.txt", None), ("c.txt", None), ("b/b.txt", "gone")]
    assert warehouse.query("select count(*), count(distinct _key) from raw_odd.words") == [(7, 4)]


@pytest.mark.parametrize("full", [False, True])
def test_what_is_in_a_folder_that_nobody_tells_us_is_not_gone(folder, system, warehouse, monkeypatch, full):
    (folder / "b").mkdir()
    for name in ("a.txt", "b/b.txt", "bc.txt", "d.txt"):
        (folder / name).write_text("many 1")
    warehouse.run(system)
    (folder / "bc.txt").unlink()
    whole = os.scandir

    def scandir(path):
        if path == str(folder / "b"):
            raise PermissionError(13, "Permission denied", path)
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    row = warehouse.run(system, full=full)["files"]
    assert row["status"] == "failed" and "b: " in row["error"]
    gone = "select path from raw_odd.files where _mark = 'gone'"
    assert warehouse.query(gone) == [("bc.txt",)]
    monkeypatch.setattr(os, "scandir", whole)
    (folder / "b" / "b.txt").unlink()
    assert warehouse.run(system)["files"]["status"] == "complete"
    assert sorted(set(warehouse.query(gone))) == [("b",), ("b/b.txt",), ("bc.txt",)]


def test_a_folder_that_is_suddenly_empty_is_not_believed(folder, system, warehouse):
    for name in "abc":
        (folder / name).write_text("many 2")
    warehouse.run(system)
    for name in "abc":
        (folder / name).rename(folder.parent / name)
    ledger = warehouse.run(system)["files"]
    assert ledger["status"] == "failed" and "there are 0 files where 3 were" in ledger["error"]
    assert warehouse.run(system, accept_deletes=True)["files"]["rows_marked_gone"] == 3


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        ("raise this", "broken", "ValueError: what is this?"),
        ("deep", "broken", "RecursionError"),
        ("die", "broken", "its parser died (signal 11)"),
        ("killed", "failed", "something ended its parser (signal 9)"),
        ("abort", "refused", "its parser gave up, most likely for want of memory (signal 6)"),
        ("hang", "refused", "it was not parsed within 1 seconds"),
        ("sleep", "refused", "it was not parsed within 1 seconds"),
        ("late", "refused", "a part of it takes its parser too long (signal 26)"),
        ("grow", "refused", "it needs more than 1,024 MiB of memory"),
        ("endless", "refused", "it gives more than 10,000,000 bytes of rows"),
        ("run /tmp/x", "broken", "a parser may not do this: subprocess.Popen"),
        ("", "empty", "it has no bytes"),
        ("x" * 2000, "refused", "it has 2,000 bytes; 1,000 are allowed"),
    ],
)
def test_what_goes_wrong_in_a_parser_is_said_and_stops_no_other_file(outcomes, content, status, reason, monkeypatch):
    monkeypatch.setattr(untrusted, "SECONDS", 1.0)
    monkeypatch.setattr(untrusted, "PATIENCE", 2.0 if content == "sleep" else 600.0)
    monkeypatch.setattr(untrusted, "EXPANDED", 10_000_000)
    monkeypatch.setattr(untrusted, "LARGEST", 1_000)
    found = outcomes({"a": "many 2", "b": content, "c": "many 2"} if content != "sleep" else {"b": content})
    assert (found["b"].status, found["b"].rows) == (status, None) and reason in found["b"].reason
    others = [found[name] for name in found if name != "b"]
    assert all(other.status == "read" and len(other.of("words")) == 2 for other in others)


def test_a_parser_reaches_no_network_no_disk_and_no_secret(outcomes, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES__SHOP__CREDENTIALS", "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        found = outcomes({"a": f"connect {server.getsockname()[1]}", "b": f"write {tmp_path}/written", "c": "secrets"})
        with pytest.raises(TimeoutError):
            server.accept()
    assert "a parser may not do this: socket." in found["a"].reason
    assert "a parser may not do this: open" in found["b"].reason and not (tmp_path / "written").exists()
    assert "SOURCES" not in found["c"].of("words")[1]["rest"]


def test_a_parser_does_not_outlive_who_started_it():
    code = """if True:
        import threading, time
        from ingestion import untrusted
        child = untrusted.Child("odd_parser", {})
        process = child.process = child._start()
        begun = untrusted._processor_seconds(process)
        threading.Thread(target=child.parse, args=(b"hang", "a", None)).start()
        while untrusted._processor_seconds(process) < begun + 0.2:  # it has the file
            time.sleep(0.05)
        print(process.pid, flush=True)
    """
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as starter:
        parser = os.pidfd_open(int(starter.stdout.readline()))
        starter.kill()
    has_ended, _, _ = select.select([parser], [], [], 10)
    if not has_ended:
        signal.pidfd_send_signal(parser, signal.SIGKILL)
    os.close(parser)
    assert has_ended


def test_what_a_parser_prints_is_no_row(outcomes):
    assert [row["word"] for row in outcomes({"a": "shout"})["a"].of("words")] == ["shout"]


def test_a_parser_may_have_something_to_say_beside_rows(outcomes):
    found = outcomes({"a": "scanned"}, rest="an option")["a"]
    assert (found.status, found.reason) == ("scanned", "it has no text")
    assert found.of("words") == [{"word": "scanned", "number": 0, "rest": "an option"}]


def test_a_process_is_used_again_unless_it_has_grown(outcomes, monkeypatch):
    monkeypatch.setattr(untrusted, "CHILDREN", 1)
    found = outcomes({"a": "process", "b": "process", "c": "worn", "d": "process"})
    first, second, third, fourth = (found[name].of("words")[1]["rest"] for name in "abcd")
    assert first == second == third != fourth


def test_links_pipes_and_folders_that_must_not_be_read(outcomes, folder, tmp_path):
    (tmp_path / "outside").write_text("many 2")
    (folder / "to_outside").symlink_to(tmp_path / "outside")
    (folder / "to_inside").symlink_to("a")
    (folder / "to_nothing").symlink_to("nothing")
    (folder / "to_itself").symlink_to("to_itself")
    (folder / "circle").symlink_to(folder)
    (folder / "etc").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    found = outcomes({"a": "many 2"})
    said = {name: (outcome.status, outcome.reason) for name, outcome in found.items()}
    assert said.pop("a") == said.pop("to_inside") == ("read", None)
    assert said.pop("to_outside") == ("refused", "it is a link that leads out of the folder")
    assert said.pop("pipe") == ("refused", "it is no regular file, but a pipe, a device or the like")
    assert {said.pop("etc"), said.pop("circle")} == {("refused", "it is a link to a folder, which is not followed")}
    assert {status for status, _ in said.values()} == {"failed"} and said.keys() == {"to_nothing", "to_itself"}


def test_a_folder_that_does_not_answer_says_so_without_its_password():
    with pytest.raises(SourceError) as failure:
        Folder("ftp://reader:hunter%2F2secret@127.0.0.1:1/papers", "SOURCES__ODD__FOLDER")
    assert explain(failure.value) == (
        "SOURCES__ODD__FOLDER is ftp://reader:***@127.0.0.1:1/papers: "
        "ConnectionRefusedError: [Errno 111] Connection refused"
    )


def test_names_that_are_no_text(folder, system, warehouse):
    (folder / "two\nlines").write_text("many 2")
    with open(os.fsencode(folder) + b"/caf\xe9", "w") as file:
        file.write("many 2")
    ledger = warehouse.run(system)
    assert ledger["files"]["status"] == "complete"
    assert warehouse.query("select path from raw_odd.files order by 1") == [("caf\\udce9",), ("two\nlines",)]


class Changing:
    """An open file that grows after it was read."""

    def __init__(self, file, path):
        self.file, self.path, self.fileno = file, path, file.fileno

    def read(self, size):
        data = self.file.read(size)
        with self.path.open("a") as file:
            file.write("0")
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def test_a_file_that_changes_while_it_is_read_is_read_once_more(folder, system, warehouse, monkeypatch):
    """At once, or in the next run, should it go on."""
    (folder / "a").write_text("many 2")
    (folder / "b").write_text("many 1")
    opened, changes = Folder.open_own, 1

    def open_own(self, name):
        nonlocal changes
        file = opened(self, name)
        if name == "b" and changes:
            changes -= 1
            return Changing(file, folder / name)
        return file

    monkeypatch.setattr(Folder, "open_own", open_own)
    assert warehouse.run(system)["words"]["rows_loaded"] == 2 + 10
    (folder / "b").write_text("many 2")
    changes = 1000
    ledger = warehouse.run(system)
    assert "b: it changed while it was read, each time. The next run tries again" in ledger["files"]["error"]
    assert ledger["words"]["rows_read"] == 0 and ledger["words"]["status"] == "failed"
    said = warehouse.query("select status, reason from raw_odd.files where path = 'b' order by _observed_at")
    assert said == [("read", None), ("failed", "it changed while it was read, each time. The next run tries again")]
    changes = 0
    (folder / "b").write_text("many 3")
    assert warehouse.run(system)["words"]["rows_loaded"] == 3


def test_no_row_waits_on_disk_when_the_reader_is_closed(folder):
    (folder / "a").write_text("many 2")
    reader = Reader(str(folder), "SOURCES__ODD__FOLDER")
    list(reader.read(STREAMS[0], Window(None, None, False, {})))
    kept = reader.kept.name
    assert os.listdir(kept)
    reader.close()
    assert not os.path.exists(kept)


def test_a_parser_that_can_not_be_started_is_no_files_fault(outcomes, monkeypatch):
    monkeypatch.setattr(Reader, "parser", "no_parser")
    found = outcomes({"a": "many 2"})["a"]
    assert (found.status, found.is_settled) == ("failed", False)
    assert "see what `python -m ingestion.parsers no_parser` says" in found.reason
