"""What a check says: a state, points, and where the guest first went another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any


class Status(StrEnum):
    """The states of a check. Only `pass` and `fail` can bring points (a band's lower steps are a fail with some)."""

    PASS = "pass"
    FAIL = "fail"
    FUEL = "fuel"
    TIMEOUT = "timeout"
    CRASH = "crash"
    HARNESS_ERROR = "harness_error"
    NONDETERMINISTIC = "nondeterministic"


@dataclass(frozen=True)
class Divergence:
    """The first step after which the student's guest is not what it should be.

    step: the guest's clock before that step. pc: of the instruction. line: where it stands, as "guest.s:12: csrw ...",
    if known. field: what differs, by the name the manual has for it. got, wanted: its values, in words.
    """

    step: int
    pc: int
    line: str
    field: str
    got: str
    wanted: str

    def __str__(self) -> str:
        where = f" ({self.line})" if self.line else ""
        return f"step {self.step:,}, pc {self.pc:#x}{where}: {self.field} is {self.got}, not {self.wanted}"


@dataclass(frozen=True)
class Verdict:
    """status, and which share of the points it brings. message: one line. divergence: where there is a guest that went
    wrong. replay: the recording's file name, in the folder of artifacts. metrics: what was counted."""

    status: Status
    share: Fraction = Fraction(0)
    message: str = ""
    divergence: Divergence | None = None
    replay: str | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)

    def same_as(self, other: Verdict) -> bool:
        """Whether they say the same, recordings aside."""
        return ((self.status, self.share, self.message, self.divergence, dict(self.metrics))
                == (other.status, other.share, other.message, other.divergence, dict(other.metrics)))


def passed(message: str = "", counted: Mapping[str, int] | None = None, **metrics: int) -> Verdict:
    """All points. counted, metrics: what was counted."""
    return Verdict(Status.PASS, Fraction(1), message, metrics={**(counted or {}), **metrics})


def failed(message: str, divergence: Divergence | None = None, share: Fraction = Fraction(0),
           replay: str | None = None, counted: Mapping[str, int] | None = None, **metrics: int) -> Verdict:
    """No points, or (share) some."""
    return Verdict(Status.FAIL, share, message, divergence, replay, {**(counted or {}), **metrics})


def shared(right: int, total: int, message: str = "", **metrics: int) -> Verdict:
    """Points for each of several questions that was answered right."""
    if right == total:
        return Verdict(Status.PASS, Fraction(1), message, metrics=metrics)
    return Verdict(Status.FAIL, Fraction(right, total), message, metrics=metrics)


@dataclass(frozen=True)
class CheckResult:
    """One check's result, as the JSON has it (labs/schema/result.json says what each part means).

    points are Fractions of nothing finer than a hundredth. replay: path of a recording that `hartvisor replay` and
    `hartvisor tui` open, or None. output: what the student's code printed, cut. trace: a sketch of what it did at the
    exits (judge/trace.py).
    """

    name: str
    task: str
    title: str
    kind: str
    status: Status
    points: float
    max: int
    message: str = ""
    first_divergence: Divergence | None = None
    replay: str | None = None
    metrics: Mapping[str, int] = field(default_factory=dict)
    output: str = ""
    trace: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        found = self.first_divergence
        return {
            "name": self.name, "task": self.task, "title": self.title, "kind": self.kind, "status": self.status.value,
            "points": self.points, "max": self.max, "message": self.message,
            "first_divergence": None if found is None else asdict(found), "replay": self.replay,
            "metrics": dict(self.metrics), "output": self.output, "trace": list(self.trace)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CheckResult:
        """What as_json gave."""
        found = data["first_divergence"]
        return cls(**{**data, "status": Status(data["status"]), "trace": tuple(data["trace"]),
                      "first_divergence": None if found is None else Divergence(**found)})


@dataclass(frozen=True)
class LabResult:
    """A submission's result. submission, version: hashes, of its files, and of the lab and all that judges it.

    jail: what held the student's code.
    """

    lab: int
    name: str
    title: str
    seed: int
    submission: str
    version: str
    jail: tuple[str, ...]
    checks: tuple[CheckResult, ...]

    @property
    def points(self) -> float:
        """All checks' points together."""
        return round(sum(check.points for check in self.checks), 2)

    @property
    def max(self) -> int:
        """What there was to have."""
        return sum(check.max for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """Plain data, as labs/schema/result.json describes it."""
        return {
            "format": 1, "lab": self.lab, "name": self.name, "title": self.title, "seed": self.seed,
            "submission": self.submission, "version": self.version, "jail": list(self.jail), "points": self.points,
            "max": self.max, "checks": [check.as_json() for check in self.checks]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabResult:
        """What as_json gave."""
        return cls(data["lab"], data["name"], data["title"], data["seed"], data["submission"], data["version"],
                   tuple(data["jail"]), tuple(CheckResult.from_json(each) for each in data["checks"]))
