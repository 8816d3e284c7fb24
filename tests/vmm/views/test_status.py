"""What the header says of VMs: how each is, where it stands, and how fast it runs."""

from __future__ import annotations

import pytest

from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.inspector import Inspection, exit_moves
from hartvisor.core.vmm.views.rates import BUCKET, Rates
from hartvisor.core.vmm.views.standing import Standing
from hartvisor.core.vmm.views.status import VmStatus, view_status
from hartvisor.guest import image

from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, tern, unchanged

REALLY = {"bare": ("S", "U"), "deprivileged": ("S (really U)", "U"), "shadow": ("S (really VS)", "U (really VU)"),
          "two-stage": ("S (really VS)", "U (really VU)")}

WAITS_FOR_KEYS = """
    li t0, 0x200
    csrs sie, t0
    li t0, 0x10000000   # the UART: interrupts for received data
    li t1, 1
    sb t1, 1(t0)
    li t0, 0x0C000000   # the PLIC: priority of source 10, enabled for hart 0's S-mode
    sw t1, 40(t0)
    li t1, 0x400
    li t0, 0x0C002080
    sw t1, 0(t0)
loop:
    wfi
    j loop
"""


def status(inspector: object) -> VmStatus:
    return look(inspector, view_status).vm  # type: ignore[arg-type, no-any-return]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_mode_is_the_guests_and_what_the_hart_is_really_in(technique: str) -> None:
    inspector = inspect(load_image(image("user-mode")), technique)
    seen = [status(inspector).mode_text]
    while len(seen) < len(REALLY[technique]):
        before = inspector.vcpu.mode
        while inspector.vcpu.mode == before:
            assert not inspector.vm.is_off
            run(inspector, 1)
        seen.append(status(inspector).mode_text)
    assert tuple(seen) == REALLY[technique]


@pytest.mark.parametrize("technique", HYPERVISED)
def test_the_position_is_the_step_and_the_exit(technique: str) -> None:
    inspector = tern(technique)
    do(exit_moves.next_exit(inspector))
    do(exit_moves.next_exit(inspector))
    found = status(inspector)
    assert (found.exit, found.is_at_exit, found.n_exits) == (1, True, 2)
    assert found.position == f"{inspector.step:,}:1"
    do(exit_moves.previous_exit(inspector))
    found = status(inspector)
    assert (found.exit, found.is_past) == (0, True)
    assert found.behind == inspector.end - inspector.step > 0


def test_bare_has_no_exits_to_count() -> None:
    inspector = tern("bare")
    run(inspector, 1_000)
    assert status(inspector).position == "1,000"


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(("name", "standing", "why"), [
    ("hello", Standing.OFF, "shutdown"),
    ("badvec", Standing.CRASHED, "trap loop: the trap handler (stvec)"),
    ("sleep", Standing.ASLEEP, "it waits for input"),
])
def test_how_a_vm_is_follows_it_into_its_past(technique: str, name: str, standing: Standing, why: str) -> None:
    """A step before its end it was still paused; going there again, it is over again."""
    inspector = inspect(load_image(image(name)), technique)
    run(inspector, 1_000_000)
    found = status(inspector)
    assert found.standing is standing and why in found.why
    timeline = inspector.timeline
    assert timeline is not None
    timeline.goto(2)
    inspector.halt = None
    found = status(inspector)
    assert (found.standing, found.why) == (Standing.PAUSED, "")
    timeline.goto(timeline.end)
    assert status(inspector).standing is standing


def test_typing_wakes_one_that_is_asleep() -> None:
    """A guest without a timer waits for a key: what the header says changes as soon as one is there."""
    inspector = inspect(WAITS_FOR_KEYS, "two-stage")
    run(inspector, 1000)
    assert status(inspector).standing is Standing.ASLEEP
    inspector.vm.inputs.push(CONSOLE, b"x")
    assert status(inspector).standing is Standing.PAUSED


def test_all_vms_are_listed_and_one_is_looked_at() -> None:
    inspectors = [tern(technique) for technique in TECHNIQUES]
    inspection = Inspection(inspectors)
    inspection.select(2)
    inspectors[2].is_running = True
    with unchanged(*inspectors):
        view = view_status(inspection)
    assert [vm.technique for vm in view.vms] == list(TECHNIQUES)
    assert view.vm.technique == "shadow" and view.vm.standing is Standing.RUNNING


def test_rates_are_of_the_last_second_and_history_of_half_a_minute() -> None:
    now = 1000.0
    rates = Rates(lambda: now)
    one, other = inspect("j .", "two-stage"), inspect("j .", "shadow")
    assert (rates.of(one).mips, rates.of(one).share) == (0.0, None)
    rates.note(one, 3_000_000, 60, 0.25)
    rates.note(other, 1_000_000, 10, 0.25)
    rates.note(one, -5, 0, 0.1)     # taken back: no speed
    now += BUCKET
    found = rates.of(one)
    assert (found.mips, found.exits, found.share, found.busy) == (6.0, 120.0, 75.0, 0.5)
    rates.note(one, 1_000_000, 40, 0.5)
    now += BUCKET
    found = rates.of(one)
    assert (found.mips, found.exits) == (4.0, 100.0)
    assert found.mips_history[-2:] == (6.0, 2.0) and len(found.mips_history) == 60
    now += 2 * BUCKET
    found = rates.of(one)
    assert (found.mips, found.exits, found.share) == (0.0, 0.0, None)
    assert found.mips_history[-4:] == (6.0, 2.0, 0.0, 0.0)
    now += 60
    assert rates.of(one).mips_history == (0.0,) * 60
