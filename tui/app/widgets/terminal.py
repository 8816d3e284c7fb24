"""A terminal as a value: bytes of a serial line in, lines to paint out. The emulation is pyte's; what it does not bear,
it is kept from: whatever a guest writes, the terminal goes on.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import pyte
from pyte import charsets, modes
from pyte.screens import Char
from textual.content import Content, Span

COLUMNS, ROWS = 80, 24
"""A terminal's least size: what programs believe that know no better."""

SCROLLBACK: Final = 3000

UNPRINTABLE: Final = re.compile("[\x00-\x06\x10-\x17\x19\x1c-\x1f\x7f\x80-\x9a\x9c-\x9f\xad]")
"""pyte drops the rest of a line behind one of these."""

APPLICATION_CURSOR: Final = 1 << 5      # DECCKM, as pyte keeps private modes
BRACKETED_PASTE: Final = 2004 << 5

WIDE: Final = 3
"""The mode of 132 columns (DECCOLM)."""

NAMES: Final = {
    "black": "ansi_black", "red": "ansi_red", "green": "ansi_green", "brown": "ansi_yellow", "blue": "ansi_blue",
    "magenta": "ansi_magenta", "cyan": "ansi_cyan", "white": "ansi_white", "brightblack": "ansi_bright_black",
    "brightred": "ansi_bright_red", "brightgreen": "ansi_bright_green", "brightbrown": "ansi_bright_yellow",
    "brightblue": "ansi_bright_blue", "brightmagenta": "ansi_bright_magenta", "bfightmagenta": "ansi_bright_magenta",
    "brightcyan": "ansi_bright_cyan", "brightwhite": "ansi_bright_white",
}
"""pyte's names of colours (one of them misspelt) to Textual's."""


_look_of: Final = itemgetter(slice(1, None))


@lru_cache(maxsize=256)
def style_of(look: tuple[Any, ...]) -> str:
    """A cell's look, all but its letter, in Textual's words; empty for the plain one."""
    char = Char(" ", *look)
    front, back = _colour(char.fg), _colour(char.bg)
    words = [word for word, is_on in (
        ("bold", char.bold), ("italic", char.italics), ("underline", char.underscore),
        ("strike", char.strikethrough), ("reverse", char.reverse)) if is_on]
    if front:
        words.append(front)
    if back:
        words.append(f"on {back}")
    return " ".join(words)


def _colour(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    return f"#{name}" if re.fullmatch("[0-9a-fA-F]{6}", name) else ""


class _Cells(dict[str, Char]):
    """Cells of one look, by letter."""

    def __init__(self, look: Char) -> None:
        super().__init__()
        self._look = look

    def __missing__(self, letter: str) -> Char:
        self[letter] = made = self._look._replace(data=letter)
        return made


@lru_cache(maxsize=64)
def _cells_of(look: Char) -> _Cells:
    return _Cells(look)


class _Screen(pyte.Screen):
    """A screen that hands out the lines that leave it at the top, and what it answers to questions."""

    def __init__(self, columns: int, rows: int, gone: Callable[[Any], None], answer: Callable[[str], None]) -> None:
        self._gone = gone
        self._answer = answer
        super().__init__(columns, rows)
        self.mode.add(modes.LNM)

    def reset(self) -> None:
        """A line feed begins a line, as it does on QEMU's console: not every guest sends carriage returns."""
        super().reset()
        self.mode.add(modes.LNM)

    def set_mode(self, *modes: int, **named: Any) -> None:
        """All but 132 columns: the width is the window's."""
        super().set_mode(*(mode for mode in modes if mode != WIDE), **named)

    def reset_mode(self, *modes: int, **named: Any) -> None:
        """The same."""
        super().reset_mode(*(mode for mode in modes if mode != WIDE), **named)

    def draw(self, data: str) -> None:
        """Without what would end the line. Plain text, which most is, goes there by the line."""
        if UNPRINTABLE.search(data):
            data = UNPRINTABLE.sub("", data)
        is_plain = data.isascii() and not self.charset and self.g0_charset is charsets.LAT1_MAP
        if not is_plain or modes.IRM in self.mode or modes.DECAWM not in self.mode:
            super().draw(data)
            return
        cursor, put = self.cursor, _cells_of(self.cursor.attrs).__getitem__
        while data:
            if cursor.x == self.columns:
                self.carriage_return()
                self.linefeed()
            part, data = data[: self.columns - cursor.x], data[self.columns - cursor.x :]
            end = cursor.x + len(part)
            self.buffer[cursor.y].update(zip(range(cursor.x, end), map(put, part), strict=True))
            self.dirty.add(cursor.y)
            cursor.x = end

    def index(self) -> None:
        """A line may leave."""
        if self.cursor.y == self.lines - 1 and self.margins is None:
            self._gone(self.buffer[0])
        super().index()

    def write_process_input(self, data: str) -> None:
        """An answer."""
        self._answer(data)


class _Guarded:
    """A screen whose methods bear any arguments: what does not fit is not done."""

    def __init__(self, screen: _Screen) -> None:
        self._screen = screen

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._screen, name)
        if not callable(method):
            return method

        def call(*arguments: Any, **named: Any) -> None:
            with suppress(TypeError, ValueError, LookupError, UnboundLocalError, AssertionError):
                method(*arguments, **named)     # else its parameters were such as nobody sends on purpose

        return call


