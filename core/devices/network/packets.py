"""Ethernet, ARP, IPv4, ICMP, UDP and TCP, as far as a small host needs them: headers taken apart and put together.

Source: RFC 826 (ARP), 791 (IP), 792 (ICMP), 768 (UDP), 9293 (TCP), 1071 (the checksum they share). All big-endian.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

ETHERNET: Final = struct.Struct("!6s6sH")
TYPE_IPV4: Final = 0x0800
TYPE_ARP: Final = 0x0806

ARP: Final = struct.Struct("!HHBBH6s4s6s4s")
ARP_ETHERNET: Final = (1, TYPE_IPV4, 6, 4)  # hardware and protocol, and the lengths of their addresses
ARP_REQUEST, ARP_REPLY = 1, 2

IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
VERSION_4: Final = 0x45  # with a header of five words: no options
DONT_FRAGMENT: Final = 0x4000
FRAGMENT: Final = 0x3FFF  # MORE_FRAGMENTS and the offset
TTL: Final = 64
ICMP, TCP, UDP = 1, 6, 17

ECHO_REQUEST, ECHO_REPLY = 8, 0
UDP_HEADER: Final = struct.Struct("!HHHH")
TCP_HEADER: Final = struct.Struct("!HHIIBBHHH")
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OPTION_END, OPTION_NOP, OPTION_MSS = 0, 1, 2


def checksum(data: bytes) -> int:
    """The ones' complement of the ones' complement sum of 16-bit words; 0 over data that includes a right one."""
    if len(data) & 1:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(data: bytes, offset: int, pseudo: bytes = b"") -> bytes:
    """data with the checksum of pseudo-header and data in the two bytes at offset, which are zero."""
    value = checksum(pseudo + data)
    return data[:offset] + value.to_bytes(2, "big") + data[offset + 2 :]


class Packet(NamedTuple):
    """An IPv4 packet: four-byte addresses, protocol, and what it carries."""

    source: bytes
    target: bytes
    protocol: int
    payload: bytes

    @property
    def pseudo(self) -> bytes:
        """The pseudo-header, which the checksums of UDP and TCP include."""
        return self.source + self.target + struct.pack("!xBH", self.protocol, len(self.payload))

    def pack(self) -> bytes:
        """The packet, behind its header."""
        header = IPV4.pack(VERSION_4, 0, IPV4.size + len(self.payload), 0, DONT_FRAGMENT, TTL, self.protocol, 0,
                           self.source, self.target)
        return with_checksum(header, 10) + self.payload


def read_packet(data: bytes) -> Packet | None:
    """The packet in a frame's payload; None where it is damaged, or only a fragment."""
    if len(data) < IPV4.size:
        return None
    version, _, length, _, fragment, _, protocol, _, source, target = IPV4.unpack_from(data)
    header = (version & 15) * 4
    if version >> 4 != 4 or not IPV4.size <= header <= length <= len(data) or fragment & FRAGMENT:
        return None
    if checksum(data[:header]):
        return None
    return Packet(source, target, protocol, data[header:length])


class Segment(NamedTuple):
    """A TCP segment. sequence, acknowledgement: 32 bits. max_payload: the MSS option's, 0 without one."""

    source: int
    target: int
    sequence: int
    acknowledgement: int
    flags: int
    window: int
    payload: bytes = b""
    max_payload: int = 0

    def pack(self, pseudo: Packet) -> bytes:
        """The segment, its checksum included. pseudo: a packet with the addresses it will travel between."""
        options = struct.pack("!BBH", OPTION_MSS, 4, self.max_payload) if self.max_payload else b""
        words = (TCP_HEADER.size + len(options)) // 4
        header = TCP_HEADER.pack(self.source, self.target, self.sequence, self.acknowledgement, words << 4, self.flags,
                                 self.window, 0, 0)
        data = header + options + self.payload
        return with_checksum(data, 16, pseudo._replace(payload=data).pseudo)


def read_segment(packet: Packet) -> Segment | None:
    """The TCP segment in a packet, None where it is damaged."""
    data = packet.payload
    if len(data) < TCP_HEADER.size or checksum(packet.pseudo + data):
        return None
    source, target, sequence, acknowledgement, words, flags, window, _, _ = TCP_HEADER.unpack_from(data)
    header = (words >> 4) * 4
    if not TCP_HEADER.size <= header <= len(data):
        return None
    max_payload = _max_payload(data[TCP_HEADER.size : header])
    return Segment(source, target, sequence, acknowledgement, flags, window, data[header:], max_payload)


def _max_payload(options: bytes) -> int:
    """The MSS option's value, 0 where there is none."""
    while options and options[0] != OPTION_END:
        if options[0] == OPTION_NOP:
            options = options[1:]
            continue
        if len(options) < 2 or options[1] < 2:
            return 0
        if options[0] == OPTION_MSS and len(options) >= 4:
            return int.from_bytes(options[2:4], "big")
        options = options[options[1] :]
    return 0
