"""Accesses outside RAM: exits that the host completes or refuses."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_BUDGET, EXIT_MMIO, EXIT_TRAP, HOST_M
from hartvisor.core.isa import causes

from .bench import CODE, DATA, RAM, U64, Bench

DEVICE = 0x1000_0000
LOADS = {
    "lb": (1, True),
    "lh": (2, True),
    "lw": (4, True),
    "ld": (8, False),
    "lbu": (1, False),
    "lhu": (2, False),
    "lwu": (4, False),
}
STORES = {"sb": 1, "sh": 2, "sw": 4, "sd": 8}


@pytest.mark.parametrize("name", LOADS)
def test_a_load_exits_and_retires_when_completed(name: str) -> None:
    size, signed = LOADS[name]
    bench = Bench(f"{name} x5, 16(x6)")
    bench.set(x6=DEVICE)
    seen = bench.hart.run(10)
    assert (seen.reason, seen.address, seen.size, seen.is_store, seen.pc, seen.steps) == (
        EXIT_MMIO,
        DEVICE + 16,
        size,
        False,
        CODE,
        0,
    )
    bench.hart.complete_mmio(0xF1F2F3F4F5F6F7F8)
    value = 0xF1F2F3F4F5F6F7F8 & (1 << 8 * size) - 1
    assert bench.x(5) == (value | U64 << 8 * size & U64 if signed else value)
    assert (bench.hart.pc, bench.hart.steps) == (CODE + 4, 1)


@pytest.mark.parametrize("name", STORES)
def test_a_store_exits_with_just_the_bytes_it_stores(name: str) -> None:
    bench = Bench(f"{name} x5, (x6)")
    bench.set(x5=0xF1F2F3F4F5F6F7F8, x6=DEVICE)
    seen = bench.hart.run(10)
    assert (seen.reason, seen.address, seen.size, seen.is_store) == (EXIT_MMIO, DEVICE, STORES[name], True)
    assert seen.value == 0xF1F2F3F4F5F6F7F8 & (1 << 8 * STORES[name]) - 1
    bench.hart.complete_mmio()
    assert (bench.hart.pc, bench.hart.steps) == (CODE + 4, 1)


def test_a_load_into_x0_still_reaches_the_device() -> None:
    bench = Bench("lw x0, (x6)")
    bench.set(x6=DEVICE)
    assert bench.hart.run(1).reason == EXIT_MMIO
    bench.hart.complete_mmio(5)
    assert bench.x(0) == 0


def test_a_compressed_access_is_two_bytes_long() -> None:
    bench = Bench("c.lw x9, (x8)\nc.nop")
    bench.set(x8=DEVICE)
    seen = bench.hart.run(1)
    assert seen.insn == 0x4004
    bench.hart.complete_mmio(7)
    assert (bench.x(9), bench.hart.pc) == (7, CODE + 2)


def test_an_access_in_mid_block_has_the_registers_of_that_point() -> None:
    bench = Bench("addi x5, x5, 1\nlw x7, (x6)\naddi x5, x5, 1")
    bench.set(x6=DEVICE)
    seen = bench.hart.run(10)
    assert (seen.pc, seen.steps, bench.x(5)) == (CODE + 4, 1, 1)
    bench.hart.complete_mmio(3)
    assert bench.hart.run(1).reason == EXIT_BUDGET
    assert (bench.x(5), bench.x(7), bench.hart.steps) == (2, 3, 3)


@pytest.mark.parametrize(
    ("name", "cause"), [("lw x5, (x6)", causes.LOAD_ACCESS_FAULT), ("sw x5, (x6)", causes.STORE_ACCESS_FAULT)]
)
def test_an_access_that_no_device_answers_is_an_access_fault(name: str, cause: int) -> None:
    bench = Bench(name)
    bench.set(x6=DEVICE)
    bench.hart.run(10)
    bench.hart.fault_mmio()
    assert bench.hart.steps == 0
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (cause, DEVICE, CODE)


def test_a_refused_access_is_an_exit_at_once_where_its_target_is_hosted() -> None:
    bench = Bench("lw x5, (x6)", hosts=HOST_M)
    bench.set(x6=DEVICE)
    bench.hart.run(10)
    bench.hart.fault_mmio()
    seen = bench.hart.run(10)
    assert (seen.reason, seen.cause, seen.tval, seen.steps, seen.insn) == (
        EXIT_TRAP,
        causes.LOAD_ACCESS_FAULT,
        DEVICE,
        0,
        0x00032283,
    )


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("lh x5, 1(x6)", causes.LOAD_ACCESS_FAULT),
        ("ld x5, 4(x6)", causes.LOAD_ACCESS_FAULT),
        ("sd x5, 4(x6)", causes.STORE_ACCESS_FAULT),
        ("lr.w x5, (x6)", causes.LOAD_ACCESS_FAULT),
        ("sc.w x5, x7, (x6)", causes.STORE_ACCESS_FAULT),
        ("amoadd.d x5, x7, (x6)", causes.STORE_ACCESS_FAULT),
    ],
)
def test_devices_do_neither_misaligned_accesses_nor_atomics(source: str, cause: int) -> None:
    bench = Bench(source)
    bench.set(x6=DEVICE)
    assert bench.trap().cause == cause


def test_code_runs_from_ram_only() -> None:
    bench = Bench("jr x6")
    bench.set(x6=DEVICE)
    bench.hart.run(1)
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (causes.INSTRUCTION_ACCESS_FAULT, DEVICE, DEVICE)


def test_a_fetch_that_faults_has_no_instruction_bits() -> None:
    bench = Bench("ecall", hosts=HOST_M)
    assert bench.hart.run(1).insn == 0x73
    bench.hart.pc = DEVICE
    seen = bench.hart.run(1)
    assert (seen.cause, seen.insn, seen.tval) == (causes.INSTRUCTION_ACCESS_FAULT, 0, DEVICE)


def test_an_instruction_that_runs_over_the_end_of_ram_faults_at_its_second_half() -> None:
    bench = Bench(size=1 << 16)
    end = RAM + (1 << 16)
    bench.memory.store(end - 2, 2, 0x0013)
    bench.hart.pc = end - 2
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (causes.INSTRUCTION_ACCESS_FAULT, end, end - 2)


def test_an_access_that_runs_over_the_end_of_ram_writes_nothing() -> None:
    bench = Bench("sd x5, (x6)", size=1 << 16)
    end = RAM + (1 << 16)
    bench.set(x5=U64, x6=end - 4)
    trap = bench.trap()
    assert (trap.cause, trap.tval) == (causes.STORE_ACCESS_FAULT, end)
    assert bench.memory.load(end - 4, 4) == 0


@pytest.mark.parametrize("answer", ["complete_mmio", "fault_mmio"])
def test_only_a_waiting_access_can_be_answered(answer: str) -> None:
    bench = Bench("nop\nlw x5, (x6)")
    with pytest.raises(ValueError, match="mmio"):
        getattr(bench.hart, answer)()
    bench.set(x6=DATA)
    bench.hart.run(2)
    with pytest.raises(ValueError, match="mmio"):
        getattr(bench.hart, answer)()


def test_running_on_without_an_answer_repeats_the_access() -> None:
    bench = Bench("lw x5, (x6)")
    bench.set(x6=DEVICE)
    assert [bench.hart.run(1).reason for _ in range(2)] == [EXIT_MMIO] * 2


@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_a_refused_hlv_reports_a_guest_virtual_address(mode: str) -> None:
    """H, hstatus.GVA and mstatus.GVA: set where tval holds a guest virtual address, SPV or MPV notwithstanding."""
    bench = Bench("hlv.w x5, (x6)", mode=mode)
    bench.delegate_all()
    bench["hstatus"] |= 1 << 9
    bench.set(x6=DEVICE)
    bench.hart.run(1)
    bench.hart.fault_mmio()
    trap = bench.trap()
    assert (trap.cause, trap.tval) == (causes.LOAD_ACCESS_FAULT, DEVICE)
    assert (
        (bench["hstatus"] >> 6 & 1, bench["hstatus"] >> 7 & 1) == (1, 0)
        if mode != "M"
        else bench["mstatus"] >> 38 & 3 == 1
    )
