"""The host's breakpoints: seen before their instruction executes, whatever is cached."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_BREAKPOINT, EXIT_BUDGET, Hart

from .bench import CODE, M_VECTOR, RAM, Bench

FAR = RAM + 0x3000
PING = "1: addi x5, x5, 1\njr x6"
PONG = "addi x7, x7, 1\nnop\njr x8"


def ping_pong() -> Bench:
    bench = Bench(PING)
    bench.put(PONG, FAR)
    bench.set(x6=FAR, x8=CODE)
    return bench


def test_nothing_has_executed_at_the_breakpoint_yet() -> None:
    bench = Bench("addi x5, x5, 1\naddi x5, x5, 1\naddi x5, x5, 1")
    bench.hart.breakpoints = {CODE + 8}
    seen = bench.hart.run(10)
    assert (seen.reason, seen.pc, seen.steps, bench.x(5)) == (EXIT_BREAKPOINT, CODE + 8, 2, 2)


def test_running_on_passes_the_breakpoint_and_meets_it_again() -> None:
    bench = Bench("1: addi x5, x5, 1\nj 1b")
    bench.hart.breakpoints = [CODE]
    assert [bench.hart.run(100).steps for _ in range(3)] == [0, 2, 4]


@pytest.mark.parametrize("offset", [0, 4])
def test_a_breakpoint_in_code_that_has_run_before_is_met(offset: int) -> None:
    bench = ping_pong()
    bench.hart.run(50)
    assert bench.hart.pc == CODE
    bench.hart.breakpoints = {FAR + offset}
    seen = bench.hart.run(50)
    assert (seen.reason, seen.pc) == (EXIT_BREAKPOINT, FAR + offset)


def test_a_breakpoint_behind_the_end_of_a_page_is_met() -> None:
    bench = Bench()
    bench.put("nop\nnop\nj .-8", RAM + 0x2FFC)
    bench.hart.pc = RAM + 0x2FFC
    bench.hart.run(30)
    bench.hart.breakpoints = {RAM + 0x3000}
    assert bench.hart.run(30).pc == RAM + 0x3000


def test_a_breakpoint_at_the_end_of_a_budget_is_met_by_the_next() -> None:
    bench = Bench("nop\nnop")
    bench.hart.breakpoints = {CODE + 4}
    assert bench.hart.run(1).reason == EXIT_BUDGET
    assert bench.hart.run(1).reason == EXIT_BREAKPOINT


def test_breakpoints_change_no_state() -> None:
    plain, watched = ping_pong(), ping_pong()
    plain.hart.run(100)
    watched.hart.breakpoints = {FAR + 4, CODE + 4}
    while watched.hart.steps < 100:
        watched.hart.run(100 - watched.hart.steps)
    assert (plain.hart.pc, plain.hart.read_gprs()) == (watched.hart.pc, watched.hart.read_gprs())


def test_the_breakpoint_left_behind_does_not_hide_another() -> None:
    bench = Bench("nop\nnop\nnop")
    bench.hart.breakpoints = {CODE}
    bench.hart.run(5)
    bench.hart.breakpoints = ()
    bench.hart.run(1)
    bench.hart.breakpoints = {CODE + 4}
    assert bench.hart.run(5).reason == EXIT_BREAKPOINT


def test_an_interrupt_at_a_breakpoint_leads_to_the_handlers_breakpoint() -> None:
    bench = Bench("nop\nnop")
    bench.hart.breakpoints = {CODE, M_VECTOR}
    bench.hart.run(5)
    bench["mie"] = bench["mstatus"] = 1 << 3
    bench.hart.set_irq(3, True)
    seen = bench.hart.run(5)
    assert (seen.reason, seen.pc, seen.steps) == (EXIT_BREAKPOINT, M_VECTOR, 1)


def test_breakpoints_are_a_set() -> None:
    hart: Hart = Bench("nop").hart
    hart.breakpoints = [8, 4, 8]
    assert hart.breakpoints == frozenset({4, 8})
    hart.breakpoints = ()
    assert hart.breakpoints == frozenset()


def test_a_hart_put_back_to_before_a_breakpoint_meets_it_again() -> None:
    """However it is put back: whole, or piece by piece as a world switch does."""
    bench = Bench("addi x5, x5, 1\naddi x5, x5, 1\nnop")
    start = bench.hart.save()
    bench.hart.breakpoints = {CODE + 8}
    assert bench.hart.run(10).reason == EXIT_BREAKPOINT
    bench.hart.pc, bench.hart.steps = CODE, 0
    assert bench.hart.run(10).reason == EXIT_BREAKPOINT
    bench.hart.restore(start)
    assert bench.hart.run(10).reason == EXIT_BREAKPOINT
