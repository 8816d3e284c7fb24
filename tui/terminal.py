"""The guest's console on the user's terminal, or on a pipe.

On a terminal, keys go to the guest as they are typed (raw mode, so Ctrl-C too); ctrl-a is ours. On a pipe the guest
gets the next bytes when it asks for input and has none left: then the run does not depend on when the bytes came, and
the same input gives the same run.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PREFIX = b"\x01"
HELP = "\r\n[ctrl-a x: quit   ctrl-a h: this help   ctrl-a ctrl-a: send ctrl-a]\r\n"
CHUNK = 4096
PATIENCE = 2.0  # seconds of a silent pipe before we say what we wait for


class Keyboard:
    """What the user types, without the ctrl-a commands. wants_quit: ctrl-a x was typed, or the terminal went away."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_prefixed = False
        self.wants_quit = False

    def read(self, timeout: float) -> bytes:
        """Bytes for the guest that come within `timeout` seconds; b"" if none do."""
        if not select.select([self._descriptor], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self._descriptor, CHUNK)
        except OSError:
            data = b""
        if not data:
            self.wants_quit = True
        return self._without_commands(data)

    def _without_commands(self, data: bytes) -> bytes:
        kept = bytearray()
        for key in data:
            if self._is_prefixed:
                self._is_prefixed = False
                if key in b"xX":
                    self.wants_quit = True
                elif key in b"hH?":
                    os.write(sys.stderr.fileno(), HELP.encode())
                else:
                    kept.append(key)
            elif key == PREFIX[0]:
                self._is_prefixed = True
            else:
                kept.append(key)
        return bytes(kept)


class Pipe:
    """Standard input that is no terminal, read when the guest has asked for more than it got so far."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, *, is_patient: bool) -> bytes | None:
        """The next bytes, b"" at the end of the input. Where none are there yet, they are waited for by the patient;
        others get None."""
        if not is_patient and not select.select([self._descriptor], [], [], 0)[0]:
            return None
        if not select.select([self._descriptor], [], [], PATIENCE)[0]:
            print("hartvisor: the guest waits for input piped to us (</dev/null: there is none)", file=sys.stderr)
        return os.read(self._descriptor, CHUNK)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def raw_terminal(descriptor: int) -> Iterator[Keyboard]:
    """Put the terminal into raw mode, and back however we leave."""
    before = termios.tcgetattr(descriptor)
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        mode = termios.tcgetattr(descriptor)
        mode[1] |= termios.OPOST | termios.ONLCR    # as QEMU: not every guest sends carriage returns
        termios.tcsetattr(descriptor, termios.TCSADRAIN, mode)
        yield Keyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
