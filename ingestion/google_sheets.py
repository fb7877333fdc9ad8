"""Planning sheets: declared ranges of spreadsheets in Google Sheets, as sales targets and budgets are kept in."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import Money, contract, field, items
from ingestion.errors import ConfigurationError, PartFailed, SourceError, explain
from ingestion.google_api import GoogleClient, NotSignedIn, message
from ingestion.grids import Row, Texts, batches, empty, find_header, letters
from ingestion.http import Answer, Limit, Refused
from ingestion.reading import resources
from ingestion.stream import Page, Run, Snapshot, State, Stream, Window
from ingestion.tables import Declaration, ErrorCell, declarations


class Place:
    """Where a row stands."""

    declaration: str = field("Name that the configuration gives the table.", key=True)
    spreadsheet_id: str = field("The spreadsheet.")
    sheet: str = field("Title of the sheet.")
    row_number: int = field("Number of the row in the sheet.", key=True)


@contract
class Spreadsheets:
    """One spreadsheet of which a table is declared."""

    spreadsheet_id: str = field("Google's id of it, the long part of its address.", key=True, source="id")
    title: str = field("Its title.", source="name")
    modified_at: datetime = field("When somebody last changed it (UTC).", source="modifiedTime")
    version: int = field("Grows with each change, also of what nobody sees.", version=True)
    time_zone: str | None = field("Time zone of its times (IANA name), as its settings say.", source="timeZone")
    locale: str | None = field("How it shows numbers and dates: a language, or language and country.")
    sheets: str = field("Its sheets in order, a JSON array: title, rows, columns.")


@contract
class Targets(Place):
    """One target of sales: of a month, in a country, of a product category."""

    month: date = field("First day of the month.", source="Month")
    country: str = field("Country, as written.", source="Country")
    category: str = field("Product category, as written.", source="Category")
    revenue_target: Money = field("Revenue to be made, without tax and shipping.", source="Target revenue")
    units_target: int | None = field("Units to be sold.", source="Target units")
    currency: str = field("Currency of the revenue (ISO 4217).", source="Currency")
    owner: str | None = field("Who answers for it.", source="Owner")
    note: str | None = field("What they say about it.", source="Note")


@contract
class MarketingBudgets(Place):
    """What marketing may cost and did: in a month, of a channel as a whole or of one of its campaigns."""

    month: date = field("First day of the month.", source="Month")
    channel: str = field("Channel, as written.", source="Channel")
    campaign: str | None = field("Campaign, as written; null if it is for the channel as a whole.", source="Campaign")
    currency: str = field("Currency of the amounts (ISO 4217).", source="Currency")
    planned_amount: Money = field("What it may cost, without tax.", source="Planned")
    spent_amount: Money | None = field("What it did cost, without tax; null if nobody knows yet.", source="Spent")
    note: str | None = field("What they say about it.", source="Note")


KIND = Snapshot(scope=("declaration",))
STREAMS = [
    Stream("spreadsheets", Spreadsheets, State()),
    Stream("targets", Targets, KIND),
    Stream("marketing_budgets", MarketingBudgets, KIND),
]

ERRORS = {"#REF!", "#N/A", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!", "#ERROR!", LOADING := "Loading..."}
"""What a cell with an error gives; the API does not tell it from a text of these letters."""

SETTLING = timedelta(minutes=5)
"""After a change, in which Drive may not know of the next one yet: what was read then is read again."""

PASSES = 3
"""Over a spreadsheet that is changed while it is read."""

A_SHEET = "application/vnd.google-apps.spreadsheet"
SCOPES = [f"https://www.googleapis.com/auth/{name}.readonly" for name in ("spreadsheets", "drive.metadata")]
OPTION = "SOURCES__GOOGLE_SHEETS__CREDENTIALS"

_CELLS = re.compile(r"([A-Z]{1,3})?(\d{1,8})?:([A-Z]{1,3})?(\d{1,8})?")
_ADDRESS = re.compile(r"https?://\S*/spreadsheets/(?:u/\d+/)?d/([\w-]{10,}).*")


@dataclass(frozen=True)
class Range:
    """A part of a sheet: from one column and row, counted from 0 and from 1, to others; None is the last."""

    sheet: str
    first_column: int = 0
    first_row: int = 1
    last_column: int | None = None
    last_row: int | None = None

    @classmethod
    def of(cls, text: str) -> "Range":
        """What A1 notation says; the sheet has to be named. Raises ValueError."""
        sheet, _, cells = text.strip().rpartition("!")
        bounds = _CELLS.fullmatch(cells.strip().upper().replace("$", ""))
        if bounds and not sheet:
            raise ValueError("name the sheet, too, as Targets!A3:F")
        if not bounds:
            sheet, bounds = text.strip(), re.fullmatch("()()()()", "")
        if re.fullmatch("'.+'", sheet):
            sheet = sheet[1:-1].replace("''", "'")
        left, top, right, bottom = bounds.groups()
        return cls(
            sheet,
            _column(left) if left else 0,
            int(top) if top else 1,
            _column(right) if right else None,
            int(bottom) if bottom else None,
        )


def _column(text: str) -> int:
    return functools.reduce(lambda number, letter: number * 26 + ord(letter) - ord("A") + 1, text, 0) - 1


def _declarations(tables: Any) -> list[Declaration]:
    """The option `tables`; raises ConfigurationError."""
    found = declarations(
        "sources.google_sheets",
        tables,
        STREAMS[1:],
        reserved=["spreadsheets"],
        options={"spreadsheet": True, "range": True},
        place=contract(Place).fields,
        kind=KIND,
    )
    for each in found:
        if not re.fullmatch(r"[\w-]+", _spreadsheet(each)):
            raise ConfigurationError(f"{each.option}.spreadsheet is neither the address of one nor its id")
        try:
            Range.of(each.options["range"])
        except ValueError as error:
            raise ConfigurationError(f"{each.option}.range: {error}") from error
    return found


def _spreadsheet(declaration: Declaration) -> str:
    """The id, of which the user may have given the address."""
    text = declaration.options["spreadsheet"].strip()
    return address[1] if (address := _ADDRESS.fullmatch(text)) else text


def declared(tables: Any) -> list[Stream]:
    """The streams of the user's own; raises ConfigurationError."""
    return list(
        {each.stream.name: each.stream for each in _declarations(tables) if each.stream not in STREAMS}.values()
    )


