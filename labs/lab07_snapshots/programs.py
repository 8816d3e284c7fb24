"""Lab 7's guests: programs that store here and there without end, as a seed says.

    0x80300000  PAGES pages of data, touched in clusters; some are never touched, some late
    patch       an instruction that the guest rewrites
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..judge.guests import Guest

DATA: Final = 0x8030_0000
PAGES: Final = 32

BEGIN: Final = """
_start:
    li s0, {seed:#x}
    li s1, 6364136223846793005
    li s2, {data:#x}
    li s3, 0
    la s4, patch
    li s5, 0x93            # addi x1, x0, 0
again:
    addi s3, s3, 1
    mul s0, s0, s1
    addi s0, s0, 1221
    srli t0, s0, 40
    srli t6, s3, {slow}
    add t0, t0, t6
    andi t0, t0, {mask}
    srli t1, s3, {drift}
    andi t1, t1, 31
    add t0, t0, t1
    andi t0, t0, 31
    slli t0, t0, 12
    add t0, t0, s2
    srli t1, s0, 52
    andi t1, t1, 0x7f8
    add a0, t0, t1
"""
END: Final = """
    j again
"""

# The slot leaves a number in ra, and returns by t5.
PATCH: Final = """
    .align 12
patch:
    addi x1, x0, 0
    jr t5
"""

BLOCKS: Final = {
    "store": ("ld t2, 0(a0)", "add t2, t2, s0", "sd t2, 0(a0)"),
    "load": ("ld t2, 8(a0)", "xor s6, s6, t2"),
    "straddle": ("li t3, 0xffc", "add t3, t0, t3", "sd s0, 0(t3)"),
    "atomic": ("amoadd.d t2, s3, (a0)", "add s6, s6, t2"),
    "reserved": ("lr.d t2, (a0)", "addi t2, t2, 5", "sc.d t3, t2, (a0)", "add s6, s6, t3"),
    "patch": ("andi t2, s3, 63", "slli t2, t2, 20", "add t2, t2, s5", "sw t2, 0(s4)", "fence.i", "jal t5, patch",
              "add s6, s6, ra"),
}


def stores(random: Random, kinds: tuple[str, ...] = tuple(BLOCKS)) -> Guest:
    """A loop of some blocks; a page more comes into use now and then."""
    chosen = ["store", *random.choices(kinds, k=random.randrange(3, 7))]
    random.shuffle(chosen)
    lines = []
    for index, name in enumerate(chosen):
        skip = f"skip{index}"
        bits = random.choice((1, 3, 7))
        lines += [f"    srli t4, s0, {random.randrange(20, 50)}", f"    andi t4, t4, {bits}", f"    bnez t4, {skip}",
                  *(f"    {line}" for line in BLOCKS[name]), f"{skip}:"]
    text = BEGIN.format(seed=random.getrandbits(63), data=DATA, slow=random.choice((4, 5)),
                        mask=random.choice((3, 7)), drift=random.choice((3, 4))) + "\n".join(lines) + END
    return Guest.of(text + PATCH, "stores.s")
