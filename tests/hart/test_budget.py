"""Budgets are exact: a run of n steps takes n, wherever they end, and a chopped run is a whole one."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hartvisor.core.hart import EXIT_BUDGET

from .bench import M_VECTOR, Bench, difference, state

CHOPS: dict[str, Callable[[random.Random], int]] = {
    "1": lambda rng: 1,
    "2": lambda rng: 2,
    "3": lambda rng: 3,
    "7": lambda rng: 7,
    "random": lambda rng: rng.randrange(50),
}

PROGRAMS = {
    "a loop of blocks": "1: addi x5, x5, 1\nandi x6, x5, 7\nbeqz x6, 1b\nmul x7, x5, x5\nj 1b",
    "calls": "1: jal x1, 2f\naddi x5, x5, 1\nj 1b\n2: addi x6, x6, 1\nnop\nret",
    "long straight code": "1:" + "addi x5, x5, 1\nc.nop\n" * 150 + "j 1b",
    "traps": "1: addi x5, x5, 1\necall\n.word 0\nebreak\nj 1b",
    "stores to its own code": "la x6, 2f\n1: lw x7, (x6)\nsw x7, (x6)\n2: addi x5, x5, 1\nnop\nnop\nj 1b",
    "sleep": "1: wfi\naddi x5, x5, 1\nla x6, 1b\nj 1b",
    "counters": "1: csrr x5, cycle\ncsrr x6, instret\ncsrr x7, time\nadd x8, x8, x5\nadd x8, x8, x6\nj 1b",
    "CSR writes": "1: addi x5, x5, 1\ncsrw sscratch, x5\ncsrw mcycle, x5\ncsrrs x6, minstret, x0\nsfence.vma\nj 1b",
}
HANDLER = """
    csrw mscratch, x31
    csrr x31, mcause
    bgez x31, 1f
    addi x9, x9, 1
    csrr x31, mepc
    add x10, x10, x31
1:  csrr x31, mepc
    addi x31, x31, 4
    csrw mepc, x31
    csrr x31, mscratch
    mret
"""
TOTAL = 1500


def make(source: str, timer: int) -> Bench:
    bench = Bench(source)
    bench.put(HANDLER, M_VECTOR)
    bench["mie"], bench["mstatus"] = 1 << 7, 1 << 3
    bench.hart.mtimecmp = timer
    return bench


@pytest.mark.parametrize("timer", [5, 37, 1 << 40])
@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_any_chopping_gives_the_same_state(name: str, chop: str, timer: int) -> None:
    whole, chopped = make(PROGRAMS[name], timer), make(PROGRAMS[name], timer)
    rng = random.Random(chop)
    assert whole.hart.run(TOTAL).reason == EXIT_BUDGET
    assert whole.hart.steps == TOTAL
    while chopped.hart.steps < TOTAL:
        before = chopped.hart.steps
        budget = min(CHOPS[chop](rng), TOTAL - before)
        assert chopped.hart.run(budget).reason == EXIT_BUDGET
        assert chopped.hart.steps == before + budget
    assert difference(state(whole.hart), state(chopped.hart)) == {}


def test_a_budget_of_nothing_does_nothing() -> None:
    bench = Bench("nop")
    before = state(bench.hart)
    assert bench.hart.run(0).reason == EXIT_BUDGET
    assert difference(before, state(bench.hart)) == {}


def test_a_trap_vector_that_faults_uses_the_budget_up() -> None:
    bench = Bench("ecall")
    bench["mtvec"] = 0
    bench.hart.run(100_000)
    assert (bench.hart.steps, bench.hart.guest_traps) == (100_000, 100_000)


def test_interrupts_are_taken_between_steps_only() -> None:
    """One step each: the interrupt, and the instruction it came before."""
    bench = Bench("nop\nnop")
    bench["mie"] = bench["mstatus"] = 1 << 3
    bench.hart.run(1)
    bench.hart.set_irq(3, True)
    bench.hart.run(1)
    assert (bench["mepc"], bench.hart.pc, bench.hart.steps) == (0x8000_0004, M_VECTOR, 2)
