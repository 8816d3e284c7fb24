"""Memory: what loader, devices and hypervisor store, and what the hart must not keep of what it replaced."""

from __future__ import annotations

import gc

import pytest

from hartvisor.core.hart import Hart, Memory
from hartvisor.core.isa.assembler import assemble

from .bench import CODE, DATA, RAM, Bench


def test_memory_starts_as_zeros() -> None:
    assert Memory(8192).read(RAM, 8192) == bytes(8192)


def test_bytes_are_little_endian_and_need_no_alignment() -> None:
    memory = Memory(8192)
    memory.store(RAM + 4093, 8, 0x0102030405060708)
    assert memory.read(RAM + 4093, 8) == bytes.fromhex("0807060504030201")
    assert [memory.load(RAM + 4093, size) for size in (1, 2, 4, 8)] == [8, 0x0708, 0x05060708, 0x0102030405060708]


@pytest.mark.parametrize(
    ("address", "size"), [(RAM - 1, 1), (RAM + 8185, 8), (RAM + 8192, 1), (0, 8), (1 << 63, 8), (-1, 1)]
)
def test_what_lies_outside_is_a_value_error(address: int, size: int) -> None:
    memory = Memory(8192)
    for access in (
        lambda: memory.load(address, size),
        lambda: memory.store(address, size, 0),
        lambda: memory.read(address, size),
        lambda: memory.write(address, bytes(size)),
        lambda: memory.fill_zero(address, size),
    ):
        with pytest.raises(ValueError, match="outside RAM"):
            access()
    assert not memory.contains(address, size)


def test_a_page_is_seen_without_a_copy() -> None:
    memory = Memory(8192)
    page = memory.page(RAM + 5000)
    memory.store(RAM + 4096, 1, 7)
    assert (len(page), page[0], page.readonly) == (4096, 7, True)


class TestDirtyFrames:
    """take_dirty names the frames stored to since it was last asked, and no others."""

    def test_python_stores_count(self) -> None:
        memory = Memory(1 << 16)
        memory.write(RAM + 0x1FFF, b"ab")
        memory.store(RAM + 0x5000, 8, 1)
        memory.fill_zero(RAM + 0x7000, 1)
        assert memory.take_dirty(RAM, 1 << 16) == [RAM + frame * 0x1000 for frame in (1, 2, 5, 7)]
        assert memory.take_dirty(RAM, 1 << 16) == []

    def test_only_the_range_asked_for_is_told_and_cleared(self) -> None:
        memory = Memory(1 << 16)
        memory.write(RAM, bytes(0x4000))
        assert memory.take_dirty(RAM + 0x1000, 0x2000) == [RAM + 0x1000, RAM + 0x2000]
        assert memory.take_dirty(RAM, 1 << 16) == [RAM, RAM + 0x3000]

    def test_each_store_of_a_hart_counts_again(self) -> None:
        bench = Bench("1: sd x5, (x6)\namoadd.d x0, x5, (x7)\nj 1b")
        bench.set(x6=DATA, x7=DATA + 0x3000)
        for _ in range(3):
            bench.memory.take_dirty(RAM, bench.memory.size)
            bench.hart.run(3)
            assert bench.memory.take_dirty(RAM, bench.memory.size) == [DATA, DATA + 0x3000]

    def test_loads_and_fetches_do_not_count(self) -> None:
        bench = Bench("1: ld x5, (x6)\nlr.d x5, (x6)\nj 1b")
        bench.set(x6=DATA)
        bench.memory.take_dirty(RAM, bench.memory.size)
        bench.hart.run(10)
        assert bench.memory.take_dirty(RAM, bench.memory.size) == []

    def test_a_store_after_a_load_of_the_frame_counts(self) -> None:
        bench = Bench("ld x5, (x6)\nsd x5, (x6)")
        bench.set(x6=DATA)
        bench.memory.take_dirty(RAM, bench.memory.size)
        bench.hart.run(2)
        assert bench.memory.take_dirty(RAM, bench.memory.size) == [DATA]


def test_code_that_python_replaces_runs_as_replaced() -> None:
    bench = Bench("1: addi x5, x5, 1\nj 1b")
    bench.hart.run(10)
    bench.memory.write(CODE, assemble("addi x6, x6, 1").code)
    bench.hart.run(10)
    assert (bench.x(5), bench.x(6)) == (5, 5)


def test_a_hart_that_the_collector_frees_leaves_its_memory() -> None:
    class Owner:
        """One end of a reference cycle that takes the hart with it."""

    memory = Memory(8192)
    for _ in range(200):
        hart = Hart(memory)
        owner = Owner()
        owner.__dict__.update(hart=hart, owner=owner)
        del hart, owner
        gc.collect(0)
    memory.store(RAM, 8, 1)


def test_two_memories_can_have_the_same_bytes_and_marks_of_their_own() -> None:
    machine = Memory(16384)
    one, other = Memory(bytes_of=machine), Memory(bytes_of=machine)
    assert (one.base, one.size) == (machine.base, machine.size)
    one.store(RAM + 8, 8, 7)
    assert (machine.load(RAM + 8, 8), other.load(RAM + 8, 8)) == (7, 7)
    assert (one.take_dirty(RAM, 16384), other.take_dirty(RAM, 16384)) == ([RAM], [])
    assert (one.dirty_logs(RAM), one.dirty_logs(RAM + 4096), other.dirty_logs(RAM)) == (0xFE, 0, 0)
    other.changed(RAM, 4096)
    assert other.take_dirty(RAM, 16384) == [RAM]


def test_the_bytes_outlive_the_memory_that_had_them_first() -> None:
    machine = Memory(8192)
    view = Memory(bytes_of=Memory(bytes_of=machine))
    del machine
    gc.collect()
    view.store(RAM, 8, 5)
    assert view.load(RAM, 8) == 5


def test_code_that_another_memory_changed_is_decoded_anew_once_it_is_told() -> None:
    machine = Memory(8192)
    view = Memory(bytes_of=machine)
    hart = Hart(view)
    machine.write(RAM, assemble("li a0, 1\nj .").code)
    hart.pc = RAM
    hart.run(4)
    assert hart.read_gpr(10) == 1
    machine.write(RAM, assemble("li a0, 2\nj .").code)
    view.changed(RAM, 8)
    hart.pc = RAM
    hart.run(4)
    assert hart.read_gpr(10) == 2
