"""A stream's contract: declared, documented fields that turn loosely typed rows into typed Arrow rows.

DuckDB is the typing engine: one SQL statement casts every declared field of many rows, so bad rows cost no more than
good ones. A row that does not fit is returned as rejected, with reason, position and original; a field that the
contract does not know is kept as JSON in `_unknown_fields`.
"""

import contextlib
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.errors import SourceError

Money = Annotated[Decimal, "DECIMAL(18,4)"]
Rate = Annotated[Decimal, "DECIMAL(28,12)"]
EpochTime = Annotated[datetime, "TIMESTAMP WITH TIME ZONE", "epoch"]
"""A time that may also come as whole milliseconds since 1970 (UTC)."""
LongText = Annotated[str, "VARCHAR", "long"]
"""A text of hundreds of characters, as a JSON object is, in a stream of many rows."""

UNFIT = "_unfit"
"""A database's rows may have this column: a JSON object of values that no column of ours can hold, else null."""

_NUMBER = "_number"
"""What JSON objects become has this column, the object's number, and UNKNOWN."""

OBSERVED_AT = "_observed_at"
"""Rows of several requests carry it from the page to raw."""

UNKNOWN, FAULT, ORIGINAL = "_unknown", "_fault", "_original"
"""Lines may have these columns: the members that no field names (a JSON object, or null), why a line has none of its
fields (or null), and the line as JSON, to be kept if it is rejected."""

VERSION, MARK, UNCHANGED, MOVED = "_version", "_mark", "_unchanged", "_moved"
"""Changes have these columns: see `stream.Changes`."""

TEXTS, KEY = "_texts", "_key"
"""And these, while they are made and completed."""

LARGEST_GROUP = 16 * 2**20
"""Bytes of rows that are held at once while they are written, where their order is of no matter."""

DEEPEST = 16_384
"""Bytes, and so brackets in each other, that every stack has room for."""

OWN_COLUMNS = (
    *("_position", UNFIT, UNKNOWN, _NUMBER, OBSERVED_AT, FAULT, ORIGINAL),
    *(VERSION, MARK, UNCHANGED, MOVED, TEXTS, KEY),
)
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
    language: str = ""
    """The field that says in which language or languages its text is (BCP 47), where the method asks for it."""
    source: str = ""
    """Name of the source's column or path of the JSON member, where it is not `name`. `a.*` is an object of what is
    in `a` and in no other field, without nulls."""
    is_epoch: bool = False
    """The source may write the time as milliseconds since 1970."""
    is_long: bool = False
    """Of hundreds of characters in each of many rows."""
    is_lenient: bool = False
    """A value that the type can't hold lands as null, and its text in `_unknown_fields`; else it rejects its row."""
    note: str = ""
    """What a person should know about how it lands."""


def field(
    description: str,
    *,
    key: bool = False,
    version: bool = False,
    enrich: str = "",
    language: str = "",
    source: str = "",
) -> Any:
    """Declares a field of a `@contract` class; its name, type and nullability come from the annotation.

    `key` fields together identify a row; the `version` field (a time or a sequence) grows with each change.
    """
    return Field(description, key=key, version=version, enrich=enrich, language=language, source=source)


