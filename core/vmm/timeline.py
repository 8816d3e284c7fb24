"""A guest's past, to go back to: checkpoints along its run, and running on from them.

    checkpoint ──────── checkpoint ──────── checkpoint ─── now
         restore ───────── run ──> the step asked for

The guest is deterministic and its inputs are in a log, so a checkpoint and steps are enough; nothing is undone. They
lie as far apart as the host runs in INTERVAL seconds, whatever the guest does, so that any step is near one.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from ..devices.console import ConsoleEnd
from ..devices.virtio.block import VirtioBlock
from ..devices.virtio.p9 import VirtioP9
from ..devices.virtio.storage import MemoryDisk
from ..errors import ConfigError
from ..machine.board import Board
from ..machine.inputs import Event, Inputs
from .snapshots import Snapshot, Snapshots
from .snapshots import Subject as Saveable

Found = TypeVar("Found")

INTERVAL: Final = 0.03
"""Seconds of the host's CPU between checkpoints."""

MEMORY_LIMIT: Final = 1 << 30
"""Bytes of pages that checkpoints may hold; beyond it they are thinned out."""

FIRST_STRIDE: Final = 200_000
LEAST_STRIDE: Final = 1_000
GROWTH: Final = 4
"""How many times longer one stride may be than that before it."""

FIRST_REACH: Final = 2_000
REACH_GROWTH: Final = 8
"""How far back the search for a stop looks first, in steps, and how much farther each time."""

HOST_STOPS: Final = frozenset({"BREAKPOINT", "WATCHPOINT", "CHANGED", "EXIT"})
"""Reasons to stop that somebody set, by name: the guest itself goes on."""


class Subject(Saveable, Protocol):
    """What has a past: a Vm, or a Machine."""

    @property
    def inputs(self) -> Inputs:
        """What comes from outside."""

    @property
    def console(self) -> ConsoleEnd:
        """Its terminal."""

    @property
    def active_steps(self) -> int:
        """The steps not slept through."""

    def run(self, budget: int) -> Any:
        """Take `budget` steps, or stop for a `reason`, an Enum in which BUDGET is the one that is none."""


@runtime_checkable
class Stoppable(Protocol):
    """What can be told to stop at places, accesses and changes."""

    breakpoints: frozenset[int]
    watchpoints: tuple[Any, ...]
    until: Any


@contextmanager
def unstopped(subject: Stoppable) -> Iterator[None]:
    """With nothing set that would stop the subject; what was set is put back."""
    before = subject.breakpoints, subject.watchpoints, subject.until
    subject.breakpoints, subject.watchpoints, subject.until = frozenset(), (), None
    try:
        yield
    finally:
        subject.breakpoints, subject.watchpoints, subject.until = before


def _nothing() -> None:
    """Nobody wants to know."""


def _none() -> None:
    """There is none."""


@dataclass(eq=False)
class Checkpoint:
    """A snapshot on the way. position: of the input log. spent: seconds of CPU from the start to here.

    is_pinned: somebody changed the guest's state here, so that running cannot lead here again.
    """

    snapshot: Snapshot
    position: int
    spent: float
    is_pinned: bool = False

    @property
    def step(self) -> int:
        """Where it was taken."""
        return self.snapshot.steps


class OnBoard(Subject, Protocol):
    """A subject with devices."""

    @property
    def board(self) -> Board:
        """Its devices."""


def past_of(subject: OnBoard) -> Timeline | None:
    """What takes the guest back in time; None for one that writes where nobody can take it back from: to a disk that is
    a file of the host's, or a shared folder."""
    for slot in subject.board.virtio:
        device = slot.device
        is_lasting = isinstance(device, VirtioBlock) and not (
            device.storage.is_read_only or isinstance(device.storage, MemoryDisk))
        if is_lasting or isinstance(device, VirtioP9):
            return None
    return Timeline(subject)


