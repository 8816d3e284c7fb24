"""Who has the machine next: the protocol, and two proportional-share schedulers.

A client is a VM, by a small number. Time is the machine's: steps not slept through, of all VMs together. Nothing here
knows a VM, so a scheduler can be tried with numbers alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

STRIDE1: Final = 1 << 40
"""A stride is this by a client's shares: so large that rounding favours nobody."""

CREDIT_PERIOD: Final = 3_000_000
"""Steps between two payments of credit: 30 ms, as in Xen."""


class Scheduler(Protocol):
    """Proportional share: of clients that all want it, each gets the machine in proportion to its shares.

    name: as files have it.
    """

    name: str

    def add(self, client: int, shares: int) -> None:
        """A client, which sleeps as yet."""

    def remove(self, client: int) -> None:
        """It is no more."""

    def set_shares(self, client: int, shares: int) -> None:
        """From now on it has so many."""

    def wake(self, client: int) -> None:
        """It wants the machine again; asleep it has gained nothing by not using it."""

    def sleep(self, client: int) -> None:
        """It does not want the machine."""

    def pick_next(self, runnable: Sequence[int]) -> int:
        """Which of these, all of them awake and at least one, has the machine next; ties go to the smallest number."""

    def charge(self, client: int, steps: int) -> None:
        """It had so many steps; negative: it was charged for more than it had."""


class Stride:
    """Stride scheduling (Waldspurger & Weihl 1995): each client's pass moves on by its stride with each step it takes,
    a stride being the inverse of its shares; the client with the least pass is next.

    A client that goes to sleep takes along how far it is ahead of the global pass, or behind, but not more behind than
    it could have been by one turn of everybody's: so it cannot save up time.
    """

    name = "stride"

    def __init__(self) -> None:
        self._shares: dict[int, int] = {}
        self._pass: dict[int, int] = {}
        self._remain: dict[int, int] = {}  # of those asleep
        self._global = 0
        self._awake = 0  # shares

    def add(self, client: int, shares: int) -> None:
        """At the global pass."""
        self._shares[client] = shares
        self._remain[client] = 0

    def remove(self, client: int) -> None:
        """Its shares count no more."""
        if client in self._pass:
            self.sleep(client)
        del self._shares[client]
        del self._remain[client]

    def set_shares(self, client: int, shares: int) -> None:
        """What it is ahead or behind is worth as many steps as before."""
        old = self._shares[client]
        self._shares[client] = shares
        if client in self._pass:
            self._awake += shares - old
            self._pass[client] = self._global + (self._pass[client] - self._global) * old // shares
        else:
            self._remain[client] = self._remain[client] * old // shares

    def wake(self, client: int) -> None:
        """It goes on from where the others are."""
        if client not in self._pass:
            self._pass[client] = self._global + self._remain[client]
            self._awake += self._shares[client]

    def sleep(self, client: int) -> None:
        """What it is ahead, it still owes; what it is behind is forgotten."""
        if client in self._pass:
            self._remain[client] = max(self._pass.pop(client) - self._global, 0)
            self._awake -= self._shares[client]

    def pick_next(self, runnable: Sequence[int]) -> int:
        """The least pass."""
        return min(runnable, key=lambda client: (self._pass[client], client))

    def charge(self, client: int, steps: int) -> None:
        """Its pass moves on by its stride a step, the global one by the stride of all that are awake."""
        moved = steps * STRIDE1 // self._shares[client]
        if client in self._pass:
            self._pass[client] += moved
        else:
            self._remain[client] = max(self._remain[client] + moved, 0)
        self._global += steps * STRIDE1 // (self._awake or self._shares[client])


class Credit:
    """Xen's first credit scheduler (2007): each period all that are awake are paid credit by their shares, steps cost
    it. Those with credit left (UNDER) come before those without (OVER), and within a class in turn.

    Who sleeps is not paid, and nobody keeps more than a period's worth, so time cannot be saved up.
    """

    name = "credit"

    def __init__(self) -> None:
        self._shares: dict[int, int] = {}
        self._credit: dict[int, int] = {}
        self._awake: set[int] = set()
        self._queue: list[int] = []
        self._left = 0  # steps until the next payment

    def add(self, client: int, shares: int) -> None:
        """Without credit."""
        self._shares[client] = shares
        self._credit[client] = 0
        self._queue.append(client)

    def remove(self, client: int) -> None:
        """It leaves the queue."""
        self.sleep(client)
        del self._shares[client]
        del self._credit[client]
        self._queue.remove(client)

    def set_shares(self, client: int, shares: int) -> None:
        """From the next payment on."""
        self._shares[client] = shares

    def wake(self, client: int) -> None:
        """It is paid from now on."""
        self._awake.add(client)

    def sleep(self, client: int) -> None:
        """It is paid no more."""
        self._awake.discard(client)

    def _pay(self) -> None:
        total = sum(self._shares[client] for client in self._awake)
        for client in self._awake:
            part = CREDIT_PERIOD * self._shares[client] // total
            self._credit[client] = min(self._credit[client] + part, part)
        self._left += CREDIT_PERIOD

    def pick_next(self, runnable: Sequence[int]) -> int:
        """The first in the queue that has credit; if none has, the first."""
        while self._left <= 0:
            self._pay()
        wanting = set(runnable)
        queue = [client for client in self._queue if client in wanting]
        chosen = next((client for client in queue if self._credit[client] > 0), queue[0])
        self._queue.remove(chosen)
        self._queue.append(chosen)
        return chosen

    def charge(self, client: int, steps: int) -> None:
        """Steps cost credit, and bring the next payment nearer."""
        self._credit[client] -= steps
        self._left -= steps


SCHEDULERS: Final[dict[str, type[Stride] | type[Credit]]] = {"stride": Stride, "credit": Credit}
"""The shipped schedulers by name."""


def jain_index(received: Sequence[float]) -> float:
    """How fair it was (Jain, Chiu & Hawe 1984), of what each received divided by what it is entitled to: 1 for all the
    same, 1/n for everything to one of n."""
    total = sum(received)
    squares = sum(value * value for value in received)
    return total * total / (len(received) * squares) if squares else 1.0
