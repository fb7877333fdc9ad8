"""The Mailchimp loader against the sandbox's server, over accounts that the tests make."""

import functools
import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from urllib.parse import parse_qsl

import dlt
import pytest
from conftest import counts

from ingestion.errors import ConfigurationError, SourceError
from ingestion.mailchimp import PASSES, STREAMS, Reader, mailchimp
from ingestion.stream import Window
from ingestion.systems import all_systems
from sandbox import mailchimp as sandbox_mailchimp
from sandbox.company import CLOCK, Company
from tests.specification import specification

ALL = {stream.name for stream in STREAMS}
KEY = "0123456789abcdef0123456789abcdef-us1"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


def text(moment: datetime) -> str:
    """A time as Mailchimp writes it."""
    return moment.isoformat(timespec="seconds")


def at(moment: datetime, action: str = "open", **values) -> dict:
    """Something that an e-mail saw."""
    return {"action": action, "timestamp": text(moment), "ip": "203.0.113.7", **values}


class Account:
    """One audience, `a1`, and its campaigns, behind the sandbox's server; `clock` is what time it is there."""

    def __init__(self) -> None:
        self.clock = NOON
        self.tables = {"lists": [], "members": {}, "campaigns": [], "reports": []}
        self.tables |= {"recipients": {}, "click_details": {}, "unsubscribes": {}}
        self.audience("a1")
        self.server = sandbox_mailchimp.serve(lambda: self.tables, lambda: self.clock.date(), KEY)
        self.server.now = lambda: self.clock.timestamp()
        self.misbehave = self.server.misbehave

    def audience(self, key: str) -> None:
        """A new audience."""
        self.tables["lists"].append({"id": key, "name": key, "date_created": text(NOON - 90 * DAY), "stats": {}})
        self.tables["members"][key] = []

    @property
    def members(self) -> list[dict]:
        return self.tables["members"]["a1"]

    def member(self, name: str, changed: datetime = NOON - DAY, **values) -> dict:
        """A new member, whose id is the md5 of the address."""
        email = f"{name}@example.com"
        row = {"id": md5(email.encode()).hexdigest(), "contact_id": f"contact {name}", "email_address": email}
        row |= {"status": "subscribed", "list_id": "a1", "last_changed": text(changed), **values}
        self.members.append(row)
        return row

    def campaign(self, key: str, sent: datetime | None = None, **values) -> dict:
        """A new campaign, a draft if it does not say when it was sent; returns its report, or the draft."""
        row = {"id": key, "type": "regular", "status": "save", "send_time": ""}
        row["create_time"] = text((sent or self.clock) - DAY)
        self.tables["campaigns"].append(row)
        if not sent:
            row.update(values)
            return row
        row.update(status="sent", send_time=text(sent), **values)
        report = {"id": key, "type": "regular", "send_time": text(sent), "emails_sent": 2, "opens": {"opens_total": 10}}
        self.tables["reports"].append(report)
        for name in ("recipients", "click_details", "unsubscribes"):
            self.tables[name][key] = []
        return report

    def email(self, campaign: str, name: str, *activity: dict) -> dict:
        """A campaign's e-mail to somebody."""
        row = {"email_id": md5(f"{name}@example.com".encode()).hexdigest(), "email_address": f"{name}@example.com"}
        row |= {"list_id": "a1", "status": "sent", "open_count": 0, "activity": list(activity)}
        self.tables["recipients"][campaign].append(row)
        return row

    def link(self, campaign: str, key: str, clicks: int) -> dict:
        """A campaign's link."""
        row = {"id": key, "url": f"https://coffee.example/{key}", "total_clicks": clicks}
        self.tables["click_details"][campaign].append(row)
        return row

    def meanwhile(self, change: Callable[[], None], after: int, times: int = 1) -> None:
        """Makes a change once so many pages have been answered, and after each further one up to `times`."""
        answered = 0

        def on_page(tables: dict) -> None:
            nonlocal answered
            answered += 1
            if after <= answered < after + times:
                change()

        self.server.on_page = on_page

    def queries(self, path: str = "") -> list[dict[str, str]]:
        """The queries of the requests since the last call whose path ends so."""
        found = [dict(parse_qsl(r.query)) for r in self.misbehave.requests if r.path.endswith(path)]
        self.misbehave.requests.clear()
        return found

    def asked(self) -> Counter:
        """Requests since the last call, by path."""
        requests = Counter(request.path.removeprefix("/3.0/") for request in self.misbehave.requests)
        self.misbehave.requests.clear()
        return requests


