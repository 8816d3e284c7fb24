"""Save at random points, restore, go on: is it the run that was never interrupted?

    python -m tests.fuzz.points [--points N] [--seed S] [--guest kernel|debian] [--budget STEPS] [--json FILE]

Each point: the guest runs, under a technique chosen by chance, to a step chosen by chance, and is saved. The state, by
way of its text, and the pages go into a new VM under another technique chosen by chance (the same among them), which
goes on to a later step. The digest there, and at the point, must be those of one plain run under two-stage.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import track

from hartvisor.core.machine.boot import read_files
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.plain import dumps, loads
from hartvisor.core.vmm.snapshots import Snapshot, Snapshots
from hartvisor.core.vmm.state import VmState
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image, image_info

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
GUESTS = {
    "kernel": (64 << 20, "workload=1", b"", 70_000_000),
    "debian": (128 << 20, None, b"poweroff -f\n", 800_000_000),
}
"""Name to bytes of memory, boot arguments (None: its own), what is typed, and steps of the plain run."""
AHEAD = 2_000_000
"""Steps that a restored VM goes on, at most."""
BASES = 40
"""Places along the plain run from which the points are reached."""


class Guest:
    """A guest whose every VM is given the same input."""

    def __init__(self, name: str) -> None:
        memory, append, self.typed, self.length = GUESTS[name]
        info = image_info(name)
        self.config = VmConfig(memory=memory, append=info.append if append is None else append,
                               initrd=read_files(info.initrd))
        self.image = load_image(image(name))

    def start(self, technique: str, *, is_blank: bool = False) -> Vm:
        """A VM at its first step, or one to put a state into."""
        vm = Vm(replace(self.config, technique=technique), None if is_blank else self.image)
        if not is_blank:
            pieces = [self.typed, b""]
            vm.console.refill = lambda: pieces.pop(0)
        return vm


def move(snapshot: Snapshot, vm: Vm) -> None:
    """Put a saved state, by way of its text, into a blank VM."""
    for number, data in snapshot.all_pages(0).items():
        vm.ram.write_page(number, data)
    vm.restore(loads(VmState, dumps(snapshot.state)))
    vm.console.refill = lambda: b""


def run(points: int, seed: int, name: str, budget: int | None) -> list[str]:
    """Try `points` points; what went wrong, in words."""
    rng = random.Random(seed)
    guest = Guest(name)
    length = budget or guest.length
    marks = sorted(rng.randrange(1, length - AHEAD) for _ in range(points))
    ends = [mark + rng.randrange(1, AHEAD) for mark in marks]
    expected: dict[int, str] = {}
    bases: list[Snapshot] = []
    plain = guest.start("two-stage")
    snapshots = Snapshots(plain)
    spots = sorted({*marks, *ends, *range(0, length, length // BASES)})
    for spot in track(spots, "plain run", console=Console(stderr=True)):
        plain.run(spot - plain.steps)
        expected[spot] = digest(plain)
        if not spot % (length // BASES):
            bases.append(snapshots.take())
    faults = []
    for mark, end in track(list(zip(marks, ends, strict=True)), "points", console=Console(stderr=True)):
        first, second = rng.choice(TECHNIQUES), rng.choice(TECHNIQUES)
        one = guest.start(first, is_blank=True)
        move(bases[bisect_right([base.steps for base in bases], mark) - 1], one)
        own = Snapshots(one)
        one.run(mark - one.steps)
        snapshot = own.take()
        if digest(one) != expected[mark]:
            faults.append(f"at step {mark:,}: the run under {first} differs from two-stage's")
            continue
        two = guest.start(second, is_blank=True)
        move(snapshot, two)
        if digest(two) != expected[mark]:
            faults.append(f"at step {mark:,}: saved under {first}, restored under {second}: differs at once")
        two.run(end - mark)
        if digest(two) != expected[end]:
            faults.append(f"at step {mark:,}: saved under {first}, restored under {second}: differs at step {end:,}")
    return faults


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guest", choices=sorted(GUESTS), default="kernel")
    parser.add_argument("--budget", type=int, help="the length of the plain run, in steps")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    before = time.process_time()
    faults = run(options.points, options.seed, options.guest, options.budget)
    for fault in faults:
        print(fault)
    seconds = time.process_time() - before
    print(f"{options.points} points of {options.guest}, seed {options.seed}: {len(faults)} differ; {seconds:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"points": options.points, "differ": faults, "seconds": seconds}))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
