"""Documents as files: PDF, docx, HTML and mails. The same content is the same bytes, whenever it is written."""

import html
import io
import textwrap
from collections.abc import Iterable
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import NamedTuple

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from sandbox.files import zipped

AUTHOR = "Roastery"
WIDTH = 88  # characters of a line

_DOCX = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/>'
        '<Override PartName="/docProps/core.xml" '
        'ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>'
    ),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Target="word/document.xml" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>'
        '<Relationship Id="rId2" Target="docProps/core.xml" '
        'Type="http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"/></Relationships>'
    ),
    "docProps/core.xml": (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>{title}</dc:title>'
        "<dc:creator>{author}</dc:creator><dc:language>{language}</dc:language>"
        '<dcterms:created xsi:type="dcterms:W3CDTF">{day}T09:00:00Z</dcterms:created></cp:coreProperties>'
    ),
    "word/document.xml": (
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body>'
        "</w:document>"
    ),
}  # ECMA-376, part 2 (packages) and part 1, 17 (WordprocessingML)


class Attachment(NamedTuple):
    """A file in a mail."""

    name: str
    media_type: str
    content: bytes


def pdf(title: str, pages: Iterable[list[str]], password: str = "") -> bytes:
    """A page for each list of paragraphs, under the title; characters of Latin-1 only."""
    out = io.BytesIO()
    lock = StandardEncryption(password, ownerPassword="owner", strength=128) if password else None
    canvas = Canvas(out, invariant=1, encrypt=lock)
    canvas.setTitle(title)
    canvas.setAuthor(AUTHOR)
    for paragraphs in pages:
        text = canvas.beginText(60, 780)
        text.setFont("Helvetica-Bold", 13)
        text.textLine(title)
        text.setFont("Helvetica", 10)
        for paragraph in paragraphs:
            text.textLine("")
            text.textLines(_wrapped(paragraph))
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def scan(picture: bytes) -> bytes:
    """A PDF whose only page is a picture."""
    out = io.BytesIO()
    canvas = Canvas(out, invariant=1)
    canvas.drawImage(ImageReader(io.BytesIO(picture)), 40, 200, 500, 375)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def loop() -> bytes:
    """A PDF whose tree of pages has itself as a branch."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 9/Kids[2 0 R 2 0 R]/Parent 2 0 R>>"]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 3\n0000000000 65535 f \n"
    return out + head + table + b"trailer\n<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def docx(title: str, paragraphs: list[str], day: str, language: str, table: list[list[str]] = ()) -> bytes:
    """A document of Word with a title, paragraphs and perhaps a table; `day` (ISO 8601) is when it was made."""

    def paragraph(text: str) -> str:
        lines = "<w:br/>".join(f'<w:t xml:space="preserve">{html.escape(line)}</w:t>' for line in text.split("\n"))
        return f"<w:p><w:r>{lines}</w:r></w:p>"

    rows = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in table)
    body = "".join(map(paragraph, [title, *paragraphs]))
    body += f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>" if table else ""
    values = {"title": html.escape(title), "author": AUTHOR, "language": language, "day": day, "body": body}
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    return zipped({name: (head + part.format(**values)).encode() for name, part in _DOCX.items()})


def page(title: str, paragraphs: list[str], language: str) -> str:
    """HTML; what is in its script and its style is not its text."""
    body = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    head = f"<title>{html.escape(title)}</title><style>p {{ margin: 1em }}</style><script>track('W9999999')</script>"
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8">{head}</head>\n'
        f"<body><h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def mail(
    message_id: str, sender: tuple[str, str], recipient: tuple[str, str], at: datetime, subject: str, text: str,
    references: Iterable[str] = (), attachments: Iterable[Attachment] = (),
) -> bytes:  # fmt: skip
    """A mail from (name, address) to another, of text or HTML; `references` are the ids of those before it."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = _address(*sender), _address(*recipient), subject
    message["Date"], message["Message-ID"] = at, f"<{message_id}>"
    if references := [f"<{reference}>" for reference in references]:
        message["In-Reply-To"], message["References"] = references[-1], " ".join(references)
    message.set_content(text, "html" if text.startswith("<") else "plain", cte="quoted-printable")
    for attachment in attachments:
        kind, _, subtype = attachment.media_type.partition("/")
        message.add_attachment(attachment.content, kind, subtype, filename=attachment.name)
    if message.is_multipart():
        message.set_boundary(f"=_{message_id.partition('@')[0]}_=")
    return message.as_bytes()


def _address(name: str, email: str) -> Address:
    user, _, domain = email.partition("@")
    return Address(name, user, domain.encode("idna").decode())


def _wrapped(paragraph: str) -> str:
    lines = (textwrap.wrap(line, WIDTH, break_on_hyphens=False) for line in paragraph.split("\n"))
    return "\n".join(line for part in lines for line in part)


def plain(paragraphs: list[str]) -> str:
    """Paragraphs as text, apart by blank lines."""
    return "\n\n".join(map(_wrapped, paragraphs))
