"""A capture is a file that other programs read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hartvisor.core.devices.network.capture import Capture
from hartvisor.core.errors import ConfigError


def test_the_file_is_pcap_with_times_in_microseconds(tmp_path: Path) -> None:
    """Byte by byte as draft-ietf-opsawg-pcap has it; whole after every frame, before the file is closed."""
    path = tmp_path / "frames.pcap"
    capture = Capture(path)
    capture.write(3_000_007, b"x" * 60)
    header = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    assert path.read_bytes() == header + struct.pack("<IIII", 3, 7, 60, 60) + b"x" * 60
    capture.close()


def test_a_capture_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/frames\.pcap: No such file"):
        Capture(tmp_path / "nowhere" / "frames.pcap")


def test_a_full_disk_ends_the_capture_and_nothing_else() -> None:
    capture = Capture.__new__(Capture)
    capture._file = Path("/dev/full").open("wb")  # noqa: SIM115
    capture.write(0, b"x" * 60)
    capture.write(1, b"x" * 60)
    capture.close()
