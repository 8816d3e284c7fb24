"""The hart's fast path for a deprivileged guest's CSR instructions: nobody can tell it from the emulation."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.decoder import Decoded
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.privileged import INSTRUCTION_RULES
from hartvisor.core.vmm.vcpu import Vcpu
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image, image_info

from .programs import program
from .support import MEMORY, guest

TOGGLES = """
    li t0, 0x22
    csrs sie, t0
loop:
    csrrci s2, sstatus, 2
    csrrs s3, sstatus, s2
    csrr s4, time
    csrrw s5, sstatus, s3
    csrc sstatus, zero
    j loop
"""


VALUES = """
    li t0, -1
loop:
    csrrw s2, sscratch, t0
    csrrc s3, sepc, s2
    csrrs s4, sepc, t0
    csrrw s5, stvec, t0
    csrrsi s6, scause, 5
    csrrci s7, scause, 1
    csrw stval, s7
    addi t0, t0, 12
    j loop
"""


def run_both(source: object, steps: int, stride: int) -> tuple[Vm, Vm]:
    """One guest with and without, compared at every stride: state, and exits by reason."""
    vms = [Vm(VmConfig(memory=MEMORY, lends_csrs=on), source) for on in (True, False)]  # type: ignore[arg-type]
    while vms[0].steps < steps:
        stops = [vm.run(stride) for vm in vms]
        assert digest(vms[0]) == digest(vms[1])
        assert stops[0] == stops[1]
        assert vms[0].exits == vms[1].exits
        if stops[0].is_over:
            break
    return vms[0], vms[1]


def count_runs(vm: Vm, steps: int) -> int:
    """How often the hart was left in so many steps."""
    technique, entries = vm.vcpus[0].technique, 0
    enter = technique.before_entry  # type: ignore[attr-defined]

    def counted() -> bool:
        nonlocal entries
        entries += 1
        return bool(enter())

    technique.before_entry = counted  # type: ignore[attr-defined]
    vm.run(steps)
    return entries


def test_it_is_used() -> None:
    on, off = run_both(guest(TOGGLES), 200, 50)
    assert on.vcpus[0].exits[ExitReason.CSR] > 100
    assert count_runs(on, 600) < 5
    assert count_runs(off, 600) > 400


def test_csrs_that_only_hold_a_value_are_lent_with_their_writable_bits() -> None:
    on, off = run_both(guest(VALUES), 900, 7)
    assert on.vcpus[0].exits[ExitReason.CSR] > 600
    assert count_runs(on, 600) < 5
    assert count_runs(off, 600) > 400


@pytest.mark.parametrize("seed", range(24))
def test_random_guests_are_alike_with_it_and_without(seed: int) -> None:
    run_both(program(seed), 2000, (1, 7, 50)[seed % 3])


def test_the_teaching_kernel_is_alike_with_it_and_without() -> None:
    configs = [VmConfig(append=image_info("kernel").workload, lends_csrs=on) for on in (True, False)]
    vms = [Vm(config, load_image(image("kernel"))) for config in configs]
    for vm in vms:
        vm.run(3_000_000)
    assert digest(vms[0]) == digest(vms[1])
    assert vms[0].exits == vms[1].exits


def test_an_interrupt_that_waits_is_taken_when_sie_is_set() -> None:
    source = """
    la t0, handler
    csrw stvec, t0
    csrwi sie, 2
    csrwi sip, 2
    csrr s2, sstatus
    csrsi sstatus, 2
    addi s3, s3, 1
1:  j 1b
    .align 2
handler:
    mv s4, s3
    csrwi sip, 0
    csrr s5, sepc
    sret
    """
    on, _ = run_both(guest(source), 60, 1)
    assert on.hart.guest_traps == 1
    assert on.hart.read_gpr(20) == 0, "before the next instruction"


def test_a_handler_of_ones_own_sees_every_instruction() -> None:
    seen: list[str] = []

    def look(vcpu: Vcpu, instruction: Decoded) -> bool:
        seen.append(instruction.name)
        return INSTRUCTION_RULES["csrrs"].handler(vcpu, instruction)

    vm = Vm(VmConfig(memory=MEMORY, instruction_handlers={"csrrs": look}), guest(TOGGLES))
    vm.run(602)
    assert seen.count("csrrs") == 1 + 200
