"""Checks that every lab has: numbers that were to be foreseen, and tests that must catch broken versions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..kit.remote import Subject
from ..lab import RIGHT, Check, Question
from .session import Refused, Service, Session, Stopped
from .trial import Trial
from .verdict import Verdict, failed, passed


def prediction(question: Question, task: str, points: int) -> Check:
    """The check of a question in predictions.toml; under the seed that stands there, since that chose its numbers."""

    def run(trial: Trial) -> Verdict:
        said = trial.predictions.get(question.name)
        seed = trial.predictions.get("seed", trial.seed)
        if said is None:
            return failed(f"predictions.toml does not say {question.name} yet")
        if type(said) is not int or type(seed) is not int:
            return failed(f"predictions.toml: {question.name} and seed must be whole numbers")
        if said != question.truth(seed):
            return failed(f"{question.name} = {said}: the machine found another number")
        return passed(f"{question.name} = {said}, and so says the machine")

    first_line = question.text(0).splitlines()[0]
    return Check(question.name.replace("_", "-"), task, f"Foreseen: {first_line}", points, run, "prediction", 0.0)


TITLE = "your tests pass on the right version and fail on each broken one"


class Relay(dict[str, Service]):
    """Services that are whatever the subject's methods are."""

    def __init__(self, subject: Session) -> None:
        super().__init__()
        self._subject = subject

    def get(self, name: str, default: Any = None) -> Any:
        """The method, for "subject.method"."""
        _, _, method = name.partition(".")

        def ask(*arguments: Any) -> Any:
            try:
                return self._subject.call(method, *arguments)
            except Stopped as stopped:
                raise Refused(stopped.message) from None
        return ask if method.isidentifier() else default


def mutation(task: str, points: int, broken: Sequence[str], title: str = "", cpu: float = 0.05) -> Check:
    """The check of tests.py: all tests pass on the right version, one at least fails on each broken one.

    The order is the seed's, the name that tests see is the same, and each version meets a process that knows no other.
    """

    def run(trial: Trial) -> Verdict:
        order = [RIGHT, *broken]
        trial.random("order").shuffle(order)
        said = {}
        for name in order:
            trial.tick()
            with trial.version(name) as subject, trial.another() as student:
                student.services = Relay(subject)
                said[name] = str(student.call("tests:*", Subject()))[:300]
        if "none" in said.values():
            return failed("tests.py has no test_* function yet")
        if said[RIGHT]:
            return failed(f"your tests fail on the right version: {said[RIGHT]}")
        caught = sum(1 for name in broken if said[name])
        message = f"{caught} of {len(broken)} broken versions caught"
        if caught == len(broken):
            return passed(message, caught=caught)
        return failed(message, share=Fraction(caught, len(broken)), caught=caught)

    return Check("your-tests", task, title or TITLE, points, run, "mutation", cpu)
