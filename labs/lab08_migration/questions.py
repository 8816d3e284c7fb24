"""Lab 8's two predictions."""

from __future__ import annotations

from ...core.machine.paged import DirtyLog
from ...core.vmm.vm import Vm
from ..judge.guests import Guest
from ..lab import random_for

_PAGE_STEPS = 20
"""Steps of the guest while a page is on the link."""


def _shrinking(seed: int) -> tuple[int, int]:
    """How many times longer a page lasts in the guest than on the link, and how many there are at first."""
    random = random_for(8, "shrinking", seed)
    factor = random.choice((2, 3, 4))
    return factor, factor ** 3 * random.randrange(*{2: (10, 40), 3: (4, 14), 4: (2, 6)}[factor])


def ask_rounds(seed: int) -> str:
    """Pages of four rounds."""
    factor, first = _shrinking(seed)
    return (f"The first round of a migration sends {first} pages. A page takes {_PAGE_STEPS} steps on the link. The\n"
            f"guest stores to another page, never one that it had before, every {_PAGE_STEPS * factor} steps.\n"
            "How many pages do the first four rounds send together?")


def _stores_every(steps: int) -> Vm:
    """A guest that stores to a page, and on to the next, every so many steps."""
    loop = ["again: sd t0, 0(t0)", "add t0, t0, t1", *["nop"] * (steps - 3), "j again"]
    guest = Guest.of("_start: li t0, 0x80300000\n li t1, 4096\n" + "\n".join(loop) + "\n", "stores.s")
    vm = guest.start(guest.config("two-stage"))
    vm.run(10 * steps)
    vm.ram.take_dirty(DirtyLog.MIGRATION)
    return vm


def rounds(seed: int) -> int:
    """By running it."""
    factor, pages = _shrinking(seed)
    vm, total = _stores_every(_PAGE_STEPS * factor), 0
    for _ in range(4):
        total += pages
        vm.run(pages * _PAGE_STEPS)
        pages = len(vm.ram.take_dirty(DirtyLog.MIGRATION))
    return total


def _busy(seed: int) -> tuple[int, int, int]:
    random = random_for(8, "busy", seed)
    return random.randrange(20, 60), random.randrange(100, 200), random.randrange(5, 12)


def ask_pages(seed: int) -> str:
    """Pages of a guest that is too fast."""
    hot, first, count = _busy(seed)
    return (f"A guest has {first} pages, and stores to the same {hot} of them over and over, a store every four\n"
            f"steps; a page takes {_PAGE_STEPS} steps on the link. How many pages do the first {count} rounds of a\n"
            "migration send together, if each sends what was stored to during the one before?")


def pages(seed: int) -> int:
    """By running it."""
    hot, first, count = _busy(seed)
    guest = Guest.of("_start: li t1, 4096\npass: li t0, 0x80300000\n" f" li t2, {0x8030_0000 + 4096 * hot:#x}\n"
                     "again: sd t0, 0(t0)\n nop\n add t0, t0, t1\n bltu t0, t2, again\n j pass\n", "busy.s")
    vm = guest.start(guest.config("two-stage"))
    vm.run(100)
    vm.ram.take_dirty(DirtyLog.MIGRATION)
    total, now = 0, first
    for _ in range(count):
        total += now
        vm.run(now * _PAGE_STEPS)
        now = len(vm.ram.take_dirty(DirtyLog.MIGRATION))
    return total
