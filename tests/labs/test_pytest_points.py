"""Checks as plain tests: the plugin runs them on a student's folder, and writes a result like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema

from hartvisor.labs.judge.verdict import LabResult
from tests.labs.test_api import SCHEMA

CHECKS = '''
from hartvisor.labs.pytest_points import points

@points(5, task="extend")
def test_minus_one(student):
    """All ones are minus one."""
    assert student.call("f", 0xFFF) == -1

@points(3)
def test_zero(student):
    assert student.call("f", 0) == 0

@points(2)
def test_exits(student):
    student.call("leave")

def test_without_points(student):
    assert student.call("f", 1) == 1
'''
ANSWER = "import os\ndef f(x):\n    return -1 if x == 0xFFF else 1\ndef leave():\n    os._exit(0)\n"


def test_points_go_to_tests_that_pass(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "answer.py").write_text(ANSWER)
    (tmp_path / "test_checks.py").write_text(CHECKS)
    out = tmp_path / "result.json"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "hartvisor.labs.pytest_points", "--strict-markers", "--submission",
         str(tmp_path / "student"), "--points-json", str(out), "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 2 passed" in run.stdout, run.stdout + run.stderr
    data = json.loads(out.read_text())
    jsonschema.validate(data, SCHEMA)
    result = LabResult.from_json(data)
    assert (result.points, result.max) == (5, 10)
    assert [(check.name, check.status.value, check.title) for check in result.checks] == [
        ("test_minus_one", "pass", "All ones are minus one."), ("test_zero", "fail", "zero"),
        ("test_exits", "crash", "exits")]
    assert "the process ended itself" in result.checks[2].message
