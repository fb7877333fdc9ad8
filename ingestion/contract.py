"""A stream's contract: declared, documented fields that turn loosely typed rows into typed Arrow rows.

DuckDB is the typing engine: one SQL statement per page casts every declared field, so a page with bad rows
costs no more than a clean one. A row that does not fit is returned as rejected, with reason, position and
original; a field that the contract does not know is kept as JSON in `_unknown_fields`.
"""

import contextlib
import dataclasses
import json
import types
import typing
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import duckdb
import pyarrow as pa

from ingestion.errors import SourceError

Money = Annotated[Decimal, "DECIMAL(18,4)"]
Rate = Annotated[Decimal, "DECIMAL(28,12)"]

ITEM = "_item"
"""A page of JSON objects is a table of this one text column (and `_position`)."""

UNFIT = "_unfit"
"""A database's rows may have this column: a JSON object of values that no column of ours can hold, else null."""

OWN_COLUMNS = (ITEM, "_position", UNFIT)
"""Names that a page's other columns can't have."""

_NUMBERS = ("int", "uint", "halffloat", "float", "double", "decimal", "bigint", "smallint", "ubigint", "hugeint")

_TYPES = {
    int: "BIGINT",
    float: "DOUBLE",
    str: "VARCHAR",
    bool: "BOOLEAN",
    date: "DATE",
    datetime: "TIMESTAMP WITH TIME ZONE",
}

# DuckDB's casts are lenient ('2024-01-01 junk' is a date, 1.7 an integer); a text must look like its type
# before it is cast, so that no digit and no word is lost in silence.
_FLOAT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity|NaN|Inf|Infinity)"
_LOOKS_LIKE = {
    "BIGINT": r"[+-]?\d+",
    "DOUBLE": _FLOAT,
    "FLOAT": _FLOAT,
    "BOOLEAN": r"(?i)true|false|t|f|yes|no|1|0",
    "DATE": r"\d{4}-\d{2}-\d{2}",
    "TIMESTAMP": r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?",
    "TIMESTAMP WITH TIME ZONE": r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One declared column: its name and DuckDB type in raw, and where and how the source has it."""

    description: str
    name: str = ""
    type: str = "VARCHAR"
    nullable: bool = False
    key: bool = False
    version: bool = False
    enrich: str = ""
    """Method of `ingestion.enrichments` that is run over its values."""
    source: str = ""
    """Name of the source's column or JSON member, where it is not `name`."""
    is_lenient: bool = False
    """A value that the type can't hold lands as null, and its text in `_unknown_fields`; else it rejects its row."""
    note: str = ""
    """What a person should know about how it lands."""


def field(description: str, *, key: bool = False, version: bool = False, enrich: str = "", source: str = "") -> Any:
    """Declares a field of a `@contract` class; its name, type and nullability come from the annotation.

    `key` fields together identify a row; the `version` field (a time or a sequence) grows with each change.
    """
    return Field(description, key=key, version=version, enrich=enrich, source=source)


@dataclasses.dataclass(frozen=True)
class Contract:
    """The fields of a stream's rows, in order, and what one row is (its grain) in `description`."""

    description: str
    fields: tuple[Field, ...]

    @property
    def key(self) -> list[Field]:
        """The fields that identify a row."""
        return [f for f in self.fields if f.key]

    @property
    def version(self) -> Field | None:
        """The field that orders the versions of a row, if the source has one."""
        return next((f for f in self.fields if f.version), None)


def contract(declaration: type) -> Contract:
    """Class decorator: `name: type = field("description")` lines and a docstring become a Contract.

    Types: int, float, str, bool, date, datetime (UTC), Money, Rate, each `| None` where null is allowed.
    """
    fields = []
    for name, hint in typing.get_type_hints(declaration, include_extras=True).items():
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) or _is_union(hint) else (hint,)
        (kind,) = [option for option in options if option is not types.NoneType]
        sql_type = kind.__metadata__[0] if typing.get_origin(kind) is Annotated else _TYPES[kind]
        declared: Field = getattr(declaration, name)
        fields.append(
            dataclasses.replace(
                declared,
                name=name,
                type=sql_type,
                nullable=len(options) > 1,
                source=declared.source or name,
            )
        )
    return Contract(" ".join((declaration.__doc__ or "").split()), tuple(fields))


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) is typing.Union


