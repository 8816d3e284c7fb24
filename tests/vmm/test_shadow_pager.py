"""Shadow tables: present entries agree with the guest's tables and the frame map at every stop, and say so in machine
RAM."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.paging import PTE_PPN_SHIFT, PTE_V, PTE_W, make_pte
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.shadow_pager import OWNER, ShadowPager
from hartvisor.core.vmm.shadow_pages import PagerStats, ShadowPage, deprivileged_role
from hartvisor.core.vmm.techniques.shadow_paging import ShadowPaged
from hartvisor.core.vmm.vm import Vm
from hartvisor.core.vmm.walker import FETCH, LOAD, STORE, walk
from hartvisor.guest import image

from .programs import program
from .support import start

PPN = (1 << 44) - 1
SHADOWED = ("deprivileged", "shadow")


def pager_of(vm: Vm) -> ShadowPager:
    technique = vm.vcpus[0].technique
    assert isinstance(technique, ShadowPaged)
    return technique.pager


def stats_of(vm: Vm) -> PagerStats:
    stats = vm.vcpus[0].technique.pager_stats
    assert stats is not None
    return stats


def assert_exact(vm: Vm) -> None:
    """Every shadow page in machine RAM holds what the pager believes, and that is what the guest's tables say now."""
    pager = pager_of(vm)
    pages = pager.pages()
    assert vm.frames.owners[OWNER] == len(pages)
    for page in pages:
        entries = memoryview(vm.hart.memory.read(page.hpa, 4096)).cast("Q")
        present = {index for index in range(512) if entries[index]}
        assert present == page.leaves.keys() | page.children.keys()
        for index, gfn in page.leaves.items():
            bits = leaf_bits(vm, page, index, gfn)
            if pager.is_guarded(gfn):
                bits &= ~PTE_W
            assert entries[index] in (make_pte(vm.ram.frame(gfn), bits), make_pte(vm.ram.frame(gfn), bits & ~PTE_W))
        for index, child in page.children.items():
            assert (page, index) in child.parents
            assert entries[index] == make_pte(child.hpa, PTE_V)
            assert_child(vm, page, index, child)


def leaf_bits(vm: Vm, page: ShadowPage, index: int, gfn: int) -> int:
    """The flags that the guest's tables give the leaf now, after checking that it is this frame they map."""
    key = page.key
    assert key.level == 0
    if key.role is None:
        assert gfn == key.gfn + index
        return key.bits
    pte = vm.ram.load_pte((key.gfn << 12) + 8 * index)
    assert pte is not None
    assert pte >> PTE_PPN_SHIFT & PPN == gfn
    assert pte & PTE_V
    return key.role.leaf_bits(pte & 0xDF & ~PTE_V, False)


def assert_child(vm: Vm, page: ShadowPage, index: int, child: ShadowPage) -> None:
    key = page.key
    assert child.key.level == key.level - 1
    if key.role is None:
        assert child.key.gfn == key.gfn + (index << 9 * key.level)
        return
    pte = vm.ram.load_pte((key.gfn << 12) + 8 * index)
    assert pte is not None
    ppn = pte >> PTE_PPN_SHIFT & PPN
    assert child.key.gfn == ppn
    is_pointer = pte & 0xF == PTE_V
    assert (child.key.role == key.role) if is_pointer else (child.key.role is None)


@pytest.mark.parametrize("technique", SHADOWED)
@pytest.mark.parametrize("seed", range(6))
def test_shadow_tables_are_exact_at_every_stop_though_the_guest_never_fences(technique: str, seed: int) -> None:
    vm = start(program(seed), technique, typed=b"typed" * 30)
    for _ in range(120):
        vm.run(11)
        assert_exact(vm)


@pytest.mark.parametrize("technique", SHADOWED)
def test_churning_page_tables(technique: str) -> None:
    vm = start(load_image(image("churn")), technique)
    for _ in range(40):
        vm.run(5003)
        assert_exact(vm)
    assert stats_of(vm).pt_writes
    assert stats_of(vm).zaps


