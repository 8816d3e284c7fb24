"""The right devices, the hypervisor's own, and broken ones: what students' tests are to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...core.devices.console import ConsoleEnd
from ...core.devices.device import int_of
from ...core.devices.uart16550 import IIR, Uart16550
from ...core.devices.virtio.queue import DESCRIPTOR, Chain, Malformed, Queue
from ..kit.devices import BrokenRing, BufferChain, MmioPlace, MmioRegion, RingLayout
from ..lab import RIGHT

BASE: Final = 0x8000_0000
SIZE: Final = 1 << 16


class Ram:
    """64 KiB of guest RAM."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def contains(self, gpa: int, length: int = 1, /) -> bool:
        """Whether all of it is RAM."""
        return gpa >= BASE and gpa + length <= BASE + SIZE

    def read(self, gpa: int, length: int, /) -> bytes:
        """Bytes."""
        return bytes(self.data[gpa - BASE:gpa - BASE + length])

    def write(self, gpa: int, data: bytes, /) -> None:
        """Store bytes."""
        self.data[gpa - BASE:gpa - BASE + len(data)] = data


class Right:
    """The devices that students write, on RAM of their own."""

    def __init__(self) -> None:
        self.ram = self.make_ram()
        self.queue = Queue(self.ram, 256)
        self._sent = bytearray()
        self._level = False
        self._console = ConsoleEnd(self._sent.extend)
        self.uart = Uart16550(self._console, self._drive)

    def make_ram(self) -> Ram:
        """RAM of zeros."""
        return Ram()

    def _drive(self, level: bool) -> None:
        self._level = level

    # --- the bus

    def mmio_dispatch(self, regions: list[MmioRegion], gpa: int, size: int) -> MmioPlace | None:
        """The register."""
        found = next((each for each in regions if self.holds(each, gpa, size)), None)
        return None if found is None or gpa % size else MmioPlace(found.name, gpa - found.base)

    def holds(self, region: MmioRegion, gpa: int, size: int) -> bool:
        """Whether all of the access lies in the region."""
        return region.base <= gpa and gpa + size <= region.base + region.size

    # --- the UART

    def load(self, offset: int) -> int:
        """A register."""
        return self.uart.load(offset, 1)

    def store(self, offset: int, value: int) -> bytes:
        """A register; what is sent."""
        self._sent.clear()
        self.uart.store(offset, 1, value)
        return bytes(self._sent)

    def receive(self, data: bytes) -> None:
        """Typed bytes."""
        self._console.type(data)

    def interrupt(self) -> bool:
        """The line."""
        return self._level

    # --- the queue

    def new_ring(self, size: int, start: int) -> RingLayout:
        """An empty ring, all of RAM zeros but the two idx."""
        queue = self.queue
        queue.reset()
        self.ram.data[:] = bytes(SIZE)
        queue.size, queue.descriptors, queue.driver, queue.device = size, BASE, BASE + 0x2000, BASE + 0x3000
        queue.enable(has_indirect=False, has_event_idx=False)
        queue.restore(queue.save() | {"next_available": start, "next_used": start})
        for area in (queue.driver, queue.device):
            self.ram.write(area + 2, start.to_bytes(2, "little"))
        return RingLayout(size, queue.descriptors, queue.driver, queue.device, start)

    def poke(self, gpa: int, data: bytes) -> None:
        """The driver's store to its RAM."""
        if not Ram.contains(self.ram, gpa, len(data)):
            raise ValueError(f"no RAM at {gpa:#x}")
        self.ram.write(gpa, data)

    def peek(self, gpa: int, length: int) -> bytes:
        """The driver's load."""
        if not Ram.contains(self.ram, gpa, length):
            raise ValueError(f"no RAM at {gpa:#x}")
        return self.ram.read(gpa, length)

    def virtq_pop(self) -> BufferChain | BrokenRing | None:
        """The next chain."""
        try:
            chain = self.queue.pop()
        except Malformed as error:
            return self.broken(str(error))
        return None if chain is None else BufferChain(chain.head, *chain.buffers)

    def broken(self, why: str) -> BufferChain | BrokenRing | None:
        """A rule is broken."""
        return BrokenRing(why)

    def virtq_push(self, head: int, written: int) -> None:
        """Give a chain back."""
        chain = Chain(head, self.ram, [], [])
        chain.written = written
        self.queue.push(chain)


class Straddles(Right):
    """An access that begins in a region belongs to it, wherever it ends."""

    def holds(self, region: MmioRegion, gpa: int, size: int) -> bool:
        """Only the first byte."""
        return super().holds(region, gpa, 1)


class ThreStays(Right):
    """Reading IIR does not take the THRE interrupt back."""

    def load(self, offset: int) -> int:
        """IIR is looked at without its effect."""
        return self.uart.look()["IIR"] if offset == IIR else super().load(offset)


class OneTooMany(Right):
    """A table of n descriptors has one of number n."""

    def broken(self, why: str) -> BufferChain | BrokenRing | None:
        """A head that is n is followed."""
        size = self.queue.size
        if not why.startswith(f"descriptor {size} "):
            return BrokenRing(why)
        gpa, length, _, _ = DESCRIPTOR.unpack(self.ram.read(self.queue.descriptors + 16 * size, 16))
        return BufferChain(size, [(gpa, length)], [])


class LooseRam(Ram):
    """RAM that looks at the first byte only."""

    def contains(self, gpa: int, length: int = 1, /) -> bool:
        """Whether it begins here."""
        return super().contains(gpa, 1)


class EndUnchecked(Right):
    """A buffer that begins in RAM may end anywhere."""

    def make_ram(self) -> Ram:
        """RAM that does not look at ends."""
        return LooseRam()


class TrustsIdx(Right):
    """More chains than the ring has entries are taken for what they are not."""

    def broken(self, why: str) -> BufferChain | BrokenRing | None:
        """As if idx were one ahead."""
        if "made available" not in why:
            return BrokenRing(why)
        place = self.queue.driver + 2
        idx = self.ram.read(place, 2)
        self.ram.write(place, (int_of(self.queue.save(), "next_available") + 1 & 0xFFFF).to_bytes(2, "little"))
        chain = self.queue.pop()
        self.ram.write(place, idx)
        return None if chain is None else BufferChain(chain.head, *chain.buffers)


class StuckAtWrap(Right):
    """idx is compared as a number that only grows."""

    def virtq_pop(self) -> BufferChain | BrokenRing | None:
        """Nothing waits where idx is smaller than before."""
        idx = int.from_bytes(self.ram.read(self.queue.driver + 2, 2), "little")
        return super().virtq_pop() if idx >= int_of(self.queue.save(), "next_available") else None


class NextSlot(Right):
    """The element is written where the next one belongs: idx is counted up too early."""

    def virtq_push(self, head: int, written: int) -> None:
        """One slot on; idx is right."""
        queue = self.queue
        used = int_of(queue.save(), "next_used")
        slot = queue.device + 4 + 8 * (used % queue.size)
        before = self.ram.read(slot, 8)
        super().virtq_push(head, written)
        element = self.ram.read(slot, 8)
        self.ram.write(slot, before)
        self.ram.write(queue.device + 4 + 8 * ((used + 1) % queue.size), element)


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "straddles": Straddles, "thre-stays": ThreStays, "one-too-many": OneTooMany,
    "end-unchecked": EndUnchecked, "trusts-idx": TrustsIdx, "stuck-at-wrap": StuckAtWrap, "next-slot": NextSlot}
