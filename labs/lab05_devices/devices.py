"""The student's bus, UART and virtqueue in the real hypervisor: a VM whose device accesses and rings go to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from ...core.devices.device import DeviceFault, State
from ...core.devices.virtio.queue import Chain, Malformed, Queue
from ...core.devices.virtio.ram import GuestRam
from ...core.hart import Exit
from ...core.isa.paging import PAGE_SIZE
from ...core.machine.bus import Bus
from ...core.machine.memory_map import RAM_BASE, UART, VM_BOARD
from ...core.vmm.exits import ExitReason
from ...core.vmm.techniques.deprivileged import Deprivileged
from ...core.vmm.vcpu import Vcpu
from ...core.vmm.vm import Vm
from ..judge.guests import MEMORY, Guest
from ..judge.lockstep import Lockstep
from ..judge.session import Session, need
from ..judge.trial import Trial
from ..kit.devices import BrokenRing, BufferChain, HostMemory, MmioPlace, MmioRegion, RingLayout
from .host import Host, Part, scatter

RINGS: Final = range(RAM_BASE + 0x30_0000, RAM_BASE + 0x31_0000, PAGE_SIZE)
"""Pages for rings and buffers, in frames that do not follow each other."""
REGIONS: Final = [MmioRegion(region.name, region.base, region.size) for region in VM_BOARD]


def dispatch(regions: Sequence[MmioRegion], gpa: int, size: int) -> MmioPlace | None:
    """What is right: the region that holds all of an aligned access."""
    for region in regions:
        if region.base <= gpa and gpa + size <= region.base + region.size and not gpa & size - 1:
            return MmioPlace(region.name, gpa - region.base)
    return None


class StudentsUart:
    """A UART whose registers are the student's. sent: what the guest has sent through it."""

    def __init__(self, student: Session, irq: Any) -> None:
        self._student = student
        self._irq = irq
        self.sent = bytearray()

    def load(self, offset: int, size: int) -> int:
        """One register, of a byte."""
        if offset > 7:
            raise DeviceFault
        value = need(int, self._student.call("Uart.load", offset), f"Uart.load({offset})")
        self._drive()
        return int(value) & 0xFF

    def store(self, offset: int, size: int, value: int) -> None:
        """One register, of a byte."""
        if offset > 7:
            raise DeviceFault
        self.sent += need(bytes, self._student.call("Uart.store", offset, value & 0xFF), f"Uart.store({offset})")
        self._drive()

    def receive(self, data: bytes) -> None:
        """Somebody types."""
        self._student.call("Uart.receive", data)
        self._drive()

    def _drive(self) -> None:
        self._irq(need(bool, self._student.call("Uart.interrupt"), "Uart.interrupt()"))

    def save(self) -> State:
        """Nothing saves this board."""
        return {}

    def restore(self, state: State) -> None:
        """Nor restores it."""


class StudentsBus(Bus):
    """A bus that asks the student which register an access is for."""

    def __init__(self, student: Session, part: Part) -> None:
        super().__init__()
        self._student = student
        self._part = part

    def load(self, address: int, size: int) -> int | None:
        """Where the student says, if that is right."""
        return super().load(address, size) if self._dispatch(address, size) else None

    def store(self, address: int, size: int, value: int) -> bool:
        """Where the student says, if that is right."""
        return self._dispatch(address, size) and super().store(address, size, value)

    def _dispatch(self, gpa: int, size: int) -> bool:
        said, right = self._student.call("Bus.mmio_dispatch", gpa, size), dispatch(REGIONS, gpa, size)
        if said != right:
            self._part(f"mmio_dispatch({gpa:#x}, {size})", shown(said), shown(right))
        return right is not None


