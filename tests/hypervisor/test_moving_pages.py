"""Pages that go to the swap file, share frames and come back, whenever they like: the guest cannot tell, under any
technique. The oracle is the same guest on a machine of its own."""

from __future__ import annotations

from random import Random

import pytest

from hartvisor.core.hart import WATCH_LOADS, WATCH_STORES
from hartvisor.core.isa.paging import PAGE_SHIFT
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.hypervisor.memory_manager import MemoryManager
from hartvisor.core.vmm.hypervisor.tenant_memory import TenantMemory
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.vm import Vm
from tests.vmm.programs import program
from tests.vmm.support import start
from tests.vmm.test_smp import CONTEND, REMAP

from .audit import check
from .support import DATA, TECHNIQUES, TOUCH, tenant_vm


def run(vm: Vm, steps: int) -> None:
    """So many, though a stock runs low."""
    end = vm.steps + steps
    while vm.steps < end:
        if vm.run(end - vm.steps).reason not in (StopReason.BUDGET, StopReason.MEMORY):
            return


def stir(manager: MemoryManager, rams: list[TenantMemory], random: Random) -> None:
    """What a barrier may do, and more of it."""
    manager.sharing.settle(rams)
    for ram in rams:
        for gfn in random.sample(sorted(ram.mapped()), min(3, len(ram.mapped()))):
            if ram.is_own(gfn) and gfn not in ram.pinned():
                random.choice((ram.unmap, ram.put_away))(gfn)
    if random.random() < 0.5:
        for _ in range(3):
            manager.sharing.scan(rams, 1 << 20)


