"""The HubSpot loader against the sandbox's HubSpot, with portals that the tests make."""

import json
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import dlt
import pytest
from conftest import counts

from ingestion import http, hubspot_api
from ingestion.errors import PartFailed, SourceError
from ingestion.hubspot import STREAMS, Reader
from ingestion.hubspot import hubspot as hubspot_source
from ingestion.stream import Gone, Page, Window
from ingestion.systems import all_systems
from sandbox import hubspot
from sandbox.portal import LINKS, PROPERTIES, USER_DEFINED, Portal, Record

ALL = {stream.name: stream for stream in STREAMS}
TOKEN = "pat-eu1-11111111-2222-3333-4444-555555555555"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BY = {"sourceType": "CRM_UI", "sourceId": "userId:7", "updatedByUserId": 7}


class Account:
    """A portal of the test's own behind the sandbox's server; `clock` is what time it is there."""

    def __init__(self, file) -> None:
        self.file, self.clock, self.portal, self.owners = file, NOON, Portal(random.Random(1)), []
        self.own_properties: dict[str, list[str]] = {}
        self.save()
        self.server = hubspot.serve(file, TOKEN)
        self.misbehave = self.server.misbehave

    def save(self) -> None:
        """Shows the server what the portal is now."""
        tables = self.portal.tables(self.clock.date(), self.owners) | {"clock": self.clock.isoformat()}
        for kind, names in self.own_properties.items():
            tables["properties"][kind] += [{"name": name, "hubspotDefined": False} for name in names]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(tables))
        new.replace(self.file)

    def add(self, kind: str, at: datetime = NOON - DAY, **values) -> Record:
        """A new record; of yesterday, so that it is no news."""
        return self.portal.add(kind, at, BY, **values)

    def change(self, record: Record, at: datetime | None = None, **values) -> None:
        """Changes a record; a minute ago, if nothing else is said."""
        self.portal.change(record, at or self.clock - MINUTE, BY, **values)

    def link(self, one: Record, other: Record, *kinds: str) -> None:
        """Associates two records, yesterday."""
        self.portal.link(NOON - DAY, BY, one, other, *kinds)

    def during(self, path: str, happen) -> None:
        """Lets something happen after the next answer from a path was made, and before it arrives."""

        def change(answer):
            happen()
            self.save()
            return answer

        self.misbehave.next("drift", path=path, change=change)

    def asked(self) -> Counter:
        """The requests since the last call, by method and path."""
        requests = Counter(f"{request.method} {request.path}" for request in self.misbehave.requests)
        self.misbehave.requests.clear()
        return requests


@pytest.fixture
def account(tmp_path, monkeypatch, short_waits):
    account = Account(tmp_path / "hubspot.json")
    monkeypatch.setenv("SOURCES__HUBSPOT__BASE_URL", account.server.url)
    monkeypatch.setenv("SOURCES__HUBSPOT__TOKEN", TOKEN)
    monkeypatch.setenv("SOURCES__HUBSPOT__SEARCHES_PER_SECOND", "1000")
    yield account
    account.server.stop()


@pytest.fixture
def run(account, warehouse):
    """Runs streams, all if none is named; returns the ledger's row of a single one, or rows by stream."""

    def run(*streams, **options):
        account.save()
        ledger = warehouse.run("hubspot", streams=streams, **options)
        return ledger[streams[0]] if len(streams) == 1 else ledger

    return run


@pytest.fixture
def read(account):
    """What the reader gives, without loading it: (rows, keys that are gone). `read.window` is the last window; `again`
    reads from where that one ended."""

    def read(stream, again=False, window=None, **options):
        account.save()
        if again:
            window = Window(read.window.reached, None, False, read.window.state)
        read.window = window or Window(None, None, False, {})
        defaults = {"page_size": 100, "searches_per_second": 1000, "properties": None, "streams": None}
        reader = Reader(TOKEN, account.server.url, **defaults | options)
        found = list(reader.read(ALL[stream], read.window))
        reader.close()
        read.scopes = [scope for page in found if isinstance(page, Page) for scope in page.scopes or ()]
        rows = [row for page in found if isinstance(page, Page) for row in page.rows.objects]
        return rows, [key for gone in found if isinstance(gone, Gone) for key in gone.keys]

    return read


def ids(rows) -> list[str]:
    return sorted((row["id"] for row in rows), key=int)


def current(warehouse, stream, columns):
    """The current rows of a stream of records."""
    return warehouse.current(f"raw_hubspot.{stream}", columns)


