"""The first staging models of a database: of each table that has landed the current rows, in the house's types, and
what the catalog promises of them (keys, foreign keys) as tests. The SQL is formatted as sqlfmt would."""

import dataclasses
import functools
import re
import textwrap
from collections.abc import Iterable
from typing import Any

import duckdb

from ingestion.contract import Field
from ingestion.mysql import MySQL
from ingestion.sql import Column, Engine, Table
from ingestion.sqlite import SQLite
from ingestion.stream import Stream

LINE_LENGTH = 88
"""sqlfmt's."""

WHOLE = "a whole number"

PLACES = {"VARCHAR": 1, "UUID": 1, "BLOB": 1, "BOOLEAN": 3, "DATE": 4, "TIMESTAMP": 5, "TIMESTAMP WITH TIME ZONE": 5}
"""The order of the house: ids, text, numbers, booleans, dates, timestamps."""

READ_OTHERWISE = {
    *("interval", "dayofweek", "weekday", "timestamptz", "current_date", "current_time", "current_timestamp"),
    *("minus", "recursive", "values"),
}
"""Names that sqlfmt, or the lint of portable SQL, takes for something else."""


@dataclasses.dataclass(frozen=True)
class Landed:
    """A stream as its raw table has it, and the table in the catalog."""

    stream: Stream
    table: Table

    @functools.cached_property
    def columns(self) -> dict[Field, Column]:
        """The fields that come from a column of the table, which those that it has no longer do not, and the column."""
        aliases = self.table.aliases()
        return {field: aliases[field.source] for field in self.stream.contract.fields if field.source}

    def field(self, column: str) -> Field | None:
        """What a column of the table has landed as."""
        return next((field for field, found in self.columns.items() if found.name == column), None)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A foreign key to another landed table; `is_kept`: no row can lack its parent here."""

    field: Field
    parent: Landed
    parent_field: Field
    is_kept: bool


@dataclasses.dataclass(frozen=True)
class Selected:
    """A column of a model: `lines` of SQL select it, `field` is what it comes from, unless all models have it."""

    name: str
    lines: list[str]
    description: str
    field: Field | None = None
    place: int = 0


@dataclasses.dataclass(frozen=True)
class Model:
    """A staging model. `references` are the tests of it that read other models."""

    name: str
    sql: str
    landed: Landed
    columns: list[Selected]
    references: list[Reference]


def first_models(system: str, engine: Engine, all_landed: list[Landed]) -> list[Model]:
    """The staging models of a database's tables."""
    references = {each.stream.name: _references(engine, each, all_landed) for each in all_landed}
    joined = {(each.stream.name, r.field.name) for each in all_landed for r in references[each.stream.name]}
    joined |= {(r.parent.stream.name, r.parent_field.name) for found in references.values() for r in found}
    models = []
    for landed in all_landed:
        stream = landed.stream.name
        columns = _columns(landed, {column for table, column in joined if table == stream})
        sql = _sql(system, landed.stream, columns)
        models.append(Model(f"stg_{system}__{stream}", sql, landed, columns, references[stream]))
    return models


def entry(model: Model, models: Iterable[Model]) -> dict[str, Any]:
    """The model's entry in the YAML: its grain, its columns and their tests, of those that read no models but these."""
    contract = model.landed.stream.contract
    staged = {column.field: column.name for column in model.columns}
    key = [staged[field] for field in contract.key] or ["row_key"]
    grain = f"one row per {' and '.join(key)} that the database still has."
    if not contract.key:
        grain = (
            "one row per row of the table. It has no key, so none of its columns is tested to be unique; row_key tells "
            "rows apart."
        )
    tests: dict[str, list] = {staged[field]: ["not_null"] for field in contract.key}
    for reference in model.references:
        for parent in models:
            if parent.landed is not reference.parent:
                continue
            (field,) = (column.name for column in parent.columns if column.field == reference.parent_field)
            test: dict[str, Any] = {"arguments": {"to": f"ref('{parent.name}')", "field": field}}
            if not reference.is_kept:
                test["config"] = {"severity": "warn"}
            tests.setdefault(staged[reference.field], []).append({"relationships": test})
    columns = [
        {
            "name": column.name,
            "description": column.description,
            **({"data_tests": tests[column.name]} if column.name in tests else {}),
        }
        for column in model.columns
    ]
    return {
        "name": model.name,
        "description": f"{contract.description.rstrip('. ')}. Grain: {grain}",
        "data_tests": [{"unique_grain": {"arguments": {"columns": key}}}],
        "columns": columns,
    }


def _references(engine: Engine, child: Landed, all_landed: list[Landed]) -> list[Reference]:
    by_table = {(landed.table.schema, landed.table.name): landed for landed in all_landed}
    found = {}
    for column, schema, table, parent_column in child.table.references:
        field, parent = child.field(column), by_table.get((schema, table))
        parent_field = parent and parent.field(parent_column)
        if not field or not parent_field or _staged_type(field) != _staged_type(parent_field):
            continue
        # Texts may be equal there and differ here, by case or by blanks at their end.
        declared = child.columns[field].declared
        is_exact = field.type != "VARCHAR" or not (isinstance(engine, MySQL) or declared.startswith(("citext", "char")))
        sees_all = not child.table.note and not parent.table.note
        is_kept = is_exact and sees_all and not isinstance(engine, SQLite)  # which keeps them only if told to
        found[field, parent.stream.name, parent_field] = Reference(field, parent, parent_field, is_kept)
    return list(found.values())


