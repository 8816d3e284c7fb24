"""What the card says of instructions against what the hart does: every CSR, and every instruction with a rule of its
own, in both of the guest's modes, under every technique."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hartvisor.core.hart import EXIT_TRAP
from hartvisor.core.isa.causes import BREAKPOINT, EXCEPTION_BY_NUMBER, INTERRUPT_BIT
from hartvisor.core.isa.csrs import BY_NAME, BY_NUMBER
from hartvisor.core.isa.instructions import BY_NAME as ROWS
from hartvisor.core.isa.instructions import INSTRUCTIONS
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.csr_file import SCAUSE, SCOUNTEREN, SENVCFG, SSTATUS, SSTATUS_FS, STVEC
from hartvisor.core.vmm.guest_isa import GUEST_ISA
from hartvisor.core.vmm.techniques.hosted import Hosted
from hartvisor.core.vmm.vcpu import Vcpu
from hartvisor.core.vmm.views.card.event import executed
from hartvisor.core.vmm.views.card.rules import why_executed
from hartvisor.core.vmm.views.card.world import TECHNIQUES, world_of
from hartvisor.core.vmm.vm import Vm
from hartvisor.core.vmm.walker import SUPERVISOR, USER
from tests.isa.test_sections import SECTIONS, cited

from ...support import ENTRY, MEMORY, guest

HANDLER = ENTRY + 0x100
DATA = ENTRY + 0x1000
NOP = 0x13
READ, WRITE = "csrrs", "csrrw"
MODES = (SUPERVISOR, USER)
NO_EXTRAS = GUEST_ISA - {"Zicboz"}
WITH_SSTC = GUEST_ISA | {"Sstc"}


def prepare(technique: str, isa: frozenset[str] = GUEST_ISA) -> Vcpu:
    """A guest that has touched all that it will touch."""
    config = VmConfig(technique=technique, memory=MEMORY, isa=isa, lends_csrs=False)
    vm = Vm(config, guest(f"li a0, {DATA}\n mv s0, a0\n mv sp, a0\n ld a1, 0(a0)\n sd a1, 0(a0)\n j ."))
    vm.run(40)
    return vm.vcpus[0]


def execute(vcpu: Vcpu, insn: int, mode: int) -> tuple[bool, int | None]:
    """What the hart makes of the instruction: (it exits, the exception it raises)."""
    hart, technique = vcpu.hart, vcpu.technique
    assert isinstance(technique, Hosted)
    vcpu.vm.ram.store(ENTRY, 4, insn)
    hart.pc = ENTRY
    vcpu.mode = mode
    vcpu.csrs.write(STVEC, HANDLER)
    vcpu.csrs.write(SCAUSE, INTERRUPT_BIT)
    while True:
        assert technique.before_entry()
        exit = hart.run(1)
        if exit.reason != EXIT_TRAP:
            break
        if "PAGE_FAULT" not in EXCEPTION_BY_NUMBER[exit.cause].name:
            return True, exit.cause
        assert technique.handlers[exit.cause](vcpu, exit)
    scause = vcpu.csrs.read(SCAUSE)
    if hart.pc == HANDLER and scause != INTERRUPT_BIT:
        return False, scause
    return False, None


def check(vcpu: Vcpu, insn: int, mode: int) -> tuple[bool, int | None]:
    """Compare; and the rule that is given cites sections that exist."""
    vcpu.mode = mode
    found = why_executed(executed(vcpu, insn, mode), world_of(vcpu))
    assert (found.exits, found.cause) == execute(vcpu, insn, mode), f"{insn:#x} in mode {mode}: {found}"
    assert found.rule.endswith(".")
    assert cited(found.section)
    assert set(cited(found.section)) <= SECTIONS
    return found.exits, found.cause


def csr_accesses() -> Iterator[tuple[int, int]]:
    """(number, instruction): each CSR there is and some that are not, read and written, with t0."""
    for number in (*BY_NUMBER, 0x001 + 0x7F, 0x15F, 0x2FF, 0x5FF, 0x7FF, 0xCFF, 0xDFF):
        yield number, ROWS[READ].match | number << 20 | 5 << 7
        yield number, ROWS[WRITE].match | number << 20 | 5 << 15


@pytest.mark.parametrize("isa", [GUEST_ISA, NO_EXTRAS, WITH_SSTC], ids=["guest", "without Zicboz", "with Sstc"])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_csrs(technique: str, isa: frozenset[str]) -> None:
    """Whether an access exits, and with which exception, is what the rule says."""
    vcpu = prepare(technique, isa)
    before = vcpu.save()
    found = set()
    for scounteren in (0, 2, (1 << 32) - 1):
        for _, insn in csr_accesses():
            for mode in MODES:
                vcpu.load(before)
                vcpu.csrs.write(SCOUNTEREN, scounteren)
                vcpu.csrs.write(SSTATUS, scounteren & SSTATUS_FS)
                found.add(check(vcpu, insn, mode))
    assert len(found) >= (3 if technique != "deprivileged" else 2)


def samples() -> Iterator[int]:
    """Instructions that have a privilege rule: sources a0, which holds an address, and ft0."""
    for row in INSTRUCTIONS:
        executed_row = ROWS[row.expands or row.name]
        if executed_row.privilege.section and "csr" not in row.syntax:
            operands = row.format.operands
            insn = row.match
            for name in ("rs1", "rd"):
                field = operands.get(name)
                if field is not None and not row.mask & field.source_mask and row.length == 4:
                    insn |= field.insert(10 if name == "rs1" and not field.is_float else 0)
            yield insn


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_instructions(technique: str) -> None:
    """With floating point and the environment on and off."""
    vcpu = prepare(technique)
    before = vcpu.save()
    hidden = []
    for fs, environment in ((0, 0), (SSTATUS_FS, BY_NAME["senvcfg"].write_mask)):
        for insn in samples():
            for mode in MODES:
                vcpu.load(before)
                vcpu.csrs.write(SENVCFG, environment)
                vcpu.csrs.write(SSTATUS, vcpu.csrs.read(SSTATUS) & ~SSTATUS_FS | fs)
                exits, cause = check(vcpu, insn, mode)
                if cause == BREAKPOINT:
                    hidden.append(exits)
    assert set(hidden) == {technique == "deprivileged"}


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("mode", MODES)
def test_settings_are_the_harts(technique: str, mode: int) -> None:
    """The world that explains is the world that is."""
    vcpu = prepare(technique)
    vcpu.csrs.write(SCOUNTEREN, 5)
    vcpu.csrs.write(SENVCFG, 0x50)
    vcpu.csrs.write(SSTATUS, vcpu.csrs.read(SSTATUS) | SSTATUS_FS)
    execute(vcpu, NOP, mode)
    world = world_of(vcpu)
    assert world.mode(mode) == (("VU", "VS")[mode] if vcpu.hart.virtual else "U")
    control = {"hstatus": BY_NAME["hstatus"].write_mask & ~0x1C0, "mstatus": SSTATUS_FS | 7 << 20,
               "vsstatus": SSTATUS_FS}
    for name, value in world.csrs.items():
        if name == "vsstatus" and not world.is_virtual:
            continue
        mask = control.get(name, -1)
        assert value & mask == vcpu.hart.read_csr(BY_NAME[name].number) & mask, name
