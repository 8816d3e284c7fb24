"""What record and replay work with: what happens between a guest and its host, and a machine to run the guest again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..jail.codec import travels
from . import remote

TYPED: Final = "typed"
"""Bytes arrived at the guest's serial port, between two steps: somebody typed."""
ASKED: Final = "asked"
"""The guest looked for input, in the midst of a step, and the host gave it these bytes; none: there will be no more."""
LOADED: Final = "loaded"
"""The guest loaded this value from a device's register."""
CSR: Final = "csr"
"""The guest executed a CSR instruction that exits, such as one that reads time; data: what it read."""
SBI: Final = "sbi"
"""The guest called its firmware; data: a0 after the call."""
TIMER: Final = "timer"
"""The guest's timer came due."""
INTERRUPT: Final = "interrupt"
"""The hypervisor delivered an interrupt."""
WROTE: Final = "wrote"
"""The guest wrote these bytes to its console."""


@travels
@dataclass(frozen=True)
class GuestEvent:
    """Something that passed between guest and host. step: the guest's clock then, the steps that it had taken."""

    step: int
    kind: str
    data: bytes = b""


@travels
@dataclass(frozen=True)
class ReplayMachine:
    """The guest once more, from its first step on, with nothing coming from outside but what you give it."""

    name: str = "replay"

    def step(self) -> int:
        """The guest's clock."""
        return int(self._ask("step"))

    def run(self, steps: int) -> int:
        """Let the guest take so many steps; how many it took. Fewer where it sleeps, and only typing can wake it."""
        return int(self._ask("run", steps))

    def type(self, data: bytes) -> None:
        """These bytes arrive now, before the next step."""
        self._ask("type", data)

    def supply(self, data: bytes) -> None:
        """An answer for when the guest looks for input: one look gets one, in the order in which you supplied them. It
        does not matter when you do, as long as it is before the look."""
        self._ask("supply", data)

    def checkpoint(self) -> int:
        """Keep this very moment: its number. There may be sixteen."""
        return int(self._ask("checkpoint"))

    def restore(self, number: int) -> None:
        """Be at that moment again, the answers taken since then included."""
        self._ask("restore", number)

    def forget(self, number: int) -> None:
        """Keep it no longer."""
        self._ask("forget", number)

    def _ask(self, what: str, *arguments: object) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
