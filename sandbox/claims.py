"""Warranty claims of machines in the field: a customer reports a fault, weeks later the machine is repaired or not."""

import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from sandbox.dirt import Dirt
from sandbox.letters import TEXTS, language
from sandbox.measuring import Device
from sandbox.simulation import Person, Row, Simulation
from sandbox.vocabulary import COUNTRIES, DECIMALS, PRICE_BOOK

CLAIMS, AT_LEAST = 0.6, 0.12  # per day, at scale 1 and in the smallest sandbox
ENDS = ["repaired", "repaired", "replaced", "declined"]


@dataclass(eq=False)
class Claim:
    """`person`: the owner as known on the day of the claim; `email`: as it was typed into the list of claims."""

    number: str
    opened_at: datetime
    device: Device
    customer_id: int
    person: Person
    email: str | None
    order_number: str | None
    fault: str
    amount: Decimal
    currency: str
    status: str = "open"
    closed_on: date | None = None


class Claims:
    """All claims until the company's today, and those that were `opened` and `closed` on its last day."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"claims {company.seed}")
        self.dirt = Dirt(self.rng, company.dirt.rate)
        self.all: list[Claim] = []
        self.opened: list[Claim] = []
        self.closed: list[Claim] = []
        self._due = 0.0

    def day(self) -> None:
        """Lives through the company's today."""
        self.opened, self.closed, today = [], [], self.company.today
        for claim in self.all:
            if claim.closed_on == today:
                claim.status = self.rng.choice(ENDS)
                self.closed.append(claim)
            elif claim.status == "open" and self.rng.random() < 0.3:
                claim.status = "in review"
        owned = [device for device in self.company.devices.devices if owner(device) in self.company.shop["customers"]]
        self._due += max(CLAIMS * self.company.scale, AT_LEAST) * bool(owned)
        while self._due >= 1:
            self._due -= 1
            self._open(self.rng.choice(owned))

    def _open(self, device: Device) -> None:
        rng, today, key = self.rng, self.company.today, owner(device)
        person = self.company.person_of[key]
        orders = self.company._orders_of.get(key)
        currency = COUNTRIES[person.country].currency
        amount = round(Decimal(rng.randrange(4000, 90000)) / 100 * Decimal(PRICE_BOOK[currency]))
        claim = Claim(
            f"CLM-{today.year}-{len(self.all) + 1:04d}", datetime.combine(today, time(rng.randrange(7, 18), 5)), device,
            key, person, self.dirt.email(person.email), rng.choice(orders)["order_number"] if orders else None,
            rng.choice(TEXTS[language(person)]["faults"]), round(Decimal(amount), DECIMALS.get(currency, 2)), currency,
            closed_on=today + timedelta(days=rng.randint(5, 25)),
        )  # fmt: skip
        self.all.append(claim)
        self.opened.append(claim)

    def truth(self) -> dict[str, list[Row]]:
        """claims.csv: every claim as it is, whatever the list of claims says of it."""
        return {
            "claims.csv": [
                {"claim_number": claim.number, "opened_on": claim.opened_at.date(),
                 "device_id": claim.device.device_id, "customer_id": claim.customer_id,
                 "person_id": claim.person.person_id, "customer_email": claim.person.email,
                 "order_number": claim.order_number, "status": claim.status, "amount": claim.amount,
                 "currency": claim.currency}
                for claim in self.all
            ]
        }  # fmt: skip


def owner(device: Device) -> int | None:
    """The customer_id of a device's owner, if it is a customer."""
    kind, _, number = device.owner.partition(" ")
    return int(number) if kind == "customer" else None
