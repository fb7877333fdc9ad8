"""Rejected rows, validated again with today's contract; those that fit now are loaded as first observed."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.ledger import conform, ledger_row, rejected_rows
from ingestion.stream import Run, Snapshot, Stream
from ingestion.systems import System
from ingestion.warehouse import Warehouse

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
        objects = [_object(row["original"]) for row in rows]
        rows = [row for row, value in zip(rows, objects, strict=True) if value is not None]
        counts.update(read=len(objects), rejected=len(objects) - len(rows))
        page = contracts.Items([value for value in objects if value is not None], [row["position"] for row in rows])
        observed_at = pa.array([row["observed_at"] for row in rows], pa.timestamp("us", "UTC"))
        typed = contracts.apply(db, stream.contract, page, observed_at)
        counts.update(loaded=typed.accepted.num_rows, rejected=typed.rejected.num_rows)
        if typed.accepted.num_rows:
            yield conform(stream.columns, typed.accepted)
            replayed = [row for number, row in enumerate(rows) if number not in typed.rejected_numbers]
            yield rejected_rows(stream, run, pa.Table.from_pylist(replayed), is_replayed=True)
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


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text, parse_float=Decimal)
    except ValueError:
        return None  # a line as it was read
    return value if isinstance(value, dict) else None
