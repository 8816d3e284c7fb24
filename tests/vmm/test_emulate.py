"""An emulated load, store or atomic does exactly what the hart does with the same instruction."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.causes import STORE_ACCESS_FAULT, STORE_PAGE_FAULT
from hartvisor.core.isa.instructions import INSTRUCTIONS
from hartvisor.core.vmm.compare import difference_of
from hartvisor.core.vmm.csr_file import SATP, SSTATUS
from hartvisor.core.vmm.emulate import MEMORY_OPS, emulate_access, find_memory_op
from hartvisor.core.vmm.traps import inject
from hartvisor.core.vmm.vm import Vm

from .support import ENTRY, guest, start

DATA = ENTRY + 0x2000
HOLE = 0x4000
UART = 0x1000_0000
RAM_END = 0x8080_0000
FS_CLEAN = 2 << 13


def vm_at(instruction: str, address: int, operand: int, reserved: int) -> Vm:
    """A bare machine about to execute `instruction`, with the address in a0, the operand in a1 and fa1; FS is clean."""
    vm = start(guest(instruction), "bare")
    vm.ram.write(DATA, bytes(range(7, 7 + 240)))
    vm.ram.write(DATA + 0xFF0, bytes(range(130, 162)))
    vm.hart.write_gpr(10, address)
    vm.hart.write_gpr(11, operand)
    vm.hart.write_fpr(11, operand)
    vm.vcpus[0].csrs.write(SSTATUS, FS_CLEAN)
    vm.vcpus[0].reservation = reserved
    return vm


def emulate(vm: Vm) -> None:
    """Execute the instruction at pc by emulation."""
    vcpu = vm.vcpus[0]
    found = find_memory_op(vm.hart.fetch_insn())
    assert found is not None
    fault = emulate_access(vcpu, *found)
    if fault is not None:
        inject(vcpu, fault.cause, fault.tval)


def syntax(name: str) -> str:
    op = MEMORY_OPS[name]
    if name == "amocas.q":
        return "amocas.q a2, a0, (a0)"
    f = "f" * op.is_float
    return {"load": f"{name} {f}a2, 0(a0)", "store": f"{name} {f}a1, 0(a0)", "lr": f"{name} a2, (a0)",
            "zero": f"{name} (a0)", "manage": f"{name} (a0)"}.get(
        op.kind, f"{name} a2, a1, (a0)")


SAMPLES = [syntax(name) for name in MEMORY_OPS] + [
    "c.lw a2, 4(a0)", "c.ld a2, 8(a0)", "c.sw a1, 4(a0)", "c.sd a1, 8(a0)", "lw zero, 0(a0)", "amoadd.d a0, a0, (a0)",
    "sd a0, -8(a0)", "c.fld fa2, 8(a0)", "c.fsd fa1, 8(a0)", "lr.w zero, (a0)", "sc.d a0, a0, (a0)",
    "amocas.q zero, zero, (a0)", "amocas.d a1, a1, (a0)", "amocas.w zero, a1, (a0)"]
ADDRESSES = [DATA, DATA + 4, DATA + 1, DATA + 6, DATA + 0xFFC, DATA + 0xFFE, DATA + 0xFFF, UART, UART + 5, HOLE,
             RAM_END - 2, RAM_END - 8, 0, (1 << 64) - 2]


def check(instruction: str, address: int, operand: int, reserved: int) -> None:
    real, emulated = (vm_at(instruction, address, operand, reserved) for _ in range(2))
    real.run(1)
    emulate(emulated)
    assert difference_of(real, emulated) == {}


@pytest.mark.parametrize("instruction", SAMPLES)
def test_matches_the_hart_at_interesting_addresses(instruction: str) -> None:
    for address in ADDRESSES:
        check(instruction, address, 0x8123_4567_89AB_CDEF, DATA)


@given(st.sampled_from(SAMPLES), st.integers(DATA, DATA + 0x1010), st.integers(0, (1 << 64) - 1),
       st.integers(0, 5).map(lambda n: DATA + 8 * n))
@settings(max_examples=150, deadline=None)
def test_matches_the_hart_everywhere(instruction: str, address: int, operand: int, reserved: int) -> None:
    check(instruction, address, operand, reserved)


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
def test_a_reservation_is_the_guests_wherever_its_frame_lies(technique: str) -> None:
    vm = start(guest("lr.d a2, (a0)\nsc.d a3, a1, (a0)"), technique)
    vm.ram.store(DATA, 8, 5)
    vm.hart.write_gpr(10, DATA)
    vm.hart.write_gpr(11, 6)
    for instruction, reserved in (("lr.d a2, (a0)", DATA), ("sc.d a3, a1, (a0)", -1)):
        found = find_memory_op(int.from_bytes(assemble(instruction).code, "little"))
        assert found is not None and emulate_access(vm.vcpus[0], *found) is None
        assert vm.vcpus[0].reservation == reserved
    assert (vm.hart.read_gpr(12), vm.hart.read_gpr(13), vm.ram.load(DATA, 8)) == (5, 0, 6)
    assert vm.ram.hpa(DATA) != DATA


@pytest.mark.parametrize("name", ["cbo.zero", "cbo.inval", "cbo.clean", "cbo.flush"])
def test_a_cache_block_that_cannot_be_reached_is_a_stores_fault(name: str) -> None:
    """Whatever permission it needs ("Cache Management Operations"): a page fault where nothing is mapped, an access
    fault where the tables lie in nothing."""
    vm = start(guest(f"{name} (a0)"), "deprivileged")
    vm.hart.write_gpr(10, DATA)
    for table, cause in ((DATA, STORE_PAGE_FAULT), (HOLE, STORE_ACCESS_FAULT)):
        vm.vcpus[0].csrs.write(SATP, 8 << 60 | table >> 12)
        found = find_memory_op(int.from_bytes(assemble(f"{name} (a0)").code, "little"))
        assert found is not None
        assert emulate_access(vm.vcpus[0], *found) == (cause, DATA)


def test_every_memory_instruction_of_the_table_is_known() -> None:
    accessing = {row.name for row in INSTRUCTIONS if row.syntax.endswith(("imm(rs1)", "(rs1)")) and not row.expands
                 and row.extension != "H" and row.name != "jalr"}
    assert accessing == set(MEMORY_OPS)


def test_what_does_not_touch_memory_is_not_emulated() -> None:
    for text in ("add a0, a0, a1", "ecall", "csrr a0, sscratch"):
        assert find_memory_op(int.from_bytes(assemble(text).code, "little")) is None
    assert find_memory_op(0) is None
