"""Marketing: Mailchimp's audiences, members, campaigns, reports, and what recipients did with each e-mail."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt

from ingestion.contract import Money, contract, field, items
from ingestion.errors import PartFailed, SourceError, explain
from ingestion.http import Answer, Client, Refused
from ingestion.parallel import Ahead
from ingestion.reading import resources
from ingestion.stream import Event, Page, Run, Snapshot, State, Stream, Window

_CAMPAIGN = "Mailchimp's id of the campaign."
_EMAIL_ID = "md5 of the lower-case address: a person with a new address has a new one."
_ADDRESS = "E-mail address."


@contract
class Lists:
    """One audience."""

    list_id: str = field("Mailchimp's id of the audience.", key=True, source="id")
    list_name: str = field("Name.", source="name")
    member_count: int | None = field("Subscribed members.", source="stats.member_count")
    unsubscribe_count: int | None = field("Members who unsubscribed.", source="stats.unsubscribe_count")
    cleaned_count: int | None = field("Members whose address bounced for good.", source="stats.cleaned_count")
    campaign_count: int | None = field("Campaigns that were sent to it.", source="stats.campaign_count")
    open_rate: float | None = field("Average open rate, in percent.", source="stats.open_rate")
    click_rate: float | None = field("Average click rate, in percent.", source="stats.click_rate")
    stats: str | None = field("The other statistics: a JSON object.", source="stats.*")
    created_at: datetime | None = field("When it was created (UTC).", source="date_created")


@contract
class Members:
    """One address in one audience, whatever its status."""

    list_id: str = field("The audience.", key=True)
    member_id: str = field(_EMAIL_ID, key=True, source="id")
    contact_id: str | None = field("The person in this audience: stays when the address changes.")
    unique_email_id: str | None = field("The address in all audiences.")
    email: str = field(_ADDRESS, source="email_address", enrich="email_domain")
    full_name: str | None = field("Name.")
    status: str = field("subscribed, unsubscribed, cleaned, pending, transactional or archived.")
    unsubscribe_reason: str | None = field("Why the person unsubscribed.")
    member_rating: int | None = field("Stars, 1 to 5.")
    language: str | None = field("Language code, if known.")
    email_client: str | None = field("E-mail program, if known.")
    country: str | None = field("Country code, if known.", source="location.country_code")
    source: str | None = field("How the address came into the audience.")
    average_open_rate: float | None = field("Share of campaigns opened, 0 to 1.", source="stats.avg_open_rate")
    average_click_rate: float | None = field("Share of campaigns clicked in, 0 to 1.", source="stats.avg_click_rate")
    is_vip: bool | None = field("Marked as VIP.", source="vip")
    tags: str | None = field("Tags: a JSON array of id and name.")
    merge_fields: str | None = field("The audience's own fields: a JSON object.")
    interests: str | None = field("Interests: a JSON object of id and true or false.")
    signed_up_at: datetime | None = field("When the person filled in the form (UTC).", source="timestamp_signup")
    opted_in_at: datetime | None = field("When the person confirmed, or was added (UTC).", source="timestamp_opt")
    updated_at: datetime = field("When it last changed (UTC).", version=True, source="last_changed")


@contract
class Campaigns:
    """One campaign: an e-mail that is sent to an audience, or is about to be."""

    campaign_id: str = field(_CAMPAIGN, key=True, source="id")
    campaign_type: str | None = field("regular, plaintext, absplit, rss or variate.", source="type")
    parent_campaign_id: str | None = field("The campaign that this one was made from.")
    status: str = field("save, schedule, sending, sent, ...")
    list_id: str | None = field("The audience.", source="recipients.list_id")
    segment_text: str | None = field("The part of the audience, in words (HTML).", source="recipients.segment_text")
    recipient_count: int | None = field("Recipients.", source="recipients.recipient_count")
    title: str | None = field("Title within Mailchimp.", source="settings.title")
    subject_line: str | None = field("Subject.", source="settings.subject_line")
    preview_text: str | None = field("Preview text.", source="settings.preview_text")
    from_name: str | None = field("Sender's name.", source="settings.from_name")
    reply_to: str | None = field("Address for replies.", source="settings.reply_to")
    emails_sent: int | None = field("E-mails sent.")
    is_resendable: bool | None = field("Whether it can be sent again to those who did not open.", source="resendable")
    created_at: datetime = field("When it was created (UTC).", source="create_time")
    sent_at: datetime | None = field("When it was, or will be, sent (UTC).", source="send_time")


@contract
class Reports:
    """The figures of one sent campaign, as Mailchimp shows them; they change for weeks, and may shrink."""

    campaign_id: str = field(_CAMPAIGN, key=True, source="id")
    campaign_title: str | None = field("Title within Mailchimp.")
    list_id: str | None = field("The audience.")
    emails_sent: int = field("E-mails sent.")
    abuse_reports: int | None = field("Complaints.")
    unsubscribed: int | None = field("Recipients who unsubscribed.")
    hard_bounces: int | None = field("Addresses that do not exist.", source="bounces.hard_bounces")
    soft_bounces: int | None = field("Full mailboxes and the like.", source="bounces.soft_bounces")
    syntax_errors: int | None = field("Addresses that are none.", source="bounces.syntax_errors")
    forwards: int | None = field("Forwards.", source="forwards.forwards_count")
    opens: int | None = field("Opens, all together.", source="opens.opens_total")
    unique_opens: int | None = field("Recipients who opened.", source="opens.unique_opens")
    open_rate: float | None = field("Unique opens over delivered, 0 to 1.", source="opens.open_rate")
    proxy_excluded_opens: int | None = field(
        "Opens without Apple's privacy proxy.", source="opens.proxy_excluded_opens"
    )
    proxy_excluded_unique_opens: int | None = field(
        "Recipients who opened, without Apple's privacy proxy.", source="opens.proxy_excluded_unique_opens"
    )
    proxy_excluded_open_rate: float | None = field(
        "Open rate without Apple's privacy proxy, 0 to 1.", source="opens.proxy_excluded_open_rate"
    )
    clicks: int | None = field("Clicks, all together.", source="clicks.clicks_total")
    unique_clicks: int | None = field("Recipients and links: pairs that clicked.", source="clicks.unique_clicks")
    unique_subscriber_clicks: int | None = field("Recipients who clicked.", source="clicks.unique_subscriber_clicks")
    click_rate: float | None = field("Clickers over delivered, 0 to 1.", source="clicks.click_rate")
    currency: str | None = field("Currency of the revenue.", source="ecommerce.currency_code")
    order_count: int | None = field("Orders that Mailchimp attributes.", source="ecommerce.total_orders")
    revenue: Money | None = field("Revenue that Mailchimp attributes.", source="ecommerce.total_revenue")
    sent_at: datetime | None = field("When it was sent (UTC).", source="send_time")
    last_open_at: datetime | None = field("Latest open (UTC).", source="opens.last_open")
    last_click_at: datetime | None = field("Latest click (UTC).", source="clicks.last_click")


@contract
class EmailActivity:
    """One thing that a recipient's e-mail saw: an open, a click or a bounce. Equal ones are told apart by a number."""

    campaign_id: str = field(_CAMPAIGN, key=True)
    email_id: str = field(_EMAIL_ID, key=True)
    action: str = field("open, click or bounce.", key=True)
    occurred_at: datetime = field("When (UTC).", key=True, source="timestamp")
    url: str | None = field("The link that was clicked.", key=True)
    bounce_type: str | None = field("hard or soft, of a bounce.", key=True, source="type")
    ip: str | None = field("Address of the reader's machine, or of a proxy.", key=True)
    occurrence: int = field("Number among those that are equal in all other fields, from 1.", key=True)
    list_id: str = field("The audience.")
    email: str | None = field(_ADDRESS, source="email_address")


