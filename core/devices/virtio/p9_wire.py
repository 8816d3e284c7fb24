"""9P messages (9P2000.L): little-endian integers, strings behind their length in two bytes, qids of 13 bytes.

Source: intro(5) of Plan 9, and diod's description of the .L operations.
"""

import errno
from struct import Struct
from typing import Final

HEADER: Final = Struct("<IBH")  # size of the whole message, type, tag

QT_DIR: Final = 0x80
QT_SYMLINK: Final = 0x02


class Reader:
    """Takes a message apart. Raises OSError (EPROTO) where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._at + length
        if end > len(self._data):
            raise OSError(errno.EPROTO, "a message that ends too early")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def u8(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u16(self) -> int:
        """Two bytes."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Four bytes."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """Eight bytes."""
        return int.from_bytes(self.take(8), "little")

    def text(self) -> str:
        """A string; bytes that are not UTF-8 survive the way to the host's file names and back."""
        return self.take(self.u16()).decode("utf-8", "surrogateescape")

    def name(self) -> str:
        """The name of a directory's entry. Raises OSError (EINVAL) for what is none, or would lead elsewhere."""
        name = self.text()
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, "not a file's name")
        return name


def u16(value: int) -> bytes:
    """Two bytes."""
    return value.to_bytes(2, "little")


def u32(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "little")


def u64(value: int) -> bytes:
    """Eight bytes, modulo 2**64."""
    return (value & (1 << 64) - 1).to_bytes(8, "little")


def text(value: str) -> bytes:
    """A string."""
    data = value.encode("utf-8", "surrogateescape")
    return u16(len(data)) + data
