"""Isolation, looked at where the hardware looks: each leaf of a VM's shadow or G-stage tables, in the machine's RAM,
must lead to a frame that is this VM's alone, or to a shared one without W; each pointer to one of its own tables."""

from __future__ import annotations

from collections.abc import Iterator

from hartvisor.core.isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_R, PTE_SIZE, PTE_V, PTE_W, PTE_X, ppn
from hartvisor.core.vmm.hypervisor.tenant_memory import TenantMemory
from hartvisor.core.vmm.techniques.shadow_paging import ShadowPaged
from hartvisor.core.vmm.techniques.two_stage import TwoStage
from hartvisor.core.vmm.vm import Vm

LEAF = PTE_R | PTE_W | PTE_X


def entries(vm: Vm, table: int, size: int = PAGE_SIZE) -> Iterator[int]:
    data = vm.ram.memory.read(table, size)
    for at in range(0, size, PTE_SIZE):
        pte = int.from_bytes(data[at : at + PTE_SIZE], "little")
        if pte & PTE_V:
            yield pte


def real_leaves(vm: Vm) -> list[tuple[int, bool]]:
    """(hpa, W) of every leaf that the VM's harts could use. Asserts that tables lead to tables of the VM's own."""
    technique = vm.vcpus[0].technique
    found = []
    if isinstance(technique, TwoStage):
        stage = technique.gstage
        tables = [(stage.root, stage.form.root_size, stage.form.levels - 1)]
        while tables:
            table, size, level = tables.pop()
            assert vm.frames.owner(table) == "g-stage"
            for pte in entries(vm, table, size):
                target = ppn(pte) << PAGE_SHIFT
                if level:
                    assert not pte & LEAF
                    tables.append((target, PAGE_SIZE, level - 1))
                else:
                    found.append((target, bool(pte & PTE_W)))
        return found
    assert isinstance(technique, ShadowPaged)
    own = {page.hpa for page in technique.pager.pages()}
    for page in technique.pager.pages():
        assert vm.frames.owner(page.hpa) == "shadow"
        for pte in entries(vm, page.hpa):
            target = ppn(pte) << PAGE_SHIFT
            if page.key.level and not pte & LEAF:
                assert target in own
            else:
                found.append((target, bool(pte & PTE_W)))
    return found


def check(*vms: Vm) -> int:
    """No VM reaches what is not its own; how many leaves there were to look at."""
    owned: dict[int, int] = {}
    count = 0
    for index, vm in enumerate(vms):
        ram = vm.ram
        assert isinstance(ram, TenantMemory)
        shared = set(ram.shared.values())
        for gfn, hpa in ram.mapped().items():
            assert ram.gpa(hpa) == gfn << PAGE_SHIFT
            if hpa not in shared:
                assert owned.setdefault(hpa, index) == index, f"frame {hpa:#x} is of two VMs"
                assert vm.frames.owner(hpa) == "guest"
        for hpa, is_writable in real_leaves(vm):
            count += 1
            assert (hpa in shared and not is_writable) or owned.get(hpa) == index, f"a leaf leads to {hpa:#x}"
    return count