EVERYTHING = {
    "contacts": {"email": "ann@example.com", "firstname": "Ann", "hs_email_optout": "true", "lifecyclestage": "lead",
                 "hubspot_owner_id": "77", "coffee_preference": "dark", "birthday": "1984-02-29",
                 "hs_analytics_num_page_views": "3"},
    "companies": {"name": "Café Zoë", "numberofemployees": "25", "annualrevenue": "1.2E7", "is_chain": "false"},
    "deals": {"dealname": "Machine", "pipeline": "default", "dealstage": "contractsent", "amount": "1250.50",
              "hs_deal_stage_probability": "0.9", "hs_is_closed": "false", "createdate": "2026-01-05T09:30:00.000Z"},
    "tickets": {"subject": "No steam", "hs_pipeline": "0", "hs_pipeline_stage": "4", "closed_date": "1772359200000"},
    "leads": {"hs_lead_name": "Ann", "hs_pipeline_stage": "new-stage-id", "hs_primary_contact_id": "51"},
    "calls": {"hs_call_direction": "OUTBOUND", "hs_call_duration": "93000", "hs_timestamp": "2026-02-01T08:00:00.000Z"},
    "emails": {"hs_email_direction": "EMAIL", "hs_email_to_email": "ann@example.com;bob@example.com"},
    "meetings": {"hs_meeting_outcome": "COMPLETED", "hs_meeting_start_time": "2026-02-01T08:00:00.000Z"},
    "notes": {"hs_note_body": "<p>Call back</p>"},
    "tasks": {"hs_task_subject": "Call Ann", "hs_task_completion_date": ""},
}  # fmt: skip
LANDED = {
    "contacts": ("contact_id, email, is_email_opted_out, custom_properties, created_at, updated_at",
                 ("51", "ann@example.com", True, '{"birthday":"1984-02-29","coffee_preference":"dark"}', NOON - DAY,
                  NOON - DAY)),
    "companies": ("company_name, employee_count, annual_revenue, custom_properties",
                  ("Café Zoë", 25, Decimal(12_000_000), '{"is_chain":"false"}')),
    "deals": ("amount, stage_probability, is_closed, is_won, entered_at, custom_properties",
              (Decimal("1250.5"), 0.9, False, None, datetime(2026, 1, 5, 9, 30, tzinfo=UTC), None)),
    "tickets": ("stage_id, closed_at", ("4", datetime(2026, 3, 1, 10, tzinfo=UTC))),
    "leads": ("lead_name, stage_id, primary_contact_id", ("Ann", "new-stage-id", "51")),
    "calls": ("direction, duration_ms, occurred_at, custom_properties",
              ("OUTBOUND", 93_000, datetime(2026, 2, 1, 8, tzinfo=UTC), None)),
    "emails": ("direction, to_email", ("EMAIL", "ann@example.com;bob@example.com")),
    "meetings": ("outcome, starts_at", ("COMPLETED", datetime(2026, 2, 1, 8, tzinfo=UTC))),
    "notes": ("body", ("<p>Call back</p>",)),
    "tasks": ("subject, completed_at", ("Call Ann", None)),
}  # fmt: skip


def owner(number: int, archived: bool) -> dict:
    """An owner as HubSpot has it; one that was removed has no user any more."""
    return {
        "id": str(number), "email": f"{number}@example.com", "type": "PERSON", "firstName": "O.", "lastName": "Wner",
        "userId": None if archived else 7, "userIdIncludingInactive": 7, "createdAt": "2025-09-01T08:00:00.000Z",
        "updatedAt": "2025-09-20T12:00:00.000Z", "archived": archived, "teams": [{"id": "5", "primary": True}],
    }  # fmt: skip


def test_all_streams(account, run, warehouse):
    """Everything lands, in its types. The next run, with nothing new, asks 48 times."""
    records = {kind: account.add(kind, **values) for kind, values in EVERYTHING.items()}
    for pair, kinds in LINKS.items():
        one, other = pair.split("-")
        account.link(records[one], records[other], *filter(None, kinds))
    account.owners = [owner(77, False), owner(78, True)]
    ledger = run()
    assert set(ledger) == set(ALL) and {row["status"] for row in ledger.values()} == {"complete"}
    assert not [row["notes"] or row["unknown_fields"] for row in ledger.values() if row["notes"]]
    for stream, (columns, values) in LANDED.items():
        assert warehouse.query(f"select {columns} from raw_hubspot.{stream}") == [values]

    owners = "select owner_id, user_id, former_user_id, is_archived, teams from raw_hubspot.owners order by 1"
    teams = '[{"id":"5","primary":true}]'
    assert warehouse.query(owners) == [("77", "7", "7", False, teams), ("78", None, "7", True, teams)]
    columns = "stage_name, stage_order, pipeline_name, probability, is_closed"
    stage = (
        f"select {columns} from raw_hubspot.pipeline_stages where object_type = ? order by pipeline_order, stage_order"
    )
    assert warehouse.query(stage, "deals")[5] == ("Closed won", 5, "Sales pipeline", 1, True)
    assert warehouse.query(stage, "tickets")[3] == ("Closed", 3, "Support pipeline", None, True)
    assert warehouse.query(stage, "leads")[0] == ("New", 0, "Lead pipeline", None, None)
    columns = "from_type, from_id, to_type, to_id, category, type_id, label"
    associations = warehouse.query(f"select {columns} from raw_hubspot.associations")
    assert len(associations) == len(set(associations))
    assert set(associations) == {
        (one, records[one].id, other, records[other].id, category, str(number), label)
        for pair, kinds in LINKS.items()
        for one, other in [pair.split("-")]
        for kind, (number, _, label) in kinds.items()
        for category in ["USER_DEFINED" if kind in USER_DEFINED else "HUBSPOT_DEFINED"]
    }
    assert warehouse.query(
        "select object_type, property_name, value from raw_hubspot.property_history order by all"
    ) == [
        ("contacts", "hubspot_owner_id", "77"),
        ("contacts", "lifecyclestage", "lead"),
        ("deals", "amount", "1250.50"),
        ("deals", "dealstage", "contractsent"),
        ("leads", "hs_pipeline_stage", "new-stage-id"),
        ("tickets", "hs_pipeline_stage", "4"),
    ]

    account.clock += 2 * HOUR
    account.asked()
    ledger = run()
    assert {row["status"] for row in ledger.values()} == {"complete"}
    assert {row["rows_loaded"] + row["rows_marked_gone"] for row in ledger.values()} == {0}
    assert account.asked() == {
        **{f"GET /crm/v3/properties/{kind}": 1 for kind in PROPERTIES},
        **{f"GET /crm/v3/objects/{kind}": 1 for kind in PROPERTIES},  # what is archived
        # For the records, for what is associated with them, and for their history.
        **{
            f"POST /crm/v3/objects/{kind}/search": 1
            + (kind in hubspot_api.ASSOCIATIONS)
            + (kind in hubspot_api.HISTORY)
            for kind in PROPERTIES
        },
        **{f"GET /crm/v3/pipelines/{kind}": 1 for kind in hubspot_api.PIPELINES},
        "GET /crm/v3/owners": 2,
    }


