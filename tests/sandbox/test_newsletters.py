from collections import Counter
from datetime import UTC, date, datetime, timedelta
from hashlib import md5

import pytest

from sandbox.audiences import MOVES
from sandbox.company import CLOCK, Company
from sandbox.shop import tables as shop_tables
from tests.sandbox.conftest import BIGGER

LATER = CLOCK + timedelta(days=30)


@pytest.fixture(scope="module")
def newsletters(bigger):
    """The newsletters at the first clock."""
    return bigger.newsletters


@pytest.fixture(scope="module")
def now(newsletters):
    return newsletters.tables()


@pytest.fixture(scope="module")
def later():
    """The same company's newsletters thirty days later."""
    return Company(1, BIGGER).run(CLOCK).run(LATER).newsletters.tables()


def events(recipients, action):
    return [event for recipient in recipients for event in recipient["activity"] if event["action"] == action]


def moment(text):
    return datetime.fromisoformat(text)


def report_of(tables, campaign_id):
    return next(report for report in tables["reports"] if report["id"] == campaign_id)


def test_same_seed_same_newsletters_and_other_seed_others(company):
    first = company.newsletters
    again, other = (Company(seed, 0.02).run(CLOCK).newsletters for seed in (1, 2))
    assert (first.tables(), first.truth()) == (again.tables(), again.truth())
    assert first.tables() != other.tables()


def test_the_way_to_a_clock_does_not_matter():
    in_steps = Company(3, 0.02).run(date(2026, 1, 1)).run(date(2026, 1, 2)).run(date(2026, 3, 1)).newsletters
    at_once = Company(3, 0.02).run(date(2026, 3, 1)).newsletters
    assert (in_steps.tables(), in_steps.truth()) == (at_once.tables(), at_once.truth())


def test_the_shop_does_not_depend_on_them(company):
    alone = Company(1, 0.02)
    alone.newsletters.day = lambda: None
    assert shop_tables(alone.run(CLOCK)) == shop_tables(company)


def test_the_past_stays_but_for_what_is_erased(now, later):
    start = datetime(2026, 10, 1, tzinfo=UTC)
    gone = 0
    for campaign_id, before in now["recipients"].items():
        after = {recipient["email_id"]: recipient for recipient in later["recipients"][campaign_id]}
        gone += sum(recipient["email_id"] not in after for recipient in before)
        for recipient in before:
            if recipient["email_id"] in after:
                known, grown = recipient["activity"], after[recipient["email_id"]]["activity"]
                assert grown[: len(known)] == known
                assert all(moment(event["timestamp"]) >= start for event in grown[len(known) :])
    assert gone, "nobody was erased"
    for list_id, members in now["members"].items():
        after = {member["id"]: member for member in later["members"][list_id]}
        changes = [
            after[member["id"]]
            for member in members
            if member["id"] in after and after[member["id"]]["status"] != member["status"]
        ]
        assert all(moment(member["last_changed"]) >= start for member in changes)


def test_nothing_is_from_the_future_but_a_planned_send(now):
    def times(value, name=""):
        if isinstance(value, dict):
            for key, part in value.items():
                yield from times(part, key)
        elif isinstance(value, list):
            for part in value:
                yield from times(part, name)
        elif isinstance(value, str) and value[:2] == "20" and value.endswith("+00:00"):
            yield moment(value)

    end = datetime(2026, 10, 1, tzinfo=UTC)
    planned = [campaign for campaign in now["campaigns"] if campaign["status"] == "schedule"]
    assert planned and all(moment(campaign["send_time"]) >= end for campaign in planned)
    others = now | {"campaigns": [campaign for campaign in now["campaigns"] if campaign["status"] != "schedule"]}
    assert len(list(times(others))) > 1000 and max(times(others)) < end


def test_every_member_has_the_md5_of_its_address_and_every_status_occurs(now):
    members = [member for members in now["members"].values() for member in members]
    assert all(member["id"] == md5(member["email_address"].lower().encode()).hexdigest() for member in members)
    assert any(member["email_address"] != member["email_address"].lower() for member in members)
    statuses = Counter(member["status"] for member in members)
    assert set(statuses) == {"subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived"}
    assert all(member["timestamp_opt"] == "" for member in members if member["status"] == "pending")
    assert all("unsubscribe_reason" in member for member in members if member["status"] == "unsubscribed")
    assert {member["status"] for member in members if member["tags"]} and any(member["interests"] for member in members)


