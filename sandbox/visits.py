"""Visits to the company's site and app, day by day: who comes, from where, what they do, and which machines come too.

A visitor is a browser or an app, with an anonymous id; some belong to customers of the shop, most to nobody we know. A
visit is a session by definition: its steps are at most 30 minutes apart, and visits of one visitor further.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sandbox.simulation import Row, Simulation
from sandbox.web_files import Archive, Log

SITE = "www.coffee.example"
VISITS, TRACKED = 25.0, 0.3  # visits per day at scale 1 without an order; share of the orders whose visit is tracked
RETURNING, APP, CONSENT = 0.4, 0.2, 0.7  # shares of visits, of visitors, of visitors whom GA4 may count
OFFLINE, SKEWED = 0.25, 0.04  # shares of the apps' visits without a network, of visitors with a wrong clock
CRAWLS, HEADLESS, CHECKS, UNREADABLE = 20.0, 0.5, 24, 0.1  # requests, visits, requests, and lines a day
APART, COOKIE_DAYS = timedelta(minutes=32), 90


class Channel(NamedTuple):
    """How a visit begins: GA4's name of it, how often, its referrer and its campaign parameters."""

    name: str
    weight: int
    referrer: str = ""
    campaign: dict[str, str] = {}


def _campaign(source: str, medium: str, name: str) -> dict[str, str]:
    return {"source": source, "medium": medium, "name": name}


DIRECT = Channel("Direct", 22)
CHANNELS = [
    DIRECT,
    Channel("Organic Search", 24, "https://www.google.com/"),
    Channel("Organic Search", 4, "https://duckduckgo.com/"),
    Channel("Paid Search", 10, "https://www.google.com/", _campaign("google", "cpc", "brand")),
    Channel("Email", 12, "", _campaign("newsletter", "email", "weekly")),
    Channel("Organic Social", 7, "https://l.instagram.com/"),
    Channel("Paid Social", 5, "https://m.facebook.com/", _campaign("facebook", "paid_social", "spring")),
    Channel("Referral", 6, "https://coffeeblog.example/best-beans"),
    Channel("Affiliates", 3, "https://beanfinder.example/", _campaign("beanfinder", "affiliate", "partners")),
    Channel("Organic Video", 3, "https://www.youtube.com/"),
    Channel("Display", 2, "https://news.example/", _campaign("adnet", "banner", "winter")),
    Channel("Unassigned", 2, "", _campaign("flyer", "print", "fair")),
]
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) {}Chrome/141.0.0.0{} Safari/537.36"
BROWSERS = {  # what a browser calls itself, and how many have it
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME.format('', '')}": 40,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1": 30,
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0": 18,
    f"Mozilla/5.0 (Linux; Android 15; K) {CHROME.format('', ' Mobile')}": 12,
}
APPS = {"Android": ("analytics-kotlin", "1.19.0"), "iOS": ("analytics-swift", "1.7.3")}
CRAWLERS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
]
SCRIPTED = f"Mozilla/5.0 (X11; Linux x86_64) {CHROME.format('Headless', '')}"
MONITOR = "UptimeMonitor/3.1 (+https://monitor.example)"
PAGES = ["/", "/coffee", "/machines", "/journal", "/visit-us"]


@dataclass(eq=False)
class Visitor:
    """A browser or an app. `skew`: how far its clock is off. `busy`: when it was used last, from and until."""

    anonymous_id: str
    agent: str
    os: str | None  # of an app
    ip: str
    may_be_counted: bool
    skew: timedelta
    user_id: str | None = None
    busy: tuple[datetime, datetime] | None = None

    def is_free(self, begin: datetime, end: datetime) -> bool:
        """Whether a visit then would be one of its own."""
        return self.busy is None or end + APART < self.busy[0] or begin > self.busy[1] + APART


class Step(NamedTuple):
    """One call: when (UTC), its type (page, screen, track), the path or the event's name, and when it arrives."""

    at: datetime
    type: str
    name: str
    arrives_on: date


@dataclass(eq=False)
class Visit:
    """A true session, as its calls tell it; those that identify somebody are none of its steps."""

    visitor: Visitor
    channel: Channel
    is_bot: bool
    order_id: int | None
    steps: list[Step] = field(default_factory=list)


