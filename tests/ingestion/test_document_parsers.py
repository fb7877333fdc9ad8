"""Parsers of documents: what they make of files as programs write them, and of files that are meant to do harm."""

import hashlib
import io
import random
import signal
import subprocess
import sys
import zipfile
import zlib
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from ingestion.parsers import Unreadable, chunks, content, untangle
from ingestion.parsers import mail as mails
from ingestion.parsers.document import parse
from ingestion.parsers.language import language
from ingestion.untrusted import Child

PROSE = {
    "de": "Sehr geehrte Damen und Herren, anbei erhalten Sie die Rechnung zu Ihrer Bestellung vom letzten Montag.",
    "en": "Please find attached the invoice for the order that you placed last Monday, and the delivery note.",
    "fr": "Veuillez trouver ci-joint la facture de votre commande de lundi dernier, ainsi que le bon de livraison.",
    "pl": "W załączeniu przesyłamy fakturę do zamówienia złożonego w ubiegły poniedziałek oraz list przewozowy.",
}


class Parsed:
    """The rows of a file by stream, and what its parser says beside them."""

    def __init__(self, data, name):
        self.rows, rows = {}, parse(data, name)
        try:
            while True:
                stream, row = next(rows)
                self.rows.setdefault(stream, []).append(row)
        except StopIteration as stopped:
            self.said = stopped.value and (stopped.value.status, stopped.value.reason)

    @property
    def document(self):
        return self.rows["documents"][0]

    @property
    def texts(self):
        own = self.document["document_id"]
        return [page["text"] for page in self.rows.get("pages", []) if page["document_id"] == own]


def pdf(*pages, password=None, **properties):
    """Each page a list of lines; None leaves a gap."""
    out = io.BytesIO()
    lock = StandardEncryption(password, ownerPassword="owner", strength=128) if password is not None else None
    canvas = Canvas(out, invariant=1, encrypt=lock)
    for name, value in properties.items():
        getattr(canvas, f"set{name}")(value)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(72, 760 - 14 * number, line or "")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def bare_pdf(*objects):
    """A PDF of these objects, numbered from 1, the first its catalog."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + head + table + tail


def stream(packed, more=b""):
    return b"<</Length %d/Filter/FlateDecode%b>>\nstream\n%b\nendstream" % (len(packed), more, packed)


def page_of(content, *others, resources=b"<<>>"):
    kids = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources %b>>" % resources
    return bare_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", kids, stream(content), *others
    )


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def relations(**targets):
    """Relationships of the types and targets; a number after the type tells several apart."""
    kinds = {name: f'Id="{name}" Type="{R}/{name.rstrip("0123456789")}"' for name in targets}
    links = "".join(f'<Relationship {kinds[name]} Target="{target}"/>' for name, target in targets.items())
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{links}</Relationships>'
    )


def docx(body, more=(), **targets):
    """A docx with this body, these other members, and these relationships of its document."""
    return zipped(
        {
            "_rels/.rels": relations(officeDocument="word/document.xml", **{"core-properties": "docProps/core.xml"}),
            "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(**targets),
            **dict(more),
        }
    )


def lying(archive):
    """The archive, whose largest member is said to have ten bytes."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        size = max(member.file_size for member in opened.infolist())
    return archive.replace(size.to_bytes(4, "little"), (10).to_bytes(4, "little"))


def p(text, properties=""):
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


# PDF ------------------------------------------------------------------------------------------------------------------


def test_a_pdf_gives_its_pages_and_says_what_it_is():
    data = pdf(
        [PROSE["de"][:50], PROSE["de"][50:], None, "Ihre Bestellung KK-", "000123, Kunden-", "nummer 17."],
        ["Seite zwei"],
        Title="Rechnung 17",
        Author="Rösterei",
    )
    parsed = Parsed(data, "a.pdf")
    document = parsed.document
    assert document.pop("created_at").endswith("+00:00")
    assert document == {
        **{"document_id": hashlib.sha256(data).hexdigest(), "format": "pdf", "status": "read", "reason": None},
        **{"title": "Rechnung 17", "author": "Rösterei", "language": "de", "page_count": 2},
        "character_count": sum(map(len, parsed.texts)),
    }
    first = f"{PROSE['de'][:50].strip()}\n{PROSE['de'][50:].strip()}\n\nIhre Bestellung KK-000123, Kundennummer 17."
    assert parsed.texts == [first, "Seite zwei"] and parsed.said is None


