"""Compares our machine with QEMU on random programs: `python -m tests.fuzz.qemu --seconds N --seed S`.

Each program runs wholly inside both machines, every trap to M-mode is logged there, and the logs are compared. A
program that
differs by more than qemu_deviations.toml explains is made small and written to --folder; `--replay FILE` runs it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..oracles import require_oracle
from .qemu_deviations import known_deviations
from .qemu_layout import MAX_PROGRAMS, Program
from .qemu_machines import BatchResult, Difference, compare_batch, compare_prepared, prepare
from .qemu_ours import Log
from .qemu_programs import make_program
from .qemu_shrink import listing, random_seed, read_reproducer, shrink, write_reproducer

BATCH = 200
PROGRAMS = {"10.0": "qemu-system-riscv64-10"}
"""QEMU's version to its program."""


def run(seconds: float, seed: int, programs: int, *, delegates: bool = False, version: str = "10.0") -> BatchResult:
    """Compare programs from `seed` on until the time or the number is used up. Returns the sum."""
    qemu, deviations = require_oracle(PROGRAMS[version]), known_deviations(version)
    total = BatchResult()
    end = time.monotonic() + seconds
    batches = range(seed, seed + programs, min(BATCH, MAX_PROGRAMS))

    def make(first: int) -> list[tuple[Program, Log | None]]:
        count = min(batches.step, seed + programs - first)
        return prepare([make_program(first + i, delegates=delegates) for i in range(count)])

    with ThreadPoolExecutor(1) as ahead:  # the next batch runs on our machine while QEMU runs this one
        following = ahead.submit(make, batches[0])
        for first in batches:
            prepared = following.result()
            is_last = time.monotonic() >= end or first == batches[-1]
            if not is_last:
                following = ahead.submit(make, first + batches.step)
            batch = compare_prepared(qemu, prepared, deviations)
            total.add(batch)
            for difference in batch.differences:
                print("\n" + describe(difference), file=sys.stderr)
            print(
                f"\r{total.compared:,} programs, {total.instructions:,} instructions, "
                f"{len(total.differences)} unexplained",
                end="",
                file=sys.stderr,
                flush=True,
            )
            if is_last:
                break
    print(file=sys.stderr)
    return total


def describe(found: Difference) -> str:
    """A difference in words: which seed, after which trap, and which fields."""
    fields = ", ".join(f"{name} {one:#x} (QEMU {two:#x})" for name, (one, two) in list(found.fields.items())[:8])
    where = f"log entry {found.entry}" if found.entry >= 0 else "the final state"
    return f"seed {found.program.seed}, {where}: {fields}"


def main() -> int:
    """The command line; the exit status is 1 where something differs without explanation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the first program (default: any)")
    parser.add_argument("--programs", type=int, default=1 << 62, help="at most so many")
    parser.add_argument(
        "--delegate", action="store_true", help="all, not every fourth, let traps go to HS-mode and VS-mode"
    )
    parser.add_argument("--no-shrink", action="store_true", help="only count and name what differs")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="for the reproducers")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one reproducer again")
    options = parser.parse_args()
    qemu, deviations = require_oracle(PROGRAMS["10.0"]), known_deviations("10.0")
    if options.replay:
        program = read_reproducer(options.replay)
        found = compare_batch(qemu, [program], deviations).differences
        print(*listing(program), *map(describe, found), sep="\n")
        return 1 if found else 0
    seed = options.seed if options.seed is not None else random_seed()
    print(f"seed {seed}")
    total = run(options.seconds, seed, options.programs, delegates=options.delegate)
    for difference in total.differences:
        smallest = difference if options.no_shrink else shrink(qemu, difference, deviations)
        print(describe(smallest), f"reproducer {write_reproducer(smallest, options.folder)}", sep="\n  ")
    print(
        f"{total.compared:,} programs and {total.instructions:,} instructions compared, "
        f"{len(total.differences)} unexplained; "
        f"{total.cut:,} programs only up to a known deviation; {total.endless:,} more not compared, "
        "since they never trap to M-mode or spoil the harness"
    )
    for name, count in total.met.most_common():
        print(f"  known deviation, {count:,} times: {name}")
    return 1 if total.differences else 0


if __name__ == "__main__":
    sys.exit(main())
