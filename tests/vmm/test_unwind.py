"""Stacks: each is the one that the calls, returns and tail calls executed until then lead to."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.registers import NUMBER
from hartvisor.core.machine.call_frames import CallFrames
from hartvisor.core.machine.loader import Image, load_image
from hartvisor.core.machine.symbols import symbols_of
from hartvisor.core.vmm.trace.profile import Profile, vm_sample
from hartvisor.core.vmm.unwind import Unwinder
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .support import start

RA, SP = NUMBER["ra"], NUMBER["sp"]


class Calls:
    """The true stack: (address to come back to, sp at the call) of each call that has not returned, outermost first.

    The VM stands at a function's first instruction.
    """

    def __init__(self, vm: Vm) -> None:
        self.stack = [(vm.hart.read_gpr(RA), vm.hart.read_gpr(SP))]

    def step(self, vm: Vm) -> None:
        """Take a step, and note what the instruction does to the stack."""
        hart = vm.hart
        insn = decode(vm.ram.load(vm.vcpus[0].look(hart.pc).gpa, 4))
        assert insn is not None
        pc, sp = hart.pc, hart.read_gpr(SP)
        vm.run(1)
        if insn.name in ("jal", "jalr") and insn.rd == RA:
            self.stack.append((pc + insn.length, sp))
        elif insn.name == "jalr" and (insn.rd, insn.rs1) == (0, RA):
            assert hart.pc == self.stack.pop()[0]


def at_main(loaded: Image, technique: str) -> Vm:
    """The guest where `_start` has called main."""
    vm = start(loaded, technique)
    vm.breakpoints = frozenset({loaded.symbols["main"]})
    assert vm.run(100_000).reason.name == "BREAKPOINT"
    vm.breakpoints = frozenset()
    return vm


@pytest.mark.parametrize("technique", ["bare", "deprivileged", "two-stage"])
@pytest.mark.parametrize(("guest", "steps"), [("hello", 1000), ("kernel", 10_000)])
def test_every_step_has_the_stack_that_was_called(guest: str, steps: int, technique: str) -> None:
    loaded = load_image(image(guest))
    vm = at_main(loaded, technique)
    unwinder = Unwinder(symbols_of(loaded), CallFrames(loaded.file))
    calls = Calls(vm)
    for step in range(steps):
        frames = list(unwinder.frames(vm.hart.pc, vm.hart.read_gprs(), vm_sample(vm).load))
        assert frames[0][:2] == (vm.hart.pc, vm.hart.pc)
        found = [(frame.address, frame.sp) for frame in frames[1:]]
        assert found == calls.stack[::-1], f"step {step}, pc {vm.hart.pc:#x}"
        calls.step(vm)


def test_a_profile_follows_the_image_s_own_rules() -> None:
    loaded = load_image(image("kernel"))
    vm = at_main(loaded, "bare")
    vm.run(2000)
    profile = Profile("tern", symbols_of(loaded), 1, CallFrames(loaded.file))
    profile.add(vm_sample(vm))
    assert next(iter(profile.stacks)).startswith("tern;S;_start;main;")
