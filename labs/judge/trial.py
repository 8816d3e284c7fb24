"""What a check is given: the student's code to ask, its own random choices, and a place for recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Protocol

from ..lab import Check, Lab, random_for
from .session import Line, Session


class Lines(Protocol):
    """Opens lines to the student's code, each with a process of its own."""

    def open(self) -> Iterator[Line]:
        """A context manager's body: a line, closed afterwards."""

    def subject(self, version: str) -> Iterator[Line]:
        """The same for one of our versions."""


class Trial:
    """One check of one submission under one seed.

    predictions: what the student wrote down. artifacts: where recordings go; None while nobody wants any.
    tick: to be called now and then by what takes long; raises Cancelled.
    """

    def __init__(self, lab: Lab, check: Check, seed: int, predictions: Mapping[str, object],
                 open_line: Callable[[], Any], open_subject: Callable[[str], Any],
                 artifacts: Path | None = None, tick: Callable[[], None] = lambda: None) -> None:
        self.lab = lab
        self.check = check
        self.seed = seed
        self.predictions = predictions
        self.artifacts = artifacts
        self.tick = tick
        self._open_line = open_line
        self._open_subject = open_subject
        self._session: Session | None = None
        self._context: Any = None

    def random(self, part: str = "") -> Random:
        """The check's choices under this seed: the same every time it is asked."""
        return random_for(self.lab.number, f"{self.check.name} {part}", self.seed)

    @property
    def student(self) -> Session:
        """The student's code, in a process that is this check's own."""
        if self._session is None:
            self._context = self.another()
            self._session = self._context.__enter__()
        return self._session

    @contextmanager
    def another(self) -> Iterator[Session]:
        """The student's code in a process that knows nothing of any other."""
        with self._open_line() as line:
            yield Session(line)

    @contextmanager
    def version(self, name: str) -> Iterator[Session]:
        """One of our versions, right or broken, in a process of its own."""
        with self._open_subject(name) as line:
            yield Session(line)

    def close(self) -> None:
        """Close what was opened."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
