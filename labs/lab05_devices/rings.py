"""Rings without a guest: a driver of ours fills them, honest or not, and the student's queue is asked."""

from __future__ import annotations

from random import Random
from typing import Final, NoReturn

from ...core.devices.virtio.queue import DESCRIPTOR, Chain, Malformed
from ..judge.guests import MEMORY, Guest
from ..judge.runner import Diverged
from ..judge.session import Session
from ..judge.verdict import Divergence, failed
from ..kit.devices import DESC_INDIRECT, DESC_NEXT, DESC_WRITE
from .devices import RINGS, StudentsQueue
from .host import Host, scatter
from .programs import BUFFERS, layout_of

RAM_END: Final = 0x8000_0000 + MEMORY
Buffer = tuple[int, int, int]
"""gpa, length, flags."""


class Ring:
    """A driver's side of a queue, whose device's side is the student's."""

    def __init__(self, student: Session, random: Random) -> None:
        self.random = random
        self.asked = 0
        still = Guest.of("_start: j _start\n", "still.s")
        self.vm = still.start(still.config("deprivileged"))
        scatter(self.vm, RINGS, random)
        self.host = Host(self.vm, self.part)
        self.host.serve(student)
        self.queue = StudentsQueue(self.host, student, 256)
        self.index = 0

    def part(self, field: str, got: str, wanted: str) -> NoReturn:
        """The student's queue does what it must not. Raises Diverged."""
        raise Diverged(failed(f"{field} is wrong", Divergence(self.asked, 0, "", field, got, wanted)))

    def set_up(self, size: int, start: int = 0) -> None:
        """A new queue, empty; its areas straddle pages."""
        queue, ram = self.queue, self.vm.ram
        for gpa in RINGS:
            ram.write(gpa, bytes(4096))
        queue.reset()
        queue.size, queue.start, self.index = size, start, start
        queue.descriptors, queue.driver, queue.device = layout_of(self.random, size)
        for area in (queue.driver, queue.device):
            ram.write(area + 2, start.to_bytes(2, "little"))
        queue.enable(has_indirect=False, has_event_idx=False)

    def describe(self, number: int, gpa: int, length: int, flags: int, following: int) -> None:
        """Write a descriptor."""
        data = DESCRIPTOR.pack(gpa & (1 << 64) - 1, length, flags, following)
        self.vm.ram.write(self.queue.descriptors + 16 * number, data)

    def offer(self, head: int) -> None:
        """Make a chain available."""
        slot = self.queue.driver + 4 + 2 * (self.index % self.queue.size)
        self.vm.ram.write(slot, head.to_bytes(2, "little"))
        self.announce(1)

    def announce(self, count: int) -> None:
        """Move the driver's idx on."""
        self.index = self.index + count & 0xFFFF
        self.vm.ram.write(self.queue.driver + 2, self.index.to_bytes(2, "little"))

    def chain(self, buffers: list[Buffer], numbers: list[int]) -> int:
        """Write a chain into these descriptors; its head."""
        for place, (gpa, length, flags) in enumerate(buffers):
            is_last = place == len(buffers) - 1
            following = self.random.randrange(1 << 16) if is_last else numbers[place + 1]
            self.describe(numbers[place], gpa, length, flags if is_last else flags | DESC_NEXT, following)
        return numbers[0]

    def buffers(self, count: int) -> list[Buffer]:
        """Good ones: some to read, then some to write."""
        random = self.random
        n_readable = random.randrange(count + 1)
        return [(random.choice(BUFFERS) + random.randrange(4096), random.randrange(1, 3000),
                 0 if place < n_readable else DESC_WRITE) for place in range(count)]

    def pop(self) -> Chain | None:
        """The student's next chain, which is right."""
        self.asked += 1
        return self.queue.pop()

    def push(self, chain: Chain, written: int) -> None:
        """The student's push."""
        self.asked += 1
        chain.written = written
        self.queue.push(chain)

    def must_break(self) -> None:
        """The next pop finds the rule that the driver broke."""
        self.asked += 1
        try:
            self.queue.pop()
        except Malformed:
            return
        raise AssertionError("a ring that was to be broken is none")

    def race(self) -> None:
        """From here on another vCPU of the guest's rewrites whatever descriptor or slot has been read, at once."""
        queue = self.queue
        areas = ((queue.descriptors, 16 * queue.size), (queue.driver + 4, 2 * queue.size))

        def rewrite(gpa: int, length: int) -> None:
            if any(start <= gpa < start + size for start, size in areas):
                self.vm.ram.write(gpa, b"\xfe" * length)
        self.host.after_read = rewrite


