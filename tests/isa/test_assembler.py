"""The assembler against GNU as, riscv-assembler and the meaning of what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import decode
from tests.isa import gnu

BROAD = (Path(__file__).parent / "broad.s").read_text(encoding="utf-8")
BASE = 0x4000_0000


def test_a_broad_program_is_what_gnu_as_and_ld_make_of_it() -> None:
    ours, theirs = assemble(BROAD, BASE).code, gnu.assemble(BROAD, link_at=BASE)
    different = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
    assert different is None, f"first difference {different:#x} bytes in"
    assert len(ours) == len(theirs)


def _run_immediates(code: bytes) -> int:
    """What a run of addi, addiw, lui and slli on one register leaves in it, as a signed number."""
    value = 0
    for place in range(0, len(code), 4):
        insn = decode(int.from_bytes(code[place:place + 4], "little"))
        assert insn is not None
        source = value if insn.rs1 else 0
        assert insn.name in ("addi", "addiw", "slli", "lui")
        result = source << insn.imm if insn.name == "slli" else source + insn.imm
        bits = 32 if insn.name == "addiw" else 64
        value = (result + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    return value


@settings(deadline=None)
@given(st.one_of(st.integers(-(1 << 63), (1 << 64) - 1), st.integers(-(1 << 33), 1 << 33),
                 st.builds(lambda shift, near: (1 << shift) + near, st.integers(0, 62), st.integers(-2049, 2049))))
def test_li_loads_any_64_bit_value(value: int) -> None:
    code = assemble(f"li a0, {value}").code
    assert _run_immediates(code) % (1 << 64) == value % (1 << 64)
    assert len(code) <= 8 * 4


def test_labels_may_come_later_and_numeric_ones_repeat() -> None:
    program = assemble("1: j 1f\n j 1b\n1: j 1b\n j end\nend:", BASE)
    targets = [decode(int.from_bytes(program.code[i:i + 4], "little")) for i in range(0, 16, 4)]
    assert [insn.imm for insn in targets if insn] == [8, -4, 0, 4]
    assert program.symbols == {"end": BASE + 16}


def test_a_constant_may_be_used_before_its_definition() -> None:
    assert assemble("addi a0, a0, LATER\n.equ LATER, 7").code == assemble("addi a0, a0, 7").code


def test_set_changes_a_constant_from_there_on() -> None:
    assert assemble(".set n, 1\n.byte n\n.set n, n + 1\n.byte n").code == bytes([1, 2])


def test_each_address_knows_its_line() -> None:
    assert assemble("nop\n\nx: li a0, 0x12345678\n.byte 1, 2\n.equ y, 3", 8).lines == {8: 1, 12: 3, 20: 4}


def test_comments_and_separators() -> None:
    assert assemble("nop // one\n/* two\n lines */ nop; nop # three").code == assemble("nop\n" * 3).code


def test_code_is_aligned_with_nops_and_data_with_zeros() -> None:
    assert assemble("c.nop\n.align 3").code == bytes.fromhex("0100 0100 13000000")
    assert assemble(".byte 1\n.align 2").code == bytes([1, 0, 0, 0])


# What riscv-assembler 1.2.1 gets right; it has no stores, no CSRs and no hexadecimal that could serve as an oracle.
RISCV_ASSEMBLER_SUBSET = (
    *(f"{name} x5, x6, x7" for name in (
        "add", "sub", "sll", "sltu", "xor", "srl", "sra", "or", "and", "addw", "subw", "sllw", "sraw", "mul", "mulh",
        "div", "divu", "rem", "remu")),
    *(f"{name} x5, x6, 12" for name in (
        "addi", "slti", "sltiu", "xori", "ori", "andi", "slli", "addiw", "slliw", "srliw")),
    "addi a0, a1, -1", "add s1, t0, a7", "lw x5, 12(x6)", "ld x5, 12(x6)", "mv a0, a1", "neg a0, a1", "not a0, a1",
    "nop")


@pytest.mark.parametrize("text", RISCV_ASSEMBLER_SUBSET)
def test_riscv_assembler_agrees_where_it_is_right(text: str) -> None:
    oracle = pytest.importorskip("riscv_assembler.convert")
    (word,) = oracle.AssemblyConverter(output_mode="a", hex_mode=True)(text)
    assert int(word, 16) == int.from_bytes(assemble(text).code, "little")
