"""A guest's console, live: its output as a terminal shows it, and every key to the guest but the release prefix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive

from ....core.vmm.views.console import ConsoleView
from .keys_sent import bytes_of, pasted
from .lines import LinesView
from .terminal import COLUMNS, ROWS, Terminal

PREFIX: Final = "ctrl+a"
FLOOD: Final = 8 << 10
"""Bytes shown at once of a guest that writes faster than can be read: the last."""


class Console(LinesView):
    """The screen of a terminal, with what has scrolled off above it.

    is_released: the prefix was typed: the next key is ours.
    """

    DEFAULT_CSS = """
    Console {
        overflow-x: hidden;
        overflow-y: scroll;
    }
    """
    is_released: reactive[bool] = reactive(False)

    @dataclass
    class Typed(Message):
        """The user types to the guest. is_answer: it is the terminal itself that answers a question."""

        data: bytes
        is_answer: bool = False

    @dataclass
    class Quit(Message):
        """ctrl+a x."""

    @dataclass
    class Help(Message):
        """ctrl+a h."""

    FOLLOWS: ClassVar[int] = 2
    """Rows from the end within which the view follows what is written."""

    def __init__(self) -> None:
        super().__init__(has_cursor=False)
        self.terminal = Terminal()
        self._vm = -1
        self._end = 0               # of what the terminal was fed
        self._fed = b""             # the last of it
        self._left = 0              # the first column in sight
        self._follows = True

    # --- output

    def show_view(self, view: ConsoleView) -> None:
        """Feed the terminal what is new; from the beginning of what is known, where the past is another."""
        self._adapt()
        at = self._end - view.start
        is_more = view.index == self._vm and 0 <= at <= len(view.data) and self._agrees(view.data[:at])
        is_live = is_more and not view.is_past
        if is_more:
            self.terminal.feed(view.data[at:])
        else:
            is_flood = view.index == self._vm and at < 0
            data = view.data[-FLOOD:] if is_flood else view.data
            if not is_flood:
                self.terminal.reset()
            self.terminal.feed(_from_a_line(data) if view.end > len(data) else data)
        self._vm, self._end, self._fed = view.index, view.end, view.data
        answers = self.terminal.take_answers()
        if answers and is_live and self.has_focus and view.can_type:
            self.post_message(self.Typed(answers, is_answer=True))
        self._lay_out_lines()

    def _agrees(self, known: bytes) -> bool:
        """Whether what a view begins with is what we were fed."""
        return not known or self._fed.endswith(known) or known.endswith(self._fed)

    def _adapt(self) -> None:
        """The terminal is as large as there is room, but never smaller than programs believe it to be."""
        columns, rows = max(COLUMNS, self.size.width), max(ROWS, self.size.height)
        if (columns, rows) != (self.terminal.columns, self.terminal.rows) and self.size.width:
            self.terminal = Terminal(columns, rows)
            self._vm = -1

    def _lay_out_lines(self) -> None:
        lines = [*self.terminal.scrollback, *self.terminal.screen_lines()]
        above = len(self.terminal.scrollback)
        cursor = self.terminal.cursor
        if cursor is not None:
            row, column = cursor
            lines[above + row] = self._with_cursor(lines[above + row], column)
            self._scroll_sideways(column)
        last = max((above + cursor[0] if cursor is not None else 0, *(
            number for number, line in enumerate(lines[above:], above) if line.plain)), default=0)
        # Of a screen that is larger than our window, what is blank at its end is left out of sight.
        shown = lines[: max(last + 1, above + min(self.terminal.rows, self.size.height))]
        self.set_lines([line[self._left:] for line in shown] if self._left else shown)
        if self._follows:
            self.scroll_end(animate=False, immediate=True, force=True)

    def _with_cursor(self, line: Content, column: int) -> Content:
        style = "reverse" if self.has_focus else "underline"
        return line.pad_right(max(0, column + 1 - line.cell_length)).stylize(style, column, column + 1)

    def _scroll_sideways(self, column: int) -> None:
        """Keep the cursor in sight where the room is narrower than the terminal."""
        width = self.size.width
        if column < self._left or width >= self.terminal.columns:
            self._left = 0 if column < width else self.terminal.columns - width
        elif column >= self._left + width:
            self._left = self.terminal.columns - width

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls up reads: what is written does not pull the view down."""
        super().watch_scroll_y(old_value, new_value)
        self._follows = new_value >= self.max_scroll_y - self.FOLLOWS

    # --- input

    async def on_key(self, event: events.Key) -> None:
        """To the guest, unless the prefix came before."""
        if self.is_released:
            self.is_released = False
            self._command(event)
            return
        event.stop()
        event.prevent_default()
        if event.key == PREFIX:
            self.is_released = True
            return
        self._send(bytes_of(event.key, event.character, is_application=self.terminal.has_application_cursor))

    def _command(self, event: events.Key) -> None:
        """What was typed behind the prefix: ours here, or a key that works everywhere."""
        if event.key not in (PREFIX, "x", "h"):
            return
        event.stop()
        event.prevent_default()
        if event.key == PREFIX:
            self._send(b"\x01")
        else:
            self.post_message(self.Quit() if event.key == "x" else self.Help())

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text, too."""
        event.stop()
        self._send(pasted(event.text, is_bracketed=self.terminal.is_bracketed))

    def _send(self, data: bytes) -> None:
        if data:
            self._follows = True
            self.post_message(self.Typed(data))

    def watch_has_focus(self, has_focus: bool) -> None:
        """The cursor looks otherwise, and without the keyboard the prefix is forgotten."""
        if not has_focus:
            self.is_released = False
        self._lay_out_lines()


def _from_a_line(data: bytes) -> bytes:
    """Without its beginning, which may be the middle of something."""
    return data[data.find(b"\n") + 1:]