def _staged_type(field: Field) -> str:
    if field.type == "UUID":
        return "VARCHAR"
    return WHOLE if field.type == "BIGINT" or re.fullmatch(r"DECIMAL\(\d+,0\)", field.type) else field.type


def _columns(landed: Landed, joined: set[str]) -> list[Selected]:
    """What a model selects; `joined` are the columns that foreign keys join."""
    key = landed.stream.contract.key
    taken = {*_reserved(), "observed_at", "load_id", *([] if key else ["row_key"])}
    # A name that is free is given first: it stays as it is, whatever the others become.
    names = {field: _free(field.name, taken) for field in sorted(landed.columns, key=lambda f: f.name in taken)}
    columns = []
    for field, column in landed.columns.items():
        is_id = key == [field] or field.name in joined or bool(re.search("(^|_)id$", field.name))
        columns.append(_selected(field, column.declared, names[field], is_id))
    columns.sort(key=lambda column: (column.place, not column.field.key))
    if not key:
        description = "Tells the row from others: a hash of its columns, and a number where rows are equal."
        columns.insert(0, Selected("row_key", ["_key as row_key"], description))
    return [
        *columns,
        Selected("observed_at", ["cast(_observed_at as timestamp) as observed_at"], "When we read the row (UTC)."),
        Selected("load_id", ["_dlt_load_id as load_id"], "The load that brought the row."),
    ]


def _selected(field: Field, declared: str, name: str, is_id: bool) -> Selected:
    """House types: an id that is a whole number and a UUID are texts, a time is one in UTC; all else is as in raw."""
    column = f'{{{{ adapter.quote("{field.name}") }}}}' if field.name in _reserved() else field.name
    lines, place = [column if column == name else f"{column} as {name}"], PLACES.get(field.type, 2)
    if is_id and _staged_type(field) in (WHOLE, "VARCHAR"):
        place = 0
    if field.type == "UUID" or (is_id and _staged_type(field) == WHOLE):
        lines = _cast(column, "string", name)
    elif field.type == "TIMESTAMP WITH TIME ZONE":
        lines = _cast(column, "timestamp", name)
    elif field.type == "VARCHAR" and re.fullmatch(r"(numeric|decimal)(\(.*\))?", declared):
        lines.insert(0, f"-- {declared}, as text so that no digit is lost. To compute with it,")
        lines.insert(1, f'-- {{{{ dbt.safe_cast("{field.name}", "decimal(38, 9)") }}}}')
    return Selected(name, lines, field.description.strip() or field.name, field, place)


def _free(name: str, taken: set[str]) -> str:
    """The name, with a _ at its end where it is taken already; now it is."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


@functools.cache
def _reserved() -> frozenset[str]:
    """What can't be the name of a column without quotes."""
    query = "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')"
    with duckdb.connect() as connection:
        return frozenset(word for (word,) in connection.execute(query).fetchall()) | READ_OTHERWISE


def _cast(column: str, data_type: str, name: str) -> list[str]:
    """cast(column as data_type) as name, in the lines that it takes in a select."""
    line = f"cast({column} as {data_type}) as {name}"
    if len(line) <= LINE_LENGTH - 13:
        return [line]
    inner = [f"    {column} as {data_type}"]
    if len(inner[0]) > LINE_LENGTH - 12:
        inner = [f"    {column}", f"    as {data_type}"]
    end = [f") as {name}"] if len(name) <= LINE_LENGTH - 18 else [")", f"as {name}"]
    return ["cast(", *inner, *end]


def _sql(system: str, stream: Stream, columns: list[Selected]) -> str:
    table = _free(stream.name, {*_reserved(), "final_cte"})
    selected = ",\n".join("\n".join(column.lines) for column in columns)
    on_one_line = selected.replace(",\n", ", ")
    if "\n" not in on_one_line and len(on_one_line) <= LINE_LENGTH - 12:
        selected = on_one_line
    source = f"from {table}" if len(table) <= LINE_LENGTH - 13 else f"from\n    {table}"
    return f"""with
{_indent(_import(table, system, stream), 4)}
    final_cte as (
        select
{_indent(selected, 12)}
{_indent(source, 8)}
    )

select *
from final_cte
"""


def _import(table: str, system: str, stream: Stream) -> str:
    macro, stream = f"current_{type(stream.kind).__name__.lower()}", stream.name
    call = f'{macro}(source("{system}", "{stream}"))'
    if len(line := f"{table} as ({{{{ {call} }}}}),") <= LINE_LENGTH - 4:
        return line
    opening = f"{table} as (" if len(table) <= LINE_LENGTH - 9 else f"{table}\nas ("
    if len(call) <= LINE_LENGTH - 14:
        return f"{opening}\n    {{{{ {call} }}}}\n),"
    source = f'source("{system}", "{stream}")'
    if len(source) > LINE_LENGTH - 18:
        arguments = f'"{system}", "{stream}"'
        if len(arguments) > LINE_LENGTH - 22:
            arguments = f'"{system}",\n"{stream}",'
        source = f"source(\n{_indent(arguments, 4)}\n)"
    call = f"{macro}(\n{_indent(source, 4)}\n)"
    return f"{opening}\n    {{{{\n{_indent(call, 8)}\n    }}}}\n),"


def _indent(text: str, width: int) -> str:
    return textwrap.indent(text, " " * width)