@dataclasses.dataclass(frozen=True)
class Contract:
    """The fields of a stream's rows, in order, and what one row is (its grain) in `description`."""

    description: str
    fields: tuple[Field, ...]
    dropped: tuple[str, ...] = ()
    """Paths of JSON members that nobody needs."""

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

    Types: int, float, str, bool, date, datetime (UTC), EpochTime, Money, Rate, LongText, each `| None` where null is
    allowed.
    Fields that several streams have may be inherited from a plain class; they come last.
    """
    fields, hints = [], typing.get_type_hints(declaration, include_extras=True)
    for name in dict.fromkeys([*declaration.__annotations__, *hints]):
        hint = hints[name]
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) or _is_union(hint) else (hint,)
        (kind,) = [option for option in options if option is not types.NoneType]
        sql_type, *forms = kind.__metadata__ if typing.get_origin(kind) is Annotated else (_TYPES[kind],)
        declared: Field = getattr(declaration, name)
        fields.append(
            dataclasses.replace(
                declared,
                name=name,
                type=sql_type,
                nullable=len(options) > 1,
                source=declared.source or name,
                is_epoch="epoch" in forms,
                is_long="long" in forms,
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
    rejected_numbers: set[int]
    """Of JSON objects, counted from 0."""


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


@dataclasses.dataclass
class Items:
    """JSON objects as rows, each with its position; `flat`, once `flatten` was called, as a table of texts."""

    objects: list[dict[str, Any]]
    positions: list[str | None]
    flat: pa.Table | None = None

    def flatten(self, contract: Contract) -> None:
        """Does the part of typing that is not done by DuckDB, and so can be done in another thread meanwhile."""
        parts = (  # that the processor's cache holds
            _flat(contract, self.objects[start : start + 500], self.positions[start : start + 500])
            for start in range(0, len(self) or 1, 500)
        )
        self.flat = pa.concat_tables(parts)

    def __len__(self) -> int:
        return len(self.objects)


def items(objects: Iterable[dict[str, Any]], where: str, key: str = "") -> Items:
    """A page of JSON objects in the form that `apply` takes; their positions are `where` and the member `key`, by which
    an object is known again, or a number from 1."""
    objects = list(objects)
    if key:
        return Items(objects, [f"{where} {value.get(key)}" for value in objects])
    return Items(objects, [f"{where} {number}" for number in range(1, len(objects) + 1)])


def joined(pages: list[pa.Table | Items]) -> pa.Table | Items:
    """The rows of several pages of one form as one page."""
    if isinstance(pages[0], pa.Table):
        return pa.concat_tables(pages)
    whole = Items([o for page in pages for o in page.objects], [p for page in pages for p in page.positions])
    if all(page.flat is not None for page in pages):
        whole.flat = pa.concat_tables([page.flat for page in pages])
    return whole


_encode = msgspec.json.Encoder(enc_hook=str).encode


def json_text(value: Any) -> str:
    """JSON in one form: decimals and dates as texts, half a surrogate pair as ?."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return (
            json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()
        )


