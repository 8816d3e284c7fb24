"""May-be-operations, which write zero until an extension gives one of them a meaning (unprivileged manual, "Zimop")."""

from __future__ import annotations

from .formats import Format, R
from .row import Instruction
from .rows_bits import UNARY

_MOP_R = 0xFFF0707F
_MOP_RR = 0xFE00707F


def _mop(name: str, form: Format, match: int, mask: int, syntax: str) -> Instruction:
    return Instruction(name, form, match, mask, "Zimop", syntax, expands="" if name == "mop.r.0" else "mop.r.0")


MOP_ROWS: tuple[Instruction, ...] = (
    *(_mop(f"mop.r.{n}", UNARY, 0x81C04073 | (n >> 4) << 30 | (n >> 2 & 3) << 26 | (n & 3) << 20, _MOP_R, "rd, rs1")
      for n in range(32)),
    *(_mop(f"mop.rr.{n}", R, 0x82004073 | (n >> 2) << 30 | (n & 3) << 26, _MOP_RR, "rd, rs1, rs2") for n in range(8)),
)
