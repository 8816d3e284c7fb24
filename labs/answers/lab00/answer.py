"""Lab 0: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.isa import Operands, Row

PIECES: dict[str, tuple[tuple[int, int, int], ...]] = {
    "I": ((20, 12, 0),), "S": ((7, 5, 0), (25, 7, 5)), "B": ((8, 4, 1), (25, 6, 5), (7, 1, 11), (31, 1, 12)),
    "U": ((12, 20, 12),), "J": ((21, 10, 1), (20, 1, 11), (12, 8, 12), (31, 1, 20)), "I-shift": ((20, 6, 0),),
    "I-shiftw": ((20, 5, 0),), "csr": ((20, 12, 0),)}
"""Where a format's immediate lies: lowest bit in the word, how many, lowest bit in the number."""

WIDTH = {"I": 12, "S": 12, "B": 13, "U": 32, "J": 21}
"""Bits of the signed immediates; the others are unsigned."""

REGISTERS: dict[str, tuple[str, ...]] = {
    "R": ("rd", "rs1", "rs2"), "I": ("rd", "rs1"), "S": ("rs1", "rs2"), "B": ("rs1", "rs2"), "U": ("rd",), "J": ("rd",),
    "I-shift": ("rd", "rs1"), "I-shiftw": ("rd", "rs1"), "csr": ("rd", "rs1"), "amo": ("rd", "rs1", "rs2"),
    "lr": ("rd", "rs1"), "hlv": ("rd", "rs1"), "hsv": ("rs1", "rs2"), "unary": ("rd", "rs1"), "none": ()}
PLACE = {"rd": 7, "rs1": 15, "rs2": 20}

A0 = 10


def sign_extend(value: int, bits: int) -> int:
    """The low `bits` bits of `value`, read as a two's complement number."""
    sign = 1 << bits - 1
    return (value & 2 * sign - 1 ^ sign) - sign


class Codec:
    """Turns words into operands and back, by a table that it is given once."""

    def use(self, rows: list[Row]) -> None:
        """Called once, before anything else: the instruction table, in no particular order."""
        self.rows = sorted(rows, key=lambda row: -row.mask.bit_count())
        self.by_name = {row.name: row for row in rows}

    def decode(self, word: int) -> Operands | None:
        """The instruction that `word` (32 bits) is, None if it is none."""
        row = next((row for row in self.rows if word & row.mask == row.match), None)
        if row is None:
            return None
        imm = sum((word >> at & (1 << width) - 1) << to for at, width, to in PIECES.get(row.format, ()))
        if row.format in WIDTH:
            imm = sign_extend(imm, WIDTH[row.format])
        registers = {name: word >> PLACE[name] & 31 for name in REGISTERS[row.format]}
        return Operands(row.name, **registers, imm=imm)

    def encode(self, operands: Operands) -> int:
        """The word that `decode` would give these operands for. ValueError if there is none."""
        if operands.name not in self.by_name:
            raise ValueError(f"no instruction {operands.name}")
        row = self.by_name[operands.name]
        word = row.match
        for name in REGISTERS[row.format]:
            number = getattr(operands, name)
            if not 0 <= number < 32:
                raise ValueError(f"{name} = {number}")
            word |= number << PLACE[name]
        for at, width, to in PIECES.get(row.format, ()):
            word |= (operands.imm >> to & (1 << width) - 1) << at
        decoded = self.decode(word)
        if row.format in PIECES and (decoded is None or decoded.imm != operands.imm):
            raise ValueError(f"{operands.imm} does not fit")
        return word

    def load_constant(self, value: int) -> list[int]:
        """Words that leave `value` in a0: from the top, twelve bits at a time, as the assembler's li does."""
        return [self.encode(each) for each in self._steps(sign_extend(value, 64))]

    def _steps(self, value: int) -> list[Operands]:
        if -2048 <= value < 2048:
            return [Operands("addi", rd=A0, rs1=0, imm=value)]
        low = sign_extend(value, 12)
        if -(1 << 31) <= value < 1 << 31:
            upper = [Operands("lui", rd=A0, imm=sign_extend(value - low, 32))]
            return upper + ([Operands("addiw", rd=A0, rs1=A0, imm=low)] if low else [])
        rest = value - low
        shift = (rest & -rest).bit_length() - 1
        above = sign_extend(rest >> shift, 64 - shift)
        # lui fills from bit 12: twelve places less to shift are one instruction fewer.
        if shift > 12 and not -2048 <= above < 2048 and -(1 << 31) <= above << 12 < 1 << 31:
            shift, above = shift - 12, above << 12
        steps = [*self._steps(above), Operands("slli", rd=A0, rs1=A0, imm=shift)]
        return steps + ([Operands("addi", rd=A0, rs1=A0, imm=low)] if low else [])


def found_bugs() -> list[str]:
    """Stores land elsewhere, negative loads, branches and CSRs are missing, srai of 32 and more is srl."""
    return ["sd a0, 8(sp)", "lb a0, -1(sp)", "srai a0, a0, 40", "beq a0, a1, 8", "csrrw a0, sscratch, a1"]
