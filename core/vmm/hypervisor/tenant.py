"""One of the VMs of a hypervisor: the VM itself, what it is entitled to, and how it fares."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from ...devices.console import discard
from ...devices.virtio.balloon import VirtioBalloon
from ...devices.virtio.device import VirtioDevice
from ...errors import HartvisorError
from ...isa.paging import PAGE_SIZE
from ...machine.loader import Image
from ..config import VmConfig
from ..digest import digest
from ..exits import labelled
from ..state import NEVER
from ..stop import Stop, StopReason
from ..vm import Vm
from .entitlement import Entitlement
from .memory_manager import Usage, usage
from .pool import VmFrames
from .tenant_memory import TenantMemory


class TenantState(Enum):
    """How a VM is. Those from OFF on are over, and hold no memory."""

    RUNNING = "running"  # or asleep, until something wakes it
    PAUSED = "paused"
    CRASHED = "crashed"  # in a trap loop; its memory can be looked at
    OFF = "off"  # by itself
    STOPPED = "stopped"  # by a user
    FAILED = "failed"  # the host could not go on with it


@dataclass(frozen=True)
class TenantConfig:
    """A VM to be, in a hypervisor.

    name: its own. vm, image: what it is made of and runs. devices: in its virtio slots. output: of its console.
    cpu: what it is entitled to of the machine's time. memory_shares, memory_reservation: who gives pages first, and
    bytes that it keeps. is_balloon_ours: the hypervisor asks its balloon for pages when memory is short.
    """

    name: str
    vm: VmConfig
    image: Image | None
    devices: Sequence[VirtioDevice | None] = ()
    output: Callable[[bytes], None] = discard
    cpu: Entitlement = field(default_factory=Entitlement)
    memory_shares: int = 100
    memory_reservation: int = 0
    is_balloon_ours: bool = False


class Tenant:
    """A VM in a hypervisor. Raises ConfigError, ImageError or OutOfFrames where it cannot be made.

    index: its place in the order of VMs. state, detail: how it is, and why, in words. ready_at: the machine's time at
    which it wants to run again, NEVER if only something from outside can wake it. bound: the step of its own clock that
    it must not pass for now. used: steps not slept through.
    """

    def __init__(self, index: int, config: TenantConfig, frames: VmFrames, ram: TenantMemory) -> None:
        self.index = index
        self.config = config
        self.name = config.name
        self.frames = frames
        self.ram = ram
        self.memory_shares = config.memory_shares
        self.memory_reservation = config.memory_reservation // PAGE_SIZE
        balloons = [device for device in config.devices if isinstance(device, VirtioBalloon)]
        self.own_balloon = balloons[0] if balloons else None
        self.balloon = self.own_balloon if config.is_balloon_ours else None
        self.wanted_balloon = self.own_balloon.target if self.own_balloon is not None else 0
        self.state = TenantState.RUNNING
        self.detail = ""
        self.ready_at = 0
        self.bound = NEVER
        self.used = 0
        self._nap = 0  # steps that its clock has yet to sleep, by the time of ready_at
        self._credit = 0  # steps of sleep that the machine's time has made by then, and its clock has not
        self._digest: str | None = None
        self._usage: Usage | None = None
        self._stop: Stop | None = None
        self._failure: str | None = None
        self.vm = Vm(config.vm, config.image, config.output, config.devices, (frames, ram))

    # --- facts

    @property
    def is_over(self) -> bool:
        """Whether it will not run again, and holds no memory."""
        return self.state in (TenantState.OFF, TenantState.STOPPED, TenantState.FAILED)

    @property
    def room(self) -> int:
        """How many steps its clock may go."""
        return max(self.bound - self.vm.steps, 0)

    def wants_to_run(self, clock: int) -> bool:
        """Whether it does, now."""
        return self.state is TenantState.RUNNING and self.ready_at <= clock

    # --- running

    def run(self, steps: int) -> None:
        """Run on: that many steps, behind what is left of a sleep that is over by the machine's clock. Runs in a thread
        of its own where the machine has several; whatever happens is only kept."""
        budget = min(steps + self._nap, self.room)
        try:
            self._stop = self.vm.run(budget)
        except HartvisorError as error:  # the host's memory or disk, not the guest's doing
            self._failure = str(error)
        except Exception as error:  # ours: the others, who have no part in it, run on
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._failure = f"a mistake of Hartvisor's own, at {Path(place.filename).name}:{place.lineno}: " \
                            f"{type(error).__name__}: {error}"

    def account(self, active: int) -> int:
        """After `run`: see how it ended. active: its active steps before. Returns the steps that it used."""
        used = self.vm.active_steps - active
        self.used += used
        stop, self._stop = self._stop, None
        if self._failure is not None:
            self.end(TenantState.FAILED, self._failure)
        elif stop is not None and stop.reason is StopReason.POWER_OFF:
            self.end(TenantState.OFF, stop.detail)
        elif stop is not None and stop.reason is StopReason.GUEST_FAULT:
            self.state, self.detail = TenantState.CRASHED, stop.detail
        return used

    def fall_asleep(self, clock: int, slept: int) -> None:
        """Between two rounds, at the machine's time `clock`: so many steps its clock has slept in the last, and now it
        sleeps for a nap. The machine's time makes up for both before it runs again."""
        self._credit -= slept
        nap = self.vm.nap
        if nap == NEVER:
            self._nap, self.ready_at = 0, NEVER
            return
        wait = max(nap - self._credit, 0)
        self._nap = nap
        self._credit += wait
        self.ready_at = clock + wait

    def look_again(self, clock: int) -> None:
        """Something from outside may have woken it, or it stood still."""
        if self.ready_at != NEVER:
            self._credit -= max(self.ready_at - clock, 0)
        self.fall_asleep(clock, 0)

    def end(self, state: TenantState, detail: str) -> None:
        """It will not run again; whoever owns its memory takes it now."""
        self.state, self.detail = state, detail
        self._usage = usage(self)
        if state is not TenantState.FAILED:
            self._digest = digest(self.vm)

    def digest(self) -> str | None:
        """Of what its guest can see; None for one whose host failed it."""
        if self._digest is None and not self.is_over:
            return digest(self.vm)
        return self._digest

    def usage(self) -> Usage:
        """Where its memory is, or was when it ended."""
        return self._usage or usage(self)

    def result(self) -> dict[str, Any]:
        """What has become of it, as JSON; the same however the machine ran it."""
        vm = self.vm
        config = self.config
        return {
            "name": self.name, "state": self.state.value, "detail": self.detail, "technique": config.vm.technique,
            "memory": config.vm.memory, "vcpus": config.vm.vcpus, "shares": config.cpu.shares,
            "steps": vm.steps, "used": self.used, "instructions": vm.instructions, "exits": labelled(vm.exits),
            "pages": self.usage()._asdict(), "digest": self.digest(),
        }