def test_a_password_that_only_forbids_things_is_none():
    assert Parsed(pdf(["Hallo"], password=""), "a.pdf").texts == ["Hallo"]
    locked = Parsed(pdf(["Hallo"], password="secret"), "a.pdf")
    assert locked.said == ("encrypted", "it is protected by a password")
    assert (locked.document["format"], locked.document["status"]) == ("pdf", "encrypted") and not locked.texts


def test_a_pdf_without_text_is_a_scan_or_blank():
    picture = page_of(zlib.compress(b"0 0 600 800 re f"))
    assert [Parsed(data, "a.pdf").document["status"] for data in (picture, pdf([]))] == ["scanned", "empty"]
    scan = Parsed(picture, "a.pdf")
    assert scan.document["page_count"] == 1 and "no text" in scan.said[1] and "pages" not in scan.rows


@pytest.mark.parametrize(
    "data",
    [
        pdf(["Hallo"])[:700],
        b"%PDF-1.4\nnothing of the kind",
        b"\0\1\2\3",
        bare_pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]/Parent 2 0 R>>"),
    ],
    ids=["cut off", "a head alone", "a name alone", "a tree of pages that is its own branch"],
)
def test_a_pdf_that_is_none_is_broken(data):
    assert Parsed(data, "a.pdf").said[0] == "broken"


def test_what_is_filled_into_a_form_is_text():
    canvas = Canvas(out := io.BytesIO())
    canvas.drawString(72, 700, "Name:")
    canvas.acroForm.textfield(value="Ana Müller", x=72, y=600, width=200, height=20)
    canvas.linkURL("https://example.com", (72, 700, 100, 720))
    canvas.save()
    assert Parsed(out.getvalue(), "a.pdf").texts[0].split() == ["Name:", "Ana", "Müller"]


def test_a_page_that_cannot_be_read_costs_no_other_one():
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
    data = bare_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 6 0 R]/Count 2>>",
        page,
        stream(zlib.compress(b"BT /F1 12 Tf 72 700 Td (Hello) Tj ET")),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/Pages/Kids[6 0 R]/Count 1/Parent 2 0 R>>",
    )
    parsed = Parsed(data, "a.pdf")
    assert parsed.texts == ["Hello", ""] and parsed.said == ("read", "1 of its 2 pages can't be read: 2")


# Office ---------------------------------------------------------------------------------------------------------------


