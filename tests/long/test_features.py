"""No feature and no label knows the future: what a company delivers later, late rows among it, changes no exported
value. Over all feature tables that dbt's manifest lists."""

import json
import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import duckdb
import pyarrow.parquet as pq
import pytest

import sandbox
from ingestion.__main__ import main
from tests.copies import Copy

SCALE, DAYS, MOMENTS = 0.02, 9, 5
BUILD = "dbt build --quiet --select +path:models/marts/features --exclude-resource-type test"
OBSERVED = [
    "raw_shop.customers",
    "raw_shop.orders",
    "raw_shop.refunds",
    "raw_events.events",
    "raw_exchange_rates.rates",
]
LATE = """
    -- other orders, refunds and visits, of days that were asked for, and before them
    create temp table late as from raw_shop.orders where _mark is null and ordered_at > TODAY - interval 30 days;
    insert into raw_shop.orders by name
    select * replace (
        order_id + 1000000 as order_id, _key || '-late' as _key, ordered_at - interval 3 days as ordered_at,
        order_total * 7 as order_total, TODAY as _observed_at, 'late' as _dlt_load_id
    ) from late;
    insert into raw_shop.refunds by name
    select 1000000 + order_id as refund_id, order_id, currency, order_total as amount, ordered_at as refunded_at,
        '1' || _key as _key, _row_hash, TODAY as _observed_at, 'late' as _dlt_load_id from late;
    insert into raw_events.events by name
    select * replace (_key || '-late' as _key, original_timestamp - interval 1 day as original_timestamp,
        TODAY as _observed_at, 'late' as _dlt_load_id)
    from raw_events.events where user_id is not null;
    -- all that was there is changed, then deleted, and rates are corrected
    insert into raw_shop.orders by name
    select * replace (order_total * 9 as order_total, 1 as customer_id, TODAY as _observed_at, 'late' as _dlt_load_id)
    from raw_shop.orders where _observed_at < TODAY;
    insert into raw_shop.orders by name
    select distinct _key, 'gone' as _mark, TODAY as _observed_at, 'late' as _dlt_load_id from raw_shop.orders;
    insert into raw_exchange_rates.rates by name
    select * replace (rate * 2 as rate, TODAY as _observed_at, 'late' as _dlt_load_id) from raw_exchange_rates.rates;
    insert into raw_exchange_rates.rates by name
    select * replace (rate * 3 as rate, rate_date + 1 as rate_date, _key || '-late' as _key, TODAY as _observed_at,
        'late' as _dlt_load_id)
    from raw_exchange_rates.rates where dayofweek(rate_date) = 5;
"""


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

    def deliver(self, late: str = "") -> None:
        """Loads what there is, as on the day of the sandbox's clock, adds `late` rows (SQL), and builds."""
        self.copy.run("python -m ingestion run")
        today = f"timestamptz '{sandbox.clock(self.copy.sandbox)} 00:00:00+00'"
        with duckdb.connect(str(self.copy.warehouse / "sandbox.duckdb")) as warehouse:
            for table in OBSERVED:
                warehouse.execute(f"update {table} set _observed_at = least(_observed_at, {today})")
            warehouse.execute(late.replace("TODAY", today))
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
    (newest,) = (moments[0] for entity, label, moments in sets if (entity, label) == ("devices", ""))
    taken = len(json.loads((company.copy.sandbox / "devices.json").read_text())["messages"])
    sandbox.advance(DAYS, company.copy.sandbox)
    company.send_late(datetime.fromisoformat(newest).replace(tzinfo=UTC), taken)
    company.deliver(LATE)
    for (entity, label, _), before, after in zip(sets, first, company.export(sets, "again"), strict=True):
        earlier, later = pq.read_table(before), pq.read_table(after)
        assert earlier.num_rows > 0
        for column in ("entity_id", *earlier.column_names):
            assert later[column] == earlier[column], (
                f"ftr_{entity}_daily, label {label or 'none'}: {column} has changed"
            )
        assert before.read_bytes() == after.read_bytes()
        assert before.with_suffix(".json").read_text() == after.with_suffix(".json").read_text()
