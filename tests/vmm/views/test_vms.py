"""The table of VMs, their memory, and their consoles."""

from __future__ import annotations

from functools import partial

import pytest

from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.vmm.inspector import Inspection, Inspector
from hartvisor.core.vmm.views.console import TAIL, ConsoleView, view_console
from hartvisor.core.vmm.views.standing import Standing
from hartvisor.core.vmm.views.vms import MemoryUse, MemoryView, view_memory, view_vms
from tests.hypervisor.test_moving_pages import shared_pair

from .support import HYPERVISED, TECHNIQUES, inspect, look, run, tern, unchanged

PAGES = (32 << 20) >> 12


def use(inspector: Inspector, cells: int = 0) -> MemoryUse:
    view: MemoryView = look(inspector, partial(view_memory, cells=cells))
    return view.vms[0]


def test_every_vm_has_a_row() -> None:
    inspectors = [tern(technique) for technique in TECHNIQUES]
    for inspector in inspectors:
        run(inspector, 1_000_000)
    inspection = Inspection(inspectors)
    inspection.rates.note(inspectors[1], 1000, 10, 0.1)
    with unchanged(*inspectors):
        view = view_vms(inspection)
    assert [row.status.technique for row in view.rows] == list(TECHNIQUES)
    assert [row.status.standing for row in view.rows] == [Standing.PAUSED] * 4
    bare, deprivileged, shadow, two_stage = (row.host_bytes for row in view.rows)
    assert bare == 32 << 20, "a bare guest has it all"
    assert two_stage < shadow < deprivileged < bare // 8, "others what they touched, and their tables"


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_memory_is_what_was_touched_and_tables(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_000_000)
    found = use(inspector)
    assert found.ram == PAGES
    assert (found.n_shared, found.swapped, found.balloon, found.disk) == (0, 0, None, 0)
    if technique == "bare":
        assert (found.resident, found.tables, found.free) == (PAGES, 0, None)
        return
    assert 100 < found.resident < 1000
    assert bool(found.shadow) == (technique != "two-stage")
    assert bool(found.gstage) == (technique == "two-stage")
    assert found.free == inspector.vm.frames.available
    assert found.past_bytes > 0 and found.checkpoints >= 1


@pytest.mark.parametrize("technique", ["bare", "two-stage"])
@pytest.mark.parametrize("cells", [1, 7, 64])
def test_presence_counts_each_page_once(technique: str, cells: int) -> None:
    inspector = tern(technique)
    run(inspector, 500_000)
    found = use(inspector, cells)
    assert len(found.presence) == cells
    assert sum(found.presence) == found.resident
    run(inspector, 3_000_000)
    assert sum(use(inspector, cells).presence) == use(inspector).resident


def test_a_balloon_says_what_it_holds() -> None:
    balloon = VirtioBalloon()
    inspector = inspect("j .", "two-stage", devices=[balloon])
    balloon.target = 512
    balloon.pages = {0x8010_0000, 0x8010_1000}
    balloon.statistics["free"] = 4096
    found = use(inspector).balloon
    assert found is not None
    assert (found.pages, found.target, found.actual, found.statistics) == (2, 512, 0, {"free": 4096})


@pytest.mark.parametrize("technique", HYPERVISED)
def test_what_is_shared_with_another_vm_is_said(technique: str) -> None:
    manager, vms, rams = shared_pair(technique)
    inspectors = [Inspector(name, vm, has_past=False) for name, vm in zip("ab", vms, strict=True)]
    for use in view_memory(Inspection(inspectors), 8).vms:
        assert use.n_shared == len(rams[0].shared) >= 40
        assert (use.free, use.swapped) == (manager.pool.free, 0)
        assert use.checkpoints == use.past_bytes == 0
    for inspector in inspectors:
        inspector.close()


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_console_shows_no_more_than_was_written_by_then(technique: str) -> None:
    inspector = tern(technique, append="")
    run(inspector, 2_000_000)
    view: ConsoleView = look(inspector, view_console)
    boot = view.data
    assert boot and (view.start, view.end, view.is_past) == (0, len(boot), False)
    inspector.vm.inputs.push(CONSOLE, b"echo hello\n")
    run(inspector, 1_000_000)
    later = look(inspector, view_console)
    assert later.data.startswith(boot) and b"hello" in later.data
    assert inspector.timeline is not None
    inspector.timeline.goto(2_000_000)
    view = look(inspector, view_console)
    assert (view.data, view.end, view.is_past, view.can_type) == (boot, len(boot), True, True)


def test_of_much_output_the_last_is_there() -> None:
    inspector = inspect("j .", "bare")
    written = b"".join(b"line %d\n" % number for number in range(10_000))
    inspector.output.write(written)
    run(inspector, 1)
    view = look(inspector, view_console)
    assert (view.data, view.end) == (written[-TAIL:], len(written))