def test_a_docx_gives_what_is_in_it_in_its_order():
    body = (
        p("Contract", '<w:pPr><w:pStyle w:val="Title"/><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>')
        + "<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two</w:t><w:br/><w:t>three</w:t></w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>'
        "<w:moveFrom><w:r><w:t>gone too</w:t></w:r></w:moveFrom><w:ins><w:r><w:t>, four</w:t></w:r></w:ins></w:p>"
        "<w:tbl><w:tblPr/><w:tr><w:tc>" + p("A") + "</w:tc><w:tc>" + p("B") + p("C") + "</w:tc></w:tr>"
        "<w:sdt><w:sdtContent><w:tr><w:tc>"
        + p("D")
        + "</w:tc><w:tc><w:p/></w:tc></w:tr></w:sdtContent></w:sdt></w:tbl>"
        '<mc:AlternateContent xmlns:mc="urn:mc"><mc:Choice><w:p><w:r><w:t>Beside it</w:t><w:drawing><w:txbxContent>'
        + p("In a box")
        + "</w:txbxContent></w:drawing></w:r></w:p></mc:Choice><mc:Fallback>"
        + p("In an old box")
        + "</mc:Fallback></mc:AlternateContent>"
        '<w:p><w:r><w:br w:type="page"/><w:t>Page two</w:t></w:r></w:p>'
        "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Page three</w:t></w:r></w:p>"
        + p("Its end", "<w:pPr><w:sectPr/></w:pPr>")
        + p("Page four")
    )
    notes = f'<w:footnotes {W}><w:footnote w:type="separator" w:id="0">{p("-")}</w:footnote>'
    notes += f'<w:footnote w:id="2">{p("A note")}</w:footnote></w:footnotes>'
    core = '<c xmlns:dc="urn:dc"><dc:title>A contract</dc:title><dc:creator>Ana</dc:creator>'
    core += "<dc:created>2024-02-03T04:05:06Z</dc:created></c>"
    more = {
        "word/footnotes.xml": notes,
        "word/header1.xml": f"<w:hdr {W}>{p('Roastery')}</w:hdr>",
        "word/header2.xml": f"<w:hdr {W}>{p('Roastery')}</w:hdr>",
        "word/footer1.xml": f"<w:ftr {W}>{p('Confidential')}</w:ftr>",
        "docProps/core.xml": core,
    }
    targets = {"footnotes": "footnotes.xml", "header1": "/word/header1.xml", "header2": "header2.xml"}
    parsed = Parsed(docx(body, more.items(), **targets, footer="../word/footer1.xml"), "a.docx")
    assert parsed.texts == [
        "Roastery\n\nContract\n\nOne\ttwo\nthree, four\n\nA note\n\nA\tB C\nD\n\nBeside it\n\nIn a box",
        "Page two",
        "Page three\n\nIts end",
        "Page four\n\nConfidential",
    ]
    document = parsed.document
    assert (document["format"], document["title"], document["author"]) == ("docx", "A contract", "Ana")
    assert (document["created_at"], document["page_count"]) == ("2024-02-03T04:05:06+00:00", 4)


def test_what_is_hidden_in_a_docx_is_not_seen():
    runs = [("", "Seen"), ("<w:vanish/>", "hidden"), ('<w:vanish w:val="0"/>', " and shown")]
    text = "".join(f"<w:r><w:rPr>{look}</w:rPr><w:t>{words}</w:t></w:r>" for look, words in runs)
    assert Parsed(docx(f"<w:p>{text}</w:p>"), "a.docx").texts == ["Seen and shown"]


def test_a_table_over_several_pages_is_cut_between_rows():
    row = "<w:tr><w:tc>{}</w:tc></w:tr>".format
    second = row("<w:p><w:r><w:lastRenderedPageBreak/><w:t>2</w:t></w:r></w:p>")
    data = docx(f"{p('0')}<w:tbl>{row(p('1'))}{second}{row(p('3'))}</w:tbl>{p('4')}")
    assert Parsed(data, "a.docx").texts == ["0\n\n1", "2\n3\n\n4"]


def test_a_presentation_gives_a_page_for_each_slide():
    def slide(*shapes):
        texts = "".join(f"<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody>" for text in shapes)
        table = "<a:tbl><a:tr><a:tc><a:p><a:t>1</a:t></a:p></a:tc><a:tc><a:p><a:t>2</a:t></a:p></a:tc></a:tr></a:tbl>"
        return f'<p:sld xmlns:p="urn:p" xmlns:a="urn:a"><p:sp>{texts}</p:sp>{table}</p:sld>'

    ids = '<p:sldIdLst><p:sldId id="256" r:id="slide2"/><p:sldId id="257" r:id="slide1"/></p:sldIdLst>'
    data = zipped(
        {
            "_rels/.rels": relations(officeDocument="ppt/presentation.xml"),
            "ppt/presentation.xml": f'<p:presentation xmlns:p="urn:p" xmlns:r="{R}">{ids}</p:presentation>',
            "ppt/_rels/presentation.xml.rels": relations(slide1="slides/slide1.xml", slide2="slides/slide2.xml"),
            "ppt/slides/slide1.xml": slide("Second"),
            "ppt/slides/slide2.xml": slide("First", "with two shapes"),
        }
    )
    parsed = Parsed(data, "a.pptx")
    assert parsed.texts == ["First\n\nwith two shapes\n\n1\t2", "Second\n\n1\t2"]
    assert parsed.document["format"] == "pptx"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted", "a password"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99, "unsupported", "of before 2007"),
        (zipped({"a": "b"}), "unsupported", "a zip archive, and no document"),
        (
            zipped({"_rels/.rels": relations(officeDocument="x.xml"), "x.xml": "<workbook/>"}),
            "unsupported",
            "a workbook",
        ),
        (docx(p("Hello"))[:-30], "broken", "no complete zip archive"),
        (docx("<w:p>"), "broken", "its XML is damaged"),
        (lying(docx(p("x" * 100_000))), "broken", "word/document.xml in it is damaged"),
    ],
)
def test_office_files_that_are_no_documents(data, status, reason):
    parsed = Parsed(data, "a.docx")
    assert parsed.said[0] == status and reason in parsed.said[1]


