"""Traps into the guest's S-mode and back, done by the hypervisor for a guest whose hart cannot.

Source: privileged manual, "Supervisor-Mode" chapter: sstatus, stvec, sepc, scause, stval, and "Trap-Return
Instructions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..isa.causes import INTERRUPT_BIT, SEI, SSI, STI
from .csr_file import (
    SCAUSE,
    SEPC,
    SIE,
    SIP,
    SSTATUS,
    SSTATUS_SIE,
    SSTATUS_SPIE,
    SSTATUS_SPP,
    STVAL,
    STVEC,
)
from .walker import SUPERVISOR

if TYPE_CHECKING:
    from .vcpu import Vcpu

_WORD: Final = (1 << 64) - 1

INTERRUPT_ORDER: Final = (SEI, SSI, STI)
"""Which interrupt is taken first (privileged manual, "Supervisor Interrupt Registers")."""


def inject(vcpu: Vcpu, cause: int, tval: int, is_interrupt: bool = False) -> None:
    """Deliver a trap to the guest as its hart would: one step, after which pc is at the guest's trap handler."""
    hart, csrs = vcpu.hart, vcpu.csrs
    status = csrs.read(SSTATUS)
    new = status & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)
    if status & SSTATUS_SIE:
        new |= SSTATUS_SPIE
    if vcpu.mode == SUPERVISOR:
        new |= SSTATUS_SPP
    pc = hart.pc
    vector = csrs.read(STVEC)
    base = vector & ~3
    if not is_interrupt and pc != base:
        vcpu.last_fault = (pc, cause)
    csrs.write(SSTATUS, new)
    csrs.write(SEPC, pc)
    csrs.write(SCAUSE, cause | INTERRUPT_BIT if is_interrupt else cause)
    csrs.write(STVAL, tval)
    vcpu.mode = SUPERVISOR
    hart.redirect(base + 4 * cause & _WORD if is_interrupt and vector & 1 else base, True)


def retire(vcpu: Vcpu, length: int = 4) -> None:
    """An instruction of `length` bytes was executed for the guest: pc moves on, one step."""
    vcpu.hart.retire(length)


def emulate_sret(vcpu: Vcpu) -> None:
    """Return from the guest's S-mode to where sstatus.SPP and sepc say: one step."""
    hart, csrs = vcpu.hart, vcpu.csrs
    status = csrs.read(SSTATUS)
    new = status & ~(SSTATUS_SIE | SSTATUS_SPP) | SSTATUS_SPIE
    if status & SSTATUS_SPIE:
        new |= SSTATUS_SIE
    csrs.write(SSTATUS, new)
    vcpu.mode = SUPERVISOR if status & SSTATUS_SPP else 0
    hart.redirect(csrs.read(SEPC), False)


def pick_pending(vcpu: Vcpu) -> int | None:
    """The interrupt to take now, if there is one: pending, enabled, and let through by the guest's mode and
    sstatus.SIE."""
    csrs = vcpu.csrs
    ready = csrs.read(SIP) & csrs.read(SIE)
    if not ready or (vcpu.mode == SUPERVISOR and not csrs.read(SSTATUS) & SSTATUS_SIE):
        return None
    return next((interrupt for interrupt in INTERRUPT_ORDER if ready >> interrupt & 1), None)


def can_wake(vcpu: Vcpu) -> bool:
    """Whether WFI would retire at once: an enabled interrupt is pending, whatever sstatus.SIE says."""
    return bool(vcpu.csrs.read(SIP) & vcpu.csrs.read(SIE))
