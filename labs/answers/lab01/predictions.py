"""Lab 1: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab01_sensitive.questions import ask_numbers, ask_traps


def predict(seed: int) -> dict[str, int]:
    """What is about a CSR, or fences tables, traps; the rest runs. Bits 9:8 of a CSR's number say who may."""
    text = ask_traps(seed)
    rounds = int(re.findall(r"these (\d+) times", text)[0])
    trapping = sum(line.strip().startswith(("csr", "sfence")) for line in text.splitlines())
    numbers = [int(each, 16) for each in re.findall("0x[0-9a-f]+", ask_numbers(seed))]
    return {"traps_in_loop": rounds * trapping, "closed_csrs": sum(each >> 8 & 3 == 3 for each in numbers)}
