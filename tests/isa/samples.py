"""Encodings to try, the same in every run."""

from __future__ import annotations

import random

from hartvisor.core.isa.decoder import find_row
from hartvisor.core.isa.instructions import INSTRUCTIONS, Instruction

COMPRESSED_HALFWORDS = tuple(halfword for halfword in range(1 << 16) if halfword & 3 != 3)


def encodings(row: Instruction, count: int) -> list[int]:
    """Up to `count` distinct encodings of `row` with random operands, all-zeros and all-ones operands first."""
    source = random.Random(row.name)
    free = ~row.mask & (1 << row.length * 8) - 1
    words = [row.match, row.match | free]
    words += [row.match | source.getrandbits(32) & free for _ in range(count)]
    words += [row.match | source.choice((1, 3)) << source.randrange(32) & free for _ in range(count // 4)]
    return [word for word in dict.fromkeys(words) if find_row(word) is row][:count]


def words(count: int) -> list[int]:
    """Random 32-bit words, most of them with the opcode and funct3 of some instruction."""
    source = random.Random("words")
    rows = [row for row in INSTRUCTIONS if row.length == 4]
    result = []
    for _ in range(count):
        word = source.getrandbits(32) | 3
        if source.random() < 0.9:
            row = source.choice(rows)
            fixed = row.mask if source.random() < 0.5 else row.mask & 0x707F
            word = word & ~fixed | row.match & fixed
            if source.random() < 0.3:
                word ^= 1 << source.randrange(2, 32)
        result.append(word)
    return [word for word in result if word & 0x1F != 0x1F]
