"""A right migration, on the machine's own memory and dirty log, and broken ones: what students' tests tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...core.hart import Memory
from ...core.machine.memory_map import RAM_BASE
from ..lab import RIGHT

SHIFT: Final = 12
MOST_PAGES: Final = 256
MOST_ROUNDS: Final = 12
FEW: Final = 2
_END: Final = 1_000
"""Rounds, of the version that has no end of its own."""


class Right:
    """What tests call: migrate."""

    def migrate(self, pages: int, stores: list[list[int]], lost: list[int]) -> dict[str, object]:
        """Move a guest of so many pages, of which page n begins with the byte n + 1.

        stores: [after, page, byte], ascending: when `after` pages have been put on the link, the guest stores, unless
        it is paused. lost: which of the pages put on the link, counted from 0, never arrive.
        """
        self._source, self._target = (Memory(MOST_PAGES << SHIFT, base=RAM_BASE) for _ in range(2))
        self._stores = [list(each) for each in stores]
        self._lost = set(lost)
        self._done = self._sent = self._paused = 0
        self._is_paused = False
        for page in range(pages):
            self._put(self._source, page, page + 1)
        rounds = self.rounds()
        self._is_paused = True
        state = self.state_at_pause()
        self.stop_and_copy()
        return {"source": self._contents(self._source, pages), "target": self._contents(self._target, pages),
                "sent": self._sent, "paused": self._paused, "rounds": rounds, "stores": self._done, "state": state}

    def rounds(self) -> int:
        """Pre-copy: how many rounds there were."""
        left: list[int] = []
        number, least = 0, MOST_PAGES + 1
        while True:
            number += 1
            left = self.precopy_round(left)
            dirty = self.count_dirty() + len(left)
            if self.should_stop(number, dirty, least):
                self._left = left
                return number
            least = min(least, dirty)

    def precopy_round(self, left: list[int]) -> list[int]:
        """What is dirty, and what was lost before; what is lost now."""
        return self.send(sorted({*left, *self.take_dirty()}))

    def should_stop(self, number: int, dirty: int, least: int) -> bool:
        """Few, or no fewer than there have been."""
        return dirty <= FEW or dirty >= least or number >= MOST_ROUNDS

    def stop_and_copy(self) -> None:
        """All the rest, until it has arrived."""
        pages = sorted({*self._left, *self.take_dirty()})
        while pages:
            pages = self.send(pages)

    def state_at_pause(self) -> int:
        """How many stores the guest knows that it did."""
        return self._done

    # --- guest and link

    def take_dirty(self) -> list[int]:
        """The log, emptied."""
        return [hpa - RAM_BASE >> SHIFT for hpa in self._source.take_dirty(RAM_BASE, MOST_PAGES << SHIFT)]

    def count_dirty(self) -> int:
        """The log, left as it is."""
        return sum(self._source.dirty_logs(RAM_BASE + (page << SHIFT)) & 1 for page in range(MOST_PAGES))

    def send(self, pages: list[int]) -> list[int]:
        """One after the other; those that were lost."""
        lost = []
        for page in pages:
            if self._sent in self._lost:
                lost.append(page)
            else:
                self._target.write(RAM_BASE + (page << SHIFT), self._source.page(RAM_BASE + (page << SHIFT)))
            self._sent += 1
            self._paused += self._is_paused
            while not self._is_paused and self._stores and self._stores[0][0] <= self._sent:
                _, where, byte = self._stores.pop(0)
                self._put(self._source, where, byte)
                self._done += 1
        return lost

    def _put(self, memory: Memory, page: int, byte: int) -> None:
        memory.store(RAM_BASE + (page % MOST_PAGES << SHIFT), 1, byte)

    def _contents(self, memory: Memory, pages: int) -> list[int]:
        return [memory.load(RAM_BASE + (page << SHIFT), 1) for page in range(pages)]


class TakesLate(Right):
    """The log is emptied once the round has been sent, too: what was stored to meanwhile is forgotten."""

    def precopy_round(self, left: list[int]) -> list[int]:
        """Sends, then clears."""
        lost = super().precopy_round(left)
        self.take_dirty()
        return lost


class ForgetsLost(Right):
    """What was lost on the link is not sent again."""

    def precopy_round(self, left: list[int]) -> list[int]:
        """As if all had arrived."""
        super().precopy_round(left)
        return []


class NeverEnds(Right):
    """It goes on until nothing is left, be the guest as fast as it may."""

    def should_stop(self, number: int, dirty: int, least: int) -> bool:
        """Only then."""
        return dirty == 0 or number >= _END


class StopsAtOnce(Right):
    """After the first round, however much is left."""

    def should_stop(self, number: int, dirty: int, least: int) -> bool:
        """Always."""
        return True


class SkipsInPause(Right):
    """What was stored to in the last round waits for another, in the pause as well: there is none."""

    def stop_and_copy(self) -> None:
        """Only what was lost."""
        self.take_dirty()
        super().stop_and_copy()


class OldState(Right):
    """The state that is sent was saved when the last round began."""

    def precopy_round(self, left: list[int]) -> list[int]:
        """Saved too soon."""
        self._saved = self._done
        return super().precopy_round(left)

    def state_at_pause(self) -> int:
        """What was true then."""
        return self._saved


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "takes-late": TakesLate, "forgets-lost": ForgetsLost, "never-ends": NeverEnds,
    "stops-at-once": StopsAtOnce, "skips-in-pause": SkipsInPause, "old-state": OldState}
