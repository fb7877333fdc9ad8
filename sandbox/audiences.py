"""Mailchimp's audiences: addresses that join, change, leave, come back and are erased."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import md5
from itertools import count, islice
from typing import Any

from sandbox.dirt import Dirt
from sandbox.simulation import FIRST_DAY, Person, Row, Simulation
from sandbox.vocabulary import MAIL_DOMAINS

AUDIENCES = {"newsletter": "Coffee letter", "cafes": "Cafés & offices", "legacy": "Kaffeefreunde 2019"}
SCANNED_DOMAINS = {"post.example", "köln-post.example"}  # a security scanner clicks every link of a cafe's mail
INTERESTS = {"newsletter": ["filter", "espresso", "machines"], "cafes": ["beans", "service"], "legacy": []}
TAGS = ["machine owner", "subscription", "barista course", "wholesale"]
LANGUAGES = {"DE": "de", "AT": "de", "CH": "de", "FR": "fr", "NL": "nl", "IT": "it", "SE": "sv", "JP": "ja"}
CLIENTS = ["Gmail", "Apple Mail", "Outlook 365", "Thunderbird", ""]
REASONS = ["I no longer want to receive these emails", "I never signed up for this mailing list",
           "The emails are inappropriate", "None given"]  # fmt: skip
SPAM = "The emails are spam and should be reported"
MOVES = ["joined", "unsubscribed", "cleaned", "archived", "deleted"]  # into, and out of, the subscribed ones
LEGACY_MEMBERS, CAFES_THAT_JOIN, BUYERS_WITHOUT_CONSENT = 60, 0.4, 0.15


@dataclass(eq=False)
class Member:
    """One contact of one audience: `row` is what Mailchimp shows, the rest is what the person is like."""

    audience: str
    row: Row
    person: Person
    customer_id: int | None
    is_private: bool  # reads with Apple Mail, whose proxy opens every e-mail
    is_scanned: bool
    appetite: float  # share of the campaigns that the person reads
    ip: str
    is_erased: bool = False
    sent: int = 0
    opened: int = 0
    clicked: int = 0


class Audiences:
    """Who is in which audience. Everything happens at a moment of its own, in order: `_agenda` is a heap."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"newsletters {company.seed}")
        self._phones = Dirt(random.Random(f"newsletters' phones {company.seed}"), company.dirt.rate)
        self.members: dict[tuple[str, str], Member] = {}  # by audience and id
        self._ever: list[Member] = []  # those who were erased, too
        self.list_ids = {audience: self._id("list", audience) for audience in AUDIENCES}
        self.audience_days: list[Row] = []
        self._moves: Counter[str] = Counter()  # of today, by audience and what happened
        self._subscribed: Counter[str] = Counter()
        self._due_so_far: Counter[str] = Counter()
        self._agenda: list[tuple[datetime, int, Callable, tuple]] = []
        self._order, self._contacts = count(), count(1)
        self._people_seen = self._customers_seen = 0

    def day(self) -> None:
        """What happens on the company's day; the shop has had the day already."""
        self._plan()
        end = self._moment(days=1)
        while self._agenda and self._agenda[0][0] < end:
            at, _, action, arguments = heapq.heappop(self._agenda)
            action(at, *arguments)
        for audience, list_id in self.list_ids.items():
            moves = {move: self._moves[audience, move] for move in MOVES}
            self.audience_days.append(
                {"list_id": list_id, "day": str(self.company.today), **moves, "subscribed": self._subscribed[audience]}
            )
        self._moves.clear()

    def _plan(self) -> None:
        self._invite()
        for action, per_day in (
            (self._change_address, 0.4), (self._retag, 2.0), (self._archive, 0.2), (self._unarchive, 0.05),
            (self._erase, 0.25), (self._leave, 0.1),
        ):  # fmt: skip
            for _ in range(self._due(action.__name__, per_day)):
                self._at(self._moment(seconds=self.rng.randrange(86400)), action)

    def _due(self, event: str, per_day: float) -> int:
        """How many of an event happen today; every 40 days at least one, so that small sandboxes have them too."""
        self._due_so_far[event] += max(per_day * self.company.scale, 0.025)
        number = int(self._due_so_far[event])
        self._due_so_far[event] -= number
        return number

    def _at(self, at: datetime, action: Callable, *arguments: Any) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), action, arguments))

    def _moment(self, **after_midnight: float) -> datetime:
        return datetime.combine(self.company.today, time(), UTC) + timedelta(**after_midnight)

    def _id(self, *parts: Any, digits: int = 10) -> str:
        return md5(" ".join(map(str, (self.company.seed, *parts))).encode()).hexdigest()[:digits]

    def _invite(self) -> None:
        """The day's new customers and the businesses among all new people; the first ones come as one import."""
        people, customers = self.company.people, self.company.person_of
        is_import, late = self.company.today == FIRST_DAY, self._moment(seconds=86000)
        for key, person in islice(customers.items(), self._customers_seen, None):
            customer, draw = self.company.shop["customers"].get(key), self.rng.random()
            if customer is None:
                continue  # opened and erased on one day
            at = late if is_import else customer["created_at"] + timedelta(seconds=60 + 900 * draw)
            if not customer["has_marketing_consent"]:
                if draw < BUYERS_WITHOUT_CONSENT:
                    self._at(at, self._join, "newsletter", person, "transactional", "API - Generic", key)
            elif is_import:
                self._at(at, self._join, "newsletter", person, "subscribed", "Import", key)
            elif draw < 0.25:
                self._at(at, self._join, "newsletter", person, "pending", "Hosted Signup Form", key)
            else:
                self._at(at, self._join, "newsletter", person, "subscribed", "API - Generic", key)
        for person in islice(people, self._people_seen, None):
            if person.company_name and self.rng.random() < CAFES_THAT_JOIN:
                at = late if is_import else self._moment(seconds=self.rng.randrange(28800, 64800))
                self._at(at, self._join, "cafes", person, "subscribed", "Import" if is_import else "Admin Add", None)
        if is_import:
            for person in self.rng.sample(people, min(len(people), 8 + round(LEGACY_MEMBERS * self.company.scale))):
                self._at(late, self._join, "legacy", person, "subscribed", "Import", None)
        self._people_seen, self._customers_seen = len(people), len(customers)

    def _join(
        self, at: datetime, audience: str, person: Person, status: str, source: str, customer_id: int | None
    ) -> None:
        rng, number = self.rng, next(self._contacts)
        contact_id = self._id("contact", number, digits=32)
        email = self.company.shared.spelled(contact_id, person.email)
        email = email.capitalize() if rng.random() < self.company.dirt.rate else email
        is_form = source == "Hosted Signup Form"
        row = {
            **_address(email), "contact_id": contact_id, "web_id": 500000 + number,
            "full_name": f"{person.first_name} {person.last_name}", "email_type": "html", "status": None,
            "consents_to_one_to_one_messaging": True, "list_id": self.list_ids[audience],
            "merge_fields": {"FNAME": person.first_name, "LNAME": person.last_name,
                             "COMPANY": person.company_name or "", "BIRTHDAY": "", "SOCIAL": "",
                             "PHONE": (customer_id and self._phones.phone(person.country, person.phone)) or ""},
            "interests": {self._id(audience, name): rng.random() < 0.4 for name in INTERESTS[audience]},
            "ip_signup": f"203.0.113.{rng.randrange(1, 255)}" if is_form else "", "ip_opt": "",
            "timestamp_signup": as_text(at) if is_form else "", "timestamp_opt": "",
            "language": LANGUAGES.get(person.country, "en") if rng.random() < 0.7 else "", "vip": rng.random() < 0.02,
            "email_client": rng.choice(CLIENTS), "last_changed": as_text(at), "source": source,
            "location": _location(person.country if is_form else ""), "tags": [], "tags_count": 0,
        }  # fmt: skip
        if (audience, row["id"]) in self.members:
            return
        domain = person.email.rpartition("@")[2]
        member = Member(
            audience, row, person, customer_id, is_private=rng.random() < 0.3,
            is_scanned=audience == "cafes" and domain in SCANNED_DOMAINS, appetite=rng.betavariate(1.5, 2.2),
            ip=f"198.51.100.{rng.randrange(1, 255)}",
        )  # fmt: skip
        self.members[audience, row["id"]] = member
        self._ever.append(member)
        self._become(at, member, status)
        if status == "pending" and rng.random() < 0.75:
            self._at(at + timedelta(seconds=rng.expovariate(1 / 20000) + 30), self._confirm, member)

    def _become(self, at: datetime, member: Member, status: str, **changes: Any) -> None:
        """The member has another status from now on, and the day's books know it."""
        was = member.row["status"]
        if status == "subscribed":
            changes["timestamp_opt"] = as_text(at)
            member.row.pop("unsubscribe_reason", None)
        self._move(member.audience, was == "subscribed", status)
        member.row.update(status=status, last_changed=as_text(at), **changes)

    def _move(self, audience: str, was_subscribed: bool, status: str) -> None:
        if (status == "subscribed") != was_subscribed:
            self._moves[audience, "joined" if status == "subscribed" else status] += 1
            self._subscribed[audience] += 1 if status == "subscribed" else -1

    def _anyone(self, *statuses: str) -> Member | None:
        """Somebody with one of these statuses; nobody if none of many is one."""
        for _ in range(100 if len(self._ever) > 3 else 0):
            member = self.rng.choice(self._ever)
            if not member.is_erased and member.row["status"] in statuses:
                return member
        return None

    def _confirm(self, at: datetime, member: Member) -> None:
        if not member.is_erased and member.row["status"] == "pending":
            self._become(at, member, "subscribed", ip_opt=member.ip)

    def _unsubscribe(self, at: datetime, member: Member, reason: str) -> None:
        """The member leaves; some come back after weeks."""
        self._become(at, member, "unsubscribed", unsubscribe_reason=reason)
        if self.rng.random() < 0.15:
            self._at(at + timedelta(days=self.rng.uniform(10, 60)), self._return, member)

    def _return(self, at: datetime, member: Member) -> None:
        if not member.is_erased and member.row["status"] == "unsubscribed":
            self._become(at, member, "subscribed")

    def _leave(self, at: datetime) -> None:
        """Somebody leaves without a campaign, by the page of their preferences."""
        if member := self._anyone("subscribed"):
            self._unsubscribe(at, member, self.rng.choice(REASONS))

    def _archive(self, at: datetime) -> None:
        if member := self._anyone("subscribed", "unsubscribed", "transactional"):
            self._become(at, member, "archived")

    def _unarchive(self, at: datetime) -> None:
        if member := self._anyone("archived"):
            self._become(at, member, "subscribed")

    def _erase(self, at: datetime) -> None:
        """A permanent deletion: the member and what it did are gone without a trace."""
        if member := self._anyone("subscribed", "unsubscribed", "cleaned", "archived"):
            self._move(member.audience, member.row["status"] == "subscribed", "deleted")
            del self.members[member.audience, member.row["id"]]
            member.is_erased = True

    def _change_address(self, at: datetime) -> None:
        """A new address, and so a new id: the shop's, if the shop has another one, else one at another provider."""
        if member := self._anyone("subscribed", "unsubscribed"):
            old = member.row["email_address"].lower()
            new = self.company.person_of.get(member.customer_id, member.person).email
            if new == old:
                name, _, domain = old.partition("@")
                new = f"{name}@{self.rng.choice([other for other in MAIL_DOMAINS if other != domain])}"
            changed = _address(new)
            if (member.audience, changed["id"]) not in self.members:
                del self.members[member.audience, member.row["id"]]
                member.row.update(changed, last_changed=as_text(at))
                self.members[member.audience, member.row["id"]] = member

    def _retag(self, at: datetime) -> None:
        if member := self._anyone("subscribed"):
            names = sorted({tag["name"] for tag in member.row["tags"]} ^ {self.rng.choice(TAGS)})
            tags = [{"id": 100 + TAGS.index(name), "name": name} for name in names]
            member.row.update(tags=tags, tags_count=len(tags), last_changed=as_text(at))


def _address(email: str) -> Row:
    digest = md5(email.lower().encode()).hexdigest()
    return {"id": digest, "email_address": email, "unique_email_id": digest[::-1][:10]}


def _location(country: str) -> Row:
    return {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0, "country_code": country, "timezone": "",
            "region": ""}  # fmt: skip


def as_text(at: datetime) -> str:
    """A moment as Mailchimp writes it."""
    return at.isoformat(timespec="seconds")
