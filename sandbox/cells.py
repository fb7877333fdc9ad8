"""Cells of the planning spreadsheet: a row is what is true, beside what stands there instead, by field."""

from datetime import date
from typing import Any

from sandbox.simulation import Row


def later(month: date, months: int) -> date:
    """The first day of the month so many months later."""
    years, number = divmod(month.month - 1 + months, 12)
    return date(month.year + years, number + 1, 1)


def grid(rows: list[tuple[Row, Row]]) -> list[list[Any]]:
    """The rows as they stand in the sheet."""
    return [[_cell(value) for value in (row | instead).values()] for row, instead in rows]


def told(rows: list[tuple[Row, Row]], first_row: int, optional: set[str]) -> list[Row]:
    """The truth about each row: what it means, `is_rejected` with the cells that say why, and in `null` the `optional`
    ones that fail and may."""
    truth = []
    for number, (row, instead) in enumerate(rows, first_row):
        places = {
            name: f"{'ABCDEFGH'[list(row).index(name)]}{number}" for name in instead if _is_bad(name, instead[name])
        }
        rejecting = [place for name, place in places.items() if name not in optional]
        truth.append({
            "row": number, **row, "month": str(row["month"]), "is_rejected": bool(rejecting), "rejecting": rejecting,
            "null": [place for name, place in places.items() if name in optional],
        })  # fmt: skip
    return truth


def _cell(value: Any) -> Any:
    return {"date": str(value)} if isinstance(value, date) else value


def _is_bad(name: str, value: Any) -> bool:
    """Whether a cell is none of its column: a failing formula, or a month that is no date."""
    return isinstance(value, dict) or (name == "month" and not value[:4].isdigit())
