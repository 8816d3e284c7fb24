"""A run in a file: the VM's recipe, its inputs stamped with steps, and digests to hold a replay against.

    "hartvisor recording 1\\n"
    record*     length u32, CRC-32 of the body u32, body: one letter for its kind, then
                H  the header, JSON (Header)
                E  an input: step u64, is_pulled u8, length of source u8, source, data
                D  a digest: step u64, 16 bytes
                S  how it ended, JSON (Ending)

Numbers are little endian. Each record is written as it happens, so that a killed run leaves a recording up to there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import Final

from ..errors import ConfigError
from ..machine.inputs import Event, Parted
from .digest import digest
from .plain import DamagedError, dumps, loads
from .recipe import Recipe
from .stop import Stop, StopReason
from .vm import Vm

MAGIC: Final = b"hartvisor recording 1\n"
DIGEST_EVERY: Final = 10_000_000
"""Steps between digests, unless told otherwise."""

FRAME = Struct("<II")
INPUT = Struct("<QBB")
MARK = Struct("<Q16s")
MOST: Final = 1 << 26
"""No record is longer; a length beyond it is damage."""


@dataclass(frozen=True)
class Header:
    """What the file begins with. digest_every: steps between digests."""

    recipe: Recipe
    digest_every: int


@dataclass(frozen=True)
class Ending:
    """How the recorded run ended: why, at which step, and in which state."""

    reason: str
    detail: str
    steps: int
    digest: str


@dataclass
class Recording:
    """A recording that was read. digests: step to digest. ending: None where the file was cut off; `length` is then the
    last step that it knows of."""

    header: Header
    events: list[Event] = field(default_factory=list)
    digests: dict[int, str] = field(default_factory=dict)
    ending: Ending | None = None

    @property
    def length(self) -> int:
        """The last step."""
        if self.ending is not None:
            return self.ending.steps
        return max([event.step for event in self.events] + list(self.digests), default=0)


class Recorder:
    """Records one VM's run to a file, from its first step. All running goes through `run`.

    Raises ConfigError where the file cannot be written, or the VM has run already.
    """

    def __init__(self, vm: Vm, recipe: Recipe, path: Path, digest_every: int = DIGEST_EVERY) -> None:
        if vm.steps:
            raise ConfigError("a recording begins with the guest's first step")
        if digest_every < 1:
            raise ConfigError(f"a digest every {digest_every} steps: it must be at least 1")
        self.vm = vm
        self._path = path
        self._every = digest_every
        try:
            self._file = path.open("wb", buffering=0)
            self._file.write(MAGIC)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        self._put(b"H", dumps(Header(recipe, digest_every)))
        vm.inputs.observer = self._note

    def run(self, budget: int) -> Stop:
        """As Vm.run."""
        end = self.vm.steps + budget
        while True:
            due = (self.vm.steps // self._every + 1) * self._every
            stop = self.vm.run(min(end, due) - self.vm.steps)
            if stop.reason is not StopReason.BUDGET:
                return stop
            if self.vm.steps == due:
                self._put(b"D", MARK.pack(due, bytes.fromhex(digest(self.vm))))
            if self.vm.steps == end:
                return stop

    def close(self, stop: Stop | None) -> None:
        """The run ended: of itself, or (None) because the user had enough."""
        reason, detail = (stop.reason.value, stop.detail) if stop is not None else ("quit", "by the user")
        self._put(b"S", dumps(Ending(reason, detail, self.vm.steps, digest(self.vm))))
        self.cut_off()

    def cut_off(self) -> None:
        """Leave the file as it is, without an end."""
        self.vm.inputs.observer = None
        self._file.close()

    def _note(self, event: Event) -> None:
        source = event.source.encode()
        self._put(b"E", INPUT.pack(event.step, event.is_pulled, len(source)) + source + event.data)

    def _put(self, kind: bytes, body: bytes) -> None:
        body = kind + body
        try:
            self._file.write(FRAME.pack(len(body), zlib.crc32(body)) + body)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}; the recording ends at step {self.vm.steps:,}") from None


def read_recording(path: Path) -> Recording:
    """Read a recording. Raises ConfigError where there is no such file, DamagedError where it is something else or
    damaged; one that was cut off is read up to there."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if not data.startswith(MAGIC):
        raise DamagedError(f"{path}: no recording of this version; one is made by: hartvisor run IMAGE --record FILE")
    recording: Recording | None = None
    at = len(MAGIC)
    while at + FRAME.size <= len(data):
        length, checksum = FRAME.unpack_from(data, at)
        body = data[at + FRAME.size : at + FRAME.size + length]
        if not 0 < length <= MOST or (len(body) == length and zlib.crc32(body) != checksum):
            raise DamagedError(f"{path}: damaged at byte {at:,}: a record's checksum is wrong")
        if len(body) < length:
            break
        try:
            recording = _take(recording, body)
        except (DamagedError, ValueError) as error:
            raise DamagedError(f"{path}: damaged at byte {at:,}: {error}") from None
        at += FRAME.size + length
    if recording is None:
        raise DamagedError(f"{path}: cut off before its header ends; nothing can be replayed")
    return recording


