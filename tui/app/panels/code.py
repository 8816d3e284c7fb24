"""Panel 5: the code that runs: disassembly, source, and the stack."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content

from ....core.errors import OptionError
from ....core.vmm.inspector import Inspection
from ....core.vmm.inspector.names import words
from ....core.vmm.views.code import CodeView, Insn, view_code
from ....core.vmm.views.source import SourceView, view_source
from ....core.vmm.views.stack import FrameRow, SlotRow, StackView, view_stack
from ....core.vmm.views.telescope import CODE
from ..collecting import Collector
from ..widgets.about import About
from ..widgets.lines import LinesView
from .base import Panel, Place
from .code_lines import (
    ahead_lines,
    code_detail,
    code_lines,
    source_detail,
    source_lines,
    stack_detail,
    stack_lines,
)

LISTING, SOURCE, STACK = range(3)
LOW: Final = 20
"""A panel with fewer rows than that has one line for what is under the cursor, and no source in its listing."""

AHEAD_FROM: Final = 150
"""From this width on the next steps stand beside the listing too, in the order in which they come."""

AHEAD_WIDTH: Final = 60
EDGE: Final = 3
"""So near to the first or last line the cursor makes the listing move on."""


class CodePanel(Panel):
    """Lines of code, and about the one under the cursor what is known."""

    DEFAULT_CSS = """
    CodePanel {
        & > #about { height: auto; max-height: 5; }
        & > Horizontal { height: 1fr; }
        & #ahead {
            width: 62; padding-left: 1; display: none; text-wrap: nowrap; border-left: solid $surface-lighten-2;
        }
    }
    """
    ID: ClassVar[str] = "code"
    KEY: ClassVar[str] = "5"
    TITLE: ClassVar[str] = "Code"
    TABS: ClassVar[tuple[str, ...]] = ("disassembly", "source", "stack")
    HELP: ClassVar[str] = """\
**Disassembly** around pc, as the guest's own tables lead to it; `[` and `]` lead to the **source**, where the image has
debug data, and to the **stack**: the calls that lead here, through traps into the program that was interrupted, and
what lies on the stack, with what each slot keeps.

`▶` is the next instruction, `●` a breakpoint, `!` an instruction that exits under this technique. Beside the next
instructions stands what they will leave: they are executed ahead, on a hart of their own, until something cannot be
known yet (`⊣`).

