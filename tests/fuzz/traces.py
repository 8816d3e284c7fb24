"""Random guests traced bare and under the three techniques: the same instructions with the same results, the same
accesses with the same values, the same traps; and a digest that tracing does not change.

    python -m tests.fuzz.traces [--seconds N] [--seed N] [--guests N]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hartvisor.core.machine.loader import Image
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import labelled
from hartvisor.core.vmm.trace.events import EXITS, INSN, IRQ, KINDS, MEM, Event, ExitEvent, TrapEvent
from hartvisor.core.vmm.trace.reader import TraceFile
from hartvisor.core.vmm.trace.recorder import Recorder
from hartvisor.core.vmm.vm import Vm

from .three_way import MEMORY, STEPS, guest_image, guest_lines

SLICE = 500


@dataclass
class Totals:
    """What a run compared: guests, and events of each kind. differences: a line each."""

    guests: int = 0
    events: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def traced(image: Image, technique: str, path: Path) -> Vm:
    """Run the guest, its trace to the file."""
    vm = Vm(VmConfig(technique=technique, memory=MEMORY), image)
    recorder = Recorder(path, KINDS, {})
    recorder.add_vm(vm)
    run_slices(vm)
    recorder.close()
    return vm


def run_slices(vm: Vm) -> None:
    """To the guest's end, or STEPS; it is looked for a trap loop wherever a run ends."""
    while vm.steps < STEPS and not vm.run(SLICE).is_over:
        pass


def compare_traces(image: Image, folder: Path, totals: Totals) -> str | None:
    """Trace one guest everywhere; a line about the first difference, if any."""
    plain = Vm(VmConfig(technique="bare", memory=MEMORY), image)
    run_slices(plain)
    expected: dict[str, list[Event]] = {}
    for technique in COMPARED:
        vm = traced(image, technique, folder / technique)
        if digest(vm) != digest(plain):
            return f"{technique}: traced, it ends differently"
        trace = TraceFile(folder / technique)
        for kind in (INSN, MEM, IRQ):
            found: list[Event] = list(trace.events([kind]))
            if kind == IRQ:
                found = [event._replace(by_hypervisor=False) for event in found if isinstance(event, TrapEvent)]
            totals.events[kind] += len(found)
            if found != expected.setdefault(kind, found):
                return f"{technique}: {first_difference(expected[kind], found)}"
        counts = Counter(event.reason for event in trace.events([EXITS]) if isinstance(event, ExitEvent))
        if counts != labelled(vm.vcpus[0].exits):
            return f"{technique}: exits {dict(counts)}, counted {labelled(vm.vcpus[0].exits)}"
    return None


def first_difference(expected: list[Event], found: list[Event]) -> str:
    """Where two lists of events part."""
    for one, other in zip(expected, found, strict=False):
        if one != other:
            return f"bare {one}, here {other}"
    longer = max(expected, found, key=len)
    first = longer[min(len(expected), len(found))]
    return f"{len(expected)} events bare, {len(found)} here; the first of the others: {first}"


def run(seconds: float, seed: int, guests: int = 1 << 62) -> Totals:
    """Compare guests from `seed` on until the time or the number is used up."""
    totals = Totals()
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and totals.guests < guests:
            image = guest_image(guest_lines(seed, is_fenced=False), seed)
            assert image is not None, f"the guest of seed {seed} does not assemble"
            found = compare_traces(image, Path(folder), totals)
            if found is not None:
                totals.differences.append(f"seed {seed}: {found}")
            totals.guests += 1
            seed += 1
    return totals


def main() -> int:
    """The command line; the exit status is 1 where a trace differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the first guest (default 1)")
    parser.add_argument("--guests", type=int, default=1 << 62, help="at most so many")
    options = parser.parse_args()
    totals = run(options.seconds, options.seed, options.guests)
    for line in totals.differences:
        print(line)
    events = ", ".join(f"{count:,} {kind}" for kind, count in totals.events.items())
    print(f"{totals.guests:,} guests under {len(COMPARED)} techniques: {events}; {len(totals.differences)} differ")
    return 1 if totals.differences else 0


if __name__ == "__main__":
    sys.exit(main())
