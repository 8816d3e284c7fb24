"""A VM's clock, budgets and stops, under every technique."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError, ImageError
from hartvisor.core.isa.causes import SEI, SSI, STI
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.csr_file import SIP, STVEC
from hartvisor.core.vmm.exits import HANDLED, REFLECT, ExitReason, labelled
from hartvisor.core.vmm.stop import StopReason
from hartvisor.core.vmm.techniques import TECHNIQUES
from hartvisor.core.vmm.traps import retire
from hartvisor.core.vmm.vcpu import Vcpu
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .support import ENTRY, MEMORY, guest, start

every_technique = pytest.mark.parametrize("technique", TECHNIQUES)
trapping = pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])

SPIN = "j ."
TIMER = """
    li a7, 0x54494D45
    li a6, 0
    li a0, {deadline}
    ecall
    li t0, 0x20
    csrw sie, t0
"""


@every_technique
def test_entry_state(technique: str) -> None:
    vm = start(SPIN, technique)
    state = vm.vcpus[0].save()
    tree = state.gprs[11]
    assert state.pc == ENTRY
    assert state.mode == 1
    assert [value for index, value in enumerate(state.gprs) if index != 11] == [0] * 31
    assert vm.ram.read(tree, 4) == b"\xd0\x0d\xfe\xed"
    assert {name: value for name, value in state.csrs.items() if value} == {0x100: 2 << 32, 0x106: 7}


@every_technique
def test_budgets_are_exact(technique: str) -> None:
    vm = start(SPIN, technique)
    for budget in (1, 0, 2, 999, 70_000):
        before = vm.steps
        stop = vm.run(budget)
        assert (stop.reason, stop.steps) == (StopReason.BUDGET, before + budget)
        assert vm.steps == before + budget
    assert vm.instructions == vm.steps


@every_technique
def test_sleep_skips_to_the_timer_and_no_step_further(technique: str) -> None:
    vm = start(TIMER.format(deadline=100) + "wfi\n j .", technique)
    vm.run(1_001)
    awake = vm.instructions - 1
    assert vm.hart.idle_steps == 1_000 - awake
    assert awake < 30
    assert vm.vcpus[0].csrs.read(SIP) >> STI & 1


@every_technique
def test_a_budget_may_end_in_mid_sleep(technique: str) -> None:
    vm = start(TIMER.format(deadline=100) + "wfi\n j .", technique)
    stop = vm.run(700)
    assert (stop.reason, stop.steps, vm.vcpus[0].is_waiting) == (StopReason.BUDGET, 700, True)
    vm.run(300)
    assert (vm.steps, vm.vcpus[0].is_waiting) == (1000, True)
    awake_before = vm.instructions
    vm.run(1)
    assert (vm.vcpus[0].is_waiting, vm.instructions) == (False, awake_before + 1)


@every_technique
def test_a_guest_that_nothing_can_wake(technique: str) -> None:
    vm = start("wfi\n j .", technique)
    stop = vm.run(10**12)
    assert (stop.reason, stop.steps) == (StopReason.ASLEEP, 1)
    assert stop.detail == "asleep: no timer armed and no input"
    stop = vm.run(5)
    assert (stop.reason, stop.steps) == (StopReason.ASLEEP, 1)


UART_INPUT = """
    li t0, 0xc000028    # priority of source 10
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002080    # enables of the S-mode context
    li t1, 0x400
    sw t1, 0(t0)
    li t0, 0x10000001   # UART: IER
    li t1, 1
    sb t1, 0(t0)
    li t0, 0x200
    csrw sie, t0
    wfi
    li t0, 0x10000000
    lbu a0, 0(t0)
    j .
"""


@every_technique
def test_input_wakes_a_sleeper_through_uart_and_plic(technique: str) -> None:
    vm = start(UART_INPUT, technique)
    assert vm.run(1000).reason is StopReason.ASLEEP
    vm.console.type(b"k")
    assert vm.vcpus[0].csrs.read(SIP) >> SEI & 1
    assert vm.run(1000).reason is StopReason.BUDGET
    assert vm.hart.read_gpr(10) == ord("k")


@every_technique
def test_spinning_with_interrupts_off_ends_at_the_budget(technique: str) -> None:
    vm = start(TIMER.format(deadline=5) + "j .", technique)
    stop = vm.run(100_000)
    assert (stop.reason, stop.steps) == (StopReason.BUDGET, 100_000)
    assert vm.hart.guest_traps == 0


@every_technique
def test_a_guest_that_jumps_into_nothing_is_told_where(technique: str) -> None:
    vm = start("li t0, 0x40000000\n jr t0", technique)
    stop = vm.run(10**12)
    assert stop.reason is StopReason.GUEST_FAULT
    assert stop.steps == vm.steps == 65536
    assert "the first fault was at pc 0x40000000: instruction access fault (cause 1)" in stop.detail
    assert vm.hart.guest_traps == vm.steps - 2


@every_technique
def test_a_trap_vector_that_faults_runs_out_of_its_budget(technique: str) -> None:
    vm = start("li t0, 0x5000\n csrw stvec, t0\n ebreak", technique)
    stop = vm.run(100)
    assert (stop.reason, stop.steps) == (StopReason.GUEST_FAULT, 100)
    assert "trap handler (stvec) at 0x5000" in stop.detail
    assert vm.run(10).steps == 110


PRIORITIES = """
    la t0, handler
    csrw stvec, t0
    li t0, 0x222
    csrw sie, t0
    csrsi sstatus, 2
    j .
    .align 2
