"""Print what pyproject.toml requires, one a line, for `pip install -r`: `requirements.py build|run|test ...`."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(kind: str) -> list[str]:
    """The requirements to `build`, to `run`, or to `test` the project."""
    stated = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    return {
        "build": stated["build-system"]["requires"],
        "run": stated["project"]["dependencies"],
        "test": stated["project"]["optional-dependencies"]["test"],
    }[kind]


if __name__ == "__main__":
    print(*(line for kind in sys.argv[1:] for line in requirements(kind)), sep="\n")
