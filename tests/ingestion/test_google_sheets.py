"""The Google Sheets loader against the sandbox's server, over spreadsheets that the tests make."""

import functools
import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from conftest import counts

from ingestion import contract as contracts
from ingestion import http
from ingestion.errors import ConfigurationError, PartFailed, SourceError
from ingestion.google_sheets import OPTION, STREAMS, Range, Reader, declared
from ingestion.stream import Window
from ingestion.systems import built_in
from sandbox import google_sheets as sandbox_google_sheets
from sandbox import service_account
from tests.specification import specification

TODAY = date(2026, 3, 20)
PATIENCE = Reader.PATIENCE
BEFORE = "2026-03-01T12:00:00.000Z"
HEADER = ["Month", "Country", "Category", "Target revenue", "Target units", "Currency", "Owner", "Note"]
PLAN, OTHER = "1plan_of-2026", "1other"
DECLARED = {"spreadsheet": PLAN, "range": "Targets!A1:H"}
TYPES = {"SKU": "text", "Valid from": "date?", "Price": "money?"}


def day(text: str) -> dict:
    return {"date": text}


def error(text: str) -> dict:
    return {"error": text}


def target(month=day("2026-01-01"), revenue=1000, units=10, country="DE", owner="Ada", note=None) -> list:  # noqa: B008
    return [month, country, "coffee", revenue, units, "EUR", owner, note]


@functools.cache
def key() -> dict:
    return service_account.new_key(1024)


class Drive:
    """Spreadsheets behind the sandbox's server, where it is midnight of TODAY."""

    def __init__(self) -> None:
        self.books: dict[str, dict] = {}
        self.write(PLAN, Targets=[HEADER, target(), target(day("2026-02-01"))])
        self.server = sandbox_google_sheets.serve(lambda: self.books, lambda: TODAY, key())
        self.misbehave = self.server.misbehave
        self.tables = {"targets": {"plan": dict(DECLARED)}}
        self.state: dict = {}

    def write(self, spreadsheet_id: str, modified_at: str = BEFORE, **sheets: list) -> dict:
        """Makes a spreadsheet of these sheets, or a new version of it."""
        before = self.books.get(spreadsheet_id, {"version": 0})
        self.books[spreadsheet_id] = {
            "title": "Plan", "time_zone": "Europe/Berlin", "locale": "de_DE", "modified_at": modified_at,
            "version": before["version"] + 1, "sheets": [{"title": t, "grid": grid} for t, grid in sheets.items()],
        }  # fmt: skip
        return self.books[spreadsheet_id]

    def grid(self, *rows: list, header: list = HEADER) -> None:
        """Gives the sheet these rows."""
        self.write(PLAN, Targets=[header, *rows])

    def meanwhile(self, change, times: int = 1) -> None:
        """Makes a change after each of the next answers with cells."""
        left = iter(range(times))
        self.server.on_answer = lambda: change() if next(left, None) is not None else None

    def asked(self) -> Counter:
        """How often each kind of request was made since the last call."""
        found = Counter(request.path.split("/")[-1] for request in self.misbehave.requests)
        self.misbehave.requests.clear()
        return found

    def reader(self) -> Reader:
        url = self.server.url
        return Reader(service_account.credentials(url, key()), self.tables, url, url)

    def read(self, stream="targets") -> tuple[list[dict], list[dict], list[str]]:
        """(typed rows, rejected rows, notes) of a reading as of a second run, which knows what the first one noted."""
        (stream,) = [each for each in [*STREAMS, *declared(self.tables)] if each.name == stream]
        window, reader = Window(None, None, False, self.state), self.reader()
        typed = [contracts.apply(reader.db, stream.contract, page.rows) for page in reader.read(stream, window)]
        accepted, rejected = ([row for each in typed for row in getattr(each, part).to_pylist()]
                              for part in ("accepted", "rejected"))  # fmt: skip
        return accepted, rejected, window.notes

    def fails(self, stream="targets") -> str:
        """Why a reading fails."""
        with pytest.raises(SourceError) as failure:
            self.read(stream)
        return str(failure.value)


@pytest.fixture
def drive(monkeypatch, short_waits):
    drive = Drive()
    monkeypatch.setattr(Reader, "PATIENCE", 0.001)
    yield drive
    drive.server.stop()


