"""Web and app analytics: Google Analytics 4's daily reports of properties, from its Data API (v1beta)."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dlt

from ingestion.contract import contract, field, items
from ingestion.errors import PartFailed, SourceError
from ingestion.google_api import GoogleClient, NotSignedIn
from ingestion.http import Answer, Refused
from ingestion.reading import resources
from ingestion.stream import Page, Run, Snapshot, State, Stream, Window

_USERS = "Does not add up: who is in two rows, or comes on two days, is counted in both."
_SESSIONS = "Sessions that began."
_ENGAGED = "Sessions of more than 10 seconds, of two views or more, or with a key event."
_VIEWS = "Pages and screens seen."
_KEY_EVENTS = "Key events; GA4 may share one among several rows, in fractions."
_REVENUE = "Purchases, subscriptions and advertising, less refunds, in the property's currency; null if hidden from us."


class Report:
    """What every report has: its scope, and what GA4 says of the answer that a row came with."""

    property_id: str = field("The property.", key=True)
    report_date: date = field("The day, by the property's clock.", key=True, source="date")
    time_zone: str = field("Time zone of the property (IANA name).")
    currency: str | None = field("Currency of the property's amounts (ISO 4217).")
    samples_read: int | None = field("Events that the answer was made from, if not from all.")
    sampling_space: int | None = field("Events that there were, if the answer was not made from all.")
    is_thresholded: bool = field("GA4 may hold back rows of few users, lest they be recognised.")
    is_rolled_up: bool = field("GA4 rolled rare values into a row (other).")
    is_preliminary: bool = field("Read within three days after the day: GA4 may still change it.")


@contract
class Properties:
    """One property, and what was left of its quotas when a run began."""

    property_id: str = field("The property.", key=True)
    time_zone: str = field("Its time zone (IANA name).")
    currency: str | None = field("Currency of its amounts (ISO 4217).")
    tokens_left_of_day: int | None = field("Tokens of the day.", source="tokensPerDay")
    tokens_left_of_hour: int | None = field("Tokens of the hour.", source="tokensPerHour")
    project_tokens_left_of_hour: int | None = field("Those of our project.", source="tokensPerProjectPerHour")
    requests_left_at_once: int | None = field("Requests that may be open at once.", source="concurrentRequests")
    server_errors_left_of_hour: int | None = field(
        "Server errors that our project may still meet.", source="serverErrorsPerProjectPerHour"
    )
    thresholded_requests_left_of_hour: int | None = field(
        "Requests whose answers GA4 may have to thin out.", source="potentiallyThresholdedRequestsPerHour"
    )


@contract
class Traffic(Report):
    """One day's sessions of one channel, source, medium and campaign."""

    channel: str = field("Default channel group.", key=True, source="sessionDefaultChannelGroup")
    source: str = field("Source of the session.", key=True, source="sessionSource")
    medium: str = field("Medium of the session.", key=True, source="sessionMedium")
    campaign_name: str = field("Campaign of the session.", key=True, source="sessionCampaignName")
    sessions: int = field(_SESSIONS)
    engaged_sessions: int = field(_ENGAGED, source="engagedSessions")
    total_users: int = field(f"Users. {_USERS}", source="totalUsers")
    new_users: int = field("Users who came for the first time.", source="newUsers")
    views: int = field(_VIEWS, source="screenPageViews")
    events: int = field("Events.", source="eventCount")
    key_events: float = field(_KEY_EVENTS, source="keyEvents")
    engagement_seconds: float = field("Seconds in the foreground.", source="userEngagementDuration")
    total_revenue: float | None = field(_REVENUE, source="totalRevenue")


