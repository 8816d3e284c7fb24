"""Instructions about memory beyond loads, stores and A.

Cache blocks (Zicbom, Zicbop, Zicboz), waiting for a store (Zawrs), compare-and-swap (Zacas), and hints (Zihintntl).

Unprivileged manual, "Cache Management Operations", "Zawrs", "Zacas" and "Zihintntl".
"""

from __future__ import annotations

from .causes import ILLEGAL_INSTRUCTION, VIRTUAL_INSTRUCTION
from .formats import AMO, NONE, RS1, Field, Format, R
from .row import ANY_MODE, Instruction, Privilege, TrapRule

_EXACT = 0xFFFFFFFF
_FUNCT5 = 0xF800707F
_EVEN_PAIRS = _FUNCT5 | 1 << 7 | 1 << 20
_RS1_ONLY = 0xFFF07FFF
_PREFETCH = 0x01F07FFF

BLOCK = Format("block", {"rs1": RS1})
PREFETCH = Format("prefetch", {"rd": Field(), "rs1": RS1, "imm": Field(((25, 7, 5),), sign_bits=12)})
# Pairs of registers are named by their first, whose number is even; odd ones are reserved.
AMO_PAIR = Format("amo-pair", {**AMO.operands, "rd": Field(((8, 4, 1),)), "rs2": Field(((21, 4, 1),))})


def _gated(field: str) -> Privilege:
    """The rule of the cbo instructions: each level's envcfg opens them to the one below."""
    return Privilege(ANY_MODE, (
        TrapRule("HS", f"menvcfg.{field}=0", ILLEGAL_INSTRUCTION),
        TrapRule("U", f"menvcfg.{field}=0 or senvcfg.{field}=0", ILLEGAL_INSTRUCTION),
        TrapRule("VS", f"menvcfg.{field}=0", ILLEGAL_INSTRUCTION),
        TrapRule("VS", f"menvcfg.{field}≠0 and henvcfg.{field}=0", VIRTUAL_INSTRUCTION),
        TrapRule("VU", f"menvcfg.{field}=0", ILLEGAL_INSTRUCTION),
        TrapRule("VU", f"menvcfg.{field}≠0 and (henvcfg.{field}=0 or senvcfg.{field}=0)", VIRTUAL_INSTRUCTION),
    ), "CSR controls for CMO instructions")


CACHE_ROWS: tuple[Instruction, ...] = (
    Instruction("cbo.inval", BLOCK, 0x0000200F, _RS1_ONLY, "Zicbom", "(rs1)", _gated("CBIE")),
    Instruction("cbo.clean", BLOCK, 0x0010200F, _RS1_ONLY, "Zicbom", "(rs1)", _gated("CBCFE")),
    Instruction("cbo.flush", BLOCK, 0x0020200F, _RS1_ONLY, "Zicbom", "(rs1)", _gated("CBCFE")),
    Instruction("cbo.zero", BLOCK, 0x0040200F, _RS1_ONLY, "Zicboz", "(rs1)", _gated("CBZE")),
    # Hints in ori's space with rd = x0: as that they execute.
    Instruction("prefetch.i", PREFETCH, 0x00006013, _PREFETCH, "Zicbop", "imm(rs1)", expands="ori"),
    Instruction("prefetch.r", PREFETCH, 0x00106013, _PREFETCH, "Zicbop", "imm(rs1)", expands="ori"),
    Instruction("prefetch.w", PREFETCH, 0x00306013, _PREFETCH, "Zicbop", "imm(rs1)", expands="ori"),
)

WAIT_ROWS: tuple[Instruction, ...] = (
    # A stall may end for any reason, and ours ends at once: so neither TW nor VTW has anything to limit.
    Instruction("wrs.nto", NONE, 0x00D00073, _EXACT, "Zawrs", ""),
    Instruction("wrs.sto", NONE, 0x01D00073, _EXACT, "Zawrs", "", expands="wrs.nto"),
)

CAS_ROWS: tuple[Instruction, ...] = (
    Instruction("amocas.w", AMO, 0x2800202F, _FUNCT5, "Zacas", "rd, rs2, (rs1)"),
    Instruction("amocas.d", AMO, 0x2800302F, _FUNCT5, "Zacas", "rd, rs2, (rs1)"),
    Instruction("amocas.q", AMO_PAIR, 0x2800402F, _EVEN_PAIRS, "Zacas", "rd, rs2, (rs1)"),
)

HINT_ROWS: tuple[Instruction, ...] = tuple(
    Instruction(f"ntl.{level}", R, 0x00000033 | rs2 << 20, _EXACT, "Zihintntl", "", expands="add")
    for rs2, level in ((2, "p1"), (3, "pall"), (4, "s1"), (5, "all")))

MEMORY_ROWS: tuple[Instruction, ...] = CACHE_ROWS + WAIT_ROWS + CAS_ROWS + HINT_ROWS
