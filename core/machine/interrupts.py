"""What the devices' interrupt lines lead to: the PLIC, or what QEMU's `-machine virt,aia=...` puts in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from ..devices.aplic import Aplic, SendMsi
from ..devices.device import Device, IrqLine
from ..devices.imsic import Imsic
from ..devices.plic import Plic
from ..hart import Hart
from ..isa.causes import MEI, SEI
from .memory_map import APLIC_M, APLIC_S, IMSIC_M, IMSIC_S, PAGE_SIZE, PLIC, Region

DEFAULT_GUESTS = 3
MAX_GUESTS = 7
"""Interrupt files for guests that a hart of the machine has, and can have."""

M_FILE, S_FILE = 0, 1


class Aia(Enum):
    """How much of the Advanced Interrupt Architecture a machine has, in QEMU's words."""

    NONE = "none"
    APLIC = "aplic"
    APLIC_IMSIC = "aplic-imsic"


@dataclass(frozen=True)
class Controller:
    """An interrupt controller: its inputs (source number, level), and what it has on the bus."""

    set_source: Callable[[int, bool], None]
    slots: tuple[tuple[Region, Device], ...]


def plic_controller(contexts: Sequence[IrqLine | None]) -> Controller:
    """A PLIC. contexts: its outputs, M-mode then S-mode of each hart, None where a line leads nowhere."""
    plic = Plic(contexts)
    return Controller(plic.set_source, ((PLIC, plic),))


def machine_controller(aia: Aia, harts: Sequence[Hart], guests: int) -> Controller:
    """The controller of a machine for firmware. guests: the guest interrupt files of each hart, which has an IMSIC."""
    lines = [(partial(hart.set_irq, MEI), partial(hart.set_irq, SEI)) for hart in harts]
    if aia is Aia.NONE:
        return plic_controller([line for pair in lines for line in pair])
    if aia is Aia.APLIC:
        return _aplic_controller(Aplic(len(harts), lines), ())
    pages = 1 << guests.bit_length()
    machine = Imsic([partial(hart.receive_msi, M_FILE) for hart in harts])
    supervisor = Imsic([partial(hart.receive_msi, S_FILE + guest) if guest <= guests else None
                        for hart in harts for guest in range(pages)])
    files = ((_with_pages(IMSIC_M, len(harts)), machine), (_with_pages(IMSIC_S, len(harts) * pages), supervisor))
    return _aplic_controller(Aplic(len(harts), None, _sender(files), guests), files)


def _aplic_controller(aplic: Aplic, files: tuple[tuple[Region, Device], ...]) -> Controller:
    return Controller(aplic.set_source, ((APLIC_M, aplic.machine), (APLIC_S, aplic.supervisor), *files))


def _with_pages(region: Region, pages: int) -> Region:
    """The region, so many pages long."""
    return Region(region.name, region.base, pages * PAGE_SIZE)


def _sender(files: tuple[tuple[Region, Device], ...]) -> SendMsi:
    """How the APLIC stores a message: at addresses of interrupt files, and nowhere else."""

    def send(address: int, identity: int) -> None:
        for region, pages in files:
            if region.base <= address < region.end:
                pages.store(address - region.base, 4, identity)

    return send
