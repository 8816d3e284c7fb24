"""Lab 1: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.hart import SUPERVISOR, USER
from hartvisor.labs.kit.sensitive import BEHAVIOUR, CONTROL, INNOCUOUS, TRAPS, Instruction

SSTATUS, SEPC, MSTATUS, TIME = 0x100, 0x141, 0x300, 0xC01
READ, WRITE = Instruction("csrrs"), Instruction("csrrw", True)


def test_reading(subject: Any) -> None:
    """What depends on the supervisor's state is sensitive, though it changes nothing."""
    assert subject.classify(READ, SSTATUS, SUPERVISOR) == BEHAVIOUR
    assert subject.classify(WRITE, SEPC, SUPERVISOR) == CONTROL
    assert subject.classify(WRITE, SEPC, USER) == TRAPS


def test_numbers(subject: Any) -> None:
    """M's is M's; the time cannot be written, and below a hypervisor not be read."""
    assert subject.classify(READ, MSTATUS, SUPERVISOR) == TRAPS
    assert subject.classify(READ, TIME, SUPERVISOR) == BEHAVIOUR
    assert subject.classify(READ, TIME, USER) == TRAPS
    assert subject.classify(WRITE, TIME, SUPERVISOR) == TRAPS


def test_plain(subject: Any) -> None:
    """Waiting, fencing and calling."""
    assert subject.classify(Instruction("wfi"), None, SUPERVISOR) == CONTROL
    assert subject.classify(Instruction("wfi"), None, USER) == TRAPS
    assert subject.classify(Instruction("sfence.vma"), None, SUPERVISOR) == CONTROL
    assert subject.classify(Instruction("ecall"), None, USER) == TRAPS
    assert subject.classify(Instruction("addi"), None, USER) == INNOCUOUS
