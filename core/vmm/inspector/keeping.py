"""A debugger's moves between named snapshots, and what else is done with them. All raise ConfigError for a VM that
cannot be taken back."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

from ...errors import ConfigError
from ..gdb.target import CHANGED, Halt
from ..recipe import IMAGE, Recipe
from ..snapshot_diff import Difference, Symbols, compare_in_memory
from ..snapshot_tree import Node, SnapshotTree
from ..snapshots import Pages, Snapshot
from ..store import Info, Store
from ..timeline import Checkpoint
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


def store(inspector: Inspector, number: int, path: Path, name: str = "") -> Info:
    """Keep a named snapshot on disk, under its own name or another. Raises DamagedError too."""
    tree = tree_of(inspector)
    node, recipe = tree.find(number), _recipe_of(inspector)
    kept = Store(path)
    try:
        known = {info.name for info in kept.list()}
        parent = next((each.stored for each in tree.before(node) if each.stored in known), None)
        info = kept.put(name or node.name, node.checkpoint.snapshot, recipe, note=node.note, parent=parent)
    finally:
        kept.close()
    node.stored = info.name
    return info


def load(inspector: Inspector, path: Path, name: str) -> Node | None:
    """Take a snapshot from disk in among the VM's own, a history that begins there. None if it is of another machine:
    then it has to be a VM of its own. Raises DamagedError too."""
    tree, recipe = tree_of(inspector), _recipe_of(inspector)
    kept = Store(path, is_made=False)
    try:
        saved = kept.load(name)
        if not _fits(recipe, saved.recipe):
            return None
        contents = kept.contents(saved)
    finally:
        kept.close()
    pages: tuple[Pages, ...] = tuple(dict(each) for each in contents)
    snapshot = Snapshot(None, saved.state, saved.info.steps, pages)
    taken = {node.name for node in tree.nodes}
    chosen = next(text for number in count(1) if (text := name if number == 1 else f"{name} {number}") not in taken)
    node = tree.adopt(chosen, saved.info.note, Checkpoint(snapshot, 0, 0.0))
    node.stored = name
    return node


def _recipe_of(inspector: Inspector) -> Recipe:
    if inspector.recipe is None:
        raise ConfigError("this VM has devices that a snapshot on disk cannot hold; its snapshots are in memory only")
    return inspector.recipe


def _fits(mine: Recipe, other: Recipe) -> bool:
    """Whether a state of one can be a state of the other: the same guest on the same board, whatever the technique."""
    if mine.files[IMAGE].digest != other.files[IMAGE].digest:
        return False
    return mine == replace(other, name=mine.name, technique=mine.technique, policy=mine.policy, tlb=mine.tlb,
                           append=mine.append, files=mine.files)


def _arrived(inspector: Inspector, text: str) -> Halt:
    inspector.exit = None
    return inspector.stopped(CHANGED, text)
