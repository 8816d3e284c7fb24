"""Lab 7: the reference tests."""

from __future__ import annotations

from typing import Any


def test_back(subject: Any) -> None:
    """Memory, and the register."""
    subject.new_guest()
    subject.store(3, 30)
    subject.set_register(7)
    here = subject.snapshot()
    subject.store(3, 31)
    subject.set_register(8)
    subject.restore(here)
    assert (subject.load(3), subject.register()) == (30, 7)


def test_pages_that_were_not_there(subject: Any) -> None:
    """They are zeros again."""
    subject.new_guest()
    here = subject.snapshot()
    subject.store(5, 50)
    subject.restore(here)
    assert subject.load(5) == 0


def test_far_back(subject: Any) -> None:
    """Over a snapshot in between."""
    subject.new_guest()
    subject.store(1, 10)
    first = subject.snapshot()
    subject.store(1, 11)
    subject.snapshot()
    subject.store(2, 20)
    subject.restore(first)
    assert (subject.load(1), subject.load(2)) == (10, 0)


def test_log(subject: Any) -> None:
    """What was stored to, by whomever; and only since the last."""
    subject.new_guest()
    subject.dirty_log()
    subject.store(1, 10)
    subject.device_store(2, 20)
    assert subject.dirty_log() == [1, 2]
    subject.store(4, 40)
    assert subject.dirty_log() == [4]


def test_log_after_a_restore(subject: Any) -> None:
    """What changed back has changed."""
    subject.new_guest()
    subject.store(6, 60)
    here = subject.snapshot()
    subject.store(6, 61)
    subject.dirty_log()
    subject.restore(here)
    assert 6 in subject.dirty_log()


def test_forgetting(subject: Any) -> None:
    """What a later snapshot shares stays."""
    subject.new_guest()
    subject.store(1, 10)
    first = subject.snapshot()
    subject.store(2, 20)
    second = subject.snapshot()
    subject.store(1, 11)
    subject.forget(first)
    subject.restore(second)
    assert (subject.load(1), subject.load(2)) == (10, 20)
