"""`hartvisor machine`: the runner of self-checking tests, on tiny ones of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.machine.elf_writer import elf_file
from hartvisor.tui.cli import main

BASE = 0x8000_0000

PASS = """
    la t0, tohost
    li t1, 1
    sd t1, 0(t0)
again:
    j again
    .align 3
tohost:
    .dword 0
"""
FAIL = PASS.replace("li t1, 1", "li t1, 11")
HUNG = PASS.replace("sd t1, 0(t0)", "nop")
ASLEEP = PASS.replace("sd t1, 0(t0)", "wfi")
ODD_REQUEST = PASS.replace("li t1, 1", "li t1, 0x80001000")
# Waits until the host has taken the character, as the tests' own library does.
WRITES = """
    la t0, tohost
    li t1, 0x010100000000006f
    sd t1, 0(t0)
wait:
    ld t2, 0(t0)
    bnez t2, wait
    li t1, 0x010100000000006b
    sd t1, 0(t0)
wait2:
    ld t2, 0(t0)
    bnez t2, wait2
""" + PASS
# The verdict depends on the privilege: mhartid can be read in M-mode only.
IN_M_MODE = "csrr t2, mhartid\nbne t2, a0, again\n" + PASS


def write(folder: Path, name: str, text: str) -> Path:
    """A test program as an ELF file."""
    program = assemble(text, BASE)
    path = folder / name
    path.write_bytes(elf_file(program.code, BASE, BASE, program.symbols))
    return path


@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        (PASS, 0, "pass"),
        (IN_M_MODE, 0, "pass"),
        (FAIL, 1, "test 5 failed"),
        (HUNG, 1, "no verdict after 50,000 steps, pc 0x80000010"),
        (ASLEEP, 1, "no verdict: asleep: no timer armed and no input"),
        (ODD_REQUEST, 1, "0x80001000 stored to tohost: neither a verdict nor a character"),
    ],
    ids=["pass", "m-mode", "fail", "hung", "asleep", "odd"],
)
def test_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, status: int, line: str) -> None:
    path = write(tmp_path, "test.elf", text)
    assert main(["machine", "--bios", str(path), "--tohost", "--budget", "50000"]) == status
    told = capsys.readouterr()
    assert (told.out, told.err) == (line + "\n", "")


def test_what_it_writes_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "test.elf", WRITES)
    assert main(["machine", "--bios", str(path), "--tohost"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("pass\n", "ok")


def test_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests, results = tmp_path / "tests", tmp_path / "results.json"
    tests.mkdir()
    for name, text in (("a-pass", PASS), ("b-fail", FAIL), ("c-no-test", PASS.replace("tohost", "elsewhere"))):
        write(tests, name, text)
    (tests / "a-pass.dump").write_text("a listing\n")
    assert main(["machine", "--tohost-dir", str(tests), "--json", str(results)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["a-pass", "pass", "1,000"]
    assert lines[2].split() == ["b-fail", "test", "5", "failed", "1,000"]
    assert lines[3].startswith("c-no-test") and lines[-1] == "1 of 3 pass"
    found = json.loads(results.read_text())["tests"]
    assert [(test["name"], test["verdict"], test["case"]) for test in found] == [
        ("a-pass", "pass", 0), ("b-fail", "fail", 5), ("c-no-test", "stuck", 0)]


def test_folder_where_all_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "only", PASS)
    assert main(["machine", "--tohost-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("1 of 1 pass\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to boot; give --bios FILE"),
        (["--tohost"], "give the test with --bios FILE"),
        (["--bios", "{elf}", "--smp", "9"], "9 harts"),
        (["--bios", "{elf}", "--aia-guests", "8"], "--aia-guests 8: a hart has 0 to 7"),
        (["--bios", "{elf}", "--initrd", "{folder}/nowhere"], "No such file"),
        (["--bios", "{elf}", "--initrd", "{big}", "--memory", "16M"], "does not fit"),
        (["--bios", "{elf}", "--fw-cfg", "opt/x=5"], "write name=NAME,file=FILE or name=NAME,string=TEXT"),
        (["--bios", "{elf}", "--fw-cfg", "name=opt/x,file={folder}/nowhere"], "No such file"),
        (["--tohost-dir", "{folder}", "--tohost"], "give either"),
        (["--tohost-dir", "{folder}/nowhere"], "No such file or directory"),
        (["--tohost-dir", "{folder}/empty"], "no ELF files in it"),
        (["--bios", "{folder}/nowhere", "--tohost"], "No such file"),
        (["--bios", "{elf}", "--tohost", "--memory", "5K"], "--memory 5K: "),
        (["--bios", "{elf}", "--tohost", "--budget", "many"], "--budget many: "),
    ],
)
def test_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    elf = write(tmp_path, "test.elf", PASS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "big").write_bytes(bytes(16 << 20))
    filled = [argument.format(elf=elf, folder=tmp_path, big=tmp_path / "big") for argument in arguments]
    assert main(["machine", *filled]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hartvisor: ") and reason in line
