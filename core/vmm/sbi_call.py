"""What every SBI extension is written against: arguments, results, and the harts that a mask names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..isa.registers import NUMBER
from . import sbi_numbers as sbi

if TYPE_CHECKING:
    from .vcpu import Vcpu

A0: Final = NUMBER["a0"]
A1: Final = NUMBER["a1"]
A6: Final = NUMBER["a6"]
A7: Final = NUMBER["a7"]

LOW32: Final = 0xFFFF_FFFF
"""Of an argument that the specification makes a uint32_t, only these bits count."""

Arguments = tuple[int, int, int, int, int]
"""a0 to a4."""

Result = tuple[int, int] | None
"""(error, value) for a0 and a1; None if the call does not return to its caller."""

Function = Callable[["Vcpu", Arguments], Result]

OK: Final = (sbi.SUCCESS, 0)
UNSUPPORTED: Final = (sbi.ERR_NOT_SUPPORTED, 0)
INVALID: Final = (sbi.ERR_INVALID_PARAM, 0)


def find_harts(vcpu: Vcpu, mask: int, base: int) -> list[Vcpu] | None:
    """The vCPUs that a hart mask names; None if one of them does not exist."""
    vcpus = vcpu.vm.vcpus
    if base == sbi.EVERY_HART:
        return list(vcpus)
    if base >= len(vcpus):
        return None if mask else []
    if mask >> len(vcpus) - base:
        return None
    return [vcpus[base + bit] for bit in range(len(vcpus) - base) if mask >> bit & 1]


def count_sent(vcpu: Vcpu, targets: Iterable[Vcpu], sent: int) -> None:
    """Count the firmware event `sent` for each other hart, and what that one received for it."""
    for target in targets:
        if target is not vcpu:
            vcpu.pmu.count(sent)
            target.pmu.count(sent + 1)
