"""Exits, named: why the hypervisor was entered, as tables and traces print it, and how handlers answer."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from ..isa.causes import EXCEPTION_BY_NUMBER, EXCEPTIONS

if TYPE_CHECKING:
    from ..hart import Exit
    from ..isa.decoder import Decoded
    from .vcpu import Vcpu

HANDLED: Final = True
"""A handler's verdict: the hypervisor did it, the guest never knows."""

REFLECT: Final = False
"""A handler's verdict: the trap is the guest's own; deliver it to the guest's S-mode."""

ExitHandler = Callable[["Vcpu", "Exit"], bool]
"""handler(vcpu, exit) -> HANDLED or REFLECT. It counts what it handled with `vcpu.exits[reason] += 1`."""

InstructionHandler = Callable[["Vcpu", "Decoded"], bool]
"""handler(vcpu, instruction) -> HANDLED or REFLECT, for a trapped privileged instruction; the dispatcher counts it."""


class ExitReason(IntEnum):
    """What an exit was about, once the hypervisor knew. Every exit is counted under exactly one of these."""

    SBI = 0
    CSR = 1
    SATP = 2
    SRET = 3
    SFENCE = 4
    WFI = 5
    SHADOW_FILL = 6
    PT_WRITE = 7
    GSTAGE_FILL = 8
    MMIO_LOAD = 9
    MMIO_STORE = 10
    TIMER = 11
    REFLECTED = 12  # this and the next 24: a trap of the guest's own, by exception number

    @property
    def label(self) -> str:
        """The reason as tables show it: "shadow-fill"."""
        return label(self)


N_REASONS: Final = ExitReason.REFLECTED + EXCEPTIONS[-1].number + 1
"""The length of a vCPU's list of counts."""


def reflected(cause: int) -> int:
    """The reason number of a trap with exception `cause` that was delivered to the guest."""
    return ExitReason.REFLECTED + cause


def label(reason: int) -> str:
    """A reason's name in tables and JSON: "csr", "pt-write", "reflected load-page-fault"."""
    if reason >= ExitReason.REFLECTED:
        return "reflected " + EXCEPTION_BY_NUMBER[reason - ExitReason.REFLECTED].name.lower().replace("_", "-")
    return ExitReason(reason).name.lower().replace("_", "-")


def labelled(counts: list[int]) -> dict[str, int]:
    """A vCPU's counts by label, without those that are zero."""
    return {label(reason): count for reason, count in enumerate(counts) if count}