handler:
    csrr t1, scause
    slli a0, a0, 4
    andi t1, t1, 15
    or a0, a0, t1
    li t2, 1
    sll t2, t2, t1
    csrc sie, t2
    sret
"""


@every_technique
def test_external_software_timer_is_the_order_of_interrupts(technique: str) -> None:
    vm = start(PRIORITIES, technique)
    for interrupt in (STI, SSI, SEI):
        vm.vcpus[0].csrs.set_pending(interrupt, True)
    vm.vcpus[0].deadline = 0  # so that STI stays pending
    vm.run(60)
    assert vm.hart.read_gpr(10) == 0x915
    assert vm.hart.guest_traps == 3


@every_technique
def test_vectored_interrupts_enter_at_four_times_their_cause(technique: str) -> None:
    vm = start("la t0, table\n addi t0, t0, 1\n csrw stvec, t0\n csrsi sie, 2\n csrsi sip, 2\n csrsi sstatus, 2\n j .\n"
               ".align 8\n table: j .\n j .", technique)
    vm.run(30)
    table = vm.vcpus[0].csrs.read(STVEC) & ~3
    assert vm.hart.pc == table + 4


@every_technique
def test_power_off_by_the_test_finisher_is_a_step(technique: str) -> None:
    vm = start("li t0, 0x100000\n li t1, 0x73333\n sw t1, 0(t0)\n j .", technique)
    stop = vm.run(100)
    assert (stop.reason, stop.detail) == (StopReason.POWER_OFF, "test finisher: fail, code 7")
    assert stop.steps == vm.instructions == 4
    assert vm.is_off
    assert vm.run(100) == stop


@every_technique
def test_a_saved_vcpu_goes_on_under_another_technique(technique: str) -> None:
    program = load_image(image("ticks"))
    vm, reference = (start(program, name) for name in ("bare", technique))
    vm.run(50_000)
    reference.run(60_000)
    other = start(program, technique)
    other.ram.write(other.ram.base, vm.ram.read(vm.ram.base, MEMORY))
    other.vcpus[0].load(vm.vcpus[0].save())
    other.run(10_000)
    assert other.vcpus[0].save() == reference.vcpus[0].save()


@every_technique
def test_hosts_breakpoints_stop_before_the_instruction(technique: str) -> None:
    vm = start("nop\n nop\n target: nop\n j .", technique)
    vm.hart.breakpoints = frozenset({ENTRY + 8})
    stop = vm.run(100)
    assert (stop.reason, stop.steps) == (StopReason.BREAKPOINT, 2)
    assert vm.run(100).steps == 102


@every_technique
def test_the_pc_may_wrap_around(technique: str) -> None:
    vm = start(SPIN, technique)
    vm.vcpus[0].csrs.write(0x180, 8 << 60 | ENTRY + 0x1000 >> 12)
    for level, table in enumerate((ENTRY + 0x3000, ENTRY + 0x2000, ENTRY + 0x1000)):
        target = ENTRY + 0x4000 if level == 0 else table + 0x1000
        vm.ram.store(table + 511 * 8, 8, target >> 2 | (0xCF if level == 0 else 1))
    vm.ram.write(ENTRY + 0x4FFC, bytes.fromhex("73100014"))  # csrw sscratch, zero
    vm.hart.pc = (1 << 64) - 4
    vm.run(1)
    assert vm.hart.pc == 0
    assert vm.instructions == 1


@trapping
def test_a_replaced_instruction_handler_is_used(technique: str) -> None:
    seen: list[str] = []

    def wfi(vcpu: Vcpu, instruction: object) -> bool:
        seen.append("wfi")
        retire(vcpu)
        return HANDLED

    vm = Vm(VmConfig(technique=technique, memory=MEMORY, instruction_handlers={"wfi": wfi}), guest("wfi\n j ."))
    assert vm.run(10).reason is StopReason.BUDGET
    assert seen == ["wfi"]
    assert vm.vcpus[0].exits[ExitReason.WFI] == 1


@trapping
def test_a_replaced_trap_handler_is_used(technique: str) -> None:
    def refuse(vcpu: Vcpu, exit: object) -> bool:
        return REFLECT

    causes = {8: refuse, 10: refuse}
    vm = Vm(VmConfig(technique=technique, memory=MEMORY, handlers=causes), guest("ecall\n j ."))
    vm.run(1)
    assert vm.hart.guest_traps == 1


@pytest.mark.parametrize(("options", "message"), [
    ({"technique": "magic"}, "no technique 'magic'"), ({"memory": 5000}, "5000 bytes of guest memory"),
    ({"memory": 1 << 40}, "between 4 MiB and 65536 MiB"), ({"steps_per_tick": 0}, "steps a tick"), ({"policy": "hope"},
    "no shadow policy")])
def test_a_config_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VmConfig(**options)  # type: ignore[arg-type]


def test_an_image_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ImageError, match="more memory"):
        Vm(VmConfig(memory=4 << 20), guest(".space 0x400000"))


def test_exit_counts_have_names() -> None:
    vm = start("ecall\n csrr a0, sstatus\n .word 0\n", "deprivileged")
    vm.run(4)
    assert labelled(vm.vcpus[0].exits) == {
        "sbi": 1, "csr": 1, "shadow-fill": 1, "reflected illegal-instruction": 1,
        "reflected instruction-access-fault": 1}
