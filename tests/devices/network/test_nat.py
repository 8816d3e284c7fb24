"""The network by NAT: libslirp on real sockets, asked by hand-made frames."""

from __future__ import annotations

import random
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from hartvisor.core.devices.network import nat
from hartvisor.core.devices.network.nat import Forward, NatPeer
from hartvisor.core.devices.network.packets import (
    ARP,
    ARP_ETHERNET,
    ARP_REPLY,
    ARP_REQUEST,
    ETHERNET,
    SYN,
    TCP,
    TYPE_ARP,
    TYPE_IPV4,
    UDP,
    UDP_HEADER,
    Packet,
    read_packet,
    read_segment,
)
from hartvisor.core.devices.virtio.net import MAX_FRAME
from hartvisor.core.errors import ConfigError

MAC = bytes.fromhex("525400687600")
EVERYONE = b"\xff" * 6
GUEST, HOST, NAME_SERVER = (socket.inet_aton(f"10.0.2.{number}") for number in (15, 2, 3))
NOBODY = bytes(4)


def take(peer: NatPeer, count: int = 1) -> list[bytes]:
    """Frames, until there are so many; by waiting as a run loop does."""
    frames: list[bytes] = []
    end = time.monotonic() + 5
    while len(frames) < count:
        assert time.monotonic() < end, frames
        reading, writing = peer.waits_on()
        select.select(reading, writing, [], 0.05)
        frames += peer.take_in(100)
    return frames


def arp(operation: int, sender: bytes, target: bytes) -> bytes:
    return ETHERNET.pack(EVERYONE, MAC, TYPE_ARP) + ARP.pack(*ARP_ETHERNET, operation, MAC, sender, bytes(6), target)


def udp(source: bytes, target: bytes, ports: tuple[int, int], data: bytes, to: bytes = EVERYONE) -> bytes:
    payload = UDP_HEADER.pack(*ports, UDP_HEADER.size + len(data), 0) + data
    return ETHERNET.pack(to, MAC, TYPE_IPV4) + Packet(source, target, UDP, payload).pack()


def packet_in(frame: bytes) -> Packet:
    packet = read_packet(frame[ETHERNET.size :])
    assert packet is not None
    return packet


@pytest.fixture
def peer() -> Iterator[NatPeer]:
    made = NatPeer()
    yield made
    made.close()


def test_the_host_says_where_it_is(peer: NatPeer) -> None:
    assert peer.answer(arp(ARP_REQUEST, GUEST, HOST)) == ()
    [frame] = take(peer)
    *_, operation, _, sender, target, asker = ARP.unpack_from(frame, ETHERNET.size)
    assert (operation, sender, target, asker) == (ARP_REPLY, HOST, MAC, GUEST)
    assert peer.take_in(10) == []


def test_a_descriptor_says_that_frames_wait_and_as_many_come_as_are_wanted(peer: NatPeer) -> None:
    reading, _ = peer.waits_on()
    assert not select.select(reading, [], [], 0)[0]
    for _ in range(3):
        peer.answer(arp(ARP_REQUEST, GUEST, HOST))
    for left in (2, 1, 0):
        reading, _ = peer.waits_on()
        assert select.select(reading, [], [], 0)[0]
        assert len(peer.take_in(1)) == 1
        assert len(peer._frames) == left
    reading, _ = peer.waits_on()
    assert not select.select(reading, [], [], 0)[0]


def test_dhcp_offers_an_address_a_router_and_a_name_server(peer: NatPeer) -> None:
    request = struct.pack("!BBBBIHH4s4s4s4s16s192xI", 1, 1, 6, 0, 0x1234, 0, 0, NOBODY, NOBODY, NOBODY, NOBODY,
                          MAC.ljust(16, b"\0"), 0x63825363) + bytes((53, 1, 1, 255))     # DHCPDISCOVER
    peer.answer(udp(NOBODY, EVERYONE[:4], (68, 67), request))
    offer = packet_in(take(peer)[0]).payload[UDP_HEADER.size :]
    assert offer[16:20] == GUEST
    options, found = offer[240:], {}
    while options[0] != 255:
        found[options[0]], options = options[2 : 2 + options[1]], options[2 + options[1] :]
    assert (found[53], found[3], found[6], found[1]) == (b"\2", HOST, NAME_SERVER, b"\xff\xff\xff\0")


def test_a_datagram_to_the_host_reaches_its_loopback_and_the_answer_comes_back(peer: NatPeer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(5)
        port = service.getsockname()[1]
        peer.answer(arp(ARP_REQUEST, GUEST, HOST))
        host = take(peer)[0][6:12]
        peer.answer(udp(GUEST, HOST, (4000, port), b"from the guest", host))
        data, whence = service.recvfrom(100)
        assert data == b"from the guest"
        service.sendto(b"from the host", whence)
        packet = packet_in(take(peer)[0])
    assert (packet.source, packet.target) == (HOST, GUEST)
    assert UDP_HEADER.unpack_from(packet.payload)[:3] == (port, 4000, UDP_HEADER.size + 13)
    assert packet.payload[UDP_HEADER.size :] == b"from the host"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_forwarded_port_leads_to_the_guest() -> None:
    port = free_port()
    peer = NatPeer([Forward(False, ("127.0.0.1", port), ("10.0.2.15", 80))])
    peer.answer(arp(ARP_REPLY, GUEST, HOST))
    with socket.create_connection(("127.0.0.1", port), 5):
        packets = [packet_in(frame) for frame in take(peer) if frame[12:14] == b"\x08\x00"]
        segment = read_segment(packets[0])
    assert packets[0].protocol == TCP
    assert segment is not None
    assert (segment.target, segment.flags & SYN) == (80, SYN)
    peer.close()


def test_what_cannot_be_had_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()
        with pytest.raises(ConfigError, match=f"{taken[1]}: the port cannot be had"):
            NatPeer([Forward(False, taken, ("10.0.2.15", 80))])
    with pytest.raises(ConfigError, match=r"no\.such\.host\.invalid:1-"):
        NatPeer([Forward(False, ("no.such.host.invalid", 1), ("10.0.2.15", 80))])
    monkeypatch.setattr(nat, "LIBRARY", "libno-such-thing.so.0")
    nat._library.cache_clear()
    with pytest.raises(ConfigError, match=r"needs libno-such-thing\.so\.0: apt install libslirp0"):
        NatPeer()
    nat._library.cache_clear()


def test_nonsense_is_borne(peer: NatPeer) -> None:
    rng = random.Random(20261130)
    whole = [arp(ARP_REQUEST, GUEST, HOST), udp(GUEST, HOST, (1, 67), bytes(300)),
             udp(GUEST, NAME_SERVER, (9, 53), b"")]
    for _ in range(3000):
        frame = bytearray(rng.choice(whole) if rng.random() < 0.7 else rng.randbytes(rng.randrange(14, MAX_FRAME)))
        for _ in range(rng.randrange(6)):
            frame[rng.randrange(12, len(frame))] = rng.randrange(256)
        peer.answer(bytes(frame[: rng.randrange(14, len(frame) + 1)]))
    peer.take_in(10_000)
    peer.answer(arp(ARP_REQUEST, GUEST, HOST))
    assert any(frame[12:14] == b"\x08\x06" for frame in take(peer))


def test_after_its_end_it_hears_and_says_nothing() -> None:
    peer = NatPeer()
    peer.close()
    peer.close()
    assert peer.answer(arp(ARP_REQUEST, GUEST, HOST)) == ()
    assert (peer.save(), peer.is_live) == ({}, True)