class StudentsRam:
    """Guest RAM by way of the student's read_guest and write_guest, held against the hypervisor's own."""

    def __init__(self, host: Host, student: Session) -> None:
        self._host = host
        self._student = student
        self.contains = host.vm.ram.contains

    def read(self, gpa: int, length: int, /) -> bytes:
        """Bytes that the guest gave to be read."""
        self._host.allow()
        said = self._student.call("Virtqueue.read_guest", gpa, length)
        right = self._host.vm.ram.read(gpa, length)
        if said != right:
            self._host.part(f"read_guest({gpa:#x}, {length})", shown(said), shown(right))
        return right

    def write(self, gpa: int, data: bytes, /) -> None:
        """Bytes that the guest gave to be written."""
        self._host.allow((gpa, len(data)))
        said = self._student.call("Virtqueue.write_guest", gpa, data)
        if said is not True:
            self._host.part(f"write_guest({gpa:#x}, {len(data)} bytes)", shown(said), "True")
        found = self._host.vm.ram.read(gpa, len(data))
        if found != data:
            self._host.part(f"memory at {gpa:#x} after write_guest", shown(found), shown(data))


class StudentsQueue(Queue):
    """A queue whose pop and push are the student's, each held against the shipped one's.

    start: idx of both rings when it is enabled. chains: popped.
    """

    def __init__(self, host: Host, student: Session, max_size: int) -> None:
        super().__init__(host.vm.ram, max_size)
        self._host = host
        self._student = student
        self._students_ram: GuestRam = StudentsRam(host, student)
        self.start = 0
        self.chains = 0

    def enable(self, *, has_indirect: bool, has_event_idx: bool) -> None:
        """The driver's set-up, which the hypervisor has checked."""
        super().enable(has_indirect=has_indirect, has_event_idx=has_event_idx)
        self._next_available = self._next_used = self._announced = self.start
        layout = RingLayout(self.size, self.descriptors, self.driver, self.device, self.start)
        self._student.call("Virtqueue.use", HostMemory(), layout)

    def pop(self) -> Chain | None:
        """The student's chain, if it is the right one."""
        if not self.is_ready:
            return None
        broken, right = None, None
        try:
            right = super().pop()
        except Malformed as error:
            broken = error
        self._host.allow()
        said = self._student.call("Virtqueue.virtq_pop")
        if broken is not None:
            if not isinstance(said, BrokenRing):
                self._host.part("result of virtq_pop", shown(said), f"BrokenRing: {broken}")
            raise broken
        if right is None:
            if said is not None:
                self._host.part("result of virtq_pop", shown(said), "None: no chain waits")
            return None
        if not isinstance(said, BufferChain):
            self._host.part("result of virtq_pop", shown(said), f"the chain of head {right.head}")
        readable, writable = right.buffers
        wanted = {"head": right.head, "readable": _buffers(readable), "writable": _buffers(writable)}
        for name, value in wanted.items():
            got = getattr(said, name)
            if got != value:
                self._host.part(f"{name} of virtq_pop", shown(got), shown(value))
        self.chains += 1
        return Chain(right.head, self._students_ram, readable, writable)

    def push(self, chain: Chain) -> None:
        """The student's store to the device area, looked at byte by byte: the element first, then the index."""
        if not self.is_ready:
            return
        host = self._host
        index = self._next_used
        slot, place = self.device + 4 + 8 * (index % self.size), self.device + 2
        element = chain.head.to_bytes(4, "little") + chain.written.to_bytes(4, "little")
        self._next_used = index + 1 & 0xFFFF
        host.allow((slot, 8), (place, 2))
        self._student.call("Virtqueue.virtq_push", chain.head, chain.written)
        is_first = next((gpa >= slot for gpa, _ in host.written), True)
        is_last = next((place <= gpa < place + 2 for gpa, _ in reversed(host.written)), True)
        written = host.vm.ram.read(slot, 8)
        for name, start in (("id", 0), ("len", 4)):
            got, right = (int.from_bytes(data[start:start + 4], "little") for data in (written, element))
            if got != right:
                host.part(f"used.ring[{index % self.size}].{name}", f"{got:#x}", f"{right:#x}")
        got = int.from_bytes(host.vm.ram.read(place, 2), "little")
        if got != self._next_used:
            host.part("used.idx", f"{got:#x}", f"{self._next_used:#x}")
        if not (is_first and is_last):
            host.part("order of virtq_push", "idx before the element", "the element, then idx, which announces it")


