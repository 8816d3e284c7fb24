"""A device in a slot of its own, with RAM, an interrupt line and a driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.devices.virtio.mmio import VirtioMmio

from ..lines import Line
from .driver import EVERYTHING, Driver
from .ram import BASE, Ram

AnyDevice = TypeVar("AnyDevice", bound=VirtioDevice)


class Slot(Generic[AnyDevice]):
    """The device, started by its driver with queues of `sizes`."""

    def __init__(self, device: AnyDevice, sizes: Sequence[int] = (), features: int = EVERYTHING) -> None:
        self.device = device
        self.ram, self.line = Ram(), Line()
        self.mmio = VirtioMmio(self.line)
        self.mmio.plug(device, self.ram)
        self.driver = Driver(self.mmio, self.ram, BASE)
        if sizes:
            self.driver.start(features, sizes)

    def give(self, index: int, data: bytes) -> int:
        """Offer a device-readable buffer and notify."""
        gpa = self.driver.allocate(len(data))
        self.ram.write(gpa, data)
        head = self.driver.rings[index].add([(gpa, len(data), False)])
        self.driver.kick(index)
        return head

    def lend(self, index: int, length: int) -> int:
        """Offer a device-writable buffer and notify; its gpa."""
        gpa = self.driver.allocate(length)
        self.driver.rings[index].add([(gpa, length, True)])
        self.driver.kick(index)
        return gpa

    def move_to(self, twin: AnyDevice) -> Slot[AnyDevice]:
        """A slot with another device, restored from this one; RAM and driver go with it."""
        moved = Slot(twin)
        moved.mmio = VirtioMmio(moved.line)
        twin.link = None
        moved.mmio.plug(twin, self.ram)
        moved.mmio.restore(self.mmio.save())
        assert moved.mmio.save() == self.mmio.save()
        moved.ram, moved.driver = self.ram, self.driver
        moved.driver.registers = moved.mmio
        return moved
