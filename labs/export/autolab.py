"""Autolab: what the autograder writes to its standard output, whose last line is the autoresult.

Source: Autolab's documentation, "Guide for Lab Authors", Writing Autograders.
"""

from __future__ import annotations

import json

from ..judge.verdict import LabResult
from .words import explain


def to_autolab(result: LabResult) -> str:
    """The problems are the lab's tasks, which must have these names on the web site; the scoreboard has them in order,
    and the sum."""
    scores: dict[str, float] = {}
    lines = []
    for check in result.checks:
        scores[check.task] = round(scores.get(check.task, 0) + check.points, 2)
        lines.append(f"{check.points:g}/{check.max} {check.name}: {check.title}")
        lines += [f"    {line}" for line in explain(check).splitlines()]
    autoresult = {"scores": scores, "scoreboard": [*scores.values(), result.points]}
    return "\n".join([*lines, json.dumps(autoresult)]) + "\n"
