"""Which page a VM puts away when it must give a frame: two policies, and the protocol for a third."""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from .tenant_memory import TenantMemory


class VictimPolicy(Protocol):
    """Told of every page that is used, and of every one that has gone; asked which is to go next.

    A page is used when a translation to it is made, or the hypervisor or a device reads or stores it. What the guest
    does through a translation that is there is not seen.
    """

    name: str

    def used(self, gfn: int) -> None:
        """The page behind `gfn` is used now; it may be new."""

    def gone(self, gfn: int) -> None:
        """It has no frame any more."""

    def choose(self, ram: TenantMemory, kept: Container[int]) -> int | None:
        """A page with a frame of its own (`ram.is_own`) and not in `kept`; None where there is none."""


class Clock:
    """Second chance (Corbató 1968), with use seen as on a machine without accessed bits (Babaoglu & Joy 1981): the hand
    takes the translations of a page that was used, and puts away one that nobody has come back to since.

    G-stage leaves have A and D set from the start, and a deprivileged guest's shadow leaves are dropped for many
    reasons; that a page is walked to anew is what all techniques show alike.
    """

    name = "clock"

    def __init__(self, seed: str = "") -> None:
        self._used: dict[int, bool] = {}  # in the order of the clock's face; the hand is at the first

    def used(self, gfn: int) -> None:
        """It has another chance; a new one goes behind the hand."""
        self._used[gfn] = True

    def gone(self, gfn: int) -> None:
        """Off the clock's face."""
        self._used.pop(gfn, None)

    def choose(self, ram: TenantMemory, kept: Container[int]) -> int | None:
        """The first page that was not used since the hand passed it last; twice round is enough."""
        for _ in range(2 * len(self._used)):
            gfn = next(iter(self._used))
            was_used = self._used.pop(gfn)
            self._used[gfn] = False
            if gfn in kept or not ram.is_own(gfn):
                continue
            if not was_used:
                return gfn
            ram.unmap(gfn)
        return next((gfn for gfn in self._used if gfn not in kept and ram.is_own(gfn)), None)


class RandomVictim:
    """Any page, all alike (what ESX does, so as never to meet a guest's own policy at its worst): from a generator
    whose seed is the VM's name, so that each run is the same."""

    name = "random"

    def __init__(self, seed: str = "") -> None:
        self._random = Random(seed)
        self._gfns: list[int] = []
        self._places: dict[int, int] = {}

    def used(self, gfn: int) -> None:
        """Only new ones matter."""
        if gfn not in self._places:
            self._places[gfn] = len(self._gfns)
            self._gfns.append(gfn)

    def gone(self, gfn: int) -> None:
        """The last takes its place."""
        place = self._places.pop(gfn, None)
        if place is not None:
            last = self._gfns.pop()
            if last != gfn:
                self._gfns[place] = last
                self._places[last] = place

    def choose(self, ram: TenantMemory, kept: Container[int]) -> int | None:
        """Throw the dice; after many throws in vain, look for one."""
        for _ in range(64):
            gfn = self._random.choice(self._gfns) if self._gfns else None
            if gfn is None or (gfn not in kept and ram.is_own(gfn)):
                return gfn
        return next((gfn for gfn in self._gfns if gfn not in kept and ram.is_own(gfn)), None)


VICTIM_POLICIES: Final[dict[str, type[Clock] | type[RandomVictim]]] = {"clock": Clock, "random": RandomVictim}
"""The shipped policies by name."""
