"""Lab 10: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab10_replay.questions import ask_events, ask_steps


def predict(seed: int) -> dict[str, int]:
    """Time follows from the steps; an answer is logged once for each piece that was begun. Going back to a step costs
    its distance from the checkpoint before it."""
    _, asks, _, length = (int(each) for each in re.findall("[0-9]+", ask_events(seed))[:4])
    every, start, moves = (int(each) for each in re.findall("[0-9]+", ask_steps(seed))[1:4])
    return {"logged_events": -(-asks // length), "steps_back": sum((start - move) % every
                                                                   for move in range(1, moves + 1))}
