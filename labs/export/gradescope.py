"""Gradescope: /autograder/results/results.json.

Source: Gradescope's autograder documentation, "Autograder Specifications", Output Format.
"""

from __future__ import annotations

import json
from typing import Any

from ..judge.verdict import LabResult, Status
from .words import explain


def to_gradescope(result: LabResult, visibility: str = "visible", band_board: bool = True) -> str:
    """visibility: of all tests ("visible", "hidden", "after_due_date", "after_published"). band_board: costs of band
    checks that were passed go on the leaderboard, less being better."""
    tests = [
        {"name": f"{check.name}: {check.title}", "number": str(number), "score": check.points, "max_score": check.max,
         "status": "passed" if check.status is Status.PASS else "failed", "output": explain(check),
         "visibility": visibility, "tags": [check.task, check.kind],
         "extra_data": {"status": check.status.value, "metrics": dict(check.metrics)}}
        for number, check in enumerate(result.checks, 1)]
    data: dict[str, Any] = {
        "score": result.points, "output": f"Lab {result.lab}, {result.title}: {result.points:g} of {result.max}",
        "stdout_visibility": "hidden", "tests": tests,
        "extra_data": {"lab": result.lab, "seed": result.seed, "submission": result.submission,
                       "version": result.version}}
    board: list[dict[str, Any]] = [{"name": "points", "value": result.points}]
    if band_board:
        board += [{"name": f"{check.name}: {name}", "value": value, "order": "asc"}
                  for check in result.checks if check.kind == "band" and check.status is Status.PASS
                  for name, value in list(check.metrics.items())[:1]]
    return json.dumps(data | {"leaderboard": board}, indent=2) + "\n"
