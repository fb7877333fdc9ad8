import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import groupby

import pytest
import requests

import sandbox
from sandbox import hubspot
from sandbox.company import CLOCK, Company
from sandbox.portal import LINKS, PROPERTIES

TOKEN = "pat-eu1-11111111-2222-3333-4444-555555555555"
LIKE = {"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "LIKE", "value": "1%"}]}]}
MODIFIED = dict.fromkeys(PROPERTIES, "hs_lastmodifieddate") | {"contacts": "lastmodifieddate"}


@pytest.fixture(scope="module")
def tables(company):
    return company.crm.tables()


@pytest.fixture(scope="module")
def truth(company):
    return company.crm.truth()


@pytest.fixture
def server(tables, tmp_path):
    (tmp_path / "hubspot.json").write_text(json.dumps(tables))
    server = hubspot.serve(tmp_path / "hubspot.json", TOKEN)
    yield server
    server.stop()


@pytest.fixture
def ask(server):
    """Asks as the token's owner: GET with parameters, or POST with a body."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"

        def ask(path, body=None, **parameters):
            if body is None:
                return session.get(server.url + path, params=parameters)
            return session.post(server.url + path, json=body)

        yield ask


def everything(ask, path, **parameters):
    """All rows of all pages."""
    after, rows = None, []
    while True:
        page = ask(path, **parameters, **({"after": after} if after else {})).json()
        rows += page["results"]
        assert page.get("paging", {}).get("next", {}).get("after") != after or after is None
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            return rows


def found(ask, object_type, *conditions, properties=()):
    """All that a search finds, by its own paging."""
    filters = [dict(zip(("propertyName", "operator", "value"), condition, strict=False)) for condition in conditions]
    after, rows = 0, []
    while after is not None:
        body = {"filterGroups": [{"filters": filters}], "sorts": [{"propertyName": "hs_object_id"}],
                "properties": list(properties), "limit": 200, "after": after}  # fmt: skip
        page = ask(f"/crm/v3/objects/{object_type}/search", body).json()
        rows += page["results"]
        after = page.get("paging", {}).get("next", {}).get("after")
    assert page["total"] == len(rows)
    return rows


def test_lists_give_every_living_record_once(ask, truth):
    for object_type in PROPERTIES:
        rows = everything(ask, f"/crm/v3/objects/{object_type}", limit=100)
        assert len({row["id"] for row in rows}) == len(rows) == truth["crm_rows.json"][object_type]
        assert not {row["id"] for row in rows} & truth["crm_gone.json"][object_type].keys()
        assert [int(row["id"]) for row in rows] == sorted(int(row["id"]) for row in rows)
        assert not any(row["archived"] for row in rows)


def test_a_record_has_its_own_properties_those_asked_for_and_nulls(ask):
    bare = ask("/crm/v3/objects/contacts").json()["results"]
    assert len(bare) == 10
    assert bare[0]["properties"].keys() == {
        "hs_object_id", "createdate", "lastmodifieddate", "email", "firstname", "lastname"
    }  # fmt: skip
    row = ask("/crm/v3/objects/contacts", properties="phone,birthday,no_such_thing").json()["results"][0]
    assert row["properties"].keys() == {"hs_object_id", "createdate", "lastmodifieddate", "phone", "birthday"}
    assert row["properties"]["hs_object_id"] == row["id"]
    assert row["properties"]["lastmodifieddate"] == row["updatedAt"] >= row["createdAt"]
    rows = everything(ask, "/crm/v3/objects/deals", properties="amount,hs_is_closed", limit=100)
    assert {type(row["properties"]["amount"]) for row in rows} <= {str, type(None)}
    assert {row["properties"]["hs_is_closed"] for row in rows} == {"true", "false"}


def test_deals_add_up_to_the_truth(ask, truth):
    rows = everything(ask, "/crm/v3/objects/deals", properties="amount,dealstage", limit=100)
    told = {row["deal_id"]: (str(row["amount"] or ""), row["stage"]) for row in truth["deals.csv"]}
    assert {r["id"]: (r["properties"]["amount"] or "", r["properties"]["dealstage"]) for r in rows} == told


def test_a_search_finds_the_same_in_a_window_of_changes(ask):
    for object_type, name in MODIFIED.items():
        rows = everything(ask, f"/crm/v3/objects/{object_type}", limit=100)
        times = sorted(row["updatedAt"] for row in rows)
        low, high = times[len(times) // 3], times[2 * len(times) // 3]
        window = found(ask, object_type, (name, "GTE", low), (name, "LTE", high))
        assert {row["id"] for row in window} == {row["id"] for row in rows if low <= row["updatedAt"] <= high}
        in_ms = str(round(datetime.fromisoformat(low).timestamp() * 1000))
        assert found(ask, object_type, (name, "GTE", in_ms), (name, "LTE", high)) == window
        rest = found(ask, object_type, (name, "GTE", low), ("hs_object_id", "GT", window[0]["id"]))
        assert [int(row["id"]) for row in rest] == sorted(
            int(row["id"]) for row in rows if row["updatedAt"] >= low and int(row["id"]) > int(window[0]["id"])
        )


def test_filters_know_equality_and_presence(ask, truth):
    won = found(ask, "deals", ("hs_is_closed_won", "EQ", "true"))
    assert {row["id"] for row in won} == {row["deal_id"] for row in truth["deals.csv"] if row["is_won"]}
    priced = found(ask, "deals", ("amount", "HAS_PROPERTY"), properties=["amount"])
    assert {row["id"] for row in priced} == {row["deal_id"] for row in truth["deals.csv"] if row["amount"]}
    several = {"filterGroups": [{"filters": [{"propertyName": "hs_is_closed", "operator": "EQ", "value": value}]}
                                for value in ("true", "false")]}  # fmt: skip
    assert ask("/crm/v3/objects/deals/search", several).json()["total"] == len(truth["deals.csv"])


def test_the_search_index_lags(server, ask, tables):
    clock = datetime.fromisoformat(tables["clock"])
    first = {name: everything(ask, f"/crm/v3/objects/{name}", limit=100) for name in ("contacts", "calls")}
    server.index_lag = timedelta(days=30)
    seen = {name: {row["id"]: row for row in found(ask, name)} for name in first}
    until = (clock - server.index_lag).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    outcomes = Counter()
    for name, rows in first.items():
        for row in rows:
            if row["createdAt"] > until:
                assert row["id"] not in seen[name]
                outcomes["unseen"] += 1
            elif row["updatedAt"] > until:
                assert seen[name][row["id"]]["updatedAt"] <= until
                outcomes["as before"] += 1
            else:
                assert seen[name][row["id"]]["updatedAt"] == row["updatedAt"]
                outcomes["up to date"] += 1
    assert len(outcomes) == 3
    assert everything(ask, "/crm/v3/objects/contacts", limit=100) == first["contacts"], "lists do not lag"


@pytest.mark.parametrize(
    "path, body, parameters",
    [
        ("/crm/v3/objects/deals", None, {"limit": 101}),
        ("/crm/v3/objects/deals", None, {"limit": 0}),
        ("/crm/v3/objects/deals", None, {"limit": 51, "propertiesWithHistory": "amount"}),
        ("/crm/v3/objects/deals", None, {"after": "next"}),
        ("/crm/v3/objects/dealz", None, {}),
        ("/crm/v3/objects/deals/search", {"limit": 201}, {}),
        ("/crm/v3/objects/deals/search", {"limit": 200, "after": 9801}, {}),
        ("/crm/v3/objects/deals/search", {"filterGroups": [{"filters": [{"propertyName": "no"}]}]}, {}),
        ("/crm/v3/objects/contacts/search", {"sorts": [{"propertyName": "hs_lastmodifieddate"}]}, {}),
        ("/crm/v3/objects/deals/search", LIKE, {}),
        ("/crm/v3/objects/deals/batch/read", {"inputs": [{"id": str(n)} for n in range(101)]}, {}),
        ("/crm/v3/objects/deals/batch/read", {"inputs": [{"id": "1"}] * 51, "propertiesWithHistory": ["amount"]}, {}),
        ("/crm/v4/associations/deals/contacts/batch/read", {"inputs": [{"id": "51"}] * 1001}, {}),
        ("/crm/v4/associations/deals/owners/batch/read", {"inputs": [{"id": "51"}]}, {}),
        ("/crm/v3/owners", None, {"limit": 501}),
        ("/crm/v3/pipelines/calls", None, {}),
    ],
)  # fmt: skip
def test_what_hubspot_refuses(ask, path, body, parameters):
    answer = ask(path, body, **parameters)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR"), answer.text


def test_a_search_ends_at_10_000_results_exactly(ask):
    assert ask("/crm/v3/objects/deals/search", {"limit": 200, "after": 9800}).status_code == 200


def test_the_recycle_bin_has_what_was_archived_in_90_days(ask, tables):
    seen = Counter()
    begin = (datetime.fromisoformat(tables["clock"]) - timedelta(days=90)).isoformat()
    for object_type, rows in tables["objects"].items():
        listed = everything(ask, f"/crm/v3/objects/{object_type}", archived="true", limit=100)
        archived = {row["id"]: row["archivedAt"] for row in rows if row["archivedAt"]}
        assert {row["id"]: row["archivedAt"] for row in listed} == {
            key: at for key, at in archived.items() if at > begin
        }
        assert all(row["archived"] and row["updatedAt"] < row["archivedAt"] for row in listed)
        assert not archived.keys() & {row["id"] for row in found(ask, object_type)}
        seen.update(shown=len(listed), old=len(archived) - len(listed))
    assert seen["shown"] and seen["old"]


def test_merged_and_erased_records_are_not_found(ask, truth):
    for object_type in ("contacts", "companies"):
        gone = [key for key, fate in truth["crm_gone.json"][object_type].items() if fate in ("merged", "deleted")]
        assert gone
        assert not {row["id"] for row in everything(ask, f"/crm/v3/objects/{object_type}", archived="true")} & set(gone)
        living = everything(ask, f"/crm/v3/objects/{object_type}", properties="hs_merged_object_ids", limit=100)
        answer = ask(
            f"/crm/v3/objects/{object_type}/batch/read", {"inputs": [{"id": key} for key in (gone[0], living[0]["id"])]}
        )
        assert (answer.status_code, answer.json()["numErrors"]) == (207, 1)
        assert [row["id"] for row in answer.json()["results"]] == [living[0]["id"]]
        assert answer.json()["errors"][0]["context"] == {"ids": [gone[0]]}
        shown = {row["id"]: row["properties"]["hs_merged_object_ids"] or "" for row in living}
        told = truth["crm_merged.json"][object_type]
        assert {loser for ids in shown.values() for loser in ids.split(";") if loser} == {
            loser for loser, winner in told.items() if winner in shown
        }


def test_histories_are_newest_first_and_hold_the_true_stage_intervals(ask, truth):
    rows = everything(ask, "/crm/v3/objects/deals", propertiesWithHistory="dealstage,amount", limit=50)
    intervals = {
        key: [(row["entered_at"], row["stage_id"]) for row in group]
        for key, group in groupby(truth["deal_stage_intervals.csv"], lambda row: row["deal_id"])
    }
    for row in rows:
        entries = row["propertiesWithHistory"]["dealstage"]
        assert [entry["timestamp"] for entry in entries] == sorted((e["timestamp"] for e in entries), reverse=True)
        assert all(entry["sourceType"] for entry in entries)
        visits = []
        for entry in reversed(entries):
            if not visits or visits[-1][1] != entry["value"]:
                visits.append((entry["timestamp"], entry["value"]))
        assert visits == intervals[row["id"]]
    inputs = {
        "inputs": [{"id": row["id"]} for row in rows[:50]],
        "properties": [],
        "propertiesWithHistory": ["dealstage"],
    }
    batch = ask("/crm/v3/objects/deals/batch/read", inputs)
    assert batch.status_code == 200
    assert [row["propertiesWithHistory"]["dealstage"] for row in batch.json()["results"]] == [
        row["propertiesWithHistory"]["dealstage"] for row in rows[:50]
    ]


def associations(ask, one, other, ids):
    """Every association of the records, read to the end: (from, to, category, type)."""
    rows, todo, lonely, statuses = [], [{"id": key} for key in ids], 0, set()
    while todo:
        answer = ask(f"/crm/v4/associations/{one}/{other}/batch/read", {"inputs": todo[:1000]})
        todo, body = todo[1000:], answer.json()
        statuses.add(answer.status_code)
        lonely += body.get("numErrors", 0)
        for result in body["results"]:
            for to in result["to"]:
                rows += [(result["from"]["id"], to["toObjectId"], kind["category"], kind["typeId"], kind["label"])
                         for kind in to["associationTypes"]]  # fmt: skip
            if "paging" in result:
                todo.append({"id": result["from"]["id"], "after": result["paging"]["next"]["after"]})
    return rows, lonely, statuses


def test_associations_are_the_truth_page_by_page_and_both_ways(server, ask, truth):
    server.association_page = 3
    ids = {name: [row["id"] for row in everything(ask, f"/crm/v3/objects/{name}", limit=100)] for name in PROPERTIES}
    lonely, kinds, most = 0, set(), 0
    for pair in LINKS:
        one, other = pair.split("-")
        forward, without, _ = associations(ask, one, other, ids[one])
        backward, _, _ = associations(ask, other, one, ids[other])
        assert len(forward) == len(set(forward)) == len(backward) == truth["crm_associations.json"][pair]
        assert {(here, str(there)) for here, there, *_ in forward} == {(str(b), a) for a, b, *_ in backward}
        most = max(most, *Counter(here for here, _ in {row[:2] for row in backward}).values(), 0)
        lonely += without
        kinds |= {(pair, *row[2:]) for row in forward}
    assert lonely and most > 9, "no fourth page"
    assert {("contacts-companies", "HUBSPOT_DEFINED", 1, "Primary"),
            ("contacts-companies", "HUBSPOT_DEFINED", 279, None),
            ("contacts-companies", "USER_DEFINED", 1, "Decision maker")} <= kinds  # fmt: skip


def test_a_record_without_associations_is_an_error_of_its_own(ask, tables):
    linked = {one for one, _, _ in tables["associations"]["contacts-companies"]}
    living = [row["id"] for row in everything(ask, "/crm/v3/objects/contacts", limit=100)]
    lonely = next(key for key in living if key not in linked)
    other = next(key for key in living if key in linked)
    answer = ask("/crm/v4/associations/contacts/companies/batch/read", {"inputs": [{"id": lonely}, {"id": other}]})
    assert answer.status_code == 207
    assert [row["from"]["id"] for row in answer.json()["results"]] == [other]
    [error] = answer.json()["errors"]
    assert error["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert error["context"]["fromObjectId"] == [lonely]


def test_one_archived_record_fails_the_batch(ask, truth):
    good = ask("/crm/v3/objects/contacts").json()["results"][0]["id"]
    for key in (*truth["crm_gone.json"]["contacts"], "12345"):
        answer = ask("/crm/v4/associations/contacts/companies/batch/read", {"inputs": [{"id": good}, {"id": key}]})
        assert answer.status_code == 400 and "results" not in answer.json()


def test_owners_pipelines_and_properties(ask, truth):
    here, gone = (everything(ask, "/crm/v3/owners", limit=2, archived=archived) for archived in ("false", "true"))
    assert len(here) + len(gone) == truth["crm_rows.json"]["owners"]
    assert [owner["userId"] for owner in gone] == [None] and all(owner["teams"] for owner in here)
    assert everything(ask, "/crm/v3/owners/") == here
    stages = 0
    for object_type in ("deals", "tickets", "leads"):
        pipelines = ask(f"/crm/v3/pipelines/{object_type}").json()["results"]
        stages += sum(len(pipeline["stages"]) for pipeline in pipelines)
    assert stages == truth["crm_rows.json"]["pipeline_stages"]
    deals = ask("/crm/v3/pipelines/deals").json()["results"]
    assert len(deals) == 2 and deals[0]["stages"][-1]["metadata"] == {"isClosed": "true", "probability": "0.0"}
    properties = {row["name"]: row for row in ask("/crm/v3/properties/companies").json()["results"]}
    assert properties["delivery_route"] | {"type": "geo_shape", "hubspotDefined": False} == properties["delivery_route"]
    assert properties["domain"]["hubspotDefined"] and {"hs_object_id", "hs_lastmodifieddate"} <= properties.keys()


@pytest.mark.parametrize(
    "header, status, category",
    [
        (None, 401, "INVALID_AUTHENTICATION"),
        (TOKEN, 401, "INVALID_AUTHENTICATION"),
        (f"Bearer {TOKEN[:-1]}6", 401, "INVALID_AUTHENTICATION"),
        ("Bearer secret", 530, None),
    ],
)
def test_a_wrong_token_is_refused(server, header, status, category):
    answer = requests.get(f"{server.url}/crm/v3/owners", headers={"Authorization": header} if header else {})
    assert answer.status_code == status
    assert not category or (answer.json()["status"], answer.json()["category"]) == ("error", category)


def test_a_missing_scope_closes_one_type(server, ask):
    server.missing_scopes = {"leads"}
    answer = ask("/crm/v3/objects/leads")
    assert (answer.status_code, answer.json()["category"]) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"]["requiredGranularScopes"] == ["crm.objects.leads.read"]
    assert ask("/crm/v4/associations/leads/contacts/batch/read", {"inputs": []}).status_code == 403
    assert ask("/crm/v3/objects/contacts").status_code == 200


def test_too_many_requests_are_refused_as_hubspot_does(server, ask):
    server.limit, server.search_limit = 5, 2
    answers = [ask("/crm/v3/owners") for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2
    headers = ("X-HubSpot-RateLimit-Max", "X-HubSpot-RateLimit-Remaining", "X-HubSpot-RateLimit-Interval-Milliseconds")
    assert [answers[0].headers[name] for name in headers] == ["5", "4", "10000"]
    assert answers[-1].headers[headers[1]] == "0"
    refusal = answers[-1].json()
    assert (refusal["errorType"], refusal["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
    assert refusal["message"] == "You have reached your ten_secondly_rolling limit."
    searches = [ask("/crm/v3/objects/deals/search", {}) for _ in range(3)]
    assert [answer.status_code for answer in searches] == [200, 200, 429]
    assert searches[-1].json()["policyName"] == "SECONDLY"
    assert not any(name in answer.headers for name in headers for answer in searches)


def test_faults_come_in_hubspots_words(server, ask):
    server.misbehave.next("401")
    server.misbehave.next("403", scope="deals")
    server.misbehave.next("429", retry_after=1)
    server.misbehave.next("error")
    expired, scope, many, error = (ask("/crm/v3/owners") for _ in range(4))
    assert (expired.status_code, expired.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert (scope.status_code, scope.json()["category"]) == (403, "MISSING_SCOPES")
    assert (many.status_code, many.json()["errorType"], many.headers["Retry-After"]) == (429, "RATE_LIMIT", "1")
    assert (error.status_code, error.json()["status"]) == (200, "error")


def test_a_page_may_repeat(server, ask):
    first = ask("/crm/v3/objects/contacts", limit=5).json()
    server.misbehave.next("repeat", path="contacts")
    second = ask("/crm/v3/objects/contacts", limit=5, after=first["paging"]["next"]["after"]).json()
    assert second == first
    third = ask("/crm/v3/objects/contacts", limit=5, after=first["paging"]["next"]["after"]).json()
    assert third["results"][0]["id"] != first["results"][0]["id"]


def test_the_date_is_the_clock_and_a_new_file_is_read(server, ask, company, tmp_path):
    answer = ask("/crm/v3/owners")
    assert answer.headers["Date"] == "Thu, 01 Oct 2026 00:00:00 GMT"
    later = Company(1, 0.02).run(CLOCK + timedelta(days=20)).crm
    (tmp_path / "new.json").write_text(json.dumps(later.tables()))
    (tmp_path / "new.json").replace(tmp_path / "hubspot.json")
    assert ask("/crm/v3/owners").headers["Date"] == "Wed, 21 Oct 2026 00:00:00 GMT"
    calls = everything(ask, "/crm/v3/objects/calls", limit=100)
    assert len(calls) == later.truth()["crm_rows.json"]["calls"] != company.crm.truth()["crm_rows.json"]["calls"]


def test_in_the_sandbox_it_runs_with_a_token_of_its_own_and_moves_with_the_clock(made_root):
    with sandbox.running(["hubspot"], root=made_root, scale=0.02) as options:
        url, token = options["SOURCES__HUBSPOT__BASE_URL"], options["SOURCES__HUBSPOT__TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        window = [{"propertyName": "hs_createdate", "operator": "GTE", "value": "2026-10-01T00:00:00Z"}]
        body = {"filterGroups": [{"filters": window}]}
        assert requests.post(f"{url}/crm/v3/objects/calls/search", json=body, headers=headers).json()["total"] == 0
        sandbox.advance(30, made_root)
        assert requests.post(f"{url}/crm/v3/objects/calls/search", json=body, headers=headers).json()["total"] > 0
        rows = json.loads((made_root / "truth/crm_rows.json").read_text())
        answer = requests.post(f"{url}/crm/v3/objects/deals/search", json={}, headers=headers)
        assert answer.json()["total"] == rows["deals"]
    with sandbox.running(["hubspot"], root=made_root, scale=0.02) as options:
        assert options["SOURCES__HUBSPOT__TOKEN"] == token
