"""Your tests. Each test_* function is given a classifier that may be right or broken, and asserts what must be so:

subject.classify(instruction, csr, mode), as in answer.py; it knows the hart's CSRs already.
"""

from __future__ import annotations

# from hartvisor.labs.kit.hart import USER
# from hartvisor.labs.kit.sensitive import INNOCUOUS, Instruction
#
# def test_addition(subject):
#     assert subject.classify(Instruction("add"), None, USER) == INNOCUOUS
