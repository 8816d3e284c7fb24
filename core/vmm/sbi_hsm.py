"""SBI: harts started, stopped and suspended (HSM), and the whole system suspended (SUSP).

Source: RISC-V SBI specification 3.0, "Hart State Management Extension", "System Suspend Extension".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import sbi_numbers as sbi
from .csr_file import SATP, SSTATUS, SSTATUS_SIE
from .sbi_call import A0, A1, INVALID, LOW32, OK, Arguments, Function, Result
from .traps import can_wake
from .walker import SUPERVISOR

if TYPE_CHECKING:
    from .vcpu import Vcpu


def _hart_start(vcpu: Vcpu, arguments: Arguments) -> Result:
    hart_id, start, opaque = arguments[:3]
    vcpus = vcpu.vm.vcpus
    if hart_id >= len(vcpus):
        return INVALID
    target = vcpus[hart_id]
    if not target.is_stopped:
        return sbi.ERR_ALREADY_AVAILABLE, 0
    if not vcpu.vm.ram.contains(start):
        return sbi.ERR_INVALID_ADDRESS, 0
    target.is_stopped = False
    target.reset_firmware()
    _begin(target, start, opaque)
    return OK


def _hart_stop(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpu.is_stopped = True
    vcpu.vm.needs_attention = True
    return None


def _hart_status(vcpu: Vcpu, arguments: Arguments) -> Result:
    vcpus = vcpu.vm.vcpus
    if arguments[0] >= len(vcpus):
        return INVALID
    target = vcpus[arguments[0]]
    if target.is_stopped:
        return sbi.SUCCESS, sbi.HART_STOPPED
    if target.is_suspended:
        return sbi.SUCCESS, sbi.HART_RESUME_PENDING if can_wake(target) else sbi.HART_SUSPENDED
    return sbi.SUCCESS, sbi.HART_STARTED


def _hart_suspend(vcpu: Vcpu, arguments: Arguments) -> Result:
    kind, resume, opaque = arguments[0] & LOW32, arguments[1], arguments[2]
    if kind not in (sbi.SUSPEND_RETENTIVE, sbi.SUSPEND_NON_RETENTIVE):
        return INVALID
    if kind == sbi.SUSPEND_NON_RETENTIVE and not vcpu.vm.ram.contains(resume):
        return sbi.ERR_INVALID_ADDRESS, 0
    _suspend(vcpu)
    if kind == sbi.SUSPEND_RETENTIVE:
        return OK
    _begin(vcpu, resume, opaque)
    return None


def _system_suspend(vcpu: Vcpu, arguments: Arguments) -> Result:
    """Suspend to RAM: the last hart that runs sleeps until an interrupt that it has enabled is pending."""
    kind, resume, opaque = arguments[0] & LOW32, arguments[1], arguments[2]
    if kind != sbi.SUSPEND_TO_RAM:
        return INVALID
    if not vcpu.vm.ram.contains(resume):
        return sbi.ERR_INVALID_ADDRESS, 0
    if not all(other.is_stopped for other in vcpu.vm.vcpus if other is not vcpu):
        return sbi.ERR_DENIED, 0
    _suspend(vcpu)
    _begin(vcpu, resume, opaque)
    return None


def _suspend(vcpu: Vcpu) -> None:
    """Sleep, unless an enabled interrupt is pending; sstatus.SIE is not asked."""
    if not can_wake(vcpu):
        vcpu.is_waiting = vcpu.is_suspended = True
        vcpu.vm.needs_attention = True


def _begin(vcpu: Vcpu, start: int, opaque: int) -> None:
    """The register state in which a hart is handed to the supervisor; what HSM leaves undefined stays as it is."""
    vcpu.csrs.write(SATP, 0)
    vcpu.csrs.write(SSTATUS, vcpu.csrs.read(SSTATUS) & ~SSTATUS_SIE)
    vcpu.mode = SUPERVISOR
    vcpu.hart.write_gpr(A0, vcpu.index)
    vcpu.hart.write_gpr(A1, opaque)
    vcpu.hart.pc = start & ~1


HSM_FUNCTIONS: Final[dict[int, Function]] = {0: _hart_start, 1: _hart_stop, 2: _hart_status, 3: _hart_suspend}
SUSP_FUNCTIONS: Final[dict[int, Function]] = {0: _system_suspend}