@contract
class Pages(Report):
    """One day's views of one page or screen."""

    host: str = field("Host of the site.", key=True, source="hostName")
    page_path: str = field("Path of the page without its query, or class of the screen.", key=True,
                           source="unifiedPagePathScreen")  # fmt: skip
    views: int = field(_VIEWS, source="screenPageViews")
    total_users: int = field(f"Users who saw it. {_USERS}", source="totalUsers")
    events: int = field("Events on it.", source="eventCount")
    key_events: float = field(_KEY_EVENTS, source="keyEvents")
    engagement_seconds: float = field("Seconds in the foreground.", source="userEngagementDuration")


@contract
class LandingPages(Report):
    """One day's sessions that began with one page."""

    landing_page: str = field("Path of the first page, without its query.", key=True, source="landingPage")
    sessions: int = field(_SESSIONS)
    engaged_sessions: int = field(_ENGAGED, source="engagedSessions")
    total_users: int = field(f"Users. {_USERS}", source="totalUsers")
    key_events: float = field(_KEY_EVENTS, source="keyEvents")
    total_revenue: float | None = field(_REVENUE, source="totalRevenue")


@contract
class Devices(Report):
    """One day's sessions on one kind of device, operating system and browser."""

    platform: str = field("web, iOS or Android.", key=True)
    device_category: str = field("desktop, mobile, tablet, smart tv ...", key=True, source="deviceCategory")
    operating_system: str = field("Operating system.", key=True, source="operatingSystem")
    browser: str = field("Browser.", key=True)
    sessions: int = field(_SESSIONS)
    engaged_sessions: int = field(_ENGAGED, source="engagedSessions")
    total_users: int = field(f"Users. {_USERS}", source="totalUsers")
    views: int = field(_VIEWS, source="screenPageViews")


@contract
class Geography(Report):
    """One day's sessions from one place, as GA4 makes it out from the address."""

    country: str = field("Country code (ISO 3166-1 alpha-2).", key=True, source="countryId")
    region: str = field("Region.", key=True)
    city: str = field("City.", key=True)
    sessions: int = field(_SESSIONS)
    engaged_sessions: int = field(_ENGAGED, source="engagedSessions")
    total_users: int = field(f"Users. {_USERS}", source="totalUsers")
    views: int = field(_VIEWS, source="screenPageViews")


@contract
class Events(Report):
    """One day's events of one name."""

    event_name: str = field("Name of the event.", key=True, source="eventName")
    events: int = field("Events.", source="eventCount")
    total_users: int = field(f"Users who made them. {_USERS}", source="totalUsers")
    key_events: float = field("Those of them that are key events.", source="keyEvents")
    event_value: float | None = field("Sum of the parameter value.", source="eventValue")


@contract
class Ecommerce(Report):
    """What happened to one article of the shop on one day."""

    item_id: str = field("The article's id, as the shop told it.", key=True, source="itemId")
    item_name: str = field("The article's name.", key=True, source="itemName")
    items_viewed: int = field("Units that were looked at.", source="itemsViewed")
    items_added: int = field("Units that were put into a cart.", source="itemsAddedToCart")
    items_purchased: int = field("Units that were bought.", source="itemsPurchased")
    item_revenue: float | None = field(
        "Revenue, less refunds, without tax and shipping, in the property's currency; null if hidden from us.",
        source="itemRevenue",
    )


REPORTS = [
    Stream(name, report, Snapshot(scope=("property_id", "report_date")), cursor="report_date")
    for name, report in {
        "traffic": Traffic,
        "pages": Pages,
        "landing_pages": LandingPages,
        "devices": Devices,
        "geography": Geography,
        "events": Events,
        "ecommerce": Ecommerce,
    }.items()
]
STREAMS = [Stream("properties", Properties, State()), *REPORTS]

SETTLING = timedelta(days=3)
"""After a day, in which GA4 still changes its figures: so much of what was read is read again."""

PASSES = 3
"""Over a report whose figures change between two pages."""

DAY = timedelta(days=1)
OPTION = "SOURCES__GOOGLE_ANALYTICS__"
SCOPE = "https://www.googleapis.com/auth/analytics.readonly"


