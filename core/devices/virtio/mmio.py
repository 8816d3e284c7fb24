"""The memory-mapped transport, version 2 (virtio 4.2): the registers of one slot, with or without a device in it.

A slot without one has device id 0 and takes no stores, as QEMU's (virtio 4.2.2: "placeholder devices"). Registers are
words; the configuration space, from 0x100, takes any size. What a driver may not access reads 0 and ignores stores.

Here a driver's mistakes are caught: a malformed queue, in whatever the device is doing, ends in DEVICE_NEEDS_RESET
and a configuration interrupt (virtio 2.1.2), and the device touches no queue until the driver resets it.
"""

from collections.abc import Callable
from typing import Final

from ..device import DeviceFault, IrqLine, State, bytes_of, int_of, unwired
from .device import F_EVENT_IDX, F_INDIRECT_DESC, F_VERSION_1, VirtioDevice
from .queue import Malformed, Queue
from .ram import GuestRam

MAGIC_VALUE = 0x000
VERSION = 0x004
DEVICE_ID = 0x008
VENDOR_ID = 0x00C
DEVICE_FEATURES = 0x010
DEVICE_FEATURES_SEL = 0x014
DRIVER_FEATURES = 0x020
DRIVER_FEATURES_SEL = 0x024
QUEUE_SEL = 0x030
QUEUE_SIZE_MAX = 0x034
QUEUE_SIZE = 0x038
QUEUE_READY = 0x044
QUEUE_NOTIFY = 0x050
INTERRUPT_STATUS = 0x060
INTERRUPT_ACK = 0x064
STATUS = 0x070
QUEUE_DESC_LOW = 0x080
QUEUE_DRIVER_LOW = 0x090
QUEUE_DEVICE_LOW = 0x0A0
SHM_LEN_LOW = 0x0B0
SHM_BASE_HIGH = 0x0BC
CONFIG_GENERATION = 0x0FC
CONFIG = 0x100
END = 0x200  # as on QEMU: the rest of the slot's page answers nothing

MAGIC: Final = int.from_bytes(b"virt", "little")
VERSION_MODERN: Final = 2
VENDOR: Final = int.from_bytes(b"QEMU", "little")  # what drivers have seen on this board until now

INTERRUPT_USED = 1
INTERRUPT_CONFIG = 2

# Device status (virtio 2.1).
ACKNOWLEDGE = 1
DRIVER = 2
DRIVER_OK = 4
FEATURES_OK = 8
NEEDS_RESET = 64
FAILED = 128

TRANSPORT_FEATURES: Final = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1

U32 = 0xFFFF_FFFF

#: The queue's address registers: attribute and shift by offset.
ADDRESSES = {
    base + 4 * half: (attribute, 32 * half)
    for base, attribute in ((QUEUE_DESC_LOW, "descriptors"), (QUEUE_DRIVER_LOW, "driver"), (QUEUE_DEVICE_LOW, "device"))
    for half in (0, 1)
}


