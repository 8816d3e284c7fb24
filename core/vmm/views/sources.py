"""Source files, by the paths in debug data: found on this computer, read once."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final

MOST_BYTES: Final = 4 << 20
"""A larger file is no source that anybody would read."""

TAB: Final = 4


def find_source(path: str, folders: Sequence[Path]) -> Path | None:
    """The file that a path of the compiler's stands for: itself, or below one of the folders the path, or what is left
    of it when it is cut off from the front; None if there is none."""
    return _find(path, tuple(folders))


@lru_cache(maxsize=1024)
def _find(path: str, folders: tuple[Path, ...]) -> Path | None:
    pure = PurePosixPath(path)
    if pure.is_absolute() and _is_file(Path(path)):
        return Path(path)
    parts = [part for part in pure.parts if part not in ("/", "..")]
    for first in range(len(parts)):
        for folder in folders:
            found = folder.joinpath(*parts[first:])
            if _is_file(found):
                return found
    return None


def _is_file(path: Path) -> bool:
    """Whether it is an ordinary file of a size to be read. (A pipe, say, would have us wait.)"""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES


def read_source(path: Path) -> tuple[str, ...]:
    """Its lines, with tabs made spaces; none where it cannot be read. It is read again when it has changed."""
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        return ()
    return _read(path, modified)


@lru_cache(maxsize=64)
def _read(path: Path, modified: int) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    return tuple(_printable(line.expandtabs(TAB)) for line in text.splitlines())


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in line)
