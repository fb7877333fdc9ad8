"""Mailchimp's Marketing API 3.0 over the newsletters' tables: its lists page, filter, sort and leave fields out.

Where the specification is silent: `since` and `before` exclude the moment itself, rows come in the order in which they
were made unless sorted, and email-activity with `since` has only the recipients that did something since.
"""

import json
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from threading import Lock
from uuid import uuid4

from sandbox.misbehave import Response
from sandbox.query import Invalid, moment, number, project, select
from sandbox.server import Call, Server
from sandbox.simulation import Row

SENT_TO_ONLY = {"merge_fields", "vip", "status", "open_count", "last_open", "absplit_group"}


class Problem(Exception):
    """An answer that is an error, as problem+json."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        body = {"type": "https://mailchimp.com/developer/marketing/docs/errors/", "title": title, "status": status,
                "detail": detail, "instance": str(uuid4())}  # fmt: skip
        self.response = Response(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


NOT_FOUND = 404, "Resource Not Found", "The requested resource could not be found."
TOO_MANY = 429, "Too Many Requests", "You have exceeded the limit of simultaneous connections."
WRONG_KEY = 401, "API Key Invalid", "Your API key may be invalid, or you've attempted to access the wrong datacenter."
FAULTS = {
    "401": lambda response: Problem(*WRONG_KEY).response,
    "429": lambda response: Problem(*TOO_MANY).response,  # without Retry-After
    "bare_403": lambda response: Response(403, b""),  # the gateway's, under load
}


def _activity(row: Row, since: str) -> Row:
    events = [event for event in row["activity"] if event["timestamp"] > since]
    return {name: value for name, value in row.items() if name not in SENT_TO_ONLY} | {"activity": events}


def _has_activity(row: Row, since: str) -> bool:
    return not since or any(event["timestamp"] > since for event in row["activity"])


def _sent_to(row: Row, since: str) -> Row:
    return {name: value for name, value in row.items() if name != "activity"}


@dataclass
class Listing:
    """One list of the API: the table behind it, and the parameters that it has besides those of all lists."""

    name: str  # of the rows in the answer
    table: str
    parent: str = ""  # name of the id in the path
    sort: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)  # since_<time>, before_<time>
    fits: Callable[[Row, str], bool] = lambda row, since: True
    shape: Callable[[Row, str], Row] = lambda row, since: row


LISTINGS = {
    "lists": Listing("lists", "lists", "", ["date_created"], [], ["date_created"]),
    "lists/([^/]+)/members": Listing(
        "members", "members", "list_id", ["timestamp_opt", "timestamp_signup", "last_changed"],
        ["status", "unique_email_id"], ["last_changed", "timestamp_opt"]),
    "campaigns": Listing(
        "campaigns", "campaigns", "", ["create_time", "send_time"], ["status", "type"], ["send_time", "create_time"]),
    "reports": Listing("reports", "reports", "", [], ["type"], ["send_time"]),
    "reports/([^/]+)/email-activity": Listing(
        "emails", "recipients", "campaign_id", fits=_has_activity, shape=_activity),
    "reports/([^/]+)/sent-to": Listing("sent_to", "recipients", "campaign_id", shape=_sent_to),
    "reports/([^/]+)/unsubscribed": Listing("unsubscribes", "unsubscribes", "campaign_id"),
    "reports/([^/]+)/click-details": Listing(
        "urls_clicked", "click_details", "campaign_id", ["total_clicks", "unique_clicks"]),
}  # fmt: skip


class Mailchimp(Server):
    """`connections` requests may be open at once; an answer takes `latency` seconds.

    `on_page`, if a test sets it, gets the tables after each page, to change them before the next.
    """

    connections, latency = 10, 0.0
    on_page: Callable[[dict], None] = staticmethod(lambda tables: None)

    def __init__(self, tables: Callable[[], dict], clock: Callable[[], date], key: str) -> None:
        self.tables, self.key, self._open, self._lock = tables, key, 0, Lock()
        routes = {
            f"GET /3.0/{path}": lambda call, parent="", listing=listing: self._page(call, listing, parent)
            for path, listing in LISTINGS.items()
        }
        routes["GET /3.0/ping"] = lambda call: Response.json(200, {"health_status": "Everything's Chimpy!"})
        super().__init__(routes, Problem(*NOT_FOUND).response)
        self.misbehave.faults |= FAULTS
        self.now = lambda: datetime.fromisoformat(f"{clock()}T00:00:00+00:00").timestamp()

    def respond(self, call: Call) -> Response:
        """The right answer, or the problem that the request has."""
        with self._lock:
            self._open += 1
            is_too_many = self._open > self.connections
        try:
            if is_too_many:
                raise Problem(*TOO_MANY)
            time.sleep(self.latency)
            self._authenticate(call.headers.get("Authorization", ""))
            return super().respond(call)
        except Invalid as parameter:
            return Problem(400, "Invalid Resource", f"The parameter {parameter} is not valid.").response
        except Problem as problem:
            return problem.response
        finally:
            with self._lock:
                self._open -= 1

    def _authenticate(self, header: str) -> None:
        if not header.startswith("Basic "):
            raise Problem(401, "API Key Missing", "Your request did not include an API key.")
        if b64decode(header[6:] + "==").decode(errors="replace").partition(":")[2] != self.key:
            raise Problem(*WRONG_KEY)

    def _page(self, call: Call, listing: Listing, parent: str) -> Response:
        tables, query = self.tables(), call.query
        count, offset, since = number(query, "count", 10, 1000), number(query, "offset", 0), moment(query, "since")
        rows, ids = tables[listing.table], {}
        if parent:
            if parent not in rows:
                raise Problem(*NOT_FOUND)
            rows, ids = rows[parent], {listing.parent: parent}
        rows = select(rows, query, listing.sort, listing.equal, listing.times)
        rows = [row for row in rows if listing.fits(row, since)]
        shown = [ids | listing.shape(row, since) for row in rows[offset : offset + count]]
        page = ids | {listing.name: shown, "total_items": len(rows)}
        for name, is_kept in (("fields", True), ("exclude_fields", False)):
            if query.get(name):
                page = project(page, query[name].split(","), is_kept)
        response = Response.json(200, page)
        self.on_page(tables)
        return response


def serve(tables: Callable[[], dict], clock: Callable[[], date], key: str) -> Mailchimp:
    """Starts the API over what `tables` gives at each request; `key` is the password of any user."""
    return Mailchimp(tables, clock, key)
