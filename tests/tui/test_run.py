"""`hartvisor run`: the console, piped and on a terminal, the summary, and where a run ends."""

import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]
TECHNIQUES = ("deprivileged", "shadow", "two-stage", "bare")


def run(*arguments, typed=b""):
    return subprocess.run([*COMMAND, *arguments], input=typed, capture_output=True, timeout=60)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_piped_input_is_typed_to_the_shell(technique):
    done = run("run", "kernel", "--technique", technique, typed=b"echo one two | wc\npoweroff\n")
    assert done.returncode == 0
    assert b"$ echo one two | wc" in done.stdout
    assert b"1 2 8" in done.stdout
    assert b"power-off" in done.stderr and b"power-off" not in done.stdout


def test_same_input_gives_the_same_json_but_for_time(tmp_path):
    results = []
    for name in ("one", "two"):
        run("run", "kernel", "--json", str(tmp_path / name), typed=b"ls\nps\npoweroff\n")
        results.append(json.loads((tmp_path / name).read_text()))
    for result in results:
        assert result.pop("seconds") >= 0
    assert results[0] == results[1]
    assert results[0]["stop"]["reason"] == "power-off"


def test_how_the_pipe_is_cut_changes_nothing(tmp_path):
    text = b"echo a\nls\npoweroff\n"
    run("run", "kernel", "--json", str(tmp_path / "whole"), typed=text)
    with subprocess.Popen([*COMMAND, "run", "kernel", "--json", str(tmp_path / "cut")], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for byte in text:
            process.stdin.write(bytes((byte,)))
            process.stdin.flush()
            time.sleep(0.01)
        process.stdin.close()
        assert process.wait(60) == 0
    whole, cut = (json.loads((tmp_path / name).read_text()) for name in ("whole", "cut"))
    whole.pop("seconds"), cut.pop("seconds")
    assert whole == cut


def test_json_on_standard_output_is_json_alone():
    done = run("run", "hello", "--json", "-")
    assert json.loads(done.stdout)["image"] == "hello"
    assert b"hello" in done.stderr


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("budget", [1, 999, 1_000_000])
def test_a_guest_that_spins_ends_at_its_exact_budget(technique, budget):
    done = run("run", "spin", "--technique", technique, "--budget", str(budget), "--json", "-")
    result = json.loads(done.stdout)
    assert result["steps"] == budget
    assert result["stop"]["reason"] == "budget"
    assert done.returncode == 0


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_guest_asleep_for_ever_says_so(technique):
    done = run("run", "sleep", "--technique", technique, "--json", "-")
    assert json.loads(done.stdout)["stop"] == {
        "reason": "asleep", "detail": "asleep: no timer armed and no input"}
    assert done.returncode == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_guest_that_jumps_into_nothing_is_told_with_pc_and_cause(technique):
    done = run("run", "jumpnowhere", "--technique", technique, "--budget", "1M", "--json", "-")
    stop = json.loads(done.stdout)["stop"]
    assert stop["reason"] == "guest-fault"
    assert "0x40000000" in stop["detail"] and "cause 1" in stop["detail"]
    assert done.returncode == 1


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_faulting_trap_vector_is_told(technique):
    done = run("run", "badvec", "--technique", technique, "--budget", "1M", "--json", "-")
    stop = json.loads(done.stdout)["stop"]
    assert stop["reason"] == "guest-fault"
    assert "stvec" in stop["detail"]


def test_the_missing_fences_show_with_a_stale_tlb():
    good = run("run", "kernel", "--append", "workload=1", "--technique", "bare", "--tlb", "stale", "--budget", "30M")
    assert b"0 stages failed" in good.stdout
    bad = run("run", "kernel-nofence", "--append", "workload=1", "--technique", "bare", "--tlb", "stale",
              "--budget", "30M")
    assert b"0 stages failed" not in bad.stdout
    precise = run("run", "kernel-nofence", "--append", "workload=1", "--technique", "bare", "--budget", "30M")
    assert b"0 stages failed" in precise.stdout


class Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        env=os.environ | {"TERM": "dumb"})
        self.seen = b""

    def wait_for(self, text, seconds=30):
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 4096)

    def type(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Wait for the command to end; its status, once the terminal is found as it was."""
        status = self.process.wait(30)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal was left changed"
        return status

    def close(self):
        self.process.kill()
        self.process.wait(30)
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    """Starts commands on terminals of their own, and ends what is left of them."""
    started = []

    def start(*arguments):
        started.append(Terminal(*arguments))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_keys_reach_the_guest_and_ctrl_a_x_quits(terminal):
    shell = terminal("run", "kernel", "--technique", "two-stage")
    shell.wait_for(b"$ ")
    shell.type(b"echo typed by hand\r")
    shell.wait_for(b"\ntyped by hand")
    assert b"\r\ntyped by hand" in shell.seen, "a line begins at the left, though the guest sends line feeds alone"
    shell.type(b"\x01h")
    shell.wait_for(b"ctrl-a x: quit")
    shell.type(b"\x01x")
    shell.wait_for(b"quit: ctrl-a x")
    assert shell.end() == 0


def test_ctrl_c_goes_to_the_guest_not_to_us(terminal):
    shell = terminal("run", "kernel", "--technique", "shadow")
    shell.wait_for(b"$ ")
    shell.type(b"\x03echo still here\r")
    shell.wait_for(b"\nstill here")
    shell.type(b"\x01x")
    assert shell.end() == 0


def test_a_terminated_run_leaves_the_terminal_as_it_was(terminal):
    shell = terminal("run", "kernel")
    shell.wait_for(b"$ ")
    shell.process.terminate()
    assert shell.end() == 143


def test_a_guest_that_sleeps_on_a_terminal_leaves_the_processor_alone(terminal):
    shell = terminal("run", "kernel", "--technique", "two-stage")
    shell.wait_for(b"$ ")
    before = cpu_seconds(shell.process.pid)
    time.sleep(1.0)
    assert cpu_seconds(shell.process.pid) - before < 0.5


def cpu_seconds(pid):
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
