"""One run of ours, as a process of its own, whose whole CPU time the kernel then accounts to it: as QEMU's to QEMU's.

    python -m hartvisor.tui.bench.child IMAGE MEMORY [BOOT ARGUMENTS]

With boot arguments the image is a kernel, and the hypervisor runs it bare; else it is a machine's firmware. Writes what
it counted as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ...core.devices.console import ConsoleEnd
from ...core.hart import Hart
from ...core.machine.loader import load_image
from ...core.machine.machine import Machine

BUDGET = 1 << 62


def run_firmware(path: Path, memory: int) -> tuple[Hart, str, bool]:
    """Run an image as firmware; its hart, what it printed, and whether it powered off by itself."""
    said = bytearray()
    machine = Machine(memory, console=ConsoleEnd(said.extend))
    machine.load(load_image(path))
    machine.run(BUDGET)
    return machine.harts[0], said.decode(errors="replace"), machine.finish is not None


def run_kernel(path: Path, memory: int, append: str) -> tuple[Hart, str, bool]:
    """The same of a kernel, on the bare machine with the hypervisor's firmware."""
    from ...core.vmm.config import VmConfig
    from ...core.vmm.stop import StopReason
    from ...core.vmm.vm import Vm

    said = bytearray()
    vm = Vm(VmConfig(technique="bare", memory=memory, append=append), load_image(path), said.extend)
    stop = vm.run(BUDGET)
    return vm.vcpus[0].hart, said.decode(errors="replace"), stop.reason is StopReason.POWER_OFF


def main(path: str, memory: str, append: str = "") -> None:
    """Run and report."""
    if append:
        hart, said, has_ended = run_kernel(Path(path), int(memory), append)
    else:
        hart, said, has_ended = run_firmware(Path(path), int(memory))
    print(json.dumps({
        "instructions": hart.steps - hart.idle_steps - hart.guest_traps, "tlb_misses": hart.tlb_misses,
        "said": said, "has_ended": has_ended,
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])
