"""Panel 2: the exits along time. A strip along the bottom of the screen; with more room, the exits around the position
and how many there are of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message

from ....core.vmm.exits import label
from ....core.vmm.inspector import Inspection, Moves, exit_moves, moves
from ....core.vmm.views.strip import LEAST_SPAN, StripView, view_strip
from ..collecting import Collector
from ..widgets.lines import LinesView
from ..widgets.reasons import LOOKS, REFLECTED
from .base import Panel, Place
from .timeline_lines import count_lines, exit_lines, strip_lines

LIST_HEIGHT: Final = 11
"""Lines that the panel has to have for the lists to be worth their room."""

WIDE: Final = 110
"""Columns from which on the bars of the counts may be longer."""

ZOOM: Final = 4
_LETTERS = ", ".join(f"**{look.letter}** {look.about}" for look in (*LOOKS.values(), REFLECTED))


class Strip(LinesView, inherit_bindings=False):
    """The strip: a click, or a drag, travels."""

    DEFAULT_CSS = """
    Strip { overflow-y: hidden; }
    """

    @dataclass
    class Pointed(Message):
        """At a column."""

        column: int

    def __init__(self) -> None:
        super().__init__(has_cursor=False)
        self._dragged: int | None = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin."""
        self.capture_mouse()
        self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Go on."""
        if self._dragged is not None:
            self._point(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End."""
        self.release_mouse()
        self._dragged = None

    def on_click(self, event: events.Click) -> None:
        """The press has done it."""
        event.stop()

    def _point(self, column: int) -> None:
        if column != self._dragged:
            self._dragged = column
            self.post_message(self.Pointed(column))


