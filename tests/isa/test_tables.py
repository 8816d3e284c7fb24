"""The tables agree with themselves, with each other, and with what the hart is given."""

from __future__ import annotations

from itertools import combinations

import pytest

from hartvisor.core.isa import causes, csrs, hart_tables
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import Decoded, decode
from hartvisor.core.isa.extensions import DEFAULT_ISA, without
from hartvisor.core.isa.instructions import BY_NAME, INSTRUCTIONS, OP_BY_NAME, OPS
from hartvisor.core.isa.row import ANY_MODE, RESERVED_ROUNDING, UNPRIVILEGED
from tests.isa import samples

EXPANSIONS = {
    "c.addi4spn a0, sp, 16": "addi a0, sp, 16", "c.lw a0, 4(a1)": "lw a0, 4(a1)", "c.ld a0, 8(a1)": "ld a0, 8(a1)",
    "c.sw a0, 4(a1)": "sw a0, 4(a1)", "c.sd a0, 8(a1)": "sd a0, 8(a1)", "c.nop": "addi x0, x0, 0",
    "c.addi t0, -3": "addi t0, t0, -3", "c.addiw t0, -3": "addiw t0, t0, -3", "c.li t0, -3": "addi t0, x0, -3",
    "c.addi16sp sp, -64": "addi sp, sp, -64", "c.lui t0, 0xfffff": "lui t0, 0xfffff",
    "c.srli a0, 33": "srli a0, a0, 33", "c.srai a0, 33": "srai a0, a0, 33", "c.andi a0, -2": "andi a0, a0, -2",
    "c.sub a0, a1": "sub a0, a0, a1",
    "c.xor a0, a1": "xor a0, a0, a1", "c.or a0, a1": "or a0, a0, a1", "c.and a0, a1": "and a0, a0, a1",
    "c.subw a0, a1": "subw a0, a0, a1", "c.addw a0, a1": "addw a0, a0, a1", "c.j .-6": "jal x0, .-6",
    "c.beqz a0, .+8": "beq a0, x0, .+8", "c.bnez a0, .-8": "bne a0, x0, .-8", "c.slli t0, 33": "slli t0, t0, 33",
    "c.lwsp t0, 4(sp)": "lw t0, 4(sp)", "c.ldsp t0, 8(sp)": "ld t0, 8(sp)", "c.jr t0": "jalr x0, 0(t0)",
    "c.mv t0, t1": "add t0, x0, t1", "c.ebreak": "ebreak", "c.jalr t0": "jalr ra, 0(t0)",
    "c.lbu a0, 3(a1)": "lbu a0, 3(a1)", "c.lhu a0, 2(a1)": "lhu a0, 2(a1)", "c.lh a0, 2(a1)": "lh a0, 2(a1)",
    "c.sb a0, 3(a1)": "sb a0, 3(a1)", "c.sh a0, 2(a1)": "sh a0, 2(a1)", "c.mul a0, a1": "mul a0, a0, a1",
    "c.zext.b a0": "andi a0, a0, 255", "c.sext.b a0": "sext.b a0, a0", "c.zext.h a0": "zext.h a0, a0",
    "c.sext.h a0": "sext.h a0, a0", "c.zext.w a0": "add.uw a0, a0, x0", "c.not a0": "xori a0, a0, -1",
    "c.ntl.p1": "add x0, x0, x2", "c.ntl.pall": "add x0, x0, x3", "c.ntl.s1": "add x0, x0, x4",
    "c.ntl.all": "add x0, x0, x5", **{f"c.mop.{n}": "addi x0, x0, 0" for n in range(1, 16, 2)},
    "c.add t0, t1": "add t0, t0, t1", "c.swsp t0, 4(sp)": "sw t0, 4(sp)", "c.sdsp t0, 8(sp)": "sd t0, 8(sp)",
    "c.fld fa0, 8(a1)": "fld fa0, 8(a1)", "c.fsd fa0, 8(a1)": "fsd fa0, 8(a1)",
    "c.fldsp ft0, 8(sp)": "fld ft0, 8(sp)", "c.fsdsp ft0, 8(sp)": "fsd ft0, 8(sp)",
}
"""Unprivileged manual, "C" extension: what each compressed instruction expands to."""


