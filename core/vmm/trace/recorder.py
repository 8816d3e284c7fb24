"""Records a run: of a VM, through what its run loops tell an observer, or of a bare machine.

Instructions and accesses come from the hart, which records those it executes; those that the hypervisor emulates are
committed here. So the trace of instructions is the same under every technique, and only the exits differ.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...hart import EXIT_TRAP, Exit, Hart, Trace
from ...isa.causes import SEI, SSI, STI
from ...isa.paging import PAGE_SHIFT
from ..csr_file import SCAUSE, SEPC, SIP, SSTATUS, SSTATUS_SPP, STVAL
from ..exits import N_REASONS, ExitReason, label
from ..walker import SUPERVISOR
from .events import (
    BY_HYPERVISOR,
    EVENTS,
    EXIT,
    EXITS,
    GUEST_PAGE,
    INSN,
    INSTRUCTIONS,
    IRQ,
    MEM,
    MEMORY,
    NO_CAUSE,
    TRAP,
    UNKNOWN_FRAME,
    WIRE,
    columns,
)
from .file import Writer

if TYPE_CHECKING:
    from ...machine.machine import Machine
    from ...machine.symbols import Symbols
    from ..vcpu import Vcpu
    from ..vm import Vm

FRAME_BYTES: Final = 1 << 20
"""Bytes of records that make a frame of the file."""

MAX_SLICE: Final = 1 << 16
"""Steps that a traced machine runs at a time, for what is recorded must be kept until then."""

EVERY_STEP: Final = (0, (1 << 64) - 1)
_WORD: Final = (1 << 64) - 1


class Recorder:
    """A trace being recorded to a file.

    path: the file. kinds: of events.KINDS. header: facts of the run, kept in the file. steps: [first, last) of each
    hart's clock. symbols: the guest's, kept in the file. Raises TraceError where the file cannot be written.
    """

    def __init__(self, path: Path, kinds: Collection[str], header: dict[str, Any], steps: tuple[int, int] = EVERY_STEP,
                 symbols: Symbols | None = None) -> None:
        self.kinds = frozenset(kinds)
        self.steps = steps
        self.writer = Writer(path, {**header, "kinds": sorted(kinds), "steps": list(steps),
                                    "reasons": [_reason(number) for number in range(N_REASONS)]})
        if symbols:
            self.writer.write_symbols(symbols.as_json())
        self._tracks: list[_Track] = []
        self._watchers: list[_Watcher] = []
        self._machine: Machine | None = None

    def add_vm(self, vm: Vm) -> None:
        """Record the VM from here on."""
        self._watchers += [_Watcher(self, vcpu) for vcpu in vm.vcpus]

    def add_machine(self, machine: Machine) -> None:
        """Record the machine from here on: its device accesses are its exits."""
        wires = IRQ in self.kinds
        tracks = {hart: self.track(hart, index, wires) for index, hart in enumerate(machine.harts)}
        if EXITS in self.kinds:
            self._machine = machine
            machine.on_access = lambda hart, exit: tracks[hart].access_exit(exit)

    def track(self, hart: Hart, index: int, wires: bool, gfn: Callable[[int], int] | None = None) -> _Track:
        """Record a hart. gfn: gives the guest frame that a host frame backs."""
        trace = Trace(hart, instructions=INSN in self.kinds, memory=MEM in self.kinds, traps=IRQ in self.kinds,
                      wires=wires, first=self.steps[0], last=self.steps[1], is_guest=gfn is not None)
        track = _Track(self.writer, trace, index, gfn)
        self._tracks.append(track)
        return track

    def flush(self) -> None:
        """Write what makes up a frame already."""
        for track in self._tracks:
            track.flush(FRAME_BYTES)

    def close(self) -> None:
        """Write everything, and end the file; nothing is recorded any more."""
        for watcher in self._watchers:
            watcher.leave()
        if self._machine is not None:
            self._machine.on_access = None
        for track in self._tracks:
            track.trace.close()
            track.flush(1)
        self.writer.close(max((track.trace.hart.steps for track in self._tracks), default=0))


class _Track:
    """What is recorded of one hart, on its way to the file."""

    def __init__(self, writer: Writer, trace: Trace, index: int, gfn: Callable[[int], int] | None) -> None:
        self.trace = trace
        self._writer = writer
        self._index = index
        self._gfn = gfn

    def flush(self, least: int) -> None:
        """Write all records, if there are `least` bytes of them."""
        if self.trace.size < least:
            return
        for stream in (INSTRUCTIONS, MEMORY, EVENTS):
            fields = columns(self.trace.take(stream), stream)
            if not fields[0]:
                continue
            if stream == MEMORY and self._gfn is not None:
                fields[3] = self._guest_frames(fields[3])
            first = fields[0][0]
            between = len(fields[0]) - 1 if stream == INSTRUCTIONS else 0
            self._writer.write_records(stream, self._index, first, sum(fields[0]) + between & _WORD, fields)

    def _guest_frames(self, frames: Sequence[int]) -> array[int]:
        """The frames as the guest numbers them."""
        assert self._gfn is not None
        known = {frame: frame & ~GUEST_PAGE if frame & GUEST_PAGE else self._gfn(frame)
                 for frame in set(frames) if frame != UNKNOWN_FRAME}
        known[UNKNOWN_FRAME] = UNKNOWN_FRAME
        return array("Q", [known[frame] for frame in frames])

    def access_exit(self, exit: Exit) -> None:
        """A bare machine's hart accessed a device."""
        reason = ExitReason.MMIO_STORE if exit.is_store else ExitReason.MMIO_LOAD
        self.trace.event(exit.steps, EXIT | self.trace.hart.privilege << 8 | reason << 32,
                         exit.pc, 0, exit.address, NO_CAUSE | exit.insn << 32)


