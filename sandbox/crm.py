"""The company's CRM, as HubSpot keeps it: cafes that buy and prospects that never will, and what sales does with them.

Beside the sales team's work, people clean up: they enter contacts twice, merge, archive, restore and erase records.
"""

import re
from datetime import datetime, timedelta

from sandbox.portal import ENGAGEMENTS, LINKS, PIPELINES, Record, Values, iso
from sandbox.sales import FORM, IMPORT, LEAVER, LEAVES, LOST, OWNERS, RESTORED, TEAMS, WON, Sales, wait
from sandbox.simulation import FIRST_DAY, Person, Simulation, invent
from sandbox.vocabulary import COUNTRIES

# Per day at scale 1. What is rare has a share of its own in small sandboxes.
LEADS, DEALS, TICKETS, CARE, PROSPECTS = 1.9, 1.6, 0.85, 3.5, 0.12
CHAIN_STAFF = 560
OWNED = ("contacts", "companies", "deals", "leads", "tickets")
INDUSTRIES = ["RESTAURANTS", "HOSPITALITY", "RETAIL", "FOOD_BEVERAGES", None]
SOURCES = ["ORGANIC_SEARCH", "DIRECT_TRAFFIC", "REFERRALS", "OFFLINE", "EMAIL_MARKETING"]


