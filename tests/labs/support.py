"""What the labs' tests share: judging the reference answer with something changed in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from hartvisor.labs.api import LabResult, run_submission
from hartvisor.labs.catalog import answer, find_lab
from hartvisor.labs.judge.verdict import CheckResult
from hartvisor.labs.submission import Submission


def changed(number: int, changes: Mapping[str, str], seed: int = 0) -> Submission:
    """The reference answer, some of its text replaced; each piece must be there once."""
    texts = dict(answer(find_lab(number), seed).texts)
    for old, new in changes.items():
        assert texts["answer.py"].count(old) == 1, old
        texts["answer.py"] = texts["answer.py"].replace(old, new)
    return Submission(texts)


def with_answer(number: int, text: str) -> Submission:
    """A submission with this answer.py, and the reference's other files."""
    return Submission({**answer(find_lab(number), 0).texts, "answer.py": text})


def judge(number: int, submission: Submission, seed: int = 0, names: Collection[str] = (),
          artifacts: Path | None = None) -> LabResult:
    """The result."""
    return run_submission(find_lab(number), submission, seed, names=names, artifacts=artifacts)


def one(result: LabResult, name: str = "") -> CheckResult:
    """The one check there is, or the one of a name."""
    return next(check for check in result.checks if name in ("", check.name))


def lost(result: LabResult) -> set[str]:
    """The checks that miss points."""
    return {check.name for check in result.checks if check.points < check.max}


def children() -> set[str]:
    """The processes of this one. Others come and go while it looks."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if path.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.add(path.parent.name)
    return found
