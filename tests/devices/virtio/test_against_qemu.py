"""Our slots and QEMU's get the same accesses and must give the same answers.

Left out is where we differ on purpose, and other tests say how: QEMU lets a driver set FEATURES_OK whatever it
accepted, takes any selector but 0 for 1, offers features that we do not have, moves ready queues, notices a bad ring
only when it uses it, and knows no base of shared memory (7.2).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.overlay import open_disk
from hartvisor.core.hart import Memory
from hartvisor.core.machine.board import Board
from hartvisor.core.machine.interrupts import plic_controller
from hartvisor.core.machine.memory_map import MIB, RAM_BASE, VIRTIO
from tests.oracles import require_oracle

from ..qemu_board import QemuBoard
from .disk import Disk
from .driver import Driver, Ring

SECTORS = 32
DEADLINE = 20.0  # seconds for QEMU to answer a request
#: What both have: SEG_MAX, BLK_SIZE, FLUSH, WRITE_ZEROES, INDIRECT_DESC, EVENT_IDX, VERSION_1.
COMMON = 1 << 2 | 1 << 6 | 1 << 9 | 1 << 14 | 1 << 28 | 1 << 29 | 1 << 32
#: Loads whose answers are compared, by offset.
PLAIN = (0x000, 0x004, 0x008, 0x00C, 0x030, 0x038, 0x044, 0x050, 0x060, 0x064, 0x070, 0x080, 0x0A4, 0x0B0, 0x0B4, 0x0FC,
          0x014, 0x028, 0x040, 0x0D0)


class Slot:
    """One slot of a board."""

    def __init__(self, board: QemuBoard | Board, number: int = 0) -> None:
        self._bus = board if isinstance(board, QemuBoard) else board.bus
        self._base = VIRTIO[number].base

    def load(self, offset: int, size: int) -> int:
        value = self._bus.load(self._base + offset, size)
        assert value is not None
        return value

    def store(self, offset: int, size: int, value: int) -> None:
        self._bus.store(self._base + offset, size, value)


class Boards:
    """Both boards, with equal disks in slot 0."""

    def __init__(self, qemu: QemuBoard, ours: Board, memory: Memory) -> None:
        self.memories = (memory, qemu)
        self.boards = (ours, qemu)

    def slots(self, number: int = 0) -> tuple[Slot, Slot]:
        return Slot(self.boards[0], number), Slot(self.boards[1], number)


@pytest.fixture
def boards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    program = require_oracle("qemu-system-riscv64")
    folder = tmp_path_factory.mktemp("q")
    for name in ("ours", "theirs"):
        (folder / name).write_bytes(random.Random(1).randbytes(SECTORS * 512))
    options = [
        *("-global", "virtio-mmio.force-legacy=false", "-device", "virtio-blk-device,drive=d,bus=virtio-mmio-bus.0"),
        *("-drive", f"if=none,id=d,format=raw,file={folder / 'theirs'}"),
    ]
    memory = Memory(4 * MIB, RAM_BASE)
    ours = Board(plic_controller([None, None]), ConsoleEnd(), lambda finish: None, memory)
    disk = open_disk(folder / "ours")
    ours.attach_virtio(0, VirtioBlock(disk))
    with QemuBoard(program, folder, options) as qemu:
        yield Boards(qemu, ours, memory)
    disk.close()


@pytest.mark.parametrize("number", [0, 5])
def test_registers_at_rest(boards: Boards, number: int) -> None:
    ours, theirs = boards.slots(number)
    for offset in PLAIN:
        assert ours.load(offset, 4) == theirs.load(offset, 4), f"{offset:#x}"
    for offset in (0, 4, 0x34):
        for size in (1, 2):
            assert ours.load(offset, size) == theirs.load(offset, size), f"{offset:#x} {size}"
    assert ours.load(0, 8) == theirs.load(0, 8)


def test_an_empty_slot_takes_nothing(boards: Boards) -> None:
    for slot in boards.slots(7):
        for offset in (0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x100):
            slot.store(offset, 4, 0xFFFF_FFFF)
        assert [slot.load(offset, 4) for offset in (0, 4, 8, 0x10, 0x34, 0x44, 0x70, 0x100, 0x1FC)] == [
            0x7472_6976, 2, 0, 0, 0, 0, 0, 0, 0
        ]


def test_capacity_and_what_lies_beyond_the_configuration(boards: Boards) -> None:
    ours, theirs = boards.slots()
    for offset, size in ((0x100, 8), (0x100, 4), (0x104, 4), (0x100, 1), (0x10C, 4), (0x114, 4), (0x1F0, 4), (0x1FF, 1),
                         (0x1FE, 2)):
        assert ours.load(offset, size) == theirs.load(offset, size), f"{offset:#x}"


def test_status_selectors_and_queue_registers_keep_the_same_bits(boards: Boards) -> None:
    choose = random.Random(4)
    slots = boards.slots()
    for _ in range(3000):
        offset = choose.choice([0x030, 0x044, 0x070, 0x064, 0x080, 0x084, 0x090, 0x0A0, 0x024, 0x014, 0x050])
        value = {
            0x030: choose.choice([0, 0, 1, 2, 900]),
            0x044: 0,
            0x070: choose.choice([0, 1, 3, 0x83, 0x80]),
            0x024: choose.randrange(2),
            0x014: choose.randrange(2),
        }.get(offset, choose.randrange(1 << 32))
        for slot in slots:
            slot.store(offset, 4, value)
        offset = choose.choice([0x044, 0x060, 0x070, 0x0FC])
        ours, theirs = (slot.load(offset, 4) for slot in slots)
        assert ours == theirs, f"{offset:#x} {value:#x}"


@pytest.mark.parametrize("is_indirect", [False, True])
def test_the_same_driver_does_the_same_with_both_disks(
    boards: Boards, monkeypatch: pytest.MonkeyPatch, is_indirect: bool
) -> None:
    """Requests good and bad: status, data and interrupt are the same; the bytes written too, where all went well."""

    def take_patiently(ring: Ring) -> list[tuple[int, int]]:
        give_up = time.monotonic() + DEADLINE
        while not (found := take(ring)) and time.monotonic() < give_up:
            time.sleep(0.002)
        return found

    take = Ring.take
    monkeypatch.setattr(Ring, "take", take_patiently)
    disks = []
    for slot, memory in zip(boards.slots(), boards.memories, strict=True):
        driver = Driver(slot, memory, RAM_BASE)
        assert driver.start(COMMON) == COMMON
        assert slot.load(0x044, 4) == 1
        disks.append(Disk(driver, is_indirect=is_indirect))
    content = random.Random(2).randbytes(2048)
    segment = (1).to_bytes(8, "little") + (2).to_bytes(4, "little") + bytes(4)
    requests: list[tuple[int, int, bytes, int]] = [
        (0, 3, b"", 1024), (1, 4, content, 0), (0, 0, b"", 8192), (4, 0, b"", 0), (0, SECTORS, b"", 512),
        (0, SECTORS - 1, b"", 1024), (1, SECTORS, content, 0), (1, 0, content[:100], 0), (0, 0, b"", 100),
        (13, 0, segment, 0), (0, 0, b"", 4096), (99, 0, b"", 0), (0, 1 << 60, b"", 512),
    ]
    for request in requests:
        kind, sector, data, room = request
        ours, theirs = (disk.request(kind, sector, data, room) for disk in disks)
        assert ours == theirs, request
        assert disks[0].peek(8192) == disks[1].peek(8192), request
        if ours == 0:
            assert disks[0].length == disks[1].length, request
        assert disks[0].driver.acknowledge() == disks[1].driver.acknowledge(), request
