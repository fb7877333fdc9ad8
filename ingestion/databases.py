"""Databases that are declared in the configuration alone: their streams come from their catalog.

    SOURCES__DATABASES__ERP__CREDENTIALS="postgresql://reader:password@host/erp"      (or in .dlt/secrets.toml)

makes a system `erp` of every table. In .dlt/config.toml, or as JSON in the environment:

    [sources.databases.erp]
    schemas = ["public", "sales"]             # default: all but the database system's own
    tables = ["orders*", "sales.*"]           # patterns of table or schema.table; views are read only if named here
    [sources.databases.erp.streams.orders]    # where the catalog does not say it, or says it otherwise
    key = ["order_id"]
    cursor = "updated_at"
    mode = "full"                             # read as a whole every time

With mode = "cdc" every change of a PostgreSQL's tables is captured (see `capture`), but for tables whose own mode or
cursor says otherwise, or whose log would not tell which row has changed.
"""

import dataclasses
import fnmatch
import functools
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import dlt
from dlt.common.normalizers.naming.snake_case import NamingConvention

from ingestion.capture import Capture
from ingestion.contract import Contract, Field
from ingestion.errors import ConfigurationError, SourceError, keep_secret
from ingestion.ledger import LEDGER_TABLES
from ingestion.mysql import MySQL
from ingestion.pipeline import spool_path
from ingestion.postgres import Postgres
from ingestion.reading import resources
from ingestion.sql import Engine, Table, Tables
from ingestion.sqlite import SQLite
from ingestion.stream import SYSTEM_COLUMNS, Log, Run, State, Stream
from ingestion.systems import System

ENGINES = {"postgresql": Postgres, "postgres": Postgres, "mysql": MySQL, "mariadb": MySQL, "sqlite": SQLite}
OPTIONS = ("credentials", "schemas", "tables", "streams", "mode", "publication", "slot")
NAMES = ("mode", "publication", "slot")
"""Options that are texts."""
STREAM_OPTIONS = ("key", "cursor", "mode")
RESERVED = ("operations", "enrichments", "databases")


def configured(built_in: Iterable[str]) -> dict[str, System]:
    """The databases of the configuration, by name; raises ConfigurationError for what can't be one."""
    found = {}
    for name in _names():
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            raise ConfigurationError(f"sources.databases.{name}: name it with lower case letters, digits and single _")
        if name in built_in or name in RESERVED:
            raise ConfigurationError(f"sources.databases.{name}: {name} is a system of its own; give it another name")
        found[name] = _system(name, {option: _option(name, option) for option in OPTIONS})
    return found


def _names() -> list[str]:
    names = set()
    for variable in os.environ:
        if match := re.fullmatch(r"SOURCES__DATABASES__(.+)__([A-Z]+)", variable):
            if match[2].lower() not in OPTIONS:
                raise ConfigurationError(f"{variable}: a database has the options {', '.join(OPTIONS)}")
            names.add(match[1].lower())
    for accessor in (dlt.secrets, dlt.config):
        declared = accessor.get("sources.databases")
        for name, options in declared.items() if isinstance(declared, dict) else ():
            if unknown := [option for option in options if option not in OPTIONS]:
                raise ConfigurationError(f"sources.databases.{name}.{unknown[0]}: there is no such option")
            names.add(name)
    return sorted(names)


def _option(name: str, option: str) -> Any:
    value = (dlt.secrets if option == "credentials" else dlt.config).get(f"sources.databases.{name}.{option}")
    if option in ("credentials", *NAMES) or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ConfigurationError(f"sources.databases.{name}.{option} is no JSON ({error}): {value}") from error


