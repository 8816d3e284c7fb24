"""Going back in time: every step of a run can be had again, exactly, and goes on as it did."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
CONFIG = VmConfig(memory=32 << 20, append="workload=1")


def start(technique: str, name: str = "kernel", **settings: object) -> tuple[Vm, list[bytes]]:
    """A VM, and what it writes."""
    written: list[bytes] = []
    config = replace(CONFIG, technique=technique, **settings)  # type: ignore[arg-type]
    return Vm(config, load_image(image(name)), written.append), written


def digests(technique: str, steps: list[int]) -> dict[int, str]:
    """The digests of a plain run, never taken back, at these steps."""
    vm, _ = start(technique)
    found = {}
    for step in sorted(set(steps)):
        vm.run(step - vm.steps)
        found[step] = digest(vm)
    return found


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_any_step_can_be_had_again(technique: str) -> None:
    """Gotos and reverse steps, in any order, land on the states that a run without them passes through."""
    random = Random(technique)
    vm, _ = start(technique)
    timeline = Timeline(vm, interval=0.001)
    timeline.run(12_000_000)
    assert len(timeline.checkpoints) > 3
    places = []
    for _ in range(25):
        if random.random() < 0.6:
            timeline.goto(random.randrange(timeline.end + 1))
        else:
            timeline.reverse_step()
        places.append((vm.steps, digest(vm)))
    assert dict(places) == digests(technique, [step for step, _ in places])


def test_a_step_back_is_one_instruction_or_trap_back() -> None:
    """Forward one step from there is where we were, unless the guest slept in between."""
    vm, _ = start("two-stage")
    timeline = Timeline(vm)
    timeline.run(500_000)
    before = vm.steps, digest(vm)
    for _ in range(10):
        assert timeline.reverse_step()
    assert vm.steps == before[0] - 10
    timeline.run(10)
    assert (vm.steps, digest(vm)) == before


def test_a_sleep_is_stepped_over_backwards() -> None:
    """From the end of a sleep, one step back leads before the wfi that began it."""
    vm, _ = start("bare", "ticks")
    timeline = Timeline(vm)
    timeline.run(5_000_000)
    asleep = vm.hart.idle_steps
    assert asleep > 900_000
    while vm.hart.idle_steps == asleep:
        active, at = vm.active_steps, vm.steps
        assert timeline.reverse_step()
        assert vm.active_steps == active - 1
    assert at - vm.steps > 50_000
    assert vm.hart.fetch_insn() == 0x1050_0073  # wfi


def test_the_start_is_the_end_of_going_back() -> None:
    """At the first step, reverse_step says so; a step before it is refused with one line."""
    vm, _ = start("two-stage")
    vm.run(1000)
    timeline = Timeline(vm)
    timeline.run(3)
    assert [timeline.reverse_step() for _ in range(4)] == [True, True, True, False]
    with pytest.raises(ConfigError, match="the past begins at step 1,000"):
        timeline.goto(999)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_reverse_continue_finds_the_last_breakpoint_before(technique: str) -> None:
    """Backwards to each time that a place was reached, last first; at the end of the past, None."""
    vm, _ = start(technique)
    timeline = Timeline(vm, interval=0.002)
    timeline.run(2_000_000)
    place = vm.hart.pc
    vm.hart.breakpoints = [place]
    seen = []
    while timeline.reverse_continue() is not None:
        assert vm.hart.pc == place
        seen.append(vm.steps)
        if len(seen) == 5:
            break
    other, _ = start(technique)
    other.hart.breakpoints = [place]
    forward = []
    while other.run(2_000_000 - other.steps).reason is StopReason.BREAKPOINT and other.steps < 2_000_000:
        forward.append(other.steps)
    assert seen == forward[::-1][:5]
    assert seen


def test_with_nothing_to_find_reverse_continue_ends_at_the_start() -> None:
    """Whether one checkpoint lies behind, or many."""
    for interval in (0.002, 10.0):
        vm, _ = start("shadow")
        timeline = Timeline(vm, interval=interval)
        timeline.run(1_000_000)
        assert timeline.reverse_continue() is None
        assert vm.steps == 0


def test_what_the_guest_wrote_is_written_once() -> None:
    """Going over it again shows nothing a second time."""
    vm, written = start("two-stage")
    timeline = Timeline(vm)
    timeline.run(2_000_000)
    text = b"".join(written)
    assert text
    timeline.goto(0)
    timeline.run(2_000_000)
    assert b"".join(written) == text
    plain, expected = start("two-stage")
    plain.run(2_500_000)
    timeline.run(500_000)
    assert b"".join(written) == b"".join(expected)


def test_typed_input_comes_again_at_its_step() -> None:
    """Keys pushed in and a pipe's bytes asked for are in the log; after going back they come again, and only there."""
    asked: list[int] = []

    def pipe() -> bytes:
        asked.append(1)
        return b"echo piped\n" if len(asked) == 1 else b""

    vm, written = start("shadow", append="")
    vm.console.refill = vm.inputs.pulling("console", pipe)
    timeline = Timeline(vm, interval=0.002)
    timeline.run(3_000_000)
    vm.inputs.push("console", b"echo typed\n")
    timeline.run(3_000_000)
    now = vm.steps, digest(vm), len(asked), b"".join(written)
    assert b"piped\r\n" in now[3] or b"piped\n" in now[3]
    assert b"typed" in now[3]
    for step in (100, now[0] // 2, 0):
        timeline.goto(step)
        timeline.goto(now[0])
        assert (vm.steps, digest(vm), len(asked), b"".join(written)) == now


def test_input_in_the_past_begins_another_future() -> None:
    """What followed is forgotten, and what follows now can be had again like any run."""
    vm, _ = start("two-stage", append="")
    timeline = Timeline(vm, interval=0.002)
    timeline.run(4_000_000)
    first = digest(vm)
    timeline.goto(3_000_000)
    vm.inputs.push("console", b"echo other\n")
    assert timeline.end == 3_000_000
    timeline.run(1_000_000)
    second = digest(vm)
    assert second != first
    timeline.goto(1_000_000)
    timeline.goto(4_000_000)
    assert digest(vm) == second


def test_a_change_by_hand_is_kept() -> None:
    """A debugger's store begins another future, whose past still has the time before it."""
    vm, _ = start("two-stage")
    timeline = Timeline(vm, interval=0.002)
    timeline.run(1_000_000)
    timeline.goto(600_000)
    vm.hart.write_gpr(9, 0x1234)
    timeline.edited()
    timeline.run(3)
    edited = digest(vm)
    timeline.goto(10)
    timeline.goto(600_003)
    assert digest(vm) == edited
    assert timeline.end == 600_003


def test_running_over_a_change_by_hand_makes_it_again() -> None:
    """In one go, or with a run that ends just there."""
    vm, _ = start("two-stage")
    timeline = Timeline(vm, interval=0.002)
    timeline.run(600_000)
    vm.hart.write_gpr(9, 0x1234)
    timeline.edited()
    timeline.run(3)
    edited = digest(vm)
    for first in (3, 599_990):
        timeline.goto(10)
        timeline.run(first)
        timeline.run(600_003 - vm.steps)
        assert digest(vm) == edited
    timeline.goto(10)
    timeline.run(599_990)
    assert vm.hart.read_gpr(9) == 0x1234


def test_checkpoints_stay_within_their_memory() -> None:
    """Beyond the limit they are thinned, and every step can still be had."""
    vm, _ = start("two-stage")
    limit = 3 << 20
    timeline = Timeline(vm, interval=0.001, memory_limit=limit)
    timeline.run(6_000_000)
    assert sum(each.snapshot.size for each in timeline.checkpoints) <= limit
    step = 1_234_567
    timeline.goto(step)
    assert digest(vm) == digests("two-stage", [step])[step]
