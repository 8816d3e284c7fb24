"""What of the hart stands for each CSR of the guest's, under each technique, and why.

Where a technique keeps the guest's CSR in the hypervisor, the hart's own of that name is another thing, or nothing; the
second and third of a row are what else of the hart bears on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Standin(NamedTuple):
    """The hart's CSRs, by name; why it is those, in a line."""

    names: tuple[str, ...]
    why: str


_OURS: Final = "a value of the hypervisor's; the hart's tells of the last exit, which is a trap into HS-mode"

_DEPRIVILEGED: Final[Mapping[str, Standin]] = {
    "sstatus": Standin(
        ("sstatus", "mstatus"), "the guest is in U-mode: its sstatus is a value in Python; only FS, which decides in "
        "U-mode what it would for the guest, is the hart's own"),
    "sie": Standin(("sie", "mie"), "a value of the hypervisor's, which delivers the guest's interrupts itself"),
    "sip": Standin(("sip", "mip"), "a value of the hypervisor's, which delivers the guest's interrupts itself"),
    "stvec": Standin(("stvec",), "a value of the hypervisor's; the hart's is not used: HS-mode is played by Python"),
    "sscratch": Standin(("sscratch",), "a value of the hypervisor's; the hart's is not used"),
    "sepc": Standin(("sepc",), _OURS),
    "scause": Standin(("scause",), _OURS),
    "stval": Standin(("stval",), _OURS),
    "satp": Standin(
        ("satp",), "the hart's leads to shadow tables, all leaves U=1, a root for each of mode, SUM and MXR"),
    "scounteren": Standin(
        ("scounteren", "mcounteren"), "the hart's is 0: in U-mode counters trap, and are emulated by what the guest's "
        "says"),
    "senvcfg": Standin(("senvcfg", "menvcfg"), "the guest's while it is in U-mode; its S-mode has all that is open to "
                       "it"),
}

_VIRTUAL: Final[Mapping[str, Standin]] = {
    "sstatus": Standin(("vsstatus", "sstatus", "mstatus"), "the guest's own, kept by the hart; for floating point HS's "
                       "sstatus.FS counts too: dirty, so that the guest's decides (off hides F)"),
    "sie": Standin(("vsie", "hie", "mie"), "the guest's own; hie has the same bits one place up"),
    "sip": Standin(
        ("vsip", "hvip", "hip"), "the guest's own: what hideleg gives it of hip, one place down; hvip is what the "
        "hypervisor injects"),
    "stvec": Standin(("vstvec", "stvec"), "the guest's own"),
    "sscratch": Standin(("vsscratch", "sscratch"), "the guest's own"),
    "sepc": Standin(("vsepc", "sepc"), "the guest's own; HS's tells of the last exit"),
    "scause": Standin(("vscause", "scause"), "the guest's own; HS's tells of the last exit"),
    "stval": Standin(("vstval", "stval", "htval"), "the guest's own; HS's tells of the last exit"),
    "satp": Standin(("vsatp", "hgatp"), "the guest's own tables; hgatp's map its physical addresses to the host's"),
    "scounteren": Standin(
        ("scounteren", "hcounteren", "mcounteren"), "H has no copy of it: the hart's own; all three levels must agree"),
    "senvcfg": Standin(
        ("senvcfg", "henvcfg", "menvcfg"), "H has no copy of it: the hart's own; all three levels must agree"),
}

_SHADOW_SATP: Final = Standin(("vsatp", "hgatp"), "the guest's is a value of the hypervisor's (VTVM=1: satp traps); "
                              "vsatp leads to shadow tables, and hgatp is Bare")

_BARE: Final[Mapping[str, Standin]] = {
    "sstatus": Standin(("sstatus", "mstatus"), "nothing stands between: sstatus is a part of mstatus"),
    "sie": Standin(("sie", "mie"), "nothing stands between: sie shows what mideleg delegates of mie"),
    "sip": Standin(("sip", "mip"), "nothing stands between: sip shows what mideleg delegates of mip"),
    **{name: Standin((name,), "nothing stands between: the hart's own")
       for name in ("stvec", "sscratch", "sepc", "scause", "stval", "satp")},
    "scounteren": Standin(("scounteren", "mcounteren"), "the hart's own; M-mode's must agree"),
    "senvcfg": Standin(("senvcfg", "menvcfg"), "the hart's own; M-mode's must agree"),
}

STANDINS: Final[Mapping[str, Mapping[str, Standin]]] = {
    "deprivileged": _DEPRIVILEGED, "shadow": {**_VIRTUAL, "satp": _SHADOW_SATP}, "two-stage": _VIRTUAL, "bare": _BARE}
"""By technique, then by the guest's CSR."""

OWN: Final = "floating point is the hart's own under every technique"
COUNTER: Final = "the hart's clock is the guest's; where H cannot offset it, reading exits"
TIMER: Final = "kept by the hypervisor, for one timer serves Sstc and SBI alike"


def standin(technique: str, name: str) -> Standin:
    """For a CSR of the guest's, by name."""
    found = STANDINS[technique].get(name)
    if found is not None:
        return found
    if name in ("fflags", "frm", "fcsr"):
        return Standin((name,), OWN)
    if name == "stimecmp":
        return Standin((name,), "the hart's own") if technique == "bare" else Standin((), TIMER)
    return Standin((name,), COUNTER if technique != "bare" else "the hart's own")


_VIRTUAL_CONTROLS: Final[Mapping[str, str]] = {
    "hstatus": "VTW makes wfi exit; satp and sfence.vma are the guest's own (VTVM=0)",
    "hedeleg": "exceptions that the guest takes itself, page faults among them; guest-page faults exit",
    "hideleg": "the VS-level interrupts are the guest's",
    "hvip": "interrupts that the hypervisor injects: VSSIP, VSTIP, VSEIP are the guest's SSIP, STIP, SEIP",
    "hgatp": "G-stage tables map the guest's physical addresses to the host's",
    "henvcfg": "what is open to the guest; STCE stays 0, so that stimecmp traps",
    "hcounteren": "CY and IR are 0: H cannot offset cycle and instret, so they exit",
    "htimedelta": "0: time is the guest's own clock",
    "htval": "of the last guest-page fault: the guest-physical address, shifted right by 2",
    "htinst": "of the last exit: the instruction, transformed; or how the walk itself faulted",
    "medeleg": "every exception that stays with HS-mode is an exit",
    "mideleg": "so is every interrupt",
}

CONTROLS: Final[Mapping[str, Mapping[str, str]]] = {
    "deprivileged": {
        "medeleg": "every exception comes to HS-mode, which is the hypervisor",
        "mideleg": "so does every interrupt",
        "mcounteren": "what of the counters HS-mode may let through",
        "menvcfg": "what of the environment HS-mode may let through",
    },
    "shadow": {
        **_VIRTUAL_CONTROLS,
        "hstatus": "VTVM makes satp and sfence.vma exit, VTW does so for wfi",
        "hedeleg": "exceptions that the guest takes itself; not page faults, since most are missing shadow entries",
        "hgatp": "Bare: the shadow tables lead to host-physical addresses already",
    },
    "two-stage": _VIRTUAL_CONTROLS,
    "bare": {
        "medeleg": "exceptions that S-mode takes itself; M-mode is the firmware, in Python",
        "mideleg": "interrupts that S-mode takes itself",
        "mcounteren": "counters that S-mode may read",
        "menvcfg": "what is open to S-mode",
    },
}
"""By technique: CSRs of the hart by which the level above the guest controls it, and what each is set to do."""
