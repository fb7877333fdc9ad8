"""HubSpot's answers: what the portal's records look like, now or a while ago, which ones fit a search, and refusals."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sandbox.misbehave import Response
from sandbox.portal import CREATED, MODIFIED, Values, iso

RECYCLE_BIN = timedelta(days=90)
DEFAULTS = {  # what comes if no properties are asked for
    "contacts": ["email", "firstname", "lastname"], "companies": ["domain", "name"],
    "deals": ["amount", "closedate", "createdate", "dealname", "dealstage", "pipeline"],
    "tickets": ["content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "subject"],
}  # fmt: skip
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda value, bound: value == bound, "NEQ": lambda value, bound: value != bound,
    "LT": lambda value, bound: value < bound, "LTE": lambda value, bound: value <= bound,
    "GT": lambda value, bound: value > bound, "GTE": lambda value, bound: value >= bound,
    "HAS_PROPERTY": lambda value, bound: True,
}  # fmt: skip


class View:
    """A portal's tables at its clock. `living` and `archived`: records by type and number, in order of the numbers."""

    # Answers must not get slower with the portal: `numbers` and `_changes` are what a database's indexes are.

    def __init__(self, tables: Values) -> None:
        self.clock = datetime.fromisoformat(tables["clock"])
        self.owners, self.pipelines, self.properties = tables["owners"], tables["pipelines"], tables["properties"]
        self.names = {kind: {row["name"] for row in definitions} for kind, definitions in self.properties.items()}
        self.living: dict[str, dict[int, Values]] = {kind: {} for kind in tables["objects"]}
        self.archived: dict[str, dict[int, Values]] = {kind: {} for kind in tables["objects"]}
        for kind, documents in tables["objects"].items():
            for document in sorted(documents, key=lambda document: int(document["id"])):
                archived_at = document["archivedAt"]
                if archived_at is None:
                    self.living[kind][int(document["id"])] = _fold(kind, document)
                elif datetime.fromisoformat(archived_at) > self.clock - RECYCLE_BIN:
                    self.archived[kind][int(document["id"])] = _fold(kind, document)
        self.numbers = {kind: (list(self.living[kind]), list(self.archived[kind])) for kind in self.living}
        self._changes = {
            kind: sorted((key(record["updatedAt"]), number) for number, record in records.items())
            for kind, records in self.living.items()
        }
        self.links: dict[tuple[str, str], dict[int, dict[int, list[str]]]] = defaultdict(lambda: defaultdict(dict))
        self.kinds: dict[tuple[str, str], dict[str, Values]] = {}
        for pair, links in tables["associations"].items():
            one, other = pair.split("-")
            self.kinds[one, other] = tables["association_types"][pair]["forward"]
            self.kinds[other, one] = tables["association_types"][pair]["backward"]
            for here, there, kinds in links:
                self.links[one, other][int(here)][int(there)] = kinds
                self.links[other, one][int(there)][int(here)] = kinds

    def search(self, kind: str, filters: list[list[Values]], sorts: list[Values], lag: timedelta) -> list[Values]:
        """The records that pass all filters of a group, as an index knows them that is `lag` behind."""
        until, living = iso(self.clock - lag), self.living[kind]
        groups = [[(row["propertyName"], row["operator"], key(row.get("value"))) for row in group] for group in filters]
        indexed = [
            record if record["updatedAt"] <= until else _fold(kind, record["document"], until)
            for record in map(living.__getitem__, self._candidates(kind, *groups))
        ]
        found = [
            record
            for record in indexed
            if record and (not groups or any(all(_fits(record, *row) for row in group) for group in groups))
        ]
        for sort in reversed(sorts):
            name, is_down = sort["propertyName"], sort.get("direction") == "DESCENDING"
            found.sort(key=lambda record, name=name: key(record["properties"].get(name)), reverse=is_down)
        return found

    def _candidates(self, kind: str, *groups: list[tuple]) -> list[int]:
        """Numbers, in order, of the records that may pass: without those that a lower bound of one group rules out."""
        (numbers, _), (identity, _, modified) = self.numbers[kind], _system(kind)
        rows = groups[0] if len(groups) == 1 else []
        bounds = {name: bound for name, operator, bound in rows if operator in ("GT", "GTE")}
        if modified in bounds:
            begin = bisect_left(self._changes[kind], (bounds[modified], 0))
            return sorted(number for _, number in self._changes[kind][begin:])
        after = bounds.get(identity, (1, 0))
        return numbers[bisect_left(numbers, after, key=lambda number: (1, number)) :]

    def show(self, kind: str, record: Values, names: Iterable[str] | None, histories: Iterable[str] = ()) -> Values:
        """A record in an answer, with the properties asked for and the histories of some."""
        document, archived_at = record["document"], record["document"]["archivedAt"]
        names = (*_system(kind), *(DEFAULTS.get(kind, ()) if names is None else names))
        shown = {name: record["properties"].get(name) for name in names if name in self.names[kind]}
        answer = {"id": document["id"], "properties": shown, "createdAt": record["createdAt"],
                  "updatedAt": record["updatedAt"], "archived": archived_at is not None}  # fmt: skip
        if archived_at:
            answer["archivedAt"] = archived_at
        if histories:
            answer["propertiesWithHistory"] = {
                name: [
                    {"value": values[name] or "", "timestamp": at, **by}
                    for at, values, by in reversed(document["changes"])
                    if name in values
                ]
                for name in histories
            }
        return answer


