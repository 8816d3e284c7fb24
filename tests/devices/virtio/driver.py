"""A driver for virtio-mmio, as virtio 1.2 describes one: written from the specification, not from the device's code.

It goes through registers and RAM only, so it drives a slot of a board, a lone transport, or a QEMU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

MAGIC, VERSION, DEVICE_ID = 0x000, 0x004, 0x008
DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL = 0x010, 0x014, 0x020, 0x024
QUEUE_SEL, QUEUE_SIZE_MAX, QUEUE_SIZE, QUEUE_READY, QUEUE_NOTIFY = 0x030, 0x034, 0x038, 0x044, 0x050
INTERRUPT_STATUS, INTERRUPT_ACK, STATUS = 0x060, 0x064, 0x070
AREAS = (0x080, 0x090, 0x0A0)  # descriptors, driver, device: low words
CONFIG = 0x100

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64
NEXT, WRITE, INDIRECT = 1, 2, 4
INDIRECT_DESC, EVENT_IDX, VERSION_1 = 1 << 28, 1 << 29, 1 << 32
EVERYTHING = (1 << 64) - 1


class Registers(Protocol):
    """A slot: offsets from its base."""

    def load(self, offset: int, size: int) -> int: ...

    def store(self, offset: int, size: int, value: int) -> None: ...


class Memory(Protocol):
    """Guest RAM."""

    def read(self, gpa: int, length: int, /) -> bytes: ...

    def write(self, gpa: int, data: bytes, /) -> None: ...


@dataclass
class Ring:
    """A virtqueue from the driver's side. made: chains made available; seen: used elements taken back."""

    memory: Memory
    index: int
    size: int
    descriptors: int
    driver: int
    device: int
    made: int = 0
    seen: int = 0
    free: list[int] = field(default_factory=list)

    def put16(self, gpa: int, value: int) -> None:
        self.memory.write(gpa, (value & 0xFFFF).to_bytes(2, "little"))

    def get16(self, gpa: int) -> int:
        return int.from_bytes(self.memory.read(gpa, 2), "little")

    def describe(self, table: int, index: int, gpa: int, length: int, flags: int, next_: int = 0) -> None:
        """Fill in descriptor `index` of a table."""
        parts = (gpa.to_bytes(8, "little"), length.to_bytes(4, "little"), flags.to_bytes(2, "little"))
        self.memory.write(table + 16 * index, b"".join(parts) + next_.to_bytes(2, "little"))

    def offer(self, head: int) -> None:
        """Make a chain available."""
        self.put16(self.driver + 4 + 2 * (self.made % self.size), head)
        self.made += 1
        self.put16(self.driver + 2, self.made)

    def add(self, buffers: Sequence[tuple[int, int, bool]], table: int | None = None) -> int:
        """Offer a chain of (gpa, length, is device-writable) buffers, through an indirect table at `table` if one is
        given; returns its head."""
        head = self.free.pop()
        if table is not None:
            self.chain(table, list(range(len(buffers))), buffers)
            self.describe(self.descriptors, head, table, 16 * len(buffers), INDIRECT)
        else:
            self.chain(self.descriptors, [head, *(self.free.pop() for _ in buffers[1:])], buffers)
        self.offer(head)
        return head

    def chain(self, table: int, indexes: list[int], buffers: Sequence[tuple[int, int, bool]]) -> None:
        """Fill in a chain."""
        for at, (gpa, length, is_writable) in enumerate(buffers):
            is_last = at == len(buffers) - 1
            flags = (WRITE if is_writable else 0) | (0 if is_last else NEXT)
            self.describe(table, indexes[at], gpa, length, flags, 0 if is_last else indexes[at + 1])

    def take(self) -> list[tuple[int, int]]:
        """The used elements not seen yet: (head, bytes written). Their descriptors are free again."""
        found = []
        while self.seen & 0xFFFF != self.get16(self.device + 2):
            element = self.memory.read(self.device + 4 + 8 * (self.seen % self.size), 8)
            head, length = int.from_bytes(element[:4], "little"), int.from_bytes(element[4:], "little")
            found.append((head, length))
            self.seen += 1
            self._release(head)
        return found

    def _release(self, head: int) -> None:
        while True:
            self.free.append(head)
            descriptor = self.memory.read(self.descriptors + 16 * head, 16)
            if not descriptor[12] & NEXT:
                return
            head = int.from_bytes(descriptor[14:], "little")

    # event index

    def set_used_event(self, value: int) -> None:
        self.put16(self.driver + 4 + 2 * self.size, value)

    def avail_event(self) -> int:
        return self.get16(self.device + 4 + 8 * self.size)


