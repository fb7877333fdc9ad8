"""Web analytics: access logs of nginx and Apache, in the combined format or as JSON, without whole addresses."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import FAULT, ORIGINAL, UNKNOWN, contract, copy_to_parquet, field, literal, quote
from ingestion.errors import SourceError
from ingestion.folder import Folder
from ingestion.lines import NOT_EMPTY, Follower
from ingestion.reading import resources
from ingestion.stream import Event, Page, Query, Run, Stream, Window


@contract
class Requests:
    """One line of a log: a request that a web server answered."""

    log_id: str = field("The log file, by its first line: stays when the file is renamed or compressed.", key=True)
    line_start: int = field("Where in the log the line begins, in bytes of text.", key=True)
    host: str | None = field("The host that was asked for, if the log has it.")
    remote_ip: str | None = field("Address of the client, cut to its network (/24, /48).")
    remote_user: str | None = field("User who signed in with HTTP.")
    request: str | None = field("The request line, of one that is none (method, path and protocol are null then).")
    method: str | None = field("GET, POST, ...")
    path: str | None = field("Path.")
    query: str | None = field("Query string, without the question mark.")
    protocol: str | None = field("HTTP/1.1, HTTP/2.0, ...")
    status: int = field("Status of the answer.")
    byte_count: int | None = field("Bytes of the answer, as the server counts them.")
    referrer: str | None = field("The page that the client says it came from.")
    user_agent: str | None = field("The client's name of itself.")
    duration_seconds: float | None = field("How long the answer took, if the log has it.")
    requested_at: datetime = field("When (UTC).")


STREAMS = [Stream("requests", Requests, Event(), source="**")]

ROTATED = re.compile(r"([.-]\d{8}(-?\d{2,6})?|[.-]\d{4}-\d{2}-\d{2}|\.\d+)*(\.(gz|zst))?$")
"""What logrotate and its like append to the name of a log."""

COMBINED = (
    r'^(?:([^\s"\[\]]+) )?([^\s"\[\]-][^\s"\[\]]*) (\S+) (.+?) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)'
    r'(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?(?: (.*))?\r?$'
)
PARTS = ("host", "ip", "ident", "user", "time", "request", "status", "bytes", "referrer", "agent", "rest")
"""The common and the combined format, also with the virtual host in front, and with what people append."""

REQUEST = r"'^([A-Z]+) (\S.*?)(?: (HTTP/[0-9.]+))?$'"

JSON_NAMES = {
    "host": ("http_host", "host", "vhost", "server_name"),
    "ip": ("remote_addr", "remote_ip", "client_ip", "clientip", "remoteIP", "ip"),
    "user": ("remote_user", "user"),
    "time": ("time_iso8601", "time_local", "@timestamp", "timestamp", "time", "ts", "msec"),
    "request": ("request",),
    "method": ("request_method", "method", "verb"),
    "uri": ("request_uri", "uri", "url", "path"),
    "protocol": ("server_protocol", "protocol"),
    "status": ("status", "response", "code"),
    "bytes": ("body_bytes_sent", "bytes_sent", "bytes", "size"),
    "referrer": ("http_referer", "http_referrer", "referrer", "referer"),
    "agent": ("http_user_agent", "user_agent", "userAgent", "agent"),
    "duration": ("request_time", "duration_seconds", "duration"),
}
"""What a part of a request is called in logs that are JSON; the first name that a line has counts."""


# Of an address its network (203.0.113.0, 2001:db8:1::), of what is none nothing; a line with its addresses so cut; and
# a time as logs write it (10/Oct/2025:13:55:36 +0200, or seconds or milliseconds since 1970), null for another form.
MACROS = r"""
    create macro groups(ip) as case when contains(ip, '::') then
            list_concat(
                string_split(split_part(ip, '::', 1), ':'), list_resize(['0'], 9 - len(string_split(ip, ':')), '0'),
                string_split(split_part(ip, '::', 2), ':')
            )
        else string_split(ip, ':') end;
    create macro network(ip) as case
        when regexp_full_match(ip, '(::ffff:)?(\d{1,3}\.){3}\d{1,3}') then
            regexp_extract(ip, '(\d+\.\d+\.\d+)\.', 1) || '.0'
        when regexp_full_match(ip, '[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*') then
            lower(array_to_string(
                list_transform(groups(ip)[1:3], lambda part: coalesce(nullif(ltrim(part, '0'), ''), '0')), ':'
            )) || '::'
    end;
    create macro unaddressed(line) as regexp_replace(
        regexp_replace(line, '(\d{1,3}\.\d{1,3}\.\d{1,3})\.\d{1,3}', '\1.0', 'g'),
        '([0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}):[0-9A-Fa-f:]+', '\1::', 'g'
    );
    create macro moment(text) as case
        when regexp_full_match(text, '\d{9,10}(\.\d+)?') then to_timestamp(cast(text as double))
        when regexp_full_match(text, '\d{12,13}') then make_timestamptz(cast(text as bigint) * 1000)
        else try_strptime(text, '%d/%b/%Y:%H:%M:%S %z')
    end;
