"""Lab 3: exceptions, interrupts, time. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.hart import VirtualHart
from hartvisor.labs.kit.interrupts import Clock, Gates, Taken, Wait


class Traps:
    """Delivers traps to a guest, and keeps its timer."""

    def pick_pending(self, gates: Gates) -> Taken | None:
        """The interrupt that a hart in this state takes before its next instruction; None if it takes none."""
        raise NotImplementedError

    def inject(self, hart: VirtualHart, cause: int, tval: int, is_interrupt: bool) -> None:
        """Have the guest take a trap to its S-mode, one step."""
        raise NotImplementedError

    def set_timer(self, hart: VirtualHart, clock: Clock, deadline: int) -> int | None:
        """The guest armed its timer: a tick is due as soon as mtime is `deadline` or more (NEVER: none is). The call
        itself has retired already.

        Returns the step at which you want to be called (on_clock), or None.
        """
        raise NotImplementedError

    def on_clock(self, hart: VirtualHart, clock: Clock) -> int | None:
        """The hypervisor looks at the clock: it is the step you asked for, or another. Returns as set_timer does."""
        raise NotImplementedError

    def wfi(self, hart: VirtualHart, clock: Clock) -> Wait | None:
        """The guest executes wfi: retire it, and say how long it sleeps. None, and nothing changed, if it is
        illegal."""
        raise NotImplementedError
