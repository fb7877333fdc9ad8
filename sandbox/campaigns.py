"""Mailchimp's campaigns: written, scheduled and sent, and what recipients, Apple's proxy and scanners do with them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from math import log
from typing import Any

from sandbox.audiences import AUDIENCES, REASONS, SPAM, Audiences, Member, as_text
from sandbox.simulation import FIRST_DAY, Row, Simulation
from sandbox.vocabulary import COFFEES

CALENDAR = [  # audience, kind, every how many days, first on which day
    ("newsletter", "regular", 7, 5), ("newsletter", "resend", 56, 20), ("newsletter", "absplit", 182, 150),
    ("newsletter", "draft", 60, 33), ("cafes", "regular", 14, 13), ("legacy", "rss", 91, 60),
    ("legacy", "nobody", 300, 40), ("legacy", "undeliverable", 300, 50),
]  # fmt: skip
TYPES = {"absplit": "absplit", "rss": "rss"}  # of the others: regular
MADE_WHEN_SENT = {"resend", "rss", "nobody"}
SEGMENTS = {
    "resend": "<p>Contacts that match <strong>all</strong> of: did not open the previous campaign</p>",
    "nobody": "<p>Contacts that match <strong>all</strong> of: tagged <em>founder</em></p>",
    "undeliverable": "<p>Contacts that match <strong>all</strong> of: tagged <em>test address</em></p>",
}
LINKS = ["coffee/{0}", "recipes/{0}", "machines", "journal/{0}", "visit-us"]
HARD_BOUNCE = {"newsletter": 0.0015, "cafes": 0.0015, "legacy": 0.03}  # shares of the e-mails sent
SOFT_BOUNCE, CLICK, ORDER, UNSUBSCRIBE, COMPLAINT = 0.008, 0.13, 0.08, 0.01, 0.0015
SPLIT_PERCENT, SPLIT_HOURS = 20, 4


@dataclass(eq=False)
class Recipient:
    """One e-mail of a campaign. Keeps the address of its day; knows who was behind every open and click."""

    member: Member
    email_id: str
    email: str
    merge_fields: Row
    group: str | None
    status: str = "sent"
    activity: list[Row] = field(default_factory=list)
    causes: Counter[tuple[str, str]] = field(default_factory=Counter)  # of (action, who: person, proxy or scanner)

    def did(self, action: str, *by: str) -> int:
        """How often that happened; by whomever, if none are named."""
        return sum(n for (what, who), n in self.causes.items() if what == action and (not by or who in by))


@dataclass(eq=False)
class Campaign:
    """One campaign: `row` is what Mailchimp shows of its making, the rest is what came of it."""

    audience: str
    kind: str
    row: Row
    links: list[str]
    recipients: dict[str, Recipient] = field(default_factory=dict)  # by email_id
    counts: Counter[str] = field(default_factory=Counter)  # hard, soft, unsubscribed, complaints: they never go back
    unsubscribes: list[tuple[Recipient, str, str]] = field(default_factory=list)  # who, when, why
    orders: list[Decimal] = field(default_factory=list)

    @property
    def is_sent(self) -> bool:
        """Whether it went out, be it to nobody."""
        return self.row["status"] == "sent"

    @property
    def kept(self) -> list[Recipient]:
        """The recipients that were not erased since."""
        return [recipient for recipient in self.recipients.values() if not recipient.member.is_erased]


class Campaigns(Audiences):
    """Campaigns by the calendar, and all that follows from them, for months."""

    def __init__(self, company: Simulation) -> None:
        super().__init__(company)
        self.campaigns: dict[str, Campaign] = {}  # by id
        self._latest: Campaign | None = None  # of the newsletter
        self._numbers = count(1)
        feed = {"feed_url": "https://coffee.example/journal.rss", "frequency": "monthly",
                "schedule": {"hour": 8, "monthly_send_date": 1}, "constrain_rss_img": False}  # fmt: skip
        self._feed = self._write(self._moment(hours=9), "legacy", "rss")
        self._feed.row.update(status="sending", rss_opts=feed)

    def _plan(self) -> None:
        super()._plan()
        number = (self.company.today - FIRST_DAY).days
        for audience, kind, every, first in CALENDAR:
            if number >= first and (number - first) % every == 0:
                self._at(self._moment(hours=8), self._prepare, audience, kind)

    def _prepare(self, at: datetime, audience: str, kind: str) -> None:
        """Most campaigns are written four days ahead and scheduled two; a draft is given up in the end."""
        campaign = self._write(at, audience, kind)
        if kind in MADE_WHEN_SENT:
            self._at(at + timedelta(minutes=5), self._send, campaign)
        elif kind == "draft":
            self._at(at + timedelta(days=40), self._discard, campaign)
        else:
            send_at = at + timedelta(days=4, minutes=5)
            self._at(at + timedelta(days=2), self._schedule, campaign, send_at)
            self._at(send_at, self._send, campaign)

    def _write(self, at: datetime, audience: str, kind: str) -> Campaign:
        number = next(self._numbers)
        coffee = self.rng.choice(COFFEES)
        slug = coffee.lower().replace(" ", "-").replace("é", "e")
        subject = f"{coffee}: freshly roasted"
        resent = self._latest if kind == "resend" else None
        row = {
            "id": self._id("campaign", number), "web_id": 9000 + number, "type": TYPES.get(kind, "regular"),
            "create_time": as_text(at), "archive_url": f"https://mailchi.mp/coffee/{number}", "status": "save",
            "emails_sent": 0, "send_time": "", "content_type": "template", "needs_block_refresh": False,
            "resendable": False,
            "recipients": {"list_id": self.list_ids[audience], "list_is_active": True, "recipient_count": 0,
                           "list_name": AUDIENCES[audience], "segment_text": SEGMENTS.get(kind, "")},
            "settings": {"subject_line": resent.row["settings"]["subject_line"] if resent else subject,
                         "preview_text": f"What {coffee} tastes of this season",
                         "title": f"{AUDIENCES[audience]} {number}" + (" (resend)" if kind == "resend" else ""),
                         "from_name": "Catchment Coffee", "reply_to": "hello@coffee.example", "to_name": "*|FNAME|*"},
            "tracking": {"opens": True, "html_clicks": True, "text_clicks": False, "ecomm360": True},
        }  # fmt: skip
        if kind == "absplit":
            row["ab_split_opts"] = {
                "split_test": "subject", "pick_winner": "opens", "wait_units": "hours", "wait_time": SPLIT_HOURS,
                "split_size": SPLIT_PERCENT, "subject_a": subject, "subject_b": f"Have you tried {coffee}?",
            }  # fmt: skip
        if kind == "rss" and self.campaigns:
            row["parent_campaign_id"] = self._feed.row["id"]
        campaign = Campaign(audience, kind, row, [
            f"https://coffee.example/{path.format(slug)}?utm_source=mailchimp&utm_medium=email&utm_campaign={number}"
            for path in LINKS[: self.rng.randint(4, 5)]
        ])  # fmt: skip
        self.campaigns[row["id"]] = campaign
        return campaign

    def _schedule(self, at: datetime, campaign: Campaign, send_at: datetime) -> None:
        campaign.row.update(status="schedule", send_time=as_text(send_at))

    def _discard(self, at: datetime, campaign: Campaign) -> None:
        del self.campaigns[campaign.row["id"]]

    def _send(self, at: datetime, campaign: Campaign) -> None:
        members = [
            member for member in self.members.values()
            if member.audience == campaign.audience and member.row["status"] == "subscribed"
        ]  # fmt: skip
        campaign.row.update(status="sent", send_time=as_text(at), resendable=campaign.kind == "regular")
        match campaign.kind:
            case "nobody":
                members = []
            case "undeliverable":
                members = members[:2]
            case "resend":
                unopened = {
                    id(recipient.member) for recipient in self._latest.kept
                    if recipient.status == "sent" and not recipient.did("open")
                }  # fmt: skip
                members = [member for member in members if id(member) in unopened]
            case "absplit":
                self.rng.shuffle(members)
                size = max(1, len(members) * SPLIT_PERCENT // 100)
                self._deliver(at, campaign, members[:size], "a")
                self._deliver(at, campaign, members[size : 2 * size], "b")
                winner_at = at + timedelta(hours=SPLIT_HOURS)
                campaign.row["ab_split_opts"]["send_time_winner"] = as_text(winner_at)
                self._at(winner_at, self._deliver, campaign, members[2 * size :], "winner")
                return
        self._deliver(at, campaign, members)
        if (campaign.audience, campaign.kind) == ("newsletter", "regular"):
            self._latest = campaign

    def _deliver(self, at: datetime, campaign: Campaign, members: list[Member], group: str | None = None) -> None:
        for member in members:
            if member.is_erased or member.row["status"] != "subscribed":
                continue  # left while a split campaign waited for its winner
            row, draw = member.row, self.rng.random()
            recipient = Recipient(member, row["id"], row["email_address"], row["merge_fields"], group)
            campaign.recipients[row["id"]] = recipient
            member.sent += 1
            arrived = at + timedelta(seconds=self.rng.randrange(1, 50))
            if campaign.kind == "undeliverable" or draw < SOFT_BOUNCE:  # a full mailbox is tried for three days
                self._at(arrived + timedelta(hours=self.rng.uniform(0, 72)), self._bounce, campaign, recipient, "soft")
            elif draw < SOFT_BOUNCE + HARD_BOUNCE[campaign.audience]:
                self._at(arrived, self._bounce, campaign, recipient, "hard")
            else:
                self._receive(arrived, campaign, recipient)
        campaign.row["emails_sent"] = campaign.row["recipients"]["recipient_count"] = len(campaign.recipients)

    def _receive(self, arrived: datetime, campaign: Campaign, recipient: Recipient) -> None:
        """Decides what will happen to an e-mail that arrived: by machines within minutes, by people over weeks."""
        rng, member = self.rng, recipient.member
        if member.is_scanned:
            for second, link in enumerate(campaign.links):
                self._at(arrived + timedelta(seconds=1 + second), self._click, campaign, recipient, link, "scanner")
        if member.is_private:
            proxied = arrived + timedelta(seconds=rng.randrange(20, 600))
            ip = f"17.{rng.randrange(58, 250)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
            self._at(proxied, self._open, campaign, recipient, "proxy", ip)
        if rng.random() >= member.appetite:
            return
        at = first = arrived + timedelta(seconds=180 + self._wait())
        for _ in range(1 + self._geometric(0.55)):
            if not member.is_private or rng.random() < 0.15:  # Apple's proxy hides the rest
                self._at(at, self._open, campaign, recipient, "person", member.ip)
            at += timedelta(seconds=60 + self._wait())
        if rng.random() < CLICK:
            at = first + timedelta(seconds=rng.randrange(10, 200))
            for link in rng.sample(campaign.links, rng.choices([1, 2, 3], [75, 18, 7])[0]):
                self._at(at, self._click, campaign, recipient, link, "person")
                at += timedelta(seconds=rng.randrange(25, 240))
            if rng.random() < ORDER:
                self._at(at + timedelta(hours=rng.uniform(0.1, 30)), self._buy, campaign, recipient)
        elif (draw := rng.random()) < UNSUBSCRIBE:
            self._at(first + timedelta(seconds=40), self._opt_out, campaign, recipient, rng.choice(REASONS))
        elif draw < UNSUBSCRIBE + COMPLAINT:
            self._at(first + timedelta(seconds=40), self._complain, campaign, recipient)

    def _geometric(self, chance: float) -> int:
        """Failures before the first success."""
        return int(log(1 - self.rng.random()) / log(1 - chance))

    def _wait(self) -> float:
        """Seconds until somebody looks: hours mostly, every eighth time days, up to some months."""
        if self.rng.random() < 0.12:
            return 86400 * (1 + self._geometric(0.06)) + self.rng.uniform(0, 43200)
        return self.rng.expovariate(1 / 20000)

    def _note(self, at: datetime, recipient: Recipient, action: str, by: str, **facts: Any) -> None:
        """An event that Mailchimp records; one in fifty comes twice, the same in every field."""
        times = 1 + (by == "person" and self.rng.random() < 0.02)
        recipient.activity += [{"action": action, "timestamp": as_text(at), **facts}] * times
        recipient.causes[action, by] += times

    def _open(self, at: datetime, campaign: Campaign, recipient: Recipient, by: str, ip: str) -> None:
        recipient.member.opened += not recipient.did("open")
        self._note(at, recipient, "open", by, ip=ip)

    def _click(self, at: datetime, campaign: Campaign, recipient: Recipient, url: str, by: str) -> None:
        recipient.member.clicked += not recipient.did("click")
        self._note(at, recipient, "click", by, url=url, ip=recipient.member.ip if by == "person" else "192.0.2.44")

    def _bounce(self, at: datetime, campaign: Campaign, recipient: Recipient, kind: str) -> None:
        recipient.status = kind
        campaign.counts[kind] += 1
        self._note(at, recipient, "bounce", "server", type=kind)
        if kind == "hard":
            self._if_subscribed(recipient, lambda member: self._become(at, member, "cleaned"))

    def _opt_out(self, at: datetime, campaign: Campaign, recipient: Recipient, reason: str) -> None:
        def leave(member: Member) -> None:
            campaign.counts["unsubscribed"] += 1
            campaign.unsubscribes.append((recipient, as_text(at), reason))
            self._unsubscribe(at, member, reason)

        self._if_subscribed(recipient, leave)

    def _complain(self, at: datetime, campaign: Campaign, recipient: Recipient) -> None:
        def leave(member: Member) -> None:
            campaign.counts["complaints"] += 1
            self._become(at, member, "unsubscribed", unsubscribe_reason=SPAM)

        self._if_subscribed(recipient, leave)

    def _if_subscribed(self, recipient: Recipient, action: Callable[[Member], None]) -> None:
        if not recipient.member.is_erased and recipient.member.row["status"] == "subscribed":
            action(recipient.member)

    def _buy(self, at: datetime, campaign: Campaign, recipient: Recipient) -> None:
        campaign.orders.append(round(Decimal(self.rng.lognormvariate(3.6, 0.6)), 2))
