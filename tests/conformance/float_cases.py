"""Floating-point instructions one at a time on a hart, and operands that find mistakes."""

from __future__ import annotations

import random

from hartvisor.core.isa.instructions import OPS, Instruction

from ..hart.bench import CODE, Bench, number
from .ieee import FORMATS, INTEGERS, U64, Format, boxed

_OPCODES = (0x43, 0x47, 0x4B, 0x4F, 0x53)
COMPUTATIONS: dict[str, Instruction] = {
    row.name: row for row in OPS if row.match & 0x7F in _OPCODES and not row.name.startswith("fli.")
}
"""Every row that computes, but fli, which has no operand register."""

F_DIRTY = 3 << 13
DYN = 7


def operand_kinds(name: str) -> tuple[str, ...]:
    """A format's letter or an integer type's name for each register the instruction reads."""
    row = COMPUTATIONS[name]
    first = name.split(".")[-1]
    if name in ("fmv.w.x", "fmv.h.x", "fmv.d.x"):
        first = "l"
    elif first in INTEGERS and row.format.operands["rs1"].is_float:
        first = "s"
    return (first,) * sum(register in row.format.operands for register in ("rs1", "rs2", "rs3"))


def is_rounded(name: str) -> bool:
    """Whether the instruction has an rm field to choose."""
    return "rm" in COMPUTATIONS[name].format.operands and name != "fcvtmod.w.d"


class Unit:
    """A hart in M-mode, FS dirty, that executes single instructions: registers x10 or f10 from x11, f11 and so on."""

    def __init__(self, *, host_float: bool = True) -> None:
        self.bench = Bench()
        self.hart = self.bench.hart
        self.hart.host_float = host_float
        self.bench["mstatus"] = F_DIRTY
        self._fcsr = number("fcsr")
        self._places: dict[int, int] = {}

    def run(
        self, name: str, mode: int, operands: tuple[int, ...], flags: int = 0, is_static: bool = False
    ) -> tuple[int, int]:
        """The result register and fflags after one instruction, in rounding mode `mode`, with fflags `flags` before."""
        row = COMPUTATIONS[name]
        fields = row.format.operands
        insn = row.match | fields["rd"].insert(10)
        for index, register in enumerate(("rs1", "rs2", "rs3")):
            if register in fields:
                insn |= fields[register].insert(11 + index)
                if fields[register].is_float:
                    self.hart.write_fpr(11 + index, operands[index])
                else:
                    self.hart.write_gpr(11 + index, operands[index])
        if is_rounded(name):
            insn |= fields["rm"].insert(mode if is_static else DYN)
        place = self._places.get(insn)
        if place is None:
            place = self._places[insn] = CODE + 4 * len(self._places)
            self.bench.memory.store(place, 4, insn)
        self.hart.write_csr(self._fcsr, flags | (0 if is_static else mode) << 5)
        self.hart.pc = place
        self.hart.run(1)
        assert self.hart.pc == place + 4, f"{name} trapped"
        result = self.hart.read_fpr(10) if fields["rd"].is_float else self.hart.read_gpr(10)
        return result, self.hart.read_csr(self._fcsr) & 31


def corners(form: Format) -> list[int]:
    """Bits of one format, of both signs: zeros, subnormals, bounds, powers of two, halves, NaNs, infinities."""
    one = form.emax << form.precision - 1
    unit = 1 << form.precision - 1
    magnitudes = [
        0,
        1,
        2,
        3,
        unit // 2,
        unit - 1,
        unit,
        unit + 1,
        2 * unit - 1,
        2 * unit,
        form.infinity - 1,
        form.infinity - 2,
        form.infinity - unit,
        form.infinity,
        form.nan,
        form.nan | 5,
        form.infinity | 1,
        form.infinity | unit // 2 - 1,
        one,
        one + 1,
        one - 1,
        one - unit,
        one + unit // 2,
        one + unit,
        one + unit + unit // 2,
        one + 2 * unit + unit // 4,
        one + (form.precision - 1) * unit,
        one + form.precision * unit,
        one - form.precision * unit,
        one // 2,
        one // 2 + 1,
        one // 2 + unit,
        one + one // 2,
    ]
    for bits in (31, 32, 63, 64):
        if bits <= form.emax:
            edge = one + bits * unit
            magnitudes += [edge - 1, edge, edge + 1, edge + unit // 2]
    return [magnitude | sign for magnitude in magnitudes for sign in (0, form.sign)]


def registers(kind: str) -> list[int]:
    """Register values of an operand: corners, boxed, with some that are boxed wrongly; or integers."""
    if kind in INTEGERS:
        near = [
            0,
            1,
            2,
            3,
            5,
            0x7FFF_FFFF,
            0x8000_0000,
            0xFFFF_FFFF,
            1 << 62,
            1 << 63,
            U64,
            U64 - 1,
            (1 << 63) - 1,
            (1 << 53) + 1,
            (1 << 53) + 2,
            (1 << 54) + 2,
            (1 << 54) + 6,
            (1 << 24) + 1,
            (1 << 24) + 3,
            (1 << 25) + 2,
            (1 << 63) + (1 << 10),
            (1 << 63) + (1 << 10) + 1,
            (1 << 63) + 3 * (1 << 10),
            (1 << 62) + (1 << 38),
            0x7FFF_FFC0,
            0x1234_5678_9ABC_DEF0,
            0xFFFF_FFFF_8000_0000,
            0xFFFF_FFFF_7FFF_FFFF,
            65504,
            65519,
            65520,
        ]
        return near + [-value & U64 for value in near]
    form = FORMATS[kind]
    values = [boxed(bits, form) for bits in corners(form)]
    if form.width < 64:
        one = form.emax << form.precision - 1
        values += [one, one | 0xFFFF_FFFE << 32, one | U64 << 33 & U64, 0]
    return values


def random_register(source: random.Random, kind: str) -> int:
    """A register value: any, near a corner, or with an exponent that makes operands meet."""
    if kind in INTEGERS:
        if source.random() < 0.1:
            return source.choice(registers(kind))
        return source.getrandbits(64) >> source.randrange(64)
    form = FORMATS[kind]
    draw = source.random()
    if draw < 0.25:
        return source.choice(registers(kind))
    if draw < 0.45:
        bits = source.getrandbits(form.width)
    else:
        exponent = form.emax + source.randrange(-form.precision - 3, form.precision + 4)
        if draw > 0.85:
            exponent = source.choice(
                (
                    source.randrange(0, 3),
                    2 * form.emax - source.randrange(0, 3),
                    form.emax // 2 + source.randrange(-2, form.precision),
                )
            )
        fraction = source.getrandbits(form.precision - 1)
        if source.random() < 0.5:
            fraction &= -1 << source.randrange(form.precision)
        fraction &= (1 << form.precision - 1) - 1
        bits = min(max(exponent, 0), 2 * form.emax) << form.precision - 1 | fraction | source.choice((0, form.sign))
    return boxed(bits, form)
