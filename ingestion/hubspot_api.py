"""Reading HubSpot: which parts of its API, in which order, and what to do about its limits."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.contract import items
from ingestion.errors import PartFailed, SourceError
from ingestion.http import Answer, Client, Limit, Refused
from ingestion.stream import Gone, Page, Stream, Window

PIPELINES = ("deals", "tickets", "leads")

ASSOCIATIONS = {
    "contacts": ("companies",),
    "deals": ("companies", "contacts"),
    "tickets": ("companies", "contacts"),
    "leads": ("contacts",),
    **dict.fromkeys(("calls", "emails", "meetings", "notes", "tasks"), ("companies", "contacts", "deals")),
}

HISTORY = {
    "contacts": ("lifecyclestage", "hs_lead_status", "hubspot_owner_id"),
    "deals": ("dealstage", "amount", "closedate", "hubspot_owner_id"),
    "tickets": ("hs_pipeline_stage",),
    "leads": ("hs_pipeline_stage", "hubspot_owner_id"),
}
"""Properties whose former values are read."""

TYPES = ("contacts", "companies", "deals", "tickets", "leads", "calls", "emails", "meetings", "notes", "tasks")

INDEX_LAG = timedelta(hours=1)
"""How far HubSpot's search may be behind: so much of what was read is read again."""

SWEEP = timedelta(days=7)
"""After which all records are listed again: only so is it noticed what was deleted for good, or restored."""

REFUSED = 100
"""Records of one batch that HubSpot may refuse before something else is wrong than those records."""

MANY = 10
"""Of so many records not all can be ones that HubSpot is right to refuse."""

LONGEST_QUERY = 6_000
"""Characters of property names in a URL, which many a proxy refuses to pass on when it is longer."""


