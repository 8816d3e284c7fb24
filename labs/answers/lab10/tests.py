"""Lab 10: the reference tests."""

from __future__ import annotations

from typing import Any

from hartvisor.labs.kit.replay import CSR, LOADED, GuestEvent

TYPED = [[0, 7], [20, 1], [20, 2], [64, 3], [128, 4], [500, 5]]
ANSWERS = [9, None, 8, None, None, 7]
STEPS = 560


def test_digest_at_many_steps(subject: Any) -> None:
    """Order, gaps, and answers that were none."""
    log, digests = subject.record(TYPED, ANSWERS, STEPS)
    for step in (0, 1, 20, 21, 22, 25, 60, 65, 100, 129, 200, 300, 501, STEPS):
        assert subject.replay(log, step) == digests[step], step


def test_back_over_checkpoints(subject: Any) -> None:
    """Whatever came at the very step of one."""
    log, digests = subject.record(TYPED, ANSWERS, STEPS)
    for start in (68, 131):
        subject.replay(log, start)
        for step in range(start - 1, start - 6, -1):
            assert subject.reverse_step() == digests[step], step


def test_what_need_not_be_logged(subject: Any) -> None:
    """The clock, and devices."""
    assert subject.log_event(GuestEvent(5, CSR, bytes(8))) == b""
    assert subject.log_event(GuestEvent(5, LOADED, b"\1" * 8)) == b""
