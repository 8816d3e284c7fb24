"""The instruction table: one row an instruction, read by decoder, disassembler, assembler, hart and documentation."""

from __future__ import annotations

from .compressed import C_ROWS
from .compressed_more import MORE_COMPRESSED_ROWS
from .row import Instruction, Privilege, TrapRule
from .rows_base import BASE_ROWS
from .rows_bits import BIT_ROWS
from .rows_float import FLOAT_ROWS
from .rows_memory import MEMORY_ROWS
from .rows_mop import MOP_ROWS
from .rows_privileged import PRIVILEGED_ROWS

__all__ = ["BY_NAME", "COMPRESSED_ROWS", "INSTRUCTIONS", "OPS", "OP_BY_NAME", "Instruction", "Privilege", "TrapRule"]

COMPRESSED_ROWS: tuple[Instruction, ...] = C_ROWS + MORE_COMPRESSED_ROWS

INSTRUCTIONS: tuple[Instruction, ...] = (
    BASE_ROWS + BIT_ROWS + MEMORY_ROWS + MOP_ROWS + PRIVILEGED_ROWS + FLOAT_ROWS + COMPRESSED_ROWS)
"""Every row."""

OPS: tuple[Instruction, ...] = tuple(row for row in INSTRUCTIONS if not row.expands)
"""The rows that a hart executes; the others expand to one of them. An instruction's op id is its index here."""

BY_NAME: dict[str, Instruction] = {row.name: row for row in INSTRUCTIONS}

OP_BY_NAME: dict[str, int] = {row.name: op for op, row in enumerate(OPS)}