@contract
class ClickDetails:
    """One link of a campaign, and how often it was clicked."""

    campaign_id: str = field(_CAMPAIGN, key=True)
    link_id: str = field("Mailchimp's id of the link.", key=True, source="id")
    url: str = field("The link.")
    clicks: int | None = field("Clicks, all together.", source="total_clicks")
    unique_clicks: int | None = field("Recipients who clicked it.")
    click_share: float | None = field("Share of the campaign's clicks, in percent.", source="click_percentage")
    last_click_at: datetime | None = field("Latest click (UTC).", source="last_click")


@contract
class Unsubscribes:
    """One recipient who unsubscribed from a campaign."""

    campaign_id: str = field(_CAMPAIGN, key=True)
    email_id: str = field(_EMAIL_ID, key=True)
    list_id: str = field("The audience.")
    email: str | None = field(_ADDRESS, source="email_address")
    reason: str | None = field("Why.")
    is_vip: bool | None = field("Marked as VIP.", source="vip")
    merge_fields: str | None = field("The audience's own fields: a JSON object.")
    unsubscribed_at: datetime = field("When (UTC).", source="timestamp")


@contract
class SentTo:
    """One recipient of a campaign, and whether it got there."""

    campaign_id: str = field(_CAMPAIGN, key=True)
    email_id: str = field(_EMAIL_ID, key=True)
    list_id: str = field("The audience.")
    email: str | None = field(_ADDRESS, source="email_address")
    status: str = field("sent, hard (bounce) or soft (bounce).")
    open_count: int | None = field("Opens by this recipient.")
    split_group: str | None = field("a, b or winner, of a split campaign.", source="absplit_group")
    is_vip: bool | None = field("Marked as VIP.", source="vip")
    merge_fields: str | None = field("The audience's own fields: a JSON object.")
    last_open_at: datetime | None = field("Latest open (UTC).", source="last_open")


