"""The Makefile a newcomer starts from: its targets exist, and what is missing is named in one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.tree import ROOT
from tools import trixie_oracles
from tools.install_oracles import PACKAGES


@pytest.mark.parametrize("target", ["demo", "test", "oracles", "build", "clean"])
def test_target_exists(target: str) -> None:
    run = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_old_python_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    command = ["make", "--silent", f"PYTHON={old}", f"VENV={tmp_path / 'env'}", "build"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert run.stderr.splitlines()[0] == "Hartvisor needs Python 3.11 or newer: make PYTHON=python3.x ..."


def run_installer(path: Path) -> subprocess.CompletedProcess[str]:
    """Run the oracles' installer with only the programs in `path` to be found, and its private folder in there too."""
    command = [sys.executable, str(ROOT / "tools" / "install_oracles.py")]
    environment = {**os.environ, "PATH": str(path), "HARTVISOR_ORACLES": str(path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def make_programs(folder: Path, names: list[str]) -> None:
    for name in names:
        program = folder / name
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)


def test_oracles_that_are_there_are_not_installed(tmp_path: Path) -> None:
    make_programs(tmp_path, list(PACKAGES))
    (tmp_path / "bin").mkdir()
    make_programs(tmp_path / "bin", list(trixie_oracles.PROGRAMS))
    run = run_installer(tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("oracles: all present")


def test_oracles_cannot_be_installed_without_apt(tmp_path: Path) -> None:
    run = run_installer(tmp_path)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "there is no apt-get here" in line
    assert all(package in line for package in PACKAGES.values())


def test_an_apt_that_installs_nothing_is_noticed(tmp_path: Path) -> None:
    make_programs(tmp_path, ["apt-get", "sudo"])
    run = run_installer(tmp_path)
    assert run.returncode == 1
    assert "could not install" in run.stderr


def test_the_private_oracles_need_apt_and_say_so(tmp_path: Path) -> None:
    make_programs(tmp_path, list(PACKAGES))
    run = run_installer(tmp_path)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("oracles: there is no apt-get here to fetch packages of Debian trixie")


def test_missing_oracle_skips_with_its_reason_and_is_named_at_the_end(tmp_path: Path) -> None:
    run = run_one_oracle_test(tmp_path, required="0")
    assert run.returncode == 0, run.stdout
    advice = "gdb-multiarch: apt-get install gdb-multiarch, or make oracles"
    assert f"needs {advice}" in run.stdout
    assert advice in run.stdout.partition("missing oracles")[2]


def test_missing_oracle_fails_a_run_that_requires_it(tmp_path: Path) -> None:
    run = run_one_oracle_test(tmp_path, required="1")
    assert run.returncode != 0
    assert "gdb-multiarch: apt-get install gdb-multiarch" in run.stdout + run.stderr


def run_one_oracle_test(folder: Path, required: str) -> subprocess.CompletedProcess[str]:
    """Run, with nothing on PATH, one test that needs GDB, in a suite that has the project's conftest."""
    test = folder / "test_needs_gdb.py"
    test.write_text("from tests.oracles import require_oracle\n\ndef test_it():\n    require_oracle('gdb-multiarch')\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-rs", str(test)]
    env = {**os.environ, "PATH": str(folder), "HARTVISOR_REQUIRE_ORACLES": required, "COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["tools.install_oracles", "tools.requirements", "guest.build"])
def test_what_runs_before_the_dependencies_are_there_needs_none(module: str) -> None:
    """`make oracles` uses the system's Python; a wheel's build has setuptools, Cython and ziglang only."""
    run = subprocess.run([sys.executable, "-S", "-c", f"import {module}"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
