"""The load dies at one chosen change of dlt's folder after another: the next run makes good for it, each time.

Where test_kills.py trusts to chance, this finds the gaps between two changes that belong together.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import duckdb
import pytest

from ingestion import pipeline
from ingestion.stream import Run
from ingestion.systems import all_systems

KILLS = int(os.environ.get("KILLS") or 10)
SEED = int(os.environ.get("SEED") or random.randrange(10**6))
HEADER = (
    "order_number,line_number,ordered_on,customer_email,customer_name,country,sku,product_name,quantity,"
    "unit_price,currency,tax_amount,shipping_amount\n"
)
DECLARED = {"files": "*.csv", "values": {"reseller": "acme"}, "columns": {"customer_phone": ""}}
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "open"}


def write_lines(folder: Path, lines: int) -> None:
    """A reseller's file of so many good lines, and one that is rejected."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"A{number},1,2026-01-02,,,DE,S1,Beans,2,9.50,EUR,0,0\n" for number in range(lines)]
    (folder / "orders_2026-01.csv").write_text(HEADER + "".join(rows) + "X1,1,2026-01-02,,,DE,S,B,two,1,EUR,0,0\n")


def load(home: Path, crash_at: int | None = None) -> int:
    """Loads the folder in a process of its own, which dies at its `crash_at`-th change of dlt's folder; returns how
    many changes there were, or minus the signal."""
    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)

    def run() -> None:
        def crash(event: str, arguments: tuple) -> None:
            if event not in CHANGES or not str(arguments[0]).startswith(str(home / "warehouse/sandbox.dlt")):
                return
            if event == "open" and not set(str(arguments[1])) & set("wax"):
                return
            count.value += 1
            if count.value == crash_at:
                os.kill(os.getpid(), signal.SIGKILL)

        os.environ |= {"WAREHOUSE_DIR": str(home / "warehouse"), "DBT_TARGET": "sandbox"}
        sys.addaudithook(crash)
        system = all_systems()["spreadsheets"]
        options = {"folder": str(home / "files"), "tables": {"order_lines": {"acme": DECLARED}}}
        with pipeline.opened([system]) as warehouse:
            warehouse.load(system.name, lambda: system.source(**options, run=Run()).with_resources("order_lines"))

    process = context.Process(target=run)
    process.start()
    process.join()
    return process.exitcode or count.value


def accounted(home: Path) -> tuple[int, ...]:
    """(distinct rows, those by the ledger, distinct rejected rows, those by the ledger)"""
    with duckdb.connect(str(home / "warehouse/sandbox.duckdb"), read_only=True) as connection:
        return connection.execute("""
            with ledger as (select distinct on (run_id) * from raw_spreadsheets.load_ledger),
            lines as (select distinct _key, _row_hash, _observed_at from raw_spreadsheets.order_lines)
            select (select count(*) from lines), (select sum(rows_loaded) from ledger),
                (select count(distinct (run_id, rejected_id)) from raw_spreadsheets.rejected_rows),
                (select sum(rows_rejected) from ledger)
        """).fetchone()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", ["the first load", "a later load", "another warehouse"])
def test_a_crash_between_any_two_changes_is_made_good(tmp_path, scenario):
    before, home = tmp_path / "before", tmp_path / "home"
    write_lines(before / "files", 3)
    if scenario != "the first load":
        load(before)
    if scenario == "another warehouse":
        (before / "warehouse/sandbox.duckdb").unlink()
    write_lines(before / "files", 5)

    def begin() -> None:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(before, home)

    begin()
    total = load(home)
    assert total > 20
    points = sorted(random.Random(SEED).sample(range(1, total + 1), min(KILLS, total)))
    failures = {}
    for point in points:
        begin()
        load(home, crash_at=point)
        exit_code = load(home)
        rows = accounted(home) if exit_code > 0 else None
        if rows is None or rows[0] != 5 or rows[0] != rows[1] or rows[2] != rows[3] or not rows[2]:
            failures[point] = (exit_code, rows)
            print(f"crash points: {scenario}, {point} of {total}: exit {exit_code}, rows {rows}", flush=True)
    assert not failures, f"seed {SEED}, of {total} changes in {scenario}"
