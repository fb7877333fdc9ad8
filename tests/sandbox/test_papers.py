"""The documents say what the truth says: read back, their text mentions what it should and nothing else of the kind."""

import email
import html
import io
import re
import zipfile
from collections import Counter, defaultdict
from email.policy import default
from xml.etree import ElementTree

import pypdfium2
import pytest

from ingestion.parsers import Unreadable, archive
from sandbox.letters import LANGUAGES, TEXTS

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
KINDS = {
    "order": r"\b[Ww]\d{7}\b", "device": r"\bm\d{4}\b", "claim": r"\bCLM-\d{4}-\d{4}\b",
    "email": r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+",
    "customer": r"(?:Customer no\.|Kundennummer|Numéro de client|Numero cliente|Klantnummer|Kundnummer) (\d+)",
}  # fmt: skip


def text_of_pdf(data):
    document = pypdfium2.PdfDocument(data)
    return len(document), "\n".join(page.get_textpage().get_text_range() for page in document)


def text_of_docx(data):
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        root = ElementTree.fromstring(opened.read("word/document.xml"))
    return 1, "\n".join(element.text or "" for element in root.iter(f"{WORD}t"))


def text_of_html(text):
    return html.unescape(re.sub(r"<(script|style|title)>.*?</\1>|<[^>]+>", " ", text, flags=re.S))


def text_of_mail(data):
    message = email.message_from_bytes(data, policy=default)
    body = message.get_body(("plain", "html"))
    text = body.get_content()
    return 1, text_of_html(text) if body.get_content_subtype() == "html" else text


def text_of_text(data):
    try:
        return 1, data.decode()
    except UnicodeDecodeError:
        return 1, data.decode("cp1252")


READERS = {
    "pdf": text_of_pdf, "docx": text_of_docx, "eml": text_of_mail, "md": text_of_text, "txt": text_of_text,
    "html": lambda data: (1, text_of_html(data.decode())),
}  # fmt: skip


@pytest.fixture(scope="module")
def truth(bigger):
    return bigger.papers.truth()["documents.json"]


@pytest.fixture(scope="module")
def texts(written, truth):
    """(number of pages, text) by path, of those that can be read."""
    folder = written / "documents"
    return {
        path: READERS[about["format"]]((folder / path).read_bytes())
        for path, about in truth.items()
        if about["status"] == "read"
    }


def mentioned(text):
    text = re.sub(r"\s+", " ", text)  # lines are broken anywhere
    found = {kind: {match.lower() for match in re.findall(pattern, text)} for kind, pattern in KINDS.items()}
    return found | {"order": {order.upper() for order in found["order"]}, "claim": {c.upper() for c in found["claim"]}}


def test_a_text_mentions_what_it_should_and_nothing_else_of_the_kind(texts, truth):
    for path, (pages, text) in texts.items():
        assert pages == truth[path]["pages"], path
        assert mentioned(text) == {kind: set(values) for kind, values in truth[path]["mentions"].items()}, path


def test_every_kind_of_document_is_there_and_long_enough_to_tell_its_language(texts, truth):
    kinds = Counter(truth[path]["format"] for path in texts)
    assert all(kinds[kind] for kind in READERS)
    assert {about["language"] for about in truth.values() if "language" in about} == {*LANGUAGES.values(), "en"}
    assert all(len(text) >= 290 for _, text in texts.values())
    assert all(any(about["mentions"][kind] for about in truth.values() if "mentions" in about) for kind in KINDS)
    assert truth["handbook.pdf"]["pages"] == 30


def test_every_language_has_every_letter():
    kinds = set(TEXTS["en"])
    for language in set(LANGUAGES.values()):
        assert set(TEXTS[language]) == kinds
        for kind in kinds - {"faults"}:
            fields = [set(re.findall(r"{\w+}", TEXTS[tongue][kind]["text"])) for tongue in (language, "en")]
            assert fields[0] == fields[1], (language, kind)