STREAMS = [
    Stream("lists", Lists, State()),
    Stream("members", Members, State(), cursor="updated_at"),
    Stream("campaigns", Campaigns, State()),
    Stream("reports", Reports, State()),
    Stream("email_activity", EmailActivity, Event()),
    Stream("click_details", ClickDetails, Snapshot(scope=("campaign_id",))),
    Stream("unsubscribes", Unsubscribes, State()),
    Stream("sent_to", SentTo, State()),
]


LOOK_BACK = timedelta(hours=1)
"""Of what was read up to a moment, so much is read again."""

OPEN_FOR = timedelta(days=45)
"""After a campaign was sent its figures are read at every run; later ones are found once a week."""

SWEEP = timedelta(days=7)
"""After which everything is read: late figures, and members who were deleted."""

SENT_TO = {"day": timedelta(hours=24), "week": timedelta(days=7)}
"""How long after a campaign was sent its recipients are read: when most bounces are in, and when all are."""

CONNECTIONS = 10
"""At once, of one account."""

PASSES = 3
"""Over a list whose rows come and go while it is read."""

FAILURES = 5
"""After so many campaigns that can't be read, the others are not tried."""

SECOND = timedelta(seconds=1)
"""Mailchimp's times are of whole seconds, and whether a bound itself is included is not documented."""


