"""The page walk: one guest virtual address through every table that stands between it and the machine's memory.

    bare            guest tables                                  GVA ──> GPA, which is the HPA
    deprivileged,   guest tables, which the hypervisor walks      GVA ──> GPA
    shadow          shadow tables, which the hart walks           GVA ──────────> HPA
    two-stage       guest tables, read through the G-stage        GVA ──> GPA ──> HPA

What is said to be stale is of three kinds, and each says which:

*may* - the manual lets a hart use what was valid since the last sfence.vma that subsumes the address. An entry stored
to since then, or a root changed, is so marked, with the oldest value that may still be used and where it would lead.
This is the guest's affair, the same under every technique (core/vmm/table_notes.py); our harts use no such value.

*holds* - translations in the hart's own cache, as they are. They are never stale, unless the hart was told to keep what
it may (--tlb stale); then what no longer agrees with the tables is a fact: the next access uses it.

*disagrees* - a shadow entry that is not what the guest's tables and the frame map make of it now. The default policy
never lets that be; the policy `flush` does until the guest's next fence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ...isa.csrs import BY_NAME
from ...isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_G
from ...isa.registers import NUMBER
from ..csr_file import SATP, SCAUSE, SSTATUS, SSTATUS_MXR, SSTATUS_SUM, STVAL
from ..exits import ExitReason
from ..table_notes import Fence, History, Stale, stale_entry, stale_root
from ..techniques.shadow_paging import ShadowPaged
from ..techniques.two_stage import TwoStage
from ..walker import FETCH, LOAD, STORE, SUPERVISOR, USER
from .held import Held, held_by
from .places import Place, place_of
from .shadow_walk import ShadowView, view_shadow
from .stages import PteView, StageView, Who, entries_of, walk_stage

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector
    from ..vcpu import Vcpu

HGATP: Final = BY_NAME["hgatp"].number
SP: Final = NUMBER["sp"]

ACCESS_OF_CAUSE: Final = {1: FETCH, 12: FETCH, 20: FETCH, 5: LOAD, 13: LOAD, 21: LOAD, 7: STORE, 15: STORE, 23: STORE}
"""Exceptions whose tval is an address, and the access that raised them."""

FILLS: Final = (ExitReason.SHADOW_FILL, ExitReason.GSTAGE_FILL)


class Follow(StrEnum):
    """Which address to draw."""

    EXIT = "exit"       # the present exit's tval, or pc where that is no address
    PC = "pc"
    SP = "sp"
    TVAL = "tval"       # the exit's, else the guest's stval
    ADDRESS = "address"


@dataclass(frozen=True)
class MayView:
    """What a hart might still believe of one entry, or of the root (is_root), since no fence has told it otherwise.

    was: the entry, or satp. step: before the store that changed it. values: how many others it has had since.
    """

    is_root: bool
    was: int
    step: int
    values: int = 1


@dataclass(frozen=True)
class WalkView:
    """One address.

    gva, who: the access. why: how the address was chosen. mode: of the guest, S or U. guest: by its own tables.
    nested: two-stage alone: for each entry of the guest's, and last for the address they lead to, the walk through the
    G-stage. shadow: the hypervisor's tables, where it keeps any.
    place: what is at the GPA; None where the guest's tables lead nowhere. frame: the HPA behind it by the frame map,
    None if it has no frame. may: what is lawfully stale, by entry (None: nothing), the root's first.
    may_lead: where the tables as they may still be believed lead, if not where they do now; None if nothing is stale.
    is_known: all that was stored since the last fence is known; else only since the notes began. fence: the last.
    held: what the hart's cache holds of the address.
    filled: at an exit that filled an entry of the hypervisor's tables, which of these stages (by index in `nested`; 0
    is the shadow's), and how many of its lowest entries it made. (They are no state of the guest's, and are there still
    when it is taken back to before.)
    """

    gva: int
    who: Who
    why: str
    technique: str
    mode: str
    step: int
    guest: StageView
    nested: tuple[StageView, ...]
    shadow: ShadowView | None
    place: Place | None
    frame: int | None
    may: tuple[MayView | None, ...]
    may_lead: StageView | None
    is_known: bool
    fence: Fence | None
    held: tuple[Held, ...]
    filled: tuple[int, int] | None
    symbol: str

    @property
    def reads(self) -> int:
        """How many entries a hart without caches reads for it, by the tables that it walks: (v+1)(g+1)-1 of a nested
        walk through v and g levels."""
        if self.nested:
            return len(self.guest.entries) + sum(len(stage.entries) for stage in self.nested)
        return len(self.guest.entries if self.shadow is None else self.shadow.stage.entries)

    @property
    def hpa(self) -> int | None:
        """Where the hart's own tables lead; None if nowhere yet."""
        if self.shadow is not None:
            return self.shadow.stage.result
        if self.nested:
            return self.nested[-1].result if self.guest.result is not None else None
        return self.guest.result