class Devising:
    """The hypervisor with the student's devices in it, in lockstep with the bare machine, whose devices are ours.

    steps: exits after which the two were compared.
    """

    def __init__(self, trial: Trial, guest: Guest, random: Random, student: Session, most: int = 20_000) -> None:
        devising = self
        self.steps = 0

        class StudentsDevices(Deprivileged):
            """As shipped, every device access compared: where there is no RAM, the hart finds no page."""

            def handle_page_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
                """An access to a device, or a page that has no shadow entry yet."""
                return devising.exit(vcpu, lambda: super(StudentsDevices, self).handle_page_fault(vcpu, exit))

        self.lockstep = Lockstep(trial, guest, guest.config(StudentsDevices), most)
        vm = self.lockstep.vm
        scatter(vm, RINGS, random)
        self.host = Host(vm, self._part)
        self.host.serve(student)
        student.call("Bus.use", REGIONS)
        self.uart = StudentsUart(student, vm.board.irq_line(UART))
        self.lockstep.type = self.uart.receive
        self._wanted = bytearray()
        self.lockstep.ref.console.output = self._wanted.extend
        bus = StudentsBus(student, self._part)
        for region, device in vm.board.bus.slots:
            bus.attach(region, self.uart if region == UART else device)
        vm.bus = bus
        self.queues: list[Queue] = []
        for slot in vm.board.virtio[:len(guest.around.disks)]:
            slot.queues = tuple(StudentsQueue(self.host, student, queue.max_size) for queue in slot.queues)
            self.queues += slot.queues

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end, and look at all of its memory and its disks; what was counted. Raises Diverged,
        OutOfFuel, Stopped."""
        self.lockstep.run(budget)
        mine, right = self.lockstep.vm.ram, self.lockstep.ref.ram
        for gfn in range(RAM_BASE >> 12, RAM_BASE + MEMORY >> 12):
            if mine.page(gfn) != right.page(gfn):
                self._part(f"guest page {gfn << 12:#x}", "another", "as on the bare machine")
        for got, wanted in zip(self._disks(self.lockstep.vm), self._disks(self.lockstep.ref), strict=True):
            if got != wanted:
                at = next(index for index in range(0, len(got), 8) if got[index:index + 8] != wanted[index:index + 8])
                self._part(f"disk at byte {at:#x}", got[at:at + 8].hex(), wanted[at:at + 8].hex())
        exits = self.lockstep.vm.exits
        return {"exits": self.steps, "accesses": exits[ExitReason.MMIO_LOAD] + exits[ExitReason.MMIO_STORE],
                "instructions": self.lockstep.vm.instructions,
                "chains": sum(queue.chains for queue in self.queues if isinstance(queue, StudentsQueue))}

    def _disks(self, vm: Vm) -> list[bytes]:
        return [disk.read(0, disk.size) for disk in vm.board.memory_disks]

    def exit(self, vcpu: Vcpu, handle: Callable[[], bool]) -> bool:
        """An exit, before and after; one that took no step was for a shadow entry."""
        self.lockstep.enter(vcpu)
        is_done = handle()
        if self.lockstep.vm.steps > self.lockstep.ref.steps:
            self.lockstep.leave(vcpu, {})
            self.steps += 1
        if self.uart.sent != self._wanted:
            self._part("bytes sent", shown(bytes(self.uart.sent[-8:])), shown(bytes(self._wanted[-8:])))
        return is_done

    def _part(self, field: str, got: str, wanted: str) -> Any:
        self.lockstep.part(field, got, wanted, False)


def _buffers(buffers: list[tuple[int, int]]) -> list[list[int]]:
    """As they come over the line."""
    return [list(each) for each in buffers]


def shown(value: object) -> str:
    """A value in a divergence: addresses as such, and no longer than a line."""
    if isinstance(value, BrokenRing):
        return "BrokenRing"
    if isinstance(value, MmioPlace):
        return f"{value.name} + {value.offset}"[:60]
    if isinstance(value, list):
        return "[" + ", ".join(f"{each[0]:#x}+{each[1]:#x}" if _is_buffer(each) else f"{each!r:.20}"
                               for each in value)[:120] + "]"
    if isinstance(value, bytes) and len(value) > 16:
        return f"{value[:16].hex()}... ({len(value)} bytes)"
    return f"{value!r:.60}"


def _is_buffer(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(each) is int for each in value)
