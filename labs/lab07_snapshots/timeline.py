"""A VM whose snapshots are the student's, and one with the hypervisor's own, through the same runs, stores and
restores."""

from __future__ import annotations

from typing import NoReturn

from ...core.devices.console import discard
from ...core.hart import Memory
from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...core.machine.memory_map import RAM_BASE
from ...core.machine.paged import ZERO_PAGE, DirtyLog
from ...core.vmm.digest import visible_state
from ...core.vmm.frames import FrameAllocator
from ...core.vmm.snapshots import Snapshot, Snapshots
from ...core.vmm.vm import Vm
from ..judge.guests import AFTER, MEMORY, Guest
from ..judge.runner import Diverged
from ..judge.session import Session, Stopped, need
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Status, failed
from ..kit.frames import FrameMap
from .memory import StudentsMemory

Version = int
"""What a page held: a number of its own for each time it was stored to."""


class Model:
    """What copy-on-write costs at least. least: copies. frames: that hold something somebody still wants."""

    def __init__(self, pages: set[int]) -> None:
        self.least = 0
        self.snapshots: dict[int, dict[int, Version]] = {}
        self.current: dict[int, Version] = {}
        self._next = 0
        for page in sorted(pages):
            self._renew(page)

    def _renew(self, page: int) -> None:
        self._next += 1
        self.current[page] = self._next

    def stored(self, pages: set[int]) -> None:
        """The guest stored to these, or touched them first, since the last event."""
        kept = {version for pages in self.snapshots.values() for version in pages.values()}
        for page in sorted(pages):
            if page not in self.current:
                self._renew(page)
            elif self.current[page] in kept:
                self.least += 1
                self._renew(page)

    def restore(self, number: int) -> set[int]:
        """Back to a snapshot; the pages that are in another frame now, or in none."""
        before, self.current = self.current, dict(self.snapshots[number])
        return {page for page in before.keys() | self.current.keys() if before.get(page) != self.current.get(page)}

    @property
    def frames(self) -> int:
        """As few as can be."""
        held = [self.current, *self.snapshots.values()]
        return len({version for pages in held for version in pages.values()})


