"""What Google Analytics 4 counts of the company's visits: those of people who agreed to it, and of no machine.

Of some visits it knows a day or two late, so that the figures of the last 72 hours still grow. Amounts are told in
euros, by the shop's own price book.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sandbox.simulation import Row, Simulation
from sandbox.visits import BROWSERS, SITE, Channel, Visit
from sandbox.vocabulary import COFFEES, COUNTRIES, PRICE_BOOK

TIME_ZONE, CURRENCY = "Europe/Berlin", "EUR"
LATE = [0, 0, 0, 0, 1, 2]  # by how many days GA4 knows late of a visit
NOT_SET = "(not set)"
EVENTS = {"page": "page_view", "screen": "screen_view", "Product Added": "add_to_cart",
          "Checkout Started": "begin_checkout", "Order Completed": "purchase"}  # fmt: skip
ITEM_METRICS = {"page_view": "itemsViewed", "screen_view": "itemsViewed", "add_to_cart": "itemsAddedToCart",
                "purchase": "itemsPurchased"}  # fmt: skip
DEVICES = dict(zip(
    BROWSERS,
    [("desktop", "Windows", "Chrome"), ("mobile", "iOS", "Safari"), ("desktop", "Macintosh", "Firefox"),
     ("mobile", "Android", "Chrome")],
    strict=True,
))  # fmt: skip
PLACES = [(country, city) for country, facts in COUNTRIES.items() for city, _ in facts.cities]


class CountedVisits:
    """Follows the company's visits day by day, with chance of its own."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"counted visits {company.seed}")
        self._seen, self._sessions = 0, list[Row]()
        self._users: dict[str, tuple[int, int]] = {}  # visitor -> number and place

    def day(self) -> None:
        """Lives through the company's today, after its visits."""
        visits = self.company.visits.visits
        self._sessions += [self._session(visit) for visit in visits[self._seen :] if visit.visitor.may_be_counted]
        self._seen = len(visits)

    def tables(self) -> dict[str, Any]:
        """The sessions, as `properties` takes them."""
        return {"property_id": property_id(self.company.seed), "sessions": self._sessions}

    def _session(self, visit: Visit) -> Row:
        visitor, steps = visit.visitor, visit.steps
        is_new = visitor.anonymous_id not in self._users
        user = self._users.setdefault(visitor.anonymous_id, (len(self._users), self.rng.randrange(len(PLACES))))
        known_on = max(steps[0].at.date() + timedelta(days=self.rng.choice(LATE)), *(step.arrives_on for step in steps))
        start, hits = int(steps[0].at.timestamp()), []
        for step in steps:
            event = EVENTS.get(step.name) or EVENTS[step.type]
            bought = self._bought(visit.order_id) if event == "purchase" else ()
            hits.append((int(step.at.timestamp()) - start, event, step.name if step.type != "track" else "", *bought))
        device = DEVICES[visitor.agent] if not visitor.os else ("mobile", visitor.os, NOT_SET)
        return {
            "user": user[0], "is_new": is_new, "known_on": str(known_on), "start": start,
            "platform": visitor.os or "web", "source": (visit.channel.name, *_source(visit.channel)),
            "device": device, "place": PLACES[user[1]], "hits": hits,
        }  # fmt: skip

    def _bought(self, order_id: int) -> tuple[float, list[tuple[str, str, int, float]]]:
        """What an order brings in, in euros, and its articles."""
        order, products = self.company.shop["orders"][order_id], self.company.shop["products"]
        level = Decimal(PRICE_BOOK[order["currency"].strip().upper()])
        items = [item for item in self.company._items_of[order_id] if item["product_id"] in products]
        bought = [
            (products[item["product_id"]]["sku"], products[item["product_id"]]["product_name"], item["quantity"],
             float(round(item["quantity"] * (item["unit_price"] - item["unit_discount"]) / level, 2)))
            for item in items
        ]  # fmt: skip
        return float(round(order["order_total"] / level, 2)), bought


def _source(channel: Channel) -> tuple[str, str, str]:
    """Source, medium and campaign, as GA4 makes them out."""
    if channel.campaign:
        return channel.campaign["source"], channel.campaign["medium"], channel.campaign["name"]
    host = urlsplit(channel.referrer).netloc.removeprefix("www.")
    if not host:
        return "(direct)", "(none)", "(direct)"
    if channel.name == "Organic Search":
        return host.partition(".")[0], "organic", "(organic)"
    return host, "referral", "(referral)"


def property_id(seed: int) -> str:
    """The number of the company's property."""
    return str(312_340_000 + seed)


def properties(tables: dict[str, Any]) -> dict[str, Row]:
    """The company's property for the server: its hits by day, each with its dimensions and what it adds to metrics."""
    days = defaultdict(list)
    for session in tables["sessions"]:
        for hit in _hits(session):
            days[hit.pop("date")].append(hit)
    return {tables["property_id"]: {"time_zone": TIME_ZONE, "currency": CURRENCY, "days": days}}


def _hits(session: Row) -> list[Row]:
    zone, hits, page, coffee = ZoneInfo(TIME_ZONE), [], NOT_SET, 1
    views = [hit for hit in session["hits"] if hit[2]]
    seconds, is_key = session["hits"][-1][0], any(event == "purchase" for _, event, *_ in session["hits"])
    whole = dict(zip(
        ("sessionDefaultChannelGroup", "sessionSource", "sessionMedium", "sessionCampaignName", "deviceCategory",
         "operatingSystem", "browser", "countryId", "city"),
        (*session["source"], *session["device"], *session["place"]), strict=True,
    ))  # fmt: skip
    is_web = session["platform"] == "web"
    whole |= {"platform": session["platform"], "hostName": SITE if is_web else NOT_SET}
    whole["landingPage"] = views[0][2] if is_web and views else NOT_SET
    first = {"sessions": 1, "engagedSessions": int(seconds >= 10 or len(views) > 1 or is_key),
             "userEngagementDuration": seconds, "newUsers": int(session["is_new"])}  # fmt: skip

    def add(offset: int, event: str, metrics: Row, **dimensions: str) -> None:
        day = datetime.fromtimestamp(session["start"] + offset, UTC).astimezone(zone).date()
        hits.append({
            "date": str(day), "user": session["user"], "known_on": session["known_on"], "metrics": metrics,
            "dimensions": {**whole, "eventName": event, "unifiedPagePathScreen": page, **dimensions},
        })  # fmt: skip

    for event in ["first_visit"] * session["is_new"] + ["session_start"]:
        add(0, event, {"eventCount": 1, **(first if event == "session_start" else {})})
    for offset, event, view, *bought in session["hits"]:
        page, is_coffee = view or page, view.startswith("/coffee/")
        coffee = int(view.removeprefix("/coffee/")) if is_coffee else coffee
        revenue, items = bought or (0.0, [])
        if is_coffee or event == "add_to_cart":
            items = [(f"COF-{coffee:02d}-250", f"{COFFEES[coffee - 1]} 250 g", 1, 0.0)]
        add(offset, event, {"eventCount": 1, "screenPageViews": int(bool(view)), "keyEvents": int(bool(bought)),
                            "totalRevenue": revenue, "eventValue": revenue})  # fmt: skip
        for item_id, name, quantity, amount in items:
            metrics = {ITEM_METRICS[event]: quantity, "itemRevenue": amount}
            add(offset, event, metrics, itemId=item_id, itemName=name)
    return hits
