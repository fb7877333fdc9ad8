"""The stand-in company: roasts and packs coffee, sells it with espresso machines in a web shop and through resellers.

One seeded simulation, day by day, knows the true people and keeps every system's own view of them. The state at a
clock depends on seed, scale and clock alone, so that moving the clock on is to simulate again and take the difference.
"""

import random
import unicodedata
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sandbox.dirt import Dirt
from sandbox.vocabulary import (
    CAFE_NAMES,
    COFFEES,
    COUNTRIES,
    DECIMALS,
    GOODS,
    MAIL_DOMAINS,
    PACKS,
    PRICE_BOOK,
    REFUND_REASONS,
    Country,
)

FIRST_DAY = date(2025, 10, 1)
CLOCK = date(2026, 10, 1)  # where a new sandbox's clock stands: midnight UTC, all data lies before it

# Per day at scale 1. Rare events happen at least every 20 days at any scale, so that small sandboxes have them too.
CUSTOMERS, FOUNDING_CUSTOMERS, ORDERS, PARTNER_ORDERS = 4.0, 780, 62.0, 12.0
CUSTOMER_CHANGES, CUSTOMER_DELETES, ITEM_DELETES, PRODUCT_CHANGES = 3.0, 0.5, 0.5, 0.25
SEASON = [0.85, 0.9, 0.95, 0.95, 0.95, 0.9, 0.85, 0.85, 1.0, 1.05, 1.25, 1.5]  # January to December
RESELLERS = {"kaffeekontor": "DE", "roast_and_co": "GB", "maison_du_grain": "FR", "kissa_trading": "JP"}
KEYS = {  # the shop's tables, each after those it refers to, and their keys
    "customers": "customer_id",
    "addresses": "address_id",
    "products": "product_id",
    "orders": "order_id",
    "order_items": "order_item_id",
    "payments": "payment_id",
    "refunds": "refund_id",
    "subscriptions": "subscription_id",
}
POPULARITY = {"coffee": 10, "machines": 0.5, "grinders": 1, "accessories": 4, "spare parts": 1.5}
BROKEN = ["ragged", "text_in_quantity", "impossible_date"]

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


class PartnerLine(NamedTuple):
    """One line of a reseller's file, in the order of reporting; `broken` names what is wrong with it."""

    reseller: str
    values: Row
    broken: str | None


