"""From an instruction's bits to assembly text, in GNU objdump's notation.

Without aliases the text is what `objdump -M no-aliases` prints (a space after the mnemonic, not a tab). Whatever the
text, assembling it at the same address gives the same bits back: bits that no operand shows, such as the reserved
fields of fence, or that are no instruction at all, come out as `.word` or `.half`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import csrs, registers
from .aliases import ALIASES, Alias
from .decoder import find_row, length
from .formats import Format
from .row import Instruction
from .rows_float import FLI_CONSTANTS

_ADDRESS_MASK = (1 << 64) - 1
_OPERAND = re.compile(r"[a-z]\w*")

FENCE_LETTERS = "iorw"
"""The accesses that a fence orders, from bit 3 of pred and succ down to bit 0."""

ORDERING_SUFFIX = {(0, 0): "", (1, 0): ".aq", (0, 1): ".rl", (1, 1): ".aqrl"}
"""The mnemonic's ending for the aq and rl bits of an atomic."""


def disassemble(insn: int, pc: int = 0, *, aliases: bool = False, numeric: bool = False) -> str:
    """The text of the instruction `insn` at address `pc`, which branch and jump targets are relative to.

    With `aliases` pseudo-instructions are used where one fits; with `numeric` registers are x0 to x31.
    """
    size = length(insn)
    insn &= (1 << size * 8) - 1
    row = find_row(insn)
    if row is None:
        return _raw(insn, size)
    values = {name: field.extract(insn) for name, field in row.format.operands.items()}
    mnemonic, syntax = row.name, row.syntax
    suffix = ORDERING_SUFFIX[values["aq"], values["rl"]] if "aq" in values else ""
    alias = _find_alias(row, values) if aliases else None
    if "rm" in values and values["rm"] == row.format.operands["rm"].default:
        syntax = syntax.removesuffix(", rm")
    if alias:
        mnemonic, syntax = alias.name, alias.syntax
    text = _text(mnemonic + suffix, syntax, row.format, values, pc, numeric)
    if not _is_whole(insn, row, values):
        return f"{_raw(insn, size)} # {text}, with reserved bits set"
    return text


def _raw(insn: int, size: int) -> str:
    return f".word 0x{insn:08x}" if size == 4 else f".half 0x{insn:04x}"


def _is_whole(insn: int, row: Instruction, values: Mapping[str, int]) -> bool:
    """Whether mask and shown operands account for every bit."""
    shown = set(_OPERAND.findall(row.syntax)) | {"aq", "rl"}
    covered = row.mask
    for name, field in row.format.operands.items():
        if name in shown or _FACES.get(name, frozenset()) & shown:
            covered |= field.source_mask
    return insn & ~covered == 0


_FACES = {"imm": frozenset({"target", "upper", "csr", "shamt", "constant"}), "rs1": frozenset({"zimm"})}


def _find_alias(row: Instruction, values: Mapping[str, int]) -> Alias | None:
    fits = [alias for alias in _SHOWN.get(row.name, ())
            if all(values[name] == value for name, value in alias.fixed.items())
            and not (alias.is_doubled and values["rs1"] != values["rs2"])]
    return max(fits, key=lambda alias: len(alias.fixed), default=None)


def _shown_aliases() -> dict[str, list[Alias]]:
    by_row: dict[str, list[Alias]] = {}
    for alias in ALIASES:
        if alias.is_shown:
            by_row.setdefault(alias.row, []).append(alias)
    return by_row


_SHOWN = _shown_aliases()


def _text(mnemonic: str, syntax: str, form: Format, values: Mapping[str, int], pc: int, numeric: bool) -> str:
    if not syntax:
        return mnemonic
    operands = _OPERAND.sub(lambda match: _operand(match.group(), form, values, pc, numeric), syntax.replace(", ", ","))
    return f"{mnemonic} {operands}"


def _operand(name: str, form: Format, values: Mapping[str, int], pc: int, numeric: bool) -> str:
    match name:
        case "imm":
            return str(values["imm"])
        case "shamt":
            return hex(values["imm"])
        case "target":
            return hex(pc + values["imm"] & _ADDRESS_MASK)
        case "upper":
            return hex(values["imm"] >> 12 & 0xFFFFF)
        case "csr":
            number = values["imm"]
            return csrs.BY_NUMBER[number].name if number in csrs.BY_NUMBER else hex(number)
        case "zimm":
            return str(values["rs1"])
        case "pred" | "succ":
            bits = values[name]
            return "".join(letter for i, letter in enumerate(FENCE_LETTERS) if bits >> (3 - i) & 1) or "0"
        case "rm":
            return registers.ROUNDING_MODES[values["rm"]]
        case "constant":
            return _fli_text(FLI_CONSTANTS[values["imm"]])
        case _:
            return _register(values[name], form.operands[name].is_float, numeric)


def _register(number: int, is_float: bool, numeric: bool) -> str:
    if is_float:
        return (registers.FLOAT_NUMERIC if numeric else registers.FLOAT_ABI)[number]
    return (registers.NUMERIC if numeric else registers.ABI)[number]


def _fli_text(value: float | str) -> str:
    """As C's %a writes it, the way objdump shows fli's operand."""
    if isinstance(value, str):
        return value
    significand, exponent = value.hex().split("p")
    return f"{significand.rstrip('0').rstrip('.')}p{exponent}"
