"""Instruction formats: where the operands of an instruction lie in its bits.

An operand is data, so that the Python decoder, the assembler and the Cython hart read the same rows. The value of a
field is its pieces put together, sign-extended if `sign_bits` says so, plus `constant`:

    value = sign_extend(sum(((insn >> src_lo) & ones(width)) << dst_lo), sign_bits) + constant

A field without pieces is an implied operand: the x2 of c.lwsp, the x0 of c.j, the immediate 0 of c.jr.
Operand names: rd, rs1, rs2 (register numbers) and imm are what executes; aq, rl, fm, pred, succ are shown only, and so
are rs3 and rm, which execute as parts of imm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Piece = tuple[int, int, int]
"""Lowest bit in the instruction, width in bits, lowest bit in the operand's value."""


@dataclass(frozen=True, slots=True)
class Field:
    """One operand: `pieces` of the instruction, sign-extended from `sign_bits` bits (0: unsigned), plus `constant`.

    `is_float`: the number is that of a floating-point register. `default`: the value where assembly leaves it out.
    """

    pieces: tuple[Piece, ...] = ()
    sign_bits: int = 0
    constant: int = 0
    is_float: bool = False
    default: int | None = None

    @property
    def source_mask(self) -> int:
        """The instruction bits that hold this operand."""
        return sum(((1 << width) - 1) << src_lo for src_lo, width, _ in self.pieces)

    @property
    def value_mask(self) -> int:
        """The bits of the raw value (before sign extension and `constant`) that the pieces can set."""
        return sum(((1 << width) - 1) << dst_lo for _, width, dst_lo in self.pieces)

    def extract(self, insn: int) -> int:
        """The operand's value in `insn`."""
        value = 0
        for src_lo, width, dst_lo in self.pieces:
            value |= (insn >> src_lo & (1 << width) - 1) << dst_lo
        if self.sign_bits and value >> (self.sign_bits - 1) & 1:
            value -= 1 << self.sign_bits
        return value + self.constant

    def insert(self, value: int) -> int:
        """The instruction bits that make `extract` give `value`; ValueError if no bits do."""
        raw = value - self.constant
        if self.sign_bits and -(1 << self.sign_bits - 1) <= raw < 0:
            raw += 1 << self.sign_bits
        elif self.sign_bits and raw >> (self.sign_bits - 1):
            raise ValueError(value)
        if raw & ~self.value_mask:
            raise ValueError(value)
        return sum((raw >> dst_lo & (1 << width) - 1) << src_lo for src_lo, width, dst_lo in self.pieces)


@dataclass(frozen=True, slots=True)
class Format:
    """A named set of operands. An executed operand that is absent reads as 0."""

    name: str
    operands: Mapping[str, Field]


RD = Field(((7, 5, 0),))
RS1 = Field(((15, 5, 0),))
RS2 = Field(((20, 5, 0),))
IMM_I = Field(((20, 12, 0),), sign_bits=12)
IMM_S = Field(((7, 5, 0), (25, 7, 5)), sign_bits=12)
IMM_B = Field(((8, 4, 1), (25, 6, 5), (7, 1, 11), (31, 1, 12)), sign_bits=13)
IMM_U = Field(((12, 20, 12),), sign_bits=32)
IMM_J = Field(((21, 10, 1), (20, 1, 11), (12, 8, 12), (31, 1, 20)), sign_bits=21)

# Unprivileged manual, "Base Instruction Formats" and "Immediate Encoding Variants".
R = Format("R", {"rd": RD, "rs1": RS1, "rs2": RS2})
I = Format("I", {"rd": RD, "rs1": RS1, "imm": IMM_I})  # noqa: E741 (the manual's name)
SHIFT = Format("I-shift", {"rd": RD, "rs1": RS1, "imm": Field(((20, 6, 0),))})
SHIFT_W = Format("I-shiftw", {"rd": RD, "rs1": RS1, "imm": Field(((20, 5, 0),))})
S = Format("S", {"rs1": RS1, "rs2": RS2, "imm": IMM_S})
B = Format("B", {"rs1": RS1, "rs2": RS2, "imm": IMM_B})
U = Format("U", {"rd": RD, "imm": IMM_U})
J = Format("J", {"rd": RD, "imm": IMM_J})
NONE = Format("none", {})
FENCE = Format("fence", {"imm": Field(((20, 12, 0),)), "fm": Field(((28, 4, 0),)),
                         "pred": Field(((24, 4, 0),)), "succ": Field(((20, 4, 0),))})