@dataclass(frozen=True)
class Property:
    """A property, and what any report tells of it: above all what time it was by Google's clock when reading began."""

    property_id: str
    time_zone: ZoneInfo
    answer: Answer

    @property
    def today(self) -> date:
        """The day that is not over yet: it bounds what is read."""
        return self.answer.served_at.astimezone(self.time_zone).date()

    @property
    def row(self) -> dict[str, Any]:
        """It as a row of the stream."""
        quotas = self.answer.json.get("propertyQuota", {})
        return {
            "property_id": self.property_id,
            "time_zone": self.time_zone.key,
            "currency": self.answer.json["metadata"].get("currencyCode"),
            **{name: quota.get("remaining", 0) for name, quota in quotas.items()},  # 0 is not written
        }

    @property
    def bound(self) -> datetime:
        """When that day began (UTC)."""
        return datetime.combine(self.today, time(), self.time_zone).astimezone(UTC)

    def is_preliminary(self, day: date) -> bool:
        """Whether GA4 may still change the figures of a day."""
        return day >= self.today - SETTLING


class Reader:
    """Reads reports by runReport, a month of whole days per request: half of them where that is too much to be held in
    memory, or for GA4 to answer from all events, and so on, down to one day."""

    PAGE = 100_000
    """Rows per request; GA4 gives 250,000 at most."""
    LARGEST = 500_000
    """Rows of a request that are held in memory."""
    PERIOD = timedelta(days=31)

    def __init__(self, property_ids: list[str], credentials: str, start: str, base_url: str) -> None:
        self.property_ids = [_property_id(text) for text in property_ids]
        self.start = _day(start)
        self.client = GoogleClient(base_url, credentials, [SCOPE], f"{OPTION}CREDENTIALS")
        self.lock = threading.Lock()
        self.properties: dict[str, Property | SourceError] = {}
        self.first_days: dict[str, date] = {}

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields pages that each hold whole scopes: all rows of every day in them. A property that can't be read stops
        no other."""
        window.is_complete, failures, reached = False, [], []
        for property_id in self.property_ids:
            try:
                found = self._property(property_id)
                if stream.name == "properties":
                    yield Page(items([found.row], "properties", "property_id"), found.answer.observed_at)
                else:
                    yield from self._days(stream, window, found)
                    reached.append(found.bound)
            except NotSignedIn:
                raise
            except SourceError as error:
                failures.append(f"property {property_id}: {error}")
        if failures:
            raise PartFailed("; ".join(failures))
        window.reached = min(reached, default=None)

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if a property can't be read."""
        if stream.name == "properties":
            return f"{len([self._property(property_id) for property_id in self.property_ids]):,} properties"
        body = _body(stream, "yesterday", "yesterday") | {"limit": "1"}
        rows = sum(self._ask(property_id, body).json.get("rowCount", 0) for property_id in self.property_ids)
        return f"{rows:,} rows yesterday"

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _property(self, property_id: str) -> Property:
        """A property, as the smallest report tells of it; asked once for all streams."""
        with self.lock:
            if property_id not in self.properties:
                try:
                    self.properties[property_id] = self._ask_for_property(property_id)
                except SourceError as error:
                    self.properties[property_id] = error
        if isinstance(outcome := self.properties[property_id], SourceError):
            raise outcome
        return outcome

    def _ask_for_property(self, property_id: str) -> Property:
        yesterday = {"startDate": "yesterday", "endDate": "yesterday"}  # by the property's clock
        body = {"dateRanges": [yesterday], "metrics": [{"name": "sessions"}], "returnPropertyQuota": True}
        answer = self._ask(property_id, body)
        try:
            return Property(property_id, ZoneInfo(answer.json["metadata"]["timeZone"]), answer)
        except (KeyError, ValueError) as error:
            raise SourceError(f"{answer.path}: names no time zone that we know: {answer.json['metadata']}") from error

    def _days(self, stream: Stream, window: Window, found: Property) -> Iterator[Page]:
        """What is new, and what was preliminary; notes how far it has come, for the next run to go on from there."""
        read_until: dict[str, str] = window.state.setdefault("read_until", {})
        last = found.today - DAY
        if window.is_partial and window.until:
            last = min(last, (window.until - timedelta(microseconds=1)).date())
        if window.is_partial and window.since:
            first = window.since.date()
        elif not window.is_partial and found.property_id in read_until:
            first = max(self.start, date.fromisoformat(read_until[found.property_id]) - SETTLING)
        else:
            first = self._first_day(found, last)
        while first <= last:
            until = min(first + self.PERIOD - DAY, last)
            yield from self._whole_days(stream, window, found, first, until)
            first = until + DAY
            read_until[found.property_id] = str(first)

    def _first_day(self, found: Property, last: date) -> date:
        """The first day that has a session, `last` if none up to it has; asked once for all streams."""
        with self.lock:
            if self.start < last and found.property_id not in self.first_days:
                body = {
                    "dateRanges": [{"startDate": str(self.start), "endDate": str(last)}],
                    "dimensions": [{"name": "date"}],
                    "metrics": [{"name": "sessions"}],
                    "orderBys": [{"dimension": {"dimensionName": "date"}}],
                    "limit": "1",
                }
                days = [row["date"] for row in _rows(self._ask(found.property_id, body))]
                self.first_days[found.property_id] = date.fromisoformat(days[0]) if days else last
            return self.first_days.get(found.property_id, self.start)

    def _whole_days(self, stream: Stream, window: Window, found: Property, first: date, last: date) -> Iterator[Page]:
        """The rows of these days, also of those that have none."""
        answers = self._answers(found, _body(stream, str(first), str(last)), is_divisible=first < last)
        if answers is None:
            middle = first + (last - first) // 2
            yield from self._whole_days(stream, window, found, first, middle)
            yield from self._whole_days(stream, window, found, middle + DAY, last)
            return
        days = [first + number * DAY for number in range((last - first).days + 1)]
        preliminary = {str(day) for day in days if found.is_preliminary(day)}
        rows = [
            {"property_id": found.property_id, **row, **said, "is_preliminary": row["date"] in preliminary}
            for answer in answers
            for said in [_said(answer.json["metadata"])]
            for row in _rows(answer)
        ]
        window.notes += [note for note in _warnings(found, answers[0]) if note not in window.notes]
        scopes = [f"{found.property_id}/{day}" for day in days]
        yield Page(items(rows, f"{found.property_id} {first}..{last}"), answers[0].observed_at, scopes=scopes)

    def _answers(self, found: Property, body: dict[str, Any], *, is_divisible: bool) -> list[Answer] | None:
        """The pages of a report, read anew where they do not fit together; None for one to be divided."""
        for _ in range(PASSES):
            answers: list[Answer] = []
            keys: set[tuple] = set()
            read, total = 0, 1
            while read < total:
                answer = self._ask(found.property_id, {**body, "offset": str(read), "limit": str(self.PAGE)})
                rows, total = answer.json.get("rows", []), answer.json.get("rowCount", 0)
                if is_divisible and (total > self.LARGEST or answer.json["metadata"].get("samplingMetadatas")):
                    return None
                answers.append(answer)
                keys |= {_values(row, "dimension") for row in rows}
                read += len(rows)
                if not rows:
                    break
            if len(keys) == read == total:
                return answers
        raise SourceError(f"rows came and went, or pages repeat, in each of {PASSES} readings. Try again later")

    def _ask(self, property_id: str, body: dict[str, Any]) -> Answer:
        """The answer to a report."""
        try:
            return self.client.post(f"v1beta/properties/{property_id}:runReport", body, "metadata")
        except Refused as error:
            if error.status == 403:
                raise SourceError(
                    f"not entitled: make {self.client.account} a viewer of the property, or leave it out of "
                    f"{OPTION}PROPERTY_IDS. {error}"
                ) from error
            raise


