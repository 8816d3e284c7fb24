"""Virtio slots and their queues, read from guest RAM as they lie there: the rings, the chains that wait, what is in
flight. Nothing is taken from a queue, and a ring that is nonsense is shown as such."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from ...devices.virtio import balloon, block, console, device, net, p9
from ...devices.virtio.balloon import VirtioBalloon
from ...devices.virtio.block import HEADER, VirtioBlock
from ...devices.virtio.console import VirtioConsole
from ...devices.virtio.device import VirtioDevice
from ...devices.virtio.mmio import (
    ACKNOWLEDGE,
    DRIVER,
    DRIVER_OK,
    FAILED,
    FEATURES_OK,
    INTERRUPT_CONFIG,
    INTERRUPT_USED,
    NEEDS_RESET,
    VirtioMmio,
)
from ...devices.virtio.net import VirtioNet
from ...devices.virtio.p9 import VirtioP9
from ...devices.virtio.queue import (
    AVAIL_NO_INTERRUPT,
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_WRITE,
    DESCRIPTOR,
    MAX_CHAIN,
    U16,
    USED_ELEMENT,
    Queue,
)
from ...devices.virtio.rng import VirtioRng
from ...devices.virtio.storage import SECTOR

if TYPE_CHECKING:
    from ..guest_memory import GuestMemory
    from ..inspector import Inspection

KINDS: Final[dict[type[VirtioDevice], tuple[str, tuple[str, ...], ModuleType | None]]] = {
    VirtioBlock: ("block", ("requests",), block),
    VirtioNet: ("net", ("receive", "transmit"), net),
    VirtioConsole: ("console", ("receive", "transmit"), console),
    VirtioRng: ("rng", ("requests",), None),
    VirtioBalloon: ("balloon", ("inflate", "deflate", "statistics"), balloon),
    VirtioP9: ("9p", ("requests",), p9),
}
"""By class: what it is called, its queues, and the module with its features."""

STATUS: Final = {ACKNOWLEDGE: "ACKNOWLEDGE", DRIVER: "DRIVER", FEATURES_OK: "FEATURES_OK", DRIVER_OK: "DRIVER_OK",
                 NEEDS_RESET: "NEEDS_RESET", FAILED: "FAILED"}
INTERRUPTS: Final = {INTERRUPT_USED: "used buffers", INTERRUPT_CONFIG: "configuration"}

SHOWN: Final = 6
"""Chains of each sort that a queue's view has."""

WORD = Struct("<H")


@dataclass(frozen=True)
class Part:
    """A buffer of a chain. is_writable: by the device."""

    gpa: int
    length: int
    is_writable: bool


@dataclass(frozen=True)
class ChainView:
    """A chain of buffers. head: its descriptor. fault: what is wrong with it, "" if nothing is. about: what it asks
    for, where that can be told."""

    head: int
    parts: tuple[Part, ...]
    is_indirect: bool = False
    fault: str = ""
    about: str = ""


class Used(NamedTuple):
    """An element of a used ring. head: of the chain, whose descriptors are the driver's again. written: how many bytes
    the device says it wrote."""

    head: int
    written: int


@dataclass(frozen=True)
class QueueView:
    """One virtqueue. descriptors, driver, device: where its three areas lie.

    available, used: the indices in the rings, as driver and device last stored them. taken: the index up to which the
    device has taken chains. waiting: made available and not taken, the first of them; in_flight: taken, not used yet
    (n_waiting, n_in_flight: how many); done: what was used last, the newest first.
    wants_interrupt: whether the driver wants to hear of the next used chain; None before the queue is ready.
    """

    index: int
    name: str
    size: int
    max_size: int
    is_ready: bool
    descriptors: int
    driver: int
    device: int
    has_event_idx: bool = False
    available: int = 0
    taken: int = 0
    used: int = 0
    n_waiting: int = 0
    n_in_flight: int = 0
    waiting: tuple[ChainView, ...] = ()
    done: tuple[Used, ...] = ()
    wants_interrupt: bool | None = None


