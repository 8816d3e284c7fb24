"""The SBI: conventions, errors and effects, called as a guest's ecall would."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.causes import LOAD_PAGE_FAULT, SSI, STI
from hartvisor.core.vmm import sbi_numbers as sbi
from hartvisor.core.vmm.csr_file import SATP, SCAUSE, SCOUNTEREN, SEPC, SIE, SIP, SSTATUS, STVAL, STVEC
from hartvisor.core.vmm.sbi import EXTENSIONS, LEGACY
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.techniques import TECHNIQUES
from hartvisor.core.vmm.vm import Vm

from .support import ENTRY, MEMORY, UNTOUCHED, make_call, start

RAM_END = 0x8000_0000 + MEMORY
UNKNOWN = 0x535345
"""SSE, which is not there."""
WORD = (1 << 64) - 1


@pytest.fixture(params=TECHNIQUES)
def vm(request: pytest.FixtureRequest) -> Vm:
    """A VM before its first instruction, under each technique."""
    return start("ecall", request.param)


def test_the_guest_starts_with_the_counters_open_to_its_programs(vm: Vm) -> None:
    """As OpenSBI hands over (QEMU's prints scounteren 7 in csr-tour), and Linux's vDSO relies on."""
    assert vm.vcpus[0].csrs.read(SCOUNTEREN) == 7


def test_a_call_is_one_step_and_returns_behind_the_ecall(vm: Vm) -> None:
    make_call(vm, sbi.BASE, 0)
    assert (vm.steps, vm.hart.pc) == (1, ENTRY + 4)


def test_base(vm: Vm) -> None:
    assert make_call(vm, sbi.BASE, 0) == (sbi.SUCCESS, 0x0300_0000)
    for function in range(1, 7):
        assert make_call(vm, sbi.BASE, function)[0] == sbi.SUCCESS
    for extension in (*EXTENSIONS, *LEGACY):
        assert make_call(vm, sbi.BASE, 3, extension) == (sbi.SUCCESS, 1)
    assert make_call(vm, sbi.BASE, 3, UNKNOWN) == (sbi.SUCCESS, 0)


@pytest.mark.parametrize(
    ("extension", "function"), [(sbi.BASE, 7), (UNKNOWN, 0), (sbi.RFENCE, 3), (0x09, 0), (WORD, 0)])
def test_what_is_unknown_is_not_supported(vm: Vm, extension: int, function: int) -> None:
    assert make_call(vm, extension, function) == (sbi.ERR_NOT_SUPPORTED, 0)


def test_legacy_calls_leave_a1_and_ignore_a6(vm: Vm) -> None:
    assert make_call(vm, sbi.LEGACY_CONSOLE_GETCHAR, 77) == (-1, UNTOUCHED)
    vm.console.type(b"x")
    assert make_call(vm, sbi.LEGACY_CONSOLE_GETCHAR) == (ord("x"), UNTOUCHED)


@pytest.mark.parametrize(("extension", "is_legacy"), [(sbi.TIME, False), (sbi.LEGACY_SET_TIMER, True)])
def test_the_timer_is_pending_from_its_deadline_on(vm: Vm, extension: int, is_legacy: bool) -> None:
    vm.ram.write(ENTRY, bytes.fromhex("6f000000"))  # j .
    assert make_call(vm, extension, 0, 5)[0] == 0
    vm.hart.pc = ENTRY
    vm.run(48)
    assert not vm.vcpus[0].csrs.read(SIP) >> STI & 1
    vm.run(1)
    assert vm.steps == 50
    assert vm.vcpus[0].csrs.read(SIP) >> STI & 1
    make_call(vm, extension, 0, 1000)
    vm.run(0)
    assert not vm.vcpus[0].csrs.read(SIP) >> STI & 1


def test_ipi_sets_ssip_of_the_harts_in_the_mask(vm: Vm) -> None:
    csrs = vm.vcpus[0].csrs
    assert make_call(vm, sbi.IPI, 0, 1, 0)[0] == sbi.SUCCESS
    assert csrs.read(SIP) >> SSI & 1
    assert make_call(vm, sbi.LEGACY_CLEAR_IPI)[0] == 1
    assert make_call(vm, sbi.LEGACY_CLEAR_IPI)[0] == 0
    assert not csrs.read(SIP) >> SSI & 1
    assert make_call(vm, sbi.IPI, 0, 0, WORD)[0] == sbi.SUCCESS  # base -1: every hart
    assert csrs.read(SIP) >> SSI & 1


@pytest.mark.parametrize("mask", [(2, 0), (1, 1), (1, 7), (3, 0)])
@pytest.mark.parametrize(("extension", "function"), [(sbi.IPI, 0), (sbi.RFENCE, 0), (sbi.RFENCE, 1), (sbi.RFENCE, 2)])
def test_a_hart_mask_that_names_no_hart_is_invalid(vm: Vm, mask: tuple[int, int], extension: int,
                                                   function: int) -> None:
    assert make_call(vm, extension, function, *mask)[0] == sbi.ERR_INVALID_PARAM


def test_a_hart_mask_may_be_empty_wherever_it_begins(vm: Vm) -> None:
    """Hart list parameter: "hart_mask_base does not need to be an [...] available hartid unless the zeroth bit [...] is
    set"."""
    assert make_call(vm, sbi.IPI, 0, 0, 7)[0] == sbi.SUCCESS


def test_remote_fences_reach_this_hart(vm: Vm) -> None:
    for function in range(3):
        assert make_call(vm, sbi.RFENCE, function, 1, 0, 0, 0, 0)[0] == sbi.SUCCESS


def test_legacy_hart_mask_is_read_through_the_guests_tables(vm: Vm) -> None:
    vm.ram.store(ENTRY + 0xFFD, 8, 1)
    assert make_call(vm, sbi.LEGACY_SEND_IPI, 0, ENTRY + 0xFFD)[0] == 0
    assert vm.vcpus[0].csrs.read(SIP) >> SSI & 1


def test_a_fault_on_the_legacy_hart_mask_is_the_callers(vm: Vm) -> None:
    csrs = vm.vcpus[0].csrs
    csrs.write(STVEC, ENTRY + 0x100)
    csrs.write(SATP, 8 << 60 | (ENTRY + 0x1000) >> 12)  # an empty table
    make_call(vm, sbi.LEGACY_SEND_IPI, 0, 0x5000)
    assert (csrs.read(SCAUSE), csrs.read(STVAL), csrs.read(SEPC)) == (LOAD_PAGE_FAULT, 0x5000, ENTRY)
    assert (vm.hart.pc, vm.steps, vm.hart.guest_traps) == (ENTRY + 0x100, 1, 1)


def test_hsm_knows_its_hart(vm: Vm) -> None:
    assert make_call(vm, sbi.HSM, 2, 0) == (sbi.SUCCESS, sbi.HART_STARTED)
    assert make_call(vm, sbi.HSM, 2, 1)[0] == sbi.ERR_INVALID_PARAM
    assert make_call(vm, sbi.HSM, 0, 0, ENTRY)[0] == sbi.ERR_ALREADY_AVAILABLE
    assert make_call(vm, sbi.HSM, 0, 3, ENTRY)[0] == sbi.ERR_INVALID_PARAM


def test_hsm_stop_of_the_only_hart_stops_the_vm(vm: Vm) -> None:
    make_call(vm, sbi.HSM, 1)
    stop = vm.run(100)
    assert (stop.reason, stop.steps) == (StopReason.ASLEEP, 1)


def test_retentive_suspend_sleeps_until_an_interrupt(vm: Vm) -> None:
    vm.vcpus[0].csrs.write(SIE, 1 << STI)
    make_call(vm, sbi.TIME, 0, 7)
    vm.ram.write(ENTRY + 8, bytes.fromhex("6f000000"))  # j .
    assert make_call(vm, sbi.HSM, 3, sbi.SUSPEND_RETENTIVE)[0] == sbi.SUCCESS
    vm.run(100)
    assert vm.hart.idle_steps == 70 - 2


def test_non_retentive_suspend_resumes_where_it_was_told(vm: Vm) -> None:
    csrs = vm.vcpus[0].csrs
    csrs.write(SATP, 8 << 60 | ENTRY >> 12)
    csrs.write(SSTATUS, csrs.read(SSTATUS) | 2)
    assert make_call(vm, sbi.HSM, 3, sbi.SUSPEND_NON_RETENTIVE, ENTRY + 0x80, 99) == (0, 99)
    assert vm.hart.pc == ENTRY + 0x80
    assert (csrs.read(SATP), csrs.read(SSTATUS) & 2) == (0, 0)
    assert vm.vcpus[0].is_waiting


@pytest.mark.parametrize(("kind", "resume", "error"), [
    (1, ENTRY, sbi.ERR_INVALID_PARAM), (0x9000_0000, ENTRY, sbi.ERR_INVALID_PARAM),
    (sbi.SUSPEND_NON_RETENTIVE, 0x4000, sbi.ERR_INVALID_ADDRESS)])
def test_suspend_refuses(vm: Vm, kind: int, resume: int, error: int) -> None:
    assert make_call(vm, sbi.HSM, 3, kind, resume)[0] == error


@pytest.mark.parametrize(("arguments", "detail"), [
    ((0, 0), "SBI shutdown"), ((0, 1), "SBI shutdown after a system failure"),
    ((1, 0), "SBI reboot"), ((2, 0), "SBI reboot")])
def test_system_reset_powers_off(vm: Vm, arguments: tuple[int, int], detail: str) -> None:
    make_call(vm, sbi.SRST, 0, *arguments)
    stop = vm.run(10)
    assert (stop.reason, stop.detail, stop.steps) == (StopReason.POWER_OFF, detail, 1)


@pytest.mark.parametrize("arguments", [(3, 0), (0xF000_0000, 0), (0, 2), (0, 0xE000_0000)])
def test_system_reset_refuses_what_is_reserved(vm: Vm, arguments: tuple[int, int]) -> None:
    assert make_call(vm, sbi.SRST, 0, *arguments)[0] == sbi.ERR_INVALID_PARAM
    assert not vm.is_off


def test_legacy_shutdown(vm: Vm) -> None:
    make_call(vm, sbi.LEGACY_SHUTDOWN)
    assert vm.run(10).reason is StopReason.POWER_OFF


def test_debug_console_writes(vm: Vm) -> None:
    written: list[bytes] = []
    vm.console.output = written.append
    vm.ram.write(ENTRY + 0xFFE, b"straddling")
    assert make_call(vm, sbi.DBCN, 0, 10, ENTRY + 0xFFE, 0) == (sbi.SUCCESS, 10)
    assert make_call(vm, sbi.DBCN, 2, 0x141) == (sbi.SUCCESS, 0)
    make_call(vm, sbi.LEGACY_CONSOLE_PUTCHAR, 0, ord("!"))
    assert b"".join(written) == b"straddlingA!"


def test_debug_console_reads_what_there_is(vm: Vm) -> None:
    assert make_call(vm, sbi.DBCN, 1, 8, ENTRY + 64, 0) == (sbi.SUCCESS, 0)
    vm.console.type(b"abc")
    assert make_call(vm, sbi.DBCN, 1, 2, ENTRY + 64, 0) == (sbi.SUCCESS, 2)
    assert vm.ram.read(ENTRY + 64, 3) == b"ab\0"


@pytest.mark.parametrize("place", [(1, 0x1000_0000, 0), (2, RAM_END - 1, 0), (1, ENTRY, 1), (WORD, ENTRY, 0)])
@pytest.mark.parametrize("function", [0, 1])
def test_debug_console_refuses_what_is_not_ram(vm: Vm, place: tuple[int, int, int], function: int) -> None:
    vm.console.type(b"abc")
    assert make_call(vm, sbi.DBCN, function, *place)[0] == sbi.ERR_INVALID_PARAM
    assert vm.console.waiting == 3


def test_a_debug_console_read_breaks_a_reservation_on_its_bytes(vm: Vm) -> None:
    vm.console.type(b"abcd")
    vm.vcpus[0].reservation = ENTRY + 72
    make_call(vm, sbi.DBCN, 1, 2, ENTRY + 64, 0)
    assert vm.vcpus[0].reservation == ENTRY + 72
    make_call(vm, sbi.DBCN, 1, 2, ENTRY + 76, 0)
    assert vm.vcpus[0].reservation == -1
