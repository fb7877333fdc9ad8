"""The company's newsletters: what Mailchimp shows of them today, and what is true.

The figures of `tables` are counted from the recorded events, as Mailchimp can; those of `truth` from who was behind
them, which only the generator knows.
"""

from collections import Counter
from datetime import UTC, datetime, time
from hashlib import md5
from typing import Any

from sandbox.audiences import AUDIENCES, Member, as_text
from sandbox.campaigns import Campaign, Campaigns, Recipient
from sandbox.simulation import FIRST_DAY, Row

APPLE = "17."  # the network of Apple's privacy proxy


class Newsletters(Campaigns):
    """Follows the company day by day: audiences and campaigns, as rows of Mailchimp's answers."""

    def tables(self) -> dict[str, Any]:
        """What Mailchimp shows now: the rows of its answers.

        `recipients` has what sent-to and email-activity say of one, together.
        """
        sent = [campaign for campaign in self.campaigns.values() if campaign.is_sent]
        reports = {campaign.row["id"]: _report(campaign) for campaign in sent}
        members: dict[str, list[Row]] = {list_id: [] for list_id in self.list_ids.values()}
        for member in self.members.values():
            members[member.row["list_id"]].append(_member(member))
        campaigns = [
            campaign.row | ({"report_summary": _summary(reports[key])} if key in reports else {})
            for key, campaign in self.campaigns.items()
        ]
        return {
            "lists": [self._list(audience, members[key], campaigns) for audience, key in self.list_ids.items()],
            "members": members,
            "campaigns": campaigns,
            "reports": list(reports.values()),
            "recipients": {campaign.row["id"]: [_recipient(one) for one in campaign.kept] for campaign in sent},
            "click_details": {campaign.row["id"]: _links(campaign) for campaign in sent},
            "unsubscribes": {campaign.row["id"]: _unsubscribes(campaign) for campaign in sent},
        }

    def _list(self, audience: str, members: list[Row], campaigns: list[Row]) -> Row:
        statuses = Counter(member["status"] for member in members)
        own = [campaign for campaign in campaigns if campaign["recipients"]["list_id"] == self.list_ids[audience]]
        sent = [campaign for campaign in own if campaign["status"] == "sent"]
        rates = {
            rate: sum(campaign["report_summary"][rate] for campaign in sent) / max(1, len(sent)) * 100
            for rate in ("open_rate", "click_rate")
        }
        return {
            "id": self.list_ids[audience], "web_id": 1000 + list(AUDIENCES).index(audience),
            "name": AUDIENCES[audience], "permission_reminder": "You signed up for news of our coffee.",
            "date_created": as_text(datetime.combine(FIRST_DAY, time(), UTC)), "list_rating": 4,
            "email_type_option": False, "double_optin": audience == "newsletter", "has_welcome": False,
            "marketing_permissions": False, "visibility": "prv", "modules": [],
            "campaign_defaults": {"from_name": "Catchment Coffee", "from_email": "hello@coffee.example",
                                  "subject": "", "language": "en"},
            "stats": {
                "member_count": statuses["subscribed"], "unsubscribe_count": statuses["unsubscribed"],
                "cleaned_count": statuses["cleaned"], "total_contacts": len(members), "campaign_count": len(own),
                "campaign_last_sent": max((campaign["send_time"] for campaign in sent), default=""),
                "merge_field_count": 5, "open_rate": rates["open_rate"], "click_rate": rates["click_rate"],
                "last_sub_date": max((member["timestamp_opt"] for member in members), default=""),
            },
        }  # fmt: skip

    def truth(self) -> dict[str, Any]:
        """Files of the truth as it is now.

        mailchimp_streams.json  rows alive per stream
        mailchimp_members.csv   every member with its true person
        campaigns.csv           the figures of every sent campaign. What cannot shrink counts everybody; opens, clicks
                                and their like leave out the `erased_recipients`. A privacy-only opener is one of
                                whom only Apple's proxy was seen.
        audience_days.csv       per audience and day who came into the subscribed ones, who left them and why, and how
                                many they were in the end; complaints are among the unsubscribed ones
        """
        sent = [campaign for campaign in self.campaigns.values() if campaign.is_sent]
        members = [
            {key: member.row[key] for key in ("list_id", "id", "contact_id", "email_address", "status")}
            | {"person_id": member.person.person_id}
            for member in self.members.values()
        ]
        return {
            "mailchimp_streams.json": {
                "lists": len(AUDIENCES), "members": len(members), "campaigns": len(self.campaigns),
                "reports": len(sent),
                "email_activity": sum(one.causes.total() for campaign in sent for one in campaign.kept),
                "click_details": sum(len(campaign.links) for campaign in sent),
                "unsubscribes": sum(len(_unsubscribes(campaign)) for campaign in sent),
                "sent_to": sum(len(campaign.kept) for campaign in sent),
            },
            "mailchimp_members.csv": members,
            "campaigns.csv": [_facts(campaign) for campaign in sent],
            "audience_days.csv": self.audience_days,
        }  # fmt: skip


