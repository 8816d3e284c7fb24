"""The G-stage tables of a VM, in machine RAM, from GPA to HPA; an entry appears when the guest first needs it."""

from __future__ import annotations

from typing import Final

from ..hart import Memory
from ..isa.paging import (
    PAGE_SHIFT,
    PTE_A,
    PTE_D,
    PTE_R,
    PTE_SIZE,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    make_pte,
    ppn,
    smallest_gstage,
)
from .frames import FrameAllocator

OWNER: Final = "g-stage"

# All accesses are U-mode's to the G-stage, and A and D are set beforehand: the VMM wants no faults to keep them
# (H, "Guest Physical Address Translation").
LEAF: Final = PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D


class GStage:
    """One VM's second stage. top: the GPA at which guest RAM ends; it decides how deep the tables are (`form`).
    fills: leaves written."""

    def __init__(self, memory: Memory, frames: FrameAllocator, top: int) -> None:
        self.form = smallest_gstage(top)
        self.root = frames.allocate_contiguous(OWNER, self.form.root_size >> PAGE_SHIFT)
        self.fills = 0
        self._memory = memory
        self._frames = frames

    def hgatp(self, vmid: int) -> int:
        """The hgatp value that selects these tables."""
        return self.form.mode << 60 | vmid << 44 | self.root >> PAGE_SHIFT

    def map(self, gpa: int, hpa: int, is_writable: bool = True) -> None:
        """Map the 4 KiB page of `gpa` to the frame of `hpa`; stores to one that is not writable exit."""
        table, form = self.root, self.form
        for level in range(form.levels - 1, 0, -1):
            slot = table + form.index(gpa, level) * PTE_SIZE
            pte = self._memory.load(slot, PTE_SIZE)
            if not pte & PTE_V:
                pte = make_pte(self._frames.allocate(OWNER), PTE_V)
                self._memory.store(slot, PTE_SIZE, pte)
            table = ppn(pte) << PAGE_SHIFT
        bits = LEAF if is_writable else LEAF & ~PTE_W
        self._memory.store(table + form.index(gpa, 0) * PTE_SIZE, PTE_SIZE, make_pte(hpa, bits))
        self.fills += 1

    def unmap(self, gpa: int) -> None:
        """Nothing leads from the page of `gpa` any more."""
        table, form = self.root, self.form
        for level in range(form.levels - 1, 0, -1):
            pte = self._memory.load(table + form.index(gpa, level) * PTE_SIZE, PTE_SIZE)
            if not pte & PTE_V:
                return
            table = ppn(pte) << PAGE_SHIFT
        self._memory.store(table + form.index(gpa, 0) * PTE_SIZE, PTE_SIZE, 0)
