"""The assembler: the instruction table read backwards, in two passes.

The first pass finds how long every statement is, hence where labels lie; the second writes the bytes. What decides a
length (li's value, .space, .align, .org) must therefore be known where it stands. Compressed instructions are used only
where written as c.something. There is one section: code and data lie in the order in which they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import AssemblyError
from .aliases import ALIASES
from .asm_directives import DIRECTIVES, IGNORED
from .asm_expression import evaluate
from .asm_operands import encode, read_operands, read_register, signed, suggestion
from .asm_source import Cursor, Mismatch, SourceError, Statement, statements
from .disassembler import ORDERING_SUFFIX
from .expansions import RA, T1, jump_far, load_address, load_immediate
from .instructions import BY_NAME, INSTRUCTIONS
from .registers import FLOAT_NUMBER, NUMBER
from .row import Instruction


@dataclass(frozen=True, slots=True)
class Program:
    """What assembling gave: `code` for address `base`, every symbol's value, and the source line of each address
    at which an instruction or datum starts."""

    base: int
    code: bytes
    symbols: Mapping[str, int]
    lines: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Shape:
    """One way to write a mnemonic's operands, the row it makes, operands that are given, whether rs2 repeats rs1."""

    syntax: str
    row: Instruction
    fixed: Mapping[str, int]
    is_doubled: bool = False


def _shapes() -> dict[str, list[_Shape]]:
    shapes: dict[str, list[_Shape]] = {}
    for row in INSTRUCTIONS:
        if "aq" in row.format.operands:
            for (aq, rl), suffix in ORDERING_SUFFIX.items():
                shapes[row.name + suffix] = [_Shape(row.syntax, row, {"aq": aq, "rl": rl})]
        else:
            shapes[row.name] = [_Shape(row.syntax, row, {})]
    for alias in ALIASES:
        shape = _Shape(alias.syntax, BY_NAME[alias.row], alias.fixed, alias.is_doubled)
        shapes.setdefault(alias.name, []).append(shape)
    return shapes


_SHAPES = _shapes()
_EXPANSIONS = {"li": "rd, value", "la": "rd, symbol", "lla": "rd, symbol", "call": "symbol", "tail": "symbol"}


def assemble(text: str, base: int = 0, *, file: str = "<input>") -> Program:
    """Assemble source `text` for address `base`; `file` names it in errors.

    Raises AssemblyError at the first line that is wrong.
    """
    source: list[Statement] = []
    for statement in statements(text):
        if isinstance(statement, tuple):
            raise AssemblyError(file, *statement)
        source.append(statement)
    first = Pass(base, file, None)
    first.run(source)
    second = Pass(base, file, first)
    second.run(source)
    return Program(base, bytes(second.code), second.symbols, second.lines)


