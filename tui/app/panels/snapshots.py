"""Panel 7: the VM's named snapshots, a tree over all the ways that it went; going there, and what differs."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from ....core.errors import HartvisorError
from ....core.vmm.inspector import Inspection, keeping, moves
from ....core.vmm.snapshot_diff import Difference
from ....core.vmm.views.snapshots import RowKind, SnapshotRow, SnapshotsView, view_snapshots
from ..collecting import Collector
from ..opening import open_stored, stored_names
from ..widgets.lines import LinesView
from .base import Panel, Place
from .snapshot_lines import Line, difference_lines, tree_lines

TREE, DIFFERENCE = range(2)

HEAD: Final = 1
"""Lines above the first row of the tree."""


class SnapshotsPanel(Panel):
    """The tree, and a difference."""

    ID: ClassVar[str] = "snapshots"
    KEY: ClassVar[str] = "7"
    TITLE: ClassVar[str] = "Snapshots"
    TABS: ClassVar[tuple[str, ...]] = ("tree", "difference")
    HELP: ClassVar[str] = """
Snapshots that have a name, and the ways that lead from one to the next. Time goes down; the history that the VM is on
is the line at the left, those that were left stand aside. `◉` is where the VM stands.

- `p` takes one, anywhere; `a` takes one and asks for its name
- `enter`: be there, with all that was typed, written and exited on the way; also at an end, `◌`
- `B`: begin another history there; what led on from it is kept
- `m`: name it (`booted: at the prompt` gives a note, too); `delete`: forget it
- `d`: what differs between it and the present, or the one that `space` has marked `◆`
- `k`: keep it on disk, in the file that `hartvisor snapshot` uses; `l`: load one from there

