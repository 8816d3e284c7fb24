"""How a VM is, at the step where it stands: in the past, as it was then."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..stop import explain_trap_loop

if TYPE_CHECKING:
    from ..inspector import Inspector
    from ..vcpu import Vcpu


class Standing(StrEnum):
    """What a VM is."""

    RUNNING = "running"
    PAUSED = "paused"
    ASLEEP = "asleep"       # only input can wake it
    OFF = "off"
    CRASHED = "crashed"     # its guest is caught in a trap loop that it can never leave


def stand(inspector: Inspector) -> tuple[Standing, str]:
    """What a VM is, and why it is off, crashed or asleep; else nothing."""
    vm = inspector.vm
    if vm.off_reason is not None:
        return Standing.OFF, vm.off_reason
    for vcpu in vm.vcpus:
        crash = explain_trap_loop(vcpu) if not vcpu.is_stopped else None
        if crash is not None:
            return Standing.CRASHED, crash
    if vm.is_asleep:
        is_waiting = any(vcpu.is_waiting for vcpu in vm.vcpus)
        return Standing.ASLEEP, "it waits for input" if is_waiting else "it has stopped its harts"
    return (Standing.RUNNING if inspector.is_running else Standing.PAUSED), ""


def guest_mode(vcpu: Vcpu) -> str:
    """The mode that the guest believes to be in: S or U."""
    return "S" if vcpu.mode else "U"


def hart_mode(vcpu: Vcpu) -> str:
    """The mode that the hart below is in: U, HS or S, VU or VS."""
    hart = vcpu.hart
    if hart.virtual:
        return "VS" if hart.privilege else "VU"
    return {0: "U", 1: "HS" if vcpu.technique.has_h else "S"}.get(hart.privilege, "M")
