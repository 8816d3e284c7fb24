"""What devices work with: regions of the memory map, a UART's registers, a virtqueue's rings, the host's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..jail.codec import travels
from . import remote

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT

# Offsets of the UART's registers. The first two are the divisor latch while LCR_DLAB is set.
RBR: Final = 0
THR: Final = 0
IER: Final = 1
IIR: Final = 2
FCR: Final = 2
LCR: Final = 3
MCR: Final = 4
LSR: Final = 5
MSR: Final = 6
SCR: Final = 7

IER_RDA: Final = 0x01
IER_THRE: Final = 0x02
IIR_RDA: Final = 0x04
IIR_TIMEOUT: Final = 0x0C
IIR_THRE: Final = 0x02
IIR_NONE: Final = 0x01
IIR_FIFOS_ON: Final = 0xC0
FCR_ENABLE: Final = 0x01
FCR_RESET_TX: Final = 0x04
FCR_STORED: Final = 0xC9
LCR_DLAB: Final = 0x80
LSR_DR: Final = 0x01
LSR_THRE: Final = 0x20
LSR_TEMT: Final = 0x40

DESC_NEXT: Final = 1
DESC_WRITE: Final = 2
DESC_INDIRECT: Final = 4
DESC_SIZE: Final = 16
"""Of a descriptor: le64 gpa, le32 length, le16 flags, le16 next."""


@travels
@dataclass(frozen=True)
class MmioRegion:
    """A device's registers: `size` bytes of guest physical addresses, from `base`."""

    name: str
    base: int
    size: int


@travels
@dataclass(frozen=True)
class MmioPlace:
    """A register: of the device `name`, `offset` bytes from its base."""

    name: str
    offset: int


@travels
@dataclass(frozen=True)
class RingLayout:
    """A split virtqueue that a driver has set up: its number of entries, and the gpas of its three areas.

    start: idx of both rings, so far: 0, unless the VM was in use elsewhere before, and the queue goes on here.
    """

    size: int
    descriptors: int
    driver: int
    device: int
    start: int = 0


@travels
@dataclass(frozen=True)
class BufferChain:
    """A chain that the driver made available. head: its first descriptor's number. readable, writable: its buffers, as
    (gpa, bytes)."""

    head: int
    readable: list[tuple[int, int]]
    writable: list[tuple[int, int]]


@travels
@dataclass(frozen=True)
class BrokenRing:
    """The driver broke a rule of the ring: the device needs a reset. why: for whoever reads the log."""

    why: str = ""


@travels
@dataclass(frozen=True)
class HostMemory:
    """The machine's memory, all of it: this guest's frames, other guests', and the hypervisor's own. Addresses: gpa is
    the guest's, hpa the machine's."""

    name: str = "host"

    def frame(self, gpa: int) -> int | None:
        """The hpa of the frame behind a page of guest RAM; None where the guest has none."""
        found: int | None = self._ask("frame", gpa)
        return found

    def read(self, hpa: int, length: int) -> bytes:
        """Bytes from hpa on."""
        return bytes(self._ask("read", hpa, length))

    def write(self, hpa: int, data: bytes) -> None:
        """Store bytes at hpa. Nothing is checked here: it is a machine's memory."""
        self._ask("write", hpa, data)

    def _ask(self, what: str, *arguments: Any) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
