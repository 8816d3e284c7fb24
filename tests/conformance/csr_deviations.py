"""Where QEMU 10's CSRs are not ours, and what ours must be there instead: by which section, in which bits.

The manual leaves many fields open (WARL), and QEMU keeps some that must read as zero. `expected` says what our register
holds after a write, so that what is not compared with QEMU is compared with the manual's text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

U64 = (1 << 64) - 1
LCOFI, SGEI, VSTIP, VSEIP = 1 << 13, 1 << 12, 1 << 6, 1 << 10
XL_FIELDS, XL_64 = 0xF << 32, 0xA << 32  # SXL and UXL, both 64 bits
CBIE = 3 << 4
EVENT = 0xFC << 56 | 0xFF
PAGING_MODES = (0, 8, 9, 10)


@dataclass(frozen=True)
class Write:
    """A write as it happened: `value` over `old`; `is_open`: with everything that gates it open."""

    value: int
    old: int
    is_open: bool


Rule = Callable[[Write], int]


@dataclass(frozen=True)
class Deviation:
    """In `bits` QEMU may differ from ours, which must hold `expected` there, as `section` of the manual has it."""

    csrs: tuple[str, ...]
    bits: int
    expected: Rule
    section: str


def zero(_: Write) -> int:
    """The bits are read-only zero."""
    return 0


def written(write: Write) -> int:
    """The bits are writable."""
    return write.value


def when_open(write: Write) -> int:
    """The bits are writable where they are delegated or enabled, and zero elsewhere."""
    return write.value if write.is_open else 0


def vector(write: Write) -> int:
    """Of a reserved MODE the lower bit is kept."""
    return write.value & ~2


def environment(write: Write) -> int:
    """A reserved CBIE leaves the field as it was."""
    return write.old if write.value & CBIE == 2 << 4 else write.value


def guest_root(write: Write) -> int:
    """hgatp: PPN's lowest two bits are zero, so are those above VMID; MODE alone ignores what is not supported."""
    mode = write.value >> 60 if write.value >> 60 in PAGING_MODES else write.old >> 60
    return mode << 60 | write.value & (1 << 58) - 1 & ~3


def root(write: Write) -> int:
    """vsatp at V=0: MODE alone ignores what is not supported."""
    mode = write.value >> 60 if write.value >> 60 in PAGING_MODES else write.old >> 60
    return mode << 60 | write.value & (1 << 60) - 1


def vs_status(write: Write) -> int:
    """Only SIE, SPIE, SPP, FS, SUM and MXR can be written; UXL is 64 bits, SD follows from FS."""
    value = write.value & 0xC_6122
    return value | 2 << 32 | (value & 0x6000 == 0x6000) << 63


def hypervisor_status(write: Write) -> int:
    """Only GVA, SPV, SPVP, HU, VTVM, VTW and VTSR can be written; VSXL is 64 bits."""
    return write.value & 0x70_03C0 | 2 << 32


def protection(write: Write) -> int:
    """pmpcfg: bits 6 and 5 of an entry are zero, and so is W where R is, while mseccfg.MML is 0."""
    entries = (write.value & 0x9F9F_9F9F_9F9F_9F9F).to_bytes(8, "little")
    return int.from_bytes(bytes(entry & ~2 if entry & 3 == 2 else entry for entry in entries), "little")


def _numbered(name: str, numbers: range) -> tuple[str, ...]:
    return tuple(f"{name}{number}" for number in numbers)


