"""Panel 6: all VMs, how they are and how fast they run; the console of the one looked at; what memory they hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from textwrap import wrap
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from ....core.isa.paging import PAGE_SIZE
from ....core.vmm.views.console import ConsoleView, view_console
from ....core.vmm.views.standing import Standing
from ....core.vmm.views.vms import MemoryUse, MemoryView, VmRow, VmsView, view_memory, view_vms
from ..collecting import Collector
from ..widgets.console import Console
from ..widgets.lines import LinesView
from ..widgets.spark import bar, count, size_text, spark
from ..widgets.status import MARKS
from .base import Panel

VMS, CONSOLE, MEMORY = range(3)

ONE_LINE: Final = 118
"""Columns from which on a VM fits into one line, curves and all."""

SHADES: Final = " ░▒▓█"


def render_vms(view: VmsView, width: int) -> list[Content]:
    """The table: one line a VM where there is room, else two."""
    names = min(16, max([4, *(len(row.status.name) for row in view.rows)]))
    head = f"  {'name':{names}} {'state':9} {'technique':12} {'step':>15} {'share':>5}"
    if width >= ONE_LINE:
        curve = _curve(width, names)
        head += f"  {'exits/s, last ½ min':{curve + 6}}  {'MIPS, last ½ min':{curve + 6}}  {'holds':>9}"
    lines = [Content.styled(head, "$text-muted")]
    for index, row in enumerate(view.rows):
        lines += _vm_lines(row, index == view.current, names, width)
    return lines


def _curve(width: int, names: int) -> int:
    """How wide a curve can be."""
    used = 73 + names if width >= ONE_LINE else 43
    return max(4, min(30, (width - used) // 2))


def _vm_lines(row: VmRow, is_current: bool, names: int, width: int) -> list[Content]:
    vm, rate = row.status, row.rate
    mark, style = MARKS[vm.standing]
    share = f"{rate.share:.0f} %" if rate.share is not None else "-"
    curve = _curve(width, names)
    line = Content.assemble(
        ("▸ " if is_current else "  ", "$accent bold"), (f"{vm.name[:names]:{names}} ", "bold" if is_current else ""),
        (f"{mark:9} ", style), f"{vm.technique:12} {vm.step:>15,} {share:>5}")
    exits = Content.assemble((spark(rate.exits_history, curve), "$primary"), f" {count(rate.exits):>5}")
    mips = Content.assemble((spark(rate.mips_history, curve), "$accent"), f" {rate.mips:>5.1f}")
    holds = f"{size_text(row.host_bytes):>9}"
    if width >= ONE_LINE:
        lines = [Content.assemble(line, "  ", exits, "  ", mips, "  ", holds)]
    else:
        lines = [line, Content.assemble(("    exits/s ", "$text-muted"), exits, ("  MIPS ", "$text-muted"), mips,
                                        "  ", holds)]
    why = vm.why if vm.standing in (Standing.OFF, Standing.CRASHED, Standing.ASLEEP) else ""
    if vm.is_past:
        why = f"{why + '; ' if why else ''}↶ {vm.behind:,} steps before its end"
    if why:
        style = "$error" if vm.standing is Standing.CRASHED else "$text-muted"
        lines += [Content.styled("    " + part, style) for part in wrap(why, max(20, width - 4))]
    return lines


def rows_of(view: VmsView, width: int) -> list[int]:
    """Which VM each of the table's lines is about; -1 for the head."""
    owners = [-1]
    for index, row in enumerate(view.rows):
        owners += [index] * len(_vm_lines(row, False, 8, width))
    return owners


def render_memory(view: MemoryView, width: int) -> list[Content]:
    """Who holds what, and the RAM of the VM looked at as a strip."""
    name, cell = (12, 10) if width >= 70 else (10, 8)
    heads = ("RAM", "backed", "tables", "balloon", "shared")
    lines = [Content.styled("  " + "".join([f"{'name':{name}}", *(f" {text:>{cell}}" for text in heads)]),
                            "$text-muted")]
    for index, use in enumerate(view.vms):
        numbers = (use.ram, use.resident, use.tables, use.balloon.pages if use.balloon is not None else None,
                   use.n_shared or None)
        texts = ["-" if pages is None else _pages(pages) for pages in numbers]
        if cell < 10:
            texts = [text.replace(" ", "").removesuffix("iB") for text in texts]
        lines.append(Content.assemble(
            ("▸ " if index == view.current else "  ", "$accent bold"),
            (f"{use.name[:name]:{name}}", "bold" if index == view.current else ""),
            "".join(f" {text:>{cell}}" for text in texts)))
    return [*lines, Content(""), *_details(view.vms[view.current], width)]


