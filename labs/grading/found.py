"""Submissions in a folder: one subfolder or one .zip file for each student."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...core.errors import ConfigError
from ..catalog import version_of
from ..lab import FILES
from ..submission import MAX_FILE, MAX_FILES, Submission

MAX_ZIP: Final = 8 << 20


@dataclass(frozen=True)
class Found:
    """One student's submission. problem: why there is none, in one line; then it is graded as an empty one."""

    student: str
    submission: Submission
    problem: str = ""

    def key(self, lab: int, seed: int) -> str:
        """What its result depends on, as a name: equal keys, equal results."""
        facts = f"{self.submission.digest} {lab} {seed} {version_of(lab)}"
        return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


def find_submissions(folder: Path) -> list[Found]:
    """Every student's, by name. Raises ConfigError for a folder without any."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no folder; it must hold a subfolder or a .zip file for each student")
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            found.append(_read(path.name, path))
        elif path.suffix == ".zip":
            found.append(_unpack(path.stem, path))
    if not found:
        raise ConfigError(f"{folder}: it holds no submissions: a subfolder or a .zip file for each student")
    return found


def _read(student: str, folder: Path) -> Found:
    try:
        return Found(student, Submission.read(folder))
    except ConfigError as error:
        return Found(student, Submission({}), str(error))


def _unpack(student: str, path: Path) -> Found:
    """Only names are looked at that an answer may have, at any depth; nothing is written to disk."""
    texts: dict[str, str] = {}
    try:
        data = path.read_bytes()
        if len(data) > MAX_ZIP:
            return Found(student, Submission({}), f"{path.name}: more than {MAX_ZIP >> 20} MiB")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                name = info.filename.rpartition("/")[2]
                if not (name.endswith(".py") or name == FILES[2]):
                    continue
                if info.file_size > MAX_FILE or len(texts) >= MAX_FILES:
                    return Found(student, Submission({}), f"{path.name}: {name} is too large, or one file too many")
                with archive.open(info) as file:
                    texts[name] = file.read(MAX_FILE + 1).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        return Found(student, Submission({}), f"{path.name}: {error}")
    if FILES[0] not in texts:
        return Found(student, Submission(texts), f"{path.name}: there is no {FILES[0]} in it")
    return Found(student, Submission(texts))
