"""`python -m tests.labs.hostility [LAB...]`: each submission that strikes when it is loaded against each lab, whole."""

from __future__ import annotations

import sys
import time

from hartvisor.labs.catalog import all_labs
from hartvisor.labs.submission import Submission
from tests.labs.hostile import LOADING
from tests.labs.support import judge


def main(numbers: list[int]) -> int:
    """The exit status: 1 where one has points, or a state that it should not have."""
    wrong = 0
    for number in numbers or [lab.number for lab in all_labs()]:
        slowest = 0.0
        for name, (text, states) in LOADING.items():
            started = time.monotonic()
            result = judge(number, Submission({"answer.py": text, "tests.py": text}))
            slowest = max(slowest, time.monotonic() - started)
            found = {check.status.value for check in result.checks if check.kind != "prediction"}
            if result.points or not found <= states | {"fail", "crash", "timeout"}:
                wrong += 1
                print(f"lab {number}: {name}: {result.points} points, {', '.join(sorted(found))}")
        print(f"lab {number}: {len(LOADING)} hostile submissions, the slowest took {slowest:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
