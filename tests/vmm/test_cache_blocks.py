"""Cache-block instructions and compare-and-swap in a guest: the same under every technique, by senvcfg's gates."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.extensions import without
from hartvisor.core.vmm.guest_isa import GUEST_ISA

from .support import COUNTING_HANDLER, assert_equivalent

_SOURCE = """
    la t0, handler
    csrw stvec, t0
    la s3, data
    li t1, {senvcfg}
    csrw senvcfg, t1
    csrr s4, senvcfg
    {body}
    la t0, user
    csrw sepc, t0
    csrr s5, senvcfg
    sret
user:
    {body}
    ecall
1:  j 1b
""" + COUNTING_HANDLER + """    .align 6
data:
    .dword 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""
_BODY = """
    cbo.inval (s3)
    cbo.clean (s3)
    cbo.flush (s3)
    sd s3, 8(s3)
    cbo.zero (s3)
    ld a1, 8(s3)
    li a2, 0
    amocas.d a2, s3, (s3)
    amocas.q a4, a2, (s3)
    li t2, 0x10000000
    cbo.zero (t2)
    cbo.clean (t2)
    amocas.w a2, a2, (t2)
    prefetch.w 0(zero)
    wrs.nto
"""


@pytest.mark.parametrize("senvcfg", [0, 0x10, 0x20, 0x30, 0x40, 0x80, 0xF1])
def test_alike_under_every_technique(senvcfg: int) -> None:
    vms = assert_equivalent(_SOURCE.format(senvcfg=senvcfg, body=_BODY), 200)
    closed = (senvcfg & 0x30 in (0, 0x20)) + 2 * (not senvcfg & 0x40) + (not senvcfg & 0x80)
    at_the_device = 2 * 3
    assert [vm.hart.read_gpr(8) for vm in vms] == [at_the_device + closed + 1] * 4


@pytest.mark.parametrize(("hidden", "senvcfg"), [
    (("Zicbom", "Zicboz"), 1), (("Zicbom",), 0x81), (("Zicboz",), 0x71),
])
def test_hidden_as_on_a_bare_machine_without(hidden: tuple[str, ...], senvcfg: int) -> None:
    isa = without(GUEST_ISA, *hidden)
    vms = assert_equivalent(_SOURCE.format(senvcfg=0xF1, body=_BODY), 250, isa=isa)
    assert [vm.hart.read_gpr(20) for vm in vms] == [senvcfg] * 4


_PAGED = """
    la t0, handler
    csrw stvec, t0
    la t3, root
    li t1, 0x200000cf           # the gigabyte at 0x80000000 to itself
    sd t1, 16(t3)
    la t2, middle
    srli t2, t2, 2
    ori t2, t2, 1
    sd t2, 0(t3)
    la t4, middle
    la t2, leaf
    srli t2, t2, 2
    ori t2, t2, 1
    sd t2, 0(t4)
    la t4, leaf
    la t2, data
    srli t2, t2, 2
    ori t5, t2, {flags}
    sd t5, 8(t4)
    la t2, middle               # a page-table page, writable under its own address
    srli t2, t2, 2
    ori t5, t2, 0xc7
    sd t5, 16(t4)
    li t5, 0x04000000 | 0xc7    # the serial port
    sd t5, 24(t4)
    srli t3, t3, 12
    li t1, 8 << 60
    or t3, t3, t1
    csrw satp, t3
    sfence.vma
    li a0, 0x1008
    {body}
    li a0, 0x2fc8
    {body}
    li a0, 0x2008
    li a1, 1
    amocas.d a1, a1, (a0)
    li a0, 0x3000
    {body}
    li a0, 0x4000
    {body}
1:  j 1b
""" + COUNTING_HANDLER + """    .align 12
root:   .space 4096
middle: .space 4096
leaf:   .space 4096
data:   .space 4096
"""


@pytest.mark.parametrize("flags", [0xC7, 0x47, 0x43, 0x03, 0x49, 0x00, 0x87])
@pytest.mark.parametrize("policy", ["cached", "flush"])
def test_permissions_are_the_guests_own_tables(flags: int, policy: str) -> None:
    body = "cbo.clean (a0)\ncbo.zero (a0)\ncbo.inval (a0)\namocas.q a2, a4, (a0)"
    assert_equivalent(_PAGED.format(flags=flags, body=body), 260, policy=policy)
