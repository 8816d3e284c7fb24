"""Host frames: the 4 KiB pieces of a machine's RAM that the hypervisor hands out.

Guest RAM, shadow tables and G-stage tables all come from here, so `owners` says where the machine's memory went.
"""

from __future__ import annotations

from collections import Counter

from ..errors import ConfigError
from ..hart import Memory
from ..isa.paging import PAGE_SIZE
from ..machine.paged import DirtyLog


class FrameAllocator:
    """Hands out zeroed frames of `memory` and takes them back.

    Frames come in ascending order, a freed one before a new one: the same requests always get the same frames.
    owners: how many frames each owner ("guest", "shadow", "g-stage") holds now.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.owners: Counter[str] = Counter()
        self._next = memory.base
        self._end = memory.base + memory.size
        self._freed: list[int] = []
        self._owner: dict[int, str] = {}

    @property
    def held(self) -> int:
        """How many frames are in use, those of tables included."""
        return len(self._owner)

    @property
    def available(self) -> int:
        """How many frames are free."""
        return len(self._freed) + (self._end - self._next) // PAGE_SIZE

    @property
    def free_in_machine(self) -> int:
        """How many frames of the machine nobody holds."""
        return self.available

    def allocate(self, owner: str) -> int:
        """Return the hpa of a zeroed frame. Raises ConfigError where the machine has none left."""
        hpa = self._freed.pop() if self._freed else self._take(1, 1)
        self._give(hpa, owner)
        # The page may have held something else, and zeroing it also drops whatever a hart's caches derived from that.
        self.memory.renew(hpa, DirtyLog.VIEW)
        return hpa

    def allocate_contiguous(self, owner: str, count: int) -> int:
        """Return the hpa of `count` zeroed frames in a row, aligned to their size (a G-stage root: 4). Raises
        ConfigError."""
        hpa = self._take(count, count)
        for frame in range(hpa, hpa + count * PAGE_SIZE, PAGE_SIZE):
            self._give(frame, owner)
        self.memory.fill_zero(hpa, count * PAGE_SIZE)
        return hpa

    def free(self, hpa: int) -> None:
        """Take the frame at `hpa` back. Raises KeyError if it is not handed out."""
        self.owners[self._owner.pop(hpa)] -= 1
        self._freed.append(hpa)

    def owner(self, hpa: int) -> str | None:
        """Who holds the frame that `hpa` lies in, None if it is free."""
        return self._owner.get(hpa & -PAGE_SIZE)

    def _give(self, hpa: int, owner: str) -> None:
        self._owner[hpa] = owner
        self.owners[owner] += 1

    def _take(self, count: int, alignment: int) -> int:
        size = alignment * PAGE_SIZE
        hpa = -(-self._next // size) * size
        if hpa + count * PAGE_SIZE > self._end:
            raise ConfigError(f"the machine's {self.memory.size >> 20} MiB of memory are used up: {dict(self.owners)}")
        self._freed.extend(range(hpa - PAGE_SIZE, self._next - PAGE_SIZE, -PAGE_SIZE))
        self._next = hpa + count * PAGE_SIZE
        return hpa
