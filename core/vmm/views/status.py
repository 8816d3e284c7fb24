"""Where each VM stands: what a header shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .standing import Standing, guest_mode, hart_mode, stand

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector
    from .rates import Rates


@dataclass(frozen=True)
class VmStatus:
    """One VM. why: it is off, asleep or crashed, or else halted where it stands.

    step, exit: the position; exit is the number of the exit that it stands at (is_at_exit), or of the next to come.
    end, n_exits: the last step that was reached, and how many exits there were till then. mode: the guest's, S or U;
    hart_mode: what the hart is in meanwhile. vcpu: the index of the one looked at, of n_vcpus.
    """

    name: str
    technique: str
    standing: Standing
    why: str
    step: int
    exit: int
    is_at_exit: bool
    end: int
    n_exits: int
    has_past: bool
    mode: str
    hart_mode: str
    vcpu: int
    n_vcpus: int
    mips: float
    exits_per_second: float

    @property
    def is_past(self) -> bool:
        """Whether it stands before what it has reached already."""
        return self.step < self.end

    @property
    def behind(self) -> int:
        """How many steps that is."""
        return self.end - self.step

    @property
    def position(self) -> str:
        """`step:exit#`; only the step where there are no exits."""
        return f"{self.step:,}:{self.exit:,}" if self.technique != "bare" else f"{self.step:,}"

    @property
    def mode_text(self) -> str:
        """The guest's mode, and the hart's where it is another: `S (really U)`."""
        return self.mode if self.mode == self.hart_mode else f"{self.mode} (really {self.hart_mode})"


@dataclass(frozen=True)
class StatusView:
    """All VMs. current: the index of the one looked at."""

    vms: tuple[VmStatus, ...]
    current: int

    @property
    def vm(self) -> VmStatus:
        """The one looked at."""
        return self.vms[self.current]


def view_status(inspection: Inspection) -> StatusView:
    """Where all VMs stand."""
    vms = tuple(_status(inspector, inspection.rates) for inspector in inspection.inspectors)
    return StatusView(vms, inspection.current)


def _status(inspector: Inspector, rates: Rates) -> VmStatus:
    standing, why = stand(inspector)
    if not why and standing is Standing.PAUSED and inspector.halt is not None:
        why = inspector.halt.detail
    vcpu, rate = inspector.vcpu, rates.of(inspector)
    return VmStatus(
        inspector.name, inspector.technique, standing, why, inspector.step, inspector.exit_number,
        inspector.exit is not None, inspector.end, len(inspector.log) if inspector.log is not None else 0,
        inspector.timeline is not None, guest_mode(vcpu), hart_mode(vcpu), vcpu.index, len(inspector.vm.vcpus),
        rate.mips, rate.exits)
