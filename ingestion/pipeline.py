"""A run: which warehouse is loaded, all systems side by side, and what became of them."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ingestion import enrichments
from ingestion.errors import ConfigurationError, explain
from ingestion.stream import Run, Stream
from ingestion.systems import System
from ingestion.warehouse import Warehouse

TARGETS = ("sandbox", "local", "spark")


def target() -> str:
    """The one switch for both halves, DBT_TARGET; raises ConfigurationError if it is none of TARGETS."""
    name = os.environ.get("DBT_TARGET") or "sandbox"
    if name not in TARGETS:
        raise ConfigurationError(f"DBT_TARGET is {name!r}: set it to {' or '.join(TARGETS)}")
    return name


def warehouse_path() -> Path:
    """The DuckDB file of the target, in WAREHOUSE_DIR (default: warehouse/); profiles.yml says the same. Over a lake
    there is none, but dlt's working folder beside it."""
    return Path(os.environ.get("WAREHOUSE_DIR") or "warehouse").absolute() / f"{target()}.duckdb"


def spool_path(system: str) -> Path:
    """The folder in which what a live source sent is kept until it is loaded, beside the warehouse."""
    return warehouse_path().with_suffix(".spool") / system


@contextlib.contextmanager
def opened(systems: Iterable[System]) -> Iterator[Warehouse]:
    """The warehouse of the target, open for the length of a with block."""
    if target() == "spark":
        from ingestion.lake import Lake

        warehouse: Warehouse = Lake(systems, warehouse_path())
    else:
        warehouse = Warehouse(systems, warehouse_path())
    try:
        yield warehouse
    finally:
        warehouse.close()


def run(
    warehouse: Warehouse,
    systems: list[System],
    run_for: Callable[[System], Run],
    streams_for: Callable[[Sequence[Stream]], list[Stream]],
) -> dict[str, str]:
    """Extracts the systems side by side and loads them one after the other; returns system -> error.

    What became of each stream is in the ledger; an error here means that a system's load did not end.
    """

    def load(system: System) -> str | None:
        run = run_for(system)
        try:
            with run.cleanup:
                if system.has_catalog:
                    run.cleanup.callback(system.connect().close)
                    streams = streams_for(warehouse.prepare(system))
                    if streams:
                        warehouse.load(system.name, lambda: system.source(run=run, streams=streams))
                else:
                    names = [stream.name for stream in streams_for(system.chosen)]
                    warehouse.load(system.name, lambda: system.source(run=run).with_resources(*names))
        except Exception as error:  # one system's failure must not stop the others
            return explain(error)
        return None

    with ThreadPoolExecutor(max_workers=max(len(systems), 1)) as pool:
        outcomes = zip(systems, pool.map(load, systems), strict=True)
        return {system.name: error for system, error in outcomes if error}


def enrich(warehouse: Warehouse, run: Run) -> dict[str, str]:
    """Runs the methods of `enrichments` over inputs that are new; returns the error, as `run` does."""
    query = enrichments.new_inputs_query(warehouse.systems)
    inputs = warehouse.query(query) if query else []
    try:
        if inputs:
            warehouse.load(enrichments.NAME, lambda: enrichments.enrichments(inputs, run=run))
    except Exception as error:
        return {enrichments.NAME: explain(error)}
    return {}
