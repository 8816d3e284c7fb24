"""Panel 9: memory, byte by byte: the guest's as it sees it, its physical memory, and the machine's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from ....core.errors import HartvisorError, OptionError
from ....core.vmm.inspector import Inspection, Moves
from ....core.vmm.views.memory import ROW, MemoryRow, MemoryView, Space, view_memory
from ....core.vmm.views.search import parse_pattern, search
from ..collecting import Collector
from ..widgets.about import About
from ..widgets.hex import HexView
from .base import Panel, Place
from .memory_lines import HexLayout, Pen, cursor_lines, layout_for, paint_memory

SPACES: Final = (Space.VIRTUAL, Space.PHYSICAL, Space.MACHINE)
MOST: Final = (1 << 64) - 1
AROUND: Final = 24
"""Rows that are looked at before and behind those in sight, so that the cursor need not wait for them."""

KEPT: Final = 64
"""Places that `h` goes back to."""


class MemoryPanel(Panel):
    """A hex dump with a cursor. cursor: the byte it is on, None before the first look."""

    ID: ClassVar[str] = "memory"
    KEY: ClassVar[str] = "9"
    TITLE: ClassVar[str] = "Memory"
    TABS: ClassVar[tuple[str, ...]] = ("virtual", "physical", "machine")
    HELP: ClassVar[str] = """\
Sixteen bytes a line, of the guest's present address space, of its physical memory, or of the machine's own RAM, where
the hypervisor's tables lie too: `[` and `]`, or `v`.

The letter behind an address says what is there: **c** code, **d** data, **s** stack, **t** page table, **i** a device
(never read: that could change it), **-** nothing. Bytes that the last move changed are underlined; ◂ marks what a
register points to, → what a doubleword points to.

