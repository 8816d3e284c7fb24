"""Which extensions a guest has, and which it can be refused.

The machine's hart has everything. What a guest shall not have must be hidden from it by what the architecture gives a
hypervisor for that (hcounteren, henvcfg, hstateen, FS), or, where the guest runs deprivileged, because it traps. Most
instructions have no such switch: a VM without them would have them all the same, so it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..errors import ConfigError
from ..isa.extensions import BY_NAME, DEFAULT_ISA, Extension, close, names_in_order, without

_MACHINE_LEVEL: Final = tuple(name for name in DEFAULT_ISA if name.startswith("Sm"))
_HYPERVISORS: Final = ("Sdtrig", "Sscofpmf", "Shlcofideleg", "Ssstateen")

HOST_ISA: Final = without(DEFAULT_ISA, "Sdtrig", "Sscofpmf")
"""What the hart of a VM's machine has: the hypervisor debugs guests by other means, and H cannot hide scontext. Nor can
it hide scountovf, and a guest's counters would see the hypervisor at work."""

GUEST_ISA: Final = without(DEFAULT_ISA, "H", *_MACHINE_LEVEL, *_HYPERVISORS, "Sstc")
"""What a guest gets unless told otherwise: all of the machine's extensions but those beneath a guest."""

_ALL: Final[tuple[str, ...]] = ("deprivileged", "shadow", "two-stage")
_SHADOWED: Final[tuple[str, ...]] = ("deprivileged", "shadow")

_HINT: Final = "a hint, with or without the extension an instruction that does nothing"

HIDING: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "H": (_ALL, "its CSRs and instructions trap outside HS-mode"),
    "Zicntr": (_ALL, "mcounteren: cycle, time and instret trap"),
    "Zihpm": (_ALL, "mcounteren: hpmcounter3 to hpmcounter31 trap"),
    "Svadu": (_ALL, "the firmware refuses to turn it on: menvcfg.ADUE and henvcfg.ADUE stay 0"),
    "Svpbmt": (_ALL, "henvcfg.PBMTE, or the hypervisor's own walks"),
    "Svnapot": (_SHADOWED, "the hypervisor's own walks"),
    "Sv57": (_SHADOWED, "satp traps"),
    "Sv48": (_SHADOWED, "satp traps"),
    "F": (_ALL, "the FS above the guest's own stays off: all of floating point is illegal, at once or not at all"),
    "Zihintpause": (_ALL, _HINT),
    "Zihintntl": (_ALL, _HINT),
    "Zicbop": (_ALL, _HINT),
    "Sstc": (_ALL, "menvcfg.STCE and henvcfg.STCE: stimecmp traps"),
    "Svinval": (("deprivileged",), "its instructions trap"),
    "Zicbom": (_ALL, "menvcfg: cbo.inval, cbo.clean and cbo.flush trap; hstateen0.ENVCFG: senvcfg does"),
    "Zicboz": (_ALL, "menvcfg: cbo.zero traps; hstateen0.ENVCFG: senvcfg does"),
} | dict.fromkeys((*_MACHINE_LEVEL, *_HYPERVISORS), (_ALL, "beneath the guest"))
"""Extension to the techniques that can hide it and how; bare needs none of this, its hart is built without."""


def check_guest_isa(isa: frozenset[str], technique: str) -> None:
    """Raise ConfigError if no guest can have this set of extensions under the technique, naming what is in the way."""
    beneath = [name for name in ("H", *_MACHINE_LEVEL, *_HYPERVISORS) if name in isa]
    if beneath:
        raise ConfigError(f"a guest has no {', '.join(sorted(beneath))}: it lies beneath the guest, in the machine")
    options = sorted(isa - DEFAULT_ISA)
    if options:
        raise ConfigError(f"a guest has no {', '.join(options)}: only the bare machine can be given it")
    if technique == "bare":
        return
    stuck = [name for name in names_in_order(DEFAULT_ISA - isa) if not _can_hide(name, technique, isa)]
    if stuck:
        names = ", ".join(stuck)
        raise ConfigError(f"a guest cannot be without {names} under {technique}: the machine has it, "
                          "it does not trap, and no control of the hypervisor's turns it off")


def _can_hide(lowered: str, technique: str, isa: frozenset[str]) -> bool:
    """Whether a guest with `isa` can be kept from the extension. A fact is not a thing to have: it is just not told."""
    row = next(row for row in BY_NAME.values() if row.name.lower() == lowered)
    if "F" not in isa and "F" in close((row.name,)):
        return _can_hide_row(BY_NAME["F"], technique)  # what needs F goes with it
    return _can_hide_row(row, technique)


def _can_hide_row(row: Extension, technique: str) -> bool:
    return row.is_fact or technique in HIDING.get(row.name, ((), ""))[0]