@dataclass(frozen=True)
class SlotRow:
    """A slot with a device. kind: "block", "net", … status, offered, accepted: names of the bits that are set.
    interrupts: what waits for its acknowledgement. facts: of the device, name and value."""

    number: int
    kind: str
    status: tuple[str, ...]
    offered: tuple[str, ...]
    accepted: tuple[str, ...]
    interrupts: tuple[str, ...]
    complaint: str
    facts: tuple[tuple[str, str], ...]
    n_ready: int
    n_queues: int


@dataclass(frozen=True)
class VirtioView:
    """The slots that have devices; of the one that is chosen, its queues too."""

    vm: str
    slots: tuple[SlotRow, ...]
    chosen: int
    queues: tuple[QueueView, ...]


def kind_of(device: VirtioDevice) -> str:
    """What a device is called."""
    return KINDS[type(device)][0] if type(device) in KINDS else f"device {device.device_id}"


def view_virtio(inspection: Inspection, chosen: int = 0) -> VirtioView:
    """The VM looked at. chosen: the place, among those that have a device, of the slot whose queues to look into."""
    inspector = inspection.inspector
    ram = inspector.vm.ram
    slots = [(number, slot) for number, slot in enumerate(inspector.vm.board.virtio) if slot.device is not None]
    chosen = min(chosen, max(0, len(slots) - 1))
    queues: tuple[QueueView, ...] = ()
    if slots:
        slot = slots[chosen][1]
        names = next((kind[1] for device_class, kind in KINDS.items() if isinstance(slot.device, device_class)), ())
        queues = tuple(_queue(ram, queue, index, names[index] if index < len(names) else f"queue {index}", slot)
                       for index, queue in enumerate(slot.queues))
    return VirtioView(inspector.name, tuple(_slot(number, slot) for number, slot in slots), chosen, queues)


def _slot(number: int, slot: VirtioMmio) -> SlotRow:
    assert slot.device is not None
    features = _features(slot.device)
    return SlotRow(
        number, kind_of(slot.device), _names(STATUS, slot.status), _names(features, slot.offered),
        _names(features, slot.accepted), _names(INTERRUPTS, slot.interrupts), slot.complaint or "",
        tuple(_facts(slot.device)), sum(queue.is_ready for queue in slot.queues), len(slot.queues))


def _names(table: dict[int, str], bits: int) -> tuple[str, ...]:
    """The names of the bits that are set; a bit without one by its number."""
    known = [name for mask, name in table.items() if bits & mask]
    rest = bits & ~sum(table)
    return (*known, *(f"bit {bit}" for bit in range(rest.bit_length()) if rest >> bit & 1))


def _features(found: VirtioDevice) -> dict[int, str]:
    """Feature bits by name, as the devices' files have them: F_MAC, F_EVENT_IDX, …"""
    module = KINDS[type(found)][2] if type(found) in KINDS else None
    names = {**(vars(module) if module is not None else {}), **vars(device)}
    return {bit: name.removeprefix("F_") for name, bit in names.items()
            if name.startswith("F_") and isinstance(bit, int)}


def _facts(found: VirtioDevice) -> list[tuple[str, str]]:
    if isinstance(found, VirtioBlock):
        storage = found.storage
        return [("sectors", f"{storage.size // SECTOR:,}"), ("kept in", type(storage).__name__),
                ("access", "read-only" if storage.is_read_only else "read and write")]
    if isinstance(found, VirtioNet):
        return [("mac", found.mac.hex(":")), ("link", "up" if found.is_up else "down"),
                ("frames that wait", f"{found.backlog:,}"), ("lost", f"{found.lost:,}")]
    if isinstance(found, VirtioBalloon):
        return [("pages", f"{len(found.pages):,}"), ("target", f"{found.target:,}"), ("actual", f"{found.actual:,}")]
    if isinstance(found, VirtioConsole):
        columns, rows = (int.from_bytes(found.config[at : at + 2], "little") for at in (0, 2))
        return [("size", f"{columns} by {rows}")]
    if isinstance(found, VirtioP9):
        return [("tag", found.config[2:].decode("utf-8", "replace"))]
    return []


# --- queues


