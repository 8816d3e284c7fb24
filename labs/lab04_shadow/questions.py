"""Lab 4's two predictions."""

from __future__ import annotations

from ...core.isa.paging import SV39
from ...core.vmm.exits import ExitReason
from ..judge.guests import Guest
from ..lab import random_for
from .pager import ISA


def _addresses(seed: int) -> list[int]:
    random = random_for(4, "tables", seed)
    near = random.randrange(1, 200) << 30
    return [near + random.randrange(4) * (1 << 21) + random.randrange(512) * 4096 for _ in range(4)] + [
        random.randrange(200, 255) << 30 for _ in range(2)]


def ask_tables(seed: int) -> str:
    """Tables for some pages."""
    return ("A shadow pager maps 4 KiB pages at these addresses, and nothing else. How many tables does it take,\n"
            "the root included? " + ", ".join(f"{each:#x}" for each in _addresses(seed)))


def tables(seed: int) -> int:
    """By the format's own rows: a table for each way in that leads further."""
    needed: set[tuple[int, ...]] = set()
    for gva in _addresses(seed):
        way = tuple(SV39.index(gva, level) for level in (2, 1))
        needed |= {(), way[:1], way}
    return len(needed)


def _stores(seed: int) -> tuple[int, int, int]:
    random = random_for(4, "stores", seed)
    first, stride = 0x8030_0000 + 8 * random.randrange(512), random.choice((256, 512, 1024, 1536, 2048))
    return first, stride, random.randrange(20, 60)


def ask_fills(seed: int) -> str:
    """Fills of a guest without translation."""
    first, stride, count = _stores(seed)
    return (f"A deprivileged guest, satp=Bare, whose code lies in one page, stores a doubleword at {first:#x},\n"
            f"then every {stride} bytes on, {count} stores together. How many shadow-fill exits are there?")


def fills(seed: int) -> int:
    """By running it."""
    first, stride, count = _stores(seed)
    guest = Guest.of(f"_start: li t0, {first:#x}\n li t1, {count}\n li t2, {stride}\nagain: sd t1, 0(t0)\n"
                     " add t0, t0, t2\n addi t1, t1, -1\n bnez t1, again\n li a7, 8\n ecall\n", "stores.s")
    vm = guest.start(guest.config("deprivileged", isa=ISA))
    vm.run(10_000)
    return vm.exits[ExitReason.SHADOW_FILL]
