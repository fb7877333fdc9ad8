"""The stand-in for Google Sheets and Drive answers as their specifications say, and misbehaves on request."""

import json
from datetime import UTC, date, datetime
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from google.auth import crypt, jwt

from sandbox import google_sheets, service_account
from sandbox.google_sheets import DRIVE_SCOPE, SHEETS_SCOPE, masked
from tests.specification import specification

KEY = service_account.new_key(1024)
GRID = [
    ["Month", "Target", "", None],
    [{"date": "2026-01-01"}, 12.5, True, {"error": "#REF!"}],
    [],
    [{"date": "2026-01-01T12:00:00"}, "12.5", False, None],
    [None, ""],
]
BOOK = {
    "title": "Plan", "time_zone": "Europe/Berlin", "locale": "de_DE", "modified_at": "2026-03-01T12:00:00+00:00",
    "version": 7, "sheets": [{"title": "Targets", "grid": GRID}, {"title": "It's", "grid": []}],
}  # fmt: skip
BOOKS = {"a": BOOK, "b": BOOK | {"is_shared": False}, "c": BOOK | {"mime_type": "text/csv"}}


@pytest.fixture(scope="module")
def server():
    server = google_sheets.serve(lambda: BOOKS, lambda: date(2026, 3, 20), KEY)
    yield server
    server.stop()


def ask(server, path, body=None, headers=None, **query):
    """(status, JSON, content type) of an answer."""
    url = f"{server.url}{path}?{urlencode(query, doseq=True)}"
    try:
        with urlopen(Request(url, body, headers or {})) as answer:
            return answer.status, json.load(answer), answer.headers["Content-Type"]
    except HTTPError as error:
        return error.code, json.load(error), error.headers["Content-Type"]


def token(server, *scopes):
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": KEY["client_email"], "aud": service_account.AUDIENCE, "scope": " ".join(scopes),
              "iat": now, "exp": now + 3600}  # fmt: skip
    assertion = jwt.encode(crypt.RSASigner.from_service_account_info(KEY), claims).decode()
    form = urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion})
    return ask(server, "/token", form.encode())[1].get("access_token")


@pytest.fixture(scope="module")
def get(server):
    headers = {"Authorization": f"Bearer {token(server, SHEETS_SCOPE, DRIVE_SCOPE)}"}

    def get(path, status=200, **query):
        got, answer, kind = ask(server, path, headers=headers, **query)
        assert got == status, answer
        spec = specification(f"google_{'drive_v3' if path.startswith('/drive') else 'sheets_v4'}.openapi.json")
        plain = {name: value if isinstance(value, str) else ",".join(value) for name, value in query.items()}
        assert spec.request("GET", path, plain) == []
        assert spec.answer("GET", path, status, kind, answer) == []
        return answer

    return get


def values(get, *ranges, **options):
    return get("/v4/spreadsheets/a/values:batchGet", ranges=ranges, **options)["valueRanges"]


PLAIN = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "SERIAL_NUMBER"}


def test_what_drive_knows(get):
    assert get("/drive/v3/files/a", fields="id,modifiedTime,version") == {
        "id": "a", "modifiedTime": "2026-03-01T12:00:00.000Z", "version": "7"
    }  # fmt: skip
    assert get("/drive/v3/files/c", fields="mimeType") == {"mimeType": "text/csv"}
    assert get("/drive/v3/files/a").keys() == {"kind", "id", "name", "mimeType"}


def test_settings_and_sheets(get):
    answer = get(
        "/v4/spreadsheets/a", fields="properties(title,timeZone),sheets.properties(title,gridProperties(rowCount))"
    )
    assert answer == {
        "properties": {"title": "Plan", "timeZone": "Europe/Berlin"},
        "sheets": [
            {"properties": {"title": title, "gridProperties": {"rowCount": 1000}}} for title in ("Targets", "It's")
        ],
    }
    assert get("/v4/spreadsheets/a")["properties"]["locale"] == "de_DE"


def test_values(get):
    """Without what is empty at the end of a row or of the range."""
    whole, part, nothing = values(get, "Targets!A1:Z1000", "Targets!B2:C4", "'It''s'!A1:Z1000", **PLAIN)
    assert whole == {
        "range": "Targets!A1:Z1000", "majorDimension": "ROWS",
        "values": [["Month", "Target"], [46023, 12.5, True, "#REF!"], [], [46023.5, "12.5", False]],
    }  # fmt: skip
    assert part["values"] == [[12.5, True], [], ["12.5", False]]
    assert nothing == {"range": "'It''s'!A1:Z1000", "majorDimension": "ROWS"}


def test_values_for_people(get):
    (whole,) = values(get, "Targets!A2:C2")
    assert whole["values"] == [["2026-01-01", "12.5", "TRUE"]]
    (whole,) = values(get, "Targets!A2:C2", **PLAIN | {"dateTimeRenderOption": "FORMATTED_STRING"})
    assert whole["values"] == [["2026-01-01", 12.5, True]]


@pytest.mark.parametrize(
    ("status", "path", "message"),
    [
        (404, "/drive/v3/files/d", "File not found: d."),
        (404, "/drive/v3/files/b", "File not found: b."),
        (404, "/v4/spreadsheets/d", "Requested entity was not found."),
        (403, "/v4/spreadsheets/b", "The caller does not have permission"),
        (400, "/v4/spreadsheets/c", "This operation is not supported for this document"),
        (400, "/v4/spreadsheets/a/values:batchGet?ranges=Plan!A1:B2", "Unable to parse range: Plan!A1:B2"),
        (400, "/v4/spreadsheets/a/values:batchGet?ranges=Targets!A1:AA9", "exceeds grid limits. Max rows: 1000, max"),
    ],
)
def test_what_is_refused(get, status, path, message):
    path, _, query = path.partition("?")
    answer = get(path, status, **dict([query.split("=", 1)] if query else []))
    assert message in answer["error"]["message"] and answer["error"]["code"] == status


def test_a_token_is_needed_and_is_for_an_api(server):
    assert token(server, "https://www.googleapis.com/auth/drive") is None
    for path, scope, other in [
        ("/drive/v3/files/a", DRIVE_SCOPE, SHEETS_SCOPE),
        ("/v4/spreadsheets/a", SHEETS_SCOPE, DRIVE_SCOPE),
    ]:
        for each, status in ((scope, 200), (other, 403)):
            assert ask(server, path, headers={"Authorization": f"Bearer {token(server, each)}"})[0] == status
        assert ask(server, path)[0] == 401


@pytest.mark.parametrize("status", [401, 403, 429])
def test_faults(server, get, status):
    server.misbehave.next(str(status), path="spreadsheets/a")
    assert get("/v4/spreadsheets/a", status)["error"]["code"] == status


def test_a_drive_that_has_had_enough(server):
    """As Drive says it, which its specification leaves open."""
    server.misbehave.next("busy drive")
    status, answer, _ = ask(server, "/drive/v3/files/a")
    assert status == 403 and answer["error"]["errors"][0]["reason"] == "userRateLimitExceeded"


def test_field_masks():
    value = {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}, "g": [{"h": 5, "i": 6}]}
    assert masked(value, "*") == value
    assert masked(value, "a,g.h,x") == {"a": 1, "g": [{"h": 5}]}
    assert masked(value, "b(c,d(e)),g/i") == {"b": {"c": 2, "d": {"e": 3}}, "g": [{"i": 6}]}
