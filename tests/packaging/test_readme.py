"""Every command the README shows is a command that works, as printed, from the root of a built checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.linux.support import require_debian
from tests.structure.tree import ROOT

SHELL_BLOCK = re.compile(r"^```(?:console|sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LONGEST_SECONDS = 240


def shown_commands(markdown: str) -> list[str]:
    """The commands in a document's shell blocks: a block's lines that start with `$ `, or else all its lines."""
    commands: list[str] = []
    for block in SHELL_BLOCK.findall(markdown):
        lines = [line.partition("  #")[0].rstrip() for line in block.replace("\\\n", " ").splitlines()]
        typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        commands += typed or [line for line in lines if line and not line.startswith("#")]
    return commands


COMMANDS = shown_commands((ROOT / "README.md").read_text(encoding="utf-8"))


def test_commands_are_found_in_shell_blocks() -> None:
    console = "```console\n$ one  # why\nits output\n$ two\n```\n"
    shell = "```sh\n# remark\nthree \\\n  four\n```\n"
    assert shown_commands(console + "```python\nnot one\n```\n" + shell) == ["one", "two", "three    four"]


def test_readme_shows_how_to_start() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.fixture(scope="module", autouse=True)
def nothing_left_from_before() -> None:
    """The snapshots that the README takes have names of their own."""
    (ROOT / "build" / "snapshots.db").unlink(missing_ok=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_shown_command_works(command: str, tmp_path: Path) -> None:
    """Run in a shell with the environment's programs first; make only plans, since `make test` would run this test."""
    if command.startswith(("git clone", "cd ")):
        pytest.skip("starts from outside the checkout")
    if " debian" in command:
        require_debian()
    if command.startswith("make "):
        command += " --dry-run"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PATH": path, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