def test_a_new_address_is_a_new_id_of_the_same_contact_and_the_old_one_is_gone(now, later):
    before, after = (
        {one["contact_id"]: (list_id, one["id"]) for list_id, members in tables["members"].items() for one in members}
        for tables in (now, later)
    )
    moved = [contact for contact in before if contact in after and before[contact] != after[contact]]
    assert moved and not {before[contact] for contact in moved} & set(after.values())
    assert before.keys() - after.keys(), "nobody was erased"


def test_some_leave_and_come_back(newsletters):
    totals = Counter()
    for day in newsletters.truth()["audience_days.csv"]:
        totals.update({move: day[move] for move in MOVES})
    assert all(totals[move] for move in MOVES)
    left = {
        recipient.member for campaign in newsletters.campaigns.values() for recipient, _, _ in campaign.unsubscribes
    }
    assert any(member.row["status"] == "subscribed" for member in left)


def test_campaigns_of_every_kind(now):
    by_status = Counter(campaign["status"] for campaign in now["campaigns"])
    assert by_status["sent"] > 70 and by_status["save"] and by_status["schedule"] and by_status["sending"] == 1
    assert {campaign["type"] for campaign in now["campaigns"]} == {"regular", "absplit", "rss"}
    parents = {campaign.get("parent_campaign_id") for campaign in now["campaigns"]} - {None}
    assert parents == {campaign["id"] for campaign in now["campaigns"] if campaign["status"] == "sending"}
    groups = Counter(
        recipient.get("absplit_group") for recipients in now["recipients"].values() for recipient in recipients
    )
    assert groups["a"] and abs(groups["a"] - groups["b"]) < 5 and groups["winner"] > groups["a"]
    assert any(report["emails_sent"] == 0 for report in now["reports"])
    bounces = {report["id"]: sum(report["bounces"].values()) for report in now["reports"]}
    undelivered = [report for report in now["reports"] if report["emails_sent"] == bounces[report["id"]] > 0]
    assert undelivered and all(report["opens"]["open_rate"] == 0 for report in undelivered)


def test_a_resend_goes_to_those_who_got_the_campaign_and_had_not_opened_it(newsletters):
    resends = [campaign for campaign in newsletters.campaigns.values() if campaign.kind == "resend"]
    assert resends
    for resend in resends:
        title = resend.row["settings"]["subject_line"]
        earlier = [
            campaign for campaign in newsletters.campaigns.values()
            if campaign.is_sent and campaign.kind == "regular" and campaign.audience == "newsletter"
            and campaign.row["send_time"] < resend.row["send_time"]
        ]  # fmt: skip
        original = earlier[-1]
        assert original.row["settings"]["subject_line"] == title
        first = {recipient.member: recipient for recipient in original.recipients.values()}
        for recipient in resend.recipients.values():
            opens = [event for event in first[recipient.member].activity if event["action"] == "open"]
            assert all(event["timestamp"] >= resend.row["send_time"] for event in opens)
        assert 0 < len(resend.recipients) < len(original.recipients)


def test_apples_proxy_opens_within_minutes_for_about_a_third(now):
    proxied = reached = 0
    for report in now["reports"]:
        sent = moment(report["send_time"])
        for recipient in now["recipients"][report["id"]]:
            opens = [event for event in recipient["activity"] if event["action"] == "open"]
            hidden = [event for event in opens if event["ip"].startswith("17.")]
            if recipient.get("absplit_group") != "winner":
                assert all(timedelta(0) < moment(event["timestamp"]) - sent < timedelta(minutes=11) for event in hidden)
            if report["campaign_title"].find("resend") < 0:  # those with a proxy have all opened, so they get no resend
                reached += recipient["status"] == "sent"
                proxied += bool(hidden)
    assert 0.2 < proxied / reached < 0.4


def test_scanners_click_every_link_at_once_and_people_do_not(newsletters, now):
    scanned = 0
    for report in now["reports"]:
        links = {link["url"] for link in now["click_details"][report["id"]]}
        for recipient in now["recipients"][report["id"]]:
            early = [
                event for event in recipient["activity"]
                if event["action"] == "click"
                and moment(event["timestamp"]) - moment(report["send_time"]) <= timedelta(minutes=1)
            ]  # fmt: skip
            if early:
                scanned += 1
                assert {event["url"] for event in early} == links
                assert moment(early[-1]["timestamp"]) - moment(early[0]["timestamp"]) < timedelta(seconds=10)
    assert scanned == sum(row["bot_clickers"] for row in newsletters.truth()["campaigns.csv"]) > 0


