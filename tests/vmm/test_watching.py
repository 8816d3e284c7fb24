"""What a VM's host stops it for: the same stops, at the same steps, under every technique, and nothing else changes."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import (
    UNTIL_CSR,
    UNTIL_FPR,
    UNTIL_GPR,
    UNTIL_MODE,
    UNTIL_STEP,
    WATCH_LOADS,
    WATCH_STORES,
)
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.loader import Image
from hartvisor.core.machine.watching import Range, Until
from hartvisor.core.vmm import sbi_numbers as sbi
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.stop import Stop, StopReason
from hartvisor.core.vmm.vm import Vm

from .programs import CODE, DATA, LEAVES, MIDDLE, ROOT, program
from .support import ENTRY, start
from .test_smp import CONTEND
from .test_virtio import BUFFER, READ, disk

LOADS, STORES, BOTH = WATCH_LOADS, WATCH_STORES, WATCH_LOADS | WATCH_STORES
STEPS = 1200


def csr(name: str, hart: int = 0) -> Until:
    """Until this CSR changes."""
    return Until(hart, UNTIL_CSR, BY_NAME[name].number)


def stops(vm: Vm, steps: int) -> list[Stop]:
    """Run to step `steps`; every stop on the way."""
    found = []
    while vm.steps < steps and not vm.is_off:
        found.append(vm.run(steps - vm.steps))
        if found[-1].reason in (StopReason.GUEST_FAULT, StopReason.ASLEEP):
            break
    return found


def same_stops(image: Image | str, steps: int, watchpoints: list[Range], until: Until | None = None,
               vcpus: int = 1) -> list[Stop]:
    """The stops of a watched run, which are the same under every technique, as is the end of a run nobody watched."""
    unwatched = start(image, "bare", vcpus=vcpus)
    stops(unwatched, steps)
    first: list[Stop] | None = None
    for technique in COMPARED:
        vm = start(image, technique, vcpus=vcpus)
        vm.watchpoints = watchpoints
        vm.until = until
        found = stops(vm, steps)
        first = found if first is None else first
        for mine, theirs in zip(found, first, strict=False):
            assert (mine.reason, mine[2:]) == (theirs.reason, theirs[2:]), technique
        assert len(found) == len(first), technique
        assert digest(vm) == digest(unwatched), technique
    assert first is not None
    return first


@pytest.mark.parametrize("kinds", [LOADS, STORES, BOTH])
@pytest.mark.parametrize("seed", range(4))
def test_accesses_to_data_and_page_tables(seed: int, kinds: int) -> None:
    """Random kernels that edit tables through aliases: accesses in hardware, and those that are emulated."""
    ranges = [(DATA, 0x8000, kinds), (ROOT, 0x800, kinds), (MIDDLE, 0x1000, kinds), (LEAVES + 8, 0x1000, kinds)]
    found = same_stops(program(seed), STEPS, ranges)
    assert sum(stop.hit is not None for stop in found) == len(found) - 1


CHANGES = """
    la t0, handler          # two steps
    csrw stvec, t0
    csrw sscratch, t0
    csrw sscratch, t0       # no change
    li t1, 0x6000
    csrs sstatus, t1        # 7: FS dirty, with SD
    csrwi fflags, 3
    fmv.d.x f1, t0
    csrwi sip, 2            # 10
    csrwi sie, 2
    csrsi sstatus, 2        # the software interrupt is taken: 13
handler:
    csrwi sip, 0
    ld t2, 0(zero)          # 15, and then the same fault again and again
"""


@pytest.mark.parametrize(("until", "steps"), [
    (csr("stvec"), [3]), (csr("sscratch"), [4]), (csr("fcsr"), [8]), (csr("sip"), [10, 14]), (csr("sie"), [11]),
    (csr("sstatus"), [7, 12, 13, 15]), (Until(0, UNTIL_FPR, 1), [9]), (Until(0, UNTIL_GPR, 6), [6]),
    (csr("scause"), [13, 15]), (csr("sepc"), [13, 15]), (csr("satp"), []), (Until(0, UNTIL_MODE), []),
], ids=str)
def test_registers_that_change(until: Until, steps: list[int]) -> None:
    """After the step that changes it; a write of the same value is none."""
    found = same_stops(CHANGES, 30, [], until)
    assert [stop.steps for stop in found if stop.reason is StopReason.CHANGED] == steps


@pytest.mark.parametrize("until", [
    csr("sepc"), csr("sstatus"), csr("satp"), csr("sip"), csr("sscratch"), csr("scause"), csr("fcsr"),
    Until(0, UNTIL_MODE), Until(0, UNTIL_GPR, 25), Until(0, UNTIL_GPR, 5), Until(0, UNTIL_FPR, 1),
], ids=str)
def test_registers_of_random_kernels(until: Until) -> None:
    """Wherever a technique keeps the register, and whoever changes it."""
    for seed in range(3):
        same_stops(program(seed), 1500, [], until)


SETS_AD = f"""
    li a7, {sbi.FWFT}
    li a6, 0
    li a0, {sbi.PTE_AD_HW_UPDATING}
    li a1, 1
    li a2, 0
    ecall
    li t0, 0x80300000       # RAM, one gigapage, neither accessed nor dirty: R, W, X, V
    li t1, 0x2000000f
    sd t1, 16(t0)
    li t1, 0x8000000000080300
    csrw satp, t1