def test_values_as_hubspot_writes_them(account, run, warehouse):
    """All is text: times in three forms, numbers, truth; "" is nothing. What does not fit costs its row alone."""
    at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    for amount, closed, truth in (
        ("1250.5", "2026-03-01T10:00:00.000Z", "true"),
        ("1.2E7", str(round(at.timestamp() * 1000)), "false"),
        ("", "2026-03-01", ""),
    ):
        account.add("deals", amount=amount, closedate=closed, hs_is_closed=truth)
    account.add("deals")
    account.add("deals", dealname="odd", amount="a lot", closedate="soon", hs_is_closed="perhaps")
    row = run("deals")
    assert (row["status"], *counts(row)) == ("complete", 5, 5, 0, 0, 0)
    assert set(current(warehouse, "deals", "deal_name, amount, closed_at, is_closed")) == {
        (None, Decimal("1250.5"), at, True),
        (None, Decimal(12_000_000), at, False),
        (None, None, at.replace(hour=0), None),
        (None, None, None, None),
        ("odd", None, None, None),
    }
    ((kept,),) = warehouse.query("select _unknown_fields from raw_hubspot.deals where _unknown_fields is not null")
    assert json.loads(kept) == {
        "properties.amount": "a lot",
        "properties.closedate": "soon",
        "properties.hs_is_closed": "perhaps",
    }


def test_a_record_without_what_every_record_has_is_rejected_alone(account, run, warehouse):
    account.add("deals"), account.add("deals")

    def change(answer):
        del answer["results"][0]["updatedAt"]
        return answer

    account.misbehave.next("drift", path="objects/deals", change=change)
    assert counts(run("deals")) == (2, 1, 0, 1, 0)
    ((position, reason),) = warehouse.query("select position, reason from raw_hubspot.rejected_rows")
    assert position.startswith("deals ") and reason == "updated_at: is missing"


def test_custom_properties_need_no_code(account, run, warehouse):
    ann, bob = account.add("contacts", coffee_preference="dark"), account.add("contacts")
    assert counts(run("contacts"))[:2] == (2, 2)
    account.own_properties["contacts"] = ["cup", "saucer"]
    assert counts(run("contacts", full=True))[:3] == (2, 0, 2), "a property that nobody has yet changes no row"
    account.clock += HOUR
    account.change(ann, cup="blue")
    row = run("contacts")
    assert counts(row)[:2] == (1, 1) and row["unknown_fields"] is None
    assert dict(current(warehouse, "contacts", "contact_id, custom_properties")) == {
        ann.id: '{"coffee_preference":"dark","cup":"blue"}',
        bob.id: None,
    }


def test_option_properties(account, read):
    """Only those that are named, HubSpot's own among them; none of the types that are not."""
    account.add("contacts", coffee_preference="dark", birthday="1984-02-29", hs_analytics_num_page_views="3")
    account.add("companies", cafe_seats="40")
    chosen = {"contacts": ["birthday", "hs_analytics_num_page_views"]}
    ((contact,), _), ((company,), _) = read("contacts", properties=chosen), read("companies", properties=chosen)
    more = contact["properties"].keys() - {field.source.split(".")[-1] for field in ALL["contacts"].contract.fields}
    assert more == {"birthday", "hs_analytics_num_page_views", "hs_object_id", "createdate", "lastmodifieddate"}
    assert "cafe_seats" not in company["properties"]