def view_walk(inspection: Inspection, follow: Follow = Follow.EXIT, address: int = 0,
              access: int | None = None) -> WalkView:
    """Walk one address of the guest looked at. address: for Follow.ADDRESS. access: FETCH, LOAD or STORE instead of the
    one that goes with the address."""
    inspector = inspection.inspector
    vcpu, technique = inspector.vcpu, inspector.vcpu.technique
    gva, implied, why = _choose(inspector, follow, address)
    status = vcpu.csrs.read(SSTATUS)
    who = Who(implied if access is None else access, vcpu.mode == USER, bool(status & SSTATUS_SUM),
              bool(status & SSTATUS_MXR))
    guest = guest_stage(vcpu, gva, who, vcpu.csrs.read(SATP))
    shadow = None
    if isinstance(technique, ShadowPaged):
        shadow = view_shadow(vcpu, technique, guest, who)
    nested = _nested(vcpu, guest, who) if isinstance(technique, TwoStage) else ()
    history, may = _may(inspector, guest)
    believed = _believed(inspector, guest, who, may) if any(may) else None
    may_lead = believed if believed is not None and (believed.result, believed.rule) != (
        guest.result, guest.rule) else None
    gpa = guest.result
    return WalkView(
        gva, who, why, inspector.technique, "S" if vcpu.mode == SUPERVISOR else "U", inspector.step, guest,
        nested, shadow,
        None if gpa is None else place_of(inspector, gpa),
        frame_of(inspector, gpa) if gpa is not None else None, may, may_lead, history.is_whole, history.last_fence,
        held_by(vcpu, gva), _filled(inspector, nested), inspector.code.describe(vcpu, gva))


def frame_of(inspector: Inspector, gpa: int) -> int | None:
    """The HPA behind a GPA, None where there is no RAM, or no frame yet."""
    frame = inspector.vm.ram.frame_now(gpa >> PAGE_SHIFT)
    return None if frame is None else frame | gpa & PAGE_SIZE - 1


# --- which address


def _choose(inspector: Inspector, follow: Follow, address: int) -> tuple[int, int, str]:
    """The address, the access that goes with it, and why it is this one."""
    hart = inspector.vcpu.hart
    if follow is Follow.ADDRESS:
        return address, LOAD, ""
    if follow is Follow.SP:
        return hart.read_gpr(SP), STORE, "sp"
    if follow is Follow.PC:
        return hart.pc, FETCH, "pc"
    if inspector.exit is not None and inspector.log is not None:
        logged = inspector.log[inspector.exit]
        access = ACCESS_OF_CAUSE.get(logged.cause)
        if access is not None and logged.reason != ExitReason.TIMER:
            return logged.tval, access, f"tval of exit {inspector.exit:,}"
    if follow is Follow.TVAL:
        csrs = inspector.vcpu.csrs
        access = ACCESS_OF_CAUSE.get(csrs.read(SCAUSE))
        return csrs.read(STVAL), LOAD if access is None else access, "the guest's stval"
    return hart.pc, FETCH, "pc"


