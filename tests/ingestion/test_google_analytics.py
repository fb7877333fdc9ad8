"""The Google Analytics loader against the sandbox's server, over properties that the tests make."""

import functools
import json
import logging
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest
from conftest import counts

from ingestion import google_analytics
from ingestion.errors import SourceError, explain
from ingestion.google_analytics import REPORTS, STREAMS, Reader
from ingestion.stream import Window
from ingestion.systems import all_systems
from sandbox import counted_visits, service_account
from sandbox import google_analytics as sandbox_google_analytics
from sandbox.company import CLOCK, Company
from tests.specification import specification

DAY = timedelta(days=1)
TODAY = date(2026, 3, 20)
START = TODAY - 10 * DAY
SITE, SHOP = "111", "222"
SAID = ("samples_read", "sampling_space")  # only if GA4 did not count all events


@functools.cache
def key() -> dict:
    return service_account.new_key(1024)


class Account:
    """Properties behind the sandbox's server; `clock` is what day it is there, at midnight UTC."""

    def __init__(self) -> None:
        self.clock, self.properties = TODAY, {}
        self.open(SITE)
        self.server = sandbox_google_analytics.serve(lambda: self.properties, lambda: self.clock, key())
        self.misbehave, self.bodies, self.answers = self.server.misbehave, [], 0
        respond = self.server.respond

        def listen(call):
            response = respond(call)
            if "runReport" in call.path:
                self.bodies.append((call.path, call.json, response))
            return response

        self.server.respond = listen

    def open(self, property_id: str, time_zone: str = "Europe/Berlin", currency: str = "EUR") -> None:
        """A new property."""
        self.properties[property_id] = {"time_zone": time_zone, "currency": currency, "days": {}}

    def days(self, property_id: str = SITE) -> dict[str, list]:
        return self.properties[property_id]["days"]

    def visit(self, day: date, source: str = "google", property_id: str = SITE, user: int = 1, **metrics) -> dict:
        """A session of one hit."""
        hit = {"user": user, "known_on": str(day), "dimensions": {"sessionSource": source, "eventName": "page_view"}}
        hit["metrics"] = {"sessions": 1, "eventCount": 1, "screenPageViews": 1, **metrics}
        self.days(property_id).setdefault(str(day), []).append(hit)
        return hit

    def visits(self, first: date, last: date) -> None:
        """One a day."""
        for number in range((last - first).days + 1):
            self.visit(first + number * DAY)

    def ranges(self) -> list[tuple[str, str]]:
        """The days that reports were asked for, since the last call; those that only ask for the property left out."""
        asked = [(body["dateRanges"][0], body) for _, body, _ in self.bodies if "dimensions" in body]
        self.bodies.clear()
        return [(days["startDate"], days["endDate"]) for days, body in asked if body.get("offset") == "0"]

    def meanwhile(self, change, after: int) -> None:
        """Makes a change once so many reports have been answered."""

        def on_answer() -> None:
            self.answers += 1
            if self.answers == after:
                change()

        self.server.on_answer = on_answer


@pytest.fixture
def account(monkeypatch, short_waits):
    account = Account()
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS", json.dumps([SITE]))
    credentials = service_account.credentials(account.server.url, key())
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__CREDENTIALS", credentials)
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", str(START))
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__BASE_URL", account.server.url)
    yield account
    account.server.stop()


@pytest.fixture
def run(account, warehouse):
    """Runs one report; returns the ledger's row."""
    return lambda stream="traffic", **options: warehouse.run("google_analytics", streams=(stream,), **options)[stream]


@pytest.fixture
def current(warehouse):
    """The rows of `traffic` as staging sees them: of each day those of its newest reading."""

    def current(columns="report_date, source, sessions") -> list[tuple]:
        return warehouse.query(f"""
            select {columns} from raw_google_analytics.traffic
            where _mark is null and (_scope, _observed_at) in (
                select _scope, max(_observed_at) from raw_google_analytics.traffic group by _scope
            ) order by all
        """)

    return current


