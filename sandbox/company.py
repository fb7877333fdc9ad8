"""The stand-in company: roasts and packs coffee, sells it with espresso machines in a web shop and by resellers.

One seeded simulation knows the true people and keeps every system's own view of them. The state at a clock depends on
seed, scale, dirt and clock alone, so that moving the clock on is to simulate again and to take the difference.
"""

import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from sandbox.claims import Claims
from sandbox.counted_visits import CountedVisits
from sandbox.crm import Crm
from sandbox.devices import Devices
from sandbox.dirt import RATE, Dirt
from sandbox.handles import Handles
from sandbox.newsletters import Newsletters
from sandbox.orders import Orders
from sandbox.papers import Papers
from sandbox.photos import Photos
from sandbox.planning import Planning
from sandbox.simulation import FIRST_DAY, Person, Row
from sandbox.social import Social
from sandbox.stock import Stock
from sandbox.visits import Visits
from sandbox.vocabulary import COUNTRIES, DECIMALS, PRICE_BOOK, Country

CLOCK = date(2026, 10, 1)  # where a new sandbox's clock stands, at midnight UTC: all data lies before it

# Per day at scale 1. Rare events happen every 20 days at least, so that small sandboxes have them too.
CUSTOMERS, FOUNDING_CUSTOMERS, ORDERS, PARTNER_ORDERS = 4.0, 780, 62.0, 12.0
CUSTOMER_CHANGES, CUSTOMER_DELETES, ITEM_DELETES, PRODUCT_CHANGES = 3.0, 0.5, 0.5, 0.25
SEASON = [0.85, 0.9, 0.95, 0.95, 0.95, 0.9, 0.85, 0.85, 1.0, 1.05, 1.25, 1.5]  # January to December
RESELLERS = {"kaffeekontor": "DE", "roast_and_co": "GB", "maison_du_grain": "FR", "kissa_trading": "JP"}
BROKEN = ["ragged", "text_in_quantity", "impossible_date"]


class PartnerLine(NamedTuple):
    """One line of a reseller's file, in the order of reporting; `broken` names what is wrong with it."""

    reseller: str
    values: Row
    broken: str | None


