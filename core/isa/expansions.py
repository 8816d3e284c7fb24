"""Pseudo-instructions that stand for several instructions: li, la, lla, call, tail."""

from __future__ import annotations

from .asm_operands import encode, signed
from .asm_source import SourceError
from .instructions import BY_NAME

RA, T1 = 1, 6


def _insn(name: str, **operands: int) -> int:
    return encode(BY_NAME[name], operands)


def load_immediate(rd: int, value: int) -> list[int]:
    """The instructions that put the 64-bit `value` into register `rd`, at most eight.

    A value beyond 32 bits is its upper part, built likewise, shifted left, plus the lowest 12 bits (signed). Raises
    SourceError if it has more than 64 bits.
    """
    if not -(1 << 63) <= value < 1 << 64:
        raise SourceError(f"{value} does not fit in 64 bits")
    return _load(rd, signed(value, 64))


def _load(rd: int, value: int) -> list[int]:
    if -(1 << 11) <= value < 1 << 11:
        return [_insn("addi", rd=rd, imm=value)]
    low = signed(value, 12)
    if -(1 << 31) <= value < 1 << 31:
        upper = _insn("lui", rd=rd, imm=signed(value - low, 32))
        # addiw, not addi: near 2**31 the sum must wrap at 32 bits.
        return [upper, _insn("addiw", rd=rd, rs1=rd, imm=low)] if low else [upper]
    rest = signed(value - low >> 12, 52)
    zeros = (rest & -rest).bit_length() - 1
    code = [*_load(rd, rest >> zeros), _insn("slli", rd=rd, rs1=rd, imm=12 + zeros)]
    return [*code, _insn("addi", rd=rd, rs1=rd, imm=low)] if low else code


def _split(distance: int) -> tuple[int, int]:
    """auipc's immediate and the 12-bit rest that together reach `distance` bytes."""
    distance = signed(distance, 64)
    low = signed(distance, 12)
    if not -(1 << 31) <= distance - low < 1 << 31:
        raise SourceError(f"the target is {distance:+} bytes away, out of reach: 2 GiB either way is right")
    return distance - low, low


def load_address(rd: int, distance: int) -> list[int]:
    """The two instructions that put the address `distance` bytes from the first one into register `rd`."""
    high, low = _split(distance)
    return [_insn("auipc", rd=rd, imm=high), _insn("addi", rd=rd, rs1=rd, imm=low)]


def jump_far(link: int, scratch: int, distance: int) -> list[int]:
    """The two instructions that jump `distance` bytes from the first one: return address to `link`."""
    high, low = _split(distance)
    return [_insn("auipc", rd=scratch, imm=high), _insn("jalr", rd=link, rs1=scratch, imm=low)]
