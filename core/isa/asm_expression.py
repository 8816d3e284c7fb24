"""Expressions in assembly source, with GNU as's operators and precedence.

From tightest: unary - + ~; then * / % << >>; then & | ^; then + -. (Not C's order: 1 << 3 + 1 is 9.) Values are
unbounded integers; whoever stores one checks that it fits.
"""

from __future__ import annotations

from typing import Protocol

from .asm_source import Cursor, Mismatch, SourceError, unescape
from .registers import NUMBER

_PRECEDENCE = {"+": 1, "-": 1, "&": 2, "|": 2, "^": 2, "*": 3, "/": 3, "%": 3, "<<": 3, ">>": 3}


class Scope(Protocol):
    """What names in an expression stand for."""

    def symbol(self, name: str) -> int:
        """The value of a symbol, or of "." (the current address)."""

    def local(self, reference: str) -> int:
        """The address of a numeric local label, such as 1f."""

    def modify(self, modifier: str, value: int) -> int:
        """What a modifier such as %hi makes of `value`."""


def evaluate(cursor: Cursor, scope: Scope, tightness: int = 1) -> int:
    """The value of the expression at the cursor, which moves past it; Mismatch if there is none."""
    value = _unary(cursor, scope)
    while cursor.peek().kind == "op" and _PRECEDENCE.get(cursor.peek().text, 0) >= tightness:
        operator = cursor.take().text
        value = _apply(operator, value, evaluate(cursor, scope, _PRECEDENCE[operator] + 1))
    return value


def _unary(cursor: Cursor, scope: Scope) -> int:
    if cursor.accept("-"):
        return -_unary(cursor, scope)
    if cursor.accept("~"):
        return ~_unary(cursor, scope)
    if cursor.accept("+"):
        return _unary(cursor, scope)
    if cursor.accept("("):
        value = evaluate(cursor, scope)
        cursor.expect(")")
        return value
    return _atom(cursor, scope)


def _atom(cursor: Cursor, scope: Scope) -> int:
    kind, text = cursor.peek()
    if kind not in ("number", "char", "local", "name", "modifier"):
        raise Mismatch(f"expected a number or a symbol {cursor.before()}")
    if text in NUMBER:
        raise Mismatch(f"expected a number or a symbol, and {text} is a register")
    cursor.take()
    if kind == "number":
        return _number(text)
    if kind == "char":
        return _character(text)
    if kind == "local":
        return scope.local(text)
    if kind == "name":
        return scope.symbol(text)
    cursor.expect("(")
    value = evaluate(cursor, scope)
    cursor.expect(")")
    return scope.modify(text, value)


def _number(text: str) -> int:
    # As in C, a leading 0 means octal.
    if text[:1] == "0" and text.isdigit() and len(text) > 1:
        try:
            return int(text, 8)
        except ValueError:
            raise SourceError(f"{text} is not octal; a decimal number has no leading 0") from None
    return int(text, 0)


def _character(text: str) -> int:
    code = unescape(text)
    if len(code) != 1:
        raise SourceError(f"{text} is not one byte; use its code point's number instead")
    return code[0]


def _apply(operator: str, left: int, right: int) -> int:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "&":
            return left & right
        case "|":
            return left | right
        case "^":
            return left ^ right
    if operator in ("<<", ">>"):
        if not 0 <= right < 64:
            raise SourceError(f"shift by {right}: 0 to 63 is right")
        return left << right if operator == "<<" else left >> right
    if right == 0:
        raise SourceError("division by zero")
    # Division truncates towards zero, as in C and GNU as.
    quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    return quotient if operator == "/" else left - quotient * right