def read(account, stream="traffic", window=None, properties=(SITE,), **options) -> list[dict]:
    """What the reader gives, without loading it."""
    options = {
        "credentials": service_account.credentials(account.server.url, key()),
        "start": str(START),
        "base_url": account.server.url,
    } | options
    (stream,) = [s for s in STREAMS if s.name == stream]
    reader = Reader(list(properties), **options)
    return [row for page in reader.read(stream, window or Window(None, None, False, {})) for row in page.rows.objects]


@functools.cache
def company() -> Company:
    return Company(1, 0.1).run(CLOCK)


# What lands


def test_all_streams_and_a_second_run_with_nothing_new(account, warehouse, monkeypatch):
    """Each field is found where the contract says; what is asked and answered is as Google's specification says."""
    account.clock = CLOCK
    account.properties = counted_visits.properties(company().counted_visits.tables())
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS", json.dumps([int(counted_visits.property_id(1))]))
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", str(CLOCK - 60 * DAY))
    ledger = warehouse.run("google_analytics")
    assert {name: row["status"] for name, row in ledger.items()} == {stream.name: "complete" for stream in STREAMS}
    for stream in STREAMS:
        columns = ", ".join(f"count({field.name})" for field in stream.contract.fields)
        (found,) = warehouse.query(f"select count(distinct _key), {columns} from raw_google_analytics.{stream.name}")
        assert found[0] == ledger[stream.name]["rows_loaded"] > 0
        missing = {f.name for f, number in zip(stream.contract.fields, found[1:], strict=True) if not number}
        assert missing == (set() if stream.name == "properties" else set(SAID)), stream.name
        assert ledger[stream.name]["unknown_fields"] is None
    assert len(account.bodies) == 2 + 2 * len(REPORTS), "two months; what time it is, and since when there are visits"
    again = warehouse.run("google_analytics")
    assert {name for name, row in again.items() if row["rows_loaded"]} == {"properties"}, "whose quotas are less"
    assert all(row["rows_read"] > 0 for row in again.values())


def test_requests_and_answers_are_as_googles_specification_says(account):
    spec = specification("google_analyticsdata_v1beta.openapi.json")
    account.visits(START, TODAY - DAY)
    account.server.fewest_users, account.server.most_hits = 1, 0
    for stream in REPORTS:
        read(account, stream.name)
    assert len(account.bodies) > 2 * len(REPORTS)
    for path, body, response in account.bodies:
        assert spec.request("POST", path, {}, body) == []
        kind = response.headers["Content-Type"]
        assert spec.answer("POST", path, response.status, kind, json.loads(response.body)) == []


def test_types(account, warehouse, run):
    """Days, numbers that are texts, fractions as GA4 writes them; (not set) is GA4's word."""
    account.visit(TODAY - 5 * DAY, keyEvents=0.25, totalRevenue=59.800000000000004, userEngagementDuration=12)
    run()
    columns = "report_date, channel, source, sessions, key_events, total_revenue, engagement_seconds, total_users"
    assert warehouse.query(f"select {columns} from raw_google_analytics.traffic") == [
        (TODAY - 5 * DAY, "(not set)", "google", 1, 0.25, 59.800000000000004, 12.0, 1)
    ]
    said = "property_id, time_zone, currency, is_thresholded, is_rolled_up, is_preliminary, _scope, _position"
    assert warehouse.query(f"select {said} from raw_google_analytics.traffic") == [
        (SITE, "Europe/Berlin", "EUR", False, False, False, f"{SITE}/2026-03-15", f"{SITE} 2026-03-15..2026-03-19 1")
    ]


def test_a_row_that_does_not_fit_is_set_aside(account, warehouse, run):
    account.visit(TODAY - 5 * DAY)

    def spoil(answer):
        for row, (day, sessions) in zip(answer["rows"], [("(other)", "1"), ("20260314", "many")], strict=True):
            row["dimensionValues"][0]["value"], row["metricValues"][0]["value"] = day, sessions
        return answer

    account.visit(TODAY - 6 * DAY)
    account.misbehave.next("slow", times=2, path="runReport", seconds=0)  # what time it is, and since when
    account.misbehave.next("drift", path="runReport", change=spoil)
    row = run()
    assert (row["status"], row["rows_rejected"]) == ("complete", 2)
    reasons = warehouse.query("select reason from raw_operations.rejected_rows order by all")
    assert reasons == [("report_date: '(oth-er-)' is not a date",), ("sessions: 'many' is not an integer",)]


