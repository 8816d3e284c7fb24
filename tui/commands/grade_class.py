"""`hartvisor grade-class`: a folder of submissions, graded on as many processes as there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ...core.errors import ConfigError, OptionError
from ...labs.catalog import find_lab
from ...labs.grading.cluster import Graded, grade_class, open_client
from ...labs.grading.found import find_submissions
from ...labs.grading.kept import Kept
from ...labs.grading.report import to_csv, to_html


def grade_class_command(
    number: Annotated[int, typer.Argument(metavar="LAB", help="The lab: see `hartvisor lab list`.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A subfolder or .zip file for each student.")],
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://host:8786.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Without a scheduler: processes, else one a core.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="The variant, yours to keep.")] = 0,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.html", help="The report; the table lies beside it.")
    ] = Path("report.html"),
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", help="Where results are kept, else beside the report.")
    ] = None,
) -> None:
    """Grade a whole class. What was graded before is not graded again: after an interruption, run it once more."""
    if workers is not None and workers < 1:
        raise OptionError(f"--workers {workers}: it must be at least 1")
    lab, submissions = find_lab(number), find_submissions(folder)
    kept = Kept(results or out.with_suffix(".results"))
    count = workers or os.cpu_count() or 1
    console = Console(stderr=True, highlight=False)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as progress:
        task = progress.add_task(f"lab {number}", total=len(submissions))

        def show(graded: Graded) -> None:
            progress.advance(task)

        graded = grade_class(number, submissions, seed, kept, lambda: open_client(scheduler, count), show)
    table = out.with_suffix(".csv")
    for path, text in ((table, to_csv(lab, graded)), (out, to_html(lab, graded, seed))):
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
    new = sum(each.is_new for each in graded)
    typer.echo(f"{len(graded)} submissions, {new} graded now, {len(graded) - new} before; {out}, {table}")
    if any(each.result is None for each in graded):
        raise typer.Exit(1)
