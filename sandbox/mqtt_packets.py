"""MQTT 5.0's packets, read and written, as its specification says in 1.5 and 2."""

import contextlib
import struct
from collections.abc import Iterator

SIZES = {0x11: 4, 0x21: 2, 0x27: 4, 0x22: 2, 0x19: 1, 0x17: 1}  # of numbers in CONNECT and DISCONNECT; others are texts


class Broken(Exception):
    """The connection ends with this reason code."""


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes whole packets out of the buffer."""
    start = 0
    with contextlib.suppress(IndexError):  # the length is not all there
        while len(buffer) - start >= 2:
            length, at = _length(buffer, start + 1)
            if len(buffer) < at + length:
                break
            header, body, start = buffer[start], bytes(buffer[at : at + length]), at + length
            yield header, body
    del buffer[:start]


def _length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    value = 0
    for shift in (0, 7, 14, 21):
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise Broken(0x81)


def string(data: bytes, at: int) -> tuple[bytes, int]:
    """A text or binary, and where it ends."""
    end = at + 2 + struct.unpack_from(">H", data, at)[0]
    if end > len(data):
        raise Broken(0x81)
    return data[at + 2 : end], end


def properties(data: bytes, at: int) -> tuple[dict[int, int], int]:
    """The numbers among the properties, and where they end."""
    length, at = _length(data, at)
    end, found = at + length, {}
    while at < end:
        kind, at = data[at], at + 1
        if kind in SIZES:
            found[kind], at = int.from_bytes(data[at : at + SIZES[kind]], "big"), at + SIZES[kind]
        elif kind == 0x0B:  # an identifier of subscriptions
            at = _length(data, at)[1]
        else:
            for _ in range(1 + (kind == 0x26)):  # a user property is two texts
                at = string(data, at)[1]
    return found, end


def number(value: int) -> bytes:
    """A number in one to four bytes."""
    encoded = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        encoded.append(low | 0x80 * bool(value))
        if not value:
            return bytes(encoded)


def text(value: str) -> bytes:
    """A text with its length."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def user_property(name: str, value: str) -> bytes:
    """The properties of a message that has this one alone."""
    found = b"\x26" + text(name) + text(value)
    return number(len(found)) + found


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """A packet."""
    return bytes([kind << 4 | flags]) + number(len(body)) + body