# Which days


def test_a_month_per_request_and_no_day_that_is_not_over(account, current, run, monkeypatch):
    start = TODAY - 70 * DAY
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", str(start))
    account.visits(start - DAY, TODAY)
    row = run()
    bounds = [(start, start + 30 * DAY), (start + 31 * DAY, start + 61 * DAY), (start + 62 * DAY, TODAY - DAY)]
    assert account.ranges() == [(str(first), str(last)) for first, last in bounds]
    assert current("report_date") == [(start + number * DAY,) for number in range(70)]
    assert row["cursor_to"] == datetime.combine(TODAY, time(), UTC) - timedelta(hours=1), "midnight in Berlin"


def test_what_was_preliminary_is_read_again(account, current, run):
    """The last three days, and those since; until it is known to be settled, a day is called preliminary."""
    account.visits(START, TODAY + 10 * DAY)
    run()
    assert current("report_date, is_preliminary")[-4:] == [
        (TODAY - number * DAY, number < 4) for number in (4, 3, 2, 1)
    ]
    account.ranges()
    account.visit(TODAY - 3 * DAY)
    account.visit(TODAY - DAY, "bing")
    account.visit(TODAY - 4 * DAY, "too late")
    account.clock += DAY
    row = run()
    assert account.ranges() == [(str(TODAY - 3 * DAY), str(TODAY))]
    assert current()[-6:] == [
        (TODAY - 4 * DAY, "google", 1),
        (TODAY - 3 * DAY, "google", 2),
        (TODAY - 2 * DAY, "google", 1),
        (TODAY - DAY, "bing", 1),
        (TODAY - DAY, "google", 1),
        (TODAY, "google", 1),
    ]
    assert current("report_date, is_preliminary")[-5:] == [
        (TODAY - 3 * DAY, False),
        (TODAY - 2 * DAY, True),
        (TODAY - DAY, True),
        (TODAY - DAY, True),
        (TODAY, True),
    ]
    assert (row["rows_read"], row["rows_unchanged"]) == (5, 1), "of a day that is as it was no row is added"
    account.clock += 5 * DAY
    run()
    assert account.ranges() == [(str(TODAY - 2 * DAY), str(TODAY + 5 * DAY))]
    assert current("count(*) filter (is_preliminary), count(*)") == [(3, 17)]


def test_two_runs_on_one_day(account, run):
    account.visits(START, TODAY)
    run()
    account.ranges()
    run()
    assert account.ranges() == [(str(TODAY - 3 * DAY), str(TODAY - DAY))]


def test_a_day_that_has_become_empty(account, current, run):
    account.visits(START, TODAY)
    run()
    del account.days()[str(TODAY - 2 * DAY)]
    run()
    assert (TODAY - 2 * DAY,) not in current("report_date")
    assert len(current("report_date")) == 9


def test_the_propertys_clock_says_what_a_day_is(account, run, current, monkeypatch):
    """At midnight UTC it is afternoon of the day before in Los Angeles, and noon in Auckland."""
    for property_id, zone in ((SHOP, "America/Los_Angeles"), ("333", "Pacific/Auckland")):
        account.open(property_id, zone)
        for number in range(12):
            account.visit(START + number * DAY, property_id=property_id)
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS", json.dumps([SHOP, "333"]))
    row = run()
    rows = current("property_id, report_date, is_preliminary")
    assert [row for row in rows if row[0] == SHOP][-1] == (SHOP, TODAY - 2 * DAY, True)
    assert [row for row in rows if row[0] == "333"][-1] == ("333", TODAY - DAY, True)
    assert row["cursor_to"] == datetime.combine(TODAY - DAY, time(7), UTC), "the one that is furthest behind"


