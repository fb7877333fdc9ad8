"""What the cells of spreadsheets hold, whatever the format of the file."""

import functools
import math
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from ingestion.parsers import Unreadable

Value = bool | int | float | str
Row = tuple[int, dict[int, Value]]
"""The number of a row, from 1, and what its cells hold that are not empty, by column, from 0."""
Sheets = Iterator[tuple[str, Iterator[Row]]]
"""The name of each worksheet, hidden ones too, and its rows; a sheet's rows are read before the next one's."""


class Error(str):
    """What stands in a cell that holds an error, as #REF!."""


UNCALCULATED = Error("#UNCALCULATED!")
"""Stands where a file has a formula, and never had its result."""

ERRORS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A",
    0x2B: "#GETTING_DATA", 0x2C: "#SPILL!", 0x2D: "#CONNECT!", 0x2E: "#BLOCKED!", 0x2F: "#UNKNOWN!", 0x30: "#FIELD!",
    0x31: "#CALC!",
}  # fmt: skip
"""Errors by their numbers in binary formats ([MS-XLS] 2.5.10 BErr, [MS-XLSB] 2.5.97.2)."""

CELLS, CHARACTERS = 2**24, 2**28
"""Cells that the rows of a file may have, the empty ones before a filled one too, and characters in them."""

ROWS, COLUMNS = 2**20, 2**14
"""More than that no sheet of Excel has ([MS-XLSB] 2.5.118, 2.5.19)."""

_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
"""Formats without a code that are dates or times (ECMA-376 part 1, 18.8.30)."""
_ELAPSED = 46
_NO_LETTERS = re.compile(r'"[^"]*"?|\\.|_.|\*.|\[(?!(?:h+|m+|s+)\])[^\]]*\]|general', re.IGNORECASE)


def column_name(column: int) -> str:
    """The letters of a column, which is counted from 0."""
    letters = ""
    while column >= 0:
        column, letter = divmod(column, 26)
        letters = chr(65 + letter) + letters
        column -= 1
    return letters


class Columns(dict):
    """The letters of a column -> its number from 0."""

    def __missing__(self, letters: str) -> int:
        number = 0
        for letter in letters[:4]:
            number = number * 26 + ord(letter.upper()) - 64
        if not 0 < number <= COLUMNS:
            raise Unreadable("broken", f"a cell is in column {letters[:20]}, which no sheet has")
        self[letters] = number - 1
        return number - 1


def next_row(before: int, number: int) -> int:
    """The number of a row, which has to be higher than that of the row before, and one that a sheet has."""
    if not before < number <= ROWS:
        raise Unreadable("broken", f"row {number} comes after row {before}")
    return number


def number(text: str) -> Value:
    """A number as a file writes it, exact: an integer of more than 63 bits is a text, and so is what is no number."""
    try:
        value = float(text)
    except ValueError:
        return text
    if text[-1] not in "0123456789." or "_" in text or not math.isfinite(value):
        return text
    if text.lstrip("+-").isdecimal():
        return int(text) if len(text) < 19 else text
    return whole(value)


def whole(value: float) -> int | float:
    """A float as an integer, if it is one of those that a float can tell apart."""
    return int(value) if value.is_integer() and -(2**53) < value < 2**53 else value


def iso(moment: str) -> str:
    """A date or time that is ISO text in the file, in one form: a date without the time 0, seconds without zeros."""
    day, _, time = moment.partition("T")
    time = re.sub(r"\.0*$|(\.\d*?)0+$", r"\1", time)
    return f"{day}T{time}" if time.strip("0:") else day


def date_formats(codes: dict[int, str], formats: list[int]) -> dict[int, str]:
    """Which cell styles, each with one of `formats` (numbers, their codes in `codes`), are not of plain numbers:
    style -> "moment" (a date, a time, or both) or "elapsed" (a duration)."""
    kinds = {style: _kind(number, codes.get(number)) for style, number in enumerate(formats)}
    return {style: kind for style, kind in kinds.items() if kind}


def _kind(number: int, code: str | None) -> str:
    if code is None:
        return "elapsed" if number == _ELAPSED else "moment" if number in _DATES else ""
    letters = _NO_LETTERS.sub("", code).partition(";")[0].lower()
    if re.search(r"\[[hms]", letters):
        return "elapsed"
    return "moment" if re.search("[ymdhs]", letters) else ""


@functools.lru_cache(10_000)
def moment(value: Value, kind: str, is_1904: bool) -> Value:
    """A serial number of days as ISO text: a date, a time (before the first day), both, or a duration as PT30H15M0S.

    Day 1 is 1900-01-01, or 1904-01-02; day 60 is the 29th of February that 1900 did not have. Milliseconds are the
    finest that Excel shows. What is no day up to the year 9999 stays a number.
    """
    if not isinstance(value, int | float) or not 0 <= value < 2_958_466 - 1462 * is_1904:
        return value
    days, milliseconds = divmod(round(value * 86_400_000), 86_400_000)
    if kind == "elapsed":
        minutes, rest = divmod(milliseconds, 60_000)
        seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
        return f"PT{days * 24 + minutes // 60}H{minutes % 60}M{seconds}S"
    time = datetime.min + timedelta(milliseconds=milliseconds)
    time_text = time.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")[11:]
    if not days:
        return time_text
    days += 1462 * is_1904
    day = date(1899, 12, 30 if days > 60 else 31) + timedelta(days)
    date_text = "1900-02-29" if days == 60 else day.isoformat()
    return f"{date_text}T{time_text}" if milliseconds else date_text