def _texts(values: list[Any]) -> pa.Array:
    """JSON values as texts: a number without exponent, so that none is refused for its form, an object as JSON."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        return pa.array(list(map(_text, values)), pa.string())


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict | list):
        return json_text(value)
    return str(value)


def _flat(contract: Contract, whole: list[dict], positions: list[str | None]) -> pa.Table:
    """The objects as a table of texts, a column per field."""
    known = _known(contract)
    levels: dict[tuple[str, ...], list[dict]] = {(): whole}
    odd: set[int] = set()  # objects that may have something unknown: few or none, so the others have to be fast

    def level_of(path: tuple[str, ...]) -> list[dict]:
        """The nested objects at a path."""
        if path not in levels:
            levels[path] = members = [above.get(path[-1]) for above in level_of(path[:-1])]
            if set(map(type, members)) != {dict}:
                levels[path] = [member if isinstance(member, dict) else {} for member in members]
                odd.update(n for n, member in enumerate(members) if not isinstance(member, dict | None))
        return levels[path]

    columns = _texts_at_once(contract, whole)
    for f in contract.fields:
        *above, name = f.source.split(".")
        objects = level_of(tuple(above))
        if name == "*":
            names = _at(known, above).keys()
            columns[f.source] = _texts([_rest(value, names) for value in objects])
        elif f.source not in columns:
            columns[f.source] = _texts([value.get(name) for value in objects])
    for path, objects in levels.items():
        names = _at(known, path).keys()
        if "*" not in names and not all(names >= set(shape) for shape in set(map(tuple, objects))):
            odd.update(n for n, value in enumerate(objects) if not value.keys() <= names)
    unknown = [_unknown(value, known) or None if n in odd else None for n, value in enumerate(whole)]
    columns["_position"] = pa.array(positions, pa.string())
    columns[UNKNOWN] = _texts(unknown)
    return pa.table({name: columns[name] for name in sorted(columns)})


def _texts_at_once(contract: Contract, objects: list[dict]) -> dict[str, pa.Array]:
    """The columns of which all values are texts or null, five times as fast as one by one; none if one is not."""
    tree: dict[str, Any] = {}
    paths = [f.source.split(".") for f in contract.fields if not f.source.endswith("*")]
    for path in paths:
        if all(isinstance(_at_path(value, path), str | None) for value in objects[:20]):
            *above, name = path
            level = tree
            for step in above:
                level = level.setdefault(step, {})
            level[name] = pa.string()
    try:
        whole = pa.array(objects, _struct(tree))
    except (pa.ArrowTypeError, pa.ArrowInvalid, UnicodeEncodeError):
        return {}
    columns = {}
    for path in paths:
        level, column = tree, whole
        for step in path:
            level = level.get(step) if isinstance(level, dict) else None
            # Not field(), for which what is in nothing is an empty text.
            column = pc.struct_field(column, step) if level is not None else column
        if level is not None:
            columns[".".join(path)] = column
    return columns


def _struct(tree: dict[str, Any]) -> pa.DataType:
    return pa.struct([(name, _struct(below) if isinstance(below, dict) else below) for name, below in tree.items()])


def _at_path(value: Any, path: list[str]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


@functools.cache
def _known(contract: Contract) -> dict[str, Any]:
    """The members that the contract names, as nested dicts."""
    known: dict[str, Any] = {}
    for path in (*(f.source for f in contract.fields), *contract.dropped):
        *above, name = path.split(".")
        level = known
        for step in above:
            level = level.setdefault(step, {})
        level.setdefault(name, None)
    return known


def _at(known: dict[str, Any], path: Iterable[str]) -> dict[str, Any]:
    for step in path:
        known = known[step]
    return known


def _rest(value: dict[str, Any], names: Iterable[str]) -> str | None:
    """What no field names, in one order; without nulls, or a property more would make every row another."""
    rest = {name: value[name] for name in sorted(value.keys() - names) if value[name] is not None}
    return json_text(rest) if rest else None


def _unknown(value: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    unknown = {} if "*" in known else {name: value[name] for name in sorted(value.keys() - known.keys())}
    for name, below in known.items():
        if below and (member := value.get(name)) is not None:
            if not isinstance(member, dict):
                unknown[name] = member
            elif rest := _unknown(member, below):
                unknown[name] = rest
    return unknown


def apply(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    page: pa.Table | Items,
    observed_at: pa.Array | pa.ChunkedArray | None = None,
) -> Typed:
    """Types rows against their contract.

    `page` has the source's columns in whatever types they came, or JSON objects (see `items`); `_position` says where
    each row was, null or absent where the source has no places. `observed_at`, per row, comes back as `_observed_at`.
    Raises SourceError where a whole column is absent.
    """
    table = page
    if isinstance(page, Items):
        if page.flat is None:
            page.flatten(contract)
        table = page.flat.append_column(_NUMBER, pa.array(range(len(page)), pa.int64()))
    if observed_at is not None:
        table = table.append_column(OBSERVED_AT, observed_at)
    with registered(connection, page=table):
        types = {name: str(table.schema.field(name).type) for name in table.column_names}
        typed = connection.sql(typing_query(contract, "page", types)).to_arrow_table()
    rejected = typed.filter(pc.is_valid(typed["_reason"]))
    accepted = typed.filter(pc.is_null(typed["_reason"])) if rejected.num_rows else typed
    unknown: set[str] = set()
    if typed["_unknown_fields"].null_count < typed.num_rows:
        with registered(connection, unknown_page=typed.select(["_unknown_fields"])):
            unknown = unknown_names(connection, "unknown_page")
    numbers: list[int] = []
    if isinstance(page, Items) and rejected.num_rows:
        numbers = [int(number) for number in rejected["_original"].to_pylist()]
        originals = [json_text(page.objects[number]) for number in numbers]
        at = rejected.column_names.index("_original")
        rejected = rejected.set_column(at, "_original", pa.array(originals, pa.string()))
    told = {"_position": "position", "_reason": "reason", "_original": "original", "_key": "_key"}
    told |= {OBSERVED_AT: "observed_at"} if observed_at is not None else {}
    return Typed(
        accepted.drop_columns(["_reason", "_original"]),
        rejected.select(list(told)).rename_columns(list(told.values())),
        unknown,
        set(numbers),
    )


def may_reject(contract: Contract, types: dict[str, str]) -> bool:
    """Whether a relation may have rows that do not fit."""
    return any(_problem(f, quote(f.source)) for f in contract.fields)


def typing_query(contract: Contract, relation: str, types: dict[str, str]) -> str:
    """SQL that types a relation (a name, or a query in parentheses) whose columns have these types.

    It gives the contract's columns, `_key`, `_version`, `_row_hash`, `_position`, `_unknown_fields`, for rows that do
    not fit `_reason` and `_original`, and `_observed_at` and `_mark` where the relation has them. Raises SourceError
    where a whole column is absent.
    """
    is_json = UNKNOWN in types
    present = [name for name in types if name not in OWN_COLUMNS]
    missing_columns(contract, present)
    columns, problems, odd, misfits = [], [], [], []
    for f in contract.fields:
        raw, source_type = quote(f.source), types[f.source]
        if is_json and f.type != "VARCHAR":  # APIs write "" for nothing
            raw = f"nullif({raw}, '')"
        value = _value(f, raw, source_type)
        if UNFIT in types:
            value = f"case when {_member(UNFIT, f.source)} is null then {value} end"
        # Named apart from the relation's own columns, which would win over an alias of the same name.
        typed = quote(f"typed {f.name}")
        columns.append(f"{value} as {typed}")
        problems += filter(None, [_problem(f, raw)])
        if f.is_lenient and _is_text(source_type) and f.type != "VARCHAR":
            kept = f"json_object({literal(f.source)}, cast({raw} as varchar))"
            odd.append(f"({raw} is not null and {typed} is null)")
            misfits.append(f"case when {odd[-1]} then {kept} else '{{}}' end")
    unknown, original = _unknown_and_original(contract, types, present)
    if UNFIT in types:
        odd.append(f"{UNFIT} is not null")
        misfits.append(f"coalesce({UNFIT}, '{{}}')")
    if misfits:
        merged = f"json_merge_patch(coalesce({unknown}, '{{}}'), {', '.join(misfits)})"
        unknown = f"case when {' or '.join(odd)} then nullif(cast({merged} as varchar), '{{}}') else {unknown} end"
    reason = f"nullif(concat_ws('; ', {', '.join(problems)}), '')" if problems else "cast(null as varchar)"
    reason = f"coalesce({FAULT}, {reason})" if FAULT in types else reason
    position = "_position" if "_position" in types else "cast(null as varchar)"
    passed = "".join(f", {name}" for name in (OBSERVED_AT, VERSION, MARK) if name in types)
    given = "".join(f", {name}" for name in (OBSERVED_AT, MARK) if name in types)
    values = [quote(f"typed {f.name}") for f in contract.fields]
    version = quote(f"typed {contract.version.name}") if contract.version else "cast(null as timestamptz)"
    # The same values under other names or in other types are another row.
    salt = literal(" ".join(f"{f.name} {f.type}" for f in contract.fields))
    return f"""
        with typed as (
            select {", ".join(columns)}, {unknown} as _unknown_fields, {original} as _original,
                {position} as _position, {reason} as _reason{passed}
            from {relation}
        ),
        -- An integer, at a third of what a text costs to load; of 63 bits, for engines that have no unsigned ones.
        hashed as (
            select *, cast(hash({", ".join([salt, *values, "_unknown_fields"])}) >> 1 as bigint) as _row_hash from typed
        )
        select {", ".join(f"{v} as {quote(f.name)}" for v, f in zip(values, contract.fields, strict=True))},
            {_key(contract)} as _key, {VERSION if VERSION in types else version} as _version,
            _row_hash, _position, _unknown_fields, _reason,
            case when _reason is not null then _original end as _original{given}
        from hashed
    """


def with_key(contract: Contract, relation: str, types: dict[str, str]) -> str:
    """SQL for a relation's own columns, and the `_key` that its rows get by `typing_query`."""
    typed = ", ".join(
        f"{_value(f, quote(f.source), types[f.source])} as {quote(f'typed {f.name}')}" for f in contract.key
    )
    columns = ", ".join(map(quote, types))
    return f"select {columns}, {_key(contract)} as _key from (select *, {typed} from {relation})"


