"""What Debian's boot costs, from power-on over its shell to power-off: here, under each technique, and on QEMU.

    python -m tests.bench.linux [--runs N] [--json FILE]

The same kernel, initial ramdisk and typed commands everywhere, taken in turns, N times over. Each figure is the median
of the user CPU seconds of the whole process, as the kernel accounts them to a child; so other work on the computer
disturbs it less than it would a clock. What Hartvisor's runs counted is the same in all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from hartvisor.guest import image_info
from hartvisor.guest.debian import INITRD, KERNEL, debian_folder, is_fetched
from tools.install_oracles import find_program

FIRMWARE = "fw_dynamic.bin"
MEMORY = "128M"
PROMPT = b"~ # "
COMMANDS = b"uname -r\nnproc\npoweroff -f\n"
EXPECTED = b"\n6.12."
TECHNIQUES = ("bare", "two-stage", "shadow", "deprivileged")
QEMUS = {"QEMU 7.2": "qemu-system-riscv64", "QEMU 10": "qemu-system-riscv64-10"}
"""A row's name to the oracle's."""

REFERENCE = "QEMU 10"
"""The row that ratios are about."""


@dataclass(frozen=True)
class Contestant:
    """One way to boot. counts: whether it writes what it counted to the file that follows --json."""

    name: str
    command: tuple[str, ...]
    counts: bool


def contestants(names: list[str] | None = None) -> list[Contestant]:
    """Those that are installed, or of them the named ones."""
    folder = debian_folder()
    ours = (sys.executable, "-m", "hartvisor.tui.cli")
    found = [Contestant("OpenSBI", (*ours, "machine", "debian", "--memory", MEMORY), True)]
    found += [Contestant(name, (*ours, "run", "debian", "--memory", MEMORY, "--technique", name), True)
              for name in TECHNIQUES]
    for name, oracle in QEMUS.items():
        program = find_program(oracle)
        if program is None:
            print(f"not there: {name}; make oracles", file=sys.stderr)
            continue
        found.append(Contestant(name, (
            program, "-M", "virt", "-m", MEMORY, "-nographic", "-no-reboot", "-bios", str(folder / FIRMWARE), "-kernel",
            str(folder / KERNEL), "-initrd", str(folder / INITRD), "-append", image_info("debian").append), False))
    return [each for each in found if names is None or each.name in names]


def boot(contestant: Contestant, counts: Path) -> float:
    """Boot once, type at the prompt, wait for the end; user CPU seconds. Raises SystemExit if it went wrong."""
    command = [*contestant.command, *(("-q", "--json", str(counts)) if contestant.counts else ())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None and process.stdout is not None
        said, typed = b"", False
        if contestant.counts:  # our console gives a guest its input when it looks for some
            process.stdin.write(COMMANDS)
            process.stdin.close()
            typed = True
        while part := os.read(process.stdout.fileno(), 65536):
            said += part
            if not typed and PROMPT in said:
                process.stdin.write(COMMANDS)
                process.stdin.flush()
                typed = True
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or EXPECTED not in said:
        last = said[-300:].decode(errors="replace")
        raise SystemExit(f"{contestant.name}: status {process.returncode}; its last words: {last}")
    return usage.ru_utime


def measure(chosen: list[Contestant], runs: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row for each: seconds of every run, their median and its ratio to REFERENCE's, and what it counted."""
    seconds: dict[str, list[float]] = {each.name: [] for each in chosen}
    counted: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        for number in range(1, runs + 1):
            for each in chosen:
                progress(f"run {number} of {runs}: {each.name}")
                seconds[each.name].append(round(boot(each, counts), 2))
                if each.counts:
                    counted[each.name] = json.loads(counts.read_text(encoding="utf-8"))
    middle = {name: median(times) for name, times in seconds.items()}
    rows = []
    for each in chosen:
        result = counted.get(each.name, {})
        row = {"name": each.name, "seconds": seconds[each.name], "median": round(middle[each.name], 2)}
        if REFERENCE in middle:
            row["ratio"] = round(middle[each.name] / middle[REFERENCE], 2)
        rows.append(row | {name: result[name] for name in ("instructions", "exits", "digest") if name in result})
    return rows


def grouped(exits: dict[str, int]) -> dict[str, int]:
    """Counts of exits by reason, all that was reflected into the guest under one."""
    sums: dict[str, int] = {}
    for reason, count in exits.items():
        title = reason.partition(" ")[0]
        sums[title] = sums.get(title, 0) + count
    return sums


def print_rows(rows: list[dict[str, Any]]) -> None:
    """The table of README.md: a column for each contestant, OpenSBI being the bare machine under it."""
    names = [row["name"] for row in rows]
    widths = [max(len(name), 11) for name in names]
    exits = [grouped(row.get("exits", {})) for row in rows]
    reasons = {reason: max(each.get(reason, 0) for each in exits) for each in exits for reason in each}

    def line(title: str, cells: list[str]) -> None:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        print(title.ljust(22) + "  ".join(padded))

    line("debian", names)
    line("instructions", [f"{row['instructions']:,}" if "instructions" in row else "·" for row in rows])
    line("exits", [f"{sum(row['exits'].values()):,}" if "exits" in row else "·" for row in rows])
    for reason in sorted(reasons, key=lambda each: -reasons[each]):
        counts = [each.get(reason, 0) for each in exits]
        line("  " + reason, [f"{count:,}" if count else "·" for count in counts])
    line("user CPU seconds", [f"{row['median']:.2f}" for row in rows])
    if all("ratio" in row for row in rows):
        line(f"times {REFERENCE}'s", [f"{row['ratio']:.2f}" for row in rows])


def main() -> None:
    """Measure, and print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.linux", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="boots of each; the median counts (default 3)")
    parser.add_argument("--only", metavar="NAME", action="append", help="measure only this one; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - is standard output")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs: at least 1")
    if not is_fetched():
        raise SystemExit("needs Debian's kernel: hartvisor images fetch debian")
    chosen = contestants(options.only)
    if not chosen:
        parser.error(f"--only: none is named so; there are {', '.join(each.name for each in contestants())}")
    rows = measure(chosen, options.runs, lambda what: print(what, file=sys.stderr))
    text = json.dumps({"boots": rows}, indent=2)
    if options.json == "-":
        print(text)
        return
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    print_rows(rows)


if __name__ == "__main__":
    main()
