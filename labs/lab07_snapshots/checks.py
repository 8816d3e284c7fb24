"""Lab 7's checks."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Verdict, failed, passed
from . import programs
from .timeline import Timeline


def _start(trial: Trial, technique: str = "two-stage", part: str = "") -> tuple[Timeline, Random]:
    """A guest that has run a while, and the check's choices."""
    random = trial.random(part)
    timeline = Timeline(trial, programs.stores(random), trial.student, technique)
    return timeline, random


def _steps(random: Random) -> int:
    return random.randrange(100, 1500)


def line(trial: Trial) -> Verdict:
    """A snapshot, and back to it, again and again."""
    timeline, random = _start(trial)
    timeline.run(_steps(random))
    for _ in range(3):
        here = timeline.snapshot()
        for _ in range(2):
            timeline.run(_steps(random))
            timeline.restore(here)
        timeline.run(_steps(random))
    return _passed(timeline)


def tree(trial: Trial) -> Verdict:
    """Many snapshots, to any of which the guest goes back, and from which it goes on anew; under shadow paging."""
    timeline, random = _start(trial, "deprivileged")
    kept: list[int] = []
    for _ in range(14):
        timeline.run(_steps(random))
        if len(kept) < 2 or random.random() < 0.4:
            kept.append(timeline.snapshot())
        else:
            timeline.restore(random.choice(kept))
    for number in random.sample(kept, len(kept)):
        timeline.restore(number)
    return _passed(timeline)


def isolated(trial: Trial) -> Verdict:
    """Every page is stored to after a snapshot: nothing of that may reach it."""
    timeline, random = _start(trial)
    timeline.run(3000)
    here = timeline.snapshot()
    for gfn in sorted(timeline.ref.ram.mapped()):
        timeline.poke(gfn << 12 | 8 * random.randrange(512), random.randbytes(8))
    timeline.restore(here)
    timeline.run(_steps(random))
    timeline.restore(here)
    return _passed(timeline)


def devices(trial: Trial) -> Verdict:
    """Stores of devices, over page ends and to pages that had none, between snapshots."""
    timeline, random = _start(trial)
    kept = [timeline.snapshot()]
    for _ in range(10):
        timeline.run(_steps(random))
        for _ in range(3):
            gpa = programs.DATA + random.randrange(48 << 12)
            timeline.poke(gpa, random.randbytes(random.choice((8, 512, 5000))))
        if random.random() < 0.5:
            kept.append(timeline.snapshot())
        else:
            timeline.restore(random.choice(kept))
    return _passed(timeline)


def logs(trial: Trial) -> Verdict:
    """The dirty log, asked at any time: all that was stored to, and nothing else."""
    timeline, random = _start(trial)
    total = 0
    kept: list[int] = []
    for _ in range(16):
        for _ in range(random.randrange(3)):
            timeline.run(_steps(random))
        choice = random.random()
        if choice < 0.2 or not kept:
            kept.append(timeline.snapshot())
        elif choice < 0.4:
            timeline.restore(random.choice(kept))
        elif choice < 0.6:
            timeline.poke(programs.DATA + random.randrange(40 << 12), random.randbytes(100))
        total += timeline.dirty_log()
    return _passed(timeline, logged=total)


def forgetting(trial: Trial) -> Verdict:
    """Snapshots are forgotten in any order; the others stay whole, and no frame is held for nothing."""
    timeline, random = _start(trial)
    kept: list[int] = []
    for _ in range(12):
        timeline.run(_steps(random))
        kept.append(timeline.snapshot())
        if len(kept) > 2:
            timeline.forget(kept.pop(random.randrange(len(kept))))
        if random.random() < 0.6:
            timeline.restore(random.choice(kept))
        _count_frames(timeline)
    for number in list(kept):
        timeline.restore(number)
    for number in kept:
        timeline.forget(number)
    timeline.run(_steps(random))
    _count_frames(timeline)
    return _passed(timeline)


def _count_frames(timeline: Timeline) -> None:
    timeline.settle()
    held, least = len(timeline.ram.held), timeline.model.frames
    if held > least:
        timeline.part("frames held", f"{held}", f"{least}: each holds what the guest or a snapshot has still")


def copies(trial: Trial) -> Verdict:
    """How many pages are copied, against those that were stored to while a snapshot had them."""
    timeline, random = _start(trial)
    kept: list[int] = []
    for index in range(12):
        timeline.run(_steps(random))
        if index % 3 == 0:
            kept.append(timeline.snapshot())
        elif index % 3 == 1:
            timeline.dirty_log()
        else:
            timeline.restore(random.choice(kept))
    timeline.settle()
    least, copied = timeline.model.least, timeline.ram.copies
    percent = -(-100 * copied // max(1, least))
    share = share_of_band(percent, ((102, Fraction(1)), (150, Fraction(2, 3)), (400, Fraction(1, 3))))
    message = f"{copied} pages copied where {least} had to be: {percent} %"
    if share == 1:
        return passed(message, copies=copied, least=least)
    return failed(message, share=share, copies=copied, least=least)


def _passed(timeline: Timeline, logged: int = 0) -> Verdict:
    timeline.settle()
    return passed(copies=timeline.ram.copies, least=timeline.model.least, frames=len(timeline.ram.held),
                  instructions=timeline.ref.instructions, logged=logged)
