"""A reference walker, from the manual's algorithm (Sv39, "Virtual Address Translation Process"; H, "Two-Stage …").

It shares nothing with the hart: no cache, no PMP (which the tests leave open), one entry read after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FETCH, LOAD, STORE = 0, 1, 2
PAGE_FAULT = {FETCH: 12, LOAD: 13, STORE: 15}
ACCESS_FAULT = {FETCH: 1, LOAD: 5, STORE: 7}
GUEST_PAGE_FAULT = {FETCH: 20, LOAD: 21, STORE: 23}


class Fault(Exception):
    """The walk ended in an exception; a guest-page fault carries the GPA, and whether a page-table entry has it."""

    def __init__(self, cause: int, gpa: int = 0, is_implicit: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.gpa = gpa
        self.is_implicit = is_implicit


@dataclass
class Walker:
    """What translation depends on. `load_pte` gives the eight bytes at a physical address, or None outside RAM."""

    load_pte: Callable[[int], int | None]
    satp: int = 0  # the first stage's: satp, or for a guest vsatp
    hgatp: int = 0
    is_guest: bool = False
    is_user: bool = False
    sum: bool = False
    mxr: bool = False  # mstatus.MXR
    vmxr: bool = False  # vsstatus.MXR

    def translate(self, va: int, access: int, is_hlvx: bool = False) -> int:
        """The physical address of `va`; raises Fault."""
        wanted = FETCH if is_hlvx else access
        if self.satp >> 60 == 0:
            return self._second(va, access, wanted) if self.is_guest else va
        if va >> 38 not in (0, (1 << 26) - 1):
            raise Fault(PAGE_FAULT[access])
        read = self._read_through_second if self.is_guest else self._read
        pte, level = self._find(self.satp, va, access, 9, PAGE_FAULT[access], None, read)
        flags = _flags(pte)
        if self.is_user and "U" not in flags:
            raise Fault(PAGE_FAULT[access])
        if not self.is_user and "U" in flags and (access == FETCH or not self.sum):
            raise Fault(PAGE_FAULT[access])
        self._check(pte, level, access, wanted, self.mxr or (self.is_guest and self.vmxr), Fault(PAGE_FAULT[access]))
        reached = _join(pte, level, va)
        return self._second(reached, access, wanted) if self.is_guest else reached

    def _second(self, gpa: int, access: int, wanted: int, is_implicit: bool = False) -> int:
        if self.hgatp >> 60 == 0:
            return gpa
        fault = Fault(GUEST_PAGE_FAULT[access], gpa, is_implicit)
        if gpa >= 1 << 41:
            raise fault
        pte, level = self._find(self.hgatp, gpa, access, 11, fault.cause, fault, self._read)
        if "U" not in _flags(pte):
            raise fault
        self._check(pte, level, access, wanted, self.mxr, fault)
        return _join(pte, level, gpa)

    def _find(
        self,
        atp: int,
        address: int,
        access: int,
        root_bits: int,
        cause: int,
        fault: Fault | None,
        read: Callable[[int, int], int],
    ) -> tuple[int, int]:
        table = (atp & (1 << 44) - 1) << 12
        for level in (2, 1, 0):
            bits = root_bits if level == 2 else 9
            index = address >> 12 + 9 * level & (1 << bits) - 1
            pte = read(table + 8 * index, access)
            flags = _flags(pte)
            if "V" not in flags or ("W" in flags and "R" not in flags) or pte >> 54:
                raise fault or Fault(cause)
            if "R" in flags or "X" in flags:
                return pte, level
            if flags & set("ADU"):
                raise fault or Fault(cause)
            table = (pte >> 10 & (1 << 44) - 1) << 12
        raise fault or Fault(cause)

    def _check(self, pte: int, level: int, access: int, wanted: int, mxr: bool, fault: Fault) -> None:
        flags = _flags(pte)
        allowed = {FETCH: "X" in flags, LOAD: "R" in flags or (mxr and "X" in flags), STORE: "W" in flags}[wanted]
        if not allowed or pte >> 10 & (1 << 9 * level) - 1:
            raise fault
        if "A" not in flags or (wanted == STORE and "D" not in flags):  # Svade
            raise fault

    def _read(self, address: int, access: int) -> int:
        pte = self.load_pte(address)
        if pte is None:
            raise Fault(ACCESS_FAULT[access])
        return pte

    def _read_through_second(self, gpa: int, access: int) -> int:
        return self._read(self._second(gpa, access, LOAD, is_implicit=True), access)


def _flags(pte: int) -> set[str]:
    return {name for bit, name in enumerate("VRWXUGAD") if pte >> bit & 1}


def _join(pte: int, level: int, address: int) -> int:
    size = 1 << 12 + 9 * level
    return ((pte >> 10 & (1 << 44) - 1) << 12) // size * size + address % size
