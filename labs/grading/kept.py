"""Results on disk, one file for each key: what is there is not graded again."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...core.errors import ConfigError
from ..judge.verdict import LabResult, Status


class Kept:
    """A folder of results. Raises ConfigError where it cannot be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}") from None

    def load(self, key: str) -> LabResult | None:
        """The result of a key; None where there is none, or none that can be read, such as one cut off."""
        try:
            return LabResult.from_json(json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, key: str, result: LabResult) -> None:
        """Keep it, whole or not at all: a kill in between leaves no half result. What our side could not grade is not
        kept, so the next run tries again. Raises ConfigError."""
        if any(check.status is Status.HARNESS_ERROR for check in result.checks):
            return
        path, unfinished = self.folder / f"{key}.json", self.folder / f".{key}.{os.getpid()}"
        try:
            unfinished.write_text(json.dumps(result.as_json()) + "\n", encoding="utf-8")
            unfinished.replace(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
