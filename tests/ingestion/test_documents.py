"""documents: what lands of the files in a folder, once, wherever they lie and whatever is wrong with them."""

import hashlib
import os
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from reportlab.pdfgen.canvas import Canvas

from ingestion import untrusted

TEXT = "Please find attached the invoice for the order W0000012 that you placed last Monday, and the delivery note."


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES__DOCUMENTS__FOLDER", str(tmp_path / "papers"))
    (tmp_path / "papers").mkdir()
    return tmp_path / "papers"


@pytest.fixture
def one_child(monkeypatch):
    """Files are parsed one after the other: to start a parser takes longer than to read all that these tests have."""
    monkeypatch.setattr(untrusted, "CHILDREN", 1)


def invoice(folder, name="invoice.pdf", *lines):
    path = folder / name
    canvas = Canvas(str(path), invariant=1)
    canvas.setTitle("Invoice 17")
    for number, line in enumerate(lines or [TEXT]):
        canvas.drawString(72, 700 - 14 * number, line)
    canvas.showPage()
    canvas.drawString(72, 700, "Page two")
    canvas.save()
    return path.read_bytes()


def mail(*attachments, text=TEXT):
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Ana <ana@example.com>", "us@example.com", "Order W0000012"
    message["Date"], message["Message-ID"] = "Mon, 05 Feb 2024 10:00:00 +0100", "<2@example.com>"
    message["References"] = "<0@example.com> <1@example.com>"
    message.set_content(text)
    for name, data in attachments:
        message.add_attachment(data, "application", "octet-stream", filename=name)
    return message.as_bytes()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def counts(ledger, count="rows_loaded"):
    assert {row["error"] for row in ledger.values()} == {None}
    return {stream: row[count] for stream, row in ledger.items()}


def test_a_document_in_three_places_lands_once_and_its_mail_names_it(folder, warehouse, one_child):
    data = invoice(folder)
    invoice(folder, "copy.pdf")
    (folder / "mail.eml").write_bytes(sent := mail(("invoice.pdf", data), ("photo", b"\x89PNG\r\n\x1a\n\0")))
    ledger = warehouse.run("documents")
    assert counts(ledger) == {"files": 3, "documents": 3, "attachments": 2, "pages": 3, "chunks": 3}
    documents = warehouse.query("""
        select document_id, format, status, language, page_count, title, message_id, from_address, to_addresses,
            reference_ids, sent_at::varchar
        from raw_documents.documents order by format
    """)
    assert documents == [
        (
            *(sha256(sent), "eml", "read", "en", 1, "Order W0000012", "2@example.com", "ana@example.com"),
            *('["us@example.com"]', '["0@example.com","1@example.com"]', "2024-02-05 09:00:00+00"),
        ),
        (sha256(data), "pdf", "read", "en", 2, "Invoice 17", None, None, None, None, None),
        (sha256(b"\x89PNG\r\n\x1a\n\0"), "png", "unsupported", *[None] * 8),
    ]
    attached = warehouse.query(
        "select document_id, number, name, attachment_id from raw_documents.attachments order by 2"
    )
    assert attached == [
        (sha256(sent), 1, "invoice.pdf", sha256(data)),
        (sha256(sent), 2, "photo", sha256(b"\x89PNG\r\n\x1a\n\0")),
    ]
    pages = "select document_id, page_number, text from raw_documents.pages order by document_id, page_number"
    expected = [(sha256(data), 1, TEXT), (sha256(data), 2, "Page two"), (sha256(sent), 1, TEXT)]
    assert warehouse.query(pages) == sorted(expected)
    chunks = "select document_id, page_number, start_offset, end_offset, text from raw_documents.chunks order by 1, 2"
    assert warehouse.query(chunks) == [(key, number, 0, len(text), text) for key, number, text in sorted(expected)]


