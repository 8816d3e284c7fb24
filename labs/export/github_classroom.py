"""GitHub Classroom: the results of a runner, as `autograding-grading-reporter` takes them.

The workflow puts this text, base64-encoded, into the step's output `result`. Source: the reporter's src/main.js,
src/aggregate-results.js and src/notify-classroom.js: it adds up the tests' scores, against max_score. The version that
runners write is 3 (autograding-python-grader, runner/data.py).
"""

from __future__ import annotations

import json

from ..judge.verdict import LabResult, Status
from .words import explain


def to_github_classroom(result: LabResult) -> str:
    """A test's status is pass, fail or error."""
    ours = {Status.PASS: "pass", Status.FAIL: "fail"}
    tests = [{"name": f"{check.name}: {check.title}", "status": ours.get(check.status, "error"), "score": check.points,
              "max_score": check.max, "message": None if check.status is Status.PASS else explain(check),
              "line_no": None, "execution_time": None} for check in result.checks]
    statuses = {test["status"] for test in tests}
    status = next((each for each in ("error", "fail") if each in statuses), "pass")
    return json.dumps({"version": 3, "status": status, "max_score": result.max, "tests": tests}, indent=2) + "\n"
