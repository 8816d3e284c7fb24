"""The shadow walk of an address, and whether each entry is what the guest's tables and the frame map make of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ...isa.paging import PAGE_SHIFT, PTE_SIZE, PTE_V, PTE_W, STAGE_FORMATS, ppn
from ..csr_file import SATP
from ..walker import LOAD, walk
from .stages import PteView, Rule, StageView, Who, entries_of, walk_stage

if TYPE_CHECKING:
    from ...hart import Memory
    from ..shadow_pages import ShadowPage
    from ..techniques.shadow_paging import ShadowPaged
    from ..vcpu import Vcpu

MODES: Final = {form.levels: form.mode for form in STAGE_FORMATS.values()}
NO_ROOT: Final = Rule(1, "there is no shadow root yet: before the guest goes on, one is made", "the hypervisor's")
FLAGS: Final = 0xFF


class Agreement(StrEnum):
    """How a shadow entry stands to the guest's."""

    AGREES = "agrees"
    ABSENT = "not filled"               # the first access exits, and fills it
    GUARDED = "W withheld"              # the page holds a guest table: stores to it must exit
    SHARED = "W withheld, shared"       # the frame backs another guest too: it is copied at the first store
    DISAGREES = "disagrees"             # the guest's tables say otherwise by now: stale


@dataclass(frozen=True)
class Mirror:
    """What an entry's table stands for, and how the entry stands to that. table: the GPA of the guest's table that it
    mirrors; None for one whose leaves make up a guest superpage, or all of memory (satp=Bare)."""

    table: int | None
    agreement: Agreement


@dataclass(frozen=True)
class RoleView:
    """What another set of the guest's shadow tables says of the address. root: its HPA. leaf: None where there is none.
    """

    name: str
    root: int
    leaf: PteView | None
    is_present: bool


@dataclass(frozen=True)
class ShadowView:
    """The hypervisor's tables. role: for whom they are. policy: when its entries are dropped. guards: whether guest
    tables are write-protected. mirrors: by entry of the stage. roles: every root there is for the guest's satp."""

    role: str
    policy: str
    guards: bool
    stage: StageView
    mirrors: tuple[Mirror, ...]
    roles: tuple[RoleView, ...]

    @property
    def is_stale(self) -> bool:
        """Whether some entry disagrees with the guest's tables."""
        return any(mirror.agreement is Agreement.DISAGREES for mirror in self.mirrors)


def view_shadow(vcpu: Vcpu, technique: ShadowPaged, guest: StageView, who: Who) -> ShadowView:
    """The walk of `guest`'s address by the shadow tables that are, or will be, the hart's."""
    pager, gva = technique.pager, guest.address
    roots = pager.roots(vcpu.csrs.read(SATP))
    role = technique.role
    root = roots.get(role)
    memory = vcpu.hart.memory
    register = "vsatp" if technique.mode_is_harts else "satp"
    real = who if technique.mode_is_harts else Who(who.access, user=True)
    if root is None:
        stage = StageView("shadow", register, 0, None, 0, 0, 0, gva, (), (), NO_ROOT, None, 0)
        mirrors: tuple[Mirror, ...] = ()
    else:
        stage = walk_stage(entries_of(memory), "shadow", register, satp_of(root), gva, real)
        mirrors = _compare(vcpu, technique, root, stage)
    return ShadowView(
        role.name, pager.policy.name, pager.policy.guards_tables, stage, mirrors,
        tuple(RoleView(each.name, page.hpa, _leaf(memory, page, gva), each == role) for each, page in roots.items()))


def satp_of(root: ShadowPage) -> int:
    """What satp, or vsatp, holds where this root is used."""
    return MODES[root.key.level + 1] << 60 | root.asid << 44 | root.hpa >> PAGE_SHIFT


def _compare(vcpu: Vcpu, technique: ShadowPaged, root: ShadowPage, stage: StageView) -> tuple[Mirror, ...]:
    """Each entry of the shadow walk against what the guest's walk says now."""
    ram, role, gva = vcpu.vm.ram, technique.role, stage.address
    satp = vcpu.csrs.read(SATP)
    found = walk(ram.peek_pte, satp, gva, LOAD, user=False, sum_=True, mxr=True, reserved=vcpu.reserved_bits,
                 updates_ad=True)
    by_level = _by_level(satp, found.levels)
    mirrors = []
    page: ShadowPage | None = root
    for entry in stage.entries:
        if page is None:
            break
        table = page.key.gfn << PAGE_SHIFT if page.key.is_table else None
        if not entry.is_valid:
            agreement = Agreement.ABSENT
        elif entry.level:
            child = page.children.get(entry.index)
            agreement = Agreement.AGREES if child is not None and _is_right(
                child, page, by_level.get(entry.level), gva) else Agreement.DISAGREES
            page = child
        elif found.cause is not None or not ram.contains(found.gpa):
            agreement = Agreement.DISAGREES
        else:
            gfn = found.gpa >> PAGE_SHIFT
            wanted = role.leaf_bits(found.perms, not found.levels)
            is_there = ppn(entry.value) << PAGE_SHIFT == ram.frame_now(gfn)
            flags = entry.value & FLAGS
            if is_there and flags == wanted:
                agreement = Agreement.AGREES
            elif is_there and flags == wanted & ~PTE_W and technique.pager.is_guarded(gfn):
                agreement = Agreement.GUARDED
            elif is_there and flags == wanted & ~PTE_W and ram.is_shared(gfn):
                agreement = Agreement.SHARED
            else:
                agreement = Agreement.DISAGREES
        mirrors.append(Mirror(table, agreement))
    return tuple(mirrors)


def _by_level(satp: int, levels: tuple[tuple[int, int], ...]) -> dict[int, int]:
    form = STAGE_FORMATS.get(satp >> 60)
    top = form.levels - 1 if form is not None else 0
    return {top - depth: pte for depth, (_, pte) in enumerate(levels)}


def _is_right(child: ShadowPage, page: ShadowPage, guest_pte: int | None, gva: int) -> bool:
    """Whether a pointer leads to the mirror of the table that the guest's own pointer leads to; or, for a superpage, to
    the leaves that make it up."""
    if not page.key.is_table:
        return True     # inside of a superpage's leaves, there is one way
    if guest_pte is None or not guest_pte & PTE_V:
        return False
    if child.key.is_table:
        return not guest_pte & 0xE and child.key.gfn == ppn(guest_pte)
    first = ppn(guest_pte) | gva >> PAGE_SHIFT & (1 << 9 * page.key.level) - 1
    return bool(guest_pte & 0xE) and child.key.gfn == first >> 9 * (child.key.level + 1) << 9 * (child.key.level + 1)


def _leaf(memory: Memory, root: ShadowPage, gva: int) -> PteView | None:
    """The leaf for an address below a root, permissions aside."""
    table = root.hpa
    for level in range(root.key.level, -1, -1):
        index = gva >> PAGE_SHIFT + 9 * level & 511
        place = table + index * PTE_SIZE
        pte = memory.load(place, PTE_SIZE)
        if not pte & PTE_V:
            return None
        if not level:
            return PteView(level, index, place, pte)
        table = ppn(pte) << PAGE_SHIFT
    return None
