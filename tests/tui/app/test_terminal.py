"""The app on a real terminal, tmux's: it starts, the guest's console hears keys, a resize, suspending and leaving leave
the terminal as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oracles import require_oracle

ROOT = Path(__file__).parents[3]
PATIENCE = 40.0


class Tmux:
    """One tmux server with one window."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.program = require_oracle("tmux")
        self.socket = folder / "tmux"
        # A size that somebody has exported is not the terminal's: else no resize would be seen.
        environment = os.environ | {"XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PS1": "$ ",
                                    "COLUMNS": "80", "LINES": "24"}
        self.call("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "sh", environment=environment)

    def call(self, *words: str, environment: dict[str, str] | None = None) -> str:
        """A tmux command's output."""
        done = subprocess.run([self.program, "-f", "/dev/null", "-S", str(self.socket), *words], env=environment,
                              capture_output=True, text=True, check=True)
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Type keys, by tmux's names."""
        self.call("send-keys", *keys)

    def line(self, text: str) -> None:
        """Type text, and Enter."""
        self.call("send-keys", "-l", text)
        self.keys("Enter")

    def screen(self) -> str:
        """What is on the screen."""
        return self.call("capture-pane", "-p")

    def until(self, *wanted: str, absent: str | None = None) -> str:
        """Wait until all of `wanted` is on the screen, and `absent` is not."""
        end = time.monotonic() + PATIENCE
        while True:
            text = self.screen()
            if all(each in text for each in wanted) and (absent is None or absent not in text):
                return text
            assert time.monotonic() < end, f"no {wanted} (or still {absent}) in:\n{text}"
            time.sleep(0.05)

    def close(self) -> None:
        """End it."""
        self.call("kill-server")


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    folder = Path(tempfile.mkdtemp(prefix="hv"))    # a socket's path must be short
    server = Tmux(folder, (100, 30))
    yield server
    server.close()
    shutil.rmtree(folder)


def start(tmux: Tmux, *options: str) -> None:
    command = Path(sys.executable).parent / "hartvisor"
    tmux.line(f"cd {ROOT}; clear; {command} tui kernel {' '.join(options)}")


def test_start_console_resize_suspend_quit(tmux: Tmux) -> None:
    start(tmux, "--no-tour", "--technique", "two-stage", "--memory", "32M")
    tmux.until("kernel", "two-stage", "paused")
    tmux.keys("c")
    tmux.until("running")
    tmux.keys("6")
    tmux.keys("]")
    tmux.until("tern")
    tmux.line("echo glass house")
    tmux.until("glass house")
    tmux.keys("C-a", "z")
    tmux.call("resize-window", "-x", "140", "-y", "45")
    tmux.until("glass house")
    tmux.call("resize-window", "-x", "40", "-y", "10")
    tmux.until("Hartvisor needs")
    tmux.call("resize-window", "-x", "100", "-y", "30")
    tmux.until("glass house", absent="Hartvisor needs")
    tmux.keys("C-a", "1")
    tmux.keys("C-z")
    tmux.until("Stopped")
    tmux.line("echo at-the-shell")
    tmux.until("\nat-the-shell")
    tmux.line("fg")
    tmux.until("Why did it trap?")
    tmux.keys("q")
    tmux.until("# " if os.getuid() == 0 else "$ ", absent="Why did it trap?")
    tmux.line("echo status $?")
    text = tmux.until("status 0")
    assert "Traceback" not in text
    tmux.line("stty -a | grep -o ' echo '")
    tmux.until("echo")
