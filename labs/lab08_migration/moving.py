"""The student's Migrator between two real VMs: pages and state go from one to the other, and digests are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NoReturn

from ...core.devices.console import discard
from ...core.hart import WATCH_STORES
from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...core.machine.paged import DirtyLog
from ...core.vmm.digest import digest, visible_state
from ...core.vmm.state import VmState
from ...core.vmm.stop import StopReason
from ...core.vmm.vm import Vm
from ..judge.guests import AFTER
from ..judge.runner import Diverged, OutOfFuel
from ..judge.session import Refused, Session, need
from ..judge.trial import Trial
from ..judge.verdict import Divergence, failed
from ..kit.migration import Migration, PrecopyRound
from .programs import WARM_UP, Case

MOST_ROUNDS: Final = 40
MOST_TIMES: Final = 60
"""So often everything could be sent, before fuel is out."""
MOST_PAGES: Final = 4096
"""In one call."""
ROUND_TRIP: Final = 200
"""Steps that the guest takes while a round is agreed upon, however few pages it had."""
GOES_ON: Final = 2_000
"""Steps that both sides take afterwards, to be compared once more."""
MOST_LOOKED: Final = 6
"""Pages whose missing store is looked for."""


class Moving:
    """A guest that moves, under the student's direction.

    pages: sent in all; paused: of them, with the guest paused. rounds: how many there were. present: pages that there
    were to send when it began.
    """

    def __init__(self, trial: Trial, case: Case, student: Session) -> None:
        self.pages = self.paused = self.rounds = self.lost = 0
        self._trial = trial
        self._case = case
        self._student = student
        self._random = trial.random("link")
        self._source = case.guest.start(case.guest.config(case.source))
        self._source.run(WARM_UP)
        self._target = Vm(case.guest.config(case.target), None, discard)
        self._dirty: set[int] = set()
        self._sent: dict[int, int] = {}
        self._state: VmState | None = None
        self._is_paused = False
        self.present = len(self._collect())
        student.services.update({f"migration.{name}": getattr(self, name) for name in (
            "take_dirty", "peek_dirty", "send", "send_state")})
        student.call("Migrator.use", Migration())

    def run(self) -> None:
        """Rounds until the student says so, the pause, and the guest goes on at the target. Raises Diverged."""
        vm = self._source
        while True:
            self.rounds += 1
            if self.rounds > MOST_ROUNDS:
                self.part("rounds", f"{MOST_ROUNDS}, and should_stop has not said so yet", "an end")
            pages, lost, steps = self.pages, self.lost, vm.steps
            self._student.call("Migrator.precopy_round")
            self._go_on(ROUND_TRIP)
            done = PrecopyRound(self.rounds, self.pages - pages, self.lost - lost, len(self._collect()),
                                vm.steps - steps)
            if need(bool, self._student.call("Migrator.should_stop", done), "should_stop's answer"):
                break
        self._is_paused = True
        self._student.call("Migrator.stop_and_copy")
        self._take_over()

    # --- what the student's code asks

    def take_dirty(self) -> list[int]:
        """The dirty log, emptied."""
        found = sorted(self._collect())
        self._dirty.clear()
        return found

    def peek_dirty(self, pages: object) -> list[int]:
        """A look at it."""
        return [each for each in self._numbers(pages, "peek_dirty") if each in self._collect()]

    def send(self, pages: object) -> list[int]:
        """Page by page."""
        lost = []
        for number in self._numbers(pages, "send"):
            self._count()
            step, data = self._source.steps, self._source.ram.read_page(number)
            if self._is_lost():
                lost.append(number)
            else:
                self._target.ram.write_page(number, data)
                self._sent[number] = step
            self._go_on(self._case.page_steps)
        return lost

    def send_state(self) -> bool:
        """All but pages."""
        if not self._is_paused:
            raise Refused("send_state: the guest still runs, and what you send now would not be true for long")
        self._count()
        if self._is_lost():
            return False
        self._state = self._source.save()
        return True

    def _numbers(self, pages: object, what: str) -> list[int]:
        if not isinstance(pages, list) or len(pages) > MOST_PAGES:
            raise Refused(f"{what}: a list of page numbers, {MOST_PAGES} at most")
        for each in pages:
            if type(each) is not int or each < 0 or not self._source.ram.contains(each << PAGE_SHIFT, PAGE_SIZE):
                raise Refused(f"{what}: {each!r:.30} is no page of the guest's RAM")
        return pages

    def _count(self) -> None:
        self.pages += 1
        self.paused += self._is_paused
        if self.pages > MOST_TIMES * self.present:
            raise OutOfFuel(f"{self.pages:,} pages sent, of a guest that has {self.present}")
        if self.pages % 256 == 0:
            self._trial.tick()

    def _is_lost(self) -> bool:
        if self._random.random() >= self._case.loss:
            return False
        self.lost += 1
        return True

    def _go_on(self, steps: int) -> None:
        if not self._is_paused:
            self._source.run(steps)

    def _collect(self) -> set[int]:
        self._dirty.update(self._source.ram.take_dirty(DirtyLog.MIGRATION))
        return self._dirty

    # --- what came of it

    def _take_over(self) -> None:
        """The target becomes the guest, and both go on, side by side."""
        source, target = self._source, self._target
        stale = [number for number in sorted({*source.ram.written(), *target.ram.written()})
                 if source.ram.read_page(number) != target.ram.read_page(number)]
        if stale:
            self._explain(stale)
        if self._state is None:
            self.part("state", "never arrived", "registers, CSRs and devices")
        target.restore(self._state)
        for _ in range(2):
            if digest(source) != digest(target):
                mine, right = visible_state(target.save()), visible_state(source.save())
                field = next((name for name, value in right.items() if mine.get(name) != value), "memory")
                self.part(field, mine.get(field, "other"), right.get(field, "the source's"))
            for vm in (source, target):
                stop = vm.run(GOES_ON)
                assert stop.reason is StopReason.BUDGET, f"this lab's guest ends: {stop}"

    def _explain(self, stale: list[int]) -> NoReturn:
        """Of the stores that the target never heard of, the first. Raises Diverged."""
        found = min((*self._first_store(number), number) for number in
                    sorted(stale, key=lambda each: self._sent.get(each, -1))[:MOST_LOOKED])
        step, pc, number = found
        sent = self._sent.get(number)
        got = f"as it was at step {sent}" if sent is not None else "never arrived"
        self.part(f"page {number << PAGE_SHIFT:#x}", got, f"with what this step stored; such pages: {len(stale)}",
                  (step, pc))

    def _first_store(self, number: int) -> tuple[int, int]:
        """Step and pc of the first store to a page since it was last sent: the same guest once more, watched."""
        vm = self._case.guest.start(self._case.guest.config(self._case.source))
        vm.run(self._sent.get(number, 0))
        vm.watchpoints = ((number << PAGE_SHIFT, PAGE_SIZE, WATCH_STORES),)
        stop = vm.run(self._source.steps - vm.steps)
        if stop.hit is None or not stop.hit.pc:
            return 0, vm.hart.pc  # it was loaded there before the first step
        return vm.steps - 1, stop.hit.pc

    def part(self, field: str, got: str, wanted: str, where: tuple[int, int] | None = None) -> NoReturn:
        """The target is not what it should be; where: step and pc, else those of the pause. Raises Diverged."""
        step, pc = where or (self._source.steps, self._source.hart.pc)
        guest, trial = self._case.guest, self._trial
        replay = None
        if trial.artifacts is not None:
            replay = guest.record(trial.artifacts, trial.check.name, guest.config("deprivileged"), step + AFTER)
        found = Divergence(step, pc, guest.line_at(pc), field, got, wanted)
        raise Diverged(failed(f"{field}: {got}", found, replay=replay, pages=self.pages, rounds=self.rounds))

    @property
    def metrics(self) -> dict[str, int]:
        """What was counted."""
        return {"pages": self.pages, "paused": self.paused, "rounds": self.rounds, "present": self.present}


def working_set(case: Case) -> int:
    """The fewest pages that a pause can be left with: in the time that so many take on the link, the guest stores to
    no more than that."""
    vm = case.guest.start(case.guest.config(case.source))
    vm.run(10 * WARM_UP)
    vm.ram.take_dirty(DirtyLog.MIGRATION)
    found: set[int] = set()
    for count in range(1, MOST_PAGES):
        vm.run(case.page_steps)
        found.update(_taken(vm))
        if len(found) <= count:
            return count
    return MOST_PAGES


def _taken(vm: Vm) -> Iterable[int]:
    return vm.ram.take_dirty(DirtyLog.MIGRATION)