@pytest.fixture
def account(monkeypatch, short_waits):
    account = Account()
    monkeypatch.setenv("SOURCES__MAILCHIMP__API_KEY", KEY)
    monkeypatch.setenv("SOURCES__MAILCHIMP__BASE_URL", f"{account.server.url}/3.0")
    yield account
    account.server.stop()


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setenv("SOURCES__MAILCHIMP__PAGE_SIZE", "3")


@pytest.fixture
def run(account, warehouse):
    """Runs streams; returns the ledger's row of the only one, or all by stream."""

    def run(*streams, **options):
        ledger = warehouse.run("mailchimp", streams=streams, **options)
        return ledger[streams[0]] if len(streams) == 1 else ledger

    return run


@pytest.fixture
def read(account):
    """Reads a stream without loading it, each time from where the last reading ended; returns its rows."""
    reached, states = {}, {}

    def read(name, page_size=1000, since=None, until=None):
        (stream,) = [stream for stream in STREAMS if stream.name == name]
        is_partial = bool(since or until)
        window = Window(since or reached.get(name), until, is_partial, dict(states.get(name, {})))
        reader = Reader(KEY, f"{account.server.url}/3.0", page_size)
        rows = [row for page in reader.read(stream, window) for row in page.rows.objects]
        reader.close()
        read.is_complete = window.is_complete
        if not is_partial:
            reached[name], states[name] = window.reached, window.state
        return rows

    return read


@functools.cache
def company() -> Company:
    return Company(1, 0.02).run(CLOCK)


@pytest.fixture
def coffee(account):
    """The sandbox's company as the account."""
    account.clock = datetime(CLOCK.year, CLOCK.month, CLOCK.day, tzinfo=UTC)
    account.tables = deepcopy(company().newsletters.tables())
    return account


@pytest.fixture
def names(warehouse):
    """Local parts of the current members' addresses."""

    def names() -> list[str]:
        rows = warehouse.current("raw_mailchimp.members", "split_part(email, '@', 1)")
        return sorted(name for (name,) in rows)

    return names


def of(members: list[dict]) -> list[str]:
    return sorted(row["email_address"].partition("@")[0] for row in members)


def statuses(ledger: dict[str, dict]) -> dict[str, str]:
    return {name: row["status"] for name, row in ledger.items()}


# What lands


def test_all_streams_and_a_second_run_with_nothing_new(coffee, run, warehouse):
    """As many rows as there are, each field found where the contract says; then few requests and no row."""
    coffee.server.latency = 0.005
    ledger = run()
    assert statuses(ledger) == dict.fromkeys(ALL, "complete")
    assert {request.status for request in coffee.misbehave.requests} == {200}, "ten at once are not refused"
    expected = company().newsletters.truth()["mailchimp_streams.json"]
    ages = {row["id"]: coffee.clock - datetime.fromisoformat(row["send_time"]) for row in coffee.tables["reports"]}
    expected["sent_to"] -= sum(len(coffee.tables["recipients"][key]) for key, age in ages.items() if age < DAY)
    rows = {name: (number, number, 0, 0, 0) for name, number in expected.items()}
    assert {name: counts(row) for name, row in ledger.items()} == rows and expected["sent_to"] > 900
    for stream in STREAMS:
        columns = ", ".join(f"count({field.name})" for field in stream.contract.fields)
        (found,) = warehouse.query(f"select count(distinct _key), {columns} from raw_mailchimp.{stream.name}")
        assert found[0] == expected[stream.name]
        assert [f.name for f, number in zip(stream.contract.fields, found[1:], strict=True) if not number] == []

    coffee.asked()
    again = run()
    assert {(row["status"], row["rows_loaded"]) for row in again.values()} == {("complete", 0)}
    still_open = [key for key, age in ages.items() if age <= 45 * DAY]
    assert 5 < len(still_open) < len(ages) / 2
    hanging = ("email-activity", "click-details", "unsubscribed")
    assert coffee.asked() == {
        "ping": 1,
        "lists": 2,  # for themselves, and for their members
        **{f"lists/{key}/members": 1 for key in coffee.tables["members"]},
        "campaigns": 2,  # for themselves, and once for all that hangs on them
        "reports": 1,
        **{f"reports/{key}/{path}": 1 for key in still_open for path in hanging},
    }


