"""Every exit of a VM, in the order in which they happened: when, why, and where the guest was.

It is history, not state: a VM that is taken back and run again has to fill its shadow and G-stage tables anew, and
exits for that where it did not before. So what is past is never noted twice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from ..isa.causes import ECALL_FROM_U, ECALL_FROM_VS, STI
from ..isa.paging import PAGE_SHIFT
from ..isa.registers import NUMBER
from .exits import N_REASONS, ExitReason, label
from .stop import StopReason

if TYPE_CHECKING:
    from ..hart import Exit
    from .vcpu import Vcpu
    from .vm import Vm

FILLS: Final = frozenset({ExitReason.SHADOW_FILL, ExitReason.GSTAGE_FILL})
"""Reasons of exits that filled an entry of tables of the hypervisor's."""

HIDDEN: Final = FILLS | {ExitReason.TIMER}
"""Reasons of exits that take no step: the guest's instruction is executed afterwards, as if nothing had been."""

EVERY: Final = range(N_REASONS)

BLOCK: Final = 256
"""Exits that are counted together, so that counting many is quick."""

_MOST: Final = 255
_A6: Final = NUMBER["a6"]
_A7: Final = NUMBER["a7"]
_CALLS: Final = (ECALL_FROM_U, ECALL_FROM_VS)
_REST: Final = Struct("<QQQIBBBBB")
"""pc, tval, gpa, insn, vcpu, cause, mode, frames, tables."""


class LoggedExit(NamedTuple):
    """One exit. number: its place in the log. step: the VM's clock. vcpu: whose. reason: as in ExitReason. cause, pc,
    tval, gpa, insn: of the trap, as Exit has them; of a timer's, which is no trap of the hart's, the guest's interrupt.
    mode: the guest's, 0 user, 1 supervisor. gpa of a shadow fill: where the guest's own tables lead.
    Of an SBI call tval and gpa, of which it has none, are a7 and a6, the extension and the function.

    frames, tables: how many frames were allocated to handle it, for guest RAM and for page tables of the hypervisor's.
    """

    number: int
    step: int
    vcpu: int
    reason: int
    cause: int
    pc: int
    tval: int
    gpa: int
    insn: int
    mode: int = 1
    frames: int = 0
    tables: int = 0

    @property
    def text(self) -> str:
        """`step:number reason at pc`."""
        return f"{self.step:,}:{self.number} {label(self.reason)} at {self.pc:#x}"

    @property
    def is_hidden(self) -> bool:
        """Whether it took no step."""
        return self.reason in HIDDEN


class _Listener:
    """One vCPU's observer. It is told of every exit there is, so it does no more than it must."""

    def __init__(self, log: ExitLog, vcpu: Vcpu) -> None:
        self._log = log
        self._vcpu = vcpu
        self._counts: list[int] = []
        self._step = self._mode = self._guest = self._held = 0
        self._call = (0, 0)

    def entering(self) -> None:
        """Nothing."""

    def injected(self) -> None:
        """Nothing."""

    def exited(self, exit: Exit) -> None:
        """Remember what was counted, and owned, until now."""
        vm = self._log.vm
        if vm.inputs.is_past:
            return
        self._counts = self._vcpu.exits.copy()
        self._step = vm.steps if len(vm.harts) > 1 else exit.steps
        self._mode = self._vcpu.mode
        if exit.cause in _CALLS:
            hart = self._vcpu.hart
            self._call = hart.read_gpr(_A7), hart.read_gpr(_A6)
        frames = vm.frames
        self._held, self._guest = frames.held, frames.owners["guest"]

    def handled(self, exit: Exit) -> None:
        """What was counted more often is the reason."""
        log, vcpu = self._log, self._vcpu
        if log.vm.inputs.is_past:
            return
        reason = 0
        for before, now in zip(self._counts, vcpu.exits, strict=True):
            if before != now:
                break
            reason += 1
        else:
            return
        frames = tables = 0
        made = log.vm.frames.held - self._held
        if made > 0:
            frames = min(max(log.vm.frames.owners["guest"] - self._guest, 0), _MOST)
            tables = min(max(made - frames, 0), _MOST)
        if reason in FILLS:
            gpa = exit.gpa or getattr(vcpu.technique, "filled", 0)
            log.add(LoggedExit(0, self._step, vcpu.index, reason, exit.cause, exit.pc, exit.tval, gpa, exit.insn,
                               self._mode, frames, tables))
        else:
            tval, gpa = self._call if reason == ExitReason.SBI else (exit.tval, exit.gpa)
            log.append(self._step, reason, (exit.pc, tval, gpa, exit.insn, vcpu.index, exit.cause, self._mode, frames,
                                            tables))

    def timed(self) -> None:
        """The hart saw nothing: it had no more steps to take."""
        vcpu = self._vcpu
        self._log.add(LoggedExit(0, vcpu.vm.steps, vcpu.index, ExitReason.TIMER, STI, vcpu.hart.pc, 0, 0, 0,
                                  vcpu.mode))

    def left(self) -> None:
        """Nothing."""


Kept = tuple["array[int]", "array[int]", bytes]
"""A log's contents: steps, reasons, and all the rest."""


