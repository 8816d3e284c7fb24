"""The machine's memory as the student's device reaches it: all of it, with a guard who knows whose each byte is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, NoReturn

from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...core.vmm.vm import Vm
from ..judge.session import Refused, Session, number

HYPERVISOR: Final = "hypervisor"
MOST: Final = 1 << 16
"""Bytes moved at once."""

Part = Callable[[str, str, str], NoReturn]
"""part(field, got, wanted): where a check ends. Raises Diverged."""


class Host:
    """What kit.devices.HostMemory asks. Reads must stay in the guest's frames, and writes in what was allowed.

    part: called for a byte that was none of the student's business. reads, bytes_read: how many there were.
    """

    def __init__(self, vm: Vm, part: Part) -> None:
        self.vm = vm
        self.part = part
        self.reads = self.bytes_read = 0
        self.written: list[tuple[int, bytes]] = []
        self.after_read: Callable[[int, int], None] | None = None
        self._writable: tuple[tuple[int, int], ...] = ()

    def serve(self, student: Session) -> None:
        """Be there for a student's process."""
        student.services |= {"host.frame": self.frame, "host.read": self.read, "host.write": self.write}

    def allow(self, *ranges: tuple[int, int]) -> None:
        """Until the next call, writes go to these (gpa, length) and nowhere else."""
        self._writable = ranges
        self.written = []

    def frame(self, gpa: object) -> int | None:
        """The frame map."""
        place = number(gpa, "frame's gpa", 70)
        ram = self.vm.ram
        return ram.frame(place >> PAGE_SHIFT) if ram.contains(place) else None

    def read(self, hpa: object, length: object) -> bytes:
        """Bytes of the guest's."""
        place, size = self._range(hpa, length, "read")
        self.reads += 1
        self.bytes_read += size
        gpas = self._guests(place, size, "read")
        data = bytes(self.vm.ram.memory.read(place, size))
        if self.after_read is not None:
            for gpa, piece in gpas:
                self.after_read(gpa, piece)
        return data

    def write(self, hpa: object, data: object) -> None:
        """Bytes of the guest's that it gave for writing."""
        if type(data) is not bytes:
            raise Refused("write takes bytes")
        place, size = self._range(hpa, len(data), "write")
        for gpa, piece in self._guests(place, size, "write"):
            if not any(start <= gpa and gpa + piece <= start + room for start, room in self._writable):
                self.part(f"write to hpa {place:#x}", f"{size} bytes at gpa {gpa:#x}",
                          "no write there: the guest gave no such bytes")
            self.written.append((gpa, data[:piece]))
            self.vm.write_memory(gpa, data[:piece])
            data = data[piece:]

    def _range(self, hpa: object, length: object, what: str) -> tuple[int, int]:
        place, size = number(hpa, f"{what}'s hpa"), number(length, f"{what}'s length", 32)
        memory = self.vm.ram.memory
        if size > MOST:
            raise Refused(f"{what} moves {MOST} bytes at most")
        if not memory.base <= place or place + size > memory.base + memory.size:
            raise Refused(f"{what}({place:#x}): the machine has no memory there")
        return place, size

    def _guests(self, hpa: int, length: int, what: str) -> list[tuple[int, int]]:
        """The bytes by gpa, a frame at a time."""
        found = []
        while length:
            size = min(length, PAGE_SIZE - hpa % PAGE_SIZE)
            gpa = self.vm.ram.gpa(hpa)
            if gpa is None:
                owner = self.vm.frames.owner(hpa)
                whose = f"the {owner}'s" if owner else "nobody's"
                self.part(f"{what} of host memory", f"hpa {hpa:#x}, {whose}", "this guest's frames alone")
            found.append((gpa, size))
            hpa, length = hpa + size, length - size
        return found


def scatter(vm: Vm, pages: range, random: Random) -> None:
    """Give these guest pages frames in disorder, with the hypervisor's own between them, full of what a guest must not
    see."""
    order = [gpa >> PAGE_SHIFT for gpa in pages]
    random.shuffle(order)
    for gfn in order:
        vm.ram.memory.write(vm.frames.allocate(HYPERVISOR), random.randbytes(64) * (PAGE_SIZE // 64))
        vm.ram.frame(gfn)
    vm.ram.memory.write(vm.frames.allocate(HYPERVISOR), random.randbytes(64) * (PAGE_SIZE // 64))
