"""The tables as plain tuples of ints, in the shape in which the Cython hart copies them into C arrays at import."""

from __future__ import annotations

from functools import lru_cache

from .causes import DEFAULT_ORDER
from .csrs import BY_NAME, CSRS
from .csrs_aia import HVIPRIO_INTERRUPTS
from .extensions import EXTENSION_ID
from .formats import Field, Format, Piece
from .instructions import COMPRESSED_ROWS, INSTRUCTIONS, OP_BY_NAME, OPS
from .paging import PAGING_FORMATS
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


def float_operands() -> tuple[tuple[bool, bool, bool], ...]:
    """For each format, by format index: whether rd, rs1, rs2 are floating-point registers."""
    return tuple(
        (row.get("rd", Field()).is_float, row.get("rs1", Field()).is_float, row.get("rs2", Field()).is_float)
        for row in (form.operands for form in _formats()))


def rounding_formats() -> tuple[bool, ...]:
    """For each format, by format index: whether bits 2:0 of imm are a rounding mode (RESERVED_ROUNDING)."""
    return tuple("rm" in form.operands for form in _formats())


DecodeRow = tuple[int, int, int, int, int, int]
"""match, mask, op id, format index, nonzero mask, extension id.

Rows that expand to another one (pause to fence, say, and all compressed ones) have that one's op id, so an op id may
occur more than once. A row with a nonzero mask matches only if `insn & nonzero_mask != 0`. First match wins among the
rows whose extension, and that of the op's own row, the hart has.
"""


def _decode_rows(rows: tuple[Instruction, ...]) -> tuple[DecodeRow, ...]:
    index = _format_index()
    return tuple((row.match, row.mask, OP_BY_NAME[row.expands or row.name], index[row.format.name], row.nonzero_mask,
                  EXTENSION_ID[row.extension]) for row in _specific_first(rows))


def op_rows() -> tuple[DecodeRow, ...]:
    """The 32-bit rows, the most specific mask first."""
    return _decode_rows(tuple(row for row in INSTRUCTIONS if row.length == 4))


def compressed_rows() -> tuple[DecodeRow, ...]:
    """The compressed rows, the most specific mask first. A halfword that no row matches is illegal."""
    return _decode_rows(COMPRESSED_ROWS)


def op_extensions() -> tuple[int, ...]:
    """The extension id of each op id; of one that needs two, the second, since its decode row has the first."""
    return tuple(EXTENSION_ID[row.needs or row.extension] for row in OPS)


def op_names() -> tuple[str, ...]:
    """The instruction's name for each op id."""
    return tuple(row.name for row in OPS)


@lru_cache(maxsize=64)
def csr_rows(isa: frozenset[str]) -> tuple[tuple[int, int, int], ...]:
    """For each CSR of a hart with these extensions: (number, write mask, reset value).

    New value = old & ~write_mask | written & write_mask; rules beyond masking (WARL values, aliases, locks) are code.
    """
    rows = []
    for csr in CSRS:
        if csr.exists_in(isa):
            absent = csr.absent_bits(isa)
            rows.append((csr.number, csr.write_mask & ~absent, csr.reset & ~absent))
    return tuple(rows)


def csr_twins() -> tuple[tuple[int, int], ...]:
    """(number, number of the VS register that stands in for it in VS-mode), where there is one."""
    return tuple((csr.number, BY_NAME[csr.vs_twin].number) for csr in CSRS if csr.vs_twin)


def interrupt_ranks() -> tuple[int, ...]:
    """For each interrupt number, its place in the default order of priority: 0 is the most urgent."""
    return tuple(DEFAULT_ORDER.index(number) for number in range(len(DEFAULT_ORDER)))


def hviprio_interrupts() -> tuple[int, ...]:
    """The interrupts whose priorities the bytes of hviprio1, then of hviprio2, hold."""
    return HVIPRIO_INTERRUPTS


def extension_ids(isa: frozenset[str]) -> tuple[int, ...]:
    """The ids of these extensions, and of the privileged base."""
    return (0, *(EXTENSION_ID[name] for name in isa))


def paging_rows() -> tuple[tuple[int, int, int, int, int], ...]:
    """For each paging format: (is G-stage (0 or 1), MODE, levels, width of the address, entries in the root)."""
    return tuple((int(form.is_gstage), form.mode, form.levels, form.address_bits, 1 << form.root_index_bits)
                 for form in PAGING_FORMATS)