def test_a_short_day_leaves_none_preliminary(account, run, current):
    """On the Azores 29 March 2026 has 23 hours: at the beginning of the 30th 71 hours have gone by since the 26th."""
    account.open(SITE, "Atlantic/Azores")
    account.visits(date(2026, 3, 20), date(2026, 4, 5))
    for account.clock in (date(2026, 3, 29), date(2026, 3, 30), date(2026, 3, 31)):
        run()
    preliminary = [day for day, is_preliminary in current("report_date, is_preliminary") if is_preliminary]
    assert preliminary == [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30)]


def test_a_property_that_is_added_is_read_from_the_start(account, run, monkeypatch):
    account.visits(START, TODAY)
    run()
    account.open(SHOP)
    account.visit(START + DAY, property_id=SHOP)
    account.ranges()
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS", json.dumps([SITE, SHOP]))
    run()
    assert account.ranges() == [(str(TODAY - 3 * DAY), str(TODAY - DAY)), (str(START + DAY), str(TODAY - DAY))]
    run(full=True)
    assert account.ranges() == [(str(START), str(TODAY - DAY)), (str(START + DAY), str(TODAY - DAY))]


def test_a_property_is_read_from_its_first_session(account, run, monkeypatch):
    """Which is asked once for all reports; of one without any only yesterday is read."""
    account.visit(TODAY - 40 * DAY)
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", "2015-08-14")
    run()
    assert account.ranges()[0][0] == str(TODAY - 40 * DAY)
    account.days().clear()
    run(full=True)
    assert account.ranges() == [(str(TODAY - DAY),) * 2]
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", str(TODAY + DAY))
    assert counts(run(full=True)) == (0, 0, 0, 0, 0)
    assert account.ranges() == []


def test_since_and_until(account, run):
    account.visits(START - 9 * DAY, TODAY)
    since = datetime.combine(START - 5 * DAY, time(), UTC)
    assert run(since=since, until=since + 3 * DAY)["rows_loaded"] == 3
    assert account.ranges() == [(str(since.date()), str(since.date() + 2 * DAY))], "until is exclusive"
    assert run(until=datetime.combine(TODAY + 9 * DAY, time(), UTC))["rows_loaded"] == 10
    account.ranges()
    run()
    assert account.ranges() == [(str(START), str(TODAY - DAY))], "a bounded run moves no bound"


# Pages


def offsets(account) -> list[str]:
    return [body["offset"] for _, body, _ in account.bodies if "offset" in body]


def test_reports_are_read_to_the_last_page(account, run, current, monkeypatch):
    monkeypatch.setattr(Reader, "PAGE", 3)
    for number in range(8):
        account.visit(TODAY - 5 * DAY, f"source {number}")
    run()
    assert offsets(account) == ["0", "3", "6"]
    assert {source for (source,) in current("source")} == {f"source {number}" for number in range(8)}
    assert current("distinct _scope_rows") == [(8,)]


def test_rows_that_come_between_two_pages(account, run, current, monkeypatch):
    """One more in front moves all others on; one more and one less does so too, but their number is the same."""
    monkeypatch.setattr(Reader, "PAGE", 3)
    for number in range(8):
        account.visit(TODAY - 5 * DAY, f"source {number}")
    account.meanwhile(lambda: account.visit(TODAY - 5 * DAY, "a"), after=3)
    run()
    assert offsets(account) == ["0", "3", "6", "0", "3", "6"]
    assert len(current("source")) == 9
    hits = account.days()[str(TODAY - 5 * DAY)]

    def swap() -> None:
        account.visit(TODAY - 5 * DAY, "b")
        del hits[7]

    account.bodies.clear()
    account.meanwhile(swap, after=account.answers + 3)
    run(full=True)
    assert offsets(account) == ["0", "3", "6", "0", "3", "6"]
    assert current("source") == [("a",), ("b",), *((f"source {number}",) for number in range(7))]