class Visits:
    """Follows the company day by day. `visits` is the truth, `archive` and `log` what is written of it."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"visits {company.seed}")
        self.visits: list[Visit] = []
        self.archive, self.log = Archive(self.rng), Log()
        self._visitors: list[Visitor] = []  # who may come again
        self._own: dict[int, Visitor] = {}  # by customer
        self._number, self._due = 0, Counter[str]()

    def day(self) -> None:
        """Lives through the company's today."""
        scale = self.company.scale
        for order in self.company.web_orders:
            if self.rng.random() < TRACKED:
                self._come_to_order(order)
        for _ in range(self._many("visits", VISITS * scale)):
            self._come_by()
        for _ in range(self._many("scripted", max(0.1, HEADLESS * scale))):
            at = self._moment()
            steps = [(at + timedelta(seconds=number), "page", path) for number, path in enumerate(PAGES)]
            self._visit(self._visitor(SCRIPTED), DIRECT, steps)
        for _ in range(self._many("crawls", CRAWLS * scale)):
            path = self.rng.choice([*PAGES, "/robots.txt", f"/coffee/{self.rng.randint(1, 40)}"])
            status = 404 if path.startswith("/coffee/") and int(path[8:]) > 12 else 200
            self.log.add(self._moment(), "203.0.113.9", f"GET {path}", status, "", self.rng.choice(CRAWLERS), "bot")
        for number in range(CHECKS):
            self.log.add(self._moment(3600 * number), "192.0.2.1", "HEAD /", 200, "", MONITOR, "bot")
        for _ in range(self._many("unreadable", UNREADABLE)):
            self.log.add_broken(self._moment())
        self.archive.end(self.company.today)
        self.log.end(self.company.today)

    def truth(self) -> dict[str, Any]:
        """Files of the truth as far as it has arrived: web_sessions.csv has every visit, web_files.json what lines the
        archive and the logs have, log_days.csv the readable lines of the logs by day and kind."""
        today = self.company.today
        days = sorted({day for day, _ in self.log.counts if day < today})
        return {
            "web_sessions.csv": (row for visit in self.visits if (row := _session(visit, today))),
            "web_files.json": {"broken_events": self.archive.broken, "broken_requests": self.log.broken},
            "log_days.csv": (
                {"day": day} | {kind: self.log.counts[day, kind] for kind in ("page", "asset", "order", "bot")}
                for day in days
            ),
        }

    def _many(self, what: str, per_day: float) -> int:
        self._due[what] += per_day
        number = int(self._due[what])
        self._due[what] -= number
        return number

    def _moment(self, seconds: int | None = None) -> datetime:
        seconds = self.rng.randrange(7200, 86_000) if seconds is None else seconds
        return datetime.combine(self.company.today, time(), UTC) + timedelta(seconds=seconds)

    def _id(self) -> str:
        self._number += 1
        return f"{self.rng.getrandbits(64):016x}-{self._number}"

    def _visitor(self, agent: str | None = None) -> Visitor:
        rng = self.rng
        is_app = agent is None and rng.random() < APP
        is_skewed = agent is None and rng.random() < SKEWED
        ip = f"198.51.100.{rng.randrange(256)}" if rng.random() < 0.8 else f"2001:db8:{rng.randrange(1, 9999):x}::1"
        return Visitor(
            self._id(), agent or rng.choices(list(BROWSERS), list(BROWSERS.values()))[0],
            rng.choice(list(APPS)) if is_app else None, ip, agent is None and rng.random() < CONSENT,
            timedelta(minutes=rng.choice([-1, 1]) * rng.randint(90, 2880) if is_skewed else 0),
        )  # fmt: skip

    def _stranger(self) -> Visitor:
        visitor = self._visitor()
        self._visitors.append(visitor)
        if len(self._visitors) > COOKIE_DAYS * VISITS * self.company.scale + 50:
            del self._visitors[: len(self._visitors) // 4]  # they do not come back
        return visitor

    def _come_to_order(self, order: Row) -> None:
        """The visit that ends with an order, by the customer's own browser or another one."""
        rng, at, customer = self.rng, order["ordered_at"], order["customer_id"]
        plan = [("page", f"/coffee/{rng.randint(1, 12)}") for _ in range(rng.randint(1, 4))]
        plan += [("track", "Product Added"), ("page", "/cart"), ("track", "Checkout Started")]
        steps = [(at, "track", "Order Completed")]
        for kind, name in reversed(plan):
            steps.insert(0, (steps[0][0] - timedelta(seconds=rng.randint(5, 240)), kind, name))
        visitor = self._own.get(customer) if rng.random() < 0.8 else None
        if visitor is None or not visitor.is_free(steps[0][0], at):
            visitor = self._stranger()
            if customer:
                self._own.setdefault(customer, visitor)
        self._visit(visitor, self._channel(visitor), steps, order)

    def _come_by(self) -> None:
        rng, at, steps = self.rng, self._moment(), []
        for _ in range(rng.choices([1, 2, 3, 5, 8], [34, 22, 20, 14, 10])[0]):
            path = rng.choice(PAGES) if rng.random() < 0.5 else f"/coffee/{rng.randint(1, 12)}"
            steps.append((at, "page", path))
            if rng.random() < 0.08:
                at += timedelta(seconds=rng.randint(3, 60))
                steps.append((at, "track", "Product Added"))
            at += timedelta(seconds=rng.choice([4, 15, 40, 90, 300, 1500]) + rng.randrange(3))
        known = rng.sample(self._visitors, min(3, len(self._visitors))) if rng.random() < RETURNING else []
        free = [visitor for visitor in known if visitor.is_free(steps[0][0], at)]
        visitor = free[0] if free else self._stranger()
        self._visit(visitor, self._channel(visitor), steps)

    def _channel(self, visitor: Visitor) -> Channel:
        return DIRECT if visitor.os else self.rng.choices(CHANNELS, [channel.weight for channel in CHANNELS])[0]

    def _visit(
        self, visitor: Visitor, channel: Channel, steps: Iterable[tuple[datetime, str, str]], order: Row | None = None
    ) -> None:
        """Writes the steps of a visit to the archive and, of a browser, to the web server's log."""
        steps = sorted(steps)
        begin, end = steps[0][0], steps[-1][0]
        visitor.busy = begin, end
        is_offline = visitor.os is not None and self.rng.random() < OFFLINE
        back = end + timedelta(minutes=self.rng.randint(60, 4000))  # when it has a network again
        visit = Visit(visitor, channel, visitor.agent == SCRIPTED, order and order["order_id"])
        url, referrer, landing = "", channel.referrer, channel.campaign
        for at, kind, name in steps:
            waits = back - at if is_offline else timedelta()
            if name == "Checkout Started" and order["customer_id"] and not visitor.user_id:
                visitor.user_id = str(order["customer_id"])
                call = {"type": "identify", "traits": {"language": "en"}}
                self._call(visitor, call, url, "", {}, at - timedelta(seconds=1), waits)
            if kind == "track":
                call = {"type": "track", "event": name, "properties": self._properties(order, name)}
            elif visitor.os:
                call, kind = {"type": "screen", "name": name}, "screen"
            else:
                query = "?" + urlencode({_utm(key): value for key, value in landing.items()}) if landing else ""
                url, referrer = f"https://{SITE}{name}{query}", url or referrer
                call = {"type": "page", "name": name, "properties": {"url": url, "path": name, "referrer": referrer}}
                self._requests(at, visitor, name + query, referrer, url, visit.is_bot)
            if name == "Order Completed" and not visitor.os:
                self.log.add(at, visitor.ip, "POST /checkout", 303, url, visitor.agent, "order")
            arrives_on = self._call(visitor, call, url, referrer, landing, at, waits)
            visit.steps.append(Step(at, kind, name, arrives_on))
            landing = {} if kind != "track" else landing
        self.visits.append(visit)

    def _properties(self, order: Row | None, event: str) -> Row:
        if event == "Product Added":
            return {"sku": f"COF-{self.rng.randint(1, 9):02d}-250", "quantity": 1}
        order_total, currency = str(order["order_total"]), order["currency"].strip().upper()
        return {"order_id": str(order["order_id"]), "total": order_total, "currency": currency}

    def _requests(self, at: datetime, visitor: Visitor, path: str, referrer: str, url: str, is_bot: bool) -> None:
        kinds = ("bot", "bot") if is_bot else ("page", "asset")
        self.log.add(at, visitor.ip, f"GET {path}", 200, referrer, visitor.agent, kinds[0])
        self.log.add(at, visitor.ip, "GET /static/shop.js", 200, url, visitor.agent, kinds[1])

    def _call(
        self, visitor: Visitor, call: Row, url: str, referrer: str, campaign: Row, at: datetime, waits: timedelta
    ) -> date:
        """Sends a call to the archive; returns the day on which it arrives."""
        if visitor.os:
            library, version = APPS[visitor.os]
            context = {"app": {"name": "Catchment Coffee", "version": "3.2.0"}, "os": {"name": visitor.os},
                       "device": {"type": visitor.os.lower()},
                       "library": {"name": library, "version": version}}  # fmt: skip
        else:
            path = url.removeprefix(f"https://{SITE}").partition("?")[0]
            context = {"page": {"url": url, "path": path, "referrer": referrer}, "userAgent": visitor.agent,
                       "library": {"name": "analytics.js", "version": "2.11.1"}}  # fmt: skip
            context |= {"campaign": campaign} if campaign else {}
        who = {"messageId": self._id(), "anonymousId": visitor.anonymous_id, "userId": visitor.user_id}
        context |= {"ip": visitor.ip, "locale": "en-GB"}
        return self.archive.add({**who, **call, "context": context}, at, waits, visitor.skew)


def _utm(key: str) -> str:
    return f"utm_{'campaign' if key == 'name' else key}"


def _session(visit: Visit, today: date) -> Row | None:
    """The row of the truth: what had arrived before `today`; None if that is nothing."""
    steps = [step for step in visit.steps if step.arrives_on < today]
    if not steps:
        return None
    kinds = Counter(step.type for step in steps)
    return {
        "anonymous_id": visit.visitor.anonymous_id, "started_at": steps[0].at, "ended_at": steps[-1].at,
        "channel": visit.channel.name, "pages": kinds["page"], "screens": kinds["screen"], "tracks": kinds["track"],
        "is_bot": visit.is_bot, "is_app": visit.visitor.os is not None,
        "may_be_counted": visit.visitor.may_be_counted,
        "order_id": visit.order_id if any(step.name == "Order Completed" for step in steps) else None,
    }  # fmt: skip
