"""The bare machine: programs that use its devices, budgets, sleep, and several harts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.test_finisher import Finish, Outcome
from hartvisor.core.errors import ConfigError, ImageError
from hartvisor.core.hart import EXIT_TRAP, HOST_M
from hartvisor.core.isa import causes
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.loader import Image, parse_image
from hartvisor.core.machine.machine import QUANTUM, Machine, Stop, StopReason
from hartvisor.core.machine.memory_map import RAM_BASE, device_tree_region

from .elf_maker import Part, make_elf

MIB = 1 << 20
MEMORY = 8 * MIB
MEPC, MCAUSE, MTVAL = (BY_NAME[name].number for name in ("mepc", "mcause", "mtval"))
DEFINITIONS = """
    .equ UART, 0x10000000
    .equ FINISHER, 0x100000
    .equ MSIP, 0x2000000
    .equ MTIMECMP, 0x2004000
    .equ MTIME, 0x200bff8
    .equ PLIC, 0xc000000
"""
POWER_OFF = """
    li t0, FINISHER
    li t1, 0x5555
    sw t1, 0(t0)
"""


def image_of(source: str) -> Image:
    """An ELF of the source, entered at its start."""
    return parse_image(make_elf([Part(RAM_BASE, assemble(DEFINITIONS + source, RAM_BASE).code)], RAM_BASE), "guest.elf")


def machine_of(source: str, *, n_harts: int = 1, hosts: int = 0) -> Machine:
    """A machine with the source loaded."""
    machine = Machine(MEMORY, n_harts=n_harts, hosts=hosts, has_h=not hosts)
    machine.load(image_of(source))
    return machine


def test_firmware_starts_in_m_mode_with_hart_number_and_device_tree() -> None:
    machine = machine_of("nop", n_harts=2)
    for index, hart in enumerate(machine.harts):
        assert (hart.pc, hart.privilege, hart.read_gpr(10)) == (RAM_BASE, 3, index)
        assert hart.read_gpr(11) == device_tree_region(MEMORY).base
        assert machine.memory.read(hart.read_gpr(11), 4) == b"\xd0\x0d\xfe\xed"


def test_a_program_prints_and_powers_off() -> None:
    output = bytearray()
    machine = Machine(MEMORY, console=ConsoleEnd(output.extend))
    machine.load(image_of("li t0, UART\n li t1, 'h'\n sb t1, 0(t0)\n li t1, 'i'\n sb t1, 0(t0)\n" + POWER_OFF))
    stop = machine.run(1000)
    assert (stop.reason, machine.finish, bytes(output)) == (StopReason.FINISHED, Finish(Outcome.PASS), b"hi")
    steps = machine.harts[0].steps
    assert machine.run(1000).reason is StopReason.FINISHED
    assert machine.harts[0].steps == steps


def test_run_takes_exactly_its_budget() -> None:
    machine = machine_of("li t0, UART\n again: lbu t1, 5(t0)\n j again")
    for budget in (1, 2, 3, 997):
        before = machine.harts[0].steps
        assert machine.run(budget) == Stop(StopReason.BUDGET, 0)
        assert machine.harts[0].steps == before + budget


def test_how_a_run_is_cut_into_budgets_changes_nothing() -> None:
    source = "li t0, MSIP\n csrr t2, mhartid\n again: addi t1, t1, 1\n lw t3, 0(t0)\n add t2, t2, t3\n j again"
    whole, cut = machine_of(source, n_harts=3), machine_of(source, n_harts=3)
    whole.run(7 * QUANTUM + 11)
    for budget in (1, 9, QUANTUM - 3, 2 * QUANTUM, 4 * QUANTUM + 4):
        cut.run(budget)
    assert [(hart.steps, hart.pc, hart.read_gprs()) for hart in cut.harts] == [
        (hart.steps, hart.pc, hart.read_gprs()) for hart in whole.harts
    ]


@pytest.mark.parametrize("address", [0x0, 0x1000_0008, 0x3000_0000, 0x4000_0000_0000])
@pytest.mark.parametrize("is_load", [True, False])
def test_an_access_to_nothing_is_an_access_fault(address: int, is_load: bool) -> None:
    access = "lw t2, 0(t1)" if is_load else "sw t2, 0(t1)"
    source = f"la t0, handler\n csrw mtvec, t0\n li t1, {address:#x}\n access: {access}\n .align 2\n handler: j ."
    machine = machine_of(source)
    machine.run(100)
    hart = machine.harts[0]
    assert hart.read_csr(MCAUSE) == (causes.LOAD_ACCESS_FAULT if is_load else causes.STORE_ACCESS_FAULT)
    assert hart.read_csr(MEPC) == assemble(DEFINITIONS + source, RAM_BASE).symbols["access"]
    assert hart.read_csr(MTVAL) == address


def test_mtime_counts_steps_and_can_be_set() -> None:
    machine = machine_of("li t0, MTIME\n ld t1, 0(t0)\n li t2, 5000\n sd t2, 0(t0)\n ld t3, 0(t0)\n j .")
    machine.run(100)
    hart = machine.harts[0]
    assert hart.read_gpr(6) == 0
    assert hart.read_gpr(28) == 5000
    assert machine.read_mtime() == 5000 + hart.steps // 10


def test_the_timer_interrupts_a_sleeping_hart_at_its_tick() -> None:
    machine = machine_of(
        "la t0, handler\n csrw mtvec, t0\n li t0, MTIMECMP\n li t1, 1000\n sd t1, 0(t0)\n"
        "li t0, 0x80\n csrw mie, t0\n csrsi mstatus, 8\n wfi\n j .\n .align 2\n handler: " + POWER_OFF
    )
    assert machine.run(100_000).reason is StopReason.FINISHED
    hart = machine.harts[0]
    assert hart.read_csr(MCAUSE) == 1 << 63 | causes.MTI
    assert 10_000 <= hart.steps < 10_010
    assert hart.idle_steps > 9_900


def test_a_sleep_ends_at_the_budget_and_goes_on_in_the_next_run() -> None:
    arm = "li t0, MTIMECMP\n li t1, 1000\n sd t1, 0(t0)\n li t0, 0x80\n csrw mie, t0\n"
    machine = machine_of(arm + "wfi\n" + POWER_OFF)
    assert machine.run(5000) == Stop(StopReason.BUDGET, 0)
    assert machine.harts[0].steps == 5000
    assert machine.run(5100).reason is StopReason.FINISHED


def test_a_sleep_that_nothing_can_end_stops_the_run_until_input_comes() -> None:
    machine = machine_of(
        "li t0, PLIC\n li t1, 1\n sw t1, 40(t0)\n li t2, 0xc002000\n li t1, 0x400\n sw t1, 0(t2)\n"
        "li t0, UART\n li t1, 1\n sb t1, 1(t0)\n li t1, 0x800\n csrw mie, t1\n wfi\n"
        "lbu a5, 0(t0)\n" + POWER_OFF
    )
    stop = machine.run(10_000)
    assert stop.reason is StopReason.ASLEEP
    steps = machine.harts[0].steps
    assert machine.run(10_000).reason is StopReason.ASLEEP
    assert machine.harts[0].steps == steps < 100
    machine.console.type(b"x")
    assert machine.run(10_000).reason is StopReason.FINISHED
    assert machine.harts[0].read_gpr(15) == ord("x")


@pytest.mark.parametrize("n_harts", [1, 2])
def test_input_comes_to_a_guest_whose_wfi_never_sleeps(n_harts: int) -> None:
    """A VM's interrupt that a hypervisor leaves pending ends each WFI at once, and is taken only in the VM."""
    spin = "csrwi hideleg, 4\n csrwi hvip, 4\n csrwi mie, 4\n spin: wfi\n j spin\n"
    machine = machine_of(
        "csrr t0, mhartid\n bnez t0, other\n li t0, UART\n li t1, 1\n sb t1, 1(t0)\n" + spin +
        "other: wfi\n j other", n_harts=n_harts)
    piped = [b"x"]
    machine.console.refill = lambda: piped.pop() if piped else b""
    assert machine.run(10 * QUANTUM).reason is StopReason.BUDGET
    assert machine.console.typed == 1


