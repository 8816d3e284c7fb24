"""Your tests. Each test_* function is given a pager's heart that may be right or broken, and asserts what must be so:

subject.walk_guest(context, gva, access, memory): as in answer.py, with the guest's entries in a dict, by gpa.
subject.leaf_flags(context, flags): the R, W and X of the real leaf for a guest leaf with these flags (A and D set).
"""

from __future__ import annotations

# from hartvisor.labs.kit.paging import LOAD, SV39, Context
#
# def test_nothing_mapped(subject):
#     context = Context(satp=SV39 << 60 | 0x80300, mode=1, sum=False, mxr=False)
#     assert subject.walk_guest(context, 0x4000_0000, LOAD, {0x8030_0008: 0}).cause == 13
