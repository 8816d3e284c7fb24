"""What the hypervisor's tests share: guests from assembly text, and runs of one guest under every technique side by
side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.machine.loader import Image, Segment
from hartvisor.core.machine.memory_map import MIB, RAM_BASE
from hartvisor.core.vmm.compare import COMPARED, difference_of
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.sbi import call
from hartvisor.core.vmm.vm import Vm

ENTRY = RAM_BASE + 0x20_0000
MEMORY = 8 * MIB
UNTOUCHED = 0x1234

COUNTING_HANDLER = """
    .align 2
handler:
    addi s0, s0, 1
    csrr s1, scause
    csrr s2, stval
    csrr t0, sepc
    addi t0, t0, 4
    csrw sepc, t0
    sret
"""
"""A trap handler that counts in s0, keeps scause and stval in s1 and s2, and skips the instruction."""


def guest(text: str, base: int = ENTRY) -> Image:
    """An image of the assembly `text`, loaded and entered at `base`."""
    code = assemble(text, base).code
    return Image("test guest", base, (Segment(base, code, len(code)),), b"")


def start(image: Image | str, technique: str, *, output: Callable[[bytes], None] = lambda data: None,
          policy: str = "cached", steps_per_tick: int = 10, typed: bytes = b"", tlb: str = "precise",
          isa: frozenset[str] = GUEST_ISA, devices: Sequence[VirtioDevice | None] = (), vcpus: int = 1) -> Vm:
    """A small VM with the guest (an image or assembly text), at its first instruction."""
    config = VmConfig(technique=technique, memory=MEMORY, policy=policy, steps_per_tick=steps_per_tick,
                      tlb=tlb, isa=isa, vcpus=vcpus)
    vm = Vm(config, guest(image) if isinstance(image, str) else image, output, devices)
    vm.console.type(typed)
    return vm


def assert_equivalent(image: Image | str, steps: int, stride: int = 1, *, policy: str = "cached",
                      techniques: Sequence[str] = COMPARED, typed: bytes = b"",
                      isa: frozenset[str] = GUEST_ISA,
                      devices: Callable[[], Sequence[VirtioDevice | None]] = tuple, vcpus: int = 1) -> list[Vm]:
    """Run the guest under each technique, `stride` steps at a time, and compare all that a guest can see; return the
    VMs."""
    vms = [start(image, technique, policy=policy, typed=typed, isa=isa, devices=devices(), vcpus=vcpus)
           for technique in techniques]
    while vms[0].steps < steps:
        stops = [vm.run(min(stride, steps - vm.steps)) for vm in vms]
        digests = [digest(vm) for vm in vms]
        for technique, vm, found, stop in zip(techniques, vms, digests, stops, strict=True):
            assert found == digests[0], f"{technique} at step {vms[0].steps}: {difference_of(vms[0], vm)}"
            assert stop[::2] == stops[0][::2], f"{technique}: {stop}, but {stops[0]}"
        if stops[0].reason.value not in ("budget", "guest-fault"):
            break
    return vms


def make_call(vm: Vm, extension: int, function: int = 0, *arguments: int, vcpu: int = 0) -> tuple[int, int]:
    """Make an SBI call as a vCPU's ecall would, and return a0 and a1 as signed numbers; a1 begins as UNTOUCHED unless
    it is an argument."""
    hart = vm.harts[vcpu]
    hart.write_gpr(11, UNTOUCHED)
    for index, value in enumerate(arguments):
        hart.write_gpr(10 + index, value)
    hart.write_gpr(17, extension)
    hart.write_gpr(16, function)
    call(vm.vcpus[vcpu])
    return signed(hart.read_gpr(10)), signed(hart.read_gpr(11))


def signed(value: int) -> int:
    """A register's value as a signed number."""
    return value - (1 << 64) if value >> 63 else value
