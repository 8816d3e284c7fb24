"""The compressed instructions of RV64C (unprivileged manual, "RVC Instruction Set Listings"); c.fld and its kin need D.

Reserved encodings are data: `nonzero` names the operand that must not be zero. The hints (c.addi with rd or imm 0;
c.li, c.lui, c.mv, c.add and c.slli with rd 0; shifts by 0) execute as what they expand to, which changes nothing. The
zero halfword is illegal.
"""

from __future__ import annotations

from .formats import (
    CA,
    CB,
    CB_ANDI,
    CB_SHIFT,
    CI,
    CI_FLDSP,
    CI_LDSP,
    CI_LI,
    CI_LUI,
    CI_LWSP,
    CI_SHIFT,
    CI_SP,
    CIW,
    CJ,
    CL_D,
    CL_FD,
    CL_W,
    CR_ADD,
    CR_JALR,
    CR_JR,
    CR_MV,
    CS_D,
    CS_FD,
    CS_W,
    CSS_D,
    CSS_FD,
    CSS_W,
    NONE,
    Format,
)
from .row import UNPRIVILEGED, Instruction, Privilege
from .rows_float import FLOAT_LOAD_STORE

_FUNCT3 = 0xE003
_FUNCT3_RD = 0xEF83  # bits 11:7 fixed too
_FUNCT4 = 0xF003
_FUNCT4_RS2 = 0xF07F  # bits 6:2 fixed too
_FUNCT2 = 0xEC03
_FUNCT6_FUNCT2 = 0xFC63
_EXACT = 0xFFFF


def _row(name: str, form: Format, match: int, mask: int, syntax: str, expands: str, nonzero: str = "",
         extension: str = "Zca", privilege: Privilege = UNPRIVILEGED) -> Instruction:
    return Instruction(name, form, match, mask, extension, syntax, privilege, expands, nonzero)


C_ROWS: tuple[Instruction, ...] = (
    _row("c.addi4spn", CIW, 0x0000, _FUNCT3, "rd, rs1, imm", "addi", nonzero="imm"),
    _row("c.lw", CL_W, 0x4000, _FUNCT3, "rd, imm(rs1)", "lw"),
    _row("c.ld", CL_D, 0x6000, _FUNCT3, "rd, imm(rs1)", "ld"),
    _row("c.sw", CS_W, 0xC000, _FUNCT3, "rs2, imm(rs1)", "sw"),
    _row("c.sd", CS_D, 0xE000, _FUNCT3, "rs2, imm(rs1)", "sd"),
    _row("c.nop", NONE, 0x0001, _EXACT, "", "addi"),
    _row("c.addi", CI, 0x0001, _FUNCT3, "rd, imm", "addi"),
    _row("c.addiw", CI, 0x2001, _FUNCT3, "rd, imm", "addiw", nonzero="rd"),
    _row("c.li", CI_LI, 0x4001, _FUNCT3, "rd, imm", "addi"),
    _row("c.addi16sp", CI_SP, 0x6101, _FUNCT3_RD, "rd, imm", "addi", nonzero="imm"),
    _row("c.lui", CI_LUI, 0x6001, _FUNCT3, "rd, upper", "lui", nonzero="imm"),
    _row("c.srli", CB_SHIFT, 0x8001, _FUNCT2, "rd, shamt", "srli"),
    _row("c.srai", CB_SHIFT, 0x8401, _FUNCT2, "rd, shamt", "srai"),
    _row("c.andi", CB_ANDI, 0x8801, _FUNCT2, "rd, imm", "andi"),
    _row("c.sub", CA, 0x8C01, _FUNCT6_FUNCT2, "rd, rs2", "sub"),
    _row("c.xor", CA, 0x8C21, _FUNCT6_FUNCT2, "rd, rs2", "xor"),
    _row("c.or", CA, 0x8C41, _FUNCT6_FUNCT2, "rd, rs2", "or"),
    _row("c.and", CA, 0x8C61, _FUNCT6_FUNCT2, "rd, rs2", "and"),
    _row("c.subw", CA, 0x9C01, _FUNCT6_FUNCT2, "rd, rs2", "subw"),
    _row("c.addw", CA, 0x9C21, _FUNCT6_FUNCT2, "rd, rs2", "addw"),
    _row("c.j", CJ, 0xA001, _FUNCT3, "target", "jal"),
    _row("c.beqz", CB, 0xC001, _FUNCT3, "rs1, target", "beq"),
    _row("c.bnez", CB, 0xE001, _FUNCT3, "rs1, target", "bne"),
    _row("c.slli", CI_SHIFT, 0x0002, _FUNCT3, "rd, shamt", "slli"),
    _row("c.lwsp", CI_LWSP, 0x4002, _FUNCT3, "rd, imm(rs1)", "lw", nonzero="rd"),
    _row("c.ldsp", CI_LDSP, 0x6002, _FUNCT3, "rd, imm(rs1)", "ld", nonzero="rd"),
    _row("c.jr", CR_JR, 0x8002, _FUNCT4_RS2, "rs1", "jalr", nonzero="rs1"),
    _row("c.mv", CR_MV, 0x8002, _FUNCT4, "rd, rs2", "add", nonzero="rs2"),
    _row("c.ebreak", NONE, 0x9002, _EXACT, "", "ebreak"),
    _row("c.jalr", CR_JALR, 0x9002, _FUNCT4_RS2, "rs1", "jalr", nonzero="rs1"),
    _row("c.add", CR_ADD, 0x9002, _FUNCT4, "rd, rs2", "add", nonzero="rs2"),
    _row("c.swsp", CSS_W, 0xC002, _FUNCT3, "rs2, imm(rs1)", "sw"),
    _row("c.sdsp", CSS_D, 0xE002, _FUNCT3, "rs2, imm(rs1)", "sd"),
    _row("c.fld", CL_FD, 0x2000, _FUNCT3, "rd, imm(rs1)", "fld", extension="Zcd", privilege=FLOAT_LOAD_STORE),
    _row("c.fsd", CS_FD, 0xA000, _FUNCT3, "rs2, imm(rs1)", "fsd", extension="Zcd", privilege=FLOAT_LOAD_STORE),
    _row("c.fldsp", CI_FLDSP, 0x2002, _FUNCT3, "rd, imm(rs1)", "fld", extension="Zcd", privilege=FLOAT_LOAD_STORE),
    _row("c.fsdsp", CSS_FD, 0xA002, _FUNCT3, "rs2, imm(rs1)", "fsd", extension="Zcd", privilege=FLOAT_LOAD_STORE),
)
