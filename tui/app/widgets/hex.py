"""A window on memory with a cursor on one byte, in which digits can be typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from .lines import LinesView

HEX = "0123456789abcdef"


class HexView(LinesView):
    """Shows lines that it is given, and tells how the user wants to move; what there is, its owner knows.

    is_typing: hexadecimal digits are typed into it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "by(-1, 0)", "Left", show=False), Binding("right", "by(1, 0)", "Right", show=False),
        Binding("up", "by(0, -1)", "Up", show=False), Binding("down", "by(0, 1)", "Down", show=False),
        Binding("pageup", "pages(-1)", "Page up", show=False), Binding("pagedown", "pages(1)", "Page down", show=False),
        Binding("home", "line_edge(False)", "Line's start", show=False),
        Binding("end", "line_edge(True)", "Line's end", show=False),
    ]

    @dataclass
    class Wanted(Message):
        """Move the cursor. bytes_, lines: by so many. column: to this byte of its line, -1 for the last. x, y: to what
        is there."""

        view: HexView
        bytes_: int = 0
        lines: int = 0
        column: int | None = None
        place: tuple[int, int] | None = None

    @dataclass
    class Typed(Message):
        """A digit, while typing; "" for the end of it."""

        view: HexView
        digit: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(has_cursor=False, id=id)
        self.is_typing = False

    def action_by(self, bytes_: int, lines: int) -> None:
        """An arrow."""
        self.post_message(self.Wanted(self, bytes_, lines))

    def action_pages(self, pages: int) -> None:
        """A screen up or down."""
        self.post_message(self.Wanted(self, 0, pages * max(1, self.size.height - 1)))

    def action_line_edge(self, is_last: bool) -> None:
        """The first byte of the line, or the last."""
        self.post_message(self.Wanted(self, column=-1 if is_last else 0))

    async def _on_key(self, event: events.Key) -> None:
        """Digits are the memory's while they are typed, and no panel's."""
        if not self.is_typing:
            return
        if event.key in ("escape", "enter"):
            self.post_message(self.Typed(self, ""))
        elif event.character is not None and event.character.lower() in HEX:
            self.post_message(self.Typed(self, event.character.lower()))
        elif event.is_printable:
            self.app.bell()
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        """The byte there; a second click follows it."""
        event.stop()
        self.post_message(self.Wanted(self, place=(event.x, event.y)))
        if event.chain == 2:
            self.action_choose()

    def action_choose(self) -> None:
        """Enter."""
        self.post_message(self.Chosen(self, 0))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines on."""
        event.stop()
        self.post_message(self.Wanted(self, 0, 3))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines back."""
        event.stop()
        self.post_message(self.Wanted(self, 0, -3))
