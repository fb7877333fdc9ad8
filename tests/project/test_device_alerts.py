"""Alerts, availability and OEE are what a plain loop over all readings finds, after any order of arrival and any split
into builds, of which some die; and nothing that is measured later changes what was an anomaly."""

import csv
import random
from collections import defaultdict
from datetime import datetime, time, timedelta
from itertools import groupby, pairwise

import building
import pytest
from test_device_hours import READINGS

INTERMEDIATE = [
    "readings__deduplicated", "days__summarised", "baselines__weekly", "baselines__daily", "incidents__daily",
]  # fmt: skip
MODELS = [
    *(f"intermediate/devices/int_device_{name}" for name in INTERMEDIATE),
    "intermediate/devices/int_line_states__changed",
    "intermediate/devices/int_line_states__held",
    "intermediate/devices/int_device_gaps__found",
    "marts/devices/fct_device_alerts",
    "marts/devices/fct_device_availability_daily",
    "marts/devices/fct_line_oee_daily",
]
MACHINES, LINE = ["devices:m0001", "devices:m0002"], "devices:packer-1"
BEGIN, MINUTE, DAY = datetime(2026, 3, 24, 9), timedelta(minutes=1), timedelta(days=1)


def seed(name):
    with (building.ROOT / f"seeds/{name}.csv").open() as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


METRICS = {(row["device_id"], row["metric"]): row for row in seed("device_metrics")}
STATES = {row["state"]: row for row in seed("line_states")}


def known(device, metric, column):
    """What the seed says of a metric, a number where it is one."""
    value = METRICS.get((device, metric), METRICS.get(("*", metric), {})).get(column)
    return value if value is None or column in ("metric_kind", "line_role") else float(value)


# ---- readings


class Arrivals:
    """Readings of three weeks, in any order: values that stay, go beyond limits or are unusual, silences of hours and
    days, counters that are reset, states; some are sent again with another value, or told anew as of another time."""

    def __init__(self, chance):
        self.chance, self.rows = chance, []
        for device in MACHINES:
            self.machine(device)
        self.line()
        for row in chance.sample(self.rows, 60):
            number, at = chance.choice([len(self.rows), int(row[0])]), row[11] + chance.choice([0, 0, 1]) * DAY
            self.add(row[1], row[4], row[7] if row[7] is None else row[7] + chance.choice([0, 1]), at, row[5], number)
        chance.shuffle(self.rows)

    def add(self, device, metric, value, at, text=None, number=None):
        late = self.chance.choice([1, 1, 1, 900])
        received_at = at - 400 * MINUTE if self.chance.random() < 0.005 else at + timedelta(seconds=late)
        told = [text, None, value, late > 300, received_at < at, at.date(), at, received_at]
        number = len(self.rows) if number is None else number
        self.rows.append([f"{number:05d}", device, "devices", "any", metric, *told])

    def times(self, minutes):
        """Times of readings, with silences, over three weeks."""
        at = BEGIN + self.chance.randrange(600) * MINUTE
        while at < BEGIN + 21 * DAY:
            yield at
            at += minutes * MINUTE
            if self.chance.random() < 0.02:
                at += self.chance.choice([4, 7, 20, 60, 100]) * 60 * MINUTE
            if self.chance.random() < 0.02:
                at += 7 * MINUTE

    def machine(self, device):
        chance, mode, left, counter = self.chance, "well", 0, 0
        for at in self.times(120):
            if not left:
                mode = chance.choice([*["well"] * 4, "stuck", "hot", "cold", "odd"])
                left = chance.randrange(1, 14)
            left -= 1
            usual = 93 + chance.randrange(8) / 10
            values = {"well": usual, "stuck": 93.5, "hot": 106 + usual / 100, "cold": 71.0, "odd": 99 + usual / 100}
            self.add(device, "boiler_temperature", None if chance.random() < 0.01 else values[mode], at)
            counter = 0 if chance.random() < 0.03 else counter + chance.randrange(3)
            self.add(device, "brew_count", float(counter), at)
            if chance.random() < 0.1:
                self.add(device, "unheard of", 5.0, at)

    def line(self):
        chance, state, total, good = self.chance, "running", 0, 0
        for at in self.times(30):
            if chance.random() < 0.15:
                state = chance.choice(["running", "running", "stopped", "planned stop", "unheard of", "7"])
                text, value = (None, 7.0) if state == "7" else (state, None)
                self.add(LINE, "state", value, at, text)
            made = chance.randrange(9) if state == "running" else 0
            total, good = total + made, good + made * (chance.random() < 0.9)
            if chance.random() < 0.01:
                total = good = 0
            if chance.random() < 0.01:
                self.add(LINE, "ideal_cycle_seconds", chance.choice([2.5, 3.0]), at)
            if state == "running" or chance.random() < 0.1:
                self.add(LINE, "total_count", float(total), at)
                self.add(LINE, "good_count", float(good), at)