def _meaning(source: str) -> tuple[str, int, int, int, int]:
    decoded = decode(int.from_bytes(assemble(source, 0x1000).code, "little"))
    assert decoded is not None
    return decoded.name, decoded.rd, decoded.rs1, decoded.rs2, decoded.imm


@pytest.mark.parametrize("compressed", EXPANSIONS)
def test_compressed_instruction_means_what_the_manual_says(compressed: str) -> None:
    assert _meaning(compressed) == _meaning(EXPANSIONS[compressed])


def test_every_compressed_row_has_its_expansion_above() -> None:
    assert {text.split()[0] for text in EXPANSIONS} == {row.name for row in INSTRUCTIONS if row.length == 2}


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(INSTRUCTIONS)
    assert len(csrs.BY_NAME) == len(csrs.BY_NUMBER) == len(csrs.CSRS)


def test_no_word_is_two_instructions() -> None:
    for one, other in combinations(INSTRUCTIONS, 2):
        if one.length == other.length and (one.match ^ other.match) & one.mask & other.mask == 0:
            assert one.mask.bit_count() != other.mask.bit_count(), (one.name, other.name)


@pytest.mark.parametrize("row", INSTRUCTIONS, ids=lambda row: row.name)
def test_row_is_sound(row: object) -> None:
    assert isinstance(row, type(INSTRUCTIONS[0]))
    assert row.match & ~row.mask == 0
    assert row.mask & (0x7F if row.length == 4 else 0xE003) == (0x7F if row.length == 4 else 0xE003)
    assert not row.expands or row.expands in OP_BY_NAME
    for field in row.format.operands.values():
        assert field.source_mask < 1 << row.length * 8
        assert field.value_mask.bit_count() == field.source_mask.bit_count()


def test_privilege_rules_speak_of_modes_and_causes_that_exist() -> None:
    for row in INSTRUCTIONS:
        rule = row.privilege
        assert set(rule.modes) | {trap.mode for trap in rule.traps} <= set(ANY_MODE)
        assert {trap.cause for trap in rule.traps} <= set(causes.EXCEPTION_BY_NUMBER)
        assert bool(rule.section) == (rule != UNPRIVILEGED), row.name


def test_only_a_hypervisor_instruction_is_virtual_in_vs_mode_whatever_the_state() -> None:
    always = {row.name for row in INSTRUCTIONS for trap in row.privilege.traps
              if (trap.mode, trap.condition, trap.cause) == ("VS", "", causes.VIRTUAL_INSTRUCTION)}
    assert always == {row.name for row in INSTRUCTIONS if row.name.startswith("h")}


def _decode_as_the_hart_does(insn: int) -> tuple[str, int, int, int, int] | None:
    for match, mask, op, form, nonzero, _ in hart_tables.op_rows() if insn & 3 == 3 else hart_tables.compressed_rows():
        if insn & mask == match and (not nonzero or insn & nonzero):
            operands = []
            for is_signed, bits, constant, pieces in hart_tables.format_rows()[form]:
                value = sum((insn >> src & (1 << width) - 1) << dst for src, width, dst in pieces)
                operands.append((value - (1 << bits) if is_signed and value >> bits - 1 else value) + constant)
            rd, rs1, rs2, imm = operands
            if hart_tables.rounding_formats()[form] and imm & 7 in RESERVED_ROUNDING:
                return None
            return hart_tables.op_names()[op], rd, rs1, rs2, imm
    return None


def _parts(decoded: Decoded | None) -> tuple[str, int, int, int, int] | None:
    return (decoded.name, decoded.rd, decoded.rs1, decoded.rs2, decoded.imm) if decoded else None


