"""The ground of the simulation: a day that moves on, chance from one seed, an agenda, the true people, and tables."""

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from sandbox.dirt import RATE, Dirt
from sandbox.vocabulary import CAFE_NAMES, COUNTRIES, MAIL_DOMAINS

FIRST_DAY = date(2025, 10, 1)
# The shop's tables, each after those it refers to, and their keys.
KEYS = {
    "customers": "customer_id", "addresses": "address_id", "products": "product_id", "orders": "order_id",
    "order_items": "order_item_id", "payments": "payment_id", "refunds": "refund_id",
    "subscriptions": "subscription_id",
}  # fmt: skip

Row = dict[str, Any]


class Person(NamedTuple):
    """A true customer, as nobody but the generator knows them. `phone`: national number without trunk prefix."""

    person_id: int
    first_name: str
    last_name: str
    country: str
    email: str
    phone: str
    company_name: str | None


class Simulation:
    """Days, people and the shop's tables: `shop` is {table: {key: row}}, a row in the order of the table's columns."""

    def __init__(self, seed: int, scale: float, dirt: float = RATE) -> None:
        self.seed, self.scale, self.today = seed, scale, FIRST_DAY
        self.rng = random.Random(seed)
        self.dirt = Dirt(self.rng, dirt)
        self.people: list[Person] = []
        self.shop: dict[str, dict[int, Row]] = {table: {} for table in KEYS}
        self.deleted: dict[str, list[int]] = defaultdict(list)  # keys by table
        self._numbers: Counter[str] = Counter()
        self._due_so_far: Counter[str] = Counter()
        self._agenda: dict[date, list[tuple]] = defaultdict(list)

    def _due(self, event: str, per_day: float, at_least: float = 0.0) -> int:
        """How many of an event happen today: fractions add up over the days, no chance involved."""
        self._due_so_far[event] += max(per_day * self.scale, at_least)
        number = int(self._due_so_far[event])
        self._due_so_far[event] -= number
        return number

    def _time(self, seconds: int | None = None) -> datetime:
        """A moment of today: `seconds` after midnight UTC, or at random between 02:00 and 23:53."""
        seconds = self.rng.randrange(7200, 86000) if seconds is None else seconds
        return datetime.combine(self.today, time(), UTC) + timedelta(seconds=seconds)

    def _later(self, days: tuple[int, int], action: Callable, *arguments: Any) -> None:
        self._agenda[self.today + timedelta(days=self.rng.randint(*days))].append((action, *arguments))

    def _add(self, table: str, **values: Any) -> Row:
        self._numbers[table] += 1
        row = {KEYS[table]: self._numbers[table], **values}
        self.shop[table][self._numbers[table]] = row
        return row

    def _touch(self, row: Row, at: datetime | None = None, **changes: Any) -> datetime:
        """Changes a row; its updated_at always moves forward."""
        at = max(at or self._time(), row["updated_at"] + timedelta(seconds=1))
        row.update(changes, updated_at=at)
        return at

    def _delete(self, table: str, row: Row) -> None:
        del self.shop[table][row[KEYS[table]]]
        self.deleted[table].append(row[KEYS[table]])

    def _person(self, country: str | None = None) -> Person:
        person = invent(self.rng, len(self.people) + 1, country)
        self.people.append(person)
        return person


def invent(rng: random.Random, number: int, country: str | None = None) -> Person:
    """The person of this number: any name and country, a mailbox and a phone that nobody else has."""
    if country is None:
        country = rng.choices(list(COUNTRIES), [facts.weight for facts in COUNTRIES.values()])[0]
    facts = COUNTRIES[country]
    first, last = rng.choice(facts.first_names), rng.choice(facts.last_names)
    smallest = 2 * 10 ** (facts.phone_digits - 1)
    phone = f"{facts.phone_area}{smallest + number * 48271 % (4 * smallest)}"  # no two people share a number
    spelled = unicodedata.normalize("NFKD", f"{first}.{last}".lower().replace("ß", "ss"))
    plain = "".join(letter for letter in spelled if letter.isascii() and letter not in " '")
    company = None
    if rng.random() < 0.12:
        company = f"{rng.choice(CAFE_NAMES)} {rng.choice(facts.cities)[0]}"
    email = f"{plain.strip('.') or 'hello'}{number}@{rng.choice(MAIL_DOMAINS)}"
    return Person(number, first, last, country, email, phone, company)