@pytest.fixture
def run(drive, warehouse, monkeypatch):
    """Runs a stream; returns the ledger's row."""
    monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__CREDENTIALS", service_account.credentials(drive.server.url, key()))
    monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__BASE_URL", drive.server.url)
    monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__DRIVE_URL", drive.server.url)

    def run(stream="targets", **options):
        monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__TABLES", json.dumps(drive.tables))
        return warehouse.run("google_sheets", streams=(stream,), **options)[stream]

    return run


@pytest.fixture
def current(warehouse):
    """The rows of `targets` as staging sees them: of each table those of its newest reading."""

    def current(columns="declaration, sheet, row_number, month") -> list[tuple]:
        return warehouse.query(f"""
            select {columns} from raw_google_sheets.targets
            where _mark is null and (_scope, _observed_at) in (
                select _scope, max(_observed_at) from raw_google_sheets.targets group by _scope
            ) order by all
        """)

    return current


# What lands


def test_what_lands(drive, run, warehouse, current):
    """Each field is found where the contract says; a second run reads nothing that has not changed."""
    drive.grid(target(note="x"), target(day("2026-02-01"), 1234.5, "25", owner=None))
    assert counts(run()) == (2, 2, 0, 0, 0)
    assert current("* exclude (_key, _version, _row_hash, _mark, _observed_at, _scope, _scope_rows, _dlt_load_id)") == [
        (date(2026, month, 1), "DE", "coffee", Decimal(revenue), units, "EUR", owner, note, "plan", PLAN, "Targets",
         month + 1, f"Plan!Targets!A{month + 1}", None)
        for month, revenue, units, owner, note in [(1, "1000", 10, "Ada", "x"), (2, "1234.5", 25, None, None)]
    ]  # fmt: skip
    assert counts(run("spreadsheets")) == (1, 1, 0, 0, 0)
    columns = "spreadsheet_id, title, modified_at, version, time_zone, locale, sheets, _version"
    assert warehouse.query(f"select {columns} from raw_google_sheets.spreadsheets") == [
        (PLAN, "Plan", datetime(2026, 3, 1, 12, tzinfo=UTC), 2, "Europe/Berlin", "de_DE",
         '[{"title": "Targets", "rows": 1000, "columns": 26}]', 2)
    ]  # fmt: skip
    drive.asked()
    assert counts(run()) == (0, 0, 0, 0, 0)
    assert drive.asked() == {"token": 1, PLAN: 1}, "only whether it has changed"
    assert len(current()) == 2
    drive.grid(target(), target(day("2026-03-01")), target(day("2026-04-01")))
    drive.books[PLAN]["modified_at"] = "2026-03-02T12:00:00.000Z"
    assert counts(run()) == (3, 3, 0, 0, 0)
    assert [month for *_, month in current()] == [date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 1)]
    assert counts(run("spreadsheets")) == (1, 1, 0, 0, 0)
    assert counts(run(full=True)) == (3, 0, 3, 0, 0)


def test_requests_and_answers_are_as_googles_specifications_say(drive):
    sheets, files = specification("google_sheets_v4.openapi.json"), specification("google_drive_v3.openapi.json")
    calls, respond = [], drive.server.respond

    def listen(call):
        calls.append((call, respond(call)))
        return calls[-1][1]

    drive.server.respond = listen
    drive.read()
    drive.read("spreadsheets")
    drive.books[PLAN]["is_shared"] = False
    drive.fails("spreadsheets")
    asked = [(call, response) for call, response in calls if call.path != "/token"]
    assert len(asked) == 7
    for call, response in asked:
        spec = files if call.path.startswith("/drive") else sheets
        assert spec.request("GET", call.path, call.query) == []
        answer = json.loads(response.body)
        assert spec.answer("GET", call.path, response.status, response.headers["Content-Type"], answer) == []


def test_cells(drive):
    """Dates, numbers that are texts, blank rows, other columns, an empty header, equal headers."""
    header = [*HEADER, "Growth", "", "Growth", None]
    rows = [
        [*target(day("2026-01-01"), "1500", "15"), 0.1, "who?", "x", None],
        [],
        target("2026-02-01", 0.1 + 0.2, 15.0)[:6],
        [None, "", None],
        [""],
    ]
    drive.grid(*rows, header=header)
    drive.tables["targets"]["plan"]["range"] = "Targets"
    accepted, rejected, notes = drive.read()
    assert not rejected and not notes
    assert [(row["month"], row["revenue_target"], row["units_target"], row["row_number"]) for row in accepted] == [
        (date(2026, 1, 1), Decimal("1500"), 15, 2),
        (date(2026, 2, 1), Decimal("0.3"), 15, 4),
    ]
    assert json.loads(accepted[0]["_unknown_fields"]) == {"Growth": "0.1", "J": "who?", "Growth (2)": "x"}
    assert accepted[1]["_unknown_fields"] is None


