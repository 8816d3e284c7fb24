"""What the techniques that play HS-mode have in common: the hart's set-up, the run loop, and the dispatch of exits by
table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...hart import EXIT_BREAKPOINT, EXIT_BUDGET, EXIT_TRAP, EXIT_WATCHPOINT, HOST_HS, HOST_M, Exit, Hart
from ...isa import causes
from ...isa.csrs import BY_NAME
from ..csr_file import field_mask
from ..emulate import emulate_access, emulate_device, find_memory_op
from ..exits import HANDLED, REFLECT, ExitHandler, ExitReason, reflected
from ..privileged import InstructionTable
from ..sbi import call
from ..stop import StopReason
from ..traps import inject

if TYPE_CHECKING:
    from ..csr_file import Csrs
    from ..observer import Observer
    from ..shadow_pages import PagerStats
    from ..vcpu import Vcpu
    from ..vm import Vm
    from .protocol import Technique

EVERY_BIT: Final = (1 << 64) - 1
BASE_COUNTERS: Final = 7  # CY, TM, IR
EVENT_COUNTERS: Final = 0xFFFF_FFF8  # HPM
PBMTE: Final = 1 << 62


def csr_number(name: str) -> int:
    """A CSR's number by name."""
    return BY_NAME[name].number


def counters_of(isa: frozenset[str]) -> int:
    """mcounteren for a guest with these extensions: the bits of the counters that it has."""
    return (BASE_COUNTERS if "Zicntr" in isa else 0) | (EVENT_COUNTERS if "Zihpm" in isa else 0)


def environment_of(isa: frozenset[str]) -> int:
    """menvcfg and henvcfg for a guest with these extensions: what is open to its S-mode.

    ADUE stays 0 until the guest asks for it (FWFT). senvcfg has the fields about instructions at the same places.
    """
    gates = field_mask("menvcfg", "CBIE") | field_mask("menvcfg", "CBCFE") if "Zicbom" in isa else 0
    gates |= field_mask("menvcfg", "CBZE") if "Zicboz" in isa else 0
    gates |= field_mask("menvcfg", "STCE") if "Sstc" in isa else 0
    return gates | (PBMTE if "Svpbmt" in isa else 0)


def delegate(hart: Hart, medeleg: int, mideleg: int, isa: frozenset[str]) -> None:
    """What M-mode firmware does first: the modes below get these exceptions and interrupts, and of what has a gate the
    guest's extensions."""
    hart.write_csr(csr_number("medeleg"), medeleg)
    hart.write_csr(csr_number("mideleg"), mideleg)
    hart.write_csr(csr_number("mcounteren"), counters_of(isa))
    hart.write_csr(csr_number("menvcfg"), environment_of(isa))
    if "Smstateen" in hart.isa:
        hart.write_csr(csr_number("mstateen0"), field_mask("mstateen0", "ENVCFG"))


