"""Lab 10's two predictions."""

from __future__ import annotations

from ...core.machine.board import CONSOLE
from ...core.vmm.snapshots import Snapshots
from ..judge.guests import Guest
from ..lab import random_for
from .recorded import Answers


def _pipe(seed: int) -> tuple[int, int, int, int]:
    """How often the guest asks, how many pieces there are, their length, and how often it reads the time."""
    random = random_for(10, "pipe", seed)
    length, pieces = random.randrange(3, 10), random.randrange(4, 12)
    return random.randrange(pieces * length // 2, pieces * length), pieces, length, random.randrange(50, 500)


def ask_events(seed: int) -> str:
    """What has to be logged."""
    asks, pieces, length, times = _pipe(seed)
    return (f"A guest reads time {times} times, and calls the firmware's getchar {asks} times, which takes one byte.\n"
            f"The host's pipe gives {pieces} pieces of {length} bytes, the next whenever the guest looks and none is\n"
            "left of the last. How many events must the log hold?")


def events(seed: int) -> int:
    """By running it, and looking at the hypervisor's own log."""
    asks, pieces, length, times = _pipe(seed)
    guest = Guest.of(f"_start: li s0, {times}\nmore: csrr t0, time\n addi s0, s0, -1\n bnez s0, more\n li s0, {asks}\n"
                     "again: li a7, 2\n ecall\n addi s0, s0, -1\n bnez s0, again\n li a7, 8\n ecall\n", "asks.s")
    vm = guest.start(guest.config("two-stage"))
    vm.inputs.is_kept = True
    vm.console.refill = vm.inputs.pulling(CONSOLE, Answers((b"x" * length,) * pieces))
    vm.run(20_000)
    return len(vm.inputs.events)


def _walk(seed: int) -> tuple[int, int, int]:
    random = random_for(10, "walk", seed)
    every = random.randrange(50, 200)
    return every, every * random.randrange(3, 9) + random.randrange(1, 40), random.randrange(50, 90)


def ask_steps(seed: int) -> str:
    """What going back costs."""
    every, start, moves = _walk(seed)
    return (f"There is a checkpoint at step 0 and every {every} steps. You stand at step {start} and go back one\n"
            f"step, {moves} times, each time from the nearest checkpoint, and make no new ones. How many steps are\n"
            "taken?")


def steps(seed: int) -> int:
    """By doing it, with the hypervisor's own snapshots."""
    every, start, moves = _walk(seed)
    guest = Guest.of("_start: addi t0, t0, 1\n j _start\n", "counts.s")
    vm = guest.start(guest.config("two-stage"))
    snapshots = Snapshots(vm)
    kept = [snapshots.take()]
    while vm.steps + every <= start:
        vm.run(every)
        kept.append(snapshots.take())
    taken = 0
    for move in range(1, moves + 1):
        target = start - move
        snapshots.restore(max((each for each in kept if each.steps <= target), key=lambda each: each.steps))
        taken += target - vm.steps
        vm.run(target - vm.steps)
    return taken