CSR = Format("csr", {"rd": RD, "rs1": RS1, "imm": Field(((20, 12, 0),))})
AMO = Format("amo", {"rd": RD, "rs1": RS1, "rs2": RS2, "aq": Field(((26, 1, 0),)), "rl": Field(((25, 1, 0),))})
LOAD_RESERVED = Format("lr", {"rd": RD, "rs1": RS1, "aq": Field(((26, 1, 0),)), "rl": Field(((25, 1, 0),))})
HLV = Format("hlv", {"rd": RD, "rs1": RS1})
HSV = Format("hsv", {"rs1": RS1, "rs2": RS2})

# Unprivileged manual, "F" extension. imm holds rm in bits 2:0 and rs3 in bits 7:3. Where the conversion is exact, the
# assembler's rounding mode is rne (0), elsewhere dyn (7), as in GNU as.
_FRD, _FRS1 = Field(((7, 5, 0),), is_float=True), Field(((15, 5, 0),), is_float=True)
_FRS2, _FRS3 = Field(((20, 5, 0),), is_float=True), Field(((27, 5, 0),), is_float=True)
_RM, _RM_EXACT = Field(((12, 3, 0),), default=7), Field(((12, 3, 0),), default=0)
_IMM_RM = Field(((12, 3, 0),))

FLOAD = Format("F-load", {"rd": _FRD, "rs1": RS1, "imm": IMM_I})
FSTORE = Format("F-store", {"rs1": RS1, "rs2": _FRS2, "imm": IMM_S})
F4 = Format("F4", {"rd": _FRD, "rs1": _FRS1, "rs2": _FRS2, "rs3": _FRS3, "rm": _RM,
                   "imm": Field(((12, 3, 0), (27, 5, 3)))})
F3 = Format("F3", {"rd": _FRD, "rs1": _FRS1, "rs2": _FRS2})
F3_RM = Format("F3-rm", {"rd": _FRD, "rs1": _FRS1, "rs2": _FRS2, "rm": _RM, "imm": _IMM_RM})
F2_RM = Format("F2-rm", {"rd": _FRD, "rs1": _FRS1, "rm": _RM, "imm": _IMM_RM})
F2_EXACT = Format("F2-exact", {"rd": _FRD, "rs1": _FRS1, "rm": _RM_EXACT, "imm": _IMM_RM})
F_COMPARE = Format("F-compare", {"rd": RD, "rs1": _FRS1, "rs2": _FRS2})
F_TO_X = Format("F-to-x", {"rd": RD, "rs1": _FRS1})
F_TO_X_RM = Format("F-to-x-rm", {"rd": RD, "rs1": _FRS1, "rm": _RM, "imm": _IMM_RM})
F_TO_X_MODULAR = Format("F-to-x-modular", {"rd": RD, "rs1": _FRS1, "rm": _IMM_RM})
X_TO_F = Format("x-to-F", {"rd": _FRD, "rs1": RS1})
X_TO_F_RM = Format("x-to-F-rm", {"rd": _FRD, "rs1": RS1, "rm": _RM, "imm": _IMM_RM})
X_TO_F_EXACT = Format("x-to-F-exact", {"rd": _FRD, "rs1": RS1, "rm": _RM_EXACT, "imm": _IMM_RM})
FLI = Format("F-li", {"rd": _FRD, "imm": Field(((15, 5, 0),))})

# Unprivileged manual, "C" extension, "Compressed Instruction Formats". Primed registers are x8-x15 in three bits.
_X0, _X1, _X2 = Field(constant=0), Field(constant=1), Field(constant=2)
_FULL = Field(((7, 5, 0),))
_FULL_RS2 = Field(((2, 5, 0),))
LOW = Field(((2, 3, 0),), constant=8)
HIGH = Field(((7, 3, 0),), constant=8)
_FULL_F, _FULL_F2 = Field(((7, 5, 0),), is_float=True), Field(((2, 5, 0),), is_float=True)
_LOW_F = Field(((2, 3, 0),), constant=8, is_float=True)
_IMM6 = Field(((2, 5, 0), (12, 1, 5)), sign_bits=6)
_SHAMT6 = Field(((2, 5, 0), (12, 1, 5)))
_OFFSET_W = Field(((6, 1, 2), (10, 3, 3), (5, 1, 6)))
_OFFSET_D = Field(((10, 3, 3), (5, 2, 6)))
_IMM_CB = Field(((3, 2, 1), (10, 2, 3), (2, 1, 5), (5, 2, 6), (12, 1, 8)), sign_bits=9)
_IMM_CJ = Field(((3, 3, 1), (11, 1, 4), (2, 1, 5), (7, 1, 6), (6, 1, 7), (9, 2, 8), (8, 1, 10), (12, 1, 11)),
                sign_bits=12)

