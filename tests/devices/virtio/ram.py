"""Guest RAM as bytes, for devices without a machine; what they store outside what they may raises."""

from __future__ import annotations

BASE = 0x8000_0000


class Ram:
    """`size` bytes from BASE. stores: (gpa, length) of every store that a device made."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.data = bytearray(size)
        self.stores: list[tuple[int, int]] = []

    def contains(self, gpa: int, length: int = 1, /) -> bool:
        return gpa >= BASE and gpa + length <= BASE + len(self.data)

    def read(self, gpa: int, length: int, /) -> bytes:
        assert self.contains(gpa, length), f"device read {length} at {gpa:#x}"
        return bytes(self.data[gpa - BASE : gpa - BASE + length])

    def write(self, gpa: int, data: bytes, /) -> None:
        assert self.contains(gpa, len(data)), f"device wrote {len(data)} at {gpa:#x}"
        self.stores.append((gpa, len(data)))
        self.data[gpa - BASE : gpa - BASE + len(data)] = data
