"""Your tests. Each test_* function is given a codec that may be right or broken, and asserts what must be so.

It has the methods that you write in answer.py, `sign_extend` among them: subject.decode(0x00c58533). Its table is the
handout's. A refused call (encode's ValueError) is a ValueError here too.
"""

from __future__ import annotations

# from hartvisor.labs.kit.remote import Subject
#
# def test_add(subject: Subject) -> None:
#     assert subject.decode(0x00C58533).name == "add"
