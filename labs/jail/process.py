"""The parent's end: a child process that is asked, listened to, drained, and killed as a group."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from .confine import Limits
from .frames import LENGTH, MAX_FRAME, frame

LABS: Final = Path(__file__).resolve().parents[1]
CORE: Final = LABS.parent / "core"
_PACKAGES: Final = {"hartvisor": "", "hartvisor.labs": str(LABS), "hartvisor.core": str(CORE),
                    "hartvisor.core.isa": str(CORE / "isa")}

MAX_OUTPUT: Final = 1 << 14
"""Bytes of what a student's code prints that are kept."""
POLL: Final = 0.05
"""Seconds between two looks at a child that is silent."""
ASLEEP_AFTER: Final = 100
"""So many looks in a row at which it slept and had used no time: it waits for what never comes."""
WALL_LIMIT: Final = 900.0
"""Seconds after which something is wrong with this computer, not with the answer."""
GRACE: Final = 2.0
"""Seconds that a process may take from closing its line to being gone."""


class End(StrEnum):
    """How a child ended that owed an answer."""

    TIMEOUT = "timeout"
    CRASH = "crash"
    HARNESS = "harness_error"


@dataclass(frozen=True)
class Death:
    """A child that answers no more: how, and in words."""

    end: End
    message: str


@dataclass(frozen=True)
class Setup:
    """What a child is made of. kit: modules of ours that it imports. staff: one that answers in the student's place,
    by its dotted name. limits: its."""

    kit: Sequence[str] = ()
    staff: str | None = None
    limits: Limits = field(default_factory=lambda: Limits(cpu=2))


def never() -> bool:
    """Nobody cancels."""
    return False


class Cancelled(Exception):
    """Whoever wanted the answer wants it no more."""


