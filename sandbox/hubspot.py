"""The CRM as HubSpot serves it: objects, search, batches, associations, owners, pipelines, properties.

Wrong requests are refused as HubSpot refuses them: 401 (no token, or another one), 403 (a scope is missing), 429 (too
many), 530 (a token in no known form), 400 (all else).
"""

import re
import time
from bisect import bisect_right
from collections import deque
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path
from threading import Lock

from sandbox.hubspot_view import View, missing_scope, multi_status, not_found, paged, possible, refusal, too_many
from sandbox.misbehave import FAULTS, Response
from sandbox.server import Call, Server, latest

WINDOW = 10_000  # a search shows no more of its results


class HubSpot(Server):
    """Serves the portal in a file. What tests may set: `limit` (requests per 10 s, searches aside), `search_limit` (per
    second), `index_lag` (of the search index), `missing_scopes` (types), `association_page` (per record).
    """  # fmt: skip

    def __init__(self, path: Path, token: str) -> None:
        self.token, self.view = token, latest(path, View)
        self.limit, self.search_limit, self.association_page = 10_000, 1_000, 500
        self.index_lag, self.missing_scopes = timedelta(0), set[str]()
        self._seen: dict[bool, deque[float]] = {True: deque(), False: deque()}  # by whether it is a search
        self._lock = Lock()
        objects = r"/crm/v3/objects/(\w+)"
        super().__init__(
            {
                f"GET {objects}": self._list,
                f"POST {objects}/search": self._search,
                f"POST {objects}/batch/read": self._batch,
                r"POST /crm/v4/associations/(\w+)/(\w+)/batch/read": self._associations,
                r"GET /crm/v3/owners/?": self._owners,
                r"GET /crm/v3/pipelines/(\w+)": lambda call, kind: paged(self.view().pipelines[kind]),
                r"GET /crm/v3/properties/(\w+)": lambda call, kind: paged(self.view().properties[kind]),
            },
            refusal(404, "resource not found", "OBJECT_NOT_FOUND"),
        )
        self.now = lambda: self.view().clock.timestamp()
        self.misbehave.faults |= {
            "401": lambda _: refusal(401, "The OAuth token used to make this call expired.", "EXPIRED_AUTHENTICATION"),
            "403": lambda _, scope="contacts": missing_scope(scope),
            "429": lambda _, **how: replace(FAULTS["429"](_, **how), body=too_many("TEN_SECONDLY_ROLLING").body),
            "error": lambda _: refusal(200, "internal error", "INTERNAL_ERROR"),
        }

    def respond(self, call: Call) -> Response:
        """The right answer to a request, or HubSpot's refusal."""
        try:
            response = self._refusal(call) or super().respond(call)
        except (KeyError, TypeError, ValueError) as error:
            response = refusal(400, f"Invalid input: {error}", "VALIDATION_ERROR")
        if call.path.endswith("/search"):
            return response
        quota = {"Max": self.limit, "Remaining": self.limit - len(self._seen[False]), "Interval-Milliseconds": 10_000}
        more = {f"X-HubSpot-RateLimit-{name}": str(value) for name, value in quota.items()}
        return replace(response, headers=response.headers | more)

    def _refusal(self, call: Call) -> Response | None:
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and not re.fullmatch(r"pat-\w+-[0-9a-f-]{36}", token):
            return Response(530, b"error code: 1016", {"Content-Type": "text/plain"})
        if (scheme, token) != ("Bearer", self.token):
            return refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        is_search, now = call.path.endswith("/search"), time.monotonic()
        limit, seconds = (self.search_limit, 1) if is_search else (self.limit, 10)
        with self._lock:
            seen = self._seen[is_search]
            while seen and seen[0] <= now - seconds:
                seen.popleft()
            if len(seen) >= limit:
                return too_many("SECONDLY" if is_search else "TEN_SECONDLY_ROLLING")
            seen.append(now)
        missing = self.missing_scopes & set(call.path.split("/"))
        return missing_scope(min(missing)) if missing else None

    def _list(self, call: Call, kind: str) -> Response:
        view, query = self.view(), call.query
        names = query["properties"].split(",") if "properties" in query else None
        histories = list(filter(None, query.get("propertiesWithHistory", "").split(",")))
        limit = possible(query.get("limit", 10), 50 if histories else 100)
        is_archived = query.get("archived") == "true"
        records, ids = (view.archived if is_archived else view.living)[kind], view.numbers[kind][is_archived]
        begin = bisect_right(ids, int(query.get("after", 0)))
        page = [view.show(kind, records[number], names, histories) for number in ids[begin : begin + limit]]
        return paged(page, ids[begin + limit - 1] if len(ids) > begin + limit else None)

    def _search(self, call: Call, kind: str) -> Response:
        view, body = self.view(), call.json
        limit, after = possible(body.get("limit", 10), 200), int(body.get("after") or 0)
        if after + limit > WINDOW:
            raise ValueError(f"there is no paging past {WINDOW} results")
        groups = [group["filters"] for group in body.get("filterGroups", [])]
        sorts = [sort if isinstance(sort, dict) else {"propertyName": sort} for sort in body.get("sorts", [])]
        if unknown := {row["propertyName"] for row in chain(*groups, sorts)} - view.names[kind]:
            raise ValueError(f"{kind} have no property {min(unknown)}")
        found = view.search(kind, groups, sorts, self.index_lag)
        page = [view.show(kind, record, body.get("properties")) for record in found[after : after + limit]]
        return paged(page, after + limit if len(found) > after + limit else None, total=len(found))

    def _batch(self, call: Call, kind: str) -> Response:
        view, body = self.view(), call.json
        histories, names = body.get("propertiesWithHistory") or (), body.get("properties")
        wanted = dict.fromkeys(int(item["id"]) for item in body["inputs"])
        possible(len(body["inputs"]), 50 if histories else 100)
        living = view.living[kind]
        found = [view.show(kind, living[number], names, histories) for number in wanted if number in living]
        lost = [str(number) for number in wanted if number not in living]
        return multi_status(found, [not_found(f"Some {kind} do not exist.", {"ids": lost})] if lost else [])

    def _associations(self, call: Call, one: str, other: str) -> Response:
        view, inputs = self.view(), call.json["inputs"]
        possible(len(inputs), 1000)
        kinds, links = view.kinds[one, other], view.links[one, other]
        if unknown := [item["id"] for item in inputs if int(item["id"]) not in view.living[one]]:
            raise ValueError(f"{one} {', '.join(unknown)} do not exist")  # one of them, and nobody gets an answer
        results, errors = [], []
        for item in inputs:
            linked = links.get(int(item["id"]), {})
            others = sorted(number for number in linked if number > int(item.get("after") or 0))
            page = [
                {"toObjectId": number, "associationTypes": [kinds[kind] for kind in linked[number]]}
                for number in others[: self.association_page]
            ]
            more = {"paging": {"next": {"after": str(page[-1]["toObjectId"])}}} if len(others) > len(page) else {}
            if page:
                results.append({"from": {"id": item["id"]}, "to": page, **more})
            else:
                context = {"fromObjectId": [item["id"]], "fromObjectType": [one], "toObjectType": [other]}
                why = f"No {other} are associated with {one} {item['id']}."
                errors.append(not_found(why, context, subCategory="crm.associations.NO_ASSOCIATIONS_FOUND"))
        return multi_status(results, errors)

    def _owners(self, call: Call) -> Response:
        is_archived, after = call.query.get("archived") == "true", int(call.query.get("after") or 0)
        limit = possible(call.query.get("limit", 100), 500)
        owners = [row for row in self.view().owners if row["archived"] == is_archived and int(row["id"]) > after]
        return paged(owners[:limit], owners[limit - 1]["id"] if len(owners) > limit else None)


serve = HubSpot
