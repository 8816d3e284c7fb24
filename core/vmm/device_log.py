"""What a VM's devices did, step by step: console bytes, disk requests, frames. Like the log of exits it is history, not
state: what is past is not noted twice, and who stands in the past sees what had happened by then.

While nobody has such a log, devices ask whether there is an observer once a request, and do no more.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar

from ..devices.virtio.block import S_OK, T_IN, T_OUT, VirtioBlock
from ..devices.virtio.net import VirtioNet

if TYPE_CHECKING:
    from .vm import Vm

MOST: Final = 20_000
"""Entries that a log keeps, at least; the oldest go first."""

KEPT_BYTES: Final = 96
"""Of a frame: its headers."""


class Stepped(Protocol):
    """An entry. step: the VM's clock before the step that made it."""

    @property
    def step(self) -> int: ...


class ConsoleBytes(NamedTuple):
    """Bytes that the guest wrote to its console (is_written), or read from it."""

    step: int
    is_written: bool
    data: bytes


class Request(NamedTuple):
    """A disk request that was answered. kind: VIRTIO_BLK_T_*. length: bytes of data. status: VIRTIO_BLK_S_*.

    reads, writes, read_bytes, written_bytes, failures: how many there were up to and with this one.
    """

    step: int
    kind: int
    sector: int
    length: int
    status: int
    reads: int
    writes: int
    read_bytes: int
    written_bytes: int
    failures: int


class Frame(NamedTuple):
    """A frame that the guest sent (is_sent), or that came for it. head: its first bytes. length: of all of it.

    sent, received, sent_bytes, received_bytes, lost: how many there were up to and with this one.
    """

    step: int
    is_sent: bool
    head: bytes
    length: int
    is_lost: bool
    sent: int
    received: int
    sent_bytes: int
    received_bytes: int
    lost: int


EntryT = TypeVar("EntryT", bound=Stepped)


class StepLog(Generic[EntryT]):
    """Entries in their order. dropped: how many old ones are no longer here."""

    def __init__(self) -> None:
        self._entries: list[EntryT] = []
        self.dropped = 0

    def add(self, entry: EntryT) -> None:
        """One more."""
        self._entries.append(entry)
        if len(self._entries) > MOST + MOST // 4:
            self.dropped += len(self._entries) - MOST
            del self._entries[:-MOST]

    @property
    def last(self) -> EntryT | None:
        """The newest."""
        return self._entries[-1] if self._entries else None

    def upto(self, step: int, most: int) -> tuple[EntryT, ...]:
        """The last `most` that were made before the clock showed `step`."""
        end = bisect_left(self._entries, step, key=_step_of)
        return tuple(self._entries[max(0, end - most):end])

    def forget_from(self, step: int) -> None:
        """The guest goes another way from `step` on."""
        del self._entries[bisect_left(self._entries, step, key=_step_of):]

    def keep(self) -> tuple[list[EntryT], int]:
        """All of it."""
        return self._entries.copy(), self.dropped

    def put_back(self, kept: tuple[list[EntryT], int] | None) -> None:
        """Have that, and nothing else."""
        self._entries, self.dropped = (kept[0].copy(), kept[1]) if kept is not None else ([], 0)


def _step_of(entry: Stepped) -> int:
    return entry.step


class DeviceLog:
    """The logs of a VM's devices, from now on. console: bytes. requests, frames: of disks and cards, by virtio slot."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.console: StepLog[ConsoleBytes] = StepLog()
        self.requests: dict[int, StepLog[Request]] = {}
        self.frames: dict[int, StepLog[Frame]] = {}
        vm.console.observer = self._console
        self._observed: list[VirtioBlock | VirtioNet] = []
        for number, slot in enumerate(vm.board.virtio):
            device = slot.device
            if isinstance(device, VirtioBlock):
                self.requests[number] = StepLog()
                device.observer = partial(self._request, self.requests[number])
                self._observed.append(device)
            elif isinstance(device, VirtioNet):
                self.frames[number] = StepLog()
                device.observer = partial(self._frame, self.frames[number])
                self._observed.append(device)

    def close(self) -> None:
        """Note no more."""
        self.vm.console.observer = None
        for device in self._observed:
            device.observer = None

    def _console(self, is_written: bool, data: bytes) -> None:
        if not self.vm.inputs.is_past:
            self.console.add(ConsoleBytes(self.vm.steps, is_written, data))

    def _request(self, log: StepLog[Request], kind: int, sector: int, length: int, status: int) -> None:
        if self.vm.inputs.is_past:
            return
        last = log.last
        reads, writes, read, written, failures = last[5:] if last is not None else (0, 0, 0, 0, 0)
        is_good = status == S_OK
        is_read, is_write = is_good and kind == T_IN, is_good and kind == T_OUT
        log.add(Request(self.vm.steps, kind, sector, length, status, reads + is_read, writes + is_write,
                        read + length * is_read, written + length * is_write, failures + (not is_good)))

    def _frame(self, log: StepLog[Frame], is_sent: bool, frame: bytes, is_lost: bool) -> None:
        if self.vm.inputs.is_past:
            return
        last = log.last
        sent, received, sent_bytes, received_bytes, lost = last[5:] if last is not None else (0, 0, 0, 0, 0)
        is_out, is_in = is_sent and not is_lost, not is_sent and not is_lost
        log.add(Frame(self.vm.steps, is_sent, frame[:KEPT_BYTES], len(frame), is_lost, sent + is_out, received + is_in,
                      sent_bytes + len(frame) * is_out, received_bytes + len(frame) * is_in, lost + is_lost))

    # --- other histories

    def _all(self) -> list[StepLog[ConsoleBytes] | StepLog[Request] | StepLog[Frame]]:
        return [self.console, *self.requests.values(), *self.frames.values()]

    def forget_from(self, step: int) -> None:
        """The guest goes another way from `step` on."""
        for log in self._all():
            log.forget_from(step)

    def keep(self) -> list[Callable[[], None]]:
        """All of it (snapshot_tree.py): what puts it back."""
        return [partial(log.put_back, log.keep()) for log in self._all()]  # type: ignore[arg-type]

    def put_back(self, kept: list[Callable[[], None]] | None) -> None:
        """Have noted that, and nothing else."""
        for log in self._all():
            log.put_back(None)
        for put in kept or ():
            put()