def test_option_properties_that_is_wrong(account, read, run, warehouse, monkeypatch):
    with pytest.raises(SourceError, match="contacts have no property cup: correct SOURCES__HUBSPOT__PROPERTIES"):
        read("contacts", properties={"contacts": ["cup", "birthday"]})
    monkeypatch.setenv("SOURCES__HUBSPOT__PROPERTIES", '{"contact": ["birthday"]}')
    assert warehouse.run("hubspot") == {}
    assert warehouse.errors == {"hubspot": "there is no object type contact: correct SOURCES__HUBSPOT__PROPERTIES"}


def test_option_streams(account, warehouse, monkeypatch):
    """Nothing is asked about types that are left out, nor what is associated with them."""
    deal = account.add("deals")
    for kind in ("contacts", "companies"):
        account.link(deal, account.add(kind))
    account.save()
    monkeypatch.setenv("SOURCES__HUBSPOT__STREAMS", '["deals", "contacts", "associations"]')
    assert {name: row["status"] for name, row in warehouse.run("hubspot").items()} == dict.fromkeys(
        ("deals", "contacts", "associations"), "complete"
    )
    assert warehouse.query("select from_type, to_type from raw_hubspot.associations") == [("deals", "contacts")]
    assert not [path for path in account.asked() if "compan" in path or "calls" in path or "contacts/search" in path]


def test_more_properties_than_a_url_holds(account, read, monkeypatch):
    records = [account.add("contacts", coffee_preference="dark") for _ in range(5)]
    whole, _ = read("contacts", page_size=2)
    monkeypatch.setattr(hubspot_api, "LONGEST_QUERY", 10)
    assert read("contacts", page_size=2)[0] == whole and ids(whole) == sorted((r.id for r in records), key=int)
    assert account.asked()["POST /crm/v3/objects/contacts/batch/read"] == 3


# Changes


def test_the_index_lags(account, run, warehouse):
    """What the search does not know yet comes with a later run; what it knew before overwrites nothing."""

    def names():
        return {name for (name,) in current(warehouse, "contacts", "first_name")}

    ann = account.add("contacts", firstname="Ann 1")
    run("contacts")
    account.server.index_lag = 50 * MINUTE
    account.change(ann, NOON + 5 * MINUTE, firstname="Ann 2")
    account.add("contacts", NOON + 5 * MINUTE, firstname="Eve")
    account.clock = NOON + 10 * MINUTE
    assert counts(run("contacts")) == (0, 0, 0, 0, 0)
    account.change(ann, NOON + 45 * MINUTE, firstname="Ann 3")
    account.clock = NOON + 50 * MINUTE
    assert counts(run("contacts", full=True))[:2] == (2, 2) and names() == {"Ann 3", "Eve"}, "a list does not lag"
    account.change(ann, NOON + 55 * MINUTE, firstname="Ann 4")
    account.clock = NOON + 60 * MINUTE
    assert counts(run("contacts"))[0] == 2, "Eve, and Ann as she was at five past"
    assert names() == {"Ann 3", "Eve"}
    account.clock = NOON + 110 * MINUTE
    assert counts(run("contacts"))[0] == 2 and names() == {"Ann 4", "Eve"}


def test_more_changes_than_a_search_shows(account, read, monkeypatch):
    """HubSpot pages no further than to the 10,000th result of a search."""
    monkeypatch.setattr(hubspot, "WINDOW", 40)
    read("contacts")
    account.clock += 2 * HOUR
    news = [account.add("contacts", NOON + number * MINUTE) for number in range(65)]
    account.asked()
    rows, _ = read("contacts", again=True, page_size=10)
    assert ids(rows) == sorted((record.id for record in news), key=int)
    assert account.asked()["POST /crm/v3/objects/contacts/search"] == 4, "20 at a time"


def test_changes_while_pages_are_read(account, read):
    """Neither a search nor a list loses a record over what happens meanwhile; the next run has what happened."""
    account.clock += DAY
    records = sorted((account.add("contacts", NOON) for _ in range(25)), key=lambda record: int(record.id))
    first, *middle, last = records

    def happen():
        account.clock += 2 * MINUTE
        for record in (first, last):
            account.change(record, firstname="New")
        middle[-1].archived_at = account.clock

    window = Window(NOON - HOUR, None, False, {"swept_at": {"contacts": account.clock.isoformat()}})
    account.during("contacts/search", happen)
    rows, gone = read("contacts", window=window, page_size=5)
    assert ids(rows) == [record.id for record in records if record not in (middle[-1], last)]
    assert gone == [middle[-1].id]
    account.clock += HOUR
    rows, _ = read("contacts", again=True)
    assert [(row["id"], row["properties"]["firstname"]) for row in rows] == [(first.id, "New"), (last.id, "New")]

    account.during("objects/contacts", lambda: setattr(middle[0], "archived_at", account.clock))
    rows, gone = read("contacts", page_size=5)
    assert ids(rows) == [record.id for record in records if record is not middle[-1]]
    assert set(gone) == {middle[0].id, middle[-1].id}, "it was archived after it had been listed"


