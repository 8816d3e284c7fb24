"""No virtualization: the guest is S-mode of a machine without H, and Python is its firmware (the built-in SBI) and its
board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...hart import EXIT_MMIO, EXIT_WFI, HOST_M, Exit
from ...isa import causes
from ..csr_file import STIMECMP, HartCsrs, field_mask
from ..exits import HANDLED, ExitHandler, ExitReason, reflected
from ..sbi import call
from ..traps import can_wake
from ..walker import ACCESS_FAULT, LOAD, STORE, SUPERVISOR
from .hosted import Hosted, csr_number, delegate, environment_of

if TYPE_CHECKING:
    from ...hart import Hart
    from ..vcpu import Vcpu
    from ..vm import Vm
    from .protocol import Technique

# Everything S-mode can handle itself, but for its calls to us; and for instruction access faults, which are so rare
# that
# we deliver them ourselves, to be able to say where a guest that jumped into nothing came from.
_DELEGATED: Final = 0xB1FF & ~causes.bits(causes.ECALL_FROM_S, causes.INSTRUCTION_ACCESS_FAULT)


class Bare(Hosted):
    """The reference that the three techniques are compared with."""

    name = "bare"
    has_h = False
    hosts = HOST_M
    owns_frames = False

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None:
        super().__init__(vm, hart, peer)
        self.csrs: HartCsrs = HartCsrs(hart)
        self._has_timer = "Sstc" in vm.config.isa

    def own_handlers(self) -> dict[int, ExitHandler]:
        """Calls arrive from S-mode proper."""
        return {causes.ECALL_FROM_S: self.handle_call}

    def enter_world(self) -> None:
        """Delegate to S-mode what the SBI does not need."""
        delegate(self.hart, _DELEGATED, causes.MIDELEG_MASK, self.vm.config.isa)
        self.hart.virtual = False
        self.hart.privilege = SUPERVISOR

    def handle_call(self, vcpu: Vcpu, exit: Exit) -> bool:
        """An SBI call."""
        vcpu.exits[ExitReason.SBI] += 1
        call(vcpu)
        return HANDLED

    def run(self, limit: int) -> None:
        """As Hosted.run; a WFI that was the last step of all is not reported, but seen here."""
        super().run(limit)
        if self._has_timer:
            self.vcpu.deadline = self.hart.read_csr(STIMECMP)
        if self.hart.waiting:
            self._fall_asleep()

    def arm(self, deadline: int) -> None:
        """With Sstc the timer is the hart's own."""
        if self._has_timer:
            self.hart.write_csr(STIMECMP, deadline)

    def set_ad_updating(self, on: bool) -> None:
        """menvcfg.ADUE."""
        environment = environment_of(self.vm.config.isa)
        self.hart.write_csr(csr_number("menvcfg"), environment | (field_mask("menvcfg", "ADUE") if on else 0))

    def other_exit(self, exit: Exit) -> None:
        """A device access, or WFI with nothing pending (it has retired)."""
        if exit.reason == EXIT_MMIO:
            self._device_access(exit)
        elif exit.reason == EXIT_WFI:
            self._fall_asleep()
        else:
            super().other_exit(exit)

    def _fall_asleep(self) -> None:
        """From here on it is the VM that keeps the sleeper's clock."""
        self.hart.waiting = False
        self.vcpu.exits[ExitReason.WFI] += 1
        if not can_wake(self.vcpu):
            self.vcpu.is_waiting = True
            self.vm.needs_attention = True

    def _device_access(self, exit: Exit) -> None:
        hart, bus, exits = self.hart, self.vm.bus, self.vcpu.exits
        if exit.is_store:
            if bus.store(exit.address, exit.size, exit.value):
                exits[ExitReason.MMIO_STORE] += 1
                hart.complete_mmio()
                return
        else:
            value = bus.load(exit.address, exit.size)
            if value is not None:
                exits[ExitReason.MMIO_LOAD] += 1
                hart.complete_mmio(value)
                return
        exits[reflected(ACCESS_FAULT[STORE if exit.is_store else LOAD])] += 1
        hart.fault_mmio()
