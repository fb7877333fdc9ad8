"""What people have in common with others: couples' phones, e-mails of many accounts; and e-mails that are misspelled.

Each has chance of its own and grows with the share of dirt. None changes who anybody is.
"""

import random
import re
from collections import Counter

from sandbox.dirt import RATE
from sandbox.simulation import Person, Row, Simulation

COUPLES = 0.012  # of the new private customers: as many live with one whom we know, and have the same phone
KIOSK, AT_KIOSK = "kiosk@coffee.example", 0.012  # what a till writes as the e-mail of new private customers' accounts
AT_CAFE, MOST_AT_CAFE = 0.2, 2  # of the new businesses: accounts with the info@ of the cafe, and of how many people
TYPOS = 0.01  # of those who join an audience


class Shared:
    """Decides who shares what. `emails`: by customer_id, what an account has instead of the person's own mailbox;
    `misspelled`: by contact_id of the newsletters, the mailbox that was meant."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"shared {company.seed}")
        self._typist = random.Random(f"typos {company.seed}")
        self.couples: list[tuple[int, int]] = []  # person_ids
        self.emails: dict[int, str] = {}
        self.misspelled: dict[str, str] = {}
        self._at_cafe = Counter[str]()

    def _happens(self, rng: random.Random, share: float) -> bool:
        return rng.random() < share * self.company.dirt.rate / RATE

    def partner(self, person: Person) -> int | None:
        """The customer_id of somebody with whom a new person lives; mostly nobody's."""
        if person.company_name or not self._happens(self.rng, COUPLES):
            return None
        taken = {one for couple in self.couples for one in couple}
        known = {key: self.company.person_of[key] for key in self.company._customer_pool}
        able = [
            key for key, one in known.items()
            if one.country == person.country and not one.company_name and one.person_id not in taken
        ]  # fmt: skip
        if not able:
            return None
        key = self.rng.choice(able)
        self.couples.append((known[key].person_id, person.person_id))
        return key

    def email(self, customer_id: int, person: Person) -> str:
        """The e-mail of a new person's account."""
        email = person.email
        if person.company_name:
            name = re.sub("[^a-z]+", "-", person.company_name.lower()).strip("-") or "cafe"
            cafe = f"info@{name}.example"
            if self._happens(self.rng, AT_CAFE) and self._at_cafe[cafe] < MOST_AT_CAFE:
                self._at_cafe[cafe] += 1
                email = cafe
        elif self._happens(self.rng, AT_KIOSK):
            email = KIOSK
        if email != person.email:
            self.emails[customer_id] = email
        return email

    def spelled(self, contact_id: str, email: str) -> str:
        """The e-mail with which somebody joins an audience: mostly right, else with two letters in the wrong order."""
        pairs = [email[at : at + 2] for at in range(email.index("@") - 1)]
        wrong = [at for at, (one, other) in enumerate(pairs) if (one + other).isalpha() and one != other]
        if not wrong or not self._happens(self._typist, TYPOS):
            return email
        at = self._typist.choice(wrong)
        self.misspelled[contact_id] = email
        return email[:at] + email[at + 1] + email[at] + email[at + 2 :]

    def truth(self) -> dict[str, Row]:
        """identity.json: couples (person_ids), e-mails that accounts ever opened share instead of their owners' own, by
        customer_id, and by contact_id of the newsletters the e-mail that was meant, where another one was written."""
        return {"identity.json": {"couples": self.couples, "emails": self.emails, "misspelled": self.misspelled}}
