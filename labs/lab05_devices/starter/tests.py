"""Your tests. Each test_* function is given devices that may be right or broken, and asserts what must be so:

subject.mmio_dispatch(regions, gpa, size): as in answer.py, with the memory map.
subject.load, store, receive, interrupt: a UART's, which goes on from test to test.
subject.new_ring(size, start): a queue whose rings stand at idx `start`; its RingLayout. The guest has 64 KiB of RAM
from 0x80000000; subject.poke(gpa, data) and subject.peek(gpa, length) are its driver's stores and loads.
subject.virtq_pop(), subject.virtq_push(head, written): as in answer.py.
"""

from __future__ import annotations

# def test_nothing_waits(subject):
#     subject.new_ring(size=4, start=0)
#     assert subject.virtq_pop() is None