EDIT = """
    li s0, 0x80300000
    li t0, 0x200000cf
    sd t0, 16(s0)
    li t0, 0x200c0401
    sd t0, 8(s0)
    li t1, 0x80301000
    li t0, 0x200c0801
    sd t0, 0(t1)
    li s1, 0x80302000
    li t0, 0x200c4c47       # 0x80313000, not dirty yet
    sd t0, 0(s1)
    li t0, {satp}
    csrw satp, t0
    li s2, 0x40000000
    ld a0, 0(s2)
    li t0, 0x200c5047       # 0x80314000
    sd t0, 0(s1)
    ld a1, 0(s2)
{more}
    j .
"""


def edit(technique: str, more: str = "", policy: str = "cached") -> Vm:
    vm = start(EDIT.format(satp=hex(8 << 60 | 0x80300), more=more), technique, policy=policy)
    vm.ram.store(0x80313000, 8, 111)
    vm.ram.store(0x80314000, 8, 222)
    vm.run(150)
    return vm


@pytest.mark.parametrize("technique", SHADOWED)
def test_a_store_to_a_table_takes_effect_at_once(technique: str) -> None:
    vm = edit(technique)
    assert (vm.hart.read_gpr(10), vm.hart.read_gpr(11)) == (111, 222)
    assert vm.vcpus[0].exits[ExitReason.PT_WRITE] == 1
    assert stats_of(vm).zaps == 1


@pytest.mark.parametrize("technique", SHADOWED)
def test_where_a_device_is_said_to_be_holds_until_the_tables_change_and_no_longer(technique: str) -> None:
    mapped = "li t0, 0x40000c7\n sd t0, 0(s1)\n"       # the UART's page: V, R, W, A, D
    moved = "li t0, 0x200c50c7\n sd t0, 0(s1)\n"       # back to 0x80314000
    read_only = "li t0, 0x40000c3\n sd t0, 0(s1)\n"
    users = "li t0, 0x40000d7\n sd t0, 0(s1)\n"
    vm = edit(technique, mapped + "lbu a2, 5(s2)\n lbu a3, 5(s2)\n sb zero, 7(s2)\n sb zero, 7(s2)\n"
              + moved + "ld a4, 0(s2)\n" + mapped + "lbu a5, 5(s2)\n" + read_only + "lbu a6, 5(s2)\n"
              "la t0, over\n csrw stvec, t0\n sb zero, 7(s2)\n j .\n .align 2\nover: csrr s3, scause\n"
              + users + "la t0, end\n csrw stvec, t0\n lbu a7, 5(s2)\n j .\n .align 2\nend: csrr s4, scause\n")
    idle = vm.hart.read_gpr(12)
    assert idle and [vm.hart.read_gpr(number) for number in (13, 15, 16)] == [idle] * 3
    assert vm.hart.read_gpr(14) == 222
    assert (vm.hart.read_gpr(19), vm.hart.read_gpr(20)) == (15, 13)
    assert vm.vcpus[0].exits[ExitReason.MMIO_LOAD] == 4
    assert vm.vcpus[0].exits[ExitReason.MMIO_STORE] == 2
    assert_exact(vm)


@pytest.mark.parametrize("technique", SHADOWED)
def test_the_flush_policy_guards_nothing_and_drops_all_at_a_fence(technique: str) -> None:
    vm = edit(technique, "sfence.vma\n ld a2, 0(s2)", policy="flush")
    assert (vm.hart.read_gpr(10), vm.hart.read_gpr(12)) == (111, 222)
    assert vm.vcpus[0].exits[ExitReason.PT_WRITE] == 0
    assert stats_of(vm).flushes == 2  # satp, and the fence


@pytest.mark.parametrize("technique", SHADOWED)
def test_a_table_that_is_only_written_to_is_let_go(technique: str) -> None:
    vm = edit(technique, "\n".join(f"sd zero, {8 * index}(s1)" for index in range(16, 32)))
    assert stats_of(vm).unguarded >= 1
    assert vm.vcpus[0].exits[ExitReason.PT_WRITE] < 8
    assert_exact(vm)


