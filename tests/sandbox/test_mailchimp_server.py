import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import date
from threading import Barrier
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from sandbox import mailchimp
from sandbox.company import CLOCK, Company
from tests.specification import Specification, specification

KEY = "0123456789abcdef-us1"
NEWER = ("proxy_excluded_opens", "proxy_excluded_unique_opens", "proxy_excluded_open_rate")  # than the specification


@pytest.fixture(scope="module")
def made():
    return Company(1, 0.1).run(CLOCK).newsletters.tables()


@pytest.fixture
def tables(made):
    """Tables of its own for a test that changes them."""
    return deepcopy(made)


@pytest.fixture
def server(tables):
    server = mailchimp.serve(lambda: tables, lambda: CLOCK, KEY)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def spec():
    return specification("mailchimp_marketing_3.0.55.openapi.json.gz")


def ask(server, path, key=KEY, **query):
    """Status, headers and body of an answer."""
    headers = {"Authorization": f"Basic {b64encode(f'anybody:{key}'.encode()).decode()}"} if key else {}
    try:
        with urlopen(Request(f"{server.url}{path}?{urlencode(query)}", headers=headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        return error.code, error.headers, error.read()


def get(server, path, **query):
    """The JSON of an answer that must be right."""
    status, _, body = ask(server, f"/3.0{path}", **query)
    assert status == 200, body
    return json.loads(body)


def pages(server, path, name, **query):
    """All rows of a list, page by page."""
    rows, total = [], None
    while total is None or len(rows) < total:
        page = get(server, path, offset=len(rows), **query)
        total = page["total_items"]
        assert page[name] or len(rows) == total
        rows += page[name]
    return rows


def sent(tables, **fields):
    return [
        campaign["id"] for campaign in tables["campaigns"] if campaign.items() >= {"status": "sent", **fields}.items()
    ]


def paths(tables):
    """Every list of the API, of every audience and of some campaigns."""
    yield from [("/lists", "lists"), ("/campaigns", "campaigns"), ("/reports", "reports")]
    yield from ((f"/lists/{list_id}/members", "members") for list_id in tables["members"])
    for campaign_id in [*sent(tables)[:3], *sent(tables, type="absplit"), *sent(tables, emails_sent=0)]:
        yield f"/reports/{campaign_id}/email-activity", "emails"
        yield f"/reports/{campaign_id}/click-details", "urls_clicked"
        yield f"/reports/{campaign_id}/unsubscribed", "unsubscribes"
        yield f"/reports/{campaign_id}/sent-to", "sent_to"


def test_every_answer_holds_against_the_specification(server, tables, spec):
    checked = 0
    for path, name in [*paths(tables), ("/ping", "")]:
        query = {"count": "1000", "offset": "0"} if name else {}
        status, headers, body = ask(server, f"/3.0{path}", **query)
        answer = json.loads(body)
        assert spec.request("GET", f"/3.0{path}", query) == []
        for report in answer.get("reports", []):
            for field in NEWER:
                assert isinstance(report["opens"].pop(field), int | float)
        assert spec.answer("GET", f"/3.0{path}", status, headers["Content-Type"], answer) == []
        checked += len(answer.get(name, []))
    assert checked > 300


@pytest.mark.parametrize(
    ("path", "query", "key", "status", "title"),
    [
        ("/lists/none/members", {}, KEY, 404, "Resource Not Found"),
        ("/reports/none/sent-to", {}, KEY, 404, "Resource Not Found"),
        ("/lists", {"count": 1001}, KEY, 400, "Invalid Resource"),
        ("/lists", {"offset": -1}, KEY, 400, "Invalid Resource"),
        ("/campaigns", {"sort_field": "title"}, KEY, 400, "Invalid Resource"),
        ("/reports", {"since_send_time": "yesterday"}, KEY, 400, "Invalid Resource"),
        ("/lists", {}, "wrong-us1", 401, "API Key Invalid"),
        ("/lists", {}, None, 401, "API Key Missing"),
    ],
)
def test_errors_are_problems(server, spec, path, query, key, status, title):
    got, headers, body = ask(server, f"/3.0{path}", key, **query)
    assert (got, headers["Content-Type"]) == (status, "application/problem+json")
    problem = json.loads(body)
    assert (problem["status"], problem["title"]) == (status, title)
    assert spec.answer("GET", f"/3.0{path}", status, headers["Content-Type"], problem) == []


def test_what_is_not_there_or_not_sent_is_not_found(server, tables):
    unsent = next(campaign["id"] for campaign in tables["campaigns"] if campaign["status"] == "save")
    for path in ("/", "/3.0/nothing", f"/3.0/reports/{unsent}/email-activity"):
        assert ask(server, path)[0] == 404


def test_what_the_specification_does_not_know_is_found(spec):
    members = "/3.0/lists/1/members"
    assert spec.request("GET", members, {"count": "1000", "status": "subscribed", "fields": "a,b"}) == []
    for query in ({"count": "1001"}, {"count": "ten"}, {"limit": "5"}, {"status": "gone"}, {"vip_only": "yes"}):
        assert len(spec.request("GET", members, query)) == 1
    assert spec.request("GET", "/3.0/nothing", {}) and spec.request("DELETE", members, {})
    assert spec.request("GET", members, {}, {"a": 1}) and spec.request("POST", members, {}, {"status": "gone"})
    kind = "application/json; charset=utf-8"
    assert spec.answer("GET", members, 200, kind, {"members": [{"vip": True}], "total_items": 1}) == []
    for body in ({"members": [{"vip": "yes"}]}, {"members": [{"vipp": True}]}, {"total_items": "1"}, []):
        assert len(spec.answer("GET", members, 200, kind, body)) == 1
    assert spec.answer("GET", members, 200, "text/html", {}) and spec.answer("GET", members, 404, kind, {})


def test_references_in_a_specification_are_followed():
    row = {"type": "object", "properties": {"id": {"type": "integer"}, "next": {"$ref": "#/components/schemas/row"}}}
    answer = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/row"}}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/row"}}}}
    found = Specification({
        "servers": [{"url": "https://example.com/v1"}],
        "paths": {"/rows": {"post": {"requestBody": {"$ref": "#/components/requestBodies/row"},
                                     "responses": {"default": {"$ref": "#/components/responses/row"}}}}},
        "components": {"schemas": {"row": row}, "responses": {"row": answer}, "requestBodies": {"row": body}},
    })  # fmt: skip
    right, wrong = {"id": 1, "next": {"id": 2}}, {"id": 1, "next": {"di": 2}}
    for value, problems in ((right, 0), (wrong, 1)):
        assert len(found.request("POST", "/v1/rows", {}, value)) == problems
        assert len(found.answer("POST", "/v1/rows", 200, "application/json", value)) == problems


