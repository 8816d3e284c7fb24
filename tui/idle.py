"""When a guest has nothing left to do: its piped input has ended, and it only sleeps from timer to timer.

An operating system at a prompt never sleeps for good: it has timers. So there is a rule, in the guest's own time and
therefore the same in every run: for IDLE_SECONDS it wrote nothing to its console, and was awake for less than one step
in BUSY.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..core.devices.console import ConsoleEnd

TICKS_PER_SECOND: Final = 10_000_000
IDLE_SECONDS: Final = 60
BUSY: Final = 10

IDLE: Final = f"asleep: nothing but timers for {IDLE_SECONDS} s of its time, and the input has ended"


class Sleeper(Protocol):
    """What is watched: a guest in a session."""

    @property
    def console(self) -> ConsoleEnd: ...

    @property
    def steps(self) -> int: ...

    @property
    def active_steps(self) -> int: ...

    @property
    def idle_ticks(self) -> int: ...


class IdleWatch:
    """Watches one guest; asked after each slice of its run."""

    def __init__(self, guest: Sleeper) -> None:
        self._guest = guest
        self._since = guest.idle_ticks
        self._note()

    def _note(self) -> None:
        guest = self._guest
        self._steps, self._active, self._written = guest.steps, guest.active_steps, guest.console.written

    def is_idle(self) -> bool:
        """Whether the rule holds now."""
        guest = self._guest
        awake = guest.active_steps - self._active
        is_quiet = guest.console.has_ended and guest.console.written == self._written
        if not is_quiet or awake * BUSY >= guest.steps - self._steps:
            self._since = guest.idle_ticks
        self._note()
        return guest.idle_ticks - self._since >= IDLE_SECONDS * TICKS_PER_SECOND
