"""Lab 6: multiplexing. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.multiplex import HashedPage, SharedFrames, VmMemory


class Scheduler:
    """Who has the machine next. A client is a VM, by a small number; time is in steps."""

    def add(self, client: int, shares: int) -> None:
        """A client, which sleeps as yet."""
        raise NotImplementedError

    def remove(self, client: int) -> None:
        """It is no more. It may have been awake."""
        raise NotImplementedError

    def set_shares(self, client: int, shares: int) -> None:
        """From now on it has so many."""
        raise NotImplementedError

    def wake(self, client: int) -> None:
        """It wants the machine from now on."""
        raise NotImplementedError

    def sleep(self, client: int) -> None:
        """It does not want the machine for now."""
        raise NotImplementedError

    def pick_next(self, runnable: list[int]) -> int:
        """Which of these, all of them awake and at least one, has the next quantum."""
        raise NotImplementedError

    def charge(self, client: int, steps: int) -> None:
        """It had so many steps; negative: it was charged for so many that it did not have. It may sleep by now."""
        raise NotImplementedError


class Memory:
    """Who gives memory, and who shares it."""

    def use(self, host: SharedFrames) -> None:
        """Called before share_pages: the machine's frames."""
        self.host = host

    def balloon_target(self, vms: list[VmMemory], free: int, low: int, high: int) -> list[int]:
        """How many pages each VM's balloon is to hold from now on, in the order of vms. free: frames that will be free
        once all balloons hold what they were asked to. low, high: between these, all is well."""
        raise NotImplementedError

    def share_pages(self, pages: list[HashedPage]) -> None:
        """Have equal pages of different VMs use one frame. These are all the pages; no VM runs meanwhile."""
        raise NotImplementedError