class Hosted:
    """A guest below a hypervisor in Python: each trap that the hart delivers to HS-mode is an exit.

    handlers: exception number to handler; the VM's configuration may replace any of them. A cause without one is
    reflected. observer: who is told of entries and exits.
    """

    name = ""
    has_h = True
    hosts = HOST_M | HOST_HS
    owns_frames = True
    mode_is_harts = True
    pager_stats: PagerStats | None = None
    observer: Observer | None = None
    csrs: Csrs

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        self.vm = vm
        self.hart = hart
        self.instructions = InstructionTable(vm.config.instruction_handlers, vm.config.isa)
        self.handlers: dict[int, ExitHandler] = {**self.stock_handlers(), **vm.config.handlers}

    def attach(self, vcpu: Vcpu) -> None:
        """The vCPU that runs here."""
        self.vcpu = vcpu

    def stock_handlers(self) -> dict[int, ExitHandler]:
        """The technique's own, before the configuration replaced any."""
        return {
            causes.ILLEGAL_INSTRUCTION: self.handle_instruction,
            causes.VIRTUAL_INSTRUCTION: self.handle_instruction,
            causes.ECALL_FROM_U: self.handle_ecall,
            causes.ECALL_FROM_VS: self.handle_ecall,
            **self.own_handlers(),
        }

    def own_handlers(self) -> dict[int, ExitHandler]:
        """The handlers of one technique alone."""
        return {}

    @property
    def mode(self) -> int:
        """The guest's mode is the hart's."""
        return self.hart.privilege

    @mode.setter
    def mode(self, mode: int) -> None:
        self.hart.privilege = mode

    def arm(self, deadline: int) -> None:
        """Nothing to do: the hypervisor keeps the virtual timer, stimecmp included, whose accesses trap."""

    def set_ad_updating(self, on: bool) -> None:
        """Nothing to do where the guest's tables are not the hart's: the hypervisor walks them."""

    def forget_frame(self, gfn: int) -> None:
        """Nothing to do where each guest frame is its own host frame."""

    def fence(self, gva: int | None, asid: int | None) -> None:
        """Another vCPU's fence, asked of the SBI; this one's own are the hart's."""
        self.hart.fence()

    def enter_world(self) -> None:
        """Everything the guest must not decide goes to HS-mode, which is us."""
        delegate(self.hart, EVERY_BIT, EVERY_BIT, self.vm.config.isa)

    def take_turn(self) -> None:
        """Nothing of the hart's is another vCPU's."""

    def before_entry(self) -> bool:
        """Called before each entry into the guest. False: a step was taken instead, look at the limit again."""
        return True

    def run(self, limit: int) -> None:
        """Enter the guest, handle its exit, and again, until `limit` steps or the VM needs attention."""
        if self.observer is not None:
            self._run_observed(limit, self.observer)
            return
        hart, vm, vcpu, handlers = self.hart, self.vm, self.vcpu, self.handlers
        run, before_entry = hart.run, self.before_entry if vm.watcher is None else self._look_before_entry
        while not vm.needs_attention:
            left = limit - hart.steps
            if left <= 0:
                return
            if not before_entry():
                continue
            exit = run(left)
            reason = exit.reason
            if reason == EXIT_TRAP:
                handler = handlers.get(exit.cause)
                if handler is None or not handler(vcpu, exit):
                    self.reflect(exit.cause, exit.tval)
            elif reason == EXIT_BUDGET:
                return
            else:
                self.other_exit(exit)

    def _look_before_entry(self) -> bool:
        """As before_entry, while the host watches: it may be that the last step, or our own work, is what it wants."""
        watcher = self.vm.watcher
        if watcher is not None and watcher.has_found():
            self.vm.needs_attention = True
            return False
        return self.before_entry()

    def _run_observed(self, limit: int, observer: Observer) -> None:
        """As `run`, which is the same without what only observers need."""
        hart = self.hart
        before_entry = self.before_entry if self.vm.watcher is None else self._look_before_entry
        while not self.vm.needs_attention and hart.steps < limit:
            observer.entering()
            steps = hart.steps
            if not before_entry():
                if hart.steps != steps:
                    observer.injected()
                continue
            exit = hart.run(limit - hart.steps)
            if exit.reason == EXIT_BUDGET:
                break
            observer.exited(exit)
            if exit.reason != EXIT_TRAP:
                self.other_exit(exit)
            else:
                handler = self.handlers.get(exit.cause)
                if handler is None or not handler(self.vcpu, exit):
                    self.reflect(exit.cause, exit.tval)
            observer.handled(exit)
        observer.left()

    def other_exit(self, exit: Exit) -> None:
        """An exit that is no trap: a breakpoint or watchpoint of the host's. (A change is seen before the next
        entry.)"""
        if exit.reason == EXIT_BREAKPOINT:
            self.vm.stop_for(StopReason.BREAKPOINT)
        elif exit.reason == EXIT_WATCHPOINT and self.vm.watcher is not None:
            self.vm.watcher.note(exit)

    def reflect(self, cause: int, tval: int) -> None:
        """Deliver an exception that is the guest's own. What H calls virtual is illegal to a guest that knows no H."""
        if cause == causes.VIRTUAL_INSTRUCTION:
            cause = causes.ILLEGAL_INSTRUCTION
        self.vcpu.exits[reflected(cause)] += 1
        inject(self.vcpu, cause, tval)

    def emulate(self, exit: Exit, reason: int, gpa: int) -> bool:
        """Execute the trapped load, store or atomic for the guest, whose faulting address leads to `gpa`; if it faults,
        the guest gets that exception. Whether it retired."""
        vcpu = self.vcpu
        if not self.vm.ram.contains(gpa) and emulate_device(vcpu, exit.insn, exit.tval, gpa):
            vcpu.exits[reason] += 1
            return True
        found = find_memory_op(exit.insn)
        assert found is not None, f"no memory instruction: {exit.insn:#x} at {exit.pc:#x}"
        fault = emulate_access(vcpu, *found, exit.tval, gpa)
        if fault is not None:
            self.reflect(fault.cause, fault.tval)
            return False
        vcpu.exits[reason] += 1
        return True

    # --- handlers

    def handle_instruction(self, vcpu: Vcpu, exit: Exit) -> bool:
        """An instruction that the guest's hart could not execute: emulated by the instruction table, or truly
        illegal."""
        return self.instructions.dispatch(vcpu, exit.tval)

    def handle_ecall(self, vcpu: Vcpu, exit: Exit) -> bool:
        """An ecall from the guest's S-mode is a call to us; one from its U-mode is the guest's own."""
        if not vcpu.mode:
            return REFLECT
        vcpu.exits[ExitReason.SBI] += 1
        call(vcpu)
        return HANDLED
