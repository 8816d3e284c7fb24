"""What grows with the work: memory and throughput of many VMs, start-up of large memories, VMs in several threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from .measure import BenchError

COUNTS = (1, 4, 16, 64, 256)
"""VMs on one machine."""

SIZES = (16, 128, 1024, 8192)
"""MiB of RAM of one."""

VM_MIB = 8
"""RAM of each of many."""


PAIRS = 5
"""Of runs in one thread and in two."""


def in_child(what: str, number: int) -> dict[str, Any]:
    """Measure in a process of its own, so that its memory is its own. Raises BenchError."""
    return in_children(what, number, 1)[0]


def in_children(what: str, number: int, count: int) -> list[dict[str, Any]]:
    """So many such processes at once. Raises BenchError."""
    command = [sys.executable, "-m", f"{__package__}.scale_child", what, str(number)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(count)]
    results = []
    for child, (out, err) in [(child, child.communicate()) for child in children]:
        if child.returncode:
            raise BenchError(f"{what} {number}: {err.strip()[-300:]}")
        results.append(json.loads(out))
    return results


def measure_vms(counts: Sequence[int], progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """So many VMs of the teaching kernel, booted and then working side by side."""
    rows = []
    for count in counts:
        progress(f"{count} VMs")
        rows.append(in_child("vms", count))
    return rows


def measure_memory(sizes: Sequence[int], progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """One VM of so many MiB, started and run to its first output."""
    rows = []
    for size in sizes:
        progress(f"{size} MiB")
        rows.append(in_child("memory", size))
    return rows


def measure_parallel(progress: Callable[[str], None], steps: int) -> list[dict[str, Any]]:
    """Two VMs that only compute, in one thread and in two, and as two processes that share nothing, in turns; and the
    medians, for a host that is shared changes its speed from one second to the next.

    speedup: of two threads over one. ceiling: of two processes over one thread, which is what the host has to give.
    """
    progress("parallel")
    rows: list[dict[str, Any]] = []
    for number in range(1, PAIRS + 1):
        one, two = in_child("one thread", steps)["wall_seconds"], in_child("parallel", steps)["wall_seconds"]
        apart = max(each["wall_seconds"] for each in in_children("alone", steps, 2))
        rows.append({"pair": str(number), "one_thread_seconds": one, "parallel_seconds": two,
                     "processes_seconds": apart, "speedup": round(one / two, 2), "ceiling": round(one / apart, 2)})
    medians = {key: round(median(row[key] for row in rows), 3) for key in rows[0] if key != "pair"}
    rows.append({"pair": "median", **medians})
    return [{**row, "processors": os.cpu_count() or 1, "load": round(os.getloadavg()[0], 1)} for row in rows]


def clock_pair() -> tuple[float, float]:
    """Wall and CPU seconds."""
    return time.perf_counter(), time.process_time()