def _is_text(source_type: str) -> bool:
    return source_type.lower() in ("string", "large_string", "varchar")


def _value(f: Field, raw: str, source_type: str) -> str:
    """SQL for a value in its declared type; null where it does not fit."""
    if f.is_lenient and not _is_text(source_type):
        return raw if source_type == f.type else f"cast({raw} as {f.type})"
    cast = _cast(raw, f.type, source_type.lower())
    if f.is_epoch and _is_text(source_type):
        milliseconds = f"make_timestamptz(try_cast({raw} as bigint) * 1000)"
        return f"case when regexp_full_match({raw}, '-?[0-9]{{11,14}}') then {milliseconds} else {cast} end"
    return cast


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
    text = f"trim(cast({raw} as varchar))"
    if target.startswith("DECIMAL") or target == "BIGINT":
        # With an exponent, up to 15 digits: those a double can tell apart.
        exponent = r"[+-]?\d(\.\d{0,14})?[eE][+-]?\d{1,2}"
        is_exact = f"cast(try_cast({text} as {target}) as double) = try_cast({text} as double)"
        plain = _plain_number(target)
        return (
            f"case when regexp_full_match({text}, '{plain}') "
            f"or (regexp_full_match({text}, '{exponent}') and {is_exact}) then try_cast({text} as {target}) end"
        )
    return f"case when regexp_full_match({text}, '{_LOOKS_LIKE[target]}') then try_cast({text} as {target}) end"


