"""Cut migrations at random bytes and moments: never two owners, none lost, each ending as the protocol says.

    python -m tests.migration.cuts [COUNT] [--seed S]

A whole migration tells how many bytes go each way; each try then cuts one way at a random byte, every second time among
those of the commit. The source must run on, or both sides be paused and saved, or the target have the VM.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.migration.records import SOURCE, TARGET, Phase
from hartvisor.core.vmm.migration.source import End

from .support import Wire, future, kernel, migrate, revive

COMMIT_BYTES = 60
"""Of the frames COMMIT and RELEASE, and of the answers to them: what is at the end of each way."""

_whole: list[tuple[int, int]] = []


def whole_length() -> tuple[int, int]:
    """The bytes that a migration takes, each way."""
    if not _whole:
        with tempfile.TemporaryDirectory() as folder:
            vm, recipe = kernel()
            vm.run(200_000)
            _whole.append(migrate(Path(folder), vm, recipe).passed)
    return _whole[0]


def try_cut(folder: Path, seed: int) -> str | None:
    """One migration, cut; what is wrong with how it ended, if anything."""
    rng = random.Random(seed)
    there, back = whole_length()
    vm, recipe = kernel()
    vm.run(rng.randrange(1, 400_000))
    way = rng.randrange(2)
    length = (there, back)[way]
    at = rng.randrange(max(0, length - COMMIT_BYTES), length) if rng.random() < 0.5 else rng.randrange(length)
    outcome = migrate(folder, vm, recipe, wire=Wire((at, -1) if way == 0 else (-1, at)))
    source, target = outcome.result.end, outcome.arrival.end
    where = f"seed {seed}, cut at byte {at} to the {(TARGET, SOURCE)[way]}: {source.value}, {target.value}"
    notes = [records.find("m1", side) for records, side in zip(outcome.records, (SOURCE, TARGET), strict=True)]
    runs_here = source is End.STAYED
    runs_there = target is End.MOVED
    if runs_here and runs_there:
        return f"{where}: two owners"
    if runs_here:
        if target is End.STAYED and notes[1] is not None:
            return f"{where}: the target kept a note of what it has not"
        return None if vm.run(1000).reason.name == "BUDGET" else f"{where}: the source does not run on"
    if runs_there:
        moved = outcome.arrival.vm
        assert moved is not None
        if source is End.UNDECIDED and (notes[0] is None or notes[0].phase is not Phase.GIVEN):
            return f"{where}: the target runs, but the source has not given the VM up"
        return None if future(moved) == future(vm) else f"{where}: the target is another VM"
    if target is not End.UNDECIDED:
        return f"{where}: lost"
    saved = [revive(outcome.records[1], TARGET)]
    if source is End.UNDECIDED:
        saved.append(revive(outcome.records[0], SOURCE))
    return None if {digest(each) for each in saved} == {digest(vm)} else f"{where}: saved, but not as it was"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    faults = []
    for seed in track(range(options.seed, options.seed + options.count), "cuts", console=Console(stderr=True)):
        with tempfile.TemporaryDirectory() as folder:
            fault = try_cut(Path(folder), seed)
        if fault is not None:
            faults.append(fault)
            print(fault)
    print(f"{options.count} cuts: {len(faults)} ended wrongly")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
