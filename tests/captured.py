"""What change capture has landed of a table, and what the table itself and the workload's audit say it has to be."""

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import jinja2

from ingestion.stream import Log, Stream
from ingestion.systems import all_systems

Query = Callable[..., list[tuple]]
"""Runs SQL; returns rows."""

HOW_IT_CAME = {"_key", "_version", "_mark", "_position", "_observed_at", "_dlt_load_id"}
"""Columns of raw that differ, by how a row came: the log may tell rows apart by another key than the primary one."""

COMPARED = ("smallint", "integer", "bigint", "text", "character varying", "boolean", "uuid", "USER-DEFINED")
"""Types whose values are the same in the database's JSON and in raw, but for composite ones."""


def logs(system: str) -> list[Stream]:
    """The streams of a database whose changes are captured."""
    found = all_systems()[system]
    try:
        return [stream for stream in found.streams if isinstance(stream.kind, Log)]
    finally:
        found.connect().close()


def current_log(table: str, columns: str) -> str:
    """SQL for what the macro current_log gives."""
    return f"""
        select {columns} from (
            from {table}
            qualify row_number() over (
                partition by _key order by _version desc nulls last, _observed_at desc, _row_hash desc
            ) = 1
        ) where _mark is null order by _key
    """


def assert_equal(query: Query, table: str, is_current: str) -> None:
    """Asserts that a table of `erp` is what `twin` has read in full; `is_current` is SQL for what twin has now, where
    {} stands for the columns."""
    ours, theirs = (columns(query, schema, table) for schema in ("raw_erp", "raw_twin"))
    # A generated column is not captured; then hashes can't be compared.
    names = [name for name in theirs if name in ours and (ours == theirs or name != "_row_hash")]
    # Raw's columns are as wide as all that they ever were.
    casts = ", ".join(f'cast("{name}" as {ours[name]}) as "{name}"' for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    expected, found = query(is_current.format(casts)), query(current_log(f"raw_erp.{table}", listed))
    assert len(found) == len(expected), table
    for one, other in zip(sorted(map(repr, found)), sorted(map(repr, expected)), strict=True):  # NaN is not NaN
        assert one == other, (table, names)


def columns(query: Query, schema: str, table: str) -> dict[str, str]:
    """Name -> type of a raw table's columns, but for those that tell how a row came."""
    statement = (
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ? order by 1"
    )
    return {name: kind for name, kind in query(statement, schema, table) if name not in HOW_IT_CAME}


def assert_every_version(query: Query, execute: Query, streams: list[Stream]) -> int:
    """Asserts that raw has every version that a row ever had, once and in order; returns how many there are.

    `query` asks the warehouse, `execute` the database, which was audited from the first version in raw on.
    """
    total = 0
    for stream in streams:
        names = [
            name
            for name, kind, type_name in execute(
                "select column_name, data_type, udt_name from information_schema.columns where table_name = %s "
                "order by column_name",
                stream.name,
            )
            if kind in COMPARED and type_name != "address"
        ]
        found, expected = captured(query, stream, names), audited(execute, stream, names)
        assert found.keys() == expected.keys(), stream.name
        for key, images in expected.items():
            assert found[key] == images, (stream.name, key, found[key], images)
            total += len(images)
    return total


def log_versions(table: str) -> str:
    """SQL for what the macro log_versions gives."""
    macro = (Path(__file__).parents[1] / "macros/log_versions.sql").read_text()
    return jinja2.Environment().from_string(macro + "{{ log_versions(table) }}").render(table=table)


def assert_half_open_history(query: Query, execute: Query, stream: Stream) -> int:
    """Asserts that a table's intervals are the rows that the audit has when a transaction was over, each until the
    next one, and that the open ones are current; returns how many there are."""
    rows = query(f"""
        select _key, _valid_from, _valid_to, _row_hash from ({log_versions(f"raw_erp.{stream.name}")})
        order by _key, _valid_from
    """)
    found: dict[str, list[bool]] = {}  # whether there is a gap before an interval
    last: dict[str, datetime] = {}
    for key, begin, end, _ in rows:
        assert end is None or begin < end, (stream.name, key)
        assert key not in last or last[key] <= begin, (stream.name, key)
        found.setdefault(key, []).append(last.get(key) != begin)
        last[key] = end or datetime.max.replace(tzinfo=UTC)
    expected = {key: images for key, images in audited_when_over(execute, stream).items() if images}
    assert found == expected, stream.name
    is_open = sorted((key, row_hash) for key, _, end, row_hash in rows if end is None)
    assert is_open == sorted(query(current_log(f"raw_erp.{stream.name}", "_key, _row_hash"))), stream.name
    return len(rows)


def audited_when_over(execute: Query, stream: Stream) -> dict[str, list[bool]]:
    """Key -> for every row that was there when a transaction was over, and another than before: whether there was none
    before."""
    ended: dict[str, list] = {}
    for key, events in audit(execute, stream).items():
        images = [list(group)[-1][1] for _, group in itertools.groupby(events, lambda event: event[0])]
        ended[key] = [
            before is None
            for before, image in itertools.pairwise([None, *images])
            if image is not None and image != before
        ]
    return ended


def captured(query: Query, stream: Stream, names: list[str]) -> dict[str, list]:
    """Key -> images in order, None for none."""
    members = ", ".join(f'"{name}" := "{name}"' for name in names)
    found: dict[str, list] = {}
    # A later snapshot may see a change before its turn in the log: it has to be the same row as that has, then.
    for key, is_there, image in query(f"""
        select _key, _mark is null, cast(to_json(struct_pack({members})) as varchar)
        from (select distinct on (_key, _version) * from raw_erp.{stream.name})
        qualify not (_version like '%-00000000'
            and coalesce(_row_hash = lag(_row_hash) over (partition by _key order by _version), false))
        order by _key, _version
    """):
        found.setdefault(key, []).append(json.loads(image) if is_there else None)
    return {key: collapsed(images) for key, images in found.items()}


def audited(execute: Query, stream: Stream, names: list[str]) -> dict[str, list]:
    """The same of the audit."""
    return {
        key: collapsed([row and {name: row[name] for name in names} for _, row in events])
        for key, events in audit(execute, stream).items()
    }


def audit(execute: Query, stream: Stream) -> dict[str, list[tuple]]:
    """Key -> (transaction, row or None) in order."""
    found: dict[str, list[tuple]] = {}
    statement = "select txid::text, kind, key, row from workload_audit where table_name = %s order by n"
    for transaction, kind, key, row in execute(statement, stream.name):
        if kind == "truncate":
            for events in found.values():
                events.append((transaction, None))
            continue
        texts = [str(key[field.name]) for field in stream.contract.key]
        text = texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
        found.setdefault(text, []).append((transaction, row))
    return found


def collapsed(images: list) -> list:
    """What is not there, at first or any more, is not gone once more."""
    return [image for before, image in itertools.pairwise([None, *images]) if before is not None or image is not None]
