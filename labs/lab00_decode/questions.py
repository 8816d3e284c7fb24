"""Lab 0's two predictions."""

from __future__ import annotations

from ...core.isa.assembler import assemble
from ...core.isa.decoder import decode
from ..lab import random_for
from .oracle import custom_row


def _start(seed: int) -> int:
    return 0x8020_0000 + 4 * random_for(0, "branch", seed).randrange(1, 1 << 16)


def ask_branch(seed: int) -> str:
    """The furthest that a branch reaches."""
    return (f"A beq lies at {_start(seed):#x}. What is the highest address that it can branch to\n"
            "(hexadecimal is welcome: 0x...)?")


def branch(seed: int) -> int:
    """As the decoder has it: the greatest immediate of all the words that are beq a0, a1."""
    word = int.from_bytes(assemble("beq a0, a1, .").code, "little")
    reach = max(decoded.imm for bits in range(1 << 12)
                if (decoded := decode(word | (bits >> 7) << 25 | (bits & 31) << 7 | (bits >> 5 & 3) << 30)) is not None)
    return _start(seed) + reach


def ask_custom(seed: int) -> str:
    """How many words are one instruction."""
    row = custom_row(seed)
    return (f"Under your seed the table has an instruction {row.name} of format {row.format.name}, with mask\n"
            f"{row.mask:#010x}. How many different words are this instruction?")


def custom(seed: int) -> int:
    """By counting the bits that are free, one by one."""
    row = custom_row(seed)
    count = 1
    for bit in range(32):
        if (row.match ^ 1 << bit) & row.mask == row.match:
            count *= 2
    return count
