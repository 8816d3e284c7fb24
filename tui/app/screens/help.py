"""Help: for the panel that the keyboard was in, then every key, then every command; from the tables that they are."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Markdown

from ..commands import COMMANDS
from ..keys import MOVES, NAMES, TOOLS, VIEWS, Key


def key_table(title: str, keys: tuple[Key, ...]) -> str:
    """A section of the help."""
    rows = "".join(f"| `{NAMES.get(key.key, key.key)}` | {key.about} |\n" for key in keys)
    return f"### {title}\n\n| key | |\n|---|---|\n{rows}\n"


def help_text(title: str, text: str) -> str:
    """All of it, in Markdown."""
    commands = "".join(f"| `:{command.usage.replace('|', ' or ')}` | {command.about} |\n" for command in COMMANDS)
    return (f"## {title}\n\n{text}\n\n" + key_table("Moves", MOVES) + key_table("Tools", TOOLS)
            + key_table("Views", VIEWS)
            + "`1` to `9`, `0` and `-` bring a panel up. In a console every key is the guest's, but ctrl+a: behind "
              "it a key is ours again.\n\n"
            + f"### Commands\n\n| | |\n|---|---|\n{commands}\n")


class HelpScreen(ModalScreen[None]):
    """Over the main screen. title, text: of the panel that it is about."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & > VerticalScroll { width: 90%; max-width: 110; height: 90%; border: round $accent; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._text = help_text(title, text)

    def compose(self) -> ComposeResult:
        """Markdown that scrolls."""
        with VerticalScroll():
            yield Markdown(self._text)