| key | |
|---|---|
| arrows, pages, home, end | move |
| enter | follow the pointer in the doubleword at the cursor |
| h, l | back to where you were, and forward again |
| g | go to an address, a register or a symbol; `k` to sp, `i` to pc |
| / | search: `0x80200000` (a 64-bit number), `de ad be ef` (bytes), `"text"`; `.` the next, `,` the one before |
| o | overwrite: type hex digits; escape ends it. The timeline forks here |
| w, r | watch the doubleword at the cursor; back to its last writer |
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "turn_space", "Space", show=False), Binding("h", "back", "Back", show=False),
        Binding("l", "forward", "Forward", show=False), Binding("k", "to('sp')", "To sp", show=False),
        Binding("i", "to('pc')", "To pc", show=False), Binding("full_stop", "again(False)", "Next", show=False),
        Binding("comma", "again(True)", "Previous", show=False), Binding("o", "overwrite", "Overwrite", show=False),
    ]
    DEFAULT_CSS = """
    MemoryPanel > #cursor { height: 2; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    @dataclass
    class Found(Message):
        """A search has ended. address: None if the pattern is nowhere."""

        address: int | None
        length: int

    def __init__(self) -> None:
        super().__init__()
        self.cursor: int | None = None
        self._top = 0
        self._back: list[tuple[int, int]] = []
        self._forward: list[tuple[int, int]] = []
        self._pattern = b""
        self._marked = (0, 0)
        self._typed = ""
        self._is_touched = False            # the user has moved the cursor
        self._virtual: int | None = None    # where it was in the guest's address space
        self._last: list[int | None] = [None, None, None]   # where it is to be in another space

    def compose(self) -> ComposeResult:
        """Bytes, and what is under the cursor."""
        yield HexView()
        yield About(id="cursor")

    # --- looking

    @property
    def space(self) -> Space:
        """Whose addresses are shown."""
        return SPACES[self.tab]

    @property
    def hex(self) -> HexView:
        """The bytes."""
        return self.query_one(HexView)

    @property
    def _height(self) -> int:
        return max(1, self.hex.size.height)

    def collector(self) -> Collector:
        """The rows in sight, and some around them."""
        address = None if self.cursor is None else self._top
        return partial(view_memory, address=address, rows=self._height + 2 * AROUND, before=AROUND, space=self.space)

    def show(self, view: MemoryView) -> None:
        """Paint it."""
        if view.space is not self.space:
            return      # asked for before the tab was turned
        if self.cursor is None:
            self.cursor = view.asked
        if not self._is_touched:
            self._center()
        self._paint()

    def _paint(self) -> None:
        view = self.view
        if not isinstance(view, MemoryView) or self.cursor is None or not self.is_mounted:
            return
        pen = Pen(self.cursor, self._marked, self.hex.is_typing, self._typed)
        self.hex.set_lines(paint_memory(view, self._layout, self._top, self._height, pen))
        lines = cursor_lines(view, self.cursor, self.hex.size.width)
        self.query_one("#cursor", About).tell(lines[0].append("\n").append(lines[1]))
        state = "typing hex digits: escape ends" if self.hex.is_typing else ""
        self.set_subtitle(state)

    @property
    def _layout(self) -> HexLayout:
        return layout_for(self.hex.size.width, self._top + ROW * self._height)

    def fit(self) -> None:
        """More lines, or others, once the list has its size."""
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        if self.cursor is not None:
            if self._is_touched:
                self._reveal()
            else:
                self._center()
            self._paint()
            self.refresh_view()

    def _center(self) -> None:
        """Have the cursor in sight, with more behind it than before it."""
        assert self.cursor is not None
        self._top = max(0, self.cursor - ROW * (self._height // 3)) & -ROW

    def _reveal(self) -> None:
        """Have the cursor in sight."""
        assert self.cursor is not None
        per, height = self._layout.per, self._height
        line = self.cursor - self.cursor % per
        self._top -= self._top % per
        if line < self._top:
            self._top = line
        elif line >= self._top + per * height:
            self._top = line - per * (height - 1)
        self._top = max(0, min(self._top, MOST + 1 - per * height))

    def _move(self, cursor: int) -> None:
        """The cursor is there now; if that is out of what was looked at, look there."""
        self.cursor = max(0, min(cursor, MOST))
        self._is_touched = True
        self._typed = ""
        self._reveal()
        view = self.view
        if isinstance(view, MemoryView):
            first, end = max(0, self._top - ROW), min(self._top + ROW * (self._height + 1), MOST)
            if first < view.address or view.address + ROW * len(view.rows) < end:
                self.refresh_view()
        self._paint()

    def jump(self, address: int, space: Space | None = None) -> None:
        """Show an address, and remember where we were."""
        if self.cursor is not None:
            self._back = [*self._back, (self.tab, self.cursor)][-KEPT:]
            self._forward.clear()
        self._go(self.tab if space is None else SPACES.index(space), address)

    def _go(self, tab: int, address: int) -> None:
        if tab != self.tab:
            self._last[tab] = address
            self.tab = tab
        self.cursor = address
        self._center()
        self._move(address)
        self.refresh_view()

    def watch_tab(self) -> None:
        """Another space: where the same byte is there, if it can be told."""
        wanted = self._last[self.tab]
        if self.cursor is not None and wanted is not None:
            self.cursor = wanted
            self._center()
        self._last[self.tab] = None
        super().watch_tab()

    def action_turn_space(self) -> None:
        """The next space."""
        self.turn_tab(1)

    def turn_tab(self, by: int) -> None:
        """The next space, or the one before; the cursor stays on its byte."""
        new = (self.tab + by) % len(SPACES)
        row = self._row()
        if row is not None and self.cursor is not None:
            offset = self.cursor - row.address
            there = {Space.PHYSICAL: row.gpa, Space.MACHINE: row.hpa, Space.VIRTUAL: self._virtual}[SPACES[new]]
            self._last[new] = None if there is None else there + (offset if SPACES[new] is not Space.VIRTUAL else 0)
            if self.space is Space.VIRTUAL:
                self._virtual = self.cursor
        self.tab = new

    def _row(self) -> MemoryRow | None:
        """The row that the cursor is in."""
        view = self.view
        if not isinstance(view, MemoryView) or self.cursor is None:
            return None
        return next((row for row in view.rows if row.address == self.cursor & -ROW), None)

    # --- keys

    @on(HexView.Wanted)
    def wanted(self, event: HexView.Wanted) -> None:
        """Arrows, pages, clicks."""
        event.stop()
        if self.cursor is None:
            return
        per = self._layout.per
        if event.place is not None:
            index = self._layout.byte_at(event.place[0])
            self._move(self._top + per * event.place[1] + (index if index is not None else self.cursor % per))
        elif event.column is not None:
            self._move(self.cursor - self.cursor % per + (event.column % per))
        else:
            wanted = self.cursor + event.bytes_ + per * event.lines
            self._move(wanted if 0 <= wanted <= MOST else self.cursor)

    @on(HexView.Chosen)
    def follow(self, event: HexView.Chosen) -> None:
        """Follow the pointer at the cursor."""
        event.stop()
        view = self.view
        word = view.word(self.cursor & -8) if isinstance(view, MemoryView) and self.cursor is not None else None
        if word is None:
            self.glass.tell("there is no doubleword to follow here", "warning")
        else:
            self.jump(word)

    def action_back(self) -> None:
        """To where we were before."""
        self._travel(self._back, self._forward)

    def action_forward(self) -> None:
        """And forward again."""
        self._travel(self._forward, self._back)

    def _travel(self, source: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
        if not source or self.cursor is None:
            self.app.bell()
            return
        other.append((self.tab, self.cursor))
        self._go(*source.pop())

    def action_to(self, name: str) -> None:
        """To where sp or pc point."""
        view = self.view
        if isinstance(view, MemoryView):
            self.jump(view.sp if name == "sp" else view.pc, Space.VIRTUAL)

    def goto(self, address: int) -> bool:
        """An address that was asked for."""
        self.jump(address)
        return True

    def at_cursor(self) -> Place | None:
        """The doubleword that the cursor is in."""
        row = self._row()
        if row is None or row.data is None or self.cursor is None:
            return None
        offset = (self.cursor & -8) - row.address
        if self.space is Space.VIRTUAL:
            return Place("gva", row.address + offset, 8)
        return None if row.gpa is None else Place("gpa", row.gpa + offset, 8)

    # --- searching

    def search(self, text: str) -> None:
        """Find what the user typed. An empty line: the same once more."""
        if text.strip():
            try:
                self._pattern = parse_pattern(text)
            except HartvisorError as error:
                self.glass.tell(str(error), "error")
                return
        self.action_again(False)

    def action_again(self, backwards: bool) -> None:
        """The next place, or the one before."""
        if not self._pattern:
            self.glass.tell("search for something first: /", "warning")
            return
        if self.space is Space.MACHINE:
            self.glass.tell("search the guest's memory: virtual or physical", "warning")
            return
        pattern, start, is_physical = self._pattern, self.cursor or 0, self.space is Space.PHYSICAL

        def find(inspection: Inspection) -> Moves:
            inspector = inspection.inspector
            found = yield from search(inspector, pattern, start, backwards=backwards, is_physical=is_physical)
            self.post_message(self.Found(found, len(pattern)))
            return inspector.halt

        self.act(find)

    @on(Found)
    def found(self, event: Found) -> None:
        """The search has ended."""
        event.stop()
        if event.address is None:
            self.glass.tell("not found", "warning")
        else:
            self._marked = (event.address, event.address + event.length)
            self.jump(event.address)

    # --- typing

    def action_overwrite(self) -> None:
        """Digits that are typed go into memory from now on."""
        row = self._row()
        if row is None or row.data is None or (self.space is Space.MACHINE and row.gpa is None):
            self.glass.tell("only the guest's RAM can be overwritten", "warning")
            return
        self.hex.is_typing = True
        self._typed = ""
        self._paint()

    @on(HexView.Typed)
    def typed(self, event: HexView.Typed) -> None:
        """A digit; the second of a byte writes it."""
        event.stop()
        if not event.digit:
            self.hex.is_typing = False
            self._typed = ""
        elif not self._typed:
            self._typed = event.digit
        else:
            self._write(int(self._typed + event.digit, 16))
            return
        self._paint()

    def _write(self, value: int) -> None:
        row = self._row()
        if row is None or self.cursor is None:
            return
        is_physical = self.space is not Space.VIRTUAL
        offset = self.cursor - row.address
        address = (row.gpa or 0) + offset if self.space is Space.MACHINE else self.cursor

        def write(inspection: Inspection) -> None:
            inspector = inspection.inspector
            if not inspector.target.write(inspector.vcpu_index, address, bytes([value]), is_physical):
                raise OptionError(f"{address:#x}: no RAM of the guest's, and not overwritten")

        self.act(write)
        self._move(self.cursor + 1)
