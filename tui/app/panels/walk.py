"""Panel 3: how an address is translated, table by table; the guest's address space; its pages."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from ....core.vmm.views.memory import Space
from ....core.vmm.views.space import RangeView, SpaceView, view_space
from ....core.vmm.views.walk import Follow, WalkView, view_walk
from ..collecting import Collector
from ..widgets.cells import CellsView, Painting
from .base import Panel, Place
from .memory import MemoryPanel
from .space_lines import PageSpot, paint_grid, paint_ranges
from .walk_lines import ACCESSES, Spot, paint_hidden, paint_walk

WALK, SPACE, PAGES = range(3)

FOLLOWED: Final = {Follow.EXIT: "the exit's tval, or pc", Follow.PC: "pc", Follow.SP: "sp", Follow.TVAL: "tval",
                   Follow.ADDRESS: "an address"}


class WalkPanel(Panel):
    """The walk of one address: of the present exit's tval unless the user wants another."""

    ID: ClassVar[str] = "walk"
    KEY: ClassVar[str] = "3"
    TITLE: ClassVar[str] = "Page walk"
    TABS: ClassVar[tuple[str, ...]] = ("walk", "address space", "pages")
    HELP: ClassVar[str] = """\
**walk**: one address through every table between it and the machine's memory. Guest, shadow and G-stage entries stand
side by side; the G-stage's are numbered as a hart without caches reads them. Arrows go from entry to entry.

- `!` *may*: the entry, or satp, changed since the last sfence.vma that subsumes the address; a hart may lawfully use
  what was before
- `≠` *disagrees* or *holds*: what the hart uses is not what the guest's tables say by now
- `=` a shadow entry agrees with the guest's, `·` it is not filled yet, `w` it agrees but for W (a guest table lies
  there), `+` this exit filled it
- `✗` where the translation ends in a fault, by the step of the manual's algorithm

**address space**: all that satp maps, as ranges; `≈` frames in no order. **pages**: each page of guest RAM a letter, a
capital if it was stored to since the last checkpoint.

| key | |
|---|---|
| i, k, v | follow pc, sp, tval (the exit's, else the guest's stval) |
| o | as at the start: the exit's tval, or pc |
| g | an address, register or symbol |
| a | as a fetch, a load, a store, or as what it is |
| enter | the memory panel, at this entry, range or page |
| w, r | watch this entry; back to who last wrote it |
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "follow('pc')", "pc", show=False), Binding("k", "follow('sp')", "sp", show=False),
        Binding("v", "follow('tval')", "tval", show=False), Binding("o", "follow('exit')", "exit", show=False),
        Binding("a", "access", "Access", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._follow = Follow.EXIT
        self._address = 0
        self._access: int | None = None
        self._places = [(0, 0), (0, 0), (0, 0)]
        self._is_new = True             # the cursor has yet to be put where it is of use
        self._is_touched = False        # the user has put it elsewhere
        self._why = ""
        self._painting = Painting()

    def compose(self) -> ComposeResult:
        """One list, whatever the tab."""
        yield CellsView()

    def on_mount(self) -> None:
        """While a guess is open, where an address leads is hidden."""
        super().on_mount()
        self.watch(self.app, "predicting", self._repaint, init=False)

    def _repaint(self) -> None:
        self._paint()

    @property
    def cells(self) -> CellsView:
        """The list."""
        return self.query_one(CellsView)

    # --- looking

    def collector(self) -> Collector:
        """By tab."""
        if self.tab == WALK:
            return partial(view_walk, follow=self._follow, address=self._address, access=self._access)
        return partial(view_space, has_pages=self.tab == PAGES)

    def show(self, view: Any) -> None:
        """Paint it."""
        wanted = WalkView if self.tab == WALK else SpaceView
        if not isinstance(view, wanted):
            return      # asked for before the tab was turned
        self._retell(view)
        if isinstance(view, WalkView) and (not self._is_touched or (view.why != self._why and view.filled)):
            self._is_new, self._is_touched = True, False
        self._why = view.why if isinstance(view, WalkView) else self._why
        if self._is_new:
            self._is_new = False
            self._paint()
            self.cells.put(*(self._painting.focus if self.tab == WALK else self._places[self.tab]))
            self._paint(is_followed=True)
        else:
            self._paint()

    def _paint(self, *, is_followed: bool = False) -> None:
        view, width = self.view, max(20, self.cells.size.width - 1)
        here = (self.cells.row, self.cells.cell)
        if self.tab == WALK and isinstance(view, WalkView):
            self._painting = paint_hidden(view, width) if self.glass.predicting else paint_walk(view, width, here)
        elif isinstance(view, SpaceView):
            self._painting = (paint_ranges if self.tab == SPACE else paint_grid)(view, width, here)
        else:
            return
        self.cells.set_painting(self._painting, is_followed=is_followed)

    def _retell(self, view: Any) -> None:
        if isinstance(view, WalkView):
            access = f" as a {ACCESSES[self._access]}" if self._access is not None else ""
            self.set_subtitle(f"follows {FOLLOWED[self._follow]}{access}")
        else:
            self.set_subtitle("")

    def watch_tab(self) -> None:
        """Another tab: its cursor is where it was."""
        self._is_new = True
        super().watch_tab()

    def fit(self) -> None:
        """Other columns have room, once the list has its size."""
        self.call_after_refresh(self._paint)

    @on(CellsView.Placed)
    def placed(self, event: CellsView.Placed) -> None:
        """More is told of what is under the cursor."""
        event.stop()
        self._places[self.tab] = (event.row, event.cell)
        self._is_touched = True
        self._paint()

    # --- keys

    def action_follow(self, name: str) -> None:
        """Draw another address."""
        self._follow = Follow(name)
        self._again()

    def action_access(self) -> None:
        """As a fetch, a load, a store, or as what the address is."""
        self._access = {None: 0, 0: 1, 1: 2, 2: None}[self._access]
        self._again()

    def _again(self) -> None:
        self._is_new, self._is_touched = True, False
        if self.tab != WALK:
            self.tab = WALK
        self.refresh_view()

    def goto(self, address: int) -> bool:
        """Walk an address that was asked for."""
        self._follow, self._address = Follow.ADDRESS, address
        self._again()
        return True

    @property
    def _thing(self) -> object:
        return self._painting.thing(*self.cells.here)

    def at_cursor(self) -> Place | None:
        """A guest entry; a range's beginning; a page."""
        thing = self._thing
        if isinstance(thing, Spot):
            is_guests = isinstance(self.view, WalkView) and thing.stage is self.view.guest
            if thing.entry is not None and is_guests:
                name = f"the L{thing.entry.level} entry of {thing.stage.address:#x}"
                return Place("pte", thing.entry.address, 8, name)
            if thing.entry is None and isinstance(self.view, WalkView) and self.view.guest.result is not None:
                return Place("gpa", self.view.guest.result & -8, 8)
        elif isinstance(thing, RangeView):
            return Place("gva", thing.gva, 8)
        elif isinstance(thing, PageSpot):
            return Place("gpa", thing.gpa, 8)
        return None

    @on(CellsView.Chosen)
    def chosen(self, event: CellsView.Chosen) -> None:
        """Show in the memory panel what is under the cursor."""
        event.stop()
        thing = self._thing
        if isinstance(thing, Spot):
            is_guests = isinstance(self.view, WalkView) and thing.stage is self.view.guest
            if thing.entry is not None:
                self._show(thing.entry.address, Space.PHYSICAL if is_guests else Space.MACHINE)
            elif isinstance(self.view, WalkView):
                self._show(self.view.gva, Space.VIRTUAL)
        elif isinstance(thing, RangeView):
            self._show(thing.gva, Space.VIRTUAL)
        elif isinstance(thing, PageSpot):
            self._show(thing.gpa, Space.PHYSICAL)

    def _show(self, address: int, space: Space) -> None:
        panel = self.glass.main.panels.get(MemoryPanel.ID)
        if isinstance(panel, MemoryPanel):
            self.glass.main.focus_panel(MemoryPanel.ID)
            panel.jump(address, space)
