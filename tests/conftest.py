"""What every run shares: folders of the user's that are its own, and oracles: those missing are named at its end, or
stop it at its start where they are required."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import oracles

USER_FOLDERS = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
"""Where sockets, marks, snapshots and settings lie: each process that runs tests has others, and the user's are left
alone. What was fetched (XDG_CACHE_HOME) serves all."""

_folders: list[Path] = []


def pytest_unconfigure() -> None:
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_configure() -> None:
    home = Path(tempfile.mkdtemp(prefix="hv"))  # short: a socket's path has 107 bytes
    _folders.append(home)
    for number, name in enumerate(USER_FOLDERS):
        folder = home / str(number)
        folder.mkdir(mode=0o700)
        os.environ[name] = str(folder)
    missing = oracles.missing_oracles()
    if missing and oracles.are_required():
        raise pytest.UsageError("\n  ".join(["missing oracles, which HARTVISOR_REQUIRE_ORACLES requires:", *missing]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = oracles.missing_oracles()
    if missing:
        terminalreporter.section("missing oracles (their tests were skipped)")
        for line in missing:
            terminalreporter.write_line(line)