def _body(stream: Stream, first: str, last: str) -> dict[str, Any]:
    """The request for a report: all that its contract has and GA4 counts, in one order, without which pages overlap."""
    fields = [f for f in stream.contract.fields if f.name not in Report.__annotations__]
    dimensions = ["date", *(f.source for f in fields if f.key)]
    return {
        "dateRanges": [{"startDate": first, "endDate": last}],
        "dimensions": [{"name": name} for name in dimensions],
        "metrics": [{"name": f.source} for f in fields if not f.key],
        "orderBys": [{"dimension": {"dimensionName": name}} for name in dimensions],
        "keepEmptyRows": False,
        "returnPropertyQuota": True,
    }


def _rows(answer: Answer) -> Iterator[dict[str, Any]]:
    """The rows, by the names of their columns. GA4 shows 0 for an amount that it hides from us."""
    dimensions, metrics = (
        [header["name"] for header in answer.json.get(f"{kind}Headers", [])] for kind in ("dimension", "metric")
    )
    hidden = dict.fromkeys(_hidden(answer))
    for row in answer.json.get("rows", []):
        values = dict(zip(dimensions, _values(row, "dimension"), strict=True))
        values |= dict(zip(metrics, _values(row, "metric"), strict=True))
        day = values["date"]
        yield values | hidden | {"date": f"{day[:4]}-{day[4:6]}-{day[6:]}"}