Typing in the past, or changing a register there, begins another future. The one that was is kept if a named snapshot
lies on it, else forgotten. *pages* are all of a snapshot's; *own* are those that no other snapshot shares.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "take_named", "Save as", show=False),
        Binding("m", "rename", "Name", show=False),
        Binding("delete,backspace", "forget", "Forget", show=False),
        Binding("B", "branch", "Branch", show=False),
        Binding("space", "mark", "Mark", show=False),
        Binding("d", "difference", "Difference", show=False),
        Binding("k", "keep", "Keep on disk", show=False),
        Binding("l", "load", "Load from disk", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._marked: int | None = None
        self._compared: tuple[str, str, Difference] | None = None
        self._lines: list[Line] = []
        self._asked: tuple[str, int] = ("", 0)
        self._vm = ""
        self._newest: int | None = None     # a node that the cursor goes to when it is seen

    def compose(self) -> ComposeResult:
        """A list for each tab."""
        yield LinesView(id="tree")
        yield LinesView(id="difference")

    def on_mount(self) -> None:
        """The tree first."""
        super().on_mount()
        self._choose()

    def watch_tab(self) -> None:
        """The keyboard goes along."""
        if self.is_mounted:
            self._choose()
        super().watch_tab()

    def _choose(self) -> None:
        had_focus = self.has_keyboard
        inner = (self.tree_list, self.query_one("#difference", LinesView))
        for index, lines in enumerate(inner):
            lines.display = index == self.tab
        if had_focus:
            self.screen.set_focus(inner[self.tab])

    @property
    def tree_list(self) -> LinesView:
        """The tree's widget."""
        return self.query_one("#tree", LinesView)

    @property
    def _width(self) -> int:
        return max(20, self.content_size.width - 1)

    def fit(self) -> None:
        """Lines are laid out for their width."""
        if self.view is not None:
            self.call_after_refresh(self.show, self.view)

    # --- views

    def collector(self) -> Collector:
        """The tree."""
        return view_snapshots

    def show(self, view: SnapshotsView) -> None:
        """Paint it. At first the cursor is where the VM stands."""
        cursor = None
        if view.vm != self._vm:
            self._vm, self._marked = view.vm, None
            cursor = next((at for at, row in enumerate(view.rows, HEAD) if row.is_now), 0)
        if self._newest is not None:
            cursor = next((at for at, row in enumerate(view.rows, HEAD) if row.node == self._newest), cursor)
            self._newest = None
        self.tree_list.set_lines(tree_lines(view, self._width, self._marked), cursor=cursor)
        self._show_difference()

    def _show_difference(self) -> None:
        if self._compared is None:
            self._lines = []
            text = "`d` on a snapshot shows what differs between it and the present"
            self.query_one("#difference", LinesView).set_lines([Content.styled(text, "$text-muted")])
            return
        self._lines = difference_lines(*self._compared, self._width)
        self.query_one("#difference", LinesView).set_lines([line.content for line in self._lines])

    @property
    def row(self) -> SnapshotRow | None:
        """The one under the cursor."""
        at = self.tree_list.cursor - HEAD
        view = self.view
        return view.rows[at] if isinstance(view, SnapshotsView) and 0 <= at < len(view.rows) else None

    @property
    def node(self) -> SnapshotRow | None:
        """The named snapshot under the cursor; without one, the user is told."""
        row = self.row
        if row is None or row.node is None:
            self.notify("put the cursor on a named snapshot first", severity="warning")
            return None
        return row

    def at_cursor(self) -> Place | None:
        """In a difference, what the line is about."""
        if self.tab == TREE:
            return None
        at = self.query_one("#difference", LinesView).cursor
        return self._lines[at].place if at < len(self._lines) else None

    # --- taking and naming

    def take(self, name: str = "", note: str = "") -> None:
        """Keep this moment; `p` does so from everywhere."""

        def do(inspection: Inspection) -> None:
            inspector = inspection.inspector
            node = keeping.tree_of(inspector).save(name, note)
            self._newest = node.number
            self.glass.tell(f"{node.name} of {inspector.name}, at step {node.step:,}")

        self.act(do)

    def action_take_named(self) -> None:
        """Ask for a name first."""
        self._ask("save", 0, "name")

    def action_rename(self) -> None:
        """Another name."""
        row = self.node
        if row is not None and row.node is not None:
            self._ask("rename", row.node, "name", f"{row.name}: {row.note}" if row.note else row.name)

    def _ask(self, what: str, number: int, purpose: str, text: str = "", words: tuple[str, ...] = ()) -> None:
        self._asked = what, number
        self.glass.main.ask(purpose, list(words), text)

    def give(self, text: str) -> None:
        """The name, and the note behind a colon."""
        what, number = self._asked
        name, _, note = (part.strip() for part in text.partition(":"))
        if what == "save":
            self.take(name, note)
        elif what == "rename":
            self.act_quietly(lambda inspection: (tree := keeping.tree_of(inspection.inspector)).rename(
                tree.find(number), name, note))
        elif what == "load":
            self._load(text.strip())

    def action_forget(self) -> None:
        """A name, or a history that was left."""
        row = self.row
        if row is None or (row.node is None and row.line is None):
            self.notify("only named snapshots, and ends of histories that were left, can be forgotten",
                        severity="warning")
            return
        node, line = row.node, row.line

        def do(inspection: Inspection) -> None:
            tree = keeping.tree_of(inspection.inspector)
            if node is not None:
                tree.delete(tree.find(node))
            elif line is not None:
                tree.drop(tree.find_line(line))

        self.act(do)

    # --- going there

    @on(LinesView.Chosen, "#tree")
    def row_chosen(self) -> None:
        """Be there."""
        row = self.row
        if row is None:
            return
        node, line, step = row.node, row.line, row.step
        if node is not None:
            self.act(lambda inspection: keeping.restore(inspection.inspector, node))
        elif line is not None:
            self.act(lambda inspection: keeping.restore_end(inspection.inspector, line))
        elif row.kind is not RowKind.NOW and not row.is_aside:
            self.act(lambda inspection: moves.goto(inspection.inspector, step))

    def action_branch(self) -> None:
        """Another history from there on."""
        row = self.row
        number = row.node if row is not None else None
        self.act(lambda inspection: keeping.branch(inspection.inspector, number))

    # --- comparing

    def action_mark(self) -> None:
        """This is the one to compare with; once more, and it is not."""
        row = self.node
        if row is not None:
            self._marked = None if self._marked == row.node else row.node
            self.show(self.view)

    def action_difference(self) -> None:
        """From the one that is marked to this, or from this to the present."""
        row = self.node
        if row is None or row.node is None:
            return
        marked = next((each for each in self.view.rows if each.node == self._marked and self._marked is not None), None)
        is_marked = marked is not None and marked.node != row.node
        first, other = (marked, row) if is_marked and marked is not None else (row, None)
        one, two = first.node, other.node if other is not None else None
        names = first.name, other.name if other is not None else "now"
        assert one is not None
        number: int = one

        def do(inspection: Inspection) -> None:
            found = keeping.diff(inspection.inspector, number, two)
            self.call_later(self._compare, (*names, found))

        self.act(do)

    def _compare(self, compared: tuple[str, str, Difference]) -> None:
        self._compared = compared
        self._show_difference()
        self.query_one("#difference", LinesView).cursor = 0
        self.tab = DIFFERENCE

    # --- the disk

    def action_keep(self) -> None:
        """Into the store."""
        row = self.node
        if row is None or row.node is None:
            return
        number = row.node

        def do(inspection: Inspection) -> None:
            if inspection.store is not None:
                info = keeping.store(inspection.inspector, number, inspection.store)
                self.glass.tell(f"{info.name} is kept in {inspection.store}")

        self.act(do)

    def action_load(self) -> None:
        """Ask which."""
        path = self.glass.inspection.store
        try:
            names = tuple(stored_names(path)) if path is not None else ()
        except HartvisorError as error:
            self.glass.tell(str(error), "error")
            return
        if not names:
            self.notify(f"{path} holds no snapshot", severity="warning", markup=False)
            return
        self._ask("load", 0, "stored", names[-1] if len(names) == 1 else "", names)

    def _load(self, name: str) -> None:
        """Into this tree, if it is of the same machine; else as a VM of its own."""

        def do(inspection: Inspection) -> None:
            path = inspection.store
            if path is None:
                return
            node = None
            if inspection.inspector.snapshots is not None and inspection.inspector.recipe is not None:
                node = keeping.load(inspection.inspector, path, name)
            if node is not None:
                self._newest = node.number
                self.glass.tell(f"{node.name} has been loaded; enter goes there")
            else:
                inspection.add(open_stored(path, name))
                self.glass.tell(f"{name} is of another machine: it is a VM of its own now")

        self.act(do)
