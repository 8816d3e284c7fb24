"""`--trace`, `--profile` and `hartvisor trace`: what a user types, sees, and gets wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hartvisor.tui.cli import main

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]


def hartvisor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], input="", capture_output=True, text=True, timeout=60,
                          check=False)


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command that runs no guest in this process: status, standard output, standard error."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace of everything that csr-tour does under shadow."""
    path = tmp_path_factory.mktemp("traces") / "tour"
    done = hartvisor("run", "csr-tour", "--technique", "shadow", "--trace", "exits,insn,mem,irq", "--trace-file", path)
    assert done.returncode == 0, done.stderr
    assert "insn" in done.stderr and "bytes each" in done.stderr
    return path


def test_text_has_symbols_and_disassembly(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An SBI call: the exit, then the instruction that the hypervisor executed for the guest."""
    _, listing, _ = command(capsys, "trace", trace)
    lines = listing.splitlines()
    first = next(i for i, line in enumerate(lines) if " exit sbi, " in line)
    place = r"\w+ <sbi_write\+0x\w+>"
    assert re.fullmatch(rf" *\d+ S  exit sbi, pc {place}, environment call from vs-mode, tval 0x0: ecall", lines[first])
    assert re.fullmatch(rf" *(\d+) S  {place} +00000073  ecall", lines[first + 1])
    step = int(lines[first].split()[0])
    _, part, _ = command(capsys, "trace", trace, "--from", str(step), "--to", str(step + 1))
    assert part.splitlines() == lines[first : first + 2]


def test_json_lines_are_filtered_by_kind(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command(capsys, "trace", trace, "--kind", "exits,irq", "--format", "jsonl", "-o", out) == (0, "", "")
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"exit", "trap"}
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert list(tmp_path.iterdir()) == [out]


def test_a_timeline_puts_traces_side_by_side(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = tmp_path / "machine"
    source = tmp_path / "loop.s"
    source.write_text("_start: li t0, 0x10000000\nli t1, 65\nsb t1, (t0)\n1: j 1b\n")
    assert command(capsys, "asm", source, "-o", tmp_path / "loop.elf")[0] == 0
    done = hartvisor("machine", "--bios", tmp_path / "loop.elf", "--budget", "100", "--trace", "exits,mem",
                     "--trace-file", machine)
    assert done.returncode == 0, done.stderr
    _, lines, _ = command(capsys, "trace", machine, "--kind", "exits")
    assert "exit mmio-store" in lines and "gpa 0x10000000" in lines
    whole = json.loads(command(capsys, "trace", trace, machine, "--format", "perfetto")[1])
    names = [event["args"]["name"] for event in whole["traceEvents"] if event["name"] == "process_name"]
    assert names == ["csr-tour, shadow", f"{tmp_path / 'loop.elf'}, machine"]


def test_a_cut_file_is_shown_up_to_the_cut(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(trace.read_bytes()[:-1])
    status, shown, said = command(capsys, "trace", cut, "--kind", "exits")
    assert (status, shown) == command(capsys, "trace", trace, "--kind", "exits")[:2]
    assert said.count("\n") == 1 and "cut off at byte" in said


def test_a_damaged_file_leaves_no_output(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(trace.read_bytes())
    data[-200] ^= 1
    (tmp_path / "bad").write_bytes(data)
    status, shown, said = command(capsys, "trace", tmp_path / "bad", "-o", tmp_path / "out")
    assert (status, shown) == (2, "")
    assert said.count("\n") == 1 and "damaged" in said
    assert not (tmp_path / "out").exists()


def test_a_profile_is_the_same_in_every_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = hartvisor("run", "kernel", "--append", "workload=1", "--technique", "two-stage", "--budget", "3M",
                         "--profile", tmp_path / name, "--profile-every", "5000")
        assert done.returncode == 0, done.stderr
    assert "600 samples, one every 5,000 steps" in done.stderr
    folded = (tmp_path / "one").read_text()
    assert folded == (tmp_path / "two").read_text()
    stacks = [line.rpartition(" ") for line in folded.splitlines()]
    assert sum(int(count) for _, _, count in stacks) == 600
    assert any(stack.startswith("kernel two-stage;S;") and ";trap_vector;user_trap;" in stack for stack, _, _ in stacks)


def test_symbols_may_come_from_a_map(tmp_path: Path) -> None:
    (tmp_path / "map").write_text("0000000080200000 T somewhere\n")
    done = hartvisor("run", "hello", "--profile", tmp_path / "out", "--profile-every", "1000", "--symbols",
                     tmp_path / "map", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "hello deprivileged;S;somewhere" in (tmp_path / "out").read_text()


def test_what_a_trace_has_not_is_said(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = hartvisor("run", "hello", "--trace", "exits,irq", "--trace-file", tmp_path / "small", "--quiet")
    assert done.returncode == 0, done.stderr
    status, _, said = command(capsys, "trace", trace, tmp_path / "small", "--format", "perfetto", "--kind", "insn,mem")
    assert status == 2 and "small has no insn; it was recorded with --trace exits,irq" in said
    status, _, said = command(capsys, "trace", trace, "--vcpu", "1")
    assert status == 2 and "--vcpu 1: those of " in said and said.endswith(" are 0 to 0\n")


def test_a_recorded_run_is_traced_when_it_is_had_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = hartvisor("run", "csr-tour", "--technique", "shadow", "--record", tmp_path / "run", "--trace", "insn,mem",
                     "--trace-file", tmp_path / "one")
    assert done.returncode == 0, done.stderr
    done = hartvisor("replay", tmp_path / "run", "--technique", "deprivileged", "--verify", "--trace", "insn,mem",
                     "--trace-file", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    listings = [command(capsys, "trace", tmp_path / name, "--to", "20000")[1] for name in ("one", "two")]
    assert listings[0].count("\n") > 20_000
    assert listings[0] == listings[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run hello --trace insn", "give both"),
        ("run hello --trace-file {0}/x", "give both"),
        ("run hello --trace insn,all --trace-file {0}/x", "--trace insn,all: there is no 'all'; give some of exits,in"),
        ("run hello --trace insn --trace-file {0}/no/x", "a folder that exists"),
        ("run hello --trace insn --trace-file {0}/x --trace-from 5 --trace-to 5", "no step between"),
        ("run hello --trace-to 5", "--trace-from and --trace-to bound a trace"),
        ("run hello --profile {0}/x --profile-every 0", "at least 1"),
        ("run hello --profile {0}", "not a file that can be written"),
        ("run hello --profile {0}/x --symbols {0}/none", "No such file"),
        ("machine --bios none --trace insn", "give both"),
        ("trace {0}/none", "none: No such file or directory"),
        ("trace {1}", "not a trace; hartvisor run IMAGE --trace KINDS --trace-file FILE makes one"),
        ("trace {0}/a {0}/b", "--format text shows one trace"),
        ("trace {1} --kind cow", "--kind cow: there is no 'cow'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown, said = command(capsys, *(each.format(tmp_path, __file__) for each in arguments.split()))
    assert (status, shown) == (2, "")
    assert said.startswith("hartvisor: ") and said.count("\n") == 1
    assert message in said