def _queue(ram: GuestMemory, queue: Queue, index: int, name: str, slot: VirtioMmio) -> QueueView:
    if not queue.is_ready:
        return QueueView(index, name, queue.size, queue.max_size, False, queue.descriptors, queue.driver, queue.device)
    state = queue.save()
    taken, done = (value for value in (state["next_available"], state["next_used"]) if isinstance(value, int))
    available, used = _word(ram, queue.driver + 2), _word(ram, queue.device + 2)
    waiting = available - taken & U16
    shown = range(taken, taken + min(waiting, SHOWN, queue.size))
    heads = [_word(ram, queue.driver + 4 + 2 * (at % queue.size)) for at in shown]
    is_block = isinstance(slot.device, VirtioBlock)
    last = [Used(*USED_ELEMENT.unpack(ram.peek(queue.device + 4 + 8 * (at % queue.size), USED_ELEMENT.size)))
            for at in range(done - 1, done - 1 - min(SHOWN, queue.size, done), -1)]
    return QueueView(
        index, name, queue.size, queue.max_size, True, queue.descriptors, queue.driver, queue.device,
        queue.has_event_idx, available, taken, used, waiting, taken - done & U16,
        tuple(read_chain(ram, queue, head, is_block=is_block) for head in heads),
        tuple(last), _wants_interrupt(ram, queue, done))


def _wants_interrupt(ram: GuestMemory, queue: Queue, done: int) -> bool:
    """As Queue.take_notification would see it for the next chain that is used (virtio 2.7.7.2)."""
    if not queue.has_event_idx:
        return not _word(ram, queue.driver) & AVAIL_NO_INTERRUPT
    return _word(ram, queue.driver + 4 + 2 * queue.size) == done


def read_chain(ram: GuestMemory, queue: Queue, head: int, *, is_block: bool = False) -> ChainView:
    """The chain that begins with a descriptor, as far as it makes sense."""
    parts: list[Part] = []
    table, entries, at, is_indirect, fault = queue.descriptors, queue.size, head, False, ""
    for _ in range(MAX_CHAIN + 1):
        if at >= entries:
            fault = f"descriptor {at} of a table of {entries}"
            break
        gpa, length, flags, at = DESCRIPTOR.unpack(ram.peek(table + 16 * at, 16))
        if flags & DESC_INDIRECT:
            if is_indirect or not ram.contains(gpa, max(length, 1)) or length % 16:
                fault = f"an indirect table of {length} bytes at {gpa:#x}"
                break
            is_indirect, table, entries, at = True, gpa, length // 16, 0
            continue
        parts.append(Part(gpa, length, bool(flags & DESC_WRITE)))
        if not ram.contains(gpa, max(length, 1)):
            fault = f"a buffer of {length} bytes at {gpa:#x}"
            break
        if not flags & DESC_NEXT:
            break
    else:
        fault = "it loops"
    about = _block_request(ram, parts) if is_block and not fault else ""
    return ChainView(head, tuple(parts), is_indirect, fault, about)


def _block_request(ram: GuestMemory, parts: list[Part]) -> str:
    """What a disk request asks for, by its header (virtio 5.2.6)."""
    if not parts or parts[0].length < HEADER.size or parts[0].is_writable:
        return ""
    kind, _, sector = HEADER.unpack(ram.peek(parts[0].gpa, HEADER.size))
    length = sum(part.length for part in parts[1:-1])
    return request_text(kind, sector, length)


REQUESTS: Final = {block.T_IN: "read", block.T_OUT: "write", block.T_FLUSH: "flush", block.T_GET_ID: "get id",
                   block.T_WRITE_ZEROES: "write zeroes"}


def request_text(kind: int, sector: int, length: int) -> str:
    """A disk request in words: read 8 sectors from 2048."""
    name = REQUESTS.get(kind, f"type {kind}")
    if kind in (block.T_IN, block.T_OUT):
        count = length // SECTOR
        return f"{name} {count:,} sector{'s' if count != 1 else ''} {'from' if kind == block.T_IN else 'to'} {sector:,}"
    return name


def _word(ram: GuestMemory, gpa: int) -> int:
    (value,) = WORD.unpack(ram.peek(gpa, 2))
    assert isinstance(value, int)
    return value
