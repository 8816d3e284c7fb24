"""What an inspector knows of the code that runs: which of tern's programs, their lines, and stacks through traps."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.registers import NUMBER
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.inspector import Inspector
from hartvisor.core.vmm.inspector.sight import Sight
from hartvisor.core.vmm.vm import Vm
from hartvisor.core.vmm.walker import SUPERVISOR, USER
from hartvisor.guest import SOURCES, image, programs

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
IMAGE = load_image(image("kernel"))
SP = NUMBER["sp"]


def start(technique: str, paths: list[Path] | None = None, append: str = "workload=1") -> Inspector:
    vm = Vm(VmConfig(technique=technique, memory=32 << 20, append=append), IMAGE)
    return Inspector("tern", vm, programs=programs() if paths is None else paths, sources=[SOURCES])


def current_name(inspector: Inspector, names: list[str]) -> str:
    """The program that the kernel says is the current process's: its name is in its struct process."""
    load = Sight(inspector.vcpu).load
    process = load(IMAGE.symbols["current"], 8)
    assert process
    text = bytes(load(process + offset, 1) or 0 for offset in range(1024))
    return next(name for name in names if f"\0{name}\0".encode() in text)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_in_u_mode_the_program_that_runs_is_known(technique: str) -> None:
    inspector = start(technique, append="")
    inspector.vm.console.type(b"ls\nps\ncat readme.txt | wc\nprimes 500\n")
    names = [path.stem for path in programs()]
    seen: dict[str, int] = {}
    for _ in range(2_000):
        inspector.vm.run(1_009)
        vcpu = inspector.vcpu
        if vcpu.mode != USER:
            continue
        program = inspector.code.running(vcpu)
        assert program is not None, f"step {inspector.step}"
        assert program.name == current_name(inspector, names)
        line = inspector.code.line(vcpu, vcpu.hart.pc)
        assert line is None or (SOURCES / line.path).is_file()
        assert inspector.code.describe(vcpu, vcpu.hart.pc)
        seen[program.name] = seen.get(program.name, 0) + 1
    assert seen.keys() >= {"init", "sh", "ls", "ps", "wc", "primes"}


def test_no_program_is_taken_for_another() -> None:
    """Without the workload's own file nothing fits while it runs."""
    others = [path for path in programs() if path.stem not in ("workload", "init")]
    inspector = start("two-stage", others)
    inspector.vm.run(500_000)
    for _ in range(50):
        inspector.vm.run(9_973)
        assert inspector.code.running(inspector.vcpu) is None


def test_a_file_that_is_no_program_is_none(tmp_path: Path) -> None:
    (tmp_path / "text.elf").write_text("no ELF file")
    inspector = start("bare", [tmp_path / "text.elf", tmp_path / "missing.elf"])
    inspector.vm.run(500_000)
    assert inspector.code.programs == ()
    assert inspector.code.running(inspector.vcpu) is None


@pytest.mark.parametrize("technique", ["bare", "deprivileged"])
def test_stacks_lead_through_traps_to_what_was_interrupted(technique: str) -> None:
    """At every step of many traps, the frame beyond the trap is where, and with the sp that, it was interrupted."""
    inspector = start(technique)
    vm, vcpu = inspector.vm, inspector.vcpu
    vector = IMAGE.symbols["trap_vector"]
    traps, steps = {USER: 0, SUPERVISOR: 0}, 0
    while min(traps.values()) < 2:
        vm.breakpoints = frozenset({vector})
        while vcpu.hart.pc != vector:
            assert vm.run(1_000_000).reason.name == "BREAKPOINT"
        vm.breakpoints = frozenset()
        status, sepc = vcpu.csrs.read(0x100), vcpu.csrs.read(0x141)
        mode, sp = int(bool(status & 0x100)), vcpu.hart.read_gpr(SP)
        traps[mode] += 1
        for _ in range(2_000 if traps[mode] <= 2 else 0):
            frames = list(inspector.code.frames(vcpu))
            found = next((each.address, each.sp) for each in frames[1:] if each.is_interrupted)
            assert found in ((sepc, sp), (sepc + 4, sp)), f"step {inspector.step} pc {vcpu.hart.pc:#x}"
            names = [inspector.code.describe(vcpu, each.inside).partition("+")[0] for each in frames]
            if inspector.code.running(vcpu) is not None:  # else its first page is being loaded
                assert names[-1] == "_start"
            steps += 1
            insn = decode(Sight(vcpu).load(vcpu.hart.pc, 4) or 0)
            if insn is None or insn.name in ("sret", "wfi") or names[0] in ("swap_context", "exec"):
                break
            vm.run(1)
        vm.run(1)
    assert steps > 1000
