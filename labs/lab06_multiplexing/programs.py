"""Lab 6's guests: one that never rests, one that wakes by its timer, one with a balloon driver, and some whose pages
are the same."""

from __future__ import annotations

from random import Random
from typing import Final

from ..judge.guests import Guest

DATA: Final = 0x8030_0000
POOL: Final = 600
"""Pages that the balloon driver's guest uses, and can give away."""

BUSY: Final = """
_start:
    addi s0, s0, 1
    j _start
"""

TICKS: Final = """
_start:
    la t0, woken
    csrw stvec, t0
    li t0, 32
    csrw sie, t0
    csrsi sstatus, 2
again:
    rdtime a0
    li t0, {period}
    add a0, a0, t0
    li a6, 0
    li a7, 0x54494d45
    ecall
    wfi
    j again
    .align 2
woken:
    addi s0, s0, 1
    li a0, -1
    li a6, 0
    li a7, 0x54494d45
    ecall
    sret
"""

# s4: pages in the balloon. s5: pages used so far. s6, s7: idx of the inflate and the deflate queue.
BALLOON: Final = """
_start:
    li s0, 0x10001000
    sw zero, 0x70(s0)
    li t1, 3
    sw t1, 0x70(s0)
    li t1, 1
    sw t1, 0x24(s0)
    sw t1, 0x20(s0)
    li t1, 11
    sw t1, 0x70(s0)
    li s1, 0x80340000
    sw zero, 0x30(s0)
    jal s8, start
    li s1, 0x80342000
    li t1, 1
    sw t1, 0x30(s0)
    jal s8, start
    li t1, 15
    sw t1, 0x70(s0)
    li s3, 0x80380000
    li s9, {pool}
again:
    li t0, {delay}
delay:
    addi t0, t0, -1
    bnez t0, delay
    beq s5, s9, steer
    mv a0, s5
    jal s8, touch
    addi s5, s5, 1
steer:
    lw s10, 0x100(s0)      # num_pages
more:
    bgeu s4, s10, fewer
    bgeu s4, s5, told
    mv a0, s4
    li s1, 0x80340000
    mv a1, s6
    jal s8, give
    addi s6, s6, 1
    sw zero, 0x50(s0)
    addi s4, s4, 1
    j more
fewer:
    beq s4, s10, told
    addi s4, s4, -1
    mv a0, s4
    li s1, 0x80342000
    mv a1, s7
    jal s8, give
    addi s7, s7, 1
    li t0, 1
    sw t0, 0x50(s0)
    mv a0, s4
    jal s8, touch
    j fewer
told:
    sw s4, 0x104(s0)       # actual
    j again

start:                     # the selected queue, at s1
    li t1, 8
    sw t1, 0x38(s0)
    sw s1, 0x80(s0)
    addi t1, s1, 0x100
    sw t1, 0x90(s0)
    addi t1, s1, 0x200
    sw t1, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    addi t1, s1, 0x300     # the one descriptor: four bytes
    sd t1, 0(s1)
    li t1, 4
    sd t1, 8(s1)
    jr s8

touch:                     # page a0 of the pool
    slli t0, a0, 12
    add t0, t0, s3
    sd t0, 0(t0)
    jr s8

give:                      # page a0, by the queue at s1, whose idx is a1
    slli t0, a0, 12
    add t0, t0, s3
    srli t0, t0, 12
    sw t0, 0x300(s1)
    andi t0, a1, 7
    slli t0, t0, 1
    add t0, t0, s1
    sh zero, 0x104(t0)
    addi t0, a1, 1
    sh t0, 0x102(s1)
    jr s8
"""


def busy() -> Guest:
    """It never rests."""
    return Guest.of(BUSY, "busy.s")


def ticks(period: int) -> Guest:
    """It wakes every so many ticks, for a moment."""
    return Guest.of(TICKS.format(period=period), "ticks.s")


def balloon(delay: int) -> Guest:
    """It uses a page more now and then, and gives pages away when it is asked to."""
    return Guest.of(BALLOON.format(delay=delay, pool=POOL), "balloon.s")


def pages(random: Random, values: list[int], stores: int) -> Guest:
    """It stores one of these values to the beginning of each of so many pages; then waits; then stores to some."""
    lines = ["_start:", f"    li s0, {DATA:#x}", "    li t2, 0x1000"]
    for value in values:
        lines += [f"    li t0, {value:#x}", "    sd t0, 0(s0)", f"    sd t0, {8 * (value % 200)}(s0)",
                  "    add s0, s0, t2"]
    lines += ["    li t0, 20000", "wait:", "    addi t0, t0, -1", "    bnez t0, wait"]
    for _ in range(stores):
        lines += [f"    li t0, {DATA + 0x1000 * random.randrange(len(values)) + 8 * random.randrange(200):#x}",
                  f"    li t1, {random.choice(values):#x}", "    sd t1, 0(t0)"]
    return Guest.of("\n".join([*lines, "end:", "    addi s1, s1, 1", "    j end", ""]), "pages.s")
