"""dbt's files, written from what ingest knows: sources from the contracts, so that the two cannot differ, and of a
database that is only configured the first staging models, which belong to the user from then on."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ingestion.contract import Field
from ingestion.errors import SourceError
from ingestion.evolution import GONE
from ingestion.first_models import Landed, Model, entry, first_models
from ingestion.ledger import LEDGER_TABLES
from ingestion.stream import SYSTEM_COLUMNS, Stream
from ingestion.systems import System
from ingestion.warehouse import Warehouse, raw_dataset

WARN_AFTER_HOURS = 36
HEADER = "# Written by `python -m ingestion scaffold {}` from "
FROM_CONTRACTS = HEADER + "the contracts: change those, not this."
FROM_CATALOG = HEADER + "the catalog and what has landed: run that again instead of changing this."
MODELS_HEADER = "# Begun by `python -m ingestion scaffold {}`, which does not write it again: it is yours."


def sources_path(system: str, root: Path = Path()) -> Path:
    """Where a system's sources are declared."""
    return root / "models" / "staging" / system / f"_{system}__sources.yml"


def sources(system: System) -> str:
    """The YAML of a system's sources: its raw tables, their columns, and how fresh they have to be."""
    # What is computed from other systems (no options) is read only when there is something new.
    tables = [_table(system, stream, bool(system.options)) for stream in system.streams]
    return _sources(system, FROM_CONTRACTS, tables)


def write_sources(system: System, root: Path = Path()) -> list[str]:
    """Writes a system's sources file below the project's root; returns what to tell the user."""
    return [_write_sources(sources_path(system.name, root), sources(system))]


def write_models(system: System, warehouse: Warehouse, root: Path = Path()) -> list[str]:
    """Writes sources and staging models of a database's tables that have landed; returns what to tell the user.

    Models that are there, and their YAML, stay as they are. Raises SourceError if nothing has landed, or if the
    database does not answer.
    """
    tables = system.connect()
    try:
        by_name = {tables.name(table): table for table in tables.catalog}
        streams = [stream for stream in system.streams if stream.source in by_name]
    finally:
        tables.close()
    raw = _raw_tables(warehouse, system.name)
    run_first = f"run first: python -m ingestion run {system.name}"
    if not raw:
        raise SourceError(f"nothing of {system.name} has landed in {warehouse.path}; {run_first}")
    told = [f"{system.name}.{stream.name} has not landed; {run_first}" for stream in streams if stream.name not in raw]
    landed = [Landed(_as_landed(s, raw[s.name]), by_name[s.source]) for s in streams if s.name in raw]
    declared = [_table(system, each.stream, has_freshness=True) for each in landed]
    for name in sorted(raw.keys() - {stream.name for stream in streams}):
        declared.append(_gone_table(name, raw[name]))  # a model of yours may still read it
    path = sources_path(system.name, root)
    names = {table["name"] for table in declared}
    declared += [table for table in _declared(path) if table["name"] not in names]  # landed in another warehouse
    told.append(_write_sources(path, _sources(system, FROM_CATALOG, declared)))
    return told + _write_models(first_models(system.name, tables.engine, landed), path.parent)


def declared_tables(root: Path = Path()) -> dict[str, dict[str, list[tuple[str, str, str]]]]:
    """System -> raw table -> (column, type, description) of the databases whose sources were written from a catalog.

    It is what models read, configured or not: with these tables, empty if need be, they build in any warehouse.
    """
    paths = sorted((root / "models" / "staging").glob("*/_*__sources.yml"))
    found = {path.parent.name: _declared(path) for path in paths}
    return {
        name: {
            table["name"]: [(c["name"], c["data_type"].upper(), c["description"]) for c in table["columns"]]
            for table in tables
        }
        for name, tables in found.items()
        if tables
    }


def _declared(path: Path) -> list[dict[str, Any]]:
    """The tables of a sources file, if there is one that was written from a catalog."""
    if not path.exists() or not (text := path.read_text()).startswith(FROM_CATALOG.format(path.parent.name)):
        return []
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["sources"][0]["tables"]


