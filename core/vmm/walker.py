"""The guest's page-table walk, in plain Python, with every entry it visits on record.

The shadow pager asks it what the guest's tables say, the emulator where an operand lies, and a viewer why. It decides
exactly as the hart's walker does (privileged manual, "Virtual Address Translation Process", Svade and Svadu).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..isa.causes import (
    INSTRUCTION_ACCESS_FAULT,
    INSTRUCTION_PAGE_FAULT,
    LOAD_ACCESS_FAULT,
    LOAD_PAGE_FAULT,
    STORE_ACCESS_FAULT,
    STORE_PAGE_FAULT,
)
from ..isa.paging import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PTE_A,
    PTE_D,
    PTE_N,
    PTE_PBMT,
    PTE_PPN,
    PTE_PPN_SHIFT,
    PTE_R,
    PTE_RESERVED,
    PTE_SIZE,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STAGE_FORMATS,
    is_bad_leaf,
    leaf_address,
)

FETCH, LOAD, STORE = 0, 1, 2

PAGE_FAULT = (INSTRUCTION_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT)
"""The page fault of each kind of access."""

ACCESS_FAULT = (INSTRUCTION_ACCESS_FAULT, LOAD_ACCESS_FAULT, STORE_ACCESS_FAULT)
"""The access fault of each kind of access."""

USER, SUPERVISOR = 0, 1

_SHIFTS = {mode: tuple(form.shift(level) for level in reversed(range(form.levels)))
           for mode, form in STAGE_FORMATS.items()}
"""By MODE: the lowest address bit that indexes each table, the root's first."""

_LAST_SHIFT = (PAGE_SHIFT,)

_SIGNS = {mode: (form.address_bits - 1, (1 << 64 - form.address_bits + 1) - 1) for mode, form in STAGE_FORMATS.items()}
"""By MODE: a canonical address's sign bit, and what it and all above it are where it is negative."""

_NOT_IN_POINTERS = PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N
_RX = PTE_R | PTE_X
_RW = PTE_R | PTE_W
_PPN_TO_ADDRESS = PAGE_SHIFT - PTE_PPN_SHIFT
_PPN_MASK = (1 << 44) - 1
_INDEX = PAGE_SIZE // PTE_SIZE - 1
_BARE_PERMS = PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
_PERMS = PTE_R | PTE_W | PTE_X | PTE_U | PTE_A | PTE_D

LoadPte = Callable[[int], int | None]
"""load_pte(gpa) gives the entry at a GPA, None where that is not RAM."""


class Walk(NamedTuple):
    """What a walk found.

    levels: (pte_gpa, pte) of every entry read, the root's first; empty if satp is Bare.
    cause: None, or the exception that the access raises. The rest counts only if there is none:
    gpa: where `gva` leads. level: 0 for a leaf of 4 KiB (or 64, with N=1), more for superpages; -1 if satp is Bare.
    perms: the leaf's R, W, X, U, A, D bits, in place. missing: A, D or both, where the access has them set (Svadu).
    """

    gva: int
    access: int
    levels: tuple[tuple[int, int], ...]
    cause: int | None = None
    gpa: int = 0
    level: int = -1
    perms: int = 0
    missing: int = 0


def walk(load_pte: LoadPte, satp: int, gva: int, access: int, user: bool, sum_: bool = False,
         mxr: bool = False, reserved: int = PTE_RESERVED, updates_ad: bool = False,
         last_table: int | None = None) -> Walk:
    """Translate `gva` for one access (FETCH, LOAD, STORE) in U-mode (`user`) or S-mode under sstatus.SUM and MXR.

    satp: holds a mode that the guest's hart has. reserved: the bits that no entry may have set (`paging.must_be_zero`).
    updates_ad: a leaf without A, or D for a store, does not fault: the caller is to set them (Svadu).
    last_table: where the table of 4 KiB leaves lies that `gva` leads to, if the caller knows it: then no other is read.
    A leaf's GPA may lie anywhere: whether there is RAM is the caller's question.
    """
    if satp >> 60 == 0:
        return Walk(gva, access, (), None, gva, -1, _BARE_PERMS)
    sign, ones = _SIGNS[satp >> 60]
    if gva >> sign not in (0, ones):
        return Walk(gva, access, (), PAGE_FAULT[access])
    table, shifts = (satp & _PPN_MASK) << PAGE_SHIFT, _SHIFTS[satp >> 60]
    if last_table is not None:
        table, shifts = last_table, _LAST_SHIFT
    levels: list[tuple[int, int]] = []
    pte = 0
    for shift in shifts:
        pte_gpa = table | (gva >> shift & _INDEX) * PTE_SIZE
        entry = load_pte(pte_gpa)
        if entry is None:
            return Walk(gva, access, tuple(levels), ACCESS_FAULT[access])
        pte = entry
        levels.append((pte_gpa, pte))
        if not pte & PTE_V or pte & _RW == PTE_W or pte & reserved:
            return Walk(gva, access, tuple(levels), PAGE_FAULT[access])
        if pte & _RX:
            break
        if pte & _NOT_IN_POINTERS or shift == PAGE_SHIFT:
            return Walk(gva, access, tuple(levels), PAGE_FAULT[access])
        table = (pte & PTE_PPN) << _PPN_TO_ADDRESS
    level = len(shifts) - len(levels)
    if is_bad_leaf(pte, level) or not _allows(pte, access, user, sum_, mxr):
        return Walk(gva, access, tuple(levels), PAGE_FAULT[access])
    missing = ~pte & (PTE_A | PTE_D if access == STORE else PTE_A)
    if missing and not updates_ad:
        return Walk(gva, access, tuple(levels), PAGE_FAULT[access])
    return Walk(gva, access, tuple(levels), None, leaf_address(pte, level, gva), level, pte & _PERMS, missing)


def mark_used(found: Walk) -> Walk:
    """The walk after the bits that were missing have been stored to the guest's entry."""
    pte_gpa, pte = found.levels[-1]
    return found._replace(levels=(*found.levels[:-1], (pte_gpa, pte | found.missing)),
                          perms=found.perms | found.missing, missing=0)


def _allows(pte: int, access: int, user: bool, sum_: bool, mxr: bool) -> bool:
    """Whether a leaf lets the access through: U, SUM, MXR and R/W/X."""
    if user:
        if not pte & PTE_U:
            return False
    elif pte & PTE_U and (access == FETCH or not sum_):
        return False  # S-mode never executes user pages, whatever SUM says
    if access == LOAD:
        return bool(pte & PTE_R or (mxr and pte & PTE_X))
    if access == FETCH:
        return bool(pte & PTE_X)
    return bool(pte & PTE_W)