# HTML and text --------------------------------------------------------------------------------------------------------


def test_of_a_page_only_what_is_seen_is_its_text():
    source = """<!DOCTYPE html><html lang="de-AT"><head><meta charset="iso-8859-1"><title>Preise &amp; mehr</title>
        <meta name="author" content="Ana"><meta content="2024-01-02" name="date"><style>p { color: red }</style>
        <script>if (1 < 2) document.write("<p>no</p>")</script></head><body>
        <div style="display: none">Vorschau <div>und mehr</div></div><!-- <p>Nein</p> --><noscript>Nein</noscript>
        <h1>Für   Sie</h1><p>Ein <b>Satz</b>,\n noch\teiner.<br>Zeile<p hidden>Absatz
        <table><tr><td>A<td>B</tr><tr><td></td><th>1 &lt; 2</th></tr></table><ul><li>eins<li>zwei</ul>
        <pre> x\n   y</pre> <a href='https://example.com/?a>b' >2 > 1</a></p></body></html>"""
    parsed = Parsed(source.encode("latin-1"), "misnamed.txt")
    expected = "Für Sie\n\nEin Satz, noch einer.\nZeile\n\nAbsatz\n\nA\tB\n\t1 < 2\n\neins\nzwei\n\n x\n   y\n\n2 > 1"
    assert parsed.texts == [expected]
    document = parsed.document
    assert (document["format"], document["title"], document["author"]) == ("html", "Preise & mehr", "Ana")
    assert (document["language"], document["created_at"]) == ("de", "2024-01-02T00:00:00+00:00")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_text_is_read_in_the_encoding_that_it_has(encoding):
    parsed = Parsed("Müller, 5 €\r\nzwei \t\r\n\r\n\r\n\r\n drei\x07\xa0vier\n".encode(encoding), "a.txt")
    assert parsed.texts == ["Müller, 5 €\nzwei\n\n drei vier"]
    assert parsed.document["format"] == "txt"


