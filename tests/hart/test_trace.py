"""What a hart records while it runs, against single steps of an untraced one, a program whose accesses are plain to
see, and QEMU's log of what it executed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hartvisor.core.hart import EXIT_MMIO, Hart, Memory, Trace
from hartvisor.core.vmm.trace import events
from hartvisor.core.vmm.trace.events import Access, Event, Instruction, TrapEvent, WireEvent
from tests.oracles import require_oracle

from .bench import CODE, M_VECTOR, RAM, Bench, difference, state
from .programs import make_case, run_to
from .qemu_programs import program

STEPS = 600
SEEDS = range(40, 52)
DATA = RAM + 0x1_0000
UART = 0x1000_0000
TIMER = 7
QEMU_PCS = 12_000


def taken(trace: Trace, stream: int) -> list[Event]:
    fields = events.columns(trace.take(stream), stream)
    if stream == events.INSTRUCTIONS:
        return list(events.instructions(fields, 0))
    if stream == events.MEMORY:
        return list(events.accesses(fields, 0))
    return list(events.others(fields, 0, ()))


def recorded(source: str, steps: int, **what: bool) -> tuple[Bench, Trace]:
    """A bench that has run the source, its data at DATA in x10, for some steps, and what was recorded."""
    bench = Bench(source)
    bench.set(x10=DATA)
    trace = Trace(bench.hart, **what)
    bench.hart.run(steps)
    return bench, trace


@pytest.mark.parametrize("seed", SEEDS)
def test_recording_changes_nothing(seed: int) -> None:
    case = make_case(seed)
    plain, traced = case.start(), case.start()
    trace = Trace(traced, instructions=True, memory=True, traps=True, wires=True)
    for end in (1, 5, 100, STEPS):
        run_to(plain, end)
        run_to(traced, end)
        assert difference(state(plain), state(traced)) == {}
    assert plain.memory.read(RAM, plain.memory.size) == traced.memory.read(RAM, traced.memory.size)
    assert trace.size > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_instructions_are_those_that_single_steps_show(seed: int) -> None:
    case = make_case(seed)
    plain, traced = case.start(), case.start()
    trace = Trace(traced, instructions=True)
    expected = []
    while plain.steps < STEPS:
        step, pc, mode = plain.steps, plain.pc, plain.privilege | (4 if plain.virtual else 0)
        asleep, trapped, bits = plain.idle_steps, plain.guest_traps, plain.fetch_insn()
        before = (*plain.read_gprs(), *plain.read_fprs())
        if not run_to(plain, step + 1):
            break
        if plain.guest_traps == trapped and plain.idle_steps == asleep and plain.steps > step:
            after = (*plain.read_gprs(), *plain.read_fprs())
            changed = {i if i < 32 else i + 32: after[i] for i in range(64) if before[i] != after[i]}
            expected.append((step, pc, bits, mode, changed))
    run_to(traced, STEPS)
    found = taken(trace, events.INSTRUCTIONS)
    assert [event[:1] + event[2:5] for event in found] == [facts[:4] for facts in expected]
    for event, (*_, changed) in zip(found, expected, strict=True):
        assert isinstance(event, Instruction)
        if event.register in changed:
            assert changed[event.register] == event.value


ACCESSES = """
    li x5, -2
    sd x5, (x10)
    lh x6, (x10)
    lbu x0, 1(x10)
    amoadd.w x7, x5, (x10)
    lr.d x8, (x10)
    sc.d x9, x5, (x10)
    sc.d x9, x5, (x10)
    sh x5, 7(x10)
    cbo.zero (x10)