def _sources(system: System, header: str, tables: list[dict[str, Any]]) -> str:
    source = {
        "name": system.name,
        "schema": raw_dataset(system.name),
        "description": system.description,
        "tables": tables,
    }
    return f"{header.format(system.name)}\n{_yaml({'version': 2, 'sources': [source]})}"


def _table(system: System, stream: Stream, has_freshness: bool) -> dict[str, Any]:
    # A table whose rows have not changed is as fresh as its last complete reading, hence the ledger.
    newest = (
        "select max(finished_at) from raw_operations.load_ledger "
        f"where system = '{system.name}' and stream = '{stream.name}' and status = 'complete'"
    )
    freshness = {
        "loaded_at_query": newest,
        "freshness": {"warn_after": {"count": WARN_AFTER_HOURS, "period": "hour"}},
    }
    return {
        "name": stream.name,
        "description": stream.contract.description,
        **({"config": freshness} if has_freshness else {}),
        "columns": _columns(stream.columns),
    }


def _gone_table(name: str, columns: dict[str, tuple[str, str]]) -> dict[str, Any]:
    description = "No longer read: the database has it no longer, or the configuration leaves it out."
    rows = [(column, data_type, comment) for column, (data_type, comment) in columns.items()]
    return {"name": name, "description": description, "columns": _columns(rows)}


def _columns(columns: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [
        {"name": name, "description": description, "data_type": sql_type.lower()}
        for name, sql_type, description in columns
    ]


def _yaml(content: dict[str, Any]) -> str:
    text = yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)
    return re.sub(r"\{(?=[{%#])", "{ ", text)  # dbt reads descriptions as Jinja


def _write_sources(path: Path, text: str) -> str:
    if path.exists() and not path.read_text().startswith(HEADER.format(path.parent.name)):
        return _kept(path)
    return _write(path, text)


def _write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"wrote {path}"


def _raw_tables(warehouse: Warehouse, system: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Raw table -> column -> (type, comment) of the streams that have once been read completely."""
    dataset, tables = raw_dataset(system), {}
    rows = warehouse.query(
        f"""
        select table_name, column_name, data_type, coalesce(comment, '') as comment from duckdb_columns()
        where schema_name = '{dataset}' and table_name in (
            select stream from raw_operations.load_ledger where system = '{system}' and status = 'complete'
        ) order by table_name, column_index
        """
    )
    for row in rows:
        tables.setdefault(row["table_name"], {})[row["column_name"]] = (row["data_type"], row["comment"])
    return {name: columns for name, columns in tables.items() if name not in LEDGER_TABLES}


def _as_landed(stream: Stream, raw: dict[str, tuple[str, str]]) -> Stream:
    """The stream with the columns and types of its raw table; those that the source has no longer come last."""
    fields = [dataclasses.replace(f, type=raw[f.name][0]) for f in stream.contract.fields if f.name in raw]
    known = {*SYSTEM_COLUMNS, *(field.name for field in fields)}
    for name, (sql_type, comment) in raw.items():
        if name not in known:
            fields.append(Field(GONE + comment.removeprefix(GONE), name, sql_type))
    return dataclasses.replace(stream, contract=dataclasses.replace(stream.contract, fields=tuple(fields)))


def _write_models(models: list[Model], folder: Path) -> list[str]:
    existing = {path.stem: path for path in folder.parents[1].rglob("*.sql")}
    told, ours = [], []
    for model in models:
        path = existing.get(model.name)
        told.append(_kept(path) if path else _write(folder / f"{model.name}.sql", model.sql))
        if not path or path.read_text() == model.sql:  # what another SQL selects we can't describe
            ours.append(model)
    yamls = [path.read_text() for path in folder.rglob("*.yml")]
    described = {name for text in yamls for name in re.findall(r"\bname: ['\"]?(stg_\w+)", text)}
    entries = [entry(model, ours) for model in ours if model.name not in described]
    path = folder / f"_{folder.name}__models.yml"
    if path.exists():
        lacking = ", ".join(entry["name"] for entry in entries)
        told.append(_kept(path) + (f" (remove it to have it anew, with {lacking})" if lacking else ""))
    elif entries:
        told.append(_write(path, f"{MODELS_HEADER.format(folder.name)}\n{_yaml({'models': entries})}"))
    return told


def _kept(path: Path) -> str:
    return f"kept {path}: it is yours"
