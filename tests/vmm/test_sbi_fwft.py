"""SBI FWFT: features that are there, absent, denied or locked; and A and D bits that the guest's hart sets by itself,
the same under every technique, whoever walks the guest's tables."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.extensions import without
from hartvisor.core.isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from hartvisor.core.machine.machine import QUANTUM
from hartvisor.core.vmm import sbi_numbers as sbi
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.vm import Vm

from .support import COUNTING_HANDLER, ENTRY, assert_equivalent, make_call, start

SET, GET = 0, 1
AD = sbi.PTE_AD_HW_UPDATING


@pytest.fixture
def vm() -> Vm:
    """A VM whose guest has asked for nothing yet."""
    return start("ecall", "shadow", vcpus=2)


def fwft(vm: Vm, function: int, *arguments: int, vcpu: int = 0) -> tuple[int, int]:
    """A call to FWFT."""
    return make_call(vm, sbi.FWFT, function, *arguments, vcpu=vcpu)


def test_ad_updating_is_off_until_it_is_turned_on_for_one_hart(vm: Vm) -> None:
    assert fwft(vm, GET, AD) == (sbi.SUCCESS, 0)
    assert fwft(vm, SET, AD, 1, 0)[0] == sbi.SUCCESS
    assert fwft(vm, GET, AD) == (sbi.SUCCESS, 1)
    assert fwft(vm, GET, AD, vcpu=1) == (sbi.SUCCESS, 0), "it is local"
    assert fwft(vm, SET, AD, 0, 0)[0] == sbi.SUCCESS
    assert fwft(vm, GET, AD) == (sbi.SUCCESS, 0)


def test_a_locked_feature_keeps_its_value_until_the_hart_is_reset(vm: Vm) -> None:
    assert fwft(vm, SET, AD, 1, sbi.FEATURE_LOCK, vcpu=1)[0] == sbi.SUCCESS
    assert fwft(vm, SET, AD, 0, 0, vcpu=1)[0] == sbi.ERR_DENIED_LOCKED
    assert fwft(vm, SET, AD, 1, 0, vcpu=1)[0] == sbi.SUCCESS, "the requested value matches the existing value"
    assert fwft(vm, GET, AD, vcpu=1) == (sbi.SUCCESS, 1)
    make_call(vm, sbi.HSM, 1, vcpu=1)
    assert make_call(vm, sbi.HSM, 0, 1, ENTRY, 0)[0] == sbi.SUCCESS
    assert fwft(vm, GET, AD, vcpu=1) == (sbi.SUCCESS, 0)
    assert fwft(vm, SET, AD, 1, 0, vcpu=1)[0] == sbi.SUCCESS


@pytest.mark.parametrize(("value", "flags"), [(2, 0), (1 << 63, 0), (1, 2), (1, 1 << 63)])
@pytest.mark.parametrize("feature", [AD, sbi.MISALIGNED_EXC_DELEG])
def test_values_and_flags_that_mean_nothing_are_invalid(vm: Vm, feature: int, value: int, flags: int) -> None:
    assert fwft(vm, SET, feature, value, flags)[0] == sbi.ERR_INVALID_PARAM


def test_misaligned_exceptions_are_the_guests_and_stay_so(vm: Vm) -> None:
    assert fwft(vm, GET, sbi.MISALIGNED_EXC_DELEG) == (sbi.SUCCESS, 1)
    assert fwft(vm, SET, sbi.MISALIGNED_EXC_DELEG, 1, 0)[0] == sbi.SUCCESS
    assert fwft(vm, SET, sbi.MISALIGNED_EXC_DELEG, 0, 0)[0] == sbi.ERR_DENIED


@pytest.mark.parametrize("feature", [sbi.LANDING_PAD, sbi.SHADOW_STACK, sbi.DOUBLE_TRAP, sbi.POINTER_MASKING_PMLEN])
def test_what_the_hart_does_not_have_is_not_supported(vm: Vm, feature: int) -> None:
    assert fwft(vm, SET, feature, 1, 0)[0] == fwft(vm, GET, feature)[0] == sbi.ERR_NOT_SUPPORTED


@pytest.mark.parametrize("feature", [6, 0x3FFF_FFFF, 0x4000_0000, 0x8000_0000, 0xC000_0000])
def test_reserved_and_platform_features_are_denied(vm: Vm, feature: int) -> None:
    assert fwft(vm, SET, feature, 1, 0)[0] == fwft(vm, GET, feature)[0] == sbi.ERR_DENIED


def test_a_feature_is_a_number_of_32_bits(vm: Vm) -> None:
    assert fwft(vm, GET, 1 << 32 | AD) == (sbi.SUCCESS, 0)


@pytest.mark.parametrize("technique", COMPARED)
def test_without_svadu_nothing_updates_a_and_d(technique: str) -> None:
    vm = start("ecall", technique, isa=without(GUEST_ISA, "Svadu"))
    assert fwft(vm, SET, AD, 1, 0)[0] == fwft(vm, GET, AD)[0] == sbi.ERR_NOT_SUPPORTED


# --- A and D

ROOT, MIDDLE, LEAVES = (ENTRY + 0x10_0000 + 0x1000 * i for i in range(3))
DATA = ENTRY + 0x11_0000
PAGES = 0x4000_0000
LEFT = PTE_V | PTE_R | PTE_W
FLAGS = (LEFT, LEFT, LEFT | PTE_A, LEFT, LEFT | PTE_X, LEFT, LEFT, LEFT, LEFT | PTE_U, LEFT)
"""Of the pages from PAGES on. What happens to each: load, store, store, AMO, fetch, no access, a store that straddles
it and the next, that next, a load of a user's page without SUM, a device's load."""
UART = 0x1000_0000

_TABLES = "\n".join(
    f"li t0, {LEAVES + 8 * i:#x}\nli t1, {(UART if i == 9 else DATA + 0x1000 * i) >> 2 | flags:#x}\nsd t1, 0(t0)"
    for i, flags in enumerate(FLAGS))

_UPDATES = f"""
    la t0, handler
    csrw stvec, t0
    li t0, {ROOT + 16:#x}       # RAM, by a gigapage
    li t1, {0x8000_0000 >> 2 | LEFT | PTE_X | PTE_A | PTE_D:#x}
    sd t1, 0(t0)
    li t0, {ROOT + 8:#x}
    li t1, {MIDDLE >> 2 | PTE_V:#x}
    sd t1, 0(t0)
    li t0, {MIDDLE:#x}
    li t1, {LEAVES >> 2 | PTE_V:#x}
    sd t1, 0(t0)
    {_TABLES}
    li t0, {DATA + 0x4000:#x}
    li t1, 0x00008067           # ret
    sw t1, 0(t0)
    li a7, {sbi.FWFT:#x}
    li a6, 0
    li a0, {AD}
    li a1, {{value}}
    li a2, 0
    ecall
    li t0, {8 << 60 | ROOT >> 12:#x}
    csrw satp, t0
    sfence.vma
    li t1, {PAGES:#x}
    li t2, 0x1000
    li t4, {LEAVES:#x}
    lr.d t6, (t4)               # its own updates do not break a reservation
    lw a3, 0(t1)
    ld a4, 0(t4)
    sc.d s3, t6, (t4)
    add t1, t1, t2
    sw t1, 0(t1)
    add t1, t1, t2
    sw t1, 0(t1)
    add t1, t1, t2
    amoadd.w a3, t2, (t1)
    add t1, t1, t2
    jalr ra, t1, 0
    add t1, t1, t2
    add t1, t1, t2
    li t5, 0xffc
    add t5, t5, t1
    sd t5, 0(t5)
    add t1, t1, t2
    add t1, t1, t2
    lw a3, 0(t1)
    add t1, t1, t2
    lbu a3, 5(t1)
    ld t0, 0(t4)                # software takes A away from the first page: the next load sets it again
    andi t0, t0, -65
    sd t0, 0(t4)
    li t1, {PAGES:#x}
    lw a3, 8(t1)
1:  j 1b
""" + COUNTING_HANDLER


@pytest.mark.parametrize("stride", [1, 23])
def test_the_hart_sets_a_and_d_alike_under_every_technique(stride: int) -> None:
    vms = assert_equivalent(_UPDATES.replace("{value}", "1"), 220, stride)
    for vm in vms:
        assert [vm.ram.load(LEAVES + 8 * i, 8) & 0xFF for i in range(len(FLAGS))] == [
            LEFT | PTE_A, LEFT | PTE_A | PTE_D, LEFT | PTE_A | PTE_D, LEFT | PTE_A | PTE_D, LEFT | PTE_X | PTE_A, LEFT,
            LEFT | PTE_A | PTE_D, LEFT | PTE_A | PTE_D, LEFT | PTE_U, LEFT | PTE_A]
        assert vm.hart.read_gpr(8) == 1, "the user's page alone faults"
        assert vm.hart.read_gpr(19) == 0, "the hart's own update left its reservation alone"


def test_while_it_is_off_the_guest_is_told_by_page_faults() -> None:
    vms = assert_equivalent(_UPDATES.replace("{value}", "0"), 220)
    for vm in vms:
        assert [vm.ram.load(LEAVES + 8 * i, 8) & 0xFF for i in range(len(FLAGS))] == list(FLAGS)
        assert vm.hart.read_gpr(8) > 5


_OTHERS = f"""
    bnez a0, second
    li t0, {ROOT + 16:#x}
    li t1, {0x8000_0000 >> 2 | LEFT | PTE_X | PTE_A | PTE_D:#x}
    sd t1, 0(t0)
    li t0, {ROOT + 8:#x}
    li t1, {MIDDLE >> 2 | PTE_V:#x}
    sd t1, 0(t0)
    li t0, {MIDDLE:#x}
    li t1, {LEAVES >> 2 | PTE_V:#x}
    sd t1, 0(t0)
    li t4, {LEAVES:#x}
    li t1, {DATA >> 2 | LEFT:#x}
    sd t1, 0(t4)
    li a7, {sbi.HSM:#x}
    li a6, 0
    li a0, 1
    la a1, second
    ecall
    lr.d t6, (t4)
    li t0, {QUANTUM}            # the other vCPU gets its turn
1:  addi t0, t0, -1
    bnez t0, 1b
    sc.d s3, t6, (t4)
2:  j 2b
second:
    li a7, {sbi.FWFT:#x}
    li a6, 0
    li a0, {AD}
    li a1, {{value}}
    li a2, 0
    ecall
    la t0, 3f
    csrw stvec, t0
    li t0, {8 << 60 | ROOT >> 12:#x}
    csrw satp, t0
    li t1, {PAGES:#x}
    sw t1, 0(t1)
    .align 2
3:  j 3b
"""


@pytest.mark.parametrize("value", [1, 0])
def test_another_harts_update_is_a_store_that_breaks_a_reservation(value: int) -> None:
    vms = assert_equivalent(_OTHERS.replace("{value}", str(value)), 6 * QUANTUM, QUANTUM // 7, vcpus=2)
    assert {vm.ram.load(LEAVES, 8) & 0xFF for vm in vms} == {LEFT | (PTE_A | PTE_D if value else 0)}
    assert {vm.harts[0].read_gpr(19) for vm in vms} == {value}