def _member(member: Member) -> Row:
    opened, clicked = (count / max(1, member.sent) for count in (member.opened, member.clicked))
    stats = {"avg_open_rate": round(opened, 4), "avg_click_rate": round(clicked, 4)}
    return member.row | {"stats": stats, "member_rating": min(5, 2 + round(3 * opened))}


def _recipient(recipient: Recipient) -> Row:
    opens = [event["timestamp"] for event in recipient.activity if event["action"] == "open"]
    group = {"absplit_group": recipient.group} if recipient.group else {}
    return {
        "email_id": recipient.email_id, "email_address": recipient.email, "merge_fields": recipient.merge_fields,
        "vip": recipient.member.row["vip"], "status": recipient.status, "open_count": len(opens),
        "last_open": max(opens, default=""), **group, "activity": recipient.activity,
        "list_id": recipient.member.row["list_id"], "list_is_active": True,
    }  # fmt: skip


def _unsubscribes(campaign: Campaign) -> list[Row]:
    return [
        {
            "email_id": recipient.email_id, "email_address": recipient.email, "merge_fields": recipient.merge_fields,
            "vip": recipient.member.row["vip"], "timestamp": at, "reason": reason,
            "list_id": recipient.member.row["list_id"], "list_is_active": True,
        }
        for recipient, at, reason in campaign.unsubscribes
        if not recipient.member.is_erased
    ]  # fmt: skip


def _events(recipients: list[Recipient], action: str) -> list[tuple[str, Row]]:
    """The events of this action, with the e-mail's id."""
    return [(one.email_id, event) for one in recipients for event in one.activity if event["action"] == action]


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0


def _opens(recipients: list[Recipient], delivered: int) -> Row:
    opens = _events(recipients, "open")
    seen = [(key, event) for key, event in opens if not event["ip"].startswith(APPLE)]
    unique, unique_seen = (len({key for key, _ in events}) for events in (opens, seen))
    return {
        "opens_total": len(opens), "unique_opens": unique, "open_rate": _share(unique, delivered),
        "last_open": max((event["timestamp"] for _, event in opens), default=""),
        "proxy_excluded_opens": len(seen), "proxy_excluded_unique_opens": unique_seen,
        "proxy_excluded_open_rate": _share(unique_seen, delivered),
    }  # fmt: skip


def _clicks(recipients: list[Recipient], delivered: int) -> Row:
    clicks = _events(recipients, "click")
    clickers = len({key for key, _ in clicks})
    return {
        "clicks_total": len(clicks), "unique_clicks": len({(key, event["url"]) for key, event in clicks}),
        "unique_subscriber_clicks": clickers, "click_rate": _share(clickers, delivered),
        "last_click": max((event["timestamp"] for _, event in clicks), default=""),
    }  # fmt: skip


