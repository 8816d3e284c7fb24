"""A vCPU's performance counters, as the SBI gives them to the guest: its hart's own, and counters of firmware events.

Counter i below N_HARDWARE is the one behind the CSR `cycle + i`; the firmware's follow. Every technique uses the
counters of the hart that runs the vCPU, whose clock is the guest's: what is emulated for the guest counts, what the
hypervisor does besides does not. Nothing tells modes apart (H has no way to do it alike in all techniques), and none
overflows with an interrupt: Sscofpmf cannot be hidden from a guest, so the machine under a VM is without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..isa.csrs import BY_NAME
from ..isa.csrs_counters import HPM_END, HPM_FIRST
from . import sbi_numbers as sbi

if TYPE_CHECKING:
    from ..hart import Hart

N_HARDWARE: Final = HPM_END
N_FIRMWARE: Final = 16
N_COUNTERS: Final = N_HARDWARE + N_FIRMWARE

CYCLES: Final = 0
RETIRED: Final = 2
"""The counters of cycles and instructions, which can count nothing else."""

_MCYCLE: Final = BY_NAME["mcycle"].number
_MCOUNTINHIBIT: Final = BY_NAME["mcountinhibit"].number
_WORD: Final = (1 << 64) - 1


@dataclass(frozen=True)
class PmuState:
    """Counters off the hart.

    inhibited: mcountinhibit. values: of every counter, those of CYCLES and RETIRED less what the clock says.
    events: (counter, event_idx) of those configured. selectors: mhpmevent3 and on. running: the firmware counters that
    count, a bit each. snapshot: GPA of the shared memory, or -1.
    """

    inhibited: int = 0
    values: tuple[int, ...] = (0,) * N_COUNTERS
    events: tuple[tuple[int, int], ...] = ()
    selectors: tuple[int, ...] = (0,) * (HPM_END - HPM_FIRST)
    running: int = 0
    snapshot: int = -1


AT_RESET: Final = PmuState()
"""Nothing is configured, cycles and instructions are what the clock says."""


class Pmu:
    """One vCPU's counters.

    hart: the one that runs it. isa: the guest's extensions, on which it depends which counters it has.
    events: counter to the event_idx that it was configured for. snapshot: GPA of the shared memory, or -1.
    """

    def __init__(self, hart: Hart, isa: frozenset[str]) -> None:
        self.events: dict[int, int] = {}
        self.snapshot = -1
        self._hart = hart
        self._selectable = range(HPM_FIRST, HPM_END) if "Zihpm" in isa else range(0)
        self._hardware = frozenset((*((CYCLES, RETIRED) if "Zicntr" in isa else ()), *self._selectable))
        self._values = [0] * N_FIRMWARE
        self._running = 0

    # --- what there is

    def is_valid(self, counter: int) -> bool:
        """Whether the guest has this counter. (Number 1 would be time, which is none.)"""
        return counter in self._hardware or self.is_firmware(counter)

    def is_firmware(self, counter: int) -> bool:
        """Whether it counts firmware events."""
        return N_HARDWARE <= counter < N_COUNTERS

    def can_select(self, counter: int) -> bool:
        """Whether it is a hardware counter that counts what it is told to."""
        return counter in self._selectable

    # --- one counter, which is valid

    def is_running(self, counter: int) -> bool:
        """Whether it counts."""
        if self.is_firmware(counter):
            return bool(self._running >> counter & 1)
        is_inhibited = self._hart.read_csr(_MCOUNTINHIBIT) >> counter & 1
        return not is_inhibited and (not self.can_select(counter) or counter in self.events)

    def run(self, counter: int, on: bool) -> None:
        """Start or stop it."""
        bit = 1 << counter
        if self.is_firmware(counter):
            self._running = self._running & ~bit | (bit if on else 0)
        else:
            inhibited = self._hart.read_csr(_MCOUNTINHIBIT)
            self._hart.write_csr(_MCOUNTINHIBIT, inhibited & ~bit | (0 if on else bit))

    def read(self, counter: int) -> int:
        """Its value."""
        if self.is_firmware(counter):
            return self._values[counter - N_HARDWARE]
        return self._hart.read_csr(_MCYCLE + counter)

    def write(self, counter: int, value: int) -> None:
        """Set its value."""
        if self.is_firmware(counter):
            self._values[counter - N_HARDWARE] = value & _WORD
        else:
            self._hart.write_csr(_MCYCLE + counter, value)

    def configure(self, counter: int, event_index: int, selector: int) -> None:
        """Give it, stopped, an event. selector: the hart's code for it, where the counter takes one."""
        self.run(counter, False)
        self.events[counter] = event_index
        if self.can_select(counter):
            self._hart.write_csr(_MCOUNTINHIBIT + counter, selector)

    def release(self, counter: int) -> None:
        """Take its event from it."""
        self.events.pop(counter, None)
        if self.can_select(counter):
            self._hart.write_csr(_MCOUNTINHIBIT + counter, 0)

    def count(self, code: int) -> None:
        """A firmware event happened."""
        if not self._running:
            return
        event_index = sbi.EVENT_FIRMWARE << sbi.EVENT_TYPE_SHIFT | code
        for counter, event in self.events.items():
            if event == event_index and self._running >> counter & 1:
                self.write(counter, self.read(counter) + 1)

    def _clock(self, counter: int) -> int:
        """What a counter of cycles or instructions shows that nobody has written or stopped; 0 for any other."""
        hart = self._hart
        if counter == CYCLES:
            return hart.steps - hart.idle_steps
        return hart.steps - hart.idle_steps - hart.guest_traps if counter == RETIRED else 0

    # --- all of them

    def save(self) -> PmuState:
        """The counters as of the present step."""
        hart = self._hart
        return PmuState(
            hart.read_csr(_MCOUNTINHIBIT),
            tuple(self.read(i) - self._clock(i) & _WORD if self.is_valid(i) else 0 for i in range(N_COUNTERS)),
            tuple(sorted(self.events.items())), tuple(hart.read_csr(_MCOUNTINHIBIT + i) for i in self._selectable),
            self._running, self.snapshot)

    def load(self, state: PmuState) -> None:
        """Become `state`; the hart's clock is the guest's by now."""
        hart = self._hart
        for counter, selector in zip(self._selectable, state.selectors, strict=False):
            hart.write_csr(_MCOUNTINHIBIT + counter, selector)
        hart.write_csr(_MCOUNTINHIBIT, state.inhibited)
        for counter, value in enumerate(state.values):
            if self.is_valid(counter):
                self.write(counter, value + self._clock(counter) & _WORD)
        self.events = dict(state.events)
        self._running, self.snapshot = state.running, state.snapshot