def test_budgets_of_marketing(drive, run, warehouse):
    """Campaigns and costs may be missing, even their column; what is planned may not."""
    header = ["Month", "Channel", "Campaign", "Currency", "Planned", "Spent", "Note"]
    rows = [
        [day("2026-01-01"), "Paid Search", None, "USD", 1200, 1180.25, "x"],
        [day("2026-01-01"), "E-Mail", "weekly", "EUR", "80", error("#N/A")],
        [day("2026-02-01"), "Display", "", "EUR", None, 9.5],
    ]
    drive.write(PLAN, Marketing=[header, *rows], Short=[header[:2] + header[3:5], ["2026-03-01", "Audio", "EUR", 5]])
    short = {"spreadsheet": PLAN, "range": "Short", "columns": {"campaign": "", "spent_amount": "", "note": ""}}
    drive.tables = {"marketing_budgets": {"all": {"spreadsheet": PLAN, "range": "Marketing!A:G"}, "short": short}}
    row = run("marketing_budgets")
    assert counts(row) == (4, 3, 0, 1, 0) and "F3 (#N/A)" in row["notes"]
    columns = "month, channel, campaign, currency, planned_amount, spent_amount, note, declaration, row_number"
    assert warehouse.query(f"select {columns} from raw_google_sheets.marketing_budgets order by all desc") == [
        (date(2026, 3, 1), "Audio", None, "EUR", Decimal(5), None, None, "short", 2),
        (date(2026, 1, 1), "Paid Search", None, "USD", Decimal(1200), Decimal("1180.25"), "x", "all", 2),
        (date(2026, 1, 1), "E-Mail", "weekly", "EUR", Decimal(80), None, None, "all", 3),
    ]
    rejected = warehouse.query("select position, reason from raw_operations.rejected_rows")
    assert rejected == [("Plan!Marketing!A4", "planned_amount: is missing")]


def test_cells_with_an_error(drive, run, current, warehouse):
    """Null with a note where the field may be null; else the row is rejected, with the address."""
    texts = sorted(sandbox_error for sandbox_error in ("#REF!", "#N/A", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!"))
    rows = [target(units=error(text)) for text in texts]
    drive.grid(*rows, target(revenue=error("#REF!")), target(note="#N/A is what it said"))
    row = run()
    assert counts(row) == (8, 7, 0, 1, 0)
    (note,) = json.loads(row["notes"])
    assert note.startswith("Plan!Targets: cells with an error are null: E2 (#DIV/0!), E3 (#N/A), ")
    assert current("units_target, _unknown_fields")[0] == (10, None)
    assert current("_unknown_fields")[2] == ('{"Target units":"#NAME?"}',)
    query = "select position, reason, original from raw_operations.rejected_rows"
    ((position, reason, original),) = warehouse.query(query)
    assert (position, reason) == ("Plan!Targets!A8", "revenue_target: the cell D8 shows #REF!")
    assert json.loads(original)["Target revenue"] == "#REF!"


def test_a_row_that_does_not_fit_is_set_aside(drive):
    drive.grid(target("soon"), target(revenue=1.23456), ["Total", None, None, 5000])
    accepted, rejected, _ = drive.read()
    assert not accepted
    assert [row["reason"] for row in rejected] == [
        "month: 'soon' is not a date",
        "revenue_target: '1.23456' is not a decimal(18,4)",
        "month: 'Total' is not a date; country: is missing; category: is missing; currency: is missing",
    ]


def test_ranges(drive):
    """Of a part of a sheet; two tables on one sheet; a sheet whose name has to be quoted; addresses."""
    grid = [["Plan of 2026"], [], ["x", *HEADER, "y", *HEADER], ["x", *target(), "y", *target(day("2026-05-01"))]]
    drive.write(PLAN, **{"Q1's plan!": grid, "Other": []})
    address = f"https://docs.google.com/spreadsheets/d/{PLAN}/edit?gid=5#gid=5"
    drive.tables["targets"] = {
        "left": {"spreadsheet": address, "range": "'Q1''s plan!'!$B$3:I"},
        "right": {"spreadsheet": PLAN, "range": "Q1's plan!!k:R"},
    }
    accepted, rejected, _ = drive.read()
    assert not rejected
    places = [(row["declaration"], row["_position"], str(row["month"]), row["_unknown_fields"]) for row in accepted]
    assert places == [
        ("left", "Plan!Q1's plan!!B4", "2026-01-01", None),
        ("right", "Plan!Q1's plan!!K4", "2026-05-01", None),
    ]
    assert drive.asked() == {"token": 1, PLAN: 4, "values:batchGet": 2}, "what it is is asked once, and after each"
    drive.state.clear()
    drive.tables["targets"] = {"whole": {"spreadsheet": PLAN, "range": "Other"}}
    assert "there is no header with the columns 'Month', 'Country'" in drive.fails()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Targets", ("Targets", 0, 1, None, None)),
        ("Targets!A3:F", ("Targets", 0, 3, 5, None)),
        ("Targets!AA3:AB100", ("Targets", 26, 3, 27, 100)),
        ("Targets!b:d", ("Targets", 1, 1, 3, None)),
        ("Targets!3:9", ("Targets", 0, 3, None, 9)),
        ("'It''s'!A1:B", ("It's", 0, 1, 1, None)),
        ("What!", ("What!", 0, 1, None, None)),
    ],
)
def test_a1_notation(text, expected):
    assert Range.of(text) == Range(*expected)


