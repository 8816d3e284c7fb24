"""What a debugger works on, so that a VM and the bare machine look alike: harts (of a VM, vCPUs), memory, time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ...errors import HartvisorError
from ...hart import UNTIL_STEP, Hart
from ...isa.csr import Csr
from ...isa.csrs import BY_NAME
from ...isa.paging import PAGE_SIZE, PTE_SIZE, must_be_zero
from ...machine.watching import Hit, Range, Until
from ..csr_file import SATP
from ..exits import labelled
from ..timeline import Timeline
from ..walker import FETCH, LOAD, Walk, walk
from .description import FIRST_CSR, FIRST_FPR, PC, PRIVILEGE, describe

if TYPE_CHECKING:
    from ...machine.machine import Machine
    from ..vm import Vm

BUDGET: Final = "BUDGET"
BREAKPOINT: Final = "BREAKPOINT"
WATCHPOINT: Final = "WATCHPOINT"
CHANGED: Final = "CHANGED"
ASLEEP: Final = "ASLEEP"
GUEST_FAULT: Final = "GUEST_FAULT"
ENDED: Final = "ENDED"
"""Why a target halted: the names of the reasons to stop, but ENDED for all that switch it off."""

_SWITCHED_OFF: Final = ("POWER_OFF", "FINISHED")
MACHINE_MODE: Final = 3
_FPR_END: Final = FIRST_FPR + 32


class Halt(NamedTuple):
    """Why and where a run ended. reason: one of the above. hart: the index of the one that it is about. hit: what a
    watchpoint saw. detail: for people. status: of a guest that switched itself off, 0 if all went well."""

    reason: str
    hart: int
    hit: Hit | None = None
    detail: str = ""
    status: int = 0


class Target(ABC):
    """A guest under a debugger. harts: those that hold its registers. csrs: what the guest's harts have of them.

    timeline: what runs it; None for a guest without a past, which then only goes forwards.
    last_stop: how its last run ended, as the VM or the machine says it.
    """

    def __init__(self, subject: Vm | Machine, harts: Sequence[Hart], csrs: Sequence[Csr], isa: frozenset[str],
                 timeline: Timeline | None) -> None:
        self.subject = subject
        self.harts = tuple(harts)
        self.csrs = tuple(csrs)
        self.has_float = "F" in isa
        self.timeline = timeline
        self.last_stop: Any = None
        self.description = describe(self.csrs, self.has_float)
        self._has_csr = {csr.number for csr in self.csrs}

    # --- registers

    def read_register(self, hart: int, number: int) -> int | None:
        """A register by its number in the description; None if there is none such."""
        state = self.harts[hart]
        if number < PC:
            return state.read_gpr(number)
        if number == PC:
            return state.pc
        if number < _FPR_END:
            return state.read_fpr(number - FIRST_FPR) if self.has_float else None
        if number == PRIVILEGE:
            return self.privilege(hart)
        return self.read_csr(hart, number - FIRST_CSR) if number - FIRST_CSR in self._has_csr else None

    def write_register(self, hart: int, number: int, value: int) -> bool:
        """Change a register; False if there is none such, or it cannot be written."""
        state = self.harts[hart]
        if number < PC:
            state.write_gpr(number, value)
        elif number == PC:
            state.pc = value
        elif number < _FPR_END and self.has_float:
            state.write_fpr(number - FIRST_FPR, value)
        elif number - FIRST_CSR not in self._has_csr:
            return False
        else:
            try:
                self.write_csr(hart, number - FIRST_CSR, value)
            except KeyError:
                return False
        self._edited()
        return True

    @abstractmethod
    def privilege(self, hart: int) -> int:
        """The guest's mode: 0 user, 1 supervisor, 3 machine; 4 more under virtualization (V=1)."""

    @abstractmethod
    def mode_name(self, hart: int) -> str:
        """The mode as people call it."""

    @abstractmethod
    def read_csr(self, hart: int, number: int) -> int:
        """The guest's CSR."""

    @abstractmethod
    def write_csr(self, hart: int, number: int, value: int) -> None:
        """Write it as the guest's most privileged mode would. Raises KeyError where it is read-only."""

    @abstractmethod
    def is_asleep(self, hart: int) -> bool:
        """Whether the hart is in WFI, or stopped."""

    # --- memory

    @abstractmethod
    def walk(self, hart: int, gva: int) -> Walk:
        """The way through the guest's tables that a load would take now if it were allowed everything."""

    @abstractmethod
    def contains(self, gpa: int, length: int) -> bool:
        """Whether all of it is RAM."""

    @abstractmethod
    def load(self, gpa: int, length: int) -> bytes:
        """Bytes of RAM."""

    @abstractmethod
    def store(self, gpa: int, data: bytes) -> None:
        """Change RAM, as a device would."""

    def place(self, hart: int, address: int, length: int, is_physical: bool) -> list[tuple[int, int]]:
        """Where [address, address + length) lies in RAM: pieces (gpa, size), as far as it does so without a gap."""
        pieces = []
        while length > 0:
            size = min(length, PAGE_SIZE - address % PAGE_SIZE)
            gpa = address if is_physical else self.translate(hart, address)
            if gpa is None or not self.contains(gpa, size):
                break
            pieces.append((gpa, size))
            address, length = address + size, length - size
        return pieces

    def translate(self, hart: int, gva: int) -> int | None:
        """Where a virtual address leads, permissions aside; None if nowhere."""
        found = self.walk(hart, gva)
        return None if found.cause is not None else found.gpa

    def read(self, hart: int, address: int, length: int, is_physical: bool) -> bytes:
        """Memory as the hart sees it, up to the first byte that is not RAM. Devices are not looked at: that would
        change them."""
        return b"".join(self.load(gpa, size) for gpa, size in self.place(hart, address, length, is_physical))

    def write(self, hart: int, address: int, data: bytes, is_physical: bool) -> bool:
        """Change memory, whatever its permissions; False, and nothing changed, where some of it is not RAM."""
        pieces = self.place(hart, address, len(data), is_physical)
        if sum(size for _, size in pieces) != len(data):
            return False
        for gpa, size in pieces:
            self.store(gpa, data[:size])
            data = data[size:]
        self._edited()
        return True

    def _edited(self) -> None:
        if self.timeline is not None:
            self.timeline.edited()

    # --- what to stop for

    def stop_at(self, breakpoints: Iterable[int], watchpoints: Iterable[Range]) -> bool:
        """Stop at these virtual addresses, and for accesses to these physical ranges, and for nothing else. False, and
        nothing changed, for more than there can be."""
        before = self.subject.breakpoints
        try:
            self.subject.breakpoints = frozenset(breakpoints)
            self.subject.watchpoints = tuple(watchpoints)
        except (HartvisorError, ValueError):
            self.subject.breakpoints = before
            return False
        return True

    # --- time

    @property
    def steps(self) -> int:
        """The clock, over all harts."""
        return self.subject.steps

    def run(self, budget: int) -> Halt | None:
        """Go on for `budget` steps: None, or why it went no further."""
        self.last_stop = (self.timeline or self.subject).run(budget)
        return self._halt(self.last_stop)

    def step(self, hart: int, budget: int) -> Halt | None:
        """Go on until a hart has taken one step that is not sleep; the others keep their turns, so that what happens is
        what would have. None if `budget` steps did not suffice."""
        self.subject.until = Until(hart, UNTIL_STEP)
        try:
            return self.run(budget)
        finally:
            self.subject.until = None

    def _halt(self, stop: Any) -> Halt | None:
        reason = stop.reason.name
        if reason == BUDGET:
            return None
        hart = getattr(stop, "vcpu", getattr(stop, "hart", 0))
        detail = getattr(stop, "detail", "") or stop.reason.value
        if reason in _SWITCHED_OFF:
            return Halt(ENDED, hart, None, detail, self.exit_status(detail))
        return Halt(reason, hart, getattr(stop, "hit", None), detail)

    @abstractmethod
    def exit_status(self, detail: str) -> int:
        """What a guest that is off reported."""

    def active(self, hart: int) -> int:
        """The steps that a hart has taken awake."""
        return self.harts[hart].steps - self.harts[hart].idle_steps

    def reverse_step(self, hart: int) -> bool:
        """Go back until the hart has one step, not slept, less behind it. False at the start of what is known."""
        timeline = self.timeline
        active = self.active(hart)
        if timeline is None or not timeline.reverse_step():
            return False
        high, distance = timeline.step, 1
        while self.active(hart) == active:  # others had their turns since
            if timeline.step == timeline.start:
                return False
            high = timeline.step
            distance *= 4
            timeline.goto(max(timeline.start, high - distance))
        low = timeline.step
        while high - low > 1 and self.active(hart) != active - 1:
            middle = (low + high) // 2
            timeline.goto(middle)
            if self.active(hart) == active:
                high = middle
            else:
                low = middle
        if self.active(hart) != active - 1:
            timeline.goto(low)
        return True

    def reverse_continue(self) -> Halt | None:
        """Go back to what there is to stop for; None if that is not there: then this is the start of what is known."""
        if self.timeline is None:
            return None
        stop = self.timeline.reverse_continue()
        return None if stop is None else self._halt(stop)

    def goto(self, step: int) -> None:
        """Be where the clock shows `step`. Raises ConfigError for one before the start."""
        if self.timeline is not None:
            self.timeline.goto(step)

    # --- what monitor commands tell

    @property
    @abstractmethod
    def technique(self) -> str:
        """What runs the guest."""

    @abstractmethod
    def exits(self) -> dict[str, int]:
        """How often the hypervisor was entered, by reason."""


