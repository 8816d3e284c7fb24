"""What keeps its contents in pages that can be saved: RAM, and the disks whose writes stay in memory."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

from ..hart import Memory
from ..isa.paging import PAGE_SHIFT, PAGE_SIZE

ZERO_PAGE: Final = bytes(PAGE_SIZE)


class DirtyLog(IntEnum):
    """Who wants to know what was stored to; each takes the marks on its own. VIEW's nobody takes: they tell frames that
    were stored to since they were handed out. LOOK: what one step stores to."""

    DIGEST = 0
    SNAPSHOT = 1
    MIGRATION = 2
    VIEW = 3
    STORE = 4
    LOOK = 5


class Paged(Protocol):
    """Pages by number, of which None stands for one that is as at first: zeros in RAM, the base's on a disk."""

    def take_dirty(self, log: DirtyLog) -> list[int]:
        """The pages that may have been stored to since this log was taken last, or since the start."""

    def written(self) -> list[int]:
        """Every page that may be other than at first."""

    def read_page(self, number: int) -> bytes | None:
        """A page's contents."""

    def write_page(self, number: int, data: bytes | None) -> None:
        """Change a whole page."""


class RamPages:
    """A bare machine's RAM as Paged, by physical frame number."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def take_dirty(self, log: DirtyLog) -> list[int]:
        """Frames, ascending."""
        memory = self._memory
        return [hpa >> PAGE_SHIFT for hpa in memory.take_dirty(memory.base, memory.size, log)]

    def written(self) -> list[int]:
        """Every frame."""
        memory = self._memory
        return list(range(memory.base >> PAGE_SHIFT, memory.base + memory.size >> PAGE_SHIFT))

    def read_page(self, number: int) -> bytes | None:
        """A frame; None if it is all zeros."""
        page = bytes(self._memory.page(number << PAGE_SHIFT))
        return None if page == ZERO_PAGE else page

    def write_page(self, number: int, data: bytes | None) -> None:
        """Store a frame; whatever was cached of it is dropped."""
        self._memory.write(number << PAGE_SHIFT, data or ZERO_PAGE)