def test_types(account, run, warehouse):
    """Times, objects, numbers also where they are texts; "" is null where it is no text."""
    account.tables["lists"][0] |= {"stats": {"member_count": "7", "open_rate": 21.5, "last_sub_date": "x"}}
    ann = account.member(
        "ann", NOON, vip=True, member_rating="4", timestamp_signup="", timestamp_opt="2026-01-31T08:00:00+02:00",
        stats={"avg_open_rate": 0.25}, merge_fields={"FNAME": "Ann"}, location={"country_code": "AT"},
        tags=[{"id": 1, "name": "vip"}], language="",
    )["id"]  # fmt: skip
    report = account.campaign("c1", NOON - 3 * DAY, resendable="true", emails_sent="12")
    report |= {"ecommerce": {"total_revenue": 12.3456}, "emails_sent": "12"}
    report["opens"] |= {"last_open": "", "open_rate": "0.5"}
    account.email("c1", "ann", at(NOON - DAY, "bounce", type="soft"))["open_count"] = "3"
    account.link("c1", "l1", 5)["click_percentage"] = 62.5
    left = {"email_id": "e1", "list_id": "a1", "timestamp": "2026-03-01 10:00:00", "vip": False}
    account.tables["unsubscribes"]["c1"].append(left)
    assert statuses(run()) == dict.fromkeys(ALL, "complete")

    def row(table, columns):
        (found,) = warehouse.query(f"select {columns} from raw_mailchimp.{table}")
        return found

    found = row("lists", "_key, member_count, open_rate, stats, created_at")
    assert found == ("a1", 7, 21.5, '{"last_sub_date":"x"}', NOON - 90 * DAY)
    columns = "_key, is_vip, member_rating, average_open_rate, country, merge_fields, tags, language"
    found = row("members", columns)
    assert found == (f'["a1","{ann}"]', True, 4, 0.25, "AT", '{"FNAME":"Ann"}', '[{"id":1,"name":"vip"}]', "")
    found = row("members", "signed_up_at, opted_in_at, _version")
    assert found == (None, datetime(2026, 1, 31, 6, tzinfo=UTC), NOON)
    found = row("campaigns", "_key, is_resendable, emails_sent, sent_at")
    assert found == ("c1", True, 12, NOON - 3 * DAY)
    found = row("reports", "_key, emails_sent, revenue, open_rate, last_open_at, opens")
    assert found == ("c1", 12, Decimal("12.3456"), 0.5, None, 10)
    found = row("email_activity", "_key ->> '$[0]', _key ->> '$[1]', _key ->> '$[2]', occurred_at, bounce_type, ip")
    assert found == ("c1", ann, "bounce", NOON - DAY, "soft", "203.0.113.7")
    assert row("click_details", "_key, _scope, _scope_rows, click_share") == ('["c1","l1"]', "c1", 1, 62.5)
    assert row("unsubscribes", "_key, unsubscribed_at, is_vip") == ('["c1","e1"]', NOON - 26 * HOUR, False)
    assert row("sent_to", "_key, open_count") == (f'["c1","{ann}"]', 3)


def test_a_bad_value_rejects_that_row_alone(account, run, warehouse, small_pages):
    for number in range(7):
        account.member(f"m{number}", NOON - number * HOUR)
    account.members[0]["last_changed"] = "soon"
    account.members[1]["member_rating"] = "many"
    account.campaign("c1", NOON - 3 * DAY)["emails_sent"] = 1.5
    account.campaign("c2", NOON - 3 * DAY)
    account.tables["campaigns"][0]["send_time"] = "soon"
    account.email("c1", "ann", at(NOON - DAY), at(NOON))["activity"][0]["timestamp"] = "soon"
    account.email("c2", "bob", at(NOON - DAY)).update(status=None)
    ledger = run()
    assert statuses(ledger) == dict.fromkeys(ALL, "complete")
    reasons = warehouse.query("select stream, position, reason from raw_operations.rejected_rows order by all")
    ids = [row["id"] for row in account.members]
    assert reasons == [
        ("campaigns", "campaigns c1", "sent_at: 'soon' is not a time"),
        ("email_activity", f"reports/c1/email-activity {md5(b'ann@example.com').hexdigest()}",
         "occurred_at: 'soon' is not a time"),
        *sorted([
            ("members", f"lists/a1/members {ids[0]}", "updated_at: 'soon' is not a time"),
            ("members", f"lists/a1/members {ids[1]}", "member_rating: 'many' is not an integer"),
        ]),
        ("reports", "reports c1", "emails_sent: '1.5' is not an integer"),
        ("sent_to", f"reports/c2/sent-to {md5(b'bob@example.com').hexdigest()}", "status: is missing"),
    ]  # fmt: skip
    loaded = {name: row["rows_loaded"] for name, row in ledger.items()}
    assert (loaded["members"], loaded["campaigns"], loaded["reports"], loaded["email_activity"]) == (5, 1, 1, 2)


# Members


