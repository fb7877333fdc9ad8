"""Web and mobile analytics: archives of first-party events, in the form of Segment's specification."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import duckdb
import msgspec

from ingestion import contract as contracts
from ingestion.contract import (
    FAULT,
    ORIGINAL,
    UNKNOWN,
    Contract,
    LongText,
    contract,
    copy_to_parquet,
    field,
    literal,
    other_members,
    quote,
)
from ingestion.errors import PartFailed, explain
from ingestion.folder import File, Folder
from ingestion.lines import NOT_EMPTY, Follower
from ingestion.reading import resources
from ingestion.stream import Event, Page, Query, Run, Stream, Window


@contract
class Events:
    """One call of an analytics library: something that a visitor did, or that became known about them."""

    message_id: str = field(
        "The library's id of the call: the same when it is sent again.", key=True, source="messageId"
    )
    event_type: str = field("track, page, screen, identify, group or alias.", source="type")
    event: str | None = field("What happened, of a track call.")
    name: str | None = field("Name of the page or screen.")
    category: str | None = field("Category of the page or screen.")
    anonymous_id: str | None = field("The browser or the app's installation.", source="anonymousId")
    user_id: str | None = field("The user, once known.", source="userId")
    previous_id: str | None = field("The id that an alias call replaces.", source="previousId")
    group_id: str | None = field("The group, of a group call.", source="groupId")
    channel: str | None = field("Where it was made, in the library's words: browser, mobile, server.")
    properties: LongText | None = field("What the call says of the event: a JSON object.")
    traits: LongText | None = field("What it says of the user or group: a JSON object.")
    context: LongText | None = field("Where it was made (page, campaign, device, app, user agent, ...): a JSON object.")
    integrations: LongText | None = field("Where else the call was to go: a JSON object.")
    original_timestamp: datetime | None = field(
        "When it happened, by the device's clock (UTC).", source="originalTimestamp"
    )
    sent_at: datetime | None = field("When it was sent, by the device's clock (UTC).", source="sentAt")
    received_at: datetime | None = field("When it arrived, by the server's clock (UTC).", source="receivedAt")
    timestamp: datetime | None = field("When it happened, as the server worked it out (UTC).")


STREAMS = [Stream("events", Events, Event(), source="**")]
GROUPS = ("page", "campaign", "device", "app", "os", "library", "screen", "network", "traits")
"""Objects within `context`, by the specification."""


class Reader:
    """Reads what is new in a folder of archives: files of JSON lines (plain, gzip, zstd) and Parquet files."""

    def __init__(self, folder: str, storage: dict[str, Any] | None) -> None:
        self.folder, self.db = Folder(folder, "SOURCES__EVENTS__FOLDER", storage), contracts.engine()
        if not self.folder.is_local:
            self.db.register_filesystem(self.folder.system)

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields a page per stream of lines, or Parquet file; a bad file stops no other."""
        files, failures = self.folder.files(), []
        tables = [file for file in files if file.name.endswith(".parquet")]
        for pages in (
            self._lines(stream.contract, [file for file in files if file not in tables], window),
            self._tables(stream.contract, tables, window.state.setdefault("tables", {})),
        ):
            try:
                yield from pages
            except PartFailed as error:
                failures.append(str(error))
        if failures:
            raise PartFailed("; ".join(failures))

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if there is no such folder."""
        return self.folder.summary()

    def close(self) -> None:
        """Closes the engine that takes lines apart."""
        self.db.close()

    def _lines(self, contract: Contract, files: list[File], window: Window) -> Iterator[Page]:
        follower = Follower(self.folder, window.state.setdefault("files", {}), is_whole=_is_object)
        for lines in follower.lines(files):
            self.db.register("lines", lines)
            yield self._page(contract, "lines")

    def _tables(self, contract: Contract, files: list[File], done: dict[str, list]) -> Iterator[Page]:
        failures = []
        for file in files:
            if done.get(file.name) == [file.size, file.changed]:
                continue
            try:
                table = f"from read_parquet({literal(self.folder.url(file.name))}, file_row_number = true)"
                names = [name for name, *_ in self.db.execute(f"describe {table}").fetchall()]
                columns = f"{_as_object(names)} as line, {literal(file.name)} as file, file_row_number + 1 as number"
                yield self._page(contract, f"(select {columns} {table})")
                done[file.name] = [file.size, file.changed]
            except (duckdb.Error, OSError) as error:
                failures.append(f"{file.name}: {explain(error)}")
        for name in done.keys() - {file.name for file in files}:
            del done[name]
        if failures:
            raise PartFailed(f"{len(failures):,} files could not be read: {'; '.join(failures[:5])}")

    def _page(self, contract: Contract, lines: str) -> Page:
        names = [*(f.source for f in contract.fields), "_position", UNKNOWN, FAULT, ORIGINAL]
        sql = _members(contract, lines)
        query = Query(sql, dict.fromkeys(names, "VARCHAR"), lambda sql, path: copy_to_parquet(self.db, sql, path))
        return Page(query, datetime.now(UTC))


def _members(contract: Contract, lines: str) -> str:
    """SQL for the contract's members of JSON objects, one per line; each is parsed once for all members."""
    names = [f.source for f in contract.fields]
    form = literal(json.dumps(dict.fromkeys(names, "VARCHAR")))
    return f"""
        select {", ".join(f"members.{quote(name)}" for name in names)},
            file || ':' || number as _position, {other_members("object", names)} as {UNKNOWN},
            case when object is null then 'this is no JSON object' end as {FAULT},
            coalesce(object, cast(to_json(line) as varchar)) as {ORIGINAL}
        from (
            select *, case when members is not null then line end as object
            from (
                select *,
                    try(json_transform(case when regexp_matches(line, '^\\s*\\{{') then line end, {form})) as members
                from {lines} where {NOT_EMPTY}
            )
        )
    """


def _is_object(line: bytes) -> bool:
    """Whether a line without a line break is complete: an object that is cut off is no JSON."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except msgspec.DecodeError:
        return False


def _as_object(names: list[str]) -> str:
    """SQL for a Parquet file's row as the JSON object that it stands for. Its columns are named as the members, or
    with underscores; then members of `context` may be columns (context_page_url), and all others are properties."""
    tree: dict[str, Any] = {}
    for name in names:
        if name != "file_row_number":
            *above, last = _place(name)
            level = tree
            for step in above:
                level = level.setdefault(step, {})
            level[last] = quote(name)
    return f"cast(to_json({_struct(tree)}) as varchar)"


def _place(name: str) -> list[str]:
    first, _, rest = name.partition("_")
    member = first + rest.title().replace("_", "")
    if name == "id" or member in {f.source for f in Events.fields}:
        return ["messageId" if name == "id" else member]
    if first != "context" or not rest:
        return ["properties", name]
    group, _, below = rest.partition("_")
    return (
        ["context", group, below] if group in GROUPS and below else ["context", group + below.title().replace("_", "")]
    )


def _struct(tree: dict[str, Any]) -> str:
    members = (f"{quote(k)} := {_struct(v) if isinstance(v, dict) else v}" for k, v in tree.items())
    return f"struct_pack({', '.join(members)})"


@dlt.source
def events(folder: str = dlt.config.value, storage: dict[str, str] | None = None, run: Run | None = None):
    """The calls in archives of events.

    `folder` is a local one or a URL, as s3://bucket/archive; `storage` are fsspec's options for it, as key and secret.
    """
    return resources(STREAMS, Reader(folder, storage), run)