def test_one_hart_wakes_another_through_the_aclint() -> None:
    source = (
        "csrr t0, mhartid\n beqz t0, first\n li t0, 8\n csrw mie, t0\n wfi\n" + POWER_OFF + "j .\n"
        "first: li t1, 3000\n again: addi t1, t1, -1\n bnez t1, again\n li t0, MSIP\n li t1, 1\n sw t1, 4(t0)\n"
        "li t0, 8\n csrw mie, t0\n sleep: wfi\n j sleep"
    )
    machine = machine_of(source, n_harts=2)
    assert machine.run(10 * QUANTUM) == Stop(StopReason.FINISHED, 1)


def test_harts_that_all_sleep_for_good_stop_the_run() -> None:
    machine = machine_of("sleep: wfi\n j sleep", n_harts=4)
    assert machine.run(1000 * QUANTUM).reason is StopReason.ASLEEP
    assert all(hart.steps <= 2 * QUANTUM for hart in machine.harts)


def test_a_hart_sleeping_towards_a_timer_keeps_the_others_waiting_for_it() -> None:
    source = (
        "csrr t0, mhartid\n beqz t0, first\n li t0, 8\n csrw mie, t0\n wfi\n" + POWER_OFF + "j .\n"
        f"first: li t0, MTIMECMP\n li t1, {QUANTUM}\n sd t1, 0(t0)\n li t0, 0x80\n csrw mie, t0\n wfi\n"
        "li t0, MSIP\n li t1, 1\n sw t1, 4(t0)\n j ."
    )
    machine = machine_of(source, n_harts=2)
    assert machine.run(100 * QUANTUM) == Stop(StopReason.FINISHED, 1)
    assert machine.harts[0].steps >= 10 * QUANTUM


