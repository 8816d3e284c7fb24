"""What a full exit costs: guest, hart, Python hypervisor, and back, on the trap storm guest.

    python -m tests.bench.exits [--json FILE] [--count N] [--rounds N]

The unit is an empty Python method call, timed in the same run, so that figures from different machines compare. Each
figure is the median of several rounds of CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from hartvisor.core.machine.loader import Image, load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

BUDGET = 10**12
#: What is measured: (name, technique, the guest's boot arguments).
STORMS = (
    ("SBI call", "deprivileged", ""),
    ("SBI call", "shadow", ""),
    ("SBI call", "two-stage", ""),
    ("CSR write", "deprivileged", "csr"),
)


class Empty:
    """Has the method that does nothing."""

    def method(self) -> None:
        """Do nothing."""


def empty_call(count: int) -> float:
    """Seconds of CPU that an empty method call takes, the loop around it included."""
    empty = Empty()
    before = time.process_time()
    for _ in range(count):
        empty.method()
    return (time.process_time() - before) / count


def storm(guest: Image, technique: str, append: str, count: int) -> tuple[float, int]:
    """Seconds of CPU for `count` exits of a storm, and how many exits there were in all."""
    vm = Vm(VmConfig(technique=technique, append=f"{append} count={count}".strip()), guest)
    before = time.process_time()
    stop = vm.run(BUDGET)
    seconds = time.process_time() - before
    if stop.reason is not StopReason.POWER_OFF:
        raise SystemExit(f"trap storm under {technique}: {stop.detail}")
    return seconds, sum(vm.vcpus[0].exits)


def measure(count: int, rounds: int, progress: Callable[[str], None]) -> list[dict[str, object]]:
    """A row a storm: seconds an exit, seconds an empty call, and their ratio, each the median over `rounds`."""
    guest = load_image(image("trapstorm"))
    rows: list[dict[str, object]] = []
    for name, technique, append in STORMS:
        progress(f"{name}, {technique}")
        calls, exits = [], []
        for _ in range(rounds):
            calls.append(empty_call(10 * count))
            seconds, total = storm(guest, technique, append, count)
            exits.append(seconds / total)
        rows.append({
            "exit": name, "technique": technique, "count": count,
            "exit_ns": round(median(exits) * 1e9), "empty_call_ns": round(median(calls) * 1e9, 1),
            "ratio": round(median(exit_ / call for exit_, call in zip(exits, calls, strict=True)), 1),
        })
    return rows


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exits", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="exits a round (default 50,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median counts (default 5)")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - is standard output")
    options = parser.parse_args()
    rows = measure(options.count, options.rounds, lambda what: print(f"measuring: {what}", file=sys.stderr))
    text = json.dumps({"exits": rows}, indent=2)
    if options.json == "-":
        print(text)
        return
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    print(f"{'exit':<12}{'technique':<14}{'ns an exit':>12}{'ns an empty call':>18}{'empty calls':>13}")
    for row in rows:
        print(f"{row['exit']:<12}{row['technique']:<14}{row['exit_ns']:>12}{row['empty_call_ns']:>18}{row['ratio']:>13}")


if __name__ == "__main__":
    main()
