"""The host at the end of the wire: what it answers, and what it leaves unanswered."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.network import packets
from hartvisor.core.devices.network.echo_host import ADDRESS, MAC, EchoHost
from hartvisor.core.devices.network.packets import ACK, FIN, PSH, RST, SYN, Packet, Segment, read_packet, read_segment
from hartvisor.core.devices.network.tcp_echo import NUMBERS

GUEST_MAC = bytes.fromhex("525400123456")
GUEST = bytes((10, 0, 2, 15))
PORT = 40000
START = 0xFFFF_FFF0  # the guest's sequence numbers wrap early


def ip_frame(protocol: int, payload: bytes, target: bytes = ADDRESS) -> bytes:
    return MAC + GUEST_MAC + b"\x08\x00" + Packet(GUEST, target, protocol, payload).pack()


def test_the_checksum_is_the_internets() -> None:
    """RFC 1071's own example."""
    assert packets.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2


def test_arp_is_answered_for_its_own_address_alone() -> None:
    question = bytes.fromhex("0806 0001 0800 06 04 0001") + GUEST_MAC + GUEST + bytes(6) + ADDRESS
    frame = b"\xff" * 6 + GUEST_MAC + question
    (answer,) = EchoHost().answer(frame)
    assert answer == GUEST_MAC + MAC + bytes.fromhex("0806 0001 0800 06 04 0002") + MAC + ADDRESS + GUEST_MAC + GUEST
    assert EchoHost().answer(frame[:-1] + b"\x03") == []
    assert EchoHost().answer(frame[:-4]) == []


def test_a_ping_comes_back() -> None:
    request = packets.with_checksum(b"\x08\0\0\0" + b"\x12\x34\0\x01" + b"payload", 2)
    (answer,) = EchoHost().answer(ip_frame(packets.ICMP, request))
    packet = read_packet(answer[14:])
    assert packet is not None
    assert (answer[:12], packet.source, packet.target) == (GUEST_MAC + MAC, ADDRESS, GUEST)
    assert packet.payload[0] == 0 and packet.payload[4:] == request[4:]
    assert packets.checksum(packet.payload) == 0


def udp(port: int, data: bytes) -> bytes:
    datagram = struct.pack("!HHHH", PORT, port, 8 + len(data), 0) + data
    return packets.with_checksum(datagram, 6, Packet(GUEST, ADDRESS, packets.UDP, datagram).pseudo)


def test_a_datagram_comes_back_from_the_echo_port_alone() -> None:
    (answer,) = EchoHost().answer(ip_frame(packets.UDP, udp(7, b"odd")))
    packet = read_packet(answer[14:])
    assert packet is not None
    assert packet.payload[:6] == struct.pack("!HHH", 7, PORT, 11) and packet.payload[8:] == b"odd"
    assert packets.checksum(packet.pseudo + packet.payload) == 0
    assert EchoHost().answer(ip_frame(packets.UDP, udp(9, b"odd"))) == []


@pytest.mark.parametrize("spoil", [
    lambda frame: frame[:20],
    lambda frame: frame[:14] + b"\x65" + frame[15:],               # IP version 6
    lambda frame: frame[:17] + b"\xff" + frame[18:],               # longer than the frame
    lambda frame: frame[:20] + b"\x20" + frame[21:],               # a fragment
    lambda frame: frame[:30] + b"\x0a\0\x02\x03" + frame[34:],     # to another host, header checksum spoilt
    lambda frame: frame[:-1] + bytes((frame[-1] ^ 1,)),            # the payload's checksum
    lambda frame: GUEST_MAC + frame[6:],                           # another station's
    lambda frame: frame[:12] + b"\x86\xdd" + frame[14:],           # IPv6
], ids=range(8))
@pytest.mark.parametrize("frame", [
    ip_frame(packets.ICMP, packets.with_checksum(b"\x08\0\0\0" + bytes(8), 2)),
    ip_frame(packets.UDP, udp(7, b"data")),
    ip_frame(packets.TCP, Segment(PORT, 7, 1, 0, SYN, 1000).pack(Packet(GUEST, ADDRESS, packets.TCP, b""))),
], ids=["icmp", "udp", "tcp"])
def test_what_is_damaged_or_not_for_it_is_left_unanswered(frame: bytes, spoil: object) -> None:
    assert EchoHost().answer(frame)
    assert EchoHost().answer(spoil(frame)) == []  # type: ignore[operator]


segments = st.builds(
    Segment, st.sampled_from((PORT, PORT + 1)), st.sampled_from((7, 80)), st.integers(0, 4),
    st.integers(NUMBERS, NUMBERS + 4), st.integers(0, 63), st.sampled_from((0, 1, 100, 0xFFFF)),
    st.sampled_from((b"", b"x", b"y" * 3000)), st.sampled_from((0, 1, 536, 1460, 0xFFFF)))


@given(st.lists(st.one_of(segments, st.binary(max_size=80)), max_size=12), st.sampled_from((1, 6, 17)))
@settings(max_examples=150, deadline=None)
def test_whatever_a_guest_sends_the_host_stays_itself(sent: list[Segment | bytes], protocol: int) -> None:
    """Its answers fit the wire, and its state can be saved at any time."""
    host, back = EchoHost(), Packet(GUEST, ADDRESS, packets.TCP, b"")
    for each in sent:
        frame = ip_frame(protocol, each) if isinstance(each, bytes) else ip_frame(packets.TCP, each.pack(back))
        for answer in host.answer(frame):
            assert 14 + 20 < len(answer) <= 14 + 20 + 20 + 1460
        again = EchoHost()
        again.restore(host.save())
        assert again.save() == host.save()
        host = again


