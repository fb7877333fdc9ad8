from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest

from sandbox import budgets
from sandbox.company import CLOCK, RESELLERS, Company
from sandbox.planning import DEFECTS, FIRST_ROW, HEADER, declared, spreadsheet_id
from sandbox.visits import CHANNELS
from sandbox.vocabulary import COUNTRIES, PRICE_BOOK


def targets(company):
    (sheet,) = company.planning.tables().values()
    return sheet["sheets"][0]["grid"]


def marketing(company):
    (sheet,) = company.planning.tables().values()
    return sheet["sheets"][1]["grid"]


def truth(company):
    (about,) = company.planning.truth()["google_sheets.json"].values()
    return about


@pytest.fixture(scope="module")
def apart():
    """A company of the module's own, small, with the plan of a day and of 20 days later."""
    company = Company(1, 0.02).run(CLOCK)
    before = targets(company), truth(company)
    company.run(CLOCK + timedelta(days=20))
    return before, (targets(company), truth(company))


def test_the_grid_says_what_is_true_but_for_what_is_told(company):
    grid, about = targets(company), truth(company)
    assert grid[FIRST_ROW - 2] == HEADER and len(about["targets"]) == 15 * 10 * 5
    words = {word.lower(): code for code, facts in COUNTRIES.items() for word in (code, facts.alpha3, facts.name)}
    for row in about["targets"]:
        month, country, category, revenue, units, currency, owner, note = grid[row["row"] - 1]
        assert words[country.lower()] == row["country"] and (category, currency) == (row["category"], "EUR")
        assert (units, note) == (row["units_target"], row["note"])
        assert note is None or country == row["country"], "who revises a row repairs it"
        failing = {f"{letter}{row['row']}" for letter, cell in (("D", revenue), ("G", owner)) if isinstance(cell, dict)}
        failing |= {f"A{row['row']}"} if isinstance(month, str) and not month.startswith("202") else set()
        assert failing == {*row["rejecting"], *row["null"]} and row["is_rejected"] == bool(row["rejecting"])
        if f"A{row['row']}" not in failing:
            assert (month["date"] if isinstance(month, dict) else month) == row["month"]
        if f"D{row['row']}" not in failing:
            assert float(revenue) == row["revenue_target"]
        if f"G{row['row']}" not in failing:
            assert owner == row["owner"]
    last = about["targets"][-1]["row"]
    assert grid[last:] == [[""] * 8] * 3


def test_every_defect_is_in_the_grid(company):
    rows = targets(company)[FIRST_ROW - 1 : -3]
    kinds = Counter()
    for month, country, _, revenue, _, _, owner, _ in rows:
        kinds["country"] += country not in COUNTRIES
        kinds["owner_error"] += owner == {"error": "#REF!"}
        kinds["revenue_error"] += revenue == {"error": "#N/A"}
        kinds["revenue_text"] += isinstance(revenue, str)
        kinds["month_text"] += isinstance(month, str) and month[:4].isdigit()
        kinds["month_word"] += isinstance(month, str) and not month[:4].isdigit()
    assert {name: kinds[name] for name in DEFECTS} == truth(company)["defects"]
    assert all(kinds.values()) and kinds["country"] > 20


def test_nobody_declares_the_other_sheet_with_its_headers(company):
    (sheet,) = company.planning.tables().values()
    assert [part["title"] for part in sheet["sheets"]] == ["Targets", "Marketing", "Scratch"]
    header = sheet["sheets"][2]["grid"][0]
    assert header.count("Idea") == header.count("") == 2
    assert len(spreadsheet_id(1)) == 44 and spreadsheet_id(1) != spreadsheet_id(2)
    plan = declared(1)["targets"]["plan"]
    assert plan["range"] == "Targets!A3:H" and list(plan["columns"].values()) == HEADER
    marketing = declared(1)["marketing_budgets"]["marketing"]
    assert marketing["range"] == "Marketing!A1:G" and list(marketing["columns"].values()) == budgets.HEADER


def test_days_revise_some_targets_add_a_month_and_leave_the_rest(apart):
    (grid, about), (later_grid, later) = apart
    assert later["version"] > about["version"] and later["modified_at"] > about["modified_at"]
    added = later["targets"][len(about["targets"]) :]
    assert {row["month"] for row in added} == {"2027-01-01"} and len(added) == 50
    revised = [new for old, new in zip(about["targets"], later["targets"], strict=False) if old != new]
    assert 1 <= len(revised) <= 3
    for row in revised:
        assert row["note"].startswith("revised on 2026-10-") and row["month"] > "2026-10-01"
    changed = {number for number, (old, new) in enumerate(zip(grid[:-3], later_grid, strict=False), 1) if old != new}
    assert changed == {row["row"] for row in revised}


