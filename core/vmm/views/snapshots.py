"""The tree of a VM's named snapshots, drawn line by line: time goes down, a history that was left stands aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ..snapshot_tree import Line, Node, SnapshotTree, parting

if TYPE_CHECKING:
    from ..inspector import Inspection
    from ..timeline import Checkpoint


class RowKind(StrEnum):
    """What a line of the tree stands for."""

    START = "start"     # of what is known
    SAVED = "saved"     # a named snapshot
    NOW = "now"
    END = "end"         # of a history


@dataclass(frozen=True)
class SnapshotRow:
    """One line. graph: what is drawn before its sign. node: a named snapshot's number. line: of the history whose end
    it is. is_now: the VM stands just there. is_ahead: it lies in the present's future. is_aside: on a history that was
    left. pages, private: all of a named snapshot's, and those that no other has.

    since: of an end, the step at which its history parted from the present one.
    """

    kind: RowKind
    graph: str
    step: int
    name: str = ""
    note: str = ""
    node: int | None = None
    line: int | None = None
    is_now: bool = False
    is_ahead: bool = False
    is_aside: bool = False
    pages: int = 0
    private: int = 0
    since: int = 0


@dataclass(frozen=True)
class SnapshotsView:
    """A VM's tree. rows: none for a VM that cannot be taken back. size: bytes of pages that its whole past holds, in
    `checkpoints` checkpoints."""

    vm: str
    rows: tuple[SnapshotRow, ...]
    step: int
    size: int
    checkpoints: int


@dataclass
class _Item:
    """A place on the way of some histories. key: what makes it the same place for two of them. is_tip: the present
    history has gone no further."""

    key: object
    row: SnapshotRow
    is_tip: bool = False
    children: list[_Item] = field(default_factory=list)


def view_snapshots(inspection: Inspection) -> SnapshotsView:
    """The named snapshots of the VM looked at."""
    inspector = inspection.inspector
    tree = inspector.snapshots
    if tree is None:
        return SnapshotsView(inspector.name, (), inspector.step, 0, 0)
    all_of_them = {*tree.timeline.checkpoints, *tree.timeline.kept}
    return SnapshotsView(inspector.name, draw_tree(tree), inspector.step,
                         sum(each.snapshot.size for each in all_of_them), len(all_of_them))


def draw_tree(tree: SnapshotTree) -> tuple[SnapshotRow, ...]:
    """The rows, top to bottom."""
    roots: list[_Item] = []
    for line in tree.lines:
        _thread(roots, _way(tree, line))
    _thread(roots, _present(tree))
    rows: list[SnapshotRow] = []
    for root in roots:
        _draw(root, "", "", rows)
    return tuple(rows)


def _way(tree: SnapshotTree, line: Line) -> list[_Item]:
    """The places on a history that was left."""
    items = _places(tree, line.checkpoints, is_aside=True)
    since = parting(tree.segments, line.segments)
    if line.end > items[-1].row.step:
        items.append(_Item(line, SnapshotRow(RowKind.END, "", line.end, line=line.number, is_aside=True, since=since)))
    return items


def _present(tree: SnapshotTree) -> list[_Item]:
    """The places on the present history, and where we stand on it."""
    timeline = tree.timeline
    items = _places(tree, timeline.checkpoints, is_aside=False)
    if not any(item.row.is_now for item in items):
        behind = sum(item.row.step <= timeline.step for item in items)
        items.insert(behind, _Item("now", SnapshotRow(RowKind.NOW, "", timeline.step, is_now=True)))
    if timeline.end > items[-1].row.step:
        items.append(_Item("end", SnapshotRow(RowKind.END, "", timeline.end, is_ahead=True)))
    items[-1].is_tip = True
    return items


def _places(tree: SnapshotTree, checkpoints: Sequence[Checkpoint], *, is_aside: bool) -> list[_Item]:
    """The start, and the named snapshots in their order."""
    places = {checkpoint: place for place, checkpoint in enumerate(checkpoints)}
    nodes = sorted((node for node in tree.nodes if node.checkpoint in places),
                   key=lambda node: (places[node.checkpoint], node.number))
    items = [_Item(node, _saved(tree, node, is_aside)) for node in nodes]
    if not nodes or places[nodes[0].checkpoint]:
        is_now = not is_aside and _is_now(tree, checkpoints[0])
        items.insert(0, _Item(checkpoints[0], SnapshotRow(
            RowKind.START, "", checkpoints[0].step, is_now=is_now, is_aside=is_aside)))
    return items


def _saved(tree: SnapshotTree, node: Node, is_aside: bool) -> SnapshotRow:
    is_now = not is_aside and _is_now(tree, node.checkpoint)
    return SnapshotRow(
        RowKind.SAVED, "", node.step, node.name, node.note, node.number, is_now=is_now, is_aside=is_aside,
        is_ahead=not is_aside and node.step > tree.timeline.step, pages=len(node.contents), private=tree.private(node))


def _is_now(tree: SnapshotTree, checkpoint: Checkpoint) -> bool:
    """Whether the VM stands in the very state of a checkpoint."""
    timeline = tree.timeline
    return (timeline.is_here(checkpoint) and timeline.step == checkpoint.step
            and timeline.subject.inputs.position == checkpoint.position)


def _thread(roots: list[_Item], way: Sequence[_Item]) -> None:
    """Put a history into the tree, along what it shares with those that are there; it comes last, which is where the
    present belongs."""
    siblings = roots
    for item in way:
        found = next((each for each in siblings if each.key is item.key), None)
        if found is None:
            siblings.append(item)
            found = item
        elif siblings[-1] is not found:
            siblings.remove(found)
            siblings.append(found)
        found.row, found.is_tip = item.row, item.is_tip     # the present, which comes last, knows better
        siblings = found.children


def _draw(item: _Item, first: str, rest: str, rows: list[SnapshotRow]) -> None:
    """An item and all below it; the last of its children goes on straight down, the others stand aside."""
    while True:
        rows.append(replace(item.row, graph=first))
        aside = item.children if item.is_tip else item.children[:-1]
        for child in aside:
            _draw(child, rest + "├─", rest + "│ ", rows)
        if len(aside) == len(item.children):
            return
        item, first = item.children[-1], rest
