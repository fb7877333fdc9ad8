"""What is asked of a table, at the source and in raw, in the SQL of either.

A column is measured by its kind, which follows from the type that the source declares, not from how it landed:
int, decimal, float, bool, date, time, text, blob.
"""

import dataclasses
import math

CHANGED_ROWS = 50
"""So many rows of a table at most are inserted, updated and deleted each."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a source: `reads` is the engine's SQL for its value, `{}` standing for the column."""

    name: str
    declared: str
    kind: str
    reads: str = "{}"
    is_generated: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a source; `key` may be empty, `unique` names the columns that have to differ between rows."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    unique: frozenset[str] = frozenset()
    is_partitioned: bool = False

    @property
    def changeable(self) -> list[Column]:
        """Columns whose values may be those of another row."""
        kinds = ("text", "int", "decimal", "float", "date", "time")
        return [c for c in self.columns if c.kind in kinds and not c.is_generated and c.name not in self.unique]


SHOWN_CHARACTERS = 200
"""So many of the least and greatest texts are compared; their checksum covers all."""

Measures = dict[str, object]
"""Of one table: (measure, or column and measure) -> int, Decimal, float, str or None."""


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How an engine says what is measured; `{}` stands for a value."""

    text: str
    characters: str
    bytes: str
    digest: str
    """32 bits of the md5 of a text or blob."""
    micros: str
    """Microseconds since 1970 of a time; null where it is infinite or none."""
    days: str
    """Days since 1970 of a date, likewise."""
    finite: str
    """A float, null where it is infinite or no number."""
    number: str
    """A decimal, null where it is no number."""
    digits: str
    """A decimal as text, with a digit before the point."""
    least: str = "min({})"
    greatest: str = "max({})"
    plus: str = " || "
    """Between texts that are one text."""


DUCKDB = Dialect(
    text="cast({} as varchar)",
    characters="length({})",
    bytes="strlen({})",
    digest="cast('0x' || md5({})[1:8] as bigint)",
    micros="case when isfinite({0}) then epoch_us({0}) end",
    days="case when isfinite({0}) then date_diff('day', date '1970-01-01', {0}) end",
    finite="case when isfinite({0}) then cast({0} as double) end",
    number="{}",
    digits=r"regexp_replace(cast({} as varchar), '^(-?)\.', '\10.')",
)


def measures(dialect: Dialect, columns: list[tuple[Column, str, str]]) -> dict[str, str]:
    """What to ask of a table, by name: SQL of aggregates. `columns`: (column, its value, and a count of its values)."""
    asked, row = {"rows": "count(*)"}, []
    for column, value, count in columns:
        found = {"count": count}
        if column.kind in ("int", "decimal"):
            number = dialect.number.format(value) if column.kind == "decimal" else value
            found |= {"distinct": f"count(distinct {number})", "sum": f"sum({number})"}
            found |= {"least": f"min({number})", "greatest": f"max({number})"}
            row.append(dialect.digits.format(number))
        elif column.kind == "float":
            number = dialect.finite.format(value)
            found |= {"finite": f"count({number})", "distinct": f"count(distinct {number})"}
            found |= {"least": f"min({number})", "greatest": f"max({number})"}
            found |= {"sum": f"sum({number})", "weight": f"sum(abs({number}))"}
        elif column.kind == "bool":
            found |= {"true": f"count(case when {value} then 1 end)"}
            row.append(f"case when {value} then '1' when not {value} then '0' end")
        elif column.kind in ("date", "time"):
            moment = (dialect.days if column.kind == "date" else dialect.micros).format(value)
            found |= {"finite": f"count({moment})", "distinct": f"count(distinct {moment})", "sum": f"sum({moment})"}
            found |= {"least": f"min({moment})", "greatest": f"max({moment})"}
            row.append(dialect.text.format(f"({moment})"))
        elif column.kind == "text":
            text = dialect.text.format(value)
            start = f"left({text}, {SHOWN_CHARACTERS})"
            found |= {"least": dialect.least.format(start), "greatest": dialect.greatest.format(start)}
            found |= {"characters": f"sum({dialect.characters.format(text)})"}
            found |= {"bytes": f"sum({dialect.bytes.format(text)})", "digest": f"sum({dialect.digest.format(text)})"}
            found |= {"distinct": f"count(distinct {dialect.digest.format(text)})"}
            row.append(text)
        else:
            digest = dialect.digest.format(value)
            length = dialect.bytes if dialect is not DUCKDB else "octet_length({})"
            found |= {"bytes": f"sum({length.format(value)})", "digest": f"sum({digest})"}
            row.append(dialect.text.format(digest))
        asked |= {f"{column.name}: {name}": question for name, question in found.items()}
    if row:
        texts = (f"case when {text} is null then 'null,' else concat('=', {text}, ',') end" for text in row)
        asked["digest of rows"] = f"sum({dialect.digest.format(f'concat({dialect.plus.join(texts)})')})"
    return asked


def differences(source: Measures, raw: Measures) -> list[str]:
    """What raw has that the source has not; sums of floats may differ as their order does."""
    found = []
    for name, theirs in source.items():
        ours = raw.get(name)
        if isinstance(theirs, float) and isinstance(ours, float) and name.endswith(("sum", "weight")):
            weight = abs(source[name.rpartition(":")[0] + ": weight"])
            if math.isclose(theirs, ours, rel_tol=0, abs_tol=1e-12 * weight):
                continue
        if (theirs or 0) != (ours or 0):
            found.append(f"{name} is {_short(theirs)} in the source, {_short(ours)} in raw")
    return found


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def quoted(*names: str) -> str:
    """A name in standard SQL, of several parts."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def share(count: int) -> int:
    """How many rows of so many are changed."""
    return min(CHANGED_ROWS, math.ceil(count / 5))
