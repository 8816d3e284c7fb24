"""A run of the real hypervisor, recorded: what came from outside, all that happened, and a digest after every step."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ...core.hart import Exit
from ...core.isa.decoder import decode
from ...core.machine.board import CONSOLE
from ...core.machine.inputs import Event
from ...core.vmm.digest import digest
from ...core.vmm.exits import ExitReason
from ...core.vmm.recording import FRAME, INPUT
from ...core.vmm.stop import StopReason
from ...core.vmm.vcpu import Vcpu
from ...core.vmm.vm import Vm
from ..kit.replay import ASKED, CSR, INTERRUPT, LOADED, SBI, TIMER, TYPED, WROTE, GuestEvent
from .programs import Case

MOST_STEPS: Final = 12_000
"""No guest of this lab's runs for longer."""
NEEDED: Final = (TYPED, ASKED)
"""What comes from outside, and follows from nothing else."""
_KINDS: Final = {ExitReason.MMIO_LOAD: LOADED, ExitReason.CSR: CSR, ExitReason.SBI: SBI}
_A0: Final = 10


@dataclass(frozen=True)
class Noted:
    """An event, and the instruction at which it happened."""

    event: GuestEvent
    pc: int


class Answers:
    """What the host answers when the guest looks for input: piece by piece, then that there is no more."""

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._left = deque(pieces)

    def __call__(self) -> bytes:
        """The next."""
        return self._left.popleft() if self._left else b""


class Watching:
    """Notes what passes between guest and host."""

    def __init__(self, vm: Vm) -> None:
        self.noted: list[Noted] = []
        self._vm = vm
        self._vcpu: Vcpu = vm.vcpus[0]
        self._before: list[int] = []
        self._target = 0
        vm.inputs.observer = self._came
        vm.console.observer = self._wrote
        self._vcpu.technique.observer = self

    def note(self, kind: str, data: bytes = b"") -> None:
        """Something happened, here and now."""
        self.noted.append(Noted(GuestEvent(self._vm.steps, kind, data), self._vm.hart.pc))

    def _came(self, event: Event) -> None:
        self.note(ASKED if event.is_pulled else TYPED, event.data)

    def _wrote(self, is_written: bool, data: bytes) -> None:
        if is_written:
            self.note(WROTE, data)

    def entering(self) -> None:
        """Nothing yet."""

    def injected(self) -> None:
        """An interrupt."""
        self.note(INTERRUPT)

    def exited(self, exit: Exit) -> None:
        """An exit, whose reason shows once it is handled."""
        self._before = list(self._vcpu.exits)
        found = decode(exit.insn) if exit.insn else None
        self._target = found.rd if found is not None else 0

    def handled(self, exit: Exit) -> None:
        """Of those that a guest can tell from nothing."""
        reason = next((index for index, (new, old) in enumerate(zip(self._vcpu.exits, self._before, strict=True))
                       if new > old), None)
        kind = _KINDS.get(ExitReason(reason)) if reason is not None and reason <= ExitReason.TIMER else None
        if kind is not None:
            register = _A0 if kind == SBI else self._target
            self.note(kind, self._vm.hart.read_gpr(register).to_bytes(8, "little"))

    def timed(self) -> None:
        """The timer."""
        self.note(TIMER)

    def left(self) -> None:
        """Nothing."""


class Recorded:
    """A case, as the hypervisor itself runs and records it.

    noted: all that happened, in order. typed: what was typed at which step. asked: what was answered, in turn.
    length: the last step. file_bytes: what the events take in a file of `hartvisor run --record`.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self._arrived: dict[int, str] = {}
        self._settled: dict[int, str] = {}
        vm = self.start(case.recorded)
        watching = Watching(vm)
        if case.pipe is not None:
            vm.console.refill = vm.inputs.pulling(CONSOLE, Answers(case.pipe))
        self._run(vm)
        self.noted = watching.noted
        self.length = vm.steps
        events = [noted.event for noted in self.noted]
        self.typed = [(event.step, event.data) for event in events if event.kind == TYPED]
        self.asked = [event.data for event in events if event.kind == ASKED]
        self.file_bytes = sum(FRAME.size + 1 + INPUT.size + len(CONSOLE) + len(event.data)
                              for event in events if event.kind in NEEDED)

    def start(self, technique: str) -> Vm:
        """The guest at its first step."""
        return self.case.guest.start(self.case.guest.config(technique))

    def _run(self, vm: Vm) -> None:
        ahead = deque(self.case.typed)
        self._arrived[0] = self._settled[0] = digest(vm)
        stop = None
        while vm.steps < MOST_STEPS:
            is_asleep = stop is not None and stop.reason is StopReason.ASLEEP
            while ahead and (ahead[0][0] <= vm.steps or is_asleep):
                vm.inputs.push(CONSOLE, ahead.popleft()[1])
                self._settled[vm.steps] = digest(vm)
                is_asleep = False
            before = vm.steps
            stop = vm.run(1)
            if vm.steps > before:
                self._arrived[vm.steps] = self._settled[vm.steps] = digest(vm)
            elif stop.reason is not StopReason.ASLEEP or not ahead:
                break
        assert vm.is_off, f"this lab's guest does not end: {stop}"

    def digest_at(self, step: int, is_settled: bool) -> str:
        """The guest's digest after so many steps, without (or, settled, with) what was typed then."""
        return (self._settled if is_settled else self._arrived)[step]

    def at(self, step: int) -> Vm:
        """The guest after so many steps, before what was typed then, under the technique it was recorded under."""
        vm = self.start(self.case.recorded)
        if self.case.pipe is not None:
            vm.console.refill = Answers(tuple(self.asked))
        for when, data in self.typed:
            if when >= step:
                break
            vm.run(when - vm.steps)
            vm.inputs.push(CONSOLE, data)
        vm.run(step - vm.steps)
        return vm