class Reader:
    """Lists everything at first and once a week (GET, consistent), and searches for what changed in between (POST,
    whose index lags). Paging is by id, so that no search meets the limit of 10,000 results."""

    def __init__(
        self,
        token: str,
        base_url: str,
        page_size: int,
        searches_per_second: int,
        properties: dict[str, list[str]] | None,
        streams: list[str] | None,
    ) -> None:
        self.client = Client(
            base_url,
            headers={"Authorization": f"Bearer {token}"},
            limit=Limit(100, 10),
            limit_header="X-HubSpot-RateLimit-Max",
            is_refusal=lambda response: response.status_code == 530,
        )
        if page_size < 1 or searches_per_second < 1:
            raise SourceError("SOURCES__HUBSPOT__PAGE_SIZE and SEARCHES_PER_SECOND: write 1 or more")
        self.searches = Limit(searches_per_second, 1)
        self.page_size, self.properties = page_size, properties
        self.types = [name for name in TYPES if not streams or name in streams]
        if unknown := sorted(set(properties or ()) - set(TYPES)):
            raise SourceError(f"there is no object type {', '.join(unknown)}: correct SOURCES__HUBSPOT__PROPERTIES")
        self.definitions: dict[str, Answer | SourceError] = {}
        self.lock = threading.Lock()

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Gone]:
        """Yields the records, or what hangs on them; of an object type first the changed ones, then what is gone."""
        match stream.name:
            case "owners":
                yield self._owners()
            case "pipeline_stages":
                yield from self._of_each(PIPELINES, self._stages, window)
            case "associations":
                yield from self._of_each(ASSOCIATIONS, lambda source: self._associations(source, window), window)
            case "property_history":
                yield from self._of_each(HISTORY, lambda source: self._histories(source, window), window)
            case source:
                yield from self._records(stream, source, window)

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if the token or a scope is missing."""
        match stream.name:
            case "owners":
                return f"{len(self._owners().rows):,} owners"
            case "pipeline_stages" | "associations" | "property_history":
                types = {"pipeline_stages": PIPELINES, "associations": ASSOCIATIONS}.get(stream.name, HISTORY)
                notes: list[str] = []
                return "; ".join([f"of {', '.join(self._readable(types, notes))}", *notes])
            case source:
                return f"{self._search(source, [], 1).json['total']:,} records"

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    def _of_each(self, types: Iterable[str], read: Callable[[str], Iterable[Page]], window: Window) -> Iterator[Page]:
        """What is read of each object type; one that can't be read stops no other, and one that the token may not
        read fails in its own stream, not here."""
        failures = []
        for source in types:
            if source in self.types:
                try:
                    yield from read(source)
                except NotEntitled as error:
                    _note(window.notes, source, error)
                except UnknownToken:
                    raise
                except SourceError as error:
                    failures.append(f"{source}: {error}")
        if failures:
            raise PartFailed("; ".join(failures))

    def _readable(self, types: Iterable[str], notes: list[str]) -> list[str]:
        """Those of the types that the token may read; notes the others."""
        readable = []
        for source in types:
            if source in self.types:
                try:
                    self._defined(source)
                    readable.append(source)
                except NotEntitled as error:
                    _note(notes, source, error)
        return readable

    def _records(self, stream: Stream, source: str, window: Window) -> Iterator[Page | Gone]:
        names, now = self._property_names(stream)
        merged: list[str] = []
        if self._is_sweep_due(window, now, source):
            window.is_complete = True
            answers = self._listed(source, names)
        else:
            answers = self._changed(source, window.since, window.until or now, names)
        observed_at = None
        for answer in answers:
            observed_at, results = answer.observed_at, answer.json["results"]
            yield Page(items(results, source, "id"), observed_at)
            merged += [key for row in results for key in _merged(row)]
        if window.is_partial:
            return
        archived = []
        for answer in self._pages(f"crm/v3/objects/{source}", archived="true", limit=100, properties="hs_object_id"):
            observed_at = answer.observed_at
            archived += [row["id"] for row in answer.json["results"]]
        if gone := [*merged, *archived]:
            yield Gone(gone, observed_at)
        window.reached = now - INDEX_LAG
        self._has_read(window, now, source, [source] if window.is_complete else [])

    def _property_names(self, stream: Stream) -> tuple[list[str], datetime]:
        """Declared properties and the portal's own, and what time it is for the server."""
        answer = self._defined(stream.name)
        there = {row["name"] for row in answer.json["results"]}
        declared = [f.source.split(".")[1] for f in stream.contract.fields if f.source.startswith("properties.")]
        if self.properties is None:
            own = [row["name"] for row in answer.json["results"] if not row.get("hubspotDefined")]
        else:
            own = self.properties.get(stream.name, [])
            if unknown := sorted(set(own) - there):
                raise SourceError(
                    f"{stream.name} have no property {', '.join(unknown)}: correct SOURCES__HUBSPOT__PROPERTIES"
                )
        return [name for name in dict.fromkeys([*declared, *own]) if name in there], answer.served_at

    def _defined(self, source: str) -> Answer:
        """The properties of an object type, and what time it was for the server; asked once for all streams."""
        with self.lock:
            if source not in self.definitions:
                try:
                    self.definitions[source] = self._get(f"crm/v3/properties/{source}")
                except SourceError as error:
                    self.definitions[source] = error
        if isinstance(outcome := self.definitions[source], SourceError):
            raise outcome
        return outcome

    def _is_sweep_due(self, window: Window, now: datetime, *names: str) -> bool:
        """Whether all records are to be listed, for one of these at least."""
        swept_at = window.state.get("swept_at", {})
        return not window.is_partial and any(
            name not in swept_at or now - datetime.fromisoformat(swept_at[name]) >= SWEEP for name in names
        )

    def _has_read(self, window: Window, now: datetime, source: str, swept: Iterable[str]) -> None:
        """Notes from when on the next run reads of an object type, and for what all records were listed."""
        window.state.setdefault("read_until", {})[source] = (now - INDEX_LAG).isoformat()
        window.state.setdefault("swept_at", {}).update(dict.fromkeys(swept, now.isoformat()))

    def _listed(self, source: str, names: list[str]) -> Iterator[Answer]:
        path, size = f"crm/v3/objects/{source}", min(self.page_size, 100)
        if len(",".join(names)) <= LONGEST_QUERY:
            yield from self._pages(path, limit=size, archived="false", properties=",".join(names))
            return
        for answer in self._pages(path, limit=size, archived="false", properties="hs_object_id"):
            inputs = [{"id": row["id"]} for row in answer.json["results"]]
            if inputs:
                yield self._post(f"{path}/batch/read", {"inputs": inputs, "properties": names})

    def _changed(self, source: str, since: datetime | None, until: datetime, names: list[str]) -> Iterator[Answer]:
        """Records that changed from `since` to `until`, in order of their ids."""
        changed = "lastmodifieddate" if source == "contacts" else "hs_lastmodifieddate"
        filters = [{"propertyName": changed, "operator": "LT", "value": _milliseconds(until)}]
        if since:
            filters.append({"propertyName": changed, "operator": "GTE", "value": _milliseconds(since)})
        last = 0
        while True:
            after = {"propertyName": "hs_object_id", "operator": "GT", "value": str(last)}
            answer = self._search(source, [*filters, after], min(self.page_size * 2, 200), names)
            yield answer
            if not answer.json.get("paging"):
                return
            newest = max((int(row["id"]) for row in answer.json["results"]), default=last)
            if newest <= last:
                raise SourceError(f"{answer.path} repeats the page up to id {last}: HubSpot's search does not get on")
            last = newest

    def _ids(self, source: str, window: Window, is_sweep: bool, now: datetime) -> Iterator[list[str]]:
        """Ids of the records that changed since what hangs on them was read, or of all."""
        read_until = window.state.get("read_until", {}).get(source)
        since = datetime.fromisoformat(read_until) if read_until else None
        for answer in self._listed(source, ["hs_object_id"]) if is_sweep else self._changed(source, since, now, []):
            yield [row["id"] for row in answer.json["results"]]

    def _owners(self) -> Page:
        answers = [
            answer
            for archived in ("false", "true")
            for answer in self._pages("crm/v3/owners", limit=min(self.page_size, 100), archived=archived)
        ]
        rows = items((row for answer in answers for row in answer.json["results"]), "owners", "id")
        return Page(rows, answers[0].observed_at, scopes=["all"])

    def _stages(self, source: str) -> Iterator[Page]:
        answer = self._get(f"crm/v3/pipelines/{source}")
        rows = (
            {
                "object_type": source,
                "pipeline_id": pipeline.get("id"),
                "stage_id": stage.get("id"),
                "pipeline_name": pipeline.get("label"),
                "pipeline_order": pipeline.get("displayOrder"),
                "stage_name": stage.get("label"),
                "stage_order": stage.get("displayOrder"),
                "probability": stage.get("metadata", {}).get("probability"),
                "is_closed": _is_closed(stage.get("metadata", {})),
                "created_at": stage.get("createdAt"),
                "updated_at": stage.get("updatedAt"),
            }
            for pipeline in answer.json["results"]
            for stage in pipeline["stages"]
        )
        yield Page(items(rows, f"pipelines/{source}", "stage_id"), answer.observed_at, scopes=[source])

    def _associations(self, source: str, window: Window) -> Iterator[Page]:
        now = self._defined(source).served_at
        targets = self._readable(ASSOCIATIONS[source], window.notes)
        if not targets:
            return
        pairs = [f"{source}/{target}" for target in targets]
        is_sweep = self._is_sweep_due(window, now, *pairs)
        for ids in _batches(self._ids(source, window, is_sweep, now), 1000):
            for target in targets:
                yield self._associated(source, target, ids, window)
        self._has_read(window, now, source, pairs if is_sweep else [])

    def _associated(self, source: str, target: str, ids: list[str], window: Window) -> Page:
        """The associations of records, complete for each of them."""
        path, refused = f"crm/v4/associations/{source}/{target}/batch/read", []
        rows, to_read, answers = [], [{"id": key} for key in ids], []
        while to_read:
            found = self._read_around_bad_ids(path, to_read, refused)
            answers += found
            results = [result for answer in found for result in answer.json["results"]]
            rows += [
                {
                    "from_type": source,
                    "from_id": str(result["from"]["id"]),
                    "to_type": target,
                    "to_id": to.get("toObjectId"),
                    "category": kind.get("category"),
                    "type_id": kind.get("typeId"),
                    "label": kind.get("label"),
                }
                for result in results
                for to in result["to"]
                for kind in to.get("associationTypes", [{}])
            ]
            # A record with many associations has pages of its own.
            to_read = [
                {"id": str(result["from"]["id"]), "after": result["paging"]["next"]["after"]}
                for result in results
                if result.get("paging", {}).get("next")
            ]
        if refused:
            if len(refused) == len(ids) >= MANY:
                raise SourceError(f"{path} refuses all of {len(ids):,} records")
            window.notes.append(f"{path} refuses {len(refused):,} records, as {', '.join(refused[:5])}")
            rows = [row for row in rows if row["from_id"] not in refused]
        scopes = [f"{source}/{target}/{key}" for key in ids if key not in refused]
        observed_at = min((answer.observed_at for answer in answers), default=datetime.now(UTC))
        return Page(items(rows, f"{source}/{target}", "from_id"), observed_at, scopes=scopes)

    def _read_around_bad_ids(self, path: str, inputs: list[dict], refused: list[str]) -> list[Answer]:
        """One record that HubSpot refuses makes a whole batch fail: halves are tried, down to that record."""
        try:
            return [self._post(path, {"inputs": inputs})]
        except Refused:
            if len(refused) >= REFUSED:
                raise
            if len(inputs) == 1:
                refused.append(inputs[0]["id"])
                return []
            half = len(inputs) // 2
            return [
                *self._read_around_bad_ids(path, inputs[:half], refused),
                *self._read_around_bad_ids(path, inputs[half:], refused),
            ]

    def _histories(self, source: str, window: Window) -> Iterator[Page]:
        now = self._defined(source).served_at
        names, path = list(HISTORY[source]), f"crm/v3/objects/{source}"
        is_sweep = self._is_sweep_due(window, now, source)
        if is_sweep:
            answers = self._pages(path, limit=50, archived="false", propertiesWithHistory=",".join(names))
        else:
            answers = (
                self._post(
                    f"{path}/batch/read",
                    {"inputs": [{"id": key} for key in ids], "properties": [], "propertiesWithHistory": names},
                )
                for ids in _batches(self._ids(source, window, False, now), 50)
            )
        for answer in answers:
            rows = (
                {
                    "object_type": source,
                    "object_id": result.get("id"),
                    "property_name": name,
                    "changed_at": version.get("timestamp"),
                    "value": version.get("value") or None,
                    "source_type": version.get("sourceType"),
                    "source_id": version.get("sourceId"),
                    "changed_by_user_id": version.get("updatedByUserId"),
                }
                for result in answer.json["results"]
                for name, versions in result.get("propertiesWithHistory", {}).items()
                for version in versions
            )
            yield Page(items(rows, source, "object_id"), answer.observed_at)
        self._has_read(window, now, source, [source] if is_sweep else [])

    def _pages(self, path: str, **parameters: Any) -> Iterator[Answer]:
        """The pages of a list, to the last."""
        after = None
        while True:
            answer = self._get(path, **parameters, **({"after": after} if after else {}))
            yield answer
            following = answer.json.get("paging", {}).get("next", {}).get("after")
            if following is None:
                return
            if following == after:
                raise SourceError(f"{answer.path} names itself as the next page: the list does not end")
            after = following

    def _search(self, source: str, filters: list[dict], size: int, names: Iterable[str] = ()) -> Answer:
        body = {
            "filterGroups": [{"filters": filters}] if filters else [],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(names),
            "limit": size,
        }
        return self._post(f"crm/v3/objects/{source}/search", body, limit=self.searches)

    def _get(self, path: str, **parameters: Any) -> Answer:
        return _entitled(lambda: self.client.get(path, "results", **parameters))

    def _post(self, path: str, body: dict, limit: Limit | None = None) -> Answer:
        return _entitled(lambda: self.client.post(path, body, "results", limit))


