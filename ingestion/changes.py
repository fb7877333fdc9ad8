"""What a Log's changes lack, in the destination's own DuckDB: values that were not sent again, and the rows that a
TRUNCATE took away."""

from collections.abc import Iterable
from datetime import datetime

import duckdb
import pyarrow as pa

from ingestion.contract import (
    FAULT,
    MARK,
    MOVED,
    OBSERVED_AT,
    UNCHANGED,
    VERSION,
    Contract,
    literal,
    quote,
    registered,
    with_key,
)

NOT_KNOWN = "the value of {} was too large to be sent again, and the version before is not known"


def complete(db: duckdb.DuckDBPyConnection, raw: str, contract: Contract, changes: str, types: dict[str, str]) -> str:
    """Fills in the columns of `changes` (SQL in parentheses) that were not sent again, each with the value of the
    version before, among the changes or in `raw`; returns SQL for all changes, with FAULT where there is none.
    """
    names = db.execute(f"select distinct unnest({UNCHANGED}) as name from {changes} order by name").fetchall()
    by_source = {f.source: f for f in contract.fields}
    columns = [by_source[name] for (name,) in names if name in by_source]
    if not columns:
        return f"(select *, cast(null as varchar) as {FAULT} from {changes})"
    db.execute(f"create or replace temp table changes as {with_key(contract, changes, types)}")
    db.execute(f"""
        create or replace temp table lacking as
        select lacking._key, lacking.{VERSION}, lacking.{UNCHANGED}, lacking.{MOVED},
            coalesce(moved._key, lacking._key) as _before_key
        from changes as lacking left join (from changes where {MARK} is not null) as moved
            on lacking.{MOVED} and lacking.{VERSION} = moved.{VERSION}
        where len(lacking.{UNCHANGED}) > 0
    """)
    values = ", ".join(f"{quote(f.name)} := {quote(f.name)}" for f in columns)
    db.execute(f"""
        create or replace temp table landed as
        select _key, coalesce(max({VERSION}), '') as {VERSION},
            max_by(struct_pack({values}), {{'v': {VERSION}, 'o': _observed_at}}) as _values
        from {raw} where {MARK} is null and _key in (select _before_key from lacking) group by _key
    """)
    filled = []
    for number, f in enumerate(columns):
        _fill(db, f"filled_{number}", f.source, f"_values.{quote(f.name)}")
        filled.append((f.source, f"filled_{number}"))
    joins = " ".join(
        f"left join {table} on changes.{MARK} is null and changes.{VERSION} = {table}.{VERSION}" for _, table in filled
    )
    replaced = ", ".join(
        f"case when list_contains({UNCHANGED}, {literal(name)}) then {table}._value[1] else changes.{quote(name)} end "
        f"as {quote(name)}"
        for name, table in filled
    )
    faults = " ".join(
        f"when list_contains({UNCHANGED}, {literal(name)}) and {table}._value is null "
        f"then {literal(NOT_KNOWN.format(name))}"
        for name, table in filled
    )
    return f"""(
        select changes.* exclude (_key) replace ({replaced}), case {faults} end as {FAULT} from changes {joins}
    )"""


def _fill(db: duckdb.DuckDBPyConnection, table: str, name: str, landed: str) -> None:
    """Makes a table of version and value (in a list, since null is one) for the rows that lack the column `name`."""
    column, is_lacking = quote(name), f"list_contains({UNCHANGED}, {literal(name)})"
    db.execute(f"""
        create or replace temp table {table} as
        select _key, {VERSION}, [{column}] as _value from changes where {MARK} is null and not {is_lacking}
        union all select _key, {VERSION}, [{landed}] from landed
    """)
    before = "asof left join {} as found on lacking._before_key = found._key and lacking.{v} > found.{v}"
    # A row that moved to another key waits for those that moved to its old one before.
    while True:
        waiting = (
            f"(select _key, _before_key, {VERSION} from lacking where {MOVED} and {is_lacking} "
            f"and {VERSION} not in (select {VERSION} from {table}))"
        )
        candidates = (
            f"(select _key, {VERSION}, _value from {table} union all "
            f"select _key, {VERSION}, null as _value from {waiting})"
        )
        moved = db.execute(f"""
            insert into {table}
            select lacking._key, lacking.{VERSION}, found._value
            from {waiting} as lacking {before.format(candidates, v=VERSION)} where found._value is not null
        """).fetchall()
        if moved == [(0,)]:
            break
    db.execute(f"""
        insert into {table}
        select lacking._key, lacking.{VERSION}, found._value
        from (from lacking where not {MOVED} and {is_lacking}) as lacking
        {before.format(table, v=VERSION)} where found._value is not null
    """)


def truncated_keys(
    db: duckdb.DuckDBPyConnection, known: str, changes: str, moments: Iterable[tuple[str, datetime]]
) -> str:
    """SQL for a gone mark for every key that was there when all rows went: `_key`, `_version`, `_observed_at`,
    `_mark`.

    `known` and `changes` are SQL for `_key` and `_version` of rows that were there.
    """
    rows = [{VERSION: version, OBSERVED_AT: moment} for version, moment in moments]
    schema = pa.schema([(VERSION, pa.string()), (OBSERVED_AT, pa.timestamp("us", "UTC"))])
    with registered(db, moments=pa.Table.from_pylist(rows, schema)):
        db.execute("create or replace temp table truncated as from moments")
    return f"""
        select distinct present._key, truncated.{VERSION}, truncated.{OBSERVED_AT}, 'gone' as {MARK}
        from (from {known} union all from {changes}) as present
        asof join truncated on present.{VERSION} < truncated.{VERSION}
    """
