"""What one row of the instruction table holds, and how its privilege rule is written down."""

from __future__ import annotations

from dataclasses import dataclass

from .formats import Format


@dataclass(frozen=True, slots=True)
class TrapRule:
    """In `mode` (M, HS, U, VS, VU), the instruction traps with exception `cause` if `condition` holds ("" : always).

    HS stands for S-mode too where there is no hypervisor extension.
    """

    mode: str
    condition: str
    cause: int


@dataclass(frozen=True, slots=True)
class Privilege:
    """Who may execute an instruction: the `modes` where it may complete, the rules by which it traps, the section.

    In a mode that is neither in `modes` nor named by a rule it is an illegal instruction.
    """

    modes: tuple[str, ...]
    traps: tuple[TrapRule, ...]
    section: str


RESERVED_ROUNDING = (5, 6)
"""Values of rm that are no rounding mode: with one, an instruction is illegal (F, "Floating-Point Control …")."""

ANY_MODE = ("M", "HS", "U", "VS", "VU")
UNPRIVILEGED = Privilege(ANY_MODE, (), "")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    `insn & mask == match` selects it, and where two rows match the one with more mask bits wins.

    `syntax` lists the operands as assembly writes them: rd, rs1, rs2, imm; the imm's other faces `target` (pc + imm),
    `upper` (imm >> 12, 20 bits unsigned), `csr` (a CSR's name), `shamt`; `zimm` (the number in the rs1 field); and
    pred, succ for fence; rs3, and rm, which may be left out if it has a default; `constant` (one of fli's).

    `expands` names the 32-bit instruction that a compressed one, or a special case such as pause, stands for ("" if it
    stands for itself); its operands carry the names of that instruction's. `nonzero` names an operand whose raw bits
    must not all be zero: with zero bits the encoding is not this instruction (mostly it is reserved, hence illegal).
    `needs` names a second extension without which the instruction does not exist.
    """

    name: str
    format: Format
    match: int
    mask: int
    extension: str
    syntax: str = ""
    privilege: Privilege = UNPRIVILEGED
    expands: str = ""
    nonzero: str = ""
    needs: str = ""

    @property
    def length(self) -> int:
        """Bytes: 2 for a compressed instruction, else 4 (unprivileged manual, "Base Instruction-Length Encoding")."""
        return 4 if self.match & 3 == 3 else 2

    @property
    def nonzero_mask(self) -> int:
        """The instruction bits of which at least one must be set; 0 if there is no such condition."""
        return self.format.operands[self.nonzero].source_mask if self.nonzero else 0

    def matches(self, insn: int) -> bool:
        """Whether the bits `insn` encode this instruction (a more specific row may still win)."""
        if insn & self.mask != self.match or (self.nonzero and not insn & self.nonzero_mask):
            return False
        return "rm" not in self.format.operands or self.format.operands["rm"].extract(insn) not in RESERVED_ROUNDING
