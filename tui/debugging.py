"""A guest under GDB, its console on the user's terminal or on a pipe all the while."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Annotated, Final, NamedTuple

import typer

from ..core.errors import ConfigError, OptionError
from ..core.machine.board import CONSOLE
from ..core.vmm.gdb.server import LOOPBACK, Debugger
from ..core.vmm.gdb.target import ASLEEP, Halt, Target
from .idle import TICKS_PER_SECOND, IdleWatch
from .outside import Outside
from .session import LIVE_SLICE, MAX_NAP, SLICE, STDIN, End, Guest
from .terminal import Keyboard, Pipe, raw_terminal

NOWAIT: Final = "nowait"
MAX_PORT: Final = 0xFFFF

GdbOption = Annotated[
    str | None,
    typer.Option(
        "--gdb", metavar="[HOST]:PORT",
        help="Wait for GDB there (:1234 is on this computer only); with ,nowait behind it, run until it comes."),
]


class Listen(NamedTuple):
    """What --gdb asks for."""

    host: str
    port: int
    is_waiting: bool


def parse_gdb(text: str) -> Listen:
    """":1234", "0.0.0.0:1234", "[::1]:1234,nowait". Raises OptionError."""
    place, _, more = text.partition(",")
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > MAX_PORT or more not in ("", NOWAIT):
        raise OptionError(f"--gdb {text}: give it as :PORT or HOST:PORT, such as :1234, and no more behind it than "
                          f",{NOWAIT}")
    return Listen(host.strip("[]") or LOOPBACK, int(port), not more)


def run_debugged(guest: Guest[End], target: Target, listen: Listen, limit: int | None) -> bool:
    """Run `target`, which is the guest, to its end or to `limit` steps, from where a debugger may yet go back; False if
    the user quit (ctrl-a x), or GDB killed it, before. Raises OptionError where one cannot listen."""
    is_terminal = os.isatty(STDIN)

    def tell(line: str) -> None:
        sys.stderr.write(f"hartvisor: {line}\n")
        sys.stderr.flush()

    try:
        debugger = Debugger(target, listen.host, listen.port, is_waiting=listen.is_waiting, tell=tell)
    except ConfigError as error:
        raise OptionError(f"--gdb: {error}") from error
    if target.timeline is None:
        tell("GDB cannot take this guest back in time: its disk or folder on the host keeps what it writes")
    session = _Debugged(guest, target, debugger, limit)
    try:
        if not is_terminal:
            return session.run_on_pipe()
        with raw_terminal(STDIN) as keyboard:
            return session.run_on_terminal(keyboard)
    finally:
        debugger.close()


class _Debugged:
    """The session: the guest runs in slices, and between two of them its user, its debugger and its peers are heard."""

    def __init__(self, guest: Guest[End], target: Target, debugger: Debugger, limit: int | None) -> None:
        self._guest = guest
        self._target = target
        self._debugger = debugger
        self._limit = limit
        self._outside = Outside(guest.network, guest.inputs)

    @property
    def _goes_on(self) -> bool:
        """Whether the session does. At the limit a debugger may go back from there; without one it is over."""
        if self._limit is not None and self._guest.steps >= self._limit:
            if self._debugger.is_connected and self._debugger.is_running:
                self._debugger.end()
            elif not self._debugger.is_connected:
                return False
        return not self._debugger.is_killed

    def _run_slice(self) -> tuple[Halt | None, float]:
        """Run on for a slice: why it went no further, and how long the guest slept, in seconds of its own time."""
        guest = self._guest
        slice_ = LIVE_SLICE if self._outside.is_live else SLICE
        idle = guest.idle_ticks
        halt = self._debugger.run(slice_ if self._limit is None else min(slice_, self._limit - guest.steps))
        guest.stop = self._target.last_stop
        if self._outside.is_live:
            self._outside.wait(0.0)
        return halt, max(0.0, (guest.idle_ticks - idle) / TICKS_PER_SECOND)

    def run_on_pipe(self) -> bool:
        """Nobody types: a guest asleep with no peers outside sleeps for good."""
        guest, debugger = self._guest, self._debugger
        watch = IdleWatch(guest)
        guest.console.refill = guest.inputs.pulling(CONSOLE, partial(Pipe(STDIN).read, is_patient=True))
        while self._goes_on:
            if not debugger.is_running:
                debugger.wait(None)
                continue
            halt, napped = self._run_slice()
            is_asleep = halt is not None and halt.reason == ASLEEP
            if is_asleep and self._outside.is_live:
                napped = MAX_NAP
            elif halt is not None and not debugger.is_connected:
                return True
            elif is_asleep:
                debugger.interrupt()
            elif watch.is_idle() and self._limit is None and not (debugger.is_connected or self._outside.is_live):
                guest.is_idle = True
                return True
            debugger.wait(min(napped, MAX_NAP) if self._outside.is_live else 0.0)
        return not debugger.is_killed

    def run_on_terminal(self, keyboard: Keyboard) -> bool:
        """A guest asleep waits for a key."""
        guest, debugger = self._guest, self._debugger
        while self._goes_on:
            patience: float | None = None
            if debugger.is_running:
                halt, napped = self._run_slice()
                is_asleep = halt is not None and halt.reason == ASLEEP
                if halt is not None and not debugger.is_connected and not is_asleep:
                    return True
                if not is_asleep or self._outside.is_live:
                    patience = min(napped, MAX_NAP) if not is_asleep else MAX_NAP
            if debugger.wait(patience, [STDIN]):
                guest.inputs.push(CONSOLE, keyboard.read(0.0))
                if keyboard.wants_quit:
                    return False
        return not debugger.is_killed
