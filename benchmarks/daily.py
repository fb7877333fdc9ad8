"""How long the daily commands take on the sandbox: `make bench-daily`. Prints time and memory; asserts nothing.

The rounds are interleaved (each runs all steps once, in a warehouse of its own), so that a slow minute of the machine
falls on all steps alike; quote medians. SANDBOX_SCALE (default 1) sets the size, the argument the number of rounds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict

INGEST = [sys.executable, "-m", "ingestion", "run"]
BUILD = ["dbt", "--quiet", "build"]
ADVANCE = [sys.executable, "-m", "sandbox", "advance", "1"]
STEPS = [
    ("first ingest, sandbox made before", INGEST),
    ("first dbt build", BUILD),
    ("ingest, nothing new", INGEST),
    ("dbt build, nothing new", BUILD),
    (None, ADVANCE),
    ("ingest, a day later", INGEST),
    ("dbt build, a day later", BUILD),
]


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak MB of a command."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(rounds: int) -> None:
    """Runs the rounds and prints a line per step."""
    figures = defaultdict(list)
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="catchment-bench-") as folder:
            os.environ |= {"SANDBOX_ROOT": f"{folder}/sandbox", "WAREHOUSE_DIR": folder, "DBT_TARGET": "sandbox"}
            subprocess.run([sys.executable, "-m", "ingestion", "check"], check=True, stdout=subprocess.DEVNULL)
            for name, command in STEPS:
                print(f"round {number} of {rounds}: {name or 'advance'}", file=sys.stderr, flush=True)
                figure = measure(command)
                if name:
                    figures[name].append(figure)
    print(f"{'median of ' + str(rounds):<36}{'seconds':>9}{'min':>7}{'max':>7}{'CPU s':>8}{'peak MB':>9}")
    for name, measured in figures.items():
        wall, cpu, peak = zip(*measured, strict=True)
        print(
            f"{name:<36}{statistics.median(wall):>9.1f}{min(wall):>7.1f}{max(wall):>7.1f}"
            f"{statistics.median(cpu):>8.1f}{max(peak):>9.0f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
