"""The CSRs of the Advanced Interrupt Architecture (Smaia, Ssaia) and of the window it shares (Smcsrind, Sscsrind).

Source: RISC-V Advanced Interrupt Architecture 1.0, chapters "Control and Status Registers", "Incoming MSI Controller",
"Interrupts for Machine and Supervisor Levels" and "Interrupts for Virtual Machines"; privileged manual,
"Smcsrind/Sscsrind".
"""

from __future__ import annotations

from . import causes
from .csr import Csr, Field, plain, structured
from .csr_fields import local_interrupts

ALIASES = ("", "2", "3", "4", "5", "6")
"""What follows `ireg` in the names of a window's aliases."""

_ALIAS_OFFSETS = (1, 2, 3, 5, 6, 7)  # from the select register's number; 4 is the upper half of mip

IPRIO_FIRST, IPRIO_LAST = 0x30, 0x3F
"""Selects of the priorities of major interrupts, eight bytes at each even one."""
EIDELIVERY, EITHRESHOLD = 0x70, 0x72
EIP_FIRST, EIE_FIRST, FILE_LAST = 0x80, 0xC0, 0xFF
"""Selects of an interrupt file, from EIDELIVERY to FILE_LAST; pending and enable bits, 64 at each even one."""

HVIPRIO_INTERRUPTS = (0, 1, 4, 5, 8, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
"""The interrupts whose priorities the bytes of hviprio1, then hviprio2, hold; those of 0, 4 and 8 are reserved."""

_SELECT = Field("SELECT", 11, 0, "number of the register that the aliases stand for", True)
_TOP = (Field("IPRIO", 7, 0, "its priority number, 0 above and 255 below all others"),
        Field("IID", 27, 16, "the most urgent interrupt that is pending and enabled"))
_TOP_EXTERNAL = (Field("PRIORITY", 10, 0, "its priority, which is its identity"),
                 Field("IDENTITY", 26, 16, "the most urgent external interrupt; a write claims it"))


def _window(number: int, prefix: str, level: str, extension: str) -> tuple[Csr, ...]:
    """The select register of a level and its six aliases."""
    twin = "v" + prefix if prefix == "s" else ""
    select = structured(number, f"{prefix}iselect", f"{level}: register behind the window", _SELECT,
                        vs_twin=twin and f"{twin}iselect", extension=extension)
    aliases = (plain(number + offset, f"{prefix}ireg{alias}", f"{level}: the register selected, part {alias or 1}",
                     vs_twin=twin and f"{twin}ireg{alias}", extension=extension)
               for alias, offset in zip(ALIASES, _ALIAS_OFFSETS, strict=True))
    return select, *aliases


def _priorities(interrupts: tuple[int, ...]) -> tuple[Field, ...]:
    """A byte for each of eight interrupts."""
    return tuple(Field(f"IPRIO{interrupt}", 8 * at + 7, 8 * at, f"priority number of VS-level interrupt {interrupt}",
                       interrupt not in (0, 4, 8), "Sscofpmf" if interrupt == causes.LCOFI else "")
                 for at, interrupt in enumerate(interrupts))


def _virtual(suffix: str, *interrupts: int) -> tuple[Field, ...]:
    """Fields for interrupts of S-mode that M-mode can make, or of VS-mode that HS-mode can."""
    rows = (causes.INTERRUPT_BY_NUMBER[number] for number in interrupts)
    return tuple(Field(row.name + suffix, row.number, row.number, f"virtual {row.description.lower()}", True,
                       "Sscofpmf" if row.number == causes.LCOFI else "") for row in rows)


AIA_CSRS: tuple[Csr, ...] = (
    *_window(0x350, "m", "M-mode", "Smcsrind"),
    *_window(0x150, "s", "S-mode", "Sscsrind"),
    *_window(0x250, "vs", "VS-mode", "Sscsrind"),
    structured(0x308, "mvien", "Virtual interrupts of S-mode that are enabled",
               *_virtual("E", causes.SSI, causes.SEI, causes.LCOFI), local_interrupts("E", ""), extension="Smaia"),
    structured(0x309, "mvip", "Virtual interrupts of S-mode pending",
               *_virtual("P", causes.SSI, causes.STI, causes.SEI, causes.LCOFI), local_interrupts("P", ""),
               extension="Smaia"),
    structured(0x35C, "mtopei", "Machine top external interrupt", *_TOP_EXTERNAL, extension="Smaia"),
    structured(0xFB0, "mtopi", "Machine top interrupt", *_TOP, extension="Smaia"),
    structured(0x15C, "stopei", "Supervisor top external interrupt", *_TOP_EXTERNAL, vs_twin="vstopei",
               extension="Ssaia"),
    structured(0xDB0, "stopi", "Supervisor top interrupt", *_TOP, vs_twin="vstopi", extension="Ssaia"),
    structured(0x25C, "vstopei", "Virtual supervisor top external interrupt", *_TOP_EXTERNAL, extension="Ssaia"),
    structured(0xEB0, "vstopi", "Virtual supervisor top interrupt", *_TOP, extension="Ssaia"),
    structured(0x608, "hvien", "Virtual interrupts of VS-mode that are enabled",
               *_virtual("E", causes.LCOFI), local_interrupts("E", ""), extension="Ssaia"),
    structured(0x609, "hvictl", "Virtual interrupt that VS-mode gets",
               Field("IPRIO", 7, 0, "its priority number", True),
               Field("IPRIOM", 8, 8, "vstopi shows priority numbers", True),
               Field("DPR", 9, 9, "without a number, it is less urgent than an external interrupt", True),
               Field("IID", 21, 16, "its number; 9 for none", True),
               Field("VTI", 30, 30, "it takes the place of vsip; sip, sie and stimecmp trap in VS-mode", True),
               extension="Ssaia"),
    structured(0x646, "hviprio1", "Priorities of VS-level interrupts, 1",
               *_priorities(HVIPRIO_INTERRUPTS[:8]), extension="Ssaia"),
    structured(0x647, "hviprio2", "Priorities of VS-level interrupts, 2",
               *_priorities(HVIPRIO_INTERRUPTS[8:]), extension="Ssaia"),
)
