"""The sales team at work: leads are called back, deals move, tickets are answered, and all of it leaves engagements.

Everything happens at a moment of its own, in order: an event may plan others; a day ends when none of its own is left.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sandbox.dirt import Dirt
from sandbox.portal import PIPELINES, Portal, Record, Values
from sandbox.simulation import Simulation
from sandbox.vocabulary import COUNTRIES, DECIMALS, PRICE_BOOK

FORM = {"sourceType": "FORM", "sourceId": "6b1f4c1e-contact-us", "updatedByUserId": None}
WORKFLOW = {"sourceType": "AUTOMATION_PLATFORM", "sourceId": "enrollmentId:77", "updatedByUserId": None}
IMPORT = {"sourceType": "IMPORT", "sourceId": "31415926", "updatedByUserId": None}
RESTORED = {"sourceType": "RECYCLE_BIN", "sourceId": "restore", "updatedByUserId": None}
OWNERS = {  # id: user id, first name, last name, team
    "71001": (9101, "Ines", "Vogt", "Field"), "71002": (9102, "Tom", "Walker", "Field"),
    "71003": (9103, "Chloé", "Moreau", "Field"), "71004": (9104, "Åsa", "Lindqvist", "Inside"),
    "71005": (9105, "Marco", "Conti", "Inside"), "71006": (9106, "Jana", "Krüger", "Support"),
    "71007": (9107, "Ben", "O'Neill", "Support"),
}  # fmt: skip
TEAMS = {"Field": "401", "Inside": "402", "Support": "403"}
LEAVER, LEAVES = "71002", datetime(2026, 3, 13, 16, tzinfo=UTC)  # half of what he owns stays with him
WON, LOST = {"closedwon", "124310714"}, {"closedlost", "124310715"}
CALL_STATUSES = {  # with HubSpot's id of the outcome
    "COMPLETED": "f240bbac-87c9-4f6e-bf70-924b57d47db7", "NO_ANSWER": "73a0d17f-1163-4015-bdd5-ec830791da20",
    "BUSY": "9d9162e7-6cf3-4944-bf63-4dff82258764",
}  # fmt: skip
REQUESTS = ["machine leaks", "grinder is loud", "invoice question", "delivery is late", "descaling alarm", "training"]
OFFERS = ["beans, monthly", "two-group machine", "office package", "barista training", "winter blend"]


@dataclass(eq=False)
class Deal:
    """What is true of a deal. `visits`: the stages it went through, each with its beginning."""

    record: Record
    pipeline: str
    amount: Decimal | None
    currency: str | None
    created: datetime
    closes: datetime
    visits: list[tuple[str, datetime]] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """Where it is."""
        return self.visits[-1][0]


def wait(days: float) -> timedelta:
    """So many days, to the millisecond."""
    return timedelta(milliseconds=round(days * 86_400_000))


class Sales:
    """Leads, deals, tickets and engagements in a portal, with chance of their own."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"crm {company.seed}")
        self.dirt, self.portal = Dirt(self.rng, company.dirt.rate), Portal(self.rng)
        self.deals: list[Deal] = []
        self.touched_at: dict[Record, datetime] = {}  # when the team reached out, by call, e-mail or meeting
        self._agenda: list[tuple[datetime, int, Callable, tuple]] = []
        self._order = count()
        self._due_so_far: Counter[str] = Counter()

    def _plan(self, at: datetime, event: Callable, *arguments: Any) -> None:
        heapq.heappush(self._agenda, (at, next(self._order), event, arguments))

    def _live(self) -> None:
        """Everything that is planned for before the end of today, and what that brings about."""
        midnight = datetime.combine(self.company.today, time(), UTC) + timedelta(days=1)
        while self._agenda and self._agenda[0][0] < midnight:
            at, _, event, arguments = heapq.heappop(self._agenda)
            event(at, *arguments)

    def _happen(self, per_day: float, event: Callable, at_least: float = 0.0) -> None:
        """Plans today's share of an event; fractions add up over the days."""
        self._due_so_far[event.__name__] += max(per_day * self.company.scale, at_least)
        number = int(self._due_so_far[event.__name__])
        self._due_so_far[event.__name__] -= number
        for _ in range(number):
            self._plan(datetime.combine(self.company.today, time(), UTC) + wait(self.rng.random()), event)

    def _at_work(self, at: datetime) -> datetime:
        """This moment, or the next morning on which somebody is there."""
        if at.weekday() < 5 and 8 <= at.hour < 18:
            return at
        day = at.date() + timedelta(days=at.hour >= 8)
        while day.weekday() > 4:
            day += timedelta(days=1)
        return datetime.combine(day, time(8), UTC) + wait(self.rng.uniform(0, 0.12))

    def _soon(self, at: datetime, least: float, most: float) -> datetime:
        """A moment at work, so many days later."""
        return self._at_work(at + wait(self.rng.uniform(least, most)))

    def _owner(self, at: datetime) -> str:
        return self.rng.choice([owner for owner in OWNERS if owner != LEAVER or at < LEAVES])

    def _by(self, record: Record) -> Values:
        """The record's owner as the one who changes it; where it has none, a workflow does."""
        if not record.values.get("hubspot_owner_id"):
            return WORKFLOW
        user = OWNERS[record.values["hubspot_owner_id"]][0]
        return {"sourceType": "CRM_UI", "sourceId": f"userId:{user}", "updatedByUserId": user}

    # Engagements

    def _with(self, at: datetime, event: Callable, contacts: list[Record], *arguments: Any) -> None:
        """The event with those contacts that are still there, if any are."""
        if living := [contact for contact in contacts if contact.is_alive]:
            event(at, living, *arguments)

    def _engage(self, at: datetime, kind: str, contacts: list[Record], deal: Record | None, **values: Any) -> Record:
        """Logs what happened with the contacts, the first one's companies and a deal."""
        owner, by = contacts[0].values["hubspot_owner_id"], self._by(contacts[0])
        record = self.portal.add(kind, at, by, hubspot_owner_id=owner, **values)
        for other in (*contacts, *contacts[0].linked("companies"), *([deal] if deal else [])):
            self.portal.link(at, by, record, other)
        return record

    def _reach_out(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        """A first-hand touch by call, e-mail or meeting; some are logged up to two days later."""
        event = self.rng.choices([self._call, self._email, self._meeting], [45, 45, 10])[0]
        logged = at + wait(self.rng.uniform(0.05, 2)) if self.rng.random() < 0.1 else at
        self._plan(logged, self._with, event, contacts, deal, at)

    def _hear(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        """They call or write to us: no touch of ours."""
        event = self.rng.choices([self._call, self._email], [40, 60])[0]
        event(at, contacts, deal, at, is_ours=False)

    def _call(self, at: datetime, contacts: list[Record], deal: Record | None, happened: datetime,
              is_ours: bool = True) -> None:  # fmt: skip
        status = self.rng.choices(list(CALL_STATUSES), [60, 30, 10])[0] if is_ours else "COMPLETED"
        call = self._engage(
            at, "calls", contacts, deal, hs_timestamp=happened,
            hs_call_title=f"Call with {contacts[0].values['lastname']}",
            hs_call_direction="OUTBOUND" if is_ours else "INBOUND",
            hs_call_status=status, hs_call_disposition=CALL_STATUSES[status],
            hs_call_duration=self.rng.randint(20_000, 1_500_000) if status == "COMPLETED" else None,
            call_topic=self.rng.choice(["beans", "machine", "price", None]),
        )  # fmt: skip
        if is_ours:
            self.touched_at[call] = happened

    def _email(self, at: datetime, contacts: list[Record], deal: Record | None, happened: datetime,
               is_ours: bool = True) -> None:  # fmt: skip
        theirs = ";".join(contact.values.get("email") or "unknown@example.com" for contact in contacts)
        sender, recipients = ("sales@roastery.example", theirs) if is_ours else (theirs, "sales@roastery.example")
        status = self.rng.choices(["SENT", "BOUNCED"], [96, 4])[0] if is_ours else "SENT"
        email = self._engage(
            at, "emails", contacts, deal, hs_timestamp=happened, hs_email_subject=f"Your {self.rng.choice(OFFERS)}",
            hs_email_direction="EMAIL" if is_ours else "INCOMING_EMAIL", hs_email_status=status,
            hs_email_from_email=sender, hs_email_to_email=recipients,
        )  # fmt: skip
        if is_ours and status == "SENT":  # what bounced has reached nobody
            self.touched_at[email] = happened

    def _meeting(self, at: datetime, contacts: list[Record], deal: Record | None, starts: datetime,
                 outcome: str = "COMPLETED") -> Record:  # fmt: skip
        meeting = self._engage(
            at, "meetings", contacts, deal, hs_timestamp=starts, hs_meeting_title=self.rng.choice(["Tasting", "Visit"]),
            hs_meeting_outcome=outcome, hs_meeting_start_time=starts, hs_meeting_end_time=starts + wait(1 / 24),
        )  # fmt: skip
        if outcome == "COMPLETED":
            self.touched_at[meeting] = starts
        return meeting

    def _book_meeting(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        starts = self._soon(at, 1, 8)
        meeting = self._meeting(at, contacts, deal, starts, "SCHEDULED")
        self._plan(starts + wait(1 / 20), self._hold_meeting, meeting, starts)

    def _hold_meeting(self, at: datetime, meeting: Record, starts: datetime) -> None:
        if meeting.is_alive:
            outcome = self.rng.choices(["COMPLETED", "NO_SHOW", "CANCELED"], [80, 12, 8])[0]
            self.portal.change(meeting, at, self._by(meeting), hs_meeting_outcome=outcome)
            if outcome == "COMPLETED":
                self.touched_at[meeting] = starts

    def _note(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        body = self.rng.choice(["<p>Wants a <b>second grinder</b></p>", "Ruft zurück: „nächste Woche“", "ok 👍", ""])
        self._engage(at, "notes", contacts, deal, hs_timestamp=at, hs_note_body=body)

    def _task(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        task = self._engage(
            at, "tasks", contacts, deal, hs_timestamp=self._soon(at, 1, 10), hs_task_subject="Follow up",
            hs_task_type=self.rng.choice(["CALL", "EMAIL", "TODO"]), hs_task_status="NOT_STARTED",
            hs_task_priority=self.rng.choice(["LOW", "MEDIUM", "HIGH", None]),
        )  # fmt: skip
        if self.rng.random() < 0.8:
            self._plan(self._soon(at, 0.5, 12), self._finish_task, task)

    def _finish_task(self, at: datetime, task: Record) -> None:
        if task.is_alive:
            self.portal.change(task, at, self._by(task), hs_task_status="COMPLETED", hs_task_completion_date=at)

    def _work_on(self, at: datetime, contacts: list[Record], deal: Record | None = None) -> None:
        """Any engagement, as an account or a deal brings it."""
        events = [self._reach_out, self._hear, self._book_meeting, self._note, self._task]
        self._with(at, self.rng.choices(events, [45, 25, 6, 13, 11])[0], contacts, deal)

    def _care(self, at: datetime) -> None:
        """A sign of life from an account."""
        if contact := self.portal.pick("contacts"):
            self._plan(self._at_work(at), self._work_on, [contact])

    # Leads

    def _enter_lead(self, at: datetime, contact: Record, lead_type: str) -> None:
        """A new lead; how soon somebody reaches out is a matter of luck, of the hour, and of the day of the week."""
        values = contact.values
        lead = self.portal.add(
            "leads", at, FORM, hs_lead_name=f"{values['firstname']} {values['lastname']}", hs_lead_type=lead_type,
            hs_pipeline="lead-pipeline-id", hs_pipeline_stage="new-stage-id", hs_primary_contact_id=contact.id,
            hubspot_owner_id=values["hubspot_owner_id"],
        )  # fmt: skip
        self.portal.link(at, FORM, lead, contact, "primary")
        self.portal.change(contact, at, FORM, hs_lead_status="NEW")
        speed = self.rng.choices(["at once", "today", "this week", "late", "never"], [12, 48, 18, 8, 14])[0]
        if speed == "never":
            if self.rng.random() < 0.4:
                self._plan(at + wait(self.rng.uniform(1, 9)), self._with, self._hear, [contact])
            if self.rng.random() < 0.5:
                self._plan(self._soon(at, 20, 60), self._end_lead, lead, "unqualified-stage-id", "UNQUALIFIED")
            return
        first = {
            "at once": at + wait(self.rng.uniform(15, 295) / 86400), "today": self._soon(at, 0.005, 0.25),
            "this week": self._soon(at, 1, 5), "late": self._soon(at, 10, 40),
        }[speed]  # fmt: skip
        self._plan(first, self._attempt, lead, 1)

    def _attempt(self, at: datetime, lead: Record, number: int) -> None:
        contacts = lead.linked("contacts")
        if not (lead.is_alive and contacts):
            return
        self._reach_out(at, contacts[:1])
        if number == 1:
            self._move_lead(at, lead, "attempting-stage-id", "ATTEMPTED_TO_CONTACT")
        draw = self.rng.random()
        if draw < 0.4:
            self._plan(at + wait(self.rng.uniform(0.002, 0.02)), self._connect, lead)
        elif draw < 0.85 and number < 6:
            self._plan(self._soon(at, 0.5, 4), self._attempt, lead, number + 1)
        else:
            self._plan(self._soon(at, 5, 20), self._end_lead, lead, "unqualified-stage-id", "UNQUALIFIED")

    def _connect(self, at: datetime, lead: Record) -> None:
        self._move_lead(at, lead, "connected-stage-id", "CONNECTED")
        endings = [("qualified-stage-id", "OPEN_DEAL"), ("unqualified-stage-id", "BAD_TIMING")]
        self._plan(self._soon(at, 0.5, 10), self._end_lead, lead, *self.rng.choices(endings, [60, 40])[0])

    def _end_lead(self, at: datetime, lead: Record, stage: str, status: str) -> None:
        contacts = lead.linked("contacts")
        if lead.is_alive and contacts:
            self._move_lead(at, lead, stage, status)
            if status == "OPEN_DEAL":
                self._open_deal(at, contacts[0])

    def _move_lead(self, at: datetime, lead: Record, stage: str, status: str) -> None:
        if lead.is_alive:
            self.portal.change(lead, at, self._by(lead), hs_pipeline_stage=stage)
            for contact in lead.linked("contacts"):
                self.portal.change(contact, at, self._by(lead), hs_lead_status=status)

    # Deals

    def _open_deal(self, at: datetime, contact: Record) -> None:
        """A new deal with a contact and its company; people may set its create date, and leave its amount open."""
        pipeline = self.rng.choices(list(PIPELINES["deals"]), [75, 25])[0]
        currency = self.rng.choice([None, *(facts.currency for facts in COUNTRIES.values())])
        amount = self._money(self.rng.choice([480, 1200, 2400, 4290, 9800]), currency)
        amount = None if self.rng.random() < 0.1 else amount
        created = at - wait(self.rng.uniform(5, 60)) if self.rng.random() < 0.06 else at
        by = self._by(contact)
        record = self.portal.add(
            "deals", at, by, dealname=f"{contact.values['lastname']} - {self.rng.choice(OFFERS)}",
            dealtype="existingbusiness" if contact.linked("deals") else "newbusiness", pipeline=pipeline,
            hubspot_owner_id=contact.values["hubspot_owner_id"], amount=amount, createdate=created,
            deal_currency_code=currency, machine_count=self.rng.choice([None, 1, 2, 6]),
            delivery_notes=self.rng.choice([None, 'Hof, 2. Tür\n"links"']),
        )  # fmt: skip
        deal = Deal(record, pipeline, amount, currency, created, at)
        self.deals.append(deal)
        self.portal.link(at, by, record, contact, *self.rng.choice([(), (), ("champion",)]))
        for company in contact.linked("companies")[:1]:
            self.portal.link(at, by, record, company, "primary")
        self._enter(at, deal, self._open_stages(deal)[self.rng.random() < 0.15])
        self._plan(self._soon(at, 0.5, 14), self._step, deal)

    def _money(self, euros: int, currency: str | None) -> Decimal:
        price = Decimal(euros) * Decimal(PRICE_BOOK[currency or "EUR"]) * Decimal(self.rng.choice(["0.9", "1", "1.15"]))
        return round(price, DECIMALS.get(currency, 2))

    def _open_stages(self, deal: Deal) -> list[str]:
        return [stage for stage in PIPELINES["deals"][deal.pipeline][1] if stage not in WON | LOST]

    def _enter(self, at: datetime, deal: Deal, stage: str, **values: Any) -> None:
        """The deal is in this stage from now on; an open one is expected to close within months."""
        _, facts = PIPELINES["deals"][deal.pipeline][1][stage]
        is_closed = stage in WON | LOST
        if is_closed:
            deal.closes = at
        elif not deal.visits or deal.closes <= at:
            deal.closes = datetime.combine(at.date(), time(), UTC) + timedelta(days=self.rng.randint(20, 100))
        self.portal.change(
            deal.record, at, self._by(deal.record), dealstage=stage, closedate=deal.closes,
            hs_deal_stage_probability=Decimal(float(facts["probability"])), hs_is_closed=is_closed,
            hs_is_closed_won=stage in WON, **values,
        )  # fmt: skip
        if not deal.visits or stage != deal.stage:
            deal.visits.append((stage, at))

    def _step(self, at: datetime, deal: Deal) -> None:
        """The deal moves on: mostly to the next stage, at times over one, back, to nowhere, or to its end."""
        if not deal.record.is_alive:
            return
        for _ in range(self.rng.choice([0, 1, 1, 2, 3])):
            self._plan(self._soon(at, 0, 4), self._work_on, deal.record.linked("contacts"), deal.record)
        won, lost = (next(s for s in PIPELINES["deals"][deal.pipeline][1] if s in ends) for ends in (WON, LOST))
        stages = self._open_stages(deal)
        place = stages.index(deal.stage)
        draw = self.rng.random()
        if draw < 0.05:  # it stalls: nobody touches it again
            return
        if draw < 0.19:
            self._close(at, deal, lost)
            return
        place += self.rng.choices([1, 2, -1, 0], [72, 12, 8, 8])[0]
        if place >= len(stages):
            self._close(at, deal, won)
            return
        self._enter(at, deal, stages[max(place, 0)], **self._second_thoughts(deal))
        self._plan(self._soon(at, 0.5, 16), self._step, deal)

    def _second_thoughts(self, deal: Deal) -> Values:
        """A new amount now and then, or a later close."""
        if self.rng.random() < 0.15:
            deal.closes += timedelta(days=self.rng.choice([7, 14, 30]))
        if self.rng.random() < 0.2:
            deal.amount = self._money(self.rng.choice([900, 1500, 5200]), deal.currency)
            return {"amount": deal.amount}
        return {}

    def _close(self, at: datetime, deal: Deal, stage: str) -> None:
        self._enter(at, deal, stage)
        if stage in WON:
            for record in (*deal.record.linked("contacts"), *deal.record.linked("companies")):
                self.portal.change(record, at, self._by(deal.record), lifecyclestage="customer")
        if self.rng.random() < (0.03 if stage in WON else 0.08):
            self._plan(self._soon(at, 3, 40), self._reopen, deal)

    def _reopen(self, at: datetime, deal: Deal) -> None:
        if deal.record.is_alive:
            self._enter(at, deal, self._open_stages(deal)[1])
            self._plan(self._soon(at, 1, 10), self._step, deal)

    # Tickets

    def _open_ticket(self, at: datetime) -> None:
        """A contact wants help."""
        contact = self.portal.pick("contacts")
        if contact is None:
            return
        by, owner = self._by(contact), self.rng.choice(["71006", "71007"])
        ticket = self.portal.add(
            "tickets", at, by, subject=self.rng.choice(REQUESTS), content="See the e-mail", hs_pipeline="0",
            hs_pipeline_stage="1", hs_ticket_priority=self.rng.choice(["LOW", "MEDIUM", "HIGH", "URGENT", None]),
            hubspot_owner_id=owner, machine_serial=self.rng.choice([None, f"MCH-{self.rng.randint(10000, 99999)}"]),
        )  # fmt: skip
        self.portal.link(at, by, ticket, contact)
        for company in contact.linked("companies")[:1]:
            self.portal.link(at, by, ticket, company, "primary")
        self._hear(at, [contact])
        self._plan(self._soon(at, 0.01, 1), self._answer_ticket, ticket, ["2", "3", "4"])

    def _answer_ticket(self, at: datetime, ticket: Record, stages: list[str]) -> None:
        if not ticket.is_alive:
            return
        stage, *left = stages
        self.portal.change(
            ticket, at, self._by(ticket), hs_pipeline_stage=stage, closed_date=at if stage == "4" else None
        )
        self._plan(self._soon(at, 0, 0.1), self._work_on, ticket.linked("contacts"))
        if stage == "4" and self.rng.random() < 0.08:
            left = ["3", "4"]  # it was not solved after all
        if left and self.rng.random() < 0.93:
            self._plan(self._soon(at, 0.1, 5), self._answer_ticket, ticket, left)
