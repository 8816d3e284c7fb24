"""The performance monitor's CSRs (machine chapter, "Hardware Performance Monitor"; Zicntr, Zihpm, Sscofpmf)."""

from __future__ import annotations

from .csr import Csr, Field, plain, structured

HPM_FIRST = 3
HPM_END = 11
"""mhpmcounter3 to mhpmcounter10 count; those from HPM_END on are read-only zero, as the manual allows."""

EVENT_CYCLES = 1
EVENT_INSTRUCTIONS = 2
EVENT_TRAPS = 3
"""What mhpmevent can select: cycles, instructions retired, traps taken. Every other code counts nothing.

Cache and TLB events are left out on purpose: a program must not be able to tell how the hart caches.
"""

_GUESTS = "Sscofpmf H"

_EVENT = (Field("EVENT", 7, 0, "1 cycles, 2 instructions retired, 3 traps taken, anything else nothing", True),
          Field("VUINH", 58, 58, "VU-mode is not counted", True, _GUESTS),
          Field("VSINH", 59, 59, "VS-mode is not counted", True, _GUESTS),
          Field("UINH", 60, 60, "U-mode is not counted", True, "Sscofpmf"),
          Field("SINH", 61, 61, "S-mode is not counted", True, "Sscofpmf"),
          Field("MINH", 62, 62, "M-mode is not counted", True, "Sscofpmf"),
          Field("OF", 63, 63, "the counter has overflowed; no further overflow interrupts", True, "Sscofpmf"))


def _monitor(i: int) -> tuple[Csr, Csr]:
    """A counter beyond mcycle and minstret, and its event selector."""
    counter, event = f"mhpmcounter{i}", f"mhpmevent{i}"
    about, selects = f"Machine performance counter {i}", f"Event that {counter} counts"
    if i >= HPM_END:
        return (plain(0xB00 + i, counter, about, 0, extension="Zihpm"),
                plain(0x320 + i, event, selects, 0, extension="Zihpm"))
    return (plain(0xB00 + i, counter, about, extension="Zihpm"),
            structured(0x320 + i, event, selects, *_EVENT, extension="Zihpm"))


MCOUNTINHIBIT = structured(
    0x320, "mcountinhibit", "Counters that stand still",
    Field("CY", 0, 0, "mcycle stands still", True),
    Field("IR", 2, 2, "minstret stands still", True),
    Field("HPM", HPM_END - 1, HPM_FIRST, f"mhpmcounter{HPM_FIRST} to mhpmcounter{HPM_END - 1} stand still", True,
          "Zihpm"))

MACHINE_COUNTERS: tuple[Csr, ...] = (
    plain(0xB00, "mcycle", "Machine cycle counter"),
    plain(0xB02, "minstret", "Machine instructions-retired counter"),
    *(csr for i in range(HPM_FIRST, 32) for csr in _monitor(i)),
)

SUPERVISOR_COUNTERS: tuple[Csr, ...] = (
    plain(0xDA0, "scountovf", "Counters that have overflowed: OF of mhpmevent3 to mhpmevent31", 0,
          extension="Sscofpmf"),
)

USER_COUNTERS: tuple[Csr, ...] = (
    plain(0xC00, "cycle", "Cycles", 0, extension="Zicntr"),
    plain(0xC01, "time", "Real-time counter", 0, extension="Zicntr"),
    plain(0xC02, "instret", "Instructions retired", 0, extension="Zicntr"),
    *(plain(0xC00 + i, f"hpmcounter{i}", f"Performance counter {i}", 0, extension="Zihpm")
      for i in range(HPM_FIRST, 32)),
)
