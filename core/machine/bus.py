"""The bus: finds the device behind a physical address, and turns what nothing answers to into access faults."""

from bisect import bisect_right

from ..devices.device import Device, DeviceFault
from ..errors import ConfigError
from .memory_map import Region


class Bus:
    """The devices of one board. Both loads and stores must be naturally aligned and stay within one region."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._slots: list[tuple[Region, Device]] = []

    def attach(self, region: Region, device: Device) -> None:
        """Put device behind region. Raises ConfigError where the region touches one that is taken."""
        for taken, _ in self._slots:
            if region.overlaps(taken):
                raise ConfigError(f"two devices at the same addresses: {region} overlaps {taken}")
        index = bisect_right(self._bases, region.base)
        self._bases.insert(index, region.base)
        self._slots.insert(index, (region, device))

    @property
    def slots(self) -> tuple[tuple[Region, Device], ...]:
        """What is attached, by rising address."""
        return tuple(self._slots)

    def load(self, address: int, size: int) -> int | None:
        """The unsigned value that the device at address gives; None is a load access fault. size: 1, 2, 4 or 8."""
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address & size - 1:
            return None
        region, device = self._slots[index]
        offset = address - region.base
        if offset >= region.size:
            return None
        try:
            return device.load(offset, size)
        except DeviceFault:
            return None

    def store(self, address: int, size: int, value: int) -> bool:
        """Hand value (unsigned, `size` bytes) to the device at address; False is a store access fault."""
        index = bisect_right(self._bases, address) - 1
        if index < 0 or address & size - 1:
            return False
        region, device = self._slots[index]
        offset = address - region.base
        if offset >= region.size:
            return False
        try:
            device.store(offset, size, value)
        except DeviceFault:
            return False
        return True
