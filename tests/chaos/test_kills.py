"""Kills with -9 at random moments of ingest, then a clean run: nothing is lost, and the marts are those of no kill.

`make chaos KILLS=10 SEED=1` says how many and which. A kill is aimed at a phase of the run (dlt's folders show which
one is on), or at any moment at all. The sandbox is killed along with the run, its PostgreSQL is orphaned.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

import sandbox
from ingestion.systems import all_systems
from sandbox.exchange_rates import CURRENCIES, rates
from tests.comparison import differences

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("KILLS") or 10)
SEED = int(os.environ.get("SEED") or random.randrange(10**6))
SCALE = 0.1
DAYS = 7
AIMS = ["any moment", "extract", "normalize", "load"]
# The moment when we noticed that a row was gone, or received a message, is a load time; everything the sandbox says of
# itself is earlier.
NOTICED = {
    f"{mart}.{name}": f"case when {name} < cast('{{began}}' as timestamp) then {name} end as {name}"
    for mart, names in {
        "dim_customer_accounts_history": ("valid_from", "valid_to"),
        "dim_devices": ("first_received_at", "last_received_at"),
    }.items()
    for name in names
}


class Company:
    """A sandbox and a warehouse of its own, and the commands of the project on them."""

    def __init__(self, folder: Path) -> None:
        self.root, self.warehouse = folder / "sandbox", folder / "warehouse/sandbox.duckdb"
        self.packages = self.warehouse.with_suffix(".dlt")
        self.log = folder / "log"
        self.environment = {
            **os.environ,
            "SANDBOX_ROOT": str(self.root),
            "SANDBOX_SCALE": str(SCALE),
            "SANDBOX_SEED": "1",
            "WAREHOUSE_DIR": str(self.warehouse.parent),
            "DBT_TARGET": "sandbox",
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }
        folder.mkdir()

    def start(self, *command: str) -> subprocess.Popen:
        with self.log.open("a") as log:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def ingest(self) -> float:
        """A whole run; returns its seconds."""
        began = time.monotonic()
        assert self.start(sys.executable, "-m", "ingestion", "run").wait() == 0, self.log.read_text()
        return time.monotonic() - began

    def build(self) -> None:
        dbt = self.start(str(Path(sys.executable).parent / "dbt"), "build", "--quiet")
        assert dbt.wait() == 0, self.log.read_text()

    def kill_ingest(self, aim: str, after: float) -> str:
        """Kills a run `after` seconds from its start, or from the start of the phase aimed at; returns what it hit:
        the phases that systems were in, none of them (start and end of the run), or that it had ended."""
        before = {phase: set(self._folders(phase)) for phase in AIMS[1:]}  # what runs killed before have left
        process = self.start(sys.executable, "-m", "ingestion", "run")
        while aim != "any moment" and process.poll() is None:
            if set(self._folders(aim)) - before[aim]:
                break
            time.sleep(0.002)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hit = [phase for phase in AIMS[1:] if set(self._folders(phase)) - before[phase]]
            return " and ".join(hit) or "none"
        assert process.returncode == 0, self.log.read_text()
        return "ended"

    def _folders(self, phase: str) -> list[Path]:
        """The package folders that exist while a system is in the phase."""
        patterns = {
            "extract": ["*/normalize/*"],
            "normalize": ["*/normalize/extracted/*", "*/load/new/*"],
            "load": ["*/load/normalized/*"],
        }[phase]
        found = [path for pattern in patterns for path in self.packages.glob(pattern)]
        return [path for path in found if path.name not in ("extracted", ".version")]


@pytest.mark.timeout(1800)
def test_marts_are_the_same_after_kills(tmp_path):
    started, chance = time.monotonic(), random.Random(SEED)
    print(f"\nchaos: {KILLS} kills, seed {SEED} (again: make chaos KILLS={KILLS} SEED={SEED})")
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    reference, killed = Company(tmp_path / "reference"), Company(tmp_path / "killed")
    aims = (AIMS * KILLS)[:KILLS]
    chance.shuffle(aims)
    hits = []
    for days, part in ((0, aims[: KILLS // 2]), (DAYS, aims[KILLS // 2 :])):
        if days:
            assert sandbox.advance(days, reference.root) == sandbox.advance(days, killed.root)
        seconds = reference.ingest()
        for aim in part:
            after = chance.uniform(0, seconds if aim == "any moment" else 0.25)
            hits.append(killed.kill_ingest(aim, after))
            print(f"chaos: aimed at {aim}, {after:.2f} s: hit {hits[-1]}", flush=True)
        killed.ingest()
    for company in (reference, killed):
        company.build()
        account_for_every_row(company)
        lose_nothing(company)
    changes = {column: sql.format(began=began) for column, sql in NOTICED.items()}
    assert differences(reference.warehouse, killed.warehouse, changes) == {}, f"seed {SEED}"
    print(f"chaos: marts identical; hit {dict(Counter(hits))}; {time.monotonic() - started:.0f} s")


def account_for_every_row(company: Company) -> None:
    """What the ledger says was loaded, rejected and marked is what raw has, repetitions aside."""
    with duckdb.connect(str(company.warehouse), read_only=True) as connection:
        ledger = connection.execute("""
            select 'raw_' || system, stream, sum(rows_loaded), sum(rows_rejected), sum(rows_marked_gone)
            from (select distinct on (system, run_id, stream) * from raw_operations.load_ledger) group by all
        """).fetchall()
        streams = {(f"raw_{name}", stream.name) for name, system in all_systems().items() for stream in system.streams}
        assert streams <= {(schema, stream) for schema, stream, *_ in ledger}
        for schema, stream, *told in ledger:
            rows = f"select distinct _key, _row_hash, _observed_at, _mark from {schema}.{stream}"
            found = connection.execute(
                f"""
                select count(*) filter (_mark is null),
                    (select count(distinct (run_id, rejected_id)) from {schema}.rejected_rows where stream = ?),
                    count(*) filter (_mark = 'gone')
                from ({rows})
            """,
                [stream],
            ).fetchone()
            assert list(found) == told, f"seed {SEED}: {schema}.{stream}"


def lose_nothing(company: Company) -> None:
    """The current rows are those that the source has."""
    truth = {
        f"shop__{table}": rows for table, rows in json.loads((company.root / "truth/tables.json").read_text()).items()
    }
    told = {
        name: json.loads((company.root / f"truth/{name}.json").read_text())
        for name in ("reseller_orders", "spreadsheets", "documents", "images", "google_sheets")
    }
    files = told["reseller_orders"]
    truth["spreadsheets__order_lines"] = sum(f["good"] for path, f in files.items() if "_resend" not in path)
    truth["spreadsheets__files"] = len(files) + len(told["spreadsheets"])
    stock = [file["rows"] for file in told["spreadsheets"].values() if file.get("stream") == "stock_levels"]
    truth["spreadsheets__stock_levels"] = sum(stock)
    truth["documents__files"], truth["images__files"] = len(told["documents"]), len(told["images"])
    (sheet,) = told["google_sheets"].values()
    for table in ("targets", "marketing_budgets"):
        truth[f"google_sheets__{table}"] = sum(not row["is_rejected"] for row in sheet[table])
    truth["exchange_rates__rates"] = sum(map(len, rates(1, sandbox.clock(company.root)).values()))
    truth["exchange_rates__currencies"] = len(CURRENCIES) + 1
    with duckdb.connect(str(company.warehouse), read_only=True) as connection:
        found = {name: connection.execute(f"select count(*) from staging.stg_{name}").fetchone()[0] for name in truth}
    assert found == truth, f"seed {SEED}"
