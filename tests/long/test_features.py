"""No feature and no label knows the future: what a company delivers later, late rows among it, changes no exported
value. Over all feature tables that dbt's manifest lists."""

import json
import re
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sandbox
from tests.copies import Copy

SCALE, DAYS, MOMENTS = 0.02, 9, 5
BUILD = "dbt build --quiet --select +path:models/marts/features --exclude-resource-type test"


class Company:
    """A company that is loaded and built, and what was exported of it."""

    def __init__(self, folder: Path) -> None:
        self.copy, self.folder = Copy(folder, SCALE), folder
        self.copy.run("dbt parse --quiet")
        nodes = json.loads((self.copy.target / "manifest.json").read_text())["nodes"].values()
        names = [node["name"] for node in nodes if node["resource_type"] == "model"]
        self.entities = [match[1] for name in names if (match := re.fullmatch(r"ftr_(\w+)_daily", name))]
        unnamed = {name for name in names if name.startswith("ftr_")} - {f"ftr_{each}_daily" for each in self.entities}
        assert self.entities and not unnamed, f"no export finds {unnamed}"

    def deliver(self) -> None:
        """Loads what there is, and builds."""
        self.copy.run("python -m ingestion run")
        self.copy.run(BUILD)

    def sets(self) -> list[tuple[str, str, list[str]]]:
        """What to export: entity, label (none for ''), and moments."""
        found = []
        for entity in self.entities:
            found.append((entity, "", self._moments(f"feature_at from marts.ftr_{entity}_daily")))
            singular = re.sub(r"ie$", "y", entity.removesuffix("s"))
            table = f"marts.fct_{singular}_labels"
            columns = [row[0] for row in self.copy.query("sandbox", f"describe {table}")]
            for (days,) in self.copy.query("sandbox", f"select distinct horizon_days from {table}"):
                moments = self._moments(f"label_at from {table} where horizon_days = {days}")
                for column in set(columns) - {"entity_id", "horizon_days", "label_at", "label_available_at"}:
                    found.append((entity, f"{column}/{days}", moments))
        return found

    def _moments(self, selected: str) -> list[str]:
        rows = self.copy.query("sandbox", f"select distinct {selected} order by 1 desc limit {MOMENTS}")
        return [moment.isoformat() for (moment,) in rows]

    def export(self, sets: list[tuple[str, str, list[str]]], name: str) -> list[Path]:
        """The files."""
        files = []
        for number, (entity, label, moments) in enumerate(sets):
            folder = self.folder / name / str(number)
            as_of = " ".join(f"--as-of {moment}" for moment in moments)
            with_label = f"--label {label}" if label else ""
            self.copy.run(f"python -m ingestion export {entity} {as_of} {with_label} --to {folder}")
            files.append(folder / f"{entity}.parquet")
        return files


@pytest.fixture(scope="module")
def company():
    """Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="catchment-features-") as folder:
        yield Company(Path(folder))


@pytest.mark.timeout(900)
def test_what_is_delivered_later_changes_no_exported_value(company):
    company.deliver()
    sets = company.sets()
    first = company.export(sets, "first")
    (newest,) = company.copy.query("sandbox", "select max(received_at) from raw_devices.readings")[0]
    sandbox.advance(DAYS, company.copy.sandbox)
    company.deliver()
    late = f"select count(*) from raw_devices.readings where measured_at < '{newest}' and received_at > '{newest}'"
    assert company.copy.query("sandbox", late)[0][0] > 0, "nothing came late"
    for (entity, label, _), before, after in zip(sets, first, company.export(sets, "again"), strict=True):
        earlier, later = pq.read_table(before), pq.read_table(after)
        assert earlier.num_rows > 0
        for column in ("entity_id", *earlier.column_names):
            assert later[column] == earlier[column], (
                f"ftr_{entity}_daily, label {label or 'none'}: {column} has changed"
            )
        assert before.read_bytes() == after.read_bytes()
        assert before.with_suffix(".json").read_text() == after.with_suffix(".json").read_text()
