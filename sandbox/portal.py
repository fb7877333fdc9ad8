"""What a CRM keeps: records with all their changes, how they are linked, and its pipelines and properties.

A record is the list of its changes, so that its state at any moment and the history of every property follow from it.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

Values = dict[str, Any]

# Types of association by pair and kind: number seen from the first type, number seen from the second, label.
# A portal numbers its own labels from 1, so that only the category tells them from HubSpot's.
LINKS = {
    "contacts-companies": {
        "": (279, 280, None), "primary": (1, 2, "Primary"),
        "decision maker": (1, 2, "Decision maker"), "billing": (3, 4, "Billing contact"),
    },
    "deals-companies": {"": (341, 342, None), "primary": (5, 6, "Primary")},
    "deals-contacts": {"": (3, 4, None), "champion": (5, 6, "Champion")},
    "tickets-contacts": {"": (16, 15, None)},
    "tickets-companies": {"": (339, 340, None), "primary": (26, 25, "Primary")},
    "leads-contacts": {"": (608, 607, None), "primary": (578, 579, "Primary")},
    "calls-contacts": {"": (194, 193, None)}, "calls-companies": {"": (182, 181, None)},
    "calls-deals": {"": (206, 205, None)},
    "emails-contacts": {"": (198, 197, None)}, "emails-companies": {"": (186, 185, None)},
    "emails-deals": {"": (210, 209, None)},
    "meetings-contacts": {"": (200, 199, None)}, "meetings-companies": {"": (188, 187, None)},
    "meetings-deals": {"": (212, 211, None)},
    "notes-contacts": {"": (202, 201, None)}, "notes-companies": {"": (190, 189, None)},
    "notes-deals": {"": (214, 213, None)},
    "tasks-contacts": {"": (204, 203, None)}, "tasks-companies": {"": (192, 191, None)},
    "tasks-deals": {"": (216, 215, None)},
}  # fmt: skip
USER_DEFINED = {"decision maker", "billing", "champion"}

# Pipelines by type and id: label, and per stage id its label and what HubSpot calls metadata.
_OPEN, _DONE = {"isClosed": "false", "ticketState": "OPEN"}, {"isClosed": "true", "ticketState": "CLOSED"}
PIPELINES = {
    "deals": {
        "default": ("Sales pipeline", {
            "appointmentscheduled": ("Appointment scheduled", {"isClosed": "false", "probability": "0.2"}),
            "qualifiedtobuy": ("Qualified to buy", {"isClosed": "false", "probability": "0.4"}),
            "presentationscheduled": ("Tasting scheduled", {"isClosed": "false", "probability": "0.6"}),
            "decisionmakerboughtin": ("Decision maker bought in", {"isClosed": "false", "probability": "0.8"}),
            "contractsent": ("Contract sent", {"isClosed": "false", "probability": "0.9"}),
            "closedwon": ("Closed won", {"isClosed": "true", "probability": "1.0"}),
            "closedlost": ("Closed lost", {"isClosed": "true", "probability": "0.0"}),
        }),
        "64120881": ("Machine leasing", {
            "124310711": ("Offer sent", {"isClosed": "false", "probability": "0.3"}),
            "124310712": ("Credit check", {"isClosed": "false", "probability": "0.5"}),
            "124310713": ("Negotiation", {"isClosed": "false", "probability": "0.7"}),
            "124310714": ("Signed", {"isClosed": "true", "probability": "1.0"}),
            "124310715": ("Declined", {"isClosed": "true", "probability": "0.0"}),
        }),
    },
    "tickets": {"0": ("Support pipeline", {
        "1": ("New", _OPEN), "2": ("Waiting on contact", _OPEN), "3": ("Waiting on us", _OPEN), "4": ("Closed", _DONE),
    })},
    "leads": {"lead-pipeline-id": ("Lead pipeline", {
        "new-stage-id": ("New", {"leadState": "NEW"}),
        "attempting-stage-id": ("Attempting", {"leadState": "IN_PROGRESS"}),
        "connected-stage-id": ("Connected", {"leadState": "IN_PROGRESS"}),
        "qualified-stage-id": ("Qualified", {"leadState": "QUALIFIED"}),
        "unqualified-stage-id": ("Disqualified", {"leadState": "DISQUALIFIED"}),
    })},
}  # fmt: skip

# Properties by type: HubSpot's own, and the portal's, each as name:type (without one: string).
PROPERTIES = {
    "contacts": "email firstname lastname phone mobilephone company jobtitle country lifecyclestage:enumeration"
                " hs_lead_status:enumeration hubspot_owner_id:enumeration hs_analytics_source:enumeration"
                " hs_email_optout:bool hs_additional_emails:enumeration hs_merged_object_ids:enumeration"
                " hs_analytics_num_page_views:number createdate:datetime lastmodifieddate:datetime",
    "companies": "name domain industry:enumeration phone city country numberofemployees:number annualrevenue:number"
                 " lifecyclestage:enumeration hubspot_owner_id:enumeration hs_merged_object_ids:enumeration",
    "deals": "dealname dealtype:enumeration pipeline:enumeration dealstage:enumeration hubspot_owner_id:enumeration"
             " deal_currency_code:enumeration amount:number hs_deal_stage_probability:number hs_is_closed:bool"
             " hs_is_closed_won:bool createdate:datetime closedate:datetime hs_merged_object_ids:enumeration",
    "tickets": "subject content hs_pipeline:enumeration hs_pipeline_stage:enumeration hs_ticket_priority:enumeration"
               " hubspot_owner_id:enumeration closed_date:datetime hs_merged_object_ids:enumeration",
    "leads": "hs_lead_name hs_lead_type:enumeration hs_pipeline:enumeration hs_pipeline_stage:enumeration"
             " hs_primary_contact_id:number hubspot_owner_id:enumeration",
    "calls": "hs_timestamp:datetime hs_call_title hs_call_direction:enumeration hs_call_status:enumeration"
             " hs_call_disposition:enumeration hs_call_duration:number hubspot_owner_id:enumeration",
    "emails": "hs_timestamp:datetime hs_email_subject hs_email_direction:enumeration hs_email_status:enumeration"
              " hs_email_from_email hs_email_to_email hubspot_owner_id:enumeration",
    "meetings": "hs_timestamp:datetime hs_meeting_title hs_meeting_outcome:enumeration hs_meeting_start_time:datetime"
                " hs_meeting_end_time:datetime hubspot_owner_id:enumeration",
    "notes": "hs_timestamp:datetime hs_note_body hubspot_owner_id:enumeration",
    "tasks": "hs_timestamp:datetime hs_task_subject hs_task_type:enumeration hs_task_status:enumeration"
             " hs_task_priority:enumeration hs_task_completion_date:datetime hubspot_owner_id:enumeration",
}  # fmt: skip
CUSTOM_PROPERTIES = {
    "contacts": "coffee_preference:enumeration birthday:date social_handle:string",
    "companies": "cafe_seats:number opening_date:date is_chain:bool machine_types:enumeration delivery_route:geo_shape",
    "deals": "machine_count:number delivery_notes:string",
    "tickets": "machine_serial:string",
    "calls": "call_topic:enumeration",
}
ENGAGEMENTS = ("calls", "emails", "meetings", "notes", "tasks")
CREATED = {"contacts": "createdate", "companies": "createdate", "tickets": "createdate"}  # else hs_createdate
MODIFIED = {"contacts": "lastmodifieddate"}  # else hs_lastmodifieddate


def iso(at: datetime) -> str:
    """A moment as HubSpot writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(eq=False)
