"""What a guest's kernel must not notice when it runs in U-mode: one rule a test, the expected values by hand.

Each guest runs under every technique, step by step, and all must agree; what the registers hold at the end is the
manual's answer, so that all being wrong alike would show too.
"""

from __future__ import annotations

import pytest

from hartvisor.core.isa import causes
from hartvisor.core.vmm.vm import Vm

from .support import COUNTING_HANDLER, assert_equivalent

S0, S1, S2, S3, S4, S5 = 8, 9, 18, 19, 20, 21
SUM, MXR, SPP, FS_INITIAL, FS_DIRTY, SD = 1 << 18, 1 << 19, 1 << 8, 1 << 13, 3 << 13, 1 << 63

# Sv39: RAM's gigapage for the supervisor at its own address; the page at 0x40000000 is whatever `pte` says.
TABLES = """
    la t0, handler
    csrw stvec, t0
    li s11, 0x80300000
    li t0, 0x200000cf
    sd t0, 16(s11)
    li t0, 0x200c0401
    sd t0, 8(s11)
    li s10, 0x80301000
    li t0, 0x200c0801
    sd t0, 0(s10)
    li s10, 0x80302000          # its leaves
    li t0, {pte:#x}
    sd t0, 0(s10)
    li t0, 0x80310000           # the page's content: 7, and code that returns
    li t1, 7
    sd t1, 0(t0)
    li t1, 0x00008067
    sd t1, 8(t0)
    li t0, {satp:#x}
    csrw satp, t0
    li a0, 0x40000000
"""
PAGE = 0x8031_0000 >> 2
SATP = 8 << 60 | 0x80300
V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128

TO_USER = """
    la t0, user
    csrw sepc, t0
    li t0, 0x100
    csrc sstatus, t0
    sret
user:
"""
FINISH = "\n1: j 1b\n" + COUNTING_HANDLER


def run(text: str, steps: int = 80) -> Vm:
    """The guest after so many steps under every technique; the bare one is as good as any."""
    return assert_equivalent(text + FINISH, steps)[0]


def x(vm: Vm, *registers: int) -> tuple[int, ...]:
    """Registers' values."""
    return tuple(vm.hart.read_gpr(register) for register in registers)


@pytest.mark.parametrize("instruction", ["mret", "hlv.w t0, (a0)", "hsv.d t0, (a0)", "hfence.vvma", "hfence.gvma",
                                         "csrr t0, mstatus", "csrr t0, hstatus", "csrw vsatp, t0", "csrr t0, mhartid"])
@pytest.mark.parametrize("mode", ["", TO_USER], ids=["S", "U"])
def test_what_belongs_to_higher_levels_is_illegal(instruction: str, mode: str) -> None:
    vm = run(f"la t0, handler\ncsrw stvec, t0\n{mode}\n{instruction}")
    assert x(vm, S0, S1) == (1, causes.ILLEGAL_INSTRUCTION)


@pytest.mark.parametrize("instruction", ["wfi", "sret", "sfence.vma", "csrr t0, sstatus", "csrw satp, t0",
                                         "sinval.vma x0, x0"])
def test_what_is_the_supervisors_is_illegal_in_the_guests_u_mode(instruction: str) -> None:
    vm = run(f"la t0, handler\ncsrw stvec, t0\n{TO_USER}\n{instruction}")
    assert x(vm, S0, S1) == (1, causes.ILLEGAL_INSTRUCTION)


@pytest.mark.parametrize("mode", ["", TO_USER], ids=["S", "U"])
def test_sfence_vma_with_a_destination_is_illegal(mode: str) -> None:
    vm = run(f"la t0, handler\ncsrw stvec, t0\n{mode}\n.word {0x12000073 | 1 << 7:#x}")
    assert x(vm, S0, S1, S2) == (1, causes.ILLEGAL_INSTRUCTION, 0x12000073 | 1 << 7)


def test_an_ecall_of_a_process_goes_to_its_kernel_and_the_kernels_to_the_firmware() -> None:
    vm = run(f"la t0, handler\ncsrw stvec, t0\nli a7, 0x10\nli a6, 0\necall\nmv s3, a1\n{TO_USER}\necall")
    assert x(vm, S0, S1, S2) == (1, causes.ECALL_FROM_U, 0)
    assert x(vm, S3)[0] == 3 << 24, "the firmware's answer: the SBI's version, 3.0"


