"""`hartvisor lab`: the course's labs, from the first look at one to what is handed in."""

from __future__ import annotations

import json as json_module
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ...core.errors import ConfigError, OptionError
from ...labs.api import CheckResult, LabFolder, LabResult, open_lab, run_checks, run_submission, start_lab, view
from ...labs.catalog import all_labs, answer, find_lab, starter
from ...labs.course import write_course
from ...labs.export import EXPORTERS
from ...labs.judge.verdict import Status
from ...labs.lab import FILES
from ...labs.submission import Submission
from ..options import check_writable, write_json
from ..parameters import JsonOption
from .lab_show import explain_failure, replay_failure
from .lab_watch import watch

app = typer.Typer(help="The course: labs to start, test and hand in.", no_args_is_help=True)

NumberArgument = Annotated[int, typer.Argument(metavar="N", help="The lab: see `hartvisor lab list`.")]
FolderOption = Annotated[Path, typer.Option("--folder", metavar="DIR", help="The lab's folder, else this one.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="S", help="The variant of programs and layouts.")]
Run = Callable[[Callable[[CheckResult], None]], LabResult]
LAST: str = "result.json"
"""Where the latest result lies in a lab's folder."""

LOOKS = {Status.PASS: ("✓", "green"), Status.FAIL: ("✗", "red"), Status.FUEL: ("∞", "red"),
         Status.TIMEOUT: ("∞", "red"), Status.CRASH: ("!", "red"),
         Status.HARNESS_ERROR: ("?", "yellow"), Status.NONDETERMINISTIC: ("~", "red")}


@app.command("list")
def list_labs(json: JsonOption = None) -> None:
    """What labs there are."""
    labs = [view(lab) for lab in all_labs()]
    if json is not None:
        write_json(json, {"labs": [{"number": lab.number, "name": lab.name, "title": lab.title, "concept": lab.concept,
                                    "points": lab.points} for lab in labs]})
        if json == "-":
            return
    for lab in labs:
        typer.echo(f"{lab.number:>3}  {lab.title:<28} {lab.concept}")


@app.command()
def start(
    number: NumberArgument,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="The folder to make.")] = None,
    seed: SeedOption = 0,
) -> None:
    """Make a folder to work in: the handout, and files to fill in."""
    lab = find_lab(number)
    folder = start_lab(number, to or Path(f"lab{number:02d}-{lab.name}"), seed)
    typer.echo(f"{folder.path}: lab {number}, {lab.title}. Read handout.md, fill in answer.py, then, in there:")
    typer.echo("  hartvisor lab test")


@app.command("test")
def test_lab(
    number: Annotated[int | None, typer.Argument(metavar="[N]", help="Needed with --answer or --starter only.")] = None,
    folder: FolderOption = Path(),
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="The variant; the folder's own, if not given.")
    ] = None,
    check: Annotated[list[str] | None, typer.Option("--check", metavar="NAME", help="Only this check.")] = None,
    uses_answer: Annotated[bool, typer.Option("--answer", help="Judge the reference answer.")] = False,
    uses_starter: Annotated[bool, typer.Option("--starter", help="Judge the untouched starter.")] = False,
    is_watching: Annotated[bool, typer.Option("--watch", help="Again whenever a file is saved.")] = False,
    json: JsonOption = None,
) -> None:
    """Run the checks, a line each. Exit status 1 where points are missing."""
    check_writable(json)
    if uses_answer and uses_starter:
        raise OptionError("--answer and --starter: one of them at a time")
    names = tuple(check or ())
    if uses_answer or uses_starter:
        if number is None:
            raise OptionError("--answer and --starter need the lab's number, such as: hartvisor lab test 2 --answer")
        lab, chosen = find_lab(number), seed or 0
        submission = answer(lab, chosen) if uses_answer else starter(lab, chosen)

        def run_kept(show: Callable[[CheckResult], None]) -> LabResult:
            return run_submission(lab, submission, chosen, on_check=show, names=names)

        _report(run_kept, json, None)
        return
    opened = open_lab(find_folder(folder, number))
    if number is not None and opened.lab.number != number:
        raise ConfigError(f"{opened.path}: this is lab {opened.lab.number}, not {number}")

    def run(show: Callable[[CheckResult], None]) -> LabResult:
        return run_checks(opened.path, seed, on_check=show, names=names)

    if is_watching:
        watch(opened.path, lambda: _run(run, json, opened))
        return
    _report(run, json, opened)


def find_folder(folder: Path, number: int | None) -> Path:
    """The folder itself, or, if it holds no lab, the one in it that `lab start N` would have made."""
    if number is None or (folder / "lab.toml").exists():
        return folder
    beside = folder / f"lab{number:02d}-{find_lab(number).name}"
    return beside if beside.is_dir() else folder


def _report(run: Run, json: str | None, opened: LabFolder | None) -> None:
    result = _run(run, json, opened)
    if result.points < result.max:
        raise typer.Exit(1)


def _run(run: Run, json: str | None, opened: LabFolder | None) -> LabResult:
    console = Console(highlight=False, stderr=json == "-", soft_wrap=True)
    result = run(lambda check: show_check(console, check))
    style = "bold green" if result.points == result.max else "bold"
    console.print(Text(f"lab {result.lab}, {result.title}: {result.points:g} of {result.max} points", style))
    if result.seed:
        console.print(f"(seed {result.seed})")
    failed = next((check for check in result.checks if check.first_divergence is not None), None)
    if failed is not None and opened is not None:
        console.print(f"look at it: hartvisor lab replay {failed.name}")
    data = result.as_json()
    if opened is not None:
        (opened.path / LAST).write_text(json_module.dumps(data, indent=2) + "\n", encoding="utf-8")
    write_json(json, data)
    return result


