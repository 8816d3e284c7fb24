"""How fast each VM has run of late: steps and exits a second of the host's time, with a short history for a curve."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from ..inspector import Inspector

BUCKET: Final = 0.5
"""Seconds that one point of the history stands for."""

POINTS: Final = 60
"""Points in the history: half a minute."""

WINDOW: Final = 2
"""Points that make up "now": a second."""


@dataclass(frozen=True)
class Rate:
    """One VM's speed. mips: million steps a second, without what it slept through. exits: a second. busy: of the host's
    time, the part that went into running it. share: its part of all VMs' steps, in percent; None while none runs.

    mips_history, exits_history: per BUCKET, oldest first, POINTS of them.
    """

    mips: float
    exits: float
    busy: float
    share: float | None
    mips_history: tuple[float, ...]
    exits_history: tuple[float, ...]


@dataclass
class _Bucket:
    """What was done in one stretch of BUCKET seconds."""

    number: int
    steps: int = 0
    exits: int = 0
    seconds: float = 0.0


class Rates:
    """The speeds of all VMs. clock: the host's, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: WeakKeyDictionary[Inspector, deque[_Bucket]] = WeakKeyDictionary()

    def note(self, inspector: Inspector, steps: int, exits: int, seconds: float) -> None:
        """A VM has run. steps: those that it took awake. exits: of them. seconds: of the host's time that it took."""
        if steps < 0 or exits < 0:
            return      # it was taken back: no speed
        buckets = self._buckets.setdefault(inspector, deque(maxlen=POINTS + 1))
        number = self._now()
        if not buckets or buckets[-1].number != number:
            buckets.append(_Bucket(number))
        last = buckets[-1]
        last.steps += steps
        last.exits += exits
        last.seconds += seconds

    def of(self, inspector: Inspector) -> Rate:
        """A VM's speed now, over the last whole second; at its very beginning, over what there is."""
        now = self._now()
        history = self._history(inspector, now)
        recent = history[-WINDOW:]
        seconds = BUCKET * self._covered(inspector, now)
        steps = sum(bucket.steps for bucket in recent)
        total = sum(self._steps(each, now) for each in self._buckets)
        return Rate(
            mips=steps / seconds / 1e6, exits=sum(bucket.exits for bucket in recent) / seconds,
            busy=min(1.0, sum(bucket.seconds for bucket in recent) / seconds),
            share=100 * steps / total if total else None,
            mips_history=tuple(bucket.steps / BUCKET / 1e6 for bucket in history),
            exits_history=tuple(bucket.exits / BUCKET for bucket in history))

    def _now(self) -> int:
        return int(self._clock() / BUCKET)

    def _history(self, inspector: Inspector, now: int) -> list[_Bucket]:
        """The last POINTS whole stretches before `now`, with empty ones where nothing was done."""
        found = {bucket.number: bucket for bucket in self._buckets.get(inspector, ())}
        return [found.get(number) or _Bucket(number) for number in range(now - POINTS, now)]

    def _covered(self, inspector: Inspector, now: int) -> int:
        """How many whole stretches of the window lie behind the VM's first note."""
        buckets = self._buckets.get(inspector)
        return max(1, min(WINDOW, now - buckets[0].number)) if buckets else WINDOW

    def _steps(self, inspector: Inspector, now: int) -> int:
        return sum(bucket.steps for bucket in self._buckets[inspector] if now - WINDOW <= bucket.number < now)