class Reader:
    """Reads lists page by page, also where rows come and go while that goes on; campaigns and audiences side by side,
    so that one that can't be read stops no other."""

    def __init__(self, api_key: str, base_url: str, page_size: int) -> None:
        _, dash, data_center = api_key.strip().rpartition("-")
        if not (base_url or dash):
            raise SourceError("SOURCES__MAILCHIMP__API_KEY does not end with -us1 or the like: copy all of the key")
        if not 2 <= page_size <= 1000:
            raise SourceError(f"SOURCES__MAILCHIMP__PAGE_SIZE is {page_size}: write 2 to 1000")
        self.client = Client(
            base_url or f"https://{data_center}.api.mailchimp.com/3.0",
            auth=("catchment", api_key),
            connections=CONNECTIONS,
            is_busy=_is_busy,
        )
        self.page_size = page_size
        self.lock, self.sent_campaigns, self.served_at = threading.Lock(), None, None

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields the rows."""
        match stream.name:
            case "lists":
                yield from self._whole(stream, "lists", "lists", sort_field="date_created", sort_dir="ASC")
            case "campaigns":
                yield from self._whole(stream, "campaigns", "campaigns", sort_field="create_time", sort_dir="ASC")
            case "reports":
                yield from self._reports(stream, window)
            case "members":
                yield from self._members(stream, window)
            case _:
                yield from self._of_campaigns(stream, window)

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if the key is wrong."""
        path = {"members": "lists"}.get(stream.name, stream.name)
        if path not in ("lists", "campaigns", "reports"):
            path = "reports"
        return f"{self._get(path, path, count=1).json['total_items']:,} {path}"

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _whole(self, stream: Stream, path: str, member: str, **parameters: Any) -> Iterator[Page]:
        for answer in self._pages(path, member, fields=_fields(stream, member), **parameters):
            yield _page(stream, answer.json[member], path, answer)

    def _reports(self, stream: Stream, window: Window) -> Iterator[Page]:
        now = self._now()
        window.is_complete = self._is_sweep_due(window, now)
        since = {} if window.is_complete else {"since_send_time": _iso(now - OPEN_FOR)}
        yield from self._whole(stream, "reports", "reports", **since)

    def _members(self, stream: Stream, window: Window) -> Iterator[Page]:
        now = self._now()
        read_until: dict[str, str] = {} if window.is_partial else window.state.setdefault("read_until", {})
        swept_at = window.state.get("swept_at")
        window.is_complete = self._is_sweep_due(window, now)
        lists = {row["id"] for answer in self._pages("lists", "lists", fields="lists.id,total_items")
                 for row in answer.json["lists"]}  # fmt: skip

        def read(key: str) -> Iterator[Page]:
            since = None if window.is_complete else _moment(read_until.get(key)) or window.since
            yield from self._changed_members(stream, key, since, window.until)
            read_until[key] = _iso(now - LOOK_BACK)

        try:
            yield from self._of_each(lists, read)
        except PartFailed:
            window.state["swept_at"] = swept_at  # what is missing is not known to be gone
            raise
        if not window.is_partial:
            window.reached = now - LOOK_BACK

    def _changed_members(
        self, stream: Stream, list_id: str, since: datetime | None, until: datetime | None
    ) -> Iterator[Page]:
        """An audience's members in the order in which they changed, each page from the time of the last row on: one
        that changes meanwhile comes once more, at the end, and hides no other."""
        path = f"lists/{list_id}/members"
        parameters = {"fields": _fields(stream, "members"), "sort_field": "last_changed", "sort_dir": "ASC"}
        parameters |= {"before_last_changed": _iso(until)} if until else {}
        after, is_more = since and since - SECOND, True
        while is_more:
            is_more, bound = False, {"since_last_changed": _iso(after)} if after else {}
            for answer in self._pages(path, "members", **bound, **parameters):
                rows = answer.json["members"]
                yield _page(stream, rows, path, answer)
                times = [at for row in (rows[:1] + rows[-1:]) if (at := _moment(row.get("last_changed")))]
                # A page of one second's rows: the next one is found by number.
                if len(rows) < answer.json["total_items"] and times and times[-1] - times[0] > SECOND:
                    if after and times[-1] - SECOND <= after:
                        raise SourceError(f"{answer.path} repeats the page before it. Try again later")
                    after, is_more = times[-1] - SECOND, True
                    break

    def _of_campaigns(self, stream: Stream, window: Window) -> Iterator[Page]:
        """What hangs on sent campaigns: of those that are still open, and once a week of all."""
        now = self._now()
        done: dict[str, str] = window.state.setdefault("campaigns", {})
        is_sweep = stream.name != "sent_to" and self._is_sweep_due(window, now)

        def read(campaign: dict[str, Any]) -> Iterator[Page]:
            key, age = campaign["id"], now - (_moment(campaign["send_time"]) or now)
            if stream.name == "sent_to":
                due = [name for name, after in SENT_TO.items() if age >= after]
                if due and done.get(key) != due[-1]:
                    yield from self._whole(stream, f"reports/{key}/sent-to", "sent_to")
                    done[key] = due[-1]
            elif age <= OPEN_FOR or is_sweep or key not in done:
                since = None if is_sweep and age <= OPEN_FOR else done.get(key)
                yield from getattr(self, f"_{stream.name}")(stream, key, since)
                done[key] = _iso(now - LOOK_BACK)

        window.is_complete = False
        yield from self._of_each(self._sent(), read)

    def _email_activity(self, stream: Stream, key: str, since: str | None) -> Iterator[Page]:
        bound = {"since": since} if since else {}
        fields = "emails.list_id,emails.email_id,emails.email_address,emails.activity,total_items"
        path = f"reports/{key}/email-activity"
        for answer in self._pages(path, "emails", fields=fields, **bound):
            rows = (row for email in answer.json["emails"] for row in _numbered(key, email))
            yield Page(items(rows, path, "email_id"), answer.observed_at)

    def _click_details(self, stream: Stream, key: str, _: str | None) -> Iterator[Page]:
        path = f"reports/{key}/click-details"
        answers = list(self._pages(path, "urls_clicked", fields=_fields(stream, "urls_clicked")))
        rows = {row["id"]: row for answer in answers for row in answer.json["urls_clicked"]}
        yield _page(stream, rows.values(), path, answers[0], scopes=[key])

    def _unsubscribes(self, stream: Stream, key: str, _: str | None) -> Iterator[Page]:
        yield from self._whole(stream, f"reports/{key}/unsubscribed", "unsubscribes")

    def _of_each(self, things: Iterable[Any], read: Callable[[Any], Iterator[Page]]) -> Iterator[Page]:
        """The pages of each thing, of several things at once; some that can't be read stop no other."""
        failures: list[str] = []

        def guarded(thing: Any) -> Iterator[Page]:
            if len(failures) >= FAILURES:
                return
            try:
                yield from read(thing)
            except Exception as error:  # whatever it is, the others are read
                failures.append(explain(error))

        yield from Ahead(map(guarded, things), at_once=CONNECTIONS)
        if failures:
            raise PartFailed("; ".join(failures[:FAILURES]))

    def _sent(self) -> list[dict[str, Any]]:
        """Id and time of every sent campaign; asked once for all streams."""
        with self.lock:
            if self.sent_campaigns is None:
                order = {"status": "sent", "sort_field": "create_time", "sort_dir": "ASC"}
                fields = "campaigns.id,campaigns.send_time,total_items"
                answers = self._pages("campaigns", "campaigns", fields=fields, **order)
                rows = {row["id"]: row for answer in answers for row in answer.json["campaigns"]}
                self.sent_campaigns = [row for row in rows.values() if row.get("send_time")]
            return self.sent_campaigns

    def _now(self) -> datetime:
        """What time it was for the server when reading began; asked once for all streams."""
        with self.lock:
            if self.served_at is None:
                self.served_at = self._get("ping", "health_status").served_at
            return self.served_at

    def _is_sweep_due(self, window: Window, now: datetime) -> bool:
        """Whether everything is to be read. Notes that it was."""
        swept_at = window.state.get("swept_at")
        if window.is_partial or (swept_at and now - datetime.fromisoformat(swept_at) < SWEEP):
            return False
        window.state["swept_at"] = now.isoformat()
        return True

    def _pages(self, path: str, member: str, **parameters: Any) -> Iterator[Answer]:
        """The pages of a list. Each one is asked for from the last row of the one before on: where that is not its
        first row, others came or went in front of it, one may be missed, and all is read again."""
        for _ in range(PASSES):
            offset, last = 0, None
            while True:
                answer = self._get(path, member, count=self.page_size, offset=offset, **parameters)
                rows, total = answer.json[member], answer.json["total_items"]
                if last and [_id(row) for row in rows[:1]] != [last]:
                    break
                answer.json[member] = new = rows[1:] if last else rows
                yield answer
                if not new or offset + len(rows) >= total:
                    return
                offset, last = offset + len(rows) - 1, _id(rows[-1])
        raise SourceError(f"{path}: rows came and went, or pages repeat, in each of {PASSES} readings. Try again later")

    def _get(self, path: str, member: str, **parameters: Any) -> Answer:
        try:
            answer = self.client.get(path, member, **parameters)
        except Refused as error:
            if error.status == 401:
                raise SourceError(
                    "Mailchimp does not know the key (it answers 401): correct SOURCES__MAILCHIMP__API_KEY"
                ) from error
            if error.status == 403:
                raise SourceError(
                    "not entitled: give the key's user the right, or leave the stream out of "
                    f"SOURCES__MAILCHIMP__STREAMS. {error}"
                ) from error
            raise
        if member != "health_status" and "total_items" not in answer.json:
            raise SourceError(f"{answer.path}: the answer does not say how many {member} there are")
        return answer


