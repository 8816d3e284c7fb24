"""Lab 10's checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Final

from ..judge.runner import share_of_band
from ..judge.session import Session, Stopped, need
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Status, Verdict, failed, passed
from . import programs
from .playing import Playing
from .programs import Case
from .recorded import NEEDED, Recorded

MOST_LOG: Final = 1 << 16
"""Bytes; no run of this lab's needs a hundredth of it."""
JUMPS: Final = 24

Visits = Callable[[Random, Recorded], Sequence[int]]
"""At which steps to look."""


def _log_of(recorder: Session, recorded: Recorded) -> list[bytes]:
    """What the student's log_event keeps of each event."""
    found, size = [], 0
    for noted in recorded.noted:
        entry = need(bytes, recorder.call("Recorder.log_event", noted.event), "log_event's answer")
        size += len(entry)
        if size > MOST_LOG:
            raise Stopped(Status.FAIL, f"the log has more than {MOST_LOG:,} bytes, of a run of {recorded.length:,} "
                                       "steps")
        found.append(entry)
    return found


def needless(trial: Trial) -> Verdict:
    """What comes from outside is in the log, and nothing else is: an answer that keeps everything fails here, and so
    does one that keeps nothing."""
    count = kept = 0
    for make in (programs.everything, programs.asking, programs.asleep):
        recorded = Recorded(make(trial.random(make.__name__)))
        with trial.another() as recorder:
            entries = _log_of(recorder, recorded)
        for noted, entry in zip(recorded.noted, entries, strict=True):
            event = noted.event
            is_needed = event.kind in NEEDED
            if bool(entry) != is_needed:
                found = Divergence(event.step, noted.pc, recorded.case.guest.line_at(noted.pc), f"log of {event.kind}",
                                   f"{len(entry)} bytes", "some: nothing else tells" if is_needed else
                                   "none: the machine does it again by itself")
                return failed(f"log_event({event.kind}, {len(event.data)} bytes)", found)
            kept += is_needed
        count += len(recorded.noted)
    return passed(events=count, kept=kept)


def _onwards(random: Random, recorded: Recorded) -> Sequence[int]:
    """Forwards, in strides of any length, to the end; what is run on the way is looked at step by step."""
    return [0, *sorted(random.sample(range(recorded.length), JUMPS)), recorded.length]


def anywhere(random: Random, recorded: Recorded) -> Sequence[int]:
    """Forth and back: where something came, beside it, and anywhere."""
    places = [step + beside for step, _ in recorded.typed for beside in (-1, 0, 1)]
    places += [random.randrange(recorded.length + 1) for _ in range(JUMPS)]
    chosen = random.sample(places, min(JUMPS, len(places)))
    return [0, recorded.length, *(min(max(0, step), recorded.length) for step in chosen)]


def replaying(make: Callable[[Random], Case], visits: Visits = _onwards, count: int = 2) -> Callable[[Trial], Verdict]:
    """Some guests of a kind are recorded, and run again from the student's log alone, by a process that never saw the
    recording, under another technique; the digest is compared after every step."""

    def run(trial: Trial) -> Verdict:
        steps = size = 0
        for index in range(count):
            random = trial.random(str(index))
            recorded = Recorded(make(random))
            with trial.another() as recorder:
                log = b"".join(_log_of(recorder, recorded))
            with trial.another() as student:
                playing = Playing(trial, recorded, student, log)
                for step in visits(random, recorded):
                    playing.replay(step)
            steps += playing.taken
            size += len(log)
        return passed(steps=steps, log_bytes=size)

    return run


def reversing(trial: Trial) -> Verdict:
    """Back, step by step: from the end, over steps at which something came, and from the first step, which has none
    before it."""
    steps = moves = 0
    for make in (programs.typed, programs.everything):
        random = trial.random(make.__name__)
        recorded = Recorded(make(random))
        with trial.another() as recorder:
            log = b"".join(_log_of(recorder, recorded))
        with trial.another() as student:
            playing = Playing(trial, recorded, student, log)
            came = random.sample(recorded.typed, min(4, len(recorded.typed)))
            for step in (recorded.length, *(when + 2 for when, _ in came), 1):
                playing.replay(min(step, recorded.length))
                for _ in range(5):
                    playing.reverse_step()
                    moves += 1
        steps += playing.taken
    return passed(moves=moves, steps=steps)


def log_size(trial: Trial) -> Verdict:
    """Bytes of log, against the hypervisor's own recording file; what it holds must be enough for a replay."""
    mine = theirs = 0
    for make in (programs.everything, programs.long):
        recorded = Recorded(make(trial.random(make.__name__)))
        with trial.another() as recorder:
            log = b"".join(_log_of(recorder, recorded))
        with trial.another() as student:
            Playing(trial, recorded, student, log).replay(recorded.length)
        mine += len(log)
        theirs += recorded.file_bytes
    percent = -(-100 * mine // theirs)
    share = share_of_band(percent, ((22, Fraction(1)), (40, Fraction(2, 3)), (80, Fraction(1, 3))))
    message = f"{mine} bytes where the hypervisor's own file takes {theirs}: {percent} %"
    if share == 1:
        return passed(message, bytes=mine, file=theirs)
    return failed(message, share=share, bytes=mine, file=theirs)


def reverse_cost(trial: Trial) -> Verdict:
    """Steps taken to go back one, against beginning anew each time."""
    random = trial.random()
    recorded = Recorded(programs.long(random))
    with trial.another() as recorder:
        log = b"".join(_log_of(recorder, recorded))
    with trial.another() as student:
        playing = Playing(trial, recorded, student, log)
        playing.replay(recorded.length)
        naive = taken = 0
        for step in (recorded.length, random.randrange(recorded.length // 2, recorded.length)):
            playing.replay(step)
            before = playing.taken
            for moves in range(1, 25):
                playing.reverse_step()
                naive += step - moves
            taken += playing.taken - before
    percent = -(-100 * taken // naive)
    share = share_of_band(percent, ((8, Fraction(1)), (20, Fraction(2, 3)), (60, Fraction(1, 3))))
    message = f"{taken:,} steps to go back 48, where beginning anew each time takes {naive:,}: {percent} %"
    if share == 1:
        return passed(message, steps=taken, naive=naive)
    return failed(message, share=share, steps=taken, naive=naive)
