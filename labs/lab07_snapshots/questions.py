"""Lab 7's two predictions."""

from __future__ import annotations

from ...core.hart import Memory
from ...core.machine.memory_map import RAM_BASE
from ...core.machine.paged import DirtyLog, Paged, RamPages
from ...core.vmm.snapshots import Snapshots
from ..judge.guests import Guest
from ..lab import random_for


def _stores(seed: int) -> tuple[int, int, int, int]:
    random = random_for(7, "stores", seed)
    first, stride = 0x8030_0000 + 8 * random.randrange(512), random.choice((512, 1024, 1536, 2048, 4096))
    count = random.randrange(20, 60)
    return first, stride, count, random.randrange(5, count - 4)


def ask_copies(seed: int) -> str:
    """Copies of a guest between two snapshots."""
    first, stride, count, middle = _stores(seed)
    return (f"A guest stores a doubleword at {first:#x}, then every {stride} bytes on, {count} stores together, to\n"
            f"pages that it has used before. A snapshot is taken before the first store, and another when {middle}\n"
            "have been made. How many pages does copy-on-write copy?")


def copies(seed: int) -> int:
    """By running it, and looking which pages are stored to between the snapshots."""
    first, stride, count, middle = _stores(seed)
    guest = Guest.of(f"_start: li t0, {first:#x}\n li t1, {count}\n li t2, {stride}\nagain: sd t1, 0(t0)\n"
                     " add t0, t0, t2\n addi t1, t1, -1\n bnez t1, again\n j .\n", "stores.s")
    vm = guest.start(guest.config("bare"))
    while vm.hart.pc != guest.program.symbols["again"]:
        vm.run(1)
    found = 0
    vm.ram.take_dirty(DirtyLog.LOOK)
    for stores in (middle, count - middle):
        vm.run(4 * stores)
        found += len(vm.ram.take_dirty(DirtyLog.LOOK))
    return found


def _changes(seed: int) -> tuple[list[int], list[int], list[int]]:
    random = random_for(7, "changes", seed)
    one, two, three = (sorted(random.sample(range(16), random.randrange(3, 9))) for _ in range(3))
    return one, two, three


def ask_pages(seed: int) -> str:
    """What a snapshot holds."""
    one, two, three = _changes(seed)
    first, second, third = (", ".join(map(str, pages)) for pages in (one, two, three))
    return ("A guest of 16 pages, 0 to 15, of which each is in use. Snapshot R is taken. The guest stores to pages\n"
            f"{first}; A is taken; it stores to {second}; B is taken; it stores to\n"
            f"{third}. Each store writes something new.\nThen A is forgotten. How many pages of B are not R's as well?")


class _Pages:
    """RAM as something that snapshots are taken of."""

    def __init__(self) -> None:
        self.memory = Memory(1 << 16, base=RAM_BASE)
        self.paged: tuple[Paged, ...] = (RamPages(self.memory),)
        self.steps = 0

    def save(self) -> None:
        """Nothing but pages."""

    def restore(self, state: object) -> None:
        """Nothing but pages."""


def pages(seed: int) -> int:
    """By the shipped store: what B holds itself, once A is gone."""
    subject = _Pages()
    snapshots = Snapshots(subject)
    for page in range(16):
        subject.memory.store(RAM_BASE + 4096 * page, 8, 1)
    taken = [snapshots.take()]
    for value, changed in enumerate(_changes(seed), 2):
        for page in changed:
            subject.memory.store(RAM_BASE + 4096 * page, 8, value)
        taken.append(snapshots.take())
    snapshots.forget(taken[1])
    return len(taken[2].pages[0])
