"""A loader as docs/new_source.md shows it, run by Catchment's own pipeline: URL DATABASE (which the target names)."""

import sys
from collections.abc import Iterator
from datetime import datetime

import dlt

from ingestion import pipeline
from ingestion.contract import Money, contract, field, items
from ingestion.http import Client
from ingestion.reading import resources
from ingestion.stream import Page, Run, State, Stream, Window
from ingestion.systems import System


@contract
class Contacts:
    """One contact."""

    contact_id: str = field("Id.", key=True, source="id")
    email: str = field("Address.", source="properties.email")
    first_name: str | None = field("Given name.", source="properties.firstname")
    last_name: str | None = field("Family name.", source="properties.lastname")
    phone: str | None = field("Phone.", source="properties.phone")
    company: str | None = field("Company.", source="properties.company")
    job_title: str | None = field("Job title.", source="properties.jobtitle")
    lifecycle_stage: str | None = field("Stage.", source="properties.lifecyclestage")
    lead_status: str | None = field("Status.", source="properties.hs_lead_status")
    website: str | None = field("Site.", source="properties.website")
    seats: int | None = field("Seats.", source="properties.seats")
    revenue: Money | None = field("Revenue.", source="properties.revenue")
    city: str | None = field("City.", source="properties.address.city")
    zip: str | None = field("Postal code.", source="properties.address.zip")
    country: str | None = field("Country.", source="properties.address.country")
    tags: str | None = field("Tags: a JSON array.")
    is_archived: bool = field("Archived.", source="archived")
    created_at: datetime = field("Created (UTC).", source="createdAt")
    updated_at: datetime = field("Changed (UTC).", version=True, source="updatedAt")


class Reader:
    """Reads /contacts?page=N."""

    def __init__(self, base_url: str) -> None:
        self.client = Client(base_url)

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields the pages."""
        page = 1
        while page:
            answer = self.client.get("contacts", "results", page=page)
            yield Page(items(answer.json["results"], "contacts", "id"), answer.observed_at)
            page = answer.json["next"]

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()


STREAMS = [Stream("contacts", Contacts, State())]


@dlt.source
def bench(run: Run | None = None):
    """The contacts."""
    return resources(STREAMS, Reader(sys.argv[1]), run, is_concurrent=True)


system = System("bench", "", STREAMS, bench, Reader, {})
with pipeline.opened([system]) as warehouse:
    if errors := pipeline.run(warehouse, [system], lambda _: Run(), list):
        sys.exit(str(errors))
