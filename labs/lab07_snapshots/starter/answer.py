"""Lab 7: snapshots. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.frames import FrameMap


class Snapshots:
    """Snapshots of a VM that runs on, and a log of the pages that it stores to."""

    def use(self, memory: FrameMap) -> None:
        """Called once, before the guest's first step: its frame map, which is yours from here on. All pages that have a
        frame are writable; those frames are yours, too."""
        self.memory = memory

    def snapshot(self) -> int:
        """Take a snapshot of the VM as it is now; a number that names it, and no other."""
        raise NotImplementedError

    def cow_break(self, gfn: int) -> None:
        """The guest, or a device, is about to store to a page that is not writable, or to touch one that has no frame.
        When you return it must have one, and be writable."""
        raise NotImplementedError

    def dirty_log(self) -> list[int]:
        """The gfns of the pages that were stored to since the last call, or the start."""
        raise NotImplementedError

    def restore(self, number: int) -> None:
        """Make the VM what it was when the snapshot was taken. It can be gone back to again."""
        raise NotImplementedError

    def forget(self, number: int) -> None:
        """The snapshot is needed no more: give back what only it had."""
        raise NotImplementedError