def test_since_and_until(account, run, warehouse):
    """Bounded runs search, find nothing gone, and move no bound."""
    records = [account.add("contacts", NOON - day * DAY) for day in range(4)]
    records[1].archived_at = account.clock
    assert counts(run("contacts", since=NOON - 2 * DAY, until=NOON)) == (1, 1, 0, 0, 0), "yesterday's is archived"
    assert account.asked() == {"GET /crm/v3/properties/contacts": 1, "POST /crm/v3/objects/contacts/search": 1}
    assert counts(run("contacts")) == (3, 2, 1, 0, 0)


# What is gone


def test_archived_restored_merged_and_deleted(account, run, warehouse):
    """Archived and merged records are gone with the next run; what leaves no trace within a week."""
    ann, bob, eve, twin, lost, _ = (account.add("contacts", firstname=name) for name in "abetlk")

    def names():
        return {name for (name,) in current(warehouse, "contacts", "first_name")}

    run("contacts")
    assert names() == set("abetlk")
    account.clock += HOUR
    ann.archived_at = bob.archived_at = account.clock
    account.portal.merge(account.clock - MINUTE, BY, eve, twin)
    account.portal.delete(lost)
    assert run("contacts")["rows_marked_gone"] == 3
    assert names() == set("elk"), "a privacy deletion leaves no trace"
    account.clock += HOUR
    assert counts(run("contacts"))[4] == 0, "they are marked once"
    ann.archived_at = bob.archived_at = None
    account.change(ann)
    run("contacts")
    assert names() == set("aelk"), "a restored record that shows no change is found by the next list"
    account.clock += 7 * DAY
    assert run("contacts")["rows_marked_gone"] == 1
    assert names() == set("abek")
    merged = warehouse.query("select distinct first_name, merged_ids from raw_hubspot.contacts where merged_ids <> ''")
    assert merged == [("e", twin.id)]


def test_merged_more_than_once(account, read):
    """A winner that loses takes its losers along."""
    records = [account.add("companies") for _ in range(3)]
    account.portal.merge(NOON - HOUR, BY, records[1], records[0])
    account.portal.merge(NOON - HOUR, BY, records[2], records[1])
    rows, gone = read("companies")
    assert ids(rows) == [records[2].id] and set(gone) == {records[0].id, records[1].id}


def test_a_list_that_lost_more_than_half(account, run, warehouse):
    """It stops and asks, and does so again in the next run."""
    records = [account.add("contacts") for _ in range(5)]
    run("contacts")
    for record in records[1:]:
        account.portal.delete(record)
    account.clock += 7 * DAY
    for _ in range(2):
        row = run("contacts")
        assert row["status"] == "failed" and "4 of 5 known rows are no longer in the source" in row["error"]
        account.clock += HOUR
    assert len(current(warehouse, "contacts", "contact_id")) == 5
    assert run("contacts", accept_deletes=True)["rows_marked_gone"] == 4
    assert current(warehouse, "contacts", "contact_id") == [(records[0].id,)]


# What hangs on records


def test_an_association_that_was_removed(account, run, warehouse):
    deal, ann, bob = account.add("deals"), account.add("contacts"), account.add("contacts")
    account.link(deal, ann, "champion")
    account.link(deal, bob)

    def linked():
        """As staging sees it: per scope the rows of its newest complete read."""
        return warehouse.query("""
            with reads as (
                select _scope, _observed_at from raw_hubspot.associations group by _scope, _observed_at
                having count(_key) = max(_scope_rows)
                qualify row_number() over (partition by _scope order by _observed_at desc) = 1
            )
            select from_type, to_id, type_id from raw_hubspot.associations join reads using (_scope, _observed_at)
            where _mark is null order by all
        """)

    run("associations")
    assert linked() == [("deals", bob.id, "3"), ("deals", ann.id, "3"), ("deals", ann.id, "5")]
    account.clock += HOUR
    account.portal.unlink(account.clock - MINUTE, BY, deal, ann)
    run("associations")
    assert linked() == [("deals", bob.id, "3")]
    account.clock += HOUR
    account.portal.unlink(account.clock - MINUTE, BY, deal, bob)
    run("associations")
    assert linked() == []


def test_a_record_with_many_associations(account, read):
    """Each record in a batch has pages of its own."""
    account.server.association_page = 100
    meetings = [account.add("meetings") for _ in range(3)]
    guests = [account.add("contacts") for _ in range(250)]
    for guest in guests:
        account.link(meetings[0], guest)
    account.link(meetings[1], guests[0])
    rows, _ = read("associations", streams=["meetings", "contacts", "associations"])
    found = Counter((row["from_id"], row["to_id"]) for row in rows)
    assert found == dict.fromkeys(
        [(meetings[0].id, int(guest.id)) for guest in guests] + [(meetings[1].id, int(guests[0].id))], 1
    )
    assert account.asked()["POST /crm/v4/associations/meetings/contacts/batch/read"] == 3
    assert set(read.scopes) == {f"meetings/contacts/{meeting.id}" for meeting in meetings}


