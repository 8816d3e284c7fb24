"""Lines some of which have cells: the cursor goes from cell to cell, up and down, left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from .lines import LinesView

CURSOR: Final = "bold auto on $accent"


@dataclass(frozen=True)
class Stop:
    """A line that the cursor can be on. cells: [start, end) in screen columns of each, from the left."""

    line: int
    cells: tuple[tuple[int, int], ...]


@dataclass
class Painting:
    """Lines, and where the cursor can go in them. things: by stop and cell, what is there. focus: the row and cell at
    which the cursor is of most use."""

    lines: list[Content] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    things: list[tuple[object, ...]] = field(default_factory=list)
    focus: tuple[int, int] = (0, 0)

    def add(self, *lines: Content) -> None:
        """Lines that the cursor passes over."""
        self.lines.extend(lines)

    def stop(self, line: Content, cells: Sequence[tuple[int, int]], things: Sequence[object]) -> None:
        """A line with cells."""
        self.stops.append(Stop(len(self.lines), tuple(cells)))
        self.things.append(tuple(things))
        self.lines.append(line)

    def thing(self, row: int, cell: int) -> object:
        """What is at a place; None where there is nothing."""
        if not self.things:
            return None
        things = self.things[max(0, min(row, len(self.things) - 1))]
        return things[max(0, min(cell, len(things) - 1))] if things else None


class CellsView(LinesView):
    """A LinesView whose cursor is on a cell. row: which of the stops. cell: which of its cells.

    What is painted may depend on where the cursor is; whoever paints hears of it by Placed.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "beside(-1)", "Left", show=False),
        Binding("right", "beside(1)", "Right", show=False),
    ]

    @dataclass
    class Placed(Message):
        """The cursor is on another cell."""

        cells: CellsView
        row: int
        cell: int

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(has_cursor=False, id=id, classes=classes)
        self.row = 0
        self.cell = 0
        self._stops: tuple[Stop, ...] = ()

    def set_painting(self, painting: Painting, *, is_followed: bool = False) -> None:
        """Show it. is_followed: scroll so that the cursor is in sight."""
        before = self.cursor
        self._stops = tuple(painting.stops)
        self.has_cursor = bool(self._stops)
        self.row = max(0, min(self.row, len(self._stops) - 1))
        line = self._stops[self.row].line if self._stops else 0
        self.set_lines(painting.lines, cursor=line if is_followed and self._stops else None)
        if self._stops:
            self.set_reactive(LinesView.cursor, line)
        self.refresh_line_at(before)
        self.refresh_line_at(self.cursor)   # its cell may be another

    def put(self, row: int, cell: int) -> None:
        """Put the cursor somewhere; at the next painting it is there."""
        self.row, self.cell = row, cell

    @property
    def here(self) -> tuple[int, int]:
        """The cursor's row and cell, as far as there are such."""
        if not self._stops:
            return 0, 0
        return self.row, max(0, min(self.cell, len(self._stops[self.row].cells) - 1))

    def dress(self, line: Content, look: str) -> Content:
        """With the cell under the cursor."""
        cells = self._stops[self.row].cells if look else ()
        return line.stylize(CURSOR, *cells[self.here[1]]) if cells else line

    # --- the cursor

    def _place(self, row: int, cell: int) -> None:
        before = self.here
        if not self._stops:
            return
        self.row, self.cell = max(0, min(row, len(self._stops) - 1)), max(0, cell)
        self.refresh_line_at(self.cursor)
        self.set_reactive(LinesView.cursor, self._stops[self.row].line)
        self.show_line(self.cursor)
        self.refresh_line_at(self.cursor)
        if self.here != before:
            self.post_message(self.Placed(self, *self.here))

    def action_beside(self, by: int) -> None:
        """Left or right."""
        row, cell = self.here
        if self._stops:
            self._place(row, min(cell + by, len(self._stops[row].cells) - 1))

    def action_move(self, lines: int) -> None:
        """Up or down; without stops it scrolls."""
        if not self._stops:
            self.scroll_relative(y=lines, animate=False)
        else:
            self._place(self.row + lines, self.cell)

    def action_page(self, pages: int) -> None:
        """A screen up or down."""
        rows = max(1, self.size.height - 2)
        if not self._stops:
            self.scroll_relative(y=pages * rows, animate=False)
            return
        wanted = self._stops[self.row].line + pages * rows
        found = min(range(len(self._stops)), key=lambda row: abs(self._stops[row].line - wanted))
        self._place(found, self.cell)

    def action_edge(self, is_last: bool) -> None:
        """The first place or the last."""
        if not self._stops:
            self.scroll_to(y=self.max_scroll_y if is_last else 0, animate=False)
        else:
            self._place(len(self._stops) - 1 if is_last else 0, self.cell)

    def action_choose(self) -> None:
        """Enter."""
        if self._stops:
            self.post_message(self.Chosen(self, self.row))

    def on_click(self, event: events.Click) -> None:
        """The cursor goes to the cell; a second click chooses it."""
        event.stop()
        line = self.scroll_offset.y + event.y
        row = next((row for row, stop in enumerate(self._stops) if stop.line == line), None)
        if row is None:
            return
        cells = self._stops[row].cells
        cell = next((cell for cell, (start, end) in enumerate(cells) if start <= event.x < end), None)
        self._place(row, self.cell if cell is None else cell)
        if event.chain == 2:
            self.action_choose()
