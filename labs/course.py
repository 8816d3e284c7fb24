"""Shipping a course: what students get, as a folder, without answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError
from .api import HANDOUT, start_lab
from .catalog import find_lab

INDEX: Final = "README.md"


def write_course(numbers: Sequence[int], folder: Path, seed: int = 0) -> list[Path]:
    """Make a folder for each lab, ready to be given to students, and an index of them; what was made. Raises
    ConfigError where something is there already."""
    made = []
    lines = ["# The labs", "", "Each folder is one lab: read its handout, fill in `answer.py`, `tests.py` and",
             "`predictions.toml`, and run `hartvisor lab test` in it.", "", "| lab | it is about | points |",
             "|---|---|---|"]
    for number in numbers:
        lab = find_lab(number)
        name = f"lab{number:02d}-{lab.name}"
        made.append(start_lab(number, folder / name, seed).path)
        lines.append(f"| [{number} {lab.title}]({name}/{HANDOUT}) | {lab.concept} | {lab.points} |")
    try:
        (folder / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    return made
