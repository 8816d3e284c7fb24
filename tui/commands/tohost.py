"""`hartvisor machine --tohost`: the bare machine as a runner of self-checking test programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ...core.errors import ConfigError, ImageError, OptionError
from ...core.machine.loader import ELF_MAGIC, load_image
from ...core.machine.tohost import TestResult, Verdict, run_test
from ..options import write_json


def run_tests(
    bios: Path | None, folder: Path | None, memory: str, memory_size: int, budget: int, json: str | None,
    isa: frozenset[str],
) -> None:
    """Run the test `bios`, or all in `folder`, on a hart with the extensions `isa`; print and write the results.

    Exit status 1 unless all pass.
    """
    files = find_tests(folder) if folder is not None else [bios] if bios is not None else []
    try:
        results = _run_all(files, memory_size, budget, isa, is_folder=folder is not None)
    except ConfigError as error:
        raise OptionError(f"--memory {memory}: {error}") from error
    write_json(json, {"tests": [as_json(name, result) for name, result in results.items()]})
    if json != "-":
        if folder is not None:
            print_results(results)
        else:
            print(results[files[0].name].detail)
    if any(result.verdict is not Verdict.PASS for result in results.values()):
        raise typer.Exit(1)


def find_tests(folder: Path) -> list[Path]:
    """The ELF files in `folder`, by name. Raises OptionError where there are none."""
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and _is_elf(path)]
    except OSError as error:
        raise OptionError(f"--tohost-dir {folder}: {error.strerror}") from error
    if not files:
        raise OptionError(f"--tohost-dir {folder}: no ELF files in it")
    return files


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ELF_MAGIC)) == ELF_MAGIC


def _run_all(
    files: list[Path], memory_size: int, budget: int, isa: frozenset[str], *, is_folder: bool
) -> dict[str, TestResult]:
    """Each file's result by its name. In a folder, a file that is no test has that as its result."""
    results: dict[str, TestResult] = {}
    shown = track(files, "tests", console=Console(stderr=True), transient=True) if is_folder else files
    for file in shown:
        try:
            result = run_test(load_image(file), memory_size=memory_size, budget=budget, isa=isa)
        except ImageError as error:
            if not is_folder:
                raise
            result = TestResult(Verdict.STUCK, 0, str(error), 0, b"")
        if not is_folder and result.output:
            sys.stderr.write(result.output.decode(errors="replace"))
        results[file.name] = result
    return results


def as_json(name: str, result: TestResult) -> dict[str, Any]:
    """One test's result as plain data."""
    return {"name": name, "verdict": result.verdict.value, "case": result.case, "detail": result.detail,
            "steps": result.steps, "output": result.output.decode(errors="replace")}


def print_results(results: dict[str, TestResult]) -> None:
    """The table, and the count under it."""
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("test", no_wrap=True, min_width=max(len(name) for name in results))
    table.add_column("result", overflow="fold")
    table.add_column("steps", justify="right")
    for name, result in results.items():
        style = "" if result.verdict is Verdict.PASS else "bold red"
        table.add_row(name, result.detail, f"{result.steps:,}", style=style)
    console.print(table)
    passed = sum(result.verdict is Verdict.PASS for result in results.values())
    console.print(f"[bold]{passed} of {len(results)} pass[/bold]", highlight=False)
