"""Numbers as people read them: addresses, sizes, counts; and lines made of styled pieces."""

from __future__ import annotations

from textual.content import Content

Piece = str | tuple[str, str]
"""Text, or text and its style."""


def address(value: int, digits: int = 8) -> str:
    """Hexadecimal without 0x, of so many digits at least."""
    return f"{value:0{digits}x}"


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a whole number: `4 KiB`."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 1 << power and count % (1 << power) == 0:
            return f"{count >> power:,} {unit}"
    if count >= 1 << 20:
        return f"{count / (1 << 20):,.1f} MiB"
    return f"{count:,} B"


class Line:
    """A line in the making."""

    def __init__(self, *pieces: Piece) -> None:
        self._pieces: list[Piece] = []
        self.width = 0
        self.add(*pieces)

    def add(self, *pieces: Piece) -> Line:
        """Put pieces behind it."""
        for piece in pieces:
            self._pieces.append(piece)
            self.width += len(piece if isinstance(piece, str) else piece[0])
        return self

    def upto(self, column: int) -> Line:
        """Blanks, up to a column."""
        if self.width < column:
            self.add(" " * (column - self.width))
        return self

    def cell(self, *pieces: Piece) -> tuple[int, int]:
        """Put pieces behind it, and tell where they are."""
        start = self.width
        self.add(*pieces)
        return start, self.width

    @property
    def content(self) -> Content:
        """The line."""
        return Content.assemble(*self._pieces)


def wrapped(text: str, width: int, *, first: str = "", style: str = "") -> list[Content]:
    """Text in lines of `width` at most, the others as far in as what stands before the first."""
    indent = " " * len(first)
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and len(indent) + len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return [Content.assemble((first if not number else indent, style), (each, style))
            for number, each in enumerate(lines)]
