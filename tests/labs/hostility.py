"""`python -m tests.labs.hostility [LAB...]`: every hostile submission against every lab, whole.

What strikes when it is loaded must bring no points. What strikes when it is asked stands in an answer that is right but
for one function: no check may bring more than it does with that function left open, or doing nothing. Neither may leave
a process behind, take longer than its limits let it, or harm the next submission.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from hartvisor.labs.api import LabResult
from hartvisor.labs.catalog import all_labs, find_lab
from hartvisor.labs.submission import Submission
from tests.labs.hostile import HOOKED, LOADING, first_hole, planted
from tests.labs.support import changed, children, judge

ALLOWED = {"pass", "fail", "fuel", "crash", "timeout", "nondeterministic"}
IDLE = ("raise NotImplementedError", "return None", "return 0")
MOST_SECONDS = 120.0
"""For a check, on a busy host: three processes use up their CPU time."""


def complaints(result: LabResult, most: dict[str, float], seconds: float) -> Iterator[str]:
    """What is wrong. most: the points that each check may bring."""
    for check in result.checks:
        if check.points > most.get(check.name, 0.0):
            yield f"{check.name} brings {check.points} points ({check.message[:60]})"
        if check.status.value not in ALLOWED:
            yield f"{check.name}: {check.status.value} ({check.message[:100]})"
    if seconds > MOST_SECONDS * len(result.checks):
        yield f"it took {seconds:.0f} s"
    if children():
        yield "it left processes behind"


def against(number: int) -> int:
    """How many came through, of all."""
    wrong = 0
    slowest = (0.0, "")
    most: dict[str, float] = {}
    for body in IDLE:
        for check in judge(number, planted(number, body)).checks:
            most[check.name] = max(check.points, most.get(check.name, 0.0))
    hostile = {name: (Submission({"answer.py": text, "tests.py": text}), {}) for name, (text, _) in LOADING.items()}
    hostile |= {name: (planted(number, text), most) for name, (text, _) in HOOKED.items()}
    for name, (submission, allowed) in hostile.items():
        started = time.monotonic()
        result = judge(number, submission)
        seconds = time.monotonic() - started
        slowest = max(slowest, (seconds, name))
        for text in complaints(result, allowed, seconds):
            wrong += 1
            print(f"lab {number}: {name}: {text}", flush=True)
    hole = ".".join(part for part in first_hole(number) if part)
    print(f"lab {number}: {len(LOADING)} hostile when loaded, {len(HOOKED)} in {hole}; the slowest ({slowest[1]}) took "
          f"{slowest[0]:.0f} s", flush=True)
    after = judge(number, changed(number, {}))
    if after.points != find_lab(number).points:
        wrong += 1
        print(f"lab {number}: the next submission, which is right, has {after.points} points", flush=True)
    return wrong


def main(numbers: list[int]) -> int:
    """The exit status: 1 where something came through."""
    wrong = sum(against(number) for number in numbers or [lab.number for lab in all_labs()])
    print(f"{wrong} came through" if wrong else "none came through")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