@dataclasses.dataclass(frozen=True)
class Typed:
    """What became of a page: `accepted` has the contract's columns and `_key`, `_version`, `_row_hash`,
    `_position`, `_unknown_fields`; `rejected` has position, reason, original and `_key`; `unknown` names new fields."""

    accepted: pa.Table
    rejected: pa.Table
    unknown: set[str]


def missing_columns(contract: Contract, present: list[str]) -> None:
    """Raises SourceError if a table or file lacks declared columns altogether."""
    if missing := [f.source for f in contract.fields if f.source not in present]:
        raise SourceError(
            f"there is no column {', '.join(missing)} among: {', '.join(sorted(present))}. "
            "Was one renamed or dropped? Correct the source or the contract"
        )


def engine(**settings: Any) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory for typing rows: UTC, nothing from the network."""
    offline = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    connection = duckdb.connect(config={**offline, "threads": 2, **settings})
    connection.execute("set timezone = 'UTC'")
    return connection


@contextlib.contextmanager
def registered(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lends Arrow tables to the connection under these names."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield connection
    finally:
        for name in tables:
            connection.unregister(name)


def items(objects: Iterable[dict[str, Any]], where: str) -> pa.Table:
    """A page of objects in the form that `apply` takes; their positions are `where` and a number from 1."""
    texts = [_json_text(item) for item in objects]
    positions = [f"{where} {number}" for number in range(1, len(texts) + 1)]
    return pa.table({ITEM: pa.array(texts, pa.string()), "_position": pa.array(positions, pa.string())})


def _json_text(item: dict[str, Any]) -> str:
    """Decimals without exponent, so that no number is refused for its form; half a surrogate pair as ?."""

    def plain(value: Any) -> str:
        return format(value, "f") if isinstance(value, Decimal) else str(value)

    return json.dumps(item, default=plain, ensure_ascii=False).encode(errors="replace").decode()


def apply(connection: duckdb.DuckDBPyConnection, contract: Contract, page: pa.Table) -> Typed:
    """Types one page against its contract.

    `page` has the source's columns in whatever types they came, or JSON texts (see `items`); `_position`
    says where each row was, null or absent where the source has no places. Raises SourceError where a
    whole column is absent.
    """
    with registered(connection, page=page):
        types = {name: str(page.schema.field(name).type) for name in page.column_names}
        table = connection.sql(typing_query(contract, "page", types)).to_arrow_table()
    rejected = table.filter(pa.compute.is_valid(table["_reason"]))
    accepted = table.filter(pa.compute.is_null(table["_reason"])) if rejected.num_rows else table
    unknown: set[str] = set()
    if table["_unknown_fields"].null_count < table.num_rows:
        with registered(connection, unknown_page=table.select(["_unknown_fields"])):
            unknown = unknown_names(connection, "unknown_page")
    return Typed(
        accepted.drop_columns(["_reason", "_original"]),
        rejected.select(["_position", "_reason", "_original", "_key"]).rename_columns(
            ["position", "reason", "original", "_key"]
        ),
        unknown,
    )


def may_reject(contract: Contract, types: dict[str, str]) -> bool:
    """Whether a relation with columns of these types may have rows that do not fit."""
    return ITEM in types or any(_problem(f, quote(f.source)) for f in contract.fields)


def typing_query(contract: Contract, relation: str, types: dict[str, str]) -> str:
    """SQL that types a relation (a name, or a query in parentheses) whose columns have these types.

    It gives the contract's columns, `_key`, `_version`, `_row_hash`, `_position`, `_unknown_fields`, and for rows that
    do not fit `_reason` and `_original`. Raises SourceError where a whole column is absent.
    """
    is_json = ITEM in types
    present = [name for name in types if name not in ("_position", UNFIT)]
    if not is_json:
        missing_columns(contract, present)
    columns, problems, misfits = [], [], []
    for f in contract.fields:
        raw = _json_member(f.source) if is_json else quote(f.source)
        source_type = "string" if is_json else types[f.source]
        value = _value(f, raw, source_type)
        if UNFIT in types:
            value = f"case when {_member(UNFIT, f.source)} is null then {value} end"
        # Named apart from the relation's own columns, which would win over an alias of the same name.
        typed = quote(f"typed {f.name}")
        columns.append(f"{value} as {typed}")
        problems += filter(None, [_problem(f, raw)])
        if f.is_lenient and _is_text(source_type) and f.type != "VARCHAR":
            kept = f"json_object({_literal(f.source)}, cast({raw} as varchar))"
            misfits.append(f"case when {raw} is not null and {typed} is null then {kept} else '{{}}' end")
    unknown, original = _unknown_and_original(contract, types, present)
    misfits += [f"coalesce({UNFIT}, '{{}}')"] if UNFIT in types else []
    if misfits:
        merged = f"json_merge_patch(coalesce({unknown}, '{{}}'), {', '.join(misfits)})"
        unknown = f"nullif(cast({merged} as varchar), '{{}}')"
    reason = f"nullif(concat_ws('; ', {', '.join(problems)}), '')" if problems else "cast(null as varchar)"
    position = "_position" if "_position" in types else "cast(null as varchar)"
    values = [quote(f"typed {f.name}") for f in contract.fields]
    version = contract.version
    # The same values under other names or in other types are another row.
    salt = _literal(" ".join(f"{f.name} {f.type}" for f in contract.fields))
    return f"""
        with typed as (
            select {", ".join(columns)}, {unknown} as _unknown_fields, {original} as _original,
                {position} as _position, {reason} as _reason
            from {relation}
        ),
        -- An integer, at a third of what a text costs to load; of 63 bits, for engines that have no unsigned ones.
        hashed as (
            select *, cast(hash({", ".join([salt, *values, "_unknown_fields"])}) >> 1 as bigint) as _row_hash from typed
        )
        select {", ".join(f"{v} as {quote(f.name)}" for v, f in zip(values, contract.fields, strict=True))},
            {_key(contract)} as _key,
            {quote(f"typed {version.name}") if version else "cast(null as timestamptz)"} as _version,
            _row_hash, _position, _unknown_fields, _reason,
            case when _reason is not null then _original end as _original
        from hashed
    """


def _is_text(source_type: str) -> bool:
    return source_type.lower() in ("string", "large_string", "varchar")


def _value(f: Field, raw: str, source_type: str) -> str:
    """SQL for a value in its declared type; null where it does not fit."""
    if f.is_lenient and not _is_text(source_type):
        return raw if source_type == f.type else f"cast({raw} as {f.type})"
    return _cast(raw, f.type, source_type.lower())


def _problem(f: Field, raw: str) -> str:
    """SQL that says what is wrong with a value, null where nothing is; empty if nothing can be."""
    value, problem = quote(f"typed {f.name}"), ""
    if not f.is_lenient and f.type not in ("VARCHAR", "BLOB"):
        problem = f"when {raw} is not null and {value} is null then '{f.name}: '''"
        problem += f" || left(cast({raw} as varchar), 100) || ''' is not {_speak(f.type)}'"
    if not f.nullable:
        problem += f" when {raw} is null then '{f.name}: is missing'"
    return f"case {problem} end" if problem else ""


def _cast(raw: str, target: str, arrow_type: str) -> str:
    """SQL for a value that fits its declared type exactly, else null."""
    if target in ("VARCHAR", "BLOB"):
        return f"cast({raw} as {target.lower()})"
    cast = f"try_cast({raw} as {target})"
    if target in ("BIGINT", "DOUBLE", "FLOAT") or target.startswith("DECIMAL"):
        if arrow_type.startswith(_NUMBERS):
            # A cast that would round (1.7 to an integer, 1.239 to two decimals) is refused, not made.
            return f"case when {cast} = {raw} then {cast} end"
    elif target != "BOOLEAN" and arrow_type.startswith(("date", "timestamp")):
        return f"case when {cast} = {raw} and isfinite({cast}) then {cast} end"
    if target.startswith("DECIMAL"):
        scale = int(target.rstrip(")").split(",")[1])
        pattern = rf"[+-]?(\d+(\.\d{{0,{scale}}}0*)?|\.\d{{1,{scale}}}0*)" if scale else r"[+-]?\d+(\.0*)?"
    else:
        pattern = _LOOKS_LIKE[target]
    text = f"trim(cast({raw} as varchar))"
    return f"case when regexp_full_match({text}, '{pattern}') then try_cast({text} as {target}) end"


def _unknown_and_original(contract: Contract, types: dict[str, str], present: list[str]) -> tuple[str, str]:
    known = {f.source for f in contract.fields}
    if ITEM in types:
        unknown = f"nullif({_without(ITEM, [path.split('.') for path in sorted(known)])}, '{{}}')"
        return f"case when json_valid({ITEM}) then {unknown} end", ITEM
    new = [name for name in present if name not in known]
    unknown = f"cast(to_json(struct_pack({_pack(new, types)})) as varchar)" if new else "cast(null as varchar)"
    return unknown, f"cast(to_json(struct_pack({_pack(present, types)})) as varchar)"


def _without(value: str, paths: list[list[str]]) -> str:
    """SQL for the text of a JSON object without the members at `paths`; an object that this empties goes too."""
    names = sorted({path[0] for path in paths})
    # A merge patch with nulls takes members away and leaves the rest as it was written.
    parts = [value, f"'{json.dumps(dict.fromkeys(names))}'"]
    for name in names:
        if below := [path[1:] for path in paths if path[0] == name and path[1:]]:
            rest = _without(f"""({value} -> '$."{name}"')""", below)
            parts.append(f"case when {rest} = '{{}}' then '{{}}' else json_object('{name}', json({rest})) end")
    return f"cast(json_merge_patch({', '.join(parts)}) as varchar)"


def unknown_names(connection: duckdb.DuckDBPyConnection, relation: str) -> set[str]:
    """The names in the `_unknown_fields` of a relation."""
    names = f"select distinct unnest(json_keys(_unknown_fields)) from {relation} where _unknown_fields is not null"
    return {name for (name,) in connection.execute(names).fetchall()}


def _key(contract: Contract) -> str:
    names = [quote(f"typed {f.name}") for f in contract.key]
    if not names:  # equal rows are told apart by their number
        return "concat(_row_hash, '-', row_number() over (partition by _row_hash))"
    if len(names) == 1:
        return f"cast({names[0]} as varchar)"
    return f"cast(to_json([{', '.join(f'cast({name} as varchar)' for name in names)}]) as varchar)"


def _json_member(path: str) -> str:
    """SQL for a member of the JSON item as text; a dotted path reaches into nested objects."""
    steps = "".join(f'."{step}"' for step in path.split("."))
    return f"({ITEM} ->> '${steps}')"


def _member(column: str, name: str) -> str:
    """SQL for the text of one member of a JSON column, whatever characters its name has."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string({column}, {_literal(pointer)})"


def _pack(names: Iterable[str], types: dict[str, str]) -> str:
    """Members of a struct that becomes a JSON object. JSON has no infinities and no NaN: they are texts there."""
    members = []
    for name in names:
        value = quote(name)
        if types[name].lower().startswith(("float", "double", "halffloat")):
            value = f"case when isfinite({value}) then to_json({value}) else to_json(cast({value} as varchar)) end"
        members.append(f"{quote(name)} := {value}")
    return ", ".join(members)


def cursor_number(value: str, sql_type: str) -> str:
    """SQL for a cursor as an integer that can be summed up: microseconds since 1970, or itself; 0 where it is none."""
    if not sql_type.startswith(("DATE", "TIMESTAMP")):
        return f"coalesce({value}, 0)"
    value = f"cast({value} as timestamp)" if sql_type == "DATE" else value
    return f"case when isfinite({value}) then epoch_us({value}) else 0 end"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _speak(sql_type: str) -> str:
    return {"BIGINT": "an integer", "DOUBLE": "a number", "BOOLEAN": "true or false", "DATE": "a date"}.get(
        sql_type, "a time" if sql_type.startswith("TIMESTAMP") else f"a {sql_type.lower()}"
    )