class _Stream(pyte.Stream):
    """A parser that begins anew where it stumbles."""

    def __init__(self, screen: Any) -> None:
        super().__init__(screen)
        self.use_utf8 = False   # of pyte's: whether to ignore line-drawing character sets; bytes are decoded before

    def _send_to_parser(self, data: str) -> bool | None:
        try:
            return super()._send_to_parser(data)
        except Exception:
            return self._taking_plain_text


class Terminal:
    """columns, rows: its size. scrollback: the lines that have left it at the top.

    answers: what it has to say to whoever asked (where the cursor is, …), for the caller to take.
    """

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self.columns, self.rows = columns, rows
        self.reset()

    def reset(self) -> None:
        """As it is switched on."""
        self.scrollback: deque[Content] = deque(maxlen=SCROLLBACK)
        self.answers: list[str] = []
        self._screen = _Screen(self.columns, self.rows, self._keep, self.answers.append)
        self._stream = _Stream(_Guarded(self._screen))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines: list[Content] = [Content("")] * self.rows

    def feed(self, data: bytes) -> None:
        """The guest writes."""
        self._stream.feed(self._decoder.decode(data))

    def take_answers(self) -> bytes:
        """What it has to say, once."""
        said = "".join(self.answers)
        self.answers.clear()
        return said.encode("ascii", "ignore")

    def screen_lines(self) -> list[Content]:
        """The lines of the screen, without what is blank at their ends."""
        for row in self._screen.dirty:
            if row < self.rows:
                self._lines[row] = self._line(self._screen.buffer[row])
        self._screen.dirty.clear()
        return list(self._lines)

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Row and column; None while the guest hides it."""
        cursor = self._screen.cursor
        return None if cursor.hidden else (cursor.y, min(cursor.x, self.columns - 1))

    @property
    def has_application_cursor(self) -> bool:
        """Whether arrows are to be sent as ESC O."""
        return APPLICATION_CURSOR in self._screen.mode

    @property
    def is_bracketed(self) -> bool:
        """Whether the guest wants to be told what is pasted."""
        return BRACKETED_PASTE in self._screen.mode

    def _keep(self, line: Any) -> None:
        self.scrollback.append(self._line(line))

    def _line(self, line: Any) -> Content:
        """A row of cells as text with spans."""
        if not line:
            return Content("")
        width = min(max(line) + 1, self.columns)
        cells = [line[column] for column in range(width)]
        text = "".join(cell.data for cell in cells)
        spans: list[Span] = []
        at = 0
        for look, group in groupby(cells, _look_of):
            began, style = at, style_of(look)
            at += sum(len(cell.data) for cell in group)
            if style:
                spans.append(Span(began, at, style))
        return Content(text, spans=spans) if spans else Content(text.rstrip())
