"""Hours of devices are the same after any order of arrival and any split into builds, of which some die."""

import random
from datetime import datetime, timedelta

import building
import pytest

MODELS = ["intermediate/devices/int_device_readings__deduplicated", "marts/devices/fct_device_readings_hourly"]
READINGS = """
    reading_id text, device_id text, source_system text, device_group text, metric text, reading_text text,
    sequence_number bigint, reading_value double, is_late boolean, is_ahead_of_time boolean, measured_date date,
    measured_at timestamp, received_at timestamp
"""


def some_readings(chance):
    """Readings of some days in any order: regular ones, with gaps of minutes and of days, some sent again with another
    value, or told anew as of another time."""
    readings = []
    for device, metric in [
        ("a", "boiler_temperature"),
        ("a", "brew_count"),
        ("devices:m0001", "boiler_temperature"),
        ("b", "unknown"),
    ]:
        at = datetime(2026, 3, 28, 20)
        for _ in range(chance.randint(5, 40)):
            at += chance.choice([1, 1, 1, 2, 3, 4, 30, 200]) * timedelta(minutes=15, seconds=chance.choice([0, 0, 7]))
            value = chance.choice([chance.randrange(100), chance.random() * 100, None, 1e25, -5])
            readings.append(a_reading(len(readings), device, metric, value, at, at + timedelta(seconds=1)))
    for reading in chance.sample(readings, 20):
        value, late = chance.randrange(100), chance.choice([1, 400]) * timedelta(seconds=2)
        number = chance.choice([len(readings), int(reading[0])])
        at = reading[11] + chance.choice([0, 0, 1]) * timedelta(days=1)
        readings.append(a_reading(number, reading[1], reading[4], value, at, reading[12] + late))
    chance.shuffle(readings)
    return readings


def a_reading(number, device, metric, value, at, received_at):
    is_late, is_ahead = received_at - at > timedelta(minutes=5), at - received_at > timedelta(minutes=5)
    told = [None, number, None if value is None else float(value), is_late, is_ahead, at.date(), at, received_at]
    return [f"{number:04d}", device, "devices", "machines", metric, *told]


@pytest.mark.parametrize("seed", range(12))
def test_hours_do_not_depend_on_order_and_split(seed):
    chance = random.Random(seed)
    readings = some_readings(chance)
    project = building.Project(MODELS, "int_device_readings__unioned", READINGS, ["device_metrics"])
    cuts = sorted(chance.sample(range(1, len(readings)), 4))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(readings)], strict=True)):
        project.add(readings[start:end], f"run {number}")
        if chance.random() < 0.5:
            project.build(f"run {number}, died", dies_after=chance.randrange(11))
        project.build(f"run {number}")
    assert project.differing() == []
    assert len(project.rows("fct_device_readings_hourly")) > 20
