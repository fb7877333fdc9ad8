"""Who is behind some accounts of the social networks: customers of the company, whose handle somebody has noted.

One in six accounts that write about us is a customer's, who has no other one. The CRM's contact has the handle as the
property `social_handle`, the newsletter's member as the merge field SOCIAL, in one way or another of writing it.
"""

import random
from datetime import UTC, datetime, time, timedelta

from sandbox.audiences import Member, as_text
from sandbox.portal import Record
from sandbox.sales import WORKFLOW
from sandbox.simulation import Person, Row, Simulation
from sandbox.social import COUNTRY_OF, Account

KNOWN, IN_CRM = 1 / 6, 0.6
PROFILES = {"bluesky": "https://bsky.app/profile/{0}", "mastodon": "https://{1}/@{0}"}


class Handles:
    """Follows the company's CRM, newsletters and networks day by day, with chance of its own."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"handles {company.seed}")
        self.person_of: dict[Account, Person] = {}
        self._noted: dict[Account, tuple[Record | None, Member | None]] = {}
        self._seen = 0

    def day(self) -> None:
        """Somebody notes the handles of accounts that are new today."""
        accounts = self.company.social.accounts
        for account in accounts[self._seen :]:
            if not (account.is_own or account.is_bot) and self.rng.random() < KNOWN:
                self._note(account)
        self._seen = len(accounts)

    def _note(self, account: Account) -> None:
        crm = self.company.crm.person_of.items()
        contacts = {person.person_id: contact for contact, person in crm if contact.is_alive}
        members = {
            member.person.person_id: member for member in self.company.newsletters.members.values()
            if member.row["status"] == "subscribed"
        }  # fmt: skip
        taken = {person.person_id for person in self.person_of.values()}
        people = {person.person_id: person for person in self.company.person_of.values()}
        pools = [
            [people[key] for key in people if key in system and key not in taken] for system in (contacts, members)
        ]
        pool = next(filter(None, pools if self.rng.random() < IN_CRM else pools[::-1]), [])
        if not pool:
            return
        person = self.rng.choice([one for one in pool if one.country in COUNTRY_OF[account.language]] or pool)
        contact, member = contacts.get(person.person_id), members.get(person.person_id)
        self.person_of[account], self._noted[account] = person, (contact, member)
        at = datetime.combine(self.company.today, time(), UTC) + timedelta(seconds=86399)
        if contact:
            self.company.crm.portal.change(contact, at, WORKFLOW, social_handle=self._written(account))
        if member:
            fields = member.row["merge_fields"] | {"SOCIAL": self._written(account)}
            member.row.update(merge_fields=fields, last_changed=as_text(at))

    def _written(self, account: Account) -> str:
        handle = account.handle
        ways = [f"@{handle}", handle, f"@{handle.upper()}", PROFILES[account.network].format(*handle.split("@"))]
        return self.rng.choices(ways, [5, 2, 1, 2])[0]

    def truth(self) -> dict[str, list[Row]]:
        """Truth files by name.

        social_accounts.csv  every account of both networks that is not the company's own, with the true person if it
                             is a customer's, and `noted_in`: hubspot, mailchimp or both, as far as they have it still
        """
        return {
            "social_accounts.csv": [
                {
                    "network": account.network, "account_key": account.key, "handle": account.handle,
                    "person_id": self.person_of[account].person_id if account in self.person_of else None,
                    "noted_in": " ".join(self._noted_in(account)),
                }
                for account in self.company.social.accounts if not account.is_own
            ]
        }  # fmt: skip

    def _noted_in(self, account: Account) -> list[str]:
        contact, member = self._noted.get(account, (None, None))
        is_in = {"hubspot": contact and contact.is_alive, "mailchimp": member and not member.is_erased}
        return [system for system, it_is in is_in.items() if it_is]
