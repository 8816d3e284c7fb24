"""One stage of address translation, entry by entry, as the manual's algorithm takes it; and the step at which it ends
in a fault.

The same code explains the guest's tables, the hypervisor's shadow tables and the G-stage: they differ in where their
entries are read, and in which rules apply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.paging import (
    GSTAGE_FORMATS,
    MODE_BARE,
    NAPOT_CODE,
    NAPOT_PPN,
    NAPOT_SHIFT,
    PAGE_SHIFT,
    PBMT_RESERVED,
    PBMT_SHIFT,
    PTE_A,
    PTE_D,
    PTE_N,
    PTE_PBMT,
    PTE_R,
    PTE_RESERVED,
    PTE_RSW,
    PTE_SIZE,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STAGE_FORMATS,
    PagingFormat,
    leaf_address,
    ppn,
)
from ..walker import FETCH, LOAD, STORE

if TYPE_CHECKING:
    from ...hart import Memory

PROCESS: Final = "Virtual Address Translation Process"
"""The section of the privileged manual that numbers the steps."""

GSTAGE_PROCESS: Final = "Guest Physical Address Translation"
"""The hypervisor chapter's, for what differs in the G-stage."""

MEMORY_TYPES: Final = ("PMA", "NC", "IO", "reserved")
"""Svpbmt's, by the value of PBMT."""

FLAGS: Final = "VRWXUGAD"
"""The letters of an entry's low bits, from bit 0."""

_PPN: Final = (1 << 44) - 1
_NOT_IN_POINTERS: Final = PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N
_NAMES: Final = {FETCH: "fetch", LOAD: "load", STORE: "store"}

LoadEntry = Callable[[int], int | None]
"""load(address) gives the entry there, None where there is no RAM."""


def entries_of(memory: Memory) -> LoadEntry:
    """Those in a machine's RAM, by HPA."""
    return lambda hpa: memory.load(hpa, PTE_SIZE) if memory.contains(hpa, PTE_SIZE) else None


@dataclass(frozen=True)
class Rule:
    """Why a translation ends in a fault. step: of the manual's algorithm, in `section`. is_access_fault: an access
    fault, not a page fault."""

    step: int
    text: str
    section: str = PROCESS
    is_access_fault: bool = False


@dataclass(frozen=True)
class PteView:
    """An entry that was read. level: 0 for the tables of 4 KiB leaves. index: in its table. address: where it lies, as
    its stage addresses memory (a guest's tables by GPA, the hypervisor's by HPA). value: its bits."""

    level: int
    index: int
    address: int
    value: int

    @property
    def is_valid(self) -> bool:
        """V."""
        return bool(self.value & PTE_V)

    @property
    def is_leaf(self) -> bool:
        """Whether it maps memory; else it leads to another table, or nowhere."""
        return self.is_valid and bool(self.value & (PTE_R | PTE_X))

    @property
    def is_pointer(self) -> bool:
        """Whether it leads to another table."""
        return self.is_valid and not self.value & (PTE_R | PTE_X)

    @property
    def flags(self) -> str:
        """D, A, G, U, X, W, R, V as the manual draws them, a dash for a bit that is 0."""
        return flags_text(self.value)

    @property
    def ppn(self) -> int:
        """The physical page number."""
        return ppn(self.value)

    @property
    def target(self) -> int:
        """Where its page number leads."""
        return self.ppn << PAGE_SHIFT

    @property
    def rsw(self) -> int:
        """The two bits that software may use."""
        return (self.value & PTE_RSW) >> 8

    @property
    def pbmt(self) -> int:
        """The memory type (Svpbmt)."""
        return (self.value & PTE_PBMT) >> PBMT_SHIFT

    @property
    def is_napot(self) -> bool:
        """N (Svnapot)."""
        return bool(self.value & PTE_N)

    @property
    def size(self) -> int:
        """Bytes that it maps, or that its table's entries would together."""
        return 1 << (NAPOT_SHIFT if self.is_leaf and self.is_napot else PAGE_SHIFT + 9 * self.level)


