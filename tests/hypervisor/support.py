"""What the tests of many VMs share: small guests, and VMs of a machine's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.machine.loader import Image
from hartvisor.core.machine.memory_map import MIB, RAM_BASE
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.hypervisor.entitlement import Entitlement
from hartvisor.core.vmm.hypervisor.hypervisor import Hypervisor, MachineConfig
from hartvisor.core.vmm.hypervisor.memory_manager import MemoryManager
from hartvisor.core.vmm.hypervisor.runner import Runner
from hartvisor.core.vmm.hypervisor.tenant import Tenant, TenantConfig
from hartvisor.core.vmm.hypervisor.tenant_memory import TenantMemory
from hartvisor.core.vmm.vm import Vm
from tests.vmm.support import guest

TECHNIQUES = ("two-stage", "shadow", "deprivileged")

BUSY = "again: addi s0, s0, 1\nj again"
"""Never sleeps."""

TICKS = """
    la t0, woken
    csrw stvec, t0
    li t0, 32
    csrw sie, t0
    csrsi sstatus, 2
again:
    rdtime a0
    li t0, {period}
    add a0, a0, t0
    li a6, 0
    li a7, 0x54494d45
    ecall
    wfi
    j again
    .align 2
woken:
    addi s0, s0, 1
    li a0, -1
    li a6, 0
    li a7, 0x54494d45
    ecall
    sret
"""
"""Wakes every {period} ticks, and counts in s0."""

TOUCH = """
    li s1, {first}
    li s2, {pages}
    li s3, {value}
    li t2, 0x1000
again:
    sd s3, 0(s1)
    sd s1, 8(s1)
    add s1, s1, t2
    addi s2, s2, -1
    bnez s2, again
    j .
"""
"""Stores {value}, and each page's address, to {pages} pages from {first} on."""

DATA = RAM_BASE + 0x30_0000


def machine(memory: int = 64 * MIB, runner: Runner | None = None, **settings: object) -> Hypervisor:
    return Hypervisor(MachineConfig(memory=memory, **settings), runner)  # type: ignore[arg-type]


def add(hypervisor: Hypervisor, name: str, image: Image | str = BUSY, technique: str = "two-stage",
        memory: int = 8 * MIB, devices: Sequence[VirtioDevice] = (), append: str = "", **settings: object) -> Tenant:
    """A VM in the hypervisor. settings: Entitlement's, or TenantConfig's."""
    cpu = {key: settings.pop(key) for key in ("shares", "reservation", "limit") if key in settings}
    made = guest(image) if isinstance(image, str) else image
    return hypervisor.add(TenantConfig(
        name, VmConfig(technique=technique, memory=memory, append=append), made, devices=devices,
        cpu=Entitlement(**cpu), **settings))  # type: ignore[arg-type]


def tenant_vm(manager: MemoryManager, name: str, image: Image | str, technique: str, memory: int = 8 * MIB,
              devices: Sequence[VirtioDevice] = (), stock: int = 4096, **settings: Any) -> tuple[Vm, TenantMemory]:
    """A VM on a machine with others, run by the test alone."""
    config = VmConfig(technique=technique, memory=memory, **settings)
    frames, ram = manager.admit(name, config, 0)
    frames.refill(stock)
    return Vm(config, guest(image) if isinstance(image, str) else image, devices=devices, tenancy=(frames, ram)), ram
