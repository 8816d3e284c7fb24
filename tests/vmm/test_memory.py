"""Frames, guest memory, G-stage tables, and the digest of guest memory."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import Memory
from hartvisor.core.isa.paging import SV39X4
from hartvisor.core.vmm.csr_file import SSCRATCH
from hartvisor.core.vmm.digest import MemoryDigest, digest
from hartvisor.core.vmm.frames import FrameAllocator
from hartvisor.core.vmm.gstage import GStage
from hartvisor.core.vmm.guest_memory import GuestMemory
from hartvisor.core.vmm.techniques import TECHNIQUES

from .support import ENTRY, start

BASE = 0x8000_0000


@pytest.fixture
def memory() -> Memory:
    return Memory(32 << 12, base=BASE)


@pytest.fixture
def ram(memory: Memory) -> GuestMemory:
    return GuestMemory(memory, FrameAllocator(memory), BASE, 16 << 12)


def test_frames_come_zeroed_and_are_counted_by_owner(memory: Memory) -> None:
    frames = FrameAllocator(memory)
    first = frames.allocate("guest")
    memory.write(first, b"dirt")
    frames.free(first)
    assert frames.owners["guest"] == 0
    assert frames.allocate("shadow") == first
    assert memory.read(first, 4) == bytes(4)
    assert frames.owner(first + 5) == "shadow"


def test_frames_in_a_row_are_aligned_and_waste_nothing(memory: Memory) -> None:
    frames = FrameAllocator(memory)
    frames.allocate("guest")
    root = frames.allocate_contiguous("g-stage", 4)
    assert root % 0x4000 == 0
    assert frames.available == 32 - 5
    assert sorted(frames.allocate("guest") for _ in range(3)) == [BASE + n * 0x1000 for n in (1, 2, 3)]


def test_a_machine_without_frames_says_what_used_them_up(memory: Memory) -> None:
    frames = FrameAllocator(memory)
    for _ in range(32):
        frames.allocate("guest")
    with pytest.raises(ConfigError, match=r"used up.*guest"):
        frames.allocate("guest")
    with pytest.raises(KeyError):
        frames.free(0)


def test_guest_memory_is_allocated_when_it_is_needed(ram: GuestMemory) -> None:
    assert ram.read(BASE + 0x3000, 8) == bytes(8)
    assert ram.load_pte(BASE + 0x3000) == 0
    assert not ram.is_mapped(BASE + 0x3000 >> 12)
    ram.store(BASE + 0x3FFE, 4, 0x44332211)
    assert ram.load(BASE + 0x3FFE, 4) == 0x44332211
    assert ram.read(BASE + 0x3FFD, 6) == b"\0\x11\x22\x33\x44\0"
    assert ram.mapped() == {BASE + 0x3000 >> 12: BASE, BASE + 0x4000 >> 12: BASE + 0x1000}


def test_the_frame_map_has_an_inverse(ram: GuestMemory) -> None:
    hpa = ram.hpa(BASE + 0x5123)
    assert hpa != BASE + 0x5123
    assert ram.gpa(hpa) == BASE + 0x5123
    assert ram.gpa(hpa + 0x1000) is None


def test_the_end_of_ram(ram: GuestMemory) -> None:
    assert ram.contains(BASE + 0xFFFF)
    assert not ram.contains(BASE + 0xFFFF, 2)
    assert not ram.contains(BASE - 1)
    assert ram.load_pte(BASE + 0x10000) is None
    with pytest.raises(KeyError):
        ram.store(BASE + 0x10000, 1, 0)


def test_observers_hear_of_every_store_page_by_page(ram: GuestMemory) -> None:
    heard: list[tuple[int, int]] = []
    ram.observers.append(lambda gpa, size: heard.append((gpa, size)))
    ram.store(BASE + 8, 8, 1)
    ram.write(BASE + 0xFFC, b"12345678")
    assert heard == [(BASE + 8, 8), (BASE + 0xFFC, 4), (BASE + 0x1000, 4)]


def test_gstage_tables_are_in_machine_memory(memory: Memory) -> None:
    frames = FrameAllocator(memory)
    stage = GStage(memory, frames, 1 << 41)
    gpa, hpa = 3 << 39 | 0x4020_3000, BASE + 0x1F000
    stage.map(gpa, hpa)
    table = (stage.hgatp(1) & (1 << 44) - 1) << 12
    for level in (2, 1, 0):
        pte = memory.load(table + SV39X4.index(gpa, level) * 8, 8)
        assert pte & 1
        table = pte >> 10 << 12
    assert table == hpa
    assert pte & 0xFF == 0xDF
    assert frames.owners["g-stage"] == 4 + 2


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_digest_follows_stores_and_returns_with_the_contents(technique: str) -> None:
    vm = start("li t0, 0x80300000\n sd t0, 0(t0)\n sd zero, 0(t0)\n j .", technique)
    memory = MemoryDigest(vm)
    before = memory.update()
    vm.run(4)
    assert vm.ram.load(0x80300000, 8) == 0x80300000
    assert memory.update() != before
    vm.run(1)
    assert memory.update() == before


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_digest_sees_each_kind_of_state(technique: str) -> None:
    vm = start("j .", technique)
    digests = [digest(vm)]

    def changed() -> None:
        digests.append(digest(vm))
        assert len(set(digests)) == len(digests)

    vm.hart.write_gpr(5, 1)
    changed()
    vm.vcpus[0].csrs.write(SSCRATCH, 1)
    changed()
    vm.vcpus[0].reservation = ENTRY
    changed()
    vm.bus.store(0x1000_0007, 1, 5)
    changed()
    vm.console.type(b"x")
    changed()
    vm.write_memory(ENTRY + 0x1000, b"x")
    changed()
    vm.vcpus[0].deadline = 5
    changed()
    vm.run(1)
    changed()