class Company(Orders):
    """The company up to `today`: the shop's tables and the resellers' lines, and who is behind them.

    `crm`, `newsletters`, `visits`, `social`, `handles`, `devices`, `claims`, `photos`, `papers`, `stock` and `planning`
    follow the company day by day, each with chance of its own: the shop knows nothing of them.
    """

    def __init__(self, seed: int = 1, scale: float = 1.0, dirt: float = RATE) -> None:
        super().__init__(seed, scale, dirt)
        self.partner_lines: list[PartnerLine] = []
        self._phones = Dirt(random.Random(f"phones {seed}"), dirt)  # so that all else is as without them
        self.partner_person_of: dict[tuple[str, str], Person] = {}  # by reseller and order number
        self._fill_catalogue()
        for number in range(max(10, round(FOUNDING_CUSTOMERS * scale))):  # they moved over from an older shop
            self._welcome(3600 + number)
        self.crm, self.newsletters, self.social = Crm(self), Newsletters(self), Social(self)
        self.handles = Handles(self)
        self.visits, self.counted_visits = Visits(self), CountedVisits(self)
        self.devices, self.claims = Devices(self), Claims(self)
        self.photos, self.papers = Photos(self), Papers(self)
        self.stock, self.planning = Stock(self), Planning(self)

    def run(self, until: date) -> "Company":
        """Simulates every day before `until`; returns itself."""
        while self.today < until:
            self._day()
            self.crm.day()
            self.newsletters.day()
            self.visits.day()
            self.counted_visits.day()
            self.social.day()
            self.handles.day()
            self.devices.day()
            self.claims.day()
            self.photos.day()
            self.papers.day()
            self.stock.day()
            self.planning.day()
            self.today += timedelta(days=1)
        return self

    def _day(self) -> None:
        self.web_orders = []
        for action, *arguments in self._agenda.pop(self.today, []):
            action(*arguments)
        traffic = SEASON[self.today.month - 1] * (1.2 if self.today.weekday() < 5 else 0.5)
        for at in sorted(self._time() for _ in range(self._due("orders", ORDERS * traffic))):
            self._order(at)
        self._happen(PARTNER_ORDERS, self._partner_order, at_least=1.0)
        self._happen(CUSTOMER_CHANGES, self._change_customer, at_least=0.05)
        self._happen(ITEM_DELETES, self._delete_item, at_least=0.05)
        self._happen(CUSTOMER_DELETES, self._delete_customer, at_least=0.05)
        self._happen(PRODUCT_CHANGES / self.scale, self._change_product)  # the catalogue has one size
        self._happen(CUSTOMERS, self._welcome)

    def _happen(self, per_day: float, event: Callable[[], None], at_least: float = 0.0) -> None:
        for _ in range(self._due(event.__name__, per_day, at_least)):
            event()

    def _welcome(self, seconds: int | None = None) -> None:
        customer = self._sign_up(self._time(seconds))
        if self.rng.random() < 0.12:
            self._subscribe(customer)

    def _partner_order(self) -> None:
        """One order at a reseller, by somebody the shop may know as well; some are reported late."""
        reseller = self.rng.choice(list(RESELLERS))
        country = RESELLERS[reseller]
        known = [person for person in self.rng.choices(self.people, k=6) if person.country == country]
        person = known[0] if known and self.rng.random() < 0.5 else self._person(country)
        ordered_on = self.today
        if self.dirt.pick("late_partner_order"):
            ordered_on = max(FIRST_DAY, self.today - timedelta(days=self.rng.randint(1, 5)))
        elif self.today.day == 1 and self.rng.random() < 0.5:  # the old month's file is complete a day late
            ordered_on = max(FIRST_DAY, self.today - timedelta(days=1))
        customer = {"ordered_on": ordered_on, "customer_email": self.dirt.email(person.email),
                    "customer_name": self.dirt.name(f"{person.first_name} {person.last_name}"),
                    "customer_phone": self._phones.phone(country, person.phone),
                    "country": self.dirt.country(country)}  # fmt: skip
        number = self._partner_order_number(reseller)
        self.partner_person_of[reseller, number] = person
        for line_number in range(1, self.rng.choices([2, 3, 4], [60, 30, 10])[0]):
            line = self._partner_line(number, line_number, customer, COUNTRIES[country])
            self.partner_lines.append(PartnerLine(reseller, line, None))
        if self.dirt.pick("broken_line"):
            line = self._partner_line(self._partner_order_number(reseller), 1, customer, COUNTRIES[country])
            self.partner_lines.append(PartnerLine(reseller, line, BROKEN[self.dirt.hits["broken_line"] % len(BROKEN)]))

    def _partner_order_number(self, reseller: str) -> str:
        self._numbers[reseller] += 1
        return f"{''.join(word[0] for word in reseller.split('_')).upper()}-{self._numbers[reseller]:06d}"

    def _partner_line(self, number: str, line_number: int, customer: Row, facts: Country) -> Row:
        digits = DECIMALS.get(facts.currency, 2)
        product = self.rng.choice([p for p in self.shop["products"].values() if p["category"] != "spare parts"])
        quantity = self.rng.randint(1, 6)
        price = round(self._price(product, facts.currency) * Decimal("1.05"), digits)
        shipping = round(Decimal("6.50") * Decimal(PRICE_BOOK[facts.currency]), digits)
        return {
            "order_number": number, "line_number": line_number, **customer,
            "sku": product["sku"], "product_name": product["product_name"], "quantity": quantity, "unit_price": price,
            "currency": self.dirt.currency(facts.currency),
            "tax_amount": round(quantity * price * facts.tax_rate, digits),
            "shipping_amount": shipping if line_number == 1 else Decimal(0),
        }  # fmt: skip
