import functools
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest
from google.auth import crypt, jwt

from sandbox import counted_visits, google_analytics, service_account
from sandbox.company import CLOCK, Company
from tests.specification import specification

KEY = service_account.new_key()
PROPERTY = counted_visits.property_id(1)
REPORT = f"/v1beta/properties/{PROPERTY}:runReport"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def company():
    return Company(1, 0.2).run(CLOCK)


@pytest.fixture(scope="module")
def properties(company):
    return counted_visits.properties(json.loads(json.dumps(company.counted_visits.tables())))


@pytest.fixture
def server(properties):
    server = google_analytics.serve(lambda: properties, lambda: server.clock_stands_at, KEY)
    server.clock_stands_at = CLOCK
    yield server
    server.stop()


def ask(server, path, body, **headers):
    """Status and JSON of an answer."""
    try:
        with urlopen(Request(f"{server.url}{path}", body.encode(), headers)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def sign_in(server, key=KEY, **claims):
    """Status and JSON of the answer to a JWT with these claims."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": KEY["client_email"], "aud": service_account.AUDIENCE, "scope": google_analytics.SCOPE,
              "iat": now, "exp": now + 3600} | claims  # fmt: skip
    assertion = jwt.encode(crypt.RSASigner.from_service_account_info(key), claims).decode()
    return ask(server, "/token", urlencode({"grant_type": GRANT, "assertion": assertion}))


@functools.cache
def token(server):
    """One token for all reports of a test: to sign for it takes far longer than a report."""
    return sign_in(server)[1]["access_token"]


def report(server, status=200, path=REPORT, **asked):
    """An answer to a report."""
    body = {"dateRanges": [{"startDate": "2026-09-01", "endDate": "2026-09-30"}]} | asked
    for kind in ("dimensions", "metrics"):
        body[kind] = [{"name": name} for name in body.get(kind, [])]
    got, answer = ask(server, path, json.dumps(body), Authorization=f"Bearer {token(server)}")
    assert got == status, answer
    return answer


def rows(answer):
    """Values of dimensions -> values of metrics."""
    return {
        tuple(value["value"] for value in row.get("dimensionValues", [])): tuple(
            value["value"] for value in row["metricValues"]
        )
        for row in answer.get("rows", [])
    }


def ordered(*names):
    return [{"dimension": {"dimensionName": name}} for name in names]


# Signing in


def test_who_has_the_key_gets_a_token(server):
    status, answer = sign_in(server)
    assert status == 200 and answer.keys() == {"access_token", "expires_in", "token_type"}
    assert answer["access_token"] != sign_in(server)[1]["access_token"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": service_account.new_key()},
        {"aud": "https://example.com/token"},
        {"iss": "somebody@else.example"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"iat": 1_700_000_000, "exp": 1_700_003_600},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_who_has_not_gets_none(server, wrong):
    assert sign_in(server, **wrong) == (
        400,
        {"error": "invalid_grant", "error_description": "Invalid JWT Signature."},
    )
    assert not server.sign_in.tokens


def test_what_is_no_jwt(server):
    for form in ("", "grant_type=password", urlencode({"grant_type": GRANT, "assertion": "a.b.c"})):
        assert ask(server, "/token", form)[0] == 400


def test_a_token_lasts_for_some_time_and_is_needed(server):
    server.sign_in.lifetime = -1
    for headers in ({}, {"Authorization": f"Bearer {sign_in(server)[1]['access_token']}"}):
        status, answer = ask(server, REPORT, "{}", **headers)
        assert (status, answer["error"]["status"]) == (401, "UNAUTHENTICATED")


# Reports


def test_answers_hold_against_the_specification(server):
    spec = specification("google_analyticsdata_v1beta.openapi.json")
    server.fewest_users, server.most_hits = 2, 100
    right = {"dimensions": ["date", "city"], "metrics": ["sessions", "totalRevenue"], "returnPropertyQuota": True}
    nothing = right | {"dateRanges": [{"startDate": "2020-01-01", "endDate": "2020-01-01"}]}
    for status, asked, path in [
        (200, right, REPORT),
        (200, nothing, REPORT),
        (400, {"metrics": ["visits"]}, REPORT),
        (403, right, "/v1beta/properties/1:runReport"),
    ]:
        answer = report(server, status, path, **asked)
        kind = "application/json; charset=utf-8"
        assert spec.answer("POST", path, status, kind, answer) == []
    answer = report(server, **right)
    assert answer["rows"] and answer["propertyQuota"]["tokensPerDay"]["remaining"] < 200_000
    assert answer["metadata"].keys() == {"currencyCode", "timeZone", "subjectToThresholding", "samplingMetadatas"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"metrics": ["visits"]}, "Field visits is not a valid metric."),
        ({"dimensions": ["campaign"]}, "Field campaign is not a valid dimension."),
        ({"dimensions": ["date"] * 10}, "Requests are limited to 9 dimensions."),
        ({"metrics": ["sessions"] * 11}, "Requests are limited to 10 metrics."),
        ({"limit": "250001"}, "The limit must be between 1 and 250000."),
        (
            {"dateRanges": [{"startDate": "2026-09-02", "endDate": "2026-09-01"}]},
            "The endDate is before the startDate.",
        ),
        ({"dateRanges": [{"startDate": "now", "endDate": "today"}]}, "Did not understand date: now."),
    ],
)
def test_what_makes_no_sense_is_refused(server, asked, message):
    assert report(server, 400, **asked)["error"]["message"] == message


def test_pages_fit_together_in_an_order_and_only_then(server):
    names = ["date", "sessionSource", "city"]
    asked = {"dimensions": names, "metrics": ["sessions"], "limit": "20"}
    whole = report(server, **asked | {"limit": "100000"})
    assert whole["rowCount"] == len(whole["rows"]) > 100
    pages = [report(server, orderBys=ordered(*names), offset=str(offset), **asked)
             for offset in range(0, whole["rowCount"], 20)]  # fmt: skip
    read = [row for page in pages for row in rows(page)]
    assert read == sorted(rows(whole)) and {page["rowCount"] for page in pages} == {whole["rowCount"]}
    assert report(server, **asked) != report(server, **asked), "rows stand still, which they need not"
    assert [len(report(server, **asked | {"limit": limit})["rows"]) for limit in ("1", "7")] == [1, 7]


def test_users_do_not_add_up(server):
    metrics = ["totalUsers", "sessions"]
    ((users, sessions),) = rows(report(server, metrics=metrics)).values()
    by_day = rows(report(server, dimensions=["date"], metrics=metrics)).values()
    assert sum(int(number) for number, _ in by_day) > int(users)
    assert sum(int(number) for _, number in by_day) == int(sessions)


def test_figures_are_those_of_the_visitors_who_agreed(server, company):
    """By the day of the property's clock."""
    zone, expected, views, revenue = ZoneInfo(counted_visits.TIME_ZONE), Counter(), Counter(), Counter()
    for visit in company.visits.visits:
        if visit.visitor.may_be_counted:
            day = f"{visit.steps[0].at.astimezone(zone):%Y%m%d}"
            expected[day, visit.channel.name] += 1
            views[day] += sum(step.type != "track" for step in visit.steps)
            revenue[day] += bool(visit.order_id)
    whole = {"dateRanges": [{"startDate": "2025-10-01", "endDate": "2026-09-26"}], "limit": "100000"}
    found = rows(report(server, dimensions=["date", "sessionDefaultChannelGroup"], metrics=["sessions"], **whole))
    counted = {key: int(number) for key, (number,) in found.items() if number != "0"}
    assert counted == {key: number for key, number in expected.items() if key[0] <= "20260926"}
    assert sum(not visit.visitor.may_be_counted for visit in company.visits.visits) > 500
    assert {visit.visitor.may_be_counted for visit in company.visits.visits if visit.is_bot} == {False}
    found = rows(report(server, dimensions=["date"], metrics=["screenPageViews", "keyEvents"], **whole))
    assert sum(int(number) for number, _ in found.values()) == sum(n for day, n in views.items() if day <= "20260926")
    assert sum(int(number) for _, number in found.values()) == sum(n for day, n in revenue.items() if day <= "20260926")


def test_items_have_what_orders_have(server):
    whole = {"dateRanges": [{"startDate": "2025-10-01", "endDate": "2026-09-26"}], "limit": "100000"}
    items = rows(report(server, dimensions=["itemId"], metrics=["itemsPurchased", "itemsViewed"], **whole))
    assert ("COF-01-250",) in items and ("(not set)",) not in items
    assert all(int(bought) + int(viewed) > 0 for bought, viewed in items.values())
    ((money, value),) = rows(report(server, metrics=["totalRevenue", "itemRevenue"], **whole)).values()
    assert float(money) > float(value) > 1000, "with tax and shipping"


def test_figures_grow_for_72_hours(server):
    """The last days are known in part, and settled when three days have gone by."""

    def sessions(day: date, clock: date) -> int:
        server.clock_stands_at = clock
        days = [{"startDate": str(day), "endDate": str(day)}]
        return int(next(iter(rows(report(server, metrics=["sessions"], dateRanges=days)).values()), ["0"])[0])

    grown = 0
    for day in (date(2026, 8, 1) + number * DAY for number in range(30)):
        seen = [sessions(day, day + number * DAY) for number in range(1, 7)]
        assert seen == sorted(seen) and seen[3] == seen[5]
        grown += seen[3] > seen[0]
    assert grown > 15


def test_days_may_be_named(server):
    asked = {"dimensions": ["date"], "metrics": ["sessions"], "orderBys": ordered("date")}
    named = report(server, **asked | {"dateRanges": [{"startDate": "yesterday", "endDate": "today"}]})
    assert ("20260930",) in rows(named) and min(rows(named)) == ("20260930",)


def test_rows_of_few_users_are_held_back_on_request(server):
    asked = {"dimensions": ["date", "city", "sessionSource"], "metrics": ["totalUsers"], "limit": "100000"}
    whole, server.fewest_users = rows(report(server, **asked)), 2
    thinned = report(server, **asked)
    assert thinned["metadata"]["subjectToThresholding"]
    assert rows(thinned) == {key: value for key, value in whole.items() if int(value[0]) >= 2} != {}


@pytest.mark.parametrize("quota", google_analytics.TOKENS)
def test_a_quota_that_is_used_up(server, quota):
    server.quotas[quota] = 2
    for left in (1, 0):
        remaining = report(server, metrics=["sessions"], returnPropertyQuota=True)["propertyQuota"][quota]
        assert remaining.get("remaining", 0) == left
    error = report(server, 429, metrics=["sessions"])["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED" and google_analytics.TOKENS[quota] in error["message"]


def test_another_seed_is_another_property_and_the_same_one_the_same(company):
    def tables(seed: int) -> dict:
        return Company(seed, 0.02).run(date(2025, 12, 1)).counted_visits.tables()

    assert tables(1) == tables(1) != tables(2)
    assert tables(1)["property_id"] != tables(2)["property_id"]


def test_the_sandbox_keeps_the_key_to_itself(options, root):
    """The options are all that is needed to sign in; the file that has the key is for its owner alone."""
    key = json.loads(options["SOURCES__GOOGLE_ANALYTICS__CREDENTIALS"])
    assert (root / "sandbox.json").stat().st_mode & 0o777 == 0o600
    server = options.servers["google_analytics"]
    assert key["token_uri"] == f"{server.url}/token"
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": key["client_email"], "aud": service_account.AUDIENCE, "scope": google_analytics.SCOPE,
              "iat": now, "exp": now + 60}  # fmt: skip
    assertion = jwt.encode(crypt.RSASigner.from_service_account_info(key), claims).decode()
    assert ask(server, "/token", urlencode({"grant_type": GRANT, "assertion": assertion}))[0] == 200
