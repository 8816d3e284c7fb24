"""Runs each workload here and on the peers in turns; the user CPU time of whole processes, medians, ratios."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ...core.errors import HartvisorError
from ..options import parse_size
from .peers import Peer
from .workloads import MEMORY, Workload, write_image

OURS = "hartvisor"
OK = ": ok, result"
"""What a bare image prints of a result that is right."""


class BenchError(HartvisorError):
    """A run went wrong, here or on a peer."""


def run_process(command: Sequence[str], what: str) -> tuple[float, str]:
    """User CPU seconds of a process, start-up and all, and what it wrote to standard output. Raises BenchError."""
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        except OSError as error:
            raise BenchError(f"{what}: {error}") from error
        with process:
            assert process.stdout is not None
            said = process.stdout.read().decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            last = (errors.read().decode(errors="replace").strip() or said.strip())[-200:]
            raise BenchError(f"{what}: exit status {process.returncode}: {last}")
    return usage.ru_utime, said


def check(workload: Workload, said: str, who: str) -> None:
    """The guest itself compares its result with what it must be, and says so. Raises BenchError."""
    is_right = OK in said if workload.is_bare else ", 0 stages failed" in said
    if not is_right:
        raise BenchError(f"{workload.name} on {who}: {said.strip()[-200:]}")


def run_ours(workload: Workload, image: Path) -> tuple[float, dict[str, Any]]:
    """One run here: seconds, and what was counted."""
    command = [sys.executable, "-m", f"{__package__}.child", str(image), str(parse_size(MEMORY, "--memory"))]
    if not workload.is_bare:
        command.append(workload.append)
    seconds, text = run_process(command, f"{workload.name} on {OURS}")
    counted: dict[str, Any] = json.loads(text)
    check(workload, counted["said"], OURS)
    return seconds, counted


def run_peer(workload: Workload, image: Path, peer: Peer) -> float:
    """One run there: seconds."""
    seconds, said = run_process(peer.command(workload, image), f"{workload.name} on {peer.name}")
    check(workload, said, peer.name)
    return seconds


def measure(
    workloads: Sequence[Workload], peers: Sequence[Peer], runs: int, progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """A row for each workload. progress: told of each run before it starts.

    All take turns: a computer that becomes slower or busier does so for everybody.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads:
            image = write_image(workload, Path(folder))
            ours: list[float] = []
            theirs: dict[str, list[float]] = {peer.name: [] for peer in peers}
            counted: dict[str, Any] = {}
            for _ in range(runs):
                progress(f"{workload.name}: {OURS}")
                seconds, counted = run_ours(workload, image)
                ours.append(seconds)
                for peer in peers:
                    progress(f"{workload.name}: {peer.name}")
                    theirs[peer.name].append(run_peer(workload, image, peer))
            rows.append(make_row(workload, counted, ours, theirs))
    return rows


def make_row(
    workload: Workload, counted: dict[str, Any], ours: list[float], theirs: dict[str, list[float]],
) -> dict[str, Any]:
    """What there is to say of a workload, as JSON. `ratio` is above 1 where we need less time than the first peer."""
    seconds, instructions = median(ours), counted["instructions"]
    row: dict[str, Any] = {
        "name": workload.name, "instructions": instructions, "seconds": round(seconds, 3),
        "mips": round(instructions / seconds / 1e6, 1),
        "misses_per_thousand": round(1000 * counted["tlb_misses"] / instructions, 2),
        "runs": [round(each, 3) for each in ours],
    }
    for number, (name, all_seconds) in enumerate(theirs.items()):
        ratio = median(there / here for here, there in zip(ours, all_seconds, strict=True))
        figures = {"seconds": round(median(all_seconds), 3), "ratio": round(ratio, 3),
                   "runs": [round(each, 3) for each in all_seconds]}
        if number == 0:
            row |= {"peer": name, "peer_seconds": figures["seconds"], "ratio": figures["ratio"]}
        row.setdefault("peers", {})[name] = figures
    return row
