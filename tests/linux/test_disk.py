"""An ext4 disk over virtio-blk: made by the host, mounted and written by Debian's kernel, read by the host again."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from hartvisor.core.devices.virtio.overlay import create_overlay, open_disk

from .support import hartvisor, require_debian

WRITE = b"mount -t ext4 /dev/vda /mnt && cat /mnt/greeting\necho from the guest >/mnt/answer\numount /mnt\n"
"""What is typed to use the disk."""


@dataclass(frozen=True)
class Tools:
    """What the host has for ext4."""

    mkfs: str
    debugfs: str
    e2fsck: str

    @classmethod
    def find(cls) -> Tools:
        """Skips the test where there are none."""
        found = [shutil.which(name, path="/usr/sbin:/sbin:/usr/bin") for name in ("mkfs.ext4", "debugfs", "e2fsck")]
        if None in found:
            pytest.skip("needs mkfs.ext4, debugfs and e2fsck: apt-get install e2fsprogs")
        return cls(*map(str, found))

    def make(self, disk: Path) -> None:
        """A disk with a greeting."""
        files = disk.with_suffix(".files")
        files.mkdir()
        (files / "greeting").write_text("from the host\n")
        subprocess.run([self.mkfs, "-q", "-d", str(files), str(disk), "16M"], check=True)

    def check_answer(self, disk: Path) -> None:
        """That the guest left it clean, with its answer."""
        assert subprocess.run([self.e2fsck, "-fn", str(disk)], capture_output=True, check=False).returncode == 0
        read = subprocess.run([self.debugfs, "-R", "cat answer", str(disk)], capture_output=True, check=True)
        assert read.stdout == b"from the guest\n"


def test_an_overlay_takes_what_the_guest_writes_and_leaves_its_base_alone(tmp_path: Path) -> None:
    """On the bare machine, with four harts."""
    require_debian()
    tools, base, disk, whole = Tools.find(), tmp_path / "base.img", tmp_path / "disk.overlay", tmp_path / "whole.img"
    tools.make(base)
    before = base.read_bytes()
    create_overlay(disk, base)
    run = hartvisor("machine", "debian", "--smp", "4", "--drive", str(disk), typed=WRITE + b"poweroff -f\n")
    assert run.status == 0, run.err
    assert b"from the host" in run.out  # perhaps behind a message of the kernel's
    assert base.read_bytes() == before
    opened = open_disk(disk, is_read_only=True)
    whole.write_bytes(opened.read(0, opened.size))
    opened.close()
    tools.check_answer(whole)


def test_a_missing_disk_is_one_line(tmp_path: Path) -> None:
    run = hartvisor("run", "hello", "--drive", str(tmp_path / "nowhere.img"))
    assert run.status == 2
    (line,) = run.err.splitlines()
    assert "nowhere.img" in line
