from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from sandbox.company import CLOCK, Company
from sandbox.crm import Crm
from sandbox.newsletters import Newsletters
from sandbox.portal import Portal
from sandbox.sales import LOST, RESTORED, WON
from sandbox.shop import tables


def changes(crm_tables):
    """Every record's changes, by type and id."""
    return {
        (object_type, row["id"]): row["changes"] for object_type, rows in crm_tables["objects"].items() for row in rows
    }


def histories(crm, object_type, name):
    """What a property of every living record went through: id -> [(when, value)], repetitions left out."""
    found = {}
    for row in crm.tables()["objects"][object_type]:
        if not row["archivedAt"]:
            visits = found.setdefault(row["id"], [])
            for at, values, _ in row["changes"]:
                if name in values and (not visits or visits[-1][1] != values[name]):
                    visits.append((at, values[name]))
    return found


def test_same_seed_same_portal_and_other_seed_another(company):
    assert Company(1, 0.02).run(CLOCK).crm.tables() == company.crm.tables()
    assert Company(2, 0.02).run(CLOCK).crm.tables() != company.crm.tables()


def test_the_shop_is_the_same_without_crm_and_newsletters(company, monkeypatch):
    monkeypatch.setattr(Crm, "day", lambda self: None)
    monkeypatch.setattr(Newsletters, "day", lambda self: None)
    alone = Company(1, 0.02).run(CLOCK)
    assert tables(alone) == tables(company) and alone.partner_lines == company.partner_lines
    assert not alone.crm.portal.records["contacts"]


def test_a_later_clock_only_adds():
    company = Company(3, 0.1).run(CLOCK)
    clock, before = company.crm.tables()["clock"], changes(company.crm.tables())
    gone = company.crm.truth()["crm_gone.json"]
    after = company.run(CLOCK + timedelta(days=90)).crm
    assert after.tables() == Company(3, 0.1).run(CLOCK + timedelta(days=90)).crm.tables()
    added = Counter()
    present = changes(after.tables())
    for key, now in present.items():
        old = before.get(key, [])
        assert now[: len(old)] == old
        assert all(at >= clock for at, _, _ in now[len(old) :])
        added[key[0], bool(old)] += len(now) > len(old)
    assert all(added[object_type, False] for object_type in after.portal.records)
    assert all(added[object_type, True] for object_type in ("contacts", "companies", "deals", "leads", "tasks"))
    missing = before.keys() - present.keys()
    now_gone = after.truth()["crm_gone.json"]
    assert missing and all(now_gone[object_type][key] in ("merged", "deleted") for object_type, key in missing)
    assert all(fate == now_gone[t][key] for t, keys in gone.items() for key, fate in keys.items() if fate != "archived")


def test_times_run_forward_and_nothing_is_from_the_future(company):
    for history in changes(company.crm.tables()).values():
        times = [at for at, _, _ in history]
        assert times == sorted(set(times)) and times[-1] < f"{CLOCK}T00:00:00.000Z"


def test_true_stage_intervals_are_what_the_histories_say(bigger):
    true = {}
    for row in bigger.crm.truth()["deal_stage_intervals.csv"]:
        true.setdefault(row["deal_id"], []).append((row["entered_at"], row["stage_id"], row["left_at"]))
    assert {key: [row[:2] for row in rows] for key, rows in true.items()} == histories(bigger.crm, "deals", "dealstage")
    for rows in true.values():
        assert [row[2] for row in rows] == [row[0] for row in rows[1:]] + [None]


def test_true_deals_are_what_the_records_say(bigger):
    records = {record.id: record.values for record in bigger.crm.portal.records["deals"]}
    deals = bigger.crm.truth()["deals.csv"]
    for deal in deals:
        values = records[deal["deal_id"]]
        assert (deal["pipeline"], deal["stage"]) == (values["pipeline"], values["dealstage"])
        assert str(deal["amount"] or "") == (values["amount"] or "")
        assert (deal["currency"] or "") == (values["deal_currency_code"] or "")
        assert [str(deal[name]).lower() for name in ("is_closed", "is_won")] == [
            values["hs_is_closed"], values["hs_is_closed_won"]
        ]  # fmt: skip
    assert len({deal["currency"] for deal in deals}) > 4 and any(deal["amount"] is None for deal in deals)
    assert any(deal["created"] < deal["record_created"] for deal in deals)


def test_deals_skip_stages_go_back_and_are_opened_again(bigger):
    seen = Counter()
    for deal in bigger.crm.deals:
        stages = bigger.crm._open_stages(deal)
        visited = [stage for stage, _ in deal.visits]
        for here, there in pairwise(visited):
            if here in WON | LOST:
                seen["reopened won" if here in WON else "reopened lost"] += 1
            elif there in stages:
                step = stages.index(there) - stages.index(here)
                seen["skip" if step > 1 else "back" if step < 0 else "next"] += 1
            else:
                seen["won" if there in WON else "lost"] += 1
        seen["stalled"] += visited[-1] in stages
    assert all(
        seen[what] for what in ("reopened won", "reopened lost", "skip", "back", "next", "won", "lost", "stalled")
    ), seen
    written = [
        [values["dealstage"] for _, values, _ in deal.record.changes if "dealstage" in values]
        for deal in bigger.crm.deals
    ]
    assert any(here == there for values in written for here, there in pairwise(values))


