"""`--isa` of run, compare and machine: it reaches the harts, and what cannot be is said in one line."""

import json
import subprocess
import sys

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA, format_isa, without
from hartvisor.core.machine.elf_writer import elf_file
from hartvisor.tui.cli import main

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


BASE = 0x8000_0000

# A pass if misa has none of these bits and the instruction is illegal; else test 1 failed.
LACKS = """
    la t0, handler
    csrw mtvec, t0
    li s0, 0
    csrr t1, misa
    li t2, {misa_bit}
    and t1, t1, t2
    bnez t1, fail
    li t1, 0x6000
    csrs mstatus, t1
    {instruction}
    j fail
    .align 2
handler:
    csrr t1, mcause
    li t2, 2
    bne t1, t2, fail
    li s0, 1
fail:
    slli t1, s0, 1
    li t2, 3
    sub t1, t2, t1
    la t0, tohost
    sd t1, 0(t0)
    j .
    .align 3
tohost:
    .dword 0
"""


@pytest.fixture
def test_of(tmp_path):
    def write(instruction, misa_bit=0):
        program = assemble(LACKS.format(instruction=instruction, misa_bit=misa_bit), BASE)
        path = tmp_path / "test.elf"
        path.write_bytes(elf_file(program.code, BASE, BASE, program.symbols))
        return str(path)

    return write


@pytest.mark.parametrize(("isa", "instruction", "misa_bit"), [
    ("-h", "hfence.gvma x0, x0", 1 << 7),
    ("-f", "fadd.s f0, f1, f2", 1 << 5 | 1 << 3),
    ("-zba", "sh1add a0, a0, a0", 1 << 1),
    ("-sstc", "csrr a0, stimecmp", 0),
    ("-sdtrig", "csrr a0, tselect", 0),
    ("-smstateen", "csrr a0, mstateen0", 0),
    ("rv64imac", "fence.i", 1 << 3 | 1 << 5 | 1 << 7),
    ("rva22s64", "czero.eqz a0, a0, a0", 1 << 7),
])
def test_machine_traps_on_what_is_left_out_and_misa_does_not_show_it(test_of, capsys, isa, instruction, misa_bit):
    path = test_of(instruction, misa_bit)
    assert main(["machine", "--bios", path, "--tohost", f"--isa={isa}"]) == 0
    assert main(["machine", "--bios", path, "--tohost"]) == 1, "with all extensions it must not trap"
    assert capsys.readouterr().out == "pass\ntest 1 failed\n"


def test_machine_tells_its_extensions_in_the_device_tree_and_the_summary(tmp_path, capsys):
    """The program writes the tree out by the serial port, and powers off."""
    source = "li t0, 0x10000000\nli t2, 6000\n1: lbu t1, 0(a1)\nsb t1, 0(t0)\naddi a1, a1, 1\naddi t2, t2, -1\n" \
        "bnez t2, 1b\nli t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\nj ."
    path, result = tmp_path / "tree.elf", tmp_path / "result.json"
    path.write_bytes(elf_file(assemble(source, BASE).code, BASE, BASE, {}))
    done = subprocess.run([*COMMAND, "machine", "--bios", str(path), "--isa=-zbc-h-sdtrig", "--json", str(result)],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    isa = without(DEFAULT_ISA, "Zbc", "H", "Sdtrig")
    assert format_isa(isa).encode() in done.stdout
    assert json.loads(result.read_text())["isa"] == format_isa(isa)
    assert b"sdtrig" not in done.stdout and b"zbc" not in done.stdout and b"rv64imafdcbh" not in done.stdout


@pytest.mark.parametrize(("isa", "message"), [
    ("rv64iq", "this hart has no extension 'q'"),
    ("-zicsr", "I, S, U, Zicsr cannot be left out"),
    ("-u", "cannot be left out"),
    ("+zvbb", "this hart has no extension 'zvbb'"),
    ("rv32i", "it begins with rv64i, rv64g or a profile"),
    ("rva23s64", "this hart has no extension 'v'"),
])
def test_machine_refuses_by_name(test_of, capsys, isa, message):
    assert main(["machine", "--bios", test_of("nop"), "--tohost", f"--isa={isa}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hartvisor: ISA ") and message in line
