"""Why a VM stopped running, and what to say about a guest that gets nowhere."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from ..isa.causes import INTERRUPT_BIT, describe
from ..machine.watching import Hit
from .csr_file import SCAUSE, SEPC, STVEC
from .walker import FETCH, SUPERVISOR

if TYPE_CHECKING:
    from .vcpu import Vcpu


class StopReason(Enum):
    """Why `Vm.run` returned."""

    BUDGET = "budget"  # the steps asked for were taken
    POWER_OFF = "power-off"
    ASLEEP = "asleep"  # in WFI or stopped, and nothing in the machine can wake it; console input might
    GUEST_FAULT = "guest-fault"  # in a trap loop that it can never leave
    BREAKPOINT = "breakpoint"
    WATCHPOINT = "watchpoint"  # a watched range was accessed, by the step just taken
    MEMORY = "memory"  # its stretch ends early, for frames; one on a machine of its own never does
    CHANGED = "changed"  # and what the run was to go on until the change of is another
    EXIT = "exit"  # one that the host waits for has been handled


class Stop(NamedTuple):
    """reason, a line of detail for people, and the VM's clock (total steps) at the stop.

    vcpu: the index of the one that it is about, or whose turn it is. hit: what a watchpoint saw.
    """

    reason: StopReason
    detail: str
    steps: int
    vcpu: int = 0
    hit: Hit | None = None

    @property
    def is_over(self) -> bool:
        """Whether it stopped for another reason than the budget."""
        return self.reason is not StopReason.BUDGET

    @property
    def is_asleep(self) -> bool:
        """Whether only input can wake it."""
        return self.reason is StopReason.ASLEEP


def explain_trap_loop(vcpu: Vcpu) -> str | None:
    """What happened, if the guest is in a trap loop for good; else None.

    For good: it is in S-mode at its trap handler's first instruction, got there by a trap of that very instruction, and
    the instruction still cannot be executed. Such a trap changes nothing that could end it, and disables interrupts.
    """
    csrs, pc = vcpu.csrs, vcpu.hart.pc
    handler = csrs.read(STVEC) & ~3
    scause = csrs.read(SCAUSE)
    if pc != handler or vcpu.mode != SUPERVISOR or csrs.read(SEPC) != pc or scause & INTERRUPT_BIT:
        return None
    if not _cannot_execute(vcpu, pc):
        return None
    text = f"trap loop: the trap handler (stvec) at {pc:#x} cannot be executed itself: {describe(scause).lower()}"
    if vcpu.last_fault is not None:
        first_pc, first_cause = vcpu.last_fault
        text += f"; the first fault was at pc {first_pc:#x}: {describe(first_cause).lower()} (cause {first_cause})"
    return text


def _cannot_execute(vcpu: Vcpu, pc: int) -> bool:
    """Whether the instruction at pc cannot be fetched, or is the illegal all-zero halfword."""
    found = vcpu.walk(pc, FETCH)
    ram = vcpu.vm.ram
    if found.cause is not None or not ram.contains(found.gpa, 2):
        return True
    return not any(ram.peek(found.gpa, 2))
