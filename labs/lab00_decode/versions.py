"""The right codec, from the hypervisor's own tables, and broken ones: what students' tests are to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...core.isa.row import Instruction
from ..kit.isa import Operands
from ..lab import RIGHT
from . import oracle


class Right:
    """The codec that students write, on the real table."""

    def __init__(self) -> None:
        self.rows: tuple[Instruction, ...] = oracle.table(0)

    def sign_extend(self, value: int, bits: int) -> int:
        """The low bits as a signed number."""
        low = value & (1 << bits) - 1
        return low - (1 << bits) if low >> bits - 1 else low

    def decode(self, word: int) -> Operands | None:
        """What the word is."""
        return oracle.decode(self.rows, word)

    def encode(self, operands: Operands) -> int:
        """The word."""
        row = next((row for row in self.rows if row.name == operands.name), None)
        if row is None:
            raise ValueError(operands.name)
        values = {name: getattr(operands, name) for name in row.format.operands if name in ("rd", "rs1", "rs2", "imm")}
        return oracle.encode(row, values)


class Unsigned(Right):
    """Stores' offsets are not sign-extended."""

    def decode(self, word: int) -> Operands | None:
        """As the right one, but for S."""
        found = super().decode(word)
        if found is not None and word & 0x7F == 0x23:
            return Operands(found.name, found.rd, found.rs1, found.rs2, found.imm & 0xFFF)
        return found


class Branch(Right):
    """Bits 11 and 12 of a branch's offset are exchanged."""

    def decode(self, word: int) -> Operands | None:
        """As the right one, but for B."""
        if word & 0x7F == 0x63:
            low, high = word >> 7 & 1, word >> 31 & 1
            word = word & ~(1 << 7 | 1 << 31) | high << 7 | low << 31
        return super().decode(word)


class Shift(Right):
    """Shift amounts have five bits, as on RV32."""

    def decode(self, word: int) -> Operands | None:
        """As the right one, but for shifts by 32 and more."""
        found = super().decode(word)
        if found is not None and found.name in ("slli", "srli", "srai"):
            return Operands(found.name, found.rd, found.rs1, found.rs2, found.imm & 31)
        return found


class Loose(Right):
    """It has an answer for words that are none."""

    def decode(self, word: int) -> Operands | None:
        """Where nothing matches, funct7 is not looked at."""
        found = super().decode(word)
        return found if found is not None or word & 0x7F != 0x33 else super().decode(word & 0x01FF_FFFF)


class Wraps(Right):
    """encode cuts what does not fit."""

    def encode(self, operands: Operands) -> int:
        """Never a ValueError for an immediate."""
        row = next((row for row in self.rows if row.name == operands.name), None)
        if row is None or "imm" not in row.format.operands:
            return super().encode(operands)
        field = row.format.operands["imm"]
        value = operands.imm & (1 << field.sign_bits) - 1 if field.sign_bits else operands.imm
        value &= field.value_mask
        if field.sign_bits and value >> field.sign_bits - 1:
            value -= 1 << field.sign_bits
        return super().encode(Operands(operands.name, operands.rd, operands.rs1, operands.rs2, value))


class Narrow(Right):
    """sign_extend does nothing where bits above are set."""

    def sign_extend(self, value: int, bits: int) -> int:
        """Wrong where the value is wider than `bits`."""
        return value - (1 << bits) if value >> bits - 1 & 1 else value


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "unsigned": Unsigned, "branch": Branch, "shift": Shift, "loose": Loose, "wraps": Wraps,
    "narrow": Narrow}
BROKEN: Final = tuple(name for name in VERSIONS if name != RIGHT)