def test_members_page_by_page(account, read):
    """In the order of their changes, from the last row's time on, be a second's rows more than a page."""
    for number in range(20):
        account.member(f"m{number}", NOON - DAY + number // 8 * MINUTE)
    rows = read("members", page_size=3)
    assert of({row["id"]: row for row in rows}.values()) == of(account.members)
    queries = account.queries("/members")
    assert {(query["count"], query["sort_field"], query["sort_dir"]) for query in queries} == {
        ("3", "last_changed", "ASC")
    }
    assert {query.get("since_last_changed") for query in queries} == {
        None, text(NOON - DAY + MINUTE - SECOND), text(NOON - DAY + 2 * MINUTE - SECOND),
    }  # fmt: skip


@pytest.mark.parametrize("seconds", [0, 1, 60])
@pytest.mark.parametrize("page", [2, 3])
def test_members_that_change_meanwhile(account, read, seconds, page):
    """Whether times are far apart or all the same: none is missed, and the newest state is read last."""
    for number in range(9):
        account.member(f"m{number}", NOON - HOUR + number * timedelta(seconds=seconds))

    def change():
        account.members[1].update(last_changed=text(NOON - MINUTE), status="cleaned")  # was read
        account.members[8].update(last_changed=text(NOON - MINUTE), status="cleaned")  # was not
        del account.members[0]
        account.member("new", NOON)

    account.meanwhile(change, after=page)
    rows = read("members", page_size=3)
    newest = {row["id"]: row["status"] for row in rows}
    assert {row["id"]: row["status"] for row in account.members}.items() <= newest.items()
    assert len(newest) <= len(account.members) + 1
    assert list(newest.values()).count("cleaned") == 2


def test_next_runs_read_what_changed_since(account, run, names, warehouse):
    account.member("old", NOON - DAY)
    account.member("recent", NOON - 30 * MINUTE)
    assert counts(run("members")) == (2, 2, 0, 0, 0)
    account.member("late", NOON - 50 * MINUTE)  # its change became visible later than its time says
    account.members[0].update(status="unsubscribed", last_changed=text(NOON + MINUTE))
    account.clock += DAY
    account.asked()
    row = run("members")
    assert counts(row) == (3, 2, 1, 0, 0), "an hour is read again"
    assert row["cursor_from"] == NOON - HOUR
    assert account.queries("/members")[0]["since_last_changed"] == text(NOON - HOUR - SECOND)
    assert names() == ["late", "old", "recent"]
    statuses = warehouse.current("raw_mailchimp.members", "status")
    assert sorted(statuses) == [("subscribed",), ("subscribed",), ("unsubscribed",)]


def test_deleted_members_and_changed_addresses(account, run, names):
    """Once a week all are read: those who are not there are gone."""
    for name in ("ann", "bob", "eve", "joe", "kim"):
        account.member(name)
    run("members")
    del account.members[0]
    account.members.remove(next(row for row in account.members if row["email_address"].startswith("bob")))
    account.clock += 6 * DAY
    account.member("robert", account.clock - MINUTE, contact_id="contact bob")
    assert counts(run("members"))[4] == 0 and names() == ["ann", "bob", "eve", "joe", "kim", "robert"]
    account.clock += DAY
    assert counts(run("members"))[4] == 2 and names() == ["eve", "joe", "kim", "robert"]


def test_most_members_gone_is_asked_about(account, run, names):
    for number in range(5):
        account.member(f"m{number}")
    run("members")
    del account.members[1:4]
    account.clock += 7 * DAY
    row = run("members")
    assert row["status"] == "failed" and "3 of 5 known rows are no longer in the source" in row["error"]
    assert len(names()) == 5
    assert counts(run("members", accept_deletes=True))[4] == 3 and names() == ["m0", "m4"]


def test_since_and_until_bound_the_change(account, read):
    for number in range(4):
        account.member(f"m{number}", NOON - number * DAY)
    assert of(read("members", since=NOON - 2 * DAY, until=NOON)) == ["m1", "m2"]
    assert not read.is_complete, "nothing is gone"
    assert len(read("members")) == 4 and read.is_complete, "a bounded run moves no bound"


def test_several_audiences_one_of_which_fails(account, run, warehouse):
    """The others are read; nothing is gone."""
    account.audience("a2")
    account.member("ann")
    account.tables["members"]["a2"] = [{**account.members[0], "list_id": "a2"}]
    run("members")
    account.member("bob")
    account.clock += 7 * DAY
    account.misbehave.next("503", times=6, path="a2/members")
    row = run("members")
    assert row["status"] == "failed" and "lists/a2/members: the server answered 503" in row["error"]
    current = warehouse.current("raw_mailchimp.members", "list_id, split_part(email, '@', 1)")
    assert sorted(current) == [("a1", "ann"), ("a1", "bob"), ("a2", "ann")]
    assert counts(run("members")) == (3, 0, 3, 0, 0), "and all is read in the next run"


# Lists, campaigns, reports


def test_lists_and_campaigns_are_complete(account, run, warehouse):
    """A deleted draft and a deleted audience are gone; statistics change."""
    for key in ("a2", "a3"):
        account.audience(key)
    for key in ("c1", "c2", "c3"):
        account.campaign(key)
    run("lists", "campaigns")
    account.tables["lists"].pop()
    account.tables["lists"][0]["stats"] = {"member_count": 9}
    account.tables["campaigns"].pop(0)
    ledger = run("lists", "campaigns")
    assert (counts(ledger["lists"]), counts(ledger["campaigns"])) == ((2, 1, 1, 0, 1), (2, 0, 2, 0, 1))
    assert warehouse.current("raw_mailchimp.lists", "list_id, member_count") == [("a1", 9), ("a2", None)]
    assert warehouse.current("raw_mailchimp.campaigns", "campaign_id") == [("c2",), ("c3",)]


def test_reports_are_read_for_45_days_and_all_once_a_week(account, read):
    account.campaign("new", NOON - 44 * DAY)
    account.campaign("old", NOON - 46 * DAY)
    found = []
    for days in (0, 0, 6, 7, 8):
        account.clock = NOON + days * DAY
        rows = read("reports")
        found.append(([row["id"] for row in rows], account.queries("/reports")[0].get("since_send_time")))
    some = [text(NOON + days * DAY - 45 * DAY) for days in (0, 6, 8)]
    every = (["new", "old"], None)
    assert found == [every, (["new"], some[0]), ([], some[1]), every, ([], some[2])]


def test_a_report_that_shrinks_is_current(account, run, warehouse):
    """Spam traps were taken out; the report of an old campaign is neither read nor gone."""
    report = account.campaign("new", NOON - 2 * DAY)
    account.campaign("old", NOON - 46 * DAY)
    run("reports")
    report["opens"]["opens_total"] = 8
    assert counts(run("reports")) == (1, 1, 0, 0, 0)
    assert warehouse.current("raw_mailchimp.reports", "campaign_id, opens") == [("new", 8), ("old", 10)]


def replace_a_campaign(account):
    """As many as before, but not the same: one at the beginning less, one at the end more."""
    del account.tables["campaigns"][0]
    account.campaign(f"new {len(account.misbehave.requests)}", create_time=text(account.clock))


def test_a_list_that_changes_is_read_again(account, run, warehouse, small_pages):
    for number in range(8):
        account.campaign(f"c{number}", create_time=text(NOON - 10 * DAY + number * HOUR))
    account.meanwhile(lambda: replace_a_campaign(account), after=1, times=PASSES - 1)
    run("campaigns")
    account.meanwhile(lambda: replace_a_campaign(account), after=1, times=100)
    row = run("campaigns")
    assert row["status"] == "failed" and counts(row)[4] == 0
    assert row["error"] == "campaigns: rows came and went, or pages repeat, in each of 3 readings. Try again later"
    account.meanwhile(lambda: None, after=0)
    assert run("campaigns")["status"] == "complete"
    current = {key for (key,) in warehouse.current("raw_mailchimp.campaigns", "campaign_id")}
    assert current == {row["id"] for row in account.tables["campaigns"]}


def test_a_list_that_grows_at_its_end_is_not_read_again(account, read):
    for number in range(6):
        account.campaign(f"c{number}", create_time=text(NOON - number * HOUR))
    account.meanwhile(lambda: account.campaign("new", create_time=text(NOON + HOUR)), after=1)
    assert [row["id"] for row in read("campaigns", page_size=3)] == [*(f"c{5 - number}" for number in range(6)), "new"]
    assert [query["offset"] for query in account.queries("campaigns")] == ["0", "2", "4"]


@pytest.mark.parametrize(
    ("stream", "path", "message"),
    [
        ("members", "lists/a1/members", r"lists/a1/members.* repeats the page before it\. Try again later"),
        ("campaigns", "campaigns", r"campaigns: rows came and went, or pages repeat, in each of 3 readings"),
    ],
)
def test_a_page_that_repeats_fails(account, read, stream, path, message):
    for number in range(8):
        account.member(f"m{number}", NOON - number * HOUR)
        account.campaign(f"c{number}", create_time=text(NOON - number * HOUR))
    account.misbehave.next("repeat", times=50, path=path)
    with pytest.raises(SourceError, match=message):
        read(stream, page_size=3)
    assert len(account.queries(path)) <= 2 * PASSES


# What hangs on campaigns


def test_activity_is_read_since_the_last_time(account, run):
    account.campaign("c1", NOON - 3 * DAY)
    account.campaign("c2", NOON - 2 * DAY)
    account.campaign("planned", status="schedule", send_time=text(NOON + 30 * DAY))
    ann = account.email("c1", "ann", at(NOON - 2 * DAY), at(NOON - 30 * MINUTE))
    account.email("c2", "ann")
    assert counts(run("email_activity")) == (2, 2, 0, 0, 0)
    assert [query.get("since") for query in account.queries("email-activity")] == [None, None]
    ann["activity"].append(at(NOON + HOUR, "click", url="https://coffee.example"))
    account.campaign("c3", NOON + HOUR)
    account.email("c3", "bob", at(NOON + 2 * HOUR))
    account.clock += DAY
    assert counts(run("email_activity")) == (3, 2, 1, 0, 0), "of the activity before, the last hour"
    since = [query.get("since") for query in account.queries("email-activity")]
    assert sorted(since, key=str) == [text(NOON - HOUR)] * 2 + [None]


def test_equal_activity_is_numbered(account, run, warehouse, small_pages):
    """The same numbers, however often and in whatever order it is read."""
    account.campaign("c1", NOON - 3 * DAY)
    two = NOON - 10 * MINUTE
    for name in ("ann", "bob", "eve", "joe", "kim"):
        account.email("c1", name, at(two), at(two), at(two, ip="203.0.113.8"), at(two, "click", url="u"), at(NOON))

    def rows():
        columns = "_key, email, ip, occurrence"
        return warehouse.query(f"select {columns} from raw_mailchimp.email_activity order by all")

    assert counts(run("email_activity")) == (25, 25, 0, 0, 0)
    first = rows()
    assert len({key for key, *_ in first}) == 25
    ann = [row[2:] for row in first if row[1] == "ann@example.com"]
    assert Counter(number for ip, number in ann if ip != "203.0.113.8") == {1: 3, 2: 1}
    assert [number for ip, number in ann if ip == "203.0.113.8"] == [1], "from elsewhere it is another one"
    recipients = account.tables["recipients"]["c1"]
    recipients.reverse()
    for row in recipients:
        row["activity"].reverse()
    assert counts(run("email_activity")) == (25, 0, 25, 0, 0) and rows() == first
    recipients[0]["activity"].append(at(NOON))
    recipients[0]["activity"].append(at(NOON - 10 * MINUTE, ip="17.1.1.1"))
    assert counts(run("email_activity")) == (27, 2, 25, 0, 0)


def test_late_activity(account, read):
    """On an old campaign it is found once a week, as is what Mailchimp dates back."""
    account.campaign("old", NOON - 60 * DAY)
    account.campaign("open", NOON - 3 * DAY)
    old, new = account.email("old", "ann", at(NOON - 59 * DAY)), account.email("open", "ann", at(NOON - 3 * DAY))
    assert len(read("email_activity")) == 2
    old["activity"].append(at(NOON + HOUR))
    new["activity"].append(at(NOON - 2 * DAY))
    account.clock += 6 * DAY
    account.asked()
    assert read("email_activity") == []
    assert account.asked() == {"ping": 1, "campaigns": 1, "reports/open/email-activity": 1}
    account.clock += DAY
    found = {(row["campaign_id"], row["timestamp"]) for row in read("email_activity")}
    assert found == {("old", text(NOON + HOUR)), ("open", text(NOON - 3 * DAY)), ("open", text(NOON - 2 * DAY))}
    account.clock += 6 * DAY
    account.asked()
    read("email_activity")
    assert account.asked()["reports/old/email-activity"] == 0, "a week from the complete reading on"


def test_clicks_and_unsubscribes_are_read_for_45_days_and_all_once_a_week(account, run, read, warehouse):
    """A campaign's links replace those of the reading before; who unsubscribed stays."""
    for key, sent in (("new", NOON - 40 * DAY), ("old", NOON - 50 * DAY), ("none", NOON - DAY)):
        account.campaign(key, sent)
    links = [account.link(key, f"{key} {number}", 5) for key in ("new", "old") for number in range(4)]

    def leave(key, name):
        row = {"email_id": name, "list_id": "a1", "timestamp": text(NOON), "reason": "None given"}
        account.tables["unsubscribes"][key].append(row)

    leave("old", "ann")
    ledger = run("click_details", "unsubscribes")
    assert (counts(ledger["click_details"]), counts(ledger["unsubscribes"])) == ((8, 8, 0, 0, 0), (1, 1, 0, 0, 0))
    for link in (links[0], links[4]):
        link["total_clicks"] = 6
    leave("new", "bob")
    leave("old", "eve")
    ledger = run("click_details", "unsubscribes")
    assert (counts(ledger["click_details"]), counts(ledger["unsubscribes"])) == ((4, 4, 0, 0, 0), (1, 1, 0, 0, 0))
    account.tables["click_details"]["new"].clear()
    account.clock += 7 * DAY
    ledger = run("click_details", "unsubscribes")
    assert (counts(ledger["click_details"]), counts(ledger["unsubscribes"])) == ((4, 4, 0, 0, 0), (3, 1, 2, 0, 0))
    scopes = (
        "select _scope, _mark, count(*), max(clicks), max(_scope_rows) from raw_mailchimp.click_details group by all"
    )
    assert sorted(warehouse.query(scopes), key=str) == [
        ("new", "empty", 1, None, 0), ("new", None, 8, 6, 4), ("old", None, 8, 6, 4)
    ]  # fmt: skip
    assert len(read("click_details", page_size=3)) == 4, "of several pages, one snapshot"


def test_recipients_are_read_after_a_day_and_after_a_week(account, read):
    sent = NOON - 23 * HOUR
    account.campaign("c1", sent)
    account.campaign("nobody", sent, emails_sent=0)
    account.email("c1", "ann")
    account.email("c1", "bob")
    found = []
    for hours in (23, 24, 40, 7 * 24 - 1, 7 * 24, 8 * 24, 15 * 24):
        account.clock = sent + hours * HOUR
        account.asked()
        found.append((len(read("sent_to")), account.asked()["reports/c1/sent-to"]))
    assert found == [(0, 0), (2, 1), (0, 0), (0, 0), (2, 1), (0, 0), (0, 0)]


def test_recipients_of_an_old_campaign_are_read_once(account, read):
    account.campaign("c1", NOON - 100 * DAY)
    account.email("c1", "ann")
    assert len(read("sent_to")) == 1
    assert read("sent_to") == []


def test_one_campaign_that_fails_stops_no_other(account, run, warehouse, small_pages):
    """The stream says which; the run after reads that one whole, and of the others what is new."""
    for key in ("c1", "c2", "c3"):
        account.campaign(key, NOON - 3 * DAY)
        for number in range(7):
            account.email(key, f"m{number}", at(NOON - DAY), at(NOON - DAY))
    account.misbehave.next("slow", times=2, path="c2/email-activity", seconds=0.01)  # its first two pages are right
    account.misbehave.next("503", times=6, path="c2/email-activity")
    account.misbehave.next("slow", path="c3/email-activity", seconds=0.3)  # is not done yet when c2 fails
    row = run("email_activity")
    assert row["status"] == "failed"
    assert "reports/c2/email-activity: the server answered 503 Service Unavailable, in 6 attempts" in row["error"]
    assert row["rows_loaded"] == 2 * 14 + 2 * 5
    account.asked()
    assert counts(run("email_activity")) == (14, 4, 10, 0, 0)
    found = "select count(*), count(distinct _key) from raw_mailchimp.email_activity"
    assert warehouse.query(found) == [(42, 42)]


def test_a_campaign_that_is_deleted_meanwhile(account, read):
    account.campaign("c1", NOON - DAY)
    account.campaign("c2", NOON - DAY)
    account.link("c2", "l", 1)
    account.meanwhile(lambda: account.tables["click_details"].pop("c1"), after=1)
    with pytest.raises(SourceError, match=r"reports/c1/click-details.*404"):
        read("click_details")


# A bad day


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "html", "error", "bare_403"])
def test_passing_faults(account, read, fault):
    account.campaign("c1", NOON - DAY)
    account.link("c1", "l1", 1)
    for path in ("ping", "/campaigns", "click-details"):
        account.misbehave.next(fault, times=3, path=path)
    assert len(read("click_details")) == 1
    assert account.asked() == {"ping": 4, "campaigns": 4, "reports/c1/click-details": 4}