def test_a_day_without_a_change_is_no_new_version():
    company = Company(1, 0.02)
    versions, grids = [], []
    while company.today < date(2025, 11, 5):
        company.planning.day()
        versions.append((company.planning.version, company.planning.modified_at))
        grids.append(str(targets(company)) + str(marketing(company)))
        company.today += timedelta(days=1)
    assert 3 <= len(set(versions)) < 6
    for day in range(1, len(grids)):
        assert (grids[day] == grids[day - 1]) == (versions[day] == versions[day - 1])


def test_the_company_sells_about_what_it_plans(bigger):
    sold, planned = Counter(), Counter()
    products, orders = bigger.shop["products"], bigger.shop["orders"]
    for item in bigger.shop["order_items"].values():
        order = orders[item["order_id"]]
        if order["order_status"] in ("paid", "shipped", "delivered"):
            price = (item["unit_price"] - item["unit_discount"]) / Decimal(
                PRICE_BOOK[order["currency"].strip().upper()]
            )
            sold[products[item["product_id"]]["category"]] += item["quantity"] * price
    category = {product["sku"]: product["category"] for product in products.values()}
    for reseller, values, broken in bigger.partner_lines:
        if not broken:
            rate = Decimal(PRICE_BOOK[COUNTRIES[RESELLERS[reseller]].currency])
            sold[category[values["sku"]]] += values["quantity"] * values["unit_price"] / rate
    for row in truth(bigger)["targets"]:
        if row["month"] < str(CLOCK):
            planned[row["category"]] += row["revenue_target"]
    assert planned.keys() == sold.keys()
    for name in ("coffee", "machines", "grinders", "accessories"):
        assert 0.7 < float(sold[name]) / planned[name] < 1.4, name


def test_the_budgets_say_what_is_true_but_for_what_is_told(company):
    header, *grid = marketing(company)
    about, kinds = truth(company), Counter()
    assert header == budgets.HEADER and len(grid) == len(about["marketing_budgets"])
    for row, cells in zip(about["marketing_budgets"], grid, strict=True):
        month, channel, campaign, currency, planned, spent, _ = cells
        assert "".join(filter(str.isalpha, channel.lower())) == row["channel"].lower().replace(" ", "")
        assert currency.strip().upper() == row["currency"] and (campaign and campaign.strip()) == row["campaign"]
        kinds["channel_written"] += channel != row["channel"]
        kinds["campaign_written"] += campaign != row["campaign"]
        kinds["planned_text"] += isinstance(planned, str)
        is_word = isinstance(month, str) and not month.startswith("202")
        kinds["month_text"] += isinstance(month, str) and not is_word
        failing = {"month_word": is_word, "planned_error": isinstance(planned, dict)}
        failing["spent_error"] = isinstance(spent, dict)
        kinds.update(failing)
        places = dict(zip(failing, (f"{letter}{row['row']}" for letter in "AEF"), strict=True))
        assert {places[kind] for kind in failing if failing[kind]} == {*row["rejecting"], *row["null"]}
        assert row["is_rejected"] == (failing["month_word"] or failing["planned_error"])
        assert failing["month_word"] or row["month"] == (month["date"] if isinstance(month, dict) else month)
        assert failing["planned_error"] or float(planned) == row["planned_amount"]
        assert failing["spent_error"] or spent == row["spent_amount"]
    assert {name: kinds[name] for name in budgets.DEFECTS} == about["budget_defects"] and all(kinds.values())


def test_budgets_name_the_channels_of_visits_and_the_campaigns_that_were_sent(company):
    rows = truth(company)["marketing_budgets"]
    assert {row["channel"] for row in rows} - {channel.name for channel in CHANNELS} == {"Audio"}
    assert {"weekly"} == {channel.campaign["name"] for channel in CHANNELS if channel.name == "Email"}
    sent = {
        (f"{campaign.row['send_time'][:7]}-01", campaign.row["settings"]["title"], campaign.row["emails_sent"])
        for campaign in company.newsletters.campaigns.values()
        if campaign.is_sent and campaign.row["send_time"] < "2026-09"
    }
    planned = [row for row in rows if row["campaign"] not in (None, "weekly")]
    spent = {(row["month"], row["campaign"]): row["spent_amount"] for row in planned}
    assert len(planned) == len(sent) and spent == {
        (month, title): round(20 + 0.012 * emails, 2) for month, title, emails in sent
    }


def test_costs_are_known_in_the_next_month_but_for_some(company):
    rows = [row for row in truth(company)["marketing_budgets"] if row["campaign"] in (None, "weekly")]
    assert all(row["spent_amount"] is None for row in rows if row["month"] >= "2026-09")
    known = [row["spent_amount"] for row in rows if row["month"] < "2026-09"]
    assert 0 < known.count(None) < len(known) / 10
    later = Company(1, 0.02).run(CLOCK + timedelta(days=20))
    months = {row["month"] for row in truth(later)["marketing_budgets"] if row["spent_amount"]}
    assert max(months) == "2026-09-01"
    assert max(row["month"] for row in truth(later)["marketing_budgets"]) == "2027-01-01"
