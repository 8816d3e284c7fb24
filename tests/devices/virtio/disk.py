"""A block driver on top of the driver model, which keeps one request in flight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from .driver import Driver

IN, OUT, FLUSH, GET_ID, WRITE_ZEROES = 0, 1, 4, 8, 13
OK, IOERR, UNSUPP = 0, 1, 2
NO_STATUS = 0xEE


class Disk:
    """Requests through ring 0 of a started driver. is_indirect: each chain through an indirect table."""

    ROOM = 64 << 10

    def __init__(self, driver: Driver, *, is_indirect: bool = False) -> None:
        self.driver = driver
        self.is_indirect = is_indirect
        self._header = driver.allocate(16)
        self._status = driver.allocate(1)
        self._data = driver.allocate(self.ROOM)
        self._table = driver.allocate(16 * 64)
        self.length = 0  # what the device said it wrote

    def request(self, kind: int, sector: int, data: bytes = b"", room: int = 0, cuts: Sequence[int] = ()) -> int:
        """One request; its status. cuts: where the data is cut into buffers."""
        memory = self.driver.memory
        header = kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little")
        memory.write(self._header, header)
        memory.write(self._status, bytes([NO_STATUS]))
        memory.write(self._data, data)
        edges = [0, *sorted(cuts), len(data) or room]
        pieces = [
            (self._data + start, end - start, not data)
            for start, end in pairwise(edges)
            if end > start
        ]
        ring = self.driver.rings[0]
        buffers = [(self._header, 16, False), *pieces, (self._status, 1, True)]
        ring.add(buffers, self._table if self.is_indirect else None)
        self.driver.kick()
        ((_, self.length),) = ring.take()
        return memory.read(self._status, 1)[0]

    def read(self, sector: int, length: int, cuts: Sequence[int] = ()) -> bytes:
        """Sectors; asserts that they could be read."""
        assert self.request(IN, sector, room=length, cuts=cuts) == OK
        assert self.length == length + 1
        return self.driver.memory.read(self._data, length)

    def write(self, sector: int, data: bytes, cuts: Sequence[int] = ()) -> None:
        assert self.request(OUT, sector, data, cuts=cuts) == OK

    def flush(self) -> None:
        assert self.request(FLUSH, 0) == OK

    def peek(self, length: int) -> bytes:
        """What lies in the data buffer."""
        return self.driver.memory.read(self._data, length)
