"""The board: its devices, their wires, and its saved state."""

from __future__ import annotations

import pytest

from hartvisor.core.devices import plic as p
from hartvisor.core.devices import uart16550 as u
from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.test_finisher import Finish, Outcome
from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import Memory
from hartvisor.core.machine.board import Board
from hartvisor.core.machine.interrupts import plic_controller
from hartvisor.core.machine.memory_map import MIN_MEMORY, PLIC, RAM_BASE, TEST_FINISHER, UART, VIRTIO, Region
from tests.devices.virtio.disk import Disk
from tests.devices.virtio.driver import Driver

S_CLAIM = PLIC.base + p.CONTEXT_BASE + p.CONTEXT_STRIDE + p.CLAIM


class Fixture:
    """A board whose S-mode output and finisher are watched."""

    def __init__(self) -> None:
        self.seip = False
        self.finished: list[Finish] = []
        self.memory = Memory(MIN_MEMORY, RAM_BASE)
        self.board = Board(plic_controller([None, self.set_seip]), ConsoleEnd(), self.finished.append, self.memory)

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


class Slot:
    """A virtio slot as a driver reaches it: over the bus."""

    def __init__(self, board: Board, region: Region) -> None:
        self.board, self.region = board, region

    def load(self, offset: int, size: int) -> int:
        value = self.board.bus.load(self.region.base + offset, size)
        assert value is not None
        return value

    def store(self, offset: int, size: int, value: int) -> None:
        assert self.board.bus.store(self.region.base + offset, size, value)


def test_a_disk_in_a_slot_is_driven_over_the_bus_and_interrupts() -> None:
    fixture = Fixture()
    bus = fixture.board.bus
    fixture.board.attach_virtio(3, VirtioBlock(MemoryDisk(1024)))
    assert VIRTIO[3].irq == 4
    bus.store(PLIC.base + 4 * 4, 4, 1)
    bus.store(PLIC.base + p.ENABLE_BASE + p.ENABLE_STRIDE, 4, 1 << 4)
    driver = Driver(Slot(fixture.board, VIRTIO[3]), fixture.memory, RAM_BASE)
    driver.start()
    disk = Disk(driver)
    disk.write(1, b"x" * 512)
    assert disk.read(0, 1024) == bytes(512) + b"x" * 512
    assert fixture.is_interrupted()
    assert bus.load(S_CLAIM, 4) == 4
    assert driver.acknowledge() == 1
    bus.store(S_CLAIM, 4, 4)
    assert not fixture.is_interrupted()


def test_a_slot_holds_one_device_and_there_are_eight() -> None:
    board = Fixture().board
    board.attach_all([None, VirtioBlock(MemoryDisk(512))])
    with pytest.raises(ConfigError, match="virtio slot 1 has a device already"):
        board.attach_virtio(1, VirtioBlock(MemoryDisk(512)))
    for slot in (-1, 8):
        with pytest.raises(ConfigError, match=f"virtio slot {slot}: the board has 8, from 0"):
            board.attach_virtio(slot, VirtioBlock(MemoryDisk(512)))
    assert [Slot(board, region).load(8, 4) for region in VIRTIO] == [0, 2, 0, 0, 0, 0, 0, 0]


def test_an_empty_slot_is_there_and_takes_nothing() -> None:
    slot = Slot(Fixture().board, VIRTIO[7])
    slot.store(0x70, 4, 1)
    assert [slot.load(offset, 4) for offset in (0, 4, 8, 12, 0x70, 0xFC, 0x100)] == [
        0x7472_6976, 2, 0, 0x554D_4551, 0, 0, 0
    ]


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
