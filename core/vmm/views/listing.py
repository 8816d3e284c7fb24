"""Instructions in memory, in order, around an address: where they begin, what they are, and where they lead."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

from ...isa.asm_operands import encode
from ...isa.decoder import Decoded, decode, length
from ...isa.disassembler import disassemble
from ...isa.instructions import BY_NAME
from ...isa.paging import PAGE_SIZE
from ...isa.registers import ABI

MASK: Final = (1 << 64) - 1
COMPRESSED: Final = 2
HINTS: Final = ("c.mop", "c.ntl")
"""Compressed instructions that are known by their own names."""

MOST_BACK: Final = 4 * PAGE_SIZE
"""Bytes from a function's beginning to an address that are decoded to find where instructions begin."""

BRANCHES: Final = ("beq", "bne", "blt", "bge", "bltu", "bgeu")

Read = Callable[[int, int], bytes]
"""read(address, length): bytes, as far as there are any."""


class Line(NamedTuple):
    """An instruction. bits: None where nothing can be read."""

    address: int
    bits: int | None
    size: int

    @property
    def decoded(self) -> Decoded | None:
        """Taken apart; None if it is no instruction."""
        return None if self.bits is None else decode(self.bits)


def text_of(bits: int, address: int) -> str:
    """Disassembled, with the names that people use; a compressed instruction as the one that it stands for."""
    insn = decode(bits)
    is_relative = insn is not None and insn.name in (*BRANCHES, "jal")
    return _text(bits, address if is_relative else 0)


@lru_cache(maxsize=16384)
def _text(bits: int, address: int) -> str:
    insn = decode(bits)
    if insn is None or insn.length != COMPRESSED or not insn.row.expands or insn.row.name.startswith(HINTS):
        return disassemble(bits, address, aliases=True)
    row = BY_NAME[insn.row.expands]
    if row.name == "add" and not insn.rs1:  # c.mv, for which mv is addi elsewhere
        return f"mv {ABI[insn.rd]},{ABI[insn.rs2]}"
    operands = {"rd": insn.rd, "rs1": insn.rs1, "rs2": insn.rs2, "imm": insn.imm}
    whole = encode(row, {name: operands[name] for name in operands.keys() & row.format.operands.keys()})
    return disassemble(whole, address, aliases=True)


def target_of(line: Line) -> int | None:
    """Where a branch or a direct jump leads."""
    insn = line.decoded
    if insn is None or insn.name not in (*BRANCHES, "jal"):
        return None
    return line.address + insn.imm & MASK


def is_call(insn: Decoded) -> bool:
    """Whether it leaves a return address: in ra, or t0 as the ABI's millicode does."""
    return insn.name in ("jal", "jalr") and insn.rd in (1, 5)


def after(read: Read, address: int, count: int) -> list[Line]:
    """`count` instructions from `address` on; where nothing can be read, one line for the rest of the page."""
    lines: list[Line] = []
    data, base = b"", address
    while len(lines) < count and address <= MASK:
        at = address - base
        if at + 4 > len(data):
            data, base, at = read(address, max(256, 4 * (count - len(lines)))), address, 0
        if at + 2 > len(data):
            size = min(PAGE_SIZE - address % PAGE_SIZE, MASK + 1 - address)
            lines.append(Line(address, None, size))
            address += size
            continue
        low = int.from_bytes(data[at:at + 2], "little")
        size = length(low)
        if at + size > len(data):
            lines.append(Line(address, None, 2))
            address += 2
            continue
        lines.append(Line(address, int.from_bytes(data[at:at + size], "little"), size))
        address += size
    return lines


def before(read: Read, address: int, count: int, start: int | None) -> list[Line]:
    """At most `count` instructions up to `address`. start: of the function, if it is known; else the beginning is
    guessed, so that the instructions lead to `address`."""
    if start is not None and 0 <= address - start <= MOST_BACK:
        lines = _until(read, start, address)
        if lines is not None:
            return lines[-count:] if count else []
    for back in range(4 * count, 0, -2):
        lines = _until(read, max(0, address - back), address)
        if lines is not None and all(line.decoded is not None for line in lines):
            return lines[-count:]
    return []


def _until(read: Read, start: int, end: int) -> list[Line] | None:
    """From start up to end; None if no instruction begins at `end`, or something cannot be read."""
    data = read(start, end - start)
    if len(data) != end - start:
        return None
    lines, at = [], 0
    while at < len(data):
        size = length(int.from_bytes(data[at:at + 2], "little"))
        if at + size > len(data):
            return None
        lines.append(Line(start + at, int.from_bytes(data[at:at + size], "little"), size))
        at += size
    return lines
