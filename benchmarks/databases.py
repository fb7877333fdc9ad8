"""PostgreSQL to DuckDB, Catchment and its peers: `make bench`. Prints time, CPU and peak memory; asserts nothing.

    make bench ROWS=20000000 ROUNDS=5 FULL_ROUNDS=1 CONTESTANTS=catchment,scanner SVG=docs/databases.svg

FULL is the first run into an empty folder; NEW is the run after 1 % of the rows were changed or inserted, on a copy of
what FULL left. In a round every contestant runs once, so that a slow minute of the machine falls on all alike; a
ratio is the median of the rounds' ratios to postgres_scanner alone. What landed is compared with the source.
"""

import datetime
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import postgres
import psycopg
from contestants import CACHE, CONTESTANTS, ENVIRONMENT, FILE, LIMIT, Contestant

PATIENCE = 20  # who takes so many times the limit's CPU in the first full run is not asked for another
HEADER = ("s", "x limit", "CPU s", "peak MB")
# Understood by PostgreSQL and DuckDB alike. They tell a lost row, digit, microsecond, NULL, line break or letter.
FINGERPRINT = {
    "rows": "count(*)",
    "customer_id": "sum(customer_id)",
    "quantity": "sum(quantity)",
    "amount": "sum(amount)",
    "weight": "concat(count(weight), ' ', min(weight), ' ', max(weight))",
    "paid": "count(case when paid then 1 end)",
    "status": "count(case when status = 'changed' then 1 end)",
    "note": "concat(count(note), ' ', sum(length(note)), ' ', count(case when note = '' then 1 end))",
    "reference": "concat(min(cast(reference as varchar)), max(cast(reference as varchar)))",
    "attributes": "count(attributes)",
    "ordered_on": "concat(min(ordered_on), max(ordered_on))",
    "updated_at": "sum(cast(extract(microsecond from updated_at) as bigint))",
}
SELECT = f"select {', '.join(FINGERPRINT.values())} from "
Figures = dict[Contestant, list[tuple[float, float, float]]]  # seconds, CPU seconds, peak MB; a tuple per round