def test_a_bare_403_is_no_refusal(account, run):
    account.misbehave.next("bare_403", times=6, path="/campaigns")
    ledger = run("lists", "campaigns")
    assert statuses(ledger) == {"lists": "complete", "campaigns": "failed"}
    error = ledger["campaigns"]["error"]
    assert "/campaigns: the server answered 403 Forbidden, in 6 attempts. Try again later" in error


def test_not_entitled(account, run):
    """One stream's 403 leaves the others whole, and is not asked for again and again."""
    for number in range(40):
        account.campaign(f"c{number}", NOON - 2 * DAY)
    account.misbehave.next("403", times=100, path="unsubscribed")
    ledger = run("reports", "click_details", "unsubscribes")
    assert statuses(ledger) == {"reports": "complete", "click_details": "complete", "unsubscribes": "failed"}
    error = ledger["unsubscribes"]["error"]
    assert "not entitled: give the key's user the right, or leave the stream out of SOURCES__MAILCHIMP__STR" in error
    assert sum("unsubscribed" in request.path for request in account.misbehave.requests) < 20


def test_a_wrong_key(account, run, warehouse, monkeypatch, tmp_path):
    wrong = "fedcba9876543210fedcba9876543210-us1"
    monkeypatch.setenv("SOURCES__MAILCHIMP__API_KEY", wrong)
    ledger = run()
    assert statuses(ledger) == dict.fromkeys(ALL, "failed")
    for row in ledger.values():
        assert "Mailchimp does not know the key (it answers 401): correct SOURCES__MAILCHIMP__API_KEY" in row["error"]
    told = json.dumps([*ledger.values(), warehouse.errors], default=str)
    assert wrong not in told and wrong[:16] not in told
    for file in (tmp_path / "a warehouse").rglob("*"):
        assert file.is_dir() or wrong.encode() not in file.read_bytes(), file


