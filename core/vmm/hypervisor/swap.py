"""The swap file: pages that have no frame for now. It has no name: it is gone with the process, however that ends."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ...errors import ConfigError
from ...isa.paging import PAGE_SIZE


class SwapFull(Exception):
    """There is no room for a page, or the host's disk has none."""


class SwapFile:
    """One VM's part of the machine's swap space: `size` bytes, in a file in `folder` (else where temporary files go).

    Raises ConfigError where no file can be made there. reads, writes: pages.
    """

    def __init__(self, size: int, folder: Path | None = None) -> None:
        self.slots = size // PAGE_SIZE
        self.reads = 0
        self.writes = 0
        self._folder = folder
        self._free: list[int] = []
        self._next = 0
        self._fd = -1

    @property
    def used(self) -> int:
        """Pages in it."""
        return self._next - len(self._free)

    def write(self, page: bytes) -> int:
        """Put a page away; the slot it is in. Raises SwapFull."""
        if not self._free and self._next >= self.slots:
            raise SwapFull(f"the {self.slots * PAGE_SIZE >> 20} MiB of swap that it may use are full")
        slot = self._free[-1] if self._free else self._next
        try:
            if self._fd < 0:
                self._open()
            done = os.pwrite(self._fd, page, slot * PAGE_SIZE)
        except OSError as error:
            raise SwapFull(f"the swap file: {error.strerror}") from error
        if done < len(page):
            raise SwapFull("the swap file: the disk is full")
        if self._free:
            self._free.pop()
        else:
            self._next += 1
        self.writes += 1
        return slot

    def _open(self) -> None:
        file, name = tempfile.mkstemp(prefix="hartvisor-swap-", dir=self._folder)
        self._fd = file
        Path(name).unlink()

    def look(self, slot: int) -> bytes:
        """The page in a slot. Raises ConfigError where the host has lost it."""
        try:
            page = os.pread(self._fd, PAGE_SIZE, slot * PAGE_SIZE)
        except OSError as error:
            raise ConfigError(f"the swap file cannot be read: {error.strerror}") from error
        if len(page) != PAGE_SIZE:
            raise ConfigError("the swap file has been cut short")
        return page

    def free(self, slot: int) -> None:
        """Nobody needs the page in the slot any more."""
        self._free.append(slot)

    def close(self) -> None:
        """Give the space back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