def _is_busy(response: Any) -> bool:
    """Under load Mailchimp answers a 403 that does not say why, in no JSON."""
    return response.status_code == 403 and "json" not in response.headers.get("Content-Type", "")


def _fields(stream: Stream, member: str) -> str:
    """What to ask for: the contract's fields, and no more."""
    paths = (f.source.removesuffix(".*") for f in stream.contract.fields)
    return ",".join([*(f"{member}.{path}" for path in paths), "total_items"])


def _id(row: dict[str, Any]) -> Any:
    return row.get("id") or row.get("email_id")


def _numbered(campaign_id: str, email: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What one recipient's e-mail saw; those that are equal in all that Mailchimp tells are numbered."""
    seen: Counter[tuple] = Counter()
    head = {name: email.get(name) for name in ("list_id", "email_id", "email_address")}
    for activity in email.get("activity") or ():
        same = tuple(activity.get(name) for name in ("action", "timestamp", "url", "type", "ip"))
        seen[same] += 1
        yield {"campaign_id": campaign_id, **head, **activity, "occurrence": seen[same]}


def _page(
    stream: Stream, rows: Iterable[dict[str, Any]], path: str, answer: Answer, scopes: list[str] | None = None
) -> Page:
    return Page(items(rows, path, stream.contract.key[-1].source), answer.observed_at, scopes=scopes)


def _moment(text: Any) -> datetime | None:
    """A time of Mailchimp's; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


@dlt.source
def mailchimp(
    api_key: str = dlt.secrets.value,
    base_url: str = "",
    page_size: int = 1000,
    streams: list[str] | None = None,
    run: Run | None = None,
):
    """The audiences and campaigns of an account, and what the recipients did.

    `base_url` follows from the key, whose end names the data centre. `streams`: names of those to read, all by default.
    """
    chosen = [stream for stream in STREAMS if not streams or stream.name in streams]
    return resources(chosen, Reader(api_key, base_url, page_size), run, is_concurrent=True)
