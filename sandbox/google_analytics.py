"""Google Analytics' Data API v1beta (runReport) over hits.

Rows without `orderBys` come in another order each time, as they may. What is 0, empty or false is not written.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from sandbox.misbehave import Response
from sandbox.server import Call, Server
from sandbox.service_account import SignIn
from sandbox.simulation import Row

SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
DIMENSIONS = {
    "date", "sessionDefaultChannelGroup", "sessionSource", "sessionMedium", "sessionCampaignName", "hostName",
    "unifiedPagePathScreen", "landingPage", "platform", "deviceCategory", "operatingSystem", "browser", "countryId",
    "region", "city", "eventName", "itemId", "itemName",
}  # fmt: skip
METRICS = {
    "sessions": "INTEGER", "engagedSessions": "INTEGER", "totalUsers": "INTEGER", "newUsers": "INTEGER",
    "screenPageViews": "INTEGER", "eventCount": "INTEGER", "keyEvents": "FLOAT", "userEngagementDuration": "SECONDS",
    "totalRevenue": "CURRENCY", "eventValue": "FLOAT", "itemsViewed": "INTEGER", "itemsAddedToCart": "INTEGER",
    "itemsPurchased": "INTEGER", "itemRevenue": "CURRENCY",
}  # fmt: skip
QUOTAS = {
    "tokensPerDay": 200_000, "tokensPerHour": 40_000, "tokensPerProjectPerHour": 14_000, "concurrentRequests": 10,
    "serverErrorsPerProjectPerHour": 10, "potentiallyThresholdedRequestsPerHour": 120,
}  # fmt: skip
TOKENS = {"tokensPerDay": "per day", "tokensPerHour": "per hour", "tokensPerProjectPerHour": "for a project per hour"}


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, status: str, message: str) -> None:
        self.response = Response.json(code, {"error": {"code": code, "message": message, "status": status}})


INVALID = 400, "INVALID_ARGUMENT"
WRONG_TOKEN = 401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
FORBIDDEN = 403, "PERMISSION_DENIED", "User does not have sufficient permissions for this property."
BUSY = 429, "RESOURCE_EXHAUSTED", "Exhausted concurrent requests quota. Please send fewer requests concurrently."
FAULTS = {
    "401": lambda response: Problem(*WRONG_TOKEN).response,
    "403": lambda response: Problem(*FORBIDDEN).response,
    "429": lambda response: Problem(*BUSY).response,
    "exhausted": lambda response, quota="tokensPerDay": _exhausted(quota).response,
}


def _exhausted(quota: str) -> Problem:
    return Problem(429, "RESOURCE_EXHAUSTED", f"Exhausted property tokens {TOKENS[quota]}.")


class GoogleAnalytics(Server):
    """A test may set how many users a row must have to be shown (`fewest_users`), from how many hits on an answer is
    sampled (`most_hits`), what is left of the quotas, and what happens after each answer."""

    fewest_users, most_hits = 0, 10_000_000
    on_answer: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, properties: Callable[[], dict[str, Row]], clock: Callable[[], date], key: Row) -> None:
        self.properties, self.clock, self.quotas = properties, clock, dict(QUOTAS)
        self.sign_in = SignIn(key, SCOPE)
        routes = {"POST /token": self.sign_in.token, r"POST /v1beta/properties/(\d+):runReport": self._report}
        super().__init__(routes, Problem(404, "NOT_FOUND", "Requested entity was not found.").response)
        self.misbehave.faults |= FAULTS
        self.now = lambda: datetime.fromisoformat(f"{clock()}T00:00:00+00:00").timestamp()

    def respond(self, call: Call) -> Response:
        """The right answer, or the problem that the request has."""
        try:
            return super().respond(call)
        except Problem as problem:
            return problem.response

    def _report(self, call: Call, property_id: str) -> Response:
        if not self.sign_in.knows(call):
            raise Problem(*WRONG_TOKEN)
        found = self.properties().get(property_id)
        if not found:
            raise Problem(*FORBIDDEN)
        for quota in TOKENS:
            if self.quotas[quota] <= 0:
                raise _exhausted(quota)
        answer = self._answer(found, _asked(call))
        self.on_answer()
        return Response.json(200, answer)

    def _answer(self, found: Row, asked: Row) -> Row:
        dimensions, metrics = ([column["name"] for column in asked.get(kind, [])] for kind in ("dimensions", "metrics"))
        hits = self._hits(found, asked["dateRanges"][0])
        users, sums = defaultdict(set), defaultdict(lambda: dict.fromkeys(metrics, 0))
        for day, hit in hits:
            known = hit["dimensions"]
            group = tuple([day if name == "date" else known.get(name, "(not set)") for name in dimensions])
            users[group].add(hit["user"])
            total = sums[group]
            for name, value in hit["metrics"].items():
                if name in total:
                    total[name] += value
        shown = [group for group in sums if len(users[group]) >= self.fewest_users]
        rows = [(group, [len(users[group]) if name == "totalUsers" else sums[group][name] for name in metrics])
                for group in shown]  # fmt: skip
        rows = [(group, values) for group, values in rows if any(values) or asked.get("keepEmptyRows")]
        random.shuffle(rows)
        for order in reversed(asked.get("orderBys", [])):
            position = dimensions.index(order["dimension"]["dimensionName"])
            rows.sort(key=lambda row, position=position: row[0][position], reverse=order.get("desc", False))
        offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 10_000))
        page = [{"dimensionValues": [{"value": value} for value in group],
                 "metricValues": [{"value": str(value)} for value in values]}
                for group, values in rows[offset : offset + limit]]  # fmt: skip
        metadata = {"currencyCode": found["currency"], "timeZone": found["time_zone"]}
        if len(shown) < len(sums):
            metadata["subjectToThresholding"] = True
        if len(hits) > self.most_hits:
            sample = {"samplesReadCount": str(self.most_hits), "samplingSpaceSize": str(len(hits))}
            metadata["samplingMetadatas"] = [sample]
        answer = {
            "dimensionHeaders": [{"name": name} for name in dimensions],
            "metricHeaders": [{"name": name, "type": f"TYPE_{METRICS[name]}"} for name in metrics],
            "rowCount": len(rows), "metadata": metadata, "kind": "analyticsData#runReport",
        }  # fmt: skip
        if asked.get("returnPropertyQuota"):
            answer["propertyQuota"] = self._spend(1 + len(page) // 1000)
        return _written(answer) | ({"rows": page} if page else {})

    def _spend(self, tokens: int) -> Row:
        self.quotas |= {name: self.quotas[name] - tokens for name in TOKENS}
        return {name: {"consumed": tokens if name in TOKENS else 0, "remaining": max(0, left)}
                for name, left in self.quotas.items()}  # fmt: skip

    def _hits(self, found: Row, asked: Row) -> list[tuple[str, Row]]:
        """Those of a range of days that GA4 knows of by now, each with its day, as GA4 writes it."""
        first, last = (self._day(asked[name]) for name in ("startDate", "endDate"))
        if last < first:
            raise Problem(*INVALID, "The endDate is before the startDate.")
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        known = str(self.clock())
        return [(f"{day:%Y%m%d}", hit)
                for day in days for hit in found["days"].get(str(day), []) if hit["known_on"] < known]  # fmt: skip

    def _day(self, text: str) -> date:
        """A day; the clock stands at midnight UTC, when it is the same day where the property is."""
        ago = {"today": 0, "yesterday": 1}.get(text)
        try:
            return date.fromisoformat(text) if ago is None else self.clock() - timedelta(days=ago)
        except ValueError:
            raise Problem(*INVALID, f"Did not understand date: {text}.") from None


def _asked(call: Call) -> Row:
    """A request that makes sense."""
    try:
        asked = call.json
    except ValueError:
        raise Problem(*INVALID, "Invalid JSON payload received.") from None
    for kind, known, most in (("dimensions", DIMENSIONS, 9), ("metrics", METRICS, 10)):
        names = [column["name"] for column in asked.get(kind, [])]
        if len(names) > most:
            raise Problem(*INVALID, f"Requests are limited to {most} {kind}.")
        for name in names:
            if name not in known:
                raise Problem(*INVALID, f"Field {name} is not a valid {kind[:-1]}.")
    if len(asked.get("dateRanges", [])) != 1:
        raise Problem(*INVALID, "Requests here have one date range.")
    if not 1 <= int(asked.get("limit", 1)) <= 250_000:
        raise Problem(*INVALID, "The limit must be between 1 and 250000.")
    return asked


def _written(value: Any) -> Any:
    """An answer without what is 0, empty or false."""
    if isinstance(value, dict):
        written = {name: _written(part) for name, part in value.items()}
        return {name: part for name, part in written.items() if part}
    return [_written(part) for part in value] if isinstance(value, list) else value


def serve(properties: Callable[[], dict[str, Row]], clock: Callable[[], date], key: Row) -> GoogleAnalytics:
    """Starts the API over what `properties` gives at each request: by id the time zone, the currency and the hits by
    day. `key` is that of the service account."""
    return GoogleAnalytics(properties, clock, key)
