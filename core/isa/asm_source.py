"""Assembly source as tokens, and a cursor that walks the tokens of one statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class SourceError(Exception):
    """What is wrong with a statement; the assembler adds file and line."""


class Mismatch(SourceError):
    """A statement that does not have the shape that was tried; another shape of the same mnemonic may fit."""


class Token(NamedTuple):
    """A piece of source: `kind` is string, char, float, number, local (1f), name, modifier (%hi) or op."""

    kind: str
    text: str


_TOKEN = re.compile(r"""
    (?P<newline>\n)
  | (?P<blank>[ \t\r\f]+)
  | (?P<block>/\*.*?\*/)
  | (?P<comment>(?:\#|//)[^\n]*)
  | (?P<separator>;)
  | (?P<string>"(?:\\.|[^"\\\n])*")
  | (?P<char>'(?:\\.|[^'\\\n])')
  | (?P<float>0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP][-+]?\d+|\d+\.\d+(?:[eE][-+]?\d+)?)
  | (?P<local>\d+[bf](?![\w]))
  | (?P<number>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)
  | (?P<name>[A-Za-z_.$][\w.$]*)
  | (?P<modifier>%[a-z_]+(?=\())
  | (?P<op>(?!/\*)(?:<<|>>|[-+*/%&|^~(),:=@]))
""", re.VERBOSE | re.DOTALL)


@dataclass(slots=True)
class Statement:
    """The tokens between two line ends or semicolons, and the line (from 1) where they start."""

    line: int
    tokens: list[Token] = field(default_factory=list)


def statements(text: str) -> Iterator[Statement | tuple[int, str]]:
    """Split source into statements; a pair (line, message) stands for text that is no token and ends the stream."""
    line, position = 1, 0
    current = Statement(line)
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            yield line, _no_token(text[position:].split("\n", 1)[0])
            return
        kind, lexeme = match.lastgroup or "", match.group()
        position = match.end()
        line += lexeme.count("\n")
        if kind in ("newline", "separator"):
            if current.tokens:
                yield current
            current = Statement(line)
        elif kind not in ("blank", "block", "comment"):
            if not current.tokens:
                current.line = line
            current.tokens.append(Token(kind, lexeme))
    if current.tokens:
        yield current


def _no_token(rest: str) -> str:
    if rest.startswith('"'):
        return 'string without its closing "'
    if rest.startswith("'"):
        return "a character constant is one character between single quotes, such as 'A' or '\\n'"
    if rest.startswith("/*"):
        return "comment without its closing */"
    return f"unexpected character {rest[0]!r}"


_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "e": "\x1b"}


def unescape(quoted: str) -> bytes:
    """The bytes of a quoted string or character, its escapes (\\n, \\x41, \\0 …) resolved; text is UTF-8."""
    result = bytearray()
    body, position = quoted[1:-1], 0
    for match in _ESCAPE.finditer(body):
        result += body[position:match.start()].encode()
        code = match.group(1)
        if code[0] == "x" and len(code) > 1:
            result.append(int(code[1:], 16))
        elif code[0] in "01234567":
            result.append(int(code, 8) & 0xFF)
        else:
            result += _ESCAPES.get(code, code).encode()
        position = match.end()
    return bytes(result + body[position:].encode())


class Cursor:
    """A place among a statement's tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.position = 0

    @property
    def at_end(self) -> bool:
        """Whether no token is left."""
        return self.position == len(self.tokens)

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` places on, or an empty one past the end."""
        place = self.position + ahead
        return self.tokens[place] if place < len(self.tokens) else Token("end", "")

    def take(self) -> Token:
        """The next token; the cursor moves past it."""
        token = self.peek()
        self.position = min(self.position + 1, len(self.tokens))
        return token

    def accept(self, op: str) -> bool:
        """Move past the operator `op` if it is next."""
        if self.peek() == Token("op", op):
            self.position += 1
            return True
        return False

    def expect(self, op: str) -> None:
        """Move past the operator `op`; Mismatch if something else is next."""
        if not self.accept(op):
            raise Mismatch(f"expected '{op}' {self.before()}")

    def finish(self) -> None:
        """Mismatch unless no token is left."""
        if not self.at_end:
            raise Mismatch(f"expected the end of the line {self.before()}")

    def before(self) -> str:
        """Where the cursor is, for a message."""
        return "at the end of the line" if self.at_end else f"before '{self.peek().text}'"
