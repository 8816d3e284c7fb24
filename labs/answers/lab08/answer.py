"""Lab 8: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.migration import Migration, PrecopyRound

BATCH = 2
"""Pages between two looks at the dirty log."""
FEW = 3
"""So few need no further round."""
PATIENCE = 2
"""Rounds in a row that need not get smaller."""
MOST_ROUNDS = 10


class Migrator:
    """Moves a guest that goes on running meanwhile, and stands still for as few pages as can be."""

    def use(self, migration: Migration) -> None:
        """The guest, and the link."""
        self.migration = migration
        self.left: set[int] = set()
        self.least = 1 << 40
        self.in_vain = 0

    def precopy_round(self) -> None:
        """What was stored to since the last round; a page that has been stored to again by its turn would go in vain,
        and waits. The log is taken before anything is sent: what comes after is in the next one."""
        pages = sorted(self.left | set(self.migration.take_dirty()))
        self.left = set()
        for start in range(0, len(pages), BATCH):
            batch = pages[start:start + BATCH]
            again = set(self.migration.peek_dirty(batch))
            self.left |= set(self.migration.send([each for each in batch if each not in again]))

    def should_stop(self, done: PrecopyRound) -> bool:
        """Few are left, or there is no sign that there will be fewer."""
        left = done.dirty + len(self.left)
        if left < self.least:
            self.least, self.in_vain = left, 0
        else:
            self.in_vain += 1
        return left <= FEW or self.in_vain >= PATIENCE or done.number >= MOST_ROUNDS

    def stop_and_copy(self) -> None:
        """The guest stands still: the rest, until all of it has arrived, and the state."""
        pages = sorted(self.left | set(self.migration.take_dirty()))
        while pages:
            pages = self.migration.send(pages)
        while not self.migration.send_state():
            pass
