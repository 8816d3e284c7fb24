"""Who last wrote this, when did that change, why did it last exit: answered by going back."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import UNTIL_CSR, UNTIL_GPR
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.watching import Until
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.exit_log import ExitLog
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.questions import last_access, last_change, last_exit, last_write
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from . import support

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
IMAGE = load_image(image("kernel"))


def start(technique: str) -> tuple[Vm, Timeline]:
    """tern after some work."""
    vm = Vm(VmConfig(technique=technique, memory=32 << 20, append="workload=1"), IMAGE)
    timeline = Timeline(vm, interval=0.002)
    timeline.run(400_000)
    return vm, timeline


def deadline() -> int:
    """A variable of tern's that it stores to at each tick (its RAM is mapped at its own address)."""
    return IMAGE.symbols["deadline"]


def test_the_last_writer_is_the_same_everywhere() -> None:
    """The same step and instruction under every technique; the old value before it, the new one after."""
    answers = set()
    for technique in TECHNIQUES:
        vm, timeline = start(technique)
        now = vm.ram.load(deadline(), 8)
        stop = last_write(timeline, deadline())
        assert stop.hit.after == now
        assert vm.ram.load(deadline(), 8) == stop.hit.before != now
        answers.add((vm.steps, vm.hart.pc, stop.hit.pc, stop.hit.address))
        timeline.run(1)
        assert vm.ram.load(deadline(), 8) == now
    assert len(answers) == 1


def test_loads_are_found_too() -> None:
    """The last access is the load, the last write the store before it."""
    vm = support.start("la a1, cell\n sd a0, 0(a1)\n ld a2, 0(a1)\n j .\n .align 3\ncell: .dword 5\n", "two-stage")
    timeline = Timeline(vm)
    timeline.run(1000)
    cell = vm.hart.read_gpr(11)
    for question, is_store in ((last_access, False), (last_write, True)):
        timeline.goto(1000)
        stop = question(timeline, cell)
        assert (stop.hit.is_store, stop.hit.address) == (is_store, cell)
        assert vm.hart.pc == stop.hit.pc


@pytest.mark.parametrize(("until", "read"), [
    (Until(0, UNTIL_CSR, BY_NAME["satp"].number), lambda vm: vm.vcpus[0].csrs.read(BY_NAME["satp"].number)),
    (Until(0, UNTIL_GPR, 2), lambda vm: vm.hart.read_gpr(2)),
])
def test_the_last_change_of_a_register(until: Until, read) -> None:  # type: ignore[no-untyped-def]
    """One step later it has today's value, before it another; the same step under every technique."""
    places = set()
    for technique in TECHNIQUES:
        vm, timeline = start(technique)
        now = read(vm)
        assert last_change(timeline, until) is not None
        places.add(vm.steps)
        assert read(vm) != now
        timeline.run(1)
        assert read(vm) == now
    assert len(places) == 1


def test_nobody_wrote_it() -> None:
    """Then the answer is None, and the guest stands at the start."""
    vm, timeline = start("shadow")
    assert last_write(timeline, vm.ram.base + vm.ram.size - (4 << 20)) is None
    assert vm.steps == 0


def test_what_others_had_set_is_as_it_was() -> None:
    """A question takes breakpoints away while it looks, and puts them back; a goto does not stop at them."""
    vm, timeline = start("two-stage")
    vm.breakpoints = [IMAGE.symbols["trap_entry"]] if "trap_entry" in IMAGE.symbols else [vm.hart.pc]
    before = vm.breakpoints
    assert last_write(timeline, deadline()) is not None
    assert vm.breakpoints == before
    assert timeline.goto(399_999) is None
    assert (vm.steps, vm.breakpoints) == (399_999, before)


@pytest.mark.parametrize("technique", TECHNIQUES[1:])
def test_back_to_the_last_exit_of_a_kind(technique: str) -> None:
    """By the log, in which each exit is once, however often the guest is taken over it."""
    vm = Vm(VmConfig(technique=technique, memory=32 << 20, append="workload=1"), IMAGE)
    timeline, log = Timeline(vm, interval=0.002), ExitLog(vm)
    timeline.on_fork.append(log.forget_from)
    timeline.run(400_000)
    counted = sum(vm.vcpus[0].exits)
    assert log.count(0, len(log)) == vm.vcpus[0].exits
    assert len(log) == counted
    found = last_exit(timeline, log, {ExitReason.SBI})
    assert found is not None
    assert found.reason == ExitReason.SBI
    assert (vm.steps, vm.hart.pc) == (found.step, found.pc)
    before = last_exit(timeline, log)
    assert before is not None
    assert before.step < found.step
    after = log.next_after(before.step, {ExitReason.SBI})
    assert after == found
    timeline.goto(400_000)
    assert len(log) == counted
    timeline.goto(200_000)
    vm.inputs.push("console", b"x")
    assert len(log) == log.first_at(200_000)