class Record:
    """One record. `values`: its properties now, as texts; `fate`: merged or deleted, once it is gone for good."""

    type: str
    id: str
    changes: list[tuple[datetime, Values, Values]] = field(default_factory=list)  # when, what, by whom
    values: Values = field(default_factory=dict)
    links: dict[str, dict["Record", set[str]]] = field(default_factory=lambda: defaultdict(dict))  # kinds, by record
    archived_at: datetime | None = None
    fate: str | None = None

    @property
    def is_alive(self) -> bool:
        """Neither gone nor in the recycle bin."""
        return self.fate is None and self.archived_at is None

    def linked(self, object_type: str) -> list["Record"]:
        """The living records of a type that it is associated with."""
        return [record for record in self.links[object_type] if record.is_alive]


class Portal:
    """The records of a CRM by type, and which ones lost a merger."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.records: dict[str, list[Record]] = {object_type: [] for object_type in PROPERTIES}
        self.merged: dict[Record, Record] = {}  # the loser's winner, which may have lost since

    def add(self, object_type: str, at: datetime, by: Values, **values: Any) -> Record:
        """A new record. The portal's oldest ones have small ids; later ones are in no order."""
        number = len(self.records[object_type]) + 1
        number = number * 50 + 1 if number <= 20 else 10_000_000_000 + number * 1588635695 % 2147483647
        record = Record(object_type, str(number))
        self.records[object_type].append(record)
        self.change(record, at, by, **values)
        return record

    def change(self, record: Record, at: datetime, by: Values, **values: Any) -> None:
        """Changes properties of a record (none: only its time of change moves). One moment has one change."""
        texts = {name: self._text(value) for name, value in values.items()}
        record.values |= texts
        if record.changes and record.changes[-1][0] == at:
            record.changes[-1][1].update(texts)
        else:
            record.changes.append((at, texts, by))

    def _text(self, value: Any) -> str | None:
        """A property as HubSpot has it: always a text, a moment in several forms, nothing as null or empty."""
        match value:
            case None:
                return "" if self.rng.random() < 0.3 else None
            case bool():
                return str(value).lower()
            case datetime() if self.rng.random() < 0.05:
                return str(round(value.timestamp() * 1000))
            case datetime() if value.time() == time() and self.rng.random() < 0.3:
                return str(value.date())
            case datetime():
                return iso(value)
        return str(value)

    def pick(self, object_type: str) -> Record | None:
        """Any living record of a type, if one is found soon."""
        draws = self.rng.choices(self.records[object_type], k=10) if self.records[object_type] else []
        return next((record for record in draws if record.is_alive), None)

    def link(self, at: datetime, by: Values, one: Record, other: Record, *kinds: str) -> None:
        """Associates two records. Engagements aside, those that are not new show it in their time of change."""
        one.links[other.type].setdefault(other, {""}).update(kinds)
        other.links[one.type][one] = one.links[other.type][other]
        for record in (one, other):
            if one.type not in ENGAGEMENTS:
                self.change(record, at, by)

    def unlink(self, at: datetime, by: Values, one: Record, other: Record) -> None:
        """Takes all associations between two records away."""
        del one.links[other.type][other], other.links[one.type][one]
        self.change(one, at, by)
        self.change(other, at, by)

    def merge(self, at: datetime, by: Values, winner: Record, loser: Record, **values: Any) -> None:
        """The winner takes over the loser's associations; the loser is found no more."""
        ids = [winner.values.get("hs_merged_object_ids"), loser.id, loser.values.get("hs_merged_object_ids")]
        self.change(winner, at, by, hs_merged_object_ids=";".join(filter(None, ids)), **values)
        loser.fate, self.merged[loser] = "merged", winner
        for object_type, others in loser.links.items():
            for other, kinds in others.items():
                winner.links[object_type].setdefault(other, set()).update(kinds)
                other.links[winner.type][winner] = winner.links[object_type][other]
                del other.links[loser.type][loser]

    def delete(self, record: Record) -> None:
        """A privacy deletion: no trace stays."""
        record.fate = "deleted"
        for others in record.links.values():
            for other in others:
                del other.links[record.type][record]

    def living_links(self, pair: str) -> list[tuple[Record, Record, set[str]]]:
        """The associations of a pair of types between records that are alive."""
        one_type, other_type = pair.split("-")
        living = [record for record in self.records[one_type] if record.is_alive]
        return [(one, other, one.links[other_type][other]) for one in living for other in one.linked(other_type)]

    def tables(self, today: date, owners: list[Values]) -> Values:
        """All of it, as sandbox.hubspot serves it."""
        return {
            "clock": iso(datetime.combine(today, time(), UTC)),
            "owners": owners,
            "pipelines": {object_type: _pipelines(pipelines) for object_type, pipelines in PIPELINES.items()},
            "properties": {object_type: _properties(object_type) for object_type in PROPERTIES},
            "objects": {
                object_type: [_document(record) for record in records if record.fate is None]
                for object_type, records in self.records.items()
            },
            "association_types": {pair: _types(pair) for pair in LINKS},
            "associations": {
                pair: [[one.id, other.id, sorted(kinds)] for one, other, kinds in self.living_links(pair)]
                for pair in LINKS
            },
        }