def test_archived_while_associations_are_read(account, read):
    """One record that HubSpot refuses makes the whole batch fail; the others land."""
    contact, deals = account.add("contacts"), [account.add("deals") for _ in range(20)]
    for deal in deals:
        account.link(deal, contact)
    account.during("objects/deals", lambda: setattr(deals[7], "archived_at", account.clock))
    rows, _ = read("associations", streams=["deals", "contacts", "associations"])
    assert {row["from_id"] for row in rows} == {deal.id for deal in deals} - {deals[7].id}
    assert read.window.notes == [f"crm/v4/associations/deals/contacts/batch/read refuses 1 records, as {deals[7].id}"]
    assert account.asked()["POST /crm/v4/associations/deals/contacts/batch/read"] < 12, "halves, not one by one"
    assert set(read.scopes) == {f"deals/contacts/{deal.id}" for deal in deals if deal is not deals[7]}, "not read"


def test_when_all_records_are_refused_something_else_is_wrong(account, read):
    contact, deals = account.add("contacts"), [account.add("deals") for _ in range(12)]
    for deal in deals:
        account.link(deal, contact)
    account.during("objects/deals", lambda: [setattr(deal, "archived_at", account.clock) for deal in deals])
    with pytest.raises(PartFailed, match=r"deals: .*batch/read refuses all of 12 records"):
        read("associations", streams=["deals", "contacts", "associations"])
    assert not read.window.state.get("read_until"), "the next run reads them again"


def test_one_type_that_fails_costs_the_others_nothing(account, run):
    """What was read of them is not read again, and the type itself from where it was."""
    account.add("contacts", NOON - 9 * DAY, lifecyclestage="lead")
    account.add("deals", NOON - 9 * DAY, dealstage="new")
    account.misbehave.next("503", times=6, path="objects/deals")
    row = run("property_history")
    assert row["status"] == "failed" and "deals: " in row["error"] and counts(row)[:2] == (1, 1)
    assert counts(run("property_history"))[:2] == (1, 1), "of the deal; the contact was not read again"


def test_a_merge_list_that_names_the_record_itself(account, read):
    account.add("contacts", hs_merged_object_ids="51; 7 ;")
    rows, gone = read("contacts")
    assert [row["id"] for row in rows] == ["51"] and gone == ["7"]


@pytest.mark.parametrize("option", ["page_size", "searches_per_second"])
def test_limits_that_are_none(account, read, option):
    with pytest.raises(SourceError, match="write 1 or more"):
        read("owners", **{option: 0})


def test_stages_of_tickets_that_are_closed_in_words(account, read):
    def change(answer):
        for stage in answer["results"][0]["stages"]:
            del stage["metadata"]["isClosed"]
        return answer

    account.misbehave.next("drift", path="pipelines/tickets", change=change)
    closed = {
        row["stage_id"]: row["is_closed"] for row in read("pipeline_stages")[0] if row["object_type"] == "tickets"
    }
    assert closed == {"1": "false", "2": "false", "3": "false", "4": "true"}


def test_property_history(account, run, warehouse):
    """The first run has every value that a property ever had, later ones what was added."""
    deal, quiet = (account.add("deals", NOON - 9 * DAY, dealstage="new", dealname="x") for _ in range(2))
    account.change(deal, NOON - 8 * DAY, dealstage="won", amount="100")
    account.change(deal, NOON - 7 * DAY, amount="")
    row = run("property_history")
    assert counts(row) == (5, 5, 0, 0, 0)
    columns = (
        "object_type, object_id, property_name, changed_at, value, source_type, source_id, changed_by_user_id, _key"
    )
    history = f"select {columns} from raw_hubspot.property_history where property_name = ? order by changed_at"
    head, by = ("deals", deal.id, "amount"), ("CRM_UI", "userId:7", "7")
    assert warehouse.query(history, "amount") == [
        (*head, at, value, *by, json.dumps([*head, f"{at:%Y-%m-%d %H:%M:%S+00}"], separators=(",", ":")))
        for at, value in ((NOON - 8 * DAY, "100"), (NOON - 7 * DAY, None))
    ]
    account.clock += HOUR
    account.change(deal, dealstage="lost")
    account.asked()
    row = run("property_history")
    assert counts(row) == (5, 1, 4, 0, 0)
    assert account.asked() == {
        "GET /crm/v3/properties/contacts": 1,
        **{f"GET /crm/v3/properties/{kind}": 1 for kind in hubspot_api.HISTORY},
        **{f"POST /crm/v3/objects/{kind}/search": 1 for kind in hubspot_api.HISTORY},
        "POST /crm/v3/objects/deals/batch/read": 1,
    }
    stages = "select object_id, value from raw_hubspot.property_history where property_name = 'dealstage'"
    assert set(warehouse.query(stages)) == {(deal.id, "new"), (deal.id, "won"), (deal.id, "lost"), (quiet.id, "new")}