"""


class Reader:
    """Reads what is new in a folder of logs; rotated, compressed and growing ones."""

    def __init__(self, folder: str, storage: dict[str, Any] | None, names: dict[str, str] | None) -> None:
        if unknown := sorted(set(names or ()) - set(JSON_NAMES)):
            raise SourceError(
                f"SOURCES__ACCESS_LOGS__NAMES: there is no {', '.join(unknown)}; there are {', '.join(JSON_NAMES)}"
            )
        self.folder, self.db = Folder(folder, "SOURCES__ACCESS_LOGS__FOLDER", storage), contracts.engine()
        self.db.execute(MACROS)
        self.names = {part: (names[part],) if part in (names or ()) else JSON_NAMES[part] for part in JSON_NAMES}

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields a page per stream of lines; a bad file stops no other."""
        progress = window.state.setdefault("files", {})
        follower = Follower(self.folder, progress, series=lambda name: ROTATED.sub("", name))
        for lines in follower.lines(self.folder.files()):
            yield Page(self._query(lines), datetime.now(UTC))

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if there is no such folder."""
        return self.folder.summary()

    def close(self) -> None:
        """Closes the engine that takes lines apart."""
        self.db.close()

    def _query(self, lines: pa.Table) -> Query:
        """The lines as the contract's fields."""
        self.db.register("lines", lines)
        known = list(dict.fromkeys(name for names in self.names.values() for name in names))
        parts = []
        for part, names in self.names.items():
            found = [f"words.{quote(part)}"] if part in PARTS else []
            found += [f"members[{known.index(name) + 1}]" for name in names]
            parts.append(f"nullif(nullif(trim(coalesce({', '.join(found)})), '-'), '') as {quote(part)}")
        paths = ", ".join(literal(f'$."{name}"') for name in known)
        columns = {
            "log_id": "identity",
            "line_start": "start",
            "host": "host",
            "remote_ip": "network(trim(split_part(ip, ',', 1)))",
            "remote_user": quote("user"),
            "request": "case when uri_asked is null then request end",
            "method": "coalesce(asked.method, method)",
            "path": "split_part(uri_asked, '?', 1)",
            "query": "nullif(substr(uri_asked, strpos(uri_asked || '?', '?') + 1), '')",
            "protocol": "coalesce(nullif(asked.protocol, ''), protocol)",
            "status": "status",
            "byte_count": "bytes",
            "referrer": "referrer",
            "user_agent": "agent",
            "duration_seconds": "duration",
            "requested_at": """coalesce(cast(moment("time") as varchar), "time")""",
            "_position": "file || ':' || number",
            UNKNOWN: "coalesce(others, case when words.rest <> '' then to_json({rest: words.rest}) end)",
            FAULT: "case when words.status = '' then 'this is neither in the combined format nor a JSON object' end",
            ORIGINAL: "case when object is null then to_json(unaddressed(line)) else unaddressed(line) end",
        }
        sql = f"""
            with objects as (
                select file, identity, start, number, line,
                    case when starts_with(line, '{{') and json_valid(line) then line end as object
                from lines where {NOT_EMPTY}
            ),
            split as (
                -- Null for what is of the other kind, and no case around: DuckDB would take it apart once per part.
                select *, json_extract_string(object, [{paths}]) as members,
                    {contracts.other_members("object", known)} as others,
                    regexp_extract(case when object is null then line end, {literal(COMBINED)}, {list(PARTS)}) as words
                from objects
            ),
            named as (select *, {", ".join(parts)} from split),
            taken_apart as (
                select *,
                    case
                        when regexp_matches(request, {REQUEST})
                        then regexp_extract(request, {REQUEST}, ['method', 'uri', 'protocol'])
                    end as asked
                from named
            ),
            requests as (select *, coalesce(asked.uri, uri) as uri_asked from taken_apart)
            select {", ".join(f"cast({value} as varchar) as {quote(name)}" for name, value in columns.items())}
            from requests
        """
        return Query(sql, dict.fromkeys(columns, "VARCHAR"), lambda sql, path: copy_to_parquet(self.db, sql, path))


@dlt.source
def access_logs(
    folder: str = dlt.config.value,
    storage: dict[str, str] | None = None,
    names: dict[str, str] | None = None,
    run: Run | None = None,
):
    """The requests in the access logs of web servers.

    `folder` is a local one or a URL, as s3://bucket/logs; `storage` are fsspec's options for it, as key and secret.
    `names`: what logs that are JSON call a part of a request, where that is none of JSON_NAMES.
    """
    return resources(STREAMS, Reader(folder, storage, names), run)