class TimelinePanel(Panel):
    """The timeline. span: the steps that the strip covers, None for all; first: where it begins. reasons: those wanted,
    None for all."""

    DEFAULT_CSS = """
    TimelinePanel {
        & > Strip { height: 1fr; }
        & > Horizontal { height: 1fr; display: none; }
        & #exits { width: 1fr; }
        & #counts { width: 26; margin-left: 1; }
        &.-wide #counts { width: 44; margin-left: 2; }
        &.-large > Strip { height: 6; }
        &.-large > Horizontal { display: block; }
    }
    """
    ID: ClassVar[str] = "timeline"
    KEY: ClassVar[str] = "2"
    TITLE: ClassVar[str] = "Exits"
    HELP: ClassVar[str] = f"""
All exits that are known, along time; `z` shows them one by one, and how many there are of each kind. A column's letter
and colour are those of its most frequent reason, its bar says how many exits it holds, on a scale of powers. The
position is `step:exit#`.

- left, right: to the exit before, and the next; shift: by a column
- home, end: to the beginning, and to the last step that was reached
- `+` and `_`, `i` and `o`, the mouse wheel: zoom in and out; `a`: all of time, all reasons
- `,` and `.`: only exits for one reason, which one; in the list of counts: Enter
- a click or a drag travels there; Enter in the list goes to an exit

{_LETTERS}.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "exit(-1)", "Exit before", show=False),
        Binding("right", "exit(1)", "Next exit", show=False),
        Binding("shift+left", "column(-1)", "Column before", show=False),
        Binding("shift+right", "column(1)", "Next column", show=False),
        Binding("home", "edge(False)", "Start", show=False),
        Binding("end", "edge(True)", "End", show=False),
        Binding("plus,equals_sign,i", "zoom_time(1)", "Zoom in", show=False),
        Binding("underscore,o", "zoom_time(-1)", "Zoom out", show=False),
        Binding("a", "all", "All", show=False),
        Binding("comma", "filter(-1)", "Reason before", show=False),
        Binding("full_stop", "filter(1)", "Next reason", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.span: int | None = None
        self.first = 0
        self.reasons: frozenset[int] | None = None
        self._position: tuple[int, int | None] | None = None

    def compose(self) -> ComposeResult:
        """The strip, and below it the lists."""
        yield Strip()
        with Horizontal():
            yield LinesView(id="exits")
            yield LinesView(id="counts")

    def on_mount(self) -> None:
        """While a guess is open, the future is hidden."""
        super().on_mount()
        self.watch(self.app, "predicting", self.repaint, init=False)

    def fit(self) -> None:
        """Other columns."""
        self.set_class(self.size.height >= LIST_HEIGHT, "-large")
        self.set_class(self.size.width >= WIDE, "-wide")
        self.call_after_refresh(self.refresh_view)

    @on(LinesView.Resized, "#exits")
    def exits_resized(self) -> None:
        """The list inside is laid out after us, and how many rows it has room for is known only then."""
        self.refresh_view()

    def collector(self) -> Collector:
        """As many columns and rows as there is room for."""
        rows = self.query_one("#exits", LinesView).size.height if self.has_class("-large") else 0
        return partial(view_strip, columns=max(8, self.size.width), rows=rows, span=self.span, first=self.first,
                       reasons=self.reasons)

    # --- painting

    def show(self, view: Any) -> None:
        """Paint it."""
        assert isinstance(view, StripView)
        self.first = view.first
        self.repaint()

    def repaint(self, *_: object) -> None:
        """The view that there is."""
        view = self.view
        if not isinstance(view, StripView) or not self.is_mounted:
            return
        strip, hides = self.query_one(Strip), self.glass.predicting
        strip.set_lines(strip_lines(view, max(1, strip.size.height), self.size.width, hides_future=hides))
        self.set_subtitle("" if view.refused else self._edge(view))
        if not self.has_class("-large"):
            return
        exits, counts = self.query_one("#exits", LinesView), self.query_one("#counts", LinesView)
        position = view.step, view.exit
        here = next((index for index, row in enumerate(view.rows) if row.number >= view.number), len(view.rows) - 1)
        lines = exit_lines(view, exits.size.width)
        exits.set_lines(lines[:here] if hides else lines, cursor=here if position != self._position else None)
        counts.set_lines(count_lines(view, counts.size.width, self.reasons))
        self._position = position

    def _edge(self, view: StripView) -> str:
        parts = [f"{view.shown:,} of {view.n_exits:,}" if view.shown != view.n_exits else f"{view.n_exits:,}"]
        if self.reasons is not None:
            parts.append("only " + ", ".join(label(reason) for reason in sorted(self.reasons)))
        if view.stretches:
            each = view.span / len(view.stretches)
            parts.append(f"a column is {each:,.0f} steps" if each >= 2 else "a column is a step")
        return " · ".join(parts)

    # --- travel

    @on(Strip.Pointed)
    def pointed(self, event: Strip.Pointed) -> None:
        """Go to the first exit that is wanted in that column, or else to its first step."""
        event.stop()
        self._go_to_column(event.column)

    def _go_to_column(self, column: int) -> None:
        view = self.view
        if not isinstance(view, StripView) or not view.stretches or self.glass.predicting:
            return
        stretch = view.stretches[max(0, min(column, len(view.stretches) - 1))]
        reasons = self._wanted

        def go(inspection: Inspection) -> Moves:
            inspector = inspection.inspector
            log = inspector.log
            number = log.find(stretch.first, reasons) if log is not None and stretch.count else None
            if number is not None and number < stretch.end:
                return exit_moves.goto_exit(inspector, number)
            return moves.goto(inspector, max(stretch.step, 0))

        self.act(go)

    @property
    def _wanted(self) -> frozenset[int] | range:
        return exit_moves.ANY if self.reasons is None else self.reasons

    def action_exit(self, by: int) -> None:
        """The next exit that is wanted, or the one before."""
        wanted = self._wanted
        move = exit_moves.next_exit if by > 0 else exit_moves.previous_exit
        self.act(lambda inspection: move(inspection.inspector, wanted))

    def action_column(self, by: int) -> None:
        """A column on, or back."""
        view = self.view
        here = view.column_of(view.step) if isinstance(view, StripView) else None
        if here is not None:
            self._go_to_column(here + by)

    def action_edge(self, is_last: bool) -> None:
        """All the way."""
        def go(inspection: Inspection) -> Moves:
            inspector = inspection.inspector
            start = inspector.timeline.start if inspector.timeline is not None else 0
            return moves.goto(inspector, inspector.end if is_last else start)

        self.act(go)

    @on(LinesView.Chosen, "#exits")
    def exit_chosen(self, event: LinesView.Chosen) -> None:
        """Go there."""
        event.stop()
        if isinstance(self.view, StripView) and event.index < len(self.view.rows):
            number = self.view.rows[event.index].number
            self.act(lambda inspection: exit_moves.goto_exit(inspection.inspector, number))

    # --- what is shown

    def action_zoom_time(self, by: int) -> None:
        """Fewer steps in the strip, or more."""
        if not isinstance(self.view, StripView):
            return
        whole = max(self.view.end - self.view.start, LEAST_SPAN)
        span = whole if self.span is None else self.span
        span = max(LEAST_SPAN, span // ZOOM) if by > 0 else span * ZOOM
        self.span = None if span >= whole else span
        self.refresh_view()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """In, on the strip."""
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Out, on the strip."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        if self.query_one(Strip).region.contains(event.screen_x, event.screen_y):
            event.stop()
            self.action_zoom_time(by)

    def action_all(self) -> None:
        """All of time, all reasons."""
        self.span, self.reasons = None, None
        self.refresh_view()

    def action_filter(self, by: int) -> None:
        """The next reason alone, of those that there are; after the last, all."""
        if not isinstance(self.view, StripView):
            return
        choices: list[frozenset[int] | None] = [None, *(frozenset({reason}) for reason, _ in self.view.counts)]
        at = choices.index(self.reasons) if self.reasons in choices else 0
        self.reasons = choices[(at + by) % len(choices)]
        self.refresh_view()

    @on(LinesView.Chosen, "#counts")
    def reason_chosen(self, event: LinesView.Chosen) -> None:
        """This reason alone; once more, all."""
        event.stop()
        if isinstance(self.view, StripView) and event.index < len(self.view.counts):
            chosen = frozenset({self.view.counts[event.index][0]})
            self.reasons = None if self.reasons == chosen else chosen
            self.refresh_view()

    def at_cursor(self) -> Place | None:
        """Where the exit in the list trapped."""
        exits = self.query_one("#exits", LinesView)
        if not self.has_class("-large") or not isinstance(self.view, StripView) or exits.cursor >= len(self.view.rows):
            return None
        row = self.view.rows[exits.cursor]
        return Place("gva", row.pc, 4, row.symbol)

    def search(self, text: str) -> None:
        """The next exit for a reason whose name has this in it."""
        wanted = frozenset(reason for reason, _ in self.view.counts if text.lower() in label(reason)) if isinstance(
            self.view, StripView) else frozenset()
        if not wanted:
            self.app.notify(f"no exit is called {text!r}", severity="warning", markup=False)
            return
        self.act(lambda inspection: exit_moves.next_exit(inspection.inspector, wanted))