def test_with_m_mode_hosted_its_traps_come_to_the_caller() -> None:
    machine = machine_of("li a7, 16\n ecall\n" + POWER_OFF, hosts=HOST_M)
    hart = machine.harts[0]
    assert hart.privilege == 1
    stop = machine.run(100)
    assert stop.reason is StopReason.TRAP
    assert stop.exit is not None
    assert (stop.exit.reason, stop.exit.cause) == (EXIT_TRAP, causes.ECALL_FROM_S)
    hart.pc += 4
    hart.steps += 1
    assert machine.run(100).reason is StopReason.FINISHED


def test_with_m_mode_hosted_there_is_no_aclint() -> None:
    machine = machine_of("li t0, MTIME\n ld t1, 0(t0)", hosts=HOST_M)
    stop = machine.run(100)
    assert stop.exit is not None
    assert (stop.exit.cause, stop.exit.tval) == (causes.LOAD_ACCESS_FAULT, 0x200_BFF8)


def test_a_breakpoint_stops_before_its_instruction() -> None:
    machine = machine_of("nop\n nop\n nop\n j .")
    machine.harts[0].breakpoints = frozenset([machine.harts[0].pc])
    stop = machine.run(100)
    assert (stop.reason, machine.harts[0].steps) == (StopReason.BREAKPOINT, 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Machine(MIB), "memory of 1048576 bytes: it must be a multiple of 4096 and at least 4194304"),
        (lambda: Machine(MEMORY + 1), "must be a multiple of 4096"),
        (lambda: Machine(MEMORY, n_harts=0), "0 harts: a machine has 1 to 8"),
        (lambda: Machine(MEMORY, n_harts=9), "9 harts: a machine has 1 to 8"),
        (lambda: Machine(MEMORY, n_harts=2, hosts=HOST_M), "2 harts: without firmware a machine has one"),
    ],
)
def test_what_cannot_be_built_is_refused(build: Callable[[], Machine], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()


def test_an_image_over_the_device_tree_is_refused() -> None:
    big = parse_image(make_elf([Part(RAM_BASE, b"\x13\0\0\0", memsz=MEMORY - MIB)], RAM_BASE), "guest.elf")
    with pytest.raises(ImageError, match="overlaps the device tree"):
        Machine(MEMORY).load(big)