def test_leads_wait_minutes_nights_weekends_or_for_ever(bigger):
    waits, created = [], []
    for row in bigger.crm.truth()["lead_responses.csv"]:
        created.append(datetime.fromisoformat(row["created_at"]))
        if row["first_touch_at"]:
            waits.append(datetime.fromisoformat(row["first_touch_at"]) - created[-1])
    assert min(waits) >= timedelta(0)
    at_once = sum(wait <= timedelta(minutes=5) for wait in waits) / len(created)
    assert 0.06 < at_once < 0.25 and 0.05 < 1 - len(waits) / len(created) < 0.25
    assert any(wait > timedelta(days=5) for wait in waits)
    assert any(at.weekday() > 4 for at in created) and any(at.hour < 6 for at in created)


def test_first_touches_leave_out_what_is_none(bigger):
    """What they send, what bounces, what was before the lead, and notes and tasks are no answer to a lead."""
    crm, first = bigger.crm, {}
    outbound = {"calls": ("hs_call_direction", "OUTBOUND"), "emails": ("hs_email_direction", "EMAIL"),
                "meetings": ("hs_meeting_outcome", "COMPLETED")}  # fmt: skip
    for lead in crm.portal.records["leads"]:
        if lead.is_alive:
            moments = []
            for contact in lead.linked("contacts"):
                for kind, (name, value) in outbound.items():
                    for row in contact.linked(kind):
                        if row.values[name] == value and row.values.get("hs_email_status") != "BOUNCED":
                            moments.append(_moment(row.values["hs_timestamp"]))
            after = [moment for moment in moments if moment >= lead.changes[0][0]]
            first[lead.id] = min(after, default=None)
    told = {row["lead_id"]: _moment(row["first_touch_at"]) for row in crm.truth()["lead_responses.csv"]}
    assert told == first and None in told.values()


def _moment(text):
    if text and text.isdigit():
        return datetime.fromtimestamp(int(text) / 1000, tz=UTC)
    return text and datetime.fromisoformat(text)


def test_records_are_merged_archived_restored_and_erased(bigger):
    truth, portal = bigger.crm.truth(), bigger.crm.portal
    fates = {(object_type, fate) for object_type, gone in truth["crm_gone.json"].items() for fate in gone.values()}
    assert {("contacts", "deleted"), ("contacts", "merged"), ("companies", "merged"), ("deals", "merged")} <= fates
    assert sum(fate == "archived" for _, fate in fates) > 5
    assert any(record.changes[-1][2] == RESTORED for records in portal.records.values() for record in records)
    winners = {record.id: record for record in portal.records["contacts"] if record.fate != "merged"}
    for loser, winner in truth["crm_merged.json"]["contacts"].items():
        assert loser in winners[winner].values["hs_merged_object_ids"].split(";")
        assert loser not in winners
    for object_type, rows in portal.records.items():
        alive = [row for row in rows if row.is_alive]
        assert truth["crm_rows.json"][object_type] == len(alive) == len({row.id for row in alive})
        for row in alive:
            for others in row.links.values():
                for other, kinds in others.items():
                    assert other.fate is None and other.links[object_type][row] == kinds


def test_the_winner_of_a_merger_has_the_associations_of_both():
    portal, at, by = Portal(Random(1)), datetime(2026, 1, 1, tzinfo=UTC), {}
    winner, loser = portal.add("contacts", at, by), portal.add("contacts", at, by)
    company, call = portal.add("companies", at, by), portal.add("calls", at, by)
    portal.link(at, by, winner, company, "billing")
    portal.link(at, by, loser, company, "primary")
    portal.link(at, by, call, loser)
    portal.merge(at + timedelta(days=1), by, winner, loser)
    assert portal.living_links("contacts-companies") == [(winner, company, {"", "billing", "primary"})]
    assert portal.living_links("calls-contacts") == [(call, winner, {""})]
    assert winner.linked("calls") == [call] and company.linked("contacts") == [winner]
    assert winner.values["hs_merged_object_ids"] == loser.id
    assert [len(record.changes) for record in (winner, company, call)] == [2, 1, 1]


def test_values_are_texts_of_several_makes(bigger):
    deals, contacts = (bigger.crm.portal.records[object_type] for object_type in ("deals", "contacts"))
    closes = [record.values["closedate"] for record in deals]
    assert {len(value) for value in closes} == {len("2026-10-01T00:00:00.000Z"), len("2026-10-01"), 13}
    amounts = [record.values["amount"] for record in deals]
    assert "" in amounts and None in amounts
    assert all(isinstance(value, str | None) for record in deals + contacts for value in record.values.values())
    emails = [record.values["email"] or "" for record in contacts]
    assert any(email != email.strip() for email in emails) and any(email and email == email.upper() for email in emails)


def test_ids_are_short_for_the_oldest_and_in_no_order_for_the_others(bigger):
    ids = [int(record.id) for record in bigger.crm.portal.records["contacts"]]
    assert max(ids[:20]) < 2000 < 10**10 < min(ids[20:])
    assert ids[20:] != sorted(ids[20:])


def test_at_scale_1_the_portal_has_the_size_of_a_real_one():
    crm = Company(1, 1.0).run(CLOCK).crm
    rows = crm.truth()["crm_rows.json"]
    assert 250 < rows["companies"] < 420 and 1300 < rows["contacts"] < 1700 and 800 < rows["deals"] < 1100
    assert 600 < rows["leads"] < 800 and 250 < rows["tickets"] < 350
    assert 7000 < sum(rows[kind] for kind in ("calls", "emails", "meetings", "notes", "tasks")) < 9500
    assert max(len(company.linked("contacts")) for company in crm.portal.records["companies"]) > 500
    assert max(len(meeting.linked("contacts")) for meeting in crm.portal.records["meetings"]) > 500