class Timeline:
    """The two VMs. vm: the student's. names: the student's number for each snapshot, by ours. model: what it
    costs at least."""

    def __init__(self, trial: Trial, guest: Guest, student: Session, technique: str = "two-stage") -> None:
        self._trial = trial
        self._guest = guest
        self._student = student
        config = guest.config(technique)
        self.ref: Vm = guest.start(config)
        memory = Memory(config.memory + config.table_space, base=RAM_BASE, large_pages=True)
        frames = FrameAllocator(memory)
        self.ram = StudentsMemory(frames, RAM_BASE, MEMORY)
        self.vm = Vm(config, guest.image, discard, (), (frames, self.ram))
        self.names: dict[int, int] = {}
        self._right = Snapshots(self.ref)
        self._kept: dict[int, Snapshot] = {}
        self._is_poked = False
        self.ram.give_to(student, self.part)
        self._take(DirtyLog.MIGRATION)
        self._take(DirtyLog.LOOK)
        self.model = Model(set(self.ref.ram.mapped()))
        self._logged = self._pages()
        self._touched: set[int] = set()
        student.call("Snapshots.use", FrameMap())

    # --- events

    def run(self, steps: int) -> None:
        """Both run, and must be the same afterwards."""
        self._trial.tick()
        self.vm.run(steps)
        self.ref.run(steps)
        self._compare("after a run")

    def poke(self, gpa: int, data: bytes) -> None:
        """A device stores to the guest's memory."""
        self._is_poked = True
        self.vm.write_memory(gpa, data)
        self.ref.write_memory(gpa, data)
        self._compare("after a device's store")

    def snapshot(self) -> int:
        """A snapshot; our number for it."""
        self.settle()
        number = len(self._kept)
        name = need(int, self._student.call("Snapshots.snapshot"), "snapshot()")
        if name in self.names.values():
            raise Stopped(Status.FAIL, f"snapshot() gave {name}, which another snapshot has already")
        self.names[number] = name
        self._kept[number] = self._right.take()
        self.model.snapshots[number] = dict(self.model.current)
        self._compare("after a snapshot")
        return number

    def restore(self, number: int) -> None:
        """Back to a snapshot."""
        self.settle()
        self.ram.take_loaded()  # whatever was asked for out of turn
        self._student.call("Snapshots.restore", self.names[number])
        state = self.ram.take_loaded()
        if state is not None:
            self.vm.restore(state)
        self._right.restore(self._kept[number])
        self._take(DirtyLog.LOOK)
        self._touched |= self.model.restore(number)
        self._compare("after a restore")

    def forget(self, number: int) -> None:
        """A snapshot is needed no more. (The shipped store keeps it: it is asked for no more.)"""
        self.settle()
        self._student.call("Snapshots.forget", self.names.pop(number))
        del self.model.snapshots[number]

    def dirty_log(self) -> int:
        """The log, against what really was stored to; how many pages it has."""
        self.settle()
        said = self._student.call("Snapshots.dirty_log")
        if type(said) is not list or not all(type(each) is int for each in said):
            raise Stopped(Status.FAIL, f"dirty_log() gave {said!r:.60}, where a list of gfns is wanted")
        may = self._take(DirtyLog.MIGRATION) | self._touched
        self._touched = set()
        now = self._pages()
        must = {page for page in now.keys() | self._logged.keys()
                if now.get(page, ZERO_PAGE) != self._logged.get(page, ZERO_PAGE)}
        self._logged = now
        missing, surplus = sorted(must - set(said)), sorted(set(said) - may)
        if missing:
            self.part(f"dirty_log: page {missing[0]:#x}", "absent", "in it: the page was stored to")
        if surplus:
            self.part(f"dirty_log: page {surplus[0]:#x}", "in it", "absent: nothing was stored to it since the last")
        if len(said) != len(set(said)):
            self.part("dirty_log", "a page twice", "each page once")
        return len(must)

    # --- looking

    def settle(self) -> None:
        """An interval between two events is over."""
        self._touched |= self.ram.touched
        self.model.stored(self._take(DirtyLog.LOOK) | self.ram.touched)
        self.ram.touched.clear()

    def _take(self, log: DirtyLog) -> set[int]:
        return set(self.ref.ram.take_dirty(log))

    def _pages(self) -> dict[int, bytes]:
        ram = self.ref.ram
        return {page: ram.page(page) for page in ram.mapped()}

    def _compare(self, when: str) -> None:
        mine, right = visible_state(self.vm.save()), visible_state(self.ref.save())
        for field, value in mine.items():
            if value != right[field]:
                self.part(f"{field} {when}", value[:60], right[field][:60])
        for page in sorted(self.vm.ram.mapped().keys() | self.ref.ram.mapped().keys()):
            got, wanted = self.vm.ram.page(page), self.ref.ram.page(page)
            if got != wanted:
                at = next(index for index in range(0, PAGE_SIZE, 8) if got[index:index + 8] != wanted[index:index + 8])
                self.part(f"memory at {(page << PAGE_SHIFT) + at:#x} {when}", got[at:at + 8].hex(),
                          wanted[at:at + 8].hex())

    def part(self, field: str, got: str, wanted: str) -> NoReturn:
        """The two have parted, by this step. Raises Diverged."""
        steps, pc = self.vm.steps, self.vm.hart.pc
        replay = None
        if self._trial.artifacts is not None and not self._is_poked:
            replay = self._guest.record(self._trial.artifacts, self._trial.check.name, self._guest.config("two-stage"),
                                        self.ref.steps + AFTER)
        raise Diverged(failed(f"{field} is wrong", Divergence(steps, pc, self._guest.line_at(pc), field, got, wanted),
                              replay=replay))
