"""What a guest wrote to its console, by the step at which it did: so that one who stands in the past sees no more."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

MOST: Final = 1 << 20
"""Bytes kept; of what is older, nobody scrolls back to it."""


class Output:
    """The bytes, oldest first. clock: the guest's steps."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._data = bytearray()
        self._steps = array("Q")    # of each piece, and where it ends in all that was ever written
        self._ends = array("Q")
        self._dropped = 0

    def begin_with(self, data: bytes) -> None:
        """This was written before anybody kept the steps."""
        if data:
            self._data += data
            self._steps.append(0)
            self._ends.append(self._dropped + len(self._data))

    def write(self, data: bytes) -> None:
        """The guest writes, in the step that its clock is about to count."""
        self._data += data
        self._steps.append(self._clock())
        self._ends.append(self._dropped + len(self._data))
        if len(self._data) > 2 * MOST:
            self._dropped += len(self._data) - MOST
            del self._data[:-MOST]
            first = bisect_left(self._ends, self._dropped + 1)
            del self._steps[:first], self._ends[:first]

    def upto(self, step: int) -> bytes:
        """What was written before the clock showed `step`, as far as it is kept."""
        return bytes(self._data[: self._place(step)])

    def tail(self, step: int, most: int) -> tuple[bytes, int]:
        """The last `most` bytes of that, and how many there were in all."""
        end = self._place(step)
        return bytes(memoryview(self._data)[max(0, end - most):end]), self._dropped + end

    @property
    def version(self) -> int:
        """Something that grows with each piece."""
        return self._dropped + len(self._data)

    def cut(self, step: int) -> None:
        """From `step` on the guest goes another way."""
        del self._data[self._place(step):]
        kept = bisect_left(self._steps, step)
        del self._steps[kept:], self._ends[kept:]

    def keep(self) -> tuple[bytes, array[int], array[int], int]:
        """All of it (snapshot_tree.py)."""
        return bytes(self._data), self._steps[:], self._ends[:], self._dropped

    def put_back(self, kept: tuple[bytes, array[int], array[int], int] | None) -> None:
        """Have been written that, and nothing else."""
        data, steps, ends, self._dropped = kept or (b"", array("Q"), array("Q"), 0)
        self._data = bytearray(data)
        self._steps, self._ends = steps[:], ends[:]

    def _place(self, step: int) -> int:
        kept = bisect_left(self._steps, step)
        return max(0, self._ends[kept - 1] - self._dropped) if kept else 0