def test_a_large_sheet_is_read_in_parts(drive, monkeypatch):
    monkeypatch.setattr(Reader, "CELLS", 8 * 400)
    drive.grid(*[target(units=number) for number in range(2500)])
    accepted, _, _ = drive.read()
    assert [row["units_target"] for row in accepted] == list(range(2500))
    assert [row["row_number"] for row in accepted] == list(range(2, 2502))
    assert drive.asked()["values:batchGet"] == 7


def test_times_are_of_the_spreadsheets_zone(drive):
    drive.tables = {"visits": {"all": {"spreadsheet": PLAN, "range": "Visits", "types": {"At": "time"}}}}
    for zone, hours in (("Europe/Berlin", 2), ("GMT-07:00", -7), ("", 0)):
        drive.state.clear()
        book = drive.write(
            PLAN, Visits=[["At"], [day("2026-07-01T10:00:00")], ["2026-07-01 10:00"], [day("2026-07-01")]]
        )
        book["time_zone"] = zone
        accepted, rejected, _ = drive.read("visits")
        at = datetime(2026, 7, 1, 10, tzinfo=UTC) - timedelta(hours=hours)
        assert [row["at"] for row in accepted] == [at, at, at - timedelta(hours=10)] and not rejected
    book["time_zone"] = "Mars/Olympus"
    drive.state.clear()
    assert "its time zone is 'Mars/Olympus': choose one with a name" in drive.fails("visits")


# Headers


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            [*HEADER[:3], "Revenue", *HEADER[4:]],
            "there is no column 'Target revenue': 'Revenue' (D1) stands after 'Category'. Was it renamed or deleted?",
        ),
        (HEADER[1:], "there is no column 'Month': 'Country' (A1) stands first. Was it renamed or deleted?"),
        (HEADER[:-1], "there is no column 'Note': nothing stands after 'Owner'"),
        (
            [*HEADER[:3], *HEADER[4:], HEADER[3]],
            "'Target revenue' (H1) has moved: from after 'Category' to after 'Note'",
        ),
        ([*HEADER[:7], "Month", "Note"], "the header has 'Month' more than once, in A and H"),
        ([], "there is no header with the columns 'Month', 'Country',"),
    ],
    ids=["renamed", "first deleted", "last deleted", "moved", "twice", "none"],
)
def test_a_header_that_is_not_as_declared(drive, header, message):
    """Says which, and where; the other tables are read."""
    drive.tables["targets"]["other"] = DECLARED | {"spreadsheet": OTHER}
    drive.write(OTHER, Targets=[HEADER, target()])
    drive.tables["targets"]["plan"]["range"] = "Targets"
    drive.grid(target(), header=header)
    stream, window, rows = STREAMS[1], Window(None, None, False, {}), []
    with pytest.raises(PartFailed) as failure:
        for page in drive.reader().read(stream, window):
            rows += page.rows.to_pylist()
    assert str(failure.value).startswith(f"sources.google_sheets.tables.targets.plan, Targets of {PLAN}: ")
    assert message in str(failure.value)
    assert len(rows) == 1 and window.state["tables"].keys() == {"other"}


