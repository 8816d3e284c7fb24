"""Traces of VMs: recording changes nothing, what the guest did is the same whatever runs it, and exits are those
counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import labelled
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.trace.events import (
    EXITS,
    INSN,
    IRQ,
    KINDS,
    MEM,
    Access,
    Event,
    ExitEvent,
    TrapEvent,
    WireEvent,
)
from hartvisor.core.vmm.trace.reader import TraceFile
from hartvisor.core.vmm.trace.recorder import EVERY_STEP, Recorder
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .support import COUNTING_HANDLER, start

GUESTS = ("atomics", "bare-paging", "csr-tour", "exits", "float", "illegal", "mmio", "selfmod", "sum-mxr", "ticks",
          "user-mode")
GUEST_STEPS = 20_000
KERNEL_STEPS = 200_000
SSI, STI, SEI = 1, 5, 9


def boot(name: str, technique: str, vcpus: int = 1) -> Vm:
    append = "workload=1" if name == "kernel" else ""
    return Vm(VmConfig(technique=technique, memory=32 * MIB, append=append, vcpus=vcpus), load_image(image(name)))


def record(vm: Vm, path: Path, kinds: tuple[str, ...], steps: int, limits: tuple[int, int] = EVERY_STEP) -> TraceFile:
    """Run the VM for some steps and open the trace of that."""
    recorder = Recorder(path, kinds, {"harts": len(vm.vcpus)}, limits)
    recorder.add_vm(vm)
    vm.run(steps)
    recorder.close()
    trace = TraceFile(path)
    assert trace.cut is None
    return trace


def seen_by_guest(trace: TraceFile) -> tuple[list[Event], list[Event], list[tuple[object, ...]]]:
    """Instructions, accesses, and of traps all but who took them to the guest."""
    traps = [event[:-1] for event in trace.events([IRQ]) if isinstance(event, TrapEvent)]
    return list(trace.events([INSN])), list(trace.events([MEM])), traps


@pytest.mark.parametrize(("name", "steps"), [*((name, GUEST_STEPS) for name in GUESTS), ("kernel", KERNEL_STEPS)])
def test_what_the_guest_did_is_the_same_under_every_technique(name: str, steps: int, tmp_path: Path) -> None:
    """The instructions with their results, the accesses with their values, the traps: whoever executed or took them."""
    first = None
    for technique in COMPARED:
        plain, vm = boot(name, technique), boot(name, technique)
        plain.run(steps)
        trace = record(vm, tmp_path / technique, KINDS, steps)
        assert (digest(vm), vm.steps, vm.vcpus[0].exits) == (digest(plain), plain.steps, plain.vcpus[0].exits)
        seen = seen_by_guest(trace)
        assert (len(seen[0]), len(seen[2])) == (vm.instructions, vm.hart.guest_traps)
        first = first or seen
        for what, ours, theirs in zip(("instructions", "accesses", "traps"), seen, first, strict=True):
            assert ours == theirs, f"{name}: {what} under {technique}"
        counts = Counter(event.reason for event in trace.events([EXITS]) if isinstance(event, ExitEvent))
        assert counts == labelled(vm.vcpus[0].exits)


@pytest.mark.parametrize("technique", COMPARED)
def test_several_vcpus_are_told_apart(technique: str, tmp_path: Path) -> None:
    plain, vm = boot("exits", technique, vcpus=2), boot("exits", technique, vcpus=2)
    plain.run(60_000)
    trace = record(vm, tmp_path / "trace", KINDS, 60_000)
    assert digest(vm) == digest(plain)
    for vcpu in vm.vcpus:
        events = trace.events([EXITS], hart=vcpu.index)
        counts = Counter(event.reason for event in events if isinstance(event, ExitEvent))
        assert counts == labelled(vcpu.exits)


def test_an_exit_tells_its_facts(tmp_path: Path) -> None:
    vm = start("li a0, 65\nli a7, 1\nnop\necall\n1: j 1b", "two-stage")
    trace = record(vm, tmp_path / "trace", (EXITS,), 100)
    calls = [event for event in trace.events() if isinstance(event, ExitEvent) and event.reason == "sbi"]
    assert calls == [ExitEvent(3, 0, "sbi", vm.image.entry + 12, 0, 0, 10, 0x73, 1)]


def test_a_device_access_has_its_guest_physical_address(tmp_path: Path) -> None:
    uart = 0x1000_0000
    for technique in COMPARED:
        vm = start(f"li x5, {uart}\nli x6, 65\nsb x6, (x5)\nlbu x7, 5(x5)\n1: j 1b", technique)
        trace = record(vm, tmp_path / technique, (MEM, EXITS), 50)
        found = [(event.pa, event.value, event.is_store) for event in trace.events([MEM]) if isinstance(event, Access)]
        assert found == [(uart, 65, True), (uart + 5, 0x60, False)]
        exits = [event for event in trace.events([EXITS]) if isinstance(event, ExitEvent)]
        assert [event.reason for event in exits if event.reason.startswith("mmio")] == ["mmio-store", "mmio-load"]


TIMER = """
    la x5, handler
    csrw stvec, x5
    li x5, 32
    csrw sie, x5
    rdtime a0
    addi a0, a0, 50
    li a7, 0x54494D45
    li a6, 0
    ecall
    csrsi sstatus, 2
