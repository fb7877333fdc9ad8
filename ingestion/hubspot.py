"""CRM: HubSpot's contacts, companies, deals, tickets, leads, engagements, owners, pipelines and associations."""

import dataclasses

import dlt

from ingestion.contract import Contract, EpochTime, Rate, contract, field
from ingestion.hubspot_api import Reader
from ingestion.reading import resources
from ingestion.stream import Event, Run, Snapshot, State, Stream

_CREATED = "When it was created (UTC)."
_HAPPENED = "When it happened, or will (UTC)."


class _Record:
    """What every record has."""

    owner_id: str | None = field("The user of the portal who is responsible.", source="properties.hubspot_owner_id")
    custom_properties: str | None = field(
        "The portal's own properties: a JSON object of texts, by internal name.", source="properties.*"
    )
    created_at: EpochTime = field(_CREATED, source="createdAt")
    updated_at: EpochTime = field(
        "When HubSpot last changed it (UTC); archiving does not move it.", version=True, source="updatedAt"
    )


class _Mergeable(_Record):
    """And those that can be merged."""

    merged_ids: str | None = field(
        "Ids of the records that were merged into this one, separated by semicolons.",
        source="properties.hs_merged_object_ids",
    )


@contract
class Contacts(_Mergeable):
    """One contact: a person that the portal knows."""

    contact_id: str = field("HubSpot's id of the contact.", key=True, source="id")
    email: str | None = field("E-mail address.", source="properties.email", enrich="email_domain")
    additional_emails: str | None = field(
        "Further addresses, with semicolons.", source="properties.hs_additional_emails"
    )
    first_name: str | None = field("Given name.", source="properties.firstname")
    last_name: str | None = field("Family name.", source="properties.lastname")
    phone: str | None = field("Phone number, as typed.", source="properties.phone")
    mobile_phone: str | None = field("Mobile phone number, as typed.", source="properties.mobilephone")
    company_name: str | None = field("Company, as typed on the contact.", source="properties.company")
    job_title: str | None = field("Job title.", source="properties.jobtitle")
    country: str | None = field("Country, as typed.", source="properties.country")
    lifecycle_stage: str | None = field("Lifecycle stage: lead, customer, ...", source="properties.lifecyclestage")
    lead_status: str | None = field("Lead status: NEW, OPEN, ...", source="properties.hs_lead_status")
    analytics_source: str | None = field("How the contact first came.", source="properties.hs_analytics_source")
    is_email_opted_out: bool | None = field("Opted out of all e-mail.", source="properties.hs_email_optout")


@contract
class Companies(_Mergeable):
    """One company."""

    company_id: str = field("HubSpot's id of the company.", key=True, source="id")
    company_name: str | None = field("Name.", source="properties.name")
    domain: str | None = field("Web domain.", source="properties.domain")
    industry: str | None = field("Industry.", source="properties.industry")
    phone: str | None = field("Phone number, as typed.", source="properties.phone")
    city: str | None = field("City.", source="properties.city")
    country: str | None = field("Country, as typed.", source="properties.country")
    employee_count: int | None = field("Number of employees.", source="properties.numberofemployees")
    annual_revenue: Rate | None = field("Annual revenue, in the portal's currency.", source="properties.annualrevenue")
    lifecycle_stage: str | None = field("Lifecycle stage: lead, customer, ...", source="properties.lifecyclestage")


@contract
class Deals(_Mergeable):
    """One deal: a sale that is hoped for, won or lost."""

    deal_id: str = field("HubSpot's id of the deal.", key=True, source="id")
    deal_name: str | None = field("Name.", source="properties.dealname")
    deal_type: str | None = field("newbusiness or existingbusiness.", source="properties.dealtype")
    pipeline_id: str | None = field("Pipeline.", source="properties.pipeline")
    stage_id: str | None = field("Stage of the pipeline.", source="properties.dealstage")
    currency: str | None = field("Currency of the amount; null: the portal's.", source="properties.deal_currency_code")
    amount: Rate | None = field("Value of the deal.", source="properties.amount")
    stage_probability: float | None = field("Chance to win, 0 to 1.", source="properties.hs_deal_stage_probability")
    is_closed: bool | None = field("Won or lost.", source="properties.hs_is_closed")
    is_won: bool | None = field("Won.", source="properties.hs_is_closed_won")
    entered_at: EpochTime | None = field(
        "Create date of the deal, which people may set (UTC).", source="properties.createdate"
    )
    closed_at: EpochTime | None = field("When it was, or should be, closed (UTC).", source="properties.closedate")


