"""Panel 4: registers and CSRs of the vCPU looked at, and what they mean."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from ....core.vmm.gdb.description import FIRST_CSR, FIRST_FPR, PC
from ....core.vmm.inspector import Inspection
from ....core.vmm.inspector.edit import register_name, set_register
from ....core.vmm.views.csrs import CsrRow, CsrsView, FieldRow, view_csrs
from ....core.vmm.views.registers import (
    FloatView,
    RegistersView,
    VcpusView,
    view_float,
    view_registers,
    view_vcpus,
)
from ..collecting import Collector
from ..widgets.about import About
from ..widgets.lines import LinesView
from .base import Panel, Place
from .csr_lines import csr_lines, csr_summary, detail_lines, field_summary
from .registers_lines import (
    columns_for,
    float_detail,
    float_lines,
    joined,
    register_detail,
    registers_lines,
    vcpu_detail,
    vcpus_lines,
)

GPRS, CSRS, FLOAT, VCPUS = range(4)
LOW: Final = 20
"""A panel with fewer rows than that has one line for what is under the cursor."""


class RegistersPanel(Panel):
    """Cells of registers, rows of CSRs, and about the one under the cursor all that is known."""

    DEFAULT_CSS = """
    RegistersPanel {
        & > #about { height: auto; max-height: 6; }
    }
    """
    ID: ClassVar[str] = "registers"
    KEY: ClassVar[str] = "4"
    TITLE: ClassVar[str] = "Registers"
    TABS: ClassVar[tuple[str, ...]] = ("registers", "CSRs", "float", "vCPUs")
    HELP: ClassVar[str] = """\
**Registers** of the vCPU looked at; `[` and `]` lead to its **CSRs**, its **floating-point** registers, and all
**vCPUs**.

`Δ` marks what the last move changed. Behind `→` stands what a value points to: code and variables by name, the stack by
its distance from sp, text in quotes, else the doubleword that lies there, and where that leads.

Among the CSRs, `=` or `≠` says whether the hart holds the same in the CSR that stands for the guest's under this
technique; below is which one, which bits differ, and why. The last group are those by which the hypervisor controls the
guest.

