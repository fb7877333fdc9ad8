"""A small MQTT broker on a free loopback port, in threads of its own, for a machine with nothing but Python.

Of the OASIS specification of MQTT 5.0: QoS 0 and 1 both ways, sessions that are kept, filters, retained messages,
receive maximum, takeover, and a user with a password. It says at once what it has not: QoS 2, shared subscriptions,
subscription identifiers, topic aliases; wills it refuses. It keeps everything in memory.
"""

import contextlib
import re
import struct
import time
import uuid
from collections.abc import Callable, Iterable
from select import select
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import RLock, Thread
from typing import Any

from sandbox.mqtt_packets import Broken, number, packet, packets, properties, string, text
from sandbox.mqtt_sessions import NEVER, Message, Session, pattern

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
EXPIRY, RECEIVE_MAXIMUM, ASSIGNED = 0x11, 0x21, 0x12  # properties
LACKS = b"\x24\x01\x29\x00\x2a\x00"  # properties of CONNACK: maximum QoS 1, no subscription identifiers, none shared
MALFORMED = (struct.error, IndexError, UnicodeDecodeError)
WINDOW = 1000  # messages sent and not acknowledged, at most: so few acknowledgements always fit into a socket's buffer


class Broker(ThreadingTCPServer):
    """Answers until `stop`. `sessions` are by client id; another broker may go on with those and with `retained`.

    `before_connect()` is called when a client comes; `taken(tags)` with the tags of messages that were acknowledged.
    """

    daemon_threads, block_on_close, allow_reuse_address, request_queue_size = True, False, True, 64

    def __init__(self, user: str, password: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.login, self.port = (user.encode(), password.encode()), self.server_address[1]
        self.url = f"mqtt://{user}:{password}@127.0.0.1:{self.port}"
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self.lock = RLock()
        self.before_connect: Callable[[], None] = lambda: None
        self.taken: Callable[[list[Any]], None] = lambda tags: None
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def know(self, client_id: str, filters: Iterable[str]) -> Session:
        """The session of a client as if it had been connected, with these filters and QoS 1."""
        with self.lock:
            session = self.sessions.setdefault(client_id, Session())
            session.subscriptions.update({each: (pattern(each), 1, False) for each in filters})
            return session

    def publish(self, topic: str, content: bytes, qos: int = 1, is_retained: bool = False) -> None:
        """Gives a message to all who want it. `content`: properties (none: a zero) and payload."""
        with self.lock:
            if is_retained:
                self.retained[topic] = Message(topic, content, qos)
                if content == b"\0":  # an empty payload
                    del self.retained[topic]
            for session in self.living().values():
                session.add(topic, content, qos, is_retained)
                if session.connection:
                    session.connection.flush()

    def living(self) -> dict[str, Session]:
        """The sessions; those that have expired go."""
        for client_id in [key for key, session in self.sessions.items() if session.ends_at < time.monotonic()]:
            del self.sessions[client_id]
        return self.sessions

    def stop(self) -> None:
        """Frees the port and ends all connections."""
        self.shutdown()
        self.server_close()
        with self.lock:
            for session in list(self.sessions.values()):
                if session.connection:
                    session.connection.replace(0x8B)  # it shuts down

    def handle_error(self, *_) -> None:
        """Silent: a client that goes away is nothing to tell."""


class _Connection(BaseRequestHandler):
    server: Broker

    def handle(self) -> None:
        self.session, self.client_id, self.window, self.is_over = None, "", WINDOW, False
        self.buffer, self.patience = bytearray(), 10.0  # seconds to say who it is
        self.request.setsockopt(IPPROTO_TCP, TCP_NODELAY, True)
        self.request.settimeout(10)
        try:
            while not self.is_over and select([self.request], [], [], self.patience)[0]:
                with self.server.lock:  # nothing is read outside, so that `replace` finds all that has come
                    if self.is_over or not self._read():
                        break
        except Broken as broken:
            self.end(broken.args[0])
        except MALFORMED:
            self.end(0x81)
        except OSError:
            pass
        finally:
            self._leave()

    def replace(self, code: int) -> None:
        """Ends the connection; what the client had acknowledged before counts."""
        with contextlib.suppress(Broken, OSError, *MALFORMED):
            if select([self.request], [], [], 0)[0]:
                self._read()
        self.end(code)

    def end(self, code: int) -> None:
        """Says why the connection ends, and ends it."""
        with contextlib.suppress(OSError):
            if self.session:
                self._send(DISCONNECT, 0, bytes([code, 0]))
            self.request.shutdown(SHUT_RDWR)
        self._leave()

    def _read(self) -> bytes:
        """Takes what has come; nothing if that is the end."""
        self.buffer += (data := self.request.recv(2**18))
        taken: list[Any] = []
        for header, body in packets(self.buffer):
            self._take(header, body, taken)
        if taken:
            self.server.taken(taken)
        self.flush()
        return data

    def flush(self) -> None:
        """Sends what is queued, as far as the client may be sent more before it acknowledges."""
        session, data = self.session, bytearray()
        while session and session.queue and len(session.sent) < self.window:
            message = session.queue.popleft()
            flags, body = message.qos << 1 | message.is_retained, text(message.topic)
            if message.qos:
                flags |= 8 * bool(message.packet_id)  # it is sent again
                if not message.packet_id:
                    session.last_id = message.packet_id = session.last_id % 0xFFFF + 1
                session.sent[message.packet_id] = message
                body += struct.pack(">H", message.packet_id)
            data += packet(PUBLISH, flags, body + message.content)
        if data:
            with contextlib.suppress(OSError):  # who has gone is told by the reading side
                self.request.sendall(data)

    def _leave(self) -> None:
        with self.server.lock:
            self.is_over, session = True, self.session
            if session and session.connection is self:
                session.connection = None
                session.queue.extendleft(reversed(session.sent.values()))
                session.sent.clear()
                if session.expiry == 0:
                    self.server.sessions.pop(self.client_id, None)
                elif session.expiry != NEVER:
                    session.ends_at = time.monotonic() + session.expiry

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self.request.sendall(packet(kind, flags, body))

    def _take(self, header: int, body: bytes, taken: list[Any]) -> None:
        kind = header >> 4
        if (kind == CONNECT) == (self.session is not None):
            raise Broken(0x82)  # the first packet is CONNECT, and no other
        if kind == CONNECT:
            self._connect(body)
        elif kind == PUBLISH:
            topic, at = string(body, 0)
            qos = header >> 1 & 3
            if qos > 1 or not topic or b"+" in topic or b"#" in topic:
                raise Broken(0x9B if qos > 1 else 0x90)
            self.server.publish(topic.decode(), body[at + 2 * qos :], qos, bool(header & 1))
            if qos:
                self._send(PUBACK, 0, body[at : at + 2])
        elif kind == PUBACK:
            message = self.session.sent.pop(struct.unpack_from(">H", body)[0], None)
            if message and message.tag is not None:
                taken.append(message.tag)
        elif kind == SUBSCRIBE:
            self._subscribe(body)
        elif kind == PINGREQ:
            self._send(PINGRESP, 0, b"")
        elif kind == DISCONNECT:
            if len(body) > 1:
                self.session.expiry = properties(body, 1)[0].get(EXPIRY, self.session.expiry)
            self.is_over = True
        else:
            raise Broken(0x82)

    def _connect(self, body: bytes) -> None:
        name, at = string(body, 0)
        version, flags, alive = struct.unpack_from(">BBH", body, at)
        if (name, version) != (b"MQTT", 5) or flags & 4:
            code = 0x83 if version == 5 else 0x84
            self._send(CONNACK, 0, bytes([0, code, 0]) if version == 5 else b"\0\1")  # 3.1.1 has a code of its own
            raise Broken(code)
        asked, at = properties(body, at + 4)
        client_id, at = string(body, at)
        user, at = string(body, at) if flags & 0x80 else (b"", at)
        password, at = string(body, at) if flags & 0x40 else (b"", at)
        if (user, password) != self.server.login:
            self._send(CONNACK, 0, b"\0\x86\0")
            raise Broken(0x86)
        self.patience = 1.5 * alive or None
        told = LACKS
        if not client_id:
            client_id = f"auto-{uuid.uuid4().hex}".encode()
            told += bytes([ASSIGNED]) + text(client_id.decode())
        self.client_id, sessions = client_id.decode(), self.server.living()
        self.server.before_connect()
        session = sessions.get(self.client_id)
        if session and session.connection:
            session.connection.replace(0x8E)  # another one took the session over
            session = sessions.get(self.client_id)
        is_known = session is not None and not flags & 2
        self.session = sessions[self.client_id] = session if is_known else Session()
        self.session.connection, self.session.ends_at = self, float("inf")
        self.session.expiry = asked.get(EXPIRY, 0)
        self.window = min(WINDOW, asked.get(RECEIVE_MAXIMUM, WINDOW))
        self._send(CONNACK, 0, bytes([is_known, 0]) + number(len(told)) + told)

    def _subscribe(self, body: bytes) -> None:
        _, at = properties(body, 2)
        codes = bytearray()
        while at < len(body):
            encoded, at = string(body, at)
            options, at, each = body[at], at + 1, encoded.decode()
            if not re.fullmatch(r"(?!\$share/)([^+#/]*|\+)(/([^+#/]*|\+))*(/#)?|#", each):
                codes.append(0x8F)
                continue
            qos, handling, is_new = min(options & 3, 1), options >> 4 & 3, each not in self.session.subscriptions
            self.session.subscriptions[each] = (pattern(each), qos, bool(options & 8))
            codes.append(qos)
            if handling == 0 or (handling == 1 and is_new):
                for topic, kept in self.server.retained.items():
                    if self.session.subscriptions[each][0].fullmatch(topic):
                        self.session.queue.append(Message(topic, kept.content, min(qos, kept.qos), True))
        self._send(SUBACK, 0, body[:2] + b"\0" + bytes(codes))
