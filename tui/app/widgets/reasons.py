"""How exits are told apart on the screen: a letter and a colour for each reason. Colours group them, letters leave no
two alike; so nobody needs to see the colours."""

from __future__ import annotations

from typing import Final, NamedTuple

from ....core.vmm.exits import ExitReason


class Look(NamedTuple):
    """letter: of the strip. style: its colour, of the theme. about: in a few words, for the help."""

    letter: str
    style: str
    about: str


_PRIVILEGED, _TRANSLATION, _DEVICE, _CALL = "$text-primary", "$text-warning", "$text-secondary", "$text-success"

LOOKS: Final[dict[int, Look]] = {
    ExitReason.SBI: Look("S", _CALL, "a call to the firmware"),
    ExitReason.CSR: Look("C", _PRIVILEGED, "a CSR accessed"),
    ExitReason.SATP: Look("A", _PRIVILEGED, "another address space"),
    ExitReason.SRET: Look("R", _PRIVILEGED, "a return from a trap"),
    ExitReason.SFENCE: Look("F", _PRIVILEGED, "a fence of translations"),
    ExitReason.WFI: Look("W", _PRIVILEGED, "waiting for an interrupt"),
    ExitReason.SHADOW_FILL: Look("M", _TRANSLATION, "a shadow entry missing"),
    ExitReason.PT_WRITE: Look("P", _TRANSLATION, "a store to a shadowed page table"),
    ExitReason.GSTAGE_FILL: Look("G", _TRANSLATION, "a G-stage entry missing"),
    ExitReason.MMIO_LOAD: Look("I", _DEVICE, "a load from a device"),
    ExitReason.MMIO_STORE: Look("O", _DEVICE, "a store to a device"),
    ExitReason.TIMER: Look("T", "$foreground", "the guest's timer came due"),
}
REFLECTED: Final = Look("X", "$text-error", "an exception of the guest's own, delivered to it")


def look_of(reason: int) -> Look:
    """A reason's."""
    return LOOKS.get(reason, REFLECTED)