def test_the_harts_tables_decode_like_the_decoder() -> None:
    for insn in (*samples.COMPRESSED_HALFWORDS[::7], *samples.words(3000)):
        assert _decode_as_the_hart_does(insn) == _parts(decode(insn)), hex(insn)


def test_immediates_fit_the_harts_32_bit_field() -> None:
    for rows in hart_tables.format_rows():
        is_signed, bits, constant, pieces = rows[3]
        assert -(1 << 31) <= constant < 1 << 31
        assert bits <= 32 if is_signed else sum(width for _, width, _ in pieces) < 32


def test_reserved_compressed_encodings_are_illegal() -> None:
    reserved = {"c.addi4spn, imm 0": 0x0004, "zero": 0x0000, "c.addiw, rd 0": 0x2005, "c.addi16sp, imm 0": 0x6101,
                "c.lui, imm 0": 0x6881, "c.lwsp, rd 0": 0x4012, "c.ldsp, rd 0": 0x6022, "c.jr, rs1 0": 0x8002,
                "reserved CA": 0x9C79,
                "funct6 100100 of quadrant 0": 0x9000, "c.mop, even": 0x6001}
    assert {name: decode(insn) for name, insn in reserved.items()} == dict.fromkeys(reserved)


def test_op_ids_are_places_in_ops() -> None:
    assert [row.name for row in OPS] == list(hart_tables.op_names()) == list(OP_BY_NAME)
    assert all(row.length == 4 for row in OPS)


@pytest.mark.parametrize("csr", csrs.CSRS, ids=lambda csr: csr.name)
def test_csr_row_is_sound(csr: csrs.Csr) -> None:
    assert csr.description and len({field.name for field in csr.fields}) == len(csr.fields)
    for one, other in combinations(csr.fields, 2):
        assert one.mask & other.mask == 0, (one.name, other.name)
    if csr.fields:
        assert csr.write_mask & ~sum(field.mask for field in csr.fields if field.writable) == 0
    assert not (csr.is_read_only and csr.write_mask)
    assert csr.write_mask | csr.reset < 1 << 64
    if csr.vs_twin:
        twin = csrs.BY_NAME[csr.vs_twin]
        assert (twin.number, twin.write_mask, twin.fields) == (csr.number + 0x100, csr.write_mask, csr.fields)


def test_pmpcfg_entries_allow_the_fields_of_an_entry() -> None:
    entry = sum(field.mask for field in csrs.PMPCFG_FIELDS)
    assert csrs.BY_NAME["pmpcfg0"].write_mask == sum(entry << shift for shift in range(0, 64, 8))


def test_delegation_masks_are_the_manuals() -> None:
    hedeleg_read_only = {9, 10, 11, 20, 21, 22, 23}
    assert {n for n in range(64) if causes.HEDELEG_MASK >> n & 1} == set(causes.EXCEPTION_BY_NUMBER) - hedeleg_read_only
    assert causes.MEDELEG_MASK >> 11 & 1 == 0
    assert csrs.BY_NAME["mideleg"].reset == 0x444
    assert (csrs.BY_NAME["mideleg"].write_mask, csrs.BY_NAME["hideleg"].write_mask) == (0x2222, 0x2444)


def test_without_h_no_bit_of_h_is_left() -> None:
    whole, bare = (hart_tables.csr_rows(isa) for isa in (DEFAULT_ISA, without(DEFAULT_ISA, "H")))
    resets = {number: reset for number, _, reset in whole}
    gone = {number: resets[number] & ~reset for number, _, reset in bare if resets[number] & ~reset}
    assert gone == {csrs.BY_NAME["misa"].number: 1 << 7, csrs.BY_NAME["mideleg"].number: 0x444}
    masks = {number: mask for number, mask, _ in whole}
    assert {number: masks[number] & ~mask for number, mask, _ in bare}[csrs.BY_NAME["mstatus"].number] == 0b11 << 38
