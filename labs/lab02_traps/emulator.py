"""The student's Emulator in the real hypervisor: a deprivileged VM whose illegal instructions go to it."""

from __future__ import annotations

from typing import Final

from ...core.hart import Exit
from ...core.isa import causes
from ...core.isa.csrs import BY_NAME
from ...core.isa.decoder import decode
from ...core.vmm.config import VmConfig
from ...core.vmm.csr_file import CSR_NAMES, SATP, SIE, SIP, SSTATUS, TIME
from ...core.vmm.exits import HANDLED, ExitReason
from ...core.vmm.guest_isa import GUEST_ISA
from ...core.vmm.techniques.hosted import Hosted
from ...core.vmm.vcpu import Vcpu
from ..judge.guests import Guest
from ..judge.lockstep import Lockstep
from ..judge.session import Refused, Session, need
from ..judge.trial import Trial
from ..judge.virtual import COUNTERS, MOST_FUSED, check, put, virtual_hart
from ..kit.hart import SSTATUS_SIE, SUPERVISOR, CsrRow, Trapped, VirtualHart

ISA: Final = GUEST_ISA - {"Zihpm", "Sstc"}
"""The guest's extensions: without the performance counters, which would be more of the same."""
NAMES: Final = ("csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci", "sret")
"""What the student emulates; fences and wfi are ours."""


def rows() -> list[CsrRow]:
    """The CSRs that the guest has."""
    own = [CsrRow(number, name, BY_NAME[name].write_mask & ~BY_NAME[name].absent_bits(ISA))
           for number, name in CSR_NAMES.items()]
    return own + [CsrRow(number, name, 0, True) for number, name in COUNTERS.items()]


def trapped(bits: int) -> Trapped:
    """The instruction, as the student gets it."""
    found = decode(bits)
    if found is None or found.row.name not in NAMES:
        return Trapped("")
    return Trapped(found.name, found.rd, found.rs1, found.imm if found.name != "sret" else 0)


class Emulating:
    """The hypervisor with the student's Emulator in it, in lockstep with the bare hart."""

    def __init__(self, trial: Trial, guest: Guest, most: int = 20_000) -> None:
        self._student: Session = trial.student
        self._student.call("Emulator.use", rows())
        self._student.services["hart.following"] = self.following
        config = guest.config("deprivileged", isa=ISA, handlers={causes.ILLEGAL_INSTRUCTION: self.handle})
        assert isinstance(config, VmConfig)
        self.lockstep = Lockstep(trial, guest, config, most)
        self._vcpu = self.lockstep.vm.vcpus[0]
        technique = self._vcpu.technique
        assert isinstance(technique, Hosted)
        self._technique = technique

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end; what was counted. Raises Diverged, OutOfFuel, Stopped."""
        self.lockstep.run(budget)
        vm = self.lockstep.vm
        return {"exits": self.lockstep.exits, "instructions": vm.instructions,
                "exits_per_1000": 1000 * self.lockstep.exits // max(1, vm.instructions)}

    def handle(self, vcpu: Vcpu, exit: Exit) -> bool:
        """An illegal instruction: the student decides, and what came of it is held against the bare hart."""
        instruction = trapped(exit.tval)
        found = decode(exit.tval)
        if not instruction.name and found is not None and found.name in ("sfence.vma", "wfi"):
            return self._technique.instructions.dispatch(vcpu, exit.tval)
        self.lockstep.enter(vcpu)
        hart = virtual_hart(vcpu)
        said = self._student.call("Emulator.handle_illegal", hart, instruction)
        if not need(bool, said, "handle_illegal's answer"):
            self._technique.reflect(causes.ILLEGAL_INSTRUCTION, exit.tval)
            self.lockstep.leave(vcpu, {})
            return HANDLED
        self._apply(vcpu, hart)
        vcpu.exits[ExitReason.CSR] += 1
        self.lockstep.leave(vcpu, hart.csrs)
        return HANDLED

    def _apply(self, vcpu: Vcpu, hart: VirtualHart) -> None:
        """Make the vCPU what the student made of the virtual hart."""
        put(vcpu, hart)
        real = vcpu.hart
        for _ in range(hart.steps):
            real.retire(0)
        if hart.has_jumped:
            real.reservation = -1
        real.pc = hart.pc

    def following(self, hart: object) -> Trapped | None:
        """VirtualHart.following: what the guest would execute next, if it traps and nothing comes before."""
        if not isinstance(hart, VirtualHart):
            raise Refused("following() is asked of the virtual hart")
        check(hart)
        vcpu = self._vcpu
        step = vcpu.hart.steps + hart.steps
        is_open = hart.mode != SUPERVISOR or hart.csrs[SSTATUS] & SSTATUS_SIE
        if hart.csrs[SIP] & hart.csrs[SIE] and is_open:
            return None
        if hart.steps >= MOST_FUSED or step >= vcpu.deadline * vcpu.vm.config.steps_per_tick:
            return None
        if hart.csrs[SATP] >> 60 or not vcpu.vm.ram.contains(hart.pc, 4) or hart.pc & 1:
            return None
        hart.counters[TIME] = step // vcpu.vm.config.steps_per_tick
        found = trapped(vcpu.vm.ram.load(hart.pc, 4))
        return found if found.name else None


__all__ = ["ISA", "Emulating", "rows", "trapped"]