class Driver:
    """Drives one device. memory_at: a page-aligned gpa from which it may lay out rings and buffers."""

    def __init__(self, registers: Registers, memory: Memory, memory_at: int) -> None:
        self.registers = registers
        self.memory = memory
        self.rings: list[Ring] = []
        self._next = memory_at

    def load(self, offset: int) -> int:
        return self.registers.load(offset, 4)

    def store(self, offset: int, value: int) -> None:
        self.registers.store(offset, 4, value)

    def allocate(self, length: int, alignment: int = 16) -> int:
        """Some RAM of the driver's own."""
        gpa = -(-self._next // alignment) * alignment
        self._next = gpa + length
        return gpa

    # --- initialization (3.1.1)

    def start(self, features: int = EVERYTHING, sizes: Sequence[int] = (16,)) -> int:
        """Reset, negotiate what the device offers of `features`, set up a queue of each size, and go. Returns what was
        negotiated."""
        accepted = self.negotiate(features)
        self.rings = [self.set_up(index, size) for index, size in enumerate(sizes)]
        self.store(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
        return accepted

    def negotiate(self, features: int) -> int:
        """Up to FEATURES_OK."""
        assert (self.load(MAGIC), self.load(VERSION)) == (0x7472_6976, 2)
        self.store(STATUS, 0)
        self.store(STATUS, ACKNOWLEDGE)
        self.store(STATUS, ACKNOWLEDGE | DRIVER)
        accepted = self.offered() & features
        for word in (0, 1):
            self.store(DRIVER_FEATURES_SEL, word)
            self.store(DRIVER_FEATURES, accepted >> 32 * word & 0xFFFF_FFFF)
        self.store(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        assert self.load(STATUS) & FEATURES_OK, "the device refuses what it offered"
        return accepted

    def offered(self) -> int:
        offered = 0
        for word in (0, 1):
            self.store(DEVICE_FEATURES_SEL, word)
            offered |= self.load(DEVICE_FEATURES) << 32 * word
        return offered

    def set_up(self, index: int, size: int) -> Ring:
        """A queue (4.2.3.2)."""
        self.store(QUEUE_SEL, index)
        assert self.load(QUEUE_READY) == 0
        assert size <= self.load(QUEUE_SIZE_MAX)
        areas = (self.allocate(16 * size), self.allocate(6 + 2 * size, 2), self.allocate(6 + 8 * size, 4))
        for gpa, length in zip(areas, (16 * size, 6 + 2 * size, 6 + 8 * size), strict=True):
            self.memory.write(gpa, bytes(length))
        self.store(QUEUE_SIZE, size)
        for register, gpa in zip(AREAS, areas, strict=True):
            self.store(register, gpa & 0xFFFF_FFFF)
            self.store(register + 4, gpa >> 32)
        self.store(QUEUE_READY, 1)
        return Ring(self.memory, index, size, *areas, free=list(range(size)))

    # --- operation

    def kick(self, index: int = 0) -> None:
        self.store(QUEUE_NOTIFY, index)

    def acknowledge(self) -> int:
        """Take the pending interrupt's reasons."""
        reasons = self.load(INTERRUPT_STATUS)
        self.store(INTERRUPT_ACK, reasons)
        return reasons

    @property
    def needs_reset(self) -> bool:
        return bool(self.load(STATUS) & NEEDS_RESET)