def test_what_failed_is_tried_again_and_keeps_its_rows(drive, run, current):
    run()
    drive.grid(target(), header=["month", *HEADER[1:]])
    drive.books[PLAN]["modified_at"] = "2026-03-02T12:00:00.000Z"
    assert "there is no column 'Month': 'month' (A1) stands first" in run()["error"]
    assert run()["status"] == "failed" and len(current()) == 2
    drive.tables["targets"]["plan"]["columns"] = {"month": "month"}
    row = run()
    assert row["status"] == "complete" and len(current()) == 1


# What has changed


def test_what_was_changed_just_now_is_read_once_more(drive):
    """Drive may not know of a change of the next second yet."""
    drive.books[PLAN]["modified_at"] = f"{TODAY - timedelta(days=1)}T23:58:00.000Z"
    for _ in range(2):
        assert len(drive.read()[0]) == 2
    drive.books[PLAN]["modified_at"] = f"{TODAY - timedelta(days=1)}T23:50:00.000Z"
    assert [len(drive.read()[0]) for _ in range(2)] == [2, 0]


def test_what_is_still_loading_is_read_once_more(drive):
    drive.grid(target(units=error("Loading...")))
    for _ in range(2):
        ((row,), _, (note,)) = drive.read()
        assert row["units_target"] is None and note.endswith("E2 (Loading...)")
    drive.grid(target())
    assert [len(drive.read()[0]) for _ in range(2)] == [1, 0]


def test_a_changed_declaration_is_read_again(drive):
    drive.read()
    drive.tables["targets"]["plan"]["values"] = {"owner": "Grace"}
    assert [row["owner"] for row in drive.read()[0]] == ["Grace"] * 2
    assert drive.read()[0] == []
    drive.tables["targets"]["plan"]["range"] = "Targets!A:I"
    assert len(drive.read()[0]) == 2


@pytest.mark.parametrize("full", [False, True])
def test_a_table_that_is_no_longer_declared_has_no_rows(drive, run, current, full):
    """A renamed sheet is the same table, once its range is corrected."""
    drive.tables["targets"]["other"] = DECLARED | {"spreadsheet": OTHER}
    drive.write(OTHER, Targets=[HEADER, target()])
    assert counts(run()) == (3, 3, 0, 0, 0)
    drive.tables["targets"].pop("other")
    drive.books[PLAN]["sheets"][0]["title"] = "2026"
    drive.books[PLAN]["modified_at"] = "2026-03-02T12:00:00.000Z"
    row = run(full=full)
    assert "'Plan' has no sheet 'Targets', but '2026'. Was it renamed or deleted? Correct it there, or" in row["error"]
    assert [name for name, *_ in current()] == ["plan", "plan"], "of the other one there is none, of this one the old"
    drive.tables["targets"]["plan"]["range"] = "2026!A:H"
    assert run()["status"] == "complete"
    assert current("declaration, sheet") == [("plan", "2026")] * 2
    drive.tables = {"targets": {}}
    assert run(full=full)["status"] == "complete" and current() == []


def test_what_changes_while_it_is_read_is_read_again(drive):
    def change() -> None:
        drive.write(PLAN, "2026-03-02T12:00:00.000Z", Targets=[HEADER, target(units=99)])

    drive.meanwhile(change)
    accepted, _, _ = drive.read()
    assert [row["units_target"] for row in accepted] == [99]
    assert drive.asked() == {"token": 1, PLAN: 5, "values:batchGet": 2}
    assert drive.state["tables"]["plan"][1] == "2026-03-02T12:00:00.000Z"


def test_what_never_stands_still(drive):
    times = iter(range(100))

    def change() -> None:
        drive.books[PLAN]["modified_at"] = f"2026-03-02T12:00:00.{next(times):03}Z"

    drive.meanwhile(change, times=100)
    assert "somebody changed it during each of 3 readings. Try again later" in drive.fails()


