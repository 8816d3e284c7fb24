"""The main screen: a status line, the panels where the layout puts them, the prompt, the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from ....core.vmm.views.status import view_status
from ..collecting import Collector
from ..keys import MOVES, TOOLS, VIEWS, bindings, panel_bindings
from ..layout import LEAST_HEIGHT, LEAST_WIDTH, arrange
from ..messages import Frame
from ..panels import PANELS
from ..panels.base import Panel
from ..widgets.key_line import KeyLine
from ..widgets.status import StatusLine
from .prompt import Prompt

if TYPE_CHECKING:
    from ..app import HartvisorApp


FIRST: Final = ("code", "registers", "walk", "vms", "devices", "card")
"""The panels that are up at the start, by rising right to a slot; the last has the keyboard."""


TURNS: Final = 5
"""Of the event loop: a widget hears that it is shown, its panel that it is laid out anew, and tell the screen so."""

PATIENCE: Final = 30
"""Turns, where others have much to do."""


class Board(Container):
    """The area that panels share; the screen says where each lies."""

    DEFAULT_CSS = """
    Board {
        height: 1fr;
        & > Panel { position: absolute; display: none; }
    }
    """


class MainScreen(Screen[None]):
    """All panels are here all the time; those that are not shown are not looked at."""

    DEFAULT_CSS = """
    MainScreen {
        & > #too-small { display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; }
        &.-too-small > * { display: none; }
        &.-too-small > #too-small { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(MOVES), *bindings(TOOLS), *bindings(VIEWS),
        *panel_bindings([(panel.ID, panel.KEY, panel.TITLE) for panel in PANELS]),
    ]
    AUTO_FOCUS = None

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Textual's; but where the keyboard is elsewhere, the whole screen is not painted anew."""

    def __init__(self) -> None:
        super().__init__()
        self.panels = {panel.ID: panel() for panel in PANELS}
        self._chosen: list[str] = [name for name in FIRST if name in self.panels]
        self._zoomed: str | None = None

    @property
    def glass(self) -> HartvisorApp:
        """The app."""
        return cast("HartvisorApp", self.app)

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield StatusLine()
        with Board():
            yield from self.panels.values()
        yield Prompt()
        yield KeyLine()
        yield Static(id="too-small", markup=False)

    # --- layout

    def on_mount(self) -> None:
        """The first look."""
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        self.lay_out()
        self.focus_panel(self._chosen[-1])

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size."""
        width, height = event.size
        is_too_small = width < LEAST_WIDTH or height < LEAST_HEIGHT
        self.set_class(is_too_small, "-too-small")
        self.refresh(layout=True)
        self.query_one("#too-small", Static).update(
            f"Hartvisor needs {LEAST_WIDTH} by {LEAST_HEIGHT} cells;\nthis terminal has {width} by {height}.\nq quits.")
        self.call_after_refresh(self.lay_out)

    def lay_out(self) -> None:
        """Put each panel where it belongs, and look at those that are shown."""
        size = self.query_one(Board).size
        if not size.width or not size.height:
            return
        boxes = arrange(size.width, size.height, self._chosen, self._zoomed)
        for name, panel in self.panels.items():
            panel.place(boxes.get(name), is_active=name == self._chosen[-1])
        if any(panel.is_shown and panel.view is None for panel in self.panels.values()):
            self.look()
        else:
            # Each has something to show: first that is painted, and then the engine's thread, which Python lets run
            # only by turns with this one, looks for what is new.
            self.call_later(self._look_when_painted)

    def focus_panel(self, name: str) -> None:
        """Bring a panel up, and the keyboard to it."""
        self._choose(name)
        if self._zoomed is not None:
            self._zoomed = name
        self.lay_out()
        # At once, and not when it has been painted: else the panel that makes way loses the keyboard to another first,
        # and all is painted twice more.
        self._focus_inside(name)

    def _choose(self, name: str) -> None:
        self._chosen = [each for each in self._chosen if each != name] + [name]

    def _focus_inside(self, name: str) -> None:
        panel = self.panels[name]
        inner = next((each for each in panel.query("*") if each.can_focus and each.display), None)
        if panel.can_focus or inner is not None:
            self.set_focus(inner if inner is not None else panel, scroll_visible=False)

    @property
    def focused_panel(self) -> Panel:
        """The panel that the keyboard is in, or was last."""
        focused = self.focused
        if focused is not None:
            for each in focused.ancestors_with_self:
                if isinstance(each, Panel):
                    return each
        return self.panels[self._chosen[-1]]

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click brought the keyboard to another panel."""
        name = self.focused_panel.ID
        if self._chosen[-1] != name and self.panels[name].is_shown:
            self._choose(name)
            self.lay_out()

    def action_panel(self, name: str) -> None:
        """A digit."""
        self.focus_panel(name)

    def action_zoom(self) -> None:
        """One panel, or all."""
        self._zoomed = None if self._zoomed is not None else self.focused_panel.ID
        self.lay_out()

    def action_tab(self, by: int) -> None:
        """[ and ]."""
        self.focused_panel.turn_tab(by)

    # --- looking

    def look(self) -> None:
        """Tell the engine what the panels that are shown want to see."""
        wanted: dict[str, Collector] = {
            name: panel.collector() for name, panel in self.panels.items() if panel.is_shown}
        wanted["status"] = view_status
        self.glass.engine.look(wanted, ("status", *(name for name in wanted if name == self._chosen[-1])))

    @on(Panel.Stale)
    def panel_stale(self, event: Panel.Stale) -> None:
        """A panel wants to see something else."""
        event.stop()
        if event.panel.is_shown:
            self.look()

    async def _look_when_painted(self) -> None:
        await self._hear_widgets()
        self.call_after_refresh(self.look)

    async def _hear_widgets(self, patience: int = TURNS) -> None:
        """Let each widget tell the screen what it has to paint, in its own task. What is left to be called after the
        next paint is called at once where the screen has yet to hear that there will be one."""
        for turn in range(patience):
            await asyncio.sleep(0)
            if self._layout_required or (self._dirty_widgets and turn >= TURNS):
                return

    async def paint(self) -> None:
        """Paint what a key has changed, now. Textual waits for its next tick, and after a paint that took longer than
        that for the one after it. To be called from another task than the screen's own."""
        await self._hear_widgets(PATIENCE)
        self._on_timer_update()

    @on(Frame)
    async def frame_came(self, event: Frame) -> None:
        """Hand out the views, and paint them."""
        event.stop()
        self.receive(event.views, event.failures)
        await self._hear_widgets()
        self.call_later(self._paint_frame)      # behind what they told

    def _paint_frame(self) -> None:
        self._on_timer_update()
        self.glass.engine.painted()

    def receive(self, views: Mapping[str, Any], failures: Mapping[str, str]) -> None:
        """Each panel gets its own."""
        for name, view in views.items():
            if name == "status":
                self.query_one(StatusLine).show(view)
            elif self.panels[name].is_shown:
                self.panels[name].receive(view)
        for name, reason in failures.items():
            if name in self.panels:
                self.panels[name].fail(reason)

    # --- asking

    def ask(self, purpose: str, words: list[str], text: str = "", label: str = "") -> None:
        """Open the prompt."""
        self.query_one(Prompt).ask(purpose, words, text, label)

    @on(Prompt.Closed)
    @on(Prompt.Answered)
    def prompt_done(self) -> None:
        """Back to the panel."""
        self._focus_inside(self._chosen[-1])
