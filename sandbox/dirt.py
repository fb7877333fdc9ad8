"""Everything that is wrong with the data on purpose: one table of defects, and how each is written."""

import random
import unicodedata
from collections import Counter

from sandbox.vocabulary import COUNTRIES

RATE = 0.05
DEFECTS = {  # name: (share of the rows it can happen to, what it looks like)
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
    """Decides which value gets which defect and writes it. Counts chances and hits per defect for the truth."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.chances: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()

    def pick(self, *defects: str) -> str | None:
        """At most one of `defects`, each at its own rate."""
        self.chances.update(defects)
        draw = self.rng.random()
        for defect in defects:
            draw -= DEFECTS[defect][0]
            if draw < 0:
                self.hits[defect] += 1
                return defect
        return None

    def email(self, email: str) -> str | None:
        """An e-mail address as somebody typed it."""
        match self.pick("email_missing", "email_upper_case", "email_spaces"):
            case "email_missing":
                return None
            case "email_upper_case":
                return email.upper()
            case "email_spaces":
                return f" {email} "
        return email

    def phone(self, country: str, subscriber: str) -> str | None:
        """A phone number as somebody typed it. `subscriber`: the national number without trunk prefix."""
        facts = COUNTRIES[country]
        area, rest = subscriber[: len(facts.phone_area)], subscriber[len(facts.phone_area) :]
        match self.pick("phone_missing", "phone_placeholder", "phone_national", "phone_spaced", "phone_00_prefix"):
            case "phone_missing":
                return None
            case "phone_placeholder":
                return self.rng.choice(PLACEHOLDERS)
            case "phone_national":
                return f"{facts.trunk}{area} {rest}"
            case "phone_spaced":
                return self.rng.choice(["+{} {} {} {}", "+{} ({}) {}-{}"]).format(
                    facts.dial_code, area, rest[:3], rest[3:]
                )
            case "phone_00_prefix":
                return f"00{facts.dial_code}{subscriber}"
        return f"+{facts.dial_code}{subscriber}"

    def country(self, country: str) -> str:
        """A country as it was picked from one form or another."""
        match self.pick("country_name", "country_alpha3", "country_lower_case"):
            case "country_name":
                return COUNTRIES[country].name
            case "country_alpha3":
                return COUNTRIES[country].alpha3
            case "country_lower_case":
                return country.lower()
        return country

    def name(self, name: str) -> str:
        """A name as somebody typed it."""
        decomposed = unicodedata.normalize("NFD", name)
        defects = ["name_spaces"]
        defects += ["name_decomposed"] if decomposed != name else []
        defects += ["name_case"] if name.upper() != name.lower() else []
        match self.pick(*defects):
            case "name_spaces":
                return f"  {name.replace(' ', '  ')} "
            case "name_decomposed":
                return decomposed
            case "name_case":
                return self.rng.choice([name.upper(), name.lower()])
        return name

    def currency(self, currency: str) -> str:
        """A currency code as a system spells it."""
        if self.pick("currency_lower_case"):
            return self.rng.choice([currency.lower(), f"{currency} "])
        return currency
