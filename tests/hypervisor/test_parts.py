"""The small parts: the pool of frames, the swap file, victims, the log of a console."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import Memory
from hartvisor.core.isa.paging import PAGE_SIZE
from hartvisor.core.vmm.hypervisor.console_log import KEPT, ConsoleLog
from hartvisor.core.vmm.hypervisor.memory_manager import MemoryManager
from hartvisor.core.vmm.hypervisor.pool import LOW, ROOT, FramePool, OutOfFrames, VmFrames
from hartvisor.core.vmm.hypervisor.reclaim import VICTIM_POLICIES
from hartvisor.core.vmm.hypervisor.swap import SwapFile, SwapFull
from hartvisor.core.vmm.hypervisor.tenant_memory import TenantMemory

from .support import BUSY, DATA, tenant_vm

PAGE = bytes(range(256)) * 16


def test_a_pool_gives_each_frame_once_and_takes_it_back() -> None:
    pool = FramePool(Memory(16 << 20))
    total = pool.free
    assert total == pool.total == 4096
    frames = pool.take(1 << 20)
    assert len(frames) == len(set(frames)) == pool.total - 4 * ROOT // PAGE_SIZE
    roots = [pool.take_root() for _ in range(4)]
    assert all(root % ROOT == 0 for root in roots)
    assert pool.free == 0
    with pytest.raises(OutOfFrames, match="no room for the root tables"):
        pool.take_root()
    pool.give(frames)
    pool.give(root + part * PAGE_SIZE for part in range(4) for root in roots)
    assert pool.free == total
    assert sorted(pool.take_root() for _ in range(4)) == sorted(roots)


def test_a_stock_that_runs_low_is_told_of_once() -> None:
    pool = FramePool(Memory(16 << 20))
    frames = VmFrames(pool, Memory(bytes_of=pool.memory))
    told: list[int] = []
    frames.on_low = lambda: told.append(frames.stock)
    frames.refill(100)
    for _ in range(80):
        frames.allocate("guest")
    assert told == [LOW]
    frames.refill(200)
    assert (frames.stock, frames.held, frames.ran_low) == (200, 80, False)
    frames.refill(10)
    assert frames.stock == 10
    frames.give_all()
    assert pool.free == pool.total


def test_a_stock_that_is_used_up_asks_for_room() -> None:
    frames = VmFrames(FramePool(Memory(16 << 20)), Memory(16 << 20))
    with pytest.raises(OutOfFrames):
        frames.allocate("guest")


def test_pages_come_back_from_the_swap_file_as_they_were(tmp_path: Path) -> None:
    swap = SwapFile(3 * PAGE_SIZE, tmp_path)
    slots = [swap.write(bytes((number,)) * PAGE_SIZE) for number in range(3)]
    assert swap.used == 3
    with pytest.raises(SwapFull, match="full"):
        swap.write(PAGE)
    swap.free(slots[1])
    slots[1] = swap.write(PAGE)
    assert [swap.look(slot)[:2] for slot in slots] == [b"\0\0", PAGE[:2], b"\2\2"]
    assert list(tmp_path.iterdir()) == []
    swap.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_takes_no_page_is_a_full_swap_file(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    swap = SwapFile(8 * PAGE_SIZE)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(SwapFull, match=os.strerror(code)):
        swap.write(PAGE)
    monkeypatch.undo()
    assert swap.look(swap.write(PAGE)) == PAGE
    swap.close()


def test_a_swap_folder_that_is_not_there_is_a_full_swap_file() -> None:
    with pytest.raises(SwapFull, match="No such file"):
        SwapFile(PAGE_SIZE, Path("/nowhere")).write(PAGE)


def filled(victims: str) -> TenantMemory:
    """A VM's RAM with 100 pages that hold something."""
    _, ram = tenant_vm(MemoryManager(32 << 20, victims=victims), "vm", BUSY, "two-stage")
    for number in range(100):
        ram.store(DATA + number * PAGE_SIZE, 8, number + 1)
    return ram


def test_the_clock_spares_what_was_used_since_its_hand_passed() -> None:
    ram = filled("clock")
    first = DATA >> 12
    ram.reclaim(1)  # its hand has been round
    used = range(first + 10, first + 20)
    for gfn in used:
        ram.load(gfn << 12, 8)
    ram.reclaim(50)
    assert all(ram.is_own(gfn) for gfn in used)
    assert ram.swapped >= 50


@pytest.mark.parametrize("victims", VICTIM_POLICIES)
def test_the_same_pages_go_in_every_run(victims: str) -> None:
    gone = []
    for _ in range(2):
        ram = filled(victims)
        ram.reclaim(40)
        gone.append([gfn for gfn in range(DATA >> 12, (DATA >> 12) + 100) if not ram.is_own(gfn)])
    assert gone[0] == gone[1]
    assert len(gone[0]) >= 38


def test_a_console_keeps_its_last_words_and_a_file_all(tmp_path: Path) -> None:
    log = ConsoleLog(tmp_path / "console.log", "ready")
    heard = bytearray()
    log.listener = heard.extend
    log.write(b"rea")
    assert not log.is_ready
    log.write(b"dy, steady")
    assert log.is_ready
    assert log.since(0) == (13, b"ready, steady")
    assert log.since(6) == (13, b" steady")
    assert log.since(13) == (13, b"")
    for _ in range(5):
        log.write(b"x" * KEPT)
    end, kept = log.since(0)
    assert (end, len(kept)) == (13 + 5 * KEPT, KEPT)
    log.close()
    assert (tmp_path / "console.log").read_bytes() == bytes(heard)
    assert len(heard) == log.written


def test_a_console_s_file_that_cannot_be_is_said_and_one_on_a_full_disk_ends() -> None:
    with pytest.raises(ConfigError, match="No such file"):
        ConsoleLog(Path("/nowhere/console.log"))
    log = ConsoleLog(Path("/dev/full"))
    log.write(b"lost")
    log.write(b" and more")
    assert log.since(0) == (13, b"lost and more")
