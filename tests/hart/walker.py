"""A reference walker, from the manual's algorithm ("Virtual Address Translation Process"; H, "Two-Stage …").

It shares nothing with the hart: no cache, no PMP (which the tests leave open), one entry read after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

FETCH, LOAD, STORE = 0, 1, 2
PAGE_FAULT = {FETCH: 12, LOAD: 13, STORE: 15}
ACCESS_FAULT = {FETCH: 1, LOAD: 5, STORE: 7}
ADDRESS_BITS = {8: 39, 9: 48, 10: 57}  # by MODE, of a virtual address; a guest physical one has two more
A, D = 0x40, 0x80
GUEST_PAGE_FAULT = {FETCH: 20, LOAD: 21, STORE: 23}


class Fault(Exception):
    """The walk ended in an exception. A guest-page fault has a GPA and, if an entry lies there, a pseudo-insn."""

    def __init__(self, cause: int, gpa: int = 0, tinst: int = 0) -> None:
        super().__init__(cause)
        self.cause = cause
        self.gpa = gpa
        self.tinst = tinst

    @property
    def is_implicit(self) -> bool:
        """Whether the GPA was that of a page-table entry."""
        return self.tinst != 0


class Again(Exception):
    """An entry changed between its reading and its update: the algorithm starts over."""


@dataclass
class Stage:
    """How one stage reads its entries: Svpbmt's and Svadu's enables."""

    pbmte: bool = False
    adue: bool = False


@dataclass
class Walker:
    """What translation depends on. `load_pte` gives the eight bytes at a physical address, or None outside RAM;
    `store_pte` is told of every entry whose A or D is set."""

    load_pte: Callable[[int], int | None]
    satp: int = 0  # the first stage's: satp, or for a guest vsatp
    hgatp: int = 0
    is_guest: bool = False
    is_user: bool = False
    sum: bool = False
    mxr: bool = False  # mstatus.MXR
    vmxr: bool = False  # vsstatus.MXR
    first: Stage = field(default_factory=Stage)
    second: Stage = field(default_factory=Stage)
    store_pte: Callable[[int, int], None] = lambda address, pte: None

    def translate(self, va: int, access: int, is_hlvx: bool = False) -> int:
        """The physical address of `va`; raises Fault."""
        wanted = FETCH if is_hlvx else access
        if self.satp >> 60 == 0:
            return self._second(va, access, wanted) if self.is_guest else va
        while True:
            try:
                reached = self._first(va, access, wanted)
                break
            except Again:
                continue
        return self._second(reached, access, wanted) if self.is_guest else reached

    def _first(self, va: int, access: int, wanted: int) -> int:
        bits = ADDRESS_BITS[self.satp >> 60]
        fault = Fault(PAGE_FAULT[access])
        if va >> bits - 1 not in (0, (1 << 65 - bits) - 1):
            raise fault
        read = self._read_through_second if self.is_guest else self._read
        place, pte, level = self._find(self.satp, va, access, 9, fault, read, self.first)
        flags = _flags(pte)
        if self.is_user and "U" not in flags:
            raise fault
        if not self.is_user and "U" in flags and (access == FETCH or not self.sum):
            raise fault
        mxr = self.mxr or (self.is_guest and self.vmxr)
        due = self._check(pte, level, wanted, access, mxr, fault, self.first)
        if due:
            if self.is_guest:
                place = self._second(place, access, STORE, 0x3020)
                if self._read(place, access) != pte:
                    raise Again
            self.store_pte(place, pte | due)
        return _join(pte, level, va)

    def _second(self, gpa: int, access: int, wanted: int, tinst: int = 0) -> int:
        if self.hgatp >> 60 == 0:
            return gpa
        fault = Fault(GUEST_PAGE_FAULT[access], gpa, tinst)
        if gpa >= 4 << ADDRESS_BITS[self.hgatp >> 60]:
            raise fault
        place, pte, level = self._find(self.hgatp, gpa, access, 11, fault, self._read, self.second)
        if "U" not in _flags(pte):
            raise fault
        due = self._check(pte, level, wanted, wanted, self.mxr and not tinst, fault, self.second)  # explicit loads only
        if due:
            self.store_pte(place, pte | due)
        return _join(pte, level, gpa)

    def _find(
        self,
        atp: int,
        address: int,
        access: int,
        root_bits: int,
        fault: Fault,
        read: Callable[[int, int], int],
        stage: Stage,
    ) -> tuple[int, int, int]:
        table = (atp & (1 << 44) - 1) << 12
        top = (ADDRESS_BITS[atp >> 60] - 12) // 9 - 1
        for level in range(top, -1, -1):
            bits = root_bits if level == top else 9
            place = table + 8 * (address >> 12 + 9 * level & (1 << bits) - 1)
            pte = read(place, access)
            flags = _flags(pte)
            memory_type = pte >> 61 & 3
            if "V" not in flags or ("W" in flags and "R" not in flags) or pte >> 54 & 0x7F:
                raise fault
            if memory_type == 3 or (memory_type and not stage.pbmte):
                raise fault
            if "R" in flags or "X" in flags:
                return place, pte, level
            if flags & set("ADU") or pte >> 61:
                raise fault
            table = (pte >> 10 & (1 << 44) - 1) << 12
        raise fault

    def _check(
        self, pte: int, level: int, wanted: int, access: int, mxr: bool, fault: Fault, stage: Stage
    ) -> int:
        """The A and D bits to set (Svadu); `wanted` is the permission asked for, `access` what D is for."""
        flags = _flags(pte)
        allowed = {FETCH: "X" in flags, LOAD: "R" in flags or (mxr and "X" in flags), STORE: "W" in flags}[wanted]
        if not allowed or pte >> 10 & (1 << 9 * level) - 1:
            raise fault
        if pte >> 63 and (level or pte >> 10 & 15 != 8):  # Svnapot
            raise fault
        due = A if "A" not in flags else 0
        if access == STORE and "D" not in flags:
            due |= D
        if due and not stage.adue:  # Svade
            raise fault
        return due

    def _read(self, address: int, access: int) -> int:
        pte = self.load_pte(address)
        if pte is None:
            raise Fault(ACCESS_FAULT[access])
        return pte

    def _read_through_second(self, gpa: int, access: int) -> int:
        return self._read(self._second(gpa, access, LOAD, 0x3000), access)


def _flags(pte: int) -> set[str]:
    return {name for bit, name in enumerate("VRWXUGAD") if pte >> bit & 1}


def _join(pte: int, level: int, address: int) -> int:
    size = 1 << (16 if pte >> 63 else 12 + 9 * level)
    return ((pte >> 10 & (1 << 44) - 1) << 12) // size * size + address % size