class Company:
    """The company up to a day. `shop` holds the shop's tables: {table: {key: row}}, rows in the table's columns."""

    def __init__(self, seed: int = 1, scale: float = 1.0) -> None:
        self.rng, self.scale = random.Random(seed), scale
        self.dirt = Dirt(self.rng)
        self.today = FIRST_DAY
        self.shop: dict[str, dict[int, Row]] = {table: {} for table in KEYS}
        self.partner_lines: list[PartnerLine] = []
        self.people: list[Person] = []
        self.person_of: dict[int, Person] = {}  # by customer_id, also of deleted customers
        self.partner_person_of: dict[tuple[str, str], Person] = {}  # by reseller and order number
        self.late_orders: list[int] = []
        self.deleted: dict[str, list[int]] = defaultdict(list)
        self._numbers: Counter[str] = Counter()
        self._due_so_far: Counter[str] = Counter()
        self._agenda: dict[date, list[tuple]] = defaultdict(list)
        self._customer_pool: list[int] = []  # businesses several times: they order more
        self._addresses_of: dict[int | None, list[Row]] = defaultdict(list)
        self._items_of: dict[int, list[Row]] = defaultdict(list)
        self._payments_of: dict[int, list[Row]] = defaultdict(list)
        self._country_of: dict[int, str] = {}  # of an order
        self._pending: dict[int, Row] = {}  # orders on invoice
        self._found()

    def run(self, until: date) -> "Company":
        """Simulates every day before `until`; returns itself."""
        while self.today < until:
            self._day()
            self.today += timedelta(days=1)
        return self

    # -- the days

    def _found(self) -> None:
        """Day one: the catalogue, and the customers that moved over from the old shop."""
        at = self._time(0, 3600)
        catalogue = [
            (f"COF-{n:02d}-{pack}", f"{coffee} {size}", "coffee", Decimal(price) + Decimal(n) / 2, int(pack))
            for n, coffee in enumerate(COFFEES, 1)
            for pack, size, price in PACKS
        ] + [(sku, name, category, Decimal(price), weight) for sku, name, category, price, weight in GOODS]
        for sku, name, category, price, weight in catalogue:
            cost = None if self.dirt.pick("cost_missing") else round(price * Decimal("0.55"), 2)
            self._add("products", sku=sku, product_name=name, category=category, currency="EUR", list_price=price,
                      unit_cost=cost, weight_grams=weight, is_active=True, created_at=at, updated_at=at)  # fmt: skip
        for _ in range(round(FOUNDING_CUSTOMERS * self.scale)):
            self._sign_up(self._time(3600, 7200))

    def _day(self) -> None:
        for action, *arguments in self._agenda.pop(self.today, []):
            action(*arguments)
        orders = self._due(
            "orders", ORDERS * SEASON[self.today.month - 1] * (1.2 if self.today.weekday() < 5 else 0.5)
        )
        for seconds in sorted(self.rng.randrange(7200, 86000) for _ in range(orders)):
            self._order(self._time(seconds))
        for _ in range(self._due("partner_orders", PARTNER_ORDERS, at_least=0.5)):
            self._partner_order()
        for name, per_day, change in (
            ("customer_changes", CUSTOMER_CHANGES, self._change_customer),
            ("item_deletes", ITEM_DELETES, self._delete_item),
            ("customer_deletes", CUSTOMER_DELETES, self._delete_customer),
        ):
            for _ in range(self._due(name, per_day, at_least=0.05)):
                change()
        for _ in range(
            self._due("product_changes", PRODUCT_CHANGES / self.scale)
        ):  # the catalogue has one size
            self._change_product()
        for _ in range(self._due("customers", CUSTOMERS)):
            self._sign_up(self._time(7200, 86000))

    def _due(self, event: str, per_day: float, at_least: float = 0.0) -> int:
        """How many of an event happen today: fractions add up over the days, no chance involved."""
        self._due_so_far[event] += max(per_day * self.scale, at_least)
        number = int(self._due_so_far[event])
        self._due_so_far[event] -= number
        return number

    def _time(self, first: int = 7200, last: int | None = None) -> datetime:
        """A moment of today, `first` seconds after midnight UTC, or at random between `first` and `last`."""
        seconds = first if last is None else self.rng.randrange(first, last)
        return datetime.combine(self.today, datetime.min.time(), UTC) + timedelta(seconds=seconds)

    def _later(self, days: tuple[int, int], action, *arguments) -> None:
        self._agenda[self.today + timedelta(days=self.rng.randint(*days))].append((action, *arguments))

    def _add(self, table: str, **values: Any) -> Row:
        self._numbers[table] += 1
        row = {KEYS[table]: self._numbers[table], **values}
        self.shop[table][self._numbers[table]] = row
        return row

    def _touch(self, row: Row, at: datetime | None = None, **changes: Any) -> datetime:
        """Changes a row; its updated_at always moves forward."""
        at = max(at or self._time(7200, 86000), row["updated_at"] + timedelta(seconds=1))
        row.update(changes, updated_at=at)
        return at

    # -- people

    def _person(self, country: str | None = None) -> Person:
        if country is None:
            country = self.rng.choices(list(COUNTRIES), [facts.weight for facts in COUNTRIES.values()])[0]
        facts, number = COUNTRIES[country], len(self.people) + 1
        first, last = self.rng.choice(facts.first_names), self.rng.choice(facts.last_names)
        smallest = 2 * 10 ** (facts.phone_digits - 1)
        phone = (
            f"{facts.phone_area}{smallest + number * 48271 % (4 * smallest)}"  # no two people share a number
        )
        spelled = unicodedata.normalize("NFKD", f"{first}.{last}".lower().replace("ß", "ss"))
        plain = "".join(letter for letter in spelled if letter.isascii() and letter not in " '")
        company = None
        if self.rng.random() < 0.12:
            company = f"{self.rng.choice(CAFE_NAMES)} {self.rng.choice(facts.cities)[0]}"
        email = f"{plain.strip('.') or 'hello'}{number}@{self.rng.choice(MAIL_DOMAINS)}"
        person = Person(number, first, last, country, email, phone, company)
        self.people.append(person)
        return person

    def _sign_up(self, at: datetime) -> None:
        if self.person_of and self.dirt.pick("duplicate_customer"):
            known = self.rng.choice(list(self.person_of.values()))
            name, domain = known.email.split("@")
            person = known._replace(
                email=self.rng.choice([known.email, f"{name}+shop@{domain}", f"{name}.2@{domain}"])
            )
        else:
            person = self._person()
        customer = self._add("customers", email=self.dirt.email(person.email), first_name=self.dirt.name(person.first_name),
                             last_name=self.dirt.name(person.last_name),
                             phone=self.dirt.phone(person.country, person.phone),
                             country=self.dirt.country(person.country),
                             company_name=person.company_name and self.dirt.name(person.company_name),
                             is_business=person.company_name is not None,
                             has_marketing_consent=self.rng.random() < 0.6, created_at=at, updated_at=at)  # fmt: skip
        key = customer["customer_id"]
        self.person_of[key] = person
        self._customer_pool += [key] * (6 if customer["is_business"] else 1)
        for address_type in ("billing", "shipping")[: 1 + (self.rng.random() < 0.3)]:
            address = self._add("addresses", customer_id=key, address_type=address_type,
                                **self._address(person.country), created_at=at, updated_at=at)  # fmt: skip
            self._addresses_of[key].append(address)
        if self.rng.random() < 0.12:
            self._subscribe(customer, at)

    def _address(self, country: str) -> Row:
        facts = COUNTRIES[country]
        city, postal_code = self.rng.choice(facts.cities)
        return {"line_1": f"{self.rng.choice(facts.streets)} {self.rng.randint(1, 120)}",
                "line_2": f"{self.rng.randint(1, 9)}. floor" if self.rng.random() < 0.2 else None,
                "postal_code": postal_code, "city": self.dirt.name(city), "country": self.dirt.country(country)}  # fmt: skip

    def _change_customer(self) -> None:
        key = self.rng.choice(self._customer_pool)
        customer, person = self.shop["customers"][key], self.person_of[key]
        match self.rng.choice(["address", "email", "phone"]):
            case "address":
                address = self.rng.choice(self._addresses_of[key])
                self._touch(address, **self._address(person.country))
            case "email":
                name, _ = person.email.split("@")
                person = person._replace(email=f"{name}@{self.rng.choice(MAIL_DOMAINS)}")
                self._touch(customer, email=self.dirt.email(person.email))
            case "phone":
                digits = COUNTRIES[person.country].phone_digits
                changed = str((int(person.phone[-digits:]) + 24135) % 10**digits).zfill(digits)
                person = person._replace(phone=person.phone[:-digits] + changed)
                self._touch(customer, phone=self.dirt.phone(person.country, person.phone))
        self.person_of[key] = person

    def _delete_customer(self) -> None:
        """An erasure: the account and all that hangs on it go, its orders stay without it."""
        key = self.rng.choice(self._customer_pool)
        self._customer_pool = [other for other in self._customer_pool if other != key]
        for order in self.shop["orders"].values():
            if order["customer_id"] == key:
                self._touch(order, customer_id=None, billing_address_id=None, shipping_address_id=None)
        for address in self._addresses_of.pop(key):
            self._delete("addresses", address)
        for subscription in [row for row in self.shop["subscriptions"].values() if row["customer_id"] == key]:
            self._delete("subscriptions", subscription)
        self._delete("customers", self.shop["customers"][key])

    def _delete(self, table: str, row: Row) -> None:
        del self.shop[table][row[KEYS[table]]]
        self.deleted[table].append(row[KEYS[table]])

    # -- the shop

    def _change_product(self) -> None:
        product = self.rng.choice(list(self.shop["products"].values()))
        factor = Decimal(self.rng.choice(["0.95", "1.03", "1.06", "1.10"]))
        changes = {"unit_cost": product["unit_cost"] and round(product["unit_cost"] * factor, 2)}
        if product["unit_cost"] is None or self.rng.random() < 0.5:
            changes["list_price"] = round(product["list_price"] * factor, 2)
        self._touch(product, **changes)

    def _price(self, product: Row, currency: str) -> Decimal:
        return round(product["list_price"] * Decimal(PRICE_BOOK[currency]), DECIMALS.get(currency, 2))

    def _order(self, at: datetime) -> None:
        """One order in the shop: of an account or of a guest, on time or late from a pop-up till."""
        customer_id = None if self.dirt.pick("guest_order") else self.rng.choice(self._customer_pool)
        late = self.today > FIRST_DAY + timedelta(days=2) and self.dirt.pick("late_order") is not None
        if late:
            at -= timedelta(seconds=self.rng.randrange(3600, 48 * 3600))
            if customer_id:  # never before the account was opened
                at = max(at, self.shop["customers"][customer_id]["created_at"] + timedelta(minutes=1))
        country = self.person_of[customer_id].country if customer_id else self.rng.choice(list(COUNTRIES))
        is_business = customer_id is not None and self.shop["customers"][customer_id]["is_business"]
        products = list(self.shop["products"].values())
        chosen = self.rng.choices(
            products,
            [POPULARITY[product["category"]] for product in products],
            k=self.rng.choices([1, 2, 3, 4, 5], [25, 28, 22, 15, 10])[0],
        )
        percent = self.rng.choice([10, 15, 20]) if self.rng.random() < 0.12 else 0
        lines = []
        for product in {product["product_id"]: product for product in chosen}.values():
            quantity = self.rng.choices([1, 2, 3], [70, 22, 8])[0]
            if is_business and product["category"] == "coffee":
                quantity *= self.rng.randint(2, 8)
            lines.append((product, quantity, self._price(product, COUNTRIES[country].currency)))
        order = self._place(at, customer_id, country, lines, percent)
        self._pay(order, delivered=late)
        if late:
            self.late_orders.append(order["order_id"])

    def _place(
        self, at: datetime, customer_id: int | None, country: str, lines: list[tuple], percent: int = 0
    ) -> Row:
        """Adds an order with its `lines` of (product, quantity, unit price), `percent` off each."""
        currency = COUNTRIES[country].currency
        addresses = self._addresses_of.get(customer_id, [])
        order = self._add(
            "orders", order_number=f"W{self._numbers['orders'] + 1:07d}", customer_id=customer_id,
            billing_address_id=addresses[0]["address_id"] if addresses else None,
            shipping_address_id=addresses[-1]["address_id"] if addresses else None, order_status="pending",
            currency=self.dirt.currency(currency), discount_total=None, shipping_total=None, tax_total=None,
            order_total=None, coupon_code=f"SAVE{percent}" if percent else None, ordered_at=at, updated_at=at,
        )  # fmt: skip
        key = order["order_id"]
        self._country_of[key] = country
        for product, quantity, price in lines:
            item = self._add(
                "order_items", order_id=key, product_id=product["product_id"], quantity=quantity, unit_price=price,
                unit_discount=round(price * percent / 100, DECIMALS.get(currency, 2)), created_at=at, updated_at=at,
            )  # fmt: skip
            self._items_of[key].append(item)
        order.update(self._totals(key))
        return order

    def _totals(self, order_id: int) -> Row:
        """The order's amounts from its items: the accounting identities of the shop."""
        facts, items = COUNTRIES[self._country_of[order_id]], self._items_of[order_id]
        digits, level = DECIMALS.get(facts.currency, 2), Decimal(PRICE_BOOK[facts.currency])
        goods = sum(item["quantity"] * item["unit_price"] for item in items)
        discount = sum(item["quantity"] * item["unit_discount"] for item in items)
        shipping = Decimal(0) if goods >= 60 * level else round(Decimal("4.90") * level, digits)
        tax = round((goods - discount + shipping) * facts.tax_rate, digits)
        return {"discount_total": discount, "shipping_total": shipping, "tax_total": tax,
                "order_total": goods + tax + shipping - discount}  # fmt: skip

    def _pay(self, order: Row, delivered: bool = False) -> None:
        """Pays at once, or on invoice some days later; an order paid at a till is `delivered` with it."""
        at, total = order["ordered_at"] + timedelta(seconds=self.rng.randrange(30, 300)), order["order_total"]
        method = self.rng.choices(["card", "paypal", "invoice"], [60, 25, 15])[0]
        if method == "invoice" and not delivered:
            self._payment(order, method, "authorized", total, order["ordered_at"])
            self._pending[order["order_id"]] = order
            self._later((1, 3), self._settle, order)
            return
        method = "card" if method == "invoice" else method
        if self.rng.random() < 0.05:
            self._payment(order, method, "failed", total, at - timedelta(seconds=20))
        voucher = Decimal(5) if total > 10 and self.rng.random() < 0.03 else Decimal(0)
        if voucher:
            self._payment(order, "gift_card", "captured", voucher, at)
        self._payment(order, method, "captured", total - voucher, at)
        self._touch(order, at, order_status="delivered" if delivered else "paid")
        if not delivered:
            self._later((1, 2), self._cancel if self.rng.random() < 0.02 else self._ship, order)

    def _payment(self, order: Row, method: str, status: str, amount: Decimal, at: datetime) -> None:
        reference = None if method in ("invoice", "gift_card") else f"pi_{self.rng.getrandbits(48):012x}"
        payment = self._add(
            "payments", order_id=order["order_id"], payment_method=method, payment_status=status,
            currency=COUNTRIES[self._country_of[order["order_id"]]].currency, amount=amount,
            provider_reference=reference, paid_at=at if status == "captured" else None, updated_at=at,
        )  # fmt: skip
        self._payments_of[order["order_id"]].append(payment)

    def _settle(self, order: Row) -> None:
        """An invoice is paid, or never will be."""
        del self._pending[order["order_id"]]
        (payment,) = self._payments_of[order["order_id"]]
        if self.rng.random() < 0.06:
            self._touch(order, self._touch(payment, payment_status="failed"), order_status="cancelled")
            return
        at = self._touch(payment, payment_status="captured")
        payment["paid_at"] = at
        self._touch(order, at, order_status="paid")
        self._later((1, 2), self._ship, order)

    def _ship(self, order: Row) -> None:
        self._touch(order, order_status="shipped")
        self._later((1, 5), self._deliver, order)

    def _deliver(self, order: Row) -> None:
        self._touch(order, order_status="delivered")
        if self.rng.random() < 0.05:
            self._later((2, 14), self._refund, order)

    def _refund(self, order: Row) -> None:
        """One item comes back, or a tenth of the payment as goodwill; never more than was captured."""
        payment = max(self._captured(order), key=lambda payment: payment["amount"])
        item = self.rng.choice(self._items_of[order["order_id"]]) if self.rng.random() < 0.7 else None
        amount = round(payment["amount"] / 10, DECIMALS.get(payment["currency"], 2))
        if item:
            amount = item["quantity"] * (item["unit_price"] - item["unit_discount"])
        self._pay_back(order, payment, min(amount, payment["amount"]), item, self.rng.choice(REFUND_REASONS))

    def _cancel(self, order: Row) -> None:
        """A paid order is cancelled: all of it is paid back."""
        for payment in self._captured(order):
            self._pay_back(order, payment, payment["amount"], None, "order cancelled")
        self._touch(order, order_status="cancelled")

    def _captured(self, order: Row) -> list[Row]:
        return [p for p in self._payments_of[order["order_id"]] if p["payment_status"] == "captured"]

    def _pay_back(
        self, order: Row, payment: Row, amount: Decimal, item: Row | None, reason: str | None
    ) -> None:
        at = self._time(7200, 86000)
        self._add("refunds", payment_id=payment["payment_id"], order_id=order["order_id"],
                  order_item_id=item and item["order_item_id"], currency=payment["currency"], amount=amount,
                  reason=reason, refunded_at=at, updated_at=at)  # fmt: skip

    def _delete_item(self) -> None:
        """A line is taken out of an order that is not paid yet; its totals and its payment follow."""
        orders = [order for key, order in self._pending.items() if len(self._items_of[key]) > 1]
        if not orders:
            self._later((1, 1), self._delete_item)
            return
        order = self.rng.choice(orders)
        items = self._items_of[order["order_id"]]
        self._delete("order_items", items.pop(self.rng.randrange(len(items))))
        at = self._touch(order, **self._totals(order["order_id"]))
        self._touch(self._payments_of[order["order_id"]][0], at, amount=order["order_total"])

    def _subscribe(self, customer: Row, at: datetime) -> None:
        coffees = [product for product in self.shop["products"].values() if product["category"] == "coffee"]
        product, interval = self.rng.choice(coffees), self.rng.choice([14, 28, 42])
        currency = COUNTRIES[self.person_of[customer["customer_id"]].country].currency
        price = round(self._price(product, currency) * Decimal("0.9"), DECIMALS.get(currency, 2))
        subscription = self._add(
            "subscriptions", customer_id=customer["customer_id"], product_id=product["product_id"],
            subscription_status="active", quantity=self.rng.randint(1, 3), interval_days=interval, currency=currency,
            unit_price=price, started_at=at, cancelled_at=None, next_order_date=None, updated_at=at,
        )  # fmt: skip
        self._plan(subscription)

    def _plan(self, subscription: Row) -> None:
        interval = subscription["interval_days"]
        subscription["next_order_date"] = self.today + timedelta(days=interval)
        self._later((interval, interval), self._renew, subscription)

    def _renew(self, subscription: Row) -> None:
        """A delivery is due: it is ordered, or the subscription is cancelled, paused or taken up again."""
        if subscription["subscription_id"] not in self.shop["subscriptions"]:
            return  # erased with its customer
        chance = self.rng.random()
        if subscription["subscription_status"] == "active" and chance < 0.04:
            at = self._touch(subscription, subscription_status="cancelled", next_order_date=None)
            subscription["cancelled_at"] = at
        elif subscription["subscription_status"] == "active" and chance < 0.07:
            self._touch(subscription, subscription_status="paused", next_order_date=None)
            self._later((28, 28), self._renew, subscription)
        else:
            customer_id, product = (
                subscription["customer_id"],
                self.shop["products"][subscription["product_id"]],
            )
            at = self._touch(subscription, subscription_status="active")
            lines = [(product, subscription["quantity"], subscription["unit_price"])]
            self._pay(self._place(at, customer_id, self.person_of[customer_id].country, lines))
            self._plan(subscription)

    # -- the resellers

    def _partner_order(self) -> None:
        """One order at a reseller, by somebody the shop may know as well; some are reported late."""
        reseller = self.rng.choice(list(RESELLERS))
        country = RESELLERS[reseller]
        known = [person for person in self.rng.choices(self.people, k=6) if person.country == country]
        person = known[0] if known and self.rng.random() < 0.5 else self._person(country)
        ordered_on = self.today
        if self.dirt.pick("late_partner_order"):
            ordered_on = max(FIRST_DAY, self.today - timedelta(days=self.rng.randint(1, 5)))
        customer = {"ordered_on": ordered_on, "customer_email": self.dirt.email(person.email),
                    "customer_name": self.dirt.name(f"{person.first_name} {person.last_name}"),
                    "country": self.dirt.country(country)}  # fmt: skip
        number = self._partner_order_number(reseller)
        self.partner_person_of[reseller, number] = person
        for line_number in range(1, self.rng.choices([2, 3, 4], [60, 30, 10])[0]):
            line = self._partner_line(number, line_number, customer, COUNTRIES[country])
            self.partner_lines.append(PartnerLine(reseller, line, None))
        if self.dirt.pick("broken_line"):
            line = self._partner_line(self._partner_order_number(reseller), 1, customer, COUNTRIES[country])
            self.partner_lines.append(
                PartnerLine(reseller, line, BROKEN[self.dirt.hits["broken_line"] % len(BROKEN)])
            )

    def _partner_order_number(self, reseller: str) -> str:
        self._numbers[reseller] += 1
        return f"{''.join(word[0] for word in reseller.split('_')).upper()}-{self._numbers[reseller]:06d}"

    def _partner_line(self, number: str, line_number: int, customer: Row, facts: Country) -> Row:
        digits = DECIMALS.get(facts.currency, 2)
        product = self.rng.choice(
            [p for p in self.shop["products"].values() if p["category"] != "spare parts"]
        )
        quantity, price = (
            self.rng.randint(1, 6),
            round(self._price(product, facts.currency) * Decimal("1.05"), digits),
        )
        shipping = round(Decimal("6.50") * Decimal(PRICE_BOOK[facts.currency]), digits)
        return {
            "order_number": number, "line_number": line_number, **customer,
            "sku": product["sku"], "product_name": product["product_name"], "quantity": quantity, "unit_price": price,
            "currency": self.dirt.currency(facts.currency),
            "tax_amount": round(quantity * price * facts.tax_rate, digits),
            "shipping_amount": shipping if line_number == 1 else Decimal(0),
        }  # fmt: skip
