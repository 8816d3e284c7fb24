"""The command line: what it lists, how a mistake ends, and the assembler and disassembler behind it."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import pytest

from hartvisor.guest import image
from hartvisor.tui.cli import main

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]


def mistake(capsys, *arguments):
    """The one line that a mistake ends in."""
    assert main([str(argument) for argument in arguments]) == 2
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("hartvisor: "), told.err
    assert told.out == ""
    return lines[0]


def kernel_with(tmp_path, offset, data):
    """The hello guest with some bytes of its file changed."""
    elf = bytearray(image("hello").read_bytes())
    elf[offset : offset + len(data)] = data
    path = tmp_path / "changed.elf"
    path.write_bytes(elf)
    return path


@pytest.mark.parametrize("command", ["run", "compare", "disasm"])
class TestBadImages:
    def test_missing(self, capsys, command):
        assert "no such file" in mistake(capsys, command, "nosuchthing")

    def test_missing_path(self, capsys, command):
        assert "No such file" in mistake(capsys, command, "no/such.elf")

    def test_folder(self, capsys, command, tmp_path):
        assert "not a regular file" in mistake(capsys, command, tmp_path)

    def test_no_elf(self, capsys, command, tmp_path):
        path = tmp_path / "text"
        path.write_text("hello")
        assert "not an ELF" in mistake(capsys, command, path)

    def test_other_machine(self, capsys, command):
        assert "expected" in mistake(capsys, command, sys.executable)

    def test_other_class(self, capsys, command, tmp_path):
        assert "32-bit" in mistake(capsys, command, kernel_with(tmp_path, 4, b"\x01"))

    def test_truncated(self, capsys, command, tmp_path):
        whole = image("hello").read_bytes()
        path = tmp_path / "cut.elf"
        for length in (3, 40, 100, len(whole) // 3):
            path.write_bytes(whole[:length])
            assert "cut.elf" in mistake(capsys, command, path)


@pytest.mark.parametrize("command", ["run", "compare"])
class TestBadMemory:
    def test_segments_outside(self, capsys, command, tmp_path):
        header = struct.unpack_from("<Q", image("hello").read_bytes(), 32)[0]
        path = kernel_with(tmp_path, header + 24, struct.pack("<Q", 0x4000_0000))
        told = mistake(capsys, command, path)
        assert "0x40000000" in told

    def test_too_small(self, capsys, command):
        assert "memory" in mistake(capsys, command, "kernel", "--memory", "1M")

    def test_no_size(self, capsys, command):
        assert "128M" in mistake(capsys, command, "kernel", "--memory", "12Q")

    def test_odd_size(self, capsys, command):
        assert "multiple" in mistake(capsys, command, "kernel", "--memory", "10000001")


@pytest.mark.parametrize(("arguments", "told"), [
    (["run", "kernel", "--technique", "magic"], "deprivileged"),
    (["run", "kernel", "--budget", "lots"], "--budget lots"),
    (["run", "kernel", "--budget", "-5"], "--budget -5"),
    (["run", "kernel", "--tlb", "x"], "precise"),
    (["run", "kernel", "--json", "/no/such/folder/x.json"], "--json"),
    (["compare", "--checkpoint", "0"], "--checkpoint"),
    (["compare", "spin"], "--budget"),
    (["run"], "IMAGE"),
    (["fly"], "fly"),
    (["run", "kernel", "--wings"], "--wings"),
    (["disasm", "hello", "--symbol", "nowhere"], "nowhere"),
    (["disasm", "hello", "--start", "here"], "--start"),
    (["asm", "/no/such/file.s"], "file.s"),
])
def test_a_mistake_is_one_line_and_status_2(capsys, arguments, told):
    assert told in mistake(capsys, *arguments)


def test_assembly_errors_name_file_and_line(capsys, tmp_path):
    source = tmp_path / "wrong.s"
    source.write_text("nop\naddd a0, a1, a2\n")
    assert "wrong.s:2" in mistake(capsys, "asm", source)


def test_every_command_explains_itself(capsys):
    for command in ([], ["run"], ["compare"], ["images"], ["disasm"], ["asm"]):
        assert main([*command, "--help"]) == 0
        assert "Usage" in capsys.readouterr().out


def test_images_lists_what_ships(capsys):
    assert main(["images"]) == 0
    assert "kernel" in capsys.readouterr().out
    assert main(["images", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["images"]
    assert {"kernel", "hello", "trapstorm"} <= {row["name"] for row in rows}


PROGRAM = """
_start:
    li a7, 8            # legacy shutdown
    ecall
    j _start
"""


def test_assembled_code_runs(capsys, tmp_path):
    source, elf = tmp_path / "off.s", tmp_path / "off.elf"
    source.write_text(PROGRAM)
    assert main(["asm", str(source), "-o", str(elf)]) == 0
    assert main(["compare", str(elf), "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equivalent"] is True
    assert {run["steps"] for run in result["techniques"].values()} == {2}


def test_disassembly_assembles_to_the_same_code(capsys, tmp_path):
    source, flat = tmp_path / "p.s", tmp_path / "p.bin"
    source.write_text(PROGRAM)
    assert main(["asm", str(source), "-o", str(flat), "--base", "0x1000"]) == 0
    assert main(["disasm", str(flat), "--raw", "0x1000", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["instructions"]
    again = tmp_path / "again.s"
    again.write_text("\n".join(row["text"] for row in rows))
    assert main(["asm", str(again), "-o", str(tmp_path / "again.bin"), "--base", "0x1000"]) == 0
    assert (tmp_path / "again.bin").read_bytes() == flat.read_bytes()


def test_a_listing_shows_address_bytes_and_source(capsys, tmp_path):
    source = tmp_path / "p.s"
    source.write_text(PROGRAM)
    assert main(["asm", str(source)]) == 0
    out = capsys.readouterr().out
    assert "0x0080200000" in out and "ecall" in out


def test_disassembly_names_functions_and_targets(capsys):
    assert main(["disasm", "hello"]) == 0
    out = capsys.readouterr().out
    assert "<_start>:" in out and "ecall" in out


def test_a_reader_that_goes_away_is_no_error():
    done = subprocess.run(f"{sys.executable} -m hartvisor.tui.cli disasm kernel | head -1", shell=True,
                          capture_output=True, timeout=60)
    assert done.stderr == b""


def listen_to_ctrl_c():
    """Shells start background jobs with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_a_comparison_quietly():
    process = subprocess.Popen([*COMMAND, "compare", "spin", "--budget", "1000G"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=listen_to_ctrl_c)
    try:
        time.sleep(2)
        os.kill(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in err