class Crm(Sales):
    """The CRM up to the company's today: who comes in, what sales does, and who tidies up."""

    def __init__(self, company: Simulation) -> None:
        super().__init__(company)
        self.person_of: dict[Record, Person] = {}  # by contact
        self._seen = 0
        self._strangers = 1_000_000  # numbers that no person of the company has
        start = datetime.fromisoformat(f"{FIRST_DAY}T06:00:00+00:00")
        self._plan(LEAVES, self._leave)
        self._plan(start + timedelta(days=40, hours=4), self._sign_chain)

    def day(self) -> None:
        """Lives through the company's today."""
        for person in self.company.people[self._seen :]:
            if person.company_name and self.rng.random() < 0.45:
                begin = datetime.fromisoformat(f"{self.company.today}T06:00:00+00:00")
                self._plan(self._soon(begin, 0, 30), self._join, person)
        self._seen = len(self.company.people)
        self._happen(LEADS, self._come_in, at_least=0.12)
        self._happen(DEALS, self._sell_more, at_least=0.08)
        self._happen(TICKETS, self._open_ticket, at_least=0.04)
        self._happen(CARE, self._care, at_least=0.2)
        self._happen(PROSPECTS, self._prospect, at_least=0.02)
        self._happen(0.14, self._enter_twice, at_least=0.03)
        self._happen(0.03, self._enter_company_twice, at_least=0.01)
        self._happen(0.12, self._merge_deals, at_least=0.01)
        self._happen(0.5, self._archive, at_least=0.08)
        self._happen(0.08, self._erase, at_least=0.015)
        self._happen(0.1, self._change_employer, at_least=0.02)
        self._happen(0.5, self._correct, at_least=0.05)
        self._live()

    # Accounts

    def _stranger(self) -> Person:
        self._strangers += 1
        return invent(self.rng, self._strangers)

    def _add_company(self, at: datetime, by: Values, name: str, country: str, stage: str) -> Record:
        words = re.sub(r"[^a-z]+", "-", name.lower()).strip("-") or "cafe"
        city, _ = self.rng.choice(COUNTRIES[country].cities)
        return self.portal.add(
            "companies", at, by, name=self.dirt.name(name), city=city, country=self.dirt.country(country),
            domain=f"{words}-{len(self.portal.records['companies'])}.example", phone=None,
            industry=self.rng.choice(INDUSTRIES), numberofemployees=self.rng.choice([None, 3, 8, 25, 140]),
            annualrevenue=self.rng.choice([None, "250000", "1250000.50", "1.2E7"]), lifecyclestage=stage,
            hubspot_owner_id=self._owner(at), cafe_seats=self.rng.choice([None, 12, 40]), is_chain=False,
            opening_date=self.rng.choice([None, "2019-04-01"]),
            machine_types=self.rng.choice([None, "mini;cafe", "home"]),
            delivery_route=self.rng.choice([None, '{"type": "Point", "coordinates": [13.4, 52.5]}']),
        )  # fmt: skip

    def _add_contact(self, at: datetime, by: Values, person: Person, company: Record | None, *kinds: str) -> Record:
        contact = self.portal.add(
            "contacts", at, by, email=self.dirt.email(person.email), firstname=self.dirt.name(person.first_name),
            lastname=self.dirt.name(person.last_name), phone=self.dirt.phone(person.country, person.phone),
            mobilephone=None, company=company and company.values["name"], country=self.dirt.country(person.country),
            jobtitle=self.rng.choice(["Owner", "Head barista", "Purchasing", None]), lifecyclestage="lead",
            hubspot_owner_id=company.values["hubspot_owner_id"] if company else self._owner(at),
            hs_analytics_source=self.rng.choice(SOURCES), hs_email_optout=self.rng.choice([None, True, False]),
            hs_analytics_num_page_views=self.rng.randint(0, 40),
            coffee_preference=self.rng.choice(["dark", "light", None]),
            birthday=self.rng.choice([None, "1984-02-29", "455155200000"]),
        )  # fmt: skip
        self.person_of[contact] = person
        if company:
            self.portal.link(at, by, contact, company, "primary", *kinds)
        elif self.rng.random() < 0.1:
            self.portal.change(contact, at, by, hubspot_owner_id=None)
        return contact

    def _join(self, at: datetime, person: Person) -> None:
        """A business that buys in the shop becomes an account."""
        company = self._add_company(at, IMPORT, person.company_name, person.country, "customer")
        contact = self._add_contact(at, IMPORT, person, company, "decision maker")
        for kinds in self.rng.choice([(), ((),), ((), ("billing",))]):
            colleague = self._stranger()._replace(country=person.country)
            self._add_contact(at, IMPORT, colleague, company, *kinds)
        if self.rng.random() < 0.5:
            self._plan(self._soon(at, 1, 60), self._open_deal_with, contact)

    def _prospect(self, at: datetime) -> None:
        """A business that the team found by itself, and that may never buy."""
        person = self._stranger()
        name = person.company_name or f"Bar {person.last_name}"
        company = self._add_company(at, IMPORT, name, person.country, "lead")
        self._add_contact(at, IMPORT, person, company)

    def _sign_chain(self, at: datetime) -> None:
        """A chain comes with all its staff, who are all invited to one training."""
        company = self._add_company(at, IMPORT, "Espressolab Holding", "DE", "customer")
        self.portal.change(company, at, IMPORT, is_chain=True)
        staff = [
            self._add_contact(at, IMPORT, self._stranger(), company)
            for _ in range(max(12, round(CHAIN_STAFF * self.company.scale)))
        ]
        self._plan(self._soon(at, 2, 6), self._book_meeting, staff)

    def _come_in(self, at: datetime) -> None:
        """A lead: somebody new, with or without a business, or a contact who asks again."""
        known = self.portal.pick("contacts") if self.rng.random() < 0.25 else None
        if known:
            self._enter_lead(at, known, self.rng.choice(["UPSELL", "RE_ATTEMPTING"]))
            return
        person = self._stranger()
        company = None
        if person.company_name or self.rng.random() < 0.05:
            company = self._add_company(at, FORM, person.company_name or "Café am Markt", person.country, "lead")
        contact = self._add_contact(at, FORM, person, company)
        self._enter_lead(at, contact, "NEW_BUSINESS")

    def _sell_more(self, at: datetime) -> None:
        """A deal with an account."""
        contact = self.portal.pick("contacts")
        if contact:
            self._plan(self._at_work(at), self._open_deal_with, contact)

    def _open_deal_with(self, at: datetime, contact: Record) -> None:
        if contact.is_alive:
            self._open_deal(at, contact)

    # Tidying up

    def _leave(self, at: datetime) -> None:
        """One of the team leaves; half of what is his goes to somebody else."""
        for object_type in OWNED:
            for record in self.portal.records[object_type]:
                if record.is_alive and record.values["hubspot_owner_id"] == LEAVER and self.rng.random() < 0.5:
                    self.portal.change(record, at, IMPORT, hubspot_owner_id=self._owner(at))

    def _correct(self, at: datetime) -> None:
        """Somebody corrects a contact's phone, or a company's size."""
        if self.rng.random() < 0.6 and (contact := self.portal.pick("contacts")):
            person = self.person_of[contact]
            phone = self.dirt.phone(person.country, person.phone)
            self.portal.change(contact, at, self._by(contact), mobilephone=phone)
        elif company := self.portal.pick("companies"):
            self.portal.change(company, at, self._by(company), numberofemployees=self.rng.choice([5, 12, None]))

    def _change_employer(self, at: datetime) -> None:
        """A contact goes to another company."""
        contact, company = self.portal.pick("contacts"), self.portal.pick("companies")
        if contact and company and company not in contact.links["companies"]:
            for old in contact.linked("companies"):
                self.portal.unlink(at, self._by(contact), contact, old)
            self.portal.link(at, self._by(contact), contact, company, "primary")

    def _enter_twice(self, at: datetime) -> None:
        """A contact is entered once more; often somebody sees it and merges the two."""
        contact = self.portal.pick("contacts")
        if contact is None:
            return
        company = next(iter(contact.linked("companies")), None)
        twin = self._add_contact(at, IMPORT, self.person_of[contact], company)
        if self.rng.random() < 0.6:
            self._plan(self._soon(at, 3, 50), self._merge, contact, twin)

    def _enter_company_twice(self, at: datetime) -> None:
        company = self.portal.pick("companies")
        if company:
            country = self.rng.choice(list(COUNTRIES))
            twin = self._add_company(at, IMPORT, f"{company.values['name'].strip()} GmbH", country, "lead")
            self._plan(self._soon(at, 3, 50), self._merge, company, twin)

    def _merge_deals(self, at: datetime) -> None:
        """A deal turns out to be the same as another one of its contact's."""
        deal = self.portal.pick("deals")
        if deal:
            others = [other for contact in deal.linked("contacts") for other in contact.linked("deals")]
            self._merge(at, deal, next((other for other in others if other is not deal), deal))

    def _merge(self, at: datetime, winner: Record, loser: Record) -> None:
        if not (winner.is_alive and loser.is_alive and winner is not loser):
            return
        values = {"hs_additional_emails": loser.values["email"]} if loser.type == "contacts" else {}
        leads = loser.linked("leads")
        self.portal.merge(at, self._by(winner), winner, loser, **values)
        for lead in leads:
            self.portal.change(lead, at, IMPORT, hs_primary_contact_id=winner.id)

    def _archive(self, at: datetime) -> None:
        """A record goes to the recycle bin; one in four comes back."""
        object_type = self.rng.choice([*OWNED, *ENGAGEMENTS])
        record = self.portal.pick(object_type)
        if record:
            record.archived_at = at
            if self.rng.random() < 0.25:
                self._plan(at + wait(self.rng.uniform(0.2, 20)), self._restore, record)

    def _restore(self, at: datetime, record: Record) -> None:
        record.archived_at = None
        self.portal.change(record, at, RESTORED)

    def _erase(self, at: datetime) -> None:
        """A person wants to be forgotten."""
        contact = self.portal.pick("contacts")
        if contact:
            self.portal.delete(contact)

    # What there is, and what is true

    def tables(self) -> Values:
        """What the vendor's server shows."""
        return self.portal.tables(self.company.today, self._owners())

    def _owners(self) -> list[Values]:
        has_left = self.company.today > LEAVES.date()
        return [
            {"id": key, "email": f"{first.lower()}.{user}@roastery.example", "type": "PERSON", "firstName": first,
             "lastName": last, "userId": None if key == LEAVER and has_left else user,
             "userIdIncludingInactive": user, "createdAt": "2025-09-01T08:00:00.000Z",
             "updatedAt": iso(LEAVES) if key == LEAVER and has_left else "2025-09-20T12:00:00.000Z",
             "archived": key == LEAVER and has_left, "teams": [{"id": TEAMS[team], "name": team, "primary": True}]}
            for key, (user, first, last, team) in OWNERS.items()
        ]  # fmt: skip

    def truth(self) -> dict[str, list[Values] | Values]:
        """Truth files by name.

        crm_rows.json             living records per type; owners, pipeline stages
        crm_gone.json             per type, the ids that are gone, and how: archived, deleted, merged
        crm_merged.json           per type, loser and the record that it lives on in
        crm_associations.json     associations per pair of types, between living records
        crm_contacts.csv          every living contact with the true person behind it
        deals.csv                 living deals
        deal_stage_intervals.csv  the stages that living deals went through, half-open
        lead_responses.csv        living leads with the first outbound touch of their living contacts after creation:
                                  call, e-mail that did not bounce, or meeting that took place
        """
        records = self.portal.records
        winners = {loser: self._survivor(loser) for loser in self.portal.merged}
        return {
            "crm_rows.json": {
                **{object_type: sum(row.is_alive for row in rows) for object_type, rows in records.items()},
                "owners": len(OWNERS),
                "pipeline_stages": sum(len(stages) for lines in PIPELINES.values() for _, stages in lines.values()),
            },
            "crm_gone.json": {
                object_type: {row.id: row.fate or "archived" for row in rows if not row.is_alive}
                for object_type, rows in records.items()
            },
            "crm_merged.json": {
                object_type: {loser.id: winner.id for loser, winner in winners.items() if loser.type == object_type}
                for object_type in records
            },
            "crm_associations.json": {
                pair: sum(len(kinds) for _, _, kinds in self.portal.living_links(pair)) for pair in LINKS
            },
            "crm_contacts.csv": [
                {"contact_id": contact.id, "person_id": person.person_id, "email": person.email}
                for contact, person in self.person_of.items() if contact.is_alive
            ],
            "deals.csv": [self._deal(deal) for deal in self.deals if deal.record.is_alive],
            "deal_stage_intervals.csv": [
                {"deal_id": deal.record.id, "stage_id": stage, "entered_at": iso(begin), "left_at": end and iso(end)}
                for deal in self.deals if deal.record.is_alive
                for (stage, begin), (_, end) in zip(deal.visits, [*deal.visits[1:], (None, None)], strict=True)
            ],
            "lead_responses.csv": [self._response(lead) for lead in records["leads"] if lead.is_alive],
        }  # fmt: skip

    def _survivor(self, record: Record) -> Record:
        while record in self.portal.merged:
            record = self.portal.merged[record]
        return record

    def _deal(self, deal) -> Values:
        return {
            "deal_id": deal.record.id, "pipeline": deal.pipeline, "stage": deal.stage, "amount": deal.amount,
            "currency": deal.currency, "is_won": deal.stage in WON, "is_closed": deal.stage in WON | LOST,
            "created": iso(deal.created), "closed": iso(deal.closes), "record_created": iso(deal.record.changes[0][0]),
        }  # fmt: skip

    def _response(self, lead: Record) -> Values:
        created = lead.changes[0][0]
        touches = [
            self.touched_at[engagement]
            for contact in lead.linked("contacts") for kind in ENGAGEMENTS for engagement in contact.linked(kind)
            if engagement in self.touched_at and self.touched_at[engagement] >= created
        ]  # fmt: skip
        first = min(touches, default=None)
        return {"lead_id": lead.id, "created_at": iso(created), "first_touch_at": first and iso(first)}
