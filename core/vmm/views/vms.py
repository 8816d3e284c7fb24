"""All VMs side by side: how each is and how fast it runs, and what of the machine's memory it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ...devices.virtio.balloon import VirtioBalloon
from ...isa.paging import PAGE_SHIFT, PAGE_SIZE
from .rates import Rate
from .status import VmStatus, view_status

if TYPE_CHECKING:
    from ..guest_memory import GuestMemory
    from ..inspector import Inspection, Inspector

GUEST, SHADOW, GSTAGE = "guest", "shadow", "g-stage"
"""Owners of frames (frames.py)."""


@dataclass(frozen=True)
class VmRow:
    """One VM. host_bytes: of the machine's memory that it holds: guest RAM and tables. What it shares with others
    counts for each."""

    status: VmStatus
    rate: Rate
    host_bytes: int


@dataclass(frozen=True)
class VmsView:
    """All VMs. current: the index of the one looked at."""

    rows: tuple[VmRow, ...]
    current: int


@dataclass(frozen=True)
class Balloon:
    """What a balloon holds. pages: given to the host. target: what the host would like. actual: what the driver says.
    statistics: what the guest last reported, by name."""

    pages: int
    target: int
    actual: int
    statistics: Mapping[str, int]


@dataclass(frozen=True)
class MemoryUse:
    """One VM's memory, in pages of 4 KiB.

    ram: what the guest believes to have. resident: of it, those that have a frame, n_shared of them with other guests;
    swapped: in a swap file; the rest was never touched, and reads zeros. shadow, gstage: the hypervisor's tables.
    free: frames of the machine that nobody holds; None where guest RAM is all there is. disk: pages written to disks
    that keep their writes in memory. past_bytes: of pages that the VM's past holds, in `checkpoints`. presence: per
    part of the guest's RAM, how many of its pages have a frame; part_pages: how many pages a part has, about.
    """

    name: str
    technique: str
    ram: int
    resident: int
    n_shared: int
    swapped: int
    shadow: int
    gstage: int
    free: int | None
    disk: int
    balloon: Balloon | None
    past_bytes: int
    checkpoints: int
    presence: tuple[int, ...]
    base: int

    @property
    def tables(self) -> int:
        """The hypervisor's, of all kinds."""
        return self.shadow + self.gstage

    @property
    def part_pages(self) -> float:
        """Pages in a part of `presence`."""
        return self.ram / max(1, len(self.presence))


@dataclass(frozen=True)
class MemoryView:
    """All VMs' memory; only the one looked at has a presence."""

    vms: tuple[MemoryUse, ...]
    current: int


_presence: WeakKeyDictionary[GuestMemory, tuple[int, tuple[int, ...]]] = WeakKeyDictionary()
"""The last that was found, and for how many pages: counting tens of thousands takes milliseconds."""


def view_vms(inspection: Inspection) -> VmsView:
    """The table of VMs."""
    status = view_status(inspection)
    rows = tuple(VmRow(vm, inspection.rates.of(inspector), _held(inspector) * PAGE_SIZE)
                 for vm, inspector in zip(status.vms, inspection.inspectors, strict=True))
    return VmsView(rows, inspection.current)


def view_memory(inspection: Inspection, cells: int = 0) -> MemoryView:
    """What each VM holds. cells: in how many parts to show the RAM of the one looked at."""
    return MemoryView(tuple(_use(inspector, cells if inspector is inspection.inspector else 0)
                            for inspector in inspection.inspectors), inspection.current)


def _held(inspector: Inspector) -> int:
    owners = inspector.vm.frames.owners
    return inspector.vm.ram.resident + owners.get(SHADOW, 0) + owners.get(GSTAGE, 0)


def _use(inspector: Inspector, cells: int) -> MemoryUse:
    vm = inspector.vm
    owners, ram = vm.frames.owners, vm.ram
    balloon = next((slot.device for slot in vm.board.virtio if isinstance(slot.device, VirtioBalloon)), None)
    timeline = inspector.timeline
    past = {*timeline.checkpoints, *timeline.kept} if timeline is not None else ()
    return MemoryUse(
        inspector.name, inspector.technique, ram.size >> PAGE_SHIFT, ram.resident, ram.n_shared, ram.swapped,
        owners.get(SHADOW, 0), owners.get(GSTAGE, 0),
        vm.frames.free_in_machine if vm.config.technique_class.owns_frames else None,
        sum(len(disk.written()) for disk in vm.board.memory_disks),
        Balloon(len(balloon.pages), balloon.target, balloon.actual, dict(balloon.statistics))
        if balloon is not None else None,
        sum(each.snapshot.size for each in past), len(past), _presence_of(ram, cells) if cells else (), ram.base)


def _presence_of(ram: GuestMemory, cells: int) -> tuple[int, ...]:
    key = ram.resident * 4096 + cells
    known = _presence.get(ram)
    if known is not None and known[0] == key:
        return known[1]
    found = tuple(ram.presence(cells))
    _presence[ram] = key, found
    return found