class VirtioMmio:
    """One slot. irq: its line, active while an interrupt waits for its acknowledgement.

    queues: the device's. features: those accepted, once FEATURES_OK is set. complaint: what the driver did to the
    queues that made the device need a reset, None while it does not.
    """

    def __init__(self, irq: IrqLine = unwired) -> None:
        self.irq = irq
        self.device: VirtioDevice | None = None
        self.queues: tuple[Queue, ...] = ()
        self.complaint: str | None = None
        self._offered = 0
        self._generation = 0
        self._clear()

    def plug(self, device: VirtioDevice, ram: GuestRam) -> None:
        """Put a device into the slot. ram: where its queues will lie."""
        assert self.device is None, "the slot is taken"
        self.device = device
        self.queues = tuple(Queue(ram, size) for size in device.queue_sizes)
        self._offered = device.features | TRANSPORT_FEATURES
        device.link = self

    def _clear(self) -> None:
        self._status = 0
        self._interrupts = 0
        self._device_features_sel = 0
        self._driver_features_sel = 0
        self._accepted = 0
        self._queue_sel = 0
        self.complaint = None

    # --- the bus side

    def load(self, offset: int, size: int) -> int:
        """Read a register, or the configuration space: what lies beyond its end reads as ones."""
        if size == 8:
            return self.load(offset, 4) | self.load(offset + 4, 4) << 32
        if offset >= END:
            raise DeviceFault
        if self.device is not None and offset >= CONFIG:
            field = self.device.config[offset - CONFIG : offset - CONFIG + size]
            return int.from_bytes(field if len(field) == size else b"\xff" * size, "little")
        if self.device is not None and size != 4:
            return 0
        return self._load_register(offset) & (1 << 8 * size) - 1

    def store(self, offset: int, size: int, value: int) -> None:
        """Write a register, or the configuration space."""
        if size == 8:
            self.store(offset, 4, value & U32)
            self.store(offset + 4, 4, value >> 32)
            return
        if offset >= END:
            raise DeviceFault
        if self.device is None:
            return
        if offset >= CONFIG:
            if offset - CONFIG + size <= len(self.device.config):
                self.device.write_config(offset - CONFIG, value.to_bytes(size, "little"))
        elif size == 4:
            self._store_register(offset, value)

    def _load_register(self, offset: int) -> int:
        if offset == MAGIC_VALUE:
            return MAGIC
        if offset == VERSION:
            return VERSION_MODERN
        if offset == VENDOR_ID:
            return VENDOR
        if self.device is None:
            return 0
        if offset == DEVICE_ID:
            return self.device.device_id
        if offset == DEVICE_FEATURES:
            return self._offered >> 32 * self._device_features_sel & U32
        if offset == QUEUE_SIZE_MAX:
            queue = self._selected()
            return queue.max_size if queue else 0
        if offset == QUEUE_READY:
            queue = self._selected()
            return int(queue is not None and queue.is_ready)
        if offset == INTERRUPT_STATUS:
            return self._interrupts
        if offset == STATUS:
            return self._status
        if SHM_LEN_LOW <= offset <= SHM_BASE_HIGH:
            return U32  # no region has this id, whichever it is
        if offset == CONFIG_GENERATION:
            return self._generation
        return 0

    def _store_register(self, offset: int, value: int) -> None:
        if offset == DEVICE_FEATURES_SEL:
            self._device_features_sel = min(value, 2)  # from the third word on there are no features
        elif offset == DRIVER_FEATURES_SEL:
            self._driver_features_sel = min(value, 2)
        elif offset == DRIVER_FEATURES:
            self._accept(value)
        elif offset == QUEUE_SEL:
            self._queue_sel = value
        elif offset == QUEUE_NOTIFY:
            self._notify(value)
        elif offset == INTERRUPT_ACK:
            self._interrupts &= ~value
            self._update()
        elif offset == STATUS:
            self._set_status(value)
        else:
            queue = self._selected()
            if queue is not None:
                self._store_queue_register(queue, offset, value)

    def _store_queue_register(self, queue: Queue, offset: int, value: int) -> None:
        """Size and addresses are frozen while the queue is ready."""
        if offset == QUEUE_READY:
            if value & 1 and not queue.is_ready:
                self._enable(queue)
            elif not value & 1:
                queue.disable()
        elif not queue.is_ready and offset == QUEUE_SIZE:
            queue.size = value
        elif not queue.is_ready and offset in ADDRESSES:
            attribute, shift = ADDRESSES[offset]
            setattr(queue, attribute, getattr(queue, attribute) & ~(U32 << shift) | value << shift)

    def _selected(self) -> Queue | None:
        return self.queues[self._queue_sel] if self._queue_sel < len(self.queues) else None

    # --- looking without side effects

    @property
    def status(self) -> int:
        """The device status (virtio 2.1)."""
        return self._status

    @property
    def interrupts(self) -> int:
        """InterruptStatus: what waits for its acknowledgement."""
        return self._interrupts

    @property
    def offered(self) -> int:
        """The feature bits that the driver may accept."""
        return self._offered

    @property
    def accepted(self) -> int:
        """Those that it has chosen, also before FEATURES_OK."""
        return self._accepted

    # --- initialization (virtio 3.1)

    @property
    def features(self) -> int:
        """What was negotiated; nothing before FEATURES_OK."""
        return self._accepted if self._status & FEATURES_OK else 0

    @property
    def is_running(self) -> bool:
        """Whether the device may use its queues."""
        return self._status & (DRIVER_OK | NEEDS_RESET) == DRIVER_OK

    def _accept(self, value: int) -> None:
        if not self._status & FEATURES_OK:
            shift = 32 * self._driver_features_sel
            self._accepted = self._accepted & ~(U32 << shift) | value << shift

    def _set_status(self, value: int) -> None:
        """Zero resets. FEATURES_OK is refused for features not offered, or without VERSION_1 (virtio 2.2.2, 6.2)."""
        if not value:
            self._reset()
            return
        before = self._status
        value = value & 0xFF & ~NEEDS_RESET | before & NEEDS_RESET
        is_acceptable = not self._accepted & ~self._offered and self._accepted & F_VERSION_1
        if value & ~before & FEATURES_OK and not is_acceptable:
            value &= ~FEATURES_OK
        self._status = value
        if value & ~before & DRIVER_OK:
            if value & NEEDS_RESET:
                self._interrupt(INTERRUPT_CONFIG)
            for index in range(len(self.queues)):
                self._notify(index)  # buffers may have been made available before, which needs no notification

    def _enable(self, queue: Queue) -> None:
        try:
            queue.enable(
                has_indirect=bool(self.features & F_INDIRECT_DESC), has_event_idx=bool(self.features & F_EVENT_IDX)
            )
        except Malformed as broken:
            self._need_reset(str(broken))

    def _reset(self) -> None:
        self._clear()
        for queue in self.queues:
            queue.reset()
        if self.device is not None:
            self.device.reset()
        self._update()

    # --- what the device calls

    def _notify(self, index: int) -> None:
        device = self.device
        if device is not None and index < len(self.queues) and self.queues[index].is_ready:
            self.serve(lambda: device.notify(index))

    def serve(self, work: Callable[[], None]) -> None:
        """Let the device work on its queues, and the driver know what came of it."""
        if not self.is_running:
            return
        try:
            work()
        except Malformed as broken:
            self._need_reset(str(broken))
        wanted = [queue.take_notification() for queue in self.queues]  # each of them: asking is what updates it
        if any(wanted):
            self._interrupt(INTERRUPT_USED)

    def change_config(self) -> None:
        """The configuration space has changed: a driver that reads it meanwhile can tell (virtio 2.5.2)."""
        self._generation = self._generation + 1 & U32
        if self.is_running:
            self._interrupt(INTERRUPT_CONFIG)

    def _need_reset(self, complaint: str) -> None:
        self.complaint = complaint
        self._status |= NEEDS_RESET
        if self._status & DRIVER_OK:
            self._interrupt(INTERRUPT_CONFIG)

    def _interrupt(self, reason: int) -> None:
        self._interrupts |= reason
        self._update()

    def _update(self) -> None:
        self.irq(bool(self._interrupts))

    # --- snapshots

    def save(self) -> State:
        """The registers, the queues as "queue0.size", the device as "device.…"; an empty slot has no state."""
        if self.device is None:
            return {}
        state: State = {
            "status": self._status,
            "interrupts": self._interrupts,
            "device_features_sel": self._device_features_sel,
            "driver_features_sel": self._driver_features_sel,
            "accepted": self._accepted,
            "queue_sel": self._queue_sel,
            "generation": self._generation,
            "complaint": (self.complaint or "").encode(),
        }
        for index, queue in enumerate(self.queues):
            state |= {f"queue{index}.{name}": value for name, value in queue.save().items()}
        return state | {f"device.{name}": value for name, value in self.device.save().items()}

    def restore(self, state: State) -> None:
        """Become the saved slot, whose device was of the same kind, and drive the line."""
        if self.device is None:
            return
        self._status = int_of(state, "status")
        self._interrupts = int_of(state, "interrupts")
        self._device_features_sel = int_of(state, "device_features_sel")
        self._driver_features_sel = int_of(state, "driver_features_sel")
        self._accepted = int_of(state, "accepted")
        self._queue_sel = int_of(state, "queue_sel")
        self._generation = int_of(state, "generation")
        self.complaint = bytes_of(state, "complaint").decode() or None
        for index, queue in enumerate(self.queues):
            queue.restore(_part(state, f"queue{index}."))
        self.device.restore(_part(state, "device."))
        self._update()


def _part(state: State, prefix: str) -> State:
    """The entries whose names begin with prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