"""


def test_accesses_show_what_memory_held_and_what_it_was_given() -> None:
    _, trace = recorded(ACCESSES, 10, memory=True)
    found = [event for event in taken(trace, events.MEMORY) if isinstance(event, Access)]
    assert [(event.step, event.is_store, event.size, event.va - DATA, event.value) for event in found] == [
        (1, True, 8, 0, (1 << 64) - 2),
        (2, False, 2, 0, 0xFFFE),
        (3, False, 1, 1, 0xFF),
        (4, False, 4, 0, 0xFFFF_FFFE), (4, True, 4, 0, 0xFFFF_FFFC),
        (5, False, 8, 0, (1 << 64) - 4),
        (6, True, 8, 0, (1 << 64) - 2),  # the second sc.d fails, and stores nothing
        (8, True, 2, 7, 0xFFFE),
        (9, True, 64, 0, 0),
    ]
    assert all(event.pa == event.va and event.pc == CODE + 4 * event.step for event in found)


def test_a_hypervisors_accesses_are_its_guests() -> None:
    bench = Bench("hsv.w x5, (x10)\nhlv.bu x6, (x10)\nmop.rr.7 x7, x5, x6", mode="HS")
    bench["hstatus"] = 0
    bench.set(x5=0x1234_5678, x10=DATA)
    trace = Trace(bench.hart, memory=True)
    bench.hart.run(3)
    assert [event[4:8] for event in taken(trace, events.MEMORY)] == [
        (DATA, 0x1234_5678, 4, True), (DATA, 0x78, 1, False)]


def test_an_access_that_faults_is_none() -> None:
    bench = Bench("lr.d x5, (x6)")
    bench.set(x6=DATA + 1)
    trace = Trace(bench.hart, instructions=True, memory=True)
    bench.trap()
    assert taken(trace, events.MEMORY) == taken(trace, events.INSTRUCTIONS) == []


def test_a_device_access_is_recorded_once_it_is_answered() -> None:
    bench = Bench("lw x5, (x6)")
    bench.set(x6=UART)
    trace = Trace(bench.hart, instructions=True, memory=True)
    assert bench.hart.run(1).reason == EXIT_MMIO
    assert taken(trace, events.INSTRUCTIONS) == []
    bench.hart.complete_mmio(0x8000_0001)
    assert taken(trace, events.INSTRUCTIONS) == [Instruction(0, 0, CODE, 0x32283, 3, 5, 0xFFFF_FFFF_8000_0001)]
    assert taken(trace, events.MEMORY) == [
        Access(0, 0, CODE, UART, UART, 0x8000_0001, 4, False, 3)]


def test_a_trap_tells_where_it_came_from_and_went() -> None:
    bench = Bench("nop\nnop\necall", mode="U")
    trace = Trace(bench.hart, traps=True)
    bench.hart.run(3)
    assert taken(trace, events.EVENTS) == [TrapEvent(2, 0, 8, CODE + 8, 0, 0, 3, M_VECTOR, False)]


def test_a_timer_is_due_at_its_step() -> None:
    bench = Bench("1: j 1b")
    trace = Trace(bench.hart, wires=True)
    bench.hart.mtimecmp = 4
    bench.hart.run(100)
    bench.hart.mtimecmp = 1000
    assert taken(trace, events.EVENTS) == [WireEvent(40, 0, TIMER, 1), WireEvent(100, 0, TIMER, 0)]


def test_only_the_steps_asked_for_are_recorded() -> None:
    bench = Bench("1: addi x5, x5, 1\nj 1b")
    trace = Trace(bench.hart, instructions=True, first=1000, last=1003)
    bench.hart.run(5000)
    assert [(event.step, event.pc) for event in taken(trace, events.INSTRUCTIONS)] == [
        (1000, CODE), (1001, CODE + 4), (1002, CODE)]


def test_a_closed_trace_records_no_more_and_makes_room_for_another() -> None:
    bench, trace = recorded("1: j 1b", 5, instructions=True)
    with pytest.raises(ValueError, match="traced already"):
        Trace(bench.hart)
    trace.close()
    bench.hart.run(5)
    assert len(taken(trace, events.INSTRUCTIONS)) == 5
    Trace(bench.hart).close()


def test_a_trace_may_go_before_its_hart() -> None:
    bench, trace = recorded("1: j 1b", 5, instructions=True)
    del trace
    bench.hart.run(5)
    assert bench.hart.steps == 10


def test_qemu_executes_the_same_instructions(tmp_path: Path) -> None:
    """QEMU's log has an instruction when it starts, so that those that trap are in it too."""
    qemu = require_oracle("qemu-system-riscv64")
    image = program(5, 3)
    (tmp_path / "image").write_bytes(image)
    log = tmp_path / "log"
    board = ["-M", "virt", "-cpu", "rv64,f=false,d=false,sstc=false", "-m", "64M", "-bios", "none", "-display", "none",
             "-monitor", "none", "-serial", "null"]
    loaded = ["-device", f"loader,file={tmp_path / 'image'},addr={RAM:#x},force-raw=on",
              "-device", f"loader,addr={RAM:#x},cpu-num=0"]
    logged = ["-singlestep", "-d", "exec,nochain", "-D", str(log)]
    subprocess.run([qemu, *board, *loaded, *logged], check=True, timeout=60)
    theirs = [int(pc, 16) for pc in re.findall(r"^Trace 0: \S+ \[\w+/(\w+)/", log.read_text(), re.MULTILINE)]
    memory = Memory(64 << 20)
    memory.write(RAM, image)
    hart = Hart(memory)
    hart.pc = RAM
    trace = Trace(hart, instructions=True, traps=True)
    while hart.steps < QEMU_PCS and (seen := hart.run(QEMU_PCS - hart.steps)).reason == EXIT_MMIO:
        if seen.address == UART:
            hart.complete_mmio()
        else:
            hart.fault_mmio()
    began = [(event.step, event.pc) for event in taken(trace, events.INSTRUCTIONS) if isinstance(event, Instruction)]
    began += [(event.step, event.pc) for event in taken(trace, events.EVENTS) if isinstance(event, TrapEvent)
              and event.cause not in (0, 1, 12, 20)]
    ours = [pc for _, pc in sorted(began)]
    assert len(ours) > QEMU_PCS * 0.9
    assert ours == theirs[: len(ours)]
