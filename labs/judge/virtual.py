"""A vCPU's state as plain values that a student's code may change, and back again."""

from __future__ import annotations

from typing import Final

from ...core.vmm.csr_file import CSR_NAMES, CYCLE, INSTRET, SATP, TIME, CsrFile
from ...core.vmm.vcpu import Vcpu
from ..kit.hart import VirtualHart
from .session import Stopped
from .verdict import Status

COUNTERS: Final = {CYCLE: "cycle", TIME: "time", INSTRET: "instret"}
MOST_FUSED: Final = 64
"""Instructions that one exit may go on for."""


def virtual_hart(vcpu: Vcpu) -> VirtualHart:
    """The vCPU's state, as the student gets it."""
    return VirtualHart(
        list(vcpu.hart.read_gprs()), vcpu.hart.pc, vcpu.mode, {number: vcpu.csrs.read(number) for number in CSR_NAMES},
        {number: vcpu.read_counter(number) for number in COUNTERS})


def put(vcpu: Vcpu, hart: VirtualHart) -> None:
    """Make the vCPU what the student made of the virtual hart, but for pc and clock: how these move on is the caller's
    to say. Raises Stopped."""
    check(hart)
    csrs = vcpu.csrs
    assert isinstance(csrs, CsrFile)
    for number, value in hart.csrs.items():
        if number == SATP:
            csrs.write(SATP, value)  # an unsupported MODE goes no further; it is found when values are compared
        else:
            csrs.put(number, value)
    vcpu.hart.write_gprs(hart.gprs)
    vcpu.mode = hart.mode


def check(hart: VirtualHart) -> None:
    """The student's virtual hart is one at all. Raises Stopped."""
    def is_word(value: object) -> bool:
        return type(value) is int and 0 <= value < 1 << 64

    if not isinstance(hart.gprs, list) or len(hart.gprs) != 32 or not all(map(is_word, hart.gprs)):
        raise Stopped(Status.FAIL, "hart.gprs must be 32 numbers from 0 to 2**64 - 1")
    csrs = hart.csrs
    if not isinstance(csrs, dict) or csrs.keys() != CSR_NAMES.keys() or not all(map(is_word, csrs.values())):
        raise Stopped(Status.FAIL, "hart.csrs must keep its keys, and each value be a number from 0 to 2**64 - 1")
    if not is_word(hart.pc) or hart.mode not in (0, 1) or type(hart.mode) is not int:
        raise Stopped(Status.FAIL, "hart.pc must be an address, hart.mode 0 or 1")
    if type(hart.steps) is not int or not 0 <= hart.steps <= MOST_FUSED:
        raise Stopped(Status.FAIL, f"hart.steps is {hart.steps!r:.20}: retire() and jump() count, {MOST_FUSED} at most")
