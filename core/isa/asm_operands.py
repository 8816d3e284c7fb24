"""Operands in assembly source: a row's syntax read as a pattern, and instruction bits made of what it found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from . import csrs, registers
from .asm_expression import Scope, evaluate
from .asm_source import Cursor, Mismatch, SourceError, Token
from .disassembler import FENCE_LETTERS
from .formats import Field, Format
from .row import Instruction
from .rows_float import FLI_CONSTANTS

_ADDRESS_BITS = 64
_PATTERN = re.compile(r"[a-z]\w*|[(),]")


def signed(value: int, bits: int) -> int:
    """The low `bits` bits of `value` as a two's-complement number."""
    return (value + (1 << bits - 1) & (1 << bits) - 1) - (1 << bits - 1)


def read_operands(syntax: str, form: Format, cursor: Cursor, scope: Scope, pc: int) -> dict[str, int]:
    """The operands of a statement in `form` written as `syntax` says; Mismatch if it is not."""
    values: dict[str, int] = {}
    pattern = _PATTERN.findall(syntax)
    for place, element in enumerate(pattern):
        if cursor.at_end and pattern[place:] == [",", "rm"] and form.operands["rm"].default is not None:
            break
        if element in "(),":
            # An offset may stand before (rs1) only where the syntax has one, but a plain 0 is harmless.
            if element == "(" and pattern[place - 1] == "," and cursor.peek() == Token("number", "0"):
                cursor.take()
            cursor.expect(element)
        elif element == "imm" and pattern[place + 1:place + 2] == ["("] and _is_base_register(cursor):
            values["imm"] = 0
        else:
            name, value = _read(element, form, cursor, scope, pc)
            values[name] = value
    cursor.finish()
    return values


def _is_base_register(cursor: Cursor) -> bool:
    return cursor.peek().text == "(" and cursor.peek(1).text in registers.NUMBER


def _read(element: str, form: Format, cursor: Cursor, scope: Scope, pc: int) -> tuple[str, int]:
    match element:
        case "imm" | "shamt":
            value = evaluate(cursor, scope)
            # A negative number may be written as the 64-bit pattern that it is.
            return "imm", signed(value, _ADDRESS_BITS) if value >> 63 == 1 else value
        case "target":
            return "imm", signed(evaluate(cursor, scope) - pc, _ADDRESS_BITS)
        case "upper":
            return "imm", _upper(evaluate(cursor, scope))
        case "csr":
            return "imm", _csr(cursor, scope)
        case "zimm":
            return "rs1", evaluate(cursor, scope)
        case "pred" | "succ":
            return element, _fence_set(cursor, scope)
        case "rm":
            return element, _rounding_mode(cursor)
        case "constant":
            return "imm", _fli_constant(cursor)
        case _:
            return element, read_register(cursor, form.operands[element].is_float)


def read_register(cursor: Cursor, is_float: bool = False) -> int:
    """The number of the register at the cursor; Mismatch if it is none of that kind."""
    token = cursor.peek()
    numbers = registers.FLOAT_NUMBER if is_float else registers.NUMBER
    if token.text not in numbers:
        found = f"not '{token.text}'" if token.text else "at the end of the line"
        names = ("floating-point register (f0 to f31, or a name such as fa0, ft1, fs2)" if is_float
                 else "register (x0 to x31, or a name such as a0, t1, sp)")
        raise Mismatch(f"expected a {names}, {found}")
    cursor.take()
    return numbers[token.text]


def _rounding_mode(cursor: Cursor) -> int:
    word = cursor.take().text
    for number, name in registers.ROUNDING_MODES.items():
        if name == word:
            return number
    raise Mismatch(f"'{word}' is no rounding mode: {', '.join(registers.ROUNDING_MODES.values())} are")


def _fli_constant(cursor: Cursor) -> int:
    sign = -1.0 if cursor.accept("-") else 1.0
    token = cursor.take()
    try:
        is_hex = token.text[:2] in ("0x", "0X")
        value: float | str = sign * (float.fromhex(token.text) if is_hex else float(token.text))
    except ValueError:
        value = token.text
    if token.text in ("min", "inf", "nan"):
        value = token.text
    if (sign < 0 and value != -1.0) or value not in FLI_CONSTANTS:
        raise SourceError(f"fli has no constant {'-' * (sign < 0)}{token.text}: there are min, inf, nan, -1.0 and some "
                          "powers of two and small fractions (unprivileged manual, Zfa)")
    return FLI_CONSTANTS.index(value)