class MachineTarget(Target):
    """The bare machine."""

    def __init__(self, machine: Machine, timeline: Timeline | None) -> None:
        isa = machine.harts[0].isa
        super().__init__(machine, machine.harts, [csr for csr in BY_NAME.values() if csr.exists_in(isa)], isa, timeline)
        self.machine = machine
        self._has_h = "H" in isa

    def privilege(self, hart: int) -> int:
        """The hart's."""
        return self.harts[hart].privilege | self.harts[hart].virtual << 2

    def mode_name(self, hart: int) -> str:
        """M, HS or S, U, VS, VU."""
        privilege = self.privilege(hart)
        return {0: "U", 1: "HS" if self._has_h else "S", 3: "M", 4: "VU", 5: "VS"}[privilege]

    def read_csr(self, hart: int, number: int) -> int:
        """The hart's."""
        return self.harts[hart].read_csr(number)

    def write_csr(self, hart: int, number: int, value: int) -> None:
        """As M-mode would."""
        self.harts[hart].write_csr(number, value)

    def is_asleep(self, hart: int) -> bool:
        """In WFI."""
        return self.harts[hart].waiting

    def walk(self, hart: int, gva: int) -> Walk:
        """By satp, below M-mode. Under V=1 it is the hart that walks, as it would for itself."""
        state, memory = self.harts[hart], self.machine.memory
        if state.virtual:
            hpa, cause = state.translate(gva, LOAD)
            if cause:
                hpa, cause = state.translate(gva, FETCH)
            return Walk(gva, LOAD, (), cause or None, hpa)
        if state.privilege == MACHINE_MODE:
            return Walk(gva, LOAD, (), None, gva)
        return walk(lambda hpa: memory.load(hpa, PTE_SIZE) if memory.contains(hpa, PTE_SIZE) else None,
                    state.read_csr(SATP), gva, LOAD, user=False, sum_=True, mxr=True, reserved=must_be_zero(state.isa),
                    updates_ad=True)

    def contains(self, gpa: int, length: int) -> bool:
        """RAM."""
        return self.machine.memory.contains(gpa, length)

    def load(self, gpa: int, length: int) -> bytes:
        """RAM."""
        return self.machine.memory.read(gpa, length)

    def store(self, gpa: int, data: bytes) -> None:
        """RAM; nobody else is told that it was watched."""
        self.machine.memory.write(gpa, data)
        self.machine.memory.take_hit()

    def exit_status(self, detail: str) -> int:
        """What the test finisher was given."""
        finish = self.machine.finish
        return finish.code & 0xFF or 1 if finish is not None and finish.code else 0

    @property
    def technique(self) -> str:
        """None."""
        return "none: the bare machine"

    def exits(self) -> dict[str, int]:
        """There is no hypervisor."""
        return {}


