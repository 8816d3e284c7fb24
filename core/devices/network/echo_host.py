"""A small host at the end of a wire, that lives in the guest's time alone: it sends nothing unasked, and its answers
depend on nothing but what it was sent, so a guest with a network still makes the same run every time.

It is 10.0.2.2, where guests of QEMU's user network look for their gateway. It answers ARP for itself, ICMP echo, and
the echo service of UDP and TCP on port 7; other TCP ports are refused, and all else is silence.
"""

from __future__ import annotations

from typing import Final

from ..device import State, bytes_of
from . import packets
from .packets import ETHERNET, Packet, read_packet, read_segment
from .tcp_echo import TcpEcho

ADDRESS: Final = bytes((10, 0, 2, 2))
MAC: Final = bytes.fromhex("525500000202")
ECHO_PORT: Final = 7


class EchoHost:
    """The host. A peer for a wire."""

    def __init__(self) -> None:
        self._tcp = TcpEcho()

    def answer(self, frame: bytes) -> list[bytes]:
        """What it has to say to a frame."""
        target, source, kind = ETHERNET.unpack_from(frame)
        if kind == packets.TYPE_ARP:
            answers = [_answer_arp(frame[ETHERNET.size :])]
        elif kind == packets.TYPE_IPV4 and target == MAC:
            packet = read_packet(frame[ETHERNET.size :])
            answers = self._answer_packet(packet) if packet is not None and packet.target == ADDRESS else []
        else:
            return []
        return [ETHERNET.pack(source, MAC, kind) + answer for answer in answers if answer]

    def _answer_packet(self, packet: Packet) -> list[bytes]:
        if packet.protocol == packets.TCP:
            segment = read_segment(packet)
            if segment is None:
                return []
            answers = self._tcp.receive(packet.source, segment, is_served=segment.target == ECHO_PORT)
            back = _back(packet, b"")
            return [back._replace(payload=answer.pack(back)).pack() for answer in answers]
        payload = {packets.ICMP: _answer_icmp, packets.UDP: _answer_udp}.get(packet.protocol, _ignore)(packet)
        return [_back(packet, payload).pack()] if payload else []

    def save(self) -> State:
        """Its connections; nothing else outlives an answer."""
        return {"tcp": self._tcp.save()}

    def restore(self, state: State) -> None:
        """Go on with the saved connections."""
        self._tcp.restore(bytes_of(state, "tcp"))

    def close(self) -> None:
        """Nothing was lent."""


def _back(packet: Packet, payload: bytes) -> Packet:
    return Packet(packet.target, packet.source, packet.protocol, payload)


def _answer_arp(request: bytes) -> bytes:
    """Who has our address?"""
    if len(request) < packets.ARP.size:
        return b""
    *kind, operation, mac, address, _, wanted = packets.ARP.unpack_from(request)
    if tuple(kind) != packets.ARP_ETHERNET or operation != packets.ARP_REQUEST or wanted != ADDRESS:
        return b""
    return packets.ARP.pack(*packets.ARP_ETHERNET, packets.ARP_REPLY, MAC, ADDRESS, mac, address)


def _answer_icmp(packet: Packet) -> bytes:
    """An echo request comes back as the reply."""
    data = packet.payload
    if len(data) < 8 or data[0] != packets.ECHO_REQUEST or packets.checksum(data):
        return b""
    return packets.with_checksum(bytes((packets.ECHO_REPLY, 0, 0, 0)) + data[4:], 2)


def _answer_udp(packet: Packet) -> bytes:
    """A datagram to the echo port comes back; a checksum of zero stands for none."""
    data = packet.payload
    if len(data) < packets.UDP_HEADER.size:
        return b""
    source, target, length, checksum = packets.UDP_HEADER.unpack_from(data)
    data = data[:length]
    if target != ECHO_PORT or length != len(data) or (checksum and packets.checksum(packet.pseudo + data)):
        return b""
    answer = packets.UDP_HEADER.pack(target, source, length, 0) + data[packets.UDP_HEADER.size :]
    answer = packets.with_checksum(answer, 6, _back(packet, answer).pseudo)
    return answer if answer[6:8] != b"\0\0" else answer[:6] + b"\xff\xff" + answer[8:]


def _ignore(packet: Packet) -> bytes:
    return b""
