"""The floating-point instructions: F, D, Zfhmin, Zfh and Zfa (unprivileged manual, chapters of those names).

The formats S, D and H differ in their `fmt` field only, so the rows that they share are made once for each.
"""

from __future__ import annotations

from .causes import ILLEGAL_INSTRUCTION
from .formats import (
    F2_EXACT,
    F2_RM,
    F3,
    F3_RM,
    F4,
    F_COMPARE,
    F_TO_X,
    F_TO_X_MODULAR,
    F_TO_X_RM,
    FLI,
    FLOAD,
    FSTORE,
    X_TO_F,
    X_TO_F_EXACT,
    X_TO_F_RM,
    Format,
)
from .row import ANY_MODE, Instruction, Privilege, TrapRule

FLI_CONSTANTS: tuple[float | str, ...] = (
    -1.0, "min", 2.0**-16, 2.0**-15, 2.0**-8, 2.0**-7, 0.0625, 0.125, 0.25, 0.3125, 0.375, 0.4375, 0.5, 0.625, 0.75,
    0.875, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 8.0, 16.0, 128.0, 256.0, 2.0**15, 2.0**16, "inf", "nan")
"""What fli loads, by the number in its instruction (Zfa, "Load-Immediate"); min is the least positive normal number."""

_SECTION = "Extension Context Status in mstatus Register; H: Virtual Supervisor Status (vsstatus) Register"


def _privilege(*conditions: str) -> Privilege:
    traps = tuple(TrapRule(mode, condition, ILLEGAL_INSTRUCTION) for mode in ANY_MODE for condition in (
        "mstatus.FS or vsstatus.FS is off" if mode in ("VS", "VU") else "mstatus.FS is off", *conditions))
    return Privilege(ANY_MODE, traps, _SECTION)


FLOAT_LOAD_STORE = _privilege()
_PLAIN = FLOAT_LOAD_STORE
_ROUNDED = _privilege("rm is dyn and frm holds no rounding mode")

_S, _D, _H = 0, 1, 2
_LETTERS = {_S: "s", _D: "d", _H: "h"}
_EXTENSIONS = {_S: "F", _D: "D", _H: "Zfh"}

_FUNCT3 = 0x0000707F
_FMA = 0x0600007F
_FUNCT7 = 0xFE00007F
_FUNCT7_FUNCT3 = 0xFE00707F
_FUNCT7_RS2 = 0xFFF0007F
_FUNCT7_RS2_FUNCT3 = 0xFFF0707F

_REGS = "rd, rs1, rs2"
_PAIR = "rd, rs1"


def _op(name: str, form: Format, funct5: int, fmt: int, *, rs2: int | None = None, funct3: int | None = None,
        syntax: str = _PAIR, extension: str = "") -> Instruction:
    """A row of the major opcode OP-FP; where funct3 is not given, its bits are rm. Whatever has doubles needs D,
    and Zfa's rows for halves need Zfh."""
    match = 0x53 | funct5 << 27 | fmt << 25 | (rs2 or 0) << 20 | (funct3 or 0) << 12
    mask = {(False, False): _FUNCT7, (False, True): _FUNCT7_FUNCT3, (True, False): _FUNCT7_RS2,
            (True, True): _FUNCT7_RS2_FUNCT3}[rs2 is not None, funct3 is not None]
    if "rm" in form.operands:
        syntax += ", rm"
    return Instruction(name, form, match, mask, extension or _EXTENSIONS[fmt], syntax,
                       _ROUNDED if funct3 is None else _PLAIN,
                       needs="D" if ".d" in name else "Zfh" if (fmt, extension) == (_H, "Zfa") else "")


def _memory(letter: str, funct3: int, extension: str) -> tuple[Instruction, ...]:
    return (
        Instruction(f"fl{letter}", FLOAD, 0x07 | funct3 << 12, _FUNCT3, extension, "rd, imm(rs1)", FLOAT_LOAD_STORE),
        Instruction(f"fs{letter}", FSTORE, 0x27 | funct3 << 12, _FUNCT3, extension, "rs2, imm(rs1)", FLOAT_LOAD_STORE),
    )


