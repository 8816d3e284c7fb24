"""Synthetic classes. `python -m tests.labs.class_of COUNT FOLDER [LAB]` makes one of the reference answer, changed in
the ways that the labs' tests change it; grade it with `hartvisor grade-class LAB FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from tests.labs import test_lab00, test_lab02, test_lab04, test_lab08, test_lab10
from tests.labs.support import changed

WRONG = {0: test_lab00.WRONG, 2: test_lab02.WRONG, 4: test_lab04.WRONG, 8: test_lab08.WRONG, 10: test_lab10.WRONG}


def make_class(count: int, folder: Path, number: int = 0) -> None:
    """So many students: some right, some wrong, some who could not be loaded; no two with the same files."""
    random = Random(count)
    kinds = [*WRONG[number].values(), *[({},)] * len(WRONG[number])]
    for student in range(count):
        place = folder / f"student{student:03d}"
        place.mkdir(parents=True)
        texts = changed(number, random.choice(kinds)[0]).texts
        for name, text in texts.items():
            (place / name).write_text(f"{text}# {student}\n", encoding="utf-8")
        if student % 10 == 9:
            (place / "answer.py").write_text(f"import os\nos._exit(0)  # {student}\n", encoding="utf-8")


def make_quick_class(count: int, folder: Path) -> None:
    """So many students whose answers cannot be loaded: seconds for all of them."""
    for student in range(count):
        place = folder / f"student{student:03d}"
        place.mkdir(parents=True)
        (place / "answer.py").write_text(f"raise ValueError({student})\n", encoding="utf-8")


if __name__ == "__main__":
    make_class(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