def test_opens_come_for_weeks_and_some_events_twice(now):
    delays = sorted(
        (moment(event["timestamp"]) - moment(report["send_time"])).days
        for report in now["reports"]
        for event in events(now["recipients"][report["id"]], "open")
    )
    assert delays[len(delays) // 2] == 0 and delays[-1] > 45
    weeks = Counter(delay // 7 for delay in delays)
    assert weeks[0] > weeks[1] > weeks[3] > weeks[6] > 0
    twice = [
        event
        for recipients in now["recipients"].values()
        for recipient in recipients
        for event in recipient["activity"]
        if recipient["activity"].count(event) > 1
    ]
    assert {event["action"] for event in twice} == {"open", "click"}


def test_what_is_shown_is_what_is_true(newsletters, now):
    facts = {row["campaign_id"]: row for row in newsletters.truth()["campaigns.csv"]}
    assert facts.keys() == {report["id"] for report in now["reports"]}
    for report in now["reports"]:
        row, opens, clicks = facts[report["id"]], report["opens"], report["clicks"]
        shown = {
            "sent": report["emails_sent"], "hard_bounces": report["bounces"]["hard_bounces"],
            "soft_bounces": report["bounces"]["soft_bounces"], "opens": opens["opens_total"],
            "unique_openers": opens["unique_opens"], "clicks": clicks["clicks_total"],
            "privacy_only_openers": opens["unique_opens"] - opens["proxy_excluded_unique_opens"],
            "unique_clickers": clicks["unique_subscriber_clicks"], "unsubscribes": report["unsubscribed"],
            "complaints": report["abuse_reports"], "orders": report["ecommerce"]["total_orders"],
        }  # fmt: skip
        assert shown == {name: row[name] for name in shown}
        assert report["ecommerce"]["total_revenue"] == pytest.approx(float(row["revenue"]))
        links = now["click_details"][report["id"]]
        assert sum(link["total_clicks"] for link in links) == row["clicks"]
        assert sum(link["unique_clicks"] for link in links) == clicks["unique_clicks"]
        assert row["sent"] - row["erased_recipients"] == len(now["recipients"][report["id"]])
        assert row["human_unique_clickers"] <= row["unique_clickers"]
        assert row["unique_clickers"] <= row["human_unique_clickers"] + row["bot_clickers"]
    assert all(sum(row[name] for row in facts.values()) for name in ("revenue", "complaints", "unsubscribes"))
    streams = newsletters.truth()["mailchimp_streams.json"]
    recipients = [recipient for recipients in now["recipients"].values() for recipient in recipients]
    assert streams == {
        "lists": 3, "members": sum(map(len, now["members"].values())), "campaigns": len(now["campaigns"]),
        "reports": len(now["reports"]), "email_activity": sum(len(one["activity"]) for one in recipients),
        "click_details": sum(map(len, now["click_details"].values())), "sent_to": len(recipients),
        "unsubscribes": sum(map(len, now["unsubscribes"].values())),
    }  # fmt: skip


def test_reports_grow_for_weeks_and_some_shrink(now, later):
    changes = [
        report_of(later, report["id"])["opens"]["opens_total"] - report["opens"]["opens_total"]
        for report in now["reports"]
    ]
    assert max(changes) > 0 > min(changes)


def test_the_books_of_the_audiences_balance(newsletters, now):
    days = newsletters.truth()["audience_days.csv"]
    assert len(days) == 3 * 365
    for list_id, members in now["members"].items():
        subscribed = 0
        for day in (day for day in days if day["list_id"] == list_id):
            subscribed += day["joined"] - sum(day[move] for move in MOVES if move != "joined")
            assert day["subscribed"] == subscribed
        assert subscribed == sum(member["status"] == "subscribed" for member in members)
        stats = next(one["stats"] for one in now["lists"] if one["id"] == list_id)
        assert stats["member_count"] == subscribed


def test_a_hard_bounce_cleans_and_a_soft_one_may_come_days_later(newsletters):
    delays = []
    for campaign in newsletters.campaigns.values():
        for recipient in campaign.kept:
            for event in recipient.activity:
                if event.get("type") == "hard":
                    assert recipient.member.row["status"] in ("cleaned", "archived")
                elif event.get("type") == "soft":
                    delays.append(moment(event["timestamp"]) - moment(campaign.row["send_time"]))
    assert timedelta(days=2) < max(delays) < timedelta(days=4)


def test_the_smallest_company_has_newsletters_too():
    streams = Company(1, 0.001).run(CLOCK).newsletters.truth()["mailchimp_streams.json"]
    assert all(streams[name] for name in ("lists", "members", "campaigns", "reports", "sent_to"))
