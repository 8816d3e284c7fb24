"""Random programs must come to the same end in one budget, in chopped budgets, and one cold step at a time."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.hart import Hart

from .bench import copy_hart, copy_memory, difference, state
from .programs import Case, make_case, run_to

STEPS = 160
SEEDS = range(24)


def cold_steps(case: Case, count: int) -> list[tuple[int, ...]]:
    """Run each step on a hart and a memory just made; what was seen after each, the first state first."""
    hart = case.start()
    seen = [glance(hart)]
    for _ in range(count):
        hart = copy_hart(hart, copy_memory(hart.memory), has_h=case.has_h)
        if not run_to(hart, hart.steps + 1):
            break
        seen.append(glance(hart))
    return seen


def glance(hart: Hart) -> tuple[int, ...]:
    """The part of the state that is quick to look at."""
    return (
        hart.pc,
        hart.privilege,
        int(hart.virtual),
        hart.idle_steps,
        hart.guest_traps,
        hart.reservation,
        *hart.read_gprs(),
    )


def whole(hart: Hart) -> tuple[dict[str, object], bytes]:
    return state(hart), hart.memory.read(hart.memory.base, hart.memory.size)


@pytest.mark.parametrize("seed", SEEDS)
def test_chopping_a_budget_changes_nothing(seed: int) -> None:
    case = make_case(seed)
    rng = random.Random(seed)
    one = case.start()
    run_to(one, 20 * STEPS)
    for chop in (lambda: 1, lambda: 2, lambda: 3, lambda: 7, lambda: rng.randrange(1, 40)):
        two = case.start()
        while two.steps < 20 * STEPS and run_to(two, min(two.steps + chop(), 20 * STEPS)):
            pass
        assert difference(whole(one)[0], whole(two)[0]) == {}, f"seed {seed}"
        assert whole(one)[1] == whole(two)[1], f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_cache_shows(seed: int) -> None:
    case = make_case(seed)
    rng = random.Random(seed)
    cold = cold_steps(case, STEPS)
    warm = case.start()
    while warm.steps < len(cold) - 1:
        before = warm.steps
        run_to(warm, min(warm.steps + rng.randrange(1, 20), len(cold) - 1))
        assert glance(warm) == cold[warm.steps], f"seed {seed}, between steps {before} and {warm.steps}"
