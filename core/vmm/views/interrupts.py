"""Interrupts on their way: from a device's line through the PLIC to each vCPU, and what its hart makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...devices.device import bytes_of, int_of
from ...devices.plic import N_SOURCES, Plic
from ...isa.causes import INTERRUPT_BY_NUMBER, SEI, SSI, STI
from ...isa.csrs import BY_NAME
from ...machine.memory_map import VM_BOARD
from ..csr_file import SIE, SIP, SSTATUS, SSTATUS_SIE
from ..state import NEVER
from ..traps import pick_pending
from .rings import kind_of

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector
    from ..vcpu import Vcpu

HVIP: Final = BY_NAME["hvip"].number
LINES: Final = (SSI, STI, SEI)
"""What a guest can get, with the VS-level twins one higher (H, "Virtual Supervisor Interrupt")."""


@dataclass(frozen=True)
class SourceRow:
    """A PLIC source. device: whose line it is, "" where there is none. level: of the line. enabled: by vCPU.

    is_pending: its request waits to be claimed. is_claimed: it was, and is not completed yet.
    """

    number: int
    device: str
    level: bool
    is_pending: bool
    is_claimed: bool
    priority: int
    enabled: tuple[bool, ...]


@dataclass(frozen=True)
class LineRow:
    """An interrupt of a vCPU's. pending, enabled: in sip and sie. hvip: the hart's bit for it, where it has one.
    injected: how often the hypervisor has delivered it (where the hart does so itself, that is not counted)."""

    number: int
    name: str
    about: str
    pending: bool
    enabled: bool
    hvip: bool | None
    injected: int


@dataclass(frozen=True)
class VcpuRow:
    """A vCPU's interrupts. sie: sstatus.SIE. taken_next: the name of the one that it takes before its next step, None
    if it takes none. threshold: of its PLIC context. external: the level of that context's line.

    timer: steps until its timer fires, None where it is not set. is_asleep: in WFI, or stopped.
    """

    index: int
    mode: str
    sie: bool
    lines: tuple[LineRow, ...]
    taken_next: str | None
    threshold: int
    external: bool
    timer: int | None
    is_asleep: bool


@dataclass(frozen=True)
class InterruptsView:
    """All of a VM's. sources: those that have a device, and others that are enabled, high, pending or claimed."""

    vm: str
    sources: tuple[SourceRow, ...]
    vcpus: tuple[VcpuRow, ...]


def view_interrupts(inspection: Inspection) -> InterruptsView:
    """Of the VM looked at."""
    inspector = inspection.inspector
    vm = inspector.vm
    plic = next(device for _, device in vm.board.controller.slots if isinstance(device, Plic))
    state = plic.save()
    enables = bytes_of(state, "enabled")
    # Of a hart's two contexts the guest has the second, S-mode's.
    contexts = [int.from_bytes(enables[at : at + 16], "little") for at in range(16, len(enables), 32)]
    thresholds = bytes_of(state, "threshold")[1::2]
    priorities = bytes_of(state, "priority")
    levels, pending, claimed = (int_of(state, name) for name in ("levels", "pending", "claimed"))
    names = _devices(inspector)
    touched = levels | pending | claimed
    for enabled in contexts:
        touched |= enabled
    sources = tuple(
        SourceRow(number, names.get(number, ""), bool(levels >> number & 1), bool(pending >> number & 1),
                  bool(claimed >> number & 1), priorities[number],
                  tuple(bool(enabled >> number & 1) for enabled in contexts))
        for number in range(1, N_SOURCES + 1) if number in names or touched >> number & 1)
    vcpus = tuple(_vcpu(vcpu, threshold) for vcpu, threshold in zip(vm.vcpus, thresholds, strict=True))
    return InterruptsView(inspector.name, sources, vcpus)


def _devices(inspector: Inspector) -> dict[int, str]:
    """What drives each source: the UART, and the virtio slots that have a device."""
    names = {}
    slots = {f"virtio {number}": slot for number, slot in enumerate(inspector.vm.board.virtio)}
    for region in VM_BOARD:
        if region.irq is None:
            continue
        slot = slots.get(region.name)
        if slot is None:
            names[region.irq] = region.name
        elif slot.device is not None:
            names[region.irq] = f"{region.name} {kind_of(slot.device)}"
    return names


def _vcpu(vcpu: Vcpu, threshold: int) -> VcpuRow:
    csrs, hart = vcpu.csrs, vcpu.hart
    sip, sie = csrs.read(SIP), csrs.read(SIE)
    hvip = hart.read_csr(HVIP) if hart.virtual else None
    lines = tuple(
        LineRow(number, INTERRUPT_BY_NUMBER[number].name, INTERRUPT_BY_NUMBER[number].description,
                bool(sip >> number & 1), bool(sie >> number & 1),
                None if hvip is None else bool(hvip >> number + 1 & 1), vcpu.injected[number])
        for number in LINES)
    taken = pick_pending(vcpu) if not vcpu.is_stopped else None
    fires = vcpu.deadline * vcpu.vm.steps_per_tick
    return VcpuRow(
        vcpu.index, "S" if vcpu.mode else "U", bool(csrs.read(SSTATUS) & SSTATUS_SIE), lines,
        None if taken is None else INTERRUPT_BY_NUMBER[taken].name, threshold, bool(sip >> SEI & 1),
        None if vcpu.deadline == NEVER else max(0, fires - hart.steps), vcpu.is_waiting or vcpu.is_stopped)
