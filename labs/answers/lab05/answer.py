"""Lab 5: the reference answer."""

from __future__ import annotations

from struct import Struct

from hartvisor.labs.kit.devices import (
    DESC_INDIRECT,
    DESC_NEXT,
    DESC_SIZE,
    DESC_WRITE,
    FCR,
    FCR_ENABLE,
    FCR_RESET_TX,
    FCR_STORED,
    IER,
    IER_RDA,
    IER_THRE,
    IIR,
    IIR_FIFOS_ON,
    IIR_NONE,
    IIR_RDA,
    IIR_THRE,
    IIR_TIMEOUT,
    LCR,
    LCR_DLAB,
    LSR,
    LSR_DR,
    LSR_TEMT,
    LSR_THRE,
    MCR,
    MSR,
    PAGE_SIZE,
    RBR,
    SCR,
    THR,
    BrokenRing,
    BufferChain,
    HostMemory,
    MmioPlace,
    MmioRegion,
    RingLayout,
)

DESCRIPTOR = Struct("<QIHH")
FIFO = 16
TRIGGERS = (1, 4, 8, 14)
TERMINAL = 0xB0
BAUD_DIVISOR = 12
U16 = 0xFFFF


class Bus:
    """Finds the register that an access is for."""

    def use(self, regions: list[MmioRegion]) -> None:
        """The memory map."""
        self.regions = regions

    def mmio_dispatch(self, gpa: int, size: int) -> MmioPlace | None:
        """The register; None where the access is a fault."""
        if gpa % size:
            return None
        for region in self.regions:
            if region.base <= gpa and gpa + size <= region.base + region.size:
                return MmioPlace(region.name, gpa - region.base)
        return None


class Uart:
    """A 16550A."""

    def __init__(self) -> None:
        self.ier = self.fcr = self.lcr = self.scr = 0
        self.mcr = 0x08
        self.divisor = BAUD_DIVISOR
        self.typed = bytearray()
        self.is_thre_news = False

    def load(self, offset: int) -> int:
        """Read a register."""
        if offset < IIR and self.lcr & LCR_DLAB:
            return self.divisor >> 8 * offset & 0xFF
        if offset == RBR:
            return self.typed.pop(0) if self.typed else 0
        if offset == IIR:
            cause = self.cause()
            if cause == IIR_THRE:
                self.is_thre_news = False
            return cause | (IIR_FIFOS_ON if self.fcr & FCR_ENABLE else 0)
        ready = LSR_DR if self.typed else 0
        return {IER: self.ier, LCR: self.lcr, MCR: self.mcr, LSR: LSR_THRE | LSR_TEMT | ready, MSR: TERMINAL,
                SCR: self.scr}[offset]

    def store(self, offset: int, value: int) -> bytes:
        """Write a register; what goes out on the line."""
        if offset < IIR and self.lcr & LCR_DLAB:
            self.divisor = self.divisor & ~(0xFF << 8 * offset) | value << 8 * offset
        elif offset == THR:
            self.is_thre_news = True
            return bytes([value])
        elif offset == IER:
            if (self.ier ^ value) & IER_THRE:
                self.is_thre_news = bool(value & IER_THRE)
            self.ier = value & 0x0F
        elif offset == FCR:
            if (self.fcr ^ value) & FCR_ENABLE or value & FCR_RESET_TX:
                self.is_thre_news = True
            self.fcr = value & FCR_STORED
        elif offset == LCR:
            self.lcr = value
        elif offset == MCR:
            self.mcr = value & 0x1F
        elif offset == SCR:
            self.scr = value
        return b""

    def receive(self, data: bytes) -> None:
        """Somebody has typed this."""
        self.typed += data

    def interrupt(self) -> bool:
        """The level of the interrupt line."""
        return self.cause() != IIR_NONE

    def cause(self) -> int:
        """IIR's low bits: the most urgent cause."""
        received = min(len(self.typed), FIFO if self.fcr & FCR_ENABLE else 1)
        if self.ier & IER_RDA and received:
            is_few = self.fcr & FCR_ENABLE and received < TRIGGERS[self.fcr >> 6]
            return IIR_TIMEOUT if is_few else IIR_RDA
        if self.ier & IER_THRE and self.is_thre_news:
            return IIR_THRE
        return IIR_NONE


