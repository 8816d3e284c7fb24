"""Panel 1: why did it trap? The card of the exit that the guest stands at, and the hypervisor's handling of it, stage
by stage."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ....core.vmm.inspector import exit_moves
from ....core.vmm.views.card import CardPage, view_card
from ....core.vmm.views.card.micro import STAGES
from ..collecting import Collector
from ..widgets.lines import LinesView
from .base import Panel, Place
from .card_lines import Row, card_rows, handling_rows, hidden_rows

CARD, HANDLING = 0, 1
LAST_STAGE: Final = len(STAGES) - 1


class CardPanel(Panel):
    """The card. stage: of the handling that is shown."""

    ID: ClassVar[str] = "card"
    KEY: ClassVar[str] = "1"
    TITLE: ClassVar[str] = "Why did it trap?"
    TABS: ClassVar[tuple[str, ...]] = ("card", "handling")
    HELP: ClassVar[str] = """
The exit that the guest stands at: `e` and `E` go to the next and the one before.

- **why**: the rule that made it trap, with the manual's section, and why this technique has arranged it so
- **handled**: the hypervisor's code that handled it, by name and line; a lab's replacement stands out
- **changed**: everything that is another afterwards, CSRs field by field; nothing else is
- **then**: where the guest goes on
- **spared**: the techniques under which this would have been no exit (✓), and those under which it is one too (✗)

`u` goes through the handling, stage by stage: what the hypervisor was told, what it looked up, what it decided, what it
did. After the last stage it goes on to the next exit. Left and right go between stages.

`w` and `r` work on the line under the cursor: a register, a CSR, memory.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "stage(-1)", "Stage before", show=False),
        Binding("right", "stage(1)", "Next stage", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.stage = 0
        self._rows: list[Row] = []
        self._number: int | None = None
        self._wants_handling = False

    def compose(self) -> ComposeResult:
        """Lines with a cursor."""
        yield LinesView()

    def on_mount(self) -> None:
        """While a guess is open, nothing is told."""
        super().on_mount()
        self.watch(self.app, "predicting", self.repaint, init=False)

    def collector(self) -> Collector:
        """The card."""
        return view_card

    def show(self, view: Any) -> None:
        """Paint it; another exit's handling begins at its first stage."""
        assert isinstance(view, CardPage)
        number = None if view.card is None else view.card.number
        if number != self._number:
            self._number, self.stage = number, 0
            if number is not None and self._wants_handling:
                self._wants_handling = False
                self.tab = HANDLING
            self.repaint(is_new=True)
        else:
            self.repaint()

    def repaint(self, *_: object, is_new: bool = False) -> None:
        """The view that there is, at the size that there is."""
        if not isinstance(self.view, CardPage) or not self.is_mounted:
            return
        lines = self.query_one(LinesView)
        self.set_subtitle("")
        room = lines.outer_size
        self._rows = self._made(self.view, max(20, room.width - 1), room.height)    # a column is the scrollbar's
        lines.set_lines([row.line for row in self._rows], cursor=1 if is_new else None)

    def _made(self, view: CardPage, width: int, height: int) -> list[Row]:
        if self.glass.predicting:
            return hidden_rows()
        return handling_rows(view, self.stage, width) if self.tab == HANDLING else card_rows(view, width, height)

    def fit(self) -> None:
        """Lines are broken elsewhere."""
        self.call_after_refresh(self.repaint)

    def watch_tab(self) -> None:
        """The same view, told otherwise."""
        self.retitle()
        self.repaint(is_new=True)

    # --- stages

    def micro_step(self) -> None:
        """`u`: into the handling, on to its next stage, and after the last to the next exit."""
        card = self.view.card if isinstance(self.view, CardPage) else None
        if self.glass.predicting:
            return
        if card is None or (self.tab == HANDLING and self.stage == LAST_STAGE):
            self._wants_handling = True
            self.act(lambda inspection: exit_moves.next_exit(inspection.inspector))
        elif self.tab != HANDLING:
            self.stage = 0
            self.tab = HANDLING
        else:
            self.action_stage(1)

    def action_stage(self, by: int) -> None:
        """To another stage."""
        if isinstance(self.view, CardPage) and self.view.card is not None:
            self.stage = max(0, min(self.stage + by, LAST_STAGE))
            if self.tab != HANDLING:
                self.tab = HANDLING
            self.repaint(is_new=True)

    # --- keys that work anywhere

    def at_cursor(self) -> Place | None:
        """What the line is about."""
        cursor = self.query_one(LinesView).cursor
        return self._rows[cursor].place if cursor < len(self._rows) else None

    def search(self, text: str) -> None:
        """The next line with this text."""
        lines = self.query_one(LinesView)
        order = [*range(lines.cursor + 1, len(self._rows)), *range(lines.cursor + 1)]
        found = next((index for index in order if text.lower() in self._rows[index].line.plain.lower()), None)
        if found is None:
            self.app.notify(f"the card has no {text!r}", severity="warning", markup=False)
        else:
            lines.cursor = found