def test_what_is_mentioned_is_there(bigger, truth):
    orders = {order["order_number"] for order in bigger.shop["orders"].values()}
    emails = {person.email for person in bigger.people} | {person.email for person in bigger.person_of.values()}
    devices = {device.device_id for device in bigger.devices.devices}
    claims = {claim.number for claim in bigger.claims.all}
    customers = {str(key) for key in bigger.person_of}
    known = {"order": orders, "device": devices, "claim": claims, "customer": customers}
    old_addresses = 0
    for about in truth.values():
        for kind, values in about.get("mentions", {}).items():
            if kind == "email":
                old_addresses += not set(values) <= emails
            else:
                assert set(values) <= known[kind]
    assert old_addresses < 0.1 * len(truth), "people change their addresses, but seldom"


def test_some_spell_their_order_in_lower_case_and_their_address_in_capitals(texts):
    whole = "\n".join(text for _, text in texts.values())
    assert re.search(r"\bw\d{7}\b", whole) and re.search(r"\b[A-Z.]+\d+@[A-Z]", whole)


def test_attachments_are_files_of_the_sandbox_and_answers_refer_to_mails_that_are_there(written, truth):
    mails = {about["message_id"]: path for path, about in truth.items() if "message_id" in about}
    kinds, answers = Counter(), 0
    for path, about in truth.items():
        if about.get("format") != "eml":
            continue
        message = email.message_from_bytes((written / "documents" / path).read_bytes(), policy=default)
        parts = list(message.iter_attachments())
        assert [part.get_filename() for part in parts] == [each["name"] for each in about["attachments"]]
        for part, each in zip(parts, about["attachments"], strict=True):
            assert part.get_content_type() == each["media_type"]
            if each["same_as"]:
                assert part.get_content() == (written / each["same_as"]).read_bytes()
                kinds[each["same_as"].split("/")[0]] += 1
        if path.startswith("mails/"):
            assert message["Message-ID"] == f"<{about['message_id']}>" and message["Subject"] == about["title"]
            assert message["Date"].datetime.isoformat() == about["sent_at"]
            for header in ("from", "to"):
                user, _, domain = message[header].addresses[0].addr_spec.lower().rpartition("@")
                assert f"{user}@{domain.encode().decode('idna')}" == about[header]
            if about["in_reply_to"]:
                answers += 1
                assert message["References"] == message["In-Reply-To"] == f"<{about['in_reply_to']}>"
                question = truth[mails[about["in_reply_to"]]]
                assert question["sent_at"] < about["sent_at"] and question["from"] == about["to"]
    assert kinds["documents"] and kinds["images"] and answers


def test_contracts_list_the_devices_of_their_customer(bigger, truth):
    owned = defaultdict(set)
    for device in bigger.devices.devices:
        owned[device.owner].add(device.device_id)
    listed = 0
    for path, about in truth.items():
        if path.startswith("contracts/"):
            (customer,) = about["mentions"]["customer"]
            assert set(about["mentions"]["device"]) <= owned[f"customer {customer}"]
            listed += bool(about["mentions"]["device"])
    assert listed


def test_documents_that_cannot_be_read(written, truth):
    folder = written / "documents/other"
    assert {path.partition("/")[2]: about["status"] for path, about in truth.items() if about["status"] != "read"} == {
        "password.pdf": "encrypted", "scan.pdf": "scanned", "empty.txt": "empty", "cut.pdf": "broken",
        "loop.pdf": "broken", "bomb.docx": "refused",
    }  # fmt: skip
    with pytest.raises(pypdfium2.PdfiumError, match="password"):
        pypdfium2.PdfDocument(folder / "password.pdf")
    assert text_of_pdf((folder / "scan.pdf").read_bytes()) == (1, "")
    assert (folder / "empty.txt").read_bytes() == b""
    with pytest.raises(pypdfium2.PdfiumError, match="format"):
        pypdfium2.PdfDocument(folder / "cut.pdf")
    with pytest.raises(pypdfium2.PdfiumError):
        text_of_pdf((folder / "loop.pdf").read_bytes())
    with pytest.raises(Unreadable) as bomb:
        archive((folder / "bomb.docx").read_bytes())
    assert bomb.value.status == "refused" and (folder / "bomb.docx").stat().st_size < 30_000
    assert (folder / "two\nlines.txt").exists()
