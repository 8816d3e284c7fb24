"""Running until a register changes: the run ends after the very step that makes it another."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import (
    EXIT_BUDGET,
    EXIT_CHANGED,
    EXIT_IDLE,
    EXIT_WFI,
    UNTIL_CSR,
    UNTIL_FPR,
    UNTIL_GPR,
    UNTIL_MODE,
    UNTIL_STEP,
)

from .bench import CODE, M_VECTOR, Bench, number, state

PROGRAM = """
1:  addi x5, x5, 1
    andi x6, x5, 3
    bnez x6, 1b
    csrw mscratch, x5
    fmv.d.x f3, x5
    ecall
"""


def looping() -> Bench:
    bench = Bench(PROGRAM)
    bench["mstatus"] = 1 << 13
    return bench


@pytest.mark.parametrize(("until", "steps", "pc"), [
    ((UNTIL_GPR, 5), 1, CODE + 4),
    ((UNTIL_GPR, 6), 2, CODE + 8),
    ((UNTIL_CSR, number("mscratch")), 13, CODE + 16),
    ((UNTIL_FPR, 3), 14, CODE + 20),
    ((UNTIL_CSR, number("mstatus")), 14, CODE + 20),
    ((UNTIL_CSR, number("mcause")), 15, M_VECTOR),
    ((UNTIL_STEP, 0), 1, CODE + 4),
])
@pytest.mark.parametrize("warm", [False, True])
def test_it_stops_after_the_step_that_changes_it(until: tuple[int, int], steps: int, pc: int, warm: bool) -> None:
    bench = looping()
    if warm:
        start = bench.hart.save()
        bench.hart.run(24)
        bench.hart.restore(start)
    bench.hart.until = until
    seen = bench.hart.run(100)
    assert (seen.reason, seen.steps, bench.hart.pc) == (EXIT_CHANGED, steps, pc)


def test_the_mode_changes_at_a_trap_and_at_the_return() -> None:
    bench = Bench("nop\necall", mode="U")
    bench.put("mret", M_VECTOR)
    bench.hart.until = UNTIL_MODE, 0
    assert [bench.hart.run(10).steps for _ in range(2)] == [2, 3]


def test_a_change_in_the_budgets_last_step_is_told() -> None:
    bench = Bench("nop\naddi x5, x5, 1")
    bench.hart.until = UNTIL_GPR, 5
    assert bench.hart.run(2).reason == EXIT_CHANGED


def test_a_write_of_the_same_value_is_no_change() -> None:
    bench = Bench("li x5, 7\nli x5, 7\nli x5, 8")
    bench.hart.until = UNTIL_GPR, 5
    assert [bench.hart.run(3).steps for _ in range(2)] == [1, 3]


def test_code_run_before_at_full_speed_is_watched_too() -> None:
    """Neither links between blocks nor the jump cache, nor another page, lead around it."""
    bench = Bench("1: addi x7, x7, 1\njr x8")
    far = CODE + 0x3000
    bench.put("addi x9, x9, 1\nbeqz x9, .+8\naddi x10, x10, 1\njr x11", far)
    bench.set(x8=far, x11=CODE)
    bench.hart.run(60)
    bench.hart.until = UNTIL_GPR, 10
    before = bench.x(10)
    assert bench.hart.run(100).reason == EXIT_CHANGED
    assert (bench.x(10), bench.hart.pc) == (before + 1, far + 12)


def test_a_pending_bit_changes_when_its_timer_fires() -> None:
    bench = Bench("1: j 1b")
    bench.hart.mtimecmp = 3
    bench.hart.until = UNTIL_CSR, number("mip")
    assert bench.hart.run(100).steps == 30


def test_sleep_is_no_step() -> None:
    bench = Bench("wfi\nnop")
    bench.hart.mtimecmp = 50
    bench["mie"] = 1 << 7
    bench.hart.until = UNTIL_STEP, 0
    assert [bench.hart.run(1000).steps for _ in range(2)] == [1, 501]
    asleep = Bench("wfi")
    asleep.hart.until = UNTIL_STEP, 0
    assert [asleep.hart.run(5).reason for _ in range(2)] == [EXIT_CHANGED, EXIT_WFI]


def test_it_changes_nothing_the_program_could_see() -> None:
    plain, watched = looping(), looping()
    plain.hart.run(500)
    watched.hart.until = UNTIL_GPR, 6
    reasons = set()
    while watched.hart.steps < 500:
        reasons.add(watched.hart.run(500 - watched.hart.steps).reason)
    assert state(plain.hart) == state(watched.hart)
    assert reasons <= {EXIT_BUDGET, EXIT_CHANGED, EXIT_IDLE}


@pytest.mark.parametrize(("wrong", "error"), [
    ((9, 0), ValueError), ((UNTIL_GPR, 32), ValueError), ((UNTIL_FPR, -1), ValueError), ((UNTIL_CSR, 0x7FF), KeyError),
])
def test_what_the_hart_has_not_is_refused(wrong: tuple[int, int], error: type[Exception]) -> None:
    hart = Bench("nop").hart
    with pytest.raises(error):
        hart.until = wrong
    assert hart.until is None
    hart.until = UNTIL_GPR, 5
    assert hart.until == (UNTIL_GPR, 5)
    hart.until = None
    assert hart.until is None
