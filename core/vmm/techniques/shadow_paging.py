"""Page faults under shadow paging, shared by the two techniques that need it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from ...hart import Exit
from ...isa import causes
from ...isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_R, PTE_U, PTE_W
from ..emulate import AS_STORE, emulate_device, manages_block
from ..exits import HANDLED, ExitHandler, ExitReason
from ..shadow_pager import ShadowPager
from ..shadow_pages import PagerStats, Role
from ..walker import ACCESS_FAULT, FETCH, LOAD, STORE, SUPERVISOR, Walk
from .hosted import Hosted

if TYPE_CHECKING:
    from ...hart import Hart
    from ..vcpu import Vcpu
    from ..vm import Vm
    from .protocol import Technique

_IN_PAGE: Final = PAGE_SIZE - 1
_MMIO: Final = {causes.LOAD_PAGE_FAULT: ExitReason.MMIO_LOAD, causes.STORE_PAGE_FAULT: ExitReason.MMIO_STORE}

ACCESS_OF_FAULT: Final = {
    causes.INSTRUCTION_PAGE_FAULT: FETCH, causes.LOAD_PAGE_FAULT: LOAD, causes.STORE_PAGE_FAULT: STORE}


class ShadowPaged(Hosted):
    """A technique whose guest runs on shadow tables."""

    pager_stats: PagerStats

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        super().__init__(vm, hart, peer)
        self.pager: ShadowPager = (
            peer.pager if isinstance(peer, ShadowPaged) else
            ShadowPager(vm.ram, vm.frames, vm.config.make_policy(), vm.max_table_frames, vm.fence_harts))
        self.pager_stats = self.pager.stats
        # Where the guest's S-mode reaches devices: by the page's address and, in its low bits, the cause; what to add
        # to a GVA for the GPA. A shadow table cannot say it, for it has entries for RAM alone.
        self._devices: dict[int, int] = {}
        self._devices_at = self.pager.changes

    @property
    @abstractmethod
    def role(self) -> Role:
        """For whom the hart's tables are to be, as the guest is now."""

    def own_handlers(self) -> dict[int, ExitHandler]:
        """Page faults come here first: most are ours."""
        return dict.fromkeys(ACCESS_OF_FAULT, self.handle_page_fault)

    def take_turn(self) -> None:
        """The pager's active root is another vCPU's."""
        self.pager.active = None

    def forget_frame(self, gfn: int) -> None:
        """Shadow leaves lead there."""
        self.pager.unmap(gfn)

    def fence(self, gva: int | None, asid: int | None) -> None:
        """The policy decides what a fence is for."""
        self.pager.fence(gva, asid)

    def handle_page_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
        """An access to a device whose place is known is emulated at once; all else takes a walk."""
        gva = exit.tval
        to_gpa = self._devices.get(gva & ~_IN_PAGE | exit.cause)
        if (to_gpa is not None and self._devices_at == self.pager.changes and self.mode == SUPERVISOR
                and emulate_device(vcpu, exit.insn, gva, gva + to_gpa)):
            vcpu.exits[_MMIO[exit.cause]] += 1
            return HANDLED
        return self.resolve_fault(vcpu, exit)

    def remember_device(self, cause: int, found: Walk, is_whole: bool) -> None:
        """A walk led to a device. What it found holds until the pager's tables change; not what depends on SUM, MXR or
        the mode, which the guest may change without an exit."""
        wanted = PTE_W if cause == causes.STORE_PAGE_FAULT else PTE_R
        depends = found.perms & PTE_U or not found.perms & wanted
        if depends or self.mode != SUPERVISOR or self.vm.table_notes is not None:
            return
        pager = self.pager
        if is_whole and pager.policy.guards_tables and not pager.is_full:
            pager.follow(found)
        if self._devices_at != pager.changes:
            self._devices.clear()
            self._devices_at = pager.changes
        self._devices[found.gva & ~_IN_PAGE | cause] = found.gpa - found.gva

    def resolve_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
        """Whose fault is it? The guest's tables decide: its own, a device's address, a guarded table, or a missing
        shadow entry."""
        access = ACCESS_OF_FAULT[exit.cause]
        gva, pager = exit.tval, self.pager
        last_table = pager.find_last(gva)
        if access == STORE and manages_block(exit.insn):
            found = vcpu.translate(gva, LOAD, last_table)
            access = LOAD
            cause = None if found.cause is None else AS_STORE[found.cause]
        else:
            found = vcpu.translate(gva, access, last_table)
            cause = found.cause
        if self.vm.table_notes is not None:
            self.vm.table_notes.walked(found)
        if cause is not None:
            self.reflect(cause, gva)
            return HANDLED
        gfn = found.gpa >> PAGE_SHIFT
        if not self.vm.ram.contains(found.gpa):
            if access == FETCH:
                self.reflect(ACCESS_FAULT[FETCH], gva)
            else:
                if access == ACCESS_OF_FAULT[exit.cause]:
                    self.remember_device(exit.cause, found, last_table is None)
                self.emulate(exit, ExitReason.MMIO_LOAD if access == LOAD else ExitReason.MMIO_STORE, found.gpa)
        elif access == STORE and pager.is_guarded(gfn):
            if self.emulate(exit, ExitReason.PT_WRITE, found.gpa):
                pager.table_written(gfn)
        else:
            self.filled = found.gpa
            vcpu.exits[ExitReason.SHADOW_FILL] += 1
            if access == STORE:
                self.vm.ram.writable(found.gpa)
            if pager.is_full:
                pager.flush()  # the next entry makes a new root, and the access faults once more
            else:
                pager.fill(found, last_table is None)
        return HANDLED