def _plain_number(target: str) -> str:
    if target == "BIGINT":
        return r"[+-]?\d+(\.0*)?"
    scale = int(target.rstrip(")").split(",")[1])
    return rf"[+-]?(\d+(\.\d{{0,{scale}}}0*)?|\.\d{{1,{scale}}}0*)" if scale else r"[+-]?\d+(\.0*)?"


def _unknown_and_original(contract: Contract, types: dict[str, str], present: list[str]) -> tuple[str, str]:
    if UNKNOWN in types:
        return UNKNOWN, ORIGINAL if ORIGINAL in types else f"cast({_NUMBER} as varchar)"
    known = {f.source for f in contract.fields}
    new = [name for name in present if name not in known]
    unknown = f"cast(to_json(struct_pack({_pack(new, types)})) as varchar)" if new else "cast(null as varchar)"
    return unknown, f"cast(to_json(struct_pack({_pack(present, types)})) as varchar)"


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


def _member(column: str, name: str) -> str:
    """SQL for the text of one member of a JSON column, whatever characters its name has."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return f"json_extract_string({column}, {literal(pointer)})"


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


def other_members(line: str, known: Iterable[str]) -> str:
    """SQL for the members of a JSON object (or null) that have none of these names: an object as text, or null."""
    known = list(known)
    patch = literal(json.dumps(dict.fromkeys(known)))  # a merge takes away what is null in it
    rest = f"nullif(cast(json_merge_patch({line}, {patch}) as varchar), '{{}}')"
    names = ", ".join(map(literal, known))
    others = f"list_filter(json_keys({line}), lambda key: key not in ({names}))"
    # A merge of a hundred thousand brackets in each other ends the process: of long lines member by member.
    value = f"json_extract({line}, '/' || replace(replace(key, '~', '~0'), '/', '~1'))"
    member = f"cast(to_json(key) as varchar) || ':' || cast({value} as varchar)"
    firsts = f"list_filter({others}, lambda key, place: list_position({others}, key) = place)"
    members = f"array_to_string(list_transform({firsts}, lambda key: {member}), ',')"
    # The keys alone are cheap.
    return f"""
        case
            when len({others}) = 0 then null
            when strlen(cast({line} as varchar)) <= {DEEPEST} then {rest}
            else '{{' || {members} || '}}'
        end
    """


def copy_to_parquet(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> int:
    """Writes the result of a query to a file that is read once, soon: compressed as quickly as can be, in row groups of
    which each of DuckDB's threads takes one, and of few rows if those are large. Returns the number of rows."""
    options = "format parquet, compression snappy, dictionary_size_limit 1000, row_group_size 20480"
    ((is_in_order,),) = connection.execute("select current_setting('preserve_insertion_order')").fetchall()
    if not is_in_order:
        options += f", row_group_size_bytes {LARGEST_GROUP}"
    ((count,),) = connection.execute(f"copy ({sql}) to {literal(str(path))} ({options})").fetchall()
    return count


def literal(text: str) -> str:
    """A text literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


def quote(name: str) -> str:
    """A quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _speak(sql_type: str) -> str:
    return {"BIGINT": "an integer", "DOUBLE": "a number", "BOOLEAN": "true or false", "DATE": "a date"}.get(
        sql_type, "a time" if sql_type.startswith("TIMESTAMP") else f"a {sql_type.lower()}"
    )