class Virtqueue:
    """The device's side of a split virtqueue."""

    def use(self, host: HostMemory, ring: RingLayout) -> None:
        """A driver has set the queue up."""
        self.host = host
        self.ring = ring
        self.next_available = self.next_used = ring.start
        self.known = ring.start

    def pieces(self, gpa: int, length: int) -> list[tuple[int, int]] | None:
        """Where these bytes lie, as (hpa, size), page by page; None where not all of them are guest RAM."""
        found = []
        while length > 0:
            frame = self.host.frame(gpa)
            if frame is None:
                return None
            size = min(length, PAGE_SIZE - gpa % PAGE_SIZE)
            found.append((frame + gpa % PAGE_SIZE, size))
            gpa, length = gpa + size, length - size
        return found

    def read_guest(self, gpa: int, length: int) -> bytes | None:
        """Bytes of guest RAM; None where not all of them are."""
        pieces = self.pieces(gpa, length)
        return None if pieces is None else b"".join(self.host.read(hpa, size) for hpa, size in pieces)

    def write_guest(self, gpa: int, data: bytes) -> bool:
        """Store bytes to guest RAM; False, and nothing stored, where not all of it is."""
        pieces = self.pieces(gpa, len(data))
        if pieces is None:
            return False
        for hpa, size in pieces:
            self.host.write(hpa, data[:size])
            data = data[size:]
        return True

    def is_ram(self, gpa: int, length: int) -> bool:
        """Whether all of it is guest RAM, which has no holes: its first and last byte tell."""
        is_inside = self.host.frame(gpa) is not None and self.host.frame(gpa + length - 1) is not None
        return length > 0 and is_inside

    def load16(self, gpa: int) -> int:
        """A le16 of the driver's, where there is RAM."""
        data = self.read_guest(gpa, 2)
        assert data is not None
        return int.from_bytes(data, "little")

    def virtq_pop(self) -> BufferChain | BrokenRing | None:
        """The next available chain. idx is read only when all that it promised has been taken."""
        if self.known == self.next_available:
            self.known = self.load16(self.ring.driver + 2)
        waiting = self.known - self.next_available & U16
        if not waiting:
            return None
        if waiting > self.ring.size:
            return BrokenRing(f"{waiting} chains in a ring of {self.ring.size}")
        head = self.load16(self.ring.driver + 4 + 2 * (self.next_available % self.ring.size))
        chain = self.follow(head)
        if isinstance(chain, BufferChain):
            self.next_available = self.next_available + 1 & U16
        return chain

    def follow(self, head: int) -> BufferChain | BrokenRing:
        """The buffers of a chain. Each descriptor is read once: what was checked is what is used."""
        chain = BufferChain(head, [], [])
        index = head
        for _ in range(self.ring.size):
            if index >= self.ring.size:
                return BrokenRing(f"descriptor {index}")
            data = self.read_guest(self.ring.descriptors + DESC_SIZE * index, DESC_SIZE)
            assert data is not None
            gpa, length, flags, index = DESCRIPTOR.unpack(data)
            if flags & DESC_INDIRECT:
                return BrokenRing("an indirect table, which was not negotiated")
            if not self.is_ram(gpa, length):
                return BrokenRing(f"{length} bytes at {gpa:#x}")
            if flags & DESC_WRITE:
                chain.writable.append((gpa, length))
            elif chain.writable:
                return BrokenRing("a buffer to read behind one to write")
            else:
                chain.readable.append((gpa, length))
            if not flags & DESC_NEXT:
                return chain
        return BrokenRing("a chain that loops")

    def virtq_push(self, head: int, written: int) -> None:
        """Give a chain back: the element first, then idx, by which the driver sees it."""
        slot = self.ring.device + 4 + 8 * (self.next_used % self.ring.size)
        self.write_guest(slot, head.to_bytes(4, "little") + written.to_bytes(4, "little"))
        self.next_used = self.next_used + 1 & U16
        self.write_guest(self.ring.device + 2, self.next_used.to_bytes(2, "little"))
