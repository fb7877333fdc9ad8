"""The company's devices, day by day: espresso machines in the field and a line that roasts and packs, and what they
publish over MQTT, in the order in which it arrives.

A machine of ten is an old one, which sends each metric to a topic of its own; the others send lists. Times are seconds
since 1970. The broker tells in a property of each message when it came to it.
"""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

from sandbox import roasting_line
from sandbox.measuring import Device, Message, Sample, moment
from sandbox.mqtt_broker import Broker
from sandbox.mqtt_packets import user_property
from sandbox.server import latest
from sandbox.simulation import Row, Simulation

FIRST_DAY = date(2026, 8, 1)  # when they were connected
CLIENT_ID, TOPICS = "catchment", ["machines/{device}/{metric}", "machines/{device}", "line/{device}"]
RECEIVED_PROPERTY = "received_at"
FILTERS = ["machines/+/+", "machines/+", "line/+"]
MACHINES, HOUR, DAY = 40.0, 3600, 86_400
# How likely it is per device and day; of duplicates, per message. Those of the second row happen to machines only.
RATES = {
    "gap": 0.05, "late_burst": 0.05, "duplicate": 0.05, "counter_reset": 0.05,
    "stuck": 0.05, "firmware": 0.05, "overheating": 0.02, "pressure_loss": 0.02, "unreadable": 0.02,
}  # fmt: skip
FORERUNNER, WARMER = 5, 0.2  # days before it overheats a boiler begins to get warmer, and by how many °C a day
AHEAD, BEHIND = 3653 * DAY, -45 * 60  # clocks, of one machine in twenty each
UNREADABLE = {
    "not_json": "boiler 93.5", "not_utf8": "\xff\xfe\x00", "no_time": '{"v":93.5}',
    "wrong_time": '{"ts":"yesterday","v":93.5}', "cut": '{"ts":1785542400,"v":9',
}  # fmt: skip


