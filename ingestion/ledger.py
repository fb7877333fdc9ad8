"""The tables beside a system's streams: the load ledger and the rejected rows, and raw's rows in Arrow."""

import functools
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dlt
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.stream import TIME, Run, Stream

LEDGER = [
    ("run_id", "VARCHAR", "The run of the command line that read the stream."),
    ("stream", "VARCHAR", "The stream."),
    ("kind", "VARCHAR", "state, event, snapshot or log."),
    ("status", "VARCHAR", "complete, failed, or replayed (rejected rows validated again)."),
    ("error", "VARCHAR", "What failed and what to do about it."),
    ("rows_read", "BIGINT", "Rows that the source gave: loaded + unchanged + rejected."),
    ("rows_loaded", "BIGINT", "Rows appended to raw."),
    ("rows_unchanged", "BIGINT", "Rows that raw already had, not appended again."),
    ("rows_rejected", "BIGINT", "Rows that did not fit the contract, kept in rejected_rows."),
    ("rows_marked_gone", "BIGINT", "Keys that the source no longer has."),
    ("unknown_fields", "VARCHAR", "JSON array of fields seen that the contract does not know."),
    ("notes", "VARCHAR", "JSON array of what a person should know: schema changes taken up, columns landed as text."),
    ("cursor_from", TIME, "Lower bound of what was read; null = from the beginning."),
    ("cursor_to", TIME, "Upper bound of what was read."),
    ("started_at", TIME, "When reading began (UTC)."),
    ("finished_at", TIME, "When reading ended (UTC)."),
    ("_dlt_load_id", "VARCHAR", "The load that delivered the row."),
]

REJECTED_ROWS = [
    (
        "rejected_id",
        "VARCHAR",
        "md5 of stream, position and original: the same row each time it is rejected.",
    ),
    ("run_id", "VARCHAR", "The run that rejected it."),
    ("stream", "VARCHAR", "The stream."),
    ("position", "VARCHAR", "Where the source had it: file and line, page and item."),
    ("reason", "VARCHAR", "What does not fit, field by field."),
    ("original", "VARCHAR", "The row as read, as JSON or as the raw line."),
    ("is_replayed", "BOOLEAN", "True where a replay has loaded it since."),
    ("observed_at", TIME, "When the request that read it began (UTC)."),
    ("_dlt_load_id", "VARCHAR", "The load that delivered the row."),
]


LEDGER_TABLES = {"load_ledger": LEDGER, "rejected_rows": REJECTED_ROWS}
"""The tables beside a system's streams, in its own raw schema."""


_engine = functools.cache(contracts.engine)


@functools.cache
def arrow_schema(columns: tuple[tuple[str, str, str], ...]) -> pa.Schema:
    """The Arrow schema of raw columns given as (name, DuckDB type, description)."""
    nulls = ", ".join(f'cast(null as {sql_type}) as "{name}"' for name, sql_type, _ in columns)
    return _engine().cursor().sql(f"select {nulls}").to_arrow_table().schema


def conform(columns: list[tuple[str, str, str]], table: pa.Table, **constants: Any) -> pa.Table:
    """`table` with exactly these columns, in order and type; missing ones constant or null.

    Within a running extraction, whose load it is stamped with: dlt itself would rewrite imported files to do that.
    """
    schema, arrays = arrow_schema(tuple(columns)), []
    constants["_dlt_load_id"] = dlt.current.load_package_state()["load_id"]
    for column in schema:
        if column.name in table.column_names:
            arrays.append(table[column.name].cast(column.type))
        else:
            constant = pa.scalar(constants.get(column.name), column.type)
            arrays.append(pa.repeat(constant, table.num_rows))
    return pa.table(arrays, schema=schema)


def _beside(table_name: str, table: pa.Table) -> Any:
    """An item that dlt lands in a table beside the stream's own, in the same load package."""
    return dlt.mark.with_hints(table, dlt.mark.make_hints(table_name=table_name), create_table_variant=True)


def ledger_row(stream: Stream, run: Run, counts: Mapping[str, int], **values: Any) -> Any:
    """The ledger's row for one reading of a stream; `values` as in LEDGER."""
    row = {
        "run_id": run.run_id,
        "stream": stream.name,
        "kind": type(stream.kind).__name__.lower(),
        "finished_at": datetime.now(UTC),
        **{f"rows_{name}": counts.get(name, 0) for name in ("read", "loaded", "unchanged", "rejected", "marked_gone")},
        **values,
    }
    return _beside("load_ledger", conform(LEDGER, pa.Table.from_pylist([row])))


def rejected_rows(
    stream: Stream,
    run: Run,
    rejected: pa.Table,
    observed_at: datetime | None = None,
    *,
    is_replayed: bool = False,
) -> Any:
    """Rows for rejected_rows from (position, reason, original), with the id by which each is known again.

    `observed_at` is for those that do not carry it.
    """
    ids = [
        hashlib.md5("\x1f".join([stream.name, row["position"] or "", row["original"]]).encode()).hexdigest()
        for row in rejected.select(["position", "original"]).to_pylist()
    ]
    identified = rejected.append_column("rejected_id", pa.array(ids, pa.string()))
    constants = {
        "run_id": run.run_id,
        "stream": stream.name,
        "is_replayed": is_replayed,
        "observed_at": observed_at,
    }
    return _beside("rejected_rows", conform(REJECTED_ROWS, identified, **constants))