def _arithmetic(fmt: int) -> tuple[Instruction, ...]:
    """What F, D and Zfh have alike."""
    s = _LETTERS[fmt]
    from_word = X_TO_F_EXACT if fmt == _D else X_TO_F_RM
    return (
        *(Instruction(f"{name}.{s}", F4, opcode | fmt << 25, _FMA, _EXTENSIONS[fmt], "rd, rs1, rs2, rs3, rm", _ROUNDED)
          for name, opcode in (("fmadd", 0x43), ("fmsub", 0x47), ("fnmsub", 0x4B), ("fnmadd", 0x4F))),
        _op(f"fadd.{s}", F3_RM, 0x00, fmt, syntax=_REGS),
        _op(f"fsub.{s}", F3_RM, 0x01, fmt, syntax=_REGS),
        _op(f"fmul.{s}", F3_RM, 0x02, fmt, syntax=_REGS),
        _op(f"fdiv.{s}", F3_RM, 0x03, fmt, syntax=_REGS),
        _op(f"fsqrt.{s}", F2_RM, 0x0B, fmt, rs2=0),
        _op(f"fsgnj.{s}", F3, 0x04, fmt, funct3=0, syntax=_REGS),
        _op(f"fsgnjn.{s}", F3, 0x04, fmt, funct3=1, syntax=_REGS),
        _op(f"fsgnjx.{s}", F3, 0x04, fmt, funct3=2, syntax=_REGS),
        _op(f"fmin.{s}", F3, 0x05, fmt, funct3=0, syntax=_REGS),
        _op(f"fmax.{s}", F3, 0x05, fmt, funct3=1, syntax=_REGS),
        _op(f"fle.{s}", F_COMPARE, 0x14, fmt, funct3=0, syntax=_REGS),
        _op(f"flt.{s}", F_COMPARE, 0x14, fmt, funct3=1, syntax=_REGS),
        _op(f"feq.{s}", F_COMPARE, 0x14, fmt, funct3=2, syntax=_REGS),
        _op(f"fclass.{s}", F_TO_X, 0x1C, fmt, rs2=0, funct3=1),
        _op(f"fcvt.w.{s}", F_TO_X_RM, 0x18, fmt, rs2=0),
        _op(f"fcvt.wu.{s}", F_TO_X_RM, 0x18, fmt, rs2=1),
        _op(f"fcvt.l.{s}", F_TO_X_RM, 0x18, fmt, rs2=2),
        _op(f"fcvt.lu.{s}", F_TO_X_RM, 0x18, fmt, rs2=3),
        _op(f"fcvt.{s}.w", from_word, 0x1A, fmt, rs2=0),
        _op(f"fcvt.{s}.wu", from_word, 0x1A, fmt, rs2=1),
        _op(f"fcvt.{s}.l", X_TO_F_RM, 0x1A, fmt, rs2=2),
        _op(f"fcvt.{s}.lu", X_TO_F_RM, 0x1A, fmt, rs2=3),
    )


def _additional(fmt: int) -> tuple[Instruction, ...]:
    """Zfa's rows for F, D or Zfh."""
    s = _LETTERS[fmt]
    return (
        _op(f"fli.{s}", FLI, 0x1E, fmt, rs2=1, funct3=0, syntax="rd, constant", extension="Zfa"),
        _op(f"fminm.{s}", F3, 0x05, fmt, funct3=2, syntax=_REGS, extension="Zfa"),
        _op(f"fmaxm.{s}", F3, 0x05, fmt, funct3=3, syntax=_REGS, extension="Zfa"),
        _op(f"fround.{s}", F2_RM, 0x08, fmt, rs2=4, extension="Zfa"),
        _op(f"froundnx.{s}", F2_RM, 0x08, fmt, rs2=5, extension="Zfa"),
        _op(f"fleq.{s}", F_COMPARE, 0x14, fmt, funct3=4, syntax=_REGS, extension="Zfa"),
        _op(f"fltq.{s}", F_COMPARE, 0x14, fmt, funct3=5, syntax=_REGS, extension="Zfa"),
    )


FLOAT_ROWS: tuple[Instruction, ...] = (
    *_memory("h", 1, "Zfhmin"), *_memory("w", 2, "F"), *_memory("d", 3, "D"),
    *(row for make in (_arithmetic, _additional) for fmt in (_S, _D, _H) for row in make(fmt)),
    _op("fmv.x.h", F_TO_X, 0x1C, _H, rs2=0, funct3=0, extension="Zfhmin"),
    _op("fmv.x.w", F_TO_X, 0x1C, _S, rs2=0, funct3=0),
    _op("fmv.x.d", F_TO_X, 0x1C, _D, rs2=0, funct3=0),
    _op("fmv.h.x", X_TO_F, 0x1E, _H, rs2=0, funct3=0, extension="Zfhmin"),
    _op("fmv.w.x", X_TO_F, 0x1E, _S, rs2=0, funct3=0),
    _op("fmv.d.x", X_TO_F, 0x1E, _D, rs2=0, funct3=0),
    _op("fcvt.s.d", F2_RM, 0x08, _S, rs2=1, extension="D"),
    _op("fcvt.d.s", F2_EXACT, 0x08, _D, rs2=0),
    _op("fcvt.s.h", F2_EXACT, 0x08, _S, rs2=2, extension="Zfhmin"),
    _op("fcvt.h.s", F2_RM, 0x08, _H, rs2=0, extension="Zfhmin"),
    _op("fcvt.d.h", F2_EXACT, 0x08, _D, rs2=2, extension="Zfhmin"),
    _op("fcvt.h.d", F2_RM, 0x08, _H, rs2=1, extension="Zfhmin"),
    _op("fcvtmod.w.d", F_TO_X_MODULAR, 0x18, _D, rs2=8, funct3=1, extension="Zfa"),
)
