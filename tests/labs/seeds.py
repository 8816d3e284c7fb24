"""`python -m tests.labs.seeds [COUNT] [LAB...]`: reference answers under many seeds; what it took is printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from hartvisor.labs.api import run_submission
from hartvisor.labs.catalog import PACKAGES, answer, find_lab


def main(count: int, numbers: Sequence[int]) -> int:
    """The exit status: 1 where points are missing."""
    failures = 0
    for lab in map(find_lab, numbers or PACKAGES):
        started = time.process_time()
        for seed in range(count):
            result = run_submission(lab, answer(lab, seed), seed)
            for check in result.checks:
                if check.points < check.max:
                    failures += 1
                    print(f"lab {lab.number}, seed {seed}: {check.name}: {check.status.value}: {check.message}")
        print(f"lab {lab.number}: {count} seeds, {time.process_time() - started:.1f} s of the judge's CPU time")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, [int(number) for number in sys.argv[2:]]))
