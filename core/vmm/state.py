"""A vCPU's architectural state off the hart: what a world switch saves, a digest hashes and a snapshot keeps.

It says nothing of the technique, so a vCPU saved under one can be loaded under another.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..devices.device import State
from .pmu import AT_RESET, PmuState

NEVER = (1 << 64) - 1
"""A timer deadline that is never reached."""


@dataclass(frozen=True)
class GuestState:
    """Everything the guest could see of its hart.

    gprs: x0 to x31. mode: 0 user, 1 supervisor. csrs: each of GUEST_CSRS by number. reservation: the GPA that LR
    reserved, or -1. fprs: f0 to f31, 64 bits each. fcsr: their control and status.
    steps, idle_steps, guest_traps: the clock. deadline: mtime at which the timer fires. is_waiting: asleep in WFI.
    is_stopped: it stopped itself by SBI; is_suspended: it suspended itself, and sleeps for that.
    pmu: its performance counters. updates_ad: its walks set A and D (FWFT). locked_features: what of FWFT is locked.
    """

    gprs: tuple[int, ...]
    pc: int
    mode: int
    csrs: dict[int, int]
    reservation: int = -1
    steps: int = 0
    idle_steps: int = 0
    guest_traps: int = 0
    deadline: int = NEVER
    is_waiting: bool = False
    is_stopped: bool = False
    fprs: tuple[int, ...] = (0,) * 32
    fcsr: int = 0
    is_suspended: bool = False
    pmu: PmuState = AT_RESET
    updates_ad: bool = False
    locked_features: frozenset[int] = frozenset()


@dataclass(frozen=True)
class VmState:
    """All of a VM but the contents of its RAM and disks, for any technique to go on with.

    vcpus: by index. turn: whose turn it is. turn_end: the step at which the turn ends. power_off: why it is off, None
    if it is not. board: the devices' states by region name, the console's among them.
    """

    vcpus: tuple[GuestState, ...]
    turn: int
    turn_end: int
    power_off: str | None
    board: dict[str, State]

    @property
    def steps(self) -> int:
        """The VM's clock."""
        return sum(vcpu.steps for vcpu in self.vcpus)
