"""SBI PMU: the guest's hardware counters are its hart's, exact to the step; firmware counters count SBI calls."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.csrs_counters import EVENT_CYCLES, EVENT_INSTRUCTIONS, EVENT_TRAPS
from hartvisor.core.isa.extensions import without
from hartvisor.core.vmm import sbi_numbers as sbi
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.pmu import N_COUNTERS, N_HARDWARE
from hartvisor.core.vmm.sbi_pmu import MAX_QUESTIONS
from hartvisor.core.vmm.techniques import TECHNIQUES
from hartvisor.core.vmm.vm import Vm

from .support import COUNTING_HANDLER, ENTRY, assert_equivalent, make_call, start

NUM, INFO, CONFIG, START, STOP, FW_READ, FW_READ_HI, SHMEM, EVENT_INFO = range(9)
CYCLES, RETIRED, FIRST = 0, 2, 3
FIRMWARE = sbi.EVENT_FIRMWARE << sbi.EVENT_TYPE_SHIFT
RAW = sbi.EVENT_RAW_V2 << sbi.EVENT_TYPE_SHIFT
EVERY = 1 << CYCLES | 1 << RETIRED | (1 << N_COUNTERS) - (1 << FIRST)
SHARED = ENTRY + 0x4000


@pytest.fixture
def vm() -> Vm:
    """A VM whose guest counts nothing yet."""
    return start("ecall", "two-stage")


def pmu(vm: Vm, function: int, *arguments: int, vcpu: int = 0) -> tuple[int, int]:
    """A call to PMU; arguments not given are 0."""
    return make_call(vm, sbi.PMU, function, *arguments, *(0,) * (5 - len(arguments)), vcpu=vcpu)


def test_counters_and_what_stands_behind_them(vm: Vm) -> None:
    assert pmu(vm, NUM) == (sbi.SUCCESS, N_COUNTERS)
    width = 63 << 12
    for counter, csr in ((CYCLES, 0xC00), (RETIRED, 0xC02), (FIRST, 0xC03), (N_HARDWARE - 1, 0xC0A)):
        assert pmu(vm, INFO, counter) == (sbi.SUCCESS, width | csr)
    for counter in (N_HARDWARE, N_COUNTERS - 1):
        error, info = pmu(vm, INFO, counter)
        assert (error, info >> 63) == (sbi.SUCCESS, -1)
    for counter in (1, N_COUNTERS, (1 << 64) - 1):
        assert pmu(vm, INFO, counter)[0] == sbi.ERR_INVALID_PARAM


@pytest.mark.parametrize(("event", "data", "counter"), [
    (sbi.CPU_CYCLES, 0, CYCLES), (sbi.INSTRUCTIONS, 0, RETIRED), (RAW, EVENT_TRAPS, FIRST),
    (sbi.EVENT_RAW << sbi.EVENT_TYPE_SHIFT, EVENT_CYCLES, FIRST), (FIRMWARE | sbi.FW_SET_TIMER, 0, N_HARDWARE)])
def test_the_first_stopped_counter_that_can_count_the_event_is_chosen(
        vm: Vm, event: int, data: int, counter: int) -> None:
    pmu(vm, STOP, 0, EVERY, sbi.STOP_RESET)
    assert pmu(vm, CONFIG, 0, EVERY, 0, event, data) == (sbi.SUCCESS, counter)
    assert pmu(vm, CONFIG, 0, 1 << counter, 0, event, data)[0] == sbi.ERR_NOT_SUPPORTED, "taken"
    assert pmu(vm, STOP, counter, 1, sbi.STOP_RESET)[0] == sbi.ERR_ALREADY_STOPPED
    assert pmu(vm, CONFIG, counter, 1, 0, event, data) == (sbi.SUCCESS, counter), "let go by the reset"


@pytest.mark.parametrize(("event", "data"), [
    (0, 0), (3, 0), (sbi.CPU_CYCLES, 1), (1 << 16, 0), (RAW, 0), (RAW, 4), (RAW | 1, 1), (FIRMWARE, 0),
    (FIRMWARE | sbi.FW_SET_TIMER, 1), (FIRMWARE | 0xFFFF, 0), (1 << 20 | 1, 0), (1 << 63 | 1, 0)])
def test_events_that_nothing_counts(vm: Vm, event: int, data: int) -> None:
    assert pmu(vm, CONFIG, 0, EVERY, 0, event, data)[0] == sbi.ERR_NOT_SUPPORTED


@pytest.mark.parametrize("function", [CONFIG, START, STOP])
@pytest.mark.parametrize("counters", [(0, 2), (N_COUNTERS, 1), (N_COUNTERS - 1, 3), ((1 << 64) - 1, 2)])
def test_a_set_with_a_counter_that_is_none_is_invalid(vm: Vm, function: int, counters: tuple[int, int]) -> None:
    assert pmu(vm, function, *counters, 0, sbi.CPU_CYCLES)[0] == sbi.ERR_INVALID_PARAM


@pytest.mark.parametrize(("function", "flags"), [(CONFIG, 1 << 8), (START, 3), (START, 4), (STOP, 4), (STOP, 1 << 63)])
def test_reserved_flags_are_invalid(vm: Vm, function: int, flags: int) -> None:
    assert pmu(vm, function, CYCLES, 1, flags, sbi.CPU_CYCLES)[0] == sbi.ERR_INVALID_PARAM


def test_a_counter_starts_once_stops_once_and_keeps_its_value(vm: Vm) -> None:
    assert pmu(vm, START, FIRST, 1)[0] == sbi.ERR_INVALID_PARAM, "it has no event"
    assert pmu(vm, CONFIG, FIRST, 1, 0, RAW, EVENT_INSTRUCTIONS) == (sbi.SUCCESS, FIRST)
    assert pmu(vm, START, FIRST, 1, sbi.START_SET_VALUE, 1000)[0] == sbi.SUCCESS
    assert pmu(vm, START, FIRST, 1)[0] == sbi.ERR_ALREADY_STARTED
    assert pmu(vm, STOP, FIRST, 1)[0] == sbi.SUCCESS
    assert vm.vcpus[0].pmu.read(FIRST) == 1002, "the two calls after the start retired"
    assert pmu(vm, STOP, FIRST, 1)[0] == sbi.ERR_ALREADY_STOPPED
    assert pmu(vm, START, FIRST, 1)[0] == sbi.SUCCESS
    assert vm.vcpus[0].pmu.read(FIRST) == 1002
    assert pmu(vm, CONFIG, FIRST, 1, sbi.CONFIG_SKIP_MATCH | sbi.CONFIG_CLEAR_VALUE | sbi.CONFIG_AUTO_START,
               RAW, EVENT_TRAPS) == (sbi.SUCCESS, FIRST)
    assert vm.vcpus[0].pmu.read(FIRST) == 0


_COUNTS = """
    .equ PMU, 0x504d55
    la t0, handler
    csrw stvec, t0
    li t0, -1
    csrw scounteren, t0
    li a7, PMU
    li a6, 4                    # stop them all
    li a0, 0
    li a1, 0x7fd
    li a2, 1
    ecall
    csrr s11, cycle
    nop
    csrr s3, cycle
    li a6, 2                    # cycles, instructions, traps
    li a0, 0
    li a1, 0x7fd
    li a2, 6
    li a3, 1
    li a4, 0
    ecall
    li a0, 3
    li a1, 0xff
    li a3, 0x30000
    li a4, 2
    ecall
    li a0, 3
    li a4, 3
    ecall
    mv s4, a1
    li t0, 0x10000000           # what exits under some technique, and not under others
    lbu t1, 5(t0)
    csrw sscratch, t0
    csrr t1, sstatus
    rdtime t1
    csrr s5, cycle
    csrr s6, hpmcounter3
    csrr s7, hpmcounter4
    la t0, user
    csrw sepc, t0
    sret
