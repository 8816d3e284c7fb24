"""Lab 6's two predictions."""

from __future__ import annotations

from math import gcd

from ...core.hart import Memory
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.hypervisor.pool import FramePool, VmFrames
from ...core.vmm.hypervisor.reclaim import Clock
from ...core.vmm.hypervisor.scheduler import Stride
from ...core.vmm.hypervisor.sharing import PageSharing
from ...core.vmm.hypervisor.swap import SwapFile
from ...core.vmm.hypervisor.tenant_memory import TenantMemory
from ..lab import random_for

SIZE = 1 << 20


def _shares(seed: int) -> tuple[list[int], int, int]:
    random = random_for(6, "shares", seed)
    shares = [100 * random.randrange(1, 8) for _ in range(3)]
    rounds = random.randrange(3, 12)
    return shares, rounds * sum(shares) // gcd(*shares), random.randrange(3)


def ask_quanta(seed: int) -> str:
    """Quanta of one VM."""
    shares, quanta, asked = _shares(seed)
    return (f"VMs 0, 1 and 2 never rest, and have {shares[0]}, {shares[1]} and {shares[2]} shares. A stride scheduler\n"
            f"deals out {quanta} quanta. How many of them has VM {asked}?")


def quanta(seed: int) -> int:
    """By dealing them out."""
    shares, count, asked = _shares(seed)
    stride = Stride()
    for client, weight in enumerate(shares):
        stride.add(client, weight)
        stride.wake(client)
    had = [0, 0, 0]
    for _ in range(count):
        chosen = stride.pick_next([0, 1, 2])
        stride.charge(chosen, 1000)
        had[chosen] += 1
    return had[asked]


def _pages(seed: int) -> tuple[int, int, int]:
    random = random_for(6, "pages", seed)
    return random.randrange(3, 6), random.randrange(20, 60), random.randrange(2, 12)


def ask_frames(seed: int) -> str:
    """Frames of VMs that are nearly the same."""
    vms, pages, changed = _pages(seed)
    return (f"{vms} VMs have {pages} pages each, all different within a VM, and the same in all of them. They are\n"
            f"shared. Then each VM stores to {changed} of its pages something that no other page holds. How many\n"
            "frames do their pages take together?")


def frames(seed: int) -> int:
    """By the shipped sharing: two scans, stores, and what remains."""
    vms, pages, changed = _pages(seed)
    memory = Memory(16 << 20, RAM_BASE)
    pool = FramePool(memory)
    sharing = PageSharing(pool)
    rams = []
    for vm in range(vms):
        own = VmFrames(pool, Memory(bytes_of=memory))
        own.refill(200)
        ram = TenantMemory(own, RAM_BASE, SIZE, SwapFile(SIZE), Clock(str(vm)))
        for page in range(pages):
            ram.store(RAM_BASE + 4096 * page, 8, 1 + page)
        rams.append(ram)
    for _ in range(2):
        sharing.scan(rams, pages)
    for vm, ram in enumerate(rams):
        for page in range(changed):
            ram.store(RAM_BASE + 4096 * page, 8, 1000 * (vm + 1) + page)
    sharing.settle(rams)
    return len({ram.frame_now((RAM_BASE >> 12) + page) for ram in rams for page in range(pages)})
