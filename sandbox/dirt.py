"""Everything that is wrong with the data on purpose: one table of defects, and how each is written."""

import random
import unicodedata
from collections import Counter
from collections.abc import Callable

from sandbox.vocabulary import COUNTRIES

RATE = 0.05
DEFECTS = {  # name: (share of the rows it can happen to, unless the rate is another; what it looks like)
    "email_missing": (RATE, "no e-mail at all"),
    "email_upper_case": (RATE, "e-mail in capitals"),
    "email_spaces": (RATE, "e-mail with spaces around it"),
    "phone_missing": (RATE, "no phone number"),
    "phone_placeholder": (RATE, "000000000, 1234567890, n/a ..."),
    "phone_national": (RATE, "phone without country code"),
    "phone_spaced": (RATE, "phone with spaces, dashes or brackets"),
    "phone_00_prefix": (RATE, "00 instead of +"),
    "country_name": (RATE, "the country's English name"),
    "country_alpha3": (RATE, "three-letter code"),
    "country_lower_case": (RATE, "two-letter code in lower case"),
    "name_spaces": (RATE, "extra spaces around or inside"),
    "name_decomposed": (RATE, "accents as combining characters (NFD); of the names that have accents"),
    "name_case": (RATE, "all capitals or all lower case; of the names in a script with cases"),
    "currency_lower_case": (
        RATE,
        "currency code in lower case, or with a space; of orders and partner lines",
    ),
    "cost_missing": (RATE, "product without a unit cost"),
    "guest_order": (RATE, "order without an account"),
    "duplicate_customer": (RATE, "second account of one person, written a little differently"),
    "late_order": (
        RATE,
        "order from a pop-up till that reaches the shop up to 48 h later, with its old timestamps",
    ),
    "late_partner_order": (RATE, "reseller's order reported up to 5 days later, in the old month's file"),
    "broken_line": (
        0.01,
        "extra partner line that cannot be read: ragged, text in quantity, impossible date",
    ),
}
PLACEHOLDERS = ["000000000", "1234567890", "n/a", "-", "+49 000 0000000"]


class Dirt:
    """Decides which value gets which defect and writes it. Counts chances and hits per defect for the truth.

    `rate`: the share of each defect that is RATE by itself; others grow alike. A value has one defect at most: where
    theirs would be more than all values, each has its part of all.
    """

    def __init__(self, rng: random.Random, rate: float = RATE) -> None:
        self.rng, self.rate = rng, rate
        self.chances: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()

    def shares(self, *defects: str) -> dict[str, float]:
        """The share of values that each of `defects` hits, of those that any of them can hit."""
        shares = {defect: DEFECTS[defect][0] * (self.rate / RATE) for defect in defects}
        most = max(1.0, sum(shares.values()))
        return {defect: share / most for defect, share in shares.items()}

    def pick(self, *defects: str) -> str | None:
        """At most one of `defects`, each at its own rate."""
        self.chances.update(defects)
        draw = self.rng.random()
        for defect, share in self.shares(*defects).items():
            draw -= share
            if draw < 0:
                self.hits[defect] += 1
                return defect
        return None

    def _write(self, value: str, **ways: Callable[[], str | None]) -> str | None:
        """The value as it is, or in the way of the defect that hits it."""
        defect = self.pick(*ways)
        return ways[defect]() if defect else value

    def email(self, email: str) -> str | None:
        """An e-mail address as somebody typed it."""
        return self._write(
            email,
            email_missing=lambda: None,
            email_upper_case=email.upper,
            email_spaces=lambda: f" {email} ",
        )

    def phone(self, country: str, subscriber: str) -> str | None:
        """A phone number as somebody typed it. `subscriber`: the national number without trunk prefix."""
        code, trunk, area = COUNTRIES[country].dial_code, COUNTRIES[country].trunk, COUNTRIES[country].phone_area
        rest = subscriber[len(area) :]
        spaced = [f"+{code} {area} {rest[:3]} {rest[3:]}", f"+{code} ({area}) {rest[:3]}-{rest[3:]}"]
        return self._write(
            f"+{code}{subscriber}",
            phone_missing=lambda: None,
            phone_placeholder=lambda: self.rng.choice(PLACEHOLDERS),
            phone_national=lambda: f"{trunk}{area} {rest}",
            phone_spaced=lambda: self.rng.choice(spaced),
            phone_00_prefix=lambda: f"00{code}{subscriber}",
        )

    def country(self, country: str) -> str | None:
        """A country as it was picked from one form or another."""
        return self._write(
            country,
            country_name=lambda: COUNTRIES[country].name,
            country_alpha3=lambda: COUNTRIES[country].alpha3,
            country_lower_case=country.lower,
        )

    def name(self, name: str) -> str | None:
        """A name as somebody typed it."""
        ways = {"name_spaces": lambda: f"  {name.replace(' ', '  ')} "}
        decomposed = unicodedata.normalize("NFD", name)
        if decomposed != name:
            ways["name_decomposed"] = lambda: decomposed
        if name.upper() != name.lower():
            ways["name_case"] = lambda: self.rng.choice([name.upper(), name.lower()])
        return self._write(name, **ways)

    def currency(self, currency: str) -> str | None:
        """A currency code as a system spells it."""
        return self._write(currency, currency_lower_case=lambda: self.rng.choice([currency.lower(), f"{currency} "]))