# ---- what a plain loop finds


class Found:
    """Alerts, availability and OEE of readings, from the whole series of each metric."""

    def __init__(self, rows):
        newest = {}
        for row in rows:
            key, (at, received_at) = (row[1], row[4], row[11]), row[11:13]
            if not row[9]:
                newest[key] = max(newest.get(key, (received_at, row[0])), (received_at, row[0], row[7], row[5]))
        self.series, heard = defaultdict(list), defaultdict(set)
        for (device, metric, at), (*_, value, text) in sorted(newest.items()):
            heard[device].add(at)
            kind = known(device, metric, "metric_kind")
            if kind == "state" or (kind and value is not None):
                self.series[device, metric].append((at, value, text))
        self.heard = {device: sorted(times) for device, times in heard.items()}
        self.as_of = max(times[-1] for times in self.heard.values())
        states = [(at, text or str(int(value))) for at, value, text in self.series[LINE, "state"]]
        self.states = list(pairwise([*states, (self.as_of, None)]))

    def alerts(self):
        return sorted(self._alerts(), key=str)

    def _alerts(self):
        for (device, metric), series in self.series.items():
            low, high, stuck, every = (
                known(device, metric, name)
                for name in ("low_limit", "high_limit", "stuck_intervals", "expected_interval_seconds")
            )
            verdicts = {
                "low": [low is not None and value < low for _, value, _ in series],
                "high": [high is not None and value > high for _, value, _ in series],
                "anomaly": self.anomalies(device, metric),
            }
            for kind, shown in verdicts.items():
                for is_shown, numbers in runs(shown):
                    if is_shown:
                        yield device, metric, kind, *ends(series, numbers)
            for _, numbers in runs([value for _, value, _ in series]) if stuck else ():
                span = seconds(series[numbers[0]][0], series[numbers[-1]][0])
                if len(numbers) > stuck and span >= stuck * every:
                    yield device, metric, "stuck", *ends(series, numbers)
            if known(device, metric, "metric_kind") == "counter":
                for (_, before, _), (at, value, _) in pairwise(series):
                    if value < before:
                        yield device, metric, "counter_reset", at, at, 1
            for begin, end in self.gaps(device, metric):
                yield device, metric, "gap", begin, end, 0

    def anomalies(self, device, metric):
        series, score = self.series[device, metric], known(device, metric, "anomaly_score")
        weeks, usual = defaultdict(list), {}
        for at, value, _ in series if score else ():
            weeks[monday(at)].append((value, at.date()))
        for week, readings in weeks.items():
            values, dates = zip(*readings, strict=True)
            middle = lower_median(values)
            deviation = lower_median([abs(value - middle) for value in values]) * 1.4826
            if len(values) >= 20 and (max(dates) - min(dates)).days >= 3 and deviation:
                usual[week + 7 * DAY] = middle, score * deviation
        return [
            monday(at) in usual and abs(value - usual[monday(at)][0]) > usual[monday(at)][1] for at, value, _ in series
        ]

    def gaps(self, device, metric):
        """(begin, end) of silences, of a metric or of the whole device (*)."""
        every = known(device, metric, "expected_interval_seconds")
        if not every:
            return
        series = [(at, None) for at in self.heard[device]] if metric == "*" else self.series[device, metric]
        for before, after in pairwise([*series, None]):
            end = after[0] if after else self.as_of
            if (end - before[0]).total_seconds() > 3 * every and not self.is_at_rest(device, metric, before, after):
                yield before[0] + timedelta(seconds=every), after and after[0]

    def is_at_rest(self, device, metric, before, after):
        told = [state for (at, state), _ in self.states if device == LINE and at <= before[0]]
        has_grown = known(device, metric, "metric_kind") == "counter" and after and step(before[1], after[1]) > 0
        return told and not is_(told[-1], "is_planned", "true") and not has_grown

    def availability(self):
        rows = []
        for device, times in self.heard.items():
            if not (every := known(device, "*", "expected_interval_seconds")):
                continue
            for begin, end in days(times[0], self.as_of):
                midnight = datetime.combine(begin.date(), time())
                slots = {(at - midnight).total_seconds() // every for at in times if at.date() == begin.date()}
                first, last = ((each - midnight).total_seconds() // every for each in (begin, end))
                parts = [seconds(max(b, begin), min(e or end, end)) for b, e in self.gaps(device, "*")]
                parts = [part for part in parts if part > 0]
                expected = seconds(begin, end)
                rows.append((
                    device, last - first, min(len(slots), last - first), expected, expected - sum(parts),
                    (expected - sum(parts)) / expected if expected else None,
                    len(parts), max(parts, default=0), begin.date(),
                ))  # fmt: skip
        return sorted(rows)

    def oee(self):
        rows, metrics = [], ("total_count", "good_count")
        for begin, end in days(self.states[0][0][0], self.as_of):
            day, planned, run = begin.date(), 0, 0
            midnight = datetime.combine(day, time())
            for (since, state), (until, _) in self.states:
                held = max(0, seconds(max(since, midnight), min(until, end)))
                planned += held * is_(state, "is_planned", "true")
                run += held * is_(state, "is_running", "false") * is_(state, "is_planned", "true")
            total, good = (
                sum(step(a[1], b[1]) for a, b in pairwise(self.series[LINE, metric]) if b[0].date() == day)
                for metric in metrics
            )
            cycles = [value for at, value, _ in self.series[LINE, "ideal_cycle_seconds"] if at.date() <= day]
            cycle = cycles[-1] if cycles else None
            gaps = [gap for metric in metrics for gap in self.gaps(LINE, metric)]
            touched = any(b < midnight + DAY and (e or self.as_of + DAY) > midnight for b, e in gaps)
            is_complete = self.states[0][0][0].date() < day < self.as_of.date() and not touched
            rows.append((
                LINE, planned, run, total, good, cycle, run / planned if planned else None,
                cycle * total / run if run and cycle else None, good / total if total else None,
                cycle * good / planned if planned and cycle else None, is_complete, day,
            ))  # fmt: skip
        return rows


def ends(series, numbers):
    """Of readings that follow each other: when they began, when the next one came, how many they are."""
    after = series[numbers[-1] + 1][0] if numbers[-1] + 1 < len(series) else None
    return series[numbers[0]][0], after, len(numbers)


def runs(values):
    """(value, its numbers) of equal values that follow each other."""
    for value, group in groupby(enumerate(values), lambda each: each[1]):
        yield value, [number for number, _ in group]


def monday(at):
    return datetime.combine(at.date() - at.weekday() * DAY, time())


def lower_median(values):
    return sorted(values)[(len(values) - 1) // 2]


def step(before, after):
    return after if after < before else after - before


def seconds(begin, end):
    return (end - begin).total_seconds()


def is_(state, column, otherwise):
    return STATES.get(state, {}).get(column, otherwise) == "true"


def days(begin, end):
    """The parts of days between two times."""
    while begin <= end:
        midnight = datetime.combine(begin.date(), time()) + DAY
        yield begin, min(midnight, end)
        begin = midnight


# ---- tests


def project():
    return building.Project(MODELS, "int_device_readings__unioned", READINGS, ["device_metrics", "line_states"])


def arrived(rows):
    """The rows that are there: of those with one id the last."""
    return list({row[0]: row for row in rows}.values())


@pytest.mark.parametrize("seed", range(8))
def test_marts_are_what_a_loop_finds_after_any_order_and_split(seed):
    chance = random.Random(seed)
    rows, warehouse = Arrivals(chance).rows, project()
    cuts = sorted(chance.sample(range(1, len(rows)), 3))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        warehouse.add(rows[start:end], f"run {number}")
        if chance.random() < 0.5:
            warehouse.build(f"run {number}, died", dies_after=chance.randrange(4))
        warehouse.build(f"run {number}")
    assert warehouse.differing() == []
    found = Found(arrived(rows))
    columns = "device_id, metric, alert_kind, started_at, ended_at, reading_count"
    alerts = warehouse.db.execute(f"select {columns} from fct_device_alerts").fetchall()
    assert sorted(alerts, key=str) == found.alerts()
    assert {alert[2] for alert in alerts} == {"low", "high", "stuck", "anomaly", "gap", "counter_reset"}
    assert warehouse.rows("fct_device_availability_daily") == found.availability()
    oee = warehouse.db.execute("from fct_line_oee_daily order by production_date").fetchall()
    assert [pytest.approx(row) for row in oee] == found.oee()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_measured_later_changes_no_verdict(seed):
    chance = random.Random(seed)
    rows = arrived(Arrivals(chance).rows)
    until = BEGIN + chance.randrange(14 * 24, 20 * 24) * timedelta(hours=1)
    verdicts = []
    for known_rows in (rows, [row for row in rows if row[11] < until]):
        warehouse = project()
        warehouse.add(known_rows, "run")
        warehouse.build("run")
        verdicts.append(
            warehouse.db.execute(
                """
                select device_id, metric, alert_kind, started_at, least(ended_at, $until),
                    case when ended_at < $until then (extreme_value, threshold_value) end
                from fct_device_alerts
                where alert_kind in ('low', 'high', 'anomaly') and started_at < $until order by all
                """,
                {"until": until},
            ).fetchall()
        )
    later, earlier = verdicts
    assert later == earlier
    assert {row[2] for row in earlier} == {"low", "high", "anomaly"}