def test_an_association_that_shows_in_no_change(account, read):
    """HubSpot does not always count it as a change of the records: a week later all are read."""
    call, contact = account.add("calls"), account.add("contacts")
    streams = ["calls", "contacts", "associations"]
    assert read("associations", streams=streams)[0] == []
    account.link(call, contact)
    for days, found in ((6, 0), (1, 1), (1, 0)):
        account.clock += days * DAY
        rows, _ = read("associations", again=True, streams=streams)
        assert len(rows) == found


# Trouble


def test_what_can_not_be_read_of_one_type_stops_no_other(account):
    account.misbehave.next("503", times=6, path="pipelines/tickets")
    reader, found = all_systems()["hubspot"].connect(), []
    with pytest.raises(SourceError, match=r"^tickets: .*pipelines/tickets: the server answered 503"):
        found.extend(reader.read(ALL["pipeline_stages"], Window(None, None, False, {})))
    assert [page.scopes for page in found] == [["deals"], ["leads"]]
    reader.close()


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("429", {}),
        ("429", {"retry_after": 1}),
        ("500", {}),
        ("502", {}),
        ("503", {}),
        ("cut", {}),
        ("html", {}),
        ("error", {}),
    ],
)
def test_passing_faults(account, read, fault, options):
    """Whatever path they hit, they cost a request more each."""
    deals = [account.add("deals") for _ in range(3)]
    account.link(deals[0], account.add("contacts"))
    paths = ("properties/deals", "objects/deals", "associations", "contacts/search")
    for path in paths:
        account.misbehave.next(fault, path=path, **options)
        options = {}  # one wait is enough
    listed, _ = read("deals", page_size=2)
    rows, _ = read("associations", streams=["deals", "contacts", "associations"])
    assert ids(listed) == ids({"id": deal.id} for deal in deals) and len(rows) == 1
    account.clock += HOUR
    read("contacts")
    read("contacts", again=True)
    assert account.asked().total() == 4 + 4 + 3 + 3 + len(paths)


def test_a_failed_stream_stops_no_other_and_is_read_again(account, run, warehouse, monkeypatch):
    """What was read before it failed is kept; nothing is gone; the next run has the rest."""
    monkeypatch.setenv("SOURCES__HUBSPOT__PAGE_SIZE", "10")
    contacts = [account.add("contacts") for _ in range(25)]
    account.add("companies")
    account.during("objects/contacts", lambda: account.misbehave.next("503", times=6, path="objects/contacts"))
    ledger = run("contacts", "companies")
    assert (ledger["companies"]["status"], ledger["contacts"]["status"]) == ("complete", "failed")
    assert counts(ledger["contacts"]) == (10, 10, 0, 0, 0)
    assert "the server answered 503 Service Unavailable, in 6 attempts" in ledger["contacts"]["error"]
    assert counts(run("contacts")) == (25, 15, 10, 0, 0)
    assert {key for (key,) in current(warehouse, "contacts", "contact_id")} == {record.id for record in contacts}


@pytest.mark.parametrize("token", ["pat-eu1-99999999-2222-3333-4444-555555555555", "not a token"])
def test_wrong_token(account, run, monkeypatch, token):
    """Nothing is tried again, and the token is in no message."""
    monkeypatch.setenv("SOURCES__HUBSPOT__TOKEN", token)
    ledger = run("contacts", "owners", "associations")
    for row in ledger.values():
        assert row["status"] == "failed" and row["error"].count("correct SOURCES__HUBSPOT__TOKEN") == 1
    assert token not in json.dumps(ledger, default=str)
    assert set(account.asked()) == {"GET /crm/v3/properties/contacts", "GET /crm/v3/owners"}


def test_missing_scopes(account, run, warehouse):
    """Types that the token may not read fail alone; once it may, all of them comes, however old."""
    streams = ("deals", "leads", "pipeline_stages", "associations", "property_history")
    deal, ann, lead = (
        account.add("deals", dealstage="won"),
        account.add("contacts"),
        account.add("leads", hs_pipeline_stage="1"),
    )
    account.link(deal, ann)
    account.link(deal, account.add("companies"))
    account.link(lead, ann)

    def landed():
        pairs = "select distinct from_type || '-' || to_type from raw_hubspot.associations order by all"
        types = "select distinct object_type from raw_hubspot.{} order by all"
        queries = (pairs, types.format("property_history"), types.format("pipeline_stages"))
        return [[value for (value,) in warehouse.query(query)] for query in queries]

    account.server.missing_scopes = {"leads", "companies"}
    ledger = run(*streams)
    assert {name: row["status"] for name, row in ledger.items()} == dict.fromkeys(streams, "complete") | {
        "leads": "failed"
    }
    refusal = (
        "not entitled: give the token the scope crm.objects.{}.read, or leave the stream out of SOURCES__HUBSPOT__STR"
    )
    assert ledger["leads"]["error"].startswith(refusal.format("leads"))
    for stream in ("pipeline_stages", "associations", "property_history"):
        assert f"nothing of leads: {refusal.format('leads')}" in ledger[stream]["notes"]
    about_companies, *others = sorted(json.loads(ledger["associations"]["notes"]))
    assert about_companies.startswith(f"nothing of companies: {refusal.format('companies')}") and len(others) == 1
    assert landed() == [["deals-contacts"], ["deals"], ["deals", "tickets"]]

    account.server.missing_scopes = set()
    account.clock += DAY
    ledger = run(*streams)
    assert {row["status"] for row in ledger.values()} == {"complete"} and not any(
        row["notes"] for row in ledger.values()
    )
    assert landed() == [
        ["deals-companies", "deals-contacts", "leads-contacts"],
        ["deals", "leads"],
        ["deals", "leads", "tickets"],
    ]


