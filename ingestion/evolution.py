"""What happens to a raw table when its source's table has changed: everything is taken up, nothing in silence."""

import dataclasses
import re

from ingestion.contract import VERSION
from ingestion.stream import Log, Stream

GONE = "No longer in the source. "


def adapt(stream: Stream, existing: dict[str, tuple[str, str]]) -> tuple[Stream, list[tuple[str, str]], list[str]]:
    """Fits a stream to its raw table, whose columns are `existing`: name -> (type, comment).

    Returns the stream with types that hold old and new values alike, the raw columns that have to be widened to
    (name, type), and the columns that the source has no longer, which stay and get nulls.
    """
    fields, widened, notes = [], [], [*stream.notes]
    for field in stream.contract.fields:
        raw_type, comment = existing.get(field.name, (None, ""))
        if raw_type is None:
            notes.append(f"new column {field.name} ({field.type})")
            notes += [field.note] if field.note else []
        elif comment.startswith(GONE):
            notes.append(f"column {field.name} is in the source again")
        if raw_type and raw_type != field.type:
            common = common_type(raw_type, field.type)
            if common != raw_type:
                widened.append((field.name, common))
                notes.append(f"column {field.name} was {raw_type} and is {field.type} now: raw has it as {common}")
            field = dataclasses.replace(field, type=common)
        fields.append(field)
    if isinstance(stream.kind, Log) and existing.get(VERSION, ("VARCHAR",))[0] != "VARCHAR":
        widened.append((VERSION, "VARCHAR"))
        notes.append("its changes are captured from now on; models of it need the macro current_log")
    present = {name for name, _, _ in stream.columns}
    dropped = [n for n, (_, comment) in existing.items() if n not in present and not comment.startswith(GONE)]
    notes += [f"column {name} is no longer in the source: null from now on" for name in dropped]
    contract = dataclasses.replace(stream.contract, fields=tuple(fields))
    return dataclasses.replace(stream, contract=contract, notes=tuple(notes)), widened, dropped


def common_type(one: str, other: str) -> str:
    """The narrowest of our types that holds every value of both."""
    if one == other:
        return one
    if all(map(_digits, (one, other))):
        (whole, scale), (other_whole, other_scale) = _digits(one), _digits(other)
        whole, scale = max(whole, other_whole), max(scale, other_scale)
        return f"DECIMAL({whole + scale},{scale})" if whole + scale <= 38 else "VARCHAR"
    if {one, other} == {"FLOAT", "DOUBLE"}:
        return "DOUBLE"
    if {one, other} == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    return "VARCHAR"


def _digits(sql_type: str) -> tuple[int, int] | None:
    """Digits before and after the point, of an exact number."""
    if sql_type == "BIGINT":
        return 19, 0
    if match := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", sql_type):
        return int(match[1]) - int(match[2]), int(match[2])
    return None
