"""The student's Player at the real hypervisor: a fresh VM in its hands, held against the recorded run at every step."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NoReturn

from ...core.machine.board import CONSOLE
from ...core.vmm.digest import digest, visible_state
from ...core.vmm.snapshots import Snapshot, Snapshots
from ..judge.guests import AFTER, Around
from ..judge.runner import Diverged, OutOfFuel
from ..judge.session import Refused, Session, number
from ..judge.trial import Trial
from ..judge.verdict import Divergence, failed
from ..kit.replay import ReplayMachine
from .recorded import Answers, Recorded

MOST_CHECKPOINTS: Final = 16
MOST_TYPED: Final = 4096
"""Bytes at once."""
TICK_EVERY: Final = 512
FEW: Final = 16
"""Steps that are not worth a snapshot."""


class Playing:
    """A guest that the student's code runs again. taken: the steps that it took to do so, over and over included."""

    def __init__(self, trial: Trial, recorded: Recorded, student: Session, log: bytes) -> None:
        self.taken = 0
        self._trial = trial
        self._recorded = recorded
        self._student = student
        self._vm = recorded.start(recorded.case.replayed)
        if recorded.case.pipe is not None:
            self._vm.console.refill = self._answer
        self._answers: list[bytes] = []
        self._position = 0
        self._snapshots = Snapshots(self._vm)
        self._snapshots.take()
        self._kept: dict[int, tuple[Snapshot, int]] = {}
        self._numbers = 0
        self._looked = 0
        self._most = 200 * recorded.length
        student.services.update({f"replay.{name}": getattr(self, name) for name in (
            "step", "run", "type", "supply", "checkpoint", "restore", "forget")})
        student.call("Player.use", ReplayMachine(), log)

    # --- what the check asks

    def replay(self, step: int) -> None:
        """The student's replay; then the guest is where it was in the recorded run. Raises Diverged."""
        self._student.call("Player.replay", step)
        self._must_be_at(step, f"replay({step})")

    def reverse_step(self) -> None:
        """The student's reverse_step; the same. Raises Diverged."""
        target = max(0, self._vm.steps - 1)
        self._student.call("Player.reverse_step")
        self._must_be_at(target, "reverse_step()")

    def _must_be_at(self, step: int, call: str) -> None:
        vm = self._vm
        if vm.steps != step:
            self._part(vm.steps, vm.hart.pc, "steps", f"{vm.steps} after {call}", str(step))
        if digest(vm) != self._recorded.digest_at(step, True):
            mine = visible_state(vm.save())
            right = self._recorded.at(step)
            for when, data in self._recorded.typed:
                if when == step:
                    right.inputs.push(CONSOLE, data)
            self._compare(step, vm.hart.pc, mine, visible_state(right.save()))

    # --- what the student's code asks

    def step(self) -> int:
        """The clock."""
        return self._vm.steps

    def run(self, steps: object) -> int:
        """Step by step, each held against the recorded run."""
        count, vm, begin = number(steps, "run's steps"), self._vm, self._vm.steps
        if begin + count > self._recorded.length:
            raise Refused(f"run({count}) from step {begin}: the recorded run ended at step {self._recorded.length}")
        if count > FEW and begin + count <= self._looked and self._run_known(count):
            return vm.steps - begin
        for _ in range(count):
            before, pc = vm.steps, vm.hart.pc
            vm.run(1)
            if vm.steps == before:
                break
            self._count(1)
            if digest(vm) != self._recorded.digest_at(vm.steps, False):
                right = self._recorded.at(vm.steps)
                self._compare(before, pc, visible_state(vm.save()), visible_state(right.save()))
            self._looked = max(self._looked, vm.steps)
        return vm.steps - begin

    def _run_known(self, count: int) -> bool:
        """The same at once, through steps that were all looked at before. False, and nothing done, where it comes out
        elsewhere this time."""
        vm, before, position = self._vm, self._snapshots.take(), self._position
        vm.run(count)
        if digest(vm) == self._recorded.digest_at(vm.steps, False):
            self._count(vm.steps - before.steps)
            return True
        self._snapshots.restore(before)
        self._position = position
        return False

    def _count(self, steps: int) -> None:
        self.taken += steps
        if self.taken > self._most:
            raise OutOfFuel(f"more than {self._most:,} steps taken to replay a run of {self._recorded.length:,}")
        if self.taken // TICK_EVERY > (self.taken - steps) // TICK_EVERY:
            self._trial.tick()

    def type(self, data: object) -> None:
        """Bytes arrive."""
        if type(data) is not bytes or not 0 < len(data) <= MOST_TYPED:
            raise Refused(f"type: between 1 and {MOST_TYPED} bytes, not {data!r:.40}")
        self._vm.inputs.push(CONSOLE, data)

    def supply(self, data: object) -> None:
        """One more answer."""
        if type(data) is not bytes or len(data) > MOST_TYPED:
            raise Refused(f"supply: bytes, {MOST_TYPED} at most, not {data!r:.40}")
        if len(self._answers) >= MOST_TYPED:
            raise Refused(f"more than {MOST_TYPED} answers")
        self._answers.append(data)

    def _answer(self) -> bytes:
        if self._position >= len(self._answers):
            vm = self._vm
            self._part(vm.steps, vm.hart.pc, "input", "nothing: the guest looks, and no answer was supplied",
                       "what it got when it was recorded")
        self._position += 1
        return self._answers[self._position - 1]

    def checkpoint(self) -> int:
        """A snapshot, and how many answers have been used up."""
        if len(self._kept) >= MOST_CHECKPOINTS:
            raise Refused(f"there are {MOST_CHECKPOINTS} checkpoints already: forget one")
        self._numbers += 1
        self._kept[self._numbers] = (self._snapshots.take(), self._position)
        return self._numbers

    def restore(self, number: object) -> None:
        """Back, or ahead, to it."""
        snapshot, self._position = self._find(number)
        self._snapshots.restore(snapshot)

    def forget(self, number: object) -> None:
        """The number is free, and so are pages that nobody else shares."""
        snapshot, _ = self._find(number)
        del self._kept[number]  # type: ignore[arg-type]  # _find looked
        if snapshot is not self._snapshots.here:
            self._snapshots.forget(snapshot)

    def _find(self, number: object) -> tuple[Snapshot, int]:
        if type(number) is not int or number not in self._kept:
            raise Refused(f"there is no checkpoint {number!r:.20}")
        return self._kept[number]

    # --- where they parted

    def _compare(self, step: int, pc: int, mine: dict[str, str], right: dict[str, str]) -> NoReturn:
        """The digests differ: in what? Raises Diverged."""
        for name, wanted in right.items():
            if mine.get(name) != wanted:
                self._part(step, pc, name.removeprefix("hart0."), mine.get(name, "none") or "empty", wanted or "empty")
        self._part(step, pc, "memory", "other bytes", "those of the recorded run")

    def _part(self, step: int, pc: int, field: str, got: str, wanted: str) -> NoReturn:
        guest, trial, recorded = self._recorded.case.guest, self._trial, self._recorded
        replay = None
        if trial.artifacts is not None:
            typed = replace(guest, around=Around(typed=tuple(recorded.typed)))
            replay = typed.record(
                trial.artifacts, trial.check.name, guest.config("deprivileged"), min(step + AFTER, recorded.length),
                Answers(tuple(recorded.asked)) if recorded.case.pipe is not None else None)
        found = Divergence(step, pc, guest.line_at(pc), field, got, wanted)
        raise Diverged(failed(f"{field} is not what it was when it was recorded", found, replay=replay))
