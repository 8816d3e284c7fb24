"""`python -m tests.labs.cpu [LAB...]`: CPU seconds of the reference answers' Python in each check, above what an empty
answer's process takes to start. A check's `cpu` in its lab.py is this, rounded up; a student's code gets 100 times as
much."""

from __future__ import annotations

import sys
from unittest import mock

from hartvisor.labs.catalog import all_labs, answer, find_lab
from hartvisor.labs.jail import codec
from hartvisor.labs.jail.process import Child, Setup
from hartvisor.labs.judge.runner import Runner


def startup() -> float:
    """CPU seconds of a process that loads nothing."""
    with Child(Setup()) as child:
        child.exchange(codec.dump({"load": {}}))
    return child.cpu


def main(numbers: list[int]) -> None:
    """A line for each check."""
    start = min(startup() for _ in range(5))
    for lab in [find_lab(number) for number in numbers] or all_labs():
        for check in lab.checks:
            spent: list[float] = []
            close = Child.close

            def note(child: Child, close=close, spent=spent) -> None:  # type: ignore[no-untyped-def]
                close(child)
                spent.append(child.cpu)

            with mock.patch.object(Child, "close", note):
                Runner(lab, answer(lab, 0), 0).run(check)
            most = max(0.0, max(spent, default=0.0) - start)
            print(f"lab {lab.number} {check.name:24} {most:.3f} s, {check.cpu} allowed for")


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
