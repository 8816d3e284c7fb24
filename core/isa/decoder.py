"""From an instruction's bits to its row and operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from .formats import Field
from .instructions import INSTRUCTIONS
from .row import Instruction

_ABSENT = Field()

# Every row fixes these bits, so they choose the few rows to try.
_OPCODE_32 = 0x0000007F
_OPCODE_16 = 0xE003


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction taken apart.

    `row` is its row; `name` is the 32-bit instruction that executes (what a compressed row expands to), whose operands
    rd, rs1, rs2 (register numbers) and imm (signed) are given, 0 where it has none. `length` is in bytes.
    """

    insn: int
    row: Instruction
    name: str
    length: int
    rd: int
    rs1: int
    rs2: int
    imm: int


def length(insn: int) -> int:
    """Bytes of the instruction that starts with the halfword or word `insn`: 2 or 4 (longer ones do not exist here)."""
    return 4 if insn & 3 == 3 else 2


def _bucket(insn: int) -> int:
    return insn & (_OPCODE_32 if length(insn) == 4 else _OPCODE_16)


def _buckets() -> dict[int, list[Instruction]]:
    buckets: dict[int, list[Instruction]] = {}
    for row in sorted(INSTRUCTIONS, key=lambda row: -row.mask.bit_count()):
        buckets.setdefault(_bucket(row.match), []).append(row)
    return buckets


_ROWS = _buckets()


def find_row(insn: int) -> Instruction | None:
    """The most specific row that `insn` (exactly 16 or 32 bits) matches; None if it is no instruction."""
    for row in _ROWS.get(_bucket(insn), ()):
        if row.matches(insn):
            return row
    return None


@lru_cache(maxsize=4096)
def decode(insn: int) -> Decoded | None:
    """Take `insn` apart; None if it is no instruction. Bits above a compressed instruction's 16 are ignored."""
    insn &= 0xFFFF_FFFF if length(insn) == 4 else 0xFFFF
    row = find_row(insn)
    if row is None:
        return None
    operands = row.format.operands
    return Decoded(
        insn, row, row.expands or row.name, row.length,
        operands.get("rd", _ABSENT).extract(insn), operands.get("rs1", _ABSENT).extract(insn),
        operands.get("rs2", _ABSENT).extract(insn), operands.get("imm", _ABSENT).extract(insn))
