"""A debugger's moves, forwards and back, on tern under every technique: each is where it should be, and comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.registers import NUMBER
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.gdb.target import Halt
from hartvisor.core.vmm.inspector import Inspector, Moves, back, exit_moves, moves
from hartvisor.core.vmm.inspector.calls import instruction
from hartvisor.core.vmm.inspector.stops import Watched, Watchpoint
from hartvisor.core.vmm.vm import Vm
from hartvisor.core.vmm.walker import USER
from hartvisor.guest import image

HYPERVISED = ("deprivileged", "shadow", "two-stage")
TECHNIQUES = ("bare", *HYPERVISED)
IMAGE = load_image(image("kernel"))
SP = NUMBER["sp"]


def start(technique: str, append: str = "workload=1") -> Inspector:
    return Inspector("tern", Vm(VmConfig(technique=technique, memory=32 << 20, append=append), IMAGE))


def do(move: Moves) -> Halt | None:
    """A move from beginning to end."""
    while True:
        try:
            next(move)
        except StopIteration as end:
            halt: Halt | None = end.value
            return halt


def run_to_symbol(inspector: Inspector, name: str) -> None:
    inspector.toggle_breakpoint(IMAGE.symbols[name])
    halt = do(moves.go_on(inspector))
    assert halt is not None and halt.reason == "BREAKPOINT"
    inspector.toggle_breakpoint(IMAGE.symbols[name])
    assert inspector.vcpu.hart.pc == IMAGE.symbols[name]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_steps_go_back_to_where_they_began(technique: str) -> None:
    inspector = start(technique)
    run_to_symbol(inspector, "schedule")
    seen = []
    for _ in range(10):
        seen.append((inspector.step, inspector.vcpu.hart.pc, digest(inspector.vm)))
        do(moves.step(inspector))
    end = inspector.step, digest(inspector.vm)
    for expected in reversed(seen):
        do(back.reverse_step(inspector))
        assert (inspector.step, inspector.vcpu.hart.pc, digest(inspector.vm)) == expected
    for _ in range(10):
        do(moves.step(inspector))
    assert (inspector.step, digest(inspector.vm)) == end


@pytest.mark.parametrize("technique", ["bare", "two-stage"])
def test_over_takes_a_call_as_one(technique: str) -> None:
    """Each stop is in the same function, no deeper on the stack, and going back visits the same places."""
    inspector = start(technique)
    run_to_symbol(inspector, "main")
    visited = []
    while inspector.symbols.find(inspector.vcpu.hart.pc)[0] == "main" and len(visited) < 25:  # type: ignore[index]
        visited.append((inspector.step, inspector.vcpu.hart.pc))
        do(moves.over(inspector))
    assert len(visited) > 3
    assert any(after - before > 1 for (before, _), (after, _) in pairwise(visited))
    for place in reversed(visited):
        do(back.reverse_over(inspector))
        assert (inspector.step, inspector.vcpu.hart.pc) == place


@pytest.mark.parametrize("technique", ["bare", "shadow"])
def test_finish_and_back_to_the_call(technique: str) -> None:
    inspector = start(technique)
    run_to_symbol(inspector, "frame_alloc")
    entry, sp = inspector.step, inspector.vcpu.hart.read_gpr(SP)
    ra = inspector.vcpu.hart.read_gpr(NUMBER["ra"])
    do(moves.finish(inspector))
    assert inspector.vcpu.hart.pc == ra
    assert inspector.vcpu.hart.read_gpr(SP) == sp
    inspector_step = inspector.step
    do(moves.goto(inspector, entry))
    do(moves.step(inspector))
    do(back.reverse_finish(inspector))
    assert inspector.step == entry - 1
    assert inspector_step > entry


@pytest.mark.parametrize("technique", HYPERVISED)
def test_exits_one_by_one(technique: str) -> None:
    """Forwards to exits that have not happened yet; back over them; and forwards again over the same."""
    inspector = start(technique)
    assert inspector.log is not None
    forwards = []
    for _ in range(40):
        halt = do(exit_moves.next_exit(inspector))
        assert halt is not None and halt.reason == exit_moves.EXIT
        assert inspector.exit == len(forwards)
        logged = inspector.log[inspector.exit]
        assert (logged.step, logged.pc) == (inspector.step, inspector.vcpu.hart.pc)
        forwards.append((inspector.exit, inspector.step, digest(inspector.vm)))
    for expected in reversed(forwards[:-1]):
        do(exit_moves.previous_exit(inspector))
        assert (inspector.exit, inspector.step, digest(inspector.vm)) == expected
    for expected in forwards[1:]:
        do(exit_moves.next_exit(inspector))
        assert (inspector.exit, inspector.step, digest(inspector.vm)) == expected


@pytest.mark.parametrize(
    ("technique", "reason"),
    [("deprivileged", ExitReason.SHADOW_FILL), ("shadow", ExitReason.SHADOW_FILL),
     ("two-stage", ExitReason.GSTAGE_FILL)])
def test_the_first_translation_exit(technique: str, reason: ExitReason) -> None:
    inspector = start(technique)
    do(exit_moves.next_exit(inspector, (reason,)))
    assert inspector.log is not None and inspector.exit is not None
    assert inspector.log[inspector.exit].reason == reason
    assert all(each.reason != reason for each in (inspector.log[i] for i in range(inspector.exit)))


def test_a_breakpoint_stops_again_and_again() -> None:
    inspector = start("shadow")
    inspector.toggle_breakpoint(IMAGE.symbols["schedule"])
    steps = []
    for _ in range(4):
        do(moves.go_on(inspector))
        assert inspector.vcpu.hart.pc == IMAGE.symbols["schedule"]
        steps.append(inspector.step)
    assert steps == sorted(set(steps))
    for step in reversed(steps[:-1]):
        do(back.reverse_go_on(inspector))
        assert inspector.step == step
    do(moves.go_on(inspector))
    assert inspector.step == steps[1]


def test_who_wrote_it() -> None:
    inspector = start("deprivileged")
    do(moves.goto(inspector, 400_000))
    deadline = IMAGE.symbols["deadline"]
    now = inspector.vm.ram.load(deadline, 8)
    halt = do(back.last_writer(inspector, Watchpoint(Watched.MEMORY, deadline, name="deadline")))
    assert halt is not None and f"-> {now:#x}" in halt.detail
    assert inspector.vm.ram.load(deadline, 8) != now
    do(moves.step(inspector))
    assert inspector.vm.ram.load(deadline, 8) == now


def test_what_was_written_is_seen_as_of_the_step() -> None:
    """Also when gone back; and another future has another text."""
    inspector = start("two-stage", append="")
    do(moves.goto(inspector, 3_000_000))
    whole = inspector.output.upto(inspector.step)
    assert b"tern" in whole
    do(moves.goto(inspector, 30_000))
    early = inspector.output.upto(inspector.step)
    assert len(early) < len(whole) and whole.startswith(early)
    inspector.vm.inputs.push("console", b"echo hello\n")
    assert inspector.output.upto(3_000_000) == early
    do(moves.goto(inspector, 3_000_000))
    assert inspector.output.upto(inspector.step).startswith(early)


def test_two_registers_at_a_time_are_refused() -> None:
    inspector = start("shadow")
    inspector.toggle_watchpoint(Watchpoint(Watched.GPR, 10, name="a0"))
    with pytest.raises(ConfigError, match="one register or CSR"):
        inspector.toggle_watchpoint(Watchpoint(Watched.GPR, 11, name="a1"))
    assert [each.where for each in inspector.watchpoints] == [10]


def test_bare_has_no_exits() -> None:
    with pytest.raises(ConfigError, match="nothing is virtualized"):
        do(exit_moves.next_exit(start("bare")))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_finish_leads_out_of_a_system_call_to_the_program_that_made_it(technique: str) -> None:
    inspector = start(technique)
    run_to_symbol(inspector, "system_call")
    call = inspector.vcpu.csrs.read(BY_NAME["sepc"].number)
    do(moves.finish(inspector))
    assert inspector.vcpu.hart.pc in range(IMAGE.symbols["user_trap"], IMAGE.symbols["user_trap"] + 0x200)
    do(moves.finish(inspector))
    do(moves.finish(inspector))
    assert (inspector.vcpu.hart.pc, inspector.vcpu.mode) == (call + 4, USER)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_a_step_writes_is_seen_after_it(technique: str) -> None:
    """Not before, and not a step later: a console call's as a store's to the UART."""
    inspector = start(technique)
    do(moves.goto(inspector, 60_000))
    whole = inspector.output.upto(60_000)
    assert whole.startswith(b"tern")
    timeline = inspector.timeline
    assert timeline is not None
    low, high = 0, 60_000
    while high - low > 1:   # the step that the first line is written in
        middle = (low + high) // 2
        low, high = (middle, high) if not inspector.output.upto(middle) else (low, middle)
    timeline.goto(high - 1)
    assert inspector.output.upto(inspector.step) == b""
    insn = instruction(inspector)
    assert insn is not None and insn.name == "ecall"
