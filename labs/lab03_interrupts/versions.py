"""The right delivery of traps, by a hart and by the hypervisor's own rules, and broken ones: for students' tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ..kit.hart import (
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
from ..kit.interrupts import INTERRUPT, NEVER, SSI, STI, SUPERVISOR, Clock, Gates, Taken, Wait
from ..lab import RIGHT
from .oracle import Machine, bits

STIP: Final = bits(STI)


class Right:
    """What students write."""

    def __init__(self) -> None:
        self._machine = Machine()
        self.deadline = NEVER

    def pick_pending(self, gates: Gates) -> Taken | None:
        """As a hart does it."""
        return self._machine.pick(gates)

    def inject(self, hart: VirtualHart, cause: int, tval: int, is_interrupt: bool) -> None:
        """The manual's lines."""
        hart.csrs[SSTATUS] = self.stacked(hart.csrs[SSTATUS], hart.mode)
        hart.csrs[SEPC], hart.csrs[STVAL] = hart.pc, tval
        hart.csrs[SCAUSE] = cause | INTERRUPT if is_interrupt else cause
        hart.mode = SUPERVISOR
        vector = hart.csrs[STVEC]
        hart.jump((vector & ~3) + 4 * cause if self.is_vectored(vector, is_interrupt) else vector & ~3)

    def stacked(self, status: int, mode: int) -> int:
        """sstatus behind the trap."""
        kept = status & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)
        return kept | (SSTATUS_SPIE if status & SSTATUS_SIE else 0) | (SSTATUS_SPP if mode else 0)

    def is_vectored(self, vector: int, is_interrupt: bool) -> bool:
        """Whether the trap goes to an entry of its own."""
        return is_interrupt and bool(vector & 1)

    def set_timer(self, hart: VirtualHart, clock: Clock, deadline: int) -> int | None:
        """The new deadline alone counts."""
        self.deadline = deadline
        return self.on_clock(hart, clock)

    def on_clock(self, hart: VirtualHart, clock: Clock) -> int | None:
        """STIP follows the clock."""
        is_due = self.is_due(clock)
        hart.csrs[SIP] = hart.csrs[SIP] | STIP if is_due else hart.csrs[SIP] & ~STIP
        return None if is_due or self.deadline == NEVER else self.deadline * clock.steps_per_tick

    def is_due(self, clock: Clock) -> bool:
        """As a hart's own timer has it."""
        return self._machine.is_due(clock, self.deadline)

    def wfi(self, hart: VirtualHart, clock: Clock) -> Wait | None:
        """As a hart does it."""
        found = self._machine.wait(hart, clock, self.deadline)
        if found is not None:
            hart.retire()
            if hart.csrs[SIP] & hart.csrs[SIE]:
                return Wait(False)
        return found


class TimerFirst(Right):
    """The timer is picked before the software interrupt."""

    def pick_pending(self, gates: Gates) -> Taken | None:
        """Where both are ready, the software interrupt is not seen."""
        both = bits(SSI, STI)
        if gates.pending & gates.enabled & both == both:
            gates = replace(gates, pending=gates.pending & ~bits(SSI))
        return super().pick_pending(gates)


class IgnoresEnables(Right):
    """sie is not looked at."""

    def pick_pending(self, gates: Gates) -> Taken | None:
        """All are enabled."""
        return super().pick_pending(replace(gates, enabled=gates.pending))


class KeepsSie(Right):
    """A trap leaves SIE as it was: the handler is interrupted at once."""

    def stacked(self, status: int, mode: int) -> int:
        """SIE stays."""
        return super().stacked(status, mode) | status & SSTATUS_SIE


class VectorsExceptions(Right):
    """Exceptions are vectored, too."""

    def is_vectored(self, vector: int, is_interrupt: bool) -> bool:
        """Whatever the trap is."""
        return bool(vector & 1)


class KeepsStip(Right):
    """A new deadline does not take the old one's tick away."""

    def on_clock(self, hart: VirtualHart, clock: Clock) -> int | None:
        """STIP is never cleared."""
        pending = hart.csrs[SIP] & STIP
        alarm = super().on_clock(hart, clock)
        hart.csrs[SIP] |= pending
        return alarm


class TickLate(Right):
    """The deadline itself is too early for it."""

    def is_due(self, clock: Clock) -> bool:
        """Greater, not greater or equal."""
        return super().is_due(replace(clock, step=max(0, clock.step - clock.steps_per_tick)))


class SleepsThrough(Right):
    """wfi wants sstatus.SIE."""

    def wfi(self, hart: VirtualHart, clock: Clock) -> Wait | None:
        """What is pending does not end it while SIE is off."""
        found = super().wfi(hart, clock)
        if found is not None and not found.sleeps and not hart.csrs[SSTATUS] & SSTATUS_SIE:
            return Wait(True)
        return found


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "timer-first": TimerFirst, "ignores-enables": IgnoresEnables, "keeps-sie": KeepsSie,
    "vectors-exceptions": VectorsExceptions, "keeps-stip": KeepsStip, "tick-late": TickLate,
    "sleeps-through": SleepsThrough}