| key | does |
|---|---|
| arrows | another register |
| Enter | a CSR's fields, bit by bit, the guest's beside the hart's; Enter again: back. On a vCPU: look at that one |
| `=` | change the value; another future begins here |
| `w` | stop when it changes |
| `r` | back to what changed it last |
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "column(-1)", "Left", show=False),
        Binding("right", "column(1)", "Right", show=False),
        Binding("equals_sign", "edit", "Set", show=False),
        Binding("backspace", "back", "Back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._cell = 0                              # the index of the register under the cursor
        self._wanted: tuple[bool, str] | None = None  # the CSR whose fields are shown: (is_guest, name)
        self._csr_rows: list[CsrRow | None] = []
        self._field_rows: list[FieldRow | None] = []
        self._is_open = False                       # whether the lines are a CSR's fields
        self._csr_cursor = 1                        # where in the list of CSRs the cursor is to be again
        self._asked = 0                             # the number of the register whose value is asked for

    def compose(self) -> ComposeResult:
        """A list, and what its cursor is on."""
        yield LinesView()
        yield About(id="about")

    def collector(self) -> Collector:
        """By tab."""
        if self.tab == CSRS:
            return partial(view_csrs, wanted=self._wanted)
        return {GPRS: view_registers, FLOAT: view_float, VCPUS: view_vcpus}[self.tab]

    # --- painting

    def show(self, view: Any) -> None:
        """Paint it."""
        match view:
            case RegistersView() if self.tab == GPRS:
                self._show_cells(len(view.rows))
            case FloatView() if self.tab == FLOAT:
                self._show_cells(len(view.rows))
            case CsrsView() if self.tab == CSRS:
                self._show_csrs(view)
            case VcpusView() if self.tab == VCPUS:
                self._lines.has_cursor = True
                self._lines.set_lines(vcpus_lines(view, self._width), cursor=max(1, self._lines.cursor))
                self._about()

    def fit(self) -> None:
        """More room, or less."""
        if self.view is not None:
            self.show(self.view)

    def watch_tab(self) -> None:
        """Another list."""
        super().watch_tab()
        self._cell, self._wanted, self._is_open, self._csr_cursor = 0, None, False, 1
        if self.is_mounted:
            self._lines.set_lines([], cursor=0)
            self.query_one("#about", About).tell(Content())

    @property
    def _lines(self) -> LinesView:
        return self.query_one(LinesView)

    @property
    def _width(self) -> int:
        return max(20, self._lines.size.width or self.content_size.width)

    def _columns(self, count: int) -> int:
        rows = self.content_size.height
        return columns_for(self._width, max(1, count), rows - 1 if rows < LOW else rows - 4)

    def _show_cells(self, count: int) -> None:
        columns = self._columns(count)
        height = -(-max(1, count) // columns)
        lines = registers_lines if isinstance(self.view, RegistersView) else float_lines
        self._lines.has_cursor = False
        self._lines.set_lines(lines(self.view, self._width, columns, self._cell))
        self._lines.show_line(self._cell % height)
        self._about()

    def _show_csrs(self, view: CsrsView) -> None:
        self._lines.has_cursor = True
        if view.detail is not None:
            lines, self._field_rows = detail_lines(view.detail, self._width)
            cursor = self._lines.cursor if self._is_open else 0
        else:
            lines, self._csr_rows = csr_lines(view, self._width)
            cursor = self._csr_cursor if self._is_open else max(1, self._lines.cursor)
        self._is_open = view.detail is not None
        self._lines.set_lines(lines, cursor=cursor)
        self._about()

    def _about(self) -> None:
        """What is known of the thing under the cursor."""
        lines: list[Content] = []
        match self.view:
            case RegistersView() as view:
                lines = register_detail(view, view.rows[self._cell], self._width)
            case FloatView() as view if view.rows:
                lines = float_detail(view, view.rows[self._cell], self._width)
            case CsrsView() as view:
                row, field = self._csr_row(), self._field_row()
                if field is not None:
                    lines = field_summary(field, self._width)
                elif row is not None:
                    lines = csr_summary(view, row, self._width)
            case VcpusView() as view:
                lines = vcpu_detail(view, self._vcpu(), self._width)
        if self.content_size.height < LOW:
            lines = [joined(lines, self._width)] if self.tab in (GPRS, FLOAT) else lines[:4]
        self.query_one("#about", About).tell(Content("\n").join(lines))

    # --- the cursor

    def _csr_row(self) -> CsrRow | None:
        at = self._csr_cursor if self._is_open else self._lines.cursor
        return self._csr_rows[at] if at < len(self._csr_rows) else None

    def _field_row(self) -> FieldRow | None:
        at = self._lines.cursor
        return self._field_rows[at] if self._is_open and at < len(self._field_rows) else None

    def _vcpu(self) -> int:
        return max(0, min(len(self.view.rows) - 1, self._lines.cursor - 1))

    def on_key(self, event: events.Key) -> None:
        """In the cells, up and down too are the panel's."""
        if self.tab not in (GPRS, FLOAT) or not isinstance(self.view, RegistersView | FloatView):
            return
        count = len(self.view.rows)
        height = -(-max(1, count) // self._columns(count))
        by = {"up": -1, "down": 1, "pageup": -height, "pagedown": height, "home": -count, "end": count}.get(event.key)
        if by is not None:
            event.stop()
            event.prevent_default()
            self._go(self._cell + by)

    def action_column(self, by: int) -> None:
        """The column beside."""
        if isinstance(self.view, RegistersView | FloatView):
            count = len(self.view.rows)
            height = -(-max(1, count) // self._columns(count))
            if 0 <= self._cell + by * height < count:
                self._go(self._cell + by * height)

    def _go(self, cell: int) -> None:
        self._cell = max(0, min(len(self.view.rows) - 1, cell))
        self.show(self.view)

    def on_click(self, event: events.Click) -> None:
        """On a cell."""
        if not isinstance(self.view, RegistersView | FloatView) or event.widget is not self._lines:
            return
        count = len(self.view.rows)
        columns = self._columns(count)
        height, offset = -(-count // columns), event.get_content_offset(self._lines)
        if offset is not None:
            cell = offset.x // (self._width // columns) * height + offset.y + self._lines.scroll_offset.y
            if cell < count:
                self._go(cell)

    def on_lines_view_moved(self) -> None:
        """The cursor went to another line."""
        self._about()

    def on_lines_view_chosen(self) -> None:
        """Enter: a CSR's fields, or another vCPU."""
        if self.tab == CSRS:
            row = self._csr_row()
            if self._is_open:
                self.action_back()
            elif row is not None:
                self._csr_cursor = self._lines.cursor
                self._wanted = (row.is_guest, row.name)
                self.refresh_view()
        elif self.tab == VCPUS:
            index = self._vcpu()

            def look_at(inspection: Inspection) -> None:
                inspection.inspector.vcpu_index = index

            self.act_quietly(look_at)

    def action_back(self) -> None:
        """From a CSR's fields to the list."""
        if self._wanted is not None:
            self._wanted = None
            self.refresh_view()

    def at_cursor(self) -> Place | None:
        """The register, or the guest's CSR."""
        match self.view:
            case RegistersView() as view:
                row = view.rows[self._cell]
                return Place("gva", row.value, name="pc") if row.number == PC else Place("gpr", row.number,
                                                                                         name=row.name)
            case CsrsView():
                csr = self._csr_row()
                return Place("csr", csr.number, name=csr.name) if csr is not None and csr.is_guest else None
        return None

    def search(self, text: str) -> None:
        """A register or CSR by name."""
        wanted = text.strip().lower()
        match self.view:
            case RegistersView() | FloatView():
                names = [row.name for row in self.view.rows]
                found = next((index for index, name in enumerate(names) if name.startswith(wanted)), None)
                if found is not None:
                    self._go(found)
                    return
            case CsrsView():
                at = next((index for index, row in enumerate(self._csr_rows)
                           if row is not None and row.name.startswith(wanted)), None)
                if at is not None:
                    self._lines.cursor = at
                    self._about()
                    return
        self.app.notify(f"nothing here is named {text}", severity="warning")

    # --- changing

    def action_edit(self) -> None:
        """Ask for a value."""
        number = value = None
        match self.view:
            case RegistersView() as view:
                number, value = view.rows[self._cell].number, view.rows[self._cell].value
            case FloatView() as view if view.rows:
                number, value = FIRST_FPR + self._cell, view.rows[self._cell].value
            case CsrsView():
                row = self._csr_row()
                if row is not None and not row.is_guest:
                    self.app.notify(f"{row.name} is the hypervisor's: what it is set to follows from the technique",
                                    severity="warning")
                elif row is not None:
                    number, value = FIRST_CSR + row.number, row.value
        if number is not None:
            self._asked = number
            self.glass.main.ask("value", [], f"{value:#x}", f"{register_name(number)} =")

    def give(self, text: str) -> None:
        """The value."""
        number = self._asked

        def change(inspection: Inspection) -> None:
            self.glass.tell(set_register(inspection.inspector, number, text))

        self.act_quietly(change)
