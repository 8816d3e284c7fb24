"""Console, entropy and balloon."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.devices.virtio.console import VirtioConsole
from hartvisor.core.devices.virtio.rng import VirtioRng

from .driver import NEEDS_RESET, QUEUE_READY, QUEUE_SEL, STATUS
from .ram import BASE
from .slot import Slot

RX, TX = 0, 1
INFLATE, DEFLATE, STATS = 0, 1, 2
CONFIG_CHANGED = 2


# --- console


def console() -> tuple[Slot[VirtioConsole], ConsoleEnd, bytearray]:
    shown = bytearray()
    end = ConsoleEnd(shown.extend)
    return Slot(VirtioConsole(end, 132, 43), (8, 8)), end, shown


def test_what_the_guest_writes_is_shown() -> None:
    slot, _, shown = console()
    slot.give(TX, b"hello, ")
    slot.give(TX, b"x" * 10_000)
    assert shown == b"hello, " + b"x" * 10_000


def test_what_is_typed_waits_for_buffers() -> None:
    slot, end, _ = console()
    end.type(b"abcdef")
    first = slot.lend(RX, 4)
    assert slot.ram.read(first, 4) == b"abcd"
    second, third = slot.lend(RX, 4), slot.lend(RX, 4)
    assert slot.ram.read(second, 2) == b"ef"
    slot.driver.acknowledge()
    end.type(b"g")
    assert slot.ram.read(third, 1) == b"g"
    assert [length for _, length in slot.driver.rings[RX].take()] == [4, 2, 1]


def test_a_pipes_bytes_come_one_in_a_buffer() -> None:
    slot, end, _ = console()
    pieces = [b"ab", b""]
    end.refill = lambda: pieces.pop(0)
    gpas = [slot.lend(RX, 4) for _ in range(3)]
    assert [slot.ram.read(gpa, 2) for gpa in gpas] == [b"a\0", b"b\0", b"\0\0"]
    assert len(slot.driver.rings[RX].take()) == 2


def test_an_emergency_write_needs_no_driver() -> None:
    shown = bytearray()
    slot = Slot(VirtioConsole(ConsoleEnd(shown.extend)))
    slot.mmio.store(0x108, 4, ord("!"))
    assert shown == b"!"


def test_the_terminals_size_can_change() -> None:
    slot, _, _ = console()
    assert (slot.mmio.load(0x100, 2), slot.mmio.load(0x102, 2)) == (132, 43)
    before = slot.driver.load(0x0FC)
    slot.device.resize(80, 24)
    assert slot.driver.load(0x0FC) != before
    assert slot.driver.acknowledge() == CONFIG_CHANGED
    assert (slot.mmio.load(0x100, 2), slot.mmio.load(0x102, 2)) == (80, 24)
    assert slot.move_to(VirtioConsole(ConsoleEnd())).mmio.load(0x102, 2) == 24


def test_a_receive_buffer_that_cannot_be_written_needs_a_reset() -> None:
    slot, end, _ = console()
    slot.give(RX, b"x")
    end.type(b"y")
    assert slot.driver.load(STATUS) & NEEDS_RESET
    slot.driver.start(sizes=(8, 8))
    assert slot.ram.read(slot.lend(RX, 1), 1) == b"y"


# --- entropy


def stream(slot: Slot[VirtioRng], sizes: list[int]) -> bytes:
    return b"".join(slot.ram.read(slot.lend(0, size), size) for size in sizes)


def test_the_same_seed_gives_the_same_bytes_however_they_are_asked_for() -> None:
    one, other, odd = (Slot(VirtioRng(seed), (8,)) for seed in (b"1", b"1", b"2"))
    whole = stream(one, [200])
    one.driver.rings[0].take()
    assert stream(other, [1, 63, 64, 72]) == whole
    assert stream(odd, [200]) != whole
    assert len(set(whole)) > 80


def test_a_restored_source_goes_on_in_the_stream() -> None:
    slot, twin = Slot(VirtioRng(b"s"), (8,)), Slot(VirtioRng(b"s"), (8,))
    first = stream(slot, [10])
    assert first + stream(slot.move_to(VirtioRng()), [30]) == stream(twin, [40])


def test_a_huge_request_gets_what_is_reasonable() -> None:
    slot = Slot(VirtioRng(), (8,))
    slot.lend(0, 200_000)
    assert slot.driver.rings[0].take()[0][1] == 64 << 10


def test_a_buffer_for_entropy_that_cannot_be_written_needs_a_reset() -> None:
    slot = Slot(VirtioRng(), (8,))
    slot.give(0, b"x")
    assert slot.driver.load(STATUS) & NEEDS_RESET


# --- balloon


class Host:
    """Remembers which pages it was lent and gave back."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.balloon = VirtioBalloon(
            lambda gpas: self.calls.append(("take", gpas)), lambda gpas: self.calls.append(("return", gpas))
        )
        self.slot = Slot(self.balloon, (16, 16, 2))


