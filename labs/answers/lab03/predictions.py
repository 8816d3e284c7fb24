"""Lab 3: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab03_interrupts.questions import ask_order, ask_ticks

LEVELS = ((11, 3, 7, 9, 1, 5, 10, 2, 6), (9, 1, 5, 10, 2, 6), (10, 2, 6))
"""The order within what goes to M, to HS and to VS."""


def predict(seed: int) -> dict[str, int]:
    """From VS-mode all of M's and HS's interrupts are taken, M's first; VS's follow, under the supervisor's numbers.
    A tick's handler asks for the next before the tick is over: they are D ticks apart."""
    pending, mideleg, hideleg = (int(each, 16) for each in re.findall("= (0x[0-9a-f]+)", ask_order(seed)))
    masks = (pending & ~mideleg, pending & mideleg & ~hideleg, pending & mideleg & hideleg)
    found = [each - (level == 2) for level, mask in enumerate(masks) for each in LEVELS[level] if mask >> each & 1]
    text = ask_ticks(seed)
    delay, last = (int(re.findall(pattern, text)[-1]) for pattern in (r"\+ (\d+)", r"(\d+)\?"))
    return {"order": int("".join(f"{each:02}" for each in found)), "timer_interrupts": last // delay}
