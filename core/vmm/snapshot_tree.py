"""Named snapshots of one VM, on all the ways that it went.

    start ── booted ── listed ── now          the present history
               └────── typed ── (end)         one that was left, and can be gone back to

A name is a checkpoint of the timeline's that stays. To go to one that lies on the present history is to travel in time.
Where input in the past leads another way, the way that was left is kept whole, with all that came from outside and all
that was remembered of it (exits, output), if a name lies on it; going to a name there takes that history up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from ..errors import ConfigError
from ..machine.inputs import Event
from .snapshots import Pages
from .timeline import Checkpoint, Timeline


class History(Protocol):
    """Something that remembers a run: the log of exits, what was written to the console."""

    def keep(self) -> Any:
        """All that it remembers, as a value."""

    def put_back(self, kept: Any) -> None:
        """Remember that, and nothing else; None is nothing at all."""


class Segment(NamedTuple):
    """A stretch of a history that some share. number: which. end: the step at which this history left it, None for the
    last stretch."""

    number: int
    end: int | None


Segments = tuple[Segment, ...]


@dataclass(eq=False)
class Line:
    """A history, such as one that was left. memories: of each History."""

    segments: Segments
    checkpoints: list[Checkpoint]
    end: int
    events: list[Event]
    memories: list[Any]

    @property
    def number(self) -> int:
        """Its own."""
        return self.segments[-1].number


@dataclass(eq=False)
class Node:
    """A named snapshot. number: of its own, for ever. pages: all that are not as at first, of RAM and of each disk.

    contents: which bytes objects they are: what snapshots share is there once. stored: its name in the store on disk.
    """

    number: int
    name: str
    note: str
    checkpoint: Checkpoint
    pages: tuple[Pages, ...]

    def __post_init__(self) -> None:
        self.stored = ""
        self.contents = frozenset(id(data) for pages in self.pages for data in pages.values())

    @property
    def step(self) -> int:
        """Where it was taken."""
        return self.checkpoint.step


class SnapshotTree:
    """The named snapshots of a VM. histories: what else goes with a past.

    nodes: by age. lines: the histories that were left. version: grows whenever either changes, or the present does.
    Methods raise ConfigError for names that are taken, and for what is not there.
    """

    def __init__(self, timeline: Timeline, histories: Sequence[History] = ()) -> None:
        self.timeline = timeline
        self.histories: Final = tuple(histories)
        self.nodes: list[Node] = []
        self.lines: list[Line] = []
        self.segments: Segments = (Segment(0, None),)
        self.version = 0
        self._count = self._numbers = 0
        self._is_branching = False
        self._private: dict[int, int] = {}      # by a node's number, until another comes or goes
        timeline.before_fork = self._before_fork
        timeline.spare = self._spare

    # --- names

    def save(self, name: str = "", note: str = "") -> Node:
        """Give the present moment a name; one of our own, if none is given."""
        self._count += 1
        chosen = name or next(text for number in range(self._count, 1 << 30)
                              if (text := f"snapshot {number}") not in self._names())
        self._check(chosen)
        return self._add(chosen, note, self.timeline.mark())

    def _add(self, name: str, note: str, checkpoint: Checkpoint) -> Node:
        pages = tuple(checkpoint.snapshot.all_pages(index) for index in range(len(checkpoint.snapshot.pages)))
        node = Node(self._count, name, note, checkpoint, pages)
        self.nodes.append(node)
        self._private.clear()
        self._changed()
        return node

    def rename(self, node: Node, name: str, note: str | None = None) -> None:
        """Another name, and another note if one is given."""
        if name != node.name:
            self._check(name)
        node.name = name
        node.note = node.note if note is None else note
        self._changed()

    def find(self, number: int) -> Node:
        """A node by its number."""
        found = next((node for node in self.nodes if node.number == number), None)
        if found is None:
            raise ConfigError("that snapshot is gone")
        return found

    def named(self, name: str) -> Node:
        """A node by its name."""
        found = next((node for node in self.nodes if node.name == name), None)
        if found is None:
            known = ", ".join(node.name for node in self.nodes) or "none"
            raise ConfigError(f"no snapshot {name!r}; there are: {known}")
        return found

    def find_line(self, number: int) -> Line:
        """A history that was left, by its number."""
        found = next((line for line in self.lines if line.number == number), None)
        if found is None:
            raise ConfigError("that history is gone")
        return found

    def private(self, node: Node) -> int:
        """How many pages no other named snapshot has."""
        if node.number not in self._private:
            others = (other.contents for other in self.nodes if other is not node)
            self._private[node.number] = len(node.contents.difference(*others))
        return self._private[node.number]

    def before(self, node: Node) -> list[Node]:
        """The named snapshots that it was reached over, the nearest first."""
        way = next(each for each in self._ways() if node.checkpoint in each)
        places = {checkpoint: place for place, checkpoint in enumerate(way)}
        found = [each for each in self.nodes if places.get(each.checkpoint, len(way)) < places[node.checkpoint]]
        return sorted(found, key=lambda each: places[each.checkpoint], reverse=True)

    def delete(self, node: Node) -> None:
        """Forget a name; the histories stay."""
        self.nodes.remove(node)
        self._private.clear()
        self._changed()
        if not any(node.checkpoint in each for each in self._ways()):
            self.timeline.let_go([node.checkpoint])

    def _check(self, name: str) -> None:
        if not name.strip():
            raise ConfigError("a snapshot needs a name")
        if name in self._names():
            raise ConfigError(f"there is a snapshot {name!r} already; choose another name")

    def _names(self) -> set[str]:
        return {node.name for node in self.nodes}

    # --- going there

    def restore(self, node: Node) -> None:
        """Make the VM what it was; what it became by then is its future, if it lies on a history that we have."""
        checkpoint = node.checkpoint
        if _leads_to(self.timeline.checkpoints, checkpoint):
            self.timeline.visit(checkpoint)
            self._changed()
            return
        line = next((each for each in self.lines if _leads_to(each.checkpoints, checkpoint)), None)
        if line is not None:
            self._take_up(line, checkpoint)
            return
        self._take_up(self._upto(checkpoint), checkpoint)
        self.timeline.tell(checkpoint.step)     # memories are the whole history's, of which we took the beginning

    def restore_end(self, line: Line) -> None:
        """Go to the end of a history that was left."""
        self._take_up(line, line.checkpoints[-1])
        self.timeline.goto(self.timeline.end)

    def branch(self) -> None:
        """From here on a new history begins; the one that we leave is kept. Raises ConfigError at its end."""
        if self.timeline.step >= self.timeline.end:
            raise ConfigError("nothing lies ahead here: whatever comes next is new anyway")
        self._is_branching = True
        try:
            self.timeline.fork()
        finally:
            self._is_branching = False

    def drop(self, line: Line) -> None:
        """Forget a history that was left, and the names that lie on it alone."""
        self.lines.remove(line)
        ways = self._ways()
        self.nodes = [node for node in self.nodes if any(node.checkpoint in way for way in ways)]
        self._private.clear()
        self._changed()
        self._let_go(line.checkpoints)

    def adopt(self, name: str, note: str, checkpoint: Checkpoint) -> Node:
        """Take in a snapshot from elsewhere, with no past of its own: a history that begins and ends there."""
        self._count += 1
        self._check(name)
        self._numbers += 1
        memories = [None for _ in self.histories]
        self.lines.append(Line((Segment(self._numbers, None),), [checkpoint], checkpoint.step, [], memories))
        return self._add(name, note, checkpoint)

    def _upto(self, checkpoint: Checkpoint) -> Line:
        """A history as far as a checkpoint that is on it, but behind which it went on from another state."""
        source = next(each for each in (self._present(), *self.lines) if checkpoint in each.checkpoints)
        known = source.checkpoints[: source.checkpoints.index(checkpoint) + 1]
        self._numbers += 1
        segments = (*_cut(source.segments, checkpoint.step), Segment(self._numbers, None))
        made = Line(segments, known, checkpoint.step, source.events[: checkpoint.position], source.memories)
        self.lines.append(made)
        return made

    def _take_up(self, line: Line, checkpoint: Checkpoint) -> None:
        """Leave the present history for another, and stand at one of its checkpoints."""
        left, timeline = self._present(), self.timeline
        since = parting(left.segments, line.segments)
        self.lines.remove(line)
        is_named = any(node.checkpoint in left.checkpoints and node.checkpoint not in line.checkpoints
                       for node in self.nodes)
        if left.end > since or is_named:
            self.lines.append(left)
        timeline.take_up(line.checkpoints, line.end, line.events, since)
        for history, memory in zip(self.histories, line.memories, strict=True):
            history.put_back(memory)
        self.segments = line.segments
        timeline.visit(checkpoint)
        self._changed()
        self._let_go(left.checkpoints)

    # --- the timeline's side

    def _present(self) -> Line:
        timeline = self.timeline
        return Line(self.segments, list(timeline.checkpoints), timeline.end, list(timeline.subject.inputs.events),
                    [history.keep() for history in self.histories])

    def _before_fork(self) -> None:
        """What lies ahead is about to be forgotten: keep it, if it has names, or if that is what is wanted."""
        timeline = self.timeline
        if timeline.step >= timeline.end:
            return
        ahead = {each for each in timeline.checkpoints if each.step > timeline.step}
        if self._is_branching or any(node.checkpoint in ahead for node in self.nodes):
            self.lines.append(self._present())
        self._numbers += 1
        self.segments = (*_cut(self.segments, timeline.step), Segment(self._numbers, None))
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self.timeline.kept = {node.checkpoint for node in self.nodes} | {
            checkpoint for line in self.lines for checkpoint in line.checkpoints}

    def _ways(self) -> list[list[Checkpoint]]:
        return [self.timeline.checkpoints, *(line.checkpoints for line in self.lines)]

    def _let_go(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Forget those that are on no history any more."""
        present = set(self.timeline.checkpoints)
        self.timeline.let_go(each for each in checkpoints if each not in present)

    def _spare(self) -> Checkpoint | None:
        """Of the histories that were left, the checkpoint that helps least; it is on none of them any more."""
        named = {node.checkpoint for node in self.nodes}
        candidates = [
            (after.spent - before.spent, number, index)
            for number, line in enumerate(self.lines)
            for index, (before, each, after) in enumerate(
                zip(line.checkpoints, line.checkpoints[1:], line.checkpoints[2:], strict=False), 1)
            if not each.is_pinned and each not in named and not self.timeline.is_here(each)]
        if not candidates:
            return None
        _, number, index = min(candidates)
        found = self.lines[number].checkpoints[index]
        for line in self.lines:
            if found in line.checkpoints:
                line.checkpoints.remove(found)
        self.timeline.kept.discard(found)
        return found


def _leads_to(checkpoints: Sequence[Checkpoint], checkpoint: Checkpoint) -> bool:
    """Whether a history passes through the state of a checkpoint: it is on it, and nothing was changed by hand at the
    same step afterwards."""
    if checkpoint not in checkpoints:
        return False
    behind = checkpoints[checkpoints.index(checkpoint) + 1:]
    return not any(each.is_pinned for each in behind if each.step == checkpoint.step)


def _cut(segments: Segments, step: int) -> Segments:
    """A history's stretches as far as a step."""
    kept: list[Segment] = []
    for segment in segments:
        if segment.end is None or segment.end >= step:
            return (*kept, Segment(segment.number, step))
        kept.append(segment)
    return tuple(kept)


def parting(one: Segments, other: Segments) -> int:
    """The step as far as which two histories are the same; 0 where they have nothing in common."""
    step = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine.number != theirs.number:
            break
        ends = [end for end in (mine.end, theirs.end) if end is not None]
        step = min(ends, default=step)
        if mine.end != theirs.end:
            break
    return step

