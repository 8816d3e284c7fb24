"""Which labs there are, and where their parts lie."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError
from .lab import FILES, Lab
from .submission import Submission

HERE: Final = Path(__file__).parent
ANSWERS: Final = "answers"
PACKAGES: Final[dict[int, str]] = {
    int(path.name[3:5]): path.name for path in sorted(HERE.glob("lab[0-9][0-9]_*")) if (path / "__init__.py").is_file()}
"""By number, the folders labNN_name/."""

JUDGES: Final = ("jail", "judge", "kit")
"""The folders beside a lab's own that decide what a result is."""

JUDGES_FILES: Final = ("api.py", "catalog.py", "lab.py", "submission.py")
"""And the files."""


@cache
def find_lab(number: int) -> Lab:
    """A lab by its number. Raises ConfigError."""
    if number not in PACKAGES:
        raise ConfigError(f"no lab {number}; there are {', '.join(map(str, PACKAGES)) or 'none'}")
    lab: Lab = import_module(f".{PACKAGES[number]}.lab", __package__).LAB
    return lab


def all_labs() -> list[Lab]:
    """Every lab, by number."""
    return [find_lab(number) for number in PACKAGES]


@cache
def version_of(number: int) -> str:
    """A hash of all that decides a result: the program's version, the lab, and what judges it."""
    state = hashlib.blake2b(version("hartvisor").encode(), digest_size=16)
    paths = [HERE / name for name in JUDGES_FILES]
    for folder in (*(HERE / name for name in JUDGES), HERE / PACKAGES[number]):
        paths += sorted(folder.rglob("*.py"))
    for path in paths:
        state.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def starter(lab: Lab, seed: int) -> Submission:
    """What a student starts from."""
    return Submission({name: (lab.folder / "starter" / name).read_text(encoding="utf-8") for name in FILES[:2]}
                      | {FILES[2]: prediction_file(lab, seed)})


def answer(lab: Lab, seed: int) -> Submission:
    """The reference answer. Raises ConfigError in a copy of the course that has none."""
    folder = HERE / ANSWERS / PACKAGES[lab.number].split("_")[0]
    if not (folder / FILES[0]).is_file():
        raise ConfigError(f"lab {lab.number}: this copy of the course comes without answers")
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in FILES[:2]}
    foreseen = import_module(f".{ANSWERS}.{folder.name}.predictions", __package__).predict(seed)
    lines = [f"seed = {seed}", *(f"{name} = {value}" for name, value in foreseen.items())]
    return Submission(texts | {FILES[2]: "\n".join(lines) + "\n"})


def prediction_file(lab: Lab, seed: int) -> str:
    """predictions.toml, with the questions, and nothing after the equals signs."""
    lines = ["# Write each number down before you run anything; then remove the # in front of it.", f"seed = {seed}"]
    for question in lab.questions:
        lines += ["", *(f"# {line}" for line in question.text(seed).splitlines()), f"# {question.name} = "]
    return "\n".join(lines) + "\n"
