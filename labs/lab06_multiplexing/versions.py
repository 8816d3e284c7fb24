"""The right scheduler and balloons, the hypervisor's own, and broken ones: what students' tests are to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from ...core.vmm.hypervisor.scheduler import Stride
from ..kit.multiplex import VmMemory
from ..lab import RIGHT
from .balloons import balloon_targets


class Right:
    """The scheduler and the balloons that students write."""

    def __init__(self) -> None:
        self.new_scheduler()

    def new_scheduler(self) -> None:
        """Another one, without VMs."""
        self.stride = Stride()
        self.shares: dict[int, int] = {}
        self.awake: set[int] = set()

    def _known(self, client: int) -> int:
        if client not in self.shares:
            raise ValueError(f"no client {client!r}")
        return client

    def add(self, client: int, shares: int) -> None:
        """A VM, asleep."""
        if client in self.shares or type(shares) is not int or shares < 1:
            raise ValueError(f"add({client!r}, {shares!r})")
        self.shares[client] = shares
        self.stride.add(client, self.weight(shares))

    def weight(self, shares: int) -> int:
        """What its shares count for."""
        return shares

    def remove(self, client: int) -> None:
        """It is no more."""
        self.stride.remove(self._known(client))
        del self.shares[client]
        self.awake.discard(client)

    def set_shares(self, client: int, shares: int) -> None:
        """Other shares."""
        self.stride.set_shares(self._known(client), self.weight(shares))
        self.shares[client] = shares

    def wake(self, client: int) -> None:
        """It wants the machine."""
        self.stride.wake(self._known(client))
        self.awake.add(client)

    def sleep(self, client: int) -> None:
        """It does not."""
        self.stride.sleep(self._known(client))
        self.awake.discard(client)

    def pick_next(self, runnable: list[int]) -> int:
        """Whose turn it is."""
        if not runnable or not self.awake.issuperset(runnable):
            raise ValueError(f"pick_next({runnable!r}): only clients that are awake, one at least")
        return self.stride.pick_next(runnable)

    def charge(self, client: int, steps: int) -> None:
        """It had so many steps."""
        self.stride.charge(self._known(client), steps)

    def balloon_target(self, vms: list[VmMemory], free: int, low: int, high: int) -> list[int]:
        """Page by page."""
        return balloon_targets(vms, free, low, high)


class AllAlike(Right):
    """Shares count for nothing."""

    def weight(self, shares: int) -> int:
        """Everybody's the same."""
        return 100


class CountsTurns(Right):
    """A turn is a turn, however few steps were had."""

    def charge(self, client: int, steps: int) -> None:
        """Always a whole one."""
        super().charge(client, 1000 if steps > 0 else 0)


class SavesUp(Right):
    """A VM that slept comes back with all the time that it did not have."""

    def new_scheduler(self) -> None:
        """Nobody has saved anything."""
        super().new_scheduler()
        self.had: dict[int, int] = {}

    def charge(self, client: int, steps: int) -> None:
        """Counted by client, whoever sleeps."""
        super().charge(client, steps)
        self.had[client] = self.had.get(client, 0) + steps

    def pick_next(self, runnable: list[int]) -> int:
        """Who has had the least of all time."""
        super().pick_next(runnable)
        return min(runnable, key=lambda client: (self.had.get(client, 0) / self.shares[client], client))


class ForgetsDebts(Right):
    """Sleep wipes out what a VM has had too much."""

    def sleep(self, client: int) -> None:
        """As if it had never been there."""
        super().sleep(client)
        shares = self.shares[client]
        self.stride.remove(client)
        self.stride.add(client, shares)


class Strict(Right):
    """Who has more shares comes first, always."""

    def pick_next(self, runnable: list[int]) -> int:
        """The others starve."""
        super().pick_next(runnable)
        return max(runnable, key=lambda client: (self.shares[client], -client))


class NoReservation(Right):
    """Balloons take what was reserved."""

    def balloon_target(self, vms: list[VmMemory], free: int, low: int, high: int) -> list[int]:
        """As if nothing were."""
        return super().balloon_target([replace(vm, reservation=0) for vm in vms], free, low, high)


class TakesFromTheLargest(Right):
    """Whoever has most pages gives, whatever its shares."""

    def balloon_target(self, vms: list[VmMemory], free: int, low: int, high: int) -> list[int]:
        """As if all had the same."""
        return super().balloon_target([replace(vm, shares=1) for vm in vms], free, low, high)


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "all-alike": AllAlike, "counts-turns": CountsTurns, "saves-up": SavesUp,
    "forgets-debts": ForgetsDebts, "strict": Strict, "no-reservation": NoReservation,
    "takes-from-the-largest": TakesFromTheLargest}
