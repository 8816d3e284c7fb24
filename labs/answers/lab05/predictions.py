"""Lab 5: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab05_devices.questions import ask_element, ask_exits


def predict(seed: int) -> dict[str, int]:
    """An exit for each access through s0, times the rounds. The ring begins behind flags and idx, and repeats."""
    text = ask_exits(seed)
    rounds = int(re.findall(r"li t0, (\d+)", text)[0])
    size, device, count = (int(each, 0) for each in re.findall("0x[0-9a-f]+|[0-9]+", ask_element(seed))[:3])
    return {"mmio_exits": rounds * text.count("(s0)"), "used_element": device + 4 + 8 * ((count - 1) % size)}