# Options


def test_the_address_is_in_the_key(account, warehouse, monkeypatch):
    assert Reader(KEY, "", 1000).client.base_url == "https://us1.api.mailchimp.com/3.0"
    monkeypatch.delenv("SOURCES__MAILCHIMP__BASE_URL")
    monkeypatch.setenv("SOURCES__MAILCHIMP__API_KEY", KEY.removesuffix("-us1"))
    assert warehouse.run("mailchimp") == {}
    message = "SOURCES__MAILCHIMP__API_KEY does not end with -us1 or the like: copy all of the key"
    assert warehouse.errors == {"mailchimp": message}


def test_options(account, warehouse, monkeypatch):
    monkeypatch.setenv("SOURCES__MAILCHIMP__STREAMS", '["lists", "campaigns"]')
    monkeypatch.setenv("SOURCES__MAILCHIMP__PAGE_SIZE", "7")
    assert statuses(warehouse.run("mailchimp")) == {"lists": "complete", "campaigns": "complete"}
    assert account.asked() == {"lists": 1, "campaigns": 1}
    monkeypatch.setenv("SOURCES__MAILCHIMP__PAGE_SIZE", "1001")
    assert warehouse.run("mailchimp") == {}
    assert warehouse.errors == {"mailchimp": "SOURCES__MAILCHIMP__PAGE_SIZE is 1001: write 2 to 1000"}
    monkeypatch.setenv("SOURCES__MAILCHIMP__STREAMS", '["list"]')
    with pytest.raises(ConfigurationError, match="SOURCES__MAILCHIMP__STREAMS: there is no stream list"):
        _ = all_systems()["mailchimp"].chosen


