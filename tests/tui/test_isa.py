"""`--isa` of run and compare: it reaches the guest, and what cannot be is said in one line."""

import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], input="", capture_output=True, timeout=60, text=True)


@pytest.mark.parametrize(("isa", "message"), [
    ("rv64iq", "this hart has no extension 'q'"),
    ("-zifencei", "a guest cannot be without zifencei under deprivileged"),
    ("+h", "a guest has no H"),
])
@pytest.mark.parametrize("command", ["run", "compare"])
def test_what_cannot_be_is_one_line_and_status_2(command, isa, message):
    done = run(command, "hello", f"--isa={isa}")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_guest_without_counters_runs_alike_everywhere():
    done = run("compare", "hello", "--isa=-zihpm")
    assert done.returncode == 0, done.stderr
