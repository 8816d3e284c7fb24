"""Bit manipulation and conditional zero: Zba, Zbb, Zbc, Zbs, Zicond (unprivileged manual, "B", "Zicond")."""

from __future__ import annotations

from .formats import SHIFT, SHIFT_W, Format, R
from .row import Instruction

_FUNCT6 = 0xFC00707F
_FUNCT7 = 0xFE00707F
_UNARY = 0xFFF0707F

_REGS = "rd, rs1, rs2"
_ONE = "rd, rs1"
_SHAMT = "rd, rs1, shamt"

UNARY = Format("unary", {name: R.operands[name] for name in ("rd", "rs1")})

ZBA: tuple[Instruction, ...] = (
    Instruction("add.uw", R, 0x0800003B, _FUNCT7, "Zba", _REGS),
    Instruction("sh1add", R, 0x20002033, _FUNCT7, "Zba", _REGS),
    Instruction("sh2add", R, 0x20004033, _FUNCT7, "Zba", _REGS),
    Instruction("sh3add", R, 0x20006033, _FUNCT7, "Zba", _REGS),
    Instruction("sh1add.uw", R, 0x2000203B, _FUNCT7, "Zba", _REGS),
    Instruction("sh2add.uw", R, 0x2000403B, _FUNCT7, "Zba", _REGS),
    Instruction("sh3add.uw", R, 0x2000603B, _FUNCT7, "Zba", _REGS),
    Instruction("slli.uw", SHIFT, 0x0800101B, _FUNCT6, "Zba", _SHAMT),
)

ZBB: tuple[Instruction, ...] = (
    Instruction("andn", R, 0x40007033, _FUNCT7, "Zbb", _REGS),
    Instruction("orn", R, 0x40006033, _FUNCT7, "Zbb", _REGS),
    Instruction("xnor", R, 0x40004033, _FUNCT7, "Zbb", _REGS),
    Instruction("clz", UNARY, 0x60001013, _UNARY, "Zbb", _ONE),
    Instruction("ctz", UNARY, 0x60101013, _UNARY, "Zbb", _ONE),
    Instruction("cpop", UNARY, 0x60201013, _UNARY, "Zbb", _ONE),
    Instruction("clzw", UNARY, 0x6000101B, _UNARY, "Zbb", _ONE),
    Instruction("ctzw", UNARY, 0x6010101B, _UNARY, "Zbb", _ONE),
    Instruction("cpopw", UNARY, 0x6020101B, _UNARY, "Zbb", _ONE),
    Instruction("min", R, 0x0A004033, _FUNCT7, "Zbb", _REGS),
    Instruction("minu", R, 0x0A005033, _FUNCT7, "Zbb", _REGS),
    Instruction("max", R, 0x0A006033, _FUNCT7, "Zbb", _REGS),
    Instruction("maxu", R, 0x0A007033, _FUNCT7, "Zbb", _REGS),
    Instruction("sext.b", UNARY, 0x60401013, _UNARY, "Zbb", _ONE),
    Instruction("sext.h", UNARY, 0x60501013, _UNARY, "Zbb", _ONE),
    Instruction("zext.h", UNARY, 0x0800403B, _UNARY, "Zbb", _ONE),
    Instruction("rol", R, 0x60001033, _FUNCT7, "Zbb", _REGS),
    Instruction("ror", R, 0x60005033, _FUNCT7, "Zbb", _REGS),
    Instruction("rori", SHIFT, 0x60005013, _FUNCT6, "Zbb", _SHAMT),
    Instruction("rolw", R, 0x6000103B, _FUNCT7, "Zbb", _REGS),
    Instruction("rorw", R, 0x6000503B, _FUNCT7, "Zbb", _REGS),
    Instruction("roriw", SHIFT_W, 0x6000501B, _FUNCT7, "Zbb", _SHAMT),
    Instruction("orc.b", UNARY, 0x28705013, _UNARY, "Zbb", _ONE),
    Instruction("rev8", UNARY, 0x6B805013, _UNARY, "Zbb", _ONE),
)

ZBC: tuple[Instruction, ...] = (
    Instruction("clmul", R, 0x0A001033, _FUNCT7, "Zbc", _REGS),
    Instruction("clmulr", R, 0x0A002033, _FUNCT7, "Zbc", _REGS),
    Instruction("clmulh", R, 0x0A003033, _FUNCT7, "Zbc", _REGS),
)

ZBS: tuple[Instruction, ...] = (
    Instruction("bclr", R, 0x48001033, _FUNCT7, "Zbs", _REGS),
    Instruction("bext", R, 0x48005033, _FUNCT7, "Zbs", _REGS),
    Instruction("binv", R, 0x68001033, _FUNCT7, "Zbs", _REGS),
    Instruction("bset", R, 0x28001033, _FUNCT7, "Zbs", _REGS),
    Instruction("bclri", SHIFT, 0x48001013, _FUNCT6, "Zbs", _SHAMT),
    Instruction("bexti", SHIFT, 0x48005013, _FUNCT6, "Zbs", _SHAMT),
    Instruction("binvi", SHIFT, 0x68001013, _FUNCT6, "Zbs", _SHAMT),
    Instruction("bseti", SHIFT, 0x28001013, _FUNCT6, "Zbs", _SHAMT),
)

ZICOND: tuple[Instruction, ...] = (
    Instruction("czero.eqz", R, 0x0E005033, _FUNCT7, "Zicond", _REGS),
    Instruction("czero.nez", R, 0x0E007033, _FUNCT7, "Zicond", _REGS),
)

BIT_ROWS: tuple[Instruction, ...] = ZBA + ZBB + ZBC + ZBS + ZICOND
