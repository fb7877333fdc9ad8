"""Rejected rows, validated again with today's contract; those that fit now are loaded as first observed."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.ledger import conform, ledger_row, rejected_rows
from ingestion.pipeline import Warehouse
from ingestion.stream import Run, Snapshot, Stream
from ingestion.systems import System

_OPEN = """
    select any_value(original) as original, any_value(position) as position, min(observed_at) as observed_at
    from raw_operations.rejected_rows where system = ? and stream = ?
    group by rejected_id having not bool_or(is_replayed) order by observed_at, position, original
"""


def replay(warehouse: Warehouse, system: System) -> dict[str, tuple[int, int]]:
    """Loads what fits now; returns stream -> (rows loaded, rows still rejected).

    A line that could not be parsed into fields stays rejected: it has to be corrected where it came from. So do
    the rows of a snapshot, which is current only as a whole: `run --full` reads it again.
    """
    outcome: dict[str, tuple[int, int]] = {}
    run = Run()

    def read(stream: Stream, rows: list[dict[str, Any]]) -> Iterator[Any]:
        started_at, counts, db = datetime.now(UTC), Counter(), contracts.engine()
        for observed_at in sorted({row["observed_at"] for row in rows}):
            page = pa.Table.from_pylist([row for row in rows if row["observed_at"] == observed_at]).drop_columns(
                "observed_at"
            )
            typed = contracts.apply(
                db,
                stream.contract,
                page.rename_columns({"original": contracts.ITEM, "position": "_position"}),
            )
            counts.update(read=page.num_rows, loaded=typed.accepted.num_rows, rejected=typed.rejected.num_rows)
            if typed.accepted.num_rows:
                yield conform(stream.columns, typed.accepted, _observed_at=observed_at)
                still = {(row["position"], row["original"]) for row in typed.rejected.to_pylist()}
                replayed = [row for row in page.to_pylist() if (row["position"], row["original"]) not in still]
                yield rejected_rows(stream, run, pa.Table.from_pylist(replayed), observed_at, is_replayed=True)
        outcome[stream.name] = (counts["loaded"], counts["rejected"])
        yield ledger_row(stream, run, counts, status="replayed", started_at=started_at)

    waiting = {
        stream.name: (stream, rows)
        for stream in system.streams
        if not isinstance(stream.kind, Snapshot) and (rows := warehouse.query(_OPEN, [system.name, stream.name]))
    }

    @dlt.source(name=system.name)
    def replays() -> Iterator[Any]:
        for name, (stream, rows) in waiting.items():
            yield dlt.resource(read, name=f"replay_{name}", table_name=name)(stream, rows)

    if waiting:
        warehouse.load(system.name, replays)
    return outcome