def test_the_first_name_of_a_content_says_how_it_is_read(folder, warehouse):
    """So that its chunks are of one reading, and not some of this and some of that."""
    source = "<p>" + "A sentence of some length, which ends. " * 50
    for name in ("a.html", "b.txt", "c.html"):
        (folder / name).write_text(source)
    warehouse.run("documents")
    assert warehouse.query("select format from raw_documents.documents") == [("html",)]
    assert warehouse.query("select count(*), max(_scope_rows) from raw_documents.chunks") == [(2, 2)]


def test_only_what_is_new_or_has_changed_is_read(folder, warehouse, one_child):
    invoice(folder)
    (folder / "note.txt").write_text("First")
    (folder / "old.txt").write_text("Old")
    warehouse.run("documents")
    (folder / "note.txt").write_text("Second")
    (folder / "old.txt").unlink()
    invoice(folder, "another.pdf", TEXT)  # its content is known
    ledger = warehouse.run("documents")
    assert counts(ledger) == {"files": 2, "documents": 1, "attachments": 0, "pages": 1, "chunks": 1}
    assert counts(ledger, "rows_marked_gone")["files"] == 1 and counts(ledger, "rows_read")["files"] == 2
    present = warehouse.current("raw_documents.files", "path, status", "path")
    assert present == [("another.pdf", "read"), ("invoice.pdf", "read"), ("note.txt", "read")]
    full = warehouse.run("documents", full=True)
    assert counts(full) == dict.fromkeys(full, 0) and counts(full, "rows_unchanged")["files"] == 3


def test_what_is_refused_now_has_no_text_any_more(folder, warehouse, monkeypatch):
    (folder / "a.eml").write_bytes(mail(("note.txt", b"A note")))
    assert counts(warehouse.run("documents")) == {"files": 1, "documents": 2, "attachments": 1, "pages": 2, "chunks": 2}
    monkeypatch.setattr(untrusted, "EXPANDED", 10)
    warehouse.run("documents", full=True)
    for stream in ("attachments", "pages", "chunks"):
        newest = f"(select max(_observed_at) from raw_documents.{stream})"
        found = warehouse.query(f"select _mark, _scope_rows from raw_documents.{stream} where _observed_at = {newest}")
        assert [rows for _, rows in found] == [0] and found[0][0], stream


def test_every_file_that_is_not_read_says_why(folder, warehouse, one_child, monkeypatch):
    monkeypatch.setattr(untrusted, "LARGEST", 5_000)
    whole = invoice(folder, "a.pdf")
    (folder / "a.pdf").unlink()
    files = {
        "cut.pdf": whole[:500],
        "empty.txt": b"",
        "blank.txt": b"\n\n",
        "large.txt": b"x" * 5_001,
        "two\nlines.txt": TEXT.encode(),
        "mail.eml": mail(("cut.pdf", whole[:500]), text=" "),
        "nested.eml": b"From: a\nTo: b\nSubject: c\n" + b"Content-Type: message/rfc822\n\n" * 30 + b"\n\nx",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "passwd.txt").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.txt")
    ledger = warehouse.run("documents")
    assert {row["status"] for row in ledger.values()} == {"complete"}
    found = warehouse.query("select path, status, reason is not null, file_id from raw_documents.files order by path")
    assert {path: status for path, status, *_ in found} == {
        **{"blank.txt": "empty", "cut.pdf": "broken", "empty.txt": "empty", "large.txt": "refused"},
        **{"mail.eml": "empty", "nested.eml": "refused", "passwd.txt": "refused", "pipe.txt": "refused"},
        "two\nlines.txt": "read",
    }
    assert all(has_reason == (status != "read") for _, status, has_reason, _ in found)
    documents = warehouse.query("select document_id, status from raw_documents.documents")
    assert dict(documents) == {
        sha256(data): status for path, status, _, file_id in found if file_id for data in [files[path]]
    }
    assert warehouse.query("select text from raw_documents.pages") == [(TEXT,)]