fetch:
    nop
    ld t1, 0(t0)
store:
    sd t1, 8(t0)
    j .
"""


def test_setting_a_and_d_is_a_store_of_the_instruction_that_needs_it() -> None:
    """The hart does it itself, or a walk in Python in an exit of its own: the run ends after the instruction."""
    found = same_stops(SETS_AD, 60, [(0x8030_0010, 8, STORES)])
    hits = [(stop.hit.before, stop.hit.after, stop.hit.hart, stop.hit.pc) for stop in found if stop.hit is not None]
    places = assemble(SETS_AD, ENTRY).symbols
    assert hits[1:] == [(0x2000000F, 0x2000004F, 0, places["fetch"]), (0x2000004F, 0x200000CF, 0, places["store"])]
    assert found[2].steps - found[1].steps == 2


def test_one_step_at_a_time() -> None:
    """Traps are steps; there are as many stops as the vCPU took steps awake."""
    found = same_stops(program(5), 300, [], Until(0, UNTIL_STEP))
    assert [stop.steps for stop in found] == list(range(1, 301))


def test_one_vcpu_steps_while_the_others_keep_their_turns() -> None:
    same_stops(CONTEND, 400, [], Until(0, UNTIL_STEP), vcpus=2)
    vm = start(CONTEND, "two-stage", vcpus=2)
    vm.until = Until(1, UNTIL_STEP)
    before = vm.run(1_000_000)
    after = vm.run(1_000_000)
    assert (before.reason, before.vcpu, after.steps - before.steps) == (StopReason.CHANGED, 1, 1)


def test_vcpus_and_the_word_they_contend_for() -> None:
    found = same_stops(CONTEND, 90_000, [(0x8030_0000, 8, STORES)], vcpus=2)
    hits = [stop.hit for stop in found if stop.hit is not None]
    assert {hit.hart for hit in hits} == {0, 1}
    assert [(hit.before, hit.after) for hit in hits] == [(n, n + 1) for n in range(len(hits))]
    assert len({hit.pc for hit in hits}) == 1


def test_a_devices_stores_are_seen() -> None:
    """The disk answers within the step that notifies it: nothing more happens before the stop."""
    seen = []
    for technique in COMPARED:
        vm = start(READ, technique, devices=disk(b"in time!" * 64))
        vm.watchpoints = [(BUFFER + 8, 16, BOTH)]
        found = [stop for stop in stops(vm, 400) if stop.hit is not None]
        seen.append(found)
        assert vm.watchpoints == ((BUFFER + 8, 16, BOTH),)
    assert seen == [seen[0]] * 4
    hit = seen[0][0].hit
    assert hit is not None
    assert (hit.hart, hit.pc, hit.address, hit.size, hit.before) == (None, 0, BUFFER + 8, 16, 0)
    assert hit.after == int.from_bytes(b"in time!", "little")


def test_a_frame_that_the_guest_gets_later_is_watched() -> None:
    """Nothing backs the page when the watchpoint is set."""
    text = f"li t0, {0x8050_0ffc}\nli t1, -1\nsd t1, 0(t0)\nld t1, 0(t0)\nj ."
    found = same_stops(text, 50, [(0x8050_1000, 2, STORES)])
    hit = found[0].hit
    assert hit is not None
    assert (hit.address, hit.size, hit.after, found[0].detail) == (
        0x8050_1000, 2, 0xFFFF, f"store to 0x80501000 by hart 0 at pc {hit.pc:#x}: 0x0 -> 0xffff")


def test_breakpoints_are_every_vcpus() -> None:
    vm = start(CONTEND, "deprivileged", vcpus=2)
    vm.breakpoints = [ENTRY]
    assert [vm.run(100_000).vcpu for _ in range(2)] == [0, 1]
    assert vm.breakpoints == frozenset({ENTRY})


def test_with_nothing_to_look_for_there_is_no_watcher() -> None:
    vm = start(program(0), "shadow")
    vm.watchpoints = [(CODE, 8, BOTH)]
    vm.until = Until(0, UNTIL_STEP)
    assert (vm.watchpoints, vm.until) == (((CODE, 8, BOTH),), Until(0, UNTIL_STEP))
    vm.watchpoints = []
    assert vm.run(10).reason is StopReason.CHANGED
    vm.until = None
    assert vm.watcher is None
    assert vm.run(10).reason is StopReason.BUDGET


@pytest.mark.parametrize("technique", COMPARED)
def test_what_is_not_there_is_refused(technique: str) -> None:
    vm = start(program(0), technique)
    with pytest.raises(ConfigError, match="0x10000000: that is not guest RAM"):
        vm.watchpoints = [(0x1000_0000, 4, BOTH)]
    with pytest.raises(ConfigError, match="no CSR 0x300"):
        vm.until = csr("mstatus")
