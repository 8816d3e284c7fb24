"""Boots Debian's kernel, types at its shell, and says what came of it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hartvisor.guest.debian import debian_folder, is_fetched
from tests.oracles import are_required

RELEASE = b"6.12."
TIMEOUT = 300


def require_debian() -> Path:
    """The folder of the fetched image; skip the test where it is absent, or fail where oracles are required."""
    if not is_fetched():
        reason = "needs Debian's kernel: hartvisor images fetch debian (apt and the network)"
        if are_required():
            pytest.fail(reason)
        pytest.skip(reason)
    return debian_folder()


@dataclass(frozen=True)
class Run:
    """The end of one `hartvisor` command: exit status, console output, messages."""

    status: int
    out: bytes
    err: str


def hartvisor(*arguments: str, typed: bytes = b"") -> Run:
    """Run the command with input piped to the guest."""
    command = [sys.executable, "-m", "hartvisor.tui.cli", *arguments]
    run = subprocess.run(command, input=typed, capture_output=True, timeout=TIMEOUT, check=False)
    return Run(run.returncode, run.stdout, run.stderr.decode())


def answers(out: bytes) -> list[bytes]:
    """The lines of a console after the first prompt that are not the echo of what was typed."""
    _, _, session = out.partition(b"~ # ")
    return [line.strip() for line in session.split(b"\n")[1:] if b"~ # " not in line]
