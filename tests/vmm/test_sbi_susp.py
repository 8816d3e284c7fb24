"""SBI SUSP and HSM's suspended harts: asleep until an enabled interrupt, awake where they asked to be."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.causes import SSI, STI
from hartvisor.core.machine.machine import QUANTUM
from hartvisor.core.vmm import sbi_numbers as sbi
from hartvisor.core.vmm.csr_file import SIE
from hartvisor.core.vmm.stop import StopReason

from .support import ENTRY, assert_equivalent, make_call, start

_SUSPENDS = f"""
    li t0, {1 << STI}
    csrw sie, t0
    csrsi sstatus, 2
    la t0, trapped
    csrw stvec, t0
    li a7, {sbi.TIME:#x}
    li a6, 0
    li a0, 50
    ecall
    li a7, {sbi.SUSP:#x}
    li a6, 0
    li a0, 0
    la a1, resumed
    li a2, 0x55
    ecall
    j trapped
resumed:
    mv s2, a0
    mv s3, a1
    csrr s4, sstatus
    csrr s5, satp
    csrr s6, sip
    rdtime s7
1:  j 1b
    .align 2
trapped:
    li s8, 1
    j trapped
"""


@pytest.mark.parametrize("stride", [1, 37])
def test_a_timer_wakes_the_system_where_it_asked_to_resume(stride: int) -> None:
    vms = assert_equivalent(_SUSPENDS, 540, stride)
    for vm in vms:
        hart = vm.hart
        assert [hart.read_gpr(register) for register in (18, 19, 21, 24)] == [0, 0x55, 0, 0]
        assert not hart.read_gpr(20) & 2, "sstatus.SIE"
        assert hart.read_gpr(22) >> STI & 1
        assert hart.read_gpr(23) == 50
        assert hart.idle_steps > 400


def test_an_interrupt_that_is_pending_lets_it_resume_at_once() -> None:
    vm = start("ecall", "deprivileged")
    vm.vcpus[0].csrs.write(SIE, 1 << SSI)
    vm.vcpus[0].csrs.set_pending(SSI, True)
    make_call(vm, sbi.SUSP, 0, 0, ENTRY + 0x80, 7)
    assert not vm.vcpus[0].is_waiting
    assert (vm.hart.pc, vm.hart.read_gpr(11)) == (ENTRY + 0x80, 7)


def test_nothing_that_could_wake_it_is_a_sleep_for_good() -> None:
    vm = start("ecall", "bare")
    make_call(vm, sbi.SUSP, 0, 0, ENTRY, 0)
    assert vm.run(1000).reason is StopReason.ASLEEP


def test_all_other_harts_must_be_stopped() -> None:
    vm = start("ecall", "two-stage", vcpus=2)
    make_call(vm, sbi.HSM, 0, 1, ENTRY, 0)
    assert make_call(vm, sbi.SUSP, 0, 0, ENTRY, 0)[0] == sbi.ERR_DENIED
    make_call(vm, sbi.HSM, 1, vcpu=1)
    make_call(vm, sbi.SUSP, 0, 0, ENTRY, 0)
    assert vm.vcpus[0].is_suspended


@pytest.mark.parametrize(("kind", "resume", "error"), [
    (1, ENTRY, sbi.ERR_INVALID_PARAM), (0x8000_0000, ENTRY, sbi.ERR_INVALID_PARAM),
    (0, 0x4000, sbi.ERR_INVALID_ADDRESS)])
def test_system_suspend_refuses(kind: int, resume: int, error: int) -> None:
    vm = start("ecall", "shadow")
    assert make_call(vm, sbi.SUSP, 0, kind, resume, 0)[0] == error
    assert not vm.vcpus[0].is_waiting


@pytest.mark.parametrize("kind", [sbi.SUSPEND_RETENTIVE, sbi.SUSPEND_NON_RETENTIVE])
def test_others_see_a_hart_suspended_and_about_to_resume(kind: int) -> None:
    vm = start("1: j 1b", "deprivileged", vcpus=2)
    make_call(vm, sbi.HSM, 0, 1, ENTRY, 0)
    vm.vcpus[1].csrs.write(SIE, 1 << SSI)
    make_call(vm, sbi.HSM, 3, kind, ENTRY, 0, vcpu=1)
    assert make_call(vm, sbi.HSM, 2, 1) == (sbi.SUCCESS, sbi.HART_SUSPENDED)
    make_call(vm, sbi.IPI, 0, 2, 0)
    assert make_call(vm, sbi.HSM, 2, 1) == (sbi.SUCCESS, sbi.HART_RESUME_PENDING)
    for hart in vm.harts:
        hart.pc = ENTRY
    vm.run(3 * QUANTUM)
    assert make_call(vm, sbi.HSM, 2, 1) == (sbi.SUCCESS, sbi.HART_STARTED)
