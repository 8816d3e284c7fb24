"""The log of exits: what it counts, finds and forgets, and that time travel writes nothing twice."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exit_log import ExitLog, LoggedExit
from hartvisor.core.vmm.exits import N_REASONS, ExitReason
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .support import start

IMAGE = load_image(image("kernel"))
HYPERVISED = ("deprivileged", "shadow", "two-stage")


def booted(technique: str, steps: int = 600_000, interval: float = 0.002) -> tuple[Vm, Timeline, ExitLog]:
    """tern after some work."""
    vm = Vm(VmConfig(technique=technique, memory=32 << 20, append="workload=1"), IMAGE)
    timeline, log = Timeline(vm, interval=interval), ExitLog(vm)
    timeline.on_fork.append(log.forget_from)
    timeline.run(steps)
    return vm, timeline, log


@pytest.mark.parametrize("technique", HYPERVISED)
def test_every_exit_is_noted_with_what_it_took(technique: str) -> None:
    """Under its reason, timers included; and frames are allocated by nothing but exits."""
    vm = Vm(VmConfig(technique=technique, memory=32 << 20, append="workload=1"), IMAGE)
    before = vm.frames.owners["guest"]
    log = ExitLog(vm)
    vm.run(600_000)
    exits = [log[number] for number in range(len(log))]
    assert [sum(each.reason == reason for each in exits) for reason in range(N_REASONS)] == vm.exits
    assert vm.exits[ExitReason.TIMER] > 3
    assert sum(each.frames for each in exits) == vm.frames.owners["guest"] - before > 0
    if technique == "two-stage":  # the root, of four frames, is there from the start
        assert sum(each.tables for each in exits) == vm.frames.owners["g-stage"] - 4


def test_counts_of_any_stretch() -> None:
    """They are those of counting one by one, also after the log was cut and grew again."""
    vm = start("j .", "shadow")
    log = ExitLog(vm)
    chance = random.Random(6)

    def grow(to: int) -> None:
        for number in range(len(log), to):
            log.add(LoggedExit(0, number // 3, 0, chance.randrange(14), 0, 0, number, 0, 0))

    def check() -> None:
        for _ in range(40):
            first, end = sorted((chance.randrange(len(log)), chance.randrange(len(log))))
            counts = [0] * N_REASONS
            for number in range(first, end):
                counts[log.reason_of(number)] += 1
            assert log.count(first, end) == counts

    grow(3000)
    check()
    log.forget_from(400)
    assert len(log) == 1200
    check()
    grow(2500)
    check()
    wanted = {ExitReason.SBI, ExitReason.TIMER}
    assert log.find(700, wanted) == next(n for n in range(700, 2500) if log.reason_of(n) in wanted)
    assert log.find(700, wanted, backwards=True) == next(n for n in range(700, 0, -1) if log.reason_of(n) in wanted)
    assert log.find(0, ()) is None


@pytest.mark.parametrize("technique", HYPERVISED)
def test_what_happens_again_is_not_noted_again(technique: str) -> None:
    """Not even the fills at the very step up to which all is past."""
    _, timeline, log = booted(technique, 100_000)
    hidden = {ExitReason.SHADOW_FILL, ExitReason.GSTAGE_FILL}
    for _ in range(12):
        log.stop_at = hidden
        stop = timeline.run(1_000_000)
        log.stop_at = ()
        assert stop.reason.name == "EXIT"
        known, last = len(log), log[len(log) - 1]
        assert last.step == timeline.end
        timeline.goto(last.step - 50)
        timeline.goto(last.step)
        timeline.run(1)
        assert [log[n].text for n in range(known, len(log)) if log[n][1:9] == last[1:9]] == []


@pytest.mark.parametrize("technique", HYPERVISED)
def test_a_look_ahead_changes_nothing(technique: str) -> None:
    """Not the guest, nor the log, nor where one can go; and what it finds is what will be."""
    vm, timeline, log = booted(technique, interval=1e9)  # no checkpoints of its own
    with pytest.raises(ConfigError, match="not ahead"):
        timeline.ahead(timeline.end + 1, lambda: None)
    chance = random.Random(1)
    known, checkpoints = len(log), len(timeline.checkpoints)
    for number in chance.sample(range(len(log)), 25):
        step = log[number].step
        timeline.goto(step)
        before = digest(vm)
        found = timeline.ahead(step + 1, lambda: (digest(vm), vm.hart.pc))
        assert (vm.steps, digest(vm), timeline.end) == (step, before, 600_000)
        timeline.goto(step + 1)
        assert (digest(vm), vm.hart.pc) == found
    assert len(log) == known
    assert len(timeline.checkpoints) <= checkpoints + 1
    timeline.goto(600_000)
    assert digest(vm) == digest(booted(technique)[0])
