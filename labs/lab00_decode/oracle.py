"""What is right in lab 0, from the hypervisor's own instruction table."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Final

from ...core.isa import formats
from ...core.isa.instructions import INSTRUCTIONS
from ...core.isa.row import Instruction
from ..kit.isa import Operands, Row
from ..lab import random_for

EXTENSIONS: Final = {"I", "M", "Zmmul", "Zicsr", "Zifencei", "Zaamo", "Zalrsc", "Zba", "Zbb", "Zbs", "Zbc", "Zicond",
                     "S", "H", "Svinval", ""}
"""The integer and privileged part of the table; floating point and compressed rows are more of the same."""

FORMATS: Final = ("R", "I", "S", "B", "U", "J", "I-shift", "I-shiftw", "csr", "amo", "lr", "hlv", "hsv", "none",
                  "unary")
ROWS: Final = tuple(row for row in INSTRUCTIONS if row.length == 4 and row.extension in EXTENSIONS and not row.expands
                    and row.format.name in FORMATS)
CUSTOM_OPCODES: Final = (0x0B, 0x2B, 0x5B, 0x7B)
"""Opcodes that the unprivileged manual leaves to custom instructions; nothing of ours is there."""
CUSTOM_FORMATS: Final = {"R": (formats.R, 0xFE00707F), "I": (formats.I, 0x0000707F), "S": (formats.S, 0x0000707F),
                         "B": (formats.B, 0x0000707F), "U": (formats.U, 0x0000007F), "J": (formats.J, 0x0000007F)}
BIRDS: Final = ("tern", "gull", "skua", "noddy")


@cache
def table(seed: int) -> tuple[Instruction, ...]:
    """The table under this seed: the real one, and five instructions of the seed's own, of which one is a special case
    of another."""
    random = random_for(0, "table", seed)
    extra = []
    for index, opcode in enumerate(CUSTOM_OPCODES):
        form, mask = CUSTOM_FORMATS[random.choice(list(CUSTOM_FORMATS) if index else ("R", "I"))]
        match = opcode | random.getrandbits(32) & mask & ~0x7F
        extra.append(Instruction(f"custom{index}.{random.choice(BIRDS)}", form, match, mask, "custom"))
    general = extra[0]
    extra.append(Instruction("special." + random.choice(BIRDS), general.format,
                             general.match | random.randrange(32) << 15, general.mask | 31 << 15, "custom"))
    rows = [*ROWS, *extra]
    random.shuffle(rows)
    return tuple(rows)


def custom_row(seed: int) -> Instruction:
    """The one of the seed's own that its question is about."""
    return next(row for row in table(seed) if row.name.startswith(f"custom{seed % len(CUSTOM_OPCODES)}."))


def as_kit(rows: tuple[Instruction, ...]) -> list[Row]:
    """The table as a student's code gets it."""
    return [Row(row.name, row.match, row.mask, row.format.name) for row in rows]


def decode(rows: tuple[Instruction, ...], word: int) -> Operands | None:
    """What the word is."""
    found = [row for row in rows if word & row.mask == row.match]
    if not found:
        return None
    row = max(found, key=lambda each: each.mask.bit_count())
    values = {name: field.extract(word) for name, field in row.format.operands.items()
              if name in ("rd", "rs1", "rs2", "imm")}
    return Operands(row.name, **values)


def encode(row: Instruction, operands: dict[str, int]) -> int:
    """The word. Raises ValueError where an operand does not fit."""
    return row.match | sum(row.format.operands[name].insert(value) for name, value in operands.items())


def random_word(row: Instruction, random: Random) -> int:
    """A word that this row matches."""
    return row.match | random.getrandbits(32) & ~row.mask


def edge_words(row: Instruction, random: Random) -> list[int]:
    """Words of this row with the immediates where mistakes show: the most negative, the most positive, single bits."""
    field = row.format.operands.get("imm")
    if field is None or not field.pieces:
        return [random_word(row, random)]
    words = []
    bits = [1 << place for place in range(64) if field.value_mask >> place & 1]
    for raw in (0, field.value_mask, bits[-1], field.value_mask ^ bits[-1], random.choice(bits), random.choice(bits)):
        rest = random_word(row, random) & ~field.source_mask
        pieces = sum((raw >> to & (1 << width) - 1) << at for at, width, to in field.pieces)
        words.append(rest | pieces)
    return words
