"""Lab 7: the reference answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hartvisor.labs.kit.frames import FrameMap


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot keeps: the frame of each page, and the number under which the rest of the VM lies."""

    frames: dict[int, int]
    state: int


class Snapshots:
    """Snapshots that share every frame that nobody has stored to since."""

    def use(self, memory: FrameMap) -> None:
        """All pages are protected, so that the first store to each is heard of."""
        self.memory = memory
        self.snapshots: dict[int, Snapshot] = {}
        self.count = 0
        self.keepers: Counter[int] = Counter()
        self.dirty: set[int] = set()
        self.current: dict[int, int] = {}
        self.writable: set[int] = set()
        for gfn, hpa in memory.frames().items():
            self.map(gfn, hpa, False)

    def map(self, gfn: int, hpa: int, is_writable: bool) -> None:
        """Change the map, and remember."""
        self.memory.map(gfn, hpa, is_writable)
        self.current[gfn] = hpa
        if is_writable:
            self.writable.add(gfn)
        else:
            self.writable.discard(gfn)

    def snapshot(self) -> int:
        """The frames are the snapshot's too from here on, and protected."""
        for gfn in sorted(self.writable):
            self.map(gfn, self.current[gfn], False)
        self.keepers.update(self.current.values())
        self.count += 1
        self.snapshots[self.count] = Snapshot(dict(self.current), self.memory.save())
        return self.count

    def cow_break(self, gfn: int) -> None:
        """A frame that a snapshot keeps is copied; one that was protected for the log alone is not."""
        self.dirty.add(gfn)
        hpa = self.current.get(gfn)
        if hpa is None:
            hpa = self.memory.allocate()
        elif self.keepers[hpa]:
            new = self.memory.allocate()
            self.memory.copy(hpa, new)
            hpa = new
        self.map(gfn, hpa, True)

    def dirty_log(self) -> list[int]:
        """Which pages were stored to; they are protected anew."""
        log = sorted(self.dirty)
        self.dirty.clear()
        for gfn in log:
            if gfn in self.writable:
                self.map(gfn, self.current[gfn], False)
        return log

    def restore(self, number: int) -> None:
        """Only pages that lie in other frames now are touched."""
        wanted = self.snapshots[number]
        moved = [gfn for gfn in sorted(self.current.keys() | wanted.frames.keys())
                 if self.current.get(gfn) != wanted.frames.get(gfn)]
        left = [self.current[gfn] for gfn in moved if gfn in self.current]
        for gfn in moved:
            if gfn in self.current:
                self.memory.unmap(gfn)
                del self.current[gfn]
                self.writable.discard(gfn)
        for gfn in moved:
            if gfn in wanted.frames:
                self.map(gfn, wanted.frames[gfn], False)
        self.dirty.update(moved)
        self.memory.load(wanted.state)
        self.release(left)

    def forget(self, number: int) -> None:
        """Frames that nobody else has are free."""
        frames = list(self.snapshots.pop(number).frames.values())
        self.keepers.subtract(frames)
        mapped = set(self.current.values())
        self.release([hpa for hpa in frames if hpa not in mapped])

    def release(self, frames: list[int]) -> None:
        """Free those that no snapshot keeps."""
        for hpa in frames:
            if self.keepers[hpa] <= 0:
                self.memory.free(hpa)
