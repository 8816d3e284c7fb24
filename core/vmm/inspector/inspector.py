"""One VM under the glass: where it stands, what it was, what it is to stop at, and the moves that take it elsewhere.

A move is a generator: it yields after each slice of the run, a hundredth of a second or so, so that whoever drives it
can show things, drive other VMs, or close it. Its value is why it ended. Forwards the guest runs; backwards a
checkpoint is restored and the guest runs from there: nothing is ever undone.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Final

from ...errors import ConfigError
from ...machine.device_tree import DEFAULT_TIMEBASE
from ...machine.inputs import Parted
from ...machine.loader import Image
from ...machine.program import Program
from ...machine.symbols import Symbols
from ...machine.watching import Until
from ..device_log import DeviceLog
from ..exit_log import ExitLog
from ..gdb.target import ASLEEP, BREAKPOINT, Halt, VmTarget
from ..recipe import Recipe
from ..snapshot_tree import History, SnapshotTree
from ..table_notes import TableNotes
from ..timeline import past_of
from ..vcpu import Vcpu
from ..views.rates import Rates
from ..vm import Vm
from .code import Code
from .moment import Moment, moment_of
from .output import Output
from .stops import KINDS, UNTIL_OF, Breakpoint, Watchpoint

Moves = Generator[None, None, Halt | None]
"""A move: yields between slices; its value is why it ended."""

SLICE_SECONDS: Final = 0.004
FIRST_SLICE: Final = 20_000
LEAST_SLICE: Final = 500
MOST_SLICE: Final = 4_000_000

END: Final = "END"
"""Why a replay halts where its recording ends."""

PARTED: Final = "PARTED"
"""Why a replay halts where it is not the run that was recorded."""


class Inspector:
    """A VM, and what there is to know of it.

    name: what the user calls it. symbols: of its code, where they are not the image's. programs: ELF files that may run
    on it. sources: folders in which source files may lie. limit: the step at which a recording of it ends. recipe: what
    it is made of, where that can be written down. has_past: it can be taken back in time, as far as its devices can.
    snapshots: its named snapshots, None where it cannot be taken back.
    vcpu_index: which vCPU is looked at. exit: the number, in `log`, of the exit that it stands at, if a move led there:
    the guest is then before the instruction that trapped. halt: why the last run ended. is_running: in the midst of a
    move. moves, edits: how many moves were made, how often another future was begun. before: the registers as they were
    before the last move.
    """

    def __init__(self, name: str, vm: Vm, *, symbols: Symbols | None = None, programs: Sequence[Path] = (),
                 sources: Sequence[Path] = (), limit: int | None = None, recipe: Recipe | None = None,
                 has_past: bool = True) -> None:
        self.name = name
        self.recipe = recipe
        self.vm = vm
        self.image: Image | None = vm.image
        self.code = Code(Program(name, vm.image, symbols), programs)
        self.symbols = self.code.kernel.symbols
        self.sources = tuple(sources)
        self.limit = limit
        self.output = Output(lambda: vm.steps)
        self._heard = vm.console.output
        vm.console.output = self._hear
        self.timeline = past_of(vm) if has_past else None
        self.target = VmTarget(vm, self.timeline)
        self.log = ExitLog(vm) if self.technique != "bare" else None
        self.table_notes = TableNotes(vm)
        self.devices = DeviceLog(vm)
        self.snapshots: SnapshotTree | None = None
        if self.timeline is not None:
            self.timeline.on_fork.append(self._forked)
            histories: list[History] = [self.output, self.table_notes, self.devices]
            if self.log is not None:
                histories.append(self.log)
            self.snapshots = SnapshotTree(self.timeline, histories)
        self.vcpu_index = 0
        self.exit: int | None = None
        self.halt: Halt | None = None
        self.is_running = False
        self.edits = 0
        self.moves = 0
        self.before: Moment | None = None
        self._breakpoints: tuple[Breakpoint, ...] = ()
        self._watchpoints: tuple[Watchpoint, ...] = ()
        self._slice = FIRST_SLICE

    def _hear(self, data: bytes) -> None:
        """What the guest writes goes where it went before, too."""
        self.output.write(data)
        self._heard(data)

    def close(self) -> None:
        """Look no longer."""
        if self.timeline is None:
            self.vm.console.output = self._heard
        self.table_notes.close()
        self.devices.close()
        if self.log is not None:
            self.log.close()

    # --- where it stands

    @property
    def technique(self) -> str:
        """How it is virtualized."""
        return self.vm.config.technique_class.name

    @property
    def vcpu(self) -> Vcpu:
        """The one looked at."""
        return self.vm.vcpus[self.vcpu_index]

    @property
    def step(self) -> int:
        """The clock, of all vCPUs together."""
        return self.vm.steps

    @property
    def end(self) -> int:
        """The last step that was reached."""
        return self.timeline.end if self.timeline is not None else self.step

    @property
    def is_past(self) -> bool:
        """Whether it stands before what it has reached already."""
        return self.step < self.end

    @property
    def exit_number(self) -> int:
        """The number of the exit that it stands at, or of the next."""
        if self.log is None:
            return 0
        return self.exit if self.exit is not None else self.log.first_at(self.step)

    @property
    def idle_seconds(self) -> float:
        """What the hart that slept least has slept, in seconds of the guest's time."""
        ticks = min(hart.idle_steps for hart in self.vm.harts) // self.vm.steps_per_tick
        return ticks / DEFAULT_TIMEBASE

    def begin_move(self) -> None:
        """A move is about to be made, or the user changes something by hand."""
        self.moves += 1
        self.before = moment_of(self.target)

    def _forked(self, step: int) -> None:
        """What lay ahead of `step` will not be."""
        self.edits += 1
        if self.log is not None:
            self.log.forget_from(step)
            if self.exit is not None and self.exit >= len(self.log):
                self.exit = None
        self.table_notes.forget_from(step)
        self.devices.forget_from(step)
        self.output.cut(step)

    # --- what to stop at

    @property
    def breakpoints(self) -> tuple[Breakpoint, ...]:
        """Those that are set; settable. Raises ConfigError for too many."""
        return self._breakpoints

    @breakpoints.setter
    def breakpoints(self, wanted: Iterable[Breakpoint]) -> None:
        chosen = tuple(wanted)
        self._place(chosen, self._watchpoints)
        self._breakpoints = chosen

    @property
    def watchpoints(self) -> tuple[Watchpoint, ...]:
        """Those that are set; settable. Raises ConfigError for what is not RAM, and for two registers at a time."""
        return self._watchpoints

    @watchpoints.setter
    def watchpoints(self, wanted: Iterable[Watchpoint]) -> None:
        chosen = tuple(wanted)
        self._place(self._breakpoints, chosen)
        self._watchpoints = chosen

    def toggle_breakpoint(self, address: int) -> bool:
        """Set a breakpoint, or take it away; whether it is set now."""
        others = tuple(each for each in self._breakpoints if each.address != address)
        is_new = len(others) == len(self._breakpoints)
        self.breakpoints = (*others, Breakpoint(address)) if is_new else others
        return is_new

    def toggle_watchpoint(self, wanted: Watchpoint) -> bool:
        """The same for a watchpoint."""
        others = tuple(each for each in self._watchpoints
                       if (each.watched, each.where, each.vcpu) != (wanted.watched, wanted.where, wanted.vcpu))
        is_new = len(others) == len(self._watchpoints)
        self.watchpoints = (*others, wanted) if is_new else others
        return is_new

    def _place(self, breakpoints: Sequence[Breakpoint], watchpoints: Sequence[Watchpoint],
               extra: Iterable[int] = ()) -> None:
        addresses = {each.address for each in breakpoints if each.is_enabled} | set(extra)
        try:
            self.vm.breakpoints = addresses
        except ValueError as error:
            raise ConfigError(str(error)) from None
        active = [each for each in watchpoints if each.is_enabled]
        registers = [each for each in active if not each.watched.is_memory]
        if len(registers) > 1:
            raise ConfigError("one register or CSR can be watched at a time; take the other watchpoint away first")
        self.vm.watchpoints = tuple(
            (each.where, each.size, KINDS[each.watched]) for each in active if each.watched.is_memory)
        self.vm.until = (Until(registers[0].vcpu, UNTIL_OF[registers[0].watched], registers[0].where)
                         if registers else None)

    def place_again(self, extra: Iterable[int] = ()) -> None:
        """Set in the VM what is to stop it, and breakpoints of a move's own (`extra`)."""
        self._place(self._breakpoints, self._watchpoints, extra)

    # --- running

    def run_slice(self, limit: int | None = None) -> Halt | None:
        """Go on for a slice, to step `limit` at most: None, or why it went no further."""
        self.exit = None
        start, began = self.step, time.thread_time()
        bounds = [start + self._slice, *(bound for bound in (limit, self.limit) if bound is not None)]
        budget = min(bounds) - start
        if budget <= 0 and self.limit is not None and start >= self.limit:
            return self._ended(Halt(END, 0, None, "the recording ends here"))
        try:
            halt = self.target.run(max(budget, 0))
            if halt is not None and halt.reason == BREAKPOINT and self.step == start:
                halt = self.target.run(max(budget, 0))   # going on from a breakpoint leads past it
        except Parted as parted:
            return self._ended(Halt(PARTED, 0, None, str(parted)))
        seconds = time.thread_time() - began
        if budget == self._slice:
            fitting = int((self.step - start) * SLICE_SECONDS / max(seconds, 1e-6))
            self._slice = max(LEAST_SLICE, min(fitting, 4 * self._slice, MOST_SLICE))
        elif seconds > 2 * SLICE_SECONDS:
            self._slice = max(LEAST_SLICE, self._slice // 2)
        return self._ended(halt)

    def _ended(self, halt: Halt | None) -> Halt | None:
        self.halt = halt
        if halt is not None:
            self.vcpu_index = min(halt.hart, len(self.vm.vcpus) - 1)
        return halt

    def stopped(self, reason: str, detail: str = "") -> Halt:
        """Note that it stands here because of a move, not of its own."""
        self.halt = Halt(reason, self.vcpu_index, None, detail)
        return self.halt

    @property
    def is_asleep(self) -> bool:
        """Whether only input can wake it."""
        return self.halt is not None and self.halt.reason == ASLEEP


class Inspection:
    """All VMs under the glass, and which of them is looked at. rates: how fast they run; who drives them notes it.
    store: the file in which snapshots are kept on disk."""

    def __init__(self, inspectors: Sequence[Inspector], store: Path | None = None) -> None:
        self.inspectors = tuple(inspectors)
        self.store = store
        self.current = 0
        self.rates = Rates()

    @property
    def inspector(self) -> Inspector:
        """The one looked at."""
        return self.inspectors[self.current]

    def add(self, inspector: Inspector) -> None:
        """One more, which is looked at from now on."""
        self.inspectors = (*self.inspectors, inspector)
        self.current = len(self.inspectors) - 1

    def select(self, index: int) -> None:
        """Look at another."""
        self.current = index % len(self.inspectors)

    def close(self) -> None:
        """Look no longer."""
        for inspector in self.inspectors:
            inspector.close()