def _filled(inspector: Inspector, nested: tuple[StageView, ...]) -> tuple[int, int] | None:
    """At an exit that filled an entry of the hypervisor's tables: the leaf, and the tables that it took."""
    if inspector.exit is None or inspector.log is None:
        return None
    logged = inspector.log[inspector.exit]
    if logged.reason not in FILLS:
        return None
    at = (number for number, stage in enumerate(nested) if stage.address >> PAGE_SHIFT == logged.gpa >> PAGE_SHIFT)
    index = next(at, None) if nested else 0
    return None if index is None else (index, 1 + logged.tables)


# --- the guest's tables, and the G-stage below them


def guest_stage(vcpu: Vcpu, gva: int, who: Who, satp: int) -> StageView:
    """The walk by the guest's own tables."""
    # Under `shadow` the hart's vsatp is the hypervisor's, and the guest's satp a value that it keeps.
    register = "vsatp" if isinstance(vcpu.technique, TwoStage) else "satp"
    return walk_stage(vcpu.vm.ram.peek_pte, "guest", register, satp, gva, who, reserved=vcpu.reserved_bits,
                      updates_ad=vcpu.updates_ad)


def _nested(vcpu: Vcpu, guest: StageView, who: Who) -> tuple[StageView, ...]:
    """Each GPA on the way through the G-stage: of each entry, which is loaded, and of where they lead."""
    hgatp = vcpu.hart.read_csr(HGATP)

    def through(gpa: int, access: Who) -> StageView:
        return walk_stage(entries_of(vcpu.hart.memory), "G-stage", "hgatp", hgatp, gpa, access)

    reads = [through(entry.address, Who(LOAD, user=True)) for entry in guest.entries]
    if guest.result is not None:
        # MXR of the guest's own status is about its own stage; ours is 0.
        reads.append(through(guest.result, Who(who.access, user=True)))
    return tuple(reads)


# --- what may still be believed


def _may(inspector: Inspector, guest: StageView) -> tuple[History, tuple[MayView | None, ...]]:
    vcpu = inspector.vcpu
    frames = [frame_of(inspector, entry.address) for entry in guest.entries]
    history = inspector.table_notes.history(vcpu, [frame for frame in frames if frame is not None])
    if guest.format is None:
        return history, ()
    root = stale_root(history, guest.value)
    found: list[MayView | None] = [None if root is None else MayView(True, *root)]
    is_global = False
    for entry, frame in zip(guest.entries, frames, strict=True):
        is_global = is_global or bool(entry.value & PTE_G)
        stale = None if frame is None else _stale(history, frame, entry, guest, is_global)
        found.append(None if stale is None else MayView(False, *stale))
    return history, tuple(found)


def _stale(history: History, frame: int, entry: PteView, guest: StageView, is_global: bool) -> Stale | None:
    shift = entry.size.bit_length() - 1
    return stale_entry(history, frame, entry.value, guest.address, guest.value, shift, is_global)


def _believed(inspector: Inspector, guest: StageView, who: Who, may: tuple[MayView | None, ...]) -> StageView:
    """The walk that finds in each entry the oldest value that it may still be taken for."""
    vcpu, ram = inspector.vcpu, inspector.vm.ram
    root = may[0]
    satp = guest.value if root is None else root.was
    depth = 0

    def load(gpa: int) -> int | None:
        nonlocal depth
        now = ram.peek_pte(gpa)
        shift = PAGE_SHIFT + 9 * (guest.levels - 1 - depth)
        depth += 1
        frame = frame_of(inspector, gpa)
        if frame is None or now is None:
            return now
        history = inspector.table_notes.history(vcpu, [frame])
        stale = stale_entry(history, frame, now, guest.address, guest.value, shift, bool(now & PTE_G))
        return now if stale is None else stale.was

    return walk_stage(load, "guest", guest.register, satp, guest.address, who, reserved=vcpu.reserved_bits,
                      updates_ad=vcpu.updates_ad)
