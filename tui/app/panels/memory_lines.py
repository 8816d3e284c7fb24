"""Memory as lines of a hex dump, as wide as there is room for.

80236010d 19 00 00 00 00 00 00 00  34 12 04 00 00 00 00 00  ........4.......  taken → trap+0x10
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual.content import Content

from ....core.vmm.views.memory import ROW, MemoryRow, MemoryView, Region, Space
from ..text import Line, address

LETTERS: Final = {Region.CODE: "c", Region.DATA: "d", Region.STACK: "s", Region.TABLE: "t", Region.DEVICE: "i",
                  Region.UNMAPPED: "-"}
"""What stands behind an address, and says what it is part of."""

STYLES: Final = {Region.CODE: "$text-success", Region.DATA: "", Region.STACK: "$text-secondary",
                 Region.TABLE: "$text-warning", Region.DEVICE: "$text-error", Region.UNMAPPED: "$text-muted"}

CHANGED: Final = "$text-warning bold underline"
FOUND: Final = "on $primary-muted"
CURSOR: Final = "bold auto on $accent"
TYPING: Final = "bold auto on $error"
NOTES: Final = 12
"""Columns without which notes are left out."""


@dataclass(frozen=True)
class HexLayout:
    """Where the bytes of a line are. digits: of addresses. per: bytes in a line, 16 or 8. is_spaced: a blank between
    bytes, else between pairs."""

    digits: int
    per: int
    is_spaced: bool
    width: int

    def column(self, index: int) -> int:
        """Where a byte's two digits begin."""
        start = self.digits + 2
        if self.is_spaced:
            return start + 3 * index + (1 if index >= 8 else 0)
        return start + 2 * index + index // 2

    @property
    def ascii_column(self) -> int:
        """Where the text begins."""
        return self.column(self.per - 1) + 3

    @property
    def notes_column(self) -> int:
        """Where notes begin."""
        return self.ascii_column + self.per + 2

    @property
    def has_notes(self) -> bool:
        """Whether there is room for any."""
        return self.width - self.notes_column >= NOTES

    def byte_at(self, x: int) -> int | None:
        """The byte of a line that is at a screen column; None beside them."""
        if self.ascii_column <= x < self.ascii_column + self.per:
            return x - self.ascii_column
        index = next((index for index in reversed(range(self.per)) if self.column(index) <= x), None)
        return index if index is not None and x <= self.column(index) + 2 else None


def layout_for(width: int, highest: int) -> HexLayout:
    """The best layout for a width and addresses up to `highest`."""
    digits = max(8, len(f"{highest:x}"))
    for per, is_spaced in ((16, True), (16, False), (8, True), (8, False)):
        layout = HexLayout(digits, per, is_spaced, width)
        if layout.ascii_column + per <= width:
            return layout
    return layout


@dataclass(frozen=True)
class Pen:
    """Where the cursor is, and what is typed. marked: [start, end) of what was found. is_typing: digits are; typed: the
    first of a byte's two, if that is all."""

    cursor: int
    marked: tuple[int, int] = (0, 0)
    is_typing: bool = False
    typed: str = ""


def paint_memory(view: MemoryView, layout: HexLayout, top: int, lines: int, pen: Pen) -> list[Content]:
    """`lines` lines from the one that holds `top`."""
    rows = {row.address: row for row in view.rows}
    found = []
    first = top - top % layout.per
    for number in range(lines):
        at = first + number * layout.per
        row = rows.get(at & -ROW)
        found.append(_line(row, at, layout, pen) if row is not None and at >> 64 == 0 else Content(""))
    return found


def _line(row: MemoryRow, at: int, layout: HexLayout, pen: Pen) -> Content:
    style = STYLES[row.region]
    line = Line((address(at, layout.digits), style), (LETTERS[row.region], f"{style} bold".strip()))
    offset = at - row.address
    if row.data is None:
        _unread(line, row, at, layout, pen.cursor)
        return line.content
    for index in range(layout.per):
        value, where = row.data[offset + index], offset + index
        line.upto(layout.column(index))
        style = _style(row, where, at + index, pen)
        if at + index == pen.cursor and pen.is_typing:
            digits = (pen.typed or f"{value >> 4:x}") + f"{value & 15:x}"
            line.add((digits[0], "bold" if pen.typed else TYPING),
                     (digits[1], TYPING if pen.typed else "bold"))
        else:
            line.add((f"{value:02x}", style))
    line.upto(layout.ascii_column)
    for index in range(layout.per):
        value, where = row.data[offset + index], offset + index
        style = _style(row, where, at + index, pen)
        line.add((chr(value), style) if 32 <= value < 127 else (".", style or "$text-muted"))
    if layout.has_notes:
        line.upto(layout.notes_column)
        for piece in _notes(row, offset, layout.per):
            line.add(piece)
    return line.content


def _unread(line: Line, row: MemoryRow, at: int, layout: HexLayout, cursor: int) -> None:
    """What stands for bytes that are not read."""
    word = f"{row.name}: a device, not read" if row.region is Region.DEVICE else "not mapped"
    if at <= cursor < at + layout.per:
        line.upto(layout.column(cursor - at)).add(("--", CURSOR), " ")
    else:
        line.upto(layout.column(0))
    line.add((word, "$text-muted"))


def _style(row: MemoryRow, where: int, at: int, pen: Pen) -> str:
    style = CHANGED if row.changed >> where & 1 else "" if row.data is not None and row.data[where] else "$text-muted"
    if at == pen.cursor:
        return f"{CURSOR} underline" if row.changed >> where & 1 else CURSOR
    return f"{style} {FOUND}".strip() if pen.marked[0] <= at < pen.marked[1] else style


def _notes(row: MemoryRow, offset: int, per: int) -> list[tuple[str, str]]:
    """Registers that point here, the symbol that begins here, what the doublewords point to."""
    notes = [(f"◂{name} ", "$text-accent bold") for at, name in row.registers if offset <= at < offset + per]
    if row.label is not None and offset <= row.label[0] < offset + per:
        notes.append((f"{row.label[1]} ", "bold"))
    notes += [(f"→{text} ", "$text-secondary") for number, text in enumerate(row.points)
              if text and offset <= 8 * number < offset + per]
    return notes


def cursor_lines(view: MemoryView, cursor: int, width: int) -> list[Content]:
    """Two lines about the byte under the cursor, and the doubleword that holds it."""
    row = next((row for row in view.rows if row.address <= cursor < row.address + ROW), None)
    if row is None:
        return [Content(""), Content("")]
    first = Line((f"{view.space.value} ", "$text-muted"), (address(cursor), "bold"), "  ",
                 (row.region.value, STYLES[row.region] or "bold"))
    if row.name:
        first.add(f" {row.name}")
    if row.gpa is not None and view.space is not Space.PHYSICAL:
        first.add(("  gpa ", "$text-muted"), address(row.gpa + cursor - row.address))
    for at, name in row.registers:
        if cursor - row.address == at:
            first.add((f"  ◂{name}", "$text-accent bold"))
    second = Line()
    word = view.word(cursor & -8)
    byte = view.byte(cursor)
    if word is not None and byte is not None:
        second.add((f"{cursor & -8 & 0xFFFF:04x}: ", "$text-muted"), (f"{word:016x}", "bold"),
                   (f"  {word if word < 1 << 63 else word - (1 << 64):,}", "$text-secondary"))
        points = row.points[(cursor & -8) - row.address >> 3]
        if points:
            second.add(("  → ", "$text-muted"), (points, "bold"))
        second.add((f"   byte {byte:02x} {byte} {byte:08b}", "$text-muted"))
    return [first.content, second.content]
