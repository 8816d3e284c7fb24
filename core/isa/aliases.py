"""Pseudo-instructions that stand for one instruction (unprivileged manual, "RISC-V Assembly Programmer's Handbook").

The assembler reads a row left to right, the disassembler right to left. Those that stand for several instructions (li,
la, call, tail) are in `expansions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Alias:
    """`name` with the operands `syntax` stands for instruction `row` with the operands in `fixed` set to those values.

    The `syntax` is written as in the instruction table. `is_shown`: the disassembler prefers it to the plain form.
    `is_doubled`: rs2 is the same register as rs1.
    """

    name: str
    syntax: str
    row: str
    fixed: Mapping[str, int] = field(default_factory=dict)
    is_shown: bool = True
    is_doubled: bool = False


def _alias(name: str, syntax: str, row: str, *, is_shown: bool = True, is_doubled: bool = False, **fixed: int) -> Alias:
    return Alias(name, syntax, row, fixed, is_shown, is_doubled)


def _float_aliases(letter: str) -> tuple[Alias, ...]:
    return (
        _alias(f"fmv.{letter}", "rd, rs1", f"fsgnj.{letter}", is_doubled=True),
        _alias(f"fneg.{letter}", "rd, rs1", f"fsgnjn.{letter}", is_doubled=True),
        _alias(f"fabs.{letter}", "rd, rs1", f"fsgnjx.{letter}", is_doubled=True),
        _alias(f"fgt.{letter}", "rd, rs2, rs1", f"flt.{letter}", is_shown=False),
        _alias(f"fge.{letter}", "rd, rs2, rs1", f"fle.{letter}", is_shown=False),
    )


ALIASES: tuple[Alias, ...] = (
    _alias("nop", "", "addi", rd=0, rs1=0, imm=0),
    _alias("li", "rd, imm", "addi", rs1=0),
    _alias("mv", "rd, rs1", "addi", imm=0),
    _alias("not", "rd, rs1", "xori", imm=-1),
    _alias("neg", "rd, rs2", "sub", rs1=0),
    _alias("negw", "rd, rs2", "subw", rs1=0),
    _alias("sext.w", "rd, rs1", "addiw", imm=0),
    _alias("zext.b", "rd, rs1", "andi", imm=255),
    _alias("seqz", "rd, rs1", "sltiu", imm=1),
    _alias("snez", "rd, rs2", "sltu", rs1=0),
    _alias("sltz", "rd, rs1", "slt", rs2=0),
    _alias("sgtz", "rd, rs2", "slt", rs1=0),
    _alias("beqz", "rs1, target", "beq", rs2=0),
    _alias("bnez", "rs1, target", "bne", rs2=0),
    _alias("blez", "rs2, target", "bge", rs1=0),
    _alias("bgez", "rs1, target", "bge", rs2=0),
    _alias("bltz", "rs1, target", "blt", rs2=0),
    _alias("bgtz", "rs2, target", "blt", rs1=0),
    _alias("bgt", "rs2, rs1, target", "blt", is_shown=False),
    _alias("ble", "rs2, rs1, target", "bge", is_shown=False),
    _alias("bgtu", "rs2, rs1, target", "bltu", is_shown=False),
    _alias("bleu", "rs2, rs1, target", "bgeu", is_shown=False),
    _alias("sgt", "rd, rs2, rs1", "slt", is_shown=False),
    _alias("sgtu", "rd, rs2, rs1", "sltu", is_shown=False),
    _alias("j", "target", "jal", rd=0),
    _alias("jal", "target", "jal", rd=1),
    _alias("ret", "", "jalr", rd=0, rs1=1, imm=0),
    _alias("jr", "rs1", "jalr", rd=0, imm=0),
    _alias("jr", "imm(rs1)", "jalr", rd=0),
    _alias("jalr", "rs1", "jalr", rd=1, imm=0),
    _alias("jalr", "imm(rs1)", "jalr", rd=1),
    _alias("jalr", "rd, rs1", "jalr", imm=0),
    _alias("jalr", "rd, rs1, imm", "jalr", is_shown=False),
    _alias("fence", "", "fence", fm=0, pred=15, succ=15),
    _alias("rdcycle", "rd", "csrrs", rs1=0, imm=0xC00),
    _alias("rdtime", "rd", "csrrs", rs1=0, imm=0xC01),
    _alias("rdinstret", "rd", "csrrs", rs1=0, imm=0xC02),
    _alias("csrr", "rd, csr", "csrrs", rs1=0),
    _alias("csrw", "csr, rs1", "csrrw", rd=0),
    _alias("csrs", "csr, rs1", "csrrs", rd=0),
    _alias("csrc", "csr, rs1", "csrrc", rd=0),
    _alias("csrwi", "csr, zimm", "csrrwi", rd=0),
    _alias("csrsi", "csr, zimm", "csrrsi", rd=0),
    _alias("csrci", "csr, zimm", "csrrci", rd=0),
    _alias("csrw", "csr, zimm", "csrrwi", is_shown=False, rd=0),
    _alias("csrs", "csr, zimm", "csrrsi", is_shown=False, rd=0),
    _alias("csrc", "csr, zimm", "csrrci", is_shown=False, rd=0),
    _alias("unimp", "", "csrrw", rd=0, rs1=0, imm=0xC00),
    *_float_aliases("s"), *_float_aliases("d"),
    _alias("frflags", "rd", "csrrs", rs1=0, imm=1),
    _alias("fsflags", "rs1", "csrrw", rd=0, imm=1),
    _alias("fsflags", "rd, rs1", "csrrw", imm=1),
    _alias("fsflagsi", "zimm", "csrrwi", rd=0, imm=1),
    _alias("fsflagsi", "rd, zimm", "csrrwi", imm=1),
    _alias("frrm", "rd", "csrrs", rs1=0, imm=2),
    _alias("fsrm", "rs1", "csrrw", rd=0, imm=2),
    _alias("fsrm", "rd, rs1", "csrrw", imm=2),
    _alias("fsrmi", "zimm", "csrrwi", rd=0, imm=2),
    _alias("fsrmi", "rd, zimm", "csrrwi", imm=2),
    _alias("frcsr", "rd", "csrrs", rs1=0, imm=3),
    _alias("fscsr", "rs1", "csrrw", rd=0, imm=3),
    _alias("fscsr", "rd, rs1", "csrrw", imm=3),
    _alias("sfence.vma", "", "sfence.vma", rs1=0, rs2=0),
    _alias("sfence.vma", "rs1", "sfence.vma", rs2=0),
    _alias("hfence.vvma", "", "hfence.vvma", rs1=0, rs2=0),
    _alias("hfence.vvma", "rs1", "hfence.vvma", rs2=0),
    _alias("hfence.gvma", "", "hfence.gvma", rs1=0, rs2=0),
    _alias("hfence.gvma", "rs1", "hfence.gvma", rs2=0),
)
