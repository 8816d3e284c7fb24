"""The registers of every vCPU at one moment: what a move changes is seen by comparing with the moment before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..csr_file import CYCLE, N_COUNTERS

if TYPE_CHECKING:
    from ..gdb.target import VmTarget
    from ..vcpu import Vcpu


class Registers(NamedTuple):
    """Of one vCPU. csrs: the guest's, by number, but for counters, which always change."""

    pc: int
    mode: int
    gprs: tuple[int, ...]
    fprs: tuple[int, ...]
    csrs: Mapping[int, int]


class Moment(NamedTuple):
    """Of all vCPUs. step: the VM's clock."""

    step: int
    vcpus: tuple[Registers, ...]


def moment_of(target: VmTarget) -> Moment:
    """Now."""
    numbers = [csr.number for csr in target.csrs if not CYCLE <= csr.number < CYCLE + N_COUNTERS]
    return Moment(target.vm.steps, tuple(registers_of(vcpu, numbers) for vcpu in target.vm.vcpus))


def registers_of(vcpu: Vcpu, csrs: list[int]) -> Registers:
    """A vCPU's, now. csrs: the numbers of those that are wanted."""
    hart = vcpu.hart
    return Registers(hart.pc, vcpu.mode, hart.read_gprs(), hart.read_fprs(),
                     {number: vcpu.read_csr(number) for number in csrs})