@pytest.mark.parametrize(
    ("named", "data", "text"),
    [
        ("iso-8859-1", "5 €, „ja“".encode("cp1252"), "5 €, „ja“"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("gb2312", "朱镕基".encode("gbk"), "朱镕基"),
        ("ks_c_5601-1987", "똠방각하".encode("cp949"), "똠방각하"),
        ("utf-8", "Grüße, Müller, ".encode() + b"\xc3", "Grüße, Müller, \ufffd"),
        ("utf-8", "Grüße".encode("cp1252"), "Grüße"),
    ],
)
def test_an_encoding_is_what_is_meant_by_its_name(named, data, text):
    mail = f"From: a@example.com\nTo: b\nSubject: c\nContent-Type: text/plain; charset={named}\n\n".encode() + data
    assert Parsed(mail, "a.eml").texts == [text]


def test_a_page_whose_encoding_can_be_read_is_not_in_two_bytes_a_character():
    page = '<html><head><meta charset="utf-16"></head><body>Grüße an alle</body></html>'
    assert Parsed(page.encode(), "a.html").texts == ["Grüße an alle"]


def test_characters_that_nobody_sees_are_none():
    assert (
        content.clean("e\u0301\u200b\ufeff Kunden\u00adnummer\x00\ud800\u2028x\u2029y")
        == "é Kundennummer\ufffd\nx\n\ny"
    )


def test_markdown_stays_as_it_is_and_its_first_heading_is_its_title():
    parsed = Parsed(b"text\n\n## The *title* ##\n\n- a\n\n# Later\n", "a.md")
    assert (parsed.document["title"], parsed.document["format"]) == ("The *title*", "md")
    assert parsed.texts == ["text\n\n## The *title* ##\n\n- a\n\n# Later"]
    assert Parsed(b"Title\n=====\n\n# Later\n", "a.md").document["title"] == "Title"


@pytest.mark.parametrize(
    ("data", "name", "status"),
    [
        (b"", "a.txt", "empty"),
        (b" \n\t\r\n\xc2\xa0", "a.txt", "empty"),
        (b"<html><body><script>1</script></body></html>", "a.html", "empty"),
        (docx("<w:p/>"), "a.docx", "empty"),
        (bytes(range(256)) * 4, "a.txt", "unsupported"),
        (random.Random(1).randbytes(5000).replace(b"\0", b""), "a.md", "unsupported"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a.pdf", "unsupported"),
        (b"{\\rtf1 Hello}", "a.doc", "unsupported"),
        (b"GIF8 is how it begins", "a.txt", "read"),
    ],
)
def test_what_has_no_text_says_why(data, name, status):
    parsed = Parsed(data, name)
    assert parsed.document["status"] == status and (parsed.said is None or parsed.said[0] == status)
    assert ("pages" in parsed.rows) == (status == "read")


# Mails ----------------------------------------------------------------------------------------------------------------


def mail(text="Hello", subject="A question", policy=SMTP, **headers):
    message = EmailMessage(policy=policy)
    message["From"], message["To"], message["Subject"] = "Jörg Müller <joerg@example.com>", "a@b.example", subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


def test_a_mail_says_who_wrote_what_to_whom():
    message = mail(
        PROSE["de"],
        "Ihre Bestellung W0000012 für Größe 5",
        Cc="b@b.example, Nobody <c@b.example>",
        Message_ID="<3@example.com>",
        In_Reply_To="<2@example.com>",
        References="<1@example.com> <2@example.com>",
        Date="Mon, 05 Feb 2024 10:00:00 +0100",
    )
    message.add_alternative("<p>As HTML</p>", subtype="html")
    parsed = Parsed(message.as_bytes(), "a.eml")
    expected = {
        **{"format": "eml", "title": "Ihre Bestellung W0000012 für Größe 5", "author": "Jörg Müller", "language": "de"},
        **{"message_id": "3@example.com", "in_reply_to": "2@example.com"},
        **{"reference_ids": ["1@example.com", "2@example.com"], "sent_at": "2024-02-05T09:00:00+00:00"},
        **{"from_address": "joerg@example.com", "to_addresses": ["a@b.example"]},
        **{"cc_addresses": ["b@b.example", "c@b.example"], "page_count": 1, "created_at": None},
    }
    assert expected.items() <= parsed.document.items()
    assert " ".join(parsed.texts[0].split()) == PROSE["de"]


def test_what_is_attached_is_a_document_of_its_own():
    inner = mail("See the invoice", "Invoice 17")
    invoice = pdf(["Invoice 17"])
    inner.add_attachment(invoice, "application", "pdf", filename="Rechnung Ö.pdf")
    outer = mail("Forwarded", "Fwd")
    outer.add_attachment(inner)
    outer.add_attachment(b"\x89PNG\r\n\x1a\n\0", "image", "png", filename="logo.png")
    outer.add_attachment(invoice, "application", "octet-stream", filename="copy.pdf")
    outer.add_attachment("Some notes", filename="notes.txt")
    parsed = Parsed(outer.as_bytes(), "a.eml")
    as_file = Parsed(inner.as_bytes(), "inner.eml")
    found = {
        (row["document_id"], row["number"]): (row["name"], row["media_type"], row["attachment_id"])
        for row in parsed.rows["attachments"]
    }
    own, invoice_id = parsed.document["document_id"], hashlib.sha256(invoice).hexdigest()
    inner_id = as_file.document["document_id"]
    assert found == {
        (own, 1): ("Invoice 17", "message/rfc822", inner_id),
        (own, 2): ("logo.png", "image/png", hashlib.sha256(b"\x89PNG\r\n\x1a\n\0").hexdigest()),
        (own, 3): ("copy.pdf", "application/octet-stream", invoice_id),
        (own, 4): ("notes.txt", "text/plain", hashlib.sha256(b"Some notes\r\n").hexdigest()),
        (inner_id, 1): ("Rechnung Ö.pdf", "application/pdf", invoice_id),
    }
    statuses = [(row["format"], row["status"]) for row in parsed.rows["documents"]]
    assert sorted(statuses) == [*[("eml", "read")] * 2, ("pdf", "read"), ("png", "unsupported"), ("txt", "read")]
    for name in ("documents", "pages", "chunks", "attachments"):  # the same, wherever it lies
        assert all(row in parsed.rows[name] for row in as_file.rows[name])


def test_a_mail_is_attached_as_one_whatever_its_headers_begin_with():
    inner = b"References: <a@b>\nIn-Reply-To: <a@b>\nFrom: a@b\nSubject: v2.0\n\nThe inner text\n"
    outer = b'From: a@b\nTo: b\nSubject: Fwd\nContent-Type: multipart/mixed; boundary="b"\n\n'
    parsed = Parsed(outer + b"--b\nContent-Type: message/rfc822\n\n" + inner + b"\n--b--\n", "a.eml")
    assert [(row["format"], row["subject"]) for row in parsed.rows["documents"]] == [("eml", "Fwd"), ("eml", "v2.0")]
    assert [page["text"] for page in parsed.rows["pages"]] == ["The inner text"]


def test_mails_as_careless_programs_write_them():
    raw = (
        b"From: M\xfcller <m@example.com>\r\nTo: (((, ,; <\r\nSubject: =?utf-8?q?H=C3=A4?= =?bad?b?x\r\n"
        b'Date: yesterday\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain; charset=no-such\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n"
        b"--b\r\nContent-Type: text/html\r\nContent-Disposition: inline\r\n\r\n<p>and <b>more</b>\r\n"
        b"--b\r\nContent-Type: application/pdf; name*0=a; name*x=b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n"
    )
    parsed = Parsed(raw, "a.eml")
    assert parsed.texts == ["Grüße\n\nand more"]
    document = parsed.document
    assert (document["from_address"], document["to_addresses"], document["sent_at"]) == ("m@example.com", [], None)
    assert document["author"] == "Müller" and document["subject"].startswith("Hä")
    assert [row["status"] for row in parsed.rows["documents"]] == ["read", "empty"]


def test_a_mail_without_plain_text_is_read_by_its_html():
    message = mail()
    message.set_content("<html><body><p>Hello</p><p>there</p></body></html>", subtype="html")
    assert Parsed(message.as_bytes(), "no suffix").texts == ["Hello\n\nthere"]
    message.set_content(" \n")
    message.add_alternative("<p>Only here</p>", subtype="html")
    assert Parsed(message.as_bytes(), "no suffix").texts == ["Only here"]


# Text, chunks, language -----------------------------------------------------------------------------------------------


def some_text(rng):
    words = [
        "Kaffee",
        "und",
        "e\u0301",
        "x" * rng.choice([1, 30, 1500]),
        "Größe.",
        "Ende!",
        "\U0001f600",
        "\n",
        "\n\n",
        "\t",
    ]
    return content.clean("".join(rng.choice(words) + rng.choice(["", " ", " "]) for _ in range(rng.randrange(2000))))


@pytest.mark.parametrize("seed", range(40))
def test_chunks_cover_the_text_and_are_no_longer_than_they_may_be(seed):
    text = some_text(random.Random(seed))
    borders = list(chunks.borders(text))
    assert borders == list(chunks.borders(text))
    at = 0
    for start, end in borders:
        assert start <= at < end and at - start <= chunks.OVERLAP and end - start <= chunks.LONGEST
        at = end
    assert at == len(text) and [start for start, _ in borders[:1]] in ([], [0])


def test_chunks_end_with_a_paragraph_or_a_sentence_where_they_can():
    sentence = "Der Kaffee wird am Montag geröstet und am Dienstag verschickt. "
    paragraph = (sentence * 9).strip() + "\n\n"
    text = (paragraph * 4).strip()
    (_, first), (second, _), *_ = chunks.borders(text)
    assert text[:first] == paragraph and text[second:first] == (sentence * 2).strip() + "\n\n"
    flowing = (sentence * 40).strip()
    assert all(flowing[:end].endswith(". ") for _, end in list(chunks.borders(flowing))[:-1])


def test_a_chunk_is_known_again():
    data = (PROSE["en"] * 20).encode()
    rows = Parsed(data, "a.txt").rows
    assert rows["chunks"] == Parsed(data, "b.txt").rows["chunks"] and len(rows["chunks"]) == 2
    text = rows["pages"][0]["text"]
    for row in rows["chunks"]:
        assert row["text"] == text[row["start"] : row["end"]]
        name = f"{row['document_id']}/{row['page_number']}/{row['start']}/{row['end']}"
        assert row["chunk_id"] == hashlib.md5(name.encode()).hexdigest()


@pytest.mark.parametrize("name", PROSE)
def test_languages(name):
    assert language(PROSE[name]) == name
    assert language(PROSE[name][:30]) is None


def test_what_is_in_no_language():
    assert language("0123 4567 " * 100) is None
    assert Parsed(b"<html lang='fr-CA'><body>Bonjour", "a.html").document["language"] == "fr"
    assert Parsed(b"<html lang='french'><body>Bonjour", "a.html").document["language"] is None


# Files that are meant to do harm --------------------------------------------------------------------------------------


def squeezed(unit, size):
    """Many times the same, compressed without ever being there."""
    packer = zlib.compressobj(9)
    first, second = (packer.compress(unit * (2**20 // len(unit))) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + second * (size // 2**20 - 1)


def forms(*draws):
    """A page that draws a form, which draws the next one so many times, and so on."""
    xobject = b"/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>"
    drawn = [stream(zlib.compress(b"/X Do " * times), xobject % number) for number, times in enumerate(draws, 6)]
    last = stream(zlib.compress(b"0 0 m 1 1 l S"), b"/Subtype/Form/BBox[0 0 9 9]")
    return page_of(zlib.compress(b"/X Do"), *drawn, last, resources=b"<</XObject<</X 5 0 R>>>>")


def laughing(root):
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f"<?xml version='1.0'?><!DOCTYPE x [{entities}]><{root}>&a9;</{root}>"


def nested(depth):
    return (
        b"From: a@b.c\nTo: b@b.c\nSubject: x\n" + b"Content-Type: message/rfc822\n\n" * depth + b"Subject: y\n\nHello"
    )


BOMBS = {
    "docx": lambda: zipped({"word/document.xml": " " * 2**25}),
    "docx of empty paragraphs": lambda: docx("<w:p/>" * 710_000),
    "docx of tables in tables": lambda: docx("<w:tbl><w:tr><w:tc>" * 100 + "</w:tc></w:tr></w:tbl>" * 100),
    "docx of pages": lambda: docx('<w:p><w:r><w:t>x</w:t><w:br w:type="page"/></w:r></w:p>' * 2100),
    "docx that laughs": lambda: docx("", {"word/document.xml": laughing("w")}.items()),
    "html of tags": lambda: b"<!doctype html>" + b"<a " * 1_100_000,
    "txt": lambda: b"x" * 11_000_000,
    "txt of pages": lambda: b"x\f" * 2_100,
    "eml 1,000 deep": lambda: nested(1_000),
    "eml 30 deep": lambda: nested(30),
    "eml of parts": lambda: b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 2_000,
    "eml of lines": lambda: b"Subject: x\n\n" + b"x\n" * 1_100_000,
    "eml of a line": lambda: b"Subject: x\n\n" + b"x" * 9_000_000,
    "eml of headers": lambda: b"Subject: x\n" * 21_000,
    "eml of a header": lambda: b"Subject: x\nContent-Type: text/plain; " + b"a=b; " * 100_000,
    "pdf of pages": lambda: bare_pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%b]/Count 2001>>" % (b"3 0 R " * 2001),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ),
    "pdf that unpacks to 1 GiB": lambda: page_of(squeezed(b" ", 2**30)),
    "pdf of lines": lambda: page_of(squeezed(b"0 0 m 1 1 l S  \n", 2**26)),
    "pdf of forms": lambda: forms(*[10] * 14),
}


@pytest.fixture(scope="module")
def child():
    child = Child("ingestion.parsers.document", {})
    yield child
    child.close()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(child, name):
    with pytest.raises(Unreadable) as refused:
        said = child.parse(BOMBS[name](), f"bomb.{name.split()[0]}", io.BytesIO())
        raise Unreadable(said["status"], said["reason"])
    assert refused.value.status == "refused", refused.value


def test_headers_without_end_are_refused_before_they_are_parsed():
    with pytest.raises(Unreadable, match="its headers have more than 4,194,304 bytes"):
        mails.read(b"From: a@b\nTo: c\nSubject: x\n" + b" and so on\n" * 400_000)


def test_attributes_that_nobody_asks_for_are_not_kept():
    """They take most of the memory of a tree."""
    root = untangle(b'<a xmlns:w="w"><b w:id="1" w:rsidR="2" id="3" rsid="4"/></a>', ("id",))
    assert root[0].attrib == {"{w}id": "1", "id": "3"}


@pytest.mark.parametrize(
    ("data", "seconds", "room", "ends"),
    [
        (forms(1), 9, 2**26, 0),
        (forms(*[10] * 6), 0.05, 2**31, -signal.SIGVTALRM),
        (page_of(squeezed(b" ", 2**28)), 9, 2**26, -signal.SIGABRT),
    ],
    ids=["is drawn at once", "takes too long", "takes too much memory"],
)
def test_a_page_that_takes_too_much_ends_its_process(data, seconds, room, ends):
    limits = f"pdf.SECONDS, pdf.ROOM = {seconds}, {room}"
    script = f"import sys; from ingestion.parsers import pdf; {limits}; pdf.read(sys.stdin.buffer.read())"
    assert subprocess.run([sys.executable, "-c", script], input=data).returncode == ends


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.html", b"<!doctype html>" + b"<div>" * 300_000 + b"x"),
        ("a.html", b"<!doctype html>x" + b"<a b='>" * 100_001),
        ("a.html", b"<!doctype html>x" + b"<!-- >" * 300_000),
        ("a.html", b"<!doctype html>x&#" + b"9" * 5_000 + b";"),
        ("a.html", b"<!-- -->" * 100_000 + b"<!doctype html>x"),
        ("a.txt", ("x" + "\u0301\u0327" * 500_000).encode()),
        ("a.txt", (b" " * 50_000 + b"x\n") * 50),
        ("a.md", b"# " + b"# " * 1_000_000 + b"x"),
        ("a.eml", b"Subject: x\nTo: " + b"(" * 90_000 + b"\nFrom: x\n\nx"),
        ("a.eml", b"Subject: x\nTo: y\nContent-Type: text/plain; charset=punycode\n\nx-kva" + b"a" * 3_000_000),
    ],
)
def test_what_would_take_hours_if_it_were_read_carelessly(name, data):
    assert Parsed(data, name).texts[0].strip()


def test_no_other_file_is_read(tmp_path):
    (tmp_path / "secret").write_text("a secret")
    entity = f'<!DOCTYPE w [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><w>&e;</w>'
    assert Parsed(docx("", {"word/document.xml": entity}.items()), "a.docx").said[0] == "refused"
    linked = f'<Relationship Id="h" Type="{R}/header" Target="file://{tmp_path}/secret" TargetMode="External"/>'
    rels = relations().replace("</Rel", f"{linked}</Rel")
    outside = docx(p("Hello"), {"word/_rels/document.xml.rels": rels}.items(), header="../../../secret")
    assert Parsed(outside, "a.docx").texts == ["Hello"]
    page = f'<html><body>Hello<iframe src="file://{tmp_path}/secret"></iframe><img src="http://127.0.0.1:9/x">'
    assert Parsed(page.encode(), "a.html").texts == ["Hello"]