def _values(row: dict[str, Any], kind: str) -> tuple[str, ...]:
    return tuple(value.get("value", "") for value in row.get(f"{kind}Values", []))


def _hidden(answer: Answer) -> list[str]:
    """The metrics of money that the service account may not see."""
    restrictions = answer.json["metadata"].get("schemaRestrictionResponse", {}).get("activeMetricRestrictions", [])
    return [restriction["metricName"] for restriction in restrictions]


def _warnings(found: Property, answer: Answer) -> Iterator[str]:
    if hidden := _hidden(answer):
        yield f"property {found.property_id}: the service account may not see {', '.join(hidden)}"
    for reason in answer.json["metadata"].get("dataTruncationReasons", []):
        yield f"property {found.property_id}: {reason.get('dataTruncationMessage') or reason}"


def _said(metadata: dict[str, Any]) -> dict[str, Any]:
    """What GA4 says of an answer, as its rows' columns."""
    (sample,) = metadata.get("samplingMetadatas") or [{}]
    return {
        "time_zone": metadata["timeZone"],
        "currency": metadata.get("currencyCode"),
        "samples_read": sample.get("samplesReadCount"),
        "sampling_space": sample.get("samplingSpaceSize"),
        "is_thresholded": metadata.get("subjectToThresholding", False),
        "is_rolled_up": metadata.get("dataLossFromOtherRow", False),
    }


def _property_id(text: Any) -> str:
    number = str(text).strip().removeprefix("properties/")
    if not number.isdecimal():
        raise SourceError(
            f"{OPTION}PROPERTY_IDS has {text!r}: write the number of the property (Admin > Property details), not the "
            "measurement id"
        )
    return number


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SourceError(f"{OPTION}START is {text!r}: write a day as 2026-01-31") from None


@dlt.source
def google_analytics(
    property_ids: list[str] = dlt.config.value,
    credentials: str = dlt.secrets.value,
    start: str = "2015-08-14",
    base_url: str = "https://analyticsdata.googleapis.com",
    run: Run | None = None,
):
    """The daily reports of properties, from the day `start` on, or from the first one that has a session.

    `credentials`: a service account's JSON key, or the path of its file.
    """
    return resources(STREAMS, Reader(property_ids, credentials, start, base_url), run, is_concurrent=True)
