"""A hart has the instructions and CSRs of its extensions and no others, in every mode."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.hart import Hart, Memory
from hartvisor.core.isa import causes, csrs
from hartvisor.core.isa.extensions import DEFAULT_ISA, EXTENSIONS, misa_bits, parse_isa, without
from hartvisor.core.isa.instructions import INSTRUCTIONS, Instruction

from .bench import CODE, MODES, Bench, number

ALWAYS = ("I", "S", "U", "Zicsr")
OPTIONAL = [row.name for row in EXTENSIONS if not row.is_fact and row.name not in ALWAYS]
MODE_NAMES = tuple(MODES)


def _gone(isa: frozenset[str]) -> list[Instruction]:
    """The rows that such a hart does not decode, hints aside: those are another row's without their extension."""
    rows = [row for row in INSTRUCTIONS if row.extension and row.extension not in isa]
    return [row for row in rows if not any(
        other.matches(row.match) and other.mask.bit_count() < row.mask.bit_count()
        and (not other.extension or other.extension in isa) for other in INSTRUCTIONS if other.length == row.length)]


def _put(bench: Bench, row: Instruction) -> int:
    """An encoding of the row at the bench's pc."""
    insn = row.match | row.nonzero_mask & -row.nonzero_mask
    bench.memory.write(CODE, insn.to_bytes(row.length, "little"))
    return insn


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_left_out_is_illegal_in_every_mode(name: str) -> None:
    isa = without(DEFAULT_ISA, name)
    modes = [mode for mode in MODE_NAMES if "H" in isa or not mode.startswith("V")]
    for row, mode in product(_gone(isa), modes):
        bench = Bench(mode=mode, isa=isa)
        bench.delegate_all()
        insn = _put(bench, row)
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (causes.ILLEGAL_INSTRUCTION, insn), (row.name, mode)


@pytest.mark.parametrize("name", OPTIONAL)
def test_csrs_of_what_is_left_out_do_not_exist(name: str) -> None:
    isa = without(DEFAULT_ISA, name)
    bench = Bench(isa=isa)
    for csr in csrs.CSRS:
        if csr.exists_in(isa):
            absent = csr.absent_bits(isa)
            assert not bench[csr.name] & absent
            if not csr.is_read_only:
                bench[csr.name] = (1 << 64) - 1
                assert not bench[csr.name] & absent, csr.name
        else:
            with pytest.raises(KeyError):
                bench.hart.read_csr(csr.number)
            assert Bench(f"csrr x1, {csr.number:#x}", isa=isa).trap().cause == causes.ILLEGAL_INSTRUCTION


@pytest.mark.parametrize("name", OPTIONAL)
def test_misa_shows_what_is_there(name: str) -> None:
    isa = without(DEFAULT_ISA, name)
    hart = Hart(Memory(4096), isa=isa)
    assert hart.isa == isa
    assert hart.read_csr(number("misa")) & (1 << 26) - 1 == misa_bits(isa)


def test_a_hint_without_its_extension_is_the_instruction_whose_hint_it_is() -> None:
    bench = Bench("pause", isa=without(DEFAULT_ISA, "Zihintpause"))
    bench.hart.run(1)
    assert (bench.hart.pc, bench.hart.guest_traps) == (CODE + 4, 0)


def test_harts_of_one_memory_have_the_same_extensions() -> None:
    memory = Memory(4096)
    first = Hart(memory)
    with pytest.raises(ValueError, match="same extensions"):
        Hart(memory, isa=parse_isa("rv64i"))
    del first
    Hart(memory, isa=parse_isa("rv64i"))


# ---------------------------------------------------------------- IALIGN=32

NO_C = without(DEFAULT_ISA, "C")
BRANCHES = {"beq": (5, 5), "bne": (5, 6), "blt": (-1, 0), "bge": (0, -1), "bltu": (0, -1), "bgeu": (-1, 0)}
"""Operands with which each is taken; swapped, or unequal for beq and equal for bne, it is not."""


@pytest.mark.parametrize("jump", ["jal x1, . + 6", "jal x1, . - 2"])
def test_jal_to_half_a_word_is_misaligned(jump: str) -> None:
    bench = Bench("nop\n" + jump, isa=NO_C)
    bench.hart.run(1)
    trap = bench.trap()
    target = CODE + 4 + (6 if "+" in jump else -2)
    assert (trap.cause, trap.tval, trap.epc) == (causes.INSTRUCTION_ADDRESS_MISALIGNED, target, CODE + 4)
    assert bench.x(1) == 0


@pytest.mark.parametrize("mode", MODE_NAMES)
def test_jalr_to_half_a_word_is_misaligned(mode: str) -> None:
    bench = Bench("jalr x1, 3(x5)", isa=NO_C, mode=mode)
    bench.set(x5=CODE + 0x103)
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (causes.INSTRUCTION_ADDRESS_MISALIGNED, CODE + 0x106, CODE)
    assert bench.x(1) == 0
    if mode.startswith("V"):
        assert bench["mstatus"] >> 38 & 1


def test_jalr_to_a_word_jumps() -> None:
    bench = Bench("jalr x1, 1(x5)", isa=NO_C)
    bench.set(x5=CODE + 0x100)
    bench.hart.run(1)
    assert (bench.hart.pc, bench.x(1)) == (CODE + 0x100, CODE + 4)


@pytest.mark.parametrize("name", BRANCHES)
def test_only_a_taken_branch_to_half_a_word_is_misaligned(name: str) -> None:
    one, two = BRANCHES[name]
    other = {"beq": (5, 6), "bne": (5, 5)}.get(name, (two, one))
    for (x5, x6), is_taken in (((one, two), True), (other, False)):
        bench = Bench(f"{name} x5, x6, . + 6", isa=NO_C)
        bench.set(x5=x5, x6=x6)
        if is_taken:
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (causes.INSTRUCTION_ADDRESS_MISALIGNED, CODE + 6)
        else:
            bench.hart.run(1)
            assert bench.hart.pc == CODE + 4


@pytest.mark.parametrize("name", ["mepc", "sepc", "vsepc"])
def test_epc_holds_multiples_of_four(name: str) -> None:
    bench = Bench(isa=NO_C)
    bench[name] = 0x1237
    assert bench[name] == 0x1234
    bench = Bench()
    bench[name] = 0x1237
    assert bench[name] == 0x1236
