"""The demo: ingest the sandbox, build and test the models, generate the docs, and say what there is now."""

import os
import re
import subprocess
import sys
import time

import duckdb
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ingestion.pipeline import warehouse_path

STEPS = {
    "ingest": [sys.executable, "-m", "ingestion", "run"],
    "build and test": ["dbt", "--no-use-colors", "build"],
    "docs": ["dbt", "--quiet", "docs", "generate"],
}

console = Console(highlight=False)


def main() -> int:
    """Runs the steps in order and ends with the summary; the exit status is that of the first that failed."""
    os.environ["DBT_TARGET"] = "sandbox"
    seconds: dict[str, float] = {}
    for number, (name, command) in enumerate(STEPS.items(), start=1):
        console.rule(f"[bold]{number} of {len(STEPS)}: {name}")
        started = time.monotonic()
        status = _build(command) if name == "build and test" else subprocess.run(command).returncode
        if status:
            console.print(f"[red]demo: {' '.join(command[-2:])} failed; its messages are above")
            return status
        seconds[name] = time.monotonic() - started
    _summary(seconds)
    return 0


def _build(command: list[str]) -> int:
    """dbt build with a bar instead of a line per model and test; the lines are shown if it fails."""
    columns = (TextColumn("models and tests"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    lines = []
    with (
        Progress(*columns, console=console) as progress,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as build,
    ):
        task = progress.add_task("build", total=None)
        for line in build.stdout:
            lines.append(line)
            if match := re.search(r"(\d+) of (\d+) (?!START)", line):
                progress.update(task, completed=int(match[1]), total=int(match[2]))
    if build.returncode:
        console.print("".join(lines), markup=False)
    return build.returncode


_LANDED = """
    select system, stream, sum(rows_loaded) from (select distinct * from raw_operations.load_ledger)
    group by all order by all
"""

_MARTS = """
    select table_schema, table_name from information_schema.tables
    where table_schema in ('marts', 'operations') order by all
"""


def _summary(seconds: dict[str, float]) -> None:
    """What landed from where, which marts there are, how long it took, and the line to type next."""
    path = warehouse_path()
    with duckdb.connect(str(path), read_only=True) as warehouse:
        landed = _table("landed from", "stream")
        for system, stream, rows in warehouse.execute(_LANDED).fetchall():
            landed.add_row(system, stream, f"{rows:,}")
        marts = _table("mart")
        for schema, name in warehouse.execute(_MARTS).fetchall():
            marts.add_row(name, f"{warehouse.table(f'{schema}.{name}').shape[0]:,}")
        rejected = warehouse.table("operations.fct_rejected_rows").shape[0]
    grid = Table.grid(padding=(0, 3))
    grid.add_row(landed, marts)
    console.rule("[bold]Catchment")
    console.print(grid)
    console.print(
        f"\n{rejected:,} rows did not fit their contract: operations.fct_rejected_rows has each, with the reason."
    )
    steps = ", ".join(f"{name} {spent:.0f} s" for name, spent in seconds.items())
    console.print(f"It took {sum(seconds.values()):.0f} s ({steps}). The warehouse is {os.path.relpath(path)}.")
    console.print("\nNext: [bold]source .venv/bin/activate && dbt docs serve[/]  (the map of all models)")
    console.print("      [bold]dbt show --select fct_orders --limit 10[/]  (a first look at a mart)")


def _table(*names: str) -> Table:
    table = Table(*names, box=None, header_style="bold", pad_edge=False)
    table.add_column("rows", justify="right")
    return table


if __name__ == "__main__":
    sys.exit(main())
