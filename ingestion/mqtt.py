"""A subscriber's connection to an MQTT broker, which keeps his messages while he is away and until he has them safe.

By the OASIS specification of MQTT 5.0, and of 3.1.1 for brokers that know no other: what subscribing with QoS 1 needs
of it. Two libraries that could acknowledge by hand took in a sixth of what the broker's own client does, which reads
many packets at once, as this does.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ingestion.errors import Disconnected, SourceError

VERSIONS = {"5": 5, "3.1.1": 4}
PORTS = {"mqtt": 1883, "mqtts": 8883}
EXPIRY = 7 * 86_400
"""Seconds for which the broker is to keep messages for a subscriber who does not come back (by version 3.1.1 the broker
alone decides)."""
KEEP_ALIVE = 60
"""Seconds after which the broker may think that nobody is there."""
TIMEOUT = 10
"""Seconds in which the broker has to answer."""
RECEIVE_MAXIMUM = 65_535
"""Messages that it may send before the first is acknowledged."""
LONGEST = 2**20
"""Bytes of a payload that are kept; of a longer one it is known how long it was."""

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 8, 9, 12, 14
SIZES = {
    **dict.fromkeys((0x01, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x27), 4),
}
"""Bytes of the numbers among the properties of messages and of the broker's answer."""

REFUSALS = {
    **{4: "the user name or password is wrong", 5: "this user may not connect", 2: "the client id is refused"},
    **{0x84: "it does not speak this version: set the option protocol", 1: "it does not speak this version"},
    **{0x85: "the client id is refused", 0x86: "the user name or password is wrong", 0x87: "this user may not do that"},
    **{0x88: "it is not available", 0x89: "it is busy", 0x8A: "this client is banned", 0x8F: "a topic is not valid"},
    **{0x8E: "another client came with the same client id", 0x97: "a quota is exceeded", 3: "it is not available"},
    **{0x8B: "it shuts down", 0x8D: "we were silent for too long", 0x9E: "it has no shared subscriptions"},
}


class Message(NamedTuple):
    """What came. `size`: bytes of its payload, of which the first LONGEST are here. `received_at`: in microseconds, as
    the broker tells in `received_property`, else when it came to us."""

    received_at: int
    topic: str
    payload: bytes
    size: int
    is_retained: bool
    packet_id: int
    """0 for what need not be acknowledged."""


class Refused(SourceError):
    """The broker does not want us, and will not next time."""


