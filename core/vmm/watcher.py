"""What a VM's host stops it for: accesses to guest memory by GPA, and the change of a vCPU's register.

The compiled hart sees most of it: accesses to frames that hold a watched range, and registers that it keeps itself. The
rest happens in Python, between two entries: stores of devices and of emulated instructions, guest CSRs that are values
here. So while there is a Watcher, the run loops look at it before each entry; otherwise it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..hart import UNTIL_CSR, UNTIL_MODE, UNTIL_STEP, Exit
from ..isa.paging import PAGE_SHIFT, PAGE_SIZE
from ..machine.watching import Hit, Range, Until, make_hit, register_value
from .stop import Stop, StopReason

if TYPE_CHECKING:
    from .vcpu import Vcpu
    from .vm import Vm


class Watcher:
    """A VM's watchpoints and what it runs until. watchpoints: by GPA."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._memory = vm.ram.memory
        self._watchpoints: tuple[Range, ...] = ()
        self._until: Until | None = None
        self._before = 0
        self._found: Exit | None = None
        self._found_gpa: int | None = None
        self._open_step: int | None = None  # the clock of found.hart before its step, where that is not complete

    # --- what to look for

    @property
    def watchpoints(self) -> tuple[Range, ...]:
        """The ranges of guest RAM that are watched."""
        return self._watchpoints

    @watchpoints.setter
    def watchpoints(self, ranges: Iterable[Range]) -> None:
        chosen = tuple(ranges)
        for gpa, length, _ in chosen:
            if length < 1 or not self._vm.ram.contains(gpa, length):
                raise ConfigError(f"a watchpoint of {length} bytes at {gpa:#x}: that is not guest RAM")
        self._watchpoints = chosen
        self._vm.ram.on_new_frame = self._watch_frame if chosen else None
        self._place()

    def _place(self) -> None:
        """Watch the host frames that hold the ranges by now."""
        ram = self._vm.ram
        pieces: list[Range] = []
        for gpa, length, kinds in self._watchpoints:
            end = gpa + length
            while gpa < end:
                size = min(end - gpa, PAGE_SIZE - gpa % PAGE_SIZE)
                if ram.is_mapped(gpa >> PAGE_SHIFT):
                    pieces.append((ram.hpa(gpa), size, kinds))
                gpa += size
        self._memory.watchpoints = tuple(pieces)

    def _watch_frame(self, gfn: int) -> None:
        """The guest was given another frame."""
        page = gfn << PAGE_SHIFT
        if any(gpa < page + PAGE_SIZE and page < gpa + length for gpa, length, _ in self._watchpoints):
            self.collect()  # placing anew forgets what waits
            self._place()

    @property
    def until(self) -> Until | None:
        """The register whose change ends a run."""
        return self._until

    @until.setter
    def until(self, until: Until | None) -> None:
        self._until = None
        self._open_step = None
        for hart in self._vm.harts:
            hart.until = None
        if until is None:
            return
        vcpu = self._vm.vcpus[until.hart]
        number: int | None = until.number
        if until.kind == UNTIL_CSR:
            try:
                vcpu.read_csr(until.number)
            except KeyError as error:
                raise ConfigError(f"the guest has no CSR {until.number:#x} to wait for a change of") from error
            number = vcpu.csrs.on_hart(until.number)
        if number is not None and (until.kind != UNTIL_MODE or vcpu.technique.mode_is_harts):
            vcpu.hart.until = until.kind, number
        self._until = until

    def start(self) -> None:
        """A run starts: changes are from here."""
        if self._until is not None:
            self._before = self._value(self._until)

    def _value(self, until: Until) -> int:
        vcpu = self._vm.vcpus[until.hart]
        if until.kind == UNTIL_CSR:
            return vcpu.read_csr(until.number)
        if until.kind == UNTIL_MODE:
            return vcpu.mode
        return register_value(vcpu.hart, until.kind, until.number)

    # --- what was found

    def access(self, vcpu: Vcpu, gpa: int, size: int, kinds: int) -> None:
        """The hypervisor is about to do an access of the vCPU's present instruction for it."""
        hart = vcpu.hart
        self._memory.access(self._vm.ram.hpa(gpa), size, kinds, vcpu.index, hart.pc, hart.steps)

    def note(self, exit_: Exit) -> None:
        """A vCPU's hart reports a hit, its step complete."""
        if self._found is None:
            self._find(exit_)

    def _find(self, exit_: Exit) -> None:
        """A hit, where the frame it is in lies now."""
        self._found, self._found_gpa = exit_, self._vm.ram.gpa(exit_.address)

    def collect(self) -> None:
        """Take up what waits; also before a frame goes, by which alone its hits are known.

        If it happened in a step that exited to us before its end (its walk set A, say), the run ends after that step,
        as it does under the techniques whose hart does it all.
        """
        waiting = self._memory.take_hit()
        if waiting is None or self._found is not None:
            return
        self._find(waiting)
        if waiting.hart >= 0:
            self._open_step = waiting.steps
            self._vm.harts[waiting.hart].until = UNTIL_STEP, 0

    def _is_in_step(self, found: Exit) -> bool:
        return self._open_step is not None and self._vm.harts[found.hart].steps == self._open_step

    def forget(self) -> None:
        """What was stored to is no news: a snapshot was restored, or the host itself changed something."""
        self._memory.take_hit()
        self._drop()

    def _drop(self) -> None:
        self._found = None
        if self._open_step is not None:
            self.until = self._until

    def has_found(self) -> bool:
        """Whether there is something to stop for before the next step."""
        self.collect()
        if self._found is not None:
            return not self._is_in_step(self._found)
        return self._has_changed()

    def _has_changed(self) -> bool:
        return self._until is not None and self._value(self._until) != self._before

    def find_stop(self, vcpu: Vcpu) -> Stop | None:
        """The stop, if there is something to stop for. vcpu: whose turn it is."""
        self.collect()
        found, steps = self._found, self._vm.steps
        if found is not None and not self._is_in_step(found):
            self._drop()
            hit = self._hit(found)
            return Stop(StopReason.WATCHPOINT, hit.text, steps, vcpu.index if hit.hart is None else hit.hart, hit)
        if found is None and self._until is not None and self._has_changed():
            return Stop(StopReason.CHANGED, "what was waited for has changed", steps, self._until.hart)
        return None

    def _hit(self, found: Exit) -> Hit:
        gpa = self._found_gpa
        assert gpa is not None, f"a watched frame at {found.address:#x} is not the guest's"
        after = int.from_bytes(self._vm.ram.read(gpa, min(found.size, 8)), "little")
        return make_hit(found, gpa)._replace(after=after)