class Pass:
    """One walk over the source. `earlier` is the first pass, whose labels the second one knows."""

    def __init__(self, base: int, file: str, earlier: Pass | None) -> None:
        self.base = base
        self.file = file
        self.earlier = earlier
        self.code = bytearray()
        self.symbols: dict[str, int] = dict(earlier.symbols) if earlier else {}
        self.lines: dict[int, int] = {}
        self.is_code = False
        self._labels: dict[str, int] = {}
        self._constants: set[str] = set()
        self._locals: dict[str, list[tuple[int, int]]] = {}
        self._pcrel: dict[int, int] = {}
        self._index = 0
        self._is_guess = False

    @property
    def pc(self) -> int:
        """The address of the statement at hand."""
        return self.base + len(self.code)

    def run(self, source: list[Statement]) -> None:
        """Walk all statements; AssemblyError at the first that is wrong."""
        for self._index, statement in enumerate(source):
            try:
                self._statement(statement)
            except SourceError as error:
                raise AssemblyError(self.file, statement.line, str(error)) from None

    # What names stand for (asm_expression.Scope).

    def symbol(self, name: str) -> int:
        """A symbol's value; a guess in the first pass if it is not defined yet."""
        if name == ".":
            return self.pc
        if name in self.symbols:
            return self.symbols[name]
        return self._guess(f"undefined symbol '{name}'{suggestion(name, self.symbols)}")

    def local(self, reference: str) -> int:
        """The address of the nearest numeric label before (b) or after (f) this statement."""
        name, direction = reference[:-1], reference[-1]
        places = (self.earlier or self)._locals.get(name, [])
        if direction == "b":
            found = [address for index, address in places if index <= self._index]
            if found:
                return found[-1]
            raise SourceError(f"no label '{name}:' before this line for {reference}")
        found = [address for index, address in places if index > self._index]
        return found[0] if found else self._guess(f"no label '{name}:' after this line for {reference}")

    def modify(self, modifier: str, value: int) -> int:
        """The relocation operators: the upper 20 or lower 12 bits of an address or of a distance."""
        match modifier:
            case "%hi":
                return value + 0x800 >> 12 & 0xFFFFF
            case "%lo":
                return signed(value, 12)
            case "%pcrel_hi":
                self._pcrel[self.pc] = value - self.pc
                return value - self.pc + 0x800 >> 12 & 0xFFFFF
            case "%pcrel_lo":
                if value in self._pcrel:
                    return signed(self._pcrel[value], 12)
                return self._guess("%pcrel_lo takes the label of an earlier auipc with %pcrel_hi")
        raise SourceError(f"unknown operator {modifier}; %hi, %lo, %pcrel_hi and %pcrel_lo exist")

    def _guess(self, problem: str) -> int:
        if self.earlier:
            raise SourceError(problem)
        self._is_guess = True
        return self.pc

    # What directives need.

    def known(self, cursor: Cursor, why: str) -> int:
        """An expression's value, which must not depend on anything defined later, because of `why`."""
        self._is_guess = False
        value = evaluate(cursor, self)
        if self._is_guess:
            raise SourceError(f"{why} must be known here: define its symbols on an earlier line")
        return value

    def define(self, name: str, cursor: Cursor) -> None:
        """Give the symbol `name` the value of the expression at the cursor."""
        self._check_name(name)
        self._is_guess = False
        value = evaluate(cursor, self)
        self._constants.add(name)
        if not self._is_guess:
            self.symbols[name] = value

    def emit(self, data: bytes, line: int | None = None) -> None:
        """Append bytes."""
        if line is not None and data:
            self.lines[self.pc] = line
        self.code += data

    # Statements.

    def _statement(self, statement: Statement) -> None:
        cursor = Cursor(statement.tokens)
        while cursor.peek().kind in ("name", "number") and cursor.peek(1).text == ":":
            self._label(cursor.take().text)
            cursor.take()
        if cursor.at_end:
            return
        token = cursor.take()
        name = token.text
        if token.kind != "name":
            raise SourceError(f"expected an instruction, a directive or a label, not '{name}'")
        if cursor.accept("="):
            self.define(name, cursor)
            cursor.finish()
        elif name.lower() in DIRECTIVES:
            self._directive(name.lower(), cursor, statement.line)
        elif name.startswith(".") and name not in IGNORED:
            raise SourceError(f"unknown directive '{name}'{suggestion(name, DIRECTIVES)}")
        elif name not in IGNORED:
            self._instruction(name.lower(), cursor, statement.line)

    def _directive(self, name: str, cursor: Cursor, line: int) -> None:
        length = len(self.code)
        self.lines[self.pc] = line
        DIRECTIVES[name](self, cursor)
        cursor.finish()
        if len(self.code) == length:
            del self.lines[self.pc]

    def _check_name(self, name: str) -> None:
        if name == ".":
            raise SourceError("'.' is the current address; .org and .space move it")
        if name in NUMBER or name in FLOAT_NUMBER:
            raise SourceError(f"'{name}' is a register's name; a symbol needs another")
        if name in self._labels:
            raise SourceError(f"'{name}' is already a label; each is defined once")

    def _label(self, name: str) -> None:
        if name.isdigit():
            self._locals.setdefault(name, []).append((self._index, self.pc))
            return
        self._check_name(name)
        if name in self._constants:
            raise SourceError(f"'{name}' is already a constant; a label needs another name")
        self._labels[name] = self.symbols[name] = self.pc

    def _instruction(self, name: str, cursor: Cursor, line: int) -> None:
        if self.pc % 2:
            raise SourceError(f"instruction at odd address {self.pc:#x}; put .align 1 before it")
        if name in _EXPANSIONS:
            try:
                words = self._expand(name, cursor)
            except Mismatch as error:
                raise SourceError(f"{error}; usage: {name} {_EXPANSIONS[name]}") from None
            self.emit(b"".join(word.to_bytes(4, "little") for word in words), line)
        elif name in _SHAPES:
            self.emit(self._encode(name, cursor), line)
        else:
            raise SourceError(f"unknown instruction '{name}'{suggestion(name, {**_SHAPES, **_EXPANSIONS})}")
        self.is_code = True

    def _expand(self, name: str, cursor: Cursor) -> list[int]:
        rd = 0
        if name in ("li", "la", "lla"):
            rd = read_register(cursor)
            cursor.expect(",")
        if name == "li":
            words = load_immediate(rd, self.known(cursor, "the value of li (la loads an address)"))
        else:
            distance = evaluate(cursor, self) - self.pc
            if name == "call":
                words = jump_far(RA, RA, distance)
            elif name == "tail":
                words = jump_far(0, T1, distance)
            else:
                words = load_address(rd, distance)
        cursor.finish()
        return words

    def _encode(self, name: str, cursor: Cursor) -> bytes:
        """The bytes of the first of the mnemonic's shapes that the operands have."""
        shapes = _SHAPES[name]
        furthest, problem = -1, ""
        start = cursor.position
        for shape in shapes:
            cursor.position = start
            try:
                values = read_operands(shape.syntax, shape.row.format, cursor, self, self.pc)
            except Mismatch as error:
                if cursor.position > furthest:
                    furthest, problem = cursor.position, str(error)
                continue
            if self.earlier is None:
                return bytes(shape.row.length)
            if shape.is_doubled:
                values["rs2"] = values["rs1"]
            insn = encode(shape.row, {**_implied(shape.row), **values, **shape.fixed})
            return insn.to_bytes(shape.row.length, "little")
        usage = " or ".join(dict.fromkeys(f"{name} {shape.syntax}".strip() for shape in shapes))
        raise SourceError(f"{problem}; usage: {usage}")


def _implied(row: Instruction) -> dict[str, int]:
    """The operands whose value no bit decides, which `encode` checks what was written against; and the defaults."""
    operands = row.format.operands
    implied = {name: field.constant for name, field in operands.items() if not field.pieces}
    return implied | {name: field.default for name, field in operands.items() if field.default is not None}
