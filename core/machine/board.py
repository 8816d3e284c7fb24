"""The board that every guest finds, in a VM or on the bare machine: test finisher, interrupt controller, UART and
virtio slots."""

from collections.abc import Callable, Sequence
from functools import partial

from ..devices.console import ConsoleEnd
from ..devices.device import Device, IrqLine, State
from ..devices.test_finisher import Finish, TestFinisher
from ..devices.uart16550 import Uart16550
from ..devices.virtio.block import VirtioBlock
from ..devices.virtio.device import VirtioDevice
from ..devices.virtio.mmio import VirtioMmio
from ..devices.virtio.net import VirtioNet
from ..devices.virtio.ram import GuestRam, NoRam
from ..devices.virtio.storage import MemoryDisk
from ..errors import ConfigError
from .bus import Bus
from .inputs import Inputs
from .interrupts import Controller
from .memory_map import TEST_FINISHER, UART, VIRTIO, Region
from .network import Network

CONSOLE = "console"
NETWORK = "network"

QUIET_TICKS = 200_000
"""A sleep of so many ticks (20 ms) or more means that the guest has nothing to do, but for input; shorter ones come in
the midst of work."""


def _standing() -> int:
    """The clock of a board without one."""
    return 0


class Board:
    """Devices wired to each other, with their outer ends left to the caller.

    controller: what their interrupt lines lead to. console: the terminal. on_finish: called at the store with which
    the guest powers off or asks for a reset. ram: where virtio devices find their queues. network: where the wires of
    their cards lead, None for a board without a clock.

    virtio: the slots, by number.
    """

    def __init__(
        self,
        controller: Controller,
        console: ConsoleEnd,
        on_finish: Callable[[Finish], None],
        ram: GuestRam | None = None,
        network: Network | None = None,
    ) -> None:
        self.bus = Bus()
        self.network = network or Network(_standing, 1, Inputs(_standing))
        self.console = console
        self.controller = controller
        self.uart = Uart16550(console, self.irq_line(UART))
        self.finisher = TestFinisher(on_finish)
        for region, device in controller.slots:
            self.attach(region, device)
        self.attach(UART, self.uart)
        self.attach(TEST_FINISHER, self.finisher)
        self.virtio = tuple(VirtioMmio(self.irq_line(region)) for region in VIRTIO)
        self._ram = ram or NoRam()
        for region, slot in zip(VIRTIO, self.virtio, strict=True):
            self.attach(region, slot)

    def attach(self, region: Region, device: Device) -> None:
        """Add a device. Raises ConfigError where its region touches another's."""
        self.bus.attach(region, device)

    def attach_virtio(self, slot: int, device: VirtioDevice) -> None:
        """Put a device into a virtio slot, 0 to 7. Raises ConfigError where there is none, or it is taken."""
        if not 0 <= slot < len(self.virtio):
            raise ConfigError(f"virtio slot {slot}: the board has {len(self.virtio)}, from 0")
        if self.virtio[slot].device is not None:
            raise ConfigError(f"virtio slot {slot} has a device already")
        self.virtio[slot].plug(device, self._ram)
        if isinstance(device, VirtioNet):
            self.network.connect(slot, device)

    def attach_all(self, devices: Sequence[VirtioDevice | None]) -> None:
        """Put each device into the slot of its position; None leaves one empty. Raises ConfigError: too many."""
        for slot, device in enumerate(devices):
            if device is not None:
                self.attach_virtio(slot, device)

    @property
    def memory_disks(self) -> tuple[MemoryDisk, ...]:
        """The disks that keep their writes in memory, by slot: a snapshot has their pages too."""
        disks = [slot.device.storage for slot in self.virtio if isinstance(slot.device, VirtioBlock)]
        return tuple(disk for disk in disks if isinstance(disk, MemoryDisk))

    def irq_line(self, region: Region) -> IrqLine:
        """The controller's input that memory_map gives the region's device. Raises ValueError where it gives none."""
        if region.irq is None:
            raise ValueError(f"{region} has no interrupt")
        return partial(self.controller.set_source, region.irq)

    def offer_input(self) -> bool:
        """The guest sleeps: let what it waits for arrive at its serial port. Whether anything did."""
        return self.uart.wants_input and self.console.waiting > 0

    def save(self) -> dict[str, State]:
        """The state of the console, the network, and every device, by region name."""
        devices = {region.name: device.save() for region, device in self.bus.slots}
        return {CONSOLE: self.console.save(), NETWORK: self.network.save(), **devices}

    def restore(self, state: dict[str, State]) -> None:
        """Become the board that `save` saw; it has the same devices, and drives all its lines anew."""
        self.console.restore(state[CONSOLE])
        self.network.restore(state[NETWORK])
        for region, device in self.bus.slots:
            device.restore(state[region.name])