class ExitLog:
    """The exits of a VM from now on, under any technique but bare, whose guest has firmware to exit to.

    stop_at: reasons; a run ends (StopReason.EXIT) when an exit for one of them, a new one, has been handled.
    n_cuts: how often some of it was forgotten, or made another's: numbers do not mean what they did.
    """

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.n_cuts = 0
        self._steps, self._reasons = array("Q"), array("B")
        self._rest = bytearray()    # a record for each: what nobody searches
        self._first_fills: dict[int, int] = {}
        self._n_looked_at = 0
        self._counted: list[list[int]] = [[0] * N_REASONS]
        self.stop_at: Container[int] = ()
        for vcpu in vm.vcpus:
            vcpu.technique.observer = _Listener(self, vcpu)

    def close(self) -> None:
        """Note no more."""
        for vcpu in self.vm.vcpus:
            vcpu.technique.observer = None

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, number: int) -> LoggedExit:
        step, reason = self._steps[number], self._reasons[number]  # raises IndexError
        pc, tval, gpa, insn, vcpu, cause, mode, frames, tables = _REST.unpack_from(self._rest, number * _REST.size)
        return LoggedExit(number, step, vcpu, reason, cause, pc, tval, gpa, insn, mode, frames, tables)

    def add(self, exit: LoggedExit) -> None:
        """Note an exit, whatever its number, unless it is past; at the very end of what is past, that may be one that
        is noted already, and happens again because the guest was taken back to before it."""
        if self.vm.inputs.is_past or (exit.is_hidden and self._is_known(exit)):
            return
        self.append(exit.step, exit.reason, (exit.pc, exit.tval, exit.gpa, exit.insn, exit.vcpu, exit.cause, exit.mode,
                                             exit.frames, exit.tables))

    def append(self, step: int, reason: int, rest: tuple[int, ...]) -> None:
        """Note one that is new. rest: as in _REST."""
        self._steps.append(step)
        self._reasons.append(reason)
        self._rest += _REST.pack(*rest)
        if self.stop_at and reason in self.stop_at:
            self.vm.stop_for(StopReason.EXIT)

    def _is_known(self, exit: LoggedExit) -> bool:
        number = len(self) - 1
        while number >= 0 and self._steps[number] == exit.step:
            if self[number][1:9] == exit[1:9]:
                return True
            number -= 1
        return False

    def forget_from(self, step: int) -> None:
        """The guest goes another way from `step` on."""
        first = bisect_left(self._steps, step)
        if first == len(self):
            return
        del self._steps[first:], self._reasons[first:], self._rest[first * _REST.size:]
        del self._counted[first // BLOCK + 1:]
        self._forget_fills()

    def _forget_fills(self) -> None:
        self.n_cuts += 1
        self._first_fills.clear()
        self._n_looked_at = 0

    def keep(self) -> Kept:
        """All of it (snapshot_tree.py)."""
        return self._steps[:], self._reasons[:], bytes(self._rest)

    def put_back(self, kept: Kept | None) -> None:
        """Have noted that, and nothing else."""
        steps, reasons, rest = kept or (array("Q"), array("B"), b"")
        self._steps, self._reasons, self._rest = steps[:], reasons[:], bytearray(rest)
        del self._counted[1:]
        self._forget_fills()

    # --- looking for some of them

    def step_of(self, number: int) -> int:
        """When an exit was."""
        return self._steps[number]

    def reason_of(self, number: int) -> int:
        """What it was about."""
        return self._reasons[number]

    def find(self, number: int, reasons: Container[int], *, backwards: bool = False) -> int | None:
        """The first exit for one of `reasons` from `number` on, or the last down from it; None if there is none."""
        numbers = range(number, -1, -1) if backwards else range(number, len(self))
        return next((each for each in numbers if self._reasons[each] in reasons), None)

    def first_fill(self, gfn: int) -> int | None:
        """The first exit that filled an entry for this guest frame; None if there was none yet."""
        for number in range(self._n_looked_at, len(self)):
            if self._reasons[number] in FILLS:
                self._first_fills.setdefault(self[number].gpa >> PAGE_SHIFT, number)
        self._n_looked_at = len(self)
        return self._first_fills.get(gfn)

    def count(self, first: int, end: int) -> list[int]:
        """How many of the exits `first` to `end`, which is not included, there are for each reason."""
        if end - first <= BLOCK:
            counts = [0] * N_REASONS
            for reason, times in Counter(self._reasons[first:end]).items():
                counts[reason] = times
            return counts
        return [upto - before for upto, before in zip(self._count_upto(end), self._count_upto(first), strict=True)]

    def count_between(self, bounds: Sequence[int]) -> list[list[int]]:
        """The same for the stretches between rising numbers; many of them cost less than one by one."""
        found = []
        before, upto = bounds[0], None
        for end in bounds[1:]:
            if end - before <= BLOCK:
                found.append(self.count(before, end))
                upto = None
            else:
                low = self._count_upto(before) if upto is None else upto
                upto = self._count_upto(end)
                found.append([after - first for after, first in zip(upto, low, strict=True)])
            before = end
        return found

    def _count_upto(self, end: int) -> list[int]:
        while len(self._counted) <= end // BLOCK:
            at = (len(self._counted) - 1) * BLOCK
            counts = self._counted[-1].copy()
            for reason, times in Counter(self._reasons[at:at + BLOCK]).items():
                counts[reason] += times
            self._counted.append(counts)
        counts = self._counted[end // BLOCK].copy()
        for reason, times in Counter(self._reasons[end // BLOCK * BLOCK:end]).items():
            counts[reason] += times
        return counts

    def first_at(self, step: int) -> int:
        """The number of the first exit at or after `step`; len(self) if there is none."""
        return bisect_left(self._steps, step)

    def last_before(self, step: int, reasons: Container[int] = EVERY) -> LoggedExit | None:
        """The last exit before `step`, for one of `reasons`."""
        number = self.find(self.first_at(step) - 1, reasons, backwards=True)
        return None if number is None else self[number]

    def next_after(self, step: int, reasons: Container[int] = EVERY) -> LoggedExit | None:
        """The first exit after `step`, for one of `reasons`."""
        number = self.find(self.first_at(step + 1), reasons)
        return None if number is None else self[number]
