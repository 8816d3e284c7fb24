"""The hypervisor: several VMs on one machine, run in rounds.

A round is planned as a whole, then run, then settled. Planning deals out quanta to the VMs that want them, and gives
each a stock of frames; while it is run no VM looks at another; what one does to another (a frame sent, a page shared,
a sharing ended) happens when it is settled, in the VMs' order. So in which order the VMs of a round run, or in how
many threads, cannot be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from ...errors import ConfigError, HartvisorError
from ...isa.paging import PAGE_SIZE
from ...machine.memory_map import MIB
from ..state import NEVER
from .entitlement import Entitlements
from .memory_manager import OVERHEAD, MemoryManager
from .runner import OneThread, Runner
from .scheduler import SCHEDULERS, Scheduler
from .tenant import Tenant, TenantConfig, TenantState

QUANTUM: Final = 50_000
"""Steps: half a millisecond of a guest's time."""

QUANTA: Final = 8
"""In a round, at least; twice as many as there are VMs, if that is more."""


@dataclass(frozen=True)
class MachineConfig:
    """The machine that VMs share.

    memory, swap: bytes. quantum: steps that a VM has the machine for. scheduler, victims: names in SCHEDULERS and
    VICTIM_POLICIES; a scheduler may be a callable that makes one. is_sharing: equal pages use one frame.
    swap_folder: where pages that were put away lie.
    """

    memory: int = 256 * MIB
    swap: int = 0
    quantum: int = QUANTUM
    scheduler: str | Callable[[], Scheduler] = "stride"
    victims: str = "clock"
    is_sharing: bool = True
    swap_folder: Path | None = None

    def __post_init__(self) -> None:
        if self.quantum < 1:
            raise ConfigError(f"a quantum of {self.quantum} steps: it must be at least 1")
        if isinstance(self.scheduler, str) and self.scheduler not in SCHEDULERS:
            raise ConfigError(f"no scheduler {self.scheduler!r}; there are {', '.join(SCHEDULERS)}")


class Barrier(Protocol):
    """What happens between two rounds besides CPU and memory: the networks are such."""

    def before_round(self) -> None:
        """Say how far each VM's clock may go."""

    def after_round(self) -> None:
        """Hand over what was sent."""


