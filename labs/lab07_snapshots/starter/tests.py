"""Your tests. Each test_* function is given snapshots that may be right or broken, and asserts what must be so:

subject.new_guest(): begins with another guest, which has 64 pages (gfn 0 to 63) of zeros, and one register.
subject.store(gfn, value), device_store(gfn, value), load(gfn): a doubleword at the beginning of a page.
subject.set_register(value), register(): the register.
subject.snapshot(), restore(number), forget(number), dirty_log(): as in answer.py.
"""

from __future__ import annotations

# def test_memory_comes_back(subject):
#     subject.new_guest()
#     subject.store(3, 30)
#     here = subject.snapshot()
#     subject.store(3, 31)
#     subject.restore(here)
#     assert subject.load(3) == 30
