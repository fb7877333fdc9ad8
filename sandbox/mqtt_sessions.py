"""What an MQTT broker knows of its clients: what they subscribed to, and what they have not got yet."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

NEVER = 0xFFFFFFFF  # when a session expires


class Connection(Protocol):
    """Of a client that is there."""

    def flush(self) -> None:
        """Sends what is queued."""

    def replace(self, code: int) -> None:
        """Ends it."""


@dataclass(slots=True, eq=False)
class Message:
    """`content`: properties and payload, as they were published. `tag`: tells `Broker.taken` which it is."""

    topic: str
    content: bytes
    qos: int
    is_retained: bool = False
    packet_id: int = 0
    tag: Any = None


@dataclass(eq=False)
class Session:
    """What the broker knows of a client: what it wants (filter: pattern, QoS, retain as published), and what it has
    not been sent, or not acknowledged."""

    subscriptions: dict[str, tuple[re.Pattern, int, bool]] = field(default_factory=dict)
    queue: deque[Message] = field(default_factory=deque)
    sent: dict[int, Message] = field(default_factory=dict)
    expiry: int = NEVER
    ends_at: float = float("inf")
    connection: "Connection | None" = None
    last_id: int = 0

    def add(self, topic: str, content: bytes, qos: int, is_retained: bool, tag: Any = None) -> None:
        """Queues a message once if a subscription wants it."""
        found = [(q, kept) for wanted, q, kept in self.subscriptions.values() if wanted.fullmatch(topic)]
        if found:
            qos = min(qos, max(found)[0])
            if qos or self.connection:
                retained = is_retained and any(kept for _, kept in found)
                self.queue.append(Message(topic, content, qos, retained, tag=tag))


def pattern(topic_filter: str) -> re.Pattern:
    """+ is any level, a last # any levels or none; neither is the first level of a topic with $."""
    levels = ["[^/]*" if level == "+" else re.escape(level) for level in topic_filter.split("/")]
    text = re.sub(r"(^|/)\\#$", lambda last: "(?:/.*)?" if last[1] else ".*", "/".join(levels))
    return re.compile((r"(?!\$)" if topic_filter[:1] in "+#" else "") + text, re.DOTALL)
