"""Your tests. Each test_* function is given an emulator that may be right or broken, and asserts what must be so.

It has the methods that you write in answer.py; `new_hart()` gives it a hart to work on. What the emulator does to that
hart you see in your own.
"""

from __future__ import annotations

from hartvisor.labs.kit.hart import SUPERVISOR, VirtualHart


def new_hart(mode: int = SUPERVISOR) -> VirtualHart:
    """A hart after reset: every CSR of the guest's is 0."""
    numbers = (0x100, 0x104, 0x105, 0x106, 0x10A, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180)
    return VirtualHart(mode=mode, csrs=dict.fromkeys(numbers, 0), counters={0xC00: 5, 0xC01: 6, 0xC02: 7})


# def test_sscratch(subject):
#     hart = new_hart()
#     assert subject.csr_write(hart, 0x140, 42)
#     assert subject.csr_read(hart, 0x140) == 42
