"""gdb-multiarch itself, in batch mode, on the teaching kernel: in a VM under each technique, and on the bare machine.

One run of GDB a guest goes through everything; each test looks at its part of what was printed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hartvisor.guest import image
from tests.machine.test_firmware import opensbi
from tests.oracles import require_oracle

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
VMS = ("bare", "deprivileged", "shadow", "two-stage")
GUESTS = (*VMS, "machine")
WORK = "workload=1"

SCRIPT = """
=start
    info registers pc priv satp
    info threads
=breakpoint
    break user_trap
    continue
    backtrace
    info registers pc
=registers
    print/x $scause
    print $sstatus
    print/x $satp
    print $priv
    print $sscratch = $sscratch
    print $ft0
    info registers stvec
=step
    delete
    stepi
    info registers pc
    next
=finish
    tbreak ramdisk_find
    continue
    finish
=hardware
    hbreak schedule
    continue
    delete
=watch
    monitor step
    watch stats.switches
    continue
    print stats.switches
    continue
    print stats.switches
    backtrace 1
=reverse-watch
    reverse-continue
    print stats.switches
    reverse-continue
    print stats.switches
    delete
=access
    awatch ticks
    continue
    delete
    rwatch ticks
    continue
    delete
=reverse-step
    monitor step
    stepi
    stepi
    reverse-stepi
    monitor step
    reverse-step
=reverse-break
    break exec
    continue
    backtrace 1
    print name
    break schedule
    reverse-continue
    delete
=physical
    x/1xw 0x80000000
=physical-mode
    maintenance packet Qqemu.PhyMemMode:1
    x/1xw 0x80000000
    x/1xw &text_start
    maintenance packet Qqemu.PhyMemMode:0
    x/1xw &text_start
=memory
    set var stats.switches = 77
    print stats.switches
    x/2i $pc
=monitor
    monitor technique
    monitor exits
    monitor walk 0x80200000
    monitor csr satp
    monitor stats
    monitor frobnicate
=goto
    monitor goto 50000
    maintenance flush register-cache
    monitor step
=other-hart
    thread 2
    info registers pc
=end
    kill