def test_a_spreadsheet_that_is_no_longer_declared_is_gone(drive, run, warehouse):
    drive.tables["targets"]["other"] = DECLARED | {"spreadsheet": OTHER}
    drive.write(OTHER, Targets=[HEADER, target()])
    assert run("spreadsheets")["rows_loaded"] == 2
    drive.tables["targets"].pop("other")
    assert run("spreadsheets", accept_deletes=True)["rows_marked_gone"] == 1
    assert warehouse.current("raw_google_sheets.spreadsheets", "spreadsheet_id") == [(PLAN,)]


# A stream of one's own


def test_a_stream_of_ones_own(drive, run, warehouse):
    drive.tables["price_list"] = {"all": {"spreadsheet": PLAN, "range": "Prices", "types": TYPES}}
    drive.write(
        PLAN, Targets=[HEADER], Prices=[[*TYPES, "x"], ["a", day("2026-01-01"), 9.9, 1], [4711, "", None], ["", 1]]
    )
    row = run("price_list")
    assert counts(row) == (3, 2, 0, 1, 0) and row["unknown_fields"] == '["x"]'
    columns = "sku, valid_from, price, declaration, sheet, row_number, _position"
    assert warehouse.query(f"select {columns} from raw_google_sheets.price_list order by row_number") == [
        ("a", date(2026, 1, 1), Decimal("9.9"), "all", "Prices", 2, "Plan!Prices!A2"),
        ("4711", None, None, "all", "Prices", 3, "Plan!Prices!A3"),
    ]
    assert warehouse.query("select reason from raw_operations.rejected_rows") == [("sku: is missing",)]
    (comment,) = warehouse.query(
        "select comment from duckdb_columns() where table_name = 'price_list' and column_name = 'valid_from'"
    )
    assert comment == ("The column Valid from.",)


def test_the_command_line_knows_streams_of_ones_own(monkeypatch, drive):
    tables = {"price_list": {"all": {"spreadsheet": PLAN, "range": "Prices", "types": TYPES}}}
    ours = ["spreadsheets", "targets", "marketing_budgets"]
    assert [stream.name for stream in built_in()["google_sheets"].streams] == ours
    monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__TABLES", json.dumps(tables))
    assert [stream.name for stream in built_in()["google_sheets"].streams] == [*ours, "price_list"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("[1]", "SOURCES__GOOGLE_SHEETS__TABLES can't be read"),
        ('{"spreadsheets": {"a": {}}}', "sources.google_sheets.tables.spreadsheets: no table can fill spreadsheets"),
        ('{"targets": {"a": {"range": "A"}}}', "targets.a.spreadsheet is missing"),
        ('{"targets": {"a": {"spreadsheet": "a b", "range": "A"}}}', "a.spreadsheet is neither the address of one nor"),
        (
            '{"targets": {"a": {"spreadsheet": "https://docs.google.com/spreadsheets/d/e/2PACX-1/pub", "range": "A"}}}',
            "a.spreadsheet is neither the address of one nor its id",
        ),
        ('{"targets": {"a": {"spreadsheet": "a", "range": "A3:F"}}}', "a.range: name the sheet, too, as Targets!A3:F"),
        ('{"targets": {"a": {"spreadsheet": "a", "range": "A", "delimiter": ";"}}}', "a.delimiter: there is no such"),
    ],
)
def test_wrong_options(monkeypatch, tables, message):
    monkeypatch.setenv("SOURCES__GOOGLE_SHEETS__TABLES", tables)
    with pytest.raises(ConfigurationError) as failure:
        built_in()
    assert message in str(failure.value)


# What goes wrong


def test_what_passes_is_tried_again(drive):
    for fault in ("busy drive", "429", "503", "cut", "html"):
        drive.misbehave.next(fault, path=PLAN)
    for fault in ("429", "503", "cut", "error"):
        drive.misbehave.next(fault, path="batchGet")
    assert len(drive.read()[0]) == 2


def test_a_minutes_quota_is_waited_for(drive):
    """As often as it takes for a minute to pass; Google does not say how long."""
    requests, seconds = Reader.REQUESTS
    assert (requests, seconds) == (60, 60.0) and seconds < (http.ATTEMPTS - 1) * PATIENCE
    drive.misbehave.next("429", times=5, path="batchGet")
    assert len(drive.read()[0]) == 2
    drive.state.clear()
    drive.misbehave.next("429", times=6, path="batchGet")
    assert "the server answered 429 Too Many Requests, in 6 attempts. Try again later" in drive.fails()


