"""A few of the cuts that `python -m tests.devices.virtio.cuts 100` makes, and that they would notice a loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cuts import Cuts


def test_what_a_flush_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    cuts = Cuts(tmp_path)
    for run in range(10):
        cuts.cut(run)


def test_a_disk_that_does_not_sync_is_found_out(tmp_path: Path) -> None:
    cuts = Cuts(tmp_path, ("lying",))
    with pytest.raises(AssertionError, match="was lost"):
        for run in range(20):
            cuts.cut(run)