CIW = Format("CIW", {"rd": LOW, "rs1": _X2, "imm": Field(((6, 1, 2), (5, 1, 3), (11, 2, 4), (7, 4, 6)))})
CL_W = Format("CL-w", {"rd": LOW, "rs1": HIGH, "imm": _OFFSET_W})
CL_D = Format("CL-d", {"rd": LOW, "rs1": HIGH, "imm": _OFFSET_D})
CS_W = Format("CS-w", {"rs1": HIGH, "rs2": LOW, "imm": _OFFSET_W})
CS_D = Format("CS-d", {"rs1": HIGH, "rs2": LOW, "imm": _OFFSET_D})
CI = Format("CI", {"rd": _FULL, "rs1": _FULL, "imm": _IMM6})
CI_LI = Format("CI-li", {"rd": _FULL, "rs1": _X0, "imm": _IMM6})
CI_LUI = Format("CI-lui", {"rd": _FULL, "imm": Field(((2, 5, 12), (12, 1, 17)), sign_bits=18)})
CI_SP = Format("CI-sp", {"rd": _X2, "rs1": _X2,
                         "imm": Field(((6, 1, 4), (2, 1, 5), (5, 1, 6), (3, 2, 7), (12, 1, 9)), sign_bits=10)})
CI_SHIFT = Format("CI-shift", {"rd": _FULL, "rs1": _FULL, "imm": _SHAMT6})
CI_LWSP = Format("CI-lwsp", {"rd": _FULL, "rs1": _X2, "imm": Field(((4, 3, 2), (12, 1, 5), (2, 2, 6)))})
CI_LDSP = Format("CI-ldsp", {"rd": _FULL, "rs1": _X2, "imm": Field(((5, 2, 3), (12, 1, 5), (2, 3, 6)))})
CSS_W = Format("CSS-w", {"rs1": _X2, "rs2": _FULL_RS2, "imm": Field(((9, 4, 2), (7, 2, 6)))})
CSS_D = Format("CSS-d", {"rs1": _X2, "rs2": _FULL_RS2, "imm": Field(((10, 3, 3), (7, 3, 6)))})
CB_SHIFT = Format("CB-shift", {"rd": HIGH, "rs1": HIGH, "imm": _SHAMT6})
CB_ANDI = Format("CB-andi", {"rd": HIGH, "rs1": HIGH, "imm": _IMM6})
CB = Format("CB", {"rs1": HIGH, "rs2": _X0, "imm": _IMM_CB})
CA = Format("CA", {"rd": HIGH, "rs1": HIGH, "rs2": LOW})
CJ = Format("CJ", {"rd": _X0, "imm": _IMM_CJ})
CR_JR = Format("CR-jr", {"rd": _X0, "rs1": _FULL, "imm": Field()})
CR_JALR = Format("CR-jalr", {"rd": _X1, "rs1": _FULL, "imm": Field()})
CR_MV = Format("CR-mv", {"rd": _FULL, "rs1": _X0, "rs2": _FULL_RS2})
CR_ADD = Format("CR-add", {"rd": _FULL, "rs1": _FULL, "rs2": _FULL_RS2})
CL_FD = Format("CL-fd", {"rd": _LOW_F, "rs1": HIGH, "imm": _OFFSET_D})
CS_FD = Format("CS-fd", {"rs1": HIGH, "rs2": _LOW_F, "imm": _OFFSET_D})
CI_FLDSP = Format("CI-fldsp", {"rd": _FULL_F, "rs1": _X2, "imm": Field(((5, 2, 3), (12, 1, 5), (2, 3, 6)))})
CSS_FD = Format("CSS-fd", {"rs1": _X2, "rs2": _FULL_F2, "imm": Field(((10, 3, 3), (7, 3, 6)))})
