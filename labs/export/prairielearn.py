"""PrairieLearn: /grade/results/results.json.

Source: PrairieLearn's documentation, "External Grading", Grading results: score from 0 to 1; a file of 1 MB at most.
"""

from __future__ import annotations

import json

from ..judge.verdict import LabResult, Status
from .words import explain


def to_prairielearn(result: LabResult) -> str:
    """Not gradable is only what our own side could not grade: it costs the student no attempt."""
    broken = [check for check in result.checks if check.status is Status.HARNESS_ERROR]
    data = {
        "gradable": not broken,
        "score": round(result.points / result.max, 6) if result.max else 0.0,
        "message": f"Lab {result.lab}, {result.title}: {result.points:g} of {result.max}",
        "output": "",
        "images": [],
        "tests": [{"name": check.name, "description": check.title, "points": check.points, "max_points": check.max,
                   "message": check.message, "output": explain(check)} for check in result.checks]}
    if broken:
        data["format_errors"] = [f"{check.name} could not be graded: {check.message}" for check in broken]
    return json.dumps(data, indent=2) + "\n"
