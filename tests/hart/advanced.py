"""Harts with the Advanced Interrupt Architecture, for its tests."""

from __future__ import annotations

from collections.abc import Iterable

from hartvisor.core.isa import causes
from hartvisor.core.isa.extensions import DEFAULT_ISA, close

from .bench import U64, Bench

AIA = close([*DEFAULT_ISA, "Smaia"])
GUESTS = 3
M_FILE, S_FILE, GUEST_1 = 0, 1, 2

EIDELIVERY, EITHRESHOLD, EIP, EIE = 0x70, 0x72, 0x80, 0xC0
IPRIO = 0x30
VTI = 1 << 30
LOCALS = ~0x3FFF & U64
"""Interrupts that only software can make: 14 to 63."""

SSI, MSI, STI, MTI, SEI, MEI = causes.SSI, causes.MSI, causes.STI, causes.MTI, causes.SEI, causes.MEI
VSSI, VSTI, VSEI, SGEI, LCOFI = causes.VSSI, causes.VSTI, causes.VSEI, causes.SGEI, causes.LCOFI


def bits(*numbers: int) -> int:
    """Bits of an interrupt register."""
    return causes.bits(*numbers)


def advanced(source: str = "nop", mode: str = "M", *, guest_files: int | None = GUESTS,
             isa: frozenset[str] = AIA) -> Bench:
    """A bench whose hart has all of the AIA, and an IMSIC unless `guest_files` is None."""
    return Bench(source, mode=mode, isa=isa, guest_files=guest_files)


def select(bench: Bench, window: str, number: int) -> str:
    """Select a register; returns the name of the CSR that stands for it."""
    bench[f"{window}iselect"] = number
    return f"{window}ireg"


def put(bench: Bench, window: str, number: int, value: int) -> None:
    """Write a register behind a window."""
    bench[select(bench, window, number)] = value


def get(bench: Bench, window: str, number: int) -> int:
    """Read a register behind a window."""
    return bench[select(bench, window, number)]


def open_file(bench: Bench, window: str, identities: Iterable[int] = range(1, 64)) -> None:
    """Let the file behind a window deliver these identities, 1 to 63."""
    put(bench, window, EIDELIVERY, 1)
    put(bench, window, EIE, bits(*identities))


def prioritize(bench: Bench, window: str, **numbers: int) -> None:
    """Give interrupts priority numbers in the window's iprio array: i5=3 gives interrupt 5 the number 3."""
    for name, number in numbers.items():
        irq = int(name[1:])
        alias = select(bench, window, IPRIO + irq // 8 * 2)
        shift = irq % 8 * 8
        bench[alias] = bench[alias] & ~(0xFF << shift) | number << shift


def pending(bench: Bench, *irqs: int) -> None:
    """Make interrupts pending and enabled by all means that software has."""
    bench["mie"] = U64
    for irq in irqs:
        if irq in (MSI, MEI):
            bench.hart.set_irq(irq, True)
        elif irq == MTI:
            bench.hart.mtimecmp = 0
        elif irq in (VSSI, VSTI, VSEI):
            bench["hvip"] = bench["hvip"] | bits(irq)
        else:
            bench["mip"] = bench["mip"] | bits(irq)


def top(irq: int, priority: int) -> int:
    """What mtopi, stopi or vstopi reads."""
    return irq << 16 | priority
