"""The student's Scheduler: with numbers alone, and in the real hypervisor of many VMs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from ...core.vmm.hypervisor.scheduler import jain_index
from ..judge.runner import Diverged
from ..judge.session import Session
from ..judge.verdict import Divergence, failed

QUANTUM: Final = 2_000
FAIR: Final = 0.95
"""Jain's index, at least."""


def part(clock: int, call: str, field: str, got: object, wanted: object) -> NoReturn:
    """What the machine found is not what must be, at this time of its. Raises Diverged."""
    raise Diverged(failed(f"{field} is wrong", Divergence(clock, 0, call, field, f"{got!s:.60}", f"{wanted!s:.60}")))


class StudentsScheduler:
    """A Scheduler that asks the student's. clock: steps charged. received: by client. waits: of each client that was
    woken, the most steps until it had the machine."""

    name = "student"

    def __init__(self, student: Session) -> None:
        self._student = student
        self.clock = 0
        self.received: dict[int, int] = {}
        self.waits: dict[int, int] = {}
        self._woken: dict[int, int] = {}

    def add(self, client: int, shares: int) -> None:
        """A client."""
        self.received[client] = 0
        self._student.call("Scheduler.add", client, shares)

    def remove(self, client: int) -> None:
        """It is no more."""
        self._student.call("Scheduler.remove", client)

    def set_shares(self, client: int, shares: int) -> None:
        """It has so many now."""
        self._student.call("Scheduler.set_shares", client, shares)

    def wake(self, client: int) -> None:
        """It wants the machine."""
        self._woken[client] = self.clock
        self._student.call("Scheduler.wake", client)

    def sleep(self, client: int) -> None:
        """It does not."""
        self._woken.pop(client, None)
        self._student.call("Scheduler.sleep", client)

    def pick_next(self, runnable: Sequence[int]) -> int:
        """The student's choice, which must be one of these."""
        chosen = self._student.call("Scheduler.pick_next", list(runnable))
        if type(chosen) is not int or chosen not in runnable:
            part(self.clock, "pick_next", "pick_next", f"{chosen!r:.40}", f"one of {list(runnable)}")
        since = self._woken.pop(chosen, None)
        if since is not None:
            self.waits[chosen] = max(self.waits.get(chosen, 0), self.clock - since)
        return int(chosen)

    def charge(self, client: int, steps: int) -> None:
        """It had so many."""
        self.clock += steps
        self.received[client] += steps
        self._student.call("Scheduler.charge", client, steps)


class Clients:
    """Clients that are numbers. shares: by client; awake: who wants the machine. last: when each had it."""

    def __init__(self, student: Session, shares: Sequence[int]) -> None:
        self.scheduler = StudentsScheduler(student)
        self.shares = dict(enumerate(shares))
        self.awake: set[int] = set()
        self.last = dict.fromkeys(self.shares, 0)
        for client, weight in self.shares.items():
            self.scheduler.add(client, weight)

    @property
    def clock(self) -> int:
        """The machine's."""
        return self.scheduler.clock

    def wake(self, *clients: int) -> None:
        """These want the machine."""
        for client in clients:
            self.awake.add(client)
            self.last[client] = self.clock
            self.scheduler.wake(client)

    def sleep(self, client: int) -> None:
        """It does not."""
        self.awake.discard(client)
        self.scheduler.sleep(client)

    def turn(self, uses: Callable[[int], int] = lambda client: QUANTUM) -> int:
        """One quantum is dealt out; to whom. uses: how many steps of it a client has."""
        chosen = self.scheduler.pick_next(sorted(self.awake))
        self.scheduler.charge(chosen, QUANTUM)
        used = uses(chosen)
        if used != QUANTUM:
            self.scheduler.charge(chosen, used - QUANTUM)
        self.last[chosen] = self.clock
        return chosen

    def must_be_fair(self, before: dict[int, int], what: str) -> None:
        """Those awake have had their parts since. Raises Diverged."""
        had = [(self.scheduler.received[client] - before[client]) / self.shares[client] for client in self.awake]
        index = jain_index(had)
        if index < FAIR:
            part(self.clock, what, f"Jain's index {what}", f"{index:.3f}", f"{FAIR} at least")