def _pages(count_of: int) -> str:
    return size_text(count_of * PAGE_SIZE)


def _details(use: MemoryUse, width: int) -> list[Content]:
    """The VM looked at, owner by owner."""
    owners = [("guest RAM with frames", use.resident, "$primary"), ("swapped out", use.swapped, "$warning"),
              ("shadow tables", use.shadow, "$accent"), ("G-stage tables", use.gstage, "$accent")]
    whole = use.resident + use.tables
    length = max(4, min(40, width - 48))
    lines = []
    for name, pages, style in owners:
        if pages or name == owners[0][0]:
            lines.append(Content.assemble(f"{name:24} {_pages(pages):>10} {pages:>8,}  ",
                                          (bar(pages / max(1, whole), length), style)))
    if use.free is not None:
        lines.append(Content.styled(f"{'free in its machine':24} {_pages(use.free):>10} {use.free:>8,}", "$text-muted"))
    if use.n_shared:
        lines.append(Content(f"{'of it shared with others':24} {_pages(use.n_shared):>10} {use.n_shared:>8,}"))
    if use.balloon is not None:
        lines += _balloon(use, width)
    if use.disk:
        lines.append(Content(f"{'written to disks in RAM':24} {_pages(use.disk):>10} {use.disk:>8,}"))
    lines.append(Content.styled(f"{'its past':24} {size_text(use.past_bytes):>10}  in {use.checkpoints:,} checkpoints",
                                "$text-muted"))
    return [*lines, *_strip(use, width)]


def _balloon(use: MemoryUse, width: int) -> list[Content]:
    balloon = use.balloon
    assert balloon is not None
    lines = [Content(f"{'in the balloon':24} {_pages(balloon.pages):>10} {balloon.pages:>8,}")]
    says = f"{balloon.target:,} wanted, {balloon.actual:,} says the driver"
    if balloon.statistics:
        facts = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in balloon.statistics.items())
        says += f"; the guest reports: {facts}"
    return [*lines, *(Content.styled("  " + part, "$text-muted") for part in wrap(says, max(20, width - 2)))]