def pages(*gpas: int) -> bytes:
    return b"".join((gpa >> 12).to_bytes(4, "little") for gpa in gpas)


def test_pages_go_into_the_balloon_and_out() -> None:
    host = Host()
    host.slot.give(INFLATE, pages(BASE, BASE + 0x3000))
    host.slot.give(DEFLATE, pages(BASE))
    assert host.calls == [("take", (BASE, BASE + 0x3000)), ("return", (BASE,))]
    assert host.balloon.pages == {BASE + 0x3000}
    host.slot.driver.store(0x104, 1)
    assert host.balloon.actual == 1


def test_pages_outside_ram_are_not_taken() -> None:
    host = Host()
    host.slot.give(INFLATE, pages(0, BASE - 0x1000, BASE + (1 << 20), 0xFFFF_FFFF << 12) + b"\1\2")
    assert host.balloon.pages == set()


def test_the_host_asks_by_the_configuration() -> None:
    host = Host()
    host.balloon.target = 77
    assert host.slot.driver.acknowledge() == CONFIG_CHANGED
    assert host.slot.driver.load(0x100) == 77


def test_statistics_are_held_until_they_are_asked_for() -> None:
    host = Host()
    report = (5).to_bytes(2, "little") + (1 << 30).to_bytes(8, "little") + b"\xff\xff" + bytes(8) + b"\1"
    host.slot.give(STATS, report)
    assert host.balloon.statistics == {"total": 1 << 30}
    assert host.slot.driver.rings[STATS].take() == []
    moved = VirtioBalloon()
    slot = host.slot.move_to(moved)
    moved.ask_for_statistics()
    assert len(slot.driver.rings[STATS].take()) == 1
    moved.ask_for_statistics()
    assert slot.driver.rings[STATS].take() == []
    assert moved.statistics == {"total": 1 << 30}


def test_statistics_of_a_queue_taken_back_are_forgotten() -> None:
    host = Host()
    host.slot.give(STATS, bytes(10))
    driver = host.slot.driver
    driver.store(QUEUE_SEL, STATS)
    driver.store(QUEUE_READY, 0)
    driver.store(0x0A0, 0)
    host.slot.ram.stores.clear()
    host.balloon.ask_for_statistics()
    assert host.slot.ram.stores == []


def test_a_reset_gives_the_pages_back() -> None:
    host = Host()
    host.slot.give(INFLATE, pages(BASE + 0x1000, BASE))
    host.slot.driver.store(STATUS, 0)
    assert host.calls[-1] == ("return", (BASE, BASE + 0x1000))
    assert host.balloon.pages == set()


@pytest.mark.parametrize("queue", [INFLATE, DEFLATE, STATS])
def test_a_buffer_with_nothing_to_read_means_nothing(queue: int) -> None:
    host = Host()
    host.slot.lend(queue, 16)
    assert host.balloon.pages == set()
    assert not host.slot.driver.needs_reset