def show_check(console: Console, check: CheckResult) -> None:
    """One line, and, where the guest went wrong, a second."""
    mark, colour = LOOKS[check.status]
    if check.status is Status.FAIL and check.points:
        mark, colour = "◐", "yellow"
    line = Text.assemble((mark, f"bold {colour}"), f" {check.points:>5g}/{check.max:<3} ", (check.name, "bold"), "  ")
    line.append(check.title if check.status is Status.PASS else "")
    if check.status not in (Status.PASS, Status.FAIL):
        line.append(f"{check.status.value}: ", colour)
    if check.status is not Status.PASS or check.kind in ("band", "mutation"):
        line.append(("  " if check.status is Status.PASS else "") + check.message)
    console.print(line)
    if check.first_divergence is not None:
        console.print(Text(f"             first divergence: {check.first_divergence}", "dim"))


@app.command()
def replay(
    check: Annotated[str | None, typer.Argument(metavar="[CHECK]", help="The first that failed, if not given.")] = None,
    folder: FolderOption = Path(),
    uses_tui: Annotated[bool, typer.Option("--tui/--no-tui", help="In the TUI; else the state is shown.")] = False,
) -> None:
    """Look at where a check failed, as the latest test left it: the state before the instruction that went wrong."""
    opened = open_lab(folder)
    failed = find_failure(opened, check)
    if uses_tui:
        replay_failure(failed)
        return
    explain_failure(failed, Console(highlight=False, soft_wrap=True))


def find_failure(opened: LabFolder, name: str | None) -> CheckResult:
    """A failed check with a divergence, from the latest result. Raises ConfigError."""
    if not (opened.path / LAST).exists():
        raise ConfigError(f"{opened.path}: nothing was tested yet: hartvisor lab test")
    result = read_result(opened.path / LAST)
    failed = [each for each in result.checks if each.first_divergence is not None]
    for each in failed:
        if name in (None, each.name):
            return each
    if name is not None and name not in {each.name for each in result.checks}:
        raise ConfigError(f"no check {name}; there are {', '.join(each.name for each in result.checks)}")
    raise ConfigError("no check failed with a divergence" if name is None else f"{name} has no divergence to look at")


@app.command()
def export(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help=f"One of {', '.join(EXPORTERS)}.")],
    result: Annotated[Path, typer.Argument(metavar="[RESULT]", help="What `lab test --json` wrote.")] = Path(LAST),
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else standard output.")] = None,
) -> None:
    """A result in the format of whoever collects it."""
    if form not in EXPORTERS:
        raise OptionError(f"no format {form}; there are {', '.join(EXPORTERS)}")
    _write(EXPORTERS[form](read_result(result)), out)


@app.command()
def grade(
    number: NumberArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A submission: a folder with answer.py in it.")],
    seed: SeedOption = 0,
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"json, {', '.join(EXPORTERS)}.")] = "json",
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Else standard output.")] = None,
) -> None:
    """Grade one submission, as a collector of submissions wants it. A bad one is no error: it gets no points."""
    if form != "json" and form not in EXPORTERS:
        raise OptionError(f"no format {form}; there are json, {', '.join(EXPORTERS)}")
    lab = find_lab(number)
    submission = Submission.read(folder) if (folder / FILES[0]).is_file() else Submission({})
    result = run_submission(lab, submission, seed)
    text = json_module.dumps(result.as_json(), indent=2) + "\n" if form == "json" else EXPORTERS[form](result)
    _write(text, out)


def _write(text: str, out: Path | None) -> None:
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}") from None


def read_result(path: Path) -> LabResult:
    """A result that was written. Raises ConfigError."""
    try:
        return LabResult.from_json(json_module.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; `hartvisor lab test` writes it") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path}: not what `hartvisor lab test` wrote; run it again") from None


@app.command()
def submit(
    folder: FolderOption = Path(),
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.zip", help="The file to make.")] = None,
) -> None:
    """Pack what is to be handed in: the answer's files, and nothing else."""
    opened = open_lab(folder)
    submission = Submission.read(opened.path)
    path = out or Path(f"lab{opened.lab.number:02d}-submission.zip")
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in sorted((*submission.texts.items(), ("lab.toml", (opened.path / "lab.toml").read_text()))):
                # A fixed date: the same files make the same archive.
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    typer.echo(f"{path}: {len(submission.texts)} files, {submission.digest}")


@app.command()
def handout(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[N]...", help="The labs, else all.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")] = Path("course"),
    seed: SeedOption = 0,
) -> None:
    """Make the folder that students get: handouts and starters, no answers."""
    chosen = numbers or [lab.number for lab in all_labs()]
    for path in write_course(chosen, out, seed):
        typer.echo(path)


@app.command("answer")
def show_answer(
    number: NumberArgument,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Put its files there.")] = None,
    seed: SeedOption = 0,
) -> None:
    """The reference answer: shown, or as a folder like a student's."""
    lab = find_lab(number)
    texts = answer(lab, seed).texts
    if to is None:
        for name, text in texts.items():
            typer.echo(f"# ---- {name}\n{text}")
        return
    folder = start_lab(number, to, seed)
    for name, text in texts.items():
        (folder.path / name).write_text(text, encoding="utf-8")
    typer.echo(folder.path)

