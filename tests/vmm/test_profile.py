"""Profiles: each sample's stack is the one that the calls and returns of an instruction trace lead to."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import decode
from hartvisor.core.machine.loader import Image, Segment
from hartvisor.core.machine.machine import Machine
from hartvisor.core.machine.symbols import Symbols
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.trace.events import Instruction
from hartvisor.core.vmm.trace.profile import Profile, machine_sample, vm_sample
from hartvisor.core.vmm.trace.reader import TraceFile
from hartvisor.core.vmm.trace.recorder import Recorder

from .support import ENTRY, start

FUNCTIONS = ("_start", "main", "middle", "leaf", "tail")
FRAME = "addi sp, sp, -32\nsd ra, 24(sp)\nsd s0, 16(sp)\naddi s0, sp, 32\n"
UNFRAME = "ld ra, 24(sp)\nld s0, 16(sp)\naddi sp, sp, 32\nret\n"
PROGRAM = f"""
    _start: la sp, stack
    jal main
    1: j 1b
    main: {FRAME}
    1: jal middle
    jal leaf
    j 1b
    {UNFRAME}
    middle: {FRAME}
    li a0, 3
    1: jal leaf
    jal tail
    addi a0, a0, -1
    bnez a0, 1b
    {UNFRAME}
    leaf: li t0, 5
    1: addi t0, t0, -1
    bnez t0, 1b
    ret
    tail: {FRAME}
    jal leaf
    {UNFRAME}
    .align 4
    .zero 1024
    stack: .dword 0
"""
STEPS = 700


def program() -> tuple[Image, Symbols]:
    built = assemble(PROGRAM, ENTRY)
    image = Image("calls", ENTRY, (Segment(ENTRY, built.code, len(built.code)),), b"")
    names = {built.symbols[name]: name for name in FUNCTIONS}
    return image, Symbols(names, [(ENTRY, built.symbols["stack"])])


def true_stacks(path: Path) -> list[str]:
    """The stack before each step, innermost last, from the calls and returns that were executed."""
    image, symbols = program()
    vm = start(image, "bare")
    recorder = Recorder(path, ["insn"], {})
    recorder.add_vm(vm)
    vm.run(STEPS)
    recorder.close()
    stack = ["_start"]
    stacks = []
    for event in TraceFile(path).events():
        assert isinstance(event, Instruction)
        stacks.append(";".join(stack))
        insn = decode(event.bits)
        assert insn is not None
        if insn.name == "jal" and insn.rd == 1:
            found = symbols.find(event.pc + insn.imm)
            assert found is not None
            stack.append(found[0])
        elif insn.name == "jalr":
            stack.pop()
    return stacks


@pytest.mark.parametrize("technique", COMPARED)
def test_every_sample_has_the_stack_that_was_called(technique: str, tmp_path: Path) -> None:
    stacks = true_stacks(tmp_path / "trace")
    image, symbols = program()
    vm = start(image, technique)
    for step in range(STEPS):
        profile = Profile("calls", symbols, 1)
        profile.add(vm_sample(vm))
        assert profile.folded() == f"calls;S;{stacks[step]} 1\n", f"step {step}"
        vm.run(1)


def test_a_machine_is_sampled_in_its_mode(tmp_path: Path) -> None:
    stacks = true_stacks(tmp_path / "trace")
    image, symbols = program()
    machine = Machine(32 << 20)
    machine.load(image)
    profile = Profile("calls", symbols, 100)
    for _ in range(6):
        machine.run(100)
        profile.add(machine_sample(machine))
    expected = sorted(f"calls;M;{stacks[step]}" for step in range(100, 700, 100))
    assert sorted(profile.stacks.elements()) == expected


def test_code_without_frame_pointers_is_known_by_its_leaf_and_what_ra_tells() -> None:
    built = assemble("_start: jal work\n1: j 1b\nwork: addi s0, s0, 1\nj work", ENTRY)
    symbols = Symbols({built.symbols[name]: name for name in ("_start", "work")}, [(ENTRY, ENTRY + len(built.code))])
    vm = start(Image("loop", ENTRY, (Segment(ENTRY, built.code, len(built.code)),), b""), "two-stage")
    profile = Profile("loop", symbols, 10)
    for _ in range(5):
        vm.run(10)
        profile.add(vm_sample(vm))
    assert profile.folded() == "loop;S;_start;work 5\n"


def test_a_hostile_stack_ends_the_walk() -> None:
    """A frame pointer that leads nowhere, into a loop, or off its alignment."""
    for fp in ("-1", "3", "0", str(ENTRY)):
        source = f"_start: la s1, frames\nli s0, {fp}\nwork: addi s0, sp, 0\nli s0, {fp}\n1: j 1b\nframes: .dword 0"
        built = assemble(source, ENTRY)
        names = {built.symbols[name]: name for name in ("_start", "work")}
        symbols = Symbols(names, [(ENTRY, ENTRY + len(built.code))])
        vm = start(Image("hostile", ENTRY, (Segment(ENTRY, built.code, len(built.code)),), b""), "bare")
        vm.run(100)
        profile = Profile("hostile", symbols, 10)
        profile.add(vm_sample(vm))
        assert profile.stacks.total() == 1


def test_a_sleeping_vcpu_says_so_and_unnamed_code_is_known_by_its_page() -> None:
    vm = start("li x5, 0\nwfi\n1: j 1b", "bare")
    profile = Profile("asleep", Symbols({}, []), 10)
    profile.add(vm_sample(vm))
    vm.run(100)
    profile.add(vm_sample(vm))
    assert profile.folded() == f"asleep;S;{ENTRY:#x} 1\nasleep;S;[asleep] 1\n"


def test_the_top_counts_a_recursive_function_once() -> None:
    profile = Profile("deep", Symbols({}, []), 10)
    profile.stacks.update({"deep;S;f;f;g": 3, "deep;vCPU 1;U;f": 2, "deep;S;g": 1})
    assert profile.top(3) == [("g (S)", 4, 4), ("f (U)", 2, 2)]
