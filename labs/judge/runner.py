"""Runs checks: the student's code decides, live and twice; then the run is had again from the log, and that counts.

    live      parent runs the guest ── question ──> twins in jails ── the same answer ──> log
    judging   parent runs the guest <── the log's answers ──                               verdict

The second run needs no student's code at all, so whatever that did to its own process is without effect. If it says
anything else than the first, the harness is at fault, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

from ..jail import codec
from ..jail.confine import Limits
from ..jail.process import Cancelled, Child, Death, Setup, never
from ..lab import Check, Lab
from ..submission import Submission
from .session import Line, Live, Log, Logged, Stopped, explain
from .trace import sketch
from .trial import Trial
from .verdict import CheckResult, Status, Verdict

KIT: Final = "hartvisor.labs.kit."
TIMES_REFERENCE: Final = 100
"""A student's Python may take as much more CPU time than the reference's."""
STARTUP_CPU: Final = 0.5
"""CPU seconds for an interpreter to start, on a slow host."""


class Diverged(Exception):
    """The student's guest is not what it should be: the check ends here, with this verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


class OutOfFuel(Exception):
    """A budget of steps, exits or questions is used up."""


@dataclass
class Runner:
    """Runs the checks of one lab on one submission.

    twins: how many processes must agree. artifacts: the folder for recordings, if any are wanted.
    """

    lab: Lab
    submission: Submission
    seed: int
    artifacts: Path | None = None
    is_cancelled: Callable[[], bool] = never
    twins: int = 2
    jail: tuple[str, ...] = field(default=(), init=False)

    def load(self) -> Stopped | None:
        """Whether the submission can be loaded at all; if not, that is every check's state."""
        with Child(self._setup(0.0), self.is_cancelled) as child:
            loaded = child.exchange(self._first())
            if isinstance(loaded, bytes):
                self.jail = tuple(codec.parse(loaded).get("jail", ()))
            answer = child.exchange(codec.dump({"import": "answer"}))
            if isinstance(answer, Death):
                return Stopped(Status(answer.end.value), f"loading answer.py: {answer.message}")
            try:
                reply = codec.parse(answer)
            except codec.BadValue as error:
                return Stopped(Status.CRASH, f"loading answer.py gave {error}")
            if "raise" in reply:
                return Stopped(*explain(reply, "loading answer.py"))
        return None

    def run(self, check: Check) -> CheckResult:
        """Judge one check. Raises Cancelled."""
        logs: list[Log] = []
        verdict = self._attempt(check, self._live(check, logs, self.twins), self._subject(logs))
        if verdict.status is Status.TIMEOUT and self.twins > 1:
            logs = []  # alone it has the processor to itself
            verdict = self._attempt(check, self._live(check, logs, 1), self._subject(logs))
        if verdict.status not in (Status.HARNESS_ERROR, Status.NONDETERMINISTIC):
            logged = self._logged(iter(logs))
            again = self._attempt(check, logged, lambda version: logged(), self.artifacts)
            if not again.same_as(verdict):
                again = Verdict(Status.HARNESS_ERROR, message="the run could not be had again from its log: "
                                f"first {verdict.status} ({verdict.message}), then {again.status} ({again.message})")
            verdict = again
        # How far a code comes that is stopped from outside depends on the host.
        trace = sketch(logs) if verdict.status in (Status.PASS, Status.FAIL, Status.FUEL) else ()
        return result_of(check, verdict, next((log.printed for log in logs if log.printed), ""), trace)

    def _attempt(self, check: Check, student: Callable[[], Iterator[Line]], subject: Callable[[str], Iterator[Line]],
                 artifacts: Path | None = None) -> Verdict:
        trial = Trial(self.lab, check, self.seed, self.submission.predictions, contextmanager(student),
                      contextmanager(subject), artifacts, self._tick)
        try:
            return check.run(trial)
        except Diverged as found:
            return found.verdict
        except Stopped as stopped:
            return Verdict(stopped.status, message=stopped.message)
        except OutOfFuel as error:
            return Verdict(Status.FUEL, message=str(error))
        except Cancelled:
            raise
        except Exception as error:  # a bug of ours is no student's fault, and must not end the others' grading
            return Verdict(Status.HARNESS_ERROR, message=f"{type(error).__name__}: {error} (in the check itself)")
        finally:
            trial.close()

    def _live(self, check: Check, logs: list[Log], twins: int) -> Callable[[], Iterator[Line]]:
        def open_line() -> Iterator[Line]:
            log = Log()
            logs.append(log)
            line = Live(self._setup(check.cpu), self._first(), log, twins, self.is_cancelled)
            try:
                yield line
            finally:
                line.close()
        return open_line

    def _logged(self, logs: Iterator[Log]) -> Callable[[], Iterator[Line]]:
        def open_line() -> Iterator[Line]:
            log = next(logs, None)
            yield Logged(log if log is not None else Log())
        return open_line

    def _subject(self, logs: list[Log]) -> Callable[[str], Iterator[Line]]:
        """Opens processes that run one of our versions: it must stand what students' tests throw at it."""
        def open_line(version: str) -> Iterator[Line]:
            setup = Setup(kit=self._kit(), staff=self.lab.versions, limits=Limits(cpu=10))
            log = Log()
            logs.append(log)
            line = Live(setup, codec.dump({"version": version}), log, 1, self.is_cancelled)
            try:
                if isinstance(line.loaded, Death) or "raise" in codec.parse(line.loaded):
                    raise Stopped(Status.HARNESS_ERROR, f"our version cannot be loaded: {line.loaded!r:.200}")
                yield line
            finally:
                line.close()
        return open_line

    def _kit(self) -> list[str]:
        return [KIT + name for name in self.lab.kit]

    def _setup(self, cpu: float) -> Setup:
        return Setup(kit=self._kit(), limits=Limits(cpu=max(2, math.ceil(STARTUP_CPU + TIMES_REFERENCE * cpu))))

    def _first(self) -> bytes:
        return codec.dump({"load": self.submission.modules})

    def _tick(self) -> None:
        if self.is_cancelled():
            raise Cancelled


def result_of(check: Check, verdict: Verdict, output: str = "", trace: tuple[int, ...] = ()) -> CheckResult:
    """A check's verdict as a result; points are cut to hundredths."""
    points = math.floor(check.points * verdict.share * 100) / 100
    return CheckResult(check.name, check.task, check.title, check.kind, verdict.status, points, check.points,
                       verdict.message, verdict.divergence, verdict.replay, verdict.metrics, output, trace)


def share_of_band(value: int, bands: tuple[tuple[int, Fraction], ...]) -> Fraction:
    """The share that a cost earns: that of the first band it does not exceed, (most, share) in ascending order."""
    return next((share for most, share in bands if value <= most), Fraction(0))
