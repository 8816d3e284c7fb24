"""Lab 5: the reference tests."""

from __future__ import annotations

from struct import pack
from typing import Any

from hartvisor.labs.kit.devices import (
    DESC_NEXT,
    DESC_WRITE,
    IER,
    IER_THRE,
    IIR,
    IIR_NONE,
    IIR_THRE,
    BrokenRing,
    BufferChain,
    MmioRegion,
    RingLayout,
)

RAM = 0x8000_0000
END = RAM + (1 << 16)
BUFFER = RAM + 0x8000


def describe(subject: Any, ring: RingLayout, number: int, gpa: int, length: int, flags: int = 0, to: int = 0) -> None:
    """Write a descriptor."""
    subject.poke(ring.descriptors + 16 * number, pack("<QIHH", gpa, length, flags, to))


def offer(subject: Any, ring: RingLayout, idx: int, head: int) -> None:
    """Make a chain available."""
    subject.poke(ring.driver + 4 + 2 * (idx % ring.size), pack("<H", head))
    subject.poke(ring.driver + 2, pack("<H", idx + 1 & 0xFFFF))


def test_straddling(subject: Any) -> None:
    """The last four bytes of a region are no doubleword of it."""
    regions = [MmioRegion("tiny", 0x1000, 12)]
    assert subject.mmio_dispatch(regions, 0x1008, 4).offset == 8
    assert subject.mmio_dispatch(regions, 0x1008, 8) is None


def test_transmitter_interrupt(subject: Any) -> None:
    """Reading IIR takes it back."""
    subject.store(IER, IER_THRE)
    assert subject.interrupt()
    assert subject.load(IIR) == IIR_THRE
    assert subject.load(IIR) == IIR_NONE
    assert not subject.interrupt()


def test_chain_across_the_wrap(subject: Any) -> None:
    """idx goes from 65535 to 0."""
    ring = subject.new_ring(4, 0xFFFF)
    describe(subject, ring, 2, BUFFER, 16, DESC_NEXT, 1)
    describe(subject, ring, 1, BUFFER + 16, 8, DESC_WRITE)
    offer(subject, ring, 0xFFFF, 2)
    chain = subject.virtq_pop()
    assert isinstance(chain, BufferChain)
    assert chain.head == 2
    assert [tuple(each) for each in chain.readable] == [(BUFFER, 16)]
    assert [tuple(each) for each in chain.writable] == [(BUFFER + 16, 8)]
    assert subject.virtq_pop() is None


def test_descriptors_end(subject: Any) -> None:
    """Number 4 of 4 is none."""
    ring = subject.new_ring(4, 0)
    describe(subject, ring, 4, BUFFER, 16)
    offer(subject, ring, 0, 4)
    assert isinstance(subject.virtq_pop(), BrokenRing)


def test_ram_ends(subject: Any) -> None:
    """A buffer of nine bytes, eight of which are RAM."""
    ring = subject.new_ring(4, 0)
    describe(subject, ring, 0, END - 8, 9)
    offer(subject, ring, 0, 0)
    assert isinstance(subject.virtq_pop(), BrokenRing)


def test_idx_is_not_trusted(subject: Any) -> None:
    """Five chains in a ring of four."""
    ring = subject.new_ring(4, 0)
    describe(subject, ring, 0, BUFFER, 16)
    subject.poke(ring.driver + 2, pack("<H", 5))
    assert isinstance(subject.virtq_pop(), BrokenRing)


def test_used(subject: Any) -> None:
    """The first element, and idx."""
    ring = subject.new_ring(4, 0)
    subject.virtq_push(3, 77)
    assert subject.peek(ring.device + 4, 8) == pack("<II", 3, 77)
    assert subject.peek(ring.device + 2, 2) == pack("<H", 1)
