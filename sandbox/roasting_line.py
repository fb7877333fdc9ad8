"""A day of the line that roasts and packs: half hours from 6 to 22 but on Sundays, with a break at noon and stops that
nobody plans."""

import random

from sandbox.measuring import Device, Sample
from sandbox.simulation import Row

IDEAL_CYCLES = {"roaster": 720, "packer": 3}  # seconds per batch, per bag
SLOWNESS, BAD, STOPS = 1.06, 0.03, 0.12  # no line is as fast as it could be; shares of units, and of half hours
HOUR, HALF = 3600, 1800


def day(device: Device, midnight: int, is_open: bool, is_reset: bool, rng: random.Random) -> tuple[list[Sample], Row]:
    """What a device of the line publishes on a day, and what OEE is made of."""
    cycle, samples, run, total = IDEAL_CYCLES[device.kind], [], 0, device.made
    if is_reset:
        device.total = device.good = 0
    good = device.good

    def tell(at: int, state: str) -> None:
        metrics = {"state": state, "total_count": device.total, "good_count": device.good}
        if device.kind == "roaster":
            metrics["drum_temperature"] = round(rng.gauss(205 if state == "running" else 120, 4), 1)
        samples.append(device.sample(at, metrics if samples else metrics | {"ideal_cycle_seconds": cycle}))

    for at in range(midnight + 6 * HOUR, midnight + 22 * HOUR, HALF) if is_open else ():
        if at - midnight == 12 * HOUR:
            tell(at, "planned stop")
            continue
        tell(at, "running")
        rests = 0
        if rng.random() < STOPS:
            stops_at, rests = at + 60 * rng.randint(1, 9), 60 * rng.randint(3, 20)
            _make(device, stops_at - at, rng)
            tell(stops_at, "stopped")
            tell(stops_at + rests, "running")
            _make(device, at + HALF - stops_at - rests, rng)
        else:
            _make(device, HALF, rng)
        run += HALF - rests
    tell(midnight + (22 if is_open else 6) * HOUR, "planned stop")
    total, good, planned = device.made - total, device.good - good, 31 * HALF if is_open else 0
    return samples, {
        "device_id": device.device_id, "planned_seconds": planned, "run_seconds": run, "total": total, "good": good,
        "ideal_cycle_seconds": cycle, "oee": round(cycle * good / planned, 6) if planned else None,
    }  # fmt: skip


def _make(device: Device, seconds: int, rng: random.Random) -> None:
    units, device.worked = divmod(device.worked + seconds, IDEAL_CYCLES[device.kind] * SLOWNESS)
    made = int(units)
    bad = sum(rng.random() < BAD for _ in range(made)) if made < 50 else round(made * BAD)
    device.made, device.total, device.good = device.made + made, device.total + made, device.good + made - bad
