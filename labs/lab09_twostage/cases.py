"""Accesses under two stages, and the entries that lie on their ways: right ones, and all that can be wrong.

    hpa 0x80010000  the second stage's root, 16 KiB
        0x80014000  its other tables, of which the first three lead to the guest's tables
        0x80020000  the guest's tables: of level 0, 1 and 2
        0x80080000  data
    gpa 0x40000000  the guest's tables
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from ...core.machine.memory_map import RAM_BASE
from ..kit.paging import LOAD, PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from ..kit.two_stage import Ram, View
from .machine import SIZE

ROOT: Final = 0x8001_0000
TABLES: Final = (0x8001_4000, 0x8001_5000, 0x8001_6000, 0x8001_7000)
GUESTS: Final = 0x8002_0000
DATA: Final = 0x8008_0000
GUESTS_GPA: Final = 0x4000_0000
NOWHERE: Final = 0x4000_0000
"""No RAM of the machine's."""
FULL: Final = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
RIGHTS: Final = (PTE_R, PTE_R | PTE_W, PTE_X, PTE_R | PTE_X, PTE_R | PTE_W | PTE_X)


@dataclass
class Case:
    """An access. entries: hpa and value, the guest's first, each stage's root first. size: of the data, in bytes."""

    view: View
    gva: int
    access: int
    size: int
    entries: list[tuple[int, int]]
    data: tuple[int, int]

    def ram(self) -> Ram:
        """The machine's memory with these entries."""
        return Ram(RAM_BASE, SIZE, dict([self.data, *self.entries]))


def pointer(hpa: int) -> int:
    """An entry that leads to the next table."""
    return hpa >> 2 | PTE_V


class Maker:
    """Makes cases from a stream of choices."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.focus = ""

    def flags(self, user: int, stage: str) -> int:
        """A leaf's, mostly good."""
        random = self.random
        if self.focus:
            return PTE_V | PTE_A | PTE_D | user | (PTE_X if self.focus == stage else PTE_R | PTE_W | PTE_X)
        rights = random.choice(RIGHTS) if random.random() < 0.6 else PTE_R | PTE_W | PTE_X
        used = random.choice((0, PTE_A, PTE_D)) if random.random() < 0.15 else PTE_A | PTE_D
        return PTE_V | rights | used | user

    def spoil(self, entry: int) -> int:
        """An entry that something is wrong with."""
        random = self.random
        return random.choice((
            entry & ~PTE_V, entry | 1 << random.randrange(54, 64), entry & ~PTE_R | PTE_W, entry ^ PTE_U, entry ^ PTE_A,
            entry ^ PTE_D, entry & ~(PTE_R | PTE_W | PTE_X), pointer(NOWHERE), entry | 1 << random.randrange(10, 13)))

    def case(self, size: int = 8) -> Case:
        """One access."""
        random = self.random
        self.focus = random.choice(("first", "second", "tables")) if random.random() < 0.2 else ""
        first, second = (bool(self.focus) or random.random() < 0.85 for _ in range(2))
        hpa = DATA + random.randrange(0, 0x4_0000, 8) + random.randrange(0, 8, size)
        mode = random.randrange(2)
        entries: list[tuple[int, int]] = []
        gpa = hpa
        if second:
            gpa, ways = self._second(hpa)
            entries += ways
        gva, vsatp = gpa, 0
        if first:
            base = GUESTS_GPA if second else GUESTS
            gva, ways = self._first(gpa, mode, base)
            vsatp = 8 << 60 | random.randrange(1 << 16) << 44 | base + 0x2000 >> 12
            entries = ways + entries
            if second:
                entries += self._to_tables(gva)
        hgatp = 8 << 60 | random.randrange(1 << 14) << 44 | ROOT >> 12 if second else 0
        if entries and not self.focus and random.random() < 0.3:
            index = random.randrange(len(entries))
            entries[index] = (entries[index][0], self.spoil(entries[index][1]))
        if first and random.random() < 0.03:
            gva ^= 1 << random.randrange(39, 64)
        likely = 0.5 if self.focus else 0.3
        view = View(vsatp, hgatp, mode, random.random() < 0.4, random.random() < likely, random.random() < likely)
        access = LOAD if self.focus else random.randrange(3)
        return Case(view, gva, access, size, entries, (hpa & ~7, random.getrandbits(64)))

    def _second(self, hpa: int) -> tuple[int, list[tuple[int, int]]]:
        """A GPA that leads to an HPA, and the entries on the way."""
        random = self.random
        level = random.choice((0, 0, 1, 2))
        inside = (1 << 12 + 9 * level) - 1
        gpa = random.choice((0, 2, 3, 511, 512, 1500, 2047)) << 30 | random.randrange(1 << 30) & ~inside
        gpa = gpa & ~inside | hpa & inside
        tables = (TABLES[0], TABLES[1], ROOT)
        entries = []
        for above in (2, 1, 0):
            mask = 2047 if above == 2 else 511
            place = tables[above] + 8 * (gpa >> 12 + 9 * above & mask)
            if above == level:
                user = PTE_U if self.focus or random.random() < 0.95 else 0
                entries.append((place, (hpa & ~inside) >> 2 | self.flags(user, "second")))
                break
            entries.append((place, pointer(tables[above - 1])))
        if random.random() < 0.02:
            gpa |= 1 << random.randrange(41, 52)
        return gpa, entries

    def _first(self, gpa: int, mode: int, base: int) -> tuple[int, list[tuple[int, int]]]:
        """A GVA that leads to a GPA, by tables of the guest's at GPA `base`, and the entries on the way."""
        random = self.random
        level = random.choice((0, 0, 1, 2))
        inside = (1 << 12 + 9 * level) - 1
        gva = random.randrange(1 << 38) & ~inside | gpa & inside
        if random.random() < 0.3:
            gva |= (1 << 26) - 1 << 38
        entries = []
        for above in (2, 1, 0):
            place = GUESTS + 0x1000 * above + 8 * (gva >> 12 + 9 * above & 511)
            if above == level:
                user = PTE_U if random.random() < (0.9 if mode == 0 else 0.2) else 0
                entries.append((place, (gpa & ~inside) >> 2 & (1 << 54) - 1 | self.flags(user, "first")))
                break
            entries.append((place, pointer(base + 0x1000 * (above - 1))))
        return gva, entries

    def _to_tables(self, gva: int) -> list[tuple[int, int]]:
        """The second stage's way to the guest's tables."""
        random = self.random
        leaf = FULL | PTE_U
        if self.focus == "tables":
            leaf = PTE_V | PTE_X | PTE_A | PTE_U
        elif not self.focus and random.random() < 0.25:
            leaf = random.choice((leaf & ~PTE_R, leaf & ~(PTE_W | PTE_D), leaf & ~PTE_U, leaf & ~PTE_A, leaf & ~PTE_V,
                                  PTE_V | PTE_X | PTE_A | PTE_U))
        spoiled = random.randrange(3)
        return [(ROOT + 8 * (GUESTS_GPA >> 30), pointer(TABLES[2])), (TABLES[2], pointer(TABLES[3])),
                *((TABLES[3] + 8 * page, GUESTS + 0x1000 * page >> 2 | (leaf if page == spoiled else FULL | PTE_U))
                  for page in range(3))]