@contract
class Tickets(_Mergeable):
    """One ticket: something a customer wants help with."""

    ticket_id: str = field("HubSpot's id of the ticket.", key=True, source="id")
    subject: str | None = field("Subject.", source="properties.subject")
    pipeline_id: str | None = field("Pipeline.", source="properties.hs_pipeline")
    stage_id: str | None = field("Stage of the pipeline.", source="properties.hs_pipeline_stage")
    priority: str | None = field("LOW, MEDIUM, HIGH or URGENT.", source="properties.hs_ticket_priority")
    closed_at: EpochTime | None = field("When it was closed (UTC).", source="properties.closed_date")


@contract
class Leads(_Record):
    """One lead: a contact that somebody should get in touch with."""

    lead_id: str = field("HubSpot's id of the lead.", key=True, source="id")
    lead_name: str | None = field("Name.", source="properties.hs_lead_name")
    lead_type: str | None = field("NEW_BUSINESS, UPSELL, RE_ATTEMPTING ...", source="properties.hs_lead_type")
    pipeline_id: str | None = field("Pipeline.", source="properties.hs_pipeline")
    stage_id: str | None = field("Stage of the pipeline.", source="properties.hs_pipeline_stage")
    primary_contact_id: str | None = field("The contact that it is about.", source="properties.hs_primary_contact_id")


@contract
class Calls(_Record):
    """One call."""

    call_id: str = field("HubSpot's id of the call.", key=True, source="id")
    title: str | None = field("Title.", source="properties.hs_call_title")
    direction: str | None = field("INBOUND or OUTBOUND.", source="properties.hs_call_direction")
    status: str | None = field("COMPLETED, NO_ANSWER, BUSY ...", source="properties.hs_call_status")
    disposition: str | None = field("Outcome: a GUID that the portal names.", source="properties.hs_call_disposition")
    duration_ms: int | None = field("Duration in milliseconds.", source="properties.hs_call_duration")
    occurred_at: EpochTime | None = field(_HAPPENED, source="properties.hs_timestamp")


@contract
class Emails(_Record):
    """One e-mail between somebody of the portal and a contact (not a campaign's)."""

    email_id: str = field("HubSpot's id of the e-mail.", key=True, source="id")
    subject: str | None = field("Subject.", source="properties.hs_email_subject")
    direction: str | None = field(
        "EMAIL (outgoing), INCOMING_EMAIL, FORWARDED_EMAIL.", source="properties.hs_email_direction"
    )
    status: str | None = field("SENT, BOUNCED, FAILED, SENDING, SCHEDULED.", source="properties.hs_email_status")
    from_email: str | None = field("Sender's address.", source="properties.hs_email_from_email")
    to_email: str | None = field("Recipients' addresses, with semicolons.", source="properties.hs_email_to_email")
    occurred_at: EpochTime | None = field(_HAPPENED, source="properties.hs_timestamp")


@contract
class Meetings(_Record):
    """One meeting."""

    meeting_id: str = field("HubSpot's id of the meeting.", key=True, source="id")
    title: str | None = field("Title.", source="properties.hs_meeting_title")
    outcome: str | None = field("SCHEDULED, COMPLETED, NO_SHOW, CANCELED ...", source="properties.hs_meeting_outcome")
    starts_at: EpochTime | None = field("When it starts (UTC).", source="properties.hs_meeting_start_time")
    ends_at: EpochTime | None = field("When it ends (UTC).", source="properties.hs_meeting_end_time")
    occurred_at: EpochTime | None = field(_HAPPENED, source="properties.hs_timestamp")


@contract
class Notes(_Record):
    """One note."""

    note_id: str = field("HubSpot's id of the note.", key=True, source="id")
    body: str | None = field("Text, as HTML.", source="properties.hs_note_body")
    occurred_at: EpochTime | None = field(_HAPPENED, source="properties.hs_timestamp")


@contract
class Tasks(_Record):
    """One task."""

    task_id: str = field("HubSpot's id of the task.", key=True, source="id")
    subject: str | None = field("What is to be done.", source="properties.hs_task_subject")
    task_type: str | None = field("CALL, EMAIL or TODO.", source="properties.hs_task_type")
    status: str | None = field("NOT_STARTED, COMPLETED ...", source="properties.hs_task_status")
    priority: str | None = field("LOW, MEDIUM or HIGH.", source="properties.hs_task_priority")
    completed_at: EpochTime | None = field("When it was done (UTC).", source="properties.hs_task_completion_date")
    occurred_at: EpochTime | None = field("When it is due (UTC).", source="properties.hs_timestamp")