def run_in_company(technique: str, seed: int) -> tuple[MemoryManager, list[TenantMemory]]:
    """A random kernel twice on one machine whose pages move all the time, compared with itself alone."""
    image = program(seed, 150)
    alone = start(image, technique)
    manager = MemoryManager(48 * MIB, 16 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", image, technique) for index in range(2)]
    rams = [ram for _, ram in tenants]
    random = Random(seed)
    leaves = 0
    for stretch in range(60):
        steps = random.choice((1, 7, 60))
        run(alone, steps)
        for vm, _ in tenants:
            run(vm, steps)
        if stretch % 4 == 3:
            assert [digest(vm) for vm, _ in tenants] == [digest(alone)] * 2, f"step {alone.steps}"
        stir(manager, rams, random)
        leaves += check(*(vm for vm, _ in tenants))
    assert leaves > 0
    return manager, rams


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("seed", range(12))
def test_random_kernels_do_not_notice(technique: str, seed: int) -> None:
    manager, rams = run_in_company(technique, seed)
    assert sum(ram.swap.writes for ram in rams) > 0
    assert sum(ram.swap.reads for ram in rams) > 0
    assert manager.sharing.matches > 0
    assert sum(ram.copies for ram in rams) > 0


PAGES = 40


def shared_pair(technique: str) -> tuple[MemoryManager, list[Vm], list[TenantMemory]]:
    """Two VMs with 40 pages that hold the same, shared as far as they can be."""
    text = TOUCH.format(first=DATA, pages=PAGES, value=7)
    manager = MemoryManager(48 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", text, technique) for index in range(2)]
    rams = [ram for _, ram in tenants]
    for vm, _ in tenants:
        run(vm, 10_000)
    for _ in range(3):
        manager.sharing.settle(rams)
        manager.sharing.scan(rams, 1 << 20)
    return manager, [vm for vm, _ in tenants], rams


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_sharing_saves_what_it_reports(technique: str) -> None:
    text = TOUCH.format(first=DATA, pages=PAGES, value=7)
    manager, vms, rams = shared_pair(technique)
    saved = manager.sharing.pages_saved
    assert saved >= PAGES
    free = manager.pool.free + sum(ram._stock.stock for ram in rams)
    apart = MemoryManager(48 * MIB, is_sharing=False)
    others = [tenant_vm(apart, f"vm{index}", text, technique) for index in range(2)]
    for vm, _ in others:
        run(vm, 10_000)
    used_apart = sum(len(ram.mapped()) for _, ram in others)
    used = sum(ram._stock.owners["guest"] for ram in rams) + len({hpa for ram in rams for hpa in ram.shared.values()})
    assert used_apart - used == saved + manager.sharing.zeros
    assert free > apart.pool.free + sum(ram._stock.stock for _, ram in others)
    assert [digest(vm) for vm in vms] == [digest(vm) for vm, _ in others]


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_store_reaches_one_vm_alone_whoever_stores(technique: str) -> None:
    """The guest, a device, an emulated instruction, and a debugger."""
    manager, (one, other), (ram, other_ram) = shared_pair(technique)
    before = digest(other)
    gfn = DATA >> PAGE_SHIFT
    assert ram.is_shared(gfn)
    assert other_ram.is_shared(gfn)
    one.write_memory(DATA + 16, b"mine")
    assert ram.read(DATA + 16, 4) == b"mine"
    assert other_ram.read(DATA + 16, 4) == bytes(4)
    for hart in one.harts:  # the guest itself, at its loop: store again
        hart.pc -= 4
        hart.write_gpr(9, DATA + 0x1000)
    one.harts[0].write_gpr(18, 4)
    one.harts[0].write_gpr(19, 8)
    one.harts[0].pc -= 16
    run(one, 16)
    assert ram.load(DATA + 0x1000, 8) == 8
    assert other_ram.load(DATA + 0x1000, 8) == 7
    assert check(one, other) > 0
    manager.sharing.settle([ram, other_ram])
    assert check(one, other) > 0
    assert not other_ram.is_shared(gfn)
    assert digest(other) == before


RESERVED = f"""
    li s1, {DATA}
    li s3, 7
    sd s3, 0(s1)
    li t0, 200
wait: addi t0, t0, -1
    bnez t0, wait
    lr.d s4, (s1)
    nop
    nop
    sc.d s5, s3, (s1)
    lr.d s4, (s1)
    sd s3, 64(s1)
    sc.d s6, s3, (s1)
    j .
"""


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_reservation_moves_with_its_page(technique: str) -> None:
    """LR in a shared page, and then a store of its own, which copies it: SC succeeds all the same."""
    manager = MemoryManager(48 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", RESERVED, technique) for index in range(2)]
    alone = start(RESERVED, technique)
    rams = [ram for _, ram in tenants]
    for vm, _ in tenants:
        run(vm, 100)
    for _ in range(3):
        manager.sharing.scan(rams, 1 << 20)
    assert all(ram.is_shared(DATA >> PAGE_SHIFT) for ram in rams)
    run(alone, 600)
    vm, ram = tenants[0]
    while vm.steps < 600:
        run(vm, 1)
        pinned = ram.pinned()
        for gfn in list(ram.mapped()):
            if ram.is_own(gfn) and gfn not in pinned:
                ram.put_away(gfn)
    assert digest(vm) == digest(alone)
    assert (vm.hart.read_gpr(21), vm.hart.read_gpr(22)) == (0, 0)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_watched_page_stays(technique: str) -> None:
    _manager, (one, _), (ram, _) = shared_pair(technique)
    one.watchpoints = ((DATA + 0x2000, 8, WATCH_LOADS | WATCH_STORES),)
    assert DATA + 0x2000 >> PAGE_SHIFT in ram.pinned()
    one.write_memory(DATA + 0x2000, b"x")
    assert one.run(10).reason is StopReason.WATCHPOINT
    ram.reclaim(1 << 20)
    assert ram.is_own(DATA + 0x2000 >> PAGE_SHIFT)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_snapshots_have_the_pages_that_were_put_away(technique: str) -> None:
    text = TOUCH.format(first=DATA, pages=PAGES, value=7)
    vm, ram = tenant_vm(MemoryManager(32 * MIB), "vm", text, technique)
    run(vm, 60)
    snapshots = Snapshots(vm)
    before = snapshots.take()
    run(vm, 1000)
    expected = digest(vm)
    ram.reclaim(1 << 20)
    assert ram.swapped > 5
    after = snapshots.take()
    snapshots.restore(before)
    run(vm, 1000)
    assert digest(vm) == expected
    snapshots.restore(after)
    assert digest(vm) == expected


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(("text", "steps"), [(CONTEND, 150_000), (REMAP, 40_000)], ids=["contend", "remap"])
def test_vcpus_that_share_memory_do_not_notice(technique: str, text: str, steps: int) -> None:
    """LR and SC of four vCPUs on one word, and tables changed behind another's back, on pages that move meanwhile."""
    vcpus = 4 if text is CONTEND else 2
    alone = start(text, technique, vcpus=vcpus)
    manager = MemoryManager(48 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", text, technique, vcpus=vcpus) for index in range(2)]
    random = Random(technique)
    while alone.steps < steps:
        stride = random.choice((1, 3, 11, 300, 1500))
        run(alone, stride)
        for vm, _ in tenants:
            run(vm, stride)
        stir(manager, [ram for _, ram in tenants], random)
        if alone.is_off:
            break
        if random.random() < 0.1:
            assert [digest(vm) for vm, _ in tenants] == [digest(alone)] * 2, f"step {alone.steps}"
    assert [digest(vm) for vm, _ in tenants] == [digest(alone)] * 2
    assert check(*(vm for vm, _ in tenants)) > 0


@pytest.mark.parametrize("technique", ["shadow", "deprivileged"])
@pytest.mark.parametrize("seed", range(200, 204))
def test_fenced_kernels_under_the_flush_policy_do_not_notice(technique: str, seed: int) -> None:
    image = program(seed, 150, is_fenced=True)
    alone = start(image, technique, policy="flush")
    manager = MemoryManager(48 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", image, technique, policy="flush") for index in range(2)]
    random = Random(seed)
    for _ in range(60):
        for vm in (alone, *(vm for vm, _ in tenants)):
            run(vm, 23)
        stir(manager, [ram for _, ram in tenants], random)
    assert [digest(vm) for vm, _ in tenants] == [digest(alone)] * 2


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_hart_that_keeps_stale_translations_is_fenced(technique: str) -> None:
    text = TOUCH.format(first=DATA, pages=PAGES, value=7).replace("j .", f"li s1, {DATA}\nli s2, {PAGES}\nj again")
    alone = start(text, technique, tlb="stale")
    manager = MemoryManager(48 * MIB)
    tenants = [tenant_vm(manager, f"vm{index}", text, technique, tlb="stale") for index in range(2)]
    random = Random(1)
    for _ in range(100):
        for vm in (alone, *(vm for vm, _ in tenants)):
            run(vm, 61)
        stir(manager, [ram for _, ram in tenants], random)
    assert manager.sharing.matches > 10
    assert [digest(vm) for vm, _ in tenants] == [digest(alone)] * 2
