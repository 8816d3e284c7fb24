"""SBI: features of the hart that the guest may turn on and off (FWFT).

Source: RISC-V SBI specification 3.0, "SBI Firmware Features Extension". Each is local to its hart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import sbi_numbers as sbi
from .sbi_call import INVALID, LOW32, OK, Arguments, Function, Result

if TYPE_CHECKING:
    from .vcpu import Vcpu

_ABSENT: Final = (sbi.LANDING_PAD, sbi.SHADOW_STACK, sbi.DOUBLE_TRAP, sbi.POINTER_MASKING_PMLEN)
"""What the hart does not have (Zicfilp, Zicfiss, Ssdbltrp, Ssnpm)."""

_SWITCH: Final = (0, 1)


def _get(vcpu: Vcpu, feature: int) -> tuple[int, int]:
    """Error and value of a feature."""
    if feature == sbi.MISALIGNED_EXC_DELEG:
        return sbi.SUCCESS, 1  # what is misaligned traps to the guest, where it traps at all
    if feature == sbi.PTE_AD_HW_UPDATING and "Svadu" in vcpu.vm.config.isa:
        return sbi.SUCCESS, int(vcpu.updates_ad)
    if feature == sbi.PTE_AD_HW_UPDATING or feature in _ABSENT:
        return sbi.ERR_NOT_SUPPORTED, 0
    return sbi.ERR_DENIED, 0  # reserved, or another platform's


def _set_feature(vcpu: Vcpu, arguments: Arguments) -> Result:
    feature, value, flags = arguments[0] & LOW32, arguments[1], arguments[2]
    error, old = _get(vcpu, feature)
    if error:
        return error, 0
    if flags & ~sbi.FEATURE_LOCK or value not in _SWITCH:
        return INVALID
    if value != old:
        if feature in vcpu.locked_features:
            return sbi.ERR_DENIED_LOCKED, 0
        if feature == sbi.MISALIGNED_EXC_DELEG:
            return sbi.ERR_DENIED, 0  # no technique could do it alike
        vcpu.updates_ad = bool(value)
    if flags & sbi.FEATURE_LOCK:
        vcpu.locked_features |= {feature}
    return OK


def _get_feature(vcpu: Vcpu, arguments: Arguments) -> Result:
    return _get(vcpu, arguments[0] & LOW32)


FUNCTIONS: Final[dict[int, Function]] = {0: _set_feature, 1: _get_feature}
