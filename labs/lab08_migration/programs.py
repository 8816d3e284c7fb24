"""Lab 8's guests: programs that store to some pages once, to some now and then, and to some all the time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from ..judge.guests import Guest

HOSTED: Final = ("deprivileged", "shadow", "two-stage")
DATA: Final = 0x8030_0000
WARM_UP: Final = 4_000
"""Steps before the migration begins; every guest has stored to all its pages by then."""

# s0 the pages, s1 what is stored, s2 the page that is next among those stored to now and then, s4 counts passes.
TEXT: Final = """
_start:
    li s0, {data:#x}
    li s1, {seed:#x}
    li t0, {pages}
    mv t1, s0
    li t2, 4096
fill:
    sd s1, 16(t1)
    addi s1, s1, 7
    add t1, t1, t2
    addi t0, t0, -1
    bnez t0, fill
    li t3, 0x10000000
    sb s1, 7(t3)           # the UART's scratch register
    csrw sscratch, s1
    mv s2, s0
    li s5, {warm_end:#x}
    li s6, {hot_end:#x}
pass:
    addi s1, s1, 1
    addi s4, s4, 1
    li t1, {hot_begin:#x}
    bgeu t1, s6, rest
hot:
    sd s1, 24(t1)
    add t1, t1, t2
    bltu t1, s6, hot
rest:
    li t0, {rest}
wait:
    addi t0, t0, -1
    bnez t0, wait
    andi t0, s4, {warm_mask}
    bnez t0, pass
    bgeu s2, s5, wrap
    sd s1, 32(s2)
    add s2, s2, t2
    csrrw t4, sscratch, s1
    j pass
wrap:
    mv s2, s0
    j pass
"""


@dataclass(frozen=True)
class Case:
    """A guest, and the way that it moves. page_steps: steps that the guest takes while a page is on the link. loss: the
    part of what is sent that is lost. source, target: the techniques. hot: pages that it stores to in each pass."""

    guest: Guest
    page_steps: int
    loss: float
    source: str
    target: str
    hot: int


def case(random: Random, *, pages: int, hot: int, warm: int, page_steps: int, loss: float = 0.0, warm_mask: int = 7,
         rest: int = 20, name: str = "guest") -> Case:
    """A guest of `pages` pages: of these it stores to the last `hot` in every pass, to one of the first `warm` every
    warm_mask + 1 passes, and rests for about 2 * `rest` steps between two."""
    end = DATA + 4096 * pages
    text = TEXT.format(data=DATA, seed=random.getrandbits(31), pages=pages, warm_end=DATA + 4096 * warm,
                       hot_begin=end - 4096 * hot, hot_end=end, rest=rest, warm_mask=warm_mask)
    source, target = random.sample(HOSTED, 2)
    return Case(Guest.of(text, f"{name}.s"), page_steps, loss, source, target, hot)


def mixed(random: Random, loss: float = 0.0, page_steps: int = 300) -> Case:
    """Something of everything."""
    return case(random, pages=random.randrange(60, 110), hot=random.randrange(4, 9), warm=random.randrange(20, 40),
                page_steps=page_steps, loss=loss, rest=random.randrange(10, 60), name="mixed")


def lossy(random: Random) -> Case:
    """Over a link that loses every fifth page."""
    return mixed(random, 0.2)


def slow(random: Random) -> Case:
    """Over a link on which a page takes ten times as long."""
    return mixed(random, page_steps=3_000)


def storm(random: Random) -> Case:
    """More pages are stored to, all the time, than the link carries."""
    return case(random, pages=random.randrange(120, 150), hot=random.randrange(35, 60), warm=10, page_steps=400,
                rest=random.randrange(4, 20), name="storm")


def still(random: Random) -> Case:
    """Nothing is stored to any more."""
    return case(random, pages=random.randrange(60, 110), hot=0, warm=0, page_steps=300, warm_mask=1023, rest=100,
                name="still")


def settling(random: Random) -> Case:
    """A small working set, and a larger one that is stored to ever so slowly: rounds get smaller, down to the first."""
    return case(random, pages=random.randrange(110, 150), hot=random.randrange(5, 9), warm=random.randrange(60, 80),
                page_steps=400, warm_mask=15, rest=random.randrange(40, 60), name="settling")