def honest(ring: Ring, chains: int) -> None:
    """Chains of every length, several at a time, given back in another order."""
    random, size = ring.random, ring.queue.size
    while ring.queue.chains < chains:
        free = random.sample(range(size), size)
        waiting = []
        for _ in range(random.randrange(1, 5)):
            count = min(random.randrange(1, 6), len(free))
            if count:
                ring.offer(ring.chain(ring.buffers(count), [free.pop() for _ in range(count)]))
                waiting.append(count)
        popped = [chain for chain in (ring.pop() for _ in waiting) if chain is not None]
        if random.random() < 0.5:
            ring.pop()
        random.shuffle(popped)
        for chain in popped:
            ring.push(chain, random.randrange(1 + chain.writable))


LIES: Final = (
    "a head beyond the table", "a next beyond the table", "a loop", "a buffer below RAM", "a buffer above RAM",
    "a buffer that ends beyond RAM", "a buffer that wraps around", "a buffer of 4 GiB", "an empty buffer",
    "an indirect table", "to read behind to write", "more chains than entries", "idx behind")


def lie(ring: Ring, kind: str) -> None:
    """Offer a chain that breaks a rule of virtio 2.7, and have it found."""
    random, size = ring.random, ring.queue.size
    numbers = random.sample(range(size), 3)
    buffers = ring.buffers(3)
    for beyond in (size, size + 1):
        ring.describe(beyond, *ring.buffers(1)[0], 0)  # what lies behind the table looks good
    place = random.randrange(3)
    gpa, length, flags = buffers[place]
    if kind == "a buffer below RAM":
        gpa = random.choice((0, 0x1000_0000, 0x8000_0000 - length, 0x7FFF_FFFF))
    elif kind == "a buffer above RAM":
        gpa = random.choice((RAM_END, RAM_END + random.randrange(1 << 24), 1 << 39, 1 << 56))
    elif kind == "a buffer that ends beyond RAM":
        gpa = RAM_END - random.randrange(0, length)
    elif kind == "a buffer that wraps around":
        gpa, length = (1 << 64) - 0x1000, random.choice((0x1000, 0x1001, 0x8000_2000))
    elif kind == "a buffer of 4 GiB":
        length = (1 << 32) - 1
    elif kind == "an empty buffer":
        length = 0
    elif kind == "an indirect table":
        flags = DESC_INDIRECT
        length = 16
    buffers[place] = (gpa, length, flags)
    if kind == "to read behind to write":
        buffers = [(*buffer[:2], DESC_WRITE if place == 1 else 0) for place, buffer in enumerate(buffers)]
    head = ring.chain(buffers, numbers)
    if kind == "a head beyond the table":
        head = random.choice((size, size + 1, 0xFFFF))
    elif kind == "a next beyond the table":
        at = random.randrange(2)
        ring.describe(numbers[at], *buffers[0][:2], DESC_NEXT | buffers[0][2],
                      random.choice((size, size + 1, 0xFFFF)))
        for before in range(at):
            ring.describe(numbers[before], *buffers[0][:2], DESC_NEXT | buffers[0][2], numbers[before + 1])
    elif kind == "a loop":
        for at in range(3):
            ring.describe(numbers[at], *buffers[0][:2], DESC_NEXT | buffers[0][2], numbers[(at + 1) % 3])
    ring.offer(head)
    if kind == "more chains than entries":
        ring.announce(size)
    elif kind == "idx behind":
        ring.announce(-2 & 0xFFFF)
    ring.must_break()
