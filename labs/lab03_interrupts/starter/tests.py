"""Your tests. Each test_* function is given an object like your Traps, right or broken, and asserts what must be so.

`new_hart()` gives it a hart to work on; what it does to that hart you see in your own.
"""

from __future__ import annotations

from hartvisor.labs.kit.hart import SUPERVISOR, VirtualHart


def new_hart(mode: int = SUPERVISOR) -> VirtualHart:
    """A hart after reset: every CSR of the guest's is 0."""
    numbers = (0x100, 0x104, 0x105, 0x106, 0x10A, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180)
    return VirtualHart(mode=mode, csrs=dict.fromkeys(numbers, 0))


# from hartvisor.labs.kit.interrupts import Gates
#
# def test_nothing_pending(subject):
#     gates = Gates(0, 0xffff, 0x666, 0, SUPERVISOR, False, False, True, False)
#     assert subject.pick_pending(gates) is None