@pytest.mark.parametrize(("bit", "flags"), [(SUM, V | R | W | U | A | D), (MXR, V | X | A)])
def test_sum_and_mxr_take_effect_with_no_fence(bit: int, flags: int) -> None:
    source = TABLES.format(pte=PAGE | flags, satp=SATP)
    source += f"li t2, {bit}\nlw s3, (a0)\ncsrs sstatus, t2\nlw s4, (a0)\ncsrc sstatus, t2\nlw s5, (a0)"
    vm = run(source)
    assert x(vm, S0, S1, S2) == (2, causes.LOAD_PAGE_FAULT, 0x4000_0000)
    assert x(vm, S3, S4, S5) == (0, 7, 0)


@pytest.mark.parametrize("status", [0, SUM, SUM | MXR])
def test_the_kernel_never_executes_a_user_page(status: int) -> None:
    source = TABLES.format(pte=PAGE | V | R | X | U | A, satp=SATP)
    source += f"li t2, {status}\ncsrs sstatus, t2\nla t1, 1f\njr 8(a0)"
    handler = COUNTING_HANDLER.replace("csrr t0, sepc\n    addi t0, t0, 4", "mv t0, t1")
    vm = assert_equivalent(source + "\n1: j 1b\n" + handler, 80)[0]
    assert x(vm, S0, S1, S2) == (1, causes.INSTRUCTION_PAGE_FAULT, 0x4000_0008)


def test_a_user_page_and_a_supervisors_are_told_apart_in_either_mode() -> None:
    """Though both are user pages to the machine."""
    source = TABLES.format(pte=PAGE | V | R | W | U | A | D, satp=SATP)
    source = source.replace("csrw satp, t0", f"li t1, {0x8000_0000 >> 2 | 0xDF:#x}\nsd t1, 24(s11)\ncsrw satp, t0")
    source += """
    lw s3, (a0)                 # the user's: not for the supervisor
    la t0, user
    li t1, 0x40000000
    add t0, t0, t1              # RAM again, one gigapage up, as the user's
    csrw sepc, t0
    sret
user:
    lw s4, (a0)
    li a1, 0x80310000
    lw s5, (a1)                 # the supervisor's: not for the user
"""
    vm = run(source)
    assert x(vm, S0, S1, S2) == (2, causes.LOAD_PAGE_FAULT, 0x8031_0000)
    assert x(vm, S3, S4, S5) == (0, 7, 0)


def test_interrupts_wait_for_the_guests_own_enables() -> None:
    """U-mode always has the supervisor's interrupts on; a virtual one waits for sstatus.SIE, or the guest's U-mode."""
    source = "la t0, handler\ncsrw stvec, t0\ncsrsi sie, 2\ncsrsi sip, 2\nnop\nmv s3, s0\n"
    taken = COUNTING_HANDLER.replace("addi t0, t0, 4", "nop").replace("sret", "csrci sip, 2\nsret")
    for enable in ("csrsi sstatus, 2", TO_USER):
        vm = assert_equivalent(f"{source}{enable}\nnop\n1: j 1b\n{taken}", 60)[0]
        assert x(vm, S0, S1, S3) == (1, 1 << 63 | causes.SSI, 0)


@pytest.mark.parametrize("where", [0x4000, 0x4000_0000 >> 2, 1 << 40])
def test_a_gpa_outside_the_memory_map_is_an_access_fault(where: int) -> None:
    source = TABLES.format(pte=where << 10 & (1 << 54) - 1 | V | R | W | X | A | D, satp=SATP)
    vm = run(f"{source}\nlw t0, (a0)\nmv s3, s1\nsw t0, (a0)\nmv s4, s1")
    assert x(vm, S0, S3, S4) == (2, causes.LOAD_ACCESS_FAULT, causes.STORE_ACCESS_FAULT)


def test_a_page_table_outside_the_memory_map_is_an_access_fault_of_the_original_type() -> None:
    source = TABLES.format(pte=0, satp=SATP)
    vm = run(f"{source}\nli t0, {0x4000 >> 2 | V}\nsd t0, 8(s11)\nlw t0, (a0)\nmv s3, s1\nsw t0, (a0)\nmv s4, s1")
    assert x(vm, S0, S3, S4) == (2, causes.LOAD_ACCESS_FAULT, causes.STORE_ACCESS_FAULT)


