"""Training sets: features as of some moments, with what then became of each, as a Parquet file and a JSON beside it.

Tables are found by name: `customers` have features in marts.ftr_customers_daily (entity_id, feature_at, available_at,
and the features) and labels in marts.fct_customer_labels (entity_id, label_at, horizon_days, label_available_at, and
the labels). docs/features.md says what these promise.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ingestion.errors import ConfigurationError
from ingestion.pipeline import target, warehouse_path

ROOT = Path(__file__).parents[1]
KEYS = ("entity_id", "as_of_at", "feature_at", "available_at")
LABEL_KEYS = ("entity_id", "horizon_days", "label_at", "label_available_at")
AS_OF = "The moment as of which the row is (UTC): the newest features that were known by then."


class Label(NamedTuple):
    """A column of a label table, and the length of the window in days."""

    column: str
    horizon_days: int

    @property
    def name(self) -> str:
        """Of its column in the file."""
        return f"{self.column}_{self.horizon_days}d"


def export(entity: str, as_of: Sequence[str], label: Label | None, folder: Path) -> dict[str, Any]:
    """Writes <entity>.parquet and <entity>.json into `folder`; returns what the JSON has.

    `as_of` are moments in ISO format: a day of the business begins at its midnight, other times are UTC unless they say
    otherwise. A row is an entity and a moment: the newest features with feature_at and available_at until then, and the
    label whose window is the first one to begin then or later. Entities without that label are left out, and counted.
    Raises ConfigurationError if there is no such entity or label, or a moment for which not all is known.
    """
    moments = sorted({_moment(text) for text in as_of})
    with _opened() as warehouse:
        features, labels = _tables(warehouse, entity)
        first, last = warehouse.execute(f"select min(feature_at), max(feature_at) from {features}").fetchone()
        if not last:
            raise ConfigurationError(f"{features} is empty: load something, and build it with dbt")
        if outside := [each for each in moments if not first <= each <= last]:
            raise ConfigurationError(
                f"there are features of {entity} from {_told(first)} to {_told(last)}, not as of {_told(outside[0])}"
            )
        begins = _label_begins(warehouse, labels, label, moments) if label else {}
        table, left_out = _rows(warehouse, features, labels, label, moments, begins)
    described = {**_descriptions(features), "as_of_at": AS_OF}
    if label:
        window = f"The window: {label.horizon_days} days from label_at on."
        described[label.name] = f"{_descriptions(labels).get(label.column, '')} {window}"
    counts = table.group_by("as_of_at").aggregate([([], "count_all")]).to_pydict()
    rows = dict(zip(counts["as_of_at"], counts["count_all"], strict=True))
    told = {
        "entity": entity,
        "features": features,
        "label": label and {"table": labels, "column": label.column, "horizon_days": label.horizon_days},
        "as_of": [
            {
                "as_of_at": _told(moment),
                **({"label_at": _told(begins[moment]), "left_out": left_out[moment]} if label else {}),
                "rows": rows.get(moment, 0),
            }
            for moment in moments
        ],
        "columns": [
            {"name": field.name, "type": str(field.type), "description": described.get(field.name, "")}
            for field in table.schema
        ],
        "rows": table.num_rows,
    }
    return _write(table, told, folder, entity)


def _opened() -> duckdb.DuckDBPyConnection:
    if target() == "spark":
        raise ConfigurationError(
            "exports are made of DuckDB's tables, and DBT_TARGET is spark: on a cluster select from "
            "marts.ftr_<FEATURES>_daily and its labels, as docs/features.md shows"
        )
    path = warehouse_path()
    if not path.exists():
        raise ConfigurationError(f"there is no warehouse {path}: make it with `make ingest && dbt build`")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.IOException as error:
        raise ConfigurationError(f"{path} can't be read now, as while ingest or dbt writes it: {error}") from error
    connection.execute("set timezone = 'UTC'")
    return connection


def _tables(warehouse: duckdb.DuckDBPyConnection, entity: str) -> tuple[str, str]:
    """The names of the tables of features and of labels."""
    query = "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
    tables = [name for (name,) in warehouse.execute(query).fetchall()]
    entities = [match[1] for name in tables if (match := re.fullmatch(r"ftr_(\w+)_daily", name))]
    if entity not in entities:
        known = f"there are {', '.join(entities)}" if entities else "there are none: build them with `dbt build`"
        raise ConfigurationError(f"the warehouse has no features of {entity!r}: {known}")
    return f"marts.ftr_{entity}_daily", f"marts.fct_{re.sub('ie$', 'y', entity.removesuffix('s'))}_labels"


def _label_begins(
    warehouse: duckdb.DuckDBPyConnection, labels: str, label: Label, moments: list[datetime]
) -> dict[datetime, datetime]:
    """When the windows of the labels begin, by moment."""
    try:
        columns = [name for (name, *_) in warehouse.execute(f"describe {labels}").fetchall() if name not in LABEL_KEYS]
    except duckdb.CatalogException as error:
        raise ConfigurationError(f"there is no {labels}: leave out --label, or build it with dbt") from error
    horizons = [
        days for (days,) in warehouse.execute(f"select distinct horizon_days from {labels} order by 1").fetchall()
    ]
    if label.column not in columns or label.horizon_days not in horizons:
        raise ConfigurationError(
            f"{labels} has no label {label.column}/{label.horizon_days}: its columns are {', '.join(columns)}, its "
            f"horizons in days {', '.join(map(str, horizons)) or 'none yet'}"
        )
    times = f"from {labels} where horizon_days = {label.horizon_days}"
    begins = {}
    for moment in moments:
        (begin,) = warehouse.execute(f"select min(label_at) {times} and label_at >= ?", [moment]).fetchone()
        if begin is None:
            (last,) = warehouse.execute(f"select max(label_at) {times}").fetchone()
            raise ConfigurationError(
                f"what comes of {_told(moment)} within {label.horizon_days} days is not known yet; "
                f"the last moment of which it is, is {_told(last)}"
            )
        begins[moment] = begin
    return begins


def _rows(
    warehouse: duckdb.DuckDBPyConnection,
    features: str,
    labels: str,
    label: Label | None,
    moments: list[datetime],
    begins: dict[datetime, datetime],
) -> tuple[pa.Table, dict[datetime, int]]:
    """The rows of the file, and how many were left out for want of a label, by moment."""
    asked = pa.table({"as_of_at": moments, "begins_at": [begins.get(moment) for moment in moments]}, _ASKED)
    warehouse.register("asked", asked)
    warehouse.execute(f"""
        create temp table newest as
        select entity_id, as_of_at, feature_at, available_at, * exclude (entity_id, as_of_at, feature_at, available_at)
        from {features} as features inner join asked on feature_at <= as_of_at and available_at <= as_of_at
        qualify row_number() over (partition by entity_id, as_of_at order by feature_at desc, available_at desc) = 1
    """)
    order = "order by as_of_at, entity_id"
    if not label:
        return warehouse.execute(f"select * exclude (begins_at) from newest {order}").to_arrow_table(), {}
    joined = f"""
        from newest left join {labels} as labels
        on labels.entity_id = newest.entity_id and label_at = begins_at and horizon_days = {label.horizon_days}
    """
    missing = f"select as_of_at, count(*) filter (labels.entity_id is null) {joined} group by 1"
    left_out = dict(warehouse.execute(missing).fetchall())
    columns = f'newest.* exclude (begins_at), labels."{label.column}" as "{label.name}"'
    query = f"select {columns} {joined} where labels.entity_id is not null {order}"
    return warehouse.execute(query).to_arrow_table(), {moment: left_out.get(moment, 0) for moment in moments}


_ASKED = pa.schema([("as_of_at", pa.timestamp("us")), ("begins_at", pa.timestamp("us"))])


def _write(table: pa.Table, told: dict[str, Any], folder: Path, entity: str) -> dict[str, Any]:
    """Both files, of which each is whole or the former one."""
    file, note = folder / f"{entity}.parquet", folder / f"{entity}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, part := file.with_suffix(".part"), compression="zstd")
        with part.open("rb") as content:
            told |= {"file": file.name, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}
        part.replace(file)
        (part := note.with_suffix(".part")).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        part.replace(note)
    except OSError as error:
        raise ConfigurationError(f"{folder} can't be written: {error}") from error
    return told


def _moment(text: str) -> datetime:
    """As UTC without a zone, as the marts have it."""
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            zone = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]["business_time_zone"]
            found = datetime.combine(date.fromisoformat(text), time(), ZoneInfo(zone))
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00") from None
    return found.astimezone(UTC).replace(tzinfo=None)


def _told(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"


def _descriptions(table: str) -> dict[str, str]:
    """What the columns of a mart mean, from its YAML."""
    name = table.split(".")[-1]
    for path in sorted((ROOT / "models/marts").rglob("*__models.yml")):
        for model in yaml.safe_load(path.read_text()).get("models", ()):
            if model["name"] == name:
                return {column["name"]: column.get("description", "").strip() for column in model["columns"]}
    return {}