class Devices:
    """Follows the company day by day. `messages` are [topic, payload in Latin-1, seconds since 1970]: what came
    until today, and when."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"devices {company.seed}")
        self.devices: list[Device] = []
        self.messages: list[list[Any]] = []
        self.chances, self.hits, self.unreadable = Counter[str](), Counter[str](), Counter[str]()
        self.events: list[Row] = []
        self._delayed: list[Message] = []
        self._counts: dict[tuple, list[int]] = defaultdict(lambda: [0, 0, 0])  # by device and metric
        self._days: dict[tuple, list[float]] = defaultdict(list)  # boiler temperatures by device and its day
        self._totals: dict[Device, dict[int, int]] = defaultdict(dict)  # counters by the device's time
        self._line_days: list[tuple[Row, set[int]]] = []  # with the numbers of samples that did not arrive

    def day(self) -> None:
        """Lives through the company's today."""
        if self.company.today < FIRST_DAY:
            return
        if not self.devices:
            self._install()
        midnight = int(datetime.combine(self.company.today, time(), UTC).timestamp())
        messages, self._delayed = self._delayed, []
        for device in self.devices:
            is_machine = "machine" in device.kind
            if is_machine:
                samples, is_calm = self._machine(device, midnight)
            else:
                samples, is_calm = self._line(device, midnight), True
            messages += self._sent(device, midnight, samples, is_calm)
            if is_machine and self._happens("unreadable"):
                kind = list(UNREADABLE)[self.unreadable.total() % len(UNREADABLE)]
                self.unreadable[kind] += 1
                self.messages.append([f"machines/{device.device_id}/boiler_temperature", UNREADABLE[kind], midnight])
        for message in sorted(messages, key=lambda each: each.sent_at):
            self._arrive(message)

    def tables(self) -> dict[str, Any]:
        """What has come to the broker."""
        return {"messages": self.messages}

    def truth(self) -> dict[str, Any]:
        """Files of the truth about what has arrived; times and days are by the device's clock.

        devices.csv         every device: owner, how far its clock is ahead, what it truly made, hours without readings
        device_metrics.csv  readings (distinct device, metric, time), reading_ids (distinct keys), rows (all)
        device_days.csv     boiler temperatures of a machine and day: how many came, how many are expected, figures
        device_events.csv   periods of gap, late_burst, stuck, overheating and pressure_loss; moments of firmware and
                            counter_reset (the first reading of a lower counter)
        line_days.csv       what OEE is made of; is_complete: all that the device sent of that day has arrived
        devices.json        messages, unreadable ones by kind, and how many chances a defect had and how often it came
        """
        ids = {device.device_id: device for device in self.devices}
        interval = {key: 2 * HOUR if device.kind == "old machine" else HOUR // 2 for key, device in ids.items()}
        return {
            "devices.csv": (
                {"device_id": device.device_id, "kind": device.kind, "owner": device.owner,
                 "skew_seconds": device.skew, "firmware": device.version, "made": device.made,
                 "lost_hours": device.lost_seconds / HOUR}
                for device in self.devices
            ),
            "device_metrics.csv": (
                {"device_id": key, "metric": metric, "readings": counts[0], "reading_ids": counts[1], "rows": counts[2]}
                for (key, metric), counts in self._counts.items()
            ),
            "device_days.csv": (
                {"device_id": key, "day": moment(day * DAY).date(), "readings": len(values),
                 "expected": DAY // interval[key], "least": min(values), "most": max(values),
                 "mean": round(sum(values) / len(values), 6)}
                for (key, day), values in self._days.items()
            ),
            "device_events.csv": [*self.events, *self._resets()],
            "line_days.csv": ({**row, "is_complete": not missing} for row, missing in self._line_days),
            "devices.json": {
                "messages": len(self.messages), "unreadable": self.unreadable,
                "defects": {name: {"chances": self.chances[name], "hits": self.hits[name]} for name in RATES},
            },
        }  # fmt: skip

    def _install(self) -> None:
        customers = list(self.company.shop["customers"])
        for number in range(1, max(6, round(MACHINES * self.company.scale)) + 1):
            owner = f"cafe {number // 4}" if number % 4 == 0 else f"customer {self.rng.choice(customers)}"
            kind, skew = "old machine" if number % 10 == 1 else "machine", {3: AHEAD, 5: BEHIND}.get(number % 20, 0)
            self.devices.append(Device(f"m{number:04d}", kind, owner, skew, self.rng.randrange(2_000, 60_000)))
        self.devices += [Device(f"{kind}-1", kind) for kind in roasting_line.IDEAL_CYCLES]

    def _happens(self, what: str) -> bool:
        self.chances[what] += 1
        happens = self.rng.random() < RATES[what]
        self.hits[what] += happens
        return happens

    def _tell(self, device: Device, kind: str, metric: str, begin: int, end: int) -> None:
        times = {"begins_at": moment(begin + device.skew), "ends_at": moment(end + device.skew)}
        self.events.append({"device_id": device.device_id, "kind": kind, "metric": metric, **times})

    def _period(
        self, device: Device, kind: str, metric: str, midnight: int, hours: int, is_due: bool | None = None
    ) -> range:
        """The seconds of so many hours from an even hour on, if it happens today: by chance, or as `is_due` says."""
        if not (self._happens(kind) if is_due is None else is_due):
            return range(0)
        begin = midnight + 2 * HOUR * self.rng.randrange((24 - hours) // 2 + 1)
        self._tell(device, kind, metric, begin, begin + hours * HOUR)
        return range(begin, begin + hours * HOUR)

    def _machine(self, device: Device, midnight: int) -> tuple[list[Sample], bool]:
        """A day of a machine: a status at midnight, temperatures, and every two hours pressure and counter."""
        gauss, is_old = self.rng.gauss, device.kind == "old machine"
        if self._happens("firmware"):
            device.firmware = [2, device.firmware[1] + 1, 0] if self.rng.random() < 0.3 else device.firmware
            device.firmware = [*device.firmware[:2], device.firmware[2] + 1]
            self._tell(device, "firmware", "firmware", midnight, midnight)
        is_due = device.warming == 1
        if device.warming:
            device.warming -= 1
        elif self._happens("overheating"):
            device.warming = FORERUNNER
        warmer = WARMER * (FORERUNNER - device.warming) if device.warming or is_due else 0
        stuck = range(0) if is_due else self._period(device, "stuck", "boiler_temperature", midnight, 16)
        hot = self._period(device, "overheating", "boiler_temperature", midnight, 4, is_due)
        weak = self._period(device, "pressure_loss", "pressure", midnight, 6)
        reset_at = midnight + 2 * HOUR * self.rng.randrange(12) if self._happens("counter_reset") else 0
        status = {"firmware": device.version, "owner": device.owner, "water_hardness": round(gauss(7, 0.3), 1)}
        parts = [{key: value} for key, value in status.items()] if is_old else [status]
        samples, held = [device.sample(midnight, metrics) for metrics in parts], round(gauss(93.5, 0.4), 1) + 0.05
        for at in range(midnight, midnight + DAY, 2 * HOUR if is_old else HOUR // 2):
            temperature = held if at in stuck else round(gauss(113 if at in hot else 93.5 + warmer, 0.6), 1)
            metrics = {"boiler_temperature": temperature}
            if at % (2 * HOUR) == 0:
                brews = self.rng.randint(1, 24)
                device.made += brews
                device.total = 0 if at == reset_at else device.total + brews
                metrics |= {"pressure": round(gauss(4 if at in weak else 9, 0.2), 2), "brew_count": device.total}
            if is_old:
                samples += [device.sample(at, {name: value}) for name, value in metrics.items()]
            else:
                samples.append(device.sample(at, metrics, at - at % (6 * HOUR) + 6 * HOUR - 1))
        return samples, not (stuck or hot or weak)

    def _line(self, device: Device, midnight: int) -> list[Sample]:
        is_open, is_reset = self.company.today.weekday() < 6, self._happens("counter_reset")
        samples, row = roasting_line.day(device, midnight, is_open, is_reset, self.rng)
        missing = {sample.sequence for sample in samples}
        self._line_days.append(({"day": self.company.today, **row}, missing))
        return samples

    def _sent(self, device: Device, midnight: int, samples: list[Sample], is_calm: bool) -> list[Message]:
        """The messages of a day's samples, but for what a fault of the network loses, or keeps back for one list."""
        away, messages = range(0), []
        for kind in ("gap", "late_burst") if is_calm else ():
            if not away and (away := self._period(device, kind, "", midnight, self.rng.choice([8, 10, 12]))):
                late = [sample for sample in samples if sample.at in away]
                if kind == "gap":
                    device.lost_seconds += len(away)
                    continue
                back = away.stop + self.rng.choice([300, DAY])
                for group in _groups(late, lambda sample: sample.topic):
                    (messages if back < midnight + DAY else self._delayed).append(Message(back, device, group, True))
        kept = [sample for sample in samples if sample.at not in away]
        for group in _groups(kept, lambda sample: (sample.topic, sample.sent_at)):
            messages.append(Message(group[0].sent_at, device, group, len(group) > 1))
        return messages

    def _arrive(self, message: Message) -> None:
        device = message.device
        self._publish(message, [sample.sequence for sample in message.samples])
        for sample in message.samples:
            at = sample.at + device.skew
            for metric, value in sample.metrics.items():
                self._counts[device.device_id, metric] = [n + 1 for n in self._counts[device.device_id, metric]]
                if metric == "boiler_temperature":
                    self._days[device.device_id, at // DAY].append(value)
                elif metric in ("brew_count", "total_count"):
                    self._totals[device][at] = value
        for row, missing in self._line_days[-4:]:  # of both devices, today and yesterday
            if row["device_id"] == device.device_id:
                missing.difference_update(sample.sequence for sample in message.samples)
        if self._happens("duplicate"):
            is_renumbered = device.kind != "old machine" and self.rng.random() < 0.5  # by a gateway
            device.sequence += len(message.samples) * is_renumbered
            first = device.sequence - len(message.samples) + 1
            numbers = [first + n if is_renumbered else s.sequence for n, s in enumerate(message.samples)]
            self._publish(message, numbers)
            for metric in (metric for sample in message.samples for metric in sample.metrics):
                counts = self._counts[device.device_id, metric]
                counts[1], counts[2] = counts[1] + is_renumbered, counts[2] + 1

    def _publish(self, message: Message, numbers: list[int]) -> None:
        parts = [message.device.part(*pair) for pair in zip(message.samples, numbers, strict=True)]
        payload = json.dumps(parts if message.is_list else parts[0], separators=(",", ":"))
        self.messages.append([message.samples[0].topic, payload, message.sent_at])

    def _resets(self) -> Iterable[Row]:
        for device, values in self._totals.items():
            times = sorted(values)
            for before, at in pairwise(times):
                if values[at] < values[before]:
                    metric = "brew_count" if "machine" in device.kind else "total_count"
                    times_of = {"begins_at": moment(at), "ends_at": moment(at)}
                    yield {"device_id": device.device_id, "kind": "counter_reset", "metric": metric, **times_of}


def serve(path: Path, user: str, password: str, memory: Path) -> Broker:
    """A broker to which our loader was connected before the first message came: it has those of the file `path` that
    were not acknowledged yet, also in earlier runs. How many were is in the file `memory`."""
    broker, get = Broker(user, password), latest(path)
    session = broker.know(CLIENT_ID, FILTERS)
    known = taken = json.loads(memory.read_text()) if memory.exists() else 0
    ahead: set[int] = set()  # acknowledged before those in front of them were

    def fill() -> None:
        nonlocal known
        messages = get()["messages"]
        for number in range(known, len(messages)):
            topic, payload, sent_at = messages[number]
            told = user_property(RECEIVED_PROPERTY, str(1000 * sent_at))
            session.add(topic, told + payload.encode("latin-1"), 1, False, number)
        known = max(known, len(messages))

    def take(numbers: list[int]) -> None:
        nonlocal taken
        ahead.update(numbers)
        while taken in ahead:
            ahead.remove(taken)
            taken += 1
        memory.parent.mkdir(parents=True, exist_ok=True)
        new = memory.with_suffix(".new")
        new.write_text(json.dumps(taken))
        new.replace(memory)

    broker.before_connect, broker.taken = fill, take
    return broker


def _groups(samples: Iterable[Sample], key: Callable[[Sample], Any]) -> list[list[Sample]]:
    groups: dict[Any, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(key(sample), []).append(sample)
    return list(groups.values())
