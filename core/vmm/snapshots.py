"""Snapshots in memory: a tree of them, each holding the pages that differ from its parent's.

    root ── a ── b ── c            taken along one run
             └── d ── (now)        after going back to a

Taking one costs what was stored to since the last; going to one, what differs between here and there. A page is never
copied twice: a snapshot keeps bytes objects, which its relatives share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ..machine.paged import DirtyLog, Paged

Pages = dict[int, bytes | None]
"""Page numbers to contents; None is a page as it was at first (machine/paged.py)."""


class Subject(Protocol):
    """What can be saved: a Vm, or a Machine."""

    @property
    def paged(self) -> tuple[Paged, ...]:
        """Where its pages are."""

    def save(self) -> Any:
        """All the rest, as an immutable value."""

    def restore(self, state: Any) -> None:
        """Become what was saved; the pages are put back before."""

    @property
    def steps(self) -> int:
        """The clock."""


class Snapshot:
    """One point in the life of a subject. steps: its clock. state: all but its pages. parent: None for a root.

    pages: for each of the subject's Paged, the pages that differ from the parent's. children: taken or branched from
    here.
    """

    __slots__ = ("_size", "children", "pages", "parent", "state", "steps")

    def __init__(self, parent: Snapshot | None, state: Any, steps: int, pages: tuple[Pages, ...]) -> None:
        self.parent = parent
        self.state = state
        self.steps = steps
        self.pages = pages
        self.children: list[Snapshot] = []
        self._size = -1
        if parent is not None:
            parent.children.append(self)

    def lineage(self) -> Iterator[Snapshot]:
        """This one, its parent, and so on to the root."""
        node: Snapshot | None = self
        while node is not None:
            yield node
            node = node.parent

    def find(self, index: int, wanted: set[int]) -> Pages:
        """The contents here of some pages of the subject's Paged number `index`."""
        found: Pages = {}
        left = set(wanted)
        for node in self.lineage():
            pages = node.pages[index]
            here = left & pages.keys()
            found.update((number, pages[number]) for number in here)
            left -= here
            if not left:
                return found
        return found | dict.fromkeys(left)

    def all_pages(self, index: int) -> Pages:
        """Every page that is not as at first."""
        merged: Pages = {}
        for node in reversed(list(self.lineage())):
            merged |= node.pages[index]
        return {number: data for number, data in merged.items() if data is not None}

    @property
    def size(self) -> int:
        """Bytes of the pages it holds itself."""
        if self._size < 0:
            self._size = sum(len(data) for pages in self.pages for data in pages.values() if data)
        return self._size

    def take_over(self, pages: tuple[Pages, ...]) -> None:
        """Hold what a parent that goes away held, where it holds nothing itself."""
        for own, others in zip(self.pages, pages, strict=True):
            for number, data in others.items():
                own.setdefault(number, data)
        self._size = -1


class Snapshots:
    """The snapshots of one subject, which nobody else may take the SNAPSHOT dirty log of.

    here: the snapshot that the subject's present state was reached from.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.here: Snapshot | None = None

    def take(self) -> Snapshot:
        """A snapshot of the present moment, a child of `here`, which it becomes."""
        pages = tuple(
            {number: source.read_page(number) for number in sorted(changed)}
            for source, changed in zip(self.subject.paged, self._take_changed(), strict=True))
        self.here = Snapshot(self.here, self.subject.save(), self.subject.steps, pages)
        return self.here

    def restore(self, snapshot: Snapshot) -> None:
        """Make the subject what it was when `snapshot`, one of this tree, was taken."""
        changed = self._take_changed()
        there = set(snapshot.lineage())
        here = set(self.here.lineage()) if self.here is not None else set()
        for node in here ^ there:
            for numbers, pages in zip(changed, node.pages, strict=True):
                numbers.update(pages)
        for index, source in enumerate(self.subject.paged):
            for number, data in snapshot.find(index, changed[index]).items():
                source.write_page(number, data)
        self.subject.restore(snapshot.state)
        self.here = snapshot
        self._take_changed()        # what we stored ourselves is no change

    def stand_at(self, snapshot: Snapshot) -> None:
        """The subject has come, by running, to the very state of `snapshot`."""
        self._take_changed()
        self.here = snapshot

    def forget(self, snapshot: Snapshot) -> None:
        """Let go of a snapshot; its children take over what they share of it. Raises ValueError for one without a
        parent, and for the one that is `here`."""
        parent = snapshot.parent
        if parent is None or snapshot is self.here:
            raise ValueError("the first snapshot, and the one that the present comes from, cannot be forgotten")
        for child in snapshot.children:
            child.take_over(snapshot.pages)
            child.parent = parent
            parent.children.append(child)
        parent.children.remove(snapshot)

    def _take_changed(self) -> list[set[int]]:
        """By Paged, the pages that may differ from `here`'s."""
        return [set(source.take_dirty(DirtyLog.SNAPSHOT)) for source in self.subject.paged]
