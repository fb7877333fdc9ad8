"""Google Sheets' API v4 (spreadsheets.get, values.batchGet) and what Drive's v3 knows of files (files.get), over grids.

A spreadsheet is title, time_zone, locale, modified_at, version and sheets, each of a title and a grid of rows of cells:
text, number, bool, null, {"date": "2026-01-31"} (or with a time) or {"error": "#REF!"}. One that has a `mime_type` is a
file of that type; one that has is_shared = false is somebody else's, and one that has is_trashed = true is in the bin.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sandbox.misbehave import Response
from sandbox.server import Call, Server
from sandbox.service_account import SignIn
from sandbox.simulation import Row

SHEETS_SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
DRIVE_SCOPE = "https://www.googleapis.com/auth/drive.metadata.readonly"
A_SHEET = "application/vnd.google-apps.spreadsheet"
ROWS, COLUMNS = 1000, 26  # of a new sheet


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, status: str, message: str, reason: str = "") -> None:
        details = {"errors": [{"message": message, "domain": "usageLimits", "reason": reason}]} if reason else {}
        self.response = Response.json(code, {"error": {"code": code, "message": message, "status": status, **details}})


NOT_FOUND = 404, "NOT_FOUND", "Requested entity was not found."
WRONG_TOKEN = 401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
NO_SCOPE = 403, "PERMISSION_DENIED", "Request had insufficient authentication scopes."
FORBIDDEN = 403, "PERMISSION_DENIED", "The caller does not have permission"
NO_SHEET = 400, "FAILED_PRECONDITION", "This operation is not supported for this document"
DISABLED = (
    *(403, "PERMISSION_DENIED", "Google Sheets API has not been used in project 123 before or it is disabled."),
    "accessNotConfigured",
)
BUSY = 429, "RESOURCE_EXHAUSTED", (
    "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute per user' of service "
    "'sheets.googleapis.com' for consumer 'project_number:123'."
)  # fmt: skip
DRIVE_IS_BUSY = 403, "PERMISSION_DENIED", "User Rate Limit Exceeded", "userRateLimitExceeded"
FAULTS = {
    name: lambda response, problem=problem: Problem(*problem).response
    for name, problem in {
        "401": WRONG_TOKEN, "403": FORBIDDEN, "429": BUSY, "busy drive": DRIVE_IS_BUSY, "disabled": DISABLED,
    }.items()
}  # fmt: skip


class GoogleSheets(Server):
    """A test may set what happens after each answer to values.batchGet."""

    on_answer: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, spreadsheets: Callable[[], dict[str, Row]], clock: Callable[[], date], key: Row) -> None:
        self.spreadsheets, self.sign_in = spreadsheets, SignIn(key, SHEETS_SCOPE, DRIVE_SCOPE)
        routes = {
            "POST /token": self.sign_in.token,
            r"GET /drive/v3/files/([\w-]+)": self._file,
            r"GET /v4/spreadsheets/([\w-]+)": self._spreadsheet,
            r"GET /v4/spreadsheets/([\w-]+)/values:batchGet": self._values,
        }
        super().__init__(routes, Problem(*NOT_FOUND).response)
        self.misbehave.faults |= FAULTS
        self.now = lambda: datetime.fromisoformat(f"{clock()}T00:00:00+00:00").timestamp()

    def respond(self, call: Call) -> Response:
        """The right answer, or the problem that the request has."""
        try:
            return super().respond(call)
        except Problem as problem:
            return problem.response

    def _found(self, call: Call, spreadsheet_id: str, scope: str) -> Row | None:
        """None for what is not there or not shared."""
        if not self.sign_in.knows(call):
            raise Problem(*WRONG_TOKEN)
        if not self.sign_in.allows(call, scope):
            raise Problem(*NO_SCOPE)
        found = self.spreadsheets().get(spreadsheet_id)
        return found if found and found.get("is_shared", True) else None

    def _file(self, call: Call, file_id: str) -> Response:
        found = self._found(call, file_id, DRIVE_SCOPE)
        if not found:
            raise Problem(404, "NOT_FOUND", f"File not found: {file_id}.")
        modified_at = datetime.fromisoformat(found["modified_at"]).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        file = {
            "kind": "drive#file", "id": file_id, "name": found["title"], "mimeType": found.get("mime_type", A_SHEET),
            "modifiedTime": modified_at, "version": str(found["version"]), "trashed": found.get("is_trashed", False),
        }  # fmt: skip
        return Response.json(200, masked(file, call.query.get("fields", "kind,id,name,mimeType")))

    def _sheets(self, call: Call, spreadsheet_id: str) -> Row:
        found = self._found(call, spreadsheet_id, SHEETS_SCOPE)
        if not found:
            raise Problem(*(FORBIDDEN if spreadsheet_id in self.spreadsheets() else NOT_FOUND))
        if "mime_type" in found:
            raise Problem(*NO_SHEET)
        return found

    def _spreadsheet(self, call: Call, spreadsheet_id: str) -> Response:
        found = self._sheets(call, spreadsheet_id)
        sheets = []
        for number, sheet in enumerate(found["sheets"]):
            rows, columns = _size(sheet)
            properties = {"sheetId": number, "title": sheet["title"], "index": number, "sheetType": "GRID",
                          "gridProperties": {"rowCount": rows, "columnCount": columns}}  # fmt: skip
            sheets.append({"properties": properties})
        properties = {"title": found["title"], "locale": found["locale"], "timeZone": found["time_zone"]}
        book = {"spreadsheetId": spreadsheet_id, "properties": properties, "sheets": sheets}
        return Response.json(200, masked(book, call.query.get("fields", "*")))

    def _values(self, call: Call, spreadsheet_id: str) -> Response:
        found = self._sheets(call, spreadsheet_id)
        is_plain = call.query.get("valueRenderOption") == "UNFORMATTED_VALUE"
        has_numbers = is_plain and call.query.get("dateTimeRenderOption", "SERIAL_NUMBER") == "SERIAL_NUMBER"
        ranges = []
        for text in call.all("ranges"):
            sheet, (left, top, right, bottom) = _range(found, text)
            rows = [row[left : right + 1] for row in sheet["grid"][top - 1 : bottom]]
            values = _trimmed([_trimmed([_value(cell, is_plain, has_numbers) for cell in row], "") for row in rows], [])
            title = sheet["title"] if sheet["title"].isalnum() else "'{}'".format(sheet["title"].replace("'", "''"))
            whole = f"{title}!{_letters(left)}{top}:{_letters(right)}{bottom}"
            ranges.append({"range": whole, "majorDimension": "ROWS"} | ({"values": values} if values else {}))
        self.on_answer()
        return Response.json(200, {"spreadsheetId": spreadsheet_id, "valueRanges": ranges})


def _size(sheet: Row) -> tuple[int, int]:
    return max(ROWS, len(sheet["grid"])), max(COLUMNS, *(len(row) for row in sheet["grid"]), 0)


def _range(found: Row, text: str) -> tuple[Row, tuple[int, int, int, int]]:
    """The sheet of a range in A1 notation, and its bounds: columns from 0, rows from 1, the last ones included."""
    title, _, cells = text.rpartition("!")
    title = title[1:-1].replace("''", "'") if title.startswith("'") else title
    sheet = next((each for each in found["sheets"] if each["title"] == title), None)
    bounds = re.fullmatch(r"([A-Z]+)(\d+):([A-Z]+)(\d+)", cells)
    if not sheet or not bounds:
        raise Problem(400, "INVALID_ARGUMENT", f"Unable to parse range: {text}")
    rows, columns = _size(sheet)
    left, right = (_number(bounds[group]) for group in (1, 3))
    top, bottom = (int(bounds[group]) for group in (2, 4))
    if bottom > rows or right >= columns:
        told = f"Range ({text}) exceeds grid limits. Max rows: {rows}, max columns: {columns}"
        raise Problem(400, "INVALID_ARGUMENT", told)
    return sheet, (left, top, right, bottom)


def _number(column: str) -> int:
    number = 0
    for letter in column:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def _value(cell: Any, is_plain: bool, has_numbers: bool) -> Any:
    if cell is None:
        return ""
    if isinstance(cell, dict):
        if "error" in cell:
            return cell["error"]
        if not has_numbers:
            return cell["date"]
        days = (datetime.fromisoformat(cell["date"]) - datetime(1899, 12, 30)).total_seconds() / 86400
        return int(days) if days.is_integer() else days
    return cell if is_plain else str(cell).upper() if isinstance(cell, bool) else str(cell)


def _trimmed(values: list, nothing: Any) -> list:
    """Without what is empty at the end."""
    while values and values[-1] == nothing:
        values.pop()
    return values


def masked(value: Any, mask: str) -> Any:
    """What a field mask, as a,b.c,d(e,f), leaves of an answer."""
    if isinstance(value, list):
        return [masked(each, mask) for each in value]
    if mask == "*":
        return value
    left: Row = {}
    for part in re.findall(r"[^,()]+(?:\((?:[^()]|\([^()]*\))*\))?", mask):
        name, below = re.fullmatch(r"(\w+)[./]?(.*)", part).groups()
        if name in value:
            below = below[1:-1] if below.startswith("(") else below
            left[name] = masked(value[name], below) if below else value[name]
    return left


def serve(spreadsheets: Callable[[], dict[str, Row]], clock: Callable[[], date], key: Row) -> GoogleSheets:
    """Starts both APIs over what `spreadsheets` gives at each request, by id. `key` is that of the service account."""
    return GoogleSheets(spreadsheets, clock, key)
