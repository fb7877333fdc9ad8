"""Workbooks, documents and photos as files: the same seed writes the same bytes, and a day touches what it changes."""

import json
import random
from datetime import timedelta

from sandbox.company import CLOCK, Company
from tests.sandbox.conftest import SCALE, write_files


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def times(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(company, tmp_path):
    random.seed(7)  # chance of others does not matter
    for name, one in (
        ("one", company),
        ("same", Company(1, SCALE).run(CLOCK)),
        ("other", Company(2, SCALE).run(CLOCK)),
    ):
        write_files(one, tmp_path / name)
    one, same, other = (contents(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    alike = {name for name in one if one[name] == other.get(name)}
    assert {name.split("/")[1] for name in alike} == {"other", "handbook.pdf"}


def test_days_bring_new_files_change_some_and_touch_no_others(tmp_path):
    company = Company(1, 0.1).run(CLOCK)
    write_files(company, tmp_path)
    before, then = contents(tmp_path), times(tmp_path)
    write_files(company.run(CLOCK + timedelta(days=1)), tmp_path)
    write_files(company.run(CLOCK + timedelta(days=33)), tmp_path)
    after, now = contents(tmp_path), times(tmp_path)
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    assert {name for name in then.keys() & now.keys() if then[name] != now[name]} == changed
    assert "spreadsheets/claims/claims_2026.xlsx" in changed
    corrected = changed - {"spreadsheets/claims/claims_2026.xlsx"}
    assert len(corrected) == 1 and corrected.pop().startswith("spreadsheets/stock/")
    new = after.keys() - before.keys()
    assert sum(name.startswith("spreadsheets/stock/") for name in new) == 4
    for folder in ("documents/mails", "documents/invoices", "documents/reports", "images/claims", "images/devices"):
        assert any(name.startswith(folder) for name in new), folder


def test_what_is_personal_goes_with_its_customer(tmp_path):
    company = Company(1, SCALE).run(CLOCK)
    write_files(company, tmp_path)
    before = contents(tmp_path)
    key = next(paper.customer_id for paper in company.papers.all if paper.path.startswith("mails/"))
    del company.shop["customers"][key]
    write_files(company, tmp_path)
    gone = before.keys() - contents(tmp_path).keys()
    assert any(name.startswith("documents/mails/") for name in gone)
    assert all(name.startswith(("documents/mails/", "documents/contracts/")) for name in gone)
    kept = {f"documents/{path}" for path in company.papers.truth()["documents.json"]}
    assert kept == {name for name in before.keys() - gone if name.startswith("documents/")}


def test_files_that_were_written_at_once_are_those_that_were_written_day_by_day(tmp_path):
    company = Company(1, SCALE).run(CLOCK)
    for days in (0, 3, 4, 20):
        write_files(company.run(CLOCK + timedelta(days=days)), tmp_path / "steps")
    write_files(Company(1, SCALE).run(CLOCK + timedelta(days=20)), tmp_path / "once")
    assert contents(tmp_path / "steps") == contents(tmp_path / "once")


def test_the_sandbox_has_them_all_with_their_truth_and_their_declarations(options, root):
    for system in ("spreadsheets", "documents", "images"):
        truth = json.loads((root / f"truth/{system}.json").read_text())
        assert options[f"SOURCES__{system.upper()}__FOLDER"] == str(root / system)
        others = {name for name in contents(root / system) if not name.startswith("orders/")}
        assert truth.keys() == others
    (sheet,) = json.loads((root / "google_sheets.json").read_text())
    declared = json.loads(options["SOURCES__GOOGLE_SHEETS__TABLES"])
    assert declared["targets"]["plan"]["spreadsheet"] == sheet
    assert json.loads(options["SOURCES__SPREADSHEETS__TABLES"]).keys() == {"order_lines", "stock_levels", "claims"}
