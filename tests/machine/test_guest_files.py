"""A guest with an interrupt file of its own sends itself messages through two-stage translation, and nobody exits
(AIA, "VS-level external interrupts with a guest interrupt file")."""

from __future__ import annotations

from hartvisor.core.isa import causes
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.machine.interrupts import Aia
from hartvisor.core.machine.machine import Machine
from hartvisor.core.machine.memory_map import IMSIC_S, MIB, PAGE_SIZE, RAM_BASE
from tests.hart.tables import ALL, A, D, R, Tables, U, V, W

GUEST = 2
"""The file that the guest has, and the page of it: file g is g pages behind S-mode's."""
IDENTITY = 9
TABLES = RAM_BASE + 2 * MIB
HS_VECTOR = RAM_BASE + 0x2000
A0, A1, A2 = 10, 11, 12

# The guest sees its file at the address where a machine of its own would have S-mode's.
SOURCE = f"""
    la t0, handler
    csrw stvec, t0
    li t0, 0x70
    csrw siselect, t0
    csrwi sireg, 1
    li t0, 0xC0
    csrw siselect, t0
    li t1, {1 << IDENTITY}
    csrw sireg, t1
    csrwi sstatus, 2
    li t0, {IMSIC_S.base}
    li t1, {IDENTITY}
    sw t1, 0(t0)
    li a2, 1
done:
    j done
    .align 2
handler:
    csrr a0, scause
    csrrw a1, stopei, x0
    sret
"""


def machine_with_guest(vgein: int) -> Machine:
    """A machine in VS-mode at SOURCE; `vgein`: whose file it is that VS-mode has."""
    machine = Machine(8 * MIB, aia=Aia.APLIC_IMSIC)
    hart = machine.harts[0]
    machine.memory.write(RAM_BASE, assemble(SOURCE, RAM_BASE).code)
    tables = Tables(machine.memory, TABLES, gstage=True)
    tables.map(RAM_BASE, RAM_BASE, ALL | U)
    tables.map(IMSIC_S.base, IMSIC_S.base + GUEST * PAGE_SIZE, V | R | W | U | A | D)
    for name, value in {
        "pmpaddr0": (1 << 54) - 1, "pmpcfg0": 0x1F, "mstateen0": -1, "hstateen0": -1, "medeleg": -1, "mideleg": -1,
        "hideleg": causes.HIDELEG_MASK, "hie": causes.bits(causes.VSEI, causes.SGEI), "hgeie": 1 << GUEST,
        "hstatus": vgein << 12, "hgatp": tables.satp, "stvec": HS_VECTOR,
    }.items():
        hart.write_csr(BY_NAME[name].number, value & (1 << 64) - 1)
    hart.privilege, hart.virtual, hart.pc = 1, True, RAM_BASE
    return machine


def test_a_guest_interrupts_itself_without_an_exit() -> None:
    machine = machine_with_guest(GUEST)
    hart = machine.harts[0]
    hart.write_csr(BY_NAME["hie"].number, causes.bits(causes.VSEI))  # while it runs, its file is not HS-mode's business
    machine.run(100)
    assert hart.read_gpr(A0) == causes.INTERRUPT_BIT | causes.SEI
    assert hart.read_gpr(A1) == IDENTITY << 16 | IDENTITY
    assert (hart.read_gpr(A2), hart.virtual, hart.guest_traps) == (1, True, 1)


def test_a_message_for_a_guest_that_does_not_run_interrupts_hs_mode() -> None:
    machine = machine_with_guest(GUEST)
    hart = machine.harts[0]
    hart.write_csr(BY_NAME["vsiselect"].number, 0x70)
    hart.write_csr(BY_NAME["vsireg"].number, 1)
    hart.write_csr(BY_NAME["vsiselect"].number, 0xC0)
    hart.write_csr(BY_NAME["vsireg"].number, 1 << IDENTITY)
    hart.write_csr(BY_NAME["hstatus"].number, 1 << 12)  # another guest's turn
    machine.board.bus.store(IMSIC_S.base + GUEST * PAGE_SIZE, 4, IDENTITY)
    assert hart.read_csr(BY_NAME["hgeip"].number) == 1 << GUEST
    machine.run(1)
    assert (hart.pc, hart.virtual) == (HS_VECTOR, False)
    assert hart.read_csr(BY_NAME["scause"].number) == causes.INTERRUPT_BIT | causes.SGEI


def test_a_guest_without_a_file_gets_a_virtual_instruction_exception() -> None:
    """The hypervisor emulates the file then."""
    machine = machine_with_guest(0)
    hart = machine.harts[0]
    while hart.virtual:
        machine.run(1)
    assert hart.read_csr(BY_NAME["sepc"].number) == RAM_BASE + 20
    assert hart.read_csr(BY_NAME["scause"].number) == causes.VIRTUAL_INSTRUCTION
