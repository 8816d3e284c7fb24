"""One measurement of scale, as a process of its own: `python -m hartvisor.tui.bench.scale_child WHAT NUMBER`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.machine.loader import load_image
from ...core.machine.memory_map import MIB
from ...core.vmm.config import VmConfig
from ...core.vmm.hypervisor.hypervisor import Hypervisor, MachineConfig
from ...core.vmm.hypervisor.runner import OneThread, Runner, Threads
from ...core.vmm.hypervisor.tenant import TenantConfig
from ...core.vmm.vm import Vm
from ...guest import image
from .scale import VM_MIB, clock_pair

STEPS_EACH = 4_000_000
"""Steps of each of many VMs: it boots in fewer, and then works."""


def peak_mib() -> float:
    """The most memory that this process has had. (getrusage tells of the process that started it, too.)"""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return round(int(found[1]) / 1024, 1) if found else 0.0


def vms(count: int) -> dict[str, Any]:
    """Memory and throughput of so many VMs."""
    before = peak_mib()
    hypervisor = Hypervisor(MachineConfig(memory=max(64, count * VM_MIB) * MIB))
    kernel = load_image(image("kernel"))
    wall, cpu = clock_pair()
    for index in range(count):
        config = VmConfig(technique="two-stage", memory=VM_MIB * MIB, append="workload=1000")
        hypervisor.add(TenantConfig(f"vm{index}", config, kernel))
    hypervisor.run(count * STEPS_EACH)
    wall, cpu = clock_pair()[0] - wall, clock_pair()[1] - cpu
    ran = sum(tenant.vm.active_steps for tenant in hypervisor.tenants)
    return {"vms": count, "peak_mib": peak_mib(), "mib_a_vm": round((peak_mib() - before) / count, 2),
            "steps": ran, "cpu_seconds": round(cpu, 2), "steps_a_cpu_microsecond": round(ran / cpu / 1e6, 1)}


def memory(size: int) -> dict[str, Any]:
    """Start-up of a VM of so many MiB."""
    kernel = load_image(image("kernel"))
    before = peak_mib()
    wall, cpu = clock_pair()
    vm = Vm(VmConfig(technique="two-stage", memory=size * MIB, append="workload=1"), kernel)
    vm.run(1_000_000)
    return {"ram_mib": size, "peak_mib": peak_mib(), "growth_mib": round(peak_mib() - before, 1),
            "wall_seconds": round(clock_pair()[0] - wall, 3), "cpu_seconds": round(clock_pair()[1] - cpu, 3)}


def side_by_side(runner: Runner, names: Sequence[str], steps: int) -> dict[str, Any]:
    """VMs that only compute, each for so many steps."""
    config = MachineConfig(memory=64 * MIB, quantum=20_000_000)    # rounds so long that they hardly ever wait
    hypervisor = Hypervisor(config, runner)
    spinner = load_image(image("spin"))
    for name in names:
        hypervisor.add(TenantConfig(name, VmConfig(technique="two-stage", memory=8 * MIB), spinner))
    hypervisor.run(10_000_000 * len(names))     # what is done once is done
    wall, cpu = clock_pair()
    hypervisor.run(len(names) * steps)
    return {"wall_seconds": round(clock_pair()[0] - wall, 3), "cpu_seconds": round(clock_pair()[1] - cpu, 3)}


def main(what: str, number: str) -> None:
    """Measure, and write one line of JSON."""
    if what == "vms":
        result = vms(int(number))
    elif what == "memory":
        result = memory(int(number))
    else:
        names = ("alone",) if what == "alone" else ("one", "other")
        result = side_by_side(Threads() if what == "parallel" else OneThread(), names, int(number))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
