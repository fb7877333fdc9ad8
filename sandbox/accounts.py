"""What the shop has before anybody orders: customers' accounts and addresses, and products."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

from sandbox.shared import Shared
from sandbox.simulation import Person, Row, Simulation
from sandbox.vocabulary import COFFEES, COUNTRIES, DECIMALS, GOODS, MAIL_DOMAINS, PACKS, PRICE_BOOK

POPULARITY = {"coffee": 10, "machines": 0.5, "grinders": 1, "accessories": 4, "spare parts": 1.5}


class Accounts(Simulation):
    """Accounts open, change and get erased; products change their cost and price."""

    def __init__(self, seed: int, scale: float, dirt: float) -> None:
        super().__init__(seed, scale, dirt)
        self.shared = Shared(self)
        self.person_of: dict[int, Person] = {}  # by customer_id, also of deleted customers
        self._customer_pool: list[int] = []  # businesses several times: they order more
        self._addresses_of: dict[int | None, list[Row]] = defaultdict(list)
        self._orders_of: dict[int | None, list[Row]] = defaultdict(list)

    def _fill_catalogue(self) -> None:
        at = self._time(0)
        catalogue = [
            (f"COF-{n:02d}-{pack}", f"{coffee} {size}", "coffee", Decimal(price) + Decimal(n) / 2, int(pack))
            for n, coffee in enumerate(COFFEES, 1)
            for pack, size, price in PACKS
        ] + [(sku, name, category, Decimal(price), weight) for sku, name, category, price, weight in GOODS]
        for sku, name, category, price, weight in catalogue:
            cost = None if self.dirt.pick("cost_missing") else round(price * Decimal("0.55"), 2)
            self._add("products", sku=sku, product_name=name, category=category, currency="EUR", list_price=price,
                      unit_cost=cost, weight_grams=weight, is_active=True, created_at=at, updated_at=at)  # fmt: skip
        self._products = list(self.shop["products"].values())
        self._popularity = list(accumulate(POPULARITY[product["category"]] for product in self._products))

    def _change_product(self) -> None:
        product = self.rng.choice(self._products)
        factor = Decimal(self.rng.choice(["0.95", "1.03", "1.06", "1.10"]))
        changes = {"unit_cost": product["unit_cost"] and round(product["unit_cost"] * factor, 2)}
        if product["unit_cost"] is None or self.rng.random() < 0.5:
            changes["list_price"] = round(product["list_price"] * factor, 2)
        self._touch(product, **changes)

    def _price(self, product: Row, currency: str) -> Decimal:
        return round(product["list_price"] * Decimal(PRICE_BOOK[currency]), DECIMALS.get(currency, 2))

    def _sign_up(self, at: datetime) -> Row:
        """A new account: of a new person, or a second one of somebody known."""
        if self.person_of and self.dirt.pick("duplicate_customer"):
            known = self.rng.choice(list(self.person_of.values()))
            name, domain = known.email.split("@")
            person = known._replace(email=self.rng.choice([known.email, f"{name}+shop@{domain}", f"{name}.2@{domain}"]))
            email, partner = person.email, None
        else:
            person = self._person()
            partner = self.shared.partner(person)
            if partner:
                self.people[-1] = person = person._replace(phone=self.person_of[partner].phone)
            email = self.shared.email(self._numbers["customers"] + 1, person)
        customer = self._add(
            "customers", email=self.dirt.email(email), first_name=self.dirt.name(person.first_name),
            last_name=self.dirt.name(person.last_name), phone=self.dirt.phone(person.country, person.phone),
            country=self.dirt.country(person.country),
            company_name=person.company_name and self.dirt.name(person.company_name),
            is_business=person.company_name is not None, has_marketing_consent=self.rng.random() < 0.6,
            created_at=at, updated_at=at,
        )  # fmt: skip
        key = customer["customer_id"]
        self.person_of[key] = person
        self._customer_pool += [key] * (6 if customer["is_business"] else 1)
        for address_type in ("billing", "shipping")[: 1 + (self.rng.random() < 0.3)]:
            address = self._add("addresses", customer_id=key, address_type=address_type,
                                **self._address(person.country), created_at=at, updated_at=at)  # fmt: skip
            self._addresses_of[key].append(address)
            if partner:
                home = self._addresses_of[partner][0]
                address.update({name: home[name] for name in ("line_1", "line_2", "postal_code", "city")})
        return customer

    def _address(self, country: str) -> Row:
        facts = COUNTRIES[country]
        city, postal_code = self.rng.choice(facts.cities)
        return {
            "line_1": f"{self.rng.choice(facts.streets)} {self.rng.randint(1, 120)}",
            "line_2": f"{self.rng.randint(1, 9)}. floor" if self.rng.random() < 0.2 else None,
            "postal_code": postal_code,
            "city": self.dirt.name(city),
            "country": self.dirt.country(country),
        }

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
                self.shared.emails.pop(key, None)
            case "phone":
                digits = COUNTRIES[person.country].phone_digits
                changed = str((int(person.phone[-digits:]) + 24135) % 10**digits).zfill(digits)
                person = person._replace(phone=person.phone[:-digits] + changed)
                self._touch(customer, phone=self.dirt.phone(person.country, person.phone))
        self.person_of[key] = person

    def _delete_customer(self) -> None:
        """An erasure: the account and all that hangs on it go, its orders stay without it."""
        if len(self.shop["customers"]) <= 5:
            return  # a tiny company keeps its last customers
        key = self.rng.choice(self._customer_pool)
        while key in self._customer_pool:
            self._customer_pool.remove(key)
        for order in self._orders_of.pop(key, []):
            self._touch(order, customer_id=None, billing_address_id=None, shipping_address_id=None)
        for address in self._addresses_of.pop(key):
            self._delete("addresses", address)
        for subscription in [row for row in self.shop["subscriptions"].values() if row["customer_id"] == key]:
            self._delete("subscriptions", subscription)
        self._delete("customers", self.shop["customers"][key])
