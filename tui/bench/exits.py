"""What a full exit costs: guest, hart, Python hypervisor, and back, on the trap storm guest.

The unit is an empty Python method call, timed in the same run, so that figures from different machines compare. Each
figure is the median of several rounds of CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from ...core.machine.loader import Image, load_image
from ...core.vmm.config import VmConfig
from ...core.vmm.stop import StopReason
from ...core.vmm.vm import Vm
from ...guest import image
from .measure import BenchError

BUDGET = 10**12

KINDS = (
    ("SBI call", "deprivileged", ""),
    ("SBI call", "shadow", ""),
    ("SBI call", "two-stage", ""),
    ("MMIO load", "deprivileged", "mmio"),
    ("MMIO load", "shadow", "mmio"),
    ("MMIO load", "two-stage", "mmio"),
    ("CSR write", "deprivileged", "csr"),
)
"""What is measured: name, technique, and the guest's boot arguments."""


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
    """Seconds of CPU for `count` exits of a storm, and how many exits there were in all. Raises BenchError."""
    vm = Vm(VmConfig(technique=technique, append=f"{append} count={count}".strip()), guest)
    before = time.process_time()
    stop = vm.run(BUDGET)
    seconds = time.process_time() - before
    if stop.reason is not StopReason.POWER_OFF:
        raise BenchError(f"trap storm under {technique}: {stop.detail}")
    return seconds, sum(vm.vcpus[0].exits)


def measure_exits(count: int, rounds: int, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """A row a kind of exit: seconds an exit, seconds an empty call, and their ratio, each the median over `rounds`."""
    guest = load_image(image("trapstorm"))
    rows: list[dict[str, Any]] = []
    for name, technique, append in KINDS:
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