| key | does |
|---|---|
| Enter | follow a jump; on a source line: its code; on a call: where it goes on |
| Backspace | back from there |
| `.` | back to pc |
| `o` | source lines within the disassembly, or not |
| `b` | a breakpoint at the cursor |
| `g` | to an address, a symbol, or a line such as `trap.c:36` |
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("full_stop", "home", "pc", show=False),
        Binding("backspace", "back", "Back", show=False),
        Binding("o", "mix", "Source", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._at: int | None = None            # the address that is looked at, None for pc
        self._past: list[int | None] = []      # those before
        self._mixes: bool | None = None        # source within the listing; None: if there is room
        self._is_hidden = False                # the list was, when its cursor should have been brought in sight
        self._here: tuple[object, ...] = ()    # where the guest stood in the view before
        self._wanted: int | None = None        # the address to put the cursor on
        self._cursor: int | None = None        # the address that it is on
        self._stack_rows: list[FrameRow | SlotRow | None] = []

    def compose(self) -> ComposeResult:
        """A list, and what its cursor is on."""
        with Horizontal():
            yield LinesView()
            yield About(id="ahead")
        yield About(id="about")

    def collector(self) -> Collector:
        """By tab."""
        if self.tab == SOURCE:
            return partial(view_source, at=self._at)
        if self.tab == STACK:
            return view_stack
        return partial(view_code, at=self._at, has_sources=self._has_sources)

    @property
    def _has_sources(self) -> bool:
        return self.content_size.height >= LOW if self._mixes is None else self._mixes

    @property
    def _lines(self) -> LinesView:
        return self.query_one(LinesView)

    @property
    def _width(self) -> int:
        return max(20, self._lines.size.width or self.content_size.width)

    @property
    def _hides(self) -> bool:
        """Whether what comes next is for the user to guess."""
        return bool(self.glass.predicting)

    # --- painting

    def show(self, view: Any) -> None:
        """Paint it."""
        self.query_one("#ahead").display = self.tab == LISTING and self.content_size.width >= AHEAD_FROM
        match view:
            case CodeView() if self.tab == LISTING:
                self._show_code(view)
            case SourceView() if self.tab == SOURCE:
                self._show_source(view)
            case StackView() if self.tab == STACK:
                lines, self._stack_rows = stack_lines(view, self._width)
                moved = self._moved((view.step, view.vcpu, view.sp))
                self.set_subtitle(f"sp {view.sp:#x}")
                self._lines.set_lines(lines, cursor=0 if moved else None)
        self._about()

    def fit(self) -> None:
        """More room, or less."""
        self.refresh_view()

    def watch_tab(self) -> None:
        """Another list."""
        self._here = ()
        if self.is_mounted:
            self._lines.set_lines([], cursor=0)
            self.query_one("#about", About).tell(Content())
        super().watch_tab()

    def _moved(self, here: tuple[object, ...]) -> bool:
        """Whether the guest stands elsewhere than when it was seen last."""
        before, self._here = self._here, here
        return before != here

    def _show_code(self, view: CodeView) -> None:
        if view.at != (view.pc if self._at is None else self._at & -2):
            return  # it was asked for before the last key
        is_first = not self._here
        has_moved = self._moved((view.name, view.step, view.vcpu, view.pc))
        if has_moved and not is_first and self._at is not None:
            self._at, self._past, self._here = None, [], ()  # the guest goes on: so does the listing
            self.refresh_view()
            return
        self.set_subtitle(_where(view))
        target = view.at if has_moved or self._cursor is None else self._cursor
        if self._wanted is not None:
            target, self._wanted = self._wanted, None
        index = next((index for index, line in enumerate(view.lines)
                      if line.address >= target and isinstance(line, Insn)), 0)
        self._lines.set_lines(code_lines(view, self._width, hides_ahead=self._hides), cursor=index)
        self._cursor = self._address()
        self._reveal(index)
        self.query_one("#ahead", About).tell(
            Content("") if self._hides else Content("\n").join(ahead_lines(view, AHEAD_WIDTH)))

    def _reveal(self, index: int) -> None:
        """Scroll so that there is something to see before and behind a line; as soon as the list has room."""
        lines, height = self._lines, self._lines.size.height
        self._is_hidden = not height
        if self._is_hidden:
            return
        top = lines.scroll_offset.y
        if not top + 2 <= index <= top + height - 4:
            lines.scroll_to(y=max(0, index - height // 3), animate=False, force=True, immediate=True)

    @on(LinesView.Resized)
    def list_resized(self) -> None:
        """It may have room only now."""
        if self._is_hidden and self._lines.size.height:
            self._reveal(self._lines.cursor)

    def _show_source(self, view: SourceView) -> None:
        moved = self._moved((view.step, view.vcpu, view.at, view.path))
        self.set_subtitle(view.path)
        lines = source_lines(view, self._width)
        self._lines.set_lines(lines, cursor=max(0, view.line - 1) if moved else None)
        if moved:
            self._reveal(max(0, view.line - 1))

    def _about(self) -> None:
        """What is known of the thing under the cursor."""
        at, lines = self._lines.cursor, []
        match self.view:
            case CodeView() as view if self.tab == LISTING and at < len(view.lines):
                lines = code_detail(view, view.lines[at], self._width, hides_ahead=self._hides)
            case SourceView() as view if self.tab == SOURCE and view.lines:
                lines = source_detail(view, at + 1, self._width)
            case StackView() if self.tab == STACK and at < len(self._stack_rows):
                lines = stack_detail(self._stack_rows[at], self._width)
        if self.content_size.height < LOW:
            lines = lines[1:2] or lines[:1]
        self.query_one("#about", About).tell(Content("\n").join(lines))

    # --- the cursor

    def _address(self) -> int | None:
        """Of the instruction under the cursor."""
        if isinstance(self.view, CodeView) and self.tab == LISTING and self._lines.cursor < len(self.view.lines):
            return self.view.lines[self._lines.cursor].address
        return None

    def on_lines_view_moved(self) -> None:
        """The cursor went to another line; near an end the listing moves on."""
        self._about()
        address, count = self._address(), len(self._lines.lines)
        self._cursor = address
        if address is not None and not EDGE <= self._lines.cursor < count - EDGE:
            self._at = self._wanted = address
            self.refresh_view()

    def on_lines_view_chosen(self) -> None:
        """Enter."""
        at = self._lines.cursor
        match self.view:
            case CodeView() as view if at < len(view.lines):
                line = view.lines[at]
                if isinstance(line, Insn) and line.target is not None:
                    self._visit(line.target)
                else:
                    self._at = line.address
                    self.tab = SOURCE
            case SourceView() as view if view.lines:
                address = next((address for line, address in view.code if line >= at + 1), None)
                if address is not None:
                    self._visit(address)
            case StackView() if at < len(self._stack_rows):
                row = self._stack_rows[at]
                if isinstance(row, FrameRow):
                    self._visit(row.address)
                elif isinstance(row, SlotRow) and row.leads:
                    self._follow(row)

    def _follow(self, row: SlotRow) -> None:
        """A pointer on the stack: code is shown here, anything else by the panel that shows memory."""
        memory = self.glass.main.panels.get("memory")
        if row.leads[0].kind == CODE or memory is None:
            self._visit(row.leads[0].address)
        elif memory.goto(row.leads[0].address):
            self.glass.main.focus_panel("memory")

    def _visit(self, address: int) -> None:
        """Look at an address in the listing, and remember where that was from."""
        self._past.append(self._at if self.tab != LISTING or self._at is None else self._address())
        self.goto(address)

    def goto(self, address: int) -> bool:
        """Show an address."""
        self._at = self._wanted = address
        if self.tab == STACK or (self.tab == SOURCE and self._past):
            self.tab = LISTING
        else:
            self._here = ()
            self.refresh_view()
        return True

    def action_back(self) -> None:
        """Where the last jump was followed from."""
        self._at = self._wanted = self._past.pop() if self._past else None
        self._here = ()
        self.refresh_view()

    def action_home(self) -> None:
        """To pc."""
        self._past = []
        self.action_back()

    def action_mix(self) -> None:
        """Source lines within the listing, or not."""
        self._mixes = not self._has_sources
        self.refresh_view()

    def at_cursor(self) -> Place | None:
        """The instruction, the first of a source line, or a slot of the stack."""
        at = self._lines.cursor
        match self.view:
            case CodeView() as view if at < len(view.lines):
                line = view.lines[at]
                size = line.size if isinstance(line, Insn) else 4
                return Place("gva", line.address, size)
            case SourceView() as view if view.lines:
                address = next((address for line, address in view.code if line >= at + 1), None)
                return None if address is None else Place("gva", address, 4)
            case StackView() if at < len(self._stack_rows):
                row = self._stack_rows[at]
                return None if row is None else Place("gva", row.address)
        return None

    # --- searching

    def search(self, text: str) -> None:
        """The next line with this text; in the listing, else a symbol that has it in its name."""
        lines = self._lines.lines
        start = self._lines.cursor + 1
        for index in (*range(start, len(lines)), *range(min(start, len(lines)))):
            if text.lower() in lines[index].plain.lower():
                self._lines.cursor = index
                self._about()
                return
        if self.tab != LISTING:
            self.app.notify(f"{text}: no line has that", severity="warning")
            return

        def find(inspection: Inspection) -> None:
            inspector = inspection.inspector
            name = next((word for word in words(inspector) if text in word), None)
            if name is None:
                raise OptionError(f"{text}: no line in sight and no symbol has that")
            address = next(each.addresses[name] for each in inspector.code.known(inspector.vcpu)
                           if name in each.addresses)
            self.app.call_from_thread(self._visit, address)

        self.act_quietly(find)


def _where(view: CodeView) -> str:
    """For the border: the function, and the source line."""
    program = f"{view.program}: " if view.program and view.program != view.name else ""
    line = f" · {view.line.path.rpartition('/')[2]}:{view.line.line}" if view.line is not None else ""
    return f"{program}{view.function or hex(view.pc)}{line}"
