"""What every panel is: something to look at, a way to paint what was seen, keys of its own, and a place under its
cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from textual import events
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from ....core.vmm.inspector import Inspection
from ..collecting import Collector
from ..engine import Action
from ..layout import Box

if TYPE_CHECKING:
    from ..app import HartvisorApp


@dataclass(frozen=True)
class Place:
    """What the cursor is on, for keys that work anywhere. kind: "gva", "gpa", "gpr", "csr" or "pte" (a GPA that holds
    one). number: the address, or the register's. size: bytes. name: as people call it."""

    kind: str
    number: int
    size: int = 8
    name: str = ""


class Panel(Widget, can_focus=False):
    """One of the numbered panels. It is handed views, and asks for others by what its `collector` says.

    tab: which of its TABS is shown. is_shown: whether it is on the screen. Its class -active says that the keyboard is
    in it, or was last; unlike the pseudo-class :focus-within it costs nothing where one panel makes way for another.
    """

    DEFAULT_CSS = """
    Panel {
        border: round $foreground 30%;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        padding: 0 1;
        &.-active {
            border: heavy $accent;
            border-title-color: $accent;
            border-title-style: bold;
        }
    }
    """
    ID: ClassVar[str] = ""
    KEY: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""
    TABS: ClassVar[tuple[str, ...]] = ()
    HELP: ClassVar[str] = ""

    tab: reactive[int] = reactive(0)

    @dataclass
    class Stale(Message):
        """The panel wants to be looked at anew."""

        panel: Panel

    def __init__(self) -> None:
        super().__init__(id=self.ID)
        self.is_shown = False
        self.view: Any = None
        self._fitted = Size(0, 0)
        self._is_due = False        # a view came before there was room for it
        self._below = ""            # what the border's lower edge says, as plain text
        self._is_same = False       # what is being changed leaves the lines as they are

    def on_mount(self) -> None:
        """Its name."""
        self.retitle()

    def on_resize(self, event: events.Resize) -> None:
        """It has come up; and unless it comes up as it went, it has another size."""
        if self._is_due:
            self._is_due = False
            self.show(self.view)
        if event.size != self._fitted:
            self._fitted = event.size
            self.fit()

    def place(self, box: Box | None, *, is_active: bool) -> None:
        """Be there, or nowhere. One that comes up where it was keeps what was painted of it: what changed meanwhile was
        marked when it did."""
        self.is_shown = box is not None
        with self._unpainted():
            self.display = box is not None
        if box is not None:
            # One that is not to be seen stays as it is: where there is room for one, it comes up as it went.
            if is_active != self.has_class("-active"):
                self.set_class(is_active, "-active", update=False)
                self.app.stylesheet.apply(self)     # of what is in it, nothing depends on that
            self.styles.offset = (box.x, box.y)
            self.styles.width, self.styles.height = box.width, box.height

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Textual's; but nothing is painted anew where Textual believes that it must, and we know better."""
        return super().refresh(*regions, repaint=repaint and not self._is_same, layout=layout, recompose=recompose)

    @contextmanager
    def _unpainted(self) -> Iterator[None]:
        """While something is changed that is no reason to paint the lines of the panel anew."""
        self._is_same = True
        try:
            yield
        finally:
            self._is_same = False

    # --- to be filled in

    def collector(self) -> Collector:
        """What makes its view, in the engine's thread: a partial of a function in core.vmm.views."""
        raise NotImplementedError

    def show(self, view: Any) -> None:
        """Paint what was seen."""
        raise NotImplementedError

    def fit(self) -> None:
        """There is room for more, or for less."""

    def at_cursor(self) -> Place | None:
        """What the cursor is on, None if it is nothing that has a place."""
        return None

    def search(self, text: str) -> None:
        """Find the next of what the user typed behind `/`."""
        self.app.notify(f"{self.TITLE.lower()} has nothing to search", severity="warning")

    def give(self, text: str) -> None:
        """What the user typed where the panel had asked for a value: `main.ask("value", …)`."""

    def goto(self, address: int) -> bool:
        """Show a guest virtual address; False if this panel shows none."""
        return False

    # --- for those that fill it in

    @property
    def glass(self) -> HartvisorApp:
        """The app."""
        return cast("HartvisorApp", self.app)

    @property
    def has_keyboard(self) -> bool:
        """Whether the next key comes here. (What Textual calls focus within is so only when a message has said it.)"""
        focused = self.screen.focused
        return focused is not None and self in focused.ancestors_with_self

    def refresh_view(self) -> None:
        """Ask for a view by what `collector` says now."""
        self.post_message(self.Stale(self))

    def act(self, action: Action) -> None:
        """Have something done with the inspection; if it is a move, it is driven."""
        self.glass.engine.do(action)

    def act_quietly(self, action: Callable[[Inspection], object]) -> None:
        """Have something done that is no move, whatever it returns."""

        def quiet(inspection: Inspection) -> None:
            action(inspection)

        self.act(quiet)

    def receive(self, view: Any) -> None:
        """A view has come. One that is there before the panel is laid out waits for that, and is painted once."""
        self.view = view
        self._is_due = not self.size
        if not self._is_due:
            self.show(view)

    def fail(self, reason: str) -> None:
        """There is no view, for this reason."""
        self.set_subtitle(reason)

    def set_subtitle(self, text: str) -> None:
        """Plain text in the border's lower edge; of the panel, only that edge is painted again, if it is another."""
        if text == self._below:
            return
        self._below = text
        with self._unpainted():
            self.border_subtitle = Content(text)
        size, (x, y) = self.outer_size, self.content_offset
        self.refresh(Region(-x, size.height - 1 - y, size.width, 1))

    def turn_tab(self, by: int) -> None:
        """The next tab, or the one before."""
        if self.TABS:
            self.tab = (self.tab + by) % len(self.TABS)

    def watch_tab(self) -> None:
        """Another tab, another view."""
        self.retitle()
        if self.is_mounted:
            self.refresh_view()

    def retitle(self) -> None:
        """The title: key, name, tabs."""
        tabs = " · ".join(f"[b]{name}[/b]" if index == self.tab else f"[dim]{name}[/dim]"
                          for index, name in enumerate(self.TABS))
        self.border_title = f"[b]{self.KEY}[/b] {self.TITLE}" + (f"  {tabs}" if tabs else "")