def _system(kind: str) -> tuple[str, str, str]:
    """The properties that every record has."""
    created = CREATED.get(kind, "hs_createdate")
    return "hs_object_id", created, MODIFIED.get(kind, "hs_lastmodifieddate")


def _fold(kind: str, document: Values, until: str = "9") -> Values | None:
    """The record that its changes up to a moment make; None if there was none yet."""
    changes = [change for change in document["changes"] if change[0] <= until]
    if not changes:
        return None
    created, updated = changes[0][0], changes[-1][0]
    properties = dict(zip(_system(kind), (document["id"], created, updated), strict=True))
    for _, values, _ in changes:
        properties |= values
    return {"document": document, "properties": properties, "createdAt": created, "updatedAt": updated}


def key(value: str | None) -> tuple:
    """What a value is compared by: numbers and moments (both ways of writing them) as numbers, else text."""
    if value in (None, ""):
        return (0,)
    try:
        return 1, float(value)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
        return 1, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
    except ValueError:
        return 2, value.casefold()


def _fits(record: Values, name: str, operator: str, bound: tuple) -> bool:
    value = key(record["properties"].get(name))
    return OPERATORS[operator](value, bound) and value != (0,)


def possible(asked: Any, most: int) -> int:
    """A number of rows asked for, if HubSpot gives so many; else raises ValueError."""
    if not 1 <= int(asked) <= most:
        raise ValueError(f"from 1 to {most} are possible, not {asked}")
    return int(asked)


def paged(results: list[Values], after: Any = None, **more: Any) -> Response:
    """A page of results, and where the next one begins."""
    paging = {} if after is None else {"paging": {"next": {"after": str(after)}}}
    return Response.json(200, {**more, "results": results, **paging})


def multi_status(results: list[Values], errors: list[Values]) -> Response:
    """A batch's answer; some of it may have failed."""
    trouble = {"numErrors": len(errors), "errors": errors} if errors else {}
    return Response.json(207 if errors else 200, {"status": "COMPLETE", "results": results, **trouble})


def not_found(message: str, context: Values, **more: Any) -> Values:
    """One error of a batch: what was not found."""
    return {"status": "error", "category": "OBJECT_NOT_FOUND", "message": message, "context": context, **more}


def refusal(status: int, message: str, category: str, **more: Any) -> Response:
    """A refusal."""
    body = {"status": "error", "message": message, "correlationId": str(uuid4()), "category": category, **more}
    return Response.json(status, body)


def too_many(policy: str) -> Response:
    """The refusal of one request too many."""
    body = {"status": "error", "message": f"You have reached your {policy.lower()} limit.", "errorType": "RATE_LIMIT"}
    return Response.json(429, {**body, "correlationId": str(uuid4()), "policyName": policy})


def missing_scope(scope: str) -> Response:
    """The refusal of what the token may not read."""
    needed = {"requiredGranularScopes": [f"crm.objects.{scope}.read"]}
    return refusal(
        403, "This app hasn't been granted all required scopes to make this call.", "MISSING_SCOPES",
        errors=[{"message": "One or more of the following scopes are required.", "context": needed}],
    )  # fmt: skip
