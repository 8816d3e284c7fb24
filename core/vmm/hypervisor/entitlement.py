"""What a VM is entitled to of the machine's time: shares of what there is, a reservation below, a limit above.

Reservations and limits are token buckets in steps (a permille of each step of the machine's time goes in), so they are
exact, whatever scheduler deals out the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ...errors import ConfigError
from .scheduler import Scheduler

WHOLE: Final = 1000
"""Of the machine's time, in the units of reservations and limits: permille."""

PERIOD: Final = 10_000_000
"""Steps (100 ms) over which a reservation is made up for, and a limit can be used up at once."""

MAX_SHARES: Final = 1_000_000


@dataclass(frozen=True)
class Entitlement:
    """shares: its weight against the others'. reservation: permille of the machine's time that it has whenever it wants
    it. limit: permille that it never has more than."""

    shares: int = 100
    reservation: int = 0
    limit: int = WHOLE

    def __post_init__(self) -> None:
        if not 1 <= self.shares <= MAX_SHARES:
            raise ConfigError(f"{self.shares} shares: give 1 to {MAX_SHARES}")
        if not 0 <= self.reservation <= WHOLE:
            raise ConfigError(f"a reservation of {self.reservation / 10:g} %: give 0 to 100")
        if not 1 <= self.limit <= WHOLE or self.limit < self.reservation:
            raise ConfigError(f"a limit of {self.limit / 10:g} %: give more than 0, no less than the reservation "
                              f"({self.reservation / 10:g} %), and at most 100")


class Client:
    """One client's buckets, in thousandths of a step: what it may yet have before it is above its limit, and what it
    may claim because it is below its reservation."""

    def __init__(self, entitlement: Entitlement, clock: int) -> None:
        self.entitlement = entitlement
        self.is_awake = False
        self.allowance = entitlement.limit * PERIOD
        self.claim = 0
        self._as_of = clock

    def settle(self, clock: int) -> None:
        """Up to this time of the machine's. Who does not want the machine has nothing to claim."""
        passed, self._as_of = clock - self._as_of, clock
        rights = self.entitlement
        self.allowance = min(self.allowance + rights.limit * passed, rights.limit * PERIOD)
        gain = rights.reservation * passed if self.is_awake else 0
        self.claim = min(self.claim + gain, rights.reservation * PERIOD)

    def charge(self, steps: int) -> None:
        """It had so many."""
        self.allowance -= WHOLE * steps
        self.claim = max(self.claim - WHOLE * steps, -WHOLE * PERIOD) if self.entitlement.reservation else 0

    def next_allowed(self, clock: int, quantum: int) -> int:
        """The time at which it may have a quantum, if nothing happens before."""
        missing = WHOLE * min(quantum, self.entitlement.limit * PERIOD // WHOLE) - self.allowance
        return clock if missing <= 0 else clock - (-missing // self.entitlement.limit)


class Entitlements:
    """A scheduler, with reservations before it and limits behind."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self._clients: dict[int, Client] = {}

    def add(self, client: int, entitlement: Entitlement, clock: int) -> None:
        """Raises ConfigError where more than the whole machine would be reserved."""
        total = entitlement.reservation + sum(other.entitlement.reservation for other in self._clients.values())
        if total > WHOLE:
            raise ConfigError(f"a reservation of {entitlement.reservation / 10:g} % is not to be had: with the others' "
                              f"that would be {total / 10:g} % of the machine")
        self._clients[client] = Client(entitlement, clock)
        self.scheduler.add(client, entitlement.shares)

    def remove(self, client: int) -> None:
        """It is no more."""
        del self._clients[client]
        self.scheduler.remove(client)

    def set_awake(self, client: int, is_awake: bool, clock: int) -> None:
        """Whether it wants the machine, from this time on."""
        state = self._clients[client]
        if state.is_awake == is_awake:
            return
        state.settle(clock)
        state.is_awake = is_awake
        if is_awake:
            self.scheduler.wake(client)
        else:
            state.claim = min(state.claim, 0)
            self.scheduler.sleep(client)

    def pick_next(self, runnable: Sequence[int], clock: int, quantum: int) -> int | None:
        """Whose the next quantum is; None where all that want it are at their limits."""
        allowed: list[int] = []
        urgent, claim = None, 0
        for client in runnable:
            state = self._clients[client]
            state.settle(clock)
            if state.next_allowed(clock, quantum) > clock:
                continue
            allowed.append(client)
            if state.claim >= WHOLE * quantum and state.claim > claim:
                urgent, claim = client, state.claim
        if urgent is not None:
            return urgent
        return self.scheduler.pick_next(allowed) if allowed else None

    def charge(self, client: int, steps: int) -> None:
        """It had so many steps, or (negative) fewer than it was charged for."""
        self._clients[client].charge(steps)
        self.scheduler.charge(client, steps)

    def next_allowed(self, runnable: Sequence[int], clock: int, quantum: int) -> int:
        """When the first of these may have a quantum."""
        return min(self._clients[client].next_allowed(clock, quantum) for client in runnable)
