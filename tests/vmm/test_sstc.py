"""A guest's own timer compare (Sstc), and its Svinval: the same under every technique."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.extensions import close, without
from hartvisor.core.vmm.guest_isa import GUEST_ISA

from .support import COUNTING_HANDLER, assert_equivalent

WITH_SSTC = close({*GUEST_ISA, "Sstc"})

_TIMER = """
    la t0, handler
    csrw stvec, t0
    li t0, 1 << 5
    csrs sie, t0
    csrr s2, stimecmp
    li a0, {first}
    csrrw s3, stimecmp, a0
    csrr s4, sip
    csrsi sstatus, 2
    la t0, user
    csrw sepc, t0
    {wait}
    sret
user:
    csrr a0, stimecmp
    rdcycle a0
1:  addi s1, s1, 1
    j 1b
    .align 2
handler:
    csrr t0, scause
    bgez t0, skip
    csrr s5, time
    csrr t1, stimecmp
    addi t1, t1, 7
    csrw stimecmp, t1
    addi s0, s0, 1
    csrr s6, sip
    andi t2, s0, 3
    bnez t2, 2f
    li a7, 0x54494d45           # SBI sets the same timer
    li a6, 0
    addi a0, t1, 3
    ecall
    csrr s7, stimecmp
2:  sret
skip:
    csrr t1, sepc
    addi t1, t1, 4
    csrw sepc, t1
    addi s8, s8, 1
    sret
"""


@pytest.mark.parametrize("first", [0, 3, 11, 40])
@pytest.mark.parametrize("wait", ["nop", "wfi"])
@pytest.mark.parametrize("stride", [1, 37])
def test_timer_is_alike_under_every_technique(first: int, wait: str, stride: int) -> None:
    vms = assert_equivalent(_TIMER.format(first=first, wait=wait), 1200, stride, isa=WITH_SSTC)
    assert all(vm.hart.read_gpr(8) > 3 for vm in vms)
    assert [vm.hart.read_gpr(18) for vm in vms] == [(1 << 64) - 1] * 4


def test_without_it_stimecmp_is_illegal_under_every_technique() -> None:
    vms = assert_equivalent(_TIMER.format(first=3, wait="nop"), 300)
    assert all(vm.hart.read_gpr(24) >= 3 for vm in vms)


_FENCES = """
    la t0, handler
    csrw stvec, t0
    sfence.w.inval
    sinval.vma x0, x0
    sinval.vma t0, x0
    sfence.inval.ir
    hinval.vvma
    la t0, user
    csrw sepc, t0
    sret
user:
    sfence.w.inval
    sinval.vma x0, x0
    sfence.inval.ir
1:  j 1b
""" + COUNTING_HANDLER


def test_svinval_is_alike_under_every_technique() -> None:
    vms = assert_equivalent(_FENCES.replace("hinval.vvma", "hinval.vvma x0, x0"), 90)
    assert [vm.hart.read_gpr(8) for vm in vms] == [4] * 4


def test_svinval_hidden_from_a_deprivileged_guest_is_illegal() -> None:
    isa = without(GUEST_ISA, "Svinval")
    source = _FENCES.replace("hinval.vvma", "hinval.vvma x0, x0")
    vms = assert_equivalent(source, 120, isa=isa, techniques=("bare", "deprivileged"))
    assert [vm.hart.read_gpr(8) for vm in vms] == [8] * 2
