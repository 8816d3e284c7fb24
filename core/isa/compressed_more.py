"""Compressed instructions beyond C: Zcb, the hints of Zihintntl, Zcmop (unprivileged manual, chapters of these names).

What a Zcb instruction expands to may need an extension of its own (c.mul: Zmmul), without which it is illegal.
"""

from __future__ import annotations

from .formats import CA, CR_ADD, HIGH, LOW, NONE, Field, Format
from .row import UNPRIVILEGED, Instruction

_FUNCT6 = 0xFC03
_FUNCT6_BIT = 0xFC43  # bit 6 too
_FUNCT6_FUNCT2 = 0xFC63
_ONE = 0xFC7F
_EXACT = 0xFFFF

_X0 = Field()
_HALF = Field(((5, 1, 1),))
_BYTE = Field(((6, 1, 0), (5, 1, 1)))
CLB = Format("CLB", {"rd": LOW, "rs1": HIGH, "imm": _BYTE})
CLH = Format("CLH", {"rd": LOW, "rs1": HIGH, "imm": _HALF})
CSB = Format("CSB", {"rs1": HIGH, "rs2": LOW, "imm": _BYTE})
CSH = Format("CSH", {"rs1": HIGH, "rs2": LOW, "imm": _HALF})
CU = Format("CU", {"rd": HIGH, "rs1": HIGH, "rs2": _X0})
CU_BYTE = Format("CU-byte", {"rd": HIGH, "rs1": HIGH, "imm": Field(constant=255)})
CU_NOT = Format("CU-not", {"rd": HIGH, "rs1": HIGH, "imm": Field(sign_bits=1, constant=-1)})


def _row(name: str, form: Format, match: int, mask: int, syntax: str, expands: str,
         extension: str = "Zcb") -> Instruction:
    return Instruction(name, form, match, mask, extension, syntax, UNPRIVILEGED, expands)


ZCB: tuple[Instruction, ...] = (
    _row("c.lbu", CLB, 0x8000, _FUNCT6, "rd, imm(rs1)", "lbu"),
    _row("c.lhu", CLH, 0x8400, _FUNCT6_BIT, "rd, imm(rs1)", "lhu"),
    _row("c.lh", CLH, 0x8440, _FUNCT6_BIT, "rd, imm(rs1)", "lh"),
    _row("c.sb", CSB, 0x8800, _FUNCT6, "rs2, imm(rs1)", "sb"),
    _row("c.sh", CSH, 0x8C00, _FUNCT6_BIT, "rs2, imm(rs1)", "sh"),
    _row("c.mul", CA, 0x9C41, _FUNCT6_FUNCT2, "rd, rs2", "mul"),
    _row("c.zext.b", CU_BYTE, 0x9C61, _ONE, "rd", "andi"),
    _row("c.sext.b", CU, 0x9C65, _ONE, "rd", "sext.b"),
    _row("c.zext.h", CU, 0x9C69, _ONE, "rd", "zext.h"),
    _row("c.sext.h", CU, 0x9C6D, _ONE, "rd", "sext.h"),
    _row("c.zext.w", CU, 0x9C71, _ONE, "rd", "add.uw"),
    _row("c.not", CU_NOT, 0x9C75, _ONE, "rd", "xori"),
)

HINTS: tuple[Instruction, ...] = tuple(
    _row(f"c.ntl.{level}", CR_ADD, 0x9002 | rs2 << 2, _EXACT, "", "add", "Zihintntl")
    for rs2, level in ((2, "p1"), (3, "pall"), (4, "s1"), (5, "all")))

# In the place of c.lui with immediate 0; it writes no register, so that it executes as a nop.
ZCMOP: tuple[Instruction, ...] = tuple(
    _row(f"c.mop.{n}", NONE, 0x6001 | n << 7, _EXACT, "", "addi", "Zcmop") for n in range(1, 16, 2))

MORE_COMPRESSED_ROWS: tuple[Instruction, ...] = ZCB + HINTS + ZCMOP