def test_a_report_that_never_stands_still(account, run, monkeypatch):
    monkeypatch.setattr(Reader, "PAGE", 3)
    for number in range(8):
        account.visit(TODAY - 5 * DAY, f"source {number}")
    account.server.on_answer = lambda: account.visit(TODAY - 5 * DAY, f"a {len(account.bodies)}")
    row = run()
    assert row["status"] == "failed" and "rows came and went, or pages repeat, in each of 3 readings" in row["error"]


def test_a_report_too_large_to_hold_is_asked_for_in_halves(account, run, current, monkeypatch):
    monkeypatch.setattr(Reader, "LARGEST", 4)
    account.visits(START, TODAY - DAY)
    for number in range(9):
        account.visit(TODAY - DAY, f"source {number}")
    run()
    assert account.ranges() == [
        (str(START + first * DAY), str(START + last * DAY))
        for first, last in [(0, 9), (0, 4), (0, 2), (3, 4), (5, 9), (5, 7), (8, 9), (8, 8), (9, 9)]
    ], "a day is not divided, however large"
    assert len(current("source")) == 19 and current("distinct report_date")[0] == (START,)


# What GA4 says of its answers


def test_sampling_is_avoided_or_stored(account, run, current):
    account.visits(START, TODAY - DAY)
    for number in range(4):
        account.visit(TODAY - DAY, f"source {number}")
    account.server.most_hits = 3
    run()
    said = current("distinct report_date, samples_read, sampling_space")
    assert said == [(START + number * DAY, None, None) for number in range(9)] + [(TODAY - DAY, 3, 5)]


def test_thresholding_is_stored(account, run, current):
    for user in range(3):
        account.visit(TODAY - 5 * DAY, user=user)
    account.visit(TODAY - 5 * DAY, "rare")
    account.server.fewest_users = 2
    run()
    assert current("source, is_thresholded") == [("google", True)]


def test_what_is_rolled_up_hidden_or_cut_off_is_told(account, run, current):
    account.visit(TODAY - 5 * DAY, totalRevenue=5)
    restriction = {"metricName": "totalRevenue", "restrictedMetricTypes": ["REVENUE_DATA"]}

    def say(answer):
        answer["metadata"] |= {
            "dataLossFromOtherRow": True,
            "schemaRestrictionResponse": {"activeMetricRestrictions": [restriction]},
            "dataTruncationReasons": [{"dataTruncationMessage": "Nothing before 2026-01-01."}],
        }
        answer["rows"][0]["metricValues"][-1]["value"] = "0"
        return answer

    account.misbehave.next("slow", times=2, path="runReport", seconds=0)  # what time it is, and since when
    account.misbehave.next("drift", path="runReport", change=say)
    row = run()
    assert current("is_rolled_up, total_revenue") == [(True, None)]
    assert json.loads(row["notes"]) == [
        f"property {SITE}: the service account may not see totalRevenue",
        f"property {SITE}: Nothing before 2026-01-01.",
    ]


def test_properties_tell_their_quotas(account, run, warehouse):
    account.server.quotas["tokensPerHour"] = 8
    run("properties")
    columns = "property_id, time_zone, currency, tokens_left_of_day, tokens_left_of_hour"
    assert warehouse.query(f"select {columns} from raw_google_analytics.properties") == [
        (SITE, "Europe/Berlin", "EUR", 199_999, 7)
    ]
    account.server.quotas["tokensPerHour"] = 1
    assert run("properties")["rows_loaded"] == 1
    assert warehouse.query("select min(tokens_left_of_hour) from raw_google_analytics.properties") == [(0,)]


# What goes wrong


@pytest.mark.parametrize(
    ("quota", "told"),
    [
        ("tokensPerDay", "per day"),
        ("tokensPerHour", "per hour"),
        ("tokensPerProjectPerHour", "for a project per hour"),
    ],
)
def test_an_exhausted_quota_ends_the_run_and_the_next_one_goes_on(account, run, current, monkeypatch, quota, told):
    start = TODAY - 70 * DAY
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__START", str(start))
    account.visits(start, TODAY - DAY)
    account.meanwhile(lambda: account.server.quotas.update({quota: 0}), after=3)
    row = run()
    assert row["status"] == "failed"
    expected = f"property {SITE}: quota exhausted, the next run goes on: Exhausted property tokens {told}."
    assert row["error"] == expected
    assert len(account.bodies) == 4, "and is not asked again"
    assert len(current("report_date")) == 31
    account.server.quotas[quota] = 1000
    account.ranges()
    assert run()["status"] == "complete"
    assert account.ranges()[0] == (str(start + 28 * DAY), str(start + 58 * DAY))
    assert len(current("report_date")) == 70


