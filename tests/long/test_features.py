"""No feature and no label knows the future: what a company delivers later, late rows among it, changes no exported
value. Over all feature tables that dbt's manifest lists."""

import json
import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import pyarrow.parquet as pq
import pytest

import sandbox
from ingestion.__main__ import main
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

    def send_late(self, before: datetime, taken: int) -> None:
        """Machines send what they kept back for five days, during which all was different: hot, weak, used, renewed.
        It comes at once after the messages that were `taken`."""
        path = self.copy.sandbox / "devices.json"
        shown = json.loads(path.read_text())
        *_, sent_at = shown["messages"][taken - 1]
        late = []
        for machine in ("m0002", "m0004", "m0006"):
            for number in range(5 * 48):
                at = int(before.timestamp()) - 7 - 1800 * number
                values = {"boiler_temperature": 130.5, "pressure": 2.5, "brew_count": number, "firmware": "9.9"}
                payload = json.dumps({"ts": at, "seq": 10**6 + number, "metrics": values})
                late.append([f"machines/{machine}", payload, sent_at])
        shown["messages"][taken:taken] = late
        path.write_text(json.dumps(shown))

    def export(self, sets: list[tuple[str, str, list[str]]], name: str) -> list[Path]:
        """The files."""
        files = []
        with mock.patch.dict(os.environ, {"WAREHOUSE_DIR": str(self.copy.warehouse), "DBT_TARGET": "sandbox"}):
            for number, (entity, label, moments) in enumerate(sets):
                folder = self.folder / name / str(number)
                with_label = ["--label", label] if label else []
                as_of = [f"--as-of={moment}" for moment in moments]
                assert main(["export", entity, *as_of, *with_label, "--to", str(folder)]) == 0
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
    taken = len(json.loads((company.copy.sandbox / "devices.json").read_text())["messages"])
    sandbox.advance(DAYS, company.copy.sandbox)
    company.send_late(datetime.fromisoformat(sets[0][2][0]).replace(tzinfo=UTC), taken)
    company.deliver()
    for (entity, label, _), before, after in zip(sets, first, company.export(sets, "again"), strict=True):
        earlier, later = pq.read_table(before), pq.read_table(after)
        assert earlier.num_rows > 0
        for column in ("entity_id", *earlier.column_names):
            assert later[column] == earlier[column], (
                f"ftr_{entity}_daily, label {label or 'none'}: {column} has changed"
            )
        assert before.read_bytes() == after.read_bytes()
        assert before.with_suffix(".json").read_text() == after.with_suffix(".json").read_text()
