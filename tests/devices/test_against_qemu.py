"""Our devices and QEMU's get the same accesses and must give the same answers.

Left out is where we differ on purpose, and the tests beside this one say how: the character timeout (QEMU waits for
it), modem line deltas (QEMU has none in loopback), an empty RBR without FIFOs (QEMU repeats the last byte), PLIC
source 96 (7.2 cannot enable it).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from hartvisor.core.devices import uart16550 as u
from hartvisor.core.devices.aclint import MTIME, MTIMECMP_BASE, Aclint, TimerWires
from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.plic import CLAIM, CONTEXT_BASE, CONTEXT_STRIDE, ENABLE_BASE, ENABLE_STRIDE, PENDING_BASE
from hartvisor.core.devices.test_finisher import Finish
from hartvisor.core.machine.board import Board
from hartvisor.core.machine.interrupts import plic_controller
from hartvisor.core.machine.memory_map import ACLINT, PLIC, TEST_FINISHER, UART
from tests.oracles import require_oracle

from .qemu_board import QemuBoard

N_ACCESSES = 20_000
U64 = (1 << 64) - 1


class Pair:
    """Both boards; every access goes to both, and loads are compared."""

    def __init__(self, qemu: QemuBoard) -> None:
        self.qemu = qemu
        self.mtime = 0
        self.board = Board(plic_controller([None, None]), ConsoleEnd(), self.on_finish)
        wires = [TimerWires(lambda level: None, lambda value: None)]
        self.board.attach(ACLINT, Aclint(wires, lambda: self.mtime, self.set_mtime))
        self.history: list[str] = []

    def load(self, address: int, size: int, mask: int = U64) -> int:
        ours, theirs = self.board.bus.load(address, size), self.qemu.load(address, size)
        self.history.append(f"load {address:#x} {size}: {ours} {theirs:#x}")
        assert ours is not None
        assert ours & mask == theirs & mask, "\n".join(self.history[-12:])
        return ours

    def store(self, address: int, size: int, value: int) -> None:
        self.history.append(f"store {address:#x} {size} {value:#x}")
        assert self.board.bus.store(address, size, value)
        self.qemu.store(address, size, value)

    def set_mtime(self, value: int) -> None:
        self.mtime = value

    def on_finish(self, finish: Finish) -> None:
        raise AssertionError(f"finished: {finish}")


@pytest.fixture
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    program = require_oracle("qemu-system-riscv64")
    with QemuBoard(program, tmp_path_factory.mktemp("q")) as qemu:
        yield Pair(qemu)


def test_uart_registers_in_and_out_of_loopback(pair: Pair) -> None:
    choose = random.Random(16550)
    stores = {
        u.THR: lambda: choose.randrange(256),
        u.IER: lambda: choose.randrange(256) & ~u.IER_MODEM,
        u.FCR: lambda: choose.choice([0, 1, 1, 1, 3, 5, 7, 6, 9]),  # trigger level 1, where no timeout can come first
        u.LCR: lambda: choose.choice([0, 3, 3, 0x80, 0x83]),
        u.MCR: lambda: choose.choice([u.MCR_LOOP, u.MCR_LOOP, 0]) | choose.randrange(16),
        u.LSR: lambda: choose.randrange(256),
        u.MSR: lambda: choose.randrange(256),
        u.SCR: lambda: choose.randrange(256),
    }
    is_latch_open = False
    for _ in range(N_ACCESSES):
        offset = choose.choice([u.THR, u.THR, u.THR, u.IER, u.FCR, u.LCR, u.MCR, u.LSR, u.MSR, u.SCR])
        if choose.random() < 0.5:
            value = stores[offset]()
            pair.store(UART.base + offset, 1, value)
            if offset == u.LCR:
                is_latch_open = bool(value & u.LCR_DLAB)
        elif offset == u.MSR:
            pair.load(UART.base + u.MSR, 1, mask=0xF0)
        elif offset != u.RBR or is_latch_open or pair.load(UART.base + u.LSR, 1) & u.LSR_DR:
            pair.load(UART.base + offset, 1)


def test_uart_wide_loads(pair: Pair) -> None:
    for offset, size in ((0, 2), (2, 2), (4, 4), (0, 8)):
        pair.load(UART.base + offset, size)


def test_plic_registers_keep_the_same_bits(pair: Pair) -> None:
    choose = random.Random(1)
    words = [4 * source for source in (0, 1, 2, 31, 32, 95, 97, 500)]
    words += [PENDING_BASE, PENDING_BASE + 8]
    words += [CONTEXT_BASE + CONTEXT_STRIDE * context for context in (0, 1, 2, 50)]
    enables = [ENABLE_BASE + ENABLE_STRIDE * context + 4 * word for context in (0, 1, 2) for word in (0, 1, 2, 4, 31)]
    for _ in range(N_ACCESSES // 4):
        offset = choose.choice(words + enables)
        if choose.random() < 0.5:
            pair.store(PLIC.base + offset, 4, choose.randrange(1 << 32))
        else:
            pair.load(PLIC.base + offset, 4, mask=U64 - 1 if offset in enables else U64)  # QEMU keeps source 0's enable


def test_plic_claims_and_completes_the_uarts_interrupt(pair: Pair) -> None:
    assert UART.irq is not None
    bit = 1 << UART.irq
    claim = PLIC.base + CONTEXT_BASE + CONTEXT_STRIDE + CLAIM
    pair.store(PLIC.base + 4 * UART.irq, 4, 1)
    pair.store(PLIC.base + ENABLE_BASE + ENABLE_STRIDE, 4, bit)
    pair.store(UART.base + u.IER, 1, u.IER_THRE)
    assert pair.load(PLIC.base + PENDING_BASE, 4) == bit
    assert pair.load(claim, 4) == UART.irq
    assert pair.load(claim, 4) == 0
    assert pair.load(PLIC.base + PENDING_BASE, 4) == 0
    assert pair.load(UART.base + u.IIR, 1) == u.IIR_THRE
    pair.store(claim, 4, UART.irq)
    assert pair.load(claim, 4) == 0
    pair.store(UART.base + u.THR, 1, ord("x"))
    assert pair.load(claim, 4) == UART.irq


def test_aclint_registers_keep_the_same_bits(pair: Pair) -> None:
    choose = random.Random(2)
    base = ACLINT.base
    pair.store(base + MTIMECMP_BASE, 8, 0)  # QEMU resets it to 0, we to never: the specification leaves it open
    registers = [(0, 4), (4, 4), (0x3FFC, 4)]
    registers += [(MTIMECMP_BASE, 4), (MTIMECMP_BASE + 4, 4), (MTIMECMP_BASE, 8), (MTIMECMP_BASE + 8, 8)]
    for _ in range(N_ACCESSES // 4):
        offset, size = choose.choice(registers)
        if choose.random() < 0.5:
            pair.store(base + offset, size, choose.randrange(1 << 8 * size))
        else:
            pair.load(base + offset, size)


def test_mtime_can_be_set(pair: Pair) -> None:
    pair.store(ACLINT.base + MTIME, 8, 0x1_0000_0005)
    assert pair.load(ACLINT.base + MTIME, 8) == 0x1_0000_0005
    assert pair.load(ACLINT.base + MTIME + 4, 4) == 1


def test_finisher_reads_zero_and_ignores_unknown_words(pair: Pair) -> None:
    assert pair.load(TEST_FINISHER.base, 4) == 0
    pair.store(TEST_FINISHER.base, 4, 0x1234)
    pair.store(TEST_FINISHER.base + 4, 4, 0x5555)
    assert pair.load(TEST_FINISHER.base, 4) == 0
