"""Features and labels of devices are made of what had been received: what comes later, late or not, changes no row that
was there. They do not depend on the order of arrival, nor on the split into builds."""

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import building
import pytest
from test_device_alerts import Arrivals, arrived
from test_device_hours import READINGS, a_reading

MODELS = [
    "marts/devices/dim_devices",
    "marts/features/fct_device_day_versions",
    "marts/features/ftr_devices_daily",
    "marts/features/fct_device_labels",
]
ZONES = ["Europe/Berlin", "America/St_Johns", "Pacific/Auckland"]
HOUR = timedelta(hours=1)


def project(zone="Europe/Berlin"):
    return building.Project(
        MODELS, "int_device_readings__unioned", READINGS, ["device_metrics"], business_time_zone=zone
    )


def readings(chance):
    """Of three weeks over a change to summer time; some come hours or days late."""
    rows = arrived(Arrivals(chance).rows)
    for row in rows:
        row[12] += chance.choice([0, 0, 0, 7, 30, 200]) * HOUR
        row[8] = row[12] - row[11] > timedelta(minutes=5)
    return sorted(rows, key=lambda row: row[12])


def named(warehouse, model, key):
    """Rows by their key, each a dict."""
    result = warehouse.db.execute(f"from {model}")
    names = [column[0] for column in result.description]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    return {tuple(row[name] for name in key): row for row in rows}


@pytest.mark.parametrize("seed", range(6))
def test_what_is_received_later_changes_no_row(seed):
    chance, zone = random.Random(seed), ZONES[seed % 3]
    rows = readings(chance)
    found = []
    for number in (chance.randrange(len(rows) // 2, len(rows)), len(rows)):
        warehouse = project(zone)
        warehouse.add(rows[:number], "run")
        warehouse.build("run")
        found.append(warehouse)
    for model, at in (("ftr_devices_daily", "feature_at"), ("fct_device_labels", "label_at")):
        key = ("entity_id", at) if at == "feature_at" else ("entity_id", at, "horizon_days")
        earlier, later = (named(warehouse, model, key) for warehouse in found)
        assert earlier
        for each, row in earlier.items():
            for column, value in row.items():
                assert later[each][column] == value, f"{model}.{column} of {each}"
    assert len(later) > len(earlier)


@pytest.mark.parametrize("seed", range(6))
def test_they_do_not_depend_on_order_and_split(seed):
    chance = random.Random(seed)
    rows, warehouse = readings(chance), project(ZONES[seed % 3])
    chance.shuffle(rows)
    cuts = sorted(chance.sample(range(1, len(rows)), 3))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        warehouse.add(rows[start:end], f"run {number}")
        if chance.random() < 0.5:
            warehouse.build(f"run {number}, died", dies_after=chance.randrange(6))
        warehouse.build(f"run {number}")
    assert warehouse.differing() == []


@pytest.mark.parametrize("zone", ZONES)
def test_moments_are_local_midnights_of_days_that_are_over(zone):
    warehouse, begin = project(zone), datetime(2026, 3, 26, 11)
    rows = [a_reading(n, "d", "pressure", 9.0, begin + n * HOUR, begin + n * HOUR) for n in range(0, 24 * 5, 6)]
    warehouse.add(rows, "run")
    warehouse.build("run")
    moments = [
        moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone))
        for _, moment in named(warehouse, "ftr_devices_daily", ("entity_id", "feature_at"))
    ]
    assert {moment.time().isoformat() for moment in moments} == {"00:00:00"}
    first, last = (
        row[12].replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).date() for row in (rows[0], rows[-1])
    )
    days = [first + timedelta(days=number) for number in range(1, (last - first).days + 1)]
    assert sorted(moment.date() for moment in moments) == days


DAY_1 = datetime(2026, 2, 1, 23)  # midnight in Berlin
MINUTE = timedelta(minutes=1)


def described(*readings):
    """Features and labels of pressures: (hours after the first midnight, value, hours until it came)."""
    warehouse = project()
    times = [(DAY_1 + hours * HOUR, value, DAY_1 + (hours + wait) * HOUR) for hours, value, wait in readings]
    rows = [a_reading(n, "d", "pressure", value, at, came) for n, (at, value, came) in enumerate(times)]
    end = DAY_1 + 12 * 24 * HOUR
    rows.append(a_reading(len(rows), "other", "pressure", 9.0, end, end + HOUR))
    warehouse.add(rows, "run")
    warehouse.build("run")
    features, labels = (
        {(row[at] - DAY_1).total_seconds() / 86400: row for row in warehouse_rows if row["entity_id"] == "d"}
        for at, warehouse_rows in (
            ("feature_at", named(warehouse, "ftr_devices_daily", ("entity_id", "feature_at")).values()),
            (
                "label_at",
                [
                    r
                    for r in named(warehouse, "fct_device_labels", ("entity_id", "label_at", "horizon_days")).values()
                    if r["horizon_days"] == 7
                ],
            ),
        )
    )
    return features, labels


def test_a_late_reading_counts_from_the_midnight_after_it_came():
    features, _ = described((1, 9.0, 0), (2, 4.0, 70), (3, 9.0, 0), (30, 9.0, 0))
    assert [features[day]["limit_alert_count_7d"] for day in (1, 2, 3, 4)] == [0, 0, 0, 1]
    assert features[4]["days_since_limit_alert"] == 4 and features[4]["late_share_7d"] == 0.25
    assert [features[day]["reading_count_7d"] for day in (1, 2, 3, 4)] == [2, 3, 3, 4]


def test_midnight_itself_is_of_the_day_that_ends():
    features, labels = described(
        (1, 9.0, 0), (24, 4.0, 0.001), (25, 9.0, 0), (47, 4.0, 0.001), (49, 4.0, 0), (50, 9.0, 0)
    )
    # The first one began at midnight, and came after it; the second goes on over the next midnight.
    assert [features[day]["limit_alert_count_28d"] for day in (1, 2, 3, 4)] == [0, 2, 2, 2]
    assert labels[1]["failure_count"] == 1 and labels[2]["failure_count"] == 0
    assert labels[1]["has_failure"] and not labels[2]["has_failure"]


def test_a_label_knows_what_had_come_by_the_end_of_its_window():
    _, labels = described((1, 9.0, 0), (24 * 3 + 1, 4.0, 24 * 6 + 1), (24 * 3 + 2, 9.0, 0))
    assert [labels[day]["failure_count"] for day in (1, 2, 3)] == [0, 0, 1]
    assert max(labels) == 5 and labels[5]["label_available_at"] == DAY_1 + 12 * 24 * HOUR
