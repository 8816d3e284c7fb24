"""What decides about interrupts and time: the wires and their gates, the clock, and what a wfi comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..jail.codec import travels

SSI: Final = 1
VSSI: Final = 2
MSI: Final = 3
STI: Final = 5
VSTI: Final = 6
MTI: Final = 7
SEI: Final = 9
VSEI: Final = 10
MEI: Final = 11
LCOFI: Final = 13

USER: Final = 0
SUPERVISOR: Final = 1
MACHINE: Final = 3

INTERRUPT: Final = 1 << 63
"""scause's top bit: the trap was an interrupt."""
NEVER: Final = (1 << 64) - 1
"""A deadline that stands for "no timer"."""


@travels
@dataclass(frozen=True)
class Gates:
    """All that decides whether a hart takes an interrupt now, and which. Bit i of each mask is interrupt i's.

    pending, enabled: mip and mie. mideleg, hideleg: what is passed on to HS-mode, and from there to VS-mode.
    mode: USER, SUPERVISOR or MACHINE; virtual: V, with which they are VU and VS. mie, sie, vsie: mstatus.MIE,
    mstatus.SIE and vsstatus.SIE.
    """

    pending: int
    enabled: int
    mideleg: int
    hideleg: int
    mode: int
    virtual: bool
    mie: bool
    sie: bool
    vsie: bool


@travels
@dataclass(frozen=True)
class Taken:
    """The interrupt to take. target: "M", "HS" or "VS", the mode that it goes to. cause: its number, as that mode finds
    it in its cause register."""

    target: str
    cause: int


@travels
@dataclass(frozen=True)
class Clock:
    """The time. step: the guest's clock of record; steps_per_tick: after so many steps mtime is one more."""

    step: int
    steps_per_tick: int

    @property
    def time(self) -> int:
        """mtime."""
        return self.step // self.steps_per_tick


@travels
@dataclass(frozen=True)
class Wait:
    """What a wfi that has retired comes to. sleeps: nothing that could wake it is pending. until: the step at which the
    timer will wake it; None if no timer will (or it does not sleep)."""

    sleeps: bool
    until: int | None = None
