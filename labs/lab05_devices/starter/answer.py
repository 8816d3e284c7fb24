"""Lab 5: devices. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.devices import BrokenRing, BufferChain, HostMemory, MmioPlace, MmioRegion, RingLayout


class Bus:
    """Finds the register that an access is for."""

    def use(self, regions: list[MmioRegion]) -> None:
        """Called before anything else: the memory map, in no particular order."""
        self.regions = regions

    def mmio_dispatch(self, gpa: int, size: int) -> MmioPlace | None:
        """The register that an access of 1, 2, 4 or 8 bytes is for; None if it is an access fault."""
        raise NotImplementedError


class Uart:
    """A 16550A, whose registers are a byte each."""

    def load(self, offset: int) -> int:
        """Read a register, 0 to 7, with its side effects."""
        raise NotImplementedError

    def store(self, offset: int, value: int) -> bytes:
        """Write a register, 0 to 7; the bytes that go out on the line, b"" for none."""
        raise NotImplementedError

    def receive(self, data: bytes) -> None:
        """Somebody has typed this. It waits until the guest reads it."""
        raise NotImplementedError

    def interrupt(self) -> bool:
        """The level of the interrupt line, asked after each of the above."""
        raise NotImplementedError


class Virtqueue:
    """The device's side of a split virtqueue."""

    def use(self, host: HostMemory, ring: RingLayout) -> None:
        """Called when a driver has set the queue up, and again whenever it does so anew. Size and areas were checked:
        the size is a power of two up to 256, and the areas are guest RAM."""
        self.host = host
        self.ring = ring

    def read_guest(self, gpa: int, length: int) -> bytes | None:
        """Bytes of guest RAM; None if not all of them are."""
        raise NotImplementedError

    def write_guest(self, gpa: int, data: bytes) -> bool:
        """Store bytes to guest RAM and say True; False, and nothing stored, if not all of it is."""
        raise NotImplementedError

    def virtq_pop(self) -> BufferChain | BrokenRing | None:
        """The next chain that the driver made available, None if there is none; BrokenRing if it broke a rule."""
        raise NotImplementedError

    def virtq_push(self, head: int, written: int) -> None:
        """Give a chain back to the driver, used; `written` bytes of it were stored to."""
        raise NotImplementedError
