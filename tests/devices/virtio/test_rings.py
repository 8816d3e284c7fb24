"""Virtqueues under honest and malicious drivers: what breaks a rule ends in NEEDS_RESET and harms nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.devices.virtio.mmio import VirtioMmio

from ..lines import Line
from .driver import (
    AREAS,
    DRIVER_OK,
    EVENT_IDX,
    EVERYTHING,
    INDIRECT,
    INDIRECT_DESC,
    NEEDS_RESET,
    NEXT,
    QUEUE_READY,
    QUEUE_SEL,
    QUEUE_SIZE,
    STATUS,
    WRITE,
    Driver,
)
from .ram import BASE, Ram

USED, CONFIG = 1, 2


class Echo(VirtioDevice):
    """Writes what it reads, reversed, into the same chain: as much as fits."""

    device_id = 42
    queue_sizes = (64, 8)

    def notify(self, index: int) -> None:
        assert self.link is not None
        queue = self.link.queues[index]
        while (chain := queue.pop()) is not None:
            data = chain.read(chain.readable)[::-1]
            chain.write(data[: chain.writable])
            queue.push(chain)


class Fixture:
    """A slot with an echo in it, and its driver."""

    def __init__(self) -> None:
        self.ram, self.line = Ram(), Line()
        self.slot = VirtioMmio(self.line)
        self.slot.plug(Echo(), self.ram)
        self.driver = Driver(self.slot, self.ram, BASE)

    def start(self, features: int = EVERYTHING, size: int = 16) -> Fixture:
        self.driver.start(features, [size])
        return self

    def text(self, data: bytes) -> tuple[int, int, bool]:
        """A readable buffer with data."""
        gpa = self.driver.allocate(len(data), 1)
        self.ram.write(gpa, data)
        return gpa, len(data), False

    def room(self, length: int) -> tuple[int, int, bool]:
        """A writable buffer."""
        return self.driver.allocate(length, 1), length, True


# --- honest drivers


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_chains_of_any_shape_are_echoed(data: st.DataObject) -> None:
    features = data.draw(st.sampled_from([EVERYTHING, EVERYTHING & ~EVENT_IDX]))
    fixture = Fixture().start(features, data.draw(st.sampled_from([1, 2, 8, 64])))
    driver, ring = fixture.driver, fixture.driver.rings[0]
    for _ in range(data.draw(st.integers(1, 30))):
        is_indirect = data.draw(st.booleans())
        most = 8 if is_indirect else min(8, ring.size)
        n_buffers = data.draw(st.integers(1, most))
        n_readable = data.draw(st.integers(0, n_buffers))
        n_writable = n_buffers - n_readable
        texts = [data.draw(st.binary(min_size=1, max_size=9)) for _ in range(n_readable)]
        rooms = [fixture.room(data.draw(st.integers(1, 9))) for _ in range(n_writable)]
        table = driver.allocate(16 * 8) if is_indirect else None
        head = ring.add([*(fixture.text(text) for text in texts), *rooms], table)
        driver.kick()
        expected = b"".join(texts)[::-1][: sum(length for _, length, _ in rooms)]
        assert ring.take() == [(head, len(expected))]
        assert b"".join(fixture.ram.read(gpa, length) for gpa, length, _ in rooms)[: len(expected)] == expected
    assert not driver.needs_reset


def test_indexes_wrap_at_65536() -> None:
    fixture = Fixture().start(size=2)
    ring = fixture.driver.rings[0]
    room = fixture.room(1)
    for _ in range(65_540):
        ring.add([room])
        fixture.driver.kick()
        assert ring.take()
    assert not fixture.driver.needs_reset


def test_a_table_may_follow_ordinary_descriptors() -> None:
    fixture = Fixture().start()
    ring, table = fixture.driver.rings[0], fixture.driver.allocate(32)
    (gpa, length, _), (more, more_length, _), room = fixture.text(b"ab"), fixture.text(b"cd"), fixture.room(4)
    ring.describe(ring.descriptors, 0, gpa, length, NEXT, 1)
    ring.describe(ring.descriptors, 1, table, 32, INDIRECT | WRITE)  # WRITE is to be ignored here
    ring.chain(table, [0, 1], [(more, more_length, False), room])
    ring.offer(0)
    fixture.driver.kick()
    assert fixture.ram.read(room[0], 4) == b"dcba"


def test_without_event_index_the_flag_silences_the_interrupt() -> None:
    fixture = Fixture().start(EVERYTHING & ~EVENT_IDX)
    ring = fixture.driver.rings[0]
    ring.put16(ring.driver, 1)
    ring.add([fixture.room(1)])
    fixture.driver.kick()
    assert len(ring.take()) == 1
    assert fixture.driver.acknowledge() == 0
    ring.put16(ring.driver, 0)
    ring.add([fixture.room(1)])
    fixture.driver.kick()
    assert fixture.line.level
    assert fixture.driver.acknowledge() == USED
    assert not fixture.line.level


def test_with_event_index_the_interrupt_comes_when_the_index_is_passed() -> None:
    fixture = Fixture().start()
    driver, ring = fixture.driver, fixture.driver.rings[0]
    for used_event, expected in ((0, [USED, 0, 0]), (5, [0, 0, USED]), (5, [0, 0, 0]), (65_535, [0, 0, 0])):
        ring.set_used_event(used_event)
        found = []
        for _ in range(3):
            ring.add([fixture.room(1)])
            driver.kick()
            found.append(driver.acknowledge())
        assert found == expected
        assert ring.avail_event() == ring.made
    ring.set_used_event(ring.made + 2)
    for _ in range(4):  # several at once: the index is passed on the way
        ring.add([fixture.room(1)])
    driver.kick()
    assert driver.acknowledge() == USED


def test_a_queue_is_not_touched_before_driver_ok_nor_when_it_is_not_ready() -> None:
    fixture = Fixture()
    driver = fixture.driver
    driver.negotiate(EVERYTHING)
    ring = driver.set_up(0, 16)
    ring.add([fixture.room(1)])
    fixture.ram.stores.clear()
    driver.kick()
    driver.kick(1)
    driver.kick(7)
    assert fixture.ram.stores == []
    driver.store(STATUS, driver.load(STATUS) | DRIVER_OK)
    assert len(ring.take()) == 1  # what was there already is served then
    driver.store(QUEUE_SEL, 0)
    driver.store(QUEUE_READY, 0)
    ring.add([fixture.room(1)])
    driver.kick()
    assert ring.take() == []


# --- malicious drivers

Spoil = Callable[[Fixture], None]


def loop(fixture: Fixture) -> None:
    ring = fixture.driver.rings[0]
    gpa, length, _ = fixture.room(1)
    for index in range(ring.size):
        ring.describe(ring.descriptors, index, gpa, length, NEXT | WRITE, (index + 1) % ring.size)
    ring.offer(0)


def loop_in_table(fixture: Fixture) -> None:
    ring, table = fixture.driver.rings[0], fixture.driver.allocate(32)
    gpa, length, _ = fixture.room(1)
    ring.describe(table, 0, gpa, length, NEXT | WRITE, 0)
    one(fixture, table, 32, INDIRECT)
    assert ring.size > 2


def one(fixture: Fixture, gpa: int, length: int, flags: int, next_: int = 0) -> None:
    """Offer one descriptor."""
    ring = fixture.driver.rings[0]
    ring.describe(ring.descriptors, 0, gpa, length, flags, next_)
    ring.offer(0)


def table_in_table(fixture: Fixture) -> None:
    ring, inner = fixture.driver.rings[0], fixture.driver.allocate(16)
    outer = fixture.driver.allocate(16)
    gpa, length, _ = fixture.room(1)
    ring.describe(inner, 0, gpa, length, WRITE)
    ring.describe(outer, 0, inner, 16, INDIRECT)
    one(fixture, outer, 16, INDIRECT)


def backwards(fixture: Fixture) -> None:
    ring = fixture.driver.rings[0]
    ring.add([fixture.room(1), fixture.text(b"a")])


def too_far(fixture: Fixture) -> None:
    ring = fixture.driver.rings[0]
    ring.put16(ring.driver + 2, ring.size + 1)


def index_back(fixture: Fixture) -> None:
    ring = fixture.driver.rings[0]
    ring.put16(ring.driver + 2, -1)


SPOILS: dict[str, Spoil] = {
    "a head beyond the table": lambda fixture: fixture.driver.rings[0].offer(16),
    "the last head that fits 16 bits": lambda fixture: fixture.driver.rings[0].offer(0xFFFF),
    "next beyond the table": lambda fixture: one(fixture, BASE, 1, NEXT | WRITE, 16),
    "a loop": loop,
    "a loop in an indirect table": loop_in_table,
    "next beyond the indirect table": lambda fixture: one(fixture, fixture.text(
        BASE.to_bytes(8, "little") + b"\1\0\0\0\1\0\1\0")[0], 16, INDIRECT),
    "an indirect table in an indirect table": table_in_table,
    "an indirect table with a next": lambda fixture: one(fixture, fixture.room(16)[0], 16, INDIRECT | NEXT, 1),
    "an indirect table of no bytes": lambda fixture: one(fixture, BASE, 0, INDIRECT),
    "an indirect table of 17 bytes": lambda fixture: one(fixture, BASE, 17, INDIRECT),
    "an indirect table outside RAM": lambda fixture: one(fixture, BASE - 16, 16, INDIRECT),
    "an indirect table over the end of RAM": lambda fixture: one(fixture, BASE + (1 << 20) - 16, 32, INDIRECT),
    "a buffer of no bytes": lambda fixture: one(fixture, BASE, 0, WRITE),
    "a buffer below RAM": lambda fixture: one(fixture, BASE - 1, 2, WRITE),
    "a buffer beyond RAM": lambda fixture: one(fixture, BASE + (1 << 20), 1, 0),
    "a buffer over the end of RAM": lambda fixture: one(fixture, BASE + (1 << 20) - 1, 2, 0),
    "a buffer at the end of the address space": lambda fixture: one(fixture, (1 << 64) - 1, 0xFFFF_FFFF, WRITE),
    "a writable buffer before a readable one": backwards,
    "more chains than the queue has": too_far,
    "an available index that goes back": index_back,
}


@pytest.mark.parametrize("name", SPOILS)
def test_a_malformed_ring_needs_a_reset_and_nothing_is_stored(name: str) -> None:
    fixture = Fixture().start(EVERYTHING & ~EVENT_IDX)
    driver, ring = fixture.driver, fixture.driver.rings[0]
    SPOILS[name](fixture)
    fixture.ram.stores.clear()
    driver.kick()
    assert driver.needs_reset
    assert fixture.slot.complaint
    assert fixture.line.level
    assert driver.acknowledge() == CONFIG
    assert fixture.ram.stores == []
    driver.kick()  # nothing more happens
    driver.store(STATUS, 0xF)  # and the driver cannot talk the device out of it
    assert driver.needs_reset
    assert ring.take() == []
    fixture.start()  # but a reset can
    driver.rings[0].add([fixture.room(1)])
    driver.kick()
    assert len(driver.rings[0].take()) == 1
    assert not driver.needs_reset


def test_an_indirect_table_that_was_not_negotiated_needs_a_reset() -> None:
    fixture = Fixture().start(EVERYTHING & ~INDIRECT_DESC)
    ring = fixture.driver.rings[0]
    ring.add([fixture.room(1)], fixture.driver.allocate(16))
    fixture.driver.kick()
    assert fixture.driver.needs_reset


def test_what_was_used_before_the_mistake_stays_used() -> None:
    fixture = Fixture().start()
    driver, ring = fixture.driver, fixture.driver.rings[0]
    ring.add([fixture.room(1)])
    ring.offer(99)
    driver.kick()
    assert len(ring.take()) == 1
    assert driver.acknowledge() == USED | CONFIG


@pytest.mark.parametrize(
    ("register", "value"),
    [(QUEUE_SIZE, 0), (QUEUE_SIZE, 3), (QUEUE_SIZE, 128), (QUEUE_SIZE, 0xFFFF_FFFF)]
    + [(area, value) for area in AREAS for value in (0, 1 << 20, 0x8000_0001, 0x800F_FFFC)]
    + [(area + 4, value) for area in AREAS for value in (1, 0xFFFF_FFFF)],
)
def test_a_queue_that_cannot_be_needs_a_reset(register: int, value: int) -> None:
    fixture = Fixture()
    driver = fixture.driver
    driver.negotiate(EVERYTHING)
    driver.set_up(0, 16)
    driver.store(QUEUE_READY, 0)
    driver.store(register, value)
    driver.store(QUEUE_READY, 1)
    assert driver.load(STATUS) & NEEDS_RESET
    assert driver.load(QUEUE_READY) == 0
    assert driver.acknowledge() == 0  # no interrupt before DRIVER_OK (2.1.2) ...
    driver.store(STATUS, driver.load(STATUS) | DRIVER_OK)
    assert driver.acknowledge() == CONFIG  # ... but then


def test_a_ready_queue_cannot_be_moved() -> None:
    fixture = Fixture().start()
    driver, ring = fixture.driver, fixture.driver.rings[0]
    driver.store(QUEUE_SEL, 0)
    for register in (*AREAS, QUEUE_SIZE):
        driver.store(register, 0)
    ring.add([fixture.room(1)])
    driver.kick()
    assert len(ring.take()) == 1


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_ring_at_all_does_harm(data: st.DataObject) -> None:
    """Random descriptors, rings and registers: the device never raises, never leaves RAM, never writes where no
    writable buffer or used ring is, and always can be reset."""
    fixture = Fixture().start(data.draw(st.sampled_from([EVERYTHING, EVERYTHING & ~EVENT_IDX])), 8)
    driver, ring = fixture.driver, fixture.driver.rings[0]
    field_at = driver.allocate(4096, 4096)
    near = st.one_of(st.integers(field_at, field_at + 4096), st.sampled_from([0, BASE - 1, BASE + (1 << 20) - 1]))
    length = st.one_of(st.integers(0, 64), st.sampled_from([16, 32, 48, 4096, 1 << 20, 0xFFFF_FFFF]))
    entry = st.tuples(near, length, st.sampled_from([0, NEXT, WRITE, NEXT | WRITE, INDIRECT, 7, 5, 0xFFFF]),
                      st.integers(0, 9))
    for table, entries in ((ring.descriptors, 8), (field_at, 16)):
        for index in range(entries):
            ring.describe(table, index, *data.draw(entry))
    for _ in range(data.draw(st.integers(1, 4))):
        for _ in range(data.draw(st.integers(0, 9))):
            ring.offer(data.draw(st.integers(0, 8)))
        fixture.ram.stores.clear()
        driver.kick(data.draw(st.integers(0, 2)))
        for gpa, size in fixture.ram.stores:
            in_ring = ring.device <= gpa and gpa + size <= ring.device + 6 + 8 * ring.size
            assert in_ring or fixture.ram.contains(gpa, size)
    fixture.driver._next = field_at + 4096
    fixture.start()
    driver.rings[0].add([fixture.room(1)])
    driver.kick()
    assert len(driver.rings[0].take()) == 1