def _document(record: Record) -> Values:
    changes = [[iso(at), values, by] for at, values, by in record.changes]
    return {"id": record.id, "archivedAt": record.archived_at and iso(record.archived_at), "changes": changes}


def _pipelines(pipelines: Values) -> list[Values]:
    dates = {"archived": False, "createdAt": "2025-09-01T08:00:00.000Z", "updatedAt": "2025-09-15T10:30:00.000Z"}
    return [
        {"id": key, "label": label, "displayOrder": order, **dates, "stages": [
            {"id": stage, "label": name, "displayOrder": place, "metadata": metadata, **dates}
            for place, (stage, (name, metadata)) in enumerate(stages.items())
        ]}
        for order, (key, (label, stages)) in enumerate(pipelines.items())
    ]  # fmt: skip


def _properties(object_type: str) -> list[Values]:
    created, modified = CREATED.get(object_type, "hs_createdate"), MODIFIED.get(object_type, "hs_lastmodifieddate")
    system = f"hs_object_id:number {created}:datetime {modified}:datetime {PROPERTIES[object_type]}"
    return [
        {"name": name, "label": name.removeprefix("hs_").replace("_", " ").capitalize(), "type": kind or "string",
         "fieldType": "text", "groupName": "information", "hubspotDefined": is_own, "hidden": False, "archived": False}
        for is_own, words in ((True, system), (False, CUSTOM_PROPERTIES.get(object_type, "")))
        for name, _, kind in (word.partition(":") for word in dict.fromkeys(words.split()))
    ]  # fmt: skip


def _types(pair: str) -> Values:
    """Per direction and kind, what HubSpot says about an association."""
    return {
        direction: {
            kind: {"category": "USER_DEFINED" if kind in USER_DEFINED else "HUBSPOT_DEFINED",
                   "typeId": numbers[place], "label": numbers[2]}
            for kind, numbers in LINKS[pair].items()
        }
        for place, direction in enumerate(("forward", "backward"))
    }  # fmt: skip