def _system(name: str, options: dict[str, Any]) -> System:
    declaration = System(
        name=name,
        description="A database.",
        streams=[],
        source=None,
        reader=None,
        options={"credentials": dlt.secrets.value},
        has_catalog=True,
        section=f"databases.{name}",
    )
    credentials = options["credentials"]
    if not credentials:
        return declaration  # of which somebody else has the credentials
    keep_secret([credentials])
    scheme = re.match(r"([a-z]+)(\+\w+)?://", credentials)
    if scheme is None or scheme[1] not in ENGINES:
        found = f"begins with {scheme[1]}://" if scheme else "is no URL"
        raise ConfigurationError(f"sources.databases.{name}.credentials {found}; there is {', '.join(ENGINES)}")
    for option in ("schemas", "tables"):
        if isinstance(options[option], str):
            options[option] = [options[option]]
        if not _are_texts(options[option] or []):
            raise ConfigurationError(f"sources.databases.{name}.{option} is a list of texts: {options[option]!r}")
    declarations = options["streams"] or {}
    if not isinstance(declarations, dict) or not all(isinstance(each, dict) for each in declarations.values()):
        raise ConfigurationError(f"sources.databases.{name}.streams is a table of tables: {declarations!r}")
    for stream, declared in declarations.items():
        unknown = [option for option in declared if option not in STREAM_OPTIONS]
        key, cursor = declared.get("key", []), declared.get("cursor", "")
        is_understood = isinstance(key, str) or _are_texts(key), isinstance(cursor, str)
        if unknown or not all(is_understood) or declared.get("mode", "full") not in ("full", "incremental"):
            raise ConfigurationError(
                f"sources.databases.{name}.streams.{stream}: there is key = a column or a list of them, cursor = a "
                "column, and mode = full or incremental"
            )
    engine = ENGINES[scheme[1]](credentials)
    if is_captured := _is_captured(name, engine, options):
        publication, slot = options["publication"] or "catchment", options["slot"] or "catchment"
        tables: Tables = Capture(engine, publication, slot, spool_path(name))
    else:
        tables = Tables(engine, options["schemas"] if engine.must_name_schemas else None)
    streams = Catalog(lambda: _streams(tables, options["schemas"], options["tables"], declarations, is_captured))

    @dlt.source(name=name)
    def source(run: Run | None = None, streams: Sequence[Stream] = streams):
        """The tables of the database as streams, all in one snapshot, or as streams of their changes."""
        return tables.resources(streams, run) if is_captured else resources(streams, tables, run)

    return dataclasses.replace(
        declaration,
        description=f"The {engine.title} database {engine.where}.",
        streams=streams,
        source=source,
        reader=lambda **_: tables,
        is_live=is_captured,
    )


def _is_captured(name: str, engine: Engine, options: dict[str, Any]) -> bool:
    """Whether the option `mode` says so; raises ConfigurationError if it can't be."""
    section, mode = f"sources.databases.{name}", options["mode"]
    if mode not in (None, "cdc"):
        raise ConfigurationError(f'{section}.mode is "cdc", or not there: {mode!r}')
    for option in ("publication", "slot"):
        if options[option] is not None and mode is None:
            raise ConfigurationError(f'{section}.{option} is for change capture: set {section}.mode = "cdc"')
    if mode and not isinstance(engine, Postgres):
        raise ConfigurationError(f"{section}.mode: changes are captured from PostgreSQL alone")
    if not re.fullmatch("[a-z0-9_]{1,63}", options["slot"] or "catchment"):
        raise ConfigurationError(f"{section}.slot has lower case letters, digits and _ only: {options['slot']!r}")
    return mode is not None


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


class Catalog(Sequence[Stream]):
    """The streams of a database, asked of it when they are first needed; raises SourceError if it does not answer.

    `known` are the names of all its tables, those too that are not read, and of the views that are.
    """

    def __init__(self, ask: Callable[[], tuple[list[Stream], set[str]]]) -> None:
        self._ask = ask

    @functools.cached_property
    def _answer(self) -> tuple[list[Stream], set[str]]:
        return self._ask()

    @property
    def known(self) -> set[str]:
        """Names of streams whose rows in raw are the source's, if only of an earlier run."""
        return self._answer[1]

    def __getitem__(self, index):
        return self._answer[0][index]

    def __len__(self) -> int:
        return len(self._answer[0])