class VmTarget(Target):
    """A VM, whatever its technique: what is shown is the guest's, never what the hypervisor makes of it."""

    def __init__(self, vm: Vm, timeline: Timeline | None) -> None:
        first = vm.vcpus[0]

        def has(csr: Csr) -> bool:
            try:
                first.read_csr(csr.number)
            except KeyError:
                return False
            return csr.exists_in(vm.config.isa)

        super().__init__(vm, vm.harts, [csr for csr in BY_NAME.values() if has(csr)], vm.config.isa, timeline)
        self.vm = vm

    def privilege(self, hart: int) -> int:
        """The guest's mode."""
        return self.vm.vcpus[hart].mode

    def mode_name(self, hart: int) -> str:
        """S or U."""
        return "S" if self.privilege(hart) else "U"

    def read_csr(self, hart: int, number: int) -> int:
        """The vCPU's."""
        return self.vm.vcpus[hart].read_csr(number)

    def write_csr(self, hart: int, number: int, value: int) -> None:
        """As the guest's S-mode would; counters are read-only."""
        self.vm.vcpus[hart].write_csr(number, value)

    def is_asleep(self, hart: int) -> bool:
        """In WFI, or stopped."""
        return self.vm.vcpus[hart].is_waiting or self.vm.vcpus[hart].is_stopped

    def walk(self, hart: int, gva: int) -> Walk:
        """By the guest's own tables."""
        return self.vm.vcpus[hart].look(gva)

    def contains(self, gpa: int, length: int) -> bool:
        """Guest RAM."""
        return self.vm.ram.contains(gpa, length)

    def load(self, gpa: int, length: int) -> bytes:
        """Guest RAM."""
        return self.vm.ram.read(gpa, length)

    def store(self, gpa: int, data: bytes) -> None:
        """Guest RAM; nobody else is told that it was watched."""
        self.vm.write_memory(gpa, data)
        if self.vm.watcher is not None:
            self.vm.watcher.forget()

    def exit_status(self, detail: str) -> int:
        """1 if it reported failure."""
        return int("fail" in detail)

    @property
    def technique(self) -> str:
        """The VM's."""
        return self.vm.vcpus[0].technique.name

    def exits(self) -> dict[str, int]:
        """Of all vCPUs."""
        return labelled([sum(counts) for counts in zip(*(vcpu.exits for vcpu in self.vm.vcpus), strict=True)])
