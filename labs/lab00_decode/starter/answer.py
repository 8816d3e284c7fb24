"""Lab 0: encode and decode. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.isa import Operands, Row


def sign_extend(value: int, bits: int) -> int:
    """The low `bits` bits of `value`, read as a two's complement number. Bits above them are to be ignored."""
    raise NotImplementedError


class Codec:
    """Turns words into operands and back, by a table that it is given once."""

    def use(self, rows: list[Row]) -> None:
        """Called once, before anything else: the instruction table, in no particular order."""
        self.rows = rows

    def decode(self, word: int) -> Operands | None:
        """The instruction that `word` (32 bits) is, None if it is none."""
        raise NotImplementedError

    def encode(self, operands: Operands) -> int:
        """The word that `decode` would give these operands for. ValueError if there is none."""
        raise NotImplementedError

    def load_constant(self, value: int) -> list[int]:
        """Words that leave `value` (0 to 2**64 - 1) in a0, whatever was there; the fewer the better."""
        raise NotImplementedError


def found_bugs() -> list[str]:
    """Lines of assembly that riscv-assembler 1.2.1 gets wrong, such as "add a0, a1, a2" (which it gets right)."""
    return []