class NotEntitled(SourceError):
    """The token lacks a scope, or the portal the product."""


class UnknownToken(SourceError):
    """No request will get an answer."""


def _entitled(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except Refused as error:
        if error.status in (401, 530):
            raise UnknownToken(
                f"HubSpot does not know the token (it answers {error.status}): correct SOURCES__HUBSPOT__TOKEN"
            ) from error
        if error.status == 403:
            scopes = re.search(r'"required(?:Granular)?Scopes": ?\["(.*?)"\]', str(error))
            raise NotEntitled(
                f"not entitled: give the token the scope {scopes[1] if scopes else 'that is named here'}, or leave the "
                f"stream out of SOURCES__HUBSPOT__STREAMS. {error}"
            ) from error
        raise


def _note(notes: list[str], source: str, error: NotEntitled) -> None:
    if (note := f"nothing of {source}: {error}") not in notes:
        notes.append(note)


def _merged(row: dict[str, Any]) -> list[str]:
    keys = (row.get("properties", {}).get("hs_merged_object_ids") or "").split(";")
    return [key.strip() for key in keys if key.strip() not in ("", row.get("id"))]


def _is_closed(metadata: dict[str, Any]) -> str | None:
    """Deals say isClosed, tickets ticketState; leads say neither."""
    if state := metadata.get("ticketState"):
        return "true" if state == "CLOSED" else "false"
    return metadata.get("isClosed")


def _batches(pages: Iterable[list[str]], size: int) -> Iterator[list[str]]:
    """The ids in batches of one size, whatever pages they came in."""
    waiting: list[str] = []
    for ids in pages:
        waiting += ids
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))