def _report(campaign: Campaign) -> Row:
    row, counts, revenue = campaign.row, campaign.counts, float(sum(campaign.orders))
    delivered = row["emails_sent"] - counts["hard"] - counts["soft"]
    split = {"a": _half(campaign, "a"), "b": _half(campaign, "b")}
    return {
        "id": row["id"], "campaign_title": row["settings"]["title"], "type": row["type"],
        "list_id": row["recipients"]["list_id"], "list_is_active": True, "list_name": AUDIENCES[campaign.audience],
        "subject_line": row["settings"]["subject_line"], "preview_text": row["settings"]["preview_text"],
        "emails_sent": row["emails_sent"], "abuse_reports": counts["complaints"],
        "unsubscribed": counts["unsubscribed"], "send_time": row["send_time"],
        "bounces": {"hard_bounces": counts["hard"], "soft_bounces": counts["soft"], "syntax_errors": 0},
        "forwards": {"forwards_count": 0, "forwards_opens": 0},
        "opens": _opens(campaign.kept, delivered), "clicks": _clicks(campaign.kept, delivered),
        "ecommerce": {"total_orders": len(campaign.orders), "total_spent": revenue, "total_revenue": revenue,
                      "currency_code": "EUR"},
        **({"ab_split": split} if campaign.kind == "absplit" else {}),
    }  # fmt: skip


def _half(campaign: Campaign, group: str) -> Row:
    recipients = [recipient for recipient in campaign.kept if recipient.group == group]
    opens, clicks = _opens(recipients, len(recipients)), _clicks(recipients, len(recipients))
    return {
        "bounces": sum(recipient.status != "sent" for recipient in recipients), "opens": opens["opens_total"],
        "unique_opens": opens["unique_opens"], "last_open": opens["last_open"],
        "recipient_clicks": clicks["unique_subscriber_clicks"],
    }  # fmt: skip


def _summary(report: Row) -> Row:
    opens, clicks, orders = report["opens"], report["clicks"], report["ecommerce"]
    return {
        "opens": opens["opens_total"], "unique_opens": opens["unique_opens"], "open_rate": opens["open_rate"],
        "clicks": clicks["clicks_total"], "subscriber_clicks": clicks["unique_subscriber_clicks"],
        "click_rate": clicks["click_rate"],
        "ecommerce": {name: orders[name] for name in ("total_orders", "total_spent", "total_revenue")},
    }  # fmt: skip


def _links(campaign: Campaign) -> list[Row]:
    clicks = _events(campaign.kept, "click")
    rows = []
    for url in campaign.links:
        own = [(key, event) for key, event in clicks if event["url"] == url]
        unique = len({key for key, _ in own})
        rows.append({
            "id": md5(f"{campaign.row['id']} {url}".encode()).hexdigest()[:10], "url": url, "total_clicks": len(own),
            "click_percentage": _share(len(own), len(clicks)) * 100, "unique_clicks": unique,
            "unique_click_percentage": _share(unique, len({key for key, _ in clicks})) * 100,
            "last_click": max((event["timestamp"] for _, event in own), default=""),
        })  # fmt: skip
    return rows


def _facts(campaign: Campaign) -> Row:
    kept, counts = campaign.kept, campaign.counts
    return {
        "campaign_id": campaign.row["id"], "list_id": campaign.row["recipients"]["list_id"],
        "sent_at": campaign.row["send_time"], "sent": len(campaign.recipients),
        "hard_bounces": counts["hard"], "soft_bounces": counts["soft"],
        "opens": sum(one.did("open") for one in kept), "unique_openers": sum(one.did("open") > 0 for one in kept),
        "privacy_only_openers": sum(one.did("open") > 0 and not one.did("open", "person") for one in kept),
        "clicks": sum(one.did("click") for one in kept), "unique_clickers": sum(one.did("click") > 0 for one in kept),
        "human_unique_clickers": sum(one.did("click", "person") > 0 for one in kept),
        "bot_clickers": sum(one.did("click", "scanner") > 0 for one in kept),
        "unsubscribes": counts["unsubscribed"], "complaints": counts["complaints"], "orders": len(campaign.orders),
        "revenue": sum(campaign.orders), "erased_recipients": len(campaign.recipients) - len(kept),
    }  # fmt: skip
