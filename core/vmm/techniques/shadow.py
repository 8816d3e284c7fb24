"""H without its second stage: the guest runs in VS and VU on its own VS CSRs, but vsatp points to shadow tables.

hstatus.VTVM makes satp and sfence.vma exit, VTW does the same for wfi, and hgatp is Bare: VSATP's tables lead to host
frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...hart import NOTE_ROOT
from ...isa import causes
from ...isa.paging import is_legal_satp
from ..csr_file import MHARTID, SATP, SSTATUS, SSTATUS_FS, VsCsrs, field_mask
from ..shadow_pages import BARE_SUPERVISOR, BARE_USER, HARDWARE, Role
from ..walker import SUPERVISOR, USER
from .hosted import counters_of, csr_number, environment_of
from .shadow_paging import ShadowPaged

if TYPE_CHECKING:
    from ...hart import Exit, Hart
    from ..vcpu import Vcpu
    from ..vm import Vm
    from .protocol import Technique

VTVM: Final = field_mask("hstatus", "VTVM")
VTW: Final = field_mask("hstatus", "VTW")
NOT_OFFSET: Final = 5
"""hcounteren's CY and IR: H can offset time but not cycle and instret, so those exit (DESIGN: "Counters and time")."""

# The guest's own traps go straight to VS. Page faults do not: most are missing shadow entries. Access faults cannot
# happen, since shadow leaves lead to RAM only.
_TO_GUEST: Final = causes.bits(
    causes.INSTRUCTION_ADDRESS_MISALIGNED, causes.ILLEGAL_INSTRUCTION, causes.BREAKPOINT,
    causes.LOAD_ADDRESS_MISALIGNED, causes.STORE_ADDRESS_MISALIGNED, causes.ECALL_FROM_U)

_STCE: Final = field_mask("henvcfg", "STCE")
"""The guest's stimecmp is the hypervisor's to keep: accesses trap, so that one timer serves Sstc and SBI alike."""


class ShadowCsrs(VsCsrs):
    """VS CSRs, except that the guest's satp is a value here. is_stale: satp was written since the flag was last
    cleared."""

    def __init__(self, hart: Hart, isa: frozenset[str]) -> None:
        super().__init__(hart, isa)
        self._isa = isa
        self.satp = 0
        self.is_stale = True

    def read(self, number: int) -> int:
        """The guest's value."""
        return self.satp if number == SATP else super().read(number)

    def write(self, number: int, value: int) -> None:
        """As a csrw would. A satp with an unsupported MODE is ignored whole."""
        if number != SATP:
            super().write(number, value)
        elif is_legal_satp(value, self._isa):
            self._hart.memory.note(NOTE_ROOT, self._hart.read_csr(MHARTID), 0, self.satp)
            self.satp = value
            self.is_stale = True

    def on_hart(self, number: int) -> int | None:
        """The twin; but satp is ours."""
        return None if number == SATP else super().on_hart(number)


class Shadow(ShadowPaged):
    """VS-mode on shadow tables."""

    name = "shadow"

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        super().__init__(vm, hart, peer)
        self.csrs: ShadowCsrs = ShadowCsrs(hart, vm.config.isa)
        self._loaded_satp = 0

    @property
    def role(self) -> Role:
        """The hardware checks U, SUM and MXR; but with satp=Bare there is no U to check."""
        if self.csrs.satp >> 60:
            return HARDWARE
        return BARE_USER if self.mode == USER else BARE_SUPERVISOR

    def enter_world(self) -> None:
        """V=1, satp and wfi trap, one stage."""
        super().enter_world()
        enter_virtual(self.hart, self.vm.config.isa, hgatp=0, hstatus=VTVM | VTW, hedeleg=_TO_GUEST)
        self.csrs.is_stale = True

    def before_entry(self) -> bool:
        """Load the shadow root if the guest's address space, or what we have of it, is another."""
        if self.csrs.is_stale or self.pager.active is None:
            self._load_root()
        return True

    def resolve_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
        """With satp=Bare, VS and VU need different roots, and the switch between them does not trap: the first fault
        tells."""
        if not self.csrs.satp >> 60:
            self._load_root()
        return super().resolve_fault(vcpu, exit)

    def _load_root(self) -> None:
        satp = self.csrs.satp
        if satp != self._loaded_satp:
            self._loaded_satp = satp
            self.pager.satp_changed()
        self.hart.write_csr(csr_number("vsatp"), self.pager.activate(satp, self.role))
        self.csrs.is_stale = False


def enter_virtual(hart: Hart, isa: frozenset[str], hgatp: int, hstatus: int, hedeleg: int) -> None:
    """Make V=1 with these controls, and of what has a gate the guest's extensions; in the manual's order, so that no
    walk mixes two guests (H, "hfence" and world switch)."""
    hart.write_csr(csr_number("vsatp"), 0)
    hart.write_csr(csr_number("hgatp"), hgatp)
    hart.write_csr(csr_number("hedeleg"), hedeleg)
    hart.write_csr(csr_number("hideleg"), causes.HIDELEG_MASK)
    hart.write_csr(csr_number("henvcfg"), environment_of(isa) & ~_STCE)
    hart.write_csr(csr_number("hstateen0"), field_mask("hstateen0", "ENVCFG") if {"Zicbom", "Zicboz"} <= isa else 0)
    hart.write_csr(csr_number("hcounteren"), counters_of(isa) & ~NOT_OFFSET)
    hart.write_csr(csr_number("hstatus"), hart.read_csr(csr_number("hstatus")) & ~(VTVM | VTW) | hstatus)
    # Ours is dirty, so that nothing but the guest's own FS counts; off, it hides F (H, "vsstatus": both are in effect).
    hart.write_csr(SSTATUS, SSTATUS_FS if "F" in isa else 0)
    hart.privilege = SUPERVISOR  # V=1 is for modes below M, where the hart begins
    hart.virtual = True
