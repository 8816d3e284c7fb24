"""A host file that crashes badly: what is not synced is lost, but for whatever the host chose to write back early."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

from hartvisor.core.devices.virtio.storage import HostFile

SECTOR = 512


class FaultyFile:
    """A host file behind a volatile cache, in this process's memory: killing the process throws the cache away.

    Some sectors reach the file before they are synced, and a sync writes the rest in any order, so a kill leaves any
    part of the unsynced writes behind. tick: called before every store to the real file.
    """

    EARLY = 0.2  # how likely a sector is written back before it is synced

    def __init__(self, path: Path, seed: int, tick: Callable[[], None]) -> None:
        self._file = HostFile(path)
        self._choose = random.Random(seed)
        self._tick = tick
        self._cache: dict[int, bytes] = {}
        self.size = self._file.size
        self.is_read_only = False

    def read(self, offset: int, length: int) -> bytes:
        first, last = offset // SECTOR, (offset + length - 1) // SECTOR
        whole = bytearray(self._file.read(first * SECTOR, (last + 1 - first) * SECTOR))
        for sector in range(first, last + 1):
            if sector in self._cache:
                whole[(sector - first) * SECTOR : (sector - first + 1) * SECTOR] = self._cache[sector]
        start = offset - first * SECTOR
        return bytes(whole[start : start + length])

    def write(self, offset: int, data: bytes) -> None:
        first, last = offset // SECTOR, (offset + len(data) - 1) // SECTOR
        whole = bytearray(self.read(first * SECTOR, (last + 1 - first) * SECTOR))
        start = offset - first * SECTOR
        whole[start : start + len(data)] = data
        for sector in range(first, last + 1):
            content = bytes(whole[(sector - first) * SECTOR : (sector - first + 1) * SECTOR])
            self._cache[sector] = content
            if self._choose.random() < self.EARLY:
                self._store(sector, content)

    def sync(self) -> None:
        sectors = list(self._cache.items())
        self._choose.shuffle(sectors)
        for sector, content in sectors:
            self._store(sector, content)
        self._file.sync()
        self._cache.clear()

    def close(self) -> None:
        self._cache.clear()
        self._file.close()

    def _store(self, sector: int, content: bytes) -> None:
        self._tick()
        self._file.write(sector * SECTOR, content)


class Fuse:
    """Kills this process, as kill -9 does, at the `left`-th tick."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
