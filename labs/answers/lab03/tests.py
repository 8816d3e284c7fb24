"""Lab 3: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.hart import SUPERVISOR, USER, VirtualHart
from hartvisor.labs.kit.interrupts import NEVER, SEI, SSI, STI, Clock, Gates, Taken, Wait

SSTATUS, SIE, STVEC, SIP = 0x100, 0x104, 0x105, 0x144
STIP = 1 << STI
ALL = 1 << SSI | 1 << STI | 1 << SEI
VECTORS = 0x8020_1000


def new_hart(mode: int = SUPERVISOR) -> VirtualHart:
    """A hart after reset."""
    numbers = (0x100, 0x104, 0x105, 0x106, 0x10A, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180)
    return VirtualHart(mode=mode, csrs=dict.fromkeys(numbers, 0))


def gates(pending: int, enabled: int = ALL, sie: bool = True, mode: int = SUPERVISOR) -> Gates:
    """A guest's, all of whose interrupts are S-mode's."""
    return Gates(pending, enabled, ALL, 0, mode, False, False, sie, False)


def test_order(subject: Any) -> None:
    """External, software, timer."""
    assert subject.pick_pending(gates(ALL)) == Taken("HS", SEI)
    assert subject.pick_pending(gates(1 << SSI | 1 << STI)) == Taken("HS", SSI)


def test_gates(subject: Any) -> None:
    """SIE counts in S-mode; sie always."""
    assert subject.pick_pending(gates(ALL, sie=False)) is None
    assert subject.pick_pending(gates(ALL, 1 << STI, False, USER)) == Taken("HS", STI)
    assert subject.pick_pending(gates(1 << SSI, 1 << STI)) is None


def test_inject(subject: Any) -> None:
    """Exceptions are never vectored; SIE goes to SPIE."""
    hart = new_hart()
    hart.csrs[STVEC], hart.csrs[SSTATUS] = VECTORS | 1, 2
    subject.inject(hart, 2, 0, False)
    assert (hart.pc, hart.csrs[SSTATUS]) == (VECTORS, 0x120)
    hart = new_hart(USER)
    hart.csrs[STVEC] = VECTORS | 1
    subject.inject(hart, STI, 0, True)
    assert (hart.pc, hart.csrs[SSTATUS], hart.mode) == (VECTORS + 20, 0, SUPERVISOR)


def test_timer(subject: Any) -> None:
    """A tick comes at its step, not before, and goes with the next deadline."""
    hart = new_hart()
    assert subject.set_timer(hart, Clock(100, 10), 20) == 200
    subject.on_clock(hart, Clock(199, 10))
    assert not hart.csrs[SIP]
    subject.on_clock(hart, Clock(200, 10))
    assert hart.csrs[SIP] == STIP
    assert subject.set_timer(hart, Clock(210, 10), NEVER) is None
    assert not hart.csrs[SIP]


def test_wfi(subject: Any) -> None:
    """What is enabled and pending ends it, whatever SIE says."""
    hart = new_hart()
    hart.csrs[SIP] = hart.csrs[SIE] = 1 << SSI
    assert subject.wfi(hart, Clock(0, 10)) == Wait(False)
    hart.csrs[SIE] = 0
    assert subject.wfi(hart, Clock(0, 10)) == Wait(True)
    assert subject.wfi(new_hart(USER), Clock(0, 10)) is None