def test_a_token_that_ran_out_is_replaced(drive):
    drive.meanwhile(drive.server.sign_in.tokens.clear)
    assert len(drive.read()[0]) == 2
    assert drive.asked()["token"] == 2
    drive.state.clear()
    drive.misbehave.next("401", times=2, path="batchGet")
    assert "Google does not accept its own token" in drive.fails()


def test_a_spreadsheet_that_is_not_shared_stops_no_other(drive):
    drive.tables["targets"]["other"] = DECLARED | {"spreadsheet": OTHER}
    drive.tables["targets"]["no such"] = DECLARED | {"spreadsheet": "nothing"}
    drive.write(OTHER, Targets=[HEADER, target()])["is_shared"] = False
    told = drive.fails()
    assert drive.state["tables"].keys() == {"plan"}
    share = (
        "there is none, or it is not shared with us: share it with catchment@coffee-example.iam.gserviceaccount.com "
        "as a viewer, or correct the declaration. "
    )
    assert told.count(share) == 2
    assert f"tables.targets.other, Targets!A1:H of {OTHER}: {share}" in told and f"File not found: {OTHER}." in told
    told = drive.fails("spreadsheets")
    assert told.startswith(f"spreadsheet {OTHER}: {share}")


def test_a_spreadsheet_that_may_no_longer_be_read_while_it_is(drive):
    drive.misbehave.next("403", path="batchGet")
    assert "it is not shared with us: share it with catchment@" in drive.fails()


def test_an_api_that_is_not_enabled(drive):
    drive.misbehave.next("disabled", path=f"v4/spreadsheets/{PLAN}")
    expected = "the project has to enable the API: Google Sheets API has not been used in project 123 before or it is"
    assert expected in drive.fails()


def test_a_file_that_is_no_google_sheet(drive):
    drive.books[PLAN]["mime_type"] = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    told = drive.fails()
    assert "'Plan' is no Google Sheet, but application/vnd.openxmlformats" in told
    assert "choose File > Save as Google Sheets, and declare what that makes" in told


def test_what_is_in_the_bin_is_not_the_plan_any_more(drive):
    """Google goes on to answer for it, for 30 days."""
    assert len(drive.read()[0]) == 2
    drive.write(PLAN, Targets=[HEADER])["is_trashed"] = True
    for stream in ("targets", "spreadsheets"):
        assert "'Plan' is in the bin: take it out, or remove the declaration" in drive.fails(stream)


def test_a_range_outside_of_the_sheet(drive):
    for cells in ("A1001:H", "AB1:AC", "F1:A"):
        drive.tables["targets"]["plan"]["range"] = f"Targets!{cells}"
        assert (
            "the sheet has 1000 rows and 26 columns, and nothing in this range: correct sources.google" in drive.fails()
        )


def test_a_sheet_that_is_renamed_while_it_is_read(drive):
    drive.reader()
    drive.misbehave.next("drift", path="batchGet", change=lambda answer: answer)
    respond = drive.server.respond

    def rename(call):
        if "batchGet" in call.path:
            drive.books[PLAN]["sheets"][0]["title"] = "2026"
        return respond(call)

    drive.server.respond = rename
    assert "Unable to parse range: 'Targets'!A1:H1000" in drive.fails()


def test_an_answer_that_makes_no_sense_fails_alone(drive):
    drive.misbehave.next("drift", path="batchGet", change=lambda answer: {"valueRanges": []})
    assert "IndexError" in drive.fails()


def test_a_key_that_google_does_not_know(drive):
    drive.tables["marketing_budgets"] = {"all": dict(DECLARED)}
    reader = Reader(service_account.credentials(drive.server.url, service_account.new_key()), drive.tables,
                    drive.server.url, drive.server.url)  # fmt: skip
    for stream in STREAMS:
        with pytest.raises(SourceError, match=f"Google does not accept the key .*: correct {OPTION}"):
            list(reader.read(stream, Window(None, None, False, {})))


def test_check(drive):
    drive.tables["targets"]["other"] = DECLARED | {"spreadsheet": OTHER}
    drive.write(OTHER, Targets=[HEADER, target()])
    reader = drive.reader()
    told = [reader.check(stream) for stream in STREAMS]
    assert told == ["2 spreadsheets", "2 tables, as they are declared", "0 tables, as they are declared"]
    reader.close()
    drive.write(OTHER, Targets=[HEADER[1:], target()])
    with pytest.raises(SourceError, match="there is no column 'Month'"):
        drive.reader().check(STREAMS[1])
