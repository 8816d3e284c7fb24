"""A list of styled lines that scrolls, with a cursor if it is wanted; of the lines only those in sight are rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

FEW = 8
"""Lines that are painted one by one; of more, all are."""

KEPT = 500
"""Painted lines that are kept, of each list: a guest in a loop comes by the same ones again and again."""

PLAIN, CURSOR, CURSOR_HERE = LOOKS = ("", "lines--cursor", "lines--cursor-here")
"""A line's looks, by the style's name: without the cursor; with it, where the keyboard is elsewhere; and where not."""


class LinesView(ScrollView, can_focus=True):
    """Lines of Content, one screen row each; what is too long is cut off at the right edge.

    cursor: the index of the line under the cursor. has_cursor: whether there is one, else the arrows scroll.
    """

    DEFAULT_CSS = """
    LinesView {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        text-wrap: nowrap;
        & > .lines--cursor { background: $primary 25%; }
        & > .lines--cursor-here { background: $primary 50%; text-style: bold; }
    }
    """
    # No rule for :focus: Textual applies all rules anew where there may be one, and what was painted is painted again.
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--cursor-here"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "edge(False)", "First", show=False),
        Binding("end", "edge(True)", "Last", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0)

    @dataclass
    class Resized(Message):
        """There is room for other lines."""

        lines: LinesView

        @property
        def control(self) -> LinesView:
            """Whose."""
            return self.lines

    @dataclass
    class _AtLine(Message):
        """Something happened at a line."""

        lines: LinesView
        index: int

        @property
        def control(self) -> LinesView:
            """Whose."""
            return self.lines

    class Chosen(_AtLine):
        """Enter, or a click on the line that has the cursor already."""

    class Moved(_AtLine):
        """The cursor is on another line, because the user put it there."""

    def __init__(self, *, has_cursor: bool = True, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.has_cursor = has_cursor
        self._lines: tuple[Content, ...] = ()
        self._strips: dict[tuple[object, ...], Strip] = {}  # by the line's text, its spans, its look
        self._cut_at = 0                                    # columns, of the strips

    # --- contents

    @property
    def lines(self) -> tuple[Content, ...]:
        """What is shown."""
        return self._lines

    def set_lines(self, lines: Sequence[Content], *, cursor: int | None = None) -> None:
        """Show these. cursor: put it there, and in sight."""
        new, old = tuple(lines), self._lines
        # Contents are equal if their texts are, whatever their styles.
        changed = [index for index, line in enumerate(new)
                   if index >= len(old) or not Content.is_same(line, old[index])]
        self._lines = new
        if len(new) != len(old):
            self._change_length(len(old), len(new))
        elif len(changed) > FEW:
            self.refresh()
        else:
            top = self.scroll_offset.y
            for index in changed:
                if top <= index < top + self.size.height:
                    self.refresh_line_at(index)
        target = self.cursor if cursor is None else cursor
        self.set_reactive(LinesView.cursor, max(0, min(target, len(new) - 1)))
        if cursor is not None:
            self.show_line(self.cursor)
            self.refresh()

    def _change_length(self, old: int, new: int) -> None:
        """How far it scrolls is another. The screen is laid out only where the scroll bar comes or goes: that takes
        several times as long as to paint these lines."""
        height, size = self.size.height, Size(self.size.width, new)
        if (old > height) != (new > height):
            self.virtual_size = size
            self.refresh(layout=True)
            return
        self.set_reactive(LinesView.virtual_size, size)
        if new > height:
            self.vertical_scrollbar.window_virtual_size = new
            self.scroll_y = self.validate_scroll_y(self.scroll_y)
        self.refresh()

    def show_line(self, index: int) -> None:
        """Scroll so that a line is in sight, with some around it."""
        if self.size.height:
            self.scroll_to_region(Region(0, max(0, index), 1, 1), animate=False, force=True)

    @property
    def plain(self) -> str:
        """The text, for tests and screen readers."""
        return "\n".join(line.plain for line in self._lines)

    # --- painting

    def render_line(self, y: int) -> Strip:
        """The row `y` of what is in sight."""
        index = self.scroll_offset.y + y
        width = self.size.width
        if index >= len(self._lines):
            return self._blank(width)
        look = PLAIN
        if self.has_cursor and index == self.cursor:
            look = CURSOR_HERE if self.has_focus else CURSOR
        line = self.dress(self._lines[index], look)
        key = line.plain, tuple(line.spans), look
        strip = self._strips.get(key)
        if strip is None:
            if len(self._strips) >= KEPT:
                self._strips.clear()
            strip = self._strips[key] = self._paint(line, look, width)
        return strip

    def dress(self, line: Content, look: str) -> Content:
        """A line as it is to be painted. look: one of LOOKS."""
        return line

    def _blank(self, width: int) -> Strip:
        """A row below the last line; all such are one."""
        strip = self._strips.get(())
        if strip is None:
            strip = self._strips[()] = Strip.blank(width, self.visual_style.rich_style)
        return strip

    def _paint(self, line: Content, look: str, width: int) -> Strip:
        style = self.get_visual_style(look) if look else self.visual_style
        if "\n" in line.plain:
            line = line.split()[0]
        segments = [Segment(text, own.rich_style)
                    for text, own in line.expand_tabs().render(style, "", self._get_style)]
        return Strip(segments).crop_extend(0, width, style.rich_style)

    def render_lines(self, crop: Region) -> list[Strip]:
        """In place of Textual's, which puts each line anew between borders and margins, of which a list has none: a
        line that was painted is handed out as it is, with what is known of it at the terminal."""
        if self.styles.gutter or self.opacity < 1:
            return super().render_lines(crop)
        base, background = self.visual_style.rich_style, self.background_colors[1]
        filters = self.get_line_filters()
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y).crop_extend(crop.x, crop.right, base)
            for each in filters:
                strip = strip.apply_filter(each, background)
            strips.append(strip)
        return strips

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor's look has two names, and no style is another one with the keyboard: none is looked up anew."""

    def _on_focus(self, event: events.Focus) -> None:
        """In place of Textual's, which paints all lines anew: the cursor has its other look."""
        self._change_focus(event, events.DescendantFocus(self))

    def _on_blur(self, event: events.Blur) -> None:
        """In place of Textual's, too."""
        self._change_focus(event, events.DescendantBlur(self))

    def _change_focus(self, event: events.Event, news: events.Event) -> None:
        event.prevent_default()
        self.has_focus = isinstance(event, events.Focus)
        if self.has_cursor:
            self.refresh_line_at(self.cursor)
        if self.parent is not None:
            self.parent.post_message(news)

    def notify_style_update(self) -> None:
        """The theme has changed."""
        self._strips.clear()
        super().notify_style_update()

    def on_resize(self, event: events.Resize) -> None:
        """Lines are cut elsewhere; but most come up again as they were."""
        width = self.size.width
        if width != self._cut_at:
            self._cut_at = width
            self._strips.clear()
        self.virtual_size = Size(width, len(self._lines))
        self.post_message(self.Resized(self))

    # --- the cursor

    def watch_cursor(self, old: int, new: int) -> None:
        """It moved."""
        for index in (old, new):
            self.refresh_line_at(index)
        if self.has_cursor:
            self.show_line(new)

    def refresh_line_at(self, index: int) -> None:
        """Paint one line again."""
        self.refresh(Region(0, index - self.scroll_offset.y, self.size.width, 1))

    def validate_cursor(self, cursor: int) -> int:
        """Within the lines."""
        return max(0, min(cursor, len(self._lines) - 1))

    def _go(self, cursor: int) -> None:
        before = self.cursor
        self.cursor = cursor
        if self.cursor != before:
            self.post_message(self.Moved(self, self.cursor))

    def action_move(self, lines: int) -> None:
        """Up or down."""
        if self.has_cursor:
            self._go(self.cursor + lines)
        else:
            self.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """A screen up or down."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_edge(self, is_last: bool) -> None:
        """The first line or the last."""
        if self.has_cursor:
            self._go(len(self._lines) - 1 if is_last else 0)
        else:
            self.scroll_to(y=self.max_scroll_y if is_last else 0, animate=False)

    def action_choose(self) -> None:
        """Enter."""
        if self._lines and self.has_cursor:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """The cursor goes there; a second click chooses."""
        index = self.scroll_offset.y + event.y
        if not self.has_cursor or index >= len(self._lines):
            return
        if index == self.cursor and event.chain == 2:
            self.action_choose()
        self._go(index)
