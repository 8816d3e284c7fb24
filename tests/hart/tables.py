"""Page tables for tests: built by hand, entry by entry, in a machine's RAM."""

from __future__ import annotations

from hartvisor.core.hart import Memory

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
ALL = V | R | W | X | A | D


def pte(physical: int, flags: int) -> int:
    """An entry: PPN in bits 53 to 10, flags below."""
    return physical >> 12 << 10 | flags


class Tables:
    """Tables of 3 `levels` (Sv39), 4 or 5, or a G-stage's, that grow page by page from `place`, which suits their root.

    The tables hold addresses as `seen` by whoever walks them: for a guest's tables under a G-stage, `seen` bytes lower
    than in the machine's RAM.
    """

    def __init__(self, memory: Memory, place: int, *, gstage: bool = False, offset: int = 0, levels: int = 3) -> None:
        self.memory = memory
        self.levels = levels
        self.root = place
        self.index_mask = 2047 if gstage else 511
        self.free = place + (0x4000 if gstage else 0x1000)
        self.offset = offset
        memory.fill_zero(place, self.free - place)

    @property
    def satp(self) -> int:
        """What to write to satp, vsatp or hgatp (ASID 0)."""
        return self.levels + 5 << 60 | self.root - self.offset >> 12

    def entry(self, address: int, level: int = 0) -> int:
        """Where in RAM the entry for `address` at `level` lies; tables on the way are made."""
        table = self.root
        for upper in range(self.levels - 1, level, -1):
            place = table + 8 * self._index(address, upper)
            if not self.memory.load(place, 8) & V:
                self.memory.store(place, 8, pte(self.free - self.offset, V))
                self.memory.fill_zero(self.free, 0x1000)
                self.free += 0x1000
            table = (self.memory.load(place, 8) >> 10 << 12) + self.offset
        return table + 8 * self._index(address, level)

    def map(self, address: int, physical: int, flags: int = ALL, level: int = 0) -> int:
        """Map the page at `address`; returns where its entry lies."""
        place = self.entry(address, level)
        self.memory.store(place, 8, pte(physical, flags))
        return place

    def identity(self, first: int, pages: int, flags: int = ALL) -> None:
        """Map `pages` pages from `first` to themselves."""
        for page in range(first, first + (pages << 12), 1 << 12):
            self.map(page, page, flags)

    def _index(self, address: int, level: int) -> int:
        return address >> 12 + 9 * level & (self.index_mask if level == self.levels - 1 else 511)
