"""What the bare machine's host stops it for: devices' stores among it, and whichever hart it is about."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import UNTIL_CSR, UNTIL_GPR, UNTIL_STEP, WATCH_LOADS, WATCH_STORES
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.machine import QUANTUM, Machine, StopReason
from hartvisor.core.machine.memory_map import RAM_BASE
from hartvisor.core.machine.watching import Until

from .test_machine import machine_of

WORD = RAM_BASE + 0x1000
COUNTING = f"""
    li t0, {WORD}
    csrr t1, mhartid
1:  addi t2, t2, 1
    sd t2, 0(t0)
    j 1b
"""
MIP = BY_NAME["mip"].number


def test_a_store_by_either_hart_ends_the_run() -> None:
    machine = machine_of(COUNTING, n_harts=2)
    machine.watchpoints = [(WORD, 8, WATCH_STORES)]
    stops = [machine.run(100_000) for _ in range(3500)]
    assert {stop.reason for stop in stops} == {StopReason.WATCHPOINT}
    assert [stop.hart for stop in stops] == [stop.hit.hart for stop in stops if stop.hit is not None]
    assert {stop.hart for stop in stops} == {0, 1}
    first = stops[0].hit
    assert first is not None
    assert (first.address, first.before, first.after, first.is_store) == (WORD, 0, 1, True)
    assert first.text == f"store to {WORD:#x} by hart 0 at pc {first.pc:#x}: 0x0 -> 0x1"


def test_stops_change_nothing() -> None:
    def end(machine: Machine) -> tuple[object, ...]:
        while machine.steps < 30_000:
            machine.run(30_000 - machine.steps)
        return machine.memory.load(WORD, 8), [(hart.pc, hart.read_gprs()) for hart in machine.harts]

    watched = machine_of(COUNTING, n_harts=2)
    watched.watchpoints = [(WORD, 4, WATCH_LOADS | WATCH_STORES)]
    watched.until = Until(1, UNTIL_GPR, 7)
    watched.breakpoints = [RAM_BASE + 8]
    assert end(watched) == end(machine_of(COUNTING, n_harts=2))


def test_one_hart_steps_while_the_other_keeps_its_turn() -> None:
    machine = machine_of(COUNTING, n_harts=2)
    machine.until = Until(1, UNTIL_STEP)
    for taken in (1, 2, 3):
        stop = machine.run(1_000_000)
        assert (stop.reason, stop.hart, machine.harts[1].steps) == (StopReason.CHANGED, 1, taken)
    assert machine.harts[0].steps == QUANTUM


def test_a_register_that_a_device_changes() -> None:
    """A load from the serial port writes t2 outside the compiled hart; MSIP is the interrupt controller's to set."""
    machine = machine_of("li t0, UART\n lbu t2, 5(t0)\n li t0, MSIP\n li t1, 1\n sw t1, 0(t0)\n j .")
    machine.until = Until(0, UNTIL_GPR, 7)
    assert (machine.run(100).reason, machine.harts[0].read_gpr(7)) == (StopReason.CHANGED, 0x60)
    machine.until = Until(0, UNTIL_CSR, MIP)
    assert (machine.run(100).reason, machine.harts[0].read_csr(MIP)) == (StopReason.CHANGED, 1 << 3)


def test_what_is_not_there_is_refused() -> None:
    machine = machine_of("nop")
    with pytest.raises(ConfigError, match="0x10000000: that is not RAM"):
        machine.watchpoints = [(0x1000_0000, 4, WATCH_LOADS)]
    with pytest.raises(ConfigError, match="no CSR 0x7ff"):
        machine.until = Until(0, UNTIL_CSR, 0x7FF)
    assert (machine.watchpoints, machine.until) == ((), None)