def _streams(
    tables: Tables,
    schemas: list[str] | None,
    patterns: list[str] | None,
    declared: dict[str, dict],
    is_captured: bool,
) -> tuple[list[Stream], set[str]]:
    taken, known, matched = set(LEDGER_TABLES), set(), set()
    streams = []
    if not tables.catalog:
        raise SourceError(
            f"{tables.engine.where} has no table that may be seen: check the database's name, the option schemas, and "
            "what the role is granted"
        )
    by_right = sorted(enumerate(tables.catalog), key=lambda item: _snake_case(item[1].name) != item[1].name)
    for position, table in by_right:
        name = _snake_case(table.name)
        if table.schema != tables.engine.default_schema:
            name = f"{_snake_case(table.schema)}__{name}"
        name = _free(name, taken)
        stream, problem = _stream(tables.engine, table, tables.name(table), name, declared.get(name, {}), is_captured)
        if problem:
            tables.catalog[position] = dataclasses.replace(table, problem=problem)
        full_name = f"{table.schema}.{table.name}"
        named = [p for p in patterns or [] if fnmatch.fnmatchcase(table.name, p) or fnmatch.fnmatchcase(full_name, p)]
        matched |= {table.schema, *named}
        is_chosen = schemas is None or table.schema in schemas
        if is_read := is_chosen and (named or (patterns is None and not table.is_view)):
            streams.append(stream)
        if is_read or not table.is_view:
            known.add(name)
    absent = {name: name for name in declared.keys() - (taken - set(LEDGER_TABLES))}
    absent |= {_free(_snake_case(p), taken): p for p in [*(schemas or []), *(patterns or [])] if p not in matched}
    for name, source in absent.items():  # each fails alone, for what is not there
        streams.append(Stream(name, Contract("", ()), State(), source=source))
    return sorted(streams, key=lambda stream: stream.name), known


def _stream(
    engine: Engine, table: Table, source: str, name: str, declared: dict[str, Any], is_captured: bool
) -> tuple[Stream, str]:
    """The stream of a table, and what is wrong with what was declared for it."""
    taken = {*SYSTEM_COLUMNS, "_recency", "_row_count", "_last_gone_at", "_last_back_at"}  # of macros/kinds.sql
    by_right = sorted(table.aliases().items(), key=lambda item: _snake_case(item[1].name) != item[1].name)
    names = {alias: _free(_snake_case(column.name), taken) for alias, column in by_right}
    by_column = {column.name: alias for alias, column in table.aliases().items()}
    by_column |= {field: alias for alias, field in names.items() if field not in by_column}
    key, cursor, mode = declared.get("key", list(table.key)), declared.get("cursor"), declared.get("mode")
    key = [key] if isinstance(key, str) else key
    problem = ""
    is_captured = is_captured and bool(table.replica_identity) and not cursor and not mode
    if is_captured and not set(key) <= set(table.replica_identity):
        if "key" in declared:
            problem = (
                f"the log of {table.schema}.{table.name} tells rows apart by {', '.join(table.replica_identity)}, but "
                f"the configuration declares another key for {name}: see alter table ... replica identity"
            )
        key = list(table.replica_identity)
    is_captured = is_captured and bool(key)
    if missing := [column for column in [*key, *([cursor] if cursor else [])] if column not in by_column]:
        problem = f"{table.schema}.{table.name} has no column {missing[0]}, which the configuration declares for {name}"
        key, cursor = [], None
    key_aliases = [by_column[column] for column in key]
    cursor = names[by_column[cursor]] if cursor else None
    if cursor and not key:
        problem = f"{table.schema}.{table.name} has no key, without which its rows can't be followed: declare one too"
    if mode == "full" or not key or is_captured:
        cursor = None
    elif cursor is None and table.cursor:
        cursor = names[by_column[table.cursor]] if table.cursor in by_column else table.cursor
    if mode == "incremental" and not cursor:
        problem = problem or f"{table.schema}.{table.name} has no cursor, or no key: it can only be read in full"
    fields = tuple(
        Field(
            column.comment or f"{column.name}, {column.declared}.",
            name=names[alias],
            type=column.type,
            # What the database sees to is not checked, but in a log, which may be older than the key.
            nullable=alias not in key_aliases or not (column.is_nullable or is_captured),
            key=alias in key_aliases,
            source=alias,
            is_lenient=engine.is_lenient,
            note=column.note,
        )
        for alias, column in table.aliases().items()
        if not (is_captured and column.is_generated)
    )
    notes = [table.note] if table.note else []
    if is_captured and (generated := [column.name for column in table.columns if column.is_generated]):
        notes.append(f"{', '.join(generated)}: the log does not have what is generated; work it out in a model")
    description = table.comment or f"One row of {table.schema}.{table.name}."
    kind = Log() if is_captured else State()
    return Stream(name, Contract(description, fields), kind, cursor, source, tuple(notes)), problem


def _snake_case(name: str) -> str:
    name = NamingConvention().normalize_identifier(name)
    return name.lstrip("_") if name.startswith("_dlt") else name  # dlt takes those for its own


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken already; now it is."""
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    free = next(n for n in itertools.chain([name], numbered) if n not in taken)
    taken.add(free)
    return free