class Subscriber:
    """A session with the broker at `url`, mqtt(s)://user:password@host:port, for `client_id`, by which it is known
    again, of the topics that match `filters`. `received_property`: in which property (of the user, by version 5) the
    broker tells when it received a message, in milliseconds since 1970."""

    def __init__(
        self, url: str, client_id: str, filters: Iterable[str], protocol: str = "5", received_property: str = ""
    ) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        is_cut = "@" in parts.path + parts.query + parts.fragment  # by what should be percent-encoded in a password
        if parts.scheme not in PORTS or not parts.hostname or port == -1 or is_cut:
            raise SourceError(
                "the broker's URL is not as mqtt://user:password@host:1883, or mqtts:// with encryption; in a password "
                "/, #, ? and @ are written %2F, %23, %3F and %40"
            )
        if protocol not in VERSIONS:
            raise SourceError(f"the protocol is {protocol!r}: there is {' and '.join(VERSIONS)}")
        if received_property and protocol != "5":
            raise SourceError(f"by the protocol {protocol} messages have no properties: leave received_property out")
        self.host, self.port = parts.hostname, port or PORTS[parts.scheme]
        self.where = f"the broker {self.host}:{self.port}"
        self.is_encrypted, self.client_id, self.filters = parts.scheme == "mqtts", client_id, list(filters)
        self.user = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None
        self.version, self.received_property = VERSIONS[protocol], received_property.encode()
        self.socket: socket.socket | None = None
        self.buffer, self.skip = bytearray(), 0
        self.sent_at = self.heard_at = 0.0
        self.keep_alive, self.is_subscribed = KEEP_ALIVE, False

    def connect(self, *, is_to_stay: bool = True) -> bool:
        """Connects and asks for the topics; returns whether the broker knew us, and has kept what came since we left.
        Whether it grants them is known when something is received (`is_subscribed`): first it may send all it kept.

        If the session is not `is_to_stay`, the broker forgets us when we leave. Raises Refused or Disconnected.
        """
        self.buffer.clear()
        self.skip, self.keep_alive, self.is_subscribed, self.connack = 0, KEEP_ALIVE, False, b""
        self.early: list[Message] = []  # what came in one piece with the broker's answer
        try:
            self.socket = socket.create_connection((self.host, self.port), TIMEOUT)
            self.heard_at = time.monotonic()
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.is_encrypted:
                self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            raise Refused(
                f"{self.where} has no certificate that we trust: {error.verify_message}. Of an authority of your own, "
                "SSL_CERT_FILE names the certificate"
            ) from error
        except (OSError, UnicodeError) as error:
            raise Disconnected(f"can't reach {self.where}: {getattr(error, 'strerror', None) or error}") from error
        self._send(_packet(CONNECT, 0, self._connect(is_to_stay)))
        while not self.connack:
            if time.monotonic() - self.heard_at > TIMEOUT:
                self._lost("it does not answer")
            self.early += self._read(0.5)
        is_known = self._connected(self.connack)
        options = 1 if self.version == 4 else 1 | 1 << 4  # QoS 1; what is retained only if the subscription is new
        asked = b"".join(_text(each) + bytes([options]) for each in self.filters)
        properties = b"" if self.version == 4 else b"\0"
        self._send(_packet(SUBSCRIBE, 2, struct.pack(">H", 1) + properties + asked))
        return is_known

    def receive(self, seconds: float) -> list[Message]:
        """What has come, or comes within so many seconds, as soon as there is something. Raises Disconnected."""
        if self.early:
            early, self.early = self.early, []
            return early
        now = time.monotonic()
        if now - self.heard_at > (1.5 * self.keep_alive if self.is_subscribed else TIMEOUT):
            self._lost("it is silent")
        if now - self.sent_at > self.keep_alive / 2:
            self._send(_packet(PINGREQ, 0, b""))
        return self._read(seconds)

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tells the broker that messages are safe, and need not be sent again. Raises Disconnected."""
        acknowledged = b"".join(b"\x40\x02" + m.packet_id.to_bytes(2, "big") for m in messages if m.packet_id)
        if acknowledged:
            self._send(acknowledged)

    def close(self) -> None:
        """Leaves; the broker keeps what comes."""
        if self.socket:
            with contextlib.suppress(OSError):
                self.socket.sendall(_packet(DISCONNECT, 0, b""))
            self.socket.close()
            self.socket = None

    def _connect(self, is_to_stay: bool) -> bytes:
        flags = 0x80 * (self.user is not None) | 0x40 * (self.password is not None) | 0x02 * (not is_to_stay)
        head = _text("MQTT") + struct.pack(">BBH", self.version, flags, KEEP_ALIVE)
        if self.version == 5:
            properties = struct.pack(">BIBH", 0x11, EXPIRY * is_to_stay, 0x21, RECEIVE_MAXIMUM)
            head += _number(len(properties)) + properties
        return head + b"".join(_text(each) for each in (self.client_id, self.user, self.password) if each is not None)

    def _connected(self, answer: bytes) -> bool:
        is_known, code = bool(answer[0] & 1), answer[1]
        if code:
            error = Disconnected if code in (3, 0x88, 0x89, 0x97) else Refused
            raise error(f"{self.where} refuses the connection: {REFUSALS.get(code, f'code {code:#x}')}")
        if self.version == 5:
            self.keep_alive = _properties(answer, 2).get(0x13) or KEEP_ALIVE
        return is_known

    def _granted(self, codes: bytes) -> None:
        for topic, code in zip(self.filters, codes, strict=True):
            if code >= 0x80:
                raise Refused(f"{self.where} refuses the topic {topic}: {REFUSALS.get(code, f'code {code:#x}')}")
            if code == 0:
                raise Refused(f"{self.where} grants no QoS 1 for {topic}: what comes while we are away would be lost")
        self.is_subscribed = True

    def _send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except OSError as error:
            self._lost(str(error.strerror or error))
        self.sent_at = time.monotonic()

    def _read(self, seconds: float) -> list[Message]:
        try:
            is_pending = self.is_encrypted and self.socket.pending()
            if not is_pending and not select.select([self.socket], [], [], seconds)[0]:
                return []
            data = self.socket.recv(2**18)
        except ssl.SSLWantReadError:
            return []
        except OSError as error:
            self._lost(str(error.strerror or error))
        if not data:
            self._lost("it closed the connection")
        self.heard_at = time.monotonic()
        self.buffer += data
        try:
            return self._messages()
        except (IndexError, struct.error, ValueError) as error:
            self.socket.close()
            raise Disconnected(f"what {self.where} sends is no MQTT") from error

    def _lost(self, reason: str) -> None:
        self.socket.close()
        raise Disconnected(f"the connection to {self.where} is lost: {reason}")

    def _messages(self) -> list[Message]:
        """Takes whole packets out of the buffer."""
        found, buffer, start, end = [], self.buffer, 0, len(self.buffer)
        received_at = time.time_ns() // 1000
        if self.skip:  # the rest of a payload that is too long
            start = min(self.skip, end)
            self.skip -= start
        while end - start >= 2:
            length, body = buffer[start + 1], start + 2
            if length >= 0x80:
                length, body = _length(buffer, start + 1)
                if body < 0:
                    break
            kind = buffer[start] >> 4
            is_too_long = kind == PUBLISH and length > LONGEST + 2**17  # with a topic and properties of 64 KiB each
            needed = LONGEST + 2**17 if is_too_long else length
            if end - body < needed:
                break
            if kind == PUBLISH:
                packet = memoryview(buffer)[body : body + needed]
                found.append(self._message(received_at, buffer[start], packet, length))
                packet.release()
            elif kind == DISCONNECT:
                code = buffer[body] if length else 0
                error = Refused if code == 0x8E else Disconnected
                raise error(f"{self.where} ended the connection: {REFUSALS.get(code, f'code {code:#x}')}")
            elif kind == CONNACK:
                self.connack = bytes(buffer[body : body + length])
            elif kind == SUBACK:
                self._granted(bytes(buffer[body : body + length])[-len(self.filters) :])
            start = body + length
            if is_too_long:
                self.skip = max(start - end, 0)
                start = min(start, end)
        del buffer[:start]
        return found

    def _message(self, received_at: int, header: int, packet: memoryview, length: int) -> Message:
        topic_end = 2 + (packet[0] << 8 | packet[1])
        topic, at, packet_id = bytes(packet[2:topic_end]).decode(errors="replace"), topic_end, 0
        if header & 0x06:
            packet_id, at = packet[at] << 8 | packet[at + 1], at + 2
        if self.version == 5:
            start, (properties, at) = at, _length(packet, at)
            at += properties
            if self.received_property and properties:
                told = _properties(packet, start).get(self.received_property, b"")
                if told.isdigit():  # what comes from the future is not believed
                    received_at = min(received_at, int(told[:16]) * 1000)
        return Message(received_at, topic, bytes(packet[at : at + LONGEST]), length - at, bool(header & 1), packet_id)


def _properties(packet: bytes | memoryview, at: int) -> dict[int | bytes, int | bytes]:
    """The properties that begin there: numbers by their identifiers, and the user's own ones by their names."""
    length, at = _length(packet, at)
    end, found = at + length, {}
    while at < end:
        name, at = packet[at], at + 1
        if size := SIZES.get(name):
            found[name], at = int.from_bytes(packet[at : at + size], "big"), at + size
        elif name == 0x0B:  # an identifier of subscriptions
            found[name], at = _length(packet, at)
        else:  # texts, of which a user's property has two
            texts = []
            for _ in range(2 if name == 0x26 else 1):
                start, at = at + 2, at + 2 + (packet[at] << 8 | packet[at + 1])
                texts.append(bytes(packet[start:at]))
            if name == 0x26:
                found[texts[0]] = texts[1]
    return found


def _length(buffer: bytearray | memoryview, at: int) -> tuple[int, int]:
    """A number of one to four bytes and where it ends; -1 if it is not all there."""
    value = 0
    for shift in (0, 7, 14, 21):
        if at >= len(buffer):
            return 0, -1
        byte = buffer[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than four bytes")


def _number(value: int) -> bytes:
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | 0x80 * bool(value))
        if not value:
            return bytes(encoded)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + _number(len(body)) + body
