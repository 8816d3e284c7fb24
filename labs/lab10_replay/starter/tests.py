"""Your tests. Each test_* function is given a recorder and player that may be right or broken, and asserts what must be
so. Its guest has a mailbox of one byte (a byte that is typed covers the one before), and asks for a byte after some
thirty steps, again and again.

subject.record(typed, answers, steps): runs it: the log, and a list of the digests after 0, 1, ... `steps` steps.
    typed: [step, byte] pairs, ascending. answers: bytes, or None where the host has nothing for it just then.
subject.log_event(event): what the log gets for an event, as in answer.py.
subject.replay(log, step): runs it anew from the log: the digest at `step`.
subject.reverse_step(): one step back from there: the digest. It keeps a checkpoint every 64 steps.
"""

from __future__ import annotations

# def test_nothing_comes(subject):
#     log, digests = subject.record([], [], 100)
#     assert subject.replay(log, 100) == digests[100]
