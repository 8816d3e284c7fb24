"""A guest running with its console on the user's terminal or on a pipe, until it ends; whatever it runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from ..core.devices.console import ConsoleEnd
from ..core.hart import Hart
from ..core.machine.board import CONSOLE
from ..core.machine.inputs import Inputs
from .terminal import Keyboard, Pipe, raw_terminal

STDIN = 0

SLICE = 2_000_000
"""Steps between two looks at the keyboard: a few hundredths of a second. Slices change nothing in a run."""

TICKS_PER_SECOND = 10_000_000
MAX_NAP = 0.05
"""Seconds that a guest asleep on a terminal makes us sleep at a time."""


class End(Protocol):
    """How a run ended. is_over: for another reason than its budget. is_asleep: only input can wake the guest."""

    @property
    def is_over(self) -> bool: ...

    @property
    def is_asleep(self) -> bool: ...


EndT = TypeVar("EndT", bound=End, covariant=True)


class Subject(Protocol[EndT]):
    """What runs: a VM, or the bare machine.

    console: its serial port's far end. inputs: the way to it that is logged. steps: its clock.
    """

    @property
    def console(self) -> ConsoleEnd: ...

    @property
    def inputs(self) -> Inputs: ...

    @property
    def steps(self) -> int: ...

    @property
    def harts(self) -> Sequence[Hart]: ...

    @property
    def steps_per_tick(self) -> int: ...

    def run(self, budget: int) -> EndT:
        """Run for `budget` steps, or less."""


class Guest(Generic[EndT]):
    """A subject in a session. stop: how its last run ended."""

    def __init__(self, subject: Subject[EndT]) -> None:
        self.subject = subject
        self.console, self.inputs = subject.console, subject.inputs
        self.stop: EndT | None = None

    @property
    def steps(self) -> int:
        """The subject's clock."""
        return self.subject.steps

    @property
    def idle_ticks(self) -> int:
        """What the hart that slept least has slept, in ticks of the timebase: so long, all did."""
        return min(hart.idle_steps for hart in self.subject.harts) // self.subject.steps_per_tick

    def run(self, budget: int) -> None:
        """Run on."""
        self.stop = self.subject.run(budget)

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


def _slice(guest: Guest[End], limit: int | None) -> int:
    return SLICE if limit is None else min(SLICE, limit - guest.steps)


def _run_on_pipe(guest: Guest[End], limit: int | None) -> bool:
    """With piped input, of which a guest that asks for it, or sleeps for want of it, gets some."""
    guest.console.refill = guest.inputs.pulling(CONSOLE, Pipe(STDIN).read)
    while limit is None or guest.steps < limit:
        guest.run(_slice(guest, limit))
        if guest.is_over:
            break
    return True


def _run_on_terminal(guest: Guest[End], limit: int | None) -> bool:
    """With the user at the keyboard."""
    with raw_terminal(STDIN) as keyboard:
        while limit is None or guest.steps < limit:
            idle = guest.idle_ticks
            guest.run(_slice(guest, limit))
            if guest.is_asleep:
                if not _wait_for_key(guest, keyboard):
                    return False
                continue
            if guest.is_over:
                break
            napped = (guest.idle_ticks - idle) / TICKS_PER_SECOND
            guest.inputs.push(CONSOLE, keyboard.read(min(napped, MAX_NAP)))
            if keyboard.wants_quit:
                return False
    return True


def _wait_for_key(guest: Guest[End], keyboard: Keyboard) -> bool:
    """The guest sleeps until something is typed; False if that is ctrl-a x."""
    while not keyboard.wants_quit:
        data = keyboard.read(1.0)
        if data:
            guest.inputs.push(CONSOLE, data)
            return True
    return False
