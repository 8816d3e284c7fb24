"""What a VM wrote to its console: the last of it, for whoever looks later, and a file with all of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...devices.console import discard
from ...errors import ConfigError

KEPT: Final = 64 << 10
"""Bytes that are kept in memory."""


class ConsoleLog:
    """One console's output. path: the file that gets all of it. Raises ConfigError where it cannot be written.

    written: bytes so far. awaited: text to look for; is_ready: it was seen, or there is none. listener: called with
    what is written, as it is.
    """

    def __init__(self, path: Path | None = None, awaited: str | None = None) -> None:
        self.written = 0
        self.listener: Callable[[bytes], None] = discard
        self.is_ready = awaited is None
        self._awaited = awaited.encode() if awaited is not None else b""
        self._kept = bytearray()
        try:
            self._file = path.open("wb", buffering=0) if path is not None else None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error

    def write(self, data: bytes) -> None:
        """The guest writes."""
        if not self.is_ready:
            window = bytes(self._kept[-len(self._awaited) :]) + data
            self.is_ready = self._awaited in window
        self.written += len(data)
        self._kept += data
        if len(self._kept) > 2 * KEPT:
            del self._kept[:-KEPT]
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError:  # on a full disk the log ends, not the guest
                self.close()
        self.listener(data)

    def since(self, offset: int) -> tuple[int, bytes]:
        """What was written from `offset` on, as far as it is still there, and the offset behind it."""
        first = self.written - min(len(self._kept), KEPT)
        start = max(offset, first)
        return self.written, bytes(self._kept[len(self._kept) - (self.written - start) :] if start < self.written
                                   else b"")

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
