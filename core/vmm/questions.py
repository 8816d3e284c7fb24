"""Questions to the past: who last wrote this? When did that change? Why did it last exit?

Each goes back along a timeline to the answer and leaves the guest there, before the step that did it; what others had
set to stop the guest at is as it was. None, and the start of the past, where nobody did.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..hart import WATCH_LOADS, WATCH_STORES
from .exit_log import EVERY, ExitLog, LoggedExit
from .timeline import unstopped

if TYPE_CHECKING:
    from ..machine.watching import Until
    from .timeline import Timeline


@contextmanager
def _nothing_set(timeline: Timeline) -> Iterator[Any]:
    """The subject, with nothing set to stop it at; what was is put back."""
    subject: Any = timeline.subject
    with unstopped(subject):
        yield subject


def last_write(timeline: Timeline, address: int, length: int = 8) -> Any:
    """Who last stored to any of these bytes (guest physical; a page-table entry is such): the stop at that access."""
    with _nothing_set(timeline) as subject:
        subject.watchpoints = ((address, length, WATCH_STORES),)
        return timeline.reverse_continue()


def last_access(timeline: Timeline, address: int, length: int = 8) -> Any:
    """As last_write, of loads too."""
    with _nothing_set(timeline) as subject:
        subject.watchpoints = ((address, length, WATCH_LOADS | WATCH_STORES),)
        return timeline.reverse_continue()


def last_change(timeline: Timeline, until: Until) -> Any:
    """The step that last changed a register, a CSR or the mode: the stop at it."""
    with _nothing_set(timeline) as subject:
        subject.until = until
        return timeline.reverse_continue()


def last_exit(timeline: Timeline, log: ExitLog, reasons: Container[int] = EVERY) -> LoggedExit | None:
    """The last exit before now, for one of `reasons`. Raises ConfigError: another VM's log."""
    if log.vm is not timeline.subject:
        raise ConfigError("the log of exits is of another VM")
    found = log.last_before(timeline.step, reasons)
    timeline.goto(timeline.start if found is None else found.step)
    return found