def test_check(account):
    account.campaign("c1", NOON)
    account.campaign("draft")
    reader = all_systems()["mailchimp"].connect()
    told = {stream.name: reader.check(stream) for stream in STREAMS}
    reader.close()
    assert told == {
        **dict.fromkeys(("lists", "members"), "1 lists"), "campaigns": "2 campaigns",
        **dict.fromkeys(ALL - {"lists", "members", "campaigns"}, "1 reports"),
    }  # fmt: skip


def test_without_our_command_line(account, tmp_path):
    """A plain dlt pipeline loads the source, and reads incrementally the next time."""
    account.member("ann")

    def run():
        pipeline = dlt.pipeline(
            "mine",
            destination=dlt.destinations.duckdb(str(tmp_path / "mine.duckdb")),
            dataset_name="landed",
            pipelines_dir=str(tmp_path / "pipelines"),
        )
        pipeline.run(mailchimp(streams=["lists", "members"]))
        with pipeline.sql_client() as client:
            columns = "stream, status, rows_read, rows_loaded, cursor_from"
            ledger = client.execute_sql(f"select {columns} from load_ledger order by finished_at desc, stream limit 2")
            return ledger, client.execute_sql("select email from members order by 1")

    assert run()[1] == [("ann@example.com",)]
    account.member("bob", NOON + HOUR)
    account.clock += DAY
    ledger, members = run()
    assert sorted(ledger) == [("lists", "complete", 1, 0, None), ("members", "complete", 1, 1, NOON - HOUR)]
    assert members == [("ann@example.com",), ("bob@example.com",)]


def test_requests_hold_against_the_specification(coffee, read):
    spec = specification("mailchimp_marketing_3.0.55.openapi.json.gz")
    for name in sorted(ALL):
        read(name)
    coffee.clock += DAY
    for name in sorted(ALL):
        read(name, page_size=50)
    read("members", since=NOON, until=NOON + DAY)
    paths = {request.path.rpartition("/")[2] for request in coffee.misbehave.requests}
    assert paths == {
        "ping", "lists", "members", "campaigns", "reports", "email-activity", "click-details", "unsubscribed", "sent-to"
    }  # fmt: skip
    for request in coffee.misbehave.requests:
        assert spec.request(request.method, request.path, dict(parse_qsl(request.query))) == [], request
