"""Lab 6: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab06_multiplexing.questions import ask_frames, ask_quanta


def predict(seed: int) -> dict[str, int]:
    """Its part of the shares. What nobody stored to takes one frame for all; the rest one for each VM."""
    numbers = [int(each) for each in re.findall(r"\d+", ask_quanta(seed))]
    shares, quanta, asked = numbers[3:6], numbers[6], numbers[7]
    vms, pages, changed = (int(each) for each in re.findall(r"\d+", ask_frames(seed)))
    return {"quanta": quanta * shares[asked] // sum(shares), "shared_frames": pages - changed + vms * changed}