def flags_text(value: int) -> str:
    """An entry's low eight bits, in letters."""
    return "".join(name if value >> bit & 1 else "-" for bit, name in reversed(tuple(enumerate(FLAGS))))


@dataclass(frozen=True)
class Field:
    """A part of an address: `bits` hi down to lo, and what they hold."""

    name: str
    hi: int
    lo: int
    value: int


@dataclass(frozen=True)
class Who:
    """An access, as translation checks it. sum_, mxr: the bits that matter to it. user: from U-mode (or VU)."""

    access: int
    user: bool = False
    sum_: bool = False
    mxr: bool = False


@dataclass(frozen=True)
class StageView:
    """One address through one stage. name: "guest", "shadow" or "G-stage". register, value: what selects its tables.

    format: Sv39, Sv39x4 and so on; None for Bare. levels: its tables'. tag: the ASID or VMID. root: the first table's
    address. fields: how the address is split. entries: those read, the root's first. rule: why it ends in a fault, else
    None. result: where it leads, None if nowhere. size: of the page, in bytes; 0 for Bare.
    """

    name: str
    register: str
    value: int
    format: str | None
    levels: int
    tag: int
    root: int
    address: int
    fields: tuple[Field, ...]
    entries: tuple[PteView, ...]
    rule: Rule | None
    result: int | None
    size: int

    @property
    def leaf(self) -> PteView | None:
        """The entry that maps the address; None without one."""
        return self.entries[-1] if self.entries and self.entries[-1].is_leaf else None


def walk_stage(load: LoadEntry, name: str, register: str, value: int, address: int, who: Who, *,
               reserved: int = PTE_RESERVED, updates_ad: bool = False) -> StageView:
    """Translate `address` by the tables that `value` of `register` selects ("hgatp" for a G-stage).

    reserved: bits that no entry may have set. updates_ad: a missing A or D is no fault (Svadu).
    """
    is_gstage = register == "hgatp"
    tag = value >> 44 & (0x3FFF if is_gstage else 0xFFFF)
    mode = value >> 60
    form = (GSTAGE_FORMATS if is_gstage else STAGE_FORMATS).get(mode)
    if mode == MODE_BARE or form is None:
        return StageView(name, register, value, None, 0, tag, 0, address, (), (), None, address, 0)
    root = (value & _PPN) << PAGE_SHIFT
    fields = split(form, address)
    entries: list[PteView] = []

    def found(rule: Rule | None, result: int | None = None, size: int = 0) -> StageView:
        return StageView(name, register, value, form.name, form.levels, tag, root, address, fields, tuple(entries),
                         rule, result, size)

    if not form.is_canonical(address):
        return found(_not_canonical(form))
    table = root
    for level in range(form.levels - 1, -1, -1):
        index = form.index(address, level)
        place = table + index * PTE_SIZE
        pte = load(place)
        if pte is None:
            return found(Rule(2, f"the entry would lie at {place:#x}, where there is no RAM", is_access_fault=True))
        entry = PteView(level, index, place, pte)
        entries.append(entry)
        rule = _is_invalid(entry, reserved)
        if rule is not None:
            return found(rule)
        if entry.is_leaf:
            rule = check_leaf(entry, who, is_gstage=is_gstage, updates_ad=updates_ad)
            if rule is not None:
                return found(rule)
            return found(None, leaf_address(pte, level, address), entry.size)
        table = entry.target
    return found(Rule(4, "a pointer in a table of the last level: there is no next table"))


def split(form: PagingFormat, address: int) -> tuple[Field, ...]:
    """The parts of an address, from the top: the VPNs, the root's first, and the offset in the page."""
    fields = []
    for level in range(form.levels - 1, -1, -1):
        lo = form.shift(level)
        is_root = level == form.levels - 1
        hi = lo + (form.root_index_bits if is_root else form.index_bits) - 1
        fields.append(Field(f"VPN[{level}]", hi, lo, form.index(address, level)))
    return (*fields, Field("offset", PAGE_SHIFT - 1, 0, address & (1 << PAGE_SHIFT) - 1))


