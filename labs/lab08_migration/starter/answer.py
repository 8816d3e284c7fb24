"""Lab 8: live migration. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.migration import Migration, PrecopyRound


class Migrator:
    """Moves a guest that goes on running meanwhile, and stands still for as few pages as can be."""

    def use(self, migration: Migration) -> None:
        """Called once, before anything else: the guest, and the link that it moves over."""
        self.migration = migration

    def precopy_round(self) -> None:
        """Send the pages that this round is for, while the guest runs. Called at least once."""
        raise NotImplementedError

    def should_stop(self, done: PrecopyRound) -> bool:
        """A round is over: is it time to pause the guest? If not, there is another round."""
        raise NotImplementedError

    def stop_and_copy(self) -> None:
        """The guest is paused. When this returns the target must have all there is: its pages and its state."""
        raise NotImplementedError
