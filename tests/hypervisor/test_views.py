"""What is seen of a VM on a machine with others: shared, swapped and ballooned pages, and looking fetches none."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.hypervisor.memory_manager import MemoryManager
from hartvisor.core.vmm.hypervisor.tenant_memory import TenantMemory
from hartvisor.core.vmm.inspector import Inspection, Inspector
from hartvisor.core.vmm.views.memory import Space, view_memory
from hartvisor.core.vmm.views.search import search
from hartvisor.core.vmm.views.space import DIRTY, PageState, SpaceView, view_space
from hartvisor.core.vmm.views.walk import Follow, view_walk
from hartvisor.core.vmm.vm import Vm

from .support import DATA, TECHNIQUES, tenant_vm
from .test_moving_pages import shared_pair


def state(view: SpaceView, gfn: int) -> PageState:
    return PageState(view.pages[gfn - (view.base >> PAGE_SHIFT)] & ~DIRTY)


def facts(vm: Vm, ram: TenantMemory) -> tuple[object, ...]:
    """What looking must leave alone."""
    return ram.mapped(), ram.swapped, dict(ram.shared), ram.copies, ram.swap.reads, vm.exits, dict(vm.frames.owners)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_shared_swapped_and_ballooned_pages_have_their_letters(technique: str) -> None:
    _, vms, rams = shared_pair(technique)
    vm, ram = vms[0], rams[0]
    inspector = Inspector("tenant", vm)
    gfn = DATA >> PAGE_SHIFT
    private = DATA + 0x10_0000 >> PAGE_SHIFT
    vm.write_memory(private << PAGE_SHIFT, b"mine alone")
    ram.put_away(private)
    before = facts(vm, ram)
    inspection = Inspection([inspector])
    view = view_space(inspection)
    assert state(view, gfn) is PageState.SHARED
    assert view.counts[PageState.SHARED] == len(ram.shared)
    assert state(view, private) is PageState.SWAPPED and view.counts[PageState.SWAPPED] == 1
    walk = view_walk(inspection, Follow.ADDRESS, DATA, 1)
    assert walk.frame == ram.mapped()[gfn]
    assert view_walk(inspection, Follow.ADDRESS, private << PAGE_SHIFT).frame is None
    held = ram.page(private)
    row = view_memory(inspection, private << PAGE_SHIFT, 4, space=Space.PHYSICAL).rows[0]
    assert (row.data, row.hpa) == (held[:16], None)
    for _ in search(inspector, b"no such bytes", 0, is_physical=True):
        pass
    assert facts(vm, ram) == before


def test_ballooned_pages() -> None:
    balloon = VirtioBalloon()
    vm, _ = tenant_vm(MemoryManager(48 * MIB), "a", "j .", "shadow", devices=[balloon])
    balloon.pages = {DATA, DATA + PAGE_SIZE}
    view = view_space(Inspection([Inspector("a", vm)]))
    assert state(view, DATA >> PAGE_SHIFT) is PageState.BALLOONED
    assert view.counts[PageState.BALLOONED] == 2
