"""Shadow pages and roles: what a shadow table stands for, and how guest permissions become real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X

_RWX = PTE_R | PTE_W | PTE_X
_KEPT = _RWX | PTE_A | PTE_D


class Role(NamedTuple):
    """For whom a set of shadow tables is built: leaves differ with what the guest's mode may do.

    A deprivileged guest always runs in real U-mode: every leaf has U=1, and what the guest's mode, SUM and MXR allow
    is worked into R, W and X; so each combination has a root of its own. Under `shadow` the real hart checks U, SUM and
    MXR itself and the guest's bits are copied; only satp=Bare, which has no U bits to copy, needs one root for each
    mode.
    """

    name: str
    copies_bits: bool = False
    bare_user_bit: int = 0
    is_user: bool = False
    sum_: bool = False
    mxr: bool = False

    def leaf_bits(self, perms: int, is_bare: bool) -> int:
        """The real leaf's flags for a guest leaf with R, W, X, U, A, D bits `perms`; 0 where this role may do
        nothing."""
        if is_bare:
            return PTE_V | _KEPT | self.bare_user_bit
        if self.copies_bits:
            return PTE_V | perms
        if self.is_user != bool(perms & PTE_U) and not (self.sum_ and not self.is_user):
            return 0
        bits = perms & _KEPT
        if self.mxr and perms & PTE_X:
            bits |= PTE_R
        if not self.is_user and perms & PTE_U:
            bits &= ~PTE_X  # supervisors never execute user pages
        return PTE_V | PTE_U | bits if bits & _RWX else 0


HARDWARE = Role("tables", copies_bits=True)
BARE_SUPERVISOR = Role("bare supervisor")
BARE_USER = Role("bare user", bare_user_bit=PTE_U)


def deprivileged_role(is_user: bool, sum_: bool, mxr: bool) -> Role:
    """The role of a deprivileged guest in this mode; SUM means nothing to user mode."""
    if is_user:
        return Role("user" + (" mxr" if mxr else ""), bare_user_bit=PTE_U, is_user=True, mxr=mxr)
    name = "supervisor" + (" sum" if sum_ else "") + (" mxr" if mxr else "")
    return Role(name, bare_user_bit=PTE_U, sum_=sum_, mxr=mxr)


class PageKey(NamedTuple):
    """What a shadow page stands for; equal keys share one page.

    Of a guest table: `gfn` holds the table, `role` says for whom, `bits` is 0. Of a stretch of guest-physical memory
    that one guest superpage (or satp=Bare) maps: `gfn` is the first frame, `bits` the flags of its leaves, `role` is
    None.
    """

    gfn: int
    level: int
    role: Role | None
    bits: int = 0

    @property
    def is_table(self) -> bool:
        """Whether the page mirrors a guest table, entry for entry."""
        return self.role is not None


class ShadowPage:
    """One real page table of the hypervisor's, in the machine frame at `hpa`.

    Entry i is a leaf for guest frame leaves[i] (level 0), or points to children[i], or is empty.
    asid: what tells it apart as a root, 0 if it never was one. parents: the (page, entry) pairs that point here.
    writes: guest stores to the mirrored table since it was last used.
    """

    __slots__ = ("asid", "children", "hpa", "key", "leaves", "parents", "writes")

    def __init__(self, key: PageKey, hpa: int) -> None:
        self.key = key
        self.hpa = hpa
        self.asid = 0
        self.leaves: dict[int, int] = {}
        self.children: dict[int, ShadowPage] = {}
        self.parents: set[tuple[ShadowPage, int]] = set()
        self.writes = 0


@dataclass(slots=True)
class PagerStats:
    """What shadow paging cost.

    fills: leaves written. tables, direct_tables: shadow pages made for guest tables, and for superpages or satp=Bare.
    pt_writes: guest stores to guarded tables that were emulated. zaps: entries dropped because of a store.
    unguarded: tables given up because they were written to without being used. flushes: everything dropped.
    root_loads: times the real root was set. guest_reads: guest entries read by the hypervisor's walks.
    """

    fills: int = 0
    tables: int = 0
    direct_tables: int = 0
    pt_writes: int = 0
    zaps: int = 0
    unguarded: int = 0
    flushes: int = 0
    root_loads: int = 0
    guest_reads: int = 0