def _take(recording: Recording | None, body: bytes) -> Recording:
    kind, rest = body[:1], body[1:]
    if recording is None:
        if kind != b"H":
            raise DamagedError("a recording begins with its header")
        return Recording(loads(Header, rest))
    if kind == b"E" and len(rest) >= INPUT.size:
        step, is_pulled, length = INPUT.unpack_from(rest)
        source, data = rest[INPUT.size : INPUT.size + length], rest[INPUT.size + length :]
        recording.events.append(Event(step, source.decode(), data, bool(is_pulled)))
    elif kind == b"D" and len(rest) == MARK.size:
        step, value = MARK.unpack(rest)
        recording.digests[step] = value.hex()
    elif kind == b"S":
        recording.ending = loads(Ending, rest)
    else:
        raise DamagedError(f"a record of an unknown kind, {kind!r}")
    return recording


class Replay:
    """A recorded run, had again: in the same state after the same steps, if nothing has changed that decides it.

    technique: another than it was recorded under, if given. checked: how many digests were equal so far. run_vm: what
    the VM is run with.
    Raises what Recipe.start raises.
    """

    def __init__(self, recording: Recording, output: Callable[[bytes], None], technique: str | None = None) -> None:
        self.recording = recording
        recipe = recording.header.recipe
        self.vm = recipe.under(technique or recipe.technique).start(output)
        self.run_vm: Callable[[int], Stop] = self.vm.run
        self.checked = 0
        inputs = self.vm.inputs
        inputs.events, inputs.is_kept, inputs.is_closed = list(recording.events), True, True
        inputs.may_be_silent = recipe.has_outside
        self.vm.console.refill = inputs.pulling("console", lambda: b"")

    def run(self, end: int, *, is_verified: bool = False) -> Stop:
        """Run to step `end`, or to where the recording ends. is_verified: compare the digests on the way.

        Raises Parted where the replay is another run than the recorded one.
        """
        end = min(end, self.recording.length)
        marks = sorted(self.recording.digests) if is_verified else []
        last = self.vm.steps
        while True:
            stop = self._go(next((mark for mark in marks if mark > self.vm.steps and mark < end), end))
            step = self.vm.steps
            ending = self.recording.ending
            wanted = ending.digest if ending is not None and step == ending.steps else self.recording.digests.get(step)
            if is_verified and wanted is not None:
                if digest(self.vm) != wanted:
                    raise Parted(step, self._explain(last, step))
                self.checked += 1
                last = step
            if step == end:
                return stop
            if stop.reason is not StopReason.BUDGET:
                raise Parted(step, f"the guest stopped ({stop.detail}), which it did not in the recording")

    def _go(self, target: int) -> Stop:
        """Run to `target`, giving the inputs that are due."""
        inputs, vm = self.vm.inputs, self.vm
        while True:
            push = inputs.next_push()
            while push is not None and push.step == vm.steps:
                inputs.give(push)
                push = inputs.next_push()
            limit = target if push is None else min(target, push.step)
            stop = self.run_vm(limit - vm.steps)
            is_woken = push is not None and push.step == vm.steps and stop.reason is StopReason.ASLEEP
            if vm.steps == target or (stop.reason is not StopReason.BUDGET and not is_woken):
                return stop

    def _explain(self, low: int, high: int) -> str:
        """Where between two steps the states came to differ, as far as the recording tells."""
        pc = self.vm.vcpus[0].hart.pc
        given = [event for event in self.recording.events if low <= event.step < high]
        inputs = ", ".join(f"{event.source} at step {event.step:,}" for event in given[:3]) or "none"
        return (f"the state differs here (pc {pc:#x}), and was equal at step {low:,}; input in between: {inputs}. "
                "A recording with --digest-every 1 tells the very instruction")
