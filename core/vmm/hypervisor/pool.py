"""The machine's frames, and what each VM holds of them.

Between two barriers a VM lives on a stock of its own, so that VMs can run side by side in threads and each run be the
same. The machine's pool is touched at barriers only: there stocks are filled up, and what was given up comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ...errors import ConfigError
from ...hart import Memory
from ...isa.paging import PAGE_SIZE
from ..frames import FrameAllocator

LOW: Final = 48
"""Frames of stock at which a VM's stretch of the run ends early, for more: what most exits need, many times over."""


class OutOfFrames(ConfigError):
    """A VM needs a frame, and there is none that it could have; only this VM ends."""


ROOT: Final = 4 * PAGE_SIZE
"""Bytes of a G-stage root table, which is aligned to its size (H, "Guest Physical Address Translation")."""

MEMORY_A_ROOT: Final = 4 << 20
"""One root is set apart for so many bytes of the machine's RAM, lest it be in pieces when a VM comes: a 256th of it."""


class FramePool:
    """The frames of a machine that no VM holds. memory: all of its RAM. total: frames in it."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.total = memory.size // PAGE_SIZE
        first = -(-memory.base // ROOT) * ROOT
        count = min(max(memory.size // MEMORY_A_ROOT, 4), (memory.base + memory.size - first) // ROOT)
        self._roots = list(range(first + (count - 1) * ROOT, first - ROOT, -ROOT))
        self._roots_start, self._roots_end = first, first + count * ROOT
        self._parts: dict[int, int] = {}  # of roots that are coming back: how many frames have
        self._next = self._roots_end
        self._end = memory.base + memory.size
        self._freed = list(range(first - PAGE_SIZE, memory.base - PAGE_SIZE, -PAGE_SIZE))

    @property
    def available(self) -> int:
        """How many there are for anything."""
        return len(self._freed) + (self._end - self._next) // PAGE_SIZE

    @property
    def free(self) -> int:
        """How many there are, those for roots included."""
        return self.available + len(self._roots) * (ROOT // PAGE_SIZE) + sum(self._parts.values())

    def take(self, count: int) -> list[int]:
        """The hpas of `count` frames, fewer where there are fewer; they hold what they held."""
        start = max(len(self._freed) - count, 0)
        taken = self._freed[start:]
        taken.reverse()     # as if popped one by one
        del self._freed[start:]
        end = min(self._next + (count - len(taken)) * PAGE_SIZE, self._end)
        taken += range(self._next, end, PAGE_SIZE)
        self._next = end
        return taken

    def take_root(self) -> int:
        """The hpa of the frames of a root table. Raises OutOfFrames."""
        if not self._roots:
            raise OutOfFrames(f"the machine's {self.memory.size >> 20} MiB of memory have no room for the root tables "
                              "of so many VMs")
        return self._roots.pop()

    def give(self, hpas: Iterable[int]) -> None:
        """Frames that nobody holds any more."""
        frames = list(hpas)
        if frames and min(frames) >= self._roots_end:
            self._freed += frames       # nearly always, and at every barrier
            return
        for hpa in frames:
            if not self._roots_start <= hpa < self._roots_end:
                self._freed.append(hpa)
                continue
            root = hpa & -ROOT
            self._parts[root] = self._parts.get(root, 0) + 1
            if self._parts[root] == ROOT // PAGE_SIZE:
                del self._parts[root]
                self._roots.append(root)


class VmFrames(FrameAllocator):
    """What one VM holds of a machine's frames, with a stock that it takes new ones from.

    memory: the VM's own view of the machine's RAM. make_room: called when the stock is used up, to free one of the
    VM's own. on_low: called when the stock has become low.
    ran_low: it has, since `refill`.
    """

    def __init__(self, pool: FramePool, memory: Memory) -> None:
        super().__init__(memory)
        self._next = self._end
        self.make_room: Callable[[], None] = _cannot
        self.on_low: Callable[[], None] = _ignore
        self.ran_low = False
        self._pool = pool

    @property
    def stock(self) -> int:
        """How many frames it can take without asking."""
        return len(self._freed)

    @property
    def free_in_machine(self) -> int:
        """Those in the pool: what other VMs have in stock is theirs."""
        return self._pool.free

    def refill(self, stock: int) -> None:
        """At a barrier: as many frames of stock, or what the pool has; those beyond go back."""
        self.ran_low = False
        missing = stock - len(self._freed)
        if missing > 0:
            self._freed = self._pool.take(missing) + self._freed
        elif missing < 0:
            self._pool.give(self._freed[:-missing])
            del self._freed[:-missing]

    def give_up(self, hpa: int) -> None:
        """The frame is no longer this VM's alone, nor free."""
        self.owners[self._owner.pop(hpa)] -= 1

    def take_over(self, hpa: int, owner: str) -> None:
        """A frame that was given up is this VM's."""
        self._give(hpa, owner)

    def give_all(self) -> None:
        """The VM is no more."""
        self._pool.give([*self._owner, *self._freed])
        self._owner.clear()
        self.owners.clear()
        self._freed.clear()

    def _take(self, count: int, alignment: int) -> int:
        if count > 1:
            return self._pool.take_root()
        if not self._freed:
            self.make_room()
        return self._freed.pop()

    def allocate(self, owner: str) -> int:
        """The hpa of a zeroed frame. Raises OutOfFrames where the VM can have none, not even one of its own."""
        hpa = super().allocate(owner)
        if len(self._freed) == LOW and not self.ran_low:
            self.ran_low = True
            self.on_low()
        return hpa


def _cannot() -> None:
    raise OutOfFrames("no frame left for this VM")


def _ignore() -> None:
    """Nobody wants to know."""
