"""Runs random guests bare and under the three techniques: `python -m tests.fuzz.three_way --seconds N --seed S`.

The guests are those of tests/vmm/programs.py: kernel and user code with page tables of its own, edited through
aliases, often without a fence; code that changes itself, with fence.i or without; floating point; external interrupts
from a serial port at which something is typed between checkpoints. The guest-visible state must be equal at every
checkpoint: under the cached shadow policy always, and under the policy that relies on fences for guests that fence
every change. A guest that differs is made small and written to --folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.machine.loader import Image, Segment
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.compare import COMPARED, difference_of
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.vm import Vm

from ..vmm.programs import CODE, HANDLER, HANDLER_TEXT, Writer
from .qemu_shrink import random_seed

STEPS = 3000
STRIDES = (1, 7, 50, 250)
MEMORY = 8 * MIB
TYPING = 0.1
"""How often something is typed between two checkpoints."""


@dataclass
class Mismatch:
    """A guest that is not the same everywhere: under which technique and policy, by which step, and in what."""

    seed: int
    policy: str
    technique: str
    step: int
    fields: dict[str, tuple[str, str]]
    lines: list[str]


@dataclass
class Totals:
    """What a run compared. steps: of each guest's bare run."""

    guests: int = 0
    steps: int = 0
    checkpoints: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


def guest_lines(seed: int, *, is_fenced: bool) -> list[str]:
    """The body of the guest of `seed`, a line an instruction; `is_fenced`: with a fence after every change of a
    table."""
    writer = Writer(seed, is_fenced)
    writer.text(40 + seed % 50)
    return writer.lines


def guest_image(lines: list[str], seed: int) -> Image | None:
    """The guest as an image; None where its lines do not assemble (a label was dropped)."""
    try:
        code = assemble("\n".join([*HANDLER_TEXT, f".org {CODE - HANDLER:#x}", *lines]), HANDLER).code
    except Exception:  # any line at all may have been dropped
        return None
    return Image(f"guest {seed}", CODE, (Segment(HANDLER, code, len(code)),), b"")


def compare_guest(lines: list[str], seed: int, policy: str, totals: Totals | None = None) -> Mismatch | None:
    """Run one guest everywhere; the first difference, if any. With `totals` it must be a whole one, and is counted."""
    image = guest_image(lines, seed)
    if image is None and totals is not None:
        raise ValueError(f"the guest of seed {seed} does not assemble")
    if image is None:
        return None
    techniques = COMPARED if policy == "cached" else ("bare", "deprivileged", "shadow")
    vms = [Vm(VmConfig(technique=technique, memory=MEMORY, policy=policy), image) for technique in techniques]
    stride = STRIDES[seed % len(STRIDES)]
    budget = min(STEPS, 300 * stride)
    typed = Random(seed)
    while vms[0].steps < budget:
        if typed.random() < TYPING:
            for vm in vms:
                vm.inputs.push(CONSOLE, b"what is typed")
        stops = [vm.run(min(stride, budget - vm.steps)) for vm in vms]
        digests = [digest(vm) for vm in vms]
        if totals is not None:
            totals.checkpoints += 1
        for technique, vm, found, stop in zip(techniques, vms, digests, stops, strict=True):
            if found != digests[0] or (stop.reason, stop.steps) != (stops[0].reason, stops[0].steps):
                fields = difference_of(vms[0], vm) or {"stop": (str(stops[0]), str(stop))}
                return Mismatch(seed, policy, technique, vms[0].steps, fields, lines)
        if stops[0].reason not in (StopReason.BUDGET, StopReason.GUEST_FAULT):
            break
    if totals is not None:
        totals.steps += vms[0].steps
    return None


def shrink(found: Mismatch) -> Mismatch:
    """Drop lines as long as the guest still differs."""
    size = max(1, len(found.lines) // 2)
    while size:
        at, dropped = 0, False
        while at < len(found.lines):
            smaller = compare_guest(found.lines[:at] + found.lines[at + size :], found.seed, found.policy)
            if smaller is None:
                at += size
            else:
                found, dropped = smaller, True
        size = size // 2 if not dropped or size > 1 else 1
        if size == 1 and not dropped:
            break
    return found


def run(seconds: float, seed: int, guests: int = 1 << 62) -> Totals:
    """Compare guests from `seed` on until the time or the number is used up."""
    totals = Totals()
    end = time.monotonic() + seconds
    while time.monotonic() < end and totals.guests < guests:
        policy = "flush" if seed % 4 == 0 else "cached"
        found = compare_guest(guest_lines(seed, is_fenced=policy == "flush"), seed, policy, totals)
        if found is not None:
            totals.mismatches.append(found)
        totals.guests += 1
        seed += 1
        if totals.guests % 20 == 0:
            print(
                f"\r{totals.guests:,} guests, {totals.steps:,} steps, {len(totals.mismatches)} differ",
                end="",
                file=sys.stderr,
                flush=True,
            )
    print(file=sys.stderr)
    return totals


def write_reproducer(found: Mismatch, folder: Path) -> Path:
    """Write the guest as assembly that `hartvisor asm --base` takes, what differs in its first lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"three-way-{found.seed}.s"
    why = [
        f"# {found.technique} under policy {found.policy} differs from bare by step {found.step}:",
        *(f"#   {name}: {one}, {two}" for name, (one, two) in list(found.fields.items())[:20]),
        f"# base {HANDLER:#x}, entry {CODE:#x}",
    ]
    path.write_text(
        "\n".join([*why, *HANDLER_TEXT, f".org {CODE - HANDLER:#x}", *found.lines]) + "\n", encoding="utf-8"
    )
    return path


def main() -> int:
    """The command line; the exit status is 1 where a guest differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="of the first guest (default: any)")
    parser.add_argument("--guests", type=int, default=1 << 62, help="at most so many")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="for the reproducers")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random_seed()
    print(f"seed {seed}")
    totals = run(options.seconds, seed, options.guests)
    for mismatch in totals.mismatches:
        smallest = shrink(mismatch)
        print(
            f"seed {smallest.seed}: {smallest.technique}, {smallest.policy}, step {smallest.step}: "
            f"{list(smallest.fields.items())[:4]}",
            f"reproducer {write_reproducer(smallest, options.folder)}",
            sep="\n  ",
        )
    print(
        f"{totals.guests:,} guests, {totals.steps:,} steps, {totals.checkpoints:,} checkpoints, "
        f"{len(totals.mismatches)} differ"
    )
    return 1 if totals.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