def test_what_passes_is_tried_again(account, run):
    account.visits(START, TODAY - DAY)
    for fault in ("429", "503", "cut", "html"):
        account.misbehave.next(fault, path="runReport")
    assert counts(run()) == (10, 10, 0, 0, 0)


def test_a_property_that_may_not_be_read_stops_no_other(account, run, current, monkeypatch):
    account.visits(START, TODAY - DAY)
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS", json.dumps([SHOP, SITE]))
    row = run()
    assert row["status"] == "failed" and row["rows_loaded"] == 10
    assert row["error"].startswith(
        f"property {SHOP}: not entitled: make catchment@coffee-example.iam.gserviceaccount.com a viewer of the "
        "property, or leave it out of SOURCES__GOOGLE_ANALYTICS__PROPERTY_IDS."
    )
    account.open(SHOP)
    account.visit(START, property_id=SHOP)
    account.ranges()
    assert run()["status"] == "complete"
    assert account.ranges() == [(str(START), str(TODAY - DAY)), (str(TODAY - 3 * DAY), str(TODAY - DAY))]


def test_a_report_that_google_refuses_fails_alone(account, warehouse):
    account.visits(START, TODAY - DAY)
    account.server.respond, respond = lambda call: _refuse(call, respond), account.server.respond
    ledger = warehouse.run("google_analytics")
    assert {name for name, row in ledger.items() if row["status"] == "failed"} == {"geography"}
    assert "Field city is not a valid dimension." in ledger["geography"]["error"]


def _refuse(call, respond):
    if "runReport" in call.path and {"name": "city"} in call.json.get("dimensions", []):
        wrong = "Field city is not a valid dimension."
        return sandbox_google_analytics.Problem(*sandbox_google_analytics.INVALID, wrong).response
    return respond(call)


# Signing in


def test_a_token_that_ran_out_is_replaced(account, run):
    account.visits(START, TODAY - DAY)
    account.meanwhile(account.server.sign_in.tokens.clear, after=1)
    assert run()["status"] == "complete"
    paths = Counter(request.path for request in account.misbehave.requests)
    assert paths["/token"] == 2
    statuses = [request.status for request in account.misbehave.requests if request.path != "/token"]
    assert statuses == [200, 401, 200, 200]


def test_a_new_token_that_is_refused_too(account, run):
    account.visits(START, TODAY - DAY)
    account.misbehave.next("401", times=2, path="runReport")
    row = run()
    assert row["status"] == "failed" and "Google does not accept its own token" in row["error"]
    assert Counter(request.status for request in account.misbehave.requests)[401] == 2


def test_all_streams_share_a_token(account, warehouse):
    account.visits(START, TODAY - DAY)
    warehouse.run("google_analytics")
    assert [request.path for request in account.misbehave.requests].count("/token") == 1


def test_a_key_that_google_does_not_know(account, warehouse, monkeypatch, caplog, capfd):
    """Says so once per stream, and shows the key nowhere."""
    other = service_account.new_key()
    credentials = service_account.credentials(account.server.url, other)
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__CREDENTIALS", credentials)
    with caplog.at_level(logging.DEBUG):
        ledger = warehouse.run("google_analytics")
    assert {row["status"] for row in ledger.values()} == {"failed"}
    expected = (
        "Google does not accept the key (invalid_grant: Invalid JWT Signature.): "
        "correct SOURCES__GOOGLE_ANALYTICS__CREDENTIALS"
    )
    assert {row["error"] for row in ledger.values()} == {expected}
    assert [request.path for request in account.misbehave.requests] == ["/token"], "not tried again for each stream"
    shown = "".join([caplog.text, *capfd.readouterr(), *(str(row) for row in ledger.values())])
    lines = other["private_key"].splitlines()[1:-1]
    assert not [line for line in lines if line in shown]