def _upper(value: int) -> int:
    if not 0 <= value < 1 << 20:
        raise SourceError(f"upper immediate {value} does not fit: 0 to 0xfffff is right (bits 31 to 12 of the result)")
    return signed(value << 12, 32)


def _csr(cursor: Cursor, scope: Scope) -> int:
    token = cursor.peek()
    if token.text in csrs.BY_NAME:
        cursor.take()
        return csrs.BY_NAME[token.text].number
    try:
        number = evaluate(cursor, scope)
    except SourceError as error:
        if isinstance(error, Mismatch) or token.kind != "name":
            raise
        raise SourceError(f"unknown CSR '{token.text}'{suggestion(token.text, csrs.BY_NAME)}") from None
    if not 0 <= number < 1 << 12:
        raise SourceError(f"CSR number {number} does not fit: 0 to 0xfff is right")
    return number


def _fence_set(cursor: Cursor, scope: Scope) -> int:
    token = cursor.peek()
    if token.kind != "name":
        return evaluate(cursor, scope)
    letters = [letter for letter in FENCE_LETTERS if letter in token.text]
    if "".join(letters) != token.text:
        raise SourceError(f"'{token.text}' is no set of accesses: letters of iorw, in that order, are right")
    cursor.take()
    return sum(8 >> FENCE_LETTERS.index(letter) for letter in letters)


def suggestion(word: str, known: Mapping[str, object]) -> str:
    """"; did you mean …?" with the most similar known word, or nothing."""
    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def encode(row: Instruction, values: Mapping[str, int]) -> int:
    """The bits of `row` with these operands, absent ones 0; SourceError says which one does not fit, and what would."""
    insn = row.match
    for name, field in row.format.operands.items():
        if name in values:
            try:
                insn |= field.insert(values[name])
            except ValueError:
                raise SourceError(_misfit(row, name, field, values[name])) from None
    if insn & row.mask != row.match:
        fixed = registers.ROUNDING_MODES[row.format.operands["rm"].extract(row.match)]
        raise SourceError(f"{row.name} takes only {fixed} as its rounding mode")
    if row.nonzero and not insn & row.nonzero_mask:
        zero = "x0" if row.nonzero.startswith("r") else "0"
        raise SourceError(f"{row.name} has no encoding with {zero} as its {row.nonzero}")
    return insn


def _misfit(row: Instruction, name: str, field: Field, value: int) -> str:
    if name in ("rd", "rs1", "rs2") and "zimm" not in row.syntax:
        if not field.pieces:
            return f"{row.name} takes only {registers.ABI[field.constant]} here, not {registers.ABI[value]}"
        if field.is_float:
            return f"{row.name} takes only f8 to f15 (fs0, fs1, fa0 to fa5) here, not {registers.FLOAT_ABI[value]}"
        if not field.value_mask & 1:
            return f"{row.name} takes only pairs of registers, the first of even number, not {registers.ABI[value]}"
        return f"{row.name} takes only x8 to x15 (s0, s1, a0 to a5) here, not {registers.ABI[value]}"
    step = field.value_mask & -field.value_mask
    low = -(1 << field.sign_bits - 1) if field.sign_bits else 0
    high = (field.value_mask >> 1 if field.sign_bits else field.value_mask) & -step
    multiples = f", multiples of {step}" if step > 1 else ""
    what = "target's distance" if "target" in row.syntax else "operand"
    if "upper" in row.syntax:
        top = (1 << 20) + (low >> 12)
        return (f"upper immediate {value >> 12 & 0xFFFFF:#x} of {row.name} does not fit: "
                f"1 to {high >> 12:#x}, or {top:#x} to 0xfffff, is right")
    return f"{what} {value} of {row.name} does not fit: {low} to {high}{multiples} is right"
