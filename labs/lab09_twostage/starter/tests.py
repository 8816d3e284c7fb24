"""Your tests. Each test_* function is given translations that may be right or broken, and asserts what must be so:

subject.two_stage_translate(view, gva, access, as_code, ram) and subject.hlv(view, gva, size, is_signed, ram), as in
answer.py.
"""

from __future__ import annotations

# from hartvisor.labs.kit.paging import LOAD
# from hartvisor.labs.kit.two_stage import Found, Ram, View
#
# def test_both_stages_off(subject):
#     ram = Ram(0x8000_0000, 1 << 20, {})
#     assert subject.two_stage_translate(View(0, 0, 1), 0x8000_1238, LOAD, False, ram) == Found(
#         None, 0x8000_1238, 0x8000_1238)
