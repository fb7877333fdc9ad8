"""The sheet of what marketing may cost and did: by month and channel, of newsletters by campaign.

Channels are those of GA4, campaigns what the site's visits and Mailchimp call them. A month's costs are known on the
3rd of the next one, and with them come the newsletters that were sent in it. What is wrong on purpose: cells whose
formula fails, amounts and months that were typed as text, channels and campaigns that are written in other ways.
"""

import random
from collections import Counter
from datetime import date
from typing import Any

from sandbox import cells
from sandbox.dirt import Dirt
from sandbox.simulation import FIRST_DAY, Row, Simulation

HEADER = ["Month", "Channel", "Campaign", "Currency", "Planned", "Spent", "Note"]
FIELDS = ["month", "channel", "campaign", "currency", "planned_amount", "spent_amount", "note"]
FIRST_ROW, LAST_MONTH, KNOWN_ON, UNKNOWN = 2, date(2026, 12, 1), 3, 0.03
PLAN = [  # channel, campaign, currency, amount a month at scale 1; through Audio nobody comes
    ("Paid Search", None, "USD", 12_000), ("Paid Social", None, "USD", 7_000), ("Affiliates", None, "GBP", 3_600),
    ("Display", None, "EUR", 2_400), ("Organic Social", None, "EUR", 1_500), ("Audio", None, "EUR", 900),
    ("Email", "weekly", "EUR", 800),
]  # fmt: skip
NEWSLETTER, EMAIL = 40, 0.012  # EUR that a newsletter may cost, and that each of its e-mails does
DEFECTS = {"planned_error": 0.03, "planned_text": 0.04, "spent_error": 0.02, "month_text": 0.03, "month_word": 0.02,
           "channel_written": 0.06, "campaign_written": 0.06}  # fmt: skip


class Budgets:
    """The sheet on the company's today. `rng` decides of it alone."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"marketing budgets {company.seed}")
        self.dirt, self._made = Dirt(self.rng, company.dirt.rate), Counter[str]()
        self.rows: list[tuple[Row, Row]] = []  # what is true, and what stands there instead
        self._next = FIRST_DAY
        while self._next <= LAST_MONTH:
            self._plan()

    def day(self) -> bool:
        """Lives through the company's today; returns whether somebody changed the sheet."""
        today = self.company.today
        if today.day == KNOWN_ON and today > cells.later(FIRST_DAY, 1):
            self._close(cells.later(today.replace(day=1), -1))
            return True
        if today.day == 15 and cells.later(today.replace(day=1), 3) == self._next:
            self._plan()
            return True
        return False

    def grid(self) -> list[list[Any]]:
        """The sheet's cells."""
        return [HEADER, *cells.grid(self.rows)]

    def truth(self) -> Row:
        """What is true of every row, and how many have which defect."""
        rows = cells.told(self.rows, FIRST_ROW, {"spent_amount"})
        return {"marketing_budgets": rows, "budget_defects": self._made}

    def _plan(self) -> None:
        for channel, campaign, currency, amount in PLAN:
            planned = max(5, round(amount * self.company.scale * self.rng.gauss(1, 0.1), -1))
            self._add(self._next, channel, campaign, currency, planned, None)
        self._next = cells.later(self._next, 1)

    def _close(self, month: date) -> None:
        for row, _ in self.rows:
            if row["month"] == month and self.rng.random() >= UNKNOWN:
                row["spent_amount"] = round(row["planned_amount"] * self.rng.gauss(1, 0.08), 2)
        for campaign in self.company.newsletters.campaigns.values():
            if campaign.is_sent and campaign.row["send_time"].startswith(f"{month:%Y-%m}"):
                spent = round(NEWSLETTER / 2 + EMAIL * campaign.row["emails_sent"], 2)
                self._add(month, "Email", campaign.row["settings"]["title"], "EUR", NEWSLETTER, spent)

    def _add(self, *values: Any) -> None:
        row = dict(zip(FIELDS, (*values, None), strict=True))
        self.rows.append((row, self._instead(row)))

    def _instead(self, row: Row) -> Row:
        instead, draw = {"currency": self.dirt.currency(row["currency"])}, self.rng.random()
        for defect, share in DEFECTS.items():
            draw -= share
            if draw < 0 and (row["campaign"] or defect != "campaign_written"):
                self._made[defect] += 1
                month, channel = row["month"], row["channel"]
                ways = [channel.lower(), f" {channel.replace(' ', '  ')} ", channel.replace(" ", "-").upper()]
                return instead | {
                    "planned_error": {"planned_amount": {"error": "#REF!"}},
                    "planned_text": {"planned_amount": str(row["planned_amount"])},
                    "spent_error": {"spent_amount": {"error": "#N/A"}},
                    "month_text": {"month": str(month)}, "month_word": {"month": f"{month:%B %Y}"},
                    "channel_written": {"channel": "E-Mail" if channel == "Email" else self.rng.choice(ways)},
                    "campaign_written": {"campaign": f"  {row['campaign']} "},
                }[defect]  # fmt: skip
        return instead


def declared(spreadsheet_id: str) -> Row:
    """The table of the sheet, as the loader has it declared."""
    return {"spreadsheet": spreadsheet_id, "range": "Marketing!A1:G", "columns": dict(zip(FIELDS, HEADER, strict=True))}