class Client:
    """A guest's TCP, played by hand: one connection."""

    def __init__(self, port: int = 7, window: int = 8000) -> None:
        self.host = EchoHost()
        self.port, self.window = port, window
        self.next = START
        self.expected = 0
        self.got = b""

    def send(self, flags: int, payload: bytes = b"", sequence: int | None = None, mss: int = 0) -> list[Segment]:
        """Send a segment; what comes back."""
        back = Packet(GUEST, ADDRESS, packets.TCP, b"")
        at = self.next if sequence is None else sequence
        sent = Segment(PORT, self.port, at, self.expected, flags, self.window, payload, mss)
        answers = []
        for frame in self.host.answer(ip_frame(packets.TCP, sent.pack(back))):
            packet = read_packet(frame[14:])
            assert packet is not None
            segment = read_segment(packet)
            assert segment is not None, "the host's checksum is wrong"
            answers.append(segment)
        if sequence is None:
            self.next = self.next + len(payload) + bool(flags & (SYN | FIN)) & 0xFFFF_FFFF
        return answers

    def open(self, mss: int = 1000) -> None:
        (answer,) = self.send(SYN, mss=mss)
        assert (answer.flags, answer.acknowledgement, answer.max_payload) == (SYN | ACK, self.next, 1460)
        self.expected = answer.sequence + 1
        assert self.send(ACK) == []

    def take(self, answers: list[Segment]) -> None:
        """Receive data in order, and acknowledge it, until no more comes."""
        while answers:
            for answer in answers:
                assert answer.sequence == self.expected
                self.got += answer.payload
                self.expected += len(answer.payload) + bool(answer.flags & FIN)
            answers = self.send(ACK)


def test_tcp_echoes_and_ends_when_the_guest_does() -> None:
    client = Client()
    client.open()
    data = bytes(range(256)) * 20
    for at in range(0, len(data), 1000):
        client.take(client.send(ACK | PSH, data[at : at + 1000]))
    assert client.got == data
    (end,) = client.send(FIN | ACK)
    assert end.flags == FIN | ACK and end.acknowledgement == client.next
    client.expected += 1
    assert client.send(ACK) == []
    assert [answer.flags for answer in client.send(ACK, b"after the end")] == [RST]


def test_tcp_sends_no_more_than_the_window_and_no_longer_than_the_mss() -> None:
    client = Client(window=1500)
    client.open(mss=600)
    answers = client.send(ACK, bytes(2000))
    assert [len(answer.payload) for answer in answers] == [600, 600, 300]
    client.take(answers)
    assert client.got == bytes(2000)


def test_tcp_takes_no_more_than_it_has_room_for() -> None:
    client = Client(window=0)
    client.open()
    taken = 0
    for _ in range(70):
        taken = client.send(ACK, bytes(1000), sequence=client.next + taken & 0xFFFF_FFFF)[-1].acknowledgement
        taken = taken - client.next & 0xFFFF_FFFF
    assert taken == 0xFFFF
    client.window = 60_000
    client.next = client.next + taken & 0xFFFF_FFFF
    client.take(client.send(ACK))
    assert len(client.got) == taken


def test_a_segment_the_guest_lost_is_sent_again() -> None:
    client = Client()
    client.open(mss=1000)
    lost = client.send(ACK, bytes(3000))
    assert len(lost) == 3
    again = [client.send(ACK) for _ in range(3)]
    assert again[:2] == [[], []] and again[2] == lost


def test_what_the_guest_sends_twice_is_taken_once() -> None:
    client = Client()
    client.open()
    client.take(client.send(ACK, b"once"))
    (answer,) = client.send(ACK, b"once", sequence=START + 1)
    assert (answer.flags, answer.payload, answer.acknowledgement) == (ACK, b"", client.next)
    assert client.got == b"once"


def test_a_repeated_syn_is_answered_as_the_first_and_later_challenged() -> None:
    client = Client()
    (first,) = client.send(SYN)
    assert client.send(SYN, sequence=START) == [first._replace(max_payload=1460)]
    client.expected = first.sequence + 1
    client.take(client.send(ACK, b"data"))
    (challenge,) = client.send(SYN, sequence=5000)
    assert (challenge.flags, challenge.acknowledgement) == (ACK, client.next)


def test_other_ports_are_refused() -> None:
    client = Client(port=80)
    (answer,) = client.send(SYN)
    assert (answer.flags, answer.acknowledgement) == (RST | ACK, START + 1)
    assert client.send(RST) == []


def test_a_restored_host_goes_on_with_its_connections() -> None:
    client = Client(window=1000)
    client.open()
    first = client.send(ACK, bytes(1000) + b"the rest")
    saved = client.host.save()
    client.host = EchoHost()
    client.host.restore(saved)
    client.take(first)
    assert client.got == bytes(1000) + b"the rest"
    assert client.host.save() != saved
