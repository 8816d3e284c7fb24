"""Watch mode: something is done, and again whenever a file of a folder is saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ...core.errors import HartvisorError
from ...labs.lab import FILES

EVERY: Final = 0.3
"""Seconds between two looks at the folder."""


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file of a student's was written, and its size."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" or path.name in FILES:
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # an editor replaces it just now
            found[path.name] = (facts.st_mtime_ns, facts.st_size)
    return found


def watch(folder: Path, work: Callable[[], object], is_over: Callable[[], bool] = lambda: False) -> None:
    """Do the work now and after every change, until Ctrl-C (or `is_over`). A mistake in a file ends nothing."""
    while True:
        seen = stamps(folder)
        try:
            work()
        except HartvisorError as error:
            print(f"hartvisor: {error}")
        print("-- watching; Ctrl-C ends it")
        while stamps(folder) == seen:
            if is_over():
                return
            time.sleep(EVERY)