def measure(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of the largest process of a command; raises RuntimeError if it fails."""
    with (folder / "output").open("w+") as output:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=ENVIRONMENT, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        if status:
            output.seek(0)
            raise RuntimeError((output.read().strip() or f"status {status}").splitlines()[-1][:200])
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def _landed(file: Path, table: str) -> tuple:
    import duckdb  # in a process that ends, not in the harness: a child starts with its parent's peak memory

    try:
        return duckdb.connect(str(file), read_only=True).execute(SELECT + table).fetchone()
    except duckdb.Error as error:
        raise RuntimeError(str(error).splitlines()[0]) from None


def losses(contestant: Contestant, folder: Path, source: tuple) -> str:
    """The columns in which what landed is not what the source has; empty if all is the same."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        landed = pool.submit(_landed, folder / FILE, contestant.landed).result()
    return ", ".join(name for name, is_, has in zip(FINGERPRINT, landed, source, strict=True) if str(is_) != str(has))


def race(task: str, rounds: int, folders: dict[Contestant, Path], url: str, remarks: dict[Contestant, str]) -> Figures:
    """Runs `full` or `new` of all contestants in turn, `rounds` times; who fails is out. Adds failures and losses."""
    figures: Figures = {contestant: [] for contestant in folders}
    with psycopg.connect(url) as connection:
        source = connection.execute(f"{SELECT} orders").fetchone()
    for number in range(1, rounds + 1):
        for contestant, folder in folders.items():
            measured, limit = figures[contestant], figures.get(LIMIT)
            too_slow = task == "full" and measured and limit and measured[0][1] > PATIENCE * limit[0][1]
            if too_slow or "failed" in remarks.get(contestant, ""):
                continue
            print(f"{task}, round {number} of {rounds}: {contestant.name}", end=" ", file=sys.stderr, flush=True)
            before = folder.with_suffix(".full")
            if task == "new" and number == 1:
                folder.rename(before)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(before, folder) if task == "new" else folder.mkdir()
            try:
                command = contestant.call(url, folder, task)
                os.sync()  # so that nothing of the runs before is written during this one
                measured.append(measure(command, folder))
                if number == 1 and (lost := losses(contestant, folder, source)):
                    remarks[contestant] = f"{remarks.get(contestant, '')} {task}: wrong {lost}".strip()
            except (RuntimeError, StopIteration, OSError) as error:
                remarks[contestant] = f"{task} failed: {error!r}"
            print(f"{measured[-1][0]:.2f} s" if measured else "", file=sys.stderr, flush=True)
    return figures


def table(tasks: dict[str, Figures], remarks: dict[Contestant, str]) -> str:
    """The medians (of memory: the maxima) as text."""
    head = "".join(f"{task.upper():>8}" + "".join(f"{word:>9}" for word in HEADER) for task in tasks)
    lines = [f"{'':<24}{head}"]
    for contestant in next(iter(tasks.values())):
        line = f"{contestant.label:<24}"
        for figures in tasks.values():
            measured, limit = figures[contestant], figures.get(LIMIT, [])
            line += f"{f'{len(measured)} runs':>8}"
            if measured:
                wall, cpu, peak = zip(*measured, strict=True)
                ratios = [mine[0] / best[0] for mine, best in zip(measured, limit, strict=False)] or [float("nan")]
                line += f"{statistics.median(wall):>9.2f}{statistics.median(ratios):>9.2f}"
                line += f"{statistics.median(cpu):>9.1f}{max(peak):>9.0f}"
            else:
                line += f"{'-':>9}" * len(HEADER)
        lines.append(f"{line}  {remarks.get(contestant, 'all landed')}")
    return "\n".join(lines)


def picture(title: str, tasks: dict[str, Figures]) -> str:
    """The median seconds as an SVG of bars; a bar longer than the picture is cut, its figure is not."""
    y, parts = 30, [f'<text y="18" font-weight="bold">{title}</text>']
    for task, figures in tasks.items():
        medians = {who.name: statistics.median(row[0] for row in rows) for who, rows in figures.items() if rows}
        longest = 12 * min(medians.values())
        y += 28
        parts.append(f'<text y="{y}">{"all rows" if task == "full" else "after a change of 1 %"}, seconds</text>')
        for name, seconds in sorted(medians.items(), key=lambda item: item[1]):
            y += 24
            width, colour = 400 * min(1, seconds / longest), "#c2410c" if name.startswith("catchment") else "#94a3b8"
            parts.append(f'<text x="180" y="{y}" text-anchor="end">{name}</text>')
            parts.append(f'<rect x="188" y="{y - 14}" width="{width:.0f}" height="18" fill="{colour}"/>')
            parts.append(f'<text x="{194 + width:.0f}" y="{y}">{seconds:.1f}{" (cut)" * (seconds > longest)}</text>')
    size = f'viewBox="-8 0 700 {y + 16}" font-family="sans-serif" font-size="14" fill="#334155"'
    background = '<rect x="-8" width="700" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{background}{"".join(parts)}</svg>\n'


def main() -> None:
    """Serves the table, runs the rounds, prints the medians; the options are in the environment."""
    rows, rounds = int(os.environ.get("ROWS") or 2_000_000), int(os.environ.get("ROUNDS") or 3)
    words = (os.environ.get("CONTESTANTS") or "").split(",")
    chosen = [contestant for contestant in CONTESTANTS if any(word in contestant.name for word in words)]
    CACHE.mkdir(exist_ok=True)
    remarks: dict[Contestant, str] = {}
    for contestant in chosen:
        try:
            contestant.install()
        except (subprocess.CalledProcessError, OSError) as error:
            remarks[contestant] = f"installation failed: {error}"
    with (
        tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as scratch,
        postgres.serving(Path(scratch) / "postgres", rows) as url,
    ):
        folders = {contestant: Path(scratch) / contestant.name.replace(", ", "-") for contestant in chosen}
        tasks = {"full": race("full", int(os.environ.get("FULL_ROUNDS") or rounds), folders, url, remarks)}
        postgres.change(url, rows)
        tasks["new"] = race("new", rounds, folders, url, remarks)
    title = f"PostgreSQL to DuckDB, {rows:,} rows of 12 columns, {os.cpu_count()} cores, {datetime.date.today()}"
    print(f"{title}\n\n{table(tasks, remarks)}")
    if path := os.environ.get("SVG"):
        Path(path).write_text(picture(title, tasks))


if __name__ == "__main__":
    main()