class Hypervisor:
    """VMs on one machine. runner: what runs the VMs of a round; the result is the same.

    clock: the machine's time, steps not slept through of all VMs together, and those in which all slept. idle: the
    latter. tenants: all VMs there have been, by index. refused: name and reason of each that was not admitted.
    """

    def __init__(self, config: MachineConfig, runner: Runner | None = None) -> None:
        self.config = config
        self.memory = MemoryManager(config.memory, config.swap, config.victims, config.is_sharing, config.swap_folder)
        made = SCHEDULERS[config.scheduler] if isinstance(config.scheduler, str) else config.scheduler
        self.cpu = Entitlements(made())
        self.runner: Runner = runner or OneThread()
        self.clock = 0
        self.idle = 0
        self.rounds = 0
        self.tenants: list[Tenant] = []
        self.refused: dict[str, str] = {}
        self.barriers: list[Barrier] = []

    # --- VMs

    def find(self, name: str) -> Tenant:
        """The VM of this name. Raises ConfigError."""
        for tenant in self.tenants:
            if tenant.name == name:
                return tenant
        why = f": it was not admitted, {self.refused[name]}" if name in self.refused else ""
        names = ", ".join(tenant.name for tenant in self.tenants) or "none"
        raise ConfigError(f"no VM {name!r}{why or '; there are ' + names}")

    @property
    def living(self) -> list[Tenant]:
        """The VMs that hold memory."""
        return [tenant for tenant in self.tenants if not tenant.is_over]

    def add(self, config: TenantConfig) -> Tenant:
        """Admit a VM, between two runs. Raises HartvisorError, and remembers why, where it cannot be; nothing changes
        for the others."""
        try:
            return self._admit(config)
        except HartvisorError as error:
            self.refused[config.name] = str(error)
            raise

    def _admit(self, config: TenantConfig) -> Tenant:
        if any(tenant.name == config.name for tenant in self.tenants):
            raise ConfigError(f"two VMs of the name {config.name!r}")
        frames, ram = self.memory.admit(config.name, config.vm, config.memory_reservation)
        index = len(self.tenants)
        try:
            self.cpu.add(index, config.cpu, self.clock)
        except ConfigError:
            self.memory.dismiss(ram, frames, config.memory_reservation)
            raise
        try:
            segments = config.image.segments if config.image is not None else ()
            size = len(config.vm.initrd) + sum(segment.memory_size for segment in segments)
            pages = OVERHEAD + size // PAGE_SIZE
            self.memory.make_free(self.living, pages)
            frames.refill(pages)
            tenant = Tenant(index, config, frames, ram)
        except BaseException:
            self.cpu.remove(index)
            self.memory.dismiss(ram, frames, config.memory_reservation)
            raise
        tenant.ready_at = self.clock
        self.tenants.append(tenant)
        return tenant

    def stop(self, tenant: Tenant, detail: str = "stopped by the user") -> None:
        """End a VM, as if its power were cut; its memory is the machine's again. detail: why, in words."""
        if not tenant.is_over:
            tenant.end(TenantState.STOPPED, detail)
            self._dismiss(tenant)

    def pause(self, tenant: Tenant) -> None:
        """It stands still, its clock too."""
        if tenant.state is TenantState.RUNNING:
            tenant.state = TenantState.PAUSED

    def resume(self, tenant: Tenant) -> None:
        """It goes on where it stood."""
        if tenant.state is TenantState.PAUSED:
            tenant.state = TenantState.RUNNING
            tenant.look_again(self.clock)

    def _dismiss(self, tenant: Tenant) -> None:
        self.cpu.remove(tenant.index)
        self.memory.dismiss(tenant.ram, tenant.frames, tenant.config.memory_reservation)

    # --- running

    def run(self, budget: int) -> bool:
        """Run the machine for `budget` steps of its time. False as soon as no VM will ever want to run again, unless
        something from outside wakes it."""
        end = self.clock + budget
        while self.clock < end:
            if not self.run_round(end):
                return False
        return True

    def run_round(self, end: int) -> bool:
        """One round, or an idle stretch, to the machine's time `end` at most. False as for `run`."""
        for barrier in self.barriers:
            barrier.before_round()
        ready = [tenant for tenant in self.tenants if tenant.wants_to_run(self.clock)]
        for tenant in self.living:
            self.cpu.set_awake(tenant.index, tenant in ready and tenant.room > 0, self.clock)
        planned = self._plan([tenant for tenant in ready if tenant.room > 0], end)
        if not planned:
            return self._idle(ready, end)
        self.rounds += 1
        living = self.living
        self.memory.deal(living, [self.tenants[index] for index in planned])
        running = [(tenant, planned[tenant.index]) for tenant in living if tenant.index in planned]
        before = [(tenant.vm.active_steps, tenant.vm.steps) for tenant, _ in running]
        self.runner.run([partial(tenant.run, steps) for tenant, steps in running])
        self._settle(living, running, before)
        for barrier in self.barriers:
            barrier.after_round()
        return True

    def _plan(self, ready: Sequence[Tenant], end: int) -> dict[int, int]:
        """How many steps each VM has in this round, by index; charged already."""
        planned: dict[int, int] = {}
        clock, quantum = self.clock, self.config.quantum
        wakes = min((tenant.ready_at for tenant in self.tenants
                     if tenant.state is TenantState.RUNNING and tenant.ready_at > clock), default=NEVER)
        end = min(end, max(wakes, clock + quantum))
        for _ in range(max(QUANTA, 2 * len(ready))):
            wanting = [tenant.index for tenant in ready if planned.get(tenant.index, 0) < tenant.room]
            steps = min(quantum, end - clock)
            chosen = self.cpu.pick_next(wanting, clock, steps) if wanting and steps > 0 else None
            if chosen is None:
                break
            had = planned.get(chosen, 0)
            steps = min(steps, self.tenants[chosen].room - had)
            planned[chosen] = had + steps
            self.cpu.charge(chosen, steps)
            clock += steps
        return planned

    def _settle(self, living: Sequence[Tenant], running: Sequence[tuple[Tenant, int]],
                before: Sequence[tuple[int, int]]) -> None:
        """Account for the round that has been run, in the VMs' order. living: those that held memory in it."""
        started = self.clock
        used = [tenant.account(active) for (tenant, _), (active, _) in zip(running, before, strict=True)]
        self.clock += sum(used)
        for (tenant, steps), (_, clock), done in zip(running, before, used, strict=True):
            self.cpu.charge(tenant.index, done - steps)
            if not tenant.is_over:
                tenant.fall_asleep(self.clock, tenant.vm.steps - clock - done)
        self.memory.settle(living, self.clock - started)
        for tenant, _ in running:
            if tenant.is_over:
                self._dismiss(tenant)

    def _idle(self, ready: Sequence[Tenant], end: int) -> bool:
        """Nobody may run now: go to the time when somebody may. False if nobody ever will."""
        times = [tenant.ready_at for tenant in self.tenants
                 if tenant.state is TenantState.RUNNING and self.clock < tenant.ready_at < NEVER]
        waiting = [tenant.index for tenant in ready if tenant.room > 0]
        if waiting:
            times.append(self.cpu.next_allowed(waiting, self.clock, self.config.quantum))
        if not times:
            return False
        wakes = max(min([*times, end]), self.clock + 1)
        self.idle += wakes - self.clock
        self.clock = wakes
        return True

    # --- results

    def result(self) -> dict[str, Any]:
        """What has become of it all, as JSON."""
        memory, living = self.memory, self.living
        return {
            "clock": self.clock, "idle": self.idle, "rounds": self.rounds,
            "frames": {"total": memory.pool.total, "free": memory.free(living)},
            "sharing": {"pages": memory.sharing.pages_shared, "saved": memory.sharing.pages_saved,
                        "zeros": memory.sharing.zeros},
            "vms": [tenant.result() for tenant in self.tenants], "refused": self.refused,
        }