class Timeline:
    """The run of one subject, from where it stands now. All running goes through it from here on.

    end: the last step that was reached; going there again shows nothing to the world a second time. before_fork: called
    before what lies ahead is forgotten; on_fork: told from which step on it was. poll: called every INTERVAL or so
    while it runs, forwards or to get back; what it raises ends that where it is.
    kept: checkpoints that stay, because they have names, or are of other histories too (snapshot_tree.py). spare: gives
    one of these that can be done without after all, when memory is short.
    """

    def __init__(self, subject: Subject, *, interval: float = INTERVAL, memory_limit: int = MEMORY_LIMIT) -> None:
        self.subject = subject
        self.end = subject.steps
        self.before_fork: Callable[[], None] = _nothing
        self.on_fork: list[Callable[[int], None]] = []
        self.kept: set[Checkpoint] = set()
        self.spare: Callable[[], Checkpoint | None] = _none
        self.poll: Callable[[], None] = _nothing
        self._interval = interval
        self._memory_limit = memory_limit
        self._snapshots = Snapshots(subject)
        self._stone: Checkpoint | None = None    # one that only `ahead` wanted
        self._stride = FIRST_STRIDE
        self._since = 0.0           # CPU seconds from the last checkpoint behind us to here
        self._inputs = subject.inputs
        self._inputs.is_kept = True
        self._inputs.before_push = self._fork
        self._write = subject.console.output
        subject.console.output = self._output
        self.checkpoints = [Checkpoint(self._snapshots.take(), self._inputs.position, 0.0)]

    @property
    def step(self) -> int:
        """Where the subject stands."""
        return self.subject.steps

    @property
    def here(self) -> int:
        """The step of the checkpoint that the present was reached from: since then pages are marked as stored to."""
        return self._snapshots.here.steps if self._snapshots.here is not None else self.start

    @property
    def start(self) -> int:
        """The first step there is."""
        return self.checkpoints[0].step

    # --- forwards

    def run(self, budget: int) -> Any:
        """As the subject's own run; through what is past, if that lies ahead."""
        target = self.step + budget
        while (stop := self._advance(target)) is None:
            pass
        return stop

    def _advance(self, target: int) -> Any:
        """Run towards `target`, as far as the next input, the end of what is past, a checkpoint, or a stride. The stop,
        if it is one for others to see: at the target, or for a reason."""
        self.poll()
        step, inputs = self.step, self._inputs
        push = inputs.next_push()
        while push is not None and push.step == step:
            inputs.give(push)
            push = inputs.next_push()
        ahead = bisect_right(self.checkpoints, step, key=lambda each: each.step)
        limits = [target, step + self._stride]
        if push is not None:
            limits.append(push.step)
        if step < self.end:
            limits.append(self.end)
        if ahead < len(self.checkpoints):
            limits.append(self.checkpoints[ahead].step)
        limit = min(limits)
        inputs.is_past = step < self.end
        before = time.process_time()
        stop = self.subject.run(limit - step)
        inputs.is_past = False
        self._account(self.step - step, time.process_time() - before)
        self.end = max(self.end, self.step)
        # Where a run ends the subject also looks for a guest caught in a loop; this is no end that anybody asked for.
        if self.step == limit < target and stop.reason.name in ("BUDGET", "GUEST_FAULT"):
            return None
        if push is not None and push.step == self.step and stop.reason.name == "ASLEEP":
            return None
        return stop

    def _account(self, steps: int, seconds: float) -> None:
        """Choose the next stride by what this one cost, and take a checkpoint if the last is too far behind."""
        here = self._behind(self.step)
        if here.step == self.step and here.is_pinned and steps:
            self._restore(here)     # what was done by hand here is part of the past
            return
        if here.step == self.step and not here.is_pinned:
            self._snapshots.stand_at(here.snapshot)
            self._since = 0.0
            return
        self._since += seconds
        if steps == self._stride:
            fitting = int(steps * self._interval / max(seconds, 1e-6))
            self._stride = max(LEAST_STRIDE, min(fitting, self._stride * GROWTH))
        if self._since >= self._interval:
            self._mark()

    def _mark(self, *, is_pinned: bool = False, is_wanted: bool = False) -> Checkpoint:
        """A checkpoint here; unless there is one near ahead, and none is wanted just here. The last at or before."""
        index = bisect_right(self.checkpoints, self.step, key=lambda each: each.step)
        behind = self.checkpoints[index - 1]
        spent = behind.spent + self._since
        is_near = index < len(self.checkpoints) and self.checkpoints[index].spent - spent < self._interval / 2
        if (is_near and not is_pinned and not is_wanted) or (behind.step == self.step and not is_pinned):
            return behind
        made = Checkpoint(self._snapshots.take(), self._inputs.position, spent, is_pinned)
        self.checkpoints.insert(index, made)
        self._since = 0.0
        self._thin()
        return made

    def _thin(self) -> None:
        """Forget the checkpoints that help least, until the rest fit."""
        while sum(each.snapshot.size for each in {*self.checkpoints, *self.kept}) > self._memory_limit:
            found = self.spare() or self._least()
            if found is None:
                return
            if found in self.checkpoints:
                self.checkpoints.remove(found)
            self.let_go([found])

    def _least(self) -> Checkpoint | None:
        """The checkpoint that helps least, of those that may go."""
        candidates = [
            (after.spent - before.spent, index)
            for index, (before, each, after) in enumerate(
                zip(self.checkpoints, self.checkpoints[1:], self.checkpoints[2:], strict=False), 1)
            if not each.is_pinned and each not in self.kept and each.snapshot is not self._snapshots.here]
        return self.checkpoints[min(candidates)[1]] if candidates else None

    # --- backwards

    def goto(self, step: int) -> Any:
        """Be where the clock shows, or showed, `step`; beyond `end` that is running on. Returns why it went no further,
        None if it is there. What others set to stop the guest does not stop it here. Raises ConfigError for a step
        before `start`."""
        if step < self.start:
            raise ConfigError(f"step {step:,}: the past begins at step {self.start:,}")
        self._approach(step)
        if self.step < step and isinstance(self.subject, Stoppable):
            with unstopped(self.subject):
                return self._go(step)
        return self._go(step)

    def ahead(self, step: int, look: Callable[[], Found]) -> Found:
        """What `look` finds at a step that lies ahead but is past already; when it returns we stand here again. Raises
        ConfigError for a step that was not reached yet."""
        if not self.step <= step <= self.end:
            raise ConfigError(f"step {step:,} is not ahead of {self.step:,}, or not in the past")
        known, before = len(self.checkpoints), self._stone
        here = self._mark(is_wanted=True)
        if here is not before:
            self._stone = here if len(self.checkpoints) > known else None
            if before is not None:
                self._forget(before)
        try:
            self.goto(step)
            return look()
        finally:
            self._restore(here)

    def _go(self, step: int) -> Any:
        """Run forwards to `step`."""
        while self.step < step:
            stop = self._advance(step)
            if stop is not None and stop.reason.name not in HOST_STOPS and self.step < step:
                return stop
        return None

    def _approach(self, step: int) -> None:
        """Restore the last checkpoint at or before `step`, unless we stand between the two."""
        checkpoint = self._behind(step)
        if not checkpoint.step <= self.step <= step:
            self._restore(checkpoint)

    def _behind(self, step: int) -> Checkpoint:
        """The last checkpoint at or before `step`."""
        return self.checkpoints[bisect_right(self.checkpoints, step, key=lambda each: each.step) - 1]

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._snapshots.restore(checkpoint.snapshot)
        self._inputs.position = checkpoint.position
        self._since = 0.0

    def reverse_step(self) -> bool:
        """Go back over the last step that was not slept through: an instruction, or a trap. False at the start."""
        step, active = self.step, self.subject.active_steps
        if step == self.start:
            return False
        self.goto(step - 1)
        if self.subject.active_steps == active:
            self._goto_sleep(active)
        return True

    def _goto_sleep(self, active: int) -> None:
        """From the midst of a sleep, to before the step that began it: the last at which fewer than `active` were
        taken."""
        high = self.step
        while self.step > self.start and self.subject.active_steps == active:
            high = self.step
            self._restore(self._behind(high - 1))
        # Fewer at low, as many at high. A checkpoint at each new low makes every try half as long as the one before.
        low, stones = self._behind(self.step), []
        while high - low.step > 1:
            self.goto((low.step + high) // 2)
            if self.subject.active_steps == active:
                high = self.step
                self._restore(low)
            else:
                low = self._mark(is_wanted=True)
                stones.append(low)
        self._restore(low)
        for stone in stones:
            if stone is not low:
                self._forget(stone)

    def reverse_continue(self) -> Any:
        """Go back to where something that others set last stopped the guest before now: at a breakpoint, or before the
        step that touched what is watched. Returns that stop; None if there was none, and then stands at the start."""
        upper, reach = self.step, FIRST_REACH
        while upper > self.start:
            # Longer and longer stretches: what stops the guest often is found near, and what does not is soon passed.
            lower = max(upper - reach, self._behind(upper - 1).step)
            self.goto(lower)
            found = None
            while self.step < upper:
                stop = self._advance(upper)
                if stop is not None and stop.reason.name in HOST_STOPS:
                    at = self.step if stop.reason.name == "BREAKPOINT" else self.step - 1
                    found = (at, stop) if at < upper else found
            if found is not None:
                self.goto(found[0])
                return found[1]
            upper, reach = lower, reach * REACH_GROWTH
        self.goto(self.start)
        return None

    def _forget(self, checkpoint: Checkpoint) -> None:
        """Let go of a checkpoint, unless it has gone already, thinned out or with its future, or is to stay."""
        if checkpoint in self.checkpoints and checkpoint not in self.kept:
            self.checkpoints.remove(checkpoint)
            self._snapshots.forget(checkpoint.snapshot)

    # --- another future

    def edited(self) -> None:
        """Somebody changed the guest's state by hand: what followed is another guest's future."""
        self.fork()
        self._mark(is_pinned=True)

    def fork(self) -> None:
        """From here on it goes another way, with nothing typed that lay ahead."""
        self._fork()
        self._inputs.forget_future()

    def _fork(self) -> None:
        """From here on it goes another way: forget what lay ahead."""
        self.before_fork()
        index = bisect_right(self.checkpoints, self.step, key=lambda each: each.step)
        gone = self.checkpoints[index:]
        del self.checkpoints[index:]
        self.let_go(gone)
        self.end = self.step
        self.tell(self.step)

    def tell(self, step: int) -> None:
        """What was remembered from `step` on is no longer so."""
        for told in self.on_fork:
            told(step)

    def let_go(self, checkpoints: Iterable[Checkpoint]) -> None:
        """These are no longer on this history's way; forget those that nobody else wants."""
        for checkpoint in checkpoints:
            is_root = checkpoint.snapshot.parent is None
            if checkpoint not in self.kept and not self.is_here(checkpoint) and not is_root:
                self._snapshots.forget(checkpoint.snapshot)

    def is_here(self, checkpoint: Checkpoint) -> bool:
        """Whether the present was reached from this one."""
        return checkpoint.snapshot is self._snapshots.here

    # --- other histories of the same subject (snapshot_tree.py)

    def mark(self) -> Checkpoint:
        """A checkpoint of this very moment, after what was typed at this step."""
        here = self._behind(self.step)
        is_typed = here.step == self.step and here.position != self._inputs.position
        return self._mark(is_wanted=True, is_pinned=is_typed)

    def visit(self, checkpoint: Checkpoint) -> None:
        """Stand at one of the checkpoints."""
        self._restore(checkpoint)

    def take_up(self, checkpoints: Sequence[Checkpoint], end: int, events: Sequence[Event], since: int) -> None:
        """Have another past, and another future, from the step `since` on; stand at one of its checkpoints next."""
        self.checkpoints, self.end = list(checkpoints), end
        self._inputs.events[:] = events
        self._stone = None
        self.tell(since)

    def _output(self, data: bytes) -> None:
        """What the guest writes is written once."""
        if not self._inputs.is_past:
            self._write(data)
