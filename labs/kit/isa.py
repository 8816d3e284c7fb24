"""Instructions: a row of the table, and an instruction taken apart."""

from __future__ import annotations

from dataclasses import dataclass

from ..jail.codec import travels


@travels
@dataclass(frozen=True)
class Row:
    """One instruction of the table: `word & mask == match` selects it; where two rows match, the one with more mask
    bits wins. format: "R", "I", "S", "B", "U", "J", and the others that the handout draws."""

    name: str
    match: int
    mask: int
    format: str


@travels
@dataclass(frozen=True)
class Operands:
    """An instruction taken apart: registers by number, the immediate as a signed number; 0 for what it has not."""

    name: str
    rd: int = 0
    rs1: int = 0
    rs2: int = 0
    imm: int = 0
