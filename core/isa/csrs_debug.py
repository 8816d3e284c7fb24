"""The trigger CSRs (RISC-V Debug Specification 1.0, "Sdtrig", "Trigger Module Registers").

tdata1 to tdata3 and tinfo are windows on the trigger that tselect names; every trigger is an address match
(mcontrol6), or off.
"""

from __future__ import annotations

from .csr import Csr, Field, plain, structured

N_TRIGGERS = 8
"""Triggers of each hart; tselect holds 0 to 7."""

TRIGGER_MCONTROL6 = 6
TRIGGER_DISABLED = 15
"""The values of tdata1.TYPE: an address match, or nothing."""

MATCH_EQUAL, MATCH_NAPOT, MATCH_GE, MATCH_LT = range(4)
"""The values of tdata1.MATCH that compare: equal; in a power-of-two region; at or above; below tdata2."""

MATCHES = (MATCH_EQUAL, MATCH_NAPOT, MATCH_GE, MATCH_LT)
SIZES = (0, 1, 2, 3, 5)
"""The values of tdata1.SIZE: any; 1, 2, 4, 8 bytes."""

MCONTROL6 = (
    Field("LOAD", 0, 0, "fires on loads", True),
    Field("STORE", 1, 1, "fires on stores", True),
    Field("EXECUTE", 2, 2, "fires on instructions", True),
    Field("U", 3, 3, "acts in U-mode", True),
    Field("S", 4, 4, "acts in S-mode", True),
    Field("UNCERTAINEN", 5, 5, "fires on what might match (this hart is never uncertain: 0)"),
    Field("M", 6, 6, "acts in M-mode", True),
    Field("MATCH", 10, 7, "0 equal, 1 power-of-two region, 2 at or above, 3 below tdata2", True),
    Field("CHAIN", 11, 11, "fires only together with the next trigger", True),
    Field("ACTION", 15, 12, "0: a breakpoint exception"),
    Field("SIZE", 18, 16, "0 any; 1, 2, 3, 5: accesses of 1, 2, 4, 8 bytes", True),
    Field("SELECT", 21, 21, "0: compares addresses"),
    Field("HIT0", 22, 22, "fired, before the instruction", True),
    Field("VU", 23, 23, "acts in VU-mode", True, "H"),
    Field("VS", 24, 24, "acts in VS-mode", True, "H"),
    Field("HIT1", 25, 25, "fired after the instruction (this hart never does: 0)"),
    Field("UNCERTAIN", 26, 26, "fired in doubt (never: 0)"),
    Field("DMODE", 59, 59, "belongs to an external debugger (there is none: 0)"),
    Field("TYPE", 63, 60, "6: address match; 15: off", True),
)

TEXTRA64 = (
    Field("SSELECT", 1, 0, "0: any; 1: where scontext is SVALUE; 2: where the ASID is", True),
    Field("SVALUE", 33, 2, "what SSELECT compares with", True),
    Field("SBYTEMASK", 39, 36, "bytes of SVALUE that do not count", True),
    Field("MHSELECT", 50, 48, "0: any; 4, 1, 5: where mcontext is MHVALUE; 2, 6: where the VMID is", True),
    Field("MHVALUE", 63, 51, "what MHSELECT compares with", True),
)

_TINFO = 1 << 24 | 1 << TRIGGER_DISABLED | 1 << TRIGGER_MCONTROL6

TRIGGER_CSRS: tuple[Csr, ...] = (
    plain(0x7A0, "tselect", "Trigger that tdata1 to tdata3 and tinfo show", N_TRIGGERS - 1, extension="Sdtrig"),
    structured(0x7A1, "tdata1", "The trigger's type and conditions", *MCONTROL6,
               reset=TRIGGER_DISABLED << 60, extension="Sdtrig"),
    plain(0x7A2, "tdata2", "The trigger's address", extension="Sdtrig"),
    structured(0x7A3, "tdata3", "The trigger's contexts", *TEXTRA64, extension="Sdtrig"),
    Csr(0x7A4, "tinfo", "Types that the trigger can have", (
        Field("INFO", 15, 0, "a bit for each type"), Field("VERSION", 31, 24, "1: Sdtrig 1.0")), 0, _TINFO,
        extension="Sdtrig"),
    plain(0x7A8, "mcontext", "Context number of M-mode's or the hypervisor's choice", (1 << 14) - 1,
          extension="Sdtrig"),
    plain(0x5A8, "scontext", "Context number of S-mode's choice", (1 << 32) - 1, extension="Sdtrig"),
)

HCONTEXT = plain(0x6A8, "hcontext", "mcontext, as the hypervisor sees it", (1 << 14) - 1, extension="Sdtrig")
