"""What a lab is: tasks, checks with points, and questions to answer before running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .judge.trial import Trial
    from .judge.verdict import Verdict

KINDS: Final = ("check", "negative", "prediction", "band", "mutation")
"""What a check is: an ordinary one; one that an answer fails which does nothing; a number that was to be foreseen; a
cost that earns points by bands; the student's own tests against broken versions."""

FILES: Final = ("answer.py", "tests.py", "predictions.toml")
"""What a student fills in."""

RIGHT: Final = "right"
"""Of the versions that students' tests are run on, the name of the one without a bug."""


@dataclass(frozen=True)
class Task:
    """A part of the handout with checks of its own."""

    name: str
    title: str


@dataclass(frozen=True)
class Check:
    """Something that is judged.

    name: unique in the lab. task: a task's name. title: what it looks for, in one line. points: at most.
    run: judges; whatever it asks of the student's code it asks through the trial.
    cpu: CPU seconds that the reference answer's Python takes for it, as measured (`python -m tests.labs.cpu`); a
    student's may take 100 times that.
    """

    name: str
    task: str
    title: str
    points: int
    run: Callable[[Trial], Verdict]
    kind: str = "check"
    cpu: float = 0.03


@dataclass(frozen=True)
class Question:
    """A number to write down before running. text: asks for it; `seed` may change its numbers. truth: how the machine
    tells."""

    name: str
    text: Callable[[int], str]
    truth: Callable[[int], int]


@dataclass(frozen=True)
class Lab:
    """A lab. folder: where its handout and starter lie. kit: the modules of labs/kit that its code may import.

    versions: the module of ours with the right and the broken versions for the mutation task (its VERSIONS maps names
    to classes; the right one is "right").
    """

    number: int
    name: str
    title: str
    concept: str
    folder: Path
    tasks: tuple[Task, ...]
    checks: tuple[Check, ...]
    questions: tuple[Question, ...] = ()
    kit: tuple[str, ...] = ()
    versions: str | None = None

    @property
    def points(self) -> int:
        """All there are."""
        return sum(check.points for check in self.checks)


def random_for(lab: int, what: str, seed: int) -> Random:
    """The choices of one part of a lab, under one seed: its own, whatever else is drawn."""
    return Random(f"hartvisor lab {lab} {what} {seed}")