1:  addi x8, x8, 1
    j 1b
    .align 2
handler:
    li a0, -1
    li a7, 0x54494D45
    li a6, 0
    ecall
    sret
"""


@pytest.mark.parametrize("isa", [GUEST_ISA, GUEST_ISA | {"Sstc"}], ids=["SBI timer", "Sstc"])
@pytest.mark.parametrize("technique", COMPARED)
def test_a_timer_is_due_then_taken_then_no_longer_pending(technique: str, isa: frozenset[str], tmp_path: Path) -> None:
    vm = start(TIMER, technique, isa=isa)
    trace = record(vm, tmp_path / "trace", (IRQ,), 2000)
    due, trap, quiet = trace.events()
    assert due == WireEvent(500, 0, STI, 1)
    assert isinstance(trap, TrapEvent)
    assert (trap.step, trap.cause) == (500, 1 << 63 | STI)
    assert trap.by_hypervisor == (technique == "deprivileged")
    assert isinstance(quiet, WireEvent) and quiet[2:] == (STI, 0)
    assert 500 < quiet.step < 520


@pytest.mark.parametrize("technique", COMPARED)
def test_a_closed_recorder_leaves_the_vm_as_it_was(technique: str, tmp_path: Path) -> None:
    plain, vm = boot("exits", technique), boot("exits", technique)
    record(vm, tmp_path / "one", KINDS, 5_000)
    vm.run(5_000)
    trace = record(vm, tmp_path / "two", KINDS, 5_000)
    assert vm.vcpus[0].technique.observer is None and type(vm.vcpus[0].exits) is list
    plain.run(15_000)
    assert (digest(vm), vm.vcpus[0].exits) == (digest(plain), plain.vcpus[0].exits)
    assert next(trace.events([INSN])).step == 10_000


def test_only_the_steps_asked_for_are_in_the_file(tmp_path: Path) -> None:
    for technique in COMPARED:
        trace = record(boot("csr-tour", technique), tmp_path / technique, KINDS, 30_000, (20_000, 20_100))
        steps = [event.step for event in trace.events([INSN])]
        assert steps == list(range(20_000, 20_100))
        assert all(20_000 <= event.step < 20_100 for event in trace.events())


def test_an_emulated_amo_into_x0_shows_what_was_there(tmp_path: Path) -> None:
    """On a guarded page table, where the hypervisor executes it and the register forgets."""
    source = """
        la x5, table
        li x6, 0xCF
        slli x6, x6, 0
        li x7, 0x20000000
        or x6, x6, x7
        sd x6, 16(x5)
        srli x5, x5, 12
        li x6, 8
        slli x6, x6, 60
        or x5, x5, x6
        csrw satp, x5
        la x5, table
        ld x6, (x5)
        li x6, 1
        amoor.d x0, x6, (x5)
        amoor.d x7, x0, (x5)
    1:  j 1b
        .align 12
    table:
        .dword 0
    """
    found = []
    for technique in COMPARED:
        trace = record(start(source + COUNTING_HANDLER, technique), tmp_path / technique, (MEM,), 40)
        found.append(list(trace.events()))
    assert [event.value for event in found[0] if isinstance(event, Access)][-4:] == [0, 1, 1, 1]
    assert found[1:] == [found[0]] * 3
