"""Pre-copy: which pages go in which round, when to stop the guest, and how much to slow it down until then.

Each round sends what the guest stored to during the one before, while it goes on. It converges if the guest stores to
less than the link carries; if not, the guest is given less and less time (as QEMU's auto-converge does), until the rest
is so small that the pause it needs is within the downtime allowed, or there have been rounds enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...machine.paged import DirtyLog
from ..vm import Vm
from .wire import BATCH, Page

THROTTLE_STEP: Final = 0.2
THROTTLE_MOST: Final = 0.95
HOPELESS: Final = 0.8
"""A guest that stores to this part of what the link carries, or more, is slowed down."""

FIXED_SECONDS: Final = 0.005
"""What a pause costs beside the pages: state, digest and four messages."""


@dataclass(frozen=True)
class Policy:
    """What the user wants. downtime: seconds that the guest may stand still. max_rounds: then it pauses anyway."""

    downtime: float = 0.05
    max_rounds: int = 30


@dataclass(frozen=True)
class Round:
    """One round, as it was. pages, bytes: sent. seconds: it took. dirty: pages stored to meanwhile. throttle: the part
    of its time that the guest was denied. expected: seconds that a pause after it would take."""

    number: int
    pages: int
    bytes: int
    seconds: float
    dirty: int
    throttle: float
    expected: float


class Rounds:
    """The rounds of one migration. history: those that are over. throttle: as of now."""

    def __init__(self, vm: Vm, policy: Policy) -> None:
        self.policy = policy
        self.history: list[Round] = []
        self.throttle = 0.0
        self._vm = vm
        for source in vm.paged:
            source.take_dirty(DirtyLog.MIGRATION)
        self._pending = [(index, number) for index, source in enumerate(vm.paged) for number in source.written()]

    @property
    def left(self) -> int:
        """Pages of this round yet to be sent."""
        return len(self._pending)

    def batch(self) -> list[Page]:
        """The next pages to send, as they are now; none when the round is over."""
        taken, self._pending = self._pending[:BATCH], self._pending[BATCH:]
        paged = self._vm.paged
        return [(index, number, paged[index].read_page(number)) for index, number in taken]

    def end(self, sent_pages: int, sent_bytes: int, seconds: float) -> Round:
        """The round is over: take what was stored to meanwhile as the next one's, and judge."""
        self._pending = self.take_dirty()
        dirty = len(self._pending)
        rate = sent_bytes / max(seconds, 1e-6)
        per_page = sent_bytes / max(sent_pages, 1)
        expected = dirty * per_page / max(rate, 1.0) + FIXED_SECONDS
        done = Round(len(self.history) + 1, sent_pages, sent_bytes, seconds, dirty, self.throttle, expected)
        self.history.append(done)
        if len(self.history) > 1 and dirty >= HOPELESS * sent_pages and expected > self.policy.downtime:
            self.throttle = min(self.throttle + THROTTLE_STEP, THROTTLE_MOST)
        return done

    def take_dirty(self) -> list[tuple[int, int]]:
        """The pages stored to since the last call."""
        return [(index, number) for index, source in enumerate(self._vm.paged)
                for number in source.take_dirty(DirtyLog.MIGRATION)]

    @property
    def is_ripe(self) -> bool:
        """Whether the guest should pause now."""
        last = self.history[-1] if self.history else None
        return last is not None and (last.expected <= self.policy.downtime or last.number >= self.policy.max_rounds)

    def rest(self) -> list[tuple[int, int]]:
        """With the guest paused: all that is still to be sent."""
        rest, self._pending = sorted({*self._pending, *self.take_dirty()}), []
        return rest
