"""Lab 0: the predictions, by reasoning."""

from __future__ import annotations

from ...lab00_decode.oracle import custom_row
from ...lab00_decode.questions import ask_branch

FREE = {"R": 15, "I": 22, "S": 22, "B": 22, "U": 25, "J": 25}
"""Bits of a word that a format's operands fill."""


def predict(seed: int) -> dict[str, int]:
    """A branch has thirteen bits, signed, even: 4,094 at most. An instruction is as many words as its operands have
    values."""
    start = int(ask_branch(seed).split("lies at ")[1].split(".")[0], 16)
    row = custom_row(seed)
    return {"reach_of_branch": start + 4094, "words_of_custom": 1 << FREE[row.format.name]}
