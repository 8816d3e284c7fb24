"""What an exit that the guest never sees writes: the entry that the hart's walk will find, and the frame behind it.

The entry is worked out from the guest's tables and the frame map, by the functions that wrote it; what the table holds
now is told beside it, for a look at the past finds the hypervisor's tables as they are now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....isa.paging import PAGE_SHIFT, PTE_W, make_pte
from ...exit_log import LoggedExit
from ...gstage import LEAF
from ...techniques.shadow_paging import ShadowPaged
from ...techniques.two_stage import TwoStage
from ..shadow_walk import satp_of
from ..stages import StageView, Who, entries_of, flags_text, walk_stage
from ..walk import HGATP, frame_of
from .changes import Change, Kind
from .event import Accessed

if TYPE_CHECKING:
    from ...inspector import Inspector
    from ...vcpu import Vcpu


@dataclass(frozen=True)
class Fill:
    """name: of the tables, "shadow" or "G-stage". role: for whom they are. gpa, hpa: the guest frame and the host frame
    behind it, None if it has none now. is_new: the exit allocated it. tables: how many the exit made. pte: the leaf.

    stage: the walk through those tables as they are now; None where they have no root now. is_guarded: W is withheld,
    because the frame holds a guest table, or is another VM's too. missing: bits of A and D that were set in the guest's
    own entry.
    """

    name: str
    role: str
    gpa: int
    hpa: int | None
    is_new: bool
    tables: int
    pte: int | None
    stage: StageView | None
    is_guarded: bool = False
    missing: int = 0

    @property
    def is_there(self) -> bool:
        """Whether the table holds that entry now."""
        leaf = None if self.stage is None else self.stage.leaf
        return leaf is not None and leaf.value == self.pte

    @property
    def slot(self) -> int | None:
        """The HPA of the entry; None where its table is not there now."""
        entries = () if self.stage is None else self.stage.entries
        return entries[-1].address if entries and not entries[-1].level else None


def fill_of(inspector: Inspector, logged: LoggedExit, event: Accessed) -> Fill | None:
    """What the exit wrote; None under a technique that is not ours."""
    vcpu = inspector.vm.vcpus[logged.vcpu]
    if isinstance(vcpu.technique, ShadowPaged):
        return _shadow_fill(inspector, vcpu, vcpu.technique, logged, event)
    if isinstance(vcpu.technique, TwoStage):
        page = event.gpa >> PAGE_SHIFT << PAGE_SHIFT
        hpa, is_shared = frame_of(inspector, page), vcpu.vm.ram.is_shared(page >> PAGE_SHIFT)
        stage = walk_stage(entries_of(vcpu.hart.memory), "G-stage", "hgatp", vcpu.hart.read_csr(HGATP), event.gpa,
                           Who(event.access, user=True))
        return Fill("G-stage", "", page, hpa, logged.frames > 0, logged.tables,
                    None if hpa is None else make_pte(hpa, LEAF & ~PTE_W if is_shared else LEAF), stage, is_shared)
    return None


def _shadow_fill(inspector: Inspector, vcpu: Vcpu, technique: ShadowPaged, logged: LoggedExit, event: Accessed) -> Fill:
    page = event.gpa >> PAGE_SHIFT << PAGE_SHIFT
    hpa, role = frame_of(inspector, page), technique.role
    found = vcpu.walk(event.gva, event.access)
    bits = role.leaf_bits(found.perms | found.missing, not found.levels)
    is_guarded = technique.pager.is_guarded(page >> PAGE_SHIFT) or vcpu.vm.ram.is_shared(page >> PAGE_SHIFT)
    root = technique.pager.roots(event.guest.value).get(role)
    stage = None
    if root is not None:
        register = "vsatp" if technique.mode_is_harts else "satp"
        stage = walk_stage(entries_of(vcpu.hart.memory), "shadow", register, satp_of(root), event.gva,
                           Who(event.access, user=True))
    return Fill("shadow", role.name, page, hpa, logged.frames > 0, logged.tables,
                None if hpa is None else make_pte(hpa, bits & ~PTE_W if is_guarded else bits), stage, is_guarded,
                found.missing)


def fill_changes(fill: Fill) -> tuple[Change, ...]:
    """What of it changed."""
    changes = []
    frame = "none" if fill.hpa is None else f"{fill.hpa:#x}"
    if fill.is_new:
        changes.append(Change(Kind.FRAME, f"frame of GPA {fill.gpa:#x}", "none", frame, "allocated"))
    if fill.missing:
        changes.append(Change(Kind.MEMORY, "the guest's own entry", "", f"+{flags_text(fill.missing).replace('-', '')}",
                              "set by the hypervisor's walk (Svadu)"))
    if fill.tables:
        changes.append(Change(Kind.TABLE, f"{fill.name} tables", "", f"{fill.tables} more"))
    if fill.pte is not None:
        where = "" if fill.slot is None else f"at HPA {fill.slot:#x}"
        since = "" if fill.is_there else "another by now: dropped since, or not made again in this look at the past"
        changes.append(Change(Kind.TABLE, f"{fill.name} leaf", "no access", f"{flags_text(fill.pte)} to {frame}",
                              "; ".join(each for each in (where, since) if each)))
    return tuple(changes)