user:
    ecall
    ebreak
    .word 0
    csrr s8, cycle
    csrr s9, hpmcounter3
    csrr s10, hpmcounter4
1:  j 1b
""" + COUNTING_HANDLER


@pytest.mark.parametrize("stride", [1, 17])
def test_hardware_counters_are_alike_under_every_technique(stride: int) -> None:
    vms = assert_equivalent(_COUNTS, 130, stride)
    read = vms[0].hart.read_gpr
    assert read(27) == read(19), "cycle stands still while it is stopped"
    assert read(20) == 4
    assert 0 < read(21) < read(24)
    assert (read(23), read(26)) == (0, 3), "traps"
    assert read(25) - read(22) == read(24) - read(21) - 3, "a trap is a cycle without an instruction"


def test_without_zihpm_only_cycles_and_instructions_are_counted() -> None:
    vm = start("ecall", "shadow", isa=without(GUEST_ISA, "Zihpm"))
    assert pmu(vm, INFO, FIRST)[0] == sbi.ERR_INVALID_PARAM
    assert pmu(vm, INFO, CYCLES)[0] == sbi.SUCCESS


def test_firmware_counters_count_calls(vm: Vm) -> None:
    for code in (sbi.FW_SET_TIMER, sbi.FW_CALL):
        assert pmu(vm, CONFIG, 0, EVERY, sbi.CONFIG_AUTO_START, FIRMWARE | code)[0] == sbi.SUCCESS
    make_call(vm, sbi.TIME, 0, 1 << 40)
    make_call(vm, sbi.LEGACY_SET_TIMER, 0, 1 << 40)
    make_call(vm, sbi.BASE, 0)
    assert pmu(vm, FW_READ, N_HARDWARE) == (sbi.SUCCESS, 2)
    assert pmu(vm, FW_READ, N_HARDWARE + 1) == (sbi.SUCCESS, 5)
    assert pmu(vm, FW_READ_HI, N_HARDWARE) == (sbi.SUCCESS, 0)
    assert pmu(vm, STOP, N_HARDWARE, 3)[0] == sbi.SUCCESS
    make_call(vm, sbi.TIME, 0, 1 << 40)
    assert pmu(vm, FW_READ, N_HARDWARE) == (sbi.SUCCESS, 2)
    for counter in (CYCLES, FIRST, N_COUNTERS):
        assert pmu(vm, FW_READ, counter)[0] == pmu(vm, FW_READ_HI, counter)[0] == sbi.ERR_INVALID_PARAM


@pytest.mark.parametrize(("extension", "function", "event"), [
    (sbi.IPI, 0, sbi.FW_IPI_SENT), (sbi.RFENCE, 0, sbi.FW_FENCE_I_SENT), (sbi.RFENCE, 1, sbi.FW_SFENCE_VMA_SENT),
    (sbi.RFENCE, 2, sbi.FW_SFENCE_VMA_ASID_SENT)])
def test_what_one_hart_sent_others_received(extension: int, function: int, event: int) -> None:
    vm = start("ecall", "shadow", vcpus=3)
    for vcpu, code in ((0, event), (1, event + 1), (2, event + 1)):
        assert pmu(vm, CONFIG, 0, EVERY, sbi.CONFIG_AUTO_START, FIRMWARE | code, vcpu=vcpu)[0] == sbi.SUCCESS
    make_call(vm, extension, function, 3, 0, 0, 0, 0)
    make_call(vm, extension, function, 0, (1 << 64) - 1, 0, 0, 0)
    counts = [pmu(vm, FW_READ, N_HARDWARE, vcpu=vcpu)[1] for vcpu in range(3)]
    assert counts == [3, 2, 1]


def test_snapshots_hold_the_values_of_stopped_counters_and_start_them_again(vm: Vm) -> None:
    ram = vm.ram
    assert pmu(vm, STOP, CYCLES, 1, sbi.STOP_TAKE_SNAPSHOT)[0] == sbi.ERR_NO_SHMEM
    assert pmu(vm, START, CYCLES, 1, sbi.START_FROM_SNAPSHOT)[0] == sbi.ERR_NO_SHMEM
    ram.write(SHARED, b"\xff" * 4096)
    assert pmu(vm, SHMEM, SHARED) == (sbi.SUCCESS, 0)
    assert pmu(vm, STOP, 0, 1 << CYCLES | 1 << RETIRED, sbi.STOP_TAKE_SNAPSHOT)[0] == sbi.SUCCESS
    assert ram.load(SHARED, 8) == 0, "without Sscofpmf none overflows"
    assert ram.load(SHARED + 8, 8) == ram.load(SHARED + 8 + 16, 8) == vm.steps
    assert ram.load(SHARED + 16, 8) == (1 << 64) - 1, "not of the set"
    ram.store(SHARED + 8, 8, 77)
    assert pmu(vm, START, RETIRED, 1, sbi.START_FROM_SNAPSHOT)[0] == sbi.SUCCESS
    assert vm.vcpus[0].pmu.read(RETIRED) == 77, "places in the snapshot count from the set's base"
    assert pmu(vm, SHMEM, (1 << 64) - 1, (1 << 64) - 1)[0] == sbi.SUCCESS
    assert pmu(vm, STOP, RETIRED, 1, sbi.STOP_TAKE_SNAPSHOT)[0] == sbi.ERR_NO_SHMEM


@pytest.mark.parametrize(("arguments", "error"), [
    ((SHARED + 8,), sbi.ERR_INVALID_PARAM), ((SHARED, 0, 1), sbi.ERR_INVALID_PARAM),
    ((SHARED, 1), sbi.ERR_INVALID_ADDRESS), ((0x1000_0000,), sbi.ERR_INVALID_ADDRESS)])
def test_snapshot_memory_must_be_a_page_of_ram(vm: Vm, arguments: tuple[int, ...], error: int) -> None:
    assert pmu(vm, SHMEM, *arguments)[0] == error


def test_events_are_told_about_without_a_counter(vm: Vm) -> None:
    questions = ((sbi.CPU_CYCLES, 0, 1), (1 << 16, 0, 0), (RAW, EVENT_TRAPS, 1), (RAW, 99, 0), (FIRMWARE | 5, 0, 1))
    for place, (event, data, _) in enumerate(questions):
        vm.ram.store(SHARED + 16 * place, 8, event | 0xFFFF_FFFF << 32)
        vm.ram.store(SHARED + 16 * place + 8, 8, data)
    assert pmu(vm, EVENT_INFO, SHARED, 0, len(questions), 0) == (sbi.SUCCESS, 0)
    answers = [vm.ram.load(SHARED + 16 * place + 4, 4) for place in range(len(questions))]
    assert answers == [answer for _, _, answer in questions]
    vm.ram.store(SHARED + 16, 4, 1 << 20)
    assert pmu(vm, EVENT_INFO, SHARED, 0, 2, 0)[0] == sbi.ERR_INVALID_PARAM


@pytest.mark.parametrize(("arguments", "error"), [
    ((SHARED + 8, 0, 1, 0), sbi.ERR_INVALID_PARAM), ((SHARED, 0, 1, 1), sbi.ERR_INVALID_PARAM),
    ((SHARED, 1, 1, 0), sbi.ERR_INVALID_ADDRESS), ((SHARED, 0, 1 << 61, 0), sbi.ERR_INVALID_ADDRESS),
    ((SHARED, 0, MAX_QUESTIONS + 1, 0), sbi.ERR_FAILED)])
def test_questions_about_events_must_lie_in_ram(vm: Vm, arguments: tuple[int, ...], error: int) -> None:
    assert pmu(vm, EVENT_INFO, *arguments)[0] == error


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_counters_are_state_that_can_be_saved_and_loaded(technique: str) -> None:
    vm, other = (start("1: addi s0, s0, 1\nj 1b", technique) for _ in range(2))
    pmu(vm, STOP, CYCLES, 1)
    pmu(vm, CONFIG, FIRST, 1, sbi.CONFIG_AUTO_START, RAW, EVENT_CYCLES)
    pmu(vm, CONFIG, 0, EVERY, sbi.CONFIG_AUTO_START, FIRMWARE | sbi.FW_CALL)
    vm.hart.pc = ENTRY
    vm.run(100)
    other.vcpus[0].load(vm.vcpus[0].save())
    for each in (vm, other):
        pmu(each, FW_READ, N_HARDWARE)
        each.run(100)
    assert digest(vm) == digest(other)
    assert other.vcpus[0].pmu.read(FIRST) == 202, "two runs, and the calls before each"