def test_the_key_and_the_token_are_taken_out_of_messages(account):
    read(account)
    (token,) = account.server.sign_in.tokens
    text = key()["private_key"]
    for shown in (text, " ".join(text.split()), repr(text), f"Bearer {token}"):
        message = explain(RuntimeError(f"something went wrong: {shown}"))
        assert token not in message and not [line for line in text.splitlines()[1:-1] if line in message]


def test_the_key_may_be_a_file(account, warehouse, monkeypatch, tmp_path):
    account.visits(START, TODAY - DAY)
    path = tmp_path / "a key.json"
    path.write_text(service_account.credentials(account.server.url, key()))
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__CREDENTIALS", str(path))
    assert warehouse.run("google_analytics", streams=("traffic",))["traffic"]["status"] == "complete"


NO_KEY = "not the key of a service account: correct SOURCES__GOOGLE_ANALYTICS__CREDENTIALS"
GARBAGE = {"private_key": "-----BEGIN PRIVATE KEY-----\nTk9LRVk=\n-----END PRIVATE KEY-----\n", "client_email": "a"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"the file of the key can't be read \(FileNotFoundError\): correct SOURCES__GOOGLE_ANALYTICS__"),
        (b"\xff\xfe", r"the file of the key can't be read \(UnicodeDecodeError\)"),
        (b"{", NO_KEY),
        (b"[]", NO_KEY),
        (b'{"type": "authorized_user", "client_secret": "abc"}', NO_KEY),
        (b'{"private_key": 5}', NO_KEY),
        (json.dumps(GARBAGE | {"token_uri": "b"}).encode(), NO_KEY),
    ],
)
def test_a_key_that_is_none(account, tmp_path, content, message):
    path = tmp_path / "key.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as failure:
        read(account, credentials=str(path))
    assert "Tk9LRVk" not in str(failure.value) and failure.value.__cause__ is None


def test_a_sign_in_that_can_not_be_reached(account, run, monkeypatch):
    credentials = json.dumps(key() | {"token_uri": "http://127.0.0.1:9/token"})
    monkeypatch.setenv("SOURCES__GOOGLE_ANALYTICS__CREDENTIALS", credentials)
    assert "Google's sign-in can't be reached" in run()["error"]


# Options


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("properties", ["G-ABC123"], "PROPERTY_IDS has 'G-ABC123': write the number of the property"),
        ("start", "01.02.2026", "START is '01.02.2026': write a day as 2026-01-31"),
        ("base_url", "localhost", r"localhost/.* is not a URL: correct the option base_url"),
    ],
)
def test_wrong_options(account, option, value, message):
    with pytest.raises(SourceError, match=message):
        read(account, **{option: value})


def test_property_ids_in_any_form(account):
    account.visits(START, TODAY - DAY)
    assert len(read(account, properties=[f"properties/{SITE}"])) == len(read(account, properties=[int(SITE)])) == 10


def test_a_time_zone_that_nobody_knows(account, run):
    account.properties[SITE]["time_zone"] = "Mars/Olympus"
    assert "names no time zone that we know" in run()["error"]


def test_check(account, monkeypatch):
    for number in range(3):
        account.visit(TODAY - DAY, f"source {number}")
    reader = all_systems()["google_analytics"].connect()
    assert [reader.check(stream) for stream in STREAMS[:3]] == ["1 properties", "3 rows yesterday", "1 rows yesterday"]
    del account.properties[SITE]
    with pytest.raises(SourceError, match="not entitled"):
        reader.check(STREAMS[1])
    reader.close()


def test_a_request_has_no_more_than_google_allows():
    for stream in REPORTS:
        body = google_analytics._body(stream, "2026-01-01", "2026-01-31")
        assert len(body["dimensions"]) <= 9 and 1 <= len(body["metrics"]) <= 10
        assert [order["dimension"]["dimensionName"] for order in body["orderBys"]] == [
            dimension["name"] for dimension in body["dimensions"]
        ]