"""


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `hartvisor` that waits for GDB, and the address where it does."""
    command = [sys.executable, "-m", "hartvisor.tui.cli", *arguments, "--gdb", ":0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.fullmatch(r"hartvisor: waiting for GDB on (127\.0\.0\.1:\d+): target remote .*\n", line)
            assert found is not None, line
            yield process, found[1]
        finally:
            process.kill()


def guest_arguments(guest: str) -> list[str]:
    """The command line of one of GUESTS, with two harts."""
    if guest == "machine":
        return ["machine", "--bios", str(opensbi()), "--kernel", str(image("kernel")), "--append", WORK, "--smp", "2"]
    return ["run", "kernel", "--technique", guest, "--append", WORK, "--smp", "2"]


def run_gdb(address: str, commands: list[str]) -> str:
    """What GDB prints."""
    program = require_oracle("gdb-multiarch")
    options = [f"-ex={command}" for command in (
        "set pagination off", "set confirm off", "set width 0", f"target remote {address}", *commands)]
    done = subprocess.run([program, "-nx", "-q", "--batch", *options, str(image("kernel"))], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=PATIENCE, check=False)
    return done.stdout


@pytest.fixture(scope="module", params=GUESTS)
def printed(request: pytest.FixtureRequest) -> dict[str, str]:
    """The parts of SCRIPT by name, and what GDB printed for each; the guest's name is in "guest"."""
    require_oracle("gdb-multiarch")
    commands = []
    for line in SCRIPT.strip().splitlines():
        commands.append(f"echo \\n{line}\\n" if line.startswith("=") else line.strip())
    if request.param == "machine":  # past the firmware
        commands[commands.index("info threads") - 1:commands.index("info threads")] = [
            "hbreak text_start", "continue", "delete", "info registers pc priv satp"]
    with started(*guest_arguments(request.param)) as (_, address):
        output = run_gdb(address, commands)
    assert "\n=end\n" in output, output[-2000:]
    parts = re.split(r"^=([a-z-]+)\n", output, flags=re.MULTILINE)
    return {"guest": request.param, **dict(zip(parts[1::2], parts[2::2], strict=True))}


def values(text: str, name: str) -> list[int]:
    """The values that `info registers` or `print` gave for a name."""
    return [int(value, 0) for value in re.findall(rf"^{re.escape(name)}(?: =)?\s+(0x[0-9a-f]+|\d+)\b", text,
                                                  re.MULTILINE)]


def step_of(text: str) -> list[int]:
    """The clocks that `monitor step` told."""
    return [int(value.replace(",", "")) for value in re.findall(r"^step ([\d,]+)", text, re.MULTILINE)]


def test_it_waits_before_the_first_instruction(printed: dict[str, str]) -> None:
    start = printed["start"]
    assert values(start, "pc")[-1] == 0x8020_0000
    assert "text_start () at guest/lib/start.S:" in start
    assert re.search(r"^priv\s+0x1\b", start, re.MULTILINE)
    assert re.search(r"^satp\s+0x0\s+\[ PPN=0 ASID=0 MODE=0 \]", start, re.MULTILINE)


def test_harts_are_threads(printed: dict[str, str]) -> None:
    assert re.search(r"^\* 1 +Thread 1 \(hart 0, H?S-mode\)", printed["start"], re.MULTILINE)
    asleep = r"M-mode.*" if printed["guest"] == "machine" else "S-mode, asleep"
    assert re.search(rf"^  2 +Thread 2 \(hart 1, {asleep}\)", printed["start"], re.MULTILINE)
    assert "Switching to thread 2 (Thread 2)" in printed["other-hart"]


def test_a_breakpoint_with_its_source_lines(printed: dict[str, str]) -> None:
    text = printed["breakpoint"]
    assert re.search(r"Breakpoint \d+, user_trap \(frame=.*\) at guest/kernel/trap.c:\d+", text)
    assert re.search(r"^#0  user_trap \(.*\) at guest/kernel/trap.c:\d+$", text, re.MULTILINE)
    assert re.search(r"^#1  0x[0-9a-f]+ in trap_vector \(\) at guest/kernel/trap.S:\d+$", text, re.MULTILINE)


def test_registers_and_csrs_by_name(printed: dict[str, str]) -> None:
    text = printed["registers"]
    cause, satp = (int(value, 16) for value in re.findall(r"^\$\d+ = (0x[0-9a-f]+)", text, re.MULTILINE))
    assert cause in (8, 12, 13, 15) or cause >> 63
    assert satp >> 60 == 8
    assert re.search(r"^\$\d+ = \[ .*UXL=2", text, re.MULTILINE), "sstatus by its fields"
    assert re.search(r"^\$\d+ = 1$", text, re.MULTILINE), "priv"
    assert re.search(r"^\$\d+ = \{float = .*, double = .*\}", text, re.MULTILINE)
    assert re.search(r"^stvec\s+0x802", text, re.MULTILINE)


def test_stepping(printed: dict[str, str]) -> None:
    before, after = values(printed["breakpoint"], "pc"), values(printed["step"], "pc")
    assert after[0] - before[0] in (2, 4)
    assert re.search(r"^\d+\t", printed["step"][printed["step"].index("<user_trap+"):], re.MULTILINE), "a source line"


def test_finishing_a_function(printed: dict[str, str]) -> None:
    text = printed["finish"]
    assert re.search(r"hit Temporary breakpoint \d+, ramdisk_find \(name=.*\) at guest/kernel/ramdisk.c:\d+", text)
    assert re.search(r"^Value returned is \$\d+ = \(const struct entry \*\) 0x8020\w+$", text, re.MULTILINE)


def test_a_hardware_breakpoint(printed: dict[str, str]) -> None:
    assert re.search(r"hit Breakpoint [\d.]+, .*schedule.* at guest/kernel/schedule.c:\d+", printed["hardware"])


def test_a_watchpoint_on_a_kernel_variable(printed: dict[str, str]) -> None:
    text = printed["watch"]
    pairs = re.findall(r"hit Hardware watchpoint \d+: stats.switches\s+Old value = (\d+)\s+New value = (\d+)", text)
    old, new = int(pairs[0][0]), int(pairs[0][1])
    assert pairs == [(str(old), str(new)), (str(new), str(new + 1))]
    assert new == old + 1
    assert re.search(r"^#0 .*schedule.* at guest/kernel/schedule.c:\d+$", text, re.MULTILINE)


def test_reverse_continue_to_a_watchpoint(printed: dict[str, str]) -> None:
    """Backwards, the old value is the later one."""
    forward = re.findall(r"Old value = (\d+)\s+New value = (\d+)", printed["watch"])
    backward = re.findall(r"Old value = (\d+)\s+New value = (\d+)", printed["reverse-watch"])
    assert backward == [(new, old) for old, new in reversed(forward)]


def test_reads_and_accesses_are_watched_too(printed: dict[str, str]) -> None:
    assert re.search(r"Hardware access \(read/write\) watchpoint \d+: ticks\s+Value = \d+", printed["access"])
    assert re.search(r"hit Hardware read watchpoint \d+: ticks\s+Value = \d+", printed["access"])


def test_reverse_stepi_goes_back_one_step(printed: dict[str, str]) -> None:
    first, second = step_of(printed["reverse-step"])
    assert second - first == 1 or (printed["guest"] == "machine" and second > first)


def test_reverse_continue_to_a_breakpoint(printed: dict[str, str]) -> None:
    text = printed["reverse-break"]
    assert re.search(r"hit Breakpoint [\d.]+, exec \(name=.*\) at guest/kernel/exec.c:\d+", text)
    assert re.search(r"hit Breakpoint [\d.]+, .*schedule", text[text.index("exec (name"):])


def test_memory_by_physical_address(printed: dict[str, str]) -> None:
    """The kernel does not map the first page of RAM, which is firmware's."""
    assert "Cannot access memory at address 0x80000000" in printed["physical"]
    first, *code = re.findall(r"^0x80\w+(?: <\w+>)?:\s+(0x[0-9a-f]{8})$", printed["physical-mode"], re.MULTILINE)
    assert first is not None
    assert code[0] == code[1]


def test_memory_is_changed(printed: dict[str, str]) -> None:
    assert re.search(r"^\$\d+ = 77$", printed["memory"], re.MULTILINE)
    assert "=> 0x8020" in printed["memory"]


def test_monitor_commands(printed: dict[str, str]) -> None:
    text = printed["monitor"]
    technique = "none: the bare machine" if printed["guest"] == "machine" else printed["guest"]
    assert text.startswith(technique)
    assert ("sbi" if printed["guest"] != "machine" else "no exits") in text
    assert re.search(r"0x80200000, as H?S-mode's tables have it:\n  level 2: entry at .*\n  level 1.*\n  level 0", text)
    assert re.search(r"^satp \(0x180, .*\): 0x8", text, re.MULTILINE)
    assert re.search(r"^ +[\d,]+  page walks$", text, re.MULTILINE)
    assert "no such command: monitor frobnicate" in text


def test_goto(printed: dict[str, str]) -> None:
    assert step_of(printed["goto"]) == [50_000, 50_000]


def test_debugged_it_ends_as_it_does_alone(tmp_path: Path) -> None:
    """Breakpoints, watchpoints, steps and trips into the past leave no trace."""
    require_oracle("gdb-multiarch")
    arguments = ["run", "kernel", "--technique", "deprivileged", "--append", WORK]
    alone = subprocess.run([sys.executable, "-m", "hartvisor.tui.cli", *arguments, "--json", str(tmp_path / "alone")],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True)
    with started(*arguments, "--json", str(tmp_path / "debugged")) as (process, address):
        output = run_gdb(address, [
            "break exec", "watch stats.switches", "continue", "continue", "continue", "next", "stepi", "reverse-stepi",
            "reverse-continue", "continue", "reverse-next", "delete", "continue"])
        assert "SBI shutdown\n\nNo more reverse-execution history.\n" in output
        shown, _ = process.communicate(timeout=PATIENCE)
    results = [json.loads((tmp_path / name).read_text()) for name in ("alone", "debugged")]
    for fact in ("digest", "steps", "instructions", "stop"):
        assert results[0][fact] == results[1][fact], fact
    assert shown == alone.stdout.decode(), "the console is written once"


def test_a_recording_is_debugged_as_it_was(tmp_path: Path) -> None:
    """What was typed comes again; the end of the recording is where one goes back from, to what was met before."""
    require_oracle("gdb-multiarch")
    recording = str(tmp_path / "run.hvr")
    subprocess.run([sys.executable, "-m", "hartvisor.tui.cli", "run", "kernel", "--record", recording, "--quiet"],
                   input=b"ls\npoweroff\n", stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)
    with started("replay", recording, "--technique", "two-stage") as (process, address):
        output = run_gdb(address, [
            "break exec", "continue", "continue", "continue", "print name", "delete", "continue", "break exec",
            "reverse-continue", "print name", "reverse-continue", "print name"])
        shown, _ = process.communicate(timeout=PATIENCE)
    assert "No more reverse-execution history." in output
    assert re.findall(r'^\$\d+ = .*"(\w+)"$', output, re.MULTILINE) == ["ls", "ls", "sh"]
    assert "ls\n" in shown.replace("\r", "")
