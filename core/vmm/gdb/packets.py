"""Packets of the remote serial protocol: `$data#checksum`, out of whatever bytes arrive (GDB manual, "Overview" of the
GDB Remote Serial Protocol)."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Final

PACKET_SIZE: Final = 0x4000
"""Bytes that a packet may have, as we tell GDB."""

ESCAPE: Final = ord("}")
_ESCAPED: Final = frozenset(b"$#}*")
_CHECKSUM_LENGTH: Final = 2


class Kind(Enum):
    """What arrived."""

    PACKET = "a packet"
    INTERRUPT = "Ctrl-C"
    RESEND = "a wish for the last reply again"
    BROKEN = "half a packet, one too long, or one whose checksum is wrong"


def checksum(data: bytes) -> bytes:
    """The sum of the bytes modulo 256, as two hex digits."""
    return b"%02x" % (sum(data) & 0xFF)


def encode(data: bytes) -> bytes:
    """The packet that carries `data`, which `escape` made if it is binary."""
    return b"$" + data + b"#" + checksum(data)


def escape(data: bytes) -> bytes:
    """Binary data as a packet can carry it."""
    escaped = bytearray()
    for byte in data:
        if byte in _ESCAPED:
            escaped += bytes((ESCAPE, byte ^ 0x20))
        else:
            escaped.append(byte)
    return bytes(escaped)


def unescape(data: bytes) -> bytes:
    """The binary data in a packet."""
    plain = bytearray()
    is_escaped = False
    for byte in data:
        if is_escaped:
            plain.append(byte ^ 0x20)
            is_escaped = False
        elif byte == ESCAPE:
            is_escaped = True
        else:
            plain.append(byte)
    return bytes(plain)


class Decoder:
    """Finds packets in a stream of bytes, however it is cut, and whatever lies between them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """What these bytes complete, in order; the data of a packet still escaped."""
        self._buffer += data
        while (found := self._take()) is not None:
            if found[0] is not None:
                yield found[0], found[1]

    def _take(self) -> tuple[Kind | None, bytes] | None:
        """Take one thing off the front: None if there is none yet; its kind is None if it says nothing."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] == ord("$"):
            return self._take_packet()
        first = buffer.pop(0)
        return {3: Kind.INTERRUPT, ord("-"): Kind.RESEND}.get(first), b""

    def _take_packet(self) -> tuple[Kind | None, bytes] | None:
        buffer = self._buffer
        end, again = buffer.find(b"#"), buffer.find(b"$", 1)
        if 0 < again < end or (end < 0 < again):  # a packet begins in the midst of one
            del buffer[:again]
            return Kind.BROKEN, b""
        if end < 0 or len(buffer) <= end + _CHECKSUM_LENGTH:
            if len(buffer) <= PACKET_SIZE + 1 + 1 + _CHECKSUM_LENGTH:
                return None
            buffer.clear()
            return Kind.BROKEN, b""
        data, sent = bytes(buffer[1:end]), bytes(buffer[end + 1:end + 1 + _CHECKSUM_LENGTH])
        del buffer[:end + 1 + _CHECKSUM_LENGTH]
        if sent.lower() != checksum(data):
            return Kind.BROKEN, b""
        return Kind.PACKET, data
