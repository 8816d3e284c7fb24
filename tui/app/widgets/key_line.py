"""The line at the bottom: the keys that do something here, and what.

Textual's Footer makes a widget for each key, anew whenever the keyboard goes to another panel; that takes longer than
all the rest of a panel's coming up. This is one line of text.
"""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widgets import Static

from .console import Console

GAP = 1


class KeyLine(Static):
    """One line; a click on a key presses it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine {
        height: 1; background: $footer-background; color: $footer-foreground;
        text-wrap: nowrap; text-overflow: clip;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[Binding, ...] = ()
        self._ends: list[int] = []

    def on_mount(self) -> None:
        """Be told when other keys count."""
        self.screen.bindings_updated_signal.subscribe(self, self.keys_changed)

    def keys_changed(self, screen: Screen[object]) -> None:
        """The keyboard is in another panel."""
        if screen is not self.screen or not self.app.app_focus:
            return
        if isinstance(screen.focused, Console):
            # Nothing that is ours is a key away: all of them are the guest's.
            self._shown, self._ends = (), []
            self.update(Content.from_markup("all keys go to the guest, but [b]ctrl+a[/b]: then one of ours follows · "
                                            "[b]ctrl+a h[/b] help · [b]ctrl+a x[/b] quit"), layout=False)
            return
        shown: dict[str, Binding] = {}
        for _, binding, is_enabled, _ in screen.active_bindings.values():
            if binding.show and is_enabled:
                shown.setdefault(binding.action, binding)
        if tuple(shown.values()) == self._shown:
            return
        self._shown = tuple(shown.values())
        line = Content()
        self._ends = []
        for binding in self._shown:
            key = (self.app.get_key_display(binding), "bold $footer-key-foreground")
            line = Content.assemble(line, key, " ", (binding.description, "$footer-description-foreground"), " " * GAP)
            self._ends.append(line.cell_length)
        self.update(line, layout=False)

    def on_click(self, event: Click) -> None:
        """Press the key that was clicked on."""
        for binding, end in zip(self._shown, self._ends, strict=True):
            if event.x < end:
                self.app.simulate_key(binding.key)
                return
