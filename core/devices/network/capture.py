"""Captures: files of the frames that passed, in the format that Wireshark, tshark and tcpdump read.

Source: draft-ietf-opsawg-pcap (PCAP Capture File Format). Times are the guest's: zero is the machine's start, so equal
runs write equal files.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...errors import ConfigError

MAGIC: Final = 0xA1B2_C3D4  # times in microseconds, and this byte order
VERSION: Final = (2, 4)
SNAPSHOT: Final = 1 << 18  # bytes kept of a frame: more than any has
ETHERNET: Final = 1
FILE_HEADER: Final = struct.Struct("<IHHiIII")
FRAME_HEADER: Final = struct.Struct("<IIII")
MICROSECONDS: Final = 1_000_000


class Capture:
    """A capture file at `path`, made anew. Raises ConfigError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        self._put(FILE_HEADER.pack(MAGIC, *VERSION, 0, 0, SNAPSHOT, ETHERNET))

    def write(self, time: int, frame: bytes) -> None:
        """A frame passes at `time`, in microseconds since the machine was started."""
        seconds, rest = divmod(time, MICROSECONDS)
        self._put(FRAME_HEADER.pack(seconds, rest, len(frame), len(frame)) + frame)

    def _put(self, data: bytes) -> None:
        """The file is whole after every frame, however the run ends; on a full disk the capture ends, not the run."""
        if not self._file.closed:
            try:
                self._file.write(data)
                self._file.flush()
            except OSError:
                self.close()

    def close(self) -> None:
        """No more frames."""
        with suppress(OSError):  # what cannot be written is lost
            self._file.close()
