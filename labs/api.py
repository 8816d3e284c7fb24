"""Labs for programs: the command line, the TUI's lab panel, graders.

How the TUI's panel 0 uses it: `open_lab(Path.cwd())` when it is shown, and again when a file in the folder changes; it
gives frozen views of tasks and checks to paint before anything has run. For a run it calls `run_checks` in a thread of
its own, with an `on_check` that posts each CheckResult to the app as it comes, and an `is_cancelled` that becomes true
when the panel closes or a file is saved. A CheckResult with a `first_divergence` and a `replay` can be looked at: open
the recording, a path, as any other (`read_recording`), and go to step `first_divergence.step`: the state there is the
last that was right, and the instruction at `first_divergence.pc` the one that went wrong. Nothing here prints, reads
the terminal, or keeps state between calls.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError
from .catalog import find_lab, starter, version_of
from .judge.runner import Runner, result_of
from .judge.verdict import CheckResult, LabResult, Verdict
from .lab import FILES, Lab
from .submission import Submission

LAB_FILE: Final = "lab.toml"
HANDOUT: Final = "handout.md"
REPLAYS: Final = "replays"
"""The folder inside a lab's that recordings of failures are written to."""


@dataclass(frozen=True)
class CheckView:
    """A check, before it has run. kind: one of lab.KINDS."""

    name: str
    task: str
    title: str
    kind: str
    points: int


@dataclass(frozen=True)
class TaskView:
    """A task of the handout, and the points of its checks."""

    name: str
    title: str
    points: int


@dataclass(frozen=True)
class LabView:
    """A lab."""

    number: int
    name: str
    title: str
    concept: str
    points: int
    tasks: tuple[TaskView, ...]
    checks: tuple[CheckView, ...]


@dataclass(frozen=True)
class LabFolder:
    """A student's folder, and which lab it holds. handout: the file to read; replays: where recordings are put."""

    path: Path
    lab: LabView
    seed: int

    @property
    def handout(self) -> Path:
        """The handout."""
        return self.path / HANDOUT

    @property
    def replays(self) -> Path:
        """Recordings of failures."""
        return self.path / REPLAYS


def view(lab: Lab) -> LabView:
    """What there is to see of a lab."""
    return LabView(
        lab.number, lab.name, lab.title, lab.concept, lab.points,
        tuple(TaskView(task.name, task.title, sum(check.points for check in lab.checks if check.task == task.name))
              for task in lab.tasks),
        tuple(CheckView(check.name, check.task, check.title, check.kind, check.points) for check in lab.checks))


def open_lab(folder: Path) -> LabFolder:
    """Which lab a folder holds. Raises ConfigError where it holds none."""
    path = folder / LAB_FILE
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"{folder}: there is no {LAB_FILE}; `hartvisor lab start N` makes a lab's folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    number, seed = facts.get("lab"), facts.get("seed", 0)
    if type(number) is not int or type(seed) is not int:
        raise ConfigError(f"{path}: it must say lab = N and seed = S, both whole numbers")
    return LabFolder(folder, view(find_lab(number)), seed)


def start_lab(number: int, folder: Path, seed: int = 0) -> LabFolder:
    """Make a student's folder. Raises ConfigError where there is something in it already."""
    lab = find_lab(number)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: there is something already; give --to another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in starter(lab, seed).texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        (folder / HANDOUT).write_text((lab.folder / HANDOUT).read_text(encoding="utf-8"), encoding="utf-8")
        (folder / LAB_FILE).write_text(f"lab = {number}\nseed = {seed}\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    return open_lab(folder)


def run_checks(folder: Path, seed: int | None = None, *, on_check: Callable[[CheckResult], None] | None = None,
               on_begin: Callable[[CheckView], None] | None = None, is_cancelled: Callable[[], bool] = lambda: False,
               names: Collection[str] = ()) -> LabResult:
    """Judge what is in a student's folder, check by check.

    seed: the variant; None for the folder's own. on_begin, on_check: told of each check as it starts and ends.
    is_cancelled: asked every twentieth of a second, from this thread. names: the checks to run, all if empty.
    Raises ConfigError for a folder that cannot be judged, and Cancelled (labs.jail.process).
    """
    opened = open_lab(folder)
    return run_submission(
        find_lab(opened.lab.number), Submission.read(folder), opened.seed if seed is None else seed,
        artifacts=opened.replays, on_check=on_check, on_begin=on_begin, is_cancelled=is_cancelled, names=names)


def run_submission(lab: Lab, submission: Submission, seed: int, *, artifacts: Path | None = None,
                   on_check: Callable[[CheckResult], None] | None = None,
                   on_begin: Callable[[CheckView], None] | None = None,
                   is_cancelled: Callable[[], bool] = lambda: False, names: Collection[str] = ()) -> LabResult:
    """The same for texts, wherever they are from. artifacts: the folder for recordings, if any are wanted."""
    unknown = set(names) - {check.name for check in lab.checks}
    if unknown:
        raise ConfigError(f"lab {lab.number} has no check {min(unknown)}; it has "
                          f"{', '.join(check.name for check in lab.checks)}")
    runner = Runner(lab, submission, seed, artifacts, is_cancelled)
    refused = runner.load()
    results = []
    for check in lab.checks:
        if names and check.name not in names:
            continue
        if on_begin is not None:
            on_begin(CheckView(check.name, check.task, check.title, check.kind, check.points))
        # An answer that cannot be loaded may still have foreseen what it could not write.
        if refused is not None and check.kind != "prediction":
            result = result_of(check, Verdict(refused.status, message=refused.message))
        else:
            result = runner.run(check)
        if result.replay is not None and artifacts is not None:
            result = replace(result, replay=str(artifacts / result.replay))
        results.append(result)
        if on_check is not None:
            on_check(result)
    return LabResult(lab.number, lab.name, lab.title, seed, submission.digest, version_of(lab.number), runner.jail,
                     tuple(results))


__all__ = ["FILES", "CheckResult", "CheckView", "LabFolder", "LabResult", "LabView", "TaskView", "open_lab",
           "run_checks", "run_submission", "start_lab", "view"]