def test_a_missing_scope_that_shows_late(account, read):
    """What is associated with a type is refused though its properties are not: it is read when it may be."""
    deals = [account.add("deals") for _ in range(4)]
    account.link(deals[0], account.add("contacts"))
    account.misbehave.next("403", scope="contacts", path="associations")
    streams = ["deals", "contacts", "associations"]
    assert read("associations", streams=streams)[0] == []
    (note,) = read.window.notes
    assert note.startswith("nothing of deals: not entitled: give the token the scope crm.objects.contacts.read")
    assert account.asked()["POST /crm/v4/associations/deals/contacts/batch/read"] == 1
    account.clock += HOUR
    assert len(read("associations", again=True, streams=streams)[0]) == 1


def test_a_page_that_repeats(account, read):
    for _ in range(9):
        account.add("contacts", NOON)
    account.during("objects/contacts", lambda: account.misbehave.next("repeat", path="objects/contacts"))
    with pytest.raises(SourceError, match="names itself as the next page: the list does not end"):
        read("contacts", page_size=2)
    window = Window(NOON - HOUR, None, False, {"swept_at": {"contacts": NOON.isoformat()}})
    account.clock += HOUR
    account.during("contacts/search", lambda: account.misbehave.next("repeat", path="contacts/search"))
    with pytest.raises(SourceError, match=r"/search repeats the page up to id \d+: HubSpot's search does"):
        read("contacts", window=window, page_size=2)


def test_limits(account, read, monkeypatch):
    """Searches keep to a limit of their own; of all else HubSpot's header says how much there may be."""
    limits = []

    class Limit(http.Limit):
        """A tenth as long, and with a memory."""

        def __init__(self, requests, seconds):
            super().__init__(requests, seconds / 10)
            self.moments = []
            limits.append(self)

        def wait(self):
            super().wait()
            self.moments.append(self._sent[-1])

    monkeypatch.setattr(hubspot_api, "Limit", Limit)
    monkeypatch.setattr(hubspot, "time", SimpleNamespace(monotonic=lambda: 1000 * time.monotonic()))  # refuses nothing
    for _ in range(30):
        account.add("contacts", NOON)
    account.clock += MINUTE
    account.server.limit = 8
    read("contacts", page_size=2)
    read("contacts", again=True, page_size=2, searches_per_second=5)
    (listing, _, _, searching) = limits
    for limit, requests, all_of_them, seconds in ((listing, 8, 1 + 15 + 1, 1), (searching, 5, 8, 0.1)):
        assert (limit.requests, len(limit.moments)) == (requests, all_of_them)
        gaps = [later - earlier for earlier, later in zip(limit.moments, limit.moments[requests:], strict=False)]
        assert min(gaps) > 0.99 * seconds


def test_check(account):
    account.add("contacts")
    account.owners = [owner(77, False), owner(78, True)]
    account.server.missing_scopes = {"leads"}
    account.save()
    reader = all_systems()["hubspot"].connect()
    assert reader.check(ALL["contacts"]) == "1 records"
    assert reader.check(ALL["owners"]) == "2 owners"
    assert reader.check(ALL["pipeline_stages"]).startswith("of deals, tickets; nothing of leads: not entitled")
    with pytest.raises(SourceError, match=r"not entitled: give the token the scope crm\.objects\.leads\.read"):
        reader.check(ALL["leads"])
    reader.close()


def test_without_our_command_line(account, tmp_path):
    """A plain dlt pipeline loads the source, and reads incrementally the next time."""

    def run():
        account.save()
        pipeline = dlt.pipeline(
            "mine",
            destination=dlt.destinations.duckdb(str(tmp_path / "mine.duckdb")),
            dataset_name="landed",
            pipelines_dir=str(tmp_path / "pipelines"),
        )
        pipeline.run(hubspot_source(TOKEN, account.server.url).with_resources("contacts", "owners"))
        with pipeline.sql_client() as client:
            names = client.execute_sql("select first_name from contacts where _mark is null order by 1")
            return [name for (name,) in names], client.execute_sql(
                "select status, count(*) from load_ledger group by 1"
            )

    account.add("contacts", firstname="Ann")
    assert run() == (["Ann"], [("complete", 2)])
    account.clock += HOUR
    account.add("contacts", account.clock - MINUTE, firstname="Bob")
    assert run() == (["Ann", "Bob"], [("complete", 4)])
    assert account.asked()["POST /crm/v3/objects/contacts/search"] == 1
