"""Assembling what the disassembler wrote gives the same bits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import length
from hartvisor.core.isa.disassembler import disassemble
from hartvisor.core.isa.instructions import INSTRUCTIONS, Instruction

_ADDRESSES = st.integers(0, (1 << 63) - 1).map(lambda half: half * 2)


@st.composite
def _encodings(draw: st.DrawFn) -> int:
    row: Instruction = draw(st.sampled_from(INSTRUCTIONS))
    bits = row.length * 8
    return row.match | draw(st.integers(0, (1 << bits) - 1)) & ~row.mask


def _again(insn: int, pc: int, aliases: bool, numeric: bool) -> int:
    text = disassemble(insn, pc, aliases=aliases, numeric=numeric)
    return int.from_bytes(assemble(text, pc).code, "little")


@settings(deadline=None)
@given(_encodings(), _ADDRESSES, st.booleans(), st.booleans())
def test_any_instruction_survives_disassembly_and_assembly(insn: int, pc: int, aliases: bool, numeric: bool) -> None:
    assert _again(insn, pc, aliases, numeric) == insn


@settings(deadline=None)
@given(st.integers(0, (1 << 32) - 1), _ADDRESSES, st.booleans())
def test_any_word_does_too(word: int, pc: int, aliases: bool) -> None:
    insn = word if length(word) == 4 else word & 0xFFFF
    assert _again(insn, pc, aliases, False) == insn


def test_every_row_does_at_its_extreme_operands() -> None:
    for row in INSTRUCTIONS:
        for insn in (row.match, row.match | ~row.mask & (1 << row.length * 8) - 1):
            assert _again(insn, 0x8000_0000, False, False) == insn, row.name
