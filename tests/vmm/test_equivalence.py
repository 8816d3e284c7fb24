"""The point of it all: under every technique, a guest that could look would see the same."""

from __future__ import annotations

import pytest

from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.guest import image, images

from .programs import program
from .support import assert_equivalent

TYPED = b"what the guest may read " * 8


@pytest.mark.parametrize("seed", range(16))
def test_random_kernels_every_few_steps(seed: int) -> None:
    assert_equivalent(program(seed), 1500, 3, typed=TYPED)


@pytest.mark.parametrize("seed", range(100, 104))
def test_random_kernels_every_step(seed: int) -> None:
    assert_equivalent(program(seed), 600, 1, typed=TYPED)


@pytest.mark.parametrize("seed", range(200, 210))
def test_fenced_random_kernels_under_the_flush_policy(seed: int) -> None:
    assert_equivalent(program(seed, is_fenced=True), 1500, 5, policy="flush", typed=TYPED)


@pytest.mark.parametrize("name", [info.name for info in images() if not info.name.startswith("kernel")])
def test_tiny_guests(name: str) -> None:
    assert_equivalent(load_image(image(name)), 60_000, 997, typed=b"x")


@pytest.mark.parametrize("policy", ["cached", "flush"])
def test_page_table_churn_under_both_policies(policy: str) -> None:
    techniques = ("bare", "deprivileged", "shadow")
    assert_equivalent(load_image(image("churn")), 200_000, 9_973, policy=policy, techniques=techniques)


COUNTERS = """
    rdcycle a0
    rdinstret a1
    rdtime a2
    la t0, handler
    csrw stvec, t0
    ecall           # SBI base
    rdcycle a3
    rdinstret a4
    .word 0         # a trap is a cycle, but no instruction
    rdcycle a5
    rdinstret s2
    li t0, 5
    csrw scounteren, t0
    la t0, user
    csrw sepc, t0
    sret
user:
    rdcycle s3
    rdtime s4       # not enabled for the user: traps
    rdinstret s5
    j .
handler:
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    csrr s6, scause
    csrr s7, stval
    sret
"""


def test_counters_count_the_same_everywhere() -> None:
    vms = assert_equivalent(COUNTERS.replace(".word 0 ", ".word 0xffffffff "), 60)
    hart = vms[0].hart
    assert hart.read_gpr(15) - hart.read_gpr(13) == hart.read_gpr(18) - hart.read_gpr(14) + 1


FULL_CIRCLE = """
    la t0, handler
    csrw stvec, t0
    li a7, 0x54494D45
    li a6, 0
    li a0, 20
    ecall
    li t0, 0x222
    csrw sie, t0
    csrsi sip, 2
    csrsi sstatus, 2    # SSI is pending, STI comes at step 200
loop:
    wfi
    j loop
    .align 2
handler:
    csrr s1, scause
    slli s2, s2, 4
    andi s3, s1, 15
    or s2, s2, s3
    csrci sip, 2
    addi s3, s3, -5
    bnez s3, return
    csrw sie, s3
return:
    sret
"""


def test_interrupts_are_taken_at_the_same_steps() -> None:
    vms = assert_equivalent(FULL_CIRCLE, 2000)
    assert vms[0].hart.read_gpr(18) == 0x15
    assert 200 < vms[0].steps < 220


STRADDLING_PT_WRITE = """
    li s0, 0x80300000           # root
    li t0, 0x200000cf           # 1 GiB of RAM
    sd t0, 16(s0)
    li t0, 0x200c0401           # middle table 0x80301000
    sd t0, 8(s0)
    li t0, 0x200c0801           # leaves 0x80302000
    li t1, 0x80301000
    sd t0, 0(t1)
    li t1, 0x80302000
    li t0, 0x200c08c7           # alias 0: the leaf table itself, writable
    sd t0, 0(t1)
    li t0, 0x200c0cc7           # alias 1: 0x80303000, data
    sd t0, 8(t1)
    li t0, {satp}
    csrw satp, t0
    la t0, handler
    csrw stvec, t0
    li s1, 0x40000ffd
    li s2, 0x1122334455667788
    ld a0, 0(s1)
    sd s2, 0(s1)                # the last three bytes of a table, and five of data
    ld a1, 0(s1)
    li s3, 0x40001ffd
    sd s2, 0(s3)                # into a page that is not mapped: nothing may be written
    ld a2, -8(s3)
    sd zero, 8(t1)              # unmap alias 1, without a fence
    ld a3, 0(s1)
    amoswap.d a4, s2, (t1)      # destroy alias 0's own entry
    ld a5, -5(s1)
    j .
    .align 2
handler:
    csrr s4, scause
    csrr s5, stval
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
"""


def test_stores_to_guarded_tables_of_every_shape() -> None:
    vms = assert_equivalent(STRADDLING_PT_WRITE.format(satp=hex(8 << 60 | 0x80300)), 200)
    assert vms[COMPARED.index("shadow")].vcpus[0].technique.pager_stats is not None


def test_a_store_from_a_guarded_table_into_nothing_reports_the_page_that_is_missing() -> None:
    """It exits at its first page, which the hypervisor guards; the guest's fault is at the second, and nothing is
    written."""
    source = STRADDLING_PT_WRITE.format(satp=hex(8 << 60 | 0x80300))
    atomic = "    amoswap.d a4, s2, (t1)"
    source = source.replace(atomic, "    sd zero, 0(s1)\n    mv s6, s4\n    mv s7, s5\n" + atomic)
    for vm in assert_equivalent(source, 200):
        assert (vm.hart.read_gpr(22), vm.hart.read_gpr(23)) == (15, 0x4000_1000)
        assert vm.ram.read(0x8030_2FFD, 3) == bytes.fromhex("887766")


RESERVATION_AT_A_PAGES_END = """
    li t0, 0x80300ffc
    sw t0, 0(t0)
    lr.w a0, (t0)
    li t1, 0x80308000
    sw t1, 0(t1)                # the first touch of a frame: the hypervisor zeroes one behind ours
    sc.w a1, a0, (t0)
    j .
"""


def test_a_reservation_survives_what_the_hypervisor_does_to_the_next_frame() -> None:
    vms = assert_equivalent(RESERVATION_AT_A_PAGES_END, 20)
    assert vms[0].hart.read_gpr(11) == 0


INTERRUPT_AFTER_LR = """
    la t0, handler
    csrw stvec, t0
    csrsi sie, 2
    li t0, 0x80300000
    lr.d a0, (t0)
    csrsi sip, 2
    csrsi sstatus, 2        # the interrupt comes here, and takes the reservation
    j .
    .align 2
handler:
    sc.d a1, t0, (t0)
    j .
"""


def test_an_interrupt_breaks_the_reservation() -> None:
    vms = assert_equivalent(INTERRUPT_AFTER_LR, 16)
    assert vms[0].hart.read_gpr(11) == 1
