"""Messages on a pipe: a length of four bytes, little endian, then as many bytes."""

from __future__ import annotations

import os
from struct import Struct
from typing import Final

LENGTH: Final = Struct("<I")
MAX_FRAME: Final = 1 << 22
"""No message of a lab's is longer; what claims to be is nonsense."""


def frame(data: bytes) -> bytes:
    """The message with its length."""
    return LENGTH.pack(len(data)) + data


def read_frame(descriptor: int) -> bytes | None:
    """The next message, waited for; None where the other side has closed."""
    head = _read(descriptor, LENGTH.size)
    return _read(descriptor, LENGTH.unpack(head)[0]) if head is not None else None


def write_frame(descriptor: int, data: bytes) -> None:
    """Send a message."""
    rest = memoryview(frame(data))
    while rest:
        rest = rest[os.write(descriptor, rest):]


def _read(descriptor: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
