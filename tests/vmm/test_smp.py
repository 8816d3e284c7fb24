"""Several vCPUs: started by HSM, told things by IPIs and remote fences, contending for memory; the same under every
technique, however the run is cut into budgets."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.machine import QUANTUM
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import labelled
from hartvisor.core.vmm.stop import StopReason

from .support import ENTRY, assert_equivalent, start

SBI = """
    .equ HSM, 0x48534d
    .equ IPI, 0x735049
    .equ RFENCE, 0x52464e43
    .equ SRST, 0x53525354
    .equ COUNT, 0x80300000
    .equ FLAG, 0x80300100
    .equ SEEN, 0x80300200
    .equ ROOT, 0x80310000
    .equ MIDDLE, 0x80311000
    .equ LEAVES, 0x80312000
    .equ ONE, 0x80320000
    .equ OTHER, 0x80321000
"""
POWER_OFF = """
    li a7, SRST
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
"""
START_NEXT = """
    li a7, HSM
    li a6, 0
    addi a0, s0, 1
    la a1, start
    li a2, 77
    ecall
"""
# Each vCPU starts the next, and adds to the same word, by AMO and by LR/SC.
CONTEND = SBI + """
start:
    mv s0, a0
""" + START_NEXT + """
    mv s2, a0
    li s1, 4000
    li t0, COUNT
add:
    li t1, 1
    amoadd.d t2, t1, (t0)
    addi t3, t0, 8
again:
    lr.d t2, (t3)
    addi t2, t2, 1
    sc.d t4, t2, (t3)
    bnez t4, again
    addi s1, s1, -1
    bnez s1, add
    li t5, FLAG
    amoadd.d t2, t1, (t5)
    bnez s0, stop
wait:
    ld t2, 0(t5)
    li t3, 4
    bne t2, t3, wait
""" + POWER_OFF + """
stop:
    li a7, HSM
    li a6, 1
    ecall
"""
# The second vCPU reads a page through its own tables until what it finds there is another; the first sleeps until the
# second asks it by an IPI to change the table, and does so behind its back, with a remote fence.
REMAP = SBI + """
start:
    mv s0, a0
    bnez s0, second
    li t0, FLAG             # so that no G-stage fill, which fences, comes later
    sd zero, 0(t0)
    li t0, ROOT
    li t1, 0x200000cf       # RAM, one gigapage: 0x80000000 >> 2, DAXWRV
    sd t1, 16(t0)
    li t1, 0x200c4401       # MIDDLE >> 2, V
    sd t1, 8(t0)
    li t0, MIDDLE
    li t1, 0x200c4801       # LEAVES >> 2, V
    sd t1, 0(t0)
    li t0, LEAVES + 8
    li t1, 0x200c80c7       # ONE >> 2, DAWRV
    sd t1, 0(t0)
    li t0, ONE
    li t1, 111
    sd t1, 0(t0)
    li t0, OTHER
    li t1, 222
    sd t1, 0(t0)
""" + START_NEXT + """
    csrwi sie, 2
sleep:
    wfi
    csrr t0, sip
    andi t0, t0, 2
    beqz t0, sleep
    csrci sip, 2
    li t0, LEAVES + 8
    li t1, 0x200c84c7       # OTHER >> 2, DAWRV
    sd t1, 0(t0)
    li a7, RFENCE
    li a6, 1
    li a0, 2
    li a1, 0
    li a2, 0
    li a3, -1
    ecall
    li t5, FLAG
wait:
    ld t2, 0(t5)
    beqz t2, wait
""" + POWER_OFF + """
second:
    li t0, 0x8000000000080310
    csrw satp, t0
    sfence.vma
    li t0, 0x40001000       # not a page whose translation shares its place with the code's
    ld s3, 0(t0)
    li a7, IPI
    li a6, 0
    li a0, 1
    li a1, 0
    ecall
look:
    ld s4, 0(t0)
    beq s3, s4, look
    li t5, FLAG
    li t1, 1
    sd t1, 0(t5)
    wfi
    j second
"""


def test_vcpus_contend_for_a_word() -> None:
    vms = assert_equivalent(CONTEND, 2_000_000, 30_011, vcpus=4)
    for vm in vms:
        assert [vm.ram.load(0x8030_0000 + at, 8) for at in (0, 8)] == [16_000, 16_000]
        assert vm.is_off


def test_a_page_is_remapped_behind_another_vcpus_back() -> None:
    vms = assert_equivalent(REMAP, 2_000_000, 1_009, vcpus=2)
    for vm in vms:
        assert [vm.harts[1].read_gpr(number) for number in (19, 20)] == [111, 222]
        assert vm.is_off


@pytest.mark.parametrize("technique", COMPARED)
@pytest.mark.parametrize("function", [1, 2, 0])
def test_a_remote_fence_is_what_a_vcpu_with_stale_translations_waits_for(technique: str, function: int) -> None:
    """FENCE.I (0) in its place leaves a hart that keeps translations with the old page; shadow tables follow stores."""
    vm = start(REMAP.replace("li a6, 1\n    li a0, 2\n", f"li a6, {function}\n    li a0, 2\n    li a4, 0\n"), technique,
               vcpus=2, tlb="stale")
    vm.run(1_000_000)
    sees_it = function > 0 or technique in ("deprivileged", "shadow")
    assert vm.harts[1].read_gpr(20) == (222 if sees_it else 111)
    assert vm.is_off == sees_it


def test_a_wfi_that_finds_an_interrupt_exits_only_where_wfi_traps() -> None:
    """What sleeps is counted alike; a WFI that retires at once is the hart's own business, if it lets it through."""
    text = """
start:
    mv s0, a0
    csrwi sie, 2
    bnez s0, second
""" + START_NEXT + """
    wfi                     # sleeps until the second vCPU's IPI
    wfi                     # finds it still pending
    wfi
""" + POWER_OFF + """
second:
    li a7, IPI
    li a6, 0
    li a0, 1
    li a1, 0
    ecall
1:  j 1b
"""
    vms = assert_equivalent(SBI + text, 200_000, 1_009, vcpus=2)
    exits = dict(zip(COMPARED, (labelled(vm.exits)["wfi"] for vm in vms), strict=True))
    assert exits == {"bare": 1, "deprivileged": 3, "shadow": 3, "two-stage": 3}


@pytest.mark.parametrize("technique", COMPARED)
def test_cutting_a_run_changes_nothing(technique: str) -> None:
    whole, cut = start(CONTEND, technique, vcpus=3), start(CONTEND, technique, vcpus=3)
    whole.run(5 * QUANTUM)
    while cut.steps < 5 * QUANTUM:
        cut.run(min(777, 5 * QUANTUM - cut.steps))
    assert digest(whole) == digest(cut)


def test_vcpus_take_turns_of_equal_length() -> None:
    vm = start(CONTEND, "two-stage", vcpus=2)
    vm.run(2 * QUANTUM)
    assert [hart.steps for hart in vm.harts] == [QUANTUM, QUANTUM]


def test_a_vm_whose_vcpus_all_sleep_is_asleep() -> None:
    vm = start("start:\n wfi\n j start", "shadow", vcpus=2)
    stop = vm.run(100 * QUANTUM)
    assert (stop.reason, vm.harts[0].pc) == (StopReason.ASLEEP, ENTRY + 4)


@pytest.mark.parametrize("vcpus", [0, 5])
def test_a_vm_has_one_to_four(vcpus: int) -> None:
    with pytest.raises(ConfigError, match=f"{vcpus} vCPUs: a VM has 1 to 4"):
        VmConfig(vcpus=vcpus)
