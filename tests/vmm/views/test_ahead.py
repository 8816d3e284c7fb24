"""What is foretold comes true: values, addresses, branches and exits, under every technique; and where nothing can be
known, that is said."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa.registers import FLOAT_NUMBER, NUMBER
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.csr_file import SSCRATCH
from hartvisor.core.vmm.inspector import Inspector, exit_moves, moves
from hartvisor.core.vmm.inspector.sight import Sight
from hartvisor.core.vmm.views.ahead import Foretold, foretell
from hartvisor.guest import image, programs

from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, tern

GUESTS = ("kernel", "exits", "illegal", "churn", "sum-mxr", "float", "atomics", "mmio", "ticks", "user-mode",
          "bare-paging", "selfmod")


def start(guest: str, technique: str) -> Inspector:
    if guest != "kernel":
        return inspect(load_image(image(guest)), technique)
    inspector = tern(technique)
    inspector.code._paths = tuple(programs())
    return inspector


def assert_comes_true(inspector: Inspector, step: Foretold) -> bool | None:
    """Take the step; whether an exit was foretold rightly, None where there are none."""
    vcpu = inspector.vcpu
    hart, log = vcpu.hart, inspector.log
    assert hart.pc == step.pc
    before = 0 if log is None else len(log)
    run(inspector, 1)
    assert hart.pc == step.following
    for effect in step.effects:
        if effect.where.startswith("["):
            assert step.access is not None
            value = Sight(vcpu).load(step.access[0], step.access[1])
        elif effect.where in NUMBER:
            value = hart.read_gpr(NUMBER[effect.where])
        elif effect.where in FLOAT_NUMBER:
            value = hart.read_fpr(FLOAT_NUMBER[effect.where])
        else:
            value = vcpu.csrs.read(SSCRATCH)
        assert value == effect.value, f"step {inspector.step}: {step}"
    return None if log is None else (len(log) > before) == bool(step.exits)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("guest", GUESTS)
def test_what_is_foretold_comes_true(guest: str, technique: str) -> None:
    inspector = start(guest, technique)
    chance = random.Random(guest)
    steps = wrong_exits = 0
    for _ in range(60):
        if run(inspector, chance.choice((7, 50, 333, 1000))) is not None:
            break
        for step in foretell(inspector, 24):
            if step.ends:
                assert step.ends.strip()
                break
            wrong_exits += assert_comes_true(inspector, step) is False
            steps += 1
    assert steps > 100
    assert wrong_exits <= steps // 400, "exits are foretold by tables that may not be loaded yet, but rarely wrong"


@pytest.mark.parametrize("technique", HYPERVISED)
def test_in_the_past_the_exits_ahead_are_those_that_happened(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 20_000)
    log = inspector.log
    assert log is not None
    found = 0
    for number in range(0, len(log), 3):
        step = log[number].step
        do(moves.goto(inspector, max(0, step - 5)))
        ahead = foretell(inspector)
        told = {inspector.step + each.number for each in ahead if each.exits.startswith("exit ")}
        known = {log[each].step for each in range(len(log))
                 if inspector.step <= log[each].step < inspector.step + len(ahead)}
        assert told <= known
        found += len(told)
    assert found > 3


@pytest.mark.parametrize("technique", HYPERVISED)
def test_at_an_exit_the_next_step_is_it(technique: str) -> None:
    inspector = tern(technique)
    for number in range(12):
        do(exit_moves.next_exit(inspector))
        step = look(inspector, lambda inspection: foretell(inspection.inspector))[0]
        assert step.ends or step.exits.startswith(f"exit {number}: ")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_foretelling_changes_nothing(technique: str) -> None:
    inspector = tern(technique)
    for _ in range(20):
        run(inspector, 7_001)
        look(inspector, lambda inspection: foretell(inspection.inspector))


CASES = {
    "a device": ("li a1, 0x10000000\nlb a0, 5(a1)\nj .", "a register of the UART"),
    "a load that faults": ("li a1, 0x40\nld a0, 0(a1)\nj .", "Load access fault: traps to"),
    "an illegal instruction": (".word 0", "an illegal instruction"),
    "a call to the firmware": ("ecall", "a call to the firmware"),
    "a return": ("la t0, there\ncsrw sepc, t0\nsret\nthere: j .", "returns"),
    "a clock": ("rdtime a0\nj .", "time counts"),
    "a breakpoint": ("ebreak", "a breakpoint: traps to"),
    "a conditional store": ("la a1, word\nsc.d a0, a0, (a1)\nj .\n.balign 8\nword: .dword 0", "sc.d"),
    "interrupts": ("csrsi sstatus, 2\nj .", "sstatus decides"),
    "float off": ("li t0, 0x6000\ncsrc sstatus, t0\nj .", "sstatus decides"),
    "waiting": ("wfi\nj .", "waits"),
}


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("case", CASES)
def test_where_nothing_is_known_it_ends_and_says_why(case: str, technique: str) -> None:
    text, why = CASES[case]
    steps = look(inspect(text, technique), lambda inspection: foretell(inspection.inspector))
    assert why in steps[-1].ends


def test_a_store_is_seen_by_the_loads_behind_it_and_by_nobody_else() -> None:
    inspector = inspect("""
        la a1, word
        li a0, 0x123456789abcdef0
        sd a0, 0(a1)
        lw a2, 2(a1)
        sb x0, 3(a1)
        ld a3, 0(a1)
        j .
        .balign 8
        word: .dword 7
    """, "two-stage")
    steps = look(inspector, lambda inspection: foretell(inspection.inspector))
    values = {effect.where: effect.value for step in steps for effect in step.effects}
    assert values["a2"] == 0x56789ABC
    assert values["a3"] == 0x1234_5678_00BC_DEF0


def test_the_timer_ends_what_can_be_known() -> None:
    inspector = start("ticks", "deprivileged")
    ends: set[str] = set()
    for _ in range(3_000):
        if run(inspector, 97) is not None:
            break
        steps = foretell(inspector)
        ends |= {steps[-1].ends.partition(":")[0]} if steps and steps[-1].ends else set()
    assert ends & {"the timer interrupt is due", "Supervisor timer interrupt"} or "waits for an interrupt" in ends


def test_a_stopped_or_sleeping_vcpu_does_nothing() -> None:
    inspector = tern("shadow", vcpus=2)
    inspector.vcpu_index = 1
    assert foretell(inspector) == ()
