"""The two stages, read off the manual: a walker that shares nothing with the hart's.

Source: privileged manual, "Virtual Address Translation Process"; hypervisor chapter, "Two-Stage Address Translation",
"Guest-Page Faults" and "Hypervisor Virtual-Machine Load and Store Instructions".
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ..kit.paging import (
    ACCESS_FAULT,
    FETCH,
    LOAD,
    PAGE_FAULT,
    PTE_A,
    PTE_D,
    PTE_R,
    PTE_RESERVED,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STORE,
)
from ..kit.two_stage import GUEST_PAGE_FAULT, Found, Ram, View

LEVELS: Final = 3
_PPN: Final = (1 << 44) - 1
GPA_BITS: Final = 41


class Leaf(NamedTuple):
    """A leaf that a walk came to: where it leads, and its bits."""

    address: int
    pte: int
    level: int


class Wrong(Exception):
    """The walk ends in an exception."""

    def __init__(self, found: Found) -> None:
        super().__init__(found)
        self.found = found


class Reference:
    """Translates for one access. The parts that versions.py breaks are methods."""

    def translate(self, view: View, gva: int, access: int, as_code: bool, ram: Ram) -> Found:
        """GVA to HPA. as_code: HLVX, a load that wants X for R."""
        try:
            gpa = self._first(view, gva, access, as_code, ram)
            return Found(None, self._second(view, gpa, FETCH if as_code else access, access, ram, False), gpa)
        except Wrong as wrong:
            return wrong.found

    def _first(self, view: View, gva: int, access: int, as_code: bool, ram: Ram) -> int:
        if not view.vsatp >> 60:
            return gva
        fault = Wrong(Found(PAGE_FAULT[access]))
        if gva >> 38 not in (0, (1 << 26) - 1):
            raise fault

        def entry(gpa: int) -> int:
            found = ram.load(self.table_entry(view, gpa, access, ram))
            if found is None:
                raise Wrong(Found(ACCESS_FAULT[access]))
            return found

        table, pte, level = (view.vsatp & _PPN) << 12, 0, LEVELS
        while level == LEVELS or not pte & (PTE_R | PTE_X):
            level -= 1
            if level < 0:
                raise fault
            pte = entry(table + 8 * (gva >> 12 + 9 * level & 511))
            self._check_entry(pte, fault)
            table = (pte >> 10 & _PPN) << 12
        wanted = FETCH if as_code else access
        is_users = bool(pte & PTE_U)
        if is_users != (view.mode == 0) and not (is_users and view.sum and access != FETCH):
            raise fault
        needed = PTE_A | PTE_D if access == STORE else PTE_A
        if not permits(pte, wanted, view.mxr or view.vmxr) or pte & needed != needed:
            raise fault
        return self._address(Leaf(table, pte, level), gva, fault)

    def table_entry(self, view: View, gpa: int, access: int, ram: Ram) -> int:
        """Where an entry of the guest's tables lies: the second stage says."""
        return self._second(view, gpa, LOAD, access, ram, True)

    def _second(self, view: View, gpa: int, wanted: int, access: int, ram: Ram, is_implicit: bool) -> int:
        if not view.hgatp >> 60:
            return gpa
        fault = Wrong(Found(*self.guest_fault(access, gpa, is_implicit)))
        if gpa >> GPA_BITS:
            raise fault
        table, pte, level = (view.hgatp & _PPN & ~3) << 12, 0, LEVELS
        while level == LEVELS or not pte & (PTE_R | PTE_X):
            level -= 1
            if level < 0:
                raise fault
            found = ram.load(table + 8 * (gpa >> 12 + 9 * level & self.index_mask(level)))
            if found is None:
                raise Wrong(Found(ACCESS_FAULT[access]))
            pte = found
            self._check_entry(pte, fault)
            table = (pte >> 10 & _PPN) << 12
        needed = PTE_A | PTE_D if wanted == STORE else PTE_A
        mxr = self.second_mxr(view) and not is_implicit
        if not self.is_open(pte) or not permits(pte, wanted, mxr) or pte & needed != needed:
            raise fault
        return self._address(Leaf(table, pte, level), gpa, fault)

    def index_mask(self, level: int) -> int:
        """The root of the second stage is four pages."""
        return 2047 if level == LEVELS - 1 else 511

    def is_open(self, pte: int) -> bool:
        """Every access is U-mode's to the second stage."""
        return bool(pte & PTE_U)

    def second_mxr(self, view: View) -> bool:
        """The guest's MXR says nothing about the host's tables."""
        return view.mxr

    def guest_fault(self, access: int, gpa: int, is_implicit: bool) -> tuple[int, int, int, bool]:
        """Cause, nothing, the address that htval tells, and whether it is a table entry's."""
        return GUEST_PAGE_FAULT[access], 0, gpa, is_implicit

    def _check_entry(self, pte: int, fault: Wrong) -> None:
        if not pte & PTE_V or pte & (PTE_R | PTE_W) == PTE_W or pte & PTE_RESERVED:
            raise fault
        if not pte & (PTE_R | PTE_X) and pte & (PTE_A | PTE_D | PTE_U):
            raise fault

    def _address(self, leaf: Leaf, address: int, fault: Wrong) -> int:
        inside = (1 << 12 + 9 * leaf.level) - 1
        if leaf.address & inside:
            raise fault
        return leaf.address | address & inside


def permits(pte: int, wanted: int, mxr: bool) -> bool:
    """R, W and X."""
    if wanted == LOAD:
        return bool(pte & (PTE_R | PTE_X if mxr else PTE_R))
    return bool(pte & (PTE_X if wanted == FETCH else PTE_W))
