"""A real MQTT broker on loopback, and what publishes to it, for tests and benchmarks."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
NEEDED = "needs Debian's packages mosquitto and mosquitto-clients"


class Broker:
    """Mosquitto on a port of its own, which keeps sessions on its disk."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\nmax_queued_messages 0\n") -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.settings = folder, settings
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Starts it; it knows what it knew when it was stopped."""
        (self.folder / "conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npersistence true\npersistence_location {self.folder}/\n"
            + self.settings
        )
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", self.folder / "conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not start")

    def stop(self) -> None:
        """Stops it; it writes down what it knows."""
        self.process.terminate()
        self.process.wait(10)

    def publish(
        self, topic: str, *payloads: bytes | str | dict | list, retain: bool = False, properties: dict | None = None
    ) -> None:
        """Publishes with QoS 1 by the broker's own client; objects as JSON. `properties` are the user's own."""
        for payload in payloads:
            text = payload if isinstance(payload, bytes | str) else json.dumps(payload)
            data = text if isinstance(text, bytes) else text.encode()
            options = ["-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-t", topic, *["-r"] * retain]
            for name, value in (properties or {}).items():
                options += ["-V", "5", "-D", "publish", "user-property", name, value]
            subprocess.run(["mosquitto_pub", *options, "-s" if data else "-n"], input=data, check=True, timeout=20)


class Publisher:
    """A connection that sends many messages with QoS 1, of which some may not be acknowledged yet."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03pub")  # version 3.1.1, a clean session
        if self.socket.recv(4) != b"\x20\x02\x00\x00":
            raise OSError("the broker refuses the publisher")
        self.sent = self.acknowledged = self._rest = 0

    def send(self, messages: Sequence[tuple[str, str]]) -> None:
        """Sends (topic, payload of less than 100 bytes), and waits while more than 500 are not acknowledged."""
        packets = []
        for topic, payload in messages:
            self.sent += 1
            body = len(topic).to_bytes(2, "big") + topic.encode() + (self.sent % 65_535 + 1).to_bytes(2, "big")
            packets.append(bytes([0x32, len(body) + len(payload)]) + body + payload.encode())
        self.socket.sendall(b"".join(packets))
        while self.sent - self.acknowledged > 500:
            self._wait()

    def finish(self) -> None:
        """Waits until the broker has all."""
        while self.acknowledged < self.sent:
            self._wait()

    def _wait(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise OSError("the broker closed the connection")
        self._rest += len(data)  # an acknowledgement has four bytes, and comes in order
        self.acknowledged, self._rest = self.acknowledged + self._rest // 4, self._rest % 4
