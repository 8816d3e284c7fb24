"""Lab 6: the reference tests."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hartvisor.labs.kit.multiplex import VmMemory


def start(subject: Any, *shares: int) -> None:
    """A scheduler with so many clients, all awake."""
    subject.new_scheduler()
    for client, weight in enumerate(shares):
        subject.add(client, weight)
        subject.wake(client)


def deal(subject: Any, runnable: list[int], turns: int, steps: dict[int, int] | None = None) -> Counter[int]:
    """So many turns of 1000 steps, or as many as a client uses; who had them."""
    had: Counter[int] = Counter()
    for _ in range(turns):
        chosen = subject.pick_next(runnable)
        subject.charge(chosen, (steps or {}).get(chosen, 1000))
        had[chosen] += 1
    return had


def test_shares(subject: Any) -> None:
    """One to three: also the one with one has its part."""
    start(subject, 100, 300)
    had = deal(subject, [0, 1], 40)
    assert 9 <= had[0] <= 11


def test_steps_count(subject: Any) -> None:
    """Who uses half of a turn has twice as many."""
    start(subject, 100, 100)
    had = deal(subject, [0, 1], 60, {0: 500})
    assert had[0] >= 38


def test_no_time_is_saved_up(subject: Any) -> None:
    """Fifty turns asleep are gone."""
    start(subject, 100, 100)
    subject.sleep(0)
    deal(subject, [1], 50)
    subject.wake(0)
    assert deal(subject, [0, 1], 20)[0] <= 12


def test_debts_stay(subject: Any) -> None:
    """Who sleeps after each turn, and wakes at once, has no more than its part, a tenth."""
    start(subject, 100, 900)
    had: Counter[int] = Counter()
    for _ in range(60):
        chosen = subject.pick_next([0, 1])
        subject.charge(chosen, 1000)
        had[chosen] += 1
        if chosen == 0:
            subject.sleep(0)
            subject.wake(0)
    assert had[0] <= 9


def test_reservation(subject: Any) -> None:
    """It is kept, even if too few are free then."""
    vms = [VmMemory(100, 50, 0, 40), VmMemory(100, 10, 0, 0)]
    assert subject.balloon_target(vms, 0, 30, 40) == [10, 10]


def test_most_for_its_shares(subject: Any) -> None:
    """Not most."""
    vms = [VmMemory(400, 200, 0, 0), VmMemory(100, 100, 0, 0)]
    assert subject.balloon_target(vms, 0, 10, 40) == [0, 10]
