"""Trap and emulate without H: the guest kernel runs in U-mode, like its programs; its CSRs and mode are ours to keep.

Every privileged instruction is illegal in U-mode, so it exits and is emulated. Real translation goes through shadow
tables whose leaves all have U=1; what the guest's mode, SUM and MXR change is a change of root (H-EXTENSION.md, "De-
privileging").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...isa import causes
from ..csr_file import SATP, SENVCFG, SIE, SIP, SSTATUS_MXR, SSTATUS_SIE, SSTATUS_SUM, CsrFile
from ..exits import ExitReason
from ..shadow_pages import Role, deprivileged_role
from ..traps import inject, pick_pending
from ..walker import SUPERVISOR, USER
from .hosted import csr_number, environment_of
from .shadow_paging import ShadowPaged

if TYPE_CHECKING:
    from ...hart import Hart
    from ..vm import Vm
    from .protocol import Technique

_ROLES: Final[dict[tuple[int, int], Role]] = {
    (mode, sum_ | mxr): deprivileged_role(mode == USER, bool(sum_), bool(mxr))
    for mode in (USER, SUPERVISOR) for sum_ in (0, SSTATUS_SUM) for mxr in (0, SSTATUS_MXR)}
"""By mode and the SUM and MXR bits of sstatus."""

_CSR_INSTRUCTIONS: Final = {"csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"}
_NEEDED_TO_LEND: Final = {"F", "Zicntr", "Zca"}
"""Without one of these the guest's CSRs differ from the hart's in what they hold."""

_SUM_MXR: Final = SSTATUS_SUM | SSTATUS_MXR
_REAL_SCOUNTEREN: Final = csr_number("scounteren")
_REAL_SENVCFG: Final = csr_number("senvcfg")
_REAL_SATP: Final = csr_number("satp")
_REAL_SSTATUS: Final = csr_number("sstatus")


class Deprivileged(ShadowPaged):
    """S-mode that only believes it is."""

    name = "deprivileged"
    mode_is_harts = False

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        super().__init__(vm, hart, peer)
        self.csrs: CsrFile = CsrFile(hart, vm.config.isa)
        self._environment = environment_of(vm.config.isa)
        self._mode = SUPERVISOR
        self._loaded_satp = 0
        is_own = vm.config.handlers.keys().isdisjoint({causes.ILLEGAL_INSTRUCTION}) and not (
            vm.config.instruction_handlers.keys() & _CSR_INSTRUCTIONS)
        self._can_lend = vm.config.lends_csrs and is_own and vm.config.isa >= _NEEDED_TO_LEND
        self._lends = False

    @property
    def mode(self) -> int:
        """The guest's mode, which the hart does not know: it is in U-mode throughout."""
        return self._mode

    @mode.setter
    def mode(self, mode: int) -> None:
        if mode == self._mode:
            return
        self._mode = mode
        self.csrs.is_stale = True

    @property
    def role(self) -> Role:
        """What the guest's mode, SUM and MXR allow."""
        return _ROLES[self._mode, self.csrs.status & _SUM_MXR]

    def enter_world(self) -> None:
        """U-mode, where cycle, time and instret trap too (scounteren = 0)."""
        super().enter_world()
        hart = self.hart
        hart.write_csr(_REAL_SCOUNTEREN, 0)
        hart.write_csr(_REAL_SSTATUS, 0)
        hart.virtual = False
        hart.privilege = USER
        self.csrs.is_stale = True

    def run(self, limit: int) -> None:
        """As Hosted.run. What the hart does for us is only counted, so it does nothing while someone looks."""
        self._lends = self._can_lend and self.observer is None and self.vm.watcher is None
        super().run(limit)
        count = self.hart.take_lent()
        if count:
            self.vcpu.exits[ExitReason.CSR] += count

    def before_entry(self) -> bool:
        """Interrupts are ours to deliver: the guest's sie, sip and sstatus are not the hart's. The root follows."""
        csrs = self.csrs
        values = csrs.values
        ready = values[SIP] & values[SIE]
        if ready and (not self._mode or csrs.status & SSTATUS_SIE):
            vcpu = self.vcpu
            interrupt = pick_pending(vcpu)
            assert interrupt is not None
            vcpu.injected[interrupt] += 1
            inject(vcpu, interrupt, 0, is_interrupt=True)
            return False
        if csrs.is_stale or self.pager.active is None:
            self._load_root()
        self.hart.lend(self._lends and self._mode == SUPERVISOR, bool(ready))
        return True

    def _load_root(self) -> None:
        values = self.csrs.values
        satp = values[SATP]
        if satp != self._loaded_satp:
            self._loaded_satp = satp
            self.pager.satp_changed()
        self.hart.write_csr(_REAL_SATP, self.pager.activate(satp, self.role))
        # The guest's senvcfg is about its U-mode only; its S-mode, in U-mode too, has all that is open to it.
        self.hart.write_csr(_REAL_SENVCFG, values[SENVCFG] if self._mode == USER else self._environment)
        self.csrs.is_stale = False


