"""Guest RAM as a device reaches it."""

from collections.abc import Callable
from typing import Protocol


class GuestRam(Protocol):
    """Memory by guest physical address. The bare machine's Memory and the hypervisor's GuestMemory are such."""

    def contains(self, gpa: int, length: int = 1, /) -> bool:
        """Whether all of [gpa, gpa + length) is RAM."""

    def read(self, gpa: int, length: int, /) -> bytes:
        """`length` bytes from gpa, which the caller knows to be RAM."""

    def write(self, gpa: int, data: bytes, /) -> None:
        """Store data at gpa, which the caller knows to be RAM. What is cached of the bytes is dropped."""


class NoRam:
    """The RAM of a board that has none: every address lies outside."""

    def contains(self, gpa: int, length: int = 1, /) -> bool:
        """Never."""
        return False

    def read(self, gpa: int, length: int, /) -> bytes:
        """Nothing can be read."""
        raise KeyError(gpa)

    def write(self, gpa: int, data: bytes, /) -> None:
        """Nothing can be stored."""
        raise KeyError(gpa)


class SharedRam:
    """RAM that harts and devices share: a device's store breaks the harts' reservations on its bytes.

    before_write: called as before_write(gpa, length) ahead of each store.
    """

    def __init__(self, ram: GuestRam, before_write: Callable[[int, int], None]) -> None:
        self.contains = ram.contains
        self.read = ram.read
        self._write = ram.write
        self._before_write = before_write

    def write(self, gpa: int, data: bytes, /) -> None:
        """Store data at gpa."""
        self._before_write(gpa, len(data))
        self._write(gpa, data)
