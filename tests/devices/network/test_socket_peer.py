"""Peers outside: QEMU's two formats on real sockets, and a world that does what it likes."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hartvisor.core.devices.network.socket_peer import MAX_LENGTH, MAX_WAITING, DatagramPeer, StreamPeer
from hartvisor.core.devices.virtio.net import MAX_FRAME
from hartvisor.core.errors import ConfigError

FRAME = bytes(range(60))


def framed(frame: bytes) -> bytes:
    return struct.pack("!I", len(frame)) + frame


class World:
    """A peer that listens, what it said, and connections to it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.peer = StreamPeer.listen(("127.0.0.1", 0), self.said.append)
        self.port = int(self.said[0].rpartition(":")[2])
        self.sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), 5)
        self.sockets.append(connection)
        return connection

    def take(self, count: int, limit: int = 1000) -> list[bytes]:
        """Frames, until there are so many or nothing has come for a while."""
        frames: list[bytes] = []
        end = time.monotonic() + 5
        while len(frames) < count and time.monotonic() < end:
            frames += self.peer.take_in(limit)
        return frames

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + 5
        while text not in self.said[-1]:
            assert time.monotonic() < end, self.said
            assert self.peer.take_in(10) == []

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        self.peer.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def test_frames_travel_behind_their_length(world: World) -> None:
    there = world.connect()
    there.sendall(framed(FRAME) + framed(FRAME[::-1]))
    assert world.take(2) == [FRAME, FRAME[::-1]]
    world.peer.answer(FRAME)
    assert there.recv(1000) == framed(FRAME)


def test_a_frame_may_come_in_pieces(world: World) -> None:
    there = world.connect()
    for byte in framed(FRAME):
        assert world.peer.take_in(10) == []
        there.sendall(bytes((byte,)))
    assert world.take(1) == [FRAME]


def test_no_more_is_taken_than_wanted(world: World) -> None:
    there = world.connect()
    there.sendall(framed(FRAME) * 100)
    assert world.take(1, limit=1) == [FRAME]
    assert len(world.take(99, limit=7)) == 99


def test_a_flood_waits_in_the_sockets(world: World) -> None:
    """A limit of nothing takes nothing, and the sender is held up, not we."""
    there = world.connect()
    there.setblocking(False)
    assert world.peer.take_in(0) == []
    sent = 0
    with pytest.raises(BlockingIOError):
        while sent < 1 << 28:
            sent += there.send(framed(FRAME) * 1000)
    assert len(world.take(100, limit=100)) == 100


@pytest.mark.parametrize("length", [MAX_LENGTH + 1, 0xFFFF_FFFF])
def test_an_impossible_length_ends_the_connection_with_a_line(world: World, length: int) -> None:
    world.connect().sendall(framed(FRAME) + struct.pack("!I", length) + b"garbage")
    assert world.take(1) == [FRAME]
    world.wait_for(f"announced a frame of {length} bytes")
    assert "waiting for another" in world.said[-1]


@pytest.mark.parametrize("seed", range(5))
def test_noise_ends_in_a_line_or_in_frames(world: World, seed: int) -> None:
    noise = random.Random(seed)
    there = world.connect()
    for _ in range(20):
        with suppress(OSError):
            length = noise.choice((0, 5, 14, 60, 70_000, 1 << 31))
            there.sendall(struct.pack("!I", length) + noise.randbytes(noise.choice((0, 14, 60, 500))))
        assert all(14 <= len(frame) <= MAX_FRAME for frame in world.peer.take_in(10))
    there.close()
    end = time.monotonic() + 5
    while "waiting for another" not in world.said[-1]:
        assert time.monotonic() < end
        world.peer.take_in(1000)


def test_what_is_too_short_or_long_for_a_frame_is_skipped(world: World) -> None:
    world.connect().sendall(framed(b"") + framed(bytes(13)) + framed(bytes(MAX_LENGTH)) + framed(FRAME))
    assert world.take(1) == [FRAME]


def test_after_a_peer_that_goes_another_may_come(world: World) -> None:
    first = world.connect()
    first.sendall(framed(FRAME)[:10])
    world.wait_for("a peer has connected from 127.0.0.1:")
    first.close()
    world.wait_for("the peer has gone; waiting for another")
    world.peer.answer(FRAME)  # to nobody
    assert world.peer.is_live
    second = world.connect()
    second.sendall(framed(FRAME))
    assert world.take(1) == [FRAME]
    world.peer.answer(FRAME)
    assert second.recv(1000) == framed(FRAME)


def test_a_peer_that_does_not_read_loses_frames_and_costs_no_memory(world: World) -> None:
    there = world.connect()
    world.wait_for("connected")
    for _ in range(2000):
        world.peer.answer(bytes(60_000))
    assert len(world.peer._out) < MAX_WAITING + 60_004
    assert world.said[-1] == "the peer does not read; frames to it are lost"
    there.close()
    world.wait_for("the peer has gone")


def test_a_connection_that_we_made_is_over_when_it_ends() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = StreamPeer.connect(server.getsockname(), said.append)
        there, _ = server.accept()
        peer.answer(FRAME)
        assert there.recv(1000) == framed(FRAME)
        assert peer.is_live
        there.close()
        while peer.is_live:
            peer.take_in(10)
    assert said == ["the peer has gone; the guest goes on without it"]
    assert peer.answer(FRAME) == () and peer.take_in(10) == [] and peer.waits_on() == ([], [])
    peer.close()


def test_nobody_to_connect_to_and_a_taken_port_are_mistakes(world: World) -> None:
    with pytest.raises(ConfigError, match="in use"):
        StreamPeer.listen(("127.0.0.1", world.port), print)
    world.peer.close()
    with pytest.raises(ConfigError, match="refused"):
        StreamPeer.connect(("127.0.0.1", world.port), print)


def test_datagrams_are_frames() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        there.bind(("127.0.0.1", 0))
        there.settimeout(5)
        peer = DatagramPeer(("127.0.0.1", 0), there.getsockname())
        peer.answer(FRAME)
        data, address = there.recvfrom(1000)
        assert data == FRAME
        stranger.sendto(FRAME[::-1], address)
        there.sendto(b"short", address)
        there.sendto(FRAME, address)
        frames: list[bytes] = []
        while not frames:
            frames = peer.take_in(10)
        assert frames == [FRAME]
    peer.answer(FRAME)  # nobody listens any more: lost
    assert peer.take_in(10) == []
    peer.close()
