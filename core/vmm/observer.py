"""Who watches a vCPU being run. While nobody does, the run loop asks once a run, and never at an exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..hart import Exit


class Observer(Protocol):
    """Told by a technique's run loop what happens, in this order; set as `technique.observer`."""

    def entering(self) -> None:
        """The guest is about to be entered, unless there is an interrupt to deliver."""

    def injected(self) -> None:
        """The hypervisor delivered an interrupt to the guest, a step of its own, instead of entering it."""

    def exited(self, exit: Exit) -> None:
        """The guest was left, by anything but the end of its budget; nothing is done about it yet."""

    def handled(self, exit: Exit) -> None:
        """The same exit has been handled."""

    def timed(self) -> None:
        """The guest's timer has come due: its stretch was cut here, where it has to hear of that."""

    def left(self) -> None:
        """The run loop goes back to the VM."""
