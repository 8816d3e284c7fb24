"""The board: its devices, their wires, and its saved state."""

from __future__ import annotations

import pytest

from hartvisor.core.devices import plic as p
from hartvisor.core.devices import uart16550 as u
from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.test_finisher import Finish, Outcome
from hartvisor.core.machine.board import Board
from hartvisor.core.machine.memory_map import PLIC, TEST_FINISHER, UART

S_CLAIM = PLIC.base + p.CONTEXT_BASE + p.CONTEXT_STRIDE + p.CLAIM


class Fixture:
    """A board whose S-mode output and finisher are watched."""

    def __init__(self) -> None:
        self.seip = False
        self.finished: list[Finish] = []
        self.board = Board([None, self.set_seip], ConsoleEnd(), self.finished.append)

    def set_seip(self, level: bool) -> None:
        self.seip = level

    def is_interrupted(self) -> bool:
        return self.seip

    def enable_uart_input(self) -> None:
        assert UART.irq is not None
        bus = self.board.bus
        bus.store(PLIC.base + 4 * UART.irq, 4, 1)
        bus.store(PLIC.base + p.ENABLE_BASE + p.ENABLE_STRIDE, 4, 1 << UART.irq)
        bus.store(UART.base + u.IER, 1, u.IER_RDA)


def test_a_typed_byte_interrupts_s_mode_through_the_plic() -> None:
    fixture = Fixture()
    fixture.enable_uart_input()
    assert not fixture.is_interrupted()
    fixture.board.console.type(b"x")
    assert fixture.is_interrupted()
    assert fixture.board.bus.load(S_CLAIM, 4) == UART.irq
    assert not fixture.is_interrupted()
    assert fixture.board.bus.load(UART.base, 1) == ord("x")
    fixture.board.bus.store(S_CLAIM, 4, 10)
    assert not fixture.is_interrupted()


def test_the_finisher_reports_to_the_boards_owner() -> None:
    fixture = Fixture()
    fixture.board.bus.store(TEST_FINISHER.base, 4, 0x5555)
    assert fixture.finished == [Finish(Outcome.PASS)]


def test_a_region_without_an_interrupt_has_no_line() -> None:
    with pytest.raises(ValueError, match=r"PLIC at .* has no interrupt"):
        Fixture().board.irq_line(PLIC)


def test_a_restored_board_has_its_lines_and_its_input_back() -> None:
    fixture, twin = Fixture(), Fixture()
    fixture.enable_uart_input()
    fixture.board.console.type(b"ab")
    twin.board.restore(fixture.board.save())
    assert twin.is_interrupted()
    assert twin.board.save() == fixture.board.save()
    assert twin.board.bus.load(UART.base, 1) == ord("a")


def test_saved_state_is_plain_and_does_not_change_afterwards() -> None:
    fixture = Fixture()
    before = fixture.board.save()
    assert all(isinstance(value, int | bytes) for state in before.values() for value in state.values())
    fixture.enable_uart_input()
    assert Fixture().board.save() == before != fixture.board.save()
