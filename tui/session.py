"""A guest running with its console on the user's terminal or on a pipe, until it ends; whatever it runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from ..core.devices.console import ConsoleEnd
from ..core.hart import Hart
from ..core.machine.board import CONSOLE
from ..core.machine.inputs import Inputs
from ..core.machine.network import Network
from .idle import TICKS_PER_SECOND, IdleWatch
from .outside import Outside
from .terminal import Keyboard, Pipe, raw_terminal

STDIN = 0

SLICE = 2_000_000
"""Steps between two looks at the keyboard: a few hundredths of a second. Slices change nothing in a run."""

LIVE_SLICE = 500_000
"""As long as peers outside may send: where a slice ends is where their frames come in."""

MAX_NAP = 0.05
"""Seconds that a guest asleep on a terminal, or with peers outside, makes us sleep at a time."""


class End(Protocol):
    """How a run ended. is_over: for another reason than its budget. is_asleep: only input can wake the guest."""

    @property
    def is_over(self) -> bool: ...

    @property
    def is_asleep(self) -> bool: ...


EndT = TypeVar("EndT", bound=End, covariant=True)


class Subject(Protocol[EndT]):
    """What runs: a VM, or the bare machine.

    console: its serial port's far end. inputs: the way to it that is logged. network: its cards' wires. steps: its
    clock.
    """

    @property
    def console(self) -> ConsoleEnd: ...

    @property
    def inputs(self) -> Inputs: ...

    @property
    def network(self) -> Network: ...

    @property
    def steps(self) -> int: ...

    @property
    def harts(self) -> Sequence[Hart]: ...

    @property
    def steps_per_tick(self) -> int: ...

    @property
    def active_steps(self) -> int: ...

    def run(self, budget: int) -> EndT:
        """Run for `budget` steps, or less."""


class Guest(Generic[EndT]):
    """A subject in a session. run: what to run it with, if not with its own. stop: how its last run ended. is_idle: the
    session ended it, because it had nothing left to do (idle.py)."""

    def __init__(self, subject: Subject[EndT], run: Callable[[int], EndT] | None = None) -> None:
        self.subject = subject
        self._run = run or subject.run
        self.console, self.inputs, self.network = subject.console, subject.inputs, subject.network
        self.stop: EndT | None = None
        self.is_idle = False

    @property
    def steps(self) -> int:
        """The subject's clock."""
        return self.subject.steps

    @property
    def active_steps(self) -> int:
        """Those not slept through."""
        return self.subject.active_steps

    @property
    def idle_ticks(self) -> int:
        """What the hart that slept least has slept, in ticks of the timebase: so long, all did."""
        return min(hart.idle_steps for hart in self.subject.harts) // self.subject.steps_per_tick

    def run(self, budget: int) -> None:
        """Run on."""
        self.stop = self._run(budget)

    @property
    def is_over(self) -> bool:
        """Whether the last run ended for a reason other than its budget."""
        return self.stop is not None and self.stop.is_over

    @property
    def is_asleep(self) -> bool:
        """Whether that reason is that only input can wake the guest."""
        return self.stop is not None and self.stop.is_asleep


def write_all(descriptor: int) -> Callable[[bytes], None]:
    """An output for a console: all bytes to the file descriptor."""

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    return write


def run_session(guest: Guest[End], limit: int | None) -> bool:
    """Run to the guest's end, or to `limit` steps; False if the user quit (ctrl-a x) before."""
    return _run_on_terminal(guest, limit) if os.isatty(STDIN) else _run_on_pipe(guest, limit)


def _run_slice(guest: Guest[End], limit: int | None, slice_: int) -> float:
    """Run on for a slice, or to the limit; the seconds, of its own time, that the guest slept meanwhile."""
    idle = guest.idle_ticks
    guest.run(slice_ if limit is None else min(slice_, limit - guest.steps))
    return (guest.idle_ticks - idle) / TICKS_PER_SECOND


def _run_on_pipe(guest: Guest[End], limit: int | None) -> bool:
    """With piped input, of which a guest that asks for it, or sleeps for want of it, gets some.

    Where nobody outside may send, the guest's time is all there is, and its run may end because it is idle. Else it
    sleeps as long as it believes it does.
    """
    outside = Outside(guest.network, guest.inputs)
    pipe, watch = Pipe(STDIN), IdleWatch(guest)
    guest.inputs.may_be_silent = outside.is_live
    guest.console.refill = guest.inputs.pulling(CONSOLE, lambda: pipe.read(is_patient=not outside.is_live))
    while limit is None or guest.steps < limit:
        is_live = outside.is_live
        napped = _run_slice(guest, limit, LIVE_SLICE if is_live else SLICE)
        if guest.is_over and not (is_live and guest.is_asleep):
            break
        if is_live:
            outside.wait(MAX_NAP if guest.is_asleep else min(napped, MAX_NAP))
        elif limit is None and watch.is_idle():
            guest.is_idle = True
            break
    return True


def _run_on_terminal(guest: Guest[End], limit: int | None) -> bool:
    """With the user at the keyboard."""
    outside = Outside(guest.network, guest.inputs)
    with raw_terminal(STDIN) as keyboard:
        while limit is None or guest.steps < limit:
            napped = _run_slice(guest, limit, LIVE_SLICE if outside.is_live else SLICE)
            if guest.is_asleep:
                if not _wait_for_key(guest, keyboard, outside):
                    return False
                continue
            if guest.is_over:
                break
            outside.wait(min(napped, MAX_NAP), [STDIN])
            guest.inputs.push(CONSOLE, keyboard.read(0.0))
            if keyboard.wants_quit:
                return False
    return True


def _wait_for_key(guest: Guest[End], keyboard: Keyboard, outside: Outside) -> bool:
    """The guest sleeps until something is typed, or a frame comes; False if what is typed is ctrl-a x."""
    while not keyboard.wants_quit:
        has_frames = outside.wait(1.0, [STDIN])
        data = keyboard.read(0.0)
        guest.inputs.push(CONSOLE, data)
        if data or has_frames:
            return True
    return False
