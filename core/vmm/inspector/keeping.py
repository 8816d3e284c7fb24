"""A debugger's moves between named snapshots, and what else is done with them. All raise ConfigError for a VM that
cannot be taken back."""

from __future__ import annotations

from ...errors import ConfigError
from ..gdb.target import CHANGED, Halt
from ..snapshot_diff import Difference, Symbols, compare_in_memory
from ..snapshot_tree import SnapshotTree
from .inspector import Inspector, Moves


def tree_of(inspector: Inspector) -> SnapshotTree:
    """Its named snapshots."""
    if inspector.snapshots is None:
        raise ConfigError("this guest writes to the host's disks or folders: no snapshot could take it back")
    return inspector.snapshots


def restore(inspector: Inspector, number: int) -> Moves:
    """To a named snapshot, on whatever history it lies."""
    yield
    tree = tree_of(inspector)
    node = tree.find(number)
    tree.restore(node)
    return _arrived(inspector, f"restored {node.name}")


def restore_end(inspector: Inspector, line: int) -> Moves:
    """To the end of a history that was left, by its number."""
    yield
    tree = tree_of(inspector)
    tree.restore_end(tree.find_line(line))
    return _arrived(inspector, "at the end of a history that was left")


def branch(inspector: Inspector, number: int | None = None) -> Moves:
    """Begin another history here, or at a named snapshot, and keep the one that leads on from there."""
    yield
    tree = tree_of(inspector)
    if number is not None:
        tree.restore(tree.find(number))
    tree.branch()
    return _arrived(inspector, "a new history begins here; the other is kept")


def diff(inspector: Inspector, one: int, other: int | None) -> Difference:
    """What differs between two named snapshots; or, None, between one and the present."""
    tree = tree_of(inspector)
    first = tree.find(one).checkpoint
    second = tree.find(other).checkpoint if other is not None else tree.timeline.mark()
    symbols = Symbols(inspector.image.symbols if inspector.image is not None else {})
    return compare_in_memory(first.snapshot, second.snapshot, symbols)


def _arrived(inspector: Inspector, text: str) -> Halt:
    inspector.exit = None
    return inspector.stopped(CHANGED, text)
