"""The network device: frames out and in, merged buffers, two guests on one cable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.virtio.net import BACKLOG, MAX_FRAME, Cable, VirtioNet

from .driver import EVERYTHING, NEEDS_RESET, STATUS
from .slot import Slot

RX, TX = 0, 1
MERGE = 1 << 15
FRAME = bytes(range(60))


class Sent:
    """A wire that remembers."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(frame)


class Card(Slot[VirtioNet]):
    """A card and a driver with receive buffers of `room` bytes."""

    def __init__(self, device: VirtioNet, features: int = EVERYTHING, buffers: int = 8, room: int = 1526) -> None:
        super().__init__(device, (16, 16), features)
        self.room = room
        self.places: list[int] = []
        self.lent: dict[int, int] = {}
        for _ in range(buffers):
            self.offer()

    def offer(self) -> None:
        gpa = self.driver.allocate(self.room)
        head = self.driver.rings[RX].add([(gpa, self.room, True)])
        self.lent[head] = gpa
        self.driver.kick(RX)

    def send(self, frame: bytes) -> None:
        self.give(TX, bytes(12) + frame)
        self.driver.rings[TX].take()

    def received(self) -> list[bytes]:
        """The frames that came, put together from their buffers, which are then lost to the test."""
        frames, left, parts = [], 0, b""
        for head, length in self.driver.rings[RX].take():
            data = self.ram.read(self.lent[head], length)
            if not left:
                left = int.from_bytes(data[10:12], "little")
                assert data[:10] == bytes(10)
                data = data[12:]
            parts += data
            left -= 1
            if not left:
                frames.append(parts)
                parts = b""
        return frames


def test_the_driver_finds_address_and_link() -> None:
    card = Card(VirtioNet(mac=b"\x02abcde"))
    assert bytes(card.mmio.load(0x100 + at, 1) for at in range(6)) == b"\x02abcde"
    assert card.mmio.load(0x106, 2) == 1


def test_frames_go_out_without_their_header() -> None:
    wire = Sent()
    card = Card(VirtioNet(wire))
    card.send(FRAME)
    card.send(FRAME[::-1])
    assert wire.frames == [FRAME, FRAME[::-1]]


@pytest.mark.parametrize("length", [0, 13, MAX_FRAME + 1])
def test_what_is_no_frame_is_not_sent(length: int) -> None:
    wire = Sent()
    card = Card(VirtioNet(wire))
    card.send(bytes(length))
    card.send(FRAME)
    assert wire.frames == [FRAME]


def test_a_frame_without_its_header_needs_a_reset() -> None:
    card = Card(VirtioNet())
    card.give(TX, bytes(11))
    assert card.driver.load(STATUS) & NEEDS_RESET


@given(st.lists(st.binary(min_size=14, max_size=200), max_size=6), st.integers(12, 64), st.booleans())
@settings(max_examples=60, deadline=None)
def test_frames_come_in_whole_in_as_many_buffers_as_they_take(frames: list[bytes], room: int, merges: bool) -> None:
    card = Card(VirtioNet(), EVERYTHING if merges else EVERYTHING & ~MERGE, 0, room if merges else 300)
    for frame in frames:
        card.device.receive(frame)
    got: list[bytes] = []
    taken = 0
    while len(got) < len(frames) and taken < 200:
        card.offer()
        used = card.driver.rings[RX].get16(card.driver.rings[RX].device + 2)
        if used != card.driver.rings[RX].seen:
            got += card.received()
        taken += 1
    assert got == frames
    assert card.device.lost == 0


def test_a_frame_that_fits_no_buffer_is_lost() -> None:
    card = Card(VirtioNet(), EVERYTHING & ~MERGE, room=40)
    card.device.receive(FRAME)
    card.device.receive(FRAME[:20])
    assert [length for _, length in card.driver.rings[RX].take()] == [0, 32]
    assert card.device.lost == 1


def test_a_receive_buffer_that_cannot_be_written_needs_a_reset() -> None:
    card = Card(VirtioNet(), buffers=0)
    card.give(RX, bytes(100))
    card.device.receive(FRAME)
    assert card.driver.load(STATUS) & NEEDS_RESET


def test_frames_wait_for_buffers_but_not_without_end() -> None:
    card = Card(VirtioNet(), buffers=0)
    for _ in range(BACKLOG + 3):
        card.device.receive(FRAME)
    assert card.device.lost == 3
    card.offer()
    assert card.received() == [FRAME]


def test_without_a_driver_or_a_link_frames_are_lost() -> None:
    device = VirtioNet()
    device.receive(FRAME)
    card = Card(device)
    device.set_link(False)
    assert card.mmio.load(0x106, 2) == 0
    assert card.driver.acknowledge() & 2
    device.receive(FRAME)
    assert (device.lost, card.received()) == (2, [])


def test_two_guests_talk_over_a_cable() -> None:
    one, other = Card(VirtioNet(mac=b"\x02aaaaa")), Card(VirtioNet(mac=b"\x02bbbbb"))
    cable = Cable(one.device, other.device)
    for number in range(3):
        one.send(b"to other" + bytes([number]) * 60)
    other.send(b"to one" + bytes(60))
    assert one.received() == other.received() == []  # nothing arrives before the run loop says so
    assert cable.deliver() == 4
    assert other.received() == [b"to other" + bytes([number]) * 60 for number in range(3)]
    assert one.received() == [b"to one" + bytes(60)]
    assert other.driver.acknowledge() == 1
    assert cable.deliver() == 0


def test_a_restored_card_has_the_frames_that_waited() -> None:
    card = Card(VirtioNet(), buffers=0)
    card.device.receive(FRAME)
    card.device.receive(FRAME[:14])
    moved = card.move_to(VirtioNet(mac=b"\x02other"))
    gpa = moved.lend(RX, 100)
    assert moved.ram.read(gpa + 12, 60) == FRAME