def test_a_and_d_bits_are_the_kernels_to_set() -> None:
    """Svade: the first access, and the first store, fault; the hypervisor sets nothing in the guest's tables."""
    source = TABLES.format(pte=PAGE | V | R | W, satp=SATP)
    source += f"lw t0, (a0)\nmv s3, s1\nli t0, {PAGE | V | R | W | A}\nsd t0, (s10)\n" \
        "lw s4, (a0)\nsw t0, (a0)\nld s5, (s10)"
    vm = run(source)
    assert x(vm, S0, S1, S3, S4) == (2, causes.STORE_PAGE_FAULT, causes.LOAD_PAGE_FAULT, 7)
    assert x(vm, S5)[0] == PAGE | V | R | W | A


def test_an_address_space_whose_root_is_reused_is_a_new_one() -> None:
    """Bare, then the same root with other content: nothing of the old one is left, though there was no fence."""
    source = TABLES.format(pte=PAGE | V | R | W | A | D, satp=SATP)
    source += f"""
    lw s3, (a0)
    csrw satp, zero
    sd zero, 8(s11)             # freed: the page is data now
    li t0, 0x200c0c01           # and a root again, with other tables below
    sd t0, 8(s11)
    li t1, 0x80303000
    li t0, {0x8030_4000 >> 2 | V}
    sd t0, 0(t1)
    li t1, 0x80304000
    li t0, {0x8030_5000 >> 2 | V | R | W | A | D}
    sd t0, 0(t1)
    li t1, 0x80305000
    li t0, 9
    sd t0, 0(t1)
    li t0, {SATP:#x}
    csrw satp, t0
    lw s4, (a0)
"""
    assert x(run(source), S0, S3, S4) == (0, 7, 9)


def test_an_entry_that_becomes_valid_needs_no_fence_here() -> None:
    """Hardware may cache invalid entries; this hart and its shadow tables do not."""
    source = TABLES.format(pte=0, satp=SATP)
    source += f"lw s3, (a0)\nli t0, {PAGE | V | R | A}\nsd t0, (s10)\nlw s4, (a0)"
    assert x(run(source), S0, S1, S3, S4) == (1, causes.LOAD_PAGE_FAULT, 0, 7)


def test_fs_is_the_guests_and_becomes_dirty() -> None:
    """Off is illegal, even where the machine's is not; SD and Dirty show when the guest reads sstatus."""
    source = f"""
    la t0, handler
    csrw stvec, t0
    fadd.d f0, f1, f2           # FS is off at the start
    li t2, {FS_INITIAL:#x}
    csrs sstatus, t2
    csrr s3, sstatus
    fsqrt.d f0, f0
    csrr s4, sstatus
    li t2, {FS_DIRTY:#x}
    csrc sstatus, t2
    fmv.x.d t0, f0
    csrr t0, fcsr
    csrr s5, sstatus
"""
    vm = run(source)
    assert x(vm, S0, S1) == (3, causes.ILLEGAL_INSTRUCTION)
    assert [value & (SD | FS_DIRTY) for value in x(vm, S3, S4, S5)] == [FS_INITIAL, SD | FS_DIRTY, 0]


def test_senvcfg_is_the_guests_own_in_its_u_mode() -> None:
    """cbo.zero is the user's where the guest's senvcfg says so, whatever the hypervisor's own is; FIOM is kept."""
    source = f"la t0, handler\ncsrw stvec, t0\nli t0, 0x80400000\nli t1, 0x81\ncsrw senvcfg, t1\ncsrr s3, senvcfg\n" \
        f"{TO_USER}\nli a0, 0x80400000\ncbo.zero (a0)\nfence\ncbo.clean (a0)"
    assert x(run(source), S0, S1, S3) == (1, causes.ILLEGAL_INSTRUCTION, 0x81)


def test_counters_are_the_guests_in_both_its_modes() -> None:
    """time is the VM's clock, steps over ten; in its U-mode scounteren decides."""
    source = f"la t0, handler\ncsrw stvec, t0\nrdtime s3\nrdcycle s4\nli t0, 1\ncsrw scounteren, t0\n{TO_USER}\n" \
        "rdcycle s5\nrdtime t0\nrdinstret t0"
    vm = run(source)
    assert x(vm, S0, S1, S3) == (2, causes.ILLEGAL_INSTRUCTION, 0)
    assert x(vm, S4)[0] < x(vm, S5)[0] < 20
