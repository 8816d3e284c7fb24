"""Snapshots and going back: how long they take, and whether they land where they should.

    python -m tests.bench.timeline [--steps N] [--jumps N] [--technique T] [--seed S] [--json FILE]

First a guest of 128 MiB in which 1,000 pages are stored to between snapshots: median milliseconds to take and to
restore one. Then a run of `--steps` steps of the teaching kernel's workload, and in it `--jumps` random gotos, each
followed by a step back: the median and the worst seconds of the step back, the worst of the jump, the memory that
checkpoints hold, and how many of the states differ from those that a second, plain run passes through. Seconds are of
the host's CPU.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

MEMORY = 128 << 20
PAGES = 1_000
ROUNDS = 15
WARM_UP = 2_000_000


def kernel(technique: str, rounds: int) -> Vm:
    """The teaching kernel with so many rounds of work."""
    return Vm(VmConfig(technique=technique, memory=MEMORY, append=f"workload={rounds}"), load_image(image("kernel")))


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of CPU, and the result."""
    before = time.process_time()
    result = action()
    return time.process_time() - before, result


def measure_snapshots(technique: str, rng: random.Random) -> dict[str, float]:
    """Median milliseconds for 1,000 dirty pages of 128 MiB, all of it in use."""
    vm = kernel(technique, 1)
    vm.run(WARM_UP)
    snapshots = Snapshots(vm)
    first = vm.ram.base >> 12
    last = first + (MEMORY >> 12)
    for gfn in range(first, last):
        vm.ram.frame(gfn)
    snapshots.take()

    def dirty() -> None:
        for gfn in rng.sample(range(first, last), PAGES):
            vm.ram.store(gfn << 12, 8, rng.getrandbits(64))

    taken, restored = [], []
    for _ in range(ROUNDS):
        dirty()
        seconds, snapshot = timed(snapshots.take)
        taken.append(seconds)
        dirty()
        restored.append(timed(lambda snapshot=snapshot: snapshots.restore(snapshot))[0])
    return {"take_ms": median(taken) * 1e3, "restore_ms": median(restored) * 1e3}


def measure_jumps(technique: str, steps: int, jumps: int, rng: random.Random) -> dict[str, float]:
    """Jumps and steps back in a long run, and how many land elsewhere than they should."""
    rounds = steps // 15_000_000 + 1
    vm = kernel(technique, rounds)
    timeline = Timeline(vm)
    forward, _ = timed(lambda: timeline.run(steps))
    end = vm.steps
    back, jump, seen = [], [], {}
    for _ in range(jumps):
        jump.append(timed(lambda: timeline.goto(rng.randrange(1, end)))[0])
        back.append(timed(timeline.reverse_step)[0])
        seen[vm.steps] = digest(vm)
    plain = kernel(technique, rounds)
    wrong = 0
    for step in sorted(seen):
        plain.run(step - plain.steps)
        wrong += digest(plain) != seen[step]
    return {
        "steps": end, "forward_seconds": forward, "checkpoints": len(timeline.checkpoints),
        "checkpoint_mib": sum(each.snapshot.size for each in timeline.checkpoints) / (1 << 20),
        "jumps": jumps, "jump_worst_seconds": max(jump), "jump_median_seconds": median(jump),
        "step_back_worst_seconds": max(back), "step_back_median_seconds": median(back), "differ": wrong}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000_000)
    parser.add_argument("--jumps", type=int, default=1_000)
    parser.add_argument("--technique", default="two-stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    result = {"technique": options.technique, **measure_snapshots(options.technique, rng),
              **measure_jumps(options.technique, options.steps, options.jumps, rng)}
    for name, value in result.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return bool(result["differ"])


if __name__ == "__main__":
    sys.exit(main())
