"""How time, memory, files and requests grow with the data: `make bench-scale SCALES=1,10,50`. Asserts nothing.

Per scale one sandbox, extracted twice (all of it, and what a day changed; BUILDS=1: only once) and built on ENGINES
(default: duckdb,spark), without tests. Prints a line per step: rows, seconds, seconds per million rows, the peak memory
of the process, and of the lake requests, files and megabytes.
"""

import os
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from measuring import measure

import sandbox
from sandbox.cluster import Cluster, free_port

SCALES = [float(scale) for scale in (os.environ.get("SCALES") or "1,10,50").split(",")]
ENGINES = (os.environ.get("ENGINES") or "duckdb,spark").split(",")
FOLDER = Path(os.environ.get("FOLDER") or tempfile.mkdtemp(prefix="catchment-scale-"))
STEPS = ("first", "a day later")[: int(os.environ.get("BUILDS") or 2)]
INGEST = [sys.executable, "-m", "ingestion", "run"]
BUILD = [
    str(Path(sys.executable).parent / "dbt"),
    "--quiet",
    "build",
    "--resource-type",
    "model",
    "--resource-type",
    "seed",
]


def rows_of(lake: Path) -> int:
    """How many rows the streams have in a lake."""
    streams = [path for path in lake.glob("raw_*/*/*.parquet") if path.parent.name not in ("load_ledger",)]
    return sum(pq.read_metadata(path).num_rows for path in streams)


def tell(scale: float, step: str, rows: int, seconds: float, peak: float, rest: str = "") -> None:
    """Prints one line."""
    each = seconds / (rows / 1e6)
    print(f"{scale:>5g} {step:<28}{rows:>12,}{seconds:>9.1f}{each:>9.1f}{peak:>9.0f}  {rest}", flush=True)


def extract(scale: float, folder: Path, step: str, environment: dict[str, str]) -> int:
    """One ingest into the lake; returns the rows that are there now."""
    lake = folder / "lake"
    before = rows_of(lake)
    with sandbox.running(root=folder / "sandbox", scale=scale, seed=1) as options:
        seconds, peak = measure(INGEST, environment | options | {"DBT_TARGET": "spark"})
        requests = {name: len(server.misbehave.requests) for name, server in options.servers.items()}
    rows = rows_of(lake)
    files = [path.stat().st_size for path in lake.rglob("*.parquet")]
    asked = ", ".join(f"{name} {count:,}" for name, count in requests.items())
    told = f"requests: {asked}; lake: {len(files)} files, {sum(files) / 1e6:,.0f} MB"
    tell(scale, step, rows - before if before else rows, seconds, peak, told)
    return rows


def main() -> None:
    """Runs the scales one after the other."""
    print(f"{'scale':>5} {'step':<28}{'rows':>12}{'seconds':>9}{'s/M rows':>9}{'peak MB':>9}")
    for scale in SCALES:
        folder = FOLDER / f"{scale:g}"
        cluster = Cluster(folder / "cluster")
        environment = {**os.environ, "WAREHOUSE_DIR": str(folder), "LAKE_URL": (folder / "lake").as_uri()}
        environment["DBT_TARGET_PATH"] = str(folder / "target")
        with sandbox.running(root=folder / "sandbox", scale=scale, seed=1):
            pass  # makes it, which is not measured
        if "spark" in ENGINES:
            environment["SPARK_PORT"] = str(cluster.up(free_port(), tell=lambda _: None).port)
        try:
            for step in STEPS:
                if step != STEPS[0]:
                    sandbox.advance(1, folder / "sandbox")
                rows = extract(scale, folder, f"{step}: lake", environment)
                if "spark" in ENGINES:
                    tell(scale, f"{step}: Spark", rows, *measure(BUILD, environment | {"DBT_TARGET": "spark"}))
                if "duckdb" in ENGINES:
                    with sandbox.running(root=folder / "sandbox", scale=scale, seed=1) as options:
                        local = environment | options | {"DBT_TARGET": "local"}
                        tell(scale, f"{step}: warehouse", rows, *measure(INGEST, local))
                    tell(scale, f"{step}: DuckDB", rows, *measure(BUILD, local))
        finally:
            cluster.down()


if __name__ == "__main__":
    main()
