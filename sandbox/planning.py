"""The spreadsheet in which the company plans: targets of its sales by month, country and category, and budgets.

Targets come from what somebody hopes for, not from what is sold later. They are revised now and then, and the 15th of a
month brings those of the third month after it. What is wrong on purpose: cells whose formula fails, numbers and months
that were typed as text, countries in other words. The last sheet is nobody's.
"""

import random
from base64 import urlsafe_b64encode
from collections import Counter
from datetime import UTC, date, datetime, time
from hashlib import sha256

from sandbox import budgets
from sandbox.cells import grid, later, told
from sandbox.dirt import Dirt
from sandbox.sales import OWNERS
from sandbox.simulation import FIRST_DAY, Row, Simulation
from sandbox.vocabulary import COUNTRIES

HEADER = ["Month", "Country", "Category", "Target revenue", "Target units", "Currency", "Owner", "Note"]
FIELDS = ["month", "country", "category", "revenue_target", "units_target", "currency", "owner", "note"]
FIRST_ROW, LAST_MONTH, REVISIONS = 4, date(2026, 12, 1), 1 / 9  # per day
SEASON = [0.8, 0.9, 0.9, 0.9, 0.85, 0.9, 0.8, 0.85, 1.0, 1.05, 1.25, 1.8]  # January to December
# EUR a month at scale 1 through the shop and the resellers, and how it is hoped to spread.
SHOP, PARTNERS = 455_000, 440_000
SHOP_SHARES = {"DE": 0.31, "GB": 0.12, "FR": 0.12, "NL": 0.08, "CH": 0.07, "SE": 0.07, "US": 0.07, "JP": 0.06,
               "IT": 0.06, "AT": 0.04}  # fmt: skip
PARTNER_SHARES = {"GB": 0.29, "FR": 0.26, "DE": 0.24, "JP": 0.21}
CATEGORIES = {  # share in the shop, share at the resellers, EUR a unit
    "coffee": (0.76, 0.08, 24), "machines": (0.15, 0.75, 1900), "grinders": (0.07, 0.16, 430),
    "accessories": (0.016, 0.01, 18), "spare parts": (0.002, 0, 9.5),
}  # fmt: skip
DEFECTS = {"owner_error": 0.01, "revenue_error": 0.01, "revenue_text": 0.02, "month_text": 0.01, "month_word": 0.005}


