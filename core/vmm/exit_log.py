"""Every exit of a VM, in the order in which they happened: when, why, and where the guest was.

It is history, not state: a VM that is taken back and run again has to fill its shadow and G-stage tables anew, and
exits for that where it did not before. So what is past is never noted twice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Container
from typing import TYPE_CHECKING, NamedTuple

from .exits import label
from .stop import StopReason

if TYPE_CHECKING:
    from ..hart import Exit
    from .vcpu import Vcpu
    from .vm import Vm


class LoggedExit(NamedTuple):
    """One exit. number: its place in the log. step: the VM's clock. vcpu: whose. reason: as in ExitReason. cause, pc,
    tval, gpa, insn: of the trap, as Exit has them."""

    number: int
    step: int
    vcpu: int
    reason: int
    cause: int
    pc: int
    tval: int
    gpa: int
    insn: int

    @property
    def text(self) -> str:
        """`step:number reason at pc`."""
        return f"{self.step:,}:{self.number} {label(self.reason)} at {self.pc:#x}"


class _Listener:
    """One vCPU's observer."""

    def __init__(self, log: ExitLog, vcpu: Vcpu) -> None:
        self._log = log
        self._vcpu = vcpu
        self._counts: list[int] = []
        self._step = 0

    def entering(self) -> None:
        """Nothing."""

    def injected(self) -> None:
        """Nothing."""

    def exited(self, exit: Exit) -> None:
        """Remember what was counted until now."""
        self._counts = self._vcpu.exits.copy()
        self._step = self._log.vm.steps

    def handled(self, exit: Exit) -> None:
        """What was counted more often is the reason."""
        vcpu = self._vcpu
        for reason, (before, now) in enumerate(zip(self._counts, vcpu.exits, strict=True)):
            if before != now:
                self._log.add(self._step, vcpu.index, reason, exit)
                return

    def left(self) -> None:
        """Nothing."""


class ExitLog:
    """The exits of a VM from now on, under any technique but bare, whose guest has firmware to exit to.

    stop_at: reasons; a run ends (StopReason.EXIT) when an exit for one of them, a new one, has been handled.
    """

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self._steps, self._pcs, self._tvals, self._gpas = (array("Q") for _ in range(4))
        self._reasons, self._vcpus, self._causes = (array("B") for _ in range(3))
        self._insns = array("I")
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
        return LoggedExit(number, self._steps[number], self._vcpus[number], self._reasons[number],
                          self._causes[number], self._pcs[number], self._tvals[number], self._gpas[number],
                          self._insns[number])

    def add(self, step: int, vcpu: int, reason: int, exit: Exit) -> None:
        """Note an exit, unless it is past."""
        if self.vm.inputs.is_past:
            return
        self._steps.append(step)
        self._vcpus.append(vcpu)
        self._reasons.append(reason)
        self._causes.append(exit.cause)
        self._pcs.append(exit.pc)
        self._tvals.append(exit.tval)
        self._gpas.append(exit.gpa)
        self._insns.append(exit.insn)
        if reason in self.stop_at:
            self.vm.stop_for(StopReason.EXIT)

    def forget_from(self, step: int) -> None:
        """The guest goes another way from `step` on."""
        first = bisect_left(self._steps, step)
        for column in (self._steps, self._pcs, self._tvals, self._gpas, self._reasons, self._vcpus, self._causes,
                       self._insns):
            del column[first:]

    def first_at(self, step: int) -> int:
        """The number of the first exit at or after `step`; len(self) if there is none."""
        return bisect_left(self._steps, step)

    def last_before(self, step: int, reasons: Collection[int] | None = None) -> LoggedExit | None:
        """The last exit before `step`, for one of `reasons` if any are given."""
        for number in range(self.first_at(step) - 1, -1, -1):
            if reasons is None or self._reasons[number] in reasons:
                return self[number]
        return None

    def next_after(self, step: int, reasons: Collection[int] | None = None) -> LoggedExit | None:
        """The first exit after `step`, for one of `reasons` if any are given."""
        for number in range(self.first_at(step + 1), len(self)):
            if reasons is None or self._reasons[number] in reasons:
                return self[number]
        return None