class Child:
    """A jailed Python process. Close it, or use it in a `with` statement.

    is_cancelled: asked while waiting. output: what it printed so far, cut at MAX_OUTPUT.
    """

    def __init__(self, setup: Setup, is_cancelled: Callable[[], bool] = never) -> None:
        self._limits = setup.limits
        self._is_cancelled = is_cancelled
        its_requests, self._to = os.pipe()
        self._from, its_replies = os.pipe()
        self._printed, its_output = os.pipe()
        described = {"packages": _PACKAGES, "kit": list(setup.kit), "staff": setup.staff,
                     "limits": asdict(setup.limits), "requests": its_requests, "replies": its_replies}
        command = [sys.executable, "-s", "-S", "-P", "-u", str(LABS / "jail" / "entry.py"), json.dumps(described)]
        try:
            # Hashes that are the same every time, and nothing of the parent's environment.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=its_output, stderr=its_output, cwd="/",
                pass_fds=(its_requests, its_replies), start_new_session=True,
                env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"})
        finally:
            for descriptor in (its_requests, its_replies, its_output):
                os.close(descriptor)
        for descriptor in (self._to, self._from, self._printed):
            os.set_blocking(descriptor, False)
        self._received = bytearray()
        self._output = bytearray()
        self._is_output_open = True
        self.cpu = 0.0
        self._outgoing = memoryview(b"")
        self._was_silent = False
        self._status: int | None = None
        self._death: Death | None = None

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """What it printed."""
        return self._output.decode("utf-8", "replace")

    def exchange(self, message: bytes) -> bytes | Death:
        """Send a message and wait for the answer."""
        self.send(message)
        return self.receive()

    def send(self, message: bytes) -> None:
        """Send a message, as far as the child takes it; `receive` sends the rest."""
        self._outgoing = memoryview(frame(message))

    def receive(self) -> bytes | Death:
        """The child's answer, or how it ended. Raises Cancelled."""
        if self._death is None:
            answer = self._receive()
            if not isinstance(answer, Death):
                return answer
            self._death = answer
            self.close()
        return self._death

    def _receive(self) -> bytes | Death:
        started = time.monotonic()
        naps, cpu = 0, -1.0
        while True:
            answer = self._take_frame()
            if answer is not None:
                return answer
            if not self._pump():
                return self._bury()
            if len(self._received) >= LENGTH.size and LENGTH.unpack_from(self._received)[0] > MAX_FRAME:
                return Death(End.CRASH, f"an answer of more than {MAX_FRAME >> 20} MiB")
            if self._is_cancelled():
                raise Cancelled
            if self._was_silent:
                is_asleep, now = self._look()
                naps = naps + 1 if is_asleep and now == cpu else 0
                cpu = now
                if naps >= ASLEEP_AFTER:
                    return Death(End.TIMEOUT, "it sleeps, and nothing will wake it")
                if time.monotonic() - started > WALL_LIMIT:
                    return Death(End.HARNESS, f"no answer after {WALL_LIMIT:.0f} seconds, though the code is running")

    def close(self) -> None:
        """Kill it, and whatever it may have started."""
        if self._to < 0:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reap(None)
        while self._is_output_open and self._drain():
            pass
        for descriptor in (self._to, self._from, self._printed):
            os.close(descriptor)
        self._to = -1

    # --- the line

    def _pump(self) -> bool:
        """Send, receive and drain what can be; False where the child closed its line."""
        poll = select.poll()  # select() has no descriptors beyond 1023, which a program with a UI may have
        poll.register(self._from, select.POLLIN)
        if self._is_output_open:
            poll.register(self._printed, select.POLLIN)
        if self._outgoing:
            poll.register(self._to, select.POLLOUT)
        ready = {descriptor for descriptor, _ in poll.poll(1000 * POLL)}
        self._was_silent = not ready
        if self._printed in ready:
            self._drain()
        if self._to in ready:
            try:
                self._outgoing = self._outgoing[os.write(self._to, self._outgoing):]
            except (BrokenPipeError, BlockingIOError):
                self._outgoing = memoryview(b"")
        if self._from in ready:
            data = os.read(self._from, 1 << 16)
            self._received += data
            return bool(data)
        return True

    def _take_frame(self) -> bytes | None:
        received = self._received
        if len(received) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(received)[0]
        if len(received) < end or end > MAX_FRAME:
            return None
        data = bytes(received[LENGTH.size:end])
        del received[:end]
        return data

    def _drain(self) -> bool:
        """Take what it printed; whether there may be more."""
        try:
            data = os.read(self._printed, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._is_output_open = False
        self._output += data[: MAX_OUTPUT - len(self._output)]
        return bool(data)

    # --- the process

    def _look(self) -> tuple[bool, float]:
        """Whether the process sleeps, and how much CPU time it has used."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False, -1.0
        return fields[0] == "S", float(int(fields[11]) + int(fields[12]))

    def _bury(self) -> Death:
        """The line is closed: why?"""
        status = self._reap(GRACE)
        if status is None:
            return Death(End.CRASH, "it closed the line to the hypervisor")
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number in (signal.SIGKILL, signal.SIGXCPU) and self.cpu > self._limits.cpu - 1:
                return Death(End.TIMEOUT, f"more than {self._limits.cpu} s of CPU time")
            return Death(End.CRASH, f"killed by {signal.Signals(number).name}")
        code = os.WEXITSTATUS(status)
        if "MemoryError" in self.output:
            return Death(End.CRASH, "out of memory")
        return Death(End.CRASH, f"the process ended itself, with status {code}")

    def _reap(self, patience: float | None) -> int | None:
        """Wait for its end, at most so many seconds; its status, None if it lives."""
        if self._status is not None:
            return self._status
        deadline = None if patience is None else time.monotonic() + patience
        while True:
            pid, status, usage = os.wait4(self._process.pid, 0 if deadline is None else os.WNOHANG)
            if pid:
                self.cpu = usage.ru_utime + usage.ru_stime
                self._status = status
                self._process.returncode = os.waitstatus_to_exitcode(status)
                return status
            if deadline is not None and time.monotonic() > deadline:
                return None
            time.sleep(0.005)

