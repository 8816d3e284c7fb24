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

NETWORK = b"""ifconfig eth0 10.0.2.15 up
ping -c 2 10.0.2.2
head -c 100000 /dev/urandom >x; md5sum <x
nc 10.0.2.2 7 <x | md5sum
"""
"""What is typed to use the network of `--netdev echo`: 100 kB go to the host and come back over TCP."""
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


def check_network(said: list[bytes]) -> None:
    """That all of `NETWORK` came to pass, as the console says."""
    assert b"2 packets transmitted, 2 packets received, 0% packet loss" in said
    sums = [line for line in said if line.endswith(b"  -")]
    assert len(sums) == 2 and sums[0] == sums[1], said


def answers(out: bytes) -> list[bytes]:
    """The lines of a console after the first prompt that are not the echo of what was typed."""
    _, _, session = out.partition(b"~ # ")
    return [line.strip() for line in session.split(b"\n")[1:] if b"~ # " not in line]
