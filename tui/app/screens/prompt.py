"""The line at the bottom that the user types into: an address to go to, text to find, an instruction, a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Label

LABELS: Final = {
    "goto": ("go to", "an address, symbol, a0, file:line; #step or !exit to travel"),
    "search": ("find", "what the panel has: text, hex:13050000, a number"),
    "assemble": ("run here", "one instruction, such as addi a0, a0, 1"),
    "value": ("set", "a number, symbol or register: 0x10, -1, main+8, sp; 1.5 for an f register"),
    "name": ("name", "what to call the snapshot; a note behind a colon: booted: at the prompt"),
    "stored": ("from disk", "the name of a snapshot in the store"),
    "command": (":", "help lists the commands"),
}


class Line(Input):
    """What is typed."""

    async def action_submit(self) -> None:
        """Enter, at once: the next key is no longer meant for this line."""
        assert isinstance(self.parent, Prompt)
        self.parent.submit(self.value.strip())


class Prompt(Horizontal):
    """Hidden until something is asked. purpose: what for."""

    DEFAULT_CSS = """
    Prompt {
        height: 1; dock: bottom; display: none; background: $panel;
        Label { color: $accent; text-style: bold; padding: 0 1; }
        Input { border: none; height: 1; padding: 0; background: $panel; width: 1fr; }
        Input:focus { border: none; }
        &.-asking { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", show=False),
        Binding("up", "recall(-1)", "Earlier", show=False),
        Binding("down", "recall(1)", "Later", show=False),
    ]

    @dataclass
    class Answered(Message):
        """Enter. purpose: as asked. text: what was typed."""

        purpose: str
        text: str

    @dataclass
    class Closed(Message):
        """The user thought better of it."""

    def __init__(self) -> None:
        super().__init__()
        self.purpose = ""
        self._history: dict[str, list[str]] = {}
        self._place = 0
        self._before: Widget | None = None      # what had the keyboard

    def compose(self) -> ComposeResult:
        """Label and input."""
        yield Label("", markup=False)
        yield Line(select_on_focus=False)

    def ask(self, purpose: str, words: list[str], text: str = "", label: str = "") -> None:
        """Show it. words: to be suggested. label: what to show in front of it, if not the purpose's own."""
        self.purpose = purpose
        own, hint = LABELS[purpose]
        self.query_one(Label).update(label or own)
        line = self.query_one(Input)
        line.placeholder = hint
        self.suggest(words)
        line.value = text
        line.cursor_position = len(text)
        self._place = len(self._history.get(purpose, []))
        self.add_class("-asking")
        if self.screen.focused is not line:
            self._before = self.screen.focused
            self.screen.set_focus(line, scroll_visible=False)   # at once: what is typed next is typed into it

    def suggest(self, words: list[str]) -> None:
        """Complete what is typed to one of these."""
        self.query_one(Input).suggester = SuggestFromList(words, case_sensitive=True) if words else None

    def submit(self, text: str) -> None:
        """Enter."""
        self._close()
        if text:
            self._history.setdefault(self.purpose, []).append(text)
            self.post_message(self.Answered(self.purpose, text))
        else:
            self.post_message(self.Closed())

    def action_close(self) -> None:
        """Escape."""
        self._close()
        self.post_message(self.Closed())

    def _close(self) -> None:
        self.remove_class("-asking")
        self.screen.set_focus(self._before, scroll_visible=False)

    def action_recall(self, by: int) -> None:
        """What was typed before."""
        past = self._history.get(self.purpose, [])
        self._place = max(0, min(len(past), self._place + by))
        line = self.query_one(Input)
        line.value = past[self._place] if self._place < len(past) else ""
        line.cursor_position = len(line.value)
