"""A device: what it is, what it measures, and how it writes that down."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """What a device measured at once, and when it sends it; `sequence` is its own number of it."""

    at: int
    sent_at: int
    topic: str
    sequence: int
    metrics: dict[str, Any]


class Message(NamedTuple):
    """Samples that are sent together."""

    sent_at: int
    device: "Device"
    samples: list[Sample]
    is_list: bool


@dataclass(eq=False)
class Device:
    """`kind`: machine, old machine, roaster or packer. `skew`: how many seconds its clock is ahead."""

    device_id: str
    kind: str
    owner: str = ""
    skew: int = 0
    total: int = 0
    good: int = 0
    firmware: list[int] = field(default_factory=lambda: [2, 0, 0])
    sequence: int = 0
    worked: float = 0.0  # seconds in which no unit was completed yet
    made: int = 0  # the true total, which no reset touches
    lost_seconds: int = 0
    warming: int = 0  # days until it overheats, if it will

    def sample(self, at: int, metrics: dict[str, Any], sent_at: int | None = None) -> Sample:
        """Measures."""
        self.sequence += 1
        topic = f"{'machines' if 'machine' in self.kind else 'line'}/{self.device_id}"
        if self.kind == "old machine":
            topic += f"/{next(iter(metrics))}"
        return Sample(at, sent_at or at, topic, self.sequence, metrics)

    @property
    def version(self) -> str:
        """Of the firmware."""
        return ".".join(map(str, self.firmware))

    def part(self, sample: Sample, sequence: int) -> dict[str, Any]:
        """The payload of a sample."""
        at = sample.at + self.skew
        if self.kind == "old machine":
            return {"ts": f"{moment(at):%Y-%m-%dT%H:%M:%SZ}", "v": next(iter(sample.metrics.values()))}
        return {"ts": at if self.kind == "machine" else 1000 * at, "seq": sequence, "metrics": sample.metrics}


def moment(at: int) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(at, UTC)
