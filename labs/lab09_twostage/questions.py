"""Lab 9's two predictions."""

from __future__ import annotations

from typing import Final

from ...core.hart import EXIT_BUDGET, HOST_HS, HOST_M, Hart, Memory
from ...core.isa.paging import make_pte
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.exits import ExitReason
from ..judge.guests import Guest
from ..kit.paging import PTE_U
from ..lab import random_for
from .cases import FULL, GUESTS, GUESTS_GPA, ROOT, TABLES, pointer
from .machine import ISA, SIZE, SPVP, STUB, csr, execute
from .stage import ISA as GUEST_ISA

SIZES: Final = ("4 KiB", "2 MiB", "1 GiB")


def _levels(seed: int) -> tuple[int, int, int]:
    random = random_for(9, "levels", seed)
    return random.randrange(3), random.randrange(3), random.randrange(3)


def ask_reads(seed: int) -> str:
    """How many entries a walk reads."""
    tables, first, second = _levels(seed)
    return (f"A guest's Sv39 tables map a page of {SIZES[first]}; the Sv39x4 tables below map the guest's tables with\n"
            f"pages of {SIZES[tables]}, and what the guest's page leads to with one of {SIZES[second]}. The TLB is\n"
            "empty. How many page-table entries does the hart read for one load?")


def reads(seed: int) -> int:
    """By counting what a hart reads."""
    tables, first, second = _levels(seed)
    memory = Memory(SIZE, base=RAM_BASE)
    hart = Hart(memory, isa=ISA, hosts=HOST_M | HOST_HS)
    gva, gpa = 0x1_4000_0000, 0xC000_0000
    _way(memory, (TABLES[0], TABLES[1], ROOT), gpa, 0x8000_0000, second, PTE_U)
    _way(memory, (TABLES[2], TABLES[3], ROOT), GUESTS_GPA, 0x8000_0000, tables, PTE_U)
    shift = 0x1000 * (GUESTS - RAM_BASE >> 12) if tables else 0
    if not tables:
        for page in range(3):
            memory.store(TABLES[2] + 8 * page, 8, make_pte(GUESTS + 0x1000 * page, FULL | PTE_U))
    base = GUESTS_GPA + shift
    for level in (2, 1, 0):
        place = GUESTS + 0x1000 * level + 8 * (gva >> 12 + 9 * level & 511)
        if level == first:
            memory.store(place, 8, make_pte(gpa, FULL))
            break
        memory.store(place, 8, pointer(base + 0x1000 * (level - 1)))
    hart.write_csr(csr("hgatp"), 8 << 60 | ROOT >> 12)
    hart.write_csr(csr("vsatp"), 8 << 60 | base + 0x2000 >> 12)
    hart.write_csr(csr("pmpaddr0"), (1 << 54) - 1)
    hart.write_csr(csr("pmpcfg0"), 0x1F)
    hart.write_csr(csr("hstatus"), SPVP)
    exit, _ = execute(hart, STUB, "hlv.d a2, (a0)", gva)
    assert exit.reason == EXIT_BUDGET, "the question's tables do not lead where they should"
    return hart.walk_reads


def _way(memory: Memory, tables: tuple[int, int, int], address: int, target: int, leaf: int, flags: int) -> None:
    """Entries of the second stage from an address to a target."""
    for level in (2, 1, 0):
        mask = 2047 if level == 2 else 511
        place = tables[level] + 8 * (address >> 12 + 9 * level & mask)
        if level == leaf:
            memory.store(place, 8, make_pte(target, FULL | flags))
            return
        memory.store(place, 8, pointer(tables[level - 1]))


def _stores(seed: int) -> tuple[int, int, int]:
    random = random_for(9, "stores", seed)
    first, stride = 0x8030_0000 + 8 * random.randrange(512), random.choice((256, 512, 1024, 1536, 2048))
    return first, stride, random.randrange(20, 60)


def ask_exits(seed: int) -> str:
    """G-stage faults of a guest that has tables of its own."""
    first, stride, count = _stores(seed)
    return ("A two-stage guest, whose code lies in one page, turns Sv39 on with a root table at 0x80280000, which has\n"
            f"one entry, a page of 1 GiB. Then it stores a doubleword at {first:#x}, and every {stride} bytes on,\n"
            f"{count} stores together. How many G-stage faults are there, the root's own page included?")


def exits(seed: int) -> int:
    """By running it."""
    first, stride, count = _stores(seed)
    leaf = make_pte(0x8000_0000, FULL)
    guest = Guest.of(f"_start: li t0, 0x80280010\n li t1, {leaf:#x}\n sd t1, 0(t0)\n li t0, {8 << 60 | 0x80280:#x}\n"
                     f" csrw satp, t0\n sfence.vma\n li t0, {first:#x}\n li t1, {count}\n li t2, {stride}\n"
                     "again: sd t1, 0(t0)\n add t0, t0, t2\n addi t1, t1, -1\n bnez t1, again\n li a7, 8\n ecall\n",
                     "stores.s")
    vm = guest.start(guest.config("two-stage", isa=GUEST_ISA))
    vm.run(10_000)
    return vm.exits[ExitReason.GSTAGE_FILL]