class _Watcher:
    """Observes one vCPU."""

    def __init__(self, recorder: Recorder, vcpu: Vcpu) -> None:
        technique, ram = vcpu.technique, vcpu.vm.ram
        self._vcpu = vcpu
        self._keeps_mode = not technique.mode_is_harts
        self._is_own_hart = not technique.owns_frames
        # Under a hypervisor a guest's interrupts are bits that the hypervisor sets; bare, some are the hart's wires.
        hart_wires = {SEI, STI} if "Sstc" in vcpu.vm.config.isa else {SEI}
        self._pending = 0
        self._watched = 0
        if IRQ in recorder.kinds:
            wires = {SSI, STI, SEI} - (hart_wires if self._is_own_hart else set())
            self._watched = sum(1 << wire for wire in wires)

        def gfn(frame: int) -> int:
            gpa = ram.gpa(frame << PAGE_SHIFT)
            return frame if gpa is None else gpa >> PAGE_SHIFT

        self._track = recorder.track(vcpu.hart, vcpu.index, IRQ in recorder.kinds and self._is_own_hart, gfn)
        self._trace = self._track.trace
        self._irqs = IRQ in recorder.kinds
        self._exit: Exit | None = None
        self._mode = SUPERVISOR
        self._traps = 0
        self._gpa: int | None = None
        self._reasons: list[int] = []
        if EXITS in recorder.kinds:
            vcpu.exits = _NotedCounts(vcpu.exits, self._counted)
        technique.observer = self

    def leave(self) -> None:
        """Observe no more."""
        self._vcpu.technique.observer = None
        self._vcpu.exits = list(self._vcpu.exits)

    # --- what the run loop tells (see Observer)

    def entering(self) -> None:
        """The mode may be ours to tell the hart; interrupts may have become pending."""
        if self._keeps_mode:
            self._trace.mode = self._vcpu.mode
        if self._watched:
            pending = self._vcpu.csrs.read(SIP) & self._watched
            changed = pending ^ self._pending
            self._pending = pending
            while changed:
                bit = changed & -changed
                changed ^= bit
                self._trace.event(self._vcpu.hart.steps, WIRE | bool(pending & bit) << 32, bit.bit_length() - 1)

    def injected(self) -> None:
        """An interrupt was delivered."""
        self._trap_taken()

    def exited(self, exit: Exit) -> None:
        """Note what will tell, once it is handled, what was done about it."""
        vcpu = self._vcpu
        self._exit = exit
        self._mode = vcpu.mode
        self._traps = vcpu.hart.guest_traps
        self._gpa = None
        access = self._trace.access()
        if access is None:
            return
        found = vcpu.walk(*access)
        ram = vcpu.vm.ram
        if found.cause is None and not ram.contains(found.gpa):
            self._gpa = found.gpa
        elif found.cause is None and ram.is_mapped(found.gpa >> PAGE_SHIFT):
            self._trace.locate(ram.hpa(found.gpa))

    def handled(self, exit: Exit) -> None:
        """Emulated, reflected, or neither."""
        self._exit = None
        for reason in self._reasons:
            self._record_exit(reason, exit)
        self._reasons.clear()
        if self._vcpu.hart.guest_traps != self._traps:
            self._trap_taken()
        elif self._vcpu.hart.steps == exit.steps:
            return
        elif self._gpa is not None:
            self._trace.commit(self._gpa)
        else:
            self._trace.commit()

    def timed(self) -> None:
        """The pending bit will tell."""

    def left(self) -> None:
        """Write what has come together."""
        self._track.flush(FRAME_BYTES)

    # --- records

    def _counted(self, reason: int) -> None:
        """An exit was counted: the present one, or one that is no exit of the run loop's."""
        if self._exit is not None:
            self._reasons.append(reason)
        else:
            hart = self._vcpu.hart
            self._trace.event(hart.steps, EXIT | self._vcpu.mode << 8 | reason << 32, hart.pc, 0, 0, NO_CAUSE)

    def _record_exit(self, reason: int, exit: Exit) -> None:
        cause, address = (exit.cause, exit.gpa) if exit.reason == EXIT_TRAP else (NO_CAUSE, exit.address)
        self._trace.event(exit.steps, EXIT | self._mode << 8 | reason << 32, exit.pc, exit.tval, address,
                          cause | exit.insn << 32)

    def _trap_taken(self) -> None:
        if not self._irqs:
            return
        csrs, hart = self._vcpu.csrs, self._vcpu.hart
        before = SUPERVISOR if csrs.read(SSTATUS) & SSTATUS_SPP else 0
        self._trace.event(hart.steps - 1, TRAP | before << 8 | SUPERVISOR << 16 | BY_HYPERVISOR,
                          csrs.read(SCAUSE), csrs.read(SEPC), csrs.read(STVAL), hart.pc)


class _NotedCounts(list[int]):
    """A vCPU's counts of exits that tell which was counted."""

    def __init__(self, counts: Sequence[int], note: Callable[[int], None]) -> None:
        super().__init__(counts)
        self._note = note

    def __setitem__(self, reason: Any, count: Any) -> None:
        super().__setitem__(reason, count)
        self._note(reason)


def _reason(number: int) -> str:
    """The name of an exit's reason; empty where no exception has the number."""
    try:
        return label(number)
    except KeyError:
        return ""
