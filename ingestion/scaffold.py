"""dbt's sources, written from the contracts, so that the two cannot differ."""

from pathlib import Path
from typing import Any

import yaml

from ingestion.pipeline import raw_dataset
from ingestion.stream import Stream
from ingestion.systems import System

WARN_AFTER_HOURS = 36


def sources_path(system: str, root: Path = Path()) -> Path:
    """Where a system's sources are declared."""
    return root / "models" / "staging" / system / f"_{system}__sources.yml"


def write_sources(system: System, root: Path = Path()) -> Path:
    """Writes a system's sources file below the project's root; returns its path."""
    path = sources_path(system.name, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sources(system))
    return path


def sources(system: System) -> str:
    """The YAML of a system's sources: its raw tables, their columns, and how fresh they have to be."""
    source = {
        "name": system.name,
        "schema": raw_dataset(system.name),
        "description": system.description,
        "tables": [_table(system, stream) for stream in system.streams],
    }
    text = yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=110, allow_unicode=True)
    return (
        f"# Written by `python -m ingestion scaffold {system.name}` from the contracts: change those, not this.\n{text}"
    )


def _table(system: System, stream: Stream) -> dict[str, Any]:
    # A table whose rows have not changed is as fresh as its last complete reading, hence the ledger. What is computed
    # from other systems (no options) is read only when there is something new.
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
        **({"config": freshness} if system.options else {}),
        "columns": [
            {"name": name, "description": description, "data_type": sql_type.lower()}
            for name, sql_type, description in stream.columns
        ],
    }
