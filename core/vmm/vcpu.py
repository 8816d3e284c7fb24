"""A vCPU: the guest's hart as the hypervisor handles it, the same whatever the technique."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..hart import NOTE_FENCE, WATCH_STORES, Hart
from ..isa.paging import PTE_SIZE, must_be_zero
from .csr_file import (
    CYCLE,
    FCSR,
    FLOAT_CSRS,
    GUEST_CSRS,
    N_COUNTERS,
    SATP,
    SIP,
    SSTATUS,
    SSTATUS_MXR,
    SSTATUS_SUM,
    STIMECMP,
    Csrs,
)
from .exits import N_REASONS
from .pmu import AT_RESET, Pmu
from .state import NEVER, GuestState
from .table_notes import EVERY
from .walker import LOAD, USER, Walk, mark_used, walk

if TYPE_CHECKING:
    from .techniques.protocol import Technique
    from .vm import Vm


class Vcpu:
    """One guest hart, on the hart of the machine that runs it.

    exits: how often each exit happened, indexed by ExitReason. injected: interrupts the hypervisor delivered, by
    number.
    is_timer_pending: sip.STIP. is_waiting: asleep in WFI.
    is_stopped: stopped itself by SBI (HSM); is_suspended: asleep since it suspended itself.
    pmu: its performance counters. locked_features: those of FWFT that keep their value.
    reserved_bits: those that fault in the guest's page-table entries. last_fault: (pc, cause) of the last exception
    that the hypervisor delivered, other than those of the trap handler's own first instruction; only for explanations.
    """

    __slots__ = ("_deadline", "_updates_ad", "csrs", "exits", "hart", "index", "injected", "is_stopped", "is_suspended",
                 "is_timer_pending", "is_waiting", "last_fault", "locked_features", "pmu", "reserved_bits", "technique",
                 "vm")

    def __init__(self, vm: Vm, index: int, hart: Hart, technique: Technique) -> None:
        self.vm = vm
        self.index = index
        self.hart = hart
        self.technique = technique
        self.csrs: Csrs = technique.csrs
        self.exits = [0] * N_REASONS
        self.injected: Counter[int] = Counter()
        self._deadline = NEVER
        self.is_timer_pending = False
        self.is_waiting = False
        self.is_stopped = False
        self.is_suspended = False
        self.pmu = Pmu(hart, vm.config.isa)
        self.locked_features: frozenset[int] = frozenset()
        self._updates_ad = False
        self.reserved_bits = must_be_zero(vm.config.isa)
        self.last_fault: tuple[int, int] | None = None

    # --- the guest's registers

    @property
    def mode(self) -> int:
        """The guest's privilege mode: 0 user, 1 supervisor."""
        return self.technique.mode

    @mode.setter
    def mode(self, mode: int) -> None:
        self.technique.mode = mode

    @property
    def deadline(self) -> int:
        """mtime at which the virtual timer fires; with Sstc this is stimecmp."""
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: int) -> None:
        self._deadline = deadline
        self.technique.arm(deadline)

    def set_timer(self, deadline: int) -> None:
        """The guest sets its timer: by SBI, or by writing stimecmp."""
        self.deadline = deadline
        self.vm.needs_attention = True

    def read_counter(self, number: int) -> int:
        """cycle, time, instret or another counter: the hart's own, whose clock is the guest's."""
        return self.hart.read_csr(number)

    @property
    def updates_ad(self) -> bool:
        """Whether the guest's page-table walks set A and D (Svadu), as it may ask by FWFT."""
        return self._updates_ad

    @updates_ad.setter
    def updates_ad(self, on: bool) -> None:
        self._updates_ad = on
        self.technique.set_ad_updating(on)

    def reset_firmware(self) -> None:
        """What firmware keeps for its hart, as a reset leaves it."""
        self.updates_ad = False
        self.locked_features = frozenset()
        self.pmu.load(AT_RESET)

    def read_csr(self, number: int) -> int:
        """Any CSR of the guest's, as it would read it if it might. Raises KeyError for one that it has not."""
        if CYCLE <= number < CYCLE + N_COUNTERS:
            return self.read_counter(number)
        if number == STIMECMP and "Sstc" in self.vm.config.isa:
            return self.hart.read_csr(number) if self.technique.name == "bare" else self.deadline
        if number in FLOAT_CSRS and self._has_float:
            return self.hart.read_csr(number)
        if number not in GUEST_CSRS:  # the hart may have more
            raise KeyError(number)
        return self.csrs.read(number)

    def write_csr(self, number: int, value: int) -> None:
        """Write it as the guest's S-mode would. Raises KeyError for one that it has not, or that is read-only."""
        if number == STIMECMP and "Sstc" in self.vm.config.isa:
            self.set_timer(value)
        elif number in FLOAT_CSRS and self._has_float:
            self.hart.write_csr(number, value)
        elif number in GUEST_CSRS:
            self.csrs.write(number, value)
        else:
            raise KeyError(number)

    # --- the guest's view of memory

    def walk(self, gva: int, access: int, last_table: int | None = None) -> Walk:
        """Translate as the guest's hart would now, by the guest's own tables; only look, set no A and no D.

        last_table: where the last of them lies, if the caller knows.
        """
        csrs = self.csrs
        status = csrs.read(SSTATUS)
        return walk(self.vm.ram.load_pte, csrs.read(SATP), gva, access, self.technique.mode == USER,
                    bool(status & SSTATUS_SUM), bool(status & SSTATUS_MXR), self.reserved_bits, self._updates_ad,
                    last_table)

    def look(self, gva: int) -> Walk:
        """Where a load leads by the guest's own tables, as if it were allowed everything."""
        return walk(self.vm.ram.load_pte, self.csrs.read(SATP), gva, LOAD, user=False, sum_=True, mxr=True,
                    reserved=self.reserved_bits, updates_ad=True)

    def translate(self, gva: int, access: int, last_table: int | None = None) -> Walk:
        """Translate as the guest's hart does for an access: A and D are set, where they are and the guest wants it."""
        found = self.walk(gva, access, last_table)
        if not found.missing:
            return found
        pte_gpa, pte = found.levels[-1]
        self.vm.ram.writable(pte_gpa)  # which may move the page, and the reservation with it
        reservation = self.hart.reservation
        if self.vm.watcher is not None:
            self.vm.watcher.access(self, pte_gpa, PTE_SIZE, WATCH_STORES)
        self.vm.ram.store(pte_gpa, PTE_SIZE, pte | found.missing)
        self.hart.reservation = reservation  # the store is its own
        return mark_used(found)

    def fence(self, gva: int | None, asid: int | None) -> None:
        """The guest's sfence.vma for this vCPU, its own or asked of the SBI: None stands for every address, every
        address space."""
        self.hart.memory.note(NOTE_FENCE, self.index, EVERY if gva is None else gva, EVERY if asid is None else asid)
        self.technique.fence(gva, asid)

    def break_reservation(self, gpa: int, length: int) -> None:
        """Another agent stored to [gpa, gpa + length): a reservation on any of its doublewords is lost."""
        reserved = self.reservation
        if reserved >= 0 and gpa < (reserved | 7) + 1 and reserved & ~7 < gpa + length:
            self.hart.reservation = -1

    @property
    def reservation(self) -> int:
        """The GPA that LR reserved, or -1."""
        hpa = self.hart.reservation
        if hpa < 0:
            return -1
        gpa = self.vm.ram.gpa(hpa)
        return -1 if gpa is None else gpa

    @reservation.setter
    def reservation(self, gpa: int) -> None:
        self.hart.reservation = -1 if gpa < 0 else self.vm.ram.hpa(gpa)

    # --- the whole state

    def save(self) -> GuestState:
        """The architectural state, as of the present step."""
        hart, csrs = self.hart, self.csrs
        return GuestState(
            gprs=hart.read_gprs(), pc=hart.pc, mode=self.mode,
            csrs={number: csrs.read(number) for number in GUEST_CSRS},
            reservation=self.reservation, steps=hart.steps, idle_steps=hart.idle_steps, guest_traps=hart.guest_traps,
            deadline=self.deadline, is_waiting=self.is_waiting, is_stopped=self.is_stopped,
            fprs=hart.read_fprs(), fcsr=hart.read_csr(FCSR) if self._has_float else 0, is_suspended=self.is_suspended,
            pmu=self.pmu.save(), updates_ad=self.updates_ad, locked_features=self.locked_features)

    @property
    def _has_float(self) -> bool:
        return "F" in self.vm.config.isa

    def load(self, state: GuestState) -> None:
        """Become `state`: the technique makes the hart ready for it, with its translation as the guest left it."""
        hart, csrs = self.hart, self.csrs
        self.technique.enter_world()
        hart.write_gprs(state.gprs)
        hart.write_fprs(state.fprs)
        if self._has_float:
            hart.write_csr(FCSR, state.fcsr)
        hart.pc = state.pc
        self.mode = state.mode
        for number, value in state.csrs.items():
            csrs.write(number, value)
        for interrupt in (1, 5, 9):
            csrs.set_pending(interrupt, bool(state.csrs[SIP] >> interrupt & 1))
        self.is_timer_pending = bool(state.csrs[SIP] >> 5 & 1)
        self.reservation = state.reservation
        hart.steps = state.steps
        hart.idle_steps = state.idle_steps
        hart.guest_traps = state.guest_traps
        self.deadline = state.deadline
        self.is_waiting = state.is_waiting
        self.is_stopped = state.is_stopped
        self.is_suspended = state.is_suspended
        self.pmu.load(state.pmu)
        self.updates_ad = state.updates_ad
        self.locked_features = state.locked_features
