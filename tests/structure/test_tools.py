"""The project's own tools find nothing to say: types check strictly, and the linter is silent."""

from __future__ import annotations

import subprocess
import sys

from tests.structure.tree import ROOT


def assert_silent(*command: str) -> None:
    run = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_types_check_strictly() -> None:
    """Against the link tree that the build makes, where the packages have the names they are imported by."""
    assert (ROOT / "build" / "tree" / "hartvisor").is_dir(), "build first: make build"
    assert_silent("mypy", "--no-error-summary")


def test_linter_is_silent() -> None:
    assert_silent("ruff", "check", "--quiet")
