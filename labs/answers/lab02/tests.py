"""Lab 2: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.hart import SUPERVISOR, USER, Trapped, VirtualHart

SSTATUS, SSCRATCH, SATP, CYCLE = 0x100, 0x140, 0x180, 0xC00
SIE, SPIE, SPP = 2, 32, 256


def new_hart(mode: int = SUPERVISOR) -> VirtualHart:
    """A hart after reset."""
    numbers = (0x100, 0x104, 0x105, 0x106, 0x10A, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180)
    return VirtualHart(mode=mode, csrs=dict.fromkeys(numbers, 0), counters={0xC00: 5, 0xC01: 6, 0xC02: 7})


def test_sret(subject: Any) -> None:
    """SPP goes, SIE becomes SPIE."""
    hart = new_hart()
    hart.csrs[SSTATUS] = SPP
    assert subject.emulate_sret(hart)
    assert hart.csrs[SSTATUS] == SPIE
    assert hart.mode == SUPERVISOR
    hart.csrs[SSTATUS] = SPIE
    assert subject.emulate_sret(hart)
    assert hart.csrs[SSTATUS] == SPIE | SIE
    assert hart.mode == USER


def test_satp(subject: Any) -> None:
    """MODE 7 is ignored whole."""
    hart = new_hart()
    assert subject.csr_write(hart, SATP, 7 << 60 | 5)
    assert subject.csr_read(hart, SATP) == 0
    assert subject.csr_write(hart, SATP, 8 << 60 | 5)
    assert subject.csr_read(hart, SATP) == 8 << 60 | 5


def test_counter(subject: Any) -> None:
    """csrr reads cycle, csrw does not write it."""
    hart = new_hart()
    assert subject.handle_illegal(hart, Trapped("csrrs", 10, 0, CYCLE))
    assert hart.gprs[10] == 5
    assert not subject.handle_illegal(hart, Trapped("csrrw", 10, 11, CYCLE))


def test_user(subject: Any) -> None:
    """U-mode has no sscratch."""
    assert subject.csr_read(new_hart(USER), SSCRATCH) is None


def test_clear(subject: Any) -> None:
    """csrrci clears what it names."""
    hart = new_hart()
    hart.csrs[SSCRATCH] = 0xFF
    assert subject.handle_illegal(hart, Trapped("csrrci", 0, 15, SSCRATCH))
    assert hart.csrs[SSCRATCH] == 0xF0