class Planning:
    """The spreadsheet on the company's today."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"planning {company.seed}")
        self.dirt, self.budgets = Dirt(self.rng, company.dirt.rate), budgets.Budgets(company)
        self.rows: list[tuple[Row, Row]] = []  # what is true, and what stands there instead
        self.version, self._due, self._made = 100, 0.0, Counter[str]()
        self._touch(FIRST_DAY, self.rng)
        month = FIRST_DAY
        while month <= LAST_MONTH:
            self._add(month)
            month = later(month, 1)

    def day(self) -> None:
        """Lives through the company's today."""
        today = self.company.today
        if today.day == 15 and (month := later(today.replace(day=1), 3)) > self.rows[-1][0]["month"]:
            self._add(month)
            self._touch(today, self.rng)
        self._due += REVISIONS
        if self._due >= 1:
            self._due -= 1
            self._revise(today)
            self._touch(today, self.rng)
        if self.budgets.day():
            self._touch(today, self.budgets.rng)

    def _touch(self, day: date, rng: random.Random) -> None:
        self.version += rng.randint(1, 9)
        self.modified_at = datetime.combine(day, time(rng.randrange(8, 17), rng.randrange(60)), UTC)

    def _add(self, month: date) -> None:
        owners = [f"{first} {last}" for _, first, last, team in OWNERS.values() if team != "Support"]
        level = self.company.scale * SEASON[month.month - 1]
        for country in COUNTRIES:
            for category, (in_shop, at_partners, price) in CATEGORIES.items():
                mean = SHOP * SHOP_SHARES[country] * in_shop + PARTNERS * PARTNER_SHARES.get(country, 0) * at_partners
                revenue = max(10, round(level * mean * self.rng.gauss(1.04, 0.06), -1))
                values = [month, country, category, revenue, max(1, round(revenue / price)), "EUR",
                          self.rng.choice(owners), None]  # fmt: skip
                row = dict(zip(FIELDS, values, strict=True))
                self.rows.append((row, self._instead(row)))

    def _instead(self, row: Row) -> Row:
        instead, draw, month = {"country": self.dirt.country(row["country"])}, self.rng.random(), row["month"]
        for defect, share in DEFECTS.items():
            draw -= share
            if draw < 0:
                self._made[defect] += 1
                cells = {
                    "owner_error": {"owner": {"error": "#REF!"}},
                    "revenue_error": {"revenue_target": {"error": "#N/A"}},
                    "revenue_text": {"revenue_target": str(row["revenue_target"])},
                    "month_text": {"month": str(month)}, "month_word": {"month": f"{month:%B %Y}"},
                }  # fmt: skip
                return instead | cells[defect]
        return instead

    def _revise(self, today: date) -> None:
        """Somebody sets a target of a month to come anew, and repairs its row."""
        row, instead = self.rng.choice([pair for pair in self.rows if pair[0]["month"] > today])
        factor = self.rng.choice([0.9, 0.95, 1.05, 1.1])
        row.update(revenue_target=round(row["revenue_target"] * factor, 2), note=f"revised on {today}",
                   units_target=max(1, round(row["units_target"] * factor)))  # fmt: skip
        instead.clear()

    def tables(self) -> Row:
        """The spreadsheets by their ids, as the server shows them."""
        title = [["Sales targets", None, None, None, None, None, None, "draft"], ["EUR without tax; ask Ines first"]]
        scratch = [
            ["Idea", "Idea", "", "Cost", "", "Cost"], ["Pop-up in Lyon", None, "May?", 4200, True, 4500.5],
            ["Filter of the month", "Ines", None, {"error": "#DIV/0!"}, False, None], [], ["", "Tom", "?", "a lot"],
        ]  # fmt: skip
        return {
            spreadsheet_id(self.company.seed): {
                "title": "Planning", "time_zone": "Europe/Berlin", "locale": "en_GB",
                "modified_at": self.modified_at.isoformat(), "version": self.version,
                "sheets": [
                    {"title": "Targets", "grid": [*title, HEADER, *grid(self.rows), *([[""] * len(HEADER)] * 3)]},
                    {"title": "Marketing", "grid": self.budgets.grid()},
                    {"title": "Scratch", "grid": scratch},
                ],
            }
        }  # fmt: skip

    def truth(self) -> dict[str, Row]:
        """google_sheets.json: by spreadsheet, when and how often it was changed, and of every row of Targets and of
        Marketing what is true; `is_rejected` with the cell that says why, `null` are cells that fail and may."""
        (key,) = self.tables()
        about = {"modified_at": self.modified_at.isoformat(), "version": self.version, "defects": self._made}
        about |= {"targets": told(self.rows, FIRST_ROW, {"owner"}), **self.budgets.truth()}
        return {"google_sheets.json": {key: about}}


def spreadsheet_id(seed: int) -> str:
    """44 characters, as Google makes them."""
    return f"1{urlsafe_b64encode(sha256(f'planning {seed}'.encode()).digest()).decode().rstrip('=')}"


def declared(seed: int) -> Row:
    """The tables of the sheet, as the loader has them declared."""
    columns = dict(zip(FIELDS, HEADER, strict=True))
    plan = {"spreadsheet": spreadsheet_id(seed), "range": "Targets!A3:H", "columns": columns}
    return {"targets": {"plan": plan}, "marketing_budgets": {"marketing": budgets.declared(spreadsheet_id(seed))}}
