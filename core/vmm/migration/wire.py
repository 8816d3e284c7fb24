"""What goes over the link: frames with a kind, a length and a checksum, and what is in them."""

from __future__ import annotations

import select
import socket
import ssl
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, Protocol

import zstandard

from ..plain import DamagedError
from ..recipe import Recipe

VERSION: Final = 1
MAGIC: Final = b"HVMIGR"
FRAME = Struct("<6sBII")
"""Magic, kind, length of the body, CRC-32 of kind and body."""

MOST: Final = 1 << 28
"""No body is longer."""

ENTRY = Struct("<BQI")
"""Of a page: which of the VM's Paged, its number, its length; length 0 is a page as at first."""

LEVEL: Final = 1

BATCH: Final = 256
"""Pages in a frame."""


class Kind(IntEnum):
    """What a frame says."""

    HELLO = 1
    WELCOME = 2
    REFUSED = 3
    PAGES = 4
    STATE = 5
    DIGEST = 6
    READY = 7
    COMMIT = 8
    COMMITTED = 9
    RELEASE = 10
    MISSING = 11
    WANT = 12
    ROUND = 13
    DONE = 14
    AGAIN = 15


class Cut(Exception):
    """The link ended. Not a user's mistake: what it means depends on how far the two had come."""


@dataclass(frozen=True)
class Hello:
    """How a migration begins. migration: its name, the same on both sides. is_postcopy: pages come after the state."""

    version: int
    migration: str
    recipe: Recipe
    is_postcopy: bool


Page = tuple[int, int, bytes | None]
"""Which Paged, the page's number, its contents (None: as at first)."""


class Link(Protocol):
    """Two ways for frames. sent: bytes so far."""

    sent: int

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """Raises Cut."""

    def receive(self) -> tuple[Kind, bytes]:
        """The next frame. Raises Cut where the link ends, DamagedError where what comes is no frame."""

    def is_ready(self) -> bool:
        """Whether something has come."""

    def close(self) -> None:
        """End it."""


class SocketLink:
    """A link over a connected socket. patience: seconds to wait for the other side; None: for ever."""

    def __init__(self, connection: socket.socket, patience: float | None = None) -> None:
        self.sent = 0
        self._socket = connection
        self._socket.settimeout(patience)
        if not isinstance(connection, ssl.SSLSocket) and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """One frame, whole. Raises Cut."""
        data = pack(kind, body)
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Cut(_reason(error)) from None
        self.sent += len(data)

    def receive(self) -> tuple[Kind, bytes]:
        """The next frame. Raises Cut or DamagedError."""
        kind, length, checksum = unpack_header(self._read(FRAME.size))
        body = self._read(length)
        check(kind, body, checksum)
        return kind, body

    def is_ready(self) -> bool:
        """Whether something has come, be it the end."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        try:
            return bool(select.select([self._socket], [], [], 0)[0])
        except (OSError, ValueError):
            return True

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            try:
                part = self._socket.recv(min(length, 1 << 20))
            except OSError as error:
                raise Cut(_reason(error)) from None
            if not part:
                raise Cut("the other side closed the connection")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _reason(error: OSError) -> str:
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)


# --- frames


def pack(kind: Kind, body: bytes) -> bytes:
    """A frame's bytes."""
    return FRAME.pack(MAGIC, kind, len(body), _checksum(kind, body)) + body


def unpack_header(header: bytes) -> tuple[Kind, int, int]:
    """Kind, length and checksum. Raises DamagedError."""
    magic, kind, length, checksum = FRAME.unpack(header)
    if magic != MAGIC:
        raise DamagedError("what comes is no migration: the other side is not a `hartvisor migrate` or `receive`")
    if kind not in set(Kind) or length > MOST:
        raise DamagedError(f"damaged on the way: a frame of kind {kind} with {length:,} bytes")
    return Kind(kind), length, checksum


def check(kind: Kind, body: bytes, checksum: int) -> None:
    """Raises DamagedError unless the checksum is the frame's."""
    if _checksum(kind, body) != checksum:
        raise DamagedError(f"damaged on the way: a {kind.name} frame's checksum is wrong")


def _checksum(kind: int, body: bytes) -> int:
    return zlib.crc32(body, kind)


def read_frames(data: bytes) -> Iterator[tuple[Kind, bytes]]:
    """The frames in a file's bytes. Raises DamagedError where it is damaged or cut off."""
    at = 0
    while at < len(data):
        if len(data) - at < FRAME.size:
            raise DamagedError("cut off in the midst of a frame")
        kind, length, checksum = unpack_header(data[at : at + FRAME.size])
        body = data[at + FRAME.size : at + FRAME.size + length]
        if len(body) < length:
            raise DamagedError("cut off in the midst of a frame")
        check(kind, body, checksum)
        yield kind, body
        at += FRAME.size + length


# --- pages


def pack_pages(pages: list[Page]) -> bytes:
    """Some pages, compressed together."""
    parts = []
    for index, number, data in pages:
        parts += [ENTRY.pack(index, number, len(data) if data else 0), data or b""]
    return zstandard.compress(b"".join(parts), LEVEL)


def unpack_pages(body: bytes) -> Iterator[Page]:
    """The pages of a body. Raises DamagedError."""
    try:
        data = zstandard.decompress(body, MOST)
    except zstandard.ZstdError as error:
        raise DamagedError(f"damaged on the way: {error}") from None
    at = 0
    while at < len(data):
        index, number, length = ENTRY.unpack_from(data, at)
        at += ENTRY.size
        yield index, number, data[at : at + length] if length else None
        at += length