def _strip(use: MemoryUse, width: int) -> list[Content]:
    """Guest RAM, cell by cell: how much of it was ever touched."""
    if not use.presence:
        return []
    part = use.part_pages
    text = f"RAM from {use.base:#x}, {size_text(part * PAGE_SIZE)} a cell; ░▒▓█: how much of it has frames"
    lines = [Content(""), *(Content.styled(line, "$text-muted") for line in wrap(text, max(20, width)))]
    cells = "".join(SHADES[min(4, -(-int(4 * pages) // max(1, int(part))))] for pages in use.presence)
    for at in range(0, len(cells), width):
        lines.append(Content.styled(cells[at : at + width], "$primary on $surface-darken-1"))
    return lines


class VmsPanel(Panel):
    """VMs, console, memory."""

    ID: ClassVar[str] = "vms"
    KEY: ClassVar[str] = "6"
    TITLE: ClassVar[str] = "VMs"
    TABS: ClassVar[tuple[str, ...]] = ("VMs", "console", "memory")
    HELP: ClassVar[str] = """
**VMs** lists all virtual machines. *share* is a VM's part of all steps of the last second; *exits/s* and *MIPS* leave
out what the guest slept through; a curve is the last half minute.

- `enter`, or a click: look at this VM (`tab`: at the next)
- `space`: look at it, and let it run or pause it

**console** is the guest's serial line. While the keyboard is in it, every key goes to the guest but `ctrl+a`:

- `ctrl+a` and any other key of Hartvisor's: that (`ctrl+a [` for the next tab, `ctrl+a c` to pause, …)
- `ctrl+a pageup`, or the wheel: what has scrolled off
- `ctrl+a ctrl+a`: a ctrl+a to the guest
- `ctrl+a h`: this help; `ctrl+a x`: leave Hartvisor

In the past the console shows what was written by then. To type there is to begin another future; the one that was is
kept if a named snapshot lies on it, else forgotten.

**memory** shows who holds the frames of each VM's machine: guest RAM gets one when it is first touched; shadow and
G-stage tables are the hypervisor's.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "run_this", "Run or pause this VM", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._current = -1      # the VM that was looked at when the table was painted last

    def compose(self) -> ComposeResult:
        """A list for each tab but the console's, of which one shows."""
        yield LinesView(id="vms-list")
        yield Console()
        yield LinesView(id="vms-memory", has_cursor=False)

    def on_mount(self) -> None:
        """The first tab."""
        super().on_mount()
        self._choose()
        self.watch(self.query_one(Console), "is_released", self._say_where_keys_go, init=False)

    def watch_tab(self) -> None:
        """The keyboard goes where the eye is."""
        if self.is_mounted:
            self._choose()
        super().watch_tab()

    def _choose(self) -> None:
        had_focus = self.has_keyboard
        inner = (self.query_one("#vms-list"), self.query_one(Console), self.query_one("#vms-memory"))
        for index, widget in enumerate(inner):
            widget.display = index == self.tab
        if had_focus:
            self.screen.set_focus(inner[self.tab])
        self._say_where_keys_go()

    def on_descendant_focus(self) -> None:
        """The console has the keyboard, or has it no longer."""
        self._say_where_keys_go()

    def on_descendant_blur(self) -> None:
        """The console has the keyboard, or has it no longer."""
        self._say_where_keys_go()

    def fit(self) -> None:
        """Lines are laid out for their width."""
        if self.view is not None:
            self.call_after_refresh(self.show, self.view)
        self.refresh_view()

    # --- views

    @property
    def _width(self) -> int:
        """Columns for a line, beside a scrollbar."""
        return max(20, self.content_size.width - 1)

    def collector(self) -> Collector:
        """By tab."""
        if self.tab == CONSOLE:
            return view_console
        if self.tab == MEMORY:
            return partial(view_memory, cells=self._width * (1 if self.size.height < 24 else 4))
        return view_vms

    def show(self, view: Any) -> None:
        """Paint it; a view of another tab's comes too late."""
        if isinstance(view, VmsView) and self.tab == VMS:
            lines = self.query_one("#vms-list", LinesView)
            is_other, self._current = view.current != self._current, view.current
            cursor = rows_of(view, self._width).index(view.current) if is_other else None
            lines.set_lines(render_vms(view, self._width), cursor=cursor)
        elif isinstance(view, MemoryView) and self.tab == MEMORY:
            lines = self.query_one("#vms-memory", LinesView)
            lines.set_lines(render_memory(view, self._width))
        elif isinstance(view, ConsoleView) and self.tab == CONSOLE:
            self.query_one(Console).show_view(view)

    # --- the table

    @on(LinesView.Chosen, "#vms-list")
    def vm_chosen(self, event: LinesView.Chosen) -> None:
        """Look at it."""
        self._look_at(event.index)

    def on_click(self, event: events.Click) -> None:
        """A click looks at it, too."""
        if self.tab == VMS and event.widget is not None and event.widget.id == "vms-list":
            self._look_at(self.query_one("#vms-list", LinesView).cursor)

    def _look_at(self, line: int) -> None:
        index = self._vm_at(line)
        if index >= 0:
            self.glass.engine.select(index)

    def _vm_at(self, line: int) -> int:
        if not isinstance(self.view, VmsView):
            return -1
        owners: Sequence[int] = rows_of(self.view, self._width)
        return owners[line] if line < len(owners) else -1

    def action_run_this(self) -> None:
        """Run or pause the VM under the cursor."""
        index = self._vm_at(self.query_one("#vms-list", LinesView).cursor)
        if self.tab == VMS and index >= 0:
            self.glass.engine.toggle_at(index)

    # --- the console

    @on(Console.Typed)
    def typed(self, event: Console.Typed) -> None:
        """To the guest that the console is of."""
        event.stop()
        if isinstance(self.view, ConsoleView):
            self.glass.engine.type_to(self.view.index, event.data, is_answer=event.is_answer)

    @on(Console.Quit)
    def quit_asked(self, event: Console.Quit) -> None:
        """Leave."""
        event.stop()
        self.app.exit()

    @on(Console.Help)
    def help_asked(self, event: Console.Help) -> None:
        """This panel's help."""
        event.stop()
        self.glass.action_help()

    def _say_where_keys_go(self) -> None:
        console = self.query_one(Console)
        if self.tab == CONSOLE and console.is_released:
            self.set_subtitle("ctrl+a … a key of Hartvisor's (h: help, x: leave)")
        elif self.tab == CONSOLE and console.has_focus:
            self.set_subtitle("keys go to the guest · ctrl+a releases")
        else:
            self.set_subtitle("")