@contract
class Owners:
    """One user of the portal who can own records; former ones too."""

    owner_id: str = field("HubSpot's id of the owner.", key=True, source="id")
    owner_type: str | None = field("PERSON or QUEUE.", source="type")
    user_id: str | None = field("The user's id; null once removed.", source="userId")
    former_user_id: str | None = field("The user's id, also of a removed one.", source="userIdIncludingInactive")
    email: str | None = field("E-mail address.")
    first_name: str | None = field("Given name.", source="firstName")
    last_name: str | None = field("Family name.", source="lastName")
    teams: str | None = field("Teams: a JSON array of id, name and whether primary.")
    is_archived: bool = field("Whether the owner was removed.", source="archived")
    created_at: EpochTime | None = field(_CREATED, source="createdAt")
    updated_at: EpochTime | None = field("When it last changed (UTC).", source="updatedAt")


@contract
class PipelineStages:
    """One stage of one pipeline of deals, tickets or leads."""

    object_type: str = field("What runs through it: deals, tickets or leads.", key=True)
    pipeline_id: str = field("The pipeline.", key=True)
    stage_id: str = field("The stage.", key=True)
    pipeline_name: str | None = field("Name of the pipeline.")
    pipeline_order: int | None = field("Place of the pipeline among those of its type.")
    stage_name: str | None = field("Name of the stage.")
    stage_order: int | None = field("Place of the stage in its pipeline.")
    probability: float | None = field("Chance to win a deal in this stage, 0 to 1.")
    is_closed: bool | None = field("Whether deals in it are won or lost, or tickets done.")
    created_at: EpochTime | None = field("When the stage was created (UTC).")
    updated_at: EpochTime | None = field("When the stage last changed (UTC).")


@contract
class Associations:
    """One association between two records; of two that are linked in several ways, one row per way."""

    from_type: str = field("Type of the record it was read from, as contacts.", key=True)
    from_id: str = field("That record.", key=True)
    to_type: str = field("Type of the other record.", key=True)
    to_id: str = field("The other record.", key=True)
    category: str = field("HUBSPOT_DEFINED, USER_DEFINED or INTEGRATOR_DEFINED.", key=True)
    type_id: str = field("The association's type within its category.", key=True)
    label: str | None = field("The type's label; null if it has none.")


@contract
class PropertyHistory:
    """One value that a property of a record had, from `changed_at` on."""

    object_type: str = field("Type of the record, as deals.", key=True)
    object_id: str = field("The record.", key=True)
    property_name: str = field("Internal name of the property.", key=True)
    changed_at: EpochTime = field("When it got the value (UTC).", key=True)
    value: str | None = field("The value, as text; null where it was emptied.")
    source_type: str | None = field("What changed it: CRM_UI, API, WORKFLOW ...")
    source_id: str | None = field("Which one of those.")
    changed_by_user_id: str | None = field("User who changed it.")


_EVERYWHERE = (
    "archived",
    *(f"properties.{name}" for name in ("hs_object_id", "createdate", "hs_createdate")),
    *(f"properties.{name}" for name in ("lastmodifieddate", "hs_lastmodifieddate")),
)
"""What HubSpot sends without being asked, and says elsewhere too."""


def _objects(name: str, contract: Contract) -> Stream:
    """A stream of records. People type what they like into properties: a value that does not fit is kept aside, and the
    record lands."""
    dropped = tuple(path for path in _EVERYWHERE if path not in {f.source for f in contract.fields})
    fields = tuple(dataclasses.replace(f, is_lenient=f.nullable) for f in contract.fields)
    return Stream(name, Contract(contract.description, fields, dropped), State(), cursor="updated_at")


STREAMS = [
    _objects("contacts", Contacts),
    _objects("companies", Companies),
    _objects("deals", Deals),
    _objects("tickets", Tickets),
    _objects("leads", Leads),
    _objects("calls", Calls),
    _objects("emails", Emails),
    _objects("meetings", Meetings),
    _objects("notes", Notes),
    _objects("tasks", Tasks),
    Stream("owners", Owners, Snapshot()),
    Stream("pipeline_stages", PipelineStages, Snapshot(scope=("object_type",))),
    Stream("associations", Associations, Snapshot(scope=("from_type", "to_type", "from_id"))),
    Stream("property_history", PropertyHistory, Event()),
]


@dlt.source
def hubspot(
    token: str = dlt.secrets.value,
    base_url: str = "https://api.hubapi.com",
    page_size: int = 100,
    searches_per_second: int = 5,
    properties: dict[str, list[str]] | None = None,
    streams: list[str] | None = None,
    run: Run | None = None,
):
    """The CRM records of a portal, their associations and history, its owners and pipelines.

    `token` is a private app's or a service key. `properties`: per object type the names of those to read beside the
    declared ones; all of the portal's own by default. `streams`: names of those to read, all by default.
    """
    reader = Reader(token, base_url, page_size, searches_per_second, properties, streams)
    chosen = [stream for stream in STREAMS if not streams or stream.name in streams]
    return resources(chosen, reader, run, is_concurrent=True)