DEVIATIONS = (
    Deviation(("sstatus",), 3 << 32, lambda _: XL_64, "Supervisor Status: UXL is WARL, 64 bits only"),
    Deviation(("mstatus",), XL_FIELDS, lambda _: XL_64, "Machine Status: SXL and UXL are WARL, 64 bits only"),
    Deviation(("mstatus",), 3 << 38, written, "H, Machine Status Registers: MPV and GVA are writable"),
    Deviation(("vsstatus",), U64, vs_status, "H, Virtual Supervisor Status Register; WPRI fields"),
    Deviation(("hstatus",), U64, hypervisor_status, "H, Hypervisor Status Register; WPRI fields, VGEIN with GEILEN=0"),
    Deviation(("sie", "sip", "vsie", "vsip"), LCOFI, when_open, "Sscofpmf; Shlcofideleg, which QEMU has not"),
    Deviation(("hideleg", "mie"), LCOFI, written, "Sscofpmf; Shlcofideleg, which QEMU has not"),
    Deviation(("vsie",), 0x222, when_open, "H, Virtual Supervisor Interrupt Registers: QEMU takes bits 2, 6, 10"),
    Deviation(("vsip",), 0x002, when_open, "H, Virtual Supervisor Interrupt Registers: QEMU takes bit 2"),
    Deviation(("hie", "mie", "mideleg"), SGEI, zero, "H, Hypervisor Interrupt Registers: SGEI with GEILEN=0"),
    Deviation(("mie", "hideleg", "vsie"), U64 << 14 & U64, zero, "Interrupts that the hart never raises"),
    Deviation(("medeleg", "hedeleg"), 1 << 19, written, "H, Hypervisor Trap Delegation: hardware error is writable"),
    Deviation(("hvip",), VSTIP, written, "H, Hypervisor Interrupt Registers: VSTIP is writable, whatever vstimecmp"),
    Deviation(("mip",), VSEIP | VSTIP, zero, "H, Machine Interrupt Registers: aliases of hip's, read-only"),
    Deviation(("sepc", "vsepc", "mepc"), 1, zero, "Machine Exception Program Counter: bit 0 is always zero"),
    Deviation(("scause", "vscause", "mcause"), (1 << 63) - 64, zero, "Machine Cause: WLRL, the codes that exist"),
    Deviation(("stvec", "vstvec", "mtvec"), U64, vector, "Machine Trap-Vector Base-Address: reserved MODE"),
    Deviation(("htinst",), U64, written, "H, Hypervisor Trap Instruction: WARL"),
    Deviation(("hgatp",), U64, guest_root, "H, Hypervisor Guest Address Translation and Protection"),
    Deviation(("vsatp",), U64, root, "H, Virtual Supervisor Address Translation and Protection, V=0"),
    Deviation(("menvcfg", "henvcfg", "senvcfg"), CBIE, environment, "CSR controls for CMO instructions: CBIE"),
    Deviation(("menvcfg",), 1 << 60, zero, "Smcdeleg, which we have not: CDE"),
    Deviation(("mstateen0",), 1 << 57, written, "Smstateen: CONTEXT, for Sdtrig"),
    Deviation(("hstateen0",), 1 << 57, when_open, "Smstateen: CONTEXT, for Sdtrig, zero where mstateen0's is"),
    Deviation(("mstateen0", "hstateen0"), 1 << 56, zero, "Smstateen: P1P13, for what we have not"),
    Deviation(("sstateen0",), U64, zero, "Smstateen: no user-level state to enable"),
    Deviation(("mcountinhibit",), U64 << 11 & 0xFFFF_FFFF, zero, "Hardware Performance Monitor: eight counters"),
    Deviation(("mseccfg",), 3 << 8, zero, "Entropy source: SSEED and USEED without Zkr"),
    Deviation(_numbered("pmpcfg", range(0, 4, 2)), 0x6262_6262_6262_6262, protection,
              "PMP: bits 6 and 5 are zero; W without R is reserved"),
    Deviation(_numbered("pmpcfg", range(4, 16, 2)), U64, protection, "PMP: 0, 16 or 64 entries"),
    Deviation(_numbered("pmpaddr", range(16)), U64 << 54 & U64, zero, "PMP: addresses have 56 bits"),
    Deviation(_numbered("pmpaddr", range(16, 64)), U64, lambda write: write.value & (1 << 54) - 1,
              "PMP: 0, 16 or 64 entries"),
    Deviation(("mcycle", "minstret"), U64, written, "Hardware Performance Monitor: the value written is the next read"),
    Deviation(_numbered("mhpmevent", range(3, 11)), U64, lambda write: write.value & EVENT, "WARL; Sscofpmf"),
    Deviation(_numbered("mhpmevent", range(11, 32)), U64, zero, "Hardware Performance Monitor: eight counters"),
    Deviation(_numbered("mhpmcounter", range(11, 32)), U64, zero, "Hardware Performance Monitor: eight counters"),
    Deviation(("tselect",), U64, lambda write: write.value & 7, "Sdtrig: eight triggers"),
    Deviation(("tinfo",), U64, lambda _: 1 << 24 | 1 << 15 | 1 << 6, "Sdtrig: types mcontrol6 and disabled"),
    Deviation(("scontext",), U64, lambda write: write.value & 0xFFFF_FFFF, "Sdtrig: 32 bits; QEMU has it not"),
    Deviation(("hcontext",), U64, lambda write: write.value & 0x3FFF, "Sdtrig: 14 bits with H; QEMU has it not"),
)

TRIGGERS = ("tdata1", "tdata3")
"""What they hold depends on types that QEMU has otherwise; test_triggers says what ours must hold."""

LIKE = dict.fromkeys(_numbered("pmpcfg", range(4, 16, 2)), "pmpcfg0")
LIKE |= dict.fromkeys(_numbered("pmpaddr", range(16, 64)), "pmpaddr0")
LIKE |= {"scontext": "senvcfg", "hcontext": "henvcfg"}
"""CSRs that QEMU 10 lacks, and those whose accesses trap just where theirs must ("CSR Address Mapping Conventions";
Smstateen: CONTEXT gates the one pair as ENVCFG the other)."""

FREE_RUNNING = {"cycle", "time", "instret", "mcycle", "minstret"}

RESETS = {
    "vsstatus": "H, Virtual Supervisor Status Register: UXL; QEMU has bits of SXL there",
    "stimecmp": "Sstc: unspecified at reset",
    "vstimecmp": "Sstc: unspecified at reset",
    "hvip": "H, Hypervisor Interrupt Registers: only the VS-level bits exist; QEMU shows MTIP",
    "mip": "its mtimecmp is 0 at reset, which the platform chooses",
    "mideleg": "H: SGEI is read-only one only where GEILEN is nonzero",
    "menvcfg": "Machine Environment Configuration: PBMTE is unspecified at reset",
    "tdata1": "Sdtrig: a trigger's type at reset is unspecified",
    "tinfo": "Sdtrig: which types there are is the hart's choice",
}
"""Registers whose values at reset differ, and why they may."""
