"""The tables as plain tuples of ints, in the shape in which the Cython hart copies them into C arrays at import."""

from __future__ import annotations

from .csrs import CSRS
from .formats import Field, Format, Piece
from .instructions import COMPRESSED_ROWS, INSTRUCTIONS, OP_BY_NAME, OPS
from .row import Instruction

OperandRow = tuple[int, int, int, tuple[Piece, ...]]
"""is signed (0 or 1), width in bits to sign-extend from (0 if unsigned), constant to add, pieces.

A piece is (src_lo, width, dst_lo): `width` bits from bit `src_lo` of the instruction go to bit `dst_lo`.
"""

FormatRow = tuple[OperandRow, OperandRow, OperandRow, OperandRow]
"""The operands rd, rs1, rs2, imm; one that the format lacks has no pieces and constant 0."""


def _formats() -> tuple[Format, ...]:
    return tuple({row.format.name: row.format for row in INSTRUCTIONS}.values())


def _specific_first(rows: tuple[Instruction, ...]) -> list[Instruction]:
    return sorted(rows, key=lambda row: -row.mask.bit_count())


def _format_index() -> dict[str, int]:
    return {form.name: index for index, form in enumerate(_formats())}


def _operand_row(field: Field) -> OperandRow:
    return int(field.sign_bits != 0), field.sign_bits, field.constant, field.pieces


def format_rows() -> tuple[FormatRow, ...]:
    """For each format, by format index: how to extract rd, rs1, rs2, imm. The immediate fits a signed 32-bit int."""
    return tuple(
        (_operand_row(operands.get("rd", Field())), _operand_row(operands.get("rs1", Field())),
         _operand_row(operands.get("rs2", Field())), _operand_row(operands.get("imm", Field())))
        for operands in (form.operands for form in _formats()))


def op_rows() -> tuple[tuple[int, int, int, int], ...]:
    """For each 32-bit row, the most specific mask first: (match, mask, op id, format index). First match wins.

    Rows that expand to another one (pause to fence, say) have that one's op id, so an op id may occur more than once.
    """
    index = _format_index()
    return tuple((row.match, row.mask, OP_BY_NAME[row.expands or row.name], index[row.format.name])
                 for row in _specific_first(tuple(row for row in INSTRUCTIONS if row.length == 4)))


def compressed_rows() -> tuple[tuple[int, int, int, int, int], ...]:
    """For each compressed row, the most specific mask first: (match, mask, op id, format index, nonzero mask).

    The op id is that of the 32-bit instruction it expands to. A row with a nonzero mask matches only if
    `insn & nonzero_mask != 0`. First match wins; a halfword that no row matches is illegal.
    """
    index = _format_index()
    return tuple((row.match, row.mask, OP_BY_NAME[row.expands], index[row.format.name], row.nonzero_mask)
                 for row in _specific_first(COMPRESSED_ROWS))


def op_names() -> tuple[str, ...]:
    """The instruction's name for each op id."""
    return tuple(row.name for row in OPS)


def csr_rows() -> tuple[tuple[int, int, int, int, int], ...]:
    """For each CSR: (number, write mask, reset value, needs H (0 or 1), exists without H (0 or 1)).

    New value = old & ~write_mask | written & write_mask; rules beyond masking (WARL values, aliases, locks) are code.
    """
    return tuple((csr.number, csr.write_mask, csr.reset, int(csr.extension == "H"), int(csr.extension != "H"))
                 for csr in CSRS)


def csr_h_bits() -> tuple[tuple[int, int], ...]:
    """(CSR number, mask) for CSRs that exist without H but have bits that belong to H: clear them if misa.H=0."""
    return tuple((csr.number, csr.h_mask) for csr in CSRS if csr.extension != "H" and csr.h_mask)


