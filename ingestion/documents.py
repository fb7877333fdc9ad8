"""Documents in a folder, such as contracts, invoices and e-mails: text by page and in chunks, and what is attached."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dlt

from ingestion.contract import LongText, contract, field, items
from ingestion.reading import resources
from ingestion.stream import Page, Run, Snapshot, State, Stream, Window
from ingestion.untrusted import FileReader, Files, Outcome


@contract
class Documents:
    """One content, however many files and mails have it."""

    document_id: str = field("SHA-256 of the bytes (hex).", key=True)
    format: str | None = field("pdf, docx, pptx, html, eml, md or txt, by what the bytes are; or what else it is.")
    status: str = field(
        "read, empty, encrypted, scanned (a PDF without text), broken, refused (a limit) or unsupported (no document)."
    )
    reason: str | None = field("Why it is not read, or what is missing, for a person.")
    title: str | None = field("Its title; of a mail the subject.")
    author: str | None = field("Who wrote it, by name, as it says itself.")
    language: str | None = field("Language of its text (ISO 639-1), found in it, else as it says itself.")
    page_count: int | None = field("Pages; slides of a presentation; 1 where there are none.")
    character_count: int | None = field("Characters of text.")
    created_at: datetime | None = field("When it was made, as it says itself (UTC).")
    message_id: str | None = field("Of a mail: its id, without brackets.")
    in_reply_to: str | None = field("Of a mail: id of the one that it answers.")
    reference_ids: str | None = field("Of a mail: ids of those before it, a JSON array, oldest first.")
    from_address: str | None = field("Of a mail: who sent it.")
    to_addresses: str | None = field("Of a mail: to whom, a JSON array.")
    cc_addresses: str | None = field("Of a mail: who got a copy, a JSON array.")
    subject: str | None = field("Of a mail: its subject.")
    sent_at: datetime | None = field("Of a mail: when it was sent (UTC).")


@contract
class Attachments:
    """One file that is attached to a mail: a document of its own."""

    document_id: str = field("The mail.", key=True)
    number: int = field("Its number among those of the mail, from 1.", key=True)
    name: str | None = field("Name of the file.")
    media_type: str | None = field("What the mail says that it is.")
    attachment_id: str = field("SHA-256 of its bytes (hex): its document_id.")


@contract
class Pages:
    """The text of one page, NFC; paragraphs are apart by a blank line."""

    document_id: str = field("The document.", key=True)
    page_number: int = field("From 1.", key=True)
    text: LongText = field("The text; may be empty.")


@contract
class Chunks:
    """One piece of a page, of about 1,000 characters, which begins a little before the one before it ends."""

    chunk_id: str = field("md5 of document, page, start and end, a slash between each: stays while they do.", key=True)
    document_id: str = field("The document.")
    page_number: int = field("The page, from 1.")
    start_offset: int = field("Where in the page's text it begins, in code points, from 0.", source="start")
    end_offset: int = field("Where it ends: the first character after it.", source="end")
    text: LongText = field("The text.")


KIND = Snapshot(scope=("document_id",))
STREAMS = [
    Stream("files", Files, State()),
    Stream("documents", Documents, State()),
    Stream("attachments", Attachments, KIND),
    Stream("pages", Pages, KIND),
    Stream("chunks", Chunks, KIND),
]


class Reader(FileReader):
    """Reads the documents that are new or have changed, and what is attached to them."""

    parser, main = "ingestion.parsers.document", ("documents", "document_id")

    def __init__(self, folder: str, storage: dict[str, Any] | None) -> None:
        super().__init__(folder, "SOURCES__DOCUMENTS__FOLDER", storage)
        self.given: dict[str, set[str]] = defaultdict(set)

    def pages(self, stream: Stream, outcome: Outcome, window: Window) -> Iterator[Page]:
        """The rows of one file, of which each document's are complete. What is in many files, as the terms that are
        attached to every mail, comes with the first one: its name may say how it is read."""
        if stream.kind is KIND and outcome.file_id and not outcome.rows:  # what was read of it once is no more
            yield Page(items([], outcome.file.label), outcome.observed_at, scopes=[outcome.file_id])
            return
        if stream.name == "files" or not outcome.rows:
            yield from super().pages(stream, outcome, window)
            return
        new = {row["document_id"] for row in outcome.of("documents")} - self.given[stream.name]
        self.given[stream.name] |= new
        rows = [row for row in outcome.of(stream.name) if row["document_id"] in new]
        yield Page(items(rows, outcome.file.label), outcome.observed_at, scopes=sorted(new))


@dlt.source
def documents(folder: str = dlt.config.value, storage: dict[str, str] | None = None, run: Run | None = None):
    """The documents below a folder.

    `folder` is a local one or a URL, as s3://bucket/papers; `storage` are fsspec's options for it, as key and secret.
    """
    return resources(STREAMS, Reader(folder, storage), run)