def test_stores_from_outside_the_guest_take_effect_at_once() -> None:
    vm = edit("shadow", "nop\n" * 8 + "ld a2, 0(s2)")
    pager = pager_of(vm)
    vm.write_memory(0x80302000, (0x80313000 >> 2 | 0x47).to_bytes(8, "little"))
    assert_exact(vm)
    assert not any(0x80314 in page.leaves.values() for page in pager.pages() if page.key.role is not None)


@pytest.mark.parametrize("technique", SHADOWED)
def test_a_small_pool_of_shadow_pages_only_costs_time(technique: str) -> None:
    small, large = (start(load_image(image("churn")), technique) for _ in range(2))
    pager_of(small)._max_pages = 12
    small.run(120_000)
    large.run(120_000)
    assert small.vcpus[0].save() == large.vcpus[0].save()
    assert stats_of(small).flushes > stats_of(large).flushes
    assert len(pager_of(small).pages()) <= 12


def test_role_bits_allow_exactly_what_the_walk_allows() -> None:
    """A deprivileged role turns each guest leaf into the real user-mode leaf that permits the same accesses."""
    gpa = 0x8000_0000
    for flags in range(256):
        for is_user in (False, True):
            for sum_ in (False, True):
                for mxr in (False, True):
                    pte = gpa >> 2 | flags
                    allowed = [
                        walk(lambda at, pte=pte: pte, 8 << 60, gpa, access, is_user, sum_, mxr).cause is None  # type: ignore[misc]
                        for access in (FETCH, LOAD, STORE)]
                    if flags & 0xF in (0, 1) or not any(allowed):
                        continue
                    bits = deprivileged_role(is_user, sum_, mxr).leaf_bits(flags & ~PTE_V, False)
                    real = [
                        walk(lambda at, bits=bits: gpa >> 2 | bits, 8 << 60, gpa, access, True).cause is None  # type: ignore[misc]
                        for access in (FETCH, LOAD, STORE)]
                    assert real == allowed, (flags, is_user, sum_, mxr)


ROOT, MIDDLE, LEAVES, DATA = (0x8030_0000 + 0x1000 * i for i in range(4))
RWXAD = 0xCF
_TOUCH = f"""
    li t0, {ROOT + 16:#x}
    li t1, {0x8000_0000 >> 2 | RWXAD:#x}
    sd t1, 0(t0)
    li t0, {ROOT + 8:#x}
    li t1, {MIDDLE >> 2 | 1:#x}
    sd t1, 0(t0)
    li t0, {MIDDLE:#x}
    li t1, {LEAVES >> 2 | 1:#x}
    sd t1, 0(t0)
    li t0, {LEAVES:#x}
    li t1, {DATA >> 2 | RWXAD:#x}
    sd t1, 0(t0)
    sd t1, 8(t0)
    sd t1, 16(t0)
    li t0, {8 << 60 | ROOT >> 12:#x}
    csrw satp, t0
    li t2, 0x40000000
    ld s2, 0(t2)            # from the root: nothing is known of its tables yet
    li t2, 0x40001000
    ld s3, 0(t2)            # the last table is known
    li t0, {MIDDLE:#x}      # and known no more
    li t1, {DATA >> 2 | 1:#x}
    sd t1, 0(t0)
    li t2, 0x40002000
    ld s4, 0(t2)
    j .
"""


@pytest.mark.parametrize("technique", SHADOWED)
def test_a_walk_begins_at_the_last_guarded_table_while_it_stands(technique: str) -> None:
    vm = start(_TOUCH, technique)
    reads = []
    for load in (0x0003_B903, 0x0003_B983, 0x0003_BA03):  # ld s2, ld s3, ld s4
        vm.hart.breakpoints = [gpa for gpa in range(0x8020_0000, 0x8020_0200, 2) if vm.ram.load(gpa, 4) == load]
        while stats_of(vm).fills == 0 or vm.hart.pc not in vm.hart.breakpoints:
            assert vm.run(1000).reason.value == "breakpoint"
        before = stats_of(vm).guest_reads
        vm.run(1)
        reads.append(stats_of(vm).guest_reads - before)
    assert reads[:2] == [3, 1]
    assert vm.vcpus[0].walk(0x4000_2000, LOAD).cause == 13, "the table that it leads to now is empty"
    assert reads[2] == 0
