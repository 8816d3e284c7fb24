"""The assembler's directives, by name; each reads its operands at a cursor and acts on the pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from .asm_expression import Scope, evaluate
from .asm_source import Cursor, Mismatch, SourceError, unescape

_NOP = (0x00000013).to_bytes(4, "little")
_C_NOP = (0x0001).to_bytes(2, "little")

MAX_SIZE = 1 << 28
"""Bytes that one directive may reserve; more is a mistake in an expression rather than a program."""


class Output(Scope, Protocol):
    """The pass, as far as directives need it."""

    code: bytearray
    is_code: bool

    @property
    def pc(self) -> int:
        """The current address."""

    def known(self, cursor: Cursor, why: str) -> int:
        """An expression's value that must be known in the first pass."""

    def define(self, name: str, cursor: Cursor) -> None:
        """Give a symbol the value of the expression at the cursor."""

    def emit(self, data: bytes) -> None:
        """Append bytes."""


def _items(cursor: Cursor) -> Iterator[None]:
    """Stop at each of one or more items that commas separate."""
    yield
    while cursor.accept(","):
        yield


def _data(size: int) -> Callable[[Output, Cursor], None]:
    def store(output: Output, cursor: Cursor) -> None:
        values = []
        for _ in _items(cursor):
            value = evaluate(cursor, output)
            if not -(1 << size * 8 - 1) <= value < 1 << size * 8:
                raise SourceError(f"{value} does not fit in {size} byte{'s' * (size > 1)}")
            values.append(value & (1 << size * 8) - 1)
        output.emit(b"".join(value.to_bytes(size, "little") for value in values))
        output.is_code = False
    return store


def _string(ending: bytes) -> Callable[[Output, Cursor], None]:
    def store(output: Output, cursor: Cursor) -> None:
        texts = []
        for _ in _items(cursor):
            if cursor.peek().kind != "string":
                raise Mismatch(f'expected a string such as "text" {cursor.before()}')
            texts.append(unescape(cursor.take().text) + ending)
        output.emit(b"".join(texts))
        output.is_code = False
    return store


def _align_to(output: Output, alignment: int) -> None:
    if alignment <= 0 or alignment & alignment - 1 or alignment > MAX_SIZE:
        raise SourceError(f"alignment to {alignment} bytes: a power of two is right")
    gap = -output.pc % alignment
    if output.is_code and gap % 2 == 0:
        output.emit(_C_NOP * (gap % 4 // 2) + _NOP * (gap // 4))
    else:
        output.emit(bytes(gap))


def _align(output: Output, cursor: Cursor) -> None:
    power = output.known(cursor, "the alignment")
    if not 0 <= power < 29:
        raise SourceError(f".align {power}: it takes the power of two, 0 to 28 (.balign takes bytes)")
    _align_to(output, 1 << power)


def _balign(output: Output, cursor: Cursor) -> None:
    _align_to(output, output.known(cursor, "the alignment"))


def _space(output: Output, cursor: Cursor) -> None:
    size = output.known(cursor, "the size")
    fill = output.known(cursor, "the fill") if cursor.accept(",") else 0
    if not 0 <= size <= MAX_SIZE:
        raise SourceError(f"a size of {size} bytes: 0 to {MAX_SIZE} is right")
    if not -128 <= fill < 256:
        raise SourceError(f"a fill of {fill}: one byte is right")
    output.emit(bytes([fill & 0xFF]) * size)
    output.is_code = False


def _org(output: Output, cursor: Cursor) -> None:
    offset = output.known(cursor, "the offset")
    gap = offset - len(output.code)
    if not 0 <= gap <= MAX_SIZE:
        raise SourceError(f".org {offset}: an offset from the start, at or after the {len(output.code)} bytes so far")
    output.emit(bytes(gap))


def _equ(output: Output, cursor: Cursor) -> None:
    name = cursor.take()
    if name.kind != "name":
        raise SourceError(f"expected a symbol's name, not '{name.text}'; usage: .equ name, value")
    cursor.expect(",")
    output.define(name.text, cursor)


DIRECTIVES: dict[str, Callable[[Output, Cursor], None]] = {
    ".byte": _data(1), ".half": _data(2), ".short": _data(2), ".2byte": _data(2),
    ".word": _data(4), ".long": _data(4), ".4byte": _data(4),
    ".dword": _data(8), ".quad": _data(8), ".8byte": _data(8),
    ".ascii": _string(b""), ".asciz": _string(b"\0"), ".string": _string(b"\0"),
    ".align": _align, ".p2align": _align, ".balign": _balign,
    ".space": _space, ".skip": _space, ".zero": _space, ".org": _org,
    ".equ": _equ, ".set": _equ,
}

IGNORED = frozenset({
    ".text", ".data", ".rodata", ".bss", ".section", ".globl", ".global", ".local", ".weak", ".type", ".size",
    ".option", ".attribute", ".file", ".ident",
})
"""Accepted and ignored: there is one section and nothing to link, and nothing is compressed unasked."""
