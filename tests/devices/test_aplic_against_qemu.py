"""Our APLIC and QEMU 10's get the same accesses, from both domains, and must give the same answers.

The wire of source 10 is the UART's, raised and lowered by its own registers. Left out is where both may choose:
setipnum_be, which a little-endian machine need not have; harts that do not exist (WLRL); target after a source becomes
active (unspecified, so it is written then). And where QEMU 10 departs from the specification, which test_aplic has: a
detached source has no input, a domain no source that is not delegated to it, and an inactive one no target; a source
whose level falls is pending no longer; a domain knows the wires that it gets anew; there is a source 96; M-mode's
targets have no guest; supervisor addresses have no fields but LHXS and the base in smsiaddrcfgh.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from hartvisor.core.devices import uart16550 as u
from hartvisor.core.devices.aplic_registers import (
    CLRIE,
    DELEGATED,
    DOMAINCFG,
    GENMSI,
    IDC_BASE,
    IDC_SIZE,
    IDELIVERY,
    IFORCE,
    IN_CLRIP,
    ITHRESHOLD,
    MSIADDRCFG,
    NUMBER,
    SETIE,
    SETIP,
    SETIPNUM_LE,
    SOURCECFG,
    TARGET,
)
from hartvisor.core.machine.interrupts import Aia
from hartvisor.core.machine.machine import Machine
from hartvisor.core.machine.memory_map import APLIC_M, APLIC_S, MIN_MEMORY, UART
from tests.oracles import require_oracle

from .qemu_board import QemuBoard

N_ACCESSES = 6_000
HARTS = 2
SOURCES = (1, 9, 10, 10, 10, 31, 32, 33, 95)
CLAIMI, TOPI = 0x1C, 0x18
LAST_SOURCECFG = 4 * 1023


class Pair:
    """Both boards; every access goes to both, and loads are compared."""

    def __init__(self, aia: Aia, qemu: QemuBoard) -> None:
        self.qemu = qemu
        self.bus = Machine(MIN_MEMORY, n_harts=HARTS, aia=aia).board.bus
        self.history: list[str] = []

    def load(self, address: int) -> int:
        ours, theirs = self.bus.load(address, 4), self.qemu.load(address, 4)
        self.history.append(f"load {address:#x}: {ours:#x} {theirs:#x}")
        assert ours == theirs, "\n".join(self.history[-40:])
        return theirs

    def store(self, address: int, value: int, size: int = 4) -> None:
        self.history.append(f"store {address:#x} {value:#x}")
        assert self.bus.store(address, size, value)
        self.qemu.store(address, size, value)


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    aia: Aia = request.param
    program = require_oracle("qemu-system-riscv64-10")
    options = ("-M", f"virt,aia={aia.value},aia-guests=3" if aia is Aia.APLIC_IMSIC else f"virt,aia={aia.value}",
               "-smp", str(HARTS))
    with QemuBoard(program, tmp_path_factory.mktemp("q"), options) as qemu:
        yield Pair(aia, qemu)


def numbers(choose: random.Random) -> int:
    return choose.choice((*SOURCES, 0, 97, 1023, 1 << 20))


def registers(choose: random.Random, aia: Aia, base: int) -> list[tuple[int, int]]:
    """Offsets, and what may be stored there now."""
    source = choose.choice(SOURCES)
    hart = choose.randrange(HARTS) << 18
    word = 4 * choose.randrange(3)
    modes = (0, 4, 5, DELEGATED, DELEGATED) if source == UART.irq else (0, 1, 4, 5, 6, 6, 7, 7, DELEGATED, DELEGATED)
    guest = choose.randrange(4) << 12 if aia is Aia.APLIC_IMSIC and base == APLIC_S.base else 0
    target = hart | guest | choose.randrange(256)
    idc = IDC_BASE + IDC_SIZE * choose.randrange(HARTS)
    return [
        (DOMAINCFG, choose.choice((0, 0x100, 0x100, 0x100, 0xFFFF_FFFE))),
        (SOURCECFG + 4 * (source - 1), choose.choice(modes)),
        (SETIP + word, choose.getrandbits(32)), (IN_CLRIP + word, choose.getrandbits(32)),
        (SETIE + word, choose.getrandbits(32)), (CLRIE + word, choose.getrandbits(32)),
        (SETIP + NUMBER, numbers(choose)), (IN_CLRIP + NUMBER, numbers(choose)),
        (SETIE + NUMBER, numbers(choose)), (CLRIE + NUMBER, numbers(choose)), (SETIPNUM_LE, numbers(choose)),
        (TARGET + 4 * source, target), (GENMSI, hart | choose.randrange(256)),
        (idc + IDELIVERY, choose.getrandbits(2)), (idc + IFORCE, choose.getrandbits(1)),
        (idc + ITHRESHOLD, choose.getrandbits(3)), (idc + TOPI, choose.getrandbits(32)), (idc + CLAIMI, 0),
        (MSIADDRCFG + 4 * choose.randrange(3), choose.getrandbits(31)), (0x1A00, 5), (0x3FFC, 5),
    ]


def configure(pair: Pair, base: int, offset: int, value: int) -> None:
    """Write sourcecfg; S-mode's only of what is delegated, and zero before it is so no longer. Then target."""
    pair.store(UART.base + u.IER, 0, 1)
    if base == APLIC_M.base:
        pair.store(APLIC_S.base + offset, 0)
    elif not pair.load(APLIC_M.base + offset) & DELEGATED:
        return
    pair.store(base + offset, 0)
    pair.store(base + offset, value)
    pair.store(base + TARGET + offset, 1)


def is_active(pair: Pair, base: int, target: int) -> bool:
    """Whether the source of this target register is active in the domain."""
    return pair.load(base + target - TARGET) in (1, 4, 5, 6, 7)


@pytest.mark.parametrize("pair", [Aia.APLIC, Aia.APLIC_IMSIC], indirect=True, ids=lambda aia: aia.value)
def test_random_accesses_get_the_same_answers(pair: Pair, request: pytest.FixtureRequest) -> None:
    aia = request.node.callspec.params["pair"]
    choose = random.Random(f"aplic {aia.value}")
    for _ in range(N_ACCESSES):
        base = choose.choice((APLIC_M.base, APLIC_S.base))
        offset, value = choose.choice(registers(choose, aia, base))
        if choose.random() < 0.05:
            pair.store(UART.base + u.IER, choose.choice((0, u.IER_THRE)), 1)
        elif choose.random() < 0.6:
            if DOMAINCFG < offset <= LAST_SOURCECFG:
                configure(pair, base, offset, value)
            else:
                pair.store(base + offset, value)
        elif not TARGET < offset < IDC_BASE or is_active(pair, base, offset):
            pair.load(base + offset)
