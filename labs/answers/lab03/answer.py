"""Lab 3: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.hart import (
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
    VirtualHart,
)
from hartvisor.labs.kit.interrupts import (
    INTERRUPT,
    LCOFI,
    MACHINE,
    MEI,
    MSI,
    MTI,
    NEVER,
    SEI,
    SSI,
    STI,
    SUPERVISOR,
    USER,
    VSEI,
    VSSI,
    VSTI,
    Clock,
    Gates,
    Taken,
    Wait,
)

ORDER = (MEI, MSI, MTI, SEI, SSI, STI, VSEI, VSSI, VSTI, LCOFI)
STIP = 1 << STI


class Traps:
    """Delivers traps to a guest, and keeps its timer."""

    def __init__(self) -> None:
        self.deadline = NEVER

    def pick_pending(self, gates: Gates) -> Taken | None:
        """The most privileged level first; within it, the manual's order."""
        ready = gates.pending & gates.enabled
        at_s = ready & gates.mideleg
        at_vs = at_s & gates.hideleg
        if gates.mode < MACHINE or gates.mie:
            chosen = first(ready & ~gates.mideleg)
            if chosen is not None:
                return Taken("M", chosen)
        if gates.mode == USER or gates.virtual or (gates.mode == SUPERVISOR and gates.sie):
            chosen = first(at_s & ~at_vs)
            if chosen is not None:
                return Taken("HS", chosen)
        if gates.virtual and (gates.mode == USER or gates.vsie):
            chosen = first(at_vs)
            if chosen is not None:
                return Taken("VS", chosen - 1 if chosen in (VSSI, VSTI, VSEI) else chosen)
        return None

    def inject(self, hart: VirtualHart, cause: int, tval: int, is_interrupt: bool) -> None:
        """The stack in sstatus, the three facts, and off to stvec."""
        status = hart.csrs[SSTATUS]
        new = status & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)
        if status & SSTATUS_SIE:
            new |= SSTATUS_SPIE
        if hart.mode == SUPERVISOR:
            new |= SSTATUS_SPP
        hart.csrs[SSTATUS] = new
        hart.csrs[SEPC] = hart.pc
        hart.csrs[SCAUSE] = cause | INTERRUPT if is_interrupt else cause
        hart.csrs[STVAL] = tval
        hart.mode = SUPERVISOR
        base, is_vectored = hart.csrs[STVEC] & ~3, hart.csrs[STVEC] & 1
        hart.jump(base + 4 * cause if is_vectored and is_interrupt else base)

    def set_timer(self, hart: VirtualHart, clock: Clock, deadline: int) -> int | None:
        """A new deadline takes the old one's place, and its tick."""
        self.deadline = deadline
        return self.on_clock(hart, clock)

    def on_clock(self, hart: VirtualHart, clock: Clock) -> int | None:
        """STIP is whether the deadline has come."""
        if clock.time >= self.deadline:
            hart.csrs[SIP] |= STIP
            return None
        hart.csrs[SIP] &= ~STIP
        return None if self.deadline == NEVER else self.deadline * clock.steps_per_tick

    def wfi(self, hart: VirtualHart, clock: Clock) -> Wait | None:
        """sstatus.SIE has no say in it."""
        if hart.mode == USER:
            return None
        hart.retire()
        if hart.csrs[SIP] & hart.csrs[SIE]:
            return Wait(False)
        if not hart.csrs[SIE] & STIP or self.deadline == NEVER:
            return Wait(True)
        return Wait(True, self.deadline * clock.steps_per_tick)


def first(ready: int) -> int | None:
    """The most urgent of some interrupts."""
    return next((interrupt for interrupt in ORDER if ready >> interrupt & 1), None)
