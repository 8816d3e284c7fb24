"""One image, bare and under the three techniques, and the proof that the guest could not tell: equal digests at every
checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

from ..devices.virtio.device import VirtioDevice
from ..isa.causes import INSTRUCTION_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT
from ..machine.loader import Image
from .config import VmConfig
from .digest import digest, visible_state
from .exits import ExitReason, labelled, reflected
from .stop import Stop, StopReason
from .vm import Vm

COMPARED: Final = ("bare", "deprivileged", "shadow", "two-stage")
CHECKPOINT_STEPS: Final = 100_000

_PAGE_FAULTS: Final = (
    ExitReason.SHADOW_FILL, ExitReason.PT_WRITE, ExitReason.GSTAGE_FILL,
    *(reflected(cause) for cause in (INSTRUCTION_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT)))

Progress = Callable[[str, int], None]
"""Called as progress(technique, steps) at every checkpoint."""

Devices = Callable[[], Sequence[VirtioDevice | None]]
"""Makes what is in the virtio slots, anew for each VM: the same at the start, and sharing nothing that changes."""


@dataclass
class Run:
    """One technique's run: the checkpoints' digests (the last is the final state's), and what it cost."""

    technique: str
    stop: Stop
    digests: list[str]
    seconds: float
    output: str
    exits: dict[str, int]
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The run as the issue's JSON has it: steps, exits, walk_reads, tlb_misses, seconds, digest; and more."""
        return {
            "steps": self.stop.steps, "exits": self.exits, "seconds": round(self.seconds, 3),
            "digest": self.digests[-1],
            "exits_total": sum(self.exits.values()), "stop": self.stop.reason.value, "detail": self.stop.detail,
            "output_digest": self.output, **self.facts}


@dataclass
class Difference:
    """The first difference found: between which techniques, at or before which step, and in what (name: (one,
    other)). vcpus: those whose own state differs, by index."""

    techniques: tuple[str, str]
    step: int
    fields: dict[str, tuple[str, str]]
    vcpus: list[int] = field(default_factory=list)


@dataclass
class Comparison:
    """What `compare` found. equivalent: equal digests at every checkpoint and at the end, equal stops and equal
    output."""

    image: str
    runs: dict[str, Run]
    checkpoint_steps: int
    equivalent: bool
    difference: Difference | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data for json.dumps, the same in every run but for `seconds`."""
        return {
            "image": self.image, "equivalent": self.equivalent, "checkpoint_steps": self.checkpoint_steps,
            "checkpoints": min(len(run.digests) for run in self.runs.values()),
            "techniques": {name: run.as_json() for name, run in self.runs.items()},
            "difference": asdict(self.difference) if self.difference else None}


def compare(image: Image, config: VmConfig | None = None, *, budget: int | None = None,
            checkpoint_steps: int = CHECKPOINT_STEPS, typed: bytes = b"", techniques: Sequence[str] = COMPARED,
            progress: Progress | None = None, devices: Devices = tuple) -> Comparison:
    """Run `image` to its end, or for `budget` steps, under each technique, and compare.

    config: the VM; its technique is replaced by each of `techniques` in turn, and the first of those is what the others
    are measured by.
    typed: console input, there from the start. devices: makes what is in the virtio slots.
    """
    base = config or VmConfig()
    runs = {name: _run(image, replace(base, technique=name), budget, checkpoint_steps, typed, progress, devices)
            for name in techniques}
    reference, *others = runs.values()
    different = next((run for run in others if not _are_equal(reference, run)), None)
    difference = None
    if different is not None:
        difference = _find_difference(image, base, reference, different, checkpoint_steps, typed, devices)
    return Comparison(image.name, runs, checkpoint_steps, different is None, difference)


def _are_equal(one: Run, other: Run) -> bool:
    return one.digests == other.digests and _same_stop(one.stop, other.stop) and one.output == other.output


def _same_stop(one: Stop, other: Stop) -> bool:
    """Equal but for the detail, which may know more where the hypervisor sees more of the guest's traps."""
    return one.reason is other.reason and one.steps == other.steps


def _start(image: Image, config: VmConfig, typed: bytes, devices: Devices,
           output: Callable[[bytes], None] = lambda data: None) -> Vm:
    vm = Vm(config, image, output, devices())
    vm.console.type(typed)
    return vm


def _run(image: Image, config: VmConfig, budget: int | None, checkpoint_steps: int, typed: bytes,
         progress: Progress | None, devices: Devices) -> Run:
    written = blake2b(digest_size=16)
    vm = _start(image, config, typed, devices, written.update)
    technique = str(config.technique)
    digests: list[str] = []
    before = time.process_time()
    while True:
        left = checkpoint_steps if budget is None else min(checkpoint_steps, budget - vm.steps)
        stop = vm.run(left)
        digests.append(digest(vm))
        if progress is not None:
            progress(technique, vm.steps)
        if stop.reason is not StopReason.BUDGET or vm.steps == budget:
            break
    seconds = time.process_time() - before
    return Run(technique, stop, digests, seconds, written.hexdigest(), labelled(vm.exits), _facts(vm))


def _facts(vm: Vm) -> dict[str, Any]:
    """Counts beside the exits: the harts' walks, the clock's parts, and what shadow paging cost; of all vCPUs together,
    and some of each."""
    harts, exits = vm.harts, vm.exits
    stats = vm.vcpus[0].technique.pager_stats
    return {
        **{name: sum(getattr(hart, name) for hart in harts)
           for name in ("walk_reads", "walks", "tlb_misses", "idle_steps", "guest_traps")},
        "instructions": vm.instructions, "page_faults": sum(exits[reason] for reason in _PAGE_FAULTS),
        "injected_interrupts": sum(sum(vcpu.injected.values()) for vcpu in vm.vcpus),
        "shadow": asdict(stats) if stats is not None else None,
        "frames": {owner: count for owner, count in sorted(vm.frames.owners.items()) if count},
        "vcpus": [{"steps": vcpu.hart.steps, "idle_steps": vcpu.hart.idle_steps, "guest_traps": vcpu.hart.guest_traps,
                   "exits": labelled(vcpu.exits)} for vcpu in vm.vcpus]}


# --- finding what differs


def _find_difference(image: Image, config: VmConfig, one: Run, other: Run, checkpoint_steps: int,
                     typed: bytes, devices: Devices) -> Difference:
    """Run both again, up to the last equal checkpoint, then in ever smaller strides to the first step that differs."""
    same = 0
    for mine, theirs in zip(one.digests, other.digests, strict=False):
        if mine != theirs:
            break
        same += 1
    step, stride = same * checkpoint_steps, checkpoint_steps
    while True:
        stride = max(1, stride // 32)
        vms = [_start(image, replace(config, technique=run.technique), typed, devices) for run in (one, other)]
        stops = [vm.run(step) for vm in vms]
        last = step
        # The state that differs lies within one checkpoint of the last equal one, or is in how the runs stopped.
        for _ in range(checkpoint_steps // stride + 1):
            stops = [vm.run(stride) for vm in vms]
            if digest(vms[0]) != digest(vms[1]) or not _same_stop(*stops):
                break
            last = vms[0].steps
        if stride == 1 or last == vms[0].steps:
            break
        step, checkpoint_steps = last, stride
    fields = difference_of(vms[0], vms[1])
    if not _same_stop(*stops):
        fields["stop"] = (str(stops[0]), str(stops[1]))
    if not fields:
        fields["output"] = (one.output, other.output)
    parted = [index for index in range(config.vcpus) if any(name.startswith(f"hart{index}.") for name in fields)]
    return Difference((one.technique, other.technique), last, fields, parted)


def difference_of(one: Vm, other: Vm) -> dict[str, tuple[str, str]]:
    """What differs between the guest-visible states of two VMs: registers and devices by name, pages as "page
    0x80201000"."""
    digest(one)
    digest(other)
    mine, theirs = visible_state(one.save()), visible_state(other.save())
    fields = {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs.get(name)}
    assert one.memory_digest is not None and other.memory_digest is not None
    pages, their_pages = one.memory_digest.pages, other.memory_digest.pages
    for gfn in sorted(pages.keys() | their_pages.keys()):
        if pages.get(gfn) != their_pages.get(gfn):
            fields[f"page {gfn << 12:#x}"] = _first_difference(one.ram.page(gfn), other.ram.page(gfn))
    return fields


def _first_difference(mine: bytes, theirs: bytes) -> tuple[str, str]:
    """The first differing doubleword of two pages."""
    offset = next(i for i in range(0, len(mine), 8) if mine[i:i + 8] != theirs[i:i + 8])
    return tuple(f"+{offset:#x}: {int.from_bytes(page[offset:offset + 8], 'little'):#018x}"  # type: ignore[return-value]
                 for page in (mine, theirs))