class Reader:
    """Reads every declared range whose spreadsheet has changed since it was last read."""

    CELLS = 100_000
    """Of a sheet, in a request: what Google recommends is 2 MB."""
    REQUESTS = 60, 60.0
    """That Google allows an account within so many seconds."""
    PATIENCE = 15.0
    """Seconds to wait when there were too many requests; their number is that of a minute."""

    def __init__(self, credentials: str, tables: dict[str, Any], base_url: str, drive_url: str) -> None:
        self.declarations = _declarations(tables)
        self.drive = GoogleClient(drive_url, credentials, SCOPES, OPTION, patience=self.PATIENCE)
        self.sheets = self.drive.also(base_url, limit=Limit(*self.REQUESTS), patience=self.PATIENCE)
        self.db = contracts.engine(threads=1)
        self.files: dict[str, Answer] = {}
        self.books: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields a page per spreadsheet, or table; one that can't be read stops no other."""
        failures: list[str] = []
        pages = (
            self._spreadsheets(failures) if stream.name == "spreadsheets" else self._tables(stream, window, failures)
        )
        yield from pages
        if failures:
            raise PartFailed("; ".join(failures))

    def check(self, stream: Stream) -> str:
        """How much there is; raises SourceError if a table is not as it is declared."""
        if stream.name == "spreadsheets":
            return f"{len([self._file(each) for each in self._ids()])} spreadsheets"
        found = [each for each in self.declarations if each.stream.name == stream.name]
        for each in found:
            self._opened(each, self._book(self._file(_spreadsheet(each))), set())
        return f"{len(found)} tables, as they are declared"

    def close(self) -> None:
        """Closes the connections."""
        self.sheets.close()
        self.drive.close()
        self.db.close()

    def _ids(self) -> list[str]:
        return list(dict.fromkeys(map(_spreadsheet, self.declarations)))

    def _spreadsheets(self, failures: list[str]) -> Iterator[Page]:
        for spreadsheet_id in self._ids():
            try:
                file = self._file(spreadsheet_id)
                book = self._book(file)
            except NotSignedIn:
                raise
            except Exception as error:  # whatever it is, the others are read
                failures.append(f"spreadsheet {spreadsheet_id}: {explain(error)}")
                continue
            row = file.json | {name: book["properties"].get(name) for name in ("timeZone", "locale")}
            sheets = [{"title": sheet["title"], **_size(sheet)} for sheet in _sheets(book)]
            row = {name: value for name, value in row.items() if name not in ("mimeType", "trashed")}
            yield Page(
                items([row | {"sheets": json.dumps(sheets, ensure_ascii=False)}], "spreadsheets", "id"),
                file.observed_at,
            )

    def _tables(self, stream: Stream, window: Window, failures: list[str]) -> Iterator[Page]:
        done = window.state.setdefault("tables", dict.fromkeys(window.forgotten.get("tables", {})))
        found = {each.name: each for each in self.declarations if each.stream.name == stream.name}
        for name in sorted(done.keys() - found.keys()):  # declared no longer
            yield Page(empty(stream.contract), datetime.now(UTC), scopes=[name])
            del done[name]
        for name, declaration in found.items():
            try:
                file = self._file(_spreadsheet(declaration))
                if done.get(name) == [declaration.fingerprint, file.json["modifiedTime"]]:
                    continue
                page, mark = self._read(declaration, file, window)
            except NotSignedIn:
                raise
            except Exception as error:  # whatever it is, the others are read
                where = f"{declaration.options['range']} of {_spreadsheet(declaration)}"
                failures.append(f"{declaration.option}, {where}: {explain(error)}")
                continue
            yield page
            done[name] = [declaration.fingerprint, mark]

    def _read(self, declaration: Declaration, file: Answer, window: Window) -> tuple[Page, str | None]:
        """The rows of a table, all of one version, and when that was made; None if they should be read once more."""
        for _ in range(PASSES):
            seen: set[str] = set()
            texts, rows = self._opened(declaration, self._book(file), seen)
            tables = list(map(texts.of_rows, batches(rows)))
            now = self._file(file.json["id"], is_new=True)
            if now.json["modifiedTime"] == file.json["modifiedTime"]:
                window.notes += texts.notes
                table = pa.concat_tables(tables) if tables else empty(declaration.stream.contract)
                changed_at = datetime.fromisoformat(file.json["modifiedTime"])
                is_settled = changed_at < file.served_at - SETTLING and LOADING not in seen
                page = Page(table, file.observed_at, scopes=[declaration.name])
                return page, file.json["modifiedTime"] if is_settled else None
            file = now
        raise SourceError(f"somebody changed it during each of {PASSES} readings. Try again later")

    def _opened(self, declaration: Declaration, book: dict[str, Any], seen: set[str]) -> tuple[Texts, Iterator[Row]]:
        """What makes texts of a table's rows, and those rows; errors that they show are added to `seen`."""
        area, title = Range.of(declaration.options["range"]), book["properties"]["title"]
        sheets = {sheet["title"]: sheet for sheet in _sheets(book)}
        if area.sheet not in sheets:
            raise SourceError(
                f"{title!r} has no sheet {area.sheet!r}, but {', '.join(map(repr, sheets))}. Was it renamed or "
                f"deleted? Correct it there, or {declaration.option}.range"
            )
        size = _size(sheets[area.sheet])
        last_row = min(area.last_row or size["rows"], size["rows"])
        last_column = min(size["columns"] - 1 if area.last_column is None else area.last_column, size["columns"] - 1)
        if area.first_row > last_row or area.first_column > last_column:
            raise SourceError(
                f"the sheet has {size['rows']} rows and {size['columns']} columns, and nothing in this range: correct "
                f"{declaration.option}.range"
            )
        columns = f"{letters(area.first_column)}{{}}:{letters(last_column)}{{}}"
        step = max(1, self.CELLS // (last_column - area.first_column + 1))

        def grid() -> Iterator[Row]:
            for first in range(area.first_row, last_row + 1, step):
                part = columns.format(first, min(first + step - 1, last_row))
                answer = self._ask(
                    self.sheets,
                    f"v4/spreadsheets/{book['spreadsheetId']}/values:batchGet",
                    "valueRanges",
                    ranges="'{}'!{}".format(area.sheet.replace("'", "''"), part),
                    majorDimension="ROWS",
                    valueRenderOption="UNFORMATTED_VALUE",
                    dateTimeRenderOption="SERIAL_NUMBER",
                )
                for number, cells in enumerate(answer.json["valueRanges"][0].get("values", []), first):
                    errors = {cell for cell in cells if isinstance(cell, str) and cell in ERRORS}
                    seen.update(errors)
                    yield number, [ErrorCell(cell) if cell in errors else cell for cell in cells] if errors else cells

        header, rows = find_header(declaration, grid(), first_column=area.first_column, is_ordered=True)
        place = {"declaration": declaration.name, "spreadsheet_id": book["spreadsheetId"], "sheet": area.sheet}
        has_times = any(f.type.startswith("TIMESTAMP") for f in declaration.stream.contract.fields)
        zone = _zone(book["properties"].get("timeZone", "")) if has_times else "UTC"
        where = f"{title}!{area.sheet}"
        return Texts(self.db, declaration, header, where, place, area.first_column, zone), rows

    def _file(self, spreadsheet_id: str, *, is_new: bool = False) -> Answer:
        """What Drive knows of a spreadsheet; asked once for all tables, if it need not be new."""
        if is_new or spreadsheet_id not in self.files:
            names = "id,name,mimeType,modifiedTime,version,trashed"
            answer = self._ask(
                self.drive, f"drive/v3/files/{spreadsheet_id}", "modifiedTime", fields=names, supportsAllDrives="true"
            )
            if answer.json["mimeType"] != A_SHEET:
                raise SourceError(
                    f"{answer.json['name']!r} is no Google Sheet, but {answer.json['mimeType']}: open it, choose "
                    "File > Save as Google Sheets, and declare what that makes; or read the file with the loader "
                    "spreadsheets"
                )
            if answer.json.get("trashed"):
                raise SourceError(f"{answer.json['name']!r} is in the bin: take it out, or remove the declaration")
            self.files[spreadsheet_id] = answer
        return self.files[spreadsheet_id]

    def _book(self, file: Answer) -> dict[str, Any]:
        """The settings and sheets of a spreadsheet, of its newest version."""
        version = file.json["id"], file.json["modifiedTime"]
        if version not in self.books:
            sheets = "sheets.properties(title,sheetType,gridProperties(rowCount,columnCount))"
            names = f"spreadsheetId,properties(title,locale,timeZone),{sheets}"
            path = f"v4/spreadsheets/{file.json['id']}"
            self.books[version] = self._ask(self.sheets, path, "properties", fields=names).json
        return self.books[version]

    def _ask(self, client: GoogleClient, path: str, expect: str, **parameters: Any) -> Answer:
        try:
            return client.get(path, expect, **parameters)
        except Refused as error:
            if error.status == 403 and re.search("SERVICE_DISABLED|accessNotConfigured", str(error)):
                raise SourceError(f"the project has to enable the API: {message(str(error))}") from error
            if error.status in (403, 404):
                raise SourceError(
                    f"there is none, or it is not shared with us: share it with {client.account} as a viewer, or "
                    f"correct the declaration. {error}"
                ) from error
            raise


def _sheets(book: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that have cells; a chart may have a sheet of its own."""
    return [sheet["properties"] for sheet in book.get("sheets", []) if "gridProperties" in sheet["properties"]]


def _size(sheet: dict[str, Any]) -> dict[str, int]:
    grid = sheet["gridProperties"]
    return {"rows": grid.get("rowCount", 0), "columns": grid.get("columnCount", 0)}


def _zone(name: str) -> str:
    """The IANA name of a spreadsheet's time zone, which may be GMT-07:00; raises SourceError if it has none."""
    if hours := re.fullmatch(r"(?:GMT|UTC)([+-])(\d{1,2}):00", name):
        name = f"Etc/GMT{'-' if hours[1] == '+' else '+'}{int(hours[2])}"
    try:
        return ZoneInfo(name or "UTC").key
    except (KeyError, ValueError, OSError) as error:  # of a name that is no file's
        raise SourceError(f"its time zone is {name!r}: choose one with a name in File > Settings") from error


@dlt.source
def google_sheets(
    credentials: str = dlt.secrets.value,
    tables: dict[str, Any] = dlt.config.value,
    base_url: str = "https://sheets.googleapis.com",
    drive_url: str = "https://www.googleapis.com",
    run: Run | None = None,
):
    """The declared ranges of spreadsheets that are shared with a service account.

    `credentials`: the account's JSON key, or the path of its file. `tables`: as `ingestion.tables` has them.
    """
    return resources([*STREAMS, *declared(tables)], Reader(credentials, tables, base_url, drive_url), run)
