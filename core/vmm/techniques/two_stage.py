"""H in full: the guest runs in VS and VU, vsatp is its own, and G-stage tables map its physical addresses to host
frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...hart import Exit
from ...isa import causes
from ...isa.paging import PAGE_SHIFT
from ..csr_file import VsCsrs, field_mask
from ..exits import HANDLED, ExitHandler, ExitReason
from ..gstage import GStage
from ..walker import ACCESS_FAULT, FETCH, LOAD, STORE
from .hosted import Hosted, csr_number
from .shadow import VTW, enter_virtual

if TYPE_CHECKING:
    from ...hart import Hart
    from ..vcpu import Vcpu
    from ..vm import Vm
    from .protocol import Technique

VMID: Final = 1
IMPLICIT_WRITE: Final = 0x3020
IMPLICIT_ACCESS: Final = (0x3000, IMPLICIT_WRITE)
"""htinst for a fault on a page-table entry of the guest's (H, "Transformed Instruction or Pseudoinstruction")."""

ACCESS_OF_FAULT: Final = {
    causes.INSTRUCTION_GUEST_PAGE_FAULT: FETCH, causes.LOAD_GUEST_PAGE_FAULT: LOAD, causes.STORE_GUEST_PAGE_FAULT:
    STORE}

_TO_GUEST: Final = 0xB1FF & ~causes.bits(causes.ECALL_FROM_S)


class TwoStage(Hosted):
    """VS-mode on the guest's own tables, over the hypervisor's."""

    name = "two-stage"

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        super().__init__(vm, hart, peer)
        self.csrs: VsCsrs = VsCsrs(hart, vm.config.isa)
        self.gstage: GStage = (peer.gstage if isinstance(peer, TwoStage)
                               else GStage(hart.memory, vm.frames, vm.ram.base + vm.ram.size))

    def own_handlers(self) -> dict[int, ExitHandler]:
        """Guest-page faults: a frame not mapped yet, a device, or nothing at all."""
        return dict.fromkeys(ACCESS_OF_FAULT, self.handle_guest_page_fault)

    def enter_world(self) -> None:
        """V=1, wfi traps, two stages."""
        super().enter_world()
        enter_virtual(self.hart, self.vm.config.isa, hgatp=self.gstage.hgatp(VMID), hstatus=VTW, hedeleg=_TO_GUEST)

    def set_ad_updating(self, on: bool) -> None:
        """henvcfg.ADUE, which menvcfg's lets be set; G-stage entries have A and D from the start."""
        for name, gate in (("menvcfg", field_mask("menvcfg", "ADUE")), ("henvcfg", field_mask("henvcfg", "ADUE"))):
            old = self.hart.read_csr(csr_number(name))
            self.hart.write_csr(csr_number(name), old & ~gate | (gate if on else 0))

    def forget_frame(self, gfn: int) -> None:
        """The G-stage leads there."""
        self.gstage.unmap(gfn << PAGE_SHIFT)

    def handle_guest_page_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
        """The second stage had no answer for a GPA."""
        access = ACCESS_OF_FAULT[exit.cause]
        gpa = exit.gpa
        ram = self.vm.ram
        if ram.contains(gpa):
            vcpu.exits[ExitReason.GSTAGE_FILL] += 1
            is_store = access == STORE or exit.tinst == IMPLICIT_WRITE
            hpa = ram.writable(gpa) if is_store else ram.hpa(gpa)
            self.gstage.map(gpa, hpa, is_writable=not ram.is_shared(gpa >> PAGE_SHIFT))
            self.vm.fence_harts()  # a real hart may have cached that there was nothing
        elif access == FETCH or exit.tinst in IMPLICIT_ACCESS:
            self.reflect(ACCESS_FAULT[access], exit.tval)
        else:
            self.emulate(exit, ExitReason.MMIO_LOAD if access == LOAD else ExitReason.MMIO_STORE, gpa)
        return HANDLED
