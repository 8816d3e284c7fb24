"""What disks and network cards did: their last requests and frames, and how many there were by now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...devices.network import packets
from ...devices.virtio.block import S_IOERR, S_OK, S_UNSUPP, VirtioBlock
from ...devices.virtio.net import VirtioNet
from ...devices.virtio.storage import SECTOR
from .rings import request_text

if TYPE_CHECKING:
    from ..device_log import Frame, Request
    from ..inspector import Inspection

SHOWN: Final = 300
"""Entries that a view has, of each device."""

STATUSES: Final = {S_OK: "ok", S_IOERR: "I/O error", S_UNSUPP: "not supported"}
PROTOCOLS: Final = {packets.ICMP: "ICMP", packets.TCP: "TCP", packets.UDP: "UDP"}
FLAGS: Final = ((packets.SYN, "SYN"), (packets.ACK, "ACK"), (packets.FIN, "FIN"), (packets.RST, "RST"),
                (packets.PSH, "PSH"))
TYPES: Final = {0x86DD: "IPv6", 0x8100: "VLAN"}


@dataclass(frozen=True)
class RequestLine:
    """A disk request. text: in words. status: "ok", or what was wrong."""

    step: int
    text: str
    status: str


@dataclass(frozen=True)
class DiskRow:
    """A disk. name: as Linux calls it. memory_pages: pages written that are kept in memory; None where they go to a
    file. The counts are as of now. log: oldest first."""

    slot: int
    name: str
    sectors: int
    is_read_only: bool
    memory_pages: int | None
    reads: int
    writes: int
    read_bytes: int
    written_bytes: int
    failures: int
    log: tuple[RequestLine, ...]


@dataclass(frozen=True)
class DisksView:
    """A VM's disks."""

    vm: str
    disks: tuple[DiskRow, ...]


@dataclass(frozen=True)
class FrameLine:
    """A frame. is_sent: by the guest. text: what it is, as far as its headers tell."""

    step: int
    is_sent: bool
    is_lost: bool
    length: int
    text: str


@dataclass(frozen=True)
class CardRow:
    """A network card. The counts are as of now. waiting: frames that wait for buffers. log: oldest first."""

    slot: int
    mac: str
    is_up: bool
    waiting: int
    sent: int
    received: int
    sent_bytes: int
    received_bytes: int
    lost: int
    log: tuple[FrameLine, ...]


@dataclass(frozen=True)
class NetworkView:
    """A VM's cards."""

    vm: str
    cards: tuple[CardRow, ...]


def view_disks(inspection: Inspection) -> DisksView:
    """Of the VM looked at."""
    inspector = inspection.inspector
    rows: list[DiskRow] = []
    for number, slot in enumerate(inspector.vm.board.virtio):
        disk = slot.device
        if not isinstance(disk, VirtioBlock):
            continue
        found = inspector.devices.requests[number].upto(inspector.step, SHOWN)
        counts = found[-1][5:] if found else (0, 0, 0, 0, 0)
        pages = len(disk.storage.written()) if disk.storage in inspector.vm.board.memory_disks else None
        rows.append(DiskRow(
            number, f"vd{chr(ord('a') + len(rows))}", disk.storage.size // SECTOR, disk.storage.is_read_only, pages,
            *counts, tuple(_request(each) for each in found)))
    return DisksView(inspector.name, tuple(rows))


def _request(request: Request) -> RequestLine:
    return RequestLine(request.step, request_text(request.kind, request.sector, request.length),
                       STATUSES.get(request.status, f"status {request.status}"))


def view_network(inspection: Inspection) -> NetworkView:
    """Of the VM looked at."""
    inspector = inspection.inspector
    rows: list[CardRow] = []
    for number, slot in enumerate(inspector.vm.board.virtio):
        card = slot.device
        if not isinstance(card, VirtioNet):
            continue
        found = inspector.devices.frames[number].upto(inspector.step, SHOWN)
        counts = found[-1][5:] if found else (0, 0, 0, 0, 0)
        rows.append(CardRow(number, card.mac.hex(":"), card.is_up, card.backlog, *counts,
                            tuple(_frame(each) for each in found)))
    return NetworkView(inspector.name, tuple(rows))


def _frame(frame: Frame) -> FrameLine:
    return FrameLine(frame.step, frame.is_sent, frame.is_lost, frame.length, describe_frame(frame.head))


def describe_frame(head: bytes) -> str:
    """A frame in words, by its first bytes."""
    if len(head) < packets.ETHERNET.size:
        return f"{len(head)} bytes"
    target, _, kind = packets.ETHERNET.unpack_from(head)
    rest = head[packets.ETHERNET.size:]
    if kind == packets.TYPE_ARP and len(rest) >= packets.ARP.size:
        *_, operation, _, sender, _, wanted = packets.ARP.unpack_from(rest)
        if operation == packets.ARP_REQUEST:
            return f"ARP who has {_ip(wanted)}? tell {_ip(sender)}"
        return f"ARP {_ip(sender)} is here"
    if kind == packets.TYPE_IPV4 and len(rest) >= packets.IPV4.size:
        return _ipv4(rest)
    name = TYPES.get(kind, f"type {kind:#06x}")
    return f"{name} to {target.hex(':')}"


def _ipv4(data: bytes) -> str:
    version, _, length, _, _, _, protocol, _, source, target = packets.IPV4.unpack_from(data)
    payload = data[(version & 15) * 4:]
    name = PROTOCOLS.get(protocol, f"protocol {protocol}")
    if protocol == packets.ICMP and len(payload) >= 8:
        kinds = {packets.ECHO_REQUEST: "echo request", packets.ECHO_REPLY: "echo reply"}
        what = kinds.get(payload[0], f"type {payload[0]}")
        return f"ICMP {what} {_ip(source)} → {_ip(target)} sequence {int.from_bytes(payload[6:8], 'big')}"
    if protocol == packets.UDP and len(payload) >= packets.UDP_HEADER.size:
        one, other, size, _ = packets.UDP_HEADER.unpack_from(payload)
        return f"UDP {_ip(source)}:{one} → {_ip(target)}:{other} {max(0, size - packets.UDP_HEADER.size)} bytes"
    if protocol == packets.TCP and len(payload) >= packets.TCP_HEADER.size:
        one, other, _, _, words, flags, *_ = packets.TCP_HEADER.unpack_from(payload)
        size = length - (version & 15) * 4 - (words >> 4) * 4
        names = " ".join(text for mask, text in FLAGS if flags & mask)
        return f"TCP {_ip(source)}:{one} → {_ip(target)}:{other} {names} {max(0, size)} bytes"
    return f"{name} {_ip(source)} → {_ip(target)}"


def _ip(address: bytes) -> str:
    return ".".join(str(byte) for byte in address)