def _not_canonical(form: PagingFormat) -> Rule:
    bits = form.address_bits
    if form.is_gstage:
        return Rule(1, f"bits 63 to {bits} of a guest physical address must be zero under {form.name}", GSTAGE_PROCESS)
    return Rule(1, f"bits 63 to {bits} must all equal bit {bits - 1} under {form.name}",
                f"{form.name}: Page-Based {bits}-bit Virtual-Memory System")


def _is_invalid(entry: PteView, reserved: int) -> Rule | None:
    """Steps 3 and 4: what no entry may be, and no pointer."""
    pte = entry.value
    if not pte & PTE_V:
        return Rule(3, "V=0: the entry is not valid")
    if pte & PTE_W and not pte & PTE_R:
        return Rule(3, "W=1 with R=0 is reserved")
    bad = pte & reserved
    if bad & PTE_RESERVED:
        return Rule(3, f"reserved bits 60 to 54 are {(pte & PTE_RESERVED) >> 54:#x}, and must be zero")
    if bad & PTE_N:
        return Rule(3, "N=1, and the hart has no Svnapot")
    if bad & PTE_PBMT:
        return Rule(3, f"PBMT={entry.pbmt}, and the hart has no Svpbmt, or it is off")
    if entry.is_pointer and pte & _NOT_IN_POINTERS:
        names = [name for name, mask in (("D", PTE_D), ("A", PTE_A), ("U", PTE_U), ("PBMT", PTE_PBMT), ("N", PTE_N))
                 if pte & mask]
        return Rule(3, f"{', '.join(names)} set in a pointer (R=W=X=0), where they are reserved")
    return None


def check_leaf(entry: PteView, who: Who, *, is_gstage: bool = False, updates_ad: bool = False) -> Rule | None:
    """Steps 5 to 9: whether a leaf lets the access through."""
    pte, access = entry.value, who.access
    if ppn(pte) & (1 << 9 * entry.level) - 1:
        return Rule(5, f"a misaligned superpage: the low {9 * entry.level} bits of PPN must be zero at level "
                       f"{entry.level}")
    if entry.pbmt == PBMT_RESERVED:
        return Rule(3, "PBMT=3 is reserved")
    if entry.is_napot and (entry.level or ppn(pte) & NAPOT_PPN != NAPOT_CODE):
        return Rule(3, "N=1 is for 64 KiB alone: level 0 and PPN[3:0]=8")
    rule = _user_rule(pte, who, is_gstage)
    if rule is not None:
        return rule
    needed = {FETCH: PTE_X, LOAD: PTE_R, STORE: PTE_W}[access]
    if not pte & needed and not (access == LOAD and who.mxr and pte & PTE_X):
        letter = {FETCH: "X", LOAD: "R", STORE: "W"}[access]
        more = "" if access != LOAD or not pte & PTE_X else " (MXR=0, so that X does not help)"
        return Rule(8, f"a {_NAMES[access]} needs {letter}, which is 0{more}")
    missing = ~pte & (PTE_A | PTE_D if access == STORE else PTE_A)
    if missing and not updates_ad:
        return Rule(9, f"{'A' if missing & PTE_A else 'D'}=0, and the hart does not set it by itself (Svade)")
    return None


def _user_rule(pte: int, who: Who, is_gstage: bool) -> Rule | None:
    """Step 6: U against the mode."""
    if is_gstage:
        return None if pte & PTE_U else Rule(6, "U=0: all accesses are U-mode's to the G-stage", GSTAGE_PROCESS)
    if who.user:
        return None if pte & PTE_U else Rule(6, "U=0: not for user mode")
    if not pte & PTE_U:
        return None
    if who.access == FETCH:
        return Rule(6, "U=1: supervisors never execute user pages, whatever SUM is")
    return None if who.sum_ else Rule(6, "U=1 and SUM=0: supervisors may not touch user pages")