def test_pages_are_ten_rows_long_unless_asked_and_together_they_are_the_table(server, tables):
    list_id, members = max(tables["members"].items(), key=lambda item: len(item[1]))
    assert len(get(server, f"/lists/{list_id}/members")["members"]) == 10 < len(members)
    rows = pages(server, f"/lists/{list_id}/members", "members", count=7)
    assert rows == members
    campaign_id = sent(tables)[0]
    emails = pages(server, f"/reports/{campaign_id}/email-activity", "emails", count=9)
    recipients = pages(server, f"/reports/{campaign_id}/sent-to", "sent_to", count=1000)
    assert [email["email_id"] for email in emails] == [recipient["email_id"] for recipient in recipients]
    assert [email["activity"] for email in emails] == [one["activity"] for one in tables["recipients"][campaign_id]]
    assert {email["campaign_id"] for email in emails} == {recipient["campaign_id"] for recipient in recipients}
    opens = [sum(event["action"] == "open" for event in email["activity"]) for email in emails]
    assert [recipient["open_count"] for recipient in recipients] == opens


def test_members_since_a_change_come_in_order(server, tables):
    list_id, members = max(tables["members"].items(), key=lambda item: len(item[1]))
    times = sorted(member["last_changed"] for member in members)
    limit = times[len(times) // 2]
    query = {"since_last_changed": limit, "sort_field": "last_changed", "sort_dir": "ASC", "count": 1000}
    found = [row["last_changed"] for row in get(server, f"/lists/{list_id}/members", **query)["members"]]
    assert found == [text for text in times if text > limit] != []
    before = get(server, f"/lists/{list_id}/members", before_last_changed=limit, count=1)["total_items"]
    assert before == sum(text < limit for text in times)
    query |= {"sort_dir": "DESC", "since_last_changed": limit.replace("+00:00", "Z")}
    descending = [row["last_changed"] for row in get(server, f"/lists/{list_id}/members", **query)["members"]]
    assert descending == sorted(found, reverse=True)


def test_an_import_is_more_rows_of_one_second_than_a_page(tables):
    times = [member["last_changed"] for members in tables["members"].values() for member in members]
    assert max(map(times.count, times)) > 10


def test_filters(server, tables):
    list_id = next(iter(tables["members"]))
    archived = get(server, f"/lists/{list_id}/members", status="archived", count=1000)["members"]
    assert archived == [member for member in tables["members"][list_id] if member["status"] == "archived"] != []
    split = get(server, "/campaigns", type="absplit")["campaigns"]
    assert [campaign["id"] for campaign in split] == sent(tables, type="absplit")
    since = "2026-08-17T00:00:00+00:00"
    recent = get(server, "/reports", since_send_time=since, count=1000)["reports"]
    assert recent == [report for report in tables["reports"] if report["send_time"] > since] != []
    old = get(server, "/reports", before_send_time=since, count=1000)["reports"]
    assert len(recent) + len(old) == len(tables["reports"])
    unset = [campaign for campaign in tables["campaigns"] if not campaign["send_time"]]
    both = [
        get(server, "/campaigns", **{name: since})["total_items"] for name in ("since_send_time", "before_send_time")
    ]
    assert unset and sum(both) == len(tables["campaigns"]) - len(unset)


def test_activity_since_a_moment_has_only_the_events_after_it(server, tables):
    campaign_id = sent(tables)[0]
    activity = [event for one in tables["recipients"][campaign_id] for event in one["activity"]]
    limit = sorted(event["timestamp"] for event in activity)[len(activity) // 2]
    emails = get(server, f"/reports/{campaign_id}/email-activity", since=limit, count=1000)["emails"]
    found = [event for email in emails for event in email["activity"]]
    assert found == [event for event in activity if event["timestamp"] > limit]
    assert all(email["activity"] for email in emails)


def test_fields_are_left_out_as_asked(server, tables):
    list_id = next(iter(tables["members"]))
    first = tables["members"][list_id][0]
    page = get(server, f"/lists/{list_id}/members", fields="members.id,members.merge_fields.FNAME,total_items", count=1)
    wanted = {"id": first["id"], "merge_fields": {"FNAME": first["merge_fields"]["FNAME"]}}
    assert page == {"members": [wanted], "total_items": len(tables["members"][list_id])}
    page = get(server, f"/lists/{list_id}/members", exclude_fields="members.merge_fields.FNAME,members.tags", count=3)
    assert page["members"][0].keys() == first.keys() - {"tags"}
    assert page["members"][0]["merge_fields"].keys() == first["merge_fields"].keys() - {"FNAME"}


def test_a_plus_that_is_not_escaped_is_a_space_and_so_no_time(server):
    status, _, _ = ask(server, "/3.0/reports", since_send_time="2026-01-01T00:00:00 00:00")
    assert status == 400


def test_its_date_is_the_clock_and_it_shows_the_tables_of_the_moment(made):
    state = {"tables": made | {"lists": []}, "clock": date(2026, 1, 2)}
    server = mailchimp.serve(lambda: state["tables"], lambda: state["clock"], KEY)
    try:
        assert get(server, "/lists")["total_items"] == 0
        assert ask(server, "/3.0/ping")[1].get_all("Date") == ["Fri, 02 Jan 2026 00:00:00 GMT"]
        state.update(tables=made, clock=CLOCK)
        assert get(server, "/lists")["total_items"] == 3
        assert ask(server, "/3.0/ping")[1]["Date"] == "Thu, 01 Oct 2026 00:00:00 GMT"
    finally:
        server.stop()


def test_more_than_ten_requests_at_once_are_refused(server):
    server.latency, together = 0.5, Barrier(13)

    def answer(_):
        together.wait()
        return ask(server, "/3.0/ping")

    with ThreadPoolExecutor(13) as pool:
        answers = list(pool.map(answer, range(13)))
    assert sorted(status for status, _, _ in answers) == [200] * 10 + [429] * 3
    refusal = next(json.loads(body) for status, _, body in answers if status == 429)
    assert refusal["title"] == "Too Many Requests"
    server.latency = 0
    assert ask(server, "/3.0/ping")[0] == 200
    server.connections = 0
    assert ask(server, "/3.0/ping")[0] == 429


def test_faults_in_its_own_words(server):
    for fault in ("bare_403", "429", "401"):
        server.misbehave.next(fault)
    bare, busy, expired = (ask(server, "/3.0/lists") for _ in range(3))
    assert (bare[0], bare[2]) == (403, b"")
    assert busy[0] == 429 and busy[1]["Retry-After"] is None and json.loads(busy[2])["status"] == 429
    assert expired[0] == 401 and json.loads(expired[2])["title"] == "API Key Invalid"
    assert ask(server, "/3.0/lists")[0] == 200


def test_rows_that_change_between_two_pages_make_the_pages_drift(server, tables):
    list_id, members = max(tables["members"].items(), key=lambda item: len(item[1]))
    expected = [member["id"] for member in members]

    def erase_the_first(tables):
        del tables["members"][list_id][0]
        server.on_page = lambda tables: None

    server.on_page = erase_the_first
    rows = pages(server, f"/lists/{list_id}/members", "members", count=10)
    assert [row["id"] for row in rows] == expected[:10] + expected[11:], "the row after the first page is missed"
